//! The failsafe table: for each cause, who detects it, when it begins, what is done on each kind of body, and what ends
//! it. The reflex, the agent and `docs/failsafe.md` are derived from [`TABLE`]; a level without an action does not exist.
//!
//! # Terms
//!
//! - *Cause*: why the robot does not do what was asked ([`Cause`]).
//! - *Action*: what is done about it ([`Action`]); the strictest action of all causes wins, except that a multirotor that
//!   lands goes on landing under every action but [`Action::CutPower`].
//! - *Level*: the action as other programs see it ([`FailsafeLevel`]).

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::body::Drive;
use crate::limits::{self, Band};
use crate::safety::{Cause, Causes, FailsafeLevel};
use crate::units::{Meters, Radians};

/// What is done about a cause, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It is reported; the motion stays as it is.
    Warn,
    /// Slower than asked.
    Slow,
    /// Motion that leads towards the cause is stopped; motion away from it and turning in place stay possible.
    Block,
    /// Stands (on wheels) or hovers (in the air) until the cause is gone.
    Hold,
    /// Drops its task and returns to its charger.
    Return,
    /// Descends where it is, to the ground, whatever becomes of the cause meanwhile.
    Land,
    /// Stands or hovers until a person releases it.
    Stop,
    /// The motors have no power until a person releases it.
    CutPower,
}

impl Action {
    /// How the action is reported.
    #[must_use]
    pub const fn level(self) -> FailsafeLevel {
        match self {
            Self::Warn => FailsafeLevel::Warn,
            Self::Slow => FailsafeLevel::Slow,
            Self::Block | Self::Hold => FailsafeLevel::Hold,
            Self::Return => FailsafeLevel::Return,
            Self::Land => FailsafeLevel::Land,
            Self::Stop => FailsafeLevel::Stop,
            Self::CutPower => FailsafeLevel::Kill,
        }
    }

    /// No motion that was asked for takes place, in whichever direction.
    #[must_use]
    pub const fn halts(self) -> bool {
        match self {
            Self::Hold | Self::Land | Self::Stop | Self::CutPower => true,
            Self::Warn | Self::Slow | Self::Block | Self::Return => false,
        }
    }

    /// As the documentation calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Slow => "slow",
            Self::Block => "block",
            Self::Hold => "hold",
            Self::Return => "return",
            Self::Land => "land",
            Self::Stop => "stop",
            Self::CutPower => "cut power",
        }
    }
}

/// The action on each kind of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actions {
    /// On two driven wheels.
    pub differential: Action,
    /// On wheels that move it in every direction.
    pub holonomic: Action,
    /// In the air.
    pub multirotor: Action,
}

impl Actions {
    const fn everywhere(action: Action) -> Self {
        Self::ground_and_air(action, action)
    }

    const fn ground_and_air(ground: Action, air: Action) -> Self {
        Self { differential: ground, holonomic: ground, multirotor: air }
    }

    /// On one kind of body.
    #[must_use]
    pub const fn on(self, drive: Drive) -> Action {
        match drive {
            Drive::Differential => self.differential,
            Drive::Holonomic => self.holonomic,
            Drive::Multirotor => self.multirotor,
        }
    }
}

/// Who finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detector {
    /// The reflex, from the sensor frame, the setpoint and its surroundings.
    Reflex,
    /// The latch register, which the reflex reads each tick.
    Latch,
    /// The envelope around the body.
    Envelope,
    /// The agent; the reflex counts it.
    Agent,
}

/// The figure that a condition is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// None: it is so or it is not.
    None,
    /// An age or a length of time.
    Time(Duration),
    /// A distance at full speed.
    Distance(Meters),
    /// A charge that is left at another charge than it is entered.
    Charge(Band),
    /// An angle that has lasted for a time.
    Tilt(Radians, Duration),
    /// A share of a limit of the body.
    Share(f64),
}

