//! What travels between one robot and its supervisor over `LinkStream`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::authority::{LatchOrder, LatchReport, LeaseGrant, Term};
use crate::body::BodyDescriptor;
use crate::coord::MapHazard;
use crate::event::EventBatch;
use crate::geometry::Pose;
use crate::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId};
use crate::mission::{Assignment, SliceProgress};
use crate::telemetry::TelemetryBatch;
use crate::time::WallTime;

/// The versions of the wire schema that a build speaks; both ends use the highest that they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRange {
    /// Oldest version that is understood.
    pub min: u32,
    /// Newest version that is understood.
    pub max: u32,
}

/// What this build speaks.
pub const SCHEMA: SchemaRange = SchemaRange { min: 2, max: 2 };

impl SchemaRange {
    /// The highest version that both speak.
    #[must_use]
    pub const fn common(self, other: Self) -> Option<u32> {
        let max = if self.max < other.max { self.max } else { other.max };
        let min = if self.min > other.min { self.min } else { other.min };
        if min <= max { Some(max) } else { None }
    }
}

impl fmt::Display for SchemaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "v{}", self.max) } else { write!(f, "v{} to v{}", self.min, self.max) }
    }
}

/// What a robot shows to prove that it is the one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloProof {
    /// Its Ed25519 public key.
    pub public_key: [u8; 32],
    /// Over [`crate::authority::hello_message`] with the supervisor's challenge.
    pub signature: [u8; 64],
}

/// First report of a robot on a new stream; it fixes the identity of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Name of the robot, unique in its fleet.
    pub agent: AgentId,
    /// Name of the fleet; a supervisor refuses robots of another one.
    pub fleet: FleetId,
    /// Boot id: made anew at each start of the robot's process, so that a restart is not taken for a late message.
    pub boot: BootId,
    /// What body it has.
    pub body: BodyDescriptor,
    /// Where it started, `map_from_body`; it returns there.
    pub home: Pose,
    /// Version of the robot's software.
    pub software: String,
    /// Versions of the schema that it speaks.
    pub schema: SchemaRange,
    /// Last command that took effect, so that nothing is sent twice or forgotten.
    pub last_command: Option<CommandId>,
    /// What it is working on, so that a restarted supervisor knows.
    pub working_on: Option<(MissionId, Generation)>,
    /// Where its debug API listens, `host:port`; empty when it has none.
    pub debug_address: String,
    /// BLAKE3 of the map it uses, in hex, so that a robot with another map is refused.
    pub map_hash: String,
    /// The latches that it obeys.
    pub latch: LatchReport,
    /// Proof of its name; none from a robot that has no key.
    #[serde(skip)]
    pub proof: Option<HelloProof>,
}

/// How a command fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandOutcome {
    /// It will be done.
    Accepted,
    /// It will not, and why.
    Rejected(String),
    /// It has been done.
    Done,
    /// It was tried and failed, and why.
    Failed(String),
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandAck {
    /// Id of the command that is answered.
    pub command: CommandId,
    /// How it fared.
    pub outcome: CommandOutcome,
}

/// Robot to supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgentReport {
    /// First on each stream.
    Hello(Hello),
    /// Ten samples of 100 Hz.
    Telemetry(TelemetryBatch),
    /// The outcome of a command.
    Ack(CommandAck),
    /// How far it is.
    Progress(SliceProgress),
    /// The record, on its way up.
    Events(EventBatch),
    /// The latches changed, or were kept.
    Latch(LatchReport),
    /// Static hazards that it learned of or saw cleared; at most [`crate::coord::MAP_HAZARDS_MAX`].
    Hazards(Vec<MapHazard>),
}

/// What a supervisor asks of a robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Order {
    /// Take up a slice of a mission.
    Assign(Assignment),
    /// Halt the work, keep the order.
    Pause(MissionId),
    /// Go on with it.
    Resume(MissionId),
    /// Drop the slice of this mission.
    Cancel(MissionId),
    /// Events up to this sequence of this boot are safe: the robot may forget them.
    EventsKept {
        /// Boot whose events are acknowledged.
        boot: BootId,
        /// Up to and with this one.
        sequence: u64,
    },
    /// Latches: a request, and what the supervisor knows.
    Latch(LatchOrder),
    /// Lease on the robot; `None` means that no operator holds one.
    Lease(Option<LeaseGrant>),
    /// Static hazards of the shared map; at most [`crate::coord::MAP_HAZARDS_MAX`].
    Hazards(Vec<MapHazard>),
}

impl Order {
    /// Its name in the record.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Assign(_) => "assign",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Cancel(_) => "cancel",
            Self::EventsKept { .. } => "events_kept",
            Self::Latch(_) => "latch",
            Self::Lease(_) => "lease",
            Self::Hazards(_) => "hazards",
        }
    }
}

/// Supervisor to robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudCommand {
    /// Takes effect once however often it is delivered.
    pub id: CommandId,
    /// Of the orders to this robot; older than the last is stale.
    pub generation: Generation,
    /// Of the planner that gave it; robots refuse a lower one than they have seen, except for STOP and KILL.
    pub term: Term,
    /// Not to be obeyed after this (the supervisor's wall clock); `None` never expires.
    pub expires_at: Option<WallTime>,
    /// What is ordered.
    pub order: Order,
}
