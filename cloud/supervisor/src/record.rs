//! What must survive a restart of the supervisor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_types::authority::{LatchRegister, LatchRequest, Term};
use skein_types::body::BodyDescriptor;
use skein_types::coord::MapHazard;
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, CommandId, Generation, MissionId, OperatorId};
use skein_types::mission::{MissionSpec, MissionState, SliceState};
use skein_types::region::Region;
use skein_types::time::WallTime;
use uuid::Uuid;

/// One durable fact. A later record of the same kind and key replaces the earlier one; events only add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A mission; key: its id.
    Mission(Box<MissionRecord>),
    /// A robot; key: its name.
    Robot(Box<RobotRecord>),
    /// The register the fleet, or one robot, should have; key: the robot's name, empty for the fleet.
    Latch(Box<LatchRecord>),
    /// A lease; key: its id.
    Lease(Box<LeaseRecord>),
    /// This lease ended: its record goes.
    LeaseEnded(Uuid),
    /// The term of this start; one record.
    Term(Term),
    /// All static hazards of the shared map; one record.
    Hazards(Vec<MapHazard>),
    /// This robot is forgotten: its records go.
    RobotForgotten(AgentId),
    /// STOP for all robots, and why. Written by earlier releases; read only.
    StopAll(Option<String>),
    /// Events of robots or of the supervisor. The same event twice is recorded once.
    Events(Vec<Event>),
}

impl Record {
    /// Its kind, by rank (what must be durable first), and its key. A record and its end have the same.
    #[must_use]
    pub fn key(&self) -> (u8, String) {
        match self {
            Self::Latch(latch) => latch_key(latch.target.as_ref()),
            Self::Term(_) => (1, String::new()),
            Self::Lease(lease) => (2, lease.id.to_string()),
            Self::LeaseEnded(id) => (2, id.to_string()),
            Self::Robot(robot) => (3, robot.agent.to_string()),
            Self::RobotForgotten(agent) => (3, agent.to_string()),
            Self::Hazards(_) => (4, String::new()),
            Self::Mission(mission) => (5, mission.id.to_string()),
            Self::StopAll(_) => (6, String::new()),
            Self::Events(_) => (7, String::new()),
        }
    }
}

fn latch_key(target: Option<&AgentId>) -> (u8, String) {
    (0, target.map(AgentId::to_string).unwrap_or_default())
}

/// What a ledger holds apart from events: the last record of each kind and key.
#[derive(Clone, Debug, Default)]
pub struct RecordTable {
    records: BTreeMap<(u8, String), Record>,
}

impl RecordTable {
    /// Takes a record in, or takes out what it ends. Events are not held.
    pub fn apply(&mut self, record: Record) {
        let key = record.key();
        match &record {
            Record::Events(_) => {}
            Record::LeaseEnded(_) => drop(self.records.remove(&key)),
            Record::RobotForgotten(agent) => {
                self.records.remove(&key);
                self.records.remove(&latch_key(Some(agent)));
            }
            Record::Latch(_)
            | Record::Term(_)
            | Record::Lease(_)
            | Record::Robot(_)
            | Record::Hazards(_)
            | Record::Mission(_)
            | Record::StopAll(_) => drop(self.records.insert(key, record)),
        }
    }

    /// The record of a kind and key.
    #[must_use]
    pub fn get(&self, key: &(u8, String)) -> Option<&Record> {
        self.records.get(key)
    }

    /// All of it, as [`crate::Input::Restore`] takes it.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.records.values().cloned().collect()
    }
}

/// Everything about a mission that a restarted supervisor needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissionRecord {
    /// Its name on the wire.
    pub id: MissionId,
    /// The client's idempotency key; empty when there was none.
    pub key: String,
    /// What was asked.
    pub spec: MissionSpec,
    /// Where it is.
    pub state: MissionState,
    /// Where it was before it was paused.
    pub paused_from: Option<MissionState>,
    /// Why it is there.
    pub reason: String,
    /// The cells coverage is measured by.
    pub area: Region,
    /// Cells no robot has.
    pub unowned: Region,
    /// Cells a robot did not sweep; tried again when all else is done.
    #[serde(alias = "leftover")]
    pub residual: Region,
    /// Places to hold that no robot holds.
    pub posts: Vec<Point>,
    /// Current and former slices, at most one current slice a robot.
    #[serde(alias = "parts")]
    pub slices: Vec<SliceRecord>,
    /// How often residual cells were given out again.
    pub retried: u32,
    /// When it was accepted.
    pub submitted_at: WallTime,
    /// When its state or reason last changed.
    pub updated_at: WallTime,
}

/// One robot's slice of a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceRecord {
    /// The robot it was given to.
    pub agent: AgentId,
    /// Of the order that gave it.
    pub generation: Generation,
    /// As the robot last reported it.
    pub state: SliceState,
    /// Why it is in that state.
    pub reason: String,
    /// Area of the cells it was given, m².
    pub given_area: f64,
    /// Cells still to be swept.
    pub remaining: Region,
    /// Of a former slice: area of the cells that were left when it was reclaimed, m².
    pub left_area: f64,
    /// The place to hold, of a guard.
    pub post: Option<Point>,
    /// It was reclaimed or replaced: kept only to be shown.
    pub former: bool,
}

/// Everything about a robot that a restarted supervisor needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobotRecord {
    /// Name of the robot.
    pub agent: AgentId,
    /// Its last known boot.
    pub boot: BootId,
    /// Its shape, speed and sensors.
    pub body: BodyDescriptor,
    /// Where it started, in the map's frame.
    pub home: Pose,
    /// Of the last order.
    pub generation: Generation,
    /// Where its debug API listens, `host:port`.
    pub debug_address: String,
    /// Version of its software.
    pub software: String,
    /// The Ed25519 public key it proved at its first Hello, in hex; empty while it proved none.
    #[serde(default)]
    pub key: String,
    /// It was given work at least once.
    #[serde(default)]
    pub worked: bool,
}

/// A latch register and what has not reached its robots yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatchRecord {
    /// The robot; `None` for the fleet's register.
    pub target: Option<AgentId>,
    /// What it should be.
    pub register: LatchRegister,
    /// Stopping requests that may not have reached every robot they are for, oldest first.
    pub pending: Vec<LatchRequest>,
    /// Stopping requests that the register has known, the latest last.
    #[serde(default)]
    pub seen: Vec<CommandId>,
    /// Of a robot: the fleet's request that reached it last.
    pub fleet_reached: Option<CommandId>,
}

/// A lease in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Known to its holder alone.
    pub id: Uuid,
    /// The operator who holds it.
    pub operator: OperatorId,
    /// The robots it covers; none named means all.
    pub robots: Vec<AgentId>,
    /// Its end, on the supervisor's wall clock.
    pub expires_at: WallTime,
}
