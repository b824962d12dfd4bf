//! The figures of safety that more than one part keeps: ages, distances and thresholds. The reflex, the body's envelope,
//! the agent and the debug API take them from here.

use core::time::Duration;

use crate::units::{Meters, Percent, Radians};

/// Oldest setpoint that is followed.
pub const SETPOINT_AGE_MAX: Duration = Duration::from_millis(100);
/// Oldest sensor frame that is trusted.
pub const FRAME_AGE_MAX: Duration = Duration::from_millis(50);
/// Oldest lidar revolution that the robot moves with.
pub const SCAN_AGE_MAX: Duration = Duration::from_millis(300);
/// Oldest pose that the robot moves with.
pub const POSE_AGE_MAX: Duration = Duration::from_millis(500);
/// Least certain pose that the robot moves with: standard deviation along each axis.
pub const POSE_STD_MAX: Meters = Meters(0.5);
/// Oldest pose that a person may start to drive with; stricter than [`POSE_AGE_MAX`], because a target is checked once.
pub const MANUAL_POSE_AGE_MAX: Duration = Duration::from_millis(200);

/// Oldest actuator frame that the envelope passes on, and the farthest in the future that one may lie.
pub const COMMAND_AGE_MAX: Duration = Duration::from_millis(50);
/// Longest silence of the reflex before the envelope halts the body: five ticks, so that one late tick is no halt.
pub const SILENCE_MAX: Duration = Duration::from_millis(50);
/// Longest time that a body carries on with its last command when nothing reaches it any more.
pub const BODY_SILENCE_MAX: Duration = Duration::from_millis(100);
/// How far in the future a time may lie before the clock that stamped it counts as broken.
pub const FUTURE_MAX: Duration = Duration::from_millis(20);

/// At full speed nothing on the path may be nearer to the footprint than this.
pub const STOP_DISTANCE: Meters = Meters(0.5);
/// Nearer than this the robot slows down and steers clear.
pub const AVOID_DISTANCE: Meters = Meters(1.0);
/// Once stopped for an obstacle, it takes this share of the stop distance more to go on.
pub const RESUME_SHARE: f64 = 0.1;

/// Steepest tilt on wheels. A multirotor may tilt by this beside what its own acceleration asks for.
pub const TILT_MAX: Radians = Radians(0.35);
/// Tilted for this long, it has tipped over; shorter is a bump.
pub const TILT_LATCH: Duration = Duration::from_millis(100);
/// Share by which a measured speed may exceed the body's own limit.
pub const OVER_SPEED_SHARE: f64 = 0.2;

/// Time that the power may take to return after a release; later it counts as lost again.
pub const POWER_RETURN_MAX: Duration = Duration::from_secs(2);
/// A frame that is younger than a release by less than this may still show the power of before the release.
pub const POWER_LAG: Duration = Duration::from_millis(100);

/// A range of charge with hysteresis: begins at or below `enter`, ends at or above `leave` or on the charger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// It begins at this charge.
    pub enter: Percent,
    /// It ends at this charge.
    pub leave: Percent,
}

/// The robot drops its task and goes to charge.
pub const BATTERY_LOW: Band = Band { enter: Percent(20.0), leave: Percent(25.0) };
/// The robot moves no more; a multirotor lands.
pub const BATTERY_CRITICAL: Band = Band { enter: Percent(3.0), leave: Percent(8.0) };
/// Charged enough to take up work again.
pub const CHARGED: Percent = Percent(80.0);
