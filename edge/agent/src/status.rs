//! What the agent tells an engineer about itself: plain values for the debug API.

use serde::{Deserialize, Serialize};
use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, FleetId, Generation, MissionId};
use skein_types::mission::SliceState;
use skein_types::safety::{Cause, FailsafeLevel, Latch};
use skein_types::telemetry::{LinkState, OperatingMode, ReflexStats};

/// Most points of evidence shown.
pub const EVIDENCE_SHOWN_MAX: usize = 512;
/// Most sentences of the recent past kept.
pub const REASONS_KEPT: usize = 32;

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Who.
    pub agent: AgentId,
    /// Whose.
    pub fleet: FleetId,
    /// Which life.
    pub boot: BootId,
    /// Who is in control.
    pub mode: OperatingMode,
    /// What it is doing.
    pub state: AgentState,
    /// One sentence: why.
    pub why: String,
    /// The sentences before it, oldest first.
    pub reasons: Vec<Reason>,
    /// A person's hand.
    pub latch: Latch,
    /// Where it believes it is.
    pub pose: Pose,
    /// Standard deviation of the position, metres.
    pub position_std: f64,
    /// Body frame.
    pub twist: Twist,
    /// Percent.
    pub battery: f64,
    /// Connected to a charger.
    pub charging: bool,
    /// The order it works on.
    pub mission: Option<MissionStatus>,
    /// Where on the failsafe ladder.
    pub failsafe: FailsafeStatus,
    /// Connections.
    pub link: LinkState,
    /// What it means to do.
    pub plan: PlanStatus,
    /// What it believes of the world.
    pub world: WorldStatus,
    /// Whom it hears.
    pub peers: Vec<PeerStatus>,
    /// What the reflex says.
    pub reflex: ReflexStatus,
    /// What happened how often since the boot.
    pub counters: Counters,
}

/// A sentence and when it began to hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Seconds ago.
    pub age: f64,
    /// The sentence.
    pub why: String,
}

/// The order it works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissionStatus {
    /// For which mission.
    pub mission: MissionId,
    /// Of which order.
    pub generation: Generation,
    /// What kind of work.
    pub task: String,
    /// Where it is with it.
    pub state: SliceState,
    /// Why.
    pub reason: String,
    /// Percent of the region, for a survey.
    pub covered: f64,
    /// Of the region, m².
    pub area: f64,
    /// Still to be swept, m².
    pub remaining: f64,
    /// Given up with a reason, m².
    pub given_up: f64,
}

/// Where on the ladder and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailsafeStatus {
    /// The worst rung of the reflex and of the agent itself.
    pub level: FailsafeLevel,
    /// Every cause.
    pub causes: Vec<Cause>,
}

/// What it means to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanStatus {
    /// The way it follows, from where it is, in the map's frame.
    pub path: Vec<Point>,
    /// Length of what is left of it, metres.
    pub length: f64,
    /// Where it wants to look from next.
    pub viewpoints: Vec<Point>,
    /// Seconds to the end of its order, as far as it can tell.
    pub eta: Option<f64>,
}

/// What it believes of the world.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorldStatus {
    /// Middles of squares that hold something which is on no map (at most [`EVIDENCE_SHOWN_MAX`]).
    pub obstacles: Vec<Point>,
    /// Places it will not try for a while.
    pub blocked: Vec<BlockedPlace>,
    /// Dangers that peers or it reported.
    pub hazards: Vec<HazardStatus>,
    /// Share of recent beams that saw what the map promises, 0 to 1.
    pub consistency: f64,
    /// m² swept since the boot.
    pub swept: f64,
}

/// A place it will not try for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockedPlace {
    /// Middle.
    pub at: Point,
    /// Metres.
    pub radius: f64,
    /// Seconds until it is tried again.
    pub expires_in: f64,
    /// What happened there.
    pub reason: String,
}

/// A danger someone reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HazardStatus {
    /// Where.
    pub position: Point,
    /// How far it reaches, metres.
    pub radius: f64,
    /// Seconds until it is forgotten unless it is reported again.
    pub expires_in: f64,
}

/// A peer as this robot sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Who.
    pub agent: AgentId,
    /// Where it said it is.
    pub position: Point,
    /// Velocity in the map's frame, m/s.
    pub velocity: Point,
    /// What it says it does.
    pub state: AgentState,
    /// For whom it says it waits.
    pub yields_to: Option<AgentId>,
    /// Cannot get out of the way.
    pub cornered: bool,
    /// Seconds since it was heard.
    pub age: f64,
    /// How far its promises are believed, 0 to 1.
    pub trust: f64,
    /// Metres from here.
    pub distance: f64,
}

/// What the reflex says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReflexStatus {
    /// Free distance along the way, metres; `None` when nothing is near.
    pub clear_distance: Option<f64>,
    /// Where it would stop, metres.
    pub stop_distance: f64,
    /// The fastest it allows, m/s.
    pub speed_allowed: f64,
    /// How it keeps time.
    pub stats: ReflexStats,
}

/// What happened how often since the boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rounds of 20 Hz.
    pub cycles: u64,
    /// Searches over the whole map.
    pub searches: u64,
    /// New ways because the old one did not hold.
    pub replans: u64,
    /// Steps of the recovery ladder.
    pub recoveries: u64,
    /// Orders refused.
    pub refused: u64,
    /// Times it let someone pass.
    pub yields: u64,
}
