//! The key that proves that this robot is the one of its name: made at the first start, readable by its owner alone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer as _, SigningKey};
use skein_robot::link::RobotKey;
use uuid::Uuid;

/// Name of the file in the robot's state folder: 64 hex digits.
pub const FILE_NAME: &str = "robot.key";
const SEED_BYTES: usize = 32;

/// An Ed25519 key.
#[derive(Clone)]
pub struct KeyFile(SigningKey);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("cannot use the key file {}: {source}", path.display())]
    File {
        /// The key's file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content is no key.
    #[error("the key file {} does not hold 64 hex digits", path.display())]
    Malformed {
        /// The key's file.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("the key file {} can be read by others: run chmod 600 on it", path.display())]
    Open {
        /// The key's file.
        path: PathBuf,
    },
}

impl KeyFile {
    /// Reads the key of a folder, or makes it.
    ///
    /// # Errors
    /// [`KeyError`]; a robot without a key runs, and cannot prove its name.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(FILE_NAME);
        let failed = |source| KeyError::File { path: path.clone(), source };
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return make(&path).map_err(failed),
            Err(e) => return Err(failed(e)),
        };
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Open { path });
        }
        let mut text = String::new();
        file.take(4 * SEED_BYTES as u64).read_to_string(&mut text).map_err(failed)?;
        let seed = seed_from_hex(text.trim()).ok_or(KeyError::Malformed { path })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }
}

impl RobotKey for KeyFile {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Written beside, synced, put in place: a key that was cut off would lock the robot out of its name.
fn make(path: &Path) -> std::io::Result<KeyFile> {
    let seed = fresh_seed();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "{hex}")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(KeyFile(SigningKey::from_bytes(&seed)))
}

/// 244 random bits of the system (two version-4 UUIDs), spread over the seed by a hash.
fn fresh_seed() -> [u8; SEED_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(Uuid::new_v4().as_bytes());
    hasher.update(Uuid::new_v4().as_bytes());
    *hasher.finalize().as_bytes()
}

fn seed_from_hex(text: &str) -> Option<[u8; SEED_BYTES]> {
    if text.len() != 2 * SEED_BYTES || !text.is_ascii() {
        return None;
    }
    let mut seed = [0; SEED_BYTES];
    for (index, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signature, VerifyingKey};

    #[test]
    fn a_key_is_made_once_stays_the_same_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = KeyFile::open(folder.path()).unwrap();
        let again = KeyFile::open(folder.path()).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let path = folder.path().join(FILE_NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(KeyFile::open(other.path()).unwrap().public_key(), first.public_key());
    }

    #[test]
    fn a_signature_is_that_of_the_public_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyFile::open(folder.path()).unwrap();
        let signature = Signature::from_bytes(&key.sign(b"hello"));
        let public = VerifyingKey::from_bytes(&key.public_key()).unwrap();
        assert!(public.verify_strict(b"hello", &signature).is_ok());
        assert!(public.verify_strict(b"hallo", &signature).is_err());
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            KeyFile::open(folder.path())
        };
        assert!(write(&"ab".repeat(32), 0o600).is_ok());
        assert!(matches!(write(&"ab".repeat(32), 0o640), Err(KeyError::Open { .. })));
        for broken in ["", "ab", &"zz".repeat(32), &"ü".repeat(32)] {
            assert!(matches!(write(broken, 0o600), Err(KeyError::Malformed { .. })), "{broken:?}");
        }
    }
}
