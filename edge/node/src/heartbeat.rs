//! How long ago a thread or task last went round its loop, for the watchdog and the supervision of tasks.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skein_types::time::MonoTime;

use crate::clock;

/// How often a loop beats at least.
pub const BEAT_EVERY: Duration = Duration::from_millis(200);
/// What has not gone round for this long hangs: with a look every 0.2 s it is noticed within a second.
pub const HANGS_AFTER: Duration = Duration::from_millis(700);

/// Written by one thread or task, read by another.
#[derive(Debug, Default)]
pub struct Heartbeat(AtomicU64);

impl Heartbeat {
    /// The loop runs now.
    pub fn beat(&self, now: MonoTime) {
        self.0.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// Waits for something that is bounded in time, and beats meanwhile.
    pub async fn while_waiting<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            self.beat(clock::now());
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(BEAT_EVERY) => {}
            }
        }
    }

    /// How long ago the loop last ran; `None` before the first time.
    #[must_use]
    pub fn age(&self, now: MonoTime) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(now.since(MonoTime::from_nanos(nanos))),
        }
    }
}
