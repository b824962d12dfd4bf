//! What flows down to the motors: a setpoint from the agent, an actuator frame from the reflex.

use serde::{Deserialize, Serialize};

use crate::geometry::Twist;
use crate::time::MonoTime;
use crate::units::MetersPerSecond;

/// What the agent wants the body to do now. Latest wins; after `valid_until` it is a failsafe, never a guess.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setpoint {
    /// Wanted velocity in the body's frame.
    pub twist: Twist,
    /// The speed the agent promises not to exceed in this place. The reflex enforces it and may come closer to
    /// obstacles in return, because the braking distance is shorter.
    pub speed_limit: MetersPerSecond,
    /// Rises with each setpoint of this boot.
    pub sequence: u64,
    /// When it was decided.
    pub at: MonoTime,
    /// Not to be used after this.
    pub valid_until: MonoTime,
}

impl Setpoint {
    /// The setpoint before there is one: stand still, already expired.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            twist: Twist::ZERO,
            speed_limit: MetersPerSecond::ZERO,
            sequence: 0,
            at: MonoTime::ZERO,
            valid_until: MonoTime::ZERO,
        }
    }
}

/// What the motors are to do beside following a velocity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriveMode {
    /// Follow the velocity.
    Follow,
    /// Brake (ground) or hover (air) and hold.
    Halt,
    /// Descend and stop the rotors; a ground robot brakes.
    Land,
    /// Cut the power. Needs a person to come back.
    CutPower,
}

/// One command to the body. The body halts by itself when the next one is late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActuatorFrame {
    /// When the reflex decided.
    pub at: MonoTime,
    /// Rises by one each tick of this boot.
    pub sequence: u64,
    /// What kind of command.
    pub mode: DriveMode,
    /// Velocity in the body's frame; zero unless the mode is [`DriveMode::Follow`].
    pub twist: Twist,
}

impl ActuatorFrame {
    /// A frame that makes the body stand still.
    #[must_use]
    pub const fn halt(at: MonoTime, sequence: u64) -> Self {
        Self { at, sequence, mode: DriveMode::Halt, twist: Twist::ZERO }
    }
}
