//! What must survive a restart of the supervisor.

use serde::{Deserialize, Serialize};
use skein_types::body::BodyDescriptor;
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, Generation, MissionId};
use skein_types::mission::{MissionSpec, MissionState, SliceState};
use skein_types::region::Region;
use skein_types::time::WallTime;

/// One durable fact. A later record of the same kind and key replaces the earlier one; events only add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A mission; key: its id.
    Mission(Box<MissionRecord>),
    /// A robot; key: its name.
    Robot(Box<RobotRecord>),
    /// STOP for all robots, and why; `None` when it was released.
    StopAll(Option<String>),
    /// Events of robots or of the supervisor. The same event twice is recorded once.
    Events(Vec<Event>),
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
    /// Its name.
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
}
