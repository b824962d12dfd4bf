//! Every figure the reflex decides with, named.

use core::time::Duration;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::limits::{self, Band};
use skein_types::units::{Meters, MetersPerSecond, Radians, RadiansPerSecond, Seconds};

/// Standard acceleration of free fall, m/s².
const GRAVITY: f64 = 9.806_65;

/// The body, and the distances, ages and limits the reflex keeps with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReflexConfig {
    /// What the body can do.
    pub descriptor: BodyDescriptor,
    /// Time between two ticks.
    pub period: Duration,
    /// From the decision to the first braking: one tick and the way to the motors.
    pub reaction: Duration,

    /// At full speed nothing on the way may be nearer than this; shrinks with the braking distance at the speed limit.
    pub stop_distance: Meters,
    /// Nearer than this: slower, and steer clear. Shrinks likewise.
    pub avoid_distance: Meters,
    /// Kept free ahead whatever the speed.
    pub margin: Meters,
    /// Kept free beside the footprint.
    pub side_margin: Meters,
    /// Kept free beside the footprint in addition, for each m/s.
    pub side_margin_per_speed: Seconds,
    /// Slowest it passes something that is close beside it.
    pub creep: MetersPerSecond,
    /// How much it steers beside the way that was asked for.
    pub steer_max: RadiansPerSecond,

    /// Oldest setpoint that is followed, whatever it says of itself.
    pub setpoint_age_max: Duration,
    /// Oldest sensor frame.
    pub frame_age_max: Duration,
    /// Oldest lidar revolution.
    pub scan_age_max: Duration,
    /// Oldest pose.
    pub pose_age_max: Duration,
    /// Least certain pose, per axis.
    pub pose_std_max: Meters,
    /// Longest run of beams without an answer that the beams beside it may speak for.
    pub dropout_beams_max: usize,

    /// Kept free around a peer beside both radii: both poses are estimates.
    pub peer_margin: Meters,
    /// Older words of a peer are not believed.
    pub peer_age_max: Duration,
    /// How far peers are thought ahead.
    pub peer_horizon: Duration,

    /// Steepest it may stand; what flies may tilt by this beside what its own acceleration asks for.
    pub tilt_max: Radians,
    /// Tilted this long, it takes a person to release it.
    pub tilt_latch: Duration,
    /// Share by which the measured speed may exceed the body's own limit.
    pub over_speed_share: f64,
    /// Time the power may take to return after a release; after that it counts as lost again.
    pub power_return_max: Duration,
    /// Age of what a frame may show: frames that are younger than a release by less than this may still show the power
    /// of before it.
    pub power_lag: Duration,
    /// In this band the robot goes to charge.
    pub battery_low: Band,
    /// In this band it moves no more, or lands.
    pub battery_critical: Band,
}

impl ReflexConfig {
    /// The product's figures for a body.
    #[must_use]
    pub const fn new(descriptor: BodyDescriptor) -> Self {
        Self {
            descriptor,
            period: Duration::from_millis(10),
            reaction: Duration::from_millis(40),
            stop_distance: limits::STOP_DISTANCE,
            avoid_distance: limits::AVOID_DISTANCE,
            margin: Meters(0.10),
            side_margin: Meters(0.03),
            side_margin_per_speed: Seconds(0.10),
            creep: MetersPerSecond(0.10),
            steer_max: RadiansPerSecond(0.5),
            setpoint_age_max: limits::SETPOINT_AGE_MAX,
            frame_age_max: limits::FRAME_AGE_MAX,
            scan_age_max: limits::SCAN_AGE_MAX,
            pose_age_max: limits::POSE_AGE_MAX,
            pose_std_max: limits::POSE_STD_MAX,
            dropout_beams_max: 6,
            peer_margin: Meters(0.15),
            peer_age_max: Duration::from_millis(1_200),
            peer_horizon: Duration::from_millis(1_500),
            tilt_max: limits::TILT_MAX,
            tilt_latch: limits::TILT_LATCH,
            over_speed_share: limits::OVER_SPEED_SHARE,
            power_return_max: limits::POWER_RETURN_MAX,
            power_lag: limits::POWER_LAG,
            battery_low: limits::BATTERY_LOW,
            battery_critical: limits::BATTERY_CRITICAL,
        }
    }

