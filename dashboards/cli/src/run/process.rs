//! One child process: started, watched, measured, ended.

use core::time::Duration;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde::Serialize;

use super::child::CHILD;
use super::directory::ProcessRecord;
use super::procfs;
use crate::clock;
use crate::failure::Failure;

/// How to start a process, also for the second time.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// `world`, `cloud` or the robot's name.
    pub name: String,
    /// Path of the executable.
    pub program: PathBuf,
    /// Arguments after the executable's name.
    pub arguments: Vec<OsString>,
    /// Where stdout goes; with stderr when it is the same file.
    pub out: PathBuf,
    /// Where stderr goes.
    pub log: PathBuf,
}

/// What a process cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// Role and number, for instance `rover-1`.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// CPU time, seconds.
    pub cpu_s: f64,
    /// Of one core, over its life.
    pub cpu_share: f64,
    /// Largest memory it ever held, MiB.
    pub rss_peak_mib: f64,
    /// How long it ran, seconds.
    pub wall_s: f64,
    /// How it ended, when it has.
    pub ended: Option<String>,
}

/// A child.
#[derive(Debug)]
pub(crate) struct Process {
    start: Start,
    child: Child,
    start_ticks: u64,
    started: Instant,
    cpu_s: f64,
    peak_bytes: u64,
    ended: Option<(Duration, ExitStatus)>,
}

impl Process {
    /// Starts it in a process group of its own, so that Ctrl-C reaches this program alone and the end has an order.
    pub(crate) fn start(start: Start) -> Result<Self, Failure> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.map_err(|error| Failure::io("open", path, &error))
        };
        let child = Command::new("/proc/self/exe")
            .arg0("skein")
            .args([CHILD, &std::process::id().to_string()])
            .arg(&start.program)
            .args(&start.arguments)
            // This program's own variables would be read as configuration keys.
            .env_remove("SKEIN_CLOUD")
            .env_remove("SKEIN_DIR")
            .env_remove("SKEIN_KEEPER")
            .env_remove("SKEIN_LEASE")
            .env_remove("SKEIN_OPERATOR")
            .stdin(Stdio::null())
            .stdout(open(&start.out)?)
            .stderr(open(&start.log)?)
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::failed(format!("cannot start {}: {error}", start.name)))?;
        let start_ticks = procfs::stat(child.id()).map_or(0, |stat| stat.start_ticks);
        Ok(Self { start, child, start_ticks, started: clock::now(), cpu_s: 0.0, peak_bytes: 0, ended: None })
    }

    pub(crate) fn name(&self) -> &str {
        &self.start.name
    }

    /// How it was started.
    pub(crate) fn recipe(&self) -> &Start {
        &self.start
    }

    pub(crate) fn record(&self) -> ProcessRecord {
        ProcessRecord {
            name: self.start.name.clone(),
            pid: self.child.id(),
            start_ticks: self.start_ticks,
            log: self.start.log.clone(),
            out: self.start.out.clone(),
            debug: None,
            restarts: 0,
            last_exit: None,
            has_given_up: false,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.is_none()
    }

    /// Its exit code, when it ended by itself.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.ended.and_then(|(_, status)| status.code())
    }

    /// Takes its measure, and notices its end. A process that has ended keeps its CPU time until it is reaped.
    pub(crate) fn poll(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let id = WaitId::Pid(Pid::from_child(&self.child));
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let has_ended = matches!(waitid(id, look), Ok(Some(_)));
        if let Some(stat) = procfs::stat(self.child.id()) {
            self.cpu_s = self.cpu_s.max(stat.cpu_s);
        }
        self.peak_bytes = self.peak_bytes.max(procfs::peak_memory(self.child.id()).unwrap_or(0));
        if has_ended && let Ok(Some(status)) = self.child.try_wait() {
            self.ended = Some((clock::now() - self.started, status));
        }
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if self.is_running() {
            // It may have ended a moment ago; until it is reaped its number is nobody else's.
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    /// What it cost so far.
    pub(crate) fn measured(&self) -> Measured {
        let wall = self.ended.map_or_else(|| clock::now() - self.started, |(wall, _)| wall).as_secs_f64();
        Measured {
            name: self.start.name.clone(),
            pid: self.child.id(),
            cpu_s: self.cpu_s,
            cpu_share: if wall > 0.0 { self.cpu_s / wall } else { 0.0 },
            rss_peak_mib: self.peak_bytes as f64 / (1024.0 * 1024.0),
            wall_s: wall,
            ended: self.ended.map(|(_, status)| describe(status)),
        }
    }

    /// The last lines it wrote, for a person who wonders why it ended.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.start.log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(4096)..).unwrap_or_default();
        let text = String::from_utf8_lossy(tail);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join("\n  ")
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
