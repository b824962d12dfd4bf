//! The fleet as its commanders see it.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::authority::{LatchReport, LatchSet};
use crate::body::BodyDescriptor;
use crate::coord::MapHazard;
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
    /// Name of the robot, unique in its fleet.
    pub agent: AgentId,
    /// Boot id: made anew at each start of the robot's process, so that a restart is not taken for a late message.
    pub boot: BootId,
    /// What its body can do.
    pub body: BodyDescriptor,
    /// Where it started.
    pub home: Pose,
    /// A stream is open.
    pub connected: bool,
    /// What it obeys, as it last reported: the stricter of its registers.
    pub latch: Latch,
    /// The registers that it last reported.
    pub latches: LatchSet,
    /// Whether what it obeys is on its disk.
    pub durability: LatchDurability,
    /// The registers that it should have; until it reports them they are sent again.
    pub wanted: LatchSet,
    /// Last sample; none before the first.
    pub telemetry: Option<AgentTelemetry>,
    /// Age of the last sample.
    pub age: Seconds,
    /// Where its debug API listens; empty when it has none.
    pub debug_address: String,
    /// Version of its software.
    pub software: String,
}

/// Whether what a robot obeys survives its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatchDurability {
    /// It is on its disk.
    #[default]
    Kept,
    /// It is being written.
    Saving,
    /// It could not be written; never empty.
    NotKept(String),
}

impl From<&LatchReport> for LatchDurability {
    fn from(report: &LatchReport) -> Self {
        match (report.kept, report.error.as_str()) {
            (true, _) => Self::Kept,
            (false, "") => Self::Saving,
            (false, why) => Self::NotKept(why.to_owned()),
        }
    }
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
    /// All alarms that are on.
    pub alarms: Vec<Alarm>,
    /// All static hazards of the shared map.
    pub hazards: Vec<MapHazard>,
}

/// Most alarms in one picture.
pub const ALARMS_MAX: usize = 256;

/// How much an alarm matters (VDA5050 error levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmSeverity {
    /// Somebody should look; the fleet goes on.
    Warning,
    /// Something does not work until somebody acts.
    Critical,
}

/// Something that a person should know of, for as long as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The same for as long as the alarm is on.
    pub id: String,
    /// How much it matters.
    pub severity: AlarmSeverity,
    /// What kind, `snake_case`: `store_full`, `identity_conflict`, `mesh_conflict`, `coverage_not_believed`.
    pub code: String,
    /// The robot it is about.
    pub robot: Option<AgentId>,
    /// One sentence for people, with the next step.
    pub text: String,
    /// When it came on, on the supervisor's wall clock.
    pub raised_at: WallTime,
}
