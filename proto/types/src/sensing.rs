//! What a body senses, as plain values without allocation: the reflex reads these at 100 Hz.

use serde::{Deserialize, Serialize};

use crate::geometry::{Pose, Twist};
use crate::time::MonoTime;
use crate::units::{Kilograms, Meters, Percent, Radians};

/// Beams of one lidar revolution.
pub const BEAMS: usize = 360;

/// One lidar revolution. Beam `i` looks at `i × 2π / BEAMS` radians counter-clockwise from the body's front.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scan {
    /// When the revolution ended.
    pub at: MonoTime,
    /// Metres from the body's centre; `f32::INFINITY` where nothing answered within range, NaN where the beam dropped out.
    pub ranges: [f32; BEAMS],
    /// Longest range that can be seen.
    pub range_max: Meters,
}

impl Scan {
    /// A scan that saw nothing, of long ago.
    #[must_use]
    pub const fn nothing(range_max: Meters) -> Self {
        Self { at: MonoTime::ZERO, ranges: [f32::INFINITY; BEAMS], range_max }
    }

    /// Direction of a beam in the body's frame, radians in [0, 2π).
    #[must_use]
    pub fn angle_of(beam: usize) -> f64 {
        beam as f64 * (core::f64::consts::TAU / BEAMS as f64)
    }
}

/// Where the localiser says the body is, and how sure it is. It lags and can jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoseEstimate {
    /// `map_from_body`.
    pub pose: Pose,
    /// Standard deviation of the position along each axis.
    pub position_std: Meters,
    /// Standard deviation of the heading.
    pub heading_std: Radians,
    /// The moment the estimate speaks of (not when it arrived).
    pub at: MonoTime,
}

/// The energy on board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Battery {
    /// Charge left, percent of the capacity.
    pub charge: Percent,
    /// Connected to a charger.
    pub charging: bool,
}

/// All a body senses at one moment. A part that is missing keeps its last value with its own time, so that who reads
/// it can see how old it is and assume the worst.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorFrame {
    /// When the frame was put together.
    pub at: MonoTime,
    /// Rises by one each frame of this boot.
    pub sequence: u64,
    /// Pose from localisation, with its uncertainty and its own time.
    pub estimate: PoseEstimate,
    /// Dead reckoning since the boot: smooth, drifts, frame `odom_from_body`.
    pub odometry: Pose,
    /// Measured by the wheels or the inertial unit, in the body's frame.
    pub twist: Twist,
    /// Last lidar revolution.
    pub scan: Scan,
    /// State of the battery.
    pub battery: Battery,
    /// What it carries.
    pub payload: Kilograms,
    /// Tilt from the vertical.
    pub tilt: Radians,
    /// Drop-off sensors: front, left, rear, right; true where the floor is missing.
    pub cliff: [bool; 4],
    /// Something touched the bumper.
    pub bumper: bool,
    /// The motors have power (false after a kill or a power loss).
    pub motors_powered: bool,
    /// The body's own emergency-stop input is pressed.
    pub emergency_stop: bool,
    /// A body that flies stands on the ground; nothing looks at it on wheels.
    pub on_ground: bool,
}

impl SensorFrame {
    /// The frame of a body of which nothing is known yet.
    #[must_use]
    pub fn unknown(range_max: Meters) -> Self {
        Self {
            at: MonoTime::ZERO,
            sequence: 0,
            estimate: PoseEstimate::default(),
            odometry: Pose::default(),
            twist: Twist::ZERO,
            scan: Scan::nothing(range_max),
            battery: Battery { charge: Percent(0.0), charging: false },
            payload: Kilograms(0.0),
            tilt: Radians(0.0),
            cliff: [false; 4],
            bumper: false,
            motors_powered: false,
            emergency_stop: false,
            on_ground: false,
        }
    }
}
