//! What went wrong, what to do about it, and the exit code that says so to a script.

use core::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use skein_wire::WireError;

/// Exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did what was asked.
    Ok = 0,
    /// Tried and failed.
    Failed = 1,
    /// A flag, an argument or an input file is wrong.
    Usage = 2,
    /// A named file, robot, mission or fleet does not exist.
    NotFound = 3,
    /// Refused by the supervisor, a robot, a lease or another run.
    Refused = 4,
    /// The supervisor or the robot does not answer.
    Unreachable = 5,
    /// Ended by Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not succeed: what happened, the next step, and for an input file the place in it.
#[derive(Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    exit: Exit,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

#[derive(Debug)]
struct Excerpt {
    source: NamedSource<String>,
    label: LabeledSpan,
}

/// A range of bytes of a file.
pub(crate) type Span = core::ops::Range<usize>;

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { exit, message: message.into(), help: None, excerpt: None }))
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A mistake in an input file; points at the place.
    pub(crate) fn in_file(name: &str, text: &str, span: Span, message: impl Into<String>, label: &str) -> Self {
        let source = NamedSource::new(name, text.to_owned());
        let label = LabeledSpan::at(span, label);
        let mut failure = Self::usage(message);
        failure.0.excerpt = Some(Excerpt { source, label });
        failure
    }

    /// A file or folder that could not be read or written.
    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Self::new(exit, format!("cannot {what} {}: {error}", path.display()))
    }

    /// The next step.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.0.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl core::error::Error for Failure {}

impl Diagnostic for Failure {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.excerpt.as_ref().map(|excerpt| &excerpt.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.0.excerpt.as_ref().map(|excerpt| Box::new(core::iter::once(excerpt.label.clone())) as Box<_>)
    }
}

/// Command-line errors look like all others; clap's tips and usage line become the help.
impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let lines = rest.lines().map(str::trim).filter(|line| !line.is_empty());
        let help: Vec<&str> = lines.map(|line| line.strip_prefix("tip: ").unwrap_or(line)).collect();
        let failure = Self::usage(message.trim().to_owned());
        if help.is_empty() { failure } else { failure.help(help.join("\n")) }
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        use tonic::Code;
        let exit = match status.code() {
            Code::NotFound => Exit::NotFound,
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange => Exit::Refused,
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Exit::Unreachable,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss | Code::Unimplemented => Exit::Failed,
        };
        let failure = Self::new(exit, status.message().trim().to_owned());
        match (exit, status.code()) {
            (Exit::Unreachable, Code::DeadlineExceeded | Code::Cancelled) => {
                Self::new(exit, "the supervisor did not answer in time").help("give it longer with --timeout 30s")
            }
            (Exit::Unreachable, _) => failure.help("is the supervisor running? `skein status` shows its process"),
            (_, Code::Unimplemented) => {
                failure.help("this supervisor does not know the request: compare `skein version`")
            }
            _ => failure,
        }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::failed(format!("the supervisor's answer cannot be read: {error}"))
            .help("use the same release for the command line and the supervisor: compare `skein version`")
    }
}