/// What ends a cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ends {
    /// The condition, and nothing else.
    WithCondition,
    /// The condition with this share of the distance to spare.
    WithRoom(f64),
    /// A charge of the band's upper end, or the charger.
    Charged,
    /// A release by a person, once the condition is gone.
    Release,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The cause that the row is about.
    pub cause: Cause,
    /// Who finds out.
    pub detector: Detector,
    /// When it begins, as a sentence that [`Row::limit`] completes.
    pub condition: &'static str,
    /// The figure of the condition.
    pub limit: Limit,
    /// What is done.
    pub actions: Actions,
    /// What ends it.
    pub ends: Ends,
    /// What the agent may do beside the action, as configured.
    pub escalation: Option<LossRule>,
}

impl Row {
    const fn new(detector: Detector, actions: Actions, condition: &'static str) -> Self {
        Self {
            cause: Cause::ObstacleAvoid,
            detector,
            condition,
            limit: Limit::None,
            actions,
            ends: Ends::WithCondition,
            escalation: None,
        }
    }

    const fn of(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    const fn limit(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    const fn ends(self, ends: Ends) -> Self {
        Self { ends, ..self }
    }

    const fn escalates(self, rule: LossRule) -> Self {
        Self { escalation: Some(rule), ..self }
    }

    /// The strictest action on any body.
    const fn strictest(&self) -> Action {
        let (ground, air) = (self.actions.differential, self.actions.multirotor);
        if (air as u8) > ground as u8 { air } else { ground }
    }
}

macro_rules! table {
    ($($cause:ident: $row:expr;)*) => {
        /// Every cause with its row, in the order of [`Cause::ALL`].
        pub const TABLE: &[Row] = &[$($row.of(Cause::$cause)),*];

        /// The row of a cause.
        #[must_use]
        pub const fn row(cause: Cause) -> Row {
            match cause { $(Cause::$cause => $row.of(Cause::$cause),)* }
        }
    };
}

const WARN: Actions = Actions::everywhere(Action::Warn);
const SLOW: Actions = Actions::everywhere(Action::Slow);
const BLOCK: Actions = Actions::everywhere(Action::Block);
const HOLD: Actions = Actions::everywhere(Action::Hold);
const STOP: Actions = Actions::everywhere(Action::Stop);
const STOP_OR_LAND: Actions = Actions::ground_and_air(Action::Stop, Action::Land);

use Detector::{Agent, Envelope, Latch, Reflex};

table! {
    ObstacleAvoid: Row::new(Reflex, SLOW, "something on the path is nearer than")
        .limit(Limit::Distance(limits::AVOID_DISTANCE));
    ObstacleStop: Row::new(Reflex, BLOCK, "something on the path is nearer than the braking distance or")
        .limit(Limit::Distance(limits::STOP_DISTANCE)).ends(Ends::WithRoom(limits::RESUME_SHARE));
    PeerClose: Row::new(Reflex, SLOW, "a peer comes near to the path");
    DeadMan: Row::new(Reflex, HOLD, "the setpoint has expired or is older than")
        .limit(Limit::Time(limits::SETPOINT_AGE_MAX));
    StaleScan: Row::new(Reflex, HOLD, "the lidar revolution is older than").limit(Limit::Time(limits::SCAN_AGE_MAX));
    StalePose: Row::new(Reflex, HOLD, "the pose is too uncertain or older than")
        .limit(Limit::Time(limits::POSE_AGE_MAX));
    StaleFrame: Row::new(Reflex, HOLD, "the sensor frame is older than").limit(Limit::Time(limits::FRAME_AGE_MAX));
    Cliff: Row::new(Reflex, Actions::ground_and_air(Action::Block, Action::Warn), "the floor is missing on the path");
    Tilt: Row::new(Reflex, STOP_OR_LAND, "tilted; it latches (and a multirotor lands) after")
        .limit(Limit::Tilt(limits::TILT_MAX, limits::TILT_LATCH)).ends(Ends::Release);
    OverSpeed: Row::new(Reflex, HOLD, "it moves, climbs or turns faster than the body's limit and")
        .limit(Limit::Share(limits::OVER_SPEED_SHARE));
    Bumper: Row::new(Reflex, BLOCK, "the bumper touches something; it may only be left, slowly");
    Hazard: Row::new(Reflex, BLOCK, "a hazard that a peer reported is on the path");
    Fence: Row::new(Envelope, BLOCK, "the path would leave the fence before the body could stand");
    OperatorStop: Row::new(Latch, STOP, "STOP").ends(Ends::Release);
    OperatorKill: Row::new(Latch, Actions::everywhere(Action::CutPower), "KILL").ends(Ends::Release);
    PowerLoss: Row::new(Reflex, STOP, "the motors have no power").ends(Ends::Release);
    BatteryLow: Row::new(Reflex, Actions::everywhere(Action::Return), "the charge is at or below")
        .limit(Limit::Charge(limits::BATTERY_LOW)).ends(Ends::Charged);
    BatteryCritical: Row::new(Reflex, Actions::ground_and_air(Action::Hold, Action::Land), "the charge is at or below")
        .limit(Limit::Charge(limits::BATTERY_CRITICAL)).ends(Ends::Charged);
    SensorFault: Row::new(Reflex, HOLD, "a figure of the sensor frame is NaN, infinite or of the future");
    SetpointClamped: Row::new(Reflex, WARN, "the setpoint asks for more than the body can; it was cut down");
    LateTick: Row::new(Reflex, WARN, "the loop has missed a tick");
    CloudLost: Row::new(Agent, WARN, "the supervisor does not answer").escalates(CLOUD_LOST);
    MeshLost: Row::new(Agent, WARN, "no peer that was there is heard").escalates(MESH_LOST);
    EmergencyStop: Row::new(Reflex, STOP_OR_LAND, "the body's emergency-stop input is pressed").ends(Ends::Release);
    PeerStop: Row::new(Reflex, BLOCK, "a peer is on the path within the braking distance");
    HazardClose: Row::new(Reflex, SLOW, "a hazard that a peer reported is near to the path");
}

impl Cause {
    /// What is done about it on a body of this kind.
    #[must_use]
    pub const fn action(self, drive: Drive) -> Action {
        row(self).actions.on(drive)
    }

    /// How it is reported where the kind of body is not known: the strictest action on any.
    #[must_use]
    pub const fn level(self) -> FailsafeLevel {
        row(self).strictest().level()
    }
}

impl Causes {
    /// The strictest level that any of them asks for on a body of this kind. A body that is halted does not return,
    /// whatever else is the matter.
    #[must_use]
    pub fn level_on(self, drive: Drive) -> FailsafeLevel {
        let actions = || self.iter().map(|cause| cause.action(drive));
        let halted = actions().any(Action::halts);
        let done = actions().filter(|action| !(halted && *action == Action::Return));
        done.map(Action::level).max().unwrap_or_default()
    }

    /// All causes whose row passes.
    #[must_use]
    pub fn of_rows(passes: impl Fn(&Row) -> bool) -> Self {
        TABLE.iter().filter(|row| passes(row)).fold(Self::NONE, |causes, row| causes.with(row.cause))
    }
}

/// What a robot does while a link is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossPolicy {
    /// Goes on with its task.
    #[default]
    Continue,
    /// Stands (or hovers) until the link is back.
    Hold,
    /// Returns to its charger and waits there.
    Return,
}

/// How the loss of a link escalates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossRule {
    /// It holds for this long first: a link that comes back soon has something to say before the robot moves on.
    pub hold_first: Duration,
    /// What follows when the time is over.
    pub then: LossPolicy,
}

