//! What came of a run.

use serde::Serialize;
use skein_types::ids::AgentId;
use skein_types::mission::{MissionState, SliceState};
use skein_world::Collisions;

use super::monitor::Incident;
use super::operators::Acknowledgement;

/// What came of a run. The same configuration gives the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetReport {
    /// Everything random followed from it.
    pub seed: u64,
    /// How many robots.
    pub robots: usize,
    /// Until the run ended, seconds of virtual time.
    pub duration_s: f64,
    /// The mission, as the supervisor sees it.
    pub mission: Option<MissionReport>,
    /// Share of the reachable zone that was truly swept, 0 to 1.
    pub coverage_ratio: f64,
    /// Reachable area of the zone, m².
    pub zone_area_m2: f64,
    /// Contacts in the world, by kind.
    pub collisions: Collisions,
    /// Smallest true distance between two robots' centres.
    pub min_separation_m: Option<f64>,
    /// Which two, numbered from 1, and when, seconds.
    pub min_separation_of: Option<(usize, usize, f64)>,
    /// Driven by all.
    pub distance_total_m: f64,
    /// One for each robot, in the order of their numbers.
    pub per_robot: Vec<RobotReport>,
    /// Messages sent over the virtual network, and their bytes.
    pub messages: (u64, u64),
    /// Messages that a receiver refused to decode: a fault of the sender.
    pub undecodable: Vec<String>,
    /// What the supervisor refused.
    pub refusals: Vec<String>,
    /// Events that the supervisor keeps.
    pub events_kept: u64,
    /// What robots acknowledged to operators.
    pub acknowledgements: Vec<Acknowledgement>,
    /// What had to hold, and what was seen.
    pub checks: Vec<Check>,
    /// What should not have happened.
    pub incidents: Vec<Incident>,
}

impl FleetReport {
    /// Every check holds.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

/// The mission at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MissionReport {
    /// Its last state.
    pub state: MissionState,
    /// Why it is in that state.
    pub reason: String,
    /// Swept as the supervisor counts, 0 to 1.
    pub covered: f64,
    /// From submission to the end, seconds; missing when it did not end.
    pub duration_s: Option<f64>,
}

/// One robot at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RobotReport {
    /// Name of the robot.
    pub robot: AgentId,
    /// Its process runs.
    pub alive: bool,
    /// Driven, metres.
    pub distance_m: f64,
    /// Charge left, percent.
    pub battery: f64,
    /// Its parts of the mission: state, area in m², and reason.
    pub parts: Vec<(SliceState, f64, String)>,
    /// The last reason it reported.
    pub why: String,
    /// Commands that its body refused.
    pub refused_commands: u64,
    /// Searches, replans, recoveries and yields since its start.
    pub counters: Option<skein_agent::status::Counters>,
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The rule, as a sentence.
    pub what: &'static str,
    /// Whether it does.
    pub holds: bool,
    /// What was seen.
    pub seen: String,
}
