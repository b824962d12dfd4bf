//! The one place where this program reads or waits for a clock.

use skein_types::time::MonoTime;

/// `CLOCK_MONOTONIC`.
#[must_use]
pub fn now() -> MonoTime {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    MonoTime::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// Sleeps until a moment of `CLOCK_MONOTONIC`; a signal that arrives does not end it early.
pub fn sleep_until(moment: MonoTime) {
    use rustix::thread::{ClockId, clock_nanosleep_absolute};
    let nanos = moment.as_nanos();
    let wanted = rustix::time::Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (nanos % 1_000_000_000) as rustix::time::Nsecs,
    };
    while clock_nanosleep_absolute(ClockId::Monotonic, &wanted) == Err(rustix::io::Errno::INTR) {}
}