impl LossRule {
    /// What to do when the link has been lost for this long.
    #[must_use]
    pub fn at(&self, lost_for: Duration) -> LossPolicy {
        if lost_for < self.hold_first { LossPolicy::Hold } else { self.then }
    }
}

/// Without the supervisor a robot goes on with its task: the mission does not depend on it.
pub const CLOUD_LOST: LossRule = LossRule { hold_first: Duration::ZERO, then: LossPolicy::Continue };
/// Without its peers a robot waits for them first, because their intents keep it clear of them; then it goes on with
/// lidar and reflex alone.
pub const MESH_LOST: LossRule = LossRule { hold_first: Duration::from_secs(2), then: LossPolicy::Continue };

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVES: [Drive; 3] = [Drive::Differential, Drive::Holonomic, Drive::Multirotor];

    #[test]
    fn every_cause_has_its_row_at_its_bit() {
        assert_eq!(TABLE.len(), Cause::ALL.len());
        for (bit, (row_there, cause)) in TABLE.iter().zip(Cause::ALL).enumerate() {
            assert_eq!((row_there.cause, *cause as usize), (*cause, bit));
            assert_eq!(row(*cause), *row_there);
        }
    }

    #[test]
    fn what_a_release_ends_stops_or_lands_and_the_reverse() {
        for row in TABLE {
            for drive in DRIVES {
                let action = row.actions.on(drive);
                let latches = matches!(action, Action::Stop | Action::CutPower);
                assert!(!latches || row.ends == Ends::Release, "{:?}", row.cause);
                assert!(row.ends != Ends::Release || latches || action == Action::Land, "{:?}", row.cause);
                assert!(action != Action::Land || drive == Drive::Multirotor, "wheels do not land: {:?}", row.cause);
            }
        }
    }

    #[test]
    fn the_level_is_that_of_the_strictest_action() {
        for row in TABLE {
            let strictest = DRIVES.map(|drive| row.actions.on(drive)).into_iter().max().unwrap();
            assert_eq!(row.cause.level(), strictest.level(), "{:?}", row.cause);
        }
        let causes = Causes::NONE.with(Cause::BatteryCritical).with(Cause::ObstacleAvoid);
        assert_eq!(causes.level_on(Drive::Differential), FailsafeLevel::Hold);
        assert_eq!(causes.level_on(Drive::Multirotor), FailsafeLevel::Land);
        assert_eq!(causes.with(Cause::BatteryLow).level_on(Drive::Differential), FailsafeLevel::Hold);
        assert_eq!(Causes::NONE.with(Cause::BatteryLow).level_on(Drive::Differential), FailsafeLevel::Return);
        assert_eq!(Causes::NONE.level_on(Drive::Multirotor), FailsafeLevel::None);
    }

    #[test]
    fn actions_are_in_the_order_of_their_levels() {
        use Action::{Block, CutPower, Hold, Land, Return, Slow, Stop, Warn};
        let all = [Warn, Slow, Block, Hold, Return, Land, Stop, CutPower];
        assert!(all.is_sorted() && all.map(Action::level).is_sorted());
        assert_eq!(all.map(Action::halts), [false, false, false, true, false, true, true, true]);
    }

    #[test]
    fn charge_bands_leave_above_where_they_enter() {
        let bands = [limits::BATTERY_LOW, limits::BATTERY_CRITICAL];
        assert!(bands.iter().all(|band| band.enter < band.leave));
        assert!(
            limits::BATTERY_CRITICAL.leave < limits::BATTERY_LOW.enter && limits::BATTERY_LOW.leave < limits::CHARGED
        );
    }

    #[test]
    fn a_loss_holds_first_and_then_does_as_configured() {
        let rule = LossRule { hold_first: Duration::from_secs(2), then: LossPolicy::Return };
        assert_eq!(rule.at(Duration::ZERO), LossPolicy::Hold);
        assert_eq!(rule.at(Duration::from_millis(1_999)), LossPolicy::Hold);
        assert_eq!(rule.at(Duration::from_secs(2)), LossPolicy::Return);
        assert_eq!(CLOUD_LOST.at(Duration::ZERO), LossPolicy::Continue);
    }
}
