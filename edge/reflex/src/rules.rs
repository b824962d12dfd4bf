//! The failsafe table as sets of causes for one kind of body, and what the table makes of what is found.

use skein_types::body::Drive;
use skein_types::failsafe::{Action, Detector};
use skein_types::motion::DriveMode;
use skein_types::safety::Causes;

/// Which causes do what on this body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// No motion takes place.
    pub(crate) halting: Causes,
    /// Motion towards the cause does not take place.
    pub(crate) blocking: Causes,
    /// The body descends to the ground.
    pub(crate) landing: Causes,
    /// The motors get no power.
    cutting: Causes,
    /// Found outside the reflex; it does not believe others about what it finds itself.
    from_others: Causes,
}

impl Rules {
    pub(crate) fn of(drive: Drive) -> Self {
        let with = |action: Action| Causes::of_rows(|row| row.actions.on(drive) == action);
        Self {
            halting: Causes::of_rows(|row| row.actions.on(drive).halts()),
            blocking: with(Action::Block),
            landing: with(Action::Land),
            cutting: with(Action::CutPower),
            from_others: Causes::of_rows(|row| matches!(row.detector, Detector::Agent | Detector::Envelope)),
        }
    }

    /// What counts of the causes that others found. The envelope acts on the fence by itself, and lets the way back in
    /// pass.
    pub(crate) const fn heard(&self, causes: Causes) -> Causes {
        causes.intersection(self.from_others)
    }

    /// What the body is told. Landing goes on under STOP: a multirotor that hovers with an empty battery falls.
    pub(crate) const fn mode(&self, causes: Causes, lands: bool, halts: bool) -> DriveMode {
        if causes.intersects(self.cutting) {
            DriveMode::CutPower
        } else if lands {
            DriveMode::Land
        } else if causes.intersects(self.halting) || halts {
            DriveMode::Halt
        } else {
            DriveMode::Follow
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::safety::Cause;

    const DRIVES: [Drive; 3] = [Drive::Differential, Drive::Holonomic, Drive::Multirotor];

    #[test]
    fn each_cause_is_in_the_sets_of_its_action() {
        for drive in DRIVES {
            let rules = Rules::of(drive);
            for cause in Cause::ALL.iter().copied() {
                let action = cause.action(drive);
                assert_eq!(rules.halting.contains(cause), action.halts(), "{cause:?}");
                assert_eq!(rules.blocking.contains(cause), action == Action::Block, "{cause:?}");
                assert_eq!(rules.landing.contains(cause), action == Action::Land, "{cause:?}");
                assert_eq!(rules.cutting.contains(cause), action == Action::CutPower, "{cause:?}");
            }
        }
    }

    #[test]
    fn only_the_agents_and_the_envelopes_findings_are_heard() {
        let all = Cause::ALL.iter().copied().fold(Causes::NONE, Causes::with);
        let heard = Rules::of(Drive::Differential).heard(all);
        assert_eq!(heard, Causes::NONE.with(Cause::Fence).with(Cause::CloudLost).with(Cause::MeshLost));
    }

    #[test]
    fn power_is_cut_before_it_lands_and_it_lands_before_it_halts() {
        let rules = Rules::of(Drive::Multirotor);
        let (kill, stop) = (Causes::NONE.with(Cause::OperatorKill), Causes::NONE.with(Cause::OperatorStop));
        assert_eq!(rules.mode(kill.union(stop), true, true), DriveMode::CutPower);
        assert_eq!(rules.mode(stop, true, true), DriveMode::Land);
        assert_eq!(rules.mode(stop, false, false), DriveMode::Halt);
        assert_eq!(rules.mode(Causes::NONE, false, true), DriveMode::Halt);
        assert_eq!(rules.mode(Causes::NONE.with(Cause::BatteryLow), false, false), DriveMode::Follow);
    }
}
