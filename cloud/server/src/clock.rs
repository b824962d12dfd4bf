//! The one place where this process reads clocks.

use rustix::time::{ClockId, Timespec, clock_gettime};
use skein_types::time::{MonoTime, WallTime};

fn nanos(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Now, on the clock that never jumps.
#[must_use]
pub fn now() -> MonoTime {
    MonoTime::from_nanos(u64::try_from(nanos(clock_gettime(ClockId::Monotonic))).unwrap_or(0))
}

/// Now, on the clock people read; for the record only.
#[must_use]
pub fn wall() -> WallTime {
    WallTime::from_unix_nanos(nanos(clock_gettime(ClockId::Realtime)))
}

/// Processor time this process has used, seconds.
#[must_use]
pub fn cpu_seconds() -> f64 {
    nanos(clock_gettime(ClockId::ProcessCPUTime)) as f64 / 1e9
}
