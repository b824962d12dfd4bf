//! The fleet as its commanders see it.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::body::BodyDescriptor;
use crate::geometry::Pose;
use crate::ids::{AgentId, BootId};
use crate::mission::Mission;
use crate::safety::Latch;
use crate::telemetry::AgentTelemetry;
use crate::time::WallTime;
use crate::units::Seconds;

/// What the supervisor knows of one robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobotView {
    /// Who.
    pub agent: AgentId,
    /// Which life.
    pub boot: BootId,
    /// What body.
    pub body: BodyDescriptor,
    /// Where it started.
    pub home: Pose,
    /// A stream is open.
    pub connected: bool,
    /// A person's hand on it, as far as the robot confirmed.
    pub latch: Latch,
    /// Last sample; none before the first.
    pub telemetry: Option<AgentTelemetry>,
    /// Age of the last sample.
    pub age: Seconds,
    /// Where its debug API listens; empty when it has none.
    pub debug_address: String,
    /// Version of its software.
    pub software: String,
}

/// One picture of everything, ten times a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetView {
    /// Rises by one each picture.
    pub sequence: u64,
    /// The supervisor's wall clock.
    pub at: WallTime,
    /// Robots that changed since the last picture of this viewer (all of them in the first).
    pub robots: Vec<RobotView>,
    /// Missions that changed likewise.
    pub missions: Vec<Mission>,
}
