//! What a robot tells its supervisor about itself.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::coord::AgentState;
use crate::geometry::{Pose, Twist};
use crate::ids::{AgentId, MissionId};
use crate::safety::{Causes, FailsafeLevel};
use crate::time::WallTime;
use crate::units::{Meters, Percent};

/// Samples packed into one batch.
pub const TELEMETRY_BATCH: usize = 10;

/// Who is in control (VDA5050 operating modes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OperatingMode {
    /// The process is starting.
    #[default]
    Startup,
    /// The robot works by itself.
    Automatic,
    /// By itself, slower than usual at someone's wish.
    SemiAutomatic,
    /// A person stopped it.
    Intervened,
    /// A person drives it.
    Manual,
    /// A technician works on it.
    Service,
    /// It is being taught a path.
    TeachIn,
}

/// How the robot's connections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// The supervisor answers.
    pub cloud: bool,
    /// The mesh is up.
    pub mesh: bool,
}

/// How the reflex loop has been keeping time since the boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReflexStats {
    /// Ticks since the boot.
    pub ticks: u64,
    /// Ticks that did not run in their period.
    pub missed_ticks: u64,
    /// Half of the ticks began at most this late, µs.
    pub lateness_us_p50: f64,
    /// 99 % of the ticks began at most this late, µs.
    pub lateness_us_p99: f64,
    /// 99.9 % of the ticks began at most this late, µs.
    pub lateness_us_p999: f64,
    /// The latest tick, µs.
    pub lateness_us_max: f64,
}

/// One sample of a robot, taken at 100 Hz.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentTelemetry {
    /// Name of the robot, unique in its fleet.
    pub agent: AgentId,
    /// The robot's wall clock.
    pub at: WallTime,
    /// Rises by one each sample of this boot.
    pub sequence: u64,
    /// Where it believes it is.
    pub pose: Pose,
    /// Standard deviation of the position.
    pub position_std: Meters,
    /// In the body's frame.
    pub twist: Twist,
    /// Charge left, percent of the capacity.
    pub battery: Percent,
    /// Who is in control.
    pub mode: OperatingMode,
    /// What it is doing.
    pub state: AgentState,
    /// On the ladder.
    pub failsafe: FailsafeLevel,
    /// Failsafe causes that are active.
    pub causes: Causes,
    /// What it works on.
    pub mission: Option<MissionId>,
    /// State of its connections.
    pub link: LinkState,
    /// Peers heard within the last second.
    pub peers_visible: u32,
    /// How the loop keeps time.
    pub reflex: ReflexStats,
    /// One sentence: why it does what it does.
    pub why: String,
}

/// Samples of one robot in order, packed for the way up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryBatch {
    /// At most [`TELEMETRY_BATCH`] times ten of them.
    pub samples: Vec<AgentTelemetry>,
}
