//! The one place that reads the clock.

use std::time::{Duration, Instant};

/// Runs something and says how long it took.
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
