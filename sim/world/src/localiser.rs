//! Where a robot believes it is: odometry that drifts, a localiser that lags, wanders and sometimes jumps.

use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::sensing::PoseEstimate;
use skein_types::time::MonoTime;
use skein_types::units::{Meters, Radians};

use crate::chance::Chance;
use crate::config::{Noise, STEP, STEP_S};
use crate::drive::wander;

/// Poses remembered: the longest lag in steps, and the present.
const HISTORY: usize = 32;
/// Seconds over which the localiser's error wanders.
const WANDER_S: f64 = 1.0;
/// Seconds in which a jump heals by two thirds.
const JUMP_HEALS_S: f64 = 1.5;
/// Of a jump, so much shows in the standard deviation that the localiser reports.
const JUMP_KNOWN: f64 = 0.5;
/// No localiser claims to be surer than this.
const STD_MIN: (f64, f64) = (0.005, 0.002);

/// Dead reckoning with the mistakes of one robot's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odometry {
    pub(crate) pose: Pose,
    scale: f64,
    turn_per_meter: f64,
}

impl Odometry {
    pub(crate) fn new(noise: &Noise, life: &mut Chance) -> Self {
        Self {
            pose: Pose::default(),
            scale: 1.0 + noise.odometry_scale * life.normal(),
            turn_per_meter: noise.odometry_turn * life.normal(),
        }
    }

    /// One step of what the wheels turned.
    pub(crate) fn add(&mut self, wheels: &Twist) {
        let drift = self.turn_per_meter * wheels.speed();
        let believed = Twist { yaw_rate: wheels.yaw_rate + drift, ..wheels.scaled(self.scale) };
        self.pose = self.pose.moved(&believed, STEP_S);
    }
}

/// One robot's localiser.
#[derive(Clone, Debug)]
pub(crate) struct Localiser {
    history: [Pose; HISTORY],
    newest: usize,
    lag: usize,
    error: Point,
    turned: f64,
    jump: Point,
}

impl Localiser {
    pub(crate) fn new(noise: &Noise, start: Pose, life: &mut Chance) -> Self {
        let (shortest, longest) = noise.pose_lag_steps;
        let spread = usize::from(longest.saturating_sub(shortest)) + 1;
        let lag = (usize::from(shortest) + life.below(spread)).min(HISTORY - 1);
        Self {
            history: [start; HISTORY],
            newest: 0,
            lag,
            error: Point::new(noise.pose_m * life.normal(), noise.pose_m * life.normal()),
            turned: noise.pose_rad * life.normal(),
            jump: Point::default(),
        }
    }

    /// One step: the truth goes in, its errors wander.
    pub(crate) fn step(&mut self, noise: &Noise, truth: Pose, chance: &mut Chance) {
        self.newest = (self.newest + 1) % HISTORY;
        if let Some(place) = self.history.get_mut(self.newest) {
            *place = truth;
        }
        wander(&mut self.error.x, chance, noise.pose_m, WANDER_S);
        wander(&mut self.error.y, chance, noise.pose_m, WANDER_S);
        wander(&mut self.turned, chance, noise.pose_rad, WANDER_S);
        self.jump = self.jump * (1.0 - STEP_S / JUMP_HEALS_S);
        let (now, length, heading) = (chance.unit(), chance.unit(), chance.unit());
        if now < noise.jumps_per_hour * STEP_S / 3_600.0 {
            self.jump = Point::from_heading(heading * core::f64::consts::TAU) * (noise.jump_m * length);
        }
    }

    pub(crate) fn estimate(&self, noise: &Noise, now: MonoTime) -> PoseEstimate {
        let truth = self.history.get((self.newest + HISTORY - self.lag) % HISTORY).copied().unwrap_or_default();
        let jumped = JUMP_KNOWN * self.jump.norm();
        PoseEstimate {
            pose: Pose {
                position: truth.position + self.error + self.jump,
                z: truth.z,
                heading: wrap_angle(truth.heading + self.turned),
            },
            position_std: Meters(noise.pose_m.max(STD_MIN.0).hypot(jumped)),
            heading_std: Radians(noise.pose_rad.max(STD_MIN.1)),
            at: now - STEP * self.lag as u32,
        }
    }
}
