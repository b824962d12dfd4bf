//! Manual override: an operator drives, at most a second per command, and gives control back.
//!
//! ```text
//!                command                expiry, latch
//! Automatic ───────────────> Driving ─────────────────> Holding
//!     ^                       │   ^───────command──────────┘ │
//!     └────── give back ──────┴─────────── give back ────────┘
//! ```
//!
//! A command that expires does not give control back: autonomy resumes only when the operator says so. A restart of the
//! process begins in `Holding` when an operator had control.

use std::time::Duration;

use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::ids::OperatorId;
use skein_types::time::MonoTime;

use crate::io::{OVERRIDE_TTL_MAX, OverrideCommand, OverrideMotion};
use crate::navigation::controller::turn_rate;

/// Distance at which a target counts as reached, metres.
const REACHED: f64 = 0.1;

/// Who controls the motion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ManualState {
    /// The robot, for its task.
    #[default]
    Automatic,
    /// An operator's command holds.
    Driving(ManualControl),
    /// The command has ended and the operator has not given control back.
    Holding { operator: OperatorId },
}

impl ManualState {
    /// As an earlier boot left it: a command does not survive the process, the operator's control does.
    pub(crate) fn restored(operator: Option<OperatorId>) -> Self {
        operator.map_or(Self::Automatic, |operator| Self::Holding { operator })
    }

    /// An operator has control.
    pub(crate) const fn is_manual(&self) -> bool {
        self.operator().is_some()
    }

    /// The operator in control.
    pub(crate) const fn operator(&self) -> Option<&OperatorId> {
        match self {
            Self::Automatic => None,
            Self::Driving(control) => Some(&control.operator),
            Self::Holding { operator } => Some(operator),
        }
    }

    /// Ends the command in force, if it is due or `at_once`. Returns the operator whose command ended.
    pub(crate) fn end_command(&mut self, now: MonoTime, at_once: bool) -> Option<OperatorId> {
        let Self::Driving(control) = self else { return None };
        if !at_once && control.until > now {
            return None;
        }
        let operator = control.operator.clone();
        *self = Self::Holding { operator: operator.clone() };
        Some(operator)
    }
}

/// The manual command in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ManualControl {
    motion: OverrideMotion,
    until: MonoTime,
    operator: OperatorId,
    reason: String,
}

impl ManualControl {
    /// `None` when a value in the command is not finite.
    pub(crate) fn new(now: MonoTime, command: OverrideCommand) -> Option<Self> {
        let finite = match command.motion {
            OverrideMotion::Twist(twist) => twist.is_finite(),
            OverrideMotion::Target(point) => point.is_finite(),
        };
        let ttl = command.ttl.clamp(Duration::ZERO, OVERRIDE_TTL_MAX);
        let OverrideCommand { motion, operator, reason, .. } = command;
        finite.then(|| Self { motion, until: now + ttl, operator, reason })
    }

    pub(crate) const fn operator(&self) -> &OperatorId {
        &self.operator
    }

    /// The operator's reason.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Velocity command now (body frame), within the limits of the body.
    pub(crate) fn twist(&self, pose: &Pose, body: &BodyDescriptor) -> Twist {
        match self.motion {
            OverrideMotion::Twist(twist) => clamp_twist(twist, body),
            OverrideMotion::Target(target) => clamp_twist(towards(target, pose, body), body),
        }
    }
}

/// Straight towards a target. A differential drive turns first.
fn towards(target: Point, pose: &Pose, body: &BodyDescriptor) -> Twist {
    let distance = target.distance(pose.position);
    if distance < REACHED {
        return Twist::ZERO;
    }
    let speed = (0.5 * body.speed_max.get()).min(distance);
    let error = wrap_angle((target - pose.position).heading() - pose.heading);
    match body.drive {
        Drive::Differential => {
            let forward = if error.abs() < 0.5 { speed * error.cos() } else { 0.0 };
            Twist::planar(forward, turn_rate(error, body.yaw_rate_max.get()))
        }
        Drive::Holonomic | Drive::Multirotor => {
            let along = Point::from_heading(error) * speed;
            Twist { vx: along.x, vy: along.y, vz: 0.0, yaw_rate: 0.0 }
        }
    }
}

/// Limits a velocity to what the body can do.
fn clamp_twist(twist: Twist, body: &BodyDescriptor) -> Twist {
    let speed = twist.speed();
    let share = if speed > body.speed_max.get() { body.speed_max.get() / speed } else { 1.0 };
    let rate = body.yaw_rate_max.get();
    let sideways = if body.drive == Drive::Differential { 0.0 } else { twist.vy * share };
    Twist { vx: twist.vx * share, vy: sideways, vz: 0.0, yaw_rate: twist.yaw_rate.clamp(-rate, rate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(motion: OverrideMotion, ttl: Duration) -> OverrideCommand {
        OverrideCommand { motion, ttl, operator: OperatorId::new("ada").unwrap(), reason: "look".into() }
    }

    #[test]
    fn a_command_lasts_a_second_at_most_within_the_body_limits() {
        let motion = OverrideMotion::Twist(Twist { vx: 9.0, vy: 3.0, vz: 1.0, yaw_rate: -9.0 });
        let manual = ManualControl::new(MonoTime::ZERO, command(motion, Duration::from_secs(60))).unwrap();
        assert_eq!(manual.until, MonoTime::from_millis(1000), "clamped");
        let body = BodyDescriptor::rover();
        let twist = manual.twist(&Pose::default(), &body);
        assert!(twist.speed() <= body.speed_max.get() && twist.yaw_rate >= -body.yaw_rate_max.get());
        assert!(twist.vy == 0.0 && twist.vz == 0.0);
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let motion = OverrideMotion::Target(Point::new(f64::NAN, 0.0));
        assert_eq!(ManualControl::new(MonoTime::ZERO, command(motion, Duration::from_millis(500))), None);
    }

    #[test]
    fn a_target_behind_is_turned_to_first() {
        let motion = OverrideMotion::Target(Point::new(-3.0, 0.0));
        let manual = ManualControl::new(MonoTime::ZERO, command(motion, Duration::from_millis(500))).unwrap();
        let body = BodyDescriptor::rover();
        let turning = manual.twist(&Pose::new(0.0, 0.0, 0.3), &body);
        assert!(turning.vx == 0.0 && turning.yaw_rate > 0.0);
        assert!(manual.twist(&Pose::new(0.0, 0.0, 3.1), &body).vx > 0.3);
        assert_eq!(manual.twist(&Pose::new(-2.95, 0.0, 0.0), &body), Twist::ZERO);
    }
}
