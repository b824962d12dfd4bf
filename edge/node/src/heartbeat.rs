//! How long ago something last went round, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skein_types::time::MonoTime;

/// Written by one thread or task, read by the watchdog.
#[derive(Debug, Default)]
pub struct Heartbeat(AtomicU64);

impl Heartbeat {
    /// It goes round now.
    pub fn beat(&self, now: MonoTime) {
        self.0.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// How long ago it last did; `None` before the first time.
    #[must_use]
    pub fn age(&self, now: MonoTime) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(now.since(MonoTime::from_nanos(nanos))),
        }
    }
}
