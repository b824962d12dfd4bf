//! What must survive a restart: a person's hand on the robot.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skein_types::safety::Latch;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The file that holds the latch.
#[derive(Clone, Debug)]
pub struct LatchFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    latch: Latch,
}

impl LatchFile {
    /// In the robot's own folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join("latch.json") }
    }

    /// What was kept. A file that cannot be understood counts as STOP: someone must look.
    #[must_use]
    pub fn load(&self) -> Latch {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Latch::Released,
            Err(e) => return self.doubted(&e.to_string()),
        };
        serde_json::from_str::<Kept>(&text).map_or_else(|e| self.doubted(&e.to_string()), |kept| kept.latch)
    }

    fn doubted(&self, why: &str) -> Latch {
        tracing::error!(path = %self.path.display(), why, "the kept latch cannot be read: STOP until a person releases it");
        Latch::Stop
    }

    /// Keeps it: written beside, made durable, put in place.
    ///
    /// # Errors
    /// What the file system said.
    pub fn save(&self, latch: Latch) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(serde_json::to_string(&Kept { latch })?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)
    }

    /// Keeps every change until cancelled.
    pub async fn follow(self, mut latch: watch::Receiver<Latch>, cancel: CancellationToken) {
        loop {
            let changed = tokio::select! {
                changed = latch.changed() => changed,
                () = cancel.cancelled() => return,
            };
            if changed.is_err() {
                return;
            }
            let (file, latch) = (self.clone(), *latch.borrow_and_update());
            let saved = tokio::task::spawn_blocking(move || file.save(latch)).await;
            if let Err(e) = saved.map_err(std::io::Error::other).flatten() {
                tracing::error!(path = %self.path.display(), error = %e, "the latch could not be kept");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latch_outlives_the_process_and_a_broken_file_is_a_stop() {
        let folder = tempfile::tempdir().unwrap();
        let file = LatchFile::new(folder.path());
        assert_eq!(file.load(), Latch::Released);
        file.save(Latch::Kill).unwrap();
        assert_eq!(LatchFile::new(folder.path()).load(), Latch::Kill);
        file.save(Latch::Released).unwrap();
        assert_eq!(file.load(), Latch::Released);
        for broken in ["", "{\"latch\":\"", "{\"latch\":\"maybe\"}", "\0\0\0\0"] {
            std::fs::write(folder.path().join("latch.json"), broken).unwrap();
            assert_eq!(file.load(), Latch::Stop, "{broken:?}");
        }
    }
}
