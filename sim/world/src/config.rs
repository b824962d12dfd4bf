//! What a world is made of, and how imperfect it is.

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::polygon::Polygon;
use skein_types::time::MonoTime;

use crate::survey::Survey;
use crate::terrain::Terrain;

/// The step of the physics.
pub const STEP: Duration = Duration::from_millis(10);
/// [`STEP`] in seconds.
pub(crate) const STEP_S: f64 = 0.01;
/// Most robots in one world.
pub const ROBOTS_MAX: usize = 1_024;
/// Most people in one world.
pub const PEOPLE_MAX: usize = 256;

/// One robot as it is put into the world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RobotSpec {
    /// What it is.
    pub descriptor: BodyDescriptor,
    /// Where it starts, `map_from_body`; its charger stands there.
    pub start: Pose,
}

/// All that goes into a world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Everything that is left to chance follows from it.
    pub seed: u64,
    /// What the clock shows at the start.
    pub start: MonoTime,
    /// What robots drive on and see.
    pub terrain: Arc<Terrain>,
    /// Who drives there; the index in this list is the robot's number.
    pub robots: Vec<RobotSpec>,
    /// How many people walk about.
    pub people: usize,
    /// Share of their legs on which people do not look where they go.
    pub distraction: f64,
    /// Where the floor is missing.
    pub cliffs: Vec<Polygon>,
    /// How imperfect sensors and motors are.
    pub noise: Noise,
    /// Steps between two lidar revolutions: 10 is 10 Hz, 0 is no lidar. Robots take turns.
    pub lidar_every: u32,
    /// What is to be swept; none when nobody asks.
    pub survey: Option<Survey>,
}

impl WorldConfig {
    /// A place with nothing in it: usual noise, lidar at 10 Hz.
    #[must_use]
    pub fn new(seed: u64, terrain: Arc<Terrain>) -> Self {
        Self {
            seed,
            start: MonoTime::ZERO,
            terrain,
            robots: Vec::new(),
            people: 0,
            distraction: 0.02,
            cliffs: Vec::new(),
            noise: Noise::usual(),
            lidar_every: 10,
            survey: None,
        }
    }
}

/// Standard deviations and rates of all that is not perfect. Zero switches a thing off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Of a lidar range, metres.
    pub lidar_m: f64,
    /// Share of lidar beams that drop out.
    pub lidar_dropout: f64,
    /// Of the share by which wheels slip along the way; it wanders over a second.
    pub slip: f64,
    /// Of the measured speed while it moves, m/s, and of the rate of turn, rad/s.
    pub twist: f64,
    /// Of the share by which a robot's odometry is wrong for its whole life.
    pub odometry_scale: f64,
    /// Of the turn a robot's odometry imagines, radians a metre, for its whole life.
    pub odometry_turn: f64,
    /// Of the localiser along each axis, metres; it wanders over a second.
    pub pose_m: f64,
    /// Of the localiser's heading, radians.
    pub pose_rad: f64,
    /// Shortest and longest age of a localiser's estimate in steps; each robot has its own.
    pub pose_lag_steps: (u8, u8),
    /// Jumps of the localiser in an hour.
    pub jumps_per_hour: f64,
    /// Farthest jump, metres.
    pub jump_m: f64,
    /// Of the tilt, radians.
    pub tilt: f64,
}

impl Noise {
    /// What a decent robot indoors has.
    #[must_use]
    pub const fn usual() -> Self {
        Self {
            lidar_m: 0.01,
            lidar_dropout: 0.005,
            slip: 0.01,
            twist: 0.005,
            odometry_scale: 0.01,
            odometry_turn: 0.002,
            pose_m: 0.015,
            pose_rad: 0.0087,
            pose_lag_steps: (5, 10),
            jumps_per_hour: 60.0,
            jump_m: 0.1,
            tilt: 0.003,
        }
    }

    /// A world that does exactly as it is told and senses exactly what is there, at once.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            lidar_m: 0.0,
            lidar_dropout: 0.0,
            slip: 0.0,
            twist: 0.0,
            odometry_scale: 0.0,
            odometry_turn: 0.0,
            pose_m: 0.0,
            pose_rad: 0.0,
            pose_lag_steps: (0, 0),
            jumps_per_hour: 0.0,
            jump_m: 0.0,
            tilt: 0.0,
        }
    }
}
