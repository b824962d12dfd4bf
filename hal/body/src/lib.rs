//! The contract of a robot's body, the envelope nothing goes around, and the conformance suite.
//!
//! A [`Body`] senses, acts and halts; that is all the rest of the system knows of motors and sensors. A
//! driver holds it inside a [`SafeBody`], which has the final say: fence, limits, silence, KILL. An implementation is
//! tested with [`conformance`].
//!
//! Invariants, each held by a test of the same words:
//!
//! 1. No command passes [`SafeBody`] that would carry the footprint out of the fence before the body could stand.
//! 2. Outside the fence, only motion that leads back in passes.
//! 3. Without a fresh and certain pose, a fenced body only halts.
//! 4. What passes is within the descriptor's speed, climb, rate of turn and acceleration; braking is never softened.
//! 5. Silence halts; a late command halts; a command that is NaN halts.
//! 6. After `CutPower` nothing moves until `restore_power`, and then nothing moves by itself.

pub mod conformance;
mod fence;
mod safe;

pub use fence::{Fence, FenceVerdict};
pub use safe::{REACTION, SafeBody};
pub use skein_types::limits::{COMMAND_AGE_MAX, POSE_AGE_MAX, POSE_STD_MAX, SILENCE_MAX};

use core::time::Duration;
use skein_types::body::BodyDescriptor;
use skein_types::motion::ActuatorFrame;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use thiserror::Error;

/// How it showed that the other end is gone. Plain data: the real-time loop reports and drops it without allocating.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Loss {
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// Nothing came for this long.
    #[error("it has been silent for {0:?}")]
    Silent(Duration),
    /// It takes no commands: what it was sent is not read.
    #[error("it does not read what it is sent")]
    Full,
    /// It sent something that is no frame.
    #[error("it sent a malformed frame")]
    Malformed,
    /// The system failed, with this error number where there is one.
    #[error("the system failed with error {0}")]
    System(i32),
    /// It is not there.
    #[error("there is no such body")]
    Absent,
}

/// Why a body refused a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unable {
    /// Its motors have no power.
    #[error("its motors have no power")]
    Powerless,
    /// It is not ready.
    #[error("it is not ready")]
    NotReady,
}

/// Why a body did not do as it was told. It stands still, or brakes until it does, whenever one of these is returned
/// from [`Body::actuate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The other end is gone.
    #[error("the body is not there any more: {0}")]
    Lost(Loss),
    /// Nothing has been sensed yet.
    #[error("the body has sent no sensor frame yet")]
    NothingSensed,
    /// A velocity is infinite or NaN.
    #[error("the commanded velocity is not finite")]
    NotFinite,
    /// The command was decided too long ago (or in the future) to be obeyed.
    #[error("the command is {age:?} old; at most {limit:?} is obeyed")]
    Late {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        limit: Duration,
    },
    /// The body itself refused.
    #[error("the body refused: {0}")]
    Refused(Unable),
}

/// One robot's body. Every call returns at once: a body that has to wait for something keeps the last value.
///
/// A body halts by itself when commands stop for 100 ms, and obeys no command older than that.
pub trait Body {
    /// What it is and can do. Never changes.
    fn descriptor(&self) -> &BodyDescriptor;

    /// All it senses now. Parts that are missing keep their last value with their own time.
    ///
    /// # Errors
    /// [`BodyError::Lost`] when there is nothing to ask any more, [`BodyError::NothingSensed`] before the first frame.
    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError>;

    /// Does what the frame says until the next one.
    ///
    /// # Errors
    /// [`BodyError`] when it does not; it brakes then.
    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError>;

    /// Brakes as hard as it can (ground) or hovers (air), and stays.
    ///
    /// # Errors
    /// [`BodyError`] when it could not even be told; the body's own silence limit stops it then.
    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError>;

    /// Gives the motors power again after `CutPower` or a power loss; a person decided so. Nothing moves by itself.
    ///
    /// # Errors
    /// [`BodyError`] when the power stays off.
    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError>;
}

impl<B: Body + ?Sized> Body for Box<B> {
    fn descriptor(&self) -> &BodyDescriptor {
        (**self).descriptor()
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        (**self).sense(now)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        (**self).actuate(now, frame)
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        (**self).halt(now)
    }

    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError> {
        (**self).restore_power(now)
    }
}
