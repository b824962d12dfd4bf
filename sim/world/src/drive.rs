//! How a body follows a velocity: a small lag, limited acceleration, wheels that slip.

use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Point, Twist};

use crate::chance::Chance;
use crate::config::STEP_S;

/// Share of the difference to the wanted velocity that is made up in one step: `1 - exp(-STEP / LAG)` with motors
/// whose time constant is 30 ms.
const LAG_SHARE: f64 = 0.283_468_689_426_210_7;
/// Seconds to reach the fastest turn from rest.
const TURN_UP_S: f64 = 0.2;
/// Slower than this counts as standing, m/s and rad/s.
const STANDING: f64 = 5e-4;
/// Share of its fastest descent with which a multirotor lands.
const LANDING_SHARE: f64 = 0.5;
/// Seconds over which slip wanders.
const SLIP_S: f64 = 1.0;
const GRAVITY: f64 = 9.81;

/// What the motors are told to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DriveCommand {
    /// Follow this velocity.
    Follow(Twist),
    /// Brake or hover.
    Halt,
    /// Descend; brake on the ground.
    Land,
    /// No power: brakes grip on the ground, in the air it falls.
    Powerless,
}

impl DriveCommand {
    /// As a velocity the body can do.
    fn velocity(self, body: &BodyDescriptor) -> Twist {
        match self {
            Self::Follow(twist) => within_limits(body, twist),
            Self::Halt | Self::Powerless => Twist::ZERO,
            Self::Land => Twist { vz: -LANDING_SHARE * body.vertical_speed_max().0, ..Twist::ZERO },
        }
    }
}

fn within_limits(body: &BodyDescriptor, twist: Twist) -> Twist {
    let climb = body.vertical_speed_max().0;
    let (vy, vz) = match body.drive {
        Drive::Differential => (0.0, 0.0),
        Drive::Holonomic => (twist.vy, 0.0),
        Drive::Multirotor => (twist.vy, twist.vz.clamp(-climb, climb)),
    };
    let wanted = Twist { vy, vz, ..twist };
    let share = (body.speed_max.0 / wanted.speed().max(f64::MIN_POSITIVE)).min(1.0);
    Twist {
        vx: wanted.vx * share,
        vy: wanted.vy * share,
        vz,
        yaw_rate: wanted.yaw_rate.clamp(-body.yaw_rate_max.0, body.yaw_rate_max.0),
    }
}

/// The velocity one step later. Speeding up is limited by the acceleration, slowing down by the brakes.
pub(crate) fn follow(body: &BodyDescriptor, now: Twist, command: DriveCommand) -> Twist {
    let wanted = command.velocity(body);
    let velocity = Point::new(now.vx, now.vy);
    let change = Point::new(wanted.vx, wanted.vy) - velocity;
    let slows = change.dot(velocity) < 0.0;
    let hardest = if slows { body.braking_max.0 } else { body.acceleration_max.0 };
    let next = velocity + limited(change, hardest * STEP_S);
    let turn = limited_1d(wanted.yaw_rate - now.yaw_rate, body.yaw_rate_max.0 / TURN_UP_S * STEP_S);
    let vz = match (body.drive, command) {
        (Drive::Multirotor, DriveCommand::Powerless) => now.vz - GRAVITY * STEP_S,
        (Drive::Multirotor, _) => now.vz + limited_1d(wanted.vz - now.vz, body.acceleration_max.0 * STEP_S),
        (Drive::Differential | Drive::Holonomic, _) => 0.0,
    };
    settled(Twist { vx: next.x, vy: next.y, vz, yaw_rate: now.yaw_rate + turn }, &wanted)
}

/// Tilt, radians, with which a multirotor changes its velocity over the floor from `before` to `after` in one step.
pub(crate) fn tilt(body: &BodyDescriptor, before: &Twist, after: &Twist) -> f64 {
    match body.drive {
        Drive::Differential | Drive::Holonomic => 0.0,
        Drive::Multirotor => {
            let change = Point::new(after.vx - before.vx, after.vy - before.vy);
            (change.norm() / STEP_S / GRAVITY).atan()
        }
    }
}

fn limited(change: Point, most: f64) -> Point {
    let lagged = change * LAG_SHARE;
    let size = lagged.norm();
    if size > most { lagged * (most / size) } else { lagged }
}

fn limited_1d(change: f64, most: f64) -> f64 {
    (change * LAG_SHARE).clamp(-most, most)
}

/// A lag alone would never quite come to rest.
fn settled(twist: Twist, wanted: &Twist) -> Twist {
    let rest = |value: f64, wanted: f64| if wanted == 0.0 && value.abs() < STANDING { 0.0 } else { value };
    Twist {
        vx: rest(twist.vx, wanted.vx),
        vy: rest(twist.vy, wanted.vy),
        vz: rest(twist.vz, wanted.vz),
        yaw_rate: rest(twist.yaw_rate, wanted.yaw_rate),
    }
}

