//! What one principal asks of a latch, once.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::principal::Principal;
use crate::ids::CommandId;
use crate::time::WallTime;

/// Counts the releases of a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch that a release opens. The last one has no next: it can be reached only by a forged message, and then
    /// stays latched.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Epoch {
    /// The lowest epoch of a stop that is made at this time: its second since 1970.
    #[must_use]
    pub(super) const fn made_at(at: WallTime) -> Self {
        let seconds = at.unix_nanos().div_euclid(1_000_000_000);
        Self(if seconds > 0 { seconds.unsigned_abs() } else { 0 })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which register of a robot a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchScope {
    /// The robot's own register.
    Robot,
    /// The register that all robots of the fleet share.
    Fleet,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchAction {
    /// Stand (ground) or hover (air) until released.
    Stop,
    /// Cut the power of the motors until released.
    Kill,
    /// End the latch of this epoch, and of no later one.
    Release {
        /// The epoch that the principal saw latched.
        epoch: Epoch,
    },
}

impl LatchAction {
    /// Asks to stop, one way or the other: such a request needs no lease, no token and no term.
    #[must_use]
    pub const fn is_stopping(self) -> bool {
        matches!(self, Self::Stop | Self::Kill)
    }

    /// The name in the record and in the debug API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Release { .. } => "release",
        }
    }
}

/// One request about a latch. The same id over any number of paths takes effect once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchRequest {
    /// Made where the request was made.
    pub id: CommandId,
    /// The register it is about.
    pub scope: LatchScope,
    /// What is asked.
    pub action: LatchAction,
    /// For people; at most [`super::REASON_BYTES_MAX`] are kept in a register.
    pub reason: String,
    /// The principal who asks.
    pub by: Principal,
    /// When, on the requester's wall clock: for people, and to tell apart two requests of one epoch.
    pub at: WallTime,
}
