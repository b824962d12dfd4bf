//! The one place that reads the clock.

use std::time::{Duration, Instant};

use skein_types::time::{MonoTime, WallTime};

/// Runs something and measures how long it took.
#[expect(clippy::disallowed_methods, reason = "a benchmark's business is to read the clock")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// The median of the seconds that several runs take.
pub(crate) fn median_seconds(runs: usize, mut work: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..runs.max(1)).map(|_| timed(&mut work).1.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    crate::row::quantile(&seconds, 0.5)
}

/// The machine's monotonic clock: the same in every process.
pub(crate) fn now() -> MonoTime {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    MonoTime::from_nanos(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default())
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark's business is to read the clock")]
pub(crate) fn wall() -> WallTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    WallTime::from_unix_nanos(i64::try_from(since.as_nanos()).unwrap_or_default())
}

/// Waits until a moment; returns at once when it has passed.
#[expect(clippy::disallowed_methods, reason = "the pace of a measurement is a fixed rate")]
pub(crate) fn sleep_until(at: MonoTime) {
    std::thread::sleep(at.since(now()));
}
