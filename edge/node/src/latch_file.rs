//! The latch on the disk: one file of two slots, made once and then written in place.
//!
//! ```text
//!   ┌──────────── slot 0, 16 KiB ───────────┬──────────── slot 1, 16 KiB ───────────┐
//!   │ head: sequence, length, BLAKE3 │ JSON │ head: sequence, length, BLAKE3 │ JSON │
//!   └───────────────────────────────────────┴───────────────────────────────────────┘
//! ```
//!
//! Saves go to the slots in turn, so that the last whole record is never the one that is overwritten. The blocks are
//! written when the file is made and the descriptor stays open: a full disk, or a process without descriptors, does not
//! keep a STOP from being saved. A slot that is neither blank nor whole makes the file unreadable, which is a STOP.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use skein_robot::latch::{Found, LatchFileContents};

/// Name of the file in the robot's state folder.
pub const FILE_NAME: &str = "latch.state";
/// Room for a record: it is bounded by 64 request ids and two registers, about 5 KiB.
const SLOT_BYTES: usize = 16 * 1024;
const SLOT_OFFSETS: [u64; 2] = [0, SLOT_BYTES as u64];
/// First field of a slot's head.
const MAGIC: &str = "skein-latch";
/// What blank slots and the rest of used ones are filled with.
const BLANK: u8 = b' ';

/// The open file.
#[derive(Debug)]
pub struct LatchFile {
    path: PathBuf,
    /// `None` while it could not be made.
    file: Option<File>,
    sequence: u64,
    buffer: Vec<u8>,
}

/// Why nothing was saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The file could not be made.
    #[error("cannot make {}: {source}", path.display())]
    Create {
        /// The latch file, or its folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The slot could not be written or made durable.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The latch file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The record does not fit.
    #[error("a latch record of {0} bytes is longer than its slot")]
    TooLong(usize),
}

impl LatchFile {
    /// Opens the file of a folder, makes it when there is none, and reads what it holds.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, Found) {
        let path = folder.join(FILE_NAME);
        let mut this = Self { path, file: None, sequence: 0, buffer: Vec::with_capacity(SLOT_BYTES) };
        let found = match OpenOptions::new().read(true).write(true).open(&this.path) {
            Ok(mut file) => {
                let found = this.read(&mut file);
                this.file = Some(file);
                found
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if let Err(error) = this.create() {
                    tracing::error!(%error, "no latch file yet");
                }
                Found::Nothing
            }
            Err(e) => Found::Unreadable { reason: e.to_string(), last: None },
        };
        (this, found)
    }

    /// Saves a record: written, then synced. A file that somebody removed meanwhile is made again.
    ///
    /// # Errors
    /// [`SaveError`]; the record before stays.
    pub fn save(&mut self, contents: &LatchFileContents) -> Result<(), SaveError> {
        let is_there = self
            .file
            .as_ref()
            .and_then(|file| file.metadata().ok())
            .is_some_and(|meta| meta.nlink() > 0 && meta.len() == 2 * SLOT_BYTES as u64);
        if !is_there {
            self.create().map_err(|source| SaveError::Create { path: self.path.clone(), source })?;
        }
        self.encode(self.sequence + 1, contents)?;
        let failed = |source| SaveError::Write { path: self.path.clone(), source };
        let Some(file) = &self.file else { return Err(failed(ErrorKind::NotFound.into())) };
        let offset = if (self.sequence + 1).is_multiple_of(2) { SLOT_OFFSETS[0] } else { SLOT_OFFSETS[1] };
        file.write_all_at(&self.buffer, offset).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        self.sequence += 1;
        Ok(())
    }

    /// Written beside, synced, put in place, and the folder synced.
    fn create(&mut self) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&[BLANK; 2 * SLOT_BYTES])?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.file = Some(file);
        Ok(())
    }

    fn encode(&mut self, sequence: u64, contents: &LatchFileContents) -> Result<(), SaveError> {
        let json = serde_json::to_string(contents).unwrap_or_default();
        self.buffer.clear();
        let head = head(sequence, &json);
        self.buffer.extend(head.as_bytes());
        self.buffer.extend(json.as_bytes());
        if self.buffer.len() > SLOT_BYTES {
            return Err(SaveError::TooLong(self.buffer.len()));
        }
        self.buffer.resize(SLOT_BYTES, BLANK);
        Ok(())
    }

    fn read(&mut self, file: &mut File) -> Found {
        let mut bytes = Vec::with_capacity(2 * SLOT_BYTES);
        if let Err(e) = file.take(2 * SLOT_BYTES as u64 + 1).read_to_end(&mut bytes) {
            return Found::Unreadable { reason: e.to_string(), last: None };
        }
        let slots: Vec<Slot> = bytes.chunks(SLOT_BYTES).map(decode).collect();
        let mut newest: Option<(u64, Box<LatchFileContents>)> = None;
        let mut wrong = (bytes.len() != 2 * SLOT_BYTES).then(|| format!("it has {} bytes", bytes.len()));
        for slot in slots {
            match slot {
                Slot::Blank => {}
                Slot::Whole(sequence, contents) => {
                    if newest.as_ref().is_none_or(|(other, _)| sequence > *other) {
                        newest = Some((sequence, contents));
                    }
                }
                Slot::Broken(reason) => wrong = Some(reason),
            }
        }
        self.sequence = newest.as_ref().map_or(0, |(sequence, _)| *sequence);
        let last = newest.map(|(_, contents)| contents);
        match (wrong, last) {
            (Some(reason), last) => Found::Unreadable { reason, last },
            (None, Some(contents)) => Found::Contents(contents),
            (None, None) => Found::Nothing,
        }
    }
}

