//! The run directory of one fleet.
//!
//! | file | holds | until |
//! |---|---|---|
//! | `lock` | the lock of the keeper; the kernel gives it back when the keeper ends | `down` |
//! | `run.json` | the record: processes, addresses, files | `down` |
//! | `fleet` | the fleet's name | never removed |
//! | `state/` | what the supervisor and the robots keep: latches, keys, missions, events | never removed |
//! | `demo-state/` | the same for a demo, whose fleet is new each time | the next demo |
//! | `logs/` | what the processes wrote | the next `up` or `demo` |

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use skein_types::ids::FleetId;

use super::procfs;
use crate::clock;
use crate::failure::{Exit, Failure};

/// What `up` or `demo` wrote down about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    /// Of the `skein` that keeps the fleet.
    pub pid: u32,
    /// When it was started, nanoseconds since 1970.
    pub started_at_unix_nanos: i64,
    /// URL of the supervisor.
    pub cloud: String,
    /// The robots' fleet.
    pub fleet: String,
    /// The map everybody uses.
    pub map: PathBuf,
    /// The zone near which the robots started, in the map's frame.
    pub zone: PathBuf,
    /// Where the world answers.
    pub socket: PathBuf,
    /// What the world knows to be true.
    pub truth: PathBuf,
    /// The seed of everything.
    pub seed: u64,
    /// How many robots there are.
    pub robots: u16,
    /// Everything is up.
    pub ready: bool,
    /// Started by `up`, not by `demo`.
    #[serde(default)]
    pub by_up: bool,
    /// Processes that end are started again.
    #[serde(default)]
    pub restarts: bool,
    /// The processes, in the order in which they were started.
    pub processes: Vec<ProcessRecord>,
}

/// One process of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    /// `world`, `cloud` or the robot's name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// With the pid it names one process for ever.
    pub start_ticks: u64,
    /// Where its output goes.
    pub log: PathBuf,
    /// Its first lines on stdout.
    #[serde(default)]
    pub out: PathBuf,
    /// Address of a robot's debug API.
    #[serde(default)]
    pub debug: Option<SocketAddr>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u32,
    /// How it ended last.
    #[serde(default)]
    pub last_exit: Option<String>,
    /// It ended too often and is left alone.
    #[serde(default)]
    pub has_given_up: bool,
}

impl ProcessRecord {
    /// The token file that a robot named when it was ready.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(&self.out).ok()?;
        // The last line is that of the latest start.
        let mut lines = text.lines().rev();
        lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line.get("token_file")?.as_str().map(PathBuf::from)
        })
    }

    /// Whether it still runs: the same process, not another one with its number.
    pub(crate) fn is_alive(&self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_zombie)
    }
}

/// A folder for one fleet.
#[derive(Clone, Debug)]
pub(crate) struct RunDirectory {
    root: PathBuf,
}

