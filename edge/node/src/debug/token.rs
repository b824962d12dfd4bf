//! The bearer token for releasing and for manual driving. It never appears in a log, a URL or an answer.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use skein_types::time::MonoTime;
use uuid::Uuid;

use super::problem::Problem;
use crate::clock;

/// Shortest token someone may choose.
const CHARACTERS_MIN: usize = 16;

/// Refusals are logged at most this often, with their number.
const LOG_REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// A secret that compares in constant time and prints as nothing.
pub struct Token {
    secret: String,
    /// `None` when it came from the environment.
    path: Option<PathBuf>,
    refusals: Mutex<Refusals>,
}

/// Refusals that were not logged yet.
#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    logged_at: Option<MonoTime>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(in {})", self.place())
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("cannot use the token file {}", path.display())]
    File {
        /// The token's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too easy to guess.
    #[error("the token in {place} has fewer than {CHARACTERS_MIN} characters")]
    TooShort {
        /// The file or the variable.
        place: String,
    },
    /// Others can read it.
    #[error("the token file {} can be read by others: run chmod 600 on it", path.display())]
    Open {
        /// The token's file.
        path: PathBuf,
    },
}

/// The variable of the environment that may hold the token itself.
pub const TOKEN_VARIABLE: &str = "SKEIN_OVERRIDE_TOKEN";

impl Token {
    fn new(secret: String, path: Option<PathBuf>) -> Self {
        Self { secret, path, refusals: Mutex::default() }
    }

    /// Takes one that came in [`TOKEN_VARIABLE`].
    ///
    /// # Errors
    /// [`TokenError::TooShort`].
    pub fn from_environment(secret: &str) -> Result<Self, TokenError> {
        Self::new(secret.trim().to_owned(), None).checked()
    }

    /// Reads a file that someone named, and makes it when it is not there.
    ///
    /// # Errors
    /// [`TokenError`] also when others can read the file.
    pub fn kept(path: &Path) -> Result<Self, TokenError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::given(path, text.trim()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Self::fresh(path),
            Err(source) => Err(TokenError::File { path: path.to_owned(), source }),
        }
    }

    /// Makes a new one, in place of any that was there.
    ///
    /// # Errors
    /// [`TokenError::File`].
    pub fn fresh(path: &Path) -> Result<Self, TokenError> {
        // Two version-4 UUIDs: 244 random bits from the system.
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        write_secret(path, &secret).map_err(|source| TokenError::File { path: path.to_owned(), source })?;
        Ok(Self::new(secret, Some(path.to_owned())))
    }

    fn given(path: &Path, secret: &str) -> Result<Self, TokenError> {
        use std::os::unix::fs::PermissionsExt as _;
        let file_error = |source| TokenError::File { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(file_error)?.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Open { path: path.to_owned() });
        }
        Self::new(secret.to_owned(), Some(path.to_owned())).checked()
    }

    fn checked(self) -> Result<Self, TokenError> {
        if self.secret.len() < CHARACTERS_MIN { Err(TokenError::TooShort { place: self.place() }) } else { Ok(self) }
    }

    /// The file it is kept in, if it is in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| TOKEN_VARIABLE.to_owned(), |path| path.display().to_string())
    }

    /// Whether a request carries it.
    ///
    /// # Errors
    /// A 401 problem that says where the token is, never what it is.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let refused = |detail: &str| {
            self.log_refusal(detail);
            let hint = format!("send 'Authorization: Bearer' and the token in {}", self.place());
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail, hint)
        };
        let value = headers.get(header::AUTHORIZATION).ok_or_else(|| refused("no token was sent"))?;
        let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") && same(token.trim().as_bytes(), self.secret.as_bytes()) {
            Ok(())
        } else {
            Err(refused("the token is not this robot's"))
        }
    }
}

impl Token {
    /// A guesser leaves a trace, and does not fill the log.
    fn log_refusal(&self, detail: &str) {
        let now = clock::now();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.count += 1;
        if refusals.logged_at.is_none_or(|at| now.since(at) >= LOG_REFUSALS_EVERY) {
            tracing::warn!(detail, count = refusals.count, "a request was refused at the debug API");
            *refusals = Refusals { count: 0, logged_at: Some(now) };
        }
    }
}

impl TokenError {
    /// The file system refused, not the content: the robot runs without a token.
    #[must_use]
    pub const fn is_io(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// Compares without stopping at the first difference.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0_u8, |all, (x, y)| all | (x ^ y));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Made anew so that a file with wider permissions is not reused.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_fresh_token_is_only_for_its_owner_and_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/token");
        let token = Token::fresh(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let secret = std::fs::read_to_string(&path).unwrap();
        assert!(token.check(&headers(&format!("Bearer {}", secret.trim()))).is_ok());
        assert!(token.check(&headers(&format!("bearer {}", secret.trim()))).is_ok());
        for wrong in ["Bearer", "Bearer x", "Basic abc", &format!("Bearer {}x", secret.trim())] {
            assert_eq!(token.check(&headers(wrong)).unwrap_err().status, 401, "{wrong}");
        }
        assert_eq!(token.check(&HeaderMap::new()).unwrap_err().code, "unauthorized");
        assert!(!format!("{token:?}").contains(secret.trim()));
        assert_ne!(std::fs::read_to_string(Token::fresh(&path).unwrap().path().unwrap()).unwrap(), secret);
    }

    #[test]
    fn a_given_token_must_be_long_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Token::kept(&path)
        };
        assert!(write("a-long-enough-token\n", 0o600).unwrap().check(&headers("Bearer a-long-enough-token")).is_ok());
        assert!(matches!(write("short\n", 0o600), Err(TokenError::TooShort { .. })));
        assert!(matches!(write("a-long-enough-token\n", 0o644), Err(TokenError::Open { .. })));
        assert!(Token::from_environment("a-long-enough-token").unwrap().path().is_none());
        assert!(Token::from_environment("short").unwrap_err().to_string().contains(TOKEN_VARIABLE));
    }
}
