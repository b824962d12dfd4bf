//! What is wrong with a configuration, shown at its place.

use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

/// Why the configuration was refused.
#[derive(Debug, Error, Diagnostic)]
pub enum SettingsError {
    /// A file that was named on the command line, or a standard file that exists, cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    #[diagnostic(code(config::unreadable))]
    Unreadable {
        /// The file as it was named.
        path: PathBuf,
        /// What the system answered.
        reason: String,
    },
    /// A line of a file: an unknown key, a value of the wrong kind, or text that is not TOML.
    #[error("{message}")]
    #[diagnostic(code(config::file))]
    InFile {
        /// What is wrong.
        message: String,
        /// The whole file, for the excerpt.
        #[source_code]
        source_code: Arc<NamedSource<String>>,
        /// The bytes under the caret.
        #[label("{label}")]
        span: SourceSpan,
        /// The text beside the caret.
        label: String,
        /// The key that was perhaps meant.
        #[help]
        help: Option<String>,
    },
    /// A value that does not stand in a file, or that contradicts another one.
    #[error("{origin}: {message}")]
    #[diagnostic(code(config::value))]
    InValue {
        /// The variable, the flag, or the key with its origin.
        origin: String,
        /// What is wrong.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// A key without default that no layer gives.
    #[error("{key} is not given")]
    #[diagnostic(code(config::missing), help("give it with {flag}, as {env}, or in a file"))]
    Missing {
        /// `section.key`.
        key: &'static str,
        /// The flag that sets it.
        flag: &'static str,
        /// The environment variable that sets it.
        env: String,
    },
    /// The values fit their kinds, but not the types of the program that reads them.
    #[error("the configuration does not fit together: {0}")]
    #[diagnostic(code(config::whole))]
    Whole(String),
}