/// Held as long as the fleet is up.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl RunDirectory {
    /// The folder; nothing is made yet.
    pub(crate) fn new(root: &Path) -> Result<Self, Failure> {
        let root = std::path::absolute(root).map_err(|error| Failure::io("find", root, &error))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The name of the fleet that is started here with `up`: made once, then kept, because the robots find their latches
    /// by it.
    pub(crate) fn fleet_name(&self) -> Result<String, Failure> {
        let path = self.file("fleet");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let name = format!("sim-{}", clock::fresh_suffix());
                write_whole(&path, format!("{name}\n").as_bytes())?;
                return Ok(name);
            }
            Err(error) => return Err(Failure::io("read", &path, &error)),
        };
        let name = FleetId::new(text.trim()).map_err(|error| {
            Failure::failed(format!("{} holds no fleet name: {error}", path.display()))
                .help("write the fleet's name into it again; its folder below state/rover-1 has that name")
        })?;
        Ok(name.into())
    }

    /// Makes the folder and takes the lock.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        fs::create_dir_all(&self.root).map_err(|error| Failure::io("make", &self.root, &error))?;
        let path = self.file("lock");
        let file = File::create(&path).map_err(|error| Failure::io("open", &path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { _file: file }),
            Err(_) => Err(self.taken()),
        }
    }

    fn taken(&self) -> Failure {
        let who =
            self.record().ok().flatten().map(|record| format!(" (pid {}, supervisor at {})", record.pid, record.cloud));
        let message = format!("a fleet is already up in {}{}", self.root.display(), who.unwrap_or_default());
        Failure::new(Exit::Refused, message)
            .help("end it with `skein down`, or keep a second one apart with --dir FOLDER")
    }

    /// Whether a fleet is up here: somebody holds the lock.
    pub(crate) fn is_up(&self) -> bool {
        let Ok(file) = File::open(self.file("lock")) else { return false };
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    }

    /// What was written down; none when nothing was.
    pub(crate) fn record(&self) -> Result<Option<RunRecord>, Failure> {
        let path = self.file("run.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io("read", &path, &error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::failed(format!("{} cannot be read: {error}", path.display()))
                .help("remove the file and start again")
        })
    }

    /// The fleet that is up here now.
    pub(crate) fn current(&self) -> Result<Option<RunRecord>, Failure> {
        if self.is_up() { self.record() } else { Ok(None) }
    }

    /// Writes it down, whole or not at all.
    pub(crate) fn write_record(&self, record: &RunRecord) -> Result<(), Failure> {
        let text = crate::output::json(record)?;
        write_whole(&self.file("run.json"), text.as_bytes())
    }

    pub(crate) fn remove_record(&self) {
        // It may be gone already; a stale one is recognised by the lock.
        let _ = fs::remove_file(self.file("run.json"));
    }
}

/// Writes a file so that a reader sees the old one or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, bytes).map_err(|error| Failure::io("write", &beside, &error))?;
    fs::rename(&beside, path).map_err(|error| Failure::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_fleet_in_the_same_folder_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::new(folder.path()).unwrap();
        assert!(!directory.is_up());
        let lock = directory.lock().unwrap();
        assert!(directory.is_up());
        let refused = directory.lock().unwrap_err();
        assert_eq!(refused.exit(), Exit::Refused);
        drop(lock);
        assert!(!directory.is_up() && directory.lock().is_ok());
    }

    fn process(pid: u32, start_ticks: u64, out: PathBuf) -> ProcessRecord {
        ProcessRecord {
            name: "rover-1".into(),
            pid,
            start_ticks,
            log: PathBuf::new(),
            out,
            debug: None,
            restarts: 0,
            last_exit: None,
            has_given_up: false,
        }
    }

    #[test]
    fn the_fleets_name_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::new(folder.path()).unwrap();
        let name = directory.fleet_name().unwrap();
        assert_eq!(directory.fleet_name().unwrap(), name);
        fs::write(folder.path().join("fleet"), "Not A Name").unwrap();
        assert!(directory.fleet_name().unwrap_err().to_string().contains("no fleet name"));
    }

    #[test]
    fn the_token_file_is_that_of_the_latest_start() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::write(&out, "{\"ready\":true,\"token_file\":\"/a\"}\n{\"ready\":true,\"token_file\":\"/b\"}\n").unwrap();
        assert_eq!(process(1, 1, out).token_file(), Some(PathBuf::from("/b")));
        assert_eq!(process(1, 1, PathBuf::from("/none")).token_file(), None);
    }

    #[test]
    fn a_process_that_ended_or_was_replaced_is_not_taken_for_alive() {
        let pid = std::process::id();
        let start_ticks = procfs::stat(pid).unwrap().start_ticks;
        let record = process(pid, start_ticks, PathBuf::new());
        assert!(record.is_alive());
        assert!(!ProcessRecord { start_ticks: start_ticks + 1, ..record }.is_alive());
    }
}
