//! Figures for `/metrics`: counters that cost an addition, written out in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;

macro_rules! figures {
    ($($(#[$doc:meta])* $field:ident: $name:literal, $kind:literal, $help:literal;)*) => {
        /// All figures of this process.
        #[derive(Debug, Default)]
        pub(crate) struct Meter {
            $($(#[$doc])* pub(crate) $field: Figure,)*
        }

        impl Meter {
            fn each(&self, mut write: impl FnMut(&str, &str, &str, u64)) {
                $(write($name, $kind, $help, self.$field.0.load(Ordering::Relaxed));)*
            }
        }
    };
}

/// A number that many tasks may change.
#[derive(Debug, Default)]
pub(crate) struct Figure(AtomicU64);

impl Figure {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Counts one until the guard is dropped.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(self)
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// See [`Figure::hold`].
pub(crate) struct Held<'a>(&'a Figure);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

figures! {
    robots_connected: "skein_robots_connected", "gauge", "Robots with an open stream.";
    robots_known: "skein_robots_known", "gauge", "Robots that were ever seen.";
    missions_open: "skein_missions_open", "gauge", "Missions that are not at their end.";
    viewers: "skein_viewers", "gauge", "Open streams of snapshots.";
    queue: "skein_owner_queue_length", "gauge", "Jobs that wait for the core of the core.";
    reports: "skein_robot_reports_total", "counter", "Messages from robots that were taken in.";
    refused: "skein_refused_messages_total", "counter", "Messages from robots that made no sense.";
    refused_samples: "skein_refused_samples_total", "counter", "Samples of telemetry that were left out because they could not be decoded.";
    events_lost: "skein_events_lost_total", "counter", "Events that were lost because the disk was full for too long.";
    degraded: "skein_ledger_degraded", "gauge", "1 while records cannot be made durable.";
    commands: "skein_commands_sent_total", "counter", "Commands put on robots' streams, repetitions included.";
    unsent: "skein_commands_unsent_total", "counter", "Commands for which a robot's stream had no room; they are repeated.";
    requests: "skein_requests_total", "counter", "Requests of people and programs.";
    refusals: "skein_requests_refused_total", "counter", "Requests that were refused.";
    events: "skein_events_kept_total", "counter", "Entries added to the record.";
    commits: "skein_store_commits_total", "counter", "Transactions made durable.";
    commit_micros: "skein_store_commit_microseconds_total", "counter", "Time spent on making them durable.";
    snapshots: "skein_pictures_total", "counter", "Pictures of the fleet that were taken.";
    shown: "skein_pictures_sent_total", "counter", "Pictures and heartbeats that viewers got.";
}

impl Meter {
    /// In Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        self.each(|name, kind, help, value| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        });
        let _ = writeln!(
            text,
            "# HELP process_cpu_seconds_total Processor time used.\n# TYPE process_cpu_seconds_total counter\n\
             process_cpu_seconds_total {:.3}",
            clock::cpu_seconds()
        );
        if let Some(bytes) = resident_bytes() {
            let _ = writeln!(
                text,
                "# HELP process_resident_memory_bytes Memory in use.\n# TYPE process_resident_memory_bytes gauge\n\
                 process_resident_memory_bytes {bytes}"
            );
        }
        text
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}
