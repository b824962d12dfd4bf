//! How the robot is getting on with its errand.

use std::time::Duration;

use skein_types::geometry::Point;
use skein_types::time::MonoTime;

use crate::route::Route;

/// A place without a way is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(3);
/// After so many tries without a way an order fails, or what is left of a survey is given up.
const TRIES: u8 = 8;
/// A way is made longer not more often than this.
const EXTEND_EVERY: Duration = Duration::from_millis(500);

/// How the robot is getting where it wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    /// The way it makes room on.
    pub(crate) aside: Option<Route>,
    /// Why the way has to be planned anew.
    pub(crate) replan: Option<&'static str>,
    /// The place from which something left over will be seen.
    pub(crate) leftover: Option<Point>,
    /// Version of the survey at the last look at its viewpoints.
    pub(crate) looked_version: u64,
    /// Squares given up since the last report.
    pub(crate) given_up: u64,
    pub(crate) tries: Tries,
    extend_at: MonoTime,
}

impl Course {
    /// A way is made longer at most every half second.
    pub(crate) fn may_extend(&mut self, now: MonoTime) -> bool {
        let due = now >= self.extend_at;
        if due {
            self.extend_at = now + EXTEND_EVERY;
        }
        due
    }

    /// Another errand begins.
    pub(crate) fn forget(&mut self) {
        *self = Self { given_up: self.given_up, ..Self::default() };
    }
}

/// Where the robot stands with a place that it cannot get to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tries {
    pub(crate) count: u8,
    pub(crate) next_at: Option<MonoTime>,
}

impl Tries {
    /// One more try failed: true when it was the last.
    pub(crate) fn fail(&mut self, now: MonoTime) -> bool {
        self.count = self.count.saturating_add(1);
        self.next_at = Some(now + TRY_AGAIN);
        self.count >= TRIES
    }

    pub(crate) fn waits(&self, now: MonoTime) -> bool {
        self.next_at.is_some_and(|at| at > now)
    }
}
