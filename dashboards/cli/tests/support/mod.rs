//! Fakes for the command line's tests: robots' debug APIs, supervisors in each state, and the record of a run directory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "servers of a test end with its runtime")]
#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod robot;
pub(crate) mod supervisor;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A run directory in which a fleet seems to be up: the record is there and its lock is held.
pub(crate) struct Run {
    folder: TempDir,
    _lock: File,
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) talk: String,
    pub(crate) took: Duration,
}

impl Seen {
    /// The data, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// One robot's entry of a list.
    pub(crate) fn robot(&self, name: &str) -> Value {
        let all = self.json();
        all.as_array().unwrap().iter().find(|entry| entry["robot"] == name).unwrap().clone()
    }
}

impl Run {
    /// With these robots, by name and address of their debug API.
    pub(crate) fn new(supervisor: SocketAddr, robots: &[(&str, SocketAddr)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let lock = File::create(root.join("lock")).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let token = root.join("token");
        fs::write(&token, "a-token-that-is-long-enough\n").unwrap();
        let process = |(name, address): &(&str, SocketAddr)| {
            let out = root.join(format!("{name}.ready.json"));
            fs::write(&out, format!("{}\n", json!({"ready": true, "token_file": token}))).unwrap();
            json!({"name": name, "pid": 1, "start_ticks": 1, "log": root.join("log"), "out": out, "debug": address})
        };
        let record = json!({
            "pid": 1, "started_at_unix_nanos": 1, "cloud": format!("http://{supervisor}"), "fleet": "yard",
            "map": root, "zone": root, "socket": root, "truth": root, "seed": 1, "robots": robots.len(),
            "ready": true, "by_up": true, "processes": robots.iter().map(process).collect::<Vec<_>>(),
        });
        fs::write(root.join("run.json"), record.to_string()).unwrap();
        Self { folder, _lock: lock }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Runs the program on this fleet, as operator ada, with JSON on stdout.
    pub(crate) async fn skein(&self, arguments: &[&str]) -> Seen {
        let dir = self.dir();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        tokio::task::spawn_blocking(move || run(&dir, &arguments)).await.unwrap()
    }
}

fn run(dir: &std::path::Path, arguments: &[String]) -> Seen {
    let start = Instant::now();
    let output: Output = Command::new(env!("CARGO_BIN_EXE_skein"))
        .args(arguments)
        .args(["-o", "json", "--operator", "ada"])
        .env_clear()
        .env("SKEIN_DIR", dir)
        .output()
        .unwrap();
    Seen {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        talk: String::from_utf8(output.stderr).unwrap(),
        took: start.elapsed(),
    }
}
