//! Progress on the current goal: the path aside, a requested replan, and failed attempts.

use std::time::Duration;

use skein_types::time::MonoTime;

use crate::navigation::trajectory::Trajectory;

/// Time between two attempts to plan to an unreachable goal.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// After this many failed attempts a task fails, or the rest of a survey is given up.
const ATTEMPTS_MAX: u8 = 8;
/// A path is extended to further waypoints at most this often.
const EXTEND_EVERY: Duration = Duration::from_millis(500);

/// State of the navigation to one goal; [`NavState::reset`] when the goal changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct NavState {
    /// The trajectory on which the robot yields to a peer.
    pub(crate) yield_path: Option<Trajectory>,
    /// Why the path has to be planned again.
    pub(crate) replan_reason: Option<&'static str>,
    pub(crate) retries: Retries,
    extend_at: MonoTime,
}

impl NavState {
    /// Whether the path may be extended now; counts as an extension if so.
    pub(crate) fn may_extend(&mut self, now: MonoTime) -> bool {
        let due = now >= self.extend_at;
        if due {
            self.extend_at = now + EXTEND_EVERY;
        }
        due
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Failed attempts to find a path to the goal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Retries {
    count: u8,
    next_at: Option<MonoTime>,
}

impl Retries {
    /// Counts a failed attempt. True when it was the last.
    pub(crate) fn record_failure(&mut self, now: MonoTime) -> bool {
        self.count = self.count.saturating_add(1);
        self.next_at = Some(now + RETRY_AFTER);
        self.count >= ATTEMPTS_MAX
    }

    /// The next attempt need not wait; the count stays.
    pub(crate) const fn stop_waiting(&mut self) {
        self.next_at = None;
    }

    pub(crate) fn is_waiting(&self, now: MonoTime) -> bool {
        self.next_at.is_some_and(|at| at > now)
    }

    pub(crate) const fn count(&self) -> u8 {
        self.count
    }
}
