//! What robots and the supervisor tell each other about authority.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::register::{LatchRegister, LatchSet};
use super::request::LatchRequest;
use crate::ids::{AgentId, BootId, FleetId, OperatorId};

/// Counts the reigns of planners: a supervisor takes a higher one at each start, and robots refuse commands of a lower
/// one than they have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The next reign.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// Who is in control of a robot, as the supervisor tells the robot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGrant {
    /// Names the lease in commands.
    pub id: Uuid,
    /// Who holds it.
    pub operator: OperatorId,
    /// How long it lasts from when this was sent.
    pub remaining: Duration,
}

/// What a robot reports about who controls it: at each Hello and at each change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchReport {
    /// What it obeys.
    pub latches: LatchSet,
    /// What it obeys is on its disk, file and folder.
    pub kept: bool,
    /// Why it is not; empty when it is.
    pub error: String,
    /// A person drives it, or did and has not given it back.
    pub manual: bool,
    /// The lease that it knows of.
    pub lease: Option<LeaseGrant>,
    /// The highest term that it has seen.
    pub term: Term,
}

/// An order about latches from the supervisor: the robot merges the state, then applies the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchOrder {
    /// What somebody asked, as it was asked.
    pub request: Option<LatchRequest>,
    /// What the supervisor knows.
    pub state: LatchSet,
}

/// Most registers of other robots in one gossip message.
pub const GOSSIP_ROBOTS_MAX: usize = 64;
/// Most requests that one gossip message relays.
pub const GOSSIP_REQUESTS_MAX: usize = 16;

/// A request on its way to a robot that its maker cannot reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayedRequest {
    /// Whose register; the fleet's when none is named.
    pub target: Option<AgentId>,
    /// As it was asked.
    pub request: LatchRequest,
}

/// What a robot passes on to its peers about latches: at each change and once a second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatchGossip {
    /// The robot that passes it on.
    pub sender: AgentId,
    /// Of the sender's process: `sequence` starts again with it.
    pub boot: BootId,
    /// Rises by one each gossip message of this boot.
    pub sequence: u64,
    /// The fleet's register.
    pub fleet: LatchRegister,
    /// Registers of robots, the sender's own among them; at most [`GOSSIP_ROBOTS_MAX`].
    pub robots: Vec<(AgentId, LatchRegister)>,
    /// Requests that are being passed on; at most [`GOSSIP_REQUESTS_MAX`].
    pub requests: Vec<RelayedRequest>,
}

/// Bytes that a robot signs to prove in its Hello that it holds the key of its name: a domain separator, the
/// supervisor's challenge, then fleet, name, boot and public key.
#[must_use]
pub fn hello_message(
    challenge: &[u8; 32],
    fleet: &FleetId,
    agent: &AgentId,
    boot: BootId,
    public_key: &[u8; 32],
) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    message.extend_from_slice(b"skein-hello-v1");
    message.extend_from_slice(challenge);
    message.extend_from_slice(fleet.as_str().as_bytes());
    message.push(0);
    message.extend_from_slice(agent.as_str().as_bytes());
    message.push(0);
    message.extend_from_slice(boot.0.as_bytes());
    message.extend_from_slice(public_key);
    message
}
