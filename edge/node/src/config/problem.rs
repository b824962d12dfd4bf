//! What is wrong with a configuration, shown where it stands.

use std::path::PathBuf;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

/// Why the configuration was refused.
#[derive(Debug, Error, Diagnostic)]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    #[diagnostic(code(config::unreadable))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A line of a file.
    #[error("{message}")]
    #[diagnostic(code(config::file))]
    InFile {
        /// What is wrong.
        message: String,
        /// The file.
        #[source_code]
        source_code: Arc<NamedSource<String>>,
        /// Where in it.
        #[label("{label}")]
        span: SourceSpan,
        /// What the caret says.
        label: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// A variable of the environment, a flag or a default.
    #[error("{origin}: {message}")]
    #[diagnostic(code(config::value))]
    InValue {
        /// Where it came from.
        origin: String,
        /// What is wrong.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// A key without which nothing goes.
    #[error("{key} is not given")]
    #[diagnostic(code(config::missing), help("give it with {flag}, as {env}, or in a file"))]
    Missing {
        /// Which.
        key: &'static str,
        /// Its flag.
        flag: &'static str,
        /// Its variable.
        env: String,
    },
    /// The joined configuration does not fit together.
    #[error("the configuration does not fit together: {0}")]
    #[diagnostic(code(config::whole))]
    Whole(String),
}
