//! From the other process's clock to this one's.

use core::time::Duration;
use skein_types::time::MonoTime;

/// The shortest delay is kept this long, twice: a clock that falls behind is followed within two of these.
const WINDOW: Duration = Duration::from_secs(1);

/// Maps the sender's stamps to the receiver's clock: the frame that was least delayed lately tells how far the two
/// clocks are apart. A frame that waited in a buffer is then seen to be as old as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bridge {
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: MonoTime,
    /// Receiver's clock less sender's, nanoseconds, the least in this window and in the one before.
    least: i64,
    least_before: i64,
}

impl Bridge {
    /// A frame stamped `sent` by its sender is read now.
    pub(crate) fn received(&mut self, now: MonoTime, sent: u64) {
        let apart = signed(now.as_nanos()).wrapping_sub(signed(sent));
        self.window = Some(match self.window {
            None => Window { since: now, least: apart, least_before: apart },
            Some(window) if now.since(window.since) < WINDOW => Window { least: window.least.min(apart), ..window },
            Some(window) => Window { since: now, least: apart, least_before: window.least },
        });
    }

    /// The receiver's time for something that was `age` old when the sender stamped `sent`; never in the future.
    pub(crate) fn local(&self, now: MonoTime, sent: u64, age: u64) -> MonoTime {
        let Some(window) = self.window else { return MonoTime::ZERO };
        let apart = window.least.min(window.least_before);
        let stamped = signed(sent).saturating_add(apart);
        let at = stamped.saturating_sub(signed(age)).max(0);
        MonoTime::from_nanos(at.unsigned_abs()).min(now)
    }
}

/// A clock that has run for less than 292 years.
fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_frame_that_waited_in_the_buffer_is_as_old_as_it_is() {
        let mut bridge = Bridge::default();
        let world_ahead = 77_000 * MS;
        bridge.received(MonoTime::from_millis(1_000), world_ahead + 999 * MS);
        let now = MonoTime::from_millis(1_300);
        bridge.received(now, world_ahead + 1_100 * MS);
        let at = bridge.local(now, world_ahead + 1_100 * MS, 5 * MS);
        assert_eq!(at, MonoTime::from_millis(1_096));
    }

    #[test]
    fn a_clock_that_fell_behind_is_followed_in_two_windows() {
        let mut bridge = Bridge::default();
        for ms in (0..5_000).step_by(10) {
            // From 1 s on the sender's clock is half a second behind.
            let sent = if ms < 1_000 { ms + 9_000 } else { ms + 8_500 };
            bridge.received(MonoTime::from_millis(ms), sent * MS);
        }
        let now = MonoTime::from_millis(5_000);
        assert_eq!(now.since(bridge.local(now, 13_500 * MS, 0)).as_millis(), 0);
    }

    #[test]
    fn nothing_is_ever_seen_in_the_future_or_before_the_clock() {
        let mut bridge = Bridge::default();
        assert_eq!(bridge.local(MonoTime::from_millis(5), 7, 0), MonoTime::ZERO);
        bridge.received(MonoTime::from_millis(10), 0);
        let now = MonoTime::from_millis(11);
        assert_eq!(bridge.local(now, u64::MAX, 0), now);
        assert_eq!(bridge.local(now, 0, u64::MAX), MonoTime::ZERO);
        assert_eq!(bridge.local(now, MS, 2 * MS), MonoTime::from_millis(9));
    }
}
