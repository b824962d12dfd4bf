//! What went wrong, what to do about it, and the exit code that says so to a script.

use core::fmt;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use skein_wire::WireError;

/// How a command ended, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Ok = 0,
    /// It was tried and failed.
    Failed = 1,
    /// It was asked wrongly: a flag, an argument, a file that says nothing usable.
    Usage = 2,
    /// What it names is not there.
    NotFound = 3,
    /// The supervisor, a lease or another run says no.
    Refused = 4,
    /// Nobody answers.
    Unreachable = 5,
    /// The person at the keyboard ended it.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not succeed. Everything a person needs to go on is in it.
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

/// A part of a file, in bytes.
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

    /// A file of a person that says nothing usable; points at the place.
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
            (Exit::Unreachable, _) => failure.help("is the supervisor running? `skein status` shows what is up here"),
            (_, Code::Unimplemented) => {
                failure.help("this supervisor does not know the request: compare `skein version`")
            }
            _ => failure,
        }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::failed(format!("the supervisor's answer makes no sense: {error}"))
            .help("run command line and supervisor of the same release: compare `skein version`")
    }
}