    /// From this speed to standing, metres, once it brakes.
    pub(crate) fn braking_distance(&self, speed: f64) -> f64 {
        speed * speed / (2.0 * self.descriptor.braking_max.0)
    }

    /// The same with the time until it brakes.
    pub(crate) fn halting_distance(&self, speed: f64) -> f64 {
        self.braking_distance(speed) + speed * self.reaction.as_secs_f64()
    }

    /// How much of the full distances is kept at this speed limit: the share of the braking distance.
    pub(crate) fn share_at(&self, limit: f64) -> f64 {
        let ratio = limit / self.descriptor.speed_max.0;
        (ratio * ratio).min(1.0)
    }

    /// The braking it plans with, m/s²: half of what it can, so that there is a reserve.
    pub(crate) fn soft_braking(&self) -> f64 {
        self.descriptor.braking_max.0 / 2.0
    }

    /// Fastest it may be to come to stand, softly, after this way.
    pub(crate) fn speed_to_stop_in(&self, distance: f64) -> f64 {
        libm::sqrt(2.0 * self.soft_braking() * distance.max(0.0))
    }

    /// Steepest tilt, radians, that is no tip-over. A multirotor that accelerates with `a` tilts by `atan(a / g)`.
    pub(crate) fn tilt_limit(&self) -> f64 {
        let body = &self.descriptor;
        match body.drive {
            Drive::Differential | Drive::Holonomic => self.tilt_max.0,
            Drive::Multirotor => {
                self.tilt_max.0 + libm::atan(body.acceleration_max.0.max(body.braking_max.0) / GRAVITY)
            }
        }
    }

    /// The longest stop distance at any speed, metres from the footprint.
    pub(crate) fn stop_distance_at_most(&self) -> f64 {
        self.stop_distance.0.max(self.halting_distance(self.descriptor.speed_max.0) + self.margin.0)
    }

    /// How far ahead anything can matter, metres from the centre.
    pub(crate) fn reach(&self) -> f64 {
        let fastest = self.descriptor.speed_max.0;
        let stop = self.stop_distance_at_most();
        let slowing = (fastest * fastest / (2.0 * self.soft_braking())).max(self.avoid_distance.0 - stop);
        self.half_width(fastest) + stop + slowing
    }

    /// Half the width of the strip that is swept at this speed.
    pub(crate) fn half_width(&self, speed: f64) -> f64 {
        self.descriptor.radius.0 + self.side_margin.0 + self.side_margin_per_speed.0 * speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brakes with 4 m/s² from 3 m/s: no two of its figures are alike.
    fn flier() -> ReflexConfig {
        ReflexConfig::new(BodyDescriptor::multirotor())
    }

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn distances_and_speeds_of_braking_are_those_of_the_textbook() {
        let config = flier();
        near(config.braking_distance(3.0), 1.125);
        near(config.halting_distance(3.0), 1.245);
        near(config.soft_braking(), 2.0);
        near(config.speed_to_stop_in(2.25), 3.0);
        near(config.speed_to_stop_in(-1.0), 0.0);
    }

    #[test]
    fn the_kept_distance_shrinks_with_the_braking_distance_and_never_grows() {
        let config = flier();
        near(config.share_at(1.5), 0.25);
        near(config.share_at(0.0), 0.0);
        near(config.share_at(9.0), 1.0);
    }

    #[test]
    fn it_looks_as_far_as_it_takes_to_slow_down_and_stop_beside_its_own_width() {
        near(flier().half_width(3.0), 0.58);
        near(flier().reach(), 0.58 + 1.345 + 2.25);
        // A rover slows down within its avoid distance: 1 m, of which it stops for half.
        near(ReflexConfig::new(BodyDescriptor::rover()).reach(), 0.38 + 0.5 + 0.5);
        let mut weak = flier();
        weak.descriptor.braking_max.0 = 3.0;
        near(weak.reach(), 0.58 + (1.5 + 0.12 + 0.1) + 3.0);
    }
}
