//! A person drives by hand, for at most a second at a time.

use std::time::Duration;

use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::ids::OperatorId;
use skein_types::time::MonoTime;

use crate::follow::turn_rate;
use crate::io::{OVERRIDE_TTL_MAX, OverrideCommand, OverrideWish};

/// Nearer than this a target is reached, metres.
const REACHED: f64 = 0.1;

/// The wish in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manual {
    wish: OverrideWish,
    pub(crate) until: MonoTime,
    pub(crate) operator: OperatorId,
    pub(crate) reason: String,
}

impl Manual {
    /// Takes a command; `None` when a number in it is no number.
    pub(crate) fn new(now: MonoTime, command: OverrideCommand) -> Option<Self> {
        let sound = match command.wish {
            OverrideWish::Twist(twist) => twist.is_finite(),
            OverrideWish::Target(point) => point.is_finite(),
        };
        let ttl = command.ttl.clamp(Duration::ZERO, OVERRIDE_TTL_MAX);
        let OverrideCommand { wish, operator, reason, .. } = command;
        sound.then(|| Self { wish, until: now + ttl, operator, reason })
    }

    /// How to move now, within what the body can do.
    pub(crate) fn twist(&self, pose: &Pose, body: &BodyDescriptor) -> Twist {
        match self.wish {
            OverrideWish::Twist(twist) => cut(twist, body),
            OverrideWish::Target(target) => cut(towards(target, pose, body), body),
        }
    }
}

/// Straight towards a place: turn, then drive, for what has to face where it goes.
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

/// No faster than the body can.
fn cut(twist: Twist, body: &BodyDescriptor) -> Twist {
    let speed = twist.speed();
    let share = if speed > body.speed_max.get() { body.speed_max.get() / speed } else { 1.0 };
    let rate = body.yaw_rate_max.get();
    let sideways = if body.drive == Drive::Differential { 0.0 } else { twist.vy * share };
    Twist { vx: twist.vx * share, vy: sideways, vz: 0.0, yaw_rate: twist.yaw_rate.clamp(-rate, rate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(wish: OverrideWish, ttl: Duration) -> OverrideCommand {
        OverrideCommand { wish, ttl, operator: OperatorId::new("ada").unwrap(), reason: "look".into() }
    }

    #[test]
    fn a_wish_lives_a_second_at_most_and_never_exceeds_the_body() {
        let wish = OverrideWish::Twist(Twist { vx: 9.0, vy: 3.0, vz: 1.0, yaw_rate: -9.0 });
        let manual = Manual::new(MonoTime::ZERO, command(wish, Duration::from_secs(60))).unwrap();
        assert_eq!(manual.until, MonoTime::from_millis(1000));
        let body = BodyDescriptor::rover();
        let twist = manual.twist(&Pose::default(), &body);
        assert!(twist.speed() <= body.speed_max.get() && twist.yaw_rate >= -body.yaw_rate_max.get());
        assert!(twist.vy == 0.0 && twist.vz == 0.0);
    }

    #[test]
    fn numbers_that_are_no_numbers_are_refused() {
        let wish = OverrideWish::Target(Point::new(f64::NAN, 0.0));
        assert_eq!(Manual::new(MonoTime::ZERO, command(wish, Duration::from_millis(500))), None);
    }

    #[test]
    fn a_target_behind_is_turned_to_before_driving() {
        let wish = OverrideWish::Target(Point::new(-3.0, 0.0));
        let manual = Manual::new(MonoTime::ZERO, command(wish, Duration::from_millis(500))).unwrap();
        let body = BodyDescriptor::rover();
        let turning = manual.twist(&Pose::new(0.0, 0.0, 0.3), &body);
        assert!(turning.vx == 0.0 && turning.yaw_rate > 0.0);
        assert!(manual.twist(&Pose::new(0.0, 0.0, 3.1), &body).vx > 0.3);
        assert_eq!(manual.twist(&Pose::new(-2.95, 0.0, 0.0), &body), Twist::ZERO);
    }
}
