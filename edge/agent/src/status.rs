//! The agent's status for the debug API, as plain values.

use serde::{Deserialize, Serialize};
use skein_types::authority::LatchSet;
use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, FleetId, Generation, MissionId, OperatorId};
use skein_types::mission::SliceState;
use skein_types::safety::{Cause, FailsafeLevel, Latch};
use skein_types::telemetry::{LinkState, OperatingMode, ReflexStats};

use crate::io::ManualRefused;

/// Bound on the obstacle points shown.
pub const OBSTACLES_SHOWN_MAX: usize = 512;
/// Bound on the past reasons kept.
pub const REASONS_KEPT: usize = 32;

/// The whole status at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Name of the robot.
    pub agent: AgentId,
    /// Name of its fleet.
    pub fleet: FleetId,
    /// This start of its process.
    pub boot: BootId,
    /// Operating mode (VDA5050 names).
    pub mode: OperatingMode,
    /// The state that peers see.
    pub state: AgentState,
    /// The reason for the state.
    pub why: String,
    /// Earlier reasons, oldest first.
    pub reasons: Vec<Reason>,
    /// The stricter level of both latch registers.
    pub latch: Latch,
    /// The latch registers that the robot obeys.
    pub latches: LatchSet,
    /// The operator in control; none while the robot works by itself.
    pub manual: Option<ManualStatus>,
    /// Why a manual command would be refused now; none when it would be taken.
    pub manual_refused: Option<ManualRefused>,
    /// Estimated pose, `map_from_body`.
    pub pose: Pose,
    /// Standard deviation of the position, metres.
    pub position_std: f64,
    /// Measured velocity, body frame.
    pub twist: Twist,
    /// Charge, percent.
    pub battery: f64,
    /// Connected to a charger.
    pub charging: bool,
    /// The assignment received last.
    pub mission: Option<MissionStatus>,
    /// Failsafe level and causes.
    pub failsafe: FailsafeStatus,
    /// State of the connections.
    pub link: LinkState,
    /// Path and viewpoints.
    pub plan: PlanStatus,
    /// Obstacles, keepouts and hazards.
    pub world: WorldStatus,
    /// Peers that are heard.
    pub peers: Vec<PeerStatus>,
    /// The last reflex report.
    pub reflex: ReflexStatus,
    /// Counts since the boot.
    pub counters: Counters,
}

/// The operator in control of the motion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualStatus {
    /// Name of the operator.
    pub operator: OperatorId,
    /// A command holds; otherwise the robot stands until it gets another one or control is given back.
    pub driving: bool,
}

/// A reason and when it began to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Age, seconds.
    pub age: f64,
    /// Text of the reason.
    pub why: String,
}

/// An assignment and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissionStatus {
    /// The mission it is a slice of.
    pub mission: MissionId,
    /// Generation of the assignment.
    pub generation: Generation,
    /// Kind of task: `survey`, `go_to`, `return` or `charge`.
    pub task: String,
    /// State of the slice.
    pub state: SliceState,
    /// The reason for the state; may be empty.
    pub reason: String,
    /// Covered share of the region, percent; zero for other tasks than a survey.
    pub covered: f64,
    /// Area of the region, m².
    pub area: f64,
    /// Area still to be covered, m².
    pub remaining: f64,
    /// Area given up with a reason, m².
    pub given_up: f64,
}

/// Failsafe level and its causes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailsafeStatus {
    /// The highest level of reflex and agent.
    pub level: FailsafeLevel,
    /// Causes of reflex and agent.
    pub causes: Vec<Cause>,
}

/// The plan of the navigation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanStatus {
    /// The path ahead of the robot, map frame.
    pub path: Vec<Point>,
    /// Remaining length of the path, metres.
    pub length: f64,
    /// Next viewpoints or waypoints, map frame.
    pub viewpoints: Vec<Point>,
    /// Estimated seconds to the end of the task.
    pub eta: Option<f64>,
}

/// What the robot knows beyond the static map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorldStatus {
    /// Middles of cells that hold something which is on no map (at most [`OBSTACLES_SHOWN_MAX`]).
    pub obstacles: Vec<Point>,
    /// Places that are avoided for a while.
    pub blocked: Vec<BlockedPlace>,
    /// Hazards reported by peers or by this robot.
    pub hazards: Vec<HazardStatus>,
    /// Smoothed share of lidar beams that agree with the map, 0 to 1.
    pub consistency: f64,
    /// Area covered for the present mission, m².
    pub swept: f64,
}

/// A temporary keepout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockedPlace {
    /// Centre, map frame.
    pub at: Point,
    /// Radius, metres.
    pub radius: f64,
    /// Seconds until it expires.
    pub expires_in: f64,
    /// Why no path crosses it.
    pub reason: String,
}

/// A reported hazard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HazardStatus {
    /// Centre, map frame.
    pub position: Point,
    /// Radius, metres.
    pub radius: f64,
    /// Seconds until it expires unless it is reported again.
    pub expires_in: f64,
}

/// A peer as this robot knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Name of the peer.
    pub agent: AgentId,
    /// Position in its last intent, map frame.
    pub position: Point,
    /// Velocity in its last intent, map frame, m/s.
    pub velocity: Point,
    /// State in its last intent.
    pub state: AgentState,
    /// The robot that it yields to, by its last intent.
    pub yields_to: Option<AgentId>,
    /// It announced that it cannot yield.
    pub cornered: bool,
    /// Age of its last intent, seconds.
    pub age: f64,
    /// Trust in its commitments to yield, 0 to 1.
    pub trust: f64,
    /// Distance from this robot, metres.
    pub distance: f64,
}

/// The last reflex report and the timing of the reflex loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReflexStatus {
    /// Free distance along the motion, metres; `None` when nothing is near.
    pub clear_distance: Option<f64>,
    /// Free distance at which it would stop, metres.
    pub stop_distance: f64,
    /// The highest speed it allows, m/s.
    pub speed_allowed: f64,
    /// Ticks, deadlines missed, latencies.
    pub stats: ReflexStats,
}

/// Counts since the boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Control cycles run.
    pub cycles: u64,
    /// Path searches run.
    pub searches: u64,
    /// New paths because the old one did not hold.
    pub replans: u64,
    /// Recovery behaviors started.
    pub recoveries: u64,
    /// CommandLog refused.
    pub refused: u64,
    /// Times it began to yield.
    pub yields: u64,
}
