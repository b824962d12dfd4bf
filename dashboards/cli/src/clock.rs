//! The two clocks, read here and nowhere else.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::{NoContext, Timestamp, Uuid};

/// For spans.
#[expect(clippy::disallowed_methods, reason = "a shell's one place that reads the steady clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// For people: nanoseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a shell's one place that reads the wall clock")]
pub(crate) fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds since then, for people.
pub(crate) fn seconds_since_unix(nanos: i64) -> f64 {
    (unix_nanos().saturating_sub(nanos)) as f64 / 1e9
}

/// A key that nobody else chooses.
pub(crate) fn fresh_key() -> String {
    let nanos = u64::try_from(unix_nanos()).unwrap_or(0);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let rest = u32::try_from(rest).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, rest)).to_string()
}
