//! Claims that go before all others, only because a peer says so: bounded in time, so that no robot can starve the rest.

use core::time::Duration;

use skein_types::time::MonoTime;

/// A cornered robot escapes within 30 s; longer than this in a row it is not believed.
const CORNERED_MAX: Duration = Duration::from_secs(40);
/// Longest emergency in a row that is honoured.
const EMERGENCY_MAX: Duration = Duration::from_secs(60);
/// Seconds of privilege regained in one second without it.
const REGAIN: f64 = 0.25;
/// After it was used up, a privilege is granted again once this share of it is regained.
const RESUME_AT: f64 = 0.25;
/// Longest pause between two messages that counts as use, seconds.
const STEP_MAX: f64 = 1.0;

/// Remaining time of one privilege of one robot.
#[derive(Clone, Debug)]
pub(crate) struct Privilege {
    max: f64,
    left: f64,
    used_up: bool,
    at: Option<MonoTime>,
}

impl Privilege {
    pub(crate) const fn cornered() -> Self {
        Self::lasting(CORNERED_MAX)
    }

    pub(crate) const fn emergency() -> Self {
        Self::lasting(EMERGENCY_MAX)
    }

    const fn lasting(max: Duration) -> Self {
        Self { max: max.as_secs_f64(), left: max.as_secs_f64(), used_up: false, at: None }
    }

    pub(crate) const fn is_used_up(&self) -> bool {
        self.used_up
    }

    /// Whether a claim to the privilege is granted now.
    pub(crate) fn grant(&mut self, now: MonoTime, claimed: bool) -> bool {
        let span = self.at.replace(now).map_or(0.0, |at| now.secs_since(at).min(STEP_MAX));
        if claimed && !self.used_up {
            self.left = (self.left - span).max(0.0);
            self.used_up = self.left <= 0.0;
        } else {
            self.left = (self.left + span * REGAIN).min(self.max);
            self.used_up = self.used_up && self.left < self.max * RESUME_AT;
        }
        claimed && !self.used_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn granted(privilege: &mut Privilege, from_s: u64, to_s: u64) -> usize {
        (from_s * 10..to_s * 10).filter(|tick| privilege.grant(at(tick * 100), true)).count() / 10
    }

    #[test]
    fn an_emergency_that_never_ends_is_honoured_for_a_minute_and_then_a_fifth_of_the_time() {
        let mut privilege = Privilege::emergency();
        assert_eq!(granted(&mut privilege, 0, 120), 60);
        let later = granted(&mut privilege, 120, 1320);
        assert!((150..=300).contains(&later), "{later} s of 1200 s");
    }

    #[test]
    fn a_short_use_is_regained() {
        let mut privilege = Privilege::cornered();
        assert_eq!(granted(&mut privilege, 0, 30), 30);
        for tick in 300..1500 {
            assert!(!privilege.grant(at(tick * 100), false));
        }
        assert_eq!(granted(&mut privilege, 150, 180), 30);
    }
}