/// By which share the body moves more or less than its wheels turn; wanders slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slip {
    along: f64,
    turn: f64,
}

impl Slip {
    pub(crate) fn wander(&mut self, chance: &mut Chance, deviation: f64) {
        wander(&mut self.along, chance, deviation, SLIP_S);
        wander(&mut self.turn, chance, deviation, SLIP_S);
    }

    pub(crate) fn apply(self, twist: Twist) -> Twist {
        let (along, turn) = (1.0 + self.along, 1.0 + self.turn);
        Twist { vx: twist.vx * along, vy: twist.vy * along, vz: twist.vz, yaw_rate: twist.yaw_rate * turn }
    }
}

/// One step of a value that wanders around zero with the given deviation and correlation time
/// (Ornstein–Uhlenbeck), never farther than three deviations.
pub(crate) fn wander(value: &mut f64, chance: &mut Chance, deviation: f64, seconds: f64) {
    let pull = STEP_S / seconds;
    let kick = deviation * (2.0 * pull).sqrt() * chance.normal();
    *value = (*value * (1.0 - pull) + kick).clamp(-3.0 * deviation, 3.0 * deviation);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAG_S: f64 = 0.03;

    #[test]
    fn the_share_of_the_lag_is_what_its_time_constant_says() {
        assert!((LAG_SHARE - (1.0 - (-STEP_S / LAG_S).exp())).abs() < 1e-12);
    }

    fn drive_for(body: &BodyDescriptor, mut twist: Twist, command: DriveCommand, steps: u32) -> (Twist, f64) {
        let mut way = 0.0;
        for _ in 0..steps {
            twist = follow(body, twist, command);
            way += twist.speed() * STEP_S;
        }
        (twist, way)
    }

    #[test]
    fn it_reaches_the_wanted_speed_and_brakes_within_its_braking_distance_and_the_lag() {
        let body = BodyDescriptor::rover();
        let (cruising, _) = drive_for(&body, Twist::ZERO, DriveCommand::Follow(Twist::planar(1.0, 0.0)), 200);
        assert!((cruising.vx - 1.0).abs() < 1e-3);
        let (standing, way) = drive_for(&body, cruising, DriveCommand::Halt, 100);
        assert_eq!(standing, Twist::ZERO);
        let braking = 1.0 / (2.0 * body.braking_max.0);
        assert!(way > braking - STEP_S && way < braking + LAG_S, "{way}");
    }

    #[test]
    fn without_power_a_multirotor_falls_and_a_rover_brakes() {
        let (falling, _) = drive_for(&BodyDescriptor::multirotor(), Twist::ZERO, DriveCommand::Powerless, 50);
        assert!((falling.vz + GRAVITY * 0.5).abs() < 1e-9);
        let (rover, _) = drive_for(&BodyDescriptor::rover(), Twist::planar(0.5, 1.0), DriveCommand::Powerless, 100);
        assert_eq!(rover, Twist::ZERO);
    }

    #[test]
    fn a_multirotor_tilts_as_it_brakes_and_a_rover_does_not() {
        let fast = Twist::planar(3.0, 0.0);
        let body = BodyDescriptor::multirotor();
        let braked = follow(&body, fast, DriveCommand::Halt);
        assert!((tilt(&body, &fast, &braked) - (body.braking_max.0 / GRAVITY).atan()).abs() < 1e-9);
        assert_eq!(tilt(&BodyDescriptor::rover(), &fast, &braked), 0.0);
    }

    proptest! {
        #[test]
        fn no_wish_takes_a_body_beyond_its_limits(
            wishes in prop::collection::vec((-9.0_f64..9.0, -9.0_f64..9.0, -9.0_f64..9.0, -9.0_f64..9.0), 1..40), kind in 0..3
        ) {
            let body = [BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::multirotor()][kind as usize];
            let mut now = Twist::ZERO;
            for (vx, vy, vz, yaw_rate) in wishes {
                for _ in 0..7 {
                    let next = follow(&body, now, DriveCommand::Follow(Twist { vx, vy, vz, yaw_rate }));
                    let hardest = body.braking_max.0.max(body.acceleration_max.0) * STEP_S + 1e-9;
                    prop_assert!((next.vx - now.vx).hypot(next.vy - now.vy) <= hardest + 2.0 * STANDING);
                    prop_assert!(next.speed() <= body.speed_max.0 + 1e-9);
                    prop_assert!(next.yaw_rate.abs() <= body.yaw_rate_max.0 + 1e-9);
                    prop_assert!(body.drive != Drive::Differential || (next.vy == 0.0 && next.vz == 0.0));
                    now = next;
                }
            }
        }
    }
}