enum Slot {
    Blank,
    Whole(u64, Box<LatchFileContents>),
    Broken(String),
}

fn head(sequence: u64, json: &str) -> String {
    format!("{MAGIC} {sequence} {} {}\n", json.len(), digest(sequence, json))
}

fn digest(sequence: u64, json: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(json.as_bytes());
    hasher.finalize().to_hex().to_string()
}

fn decode(slot: &[u8]) -> Slot {
    if slot.iter().all(|byte| *byte == BLANK) {
        return Slot::Blank;
    }
    match decoded(slot) {
        Ok((sequence, contents)) => Slot::Whole(sequence, Box::new(contents)),
        Err(reason) => Slot::Broken(reason),
    }
}

fn decoded(slot: &[u8]) -> Result<(u64, LatchFileContents), String> {
    let text = std::str::from_utf8(slot).map_err(|_| "a slot is not text".to_owned())?;
    let (first, rest) = text.split_once('\n').ok_or("a slot has no head")?;
    let fields: Vec<&str> = first.split(' ').collect();
    let [MAGIC, sequence, length, sum] = fields[..] else { return Err("a slot has no head".into()) };
    let sequence: u64 = sequence.parse().map_err(|_| "the number of a slot is none")?;
    let length: usize = length.parse().map_err(|_| "the length of a slot is none")?;
    let json = rest.get(..length).ok_or("a slot is cut off")?;
    if digest(sequence, json) != sum {
        return Err("the checksum of a slot is wrong".into());
    }
    serde_json::from_str(json).map(|contents| (sequence, contents)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_robot::latch::RECORD_VERSION;
    use skein_types::authority::{LatchRegister, LatchSet, Term};
    use skein_types::ids::{AgentId, FleetId};
    use skein_types::safety::Latch;

    fn contents(level: Latch) -> LatchFileContents {
        let own = LatchRegister { level, ..LatchRegister::released() };
        LatchFileContents {
            version: RECORD_VERSION,
            fleet: FleetId::new("yard").unwrap(),
            robot: AgentId::new("rover-1").unwrap(),
            latches: LatchSet { own, ..LatchSet::default() },
            term: Term(4),
            manual: None,
            kernel_boot: "k1".into(),
            clean: false,
            starts: Vec::new(),
            recent: Vec::new(),
        }
    }

    fn level(found: &Found) -> Option<Latch> {
        match found {
            Found::Contents(contents) => Some(contents.latches.level()),
            Found::Nothing | Found::Unreadable { .. } => None,
        }
    }

    #[test]
    fn the_last_record_that_was_saved_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, found) = LatchFile::open(folder.path());
        assert_eq!(found, Found::Nothing);
        for saved in [Latch::Stop, Latch::Kill, Latch::Released, Latch::Stop] {
            file.save(&contents(saved)).unwrap();
            assert_eq!(level(&LatchFile::open(folder.path()).1), Some(saved));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn whatever_is_no_whole_record_is_unreadable_and_the_last_whole_one_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let (mut file, _) = LatchFile::open(folder.path());
        file.save(&contents(Latch::Released)).unwrap();
        file.save(&contents(Latch::Stop)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 20, 200, SLOT_BYTES + 3, SLOT_BYTES + 200] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let (_, found) = LatchFile::open(folder.path());
            assert!(matches!(found, Found::Unreadable { last: Some(_), .. }), "{at}: {found:?}");
        }
        for bytes in [&b""[..], b"{\"latch\":\"stop\"}", &whole[..SLOT_BYTES - 1], &[0; 2 * SLOT_BYTES]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(LatchFile::open(folder.path()).1, Found::Unreadable { .. }), "{}", bytes.len());
        }
    }

    #[test]
    fn a_file_that_was_removed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = LatchFile::open(folder.path());
        std::fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
        file.save(&contents(Latch::Stop)).unwrap();
        assert_eq!(level(&LatchFile::open(folder.path()).1), Some(Latch::Stop));
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error_and_not_a_lie() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = LatchFile::open(folder.path());
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(matches!(file.save(&contents(Latch::Stop)), Err(SaveError::Create { .. })));
    }
}
