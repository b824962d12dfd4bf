//! The steady clock and the wall clock, read here and nowhere else.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::{NoContext, Timestamp, Uuid};

/// The steady clock, for spans.
#[expect(clippy::disallowed_methods, reason = "a shell's one place that reads the steady clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The wall clock: nanoseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a shell's one place that reads the wall clock")]
pub(crate) fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Seconds since a moment of the wall clock.
pub(crate) fn seconds_since_unix(nanos: i64) -> f64 {
    (unix_nanos().saturating_sub(nanos)) as f64 / 1e9
}

/// An idempotency key that nobody else chooses.
pub(crate) fn fresh_key() -> String {
    fresh_id().to_string()
}

/// An id that nobody else chooses.
pub(crate) fn fresh_id() -> Uuid {
    let nanos = u64::try_from(unix_nanos()).unwrap_or(0);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let rest = u32::try_from(rest).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, rest))
}

/// A short suffix that makes a name unlike others: the last characters of a fresh id, which are random.
pub(crate) fn fresh_suffix() -> String {
    let id = fresh_id().simple().to_string();
    id.get(id.len().saturating_sub(8)..).unwrap_or_default().to_owned()
}
