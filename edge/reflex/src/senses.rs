//! Whether the senses and the setpoint can be trusted; what cannot be reads as its worst case.

use skein_types::body::Drive;
use skein_types::geometry::Twist;
use skein_types::limits::FUTURE_MAX;
use skein_types::motion::Setpoint;
use skein_types::safety::{Cause, Causes};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::config::ReflexConfig;

/// A setpoint that is over a limit by less than this share was not meant to be.
const ROUNDING: f64 = 1e-6;

/// What is wrong with a sensor frame.
pub(crate) fn faults(config: &ReflexConfig, now: MonoTime, frame: &SensorFrame) -> Causes {
    let mut causes = Causes::NONE;
    let mut find = |wrong: bool, cause: Cause| {
        if wrong {
            causes.insert(cause);
        }
    };
    let estimate = &frame.estimate;
    find(now.since(frame.at) > config.frame_age_max, Cause::StaleFrame);
    find(now.since(frame.scan.at) > config.scan_age_max, Cause::StaleScan);
    // NaN counts as the worst.
    let unsure = estimate.position_std.0.is_nan() || estimate.position_std > config.pose_std_max;
    find(unsure || now.since(estimate.at) > config.pose_age_max, Cause::StalePose);
    find(!is_sound(frame) || is_ahead(now, frame), Cause::SensorFault);
    find(is_too_fast(config, &frame.twist), Cause::OverSpeed);
    causes
}

fn is_sound(frame: &SensorFrame) -> bool {
    let poses = frame.estimate.pose.is_finite() && frame.odometry.is_finite();
    poses && frame.twist.is_finite() && frame.tilt.is_finite() && frame.scan.range_max.is_finite()
}

fn is_ahead(now: MonoTime, frame: &SensorFrame) -> bool {
    let newest = frame.at.max(frame.scan.at).max(frame.estimate.at);
    newest.since(now) > FUTURE_MAX
}

fn is_too_fast(config: &ReflexConfig, twist: &Twist) -> bool {
    let factor = 1.0 + config.over_speed_share;
    let body = &config.descriptor;
    let climbs = body.drive == Drive::Multirotor && twist.vz.abs() > body.vertical_speed_max().0 * factor;
    climbs || twist.speed() > body.speed_max.0 * factor || twist.yaw_rate.abs() > body.yaw_rate_max.0 * factor
}

/// The speed the agent promised to keep, within what the body can; zero when that is NaN.
pub(crate) fn speed_limit(config: &ReflexConfig, setpoint: &Setpoint) -> f64 {
    let limit = setpoint.speed_limit.0;
    if limit.is_nan() { 0.0 } else { limit.clamp(0.0, config.descriptor.speed_max.0) }
}

/// What is wanted, cut down to what is possible and promised.
pub(crate) fn wanted(config: &ReflexConfig, now: MonoTime, setpoint: &Setpoint) -> (Twist, Causes) {
    let fresh = now <= setpoint.valid_until
        && now.since(setpoint.at) <= config.setpoint_age_max
        && setpoint.at.since(now) <= FUTURE_MAX;
    if !fresh || !setpoint.twist.is_finite() {
        return (Twist::ZERO, Causes::NONE.with(Cause::DeadMan));
    }
    let asked = setpoint.twist;
    let possible = match config.descriptor.drive {
        Drive::Differential => Twist { vy: 0.0, vz: 0.0, ..asked },
        Drive::Holonomic => Twist { vz: 0.0, ..asked },
        Drive::Multirotor => asked,
    };
    let of_speed = share(speed_limit(config, setpoint), possible.speed());
    let of_climb = share(config.descriptor.vertical_speed_max().0, possible.vz.abs());
    let of_turn = share(config.descriptor.yaw_rate_max.0, possible.yaw_rate.abs());
    let factor = of_speed.min(of_climb).min(of_turn);
    let clamped = possible != asked || factor < 1.0 - ROUNDING;
    let causes = if clamped { Causes::NONE.with(Cause::SetpointClamped) } else { Causes::NONE };
    (possible.scaled(factor), causes)
}

/// The factor that brings `value` down to `limit`.
fn share(limit: f64, value: f64) -> f64 {
    if value > limit { limit / value } else { 1.0 }
}
