//! When a process that ended is started again.

use core::time::Duration;
use std::time::Instant;

/// Pause before the first restart.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Longest pause; each is twice the one before. A robot without its process only stands.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A process that ran this long had started: the pauses begin again. One that cannot start ends sooner.
const RECOVERED_AFTER: Duration = Duration::from_secs(10);
/// Ends in a row after which the process is left alone.
const ATTEMPTS_MAX: u32 = 10;

/// Backoff for one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restarts {
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Running,
    Due(Instant),
    GivenUp,
}

impl Restarts {
    /// The process ended after it ran this long. None when it is left alone from now on.
    pub(super) fn on_exit(&mut self, now: Instant, ran: Duration) -> Option<Duration> {
        self.failures = if ran >= RECOVERED_AFTER { 1 } else { self.failures.saturating_add(1) };
        if self.failures > ATTEMPTS_MAX {
            self.state = State::GivenUp;
            return None;
        }
        let doublings = (self.failures - 1).min(16);
        let pause = PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX);
        self.state = State::Due(now + pause);
        Some(pause)
    }

    /// True once when the pause is over.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        match self.state {
            State::Due(at) if now >= at => {
                self.state = State::Running;
                true
            }
            State::Due(_) | State::Running | State::GivenUp => false,
        }
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.state == State::GivenUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn pauses_double_up_to_a_limit_and_then_the_process_is_left_alone() {
        let now = clock::now();
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        while let Some(pause) = restarts.on_exit(now, Duration::from_secs(1)) {
            assert!(!restarts.is_due(now) && restarts.is_due(now + pause) && !restarts.is_due(now + pause));
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000, 5000]);
        assert!(restarts.has_given_up() && !restarts.is_due(now + Duration::from_secs(3600)));
    }

    #[test]
    fn a_process_that_recovered_begins_with_the_first_pause() {
        let now = clock::now();
        let mut restarts = Restarts::default();
        for _ in 0..5 {
            restarts.on_exit(now, Duration::ZERO);
        }
        assert_eq!(restarts.on_exit(now, Duration::from_secs(11)), Some(Duration::from_millis(500)));
    }
}
