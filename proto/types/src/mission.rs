//! What a commander wants, and how far it has come.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::Point;
use crate::ids::{AgentId, Generation, MissionId};
use crate::polygon::Polygon;
use crate::region::Region;
use crate::time::WallTime;
use crate::units::{Meters, Percent, Seconds};

/// Longest free text (names, reasons, keys), in bytes.
pub const TEXT_BYTES_MAX: usize = 256;

/// What is wanted of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Cover it once.
    Survey,
    /// Cover it until the thing is found.
    Search,
    /// Cover it again and again until told otherwise.
    Patrol,
    /// Pick up, carry, put down.
    Deliver,
    /// Go there and stay.
    Guard,
}

/// 1 (low) to 10 (critical).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

/// A priority outside 1 to 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is {0}; priorities are 1 (low) to 10 (critical)")]
pub struct PriorityError(pub u32);

impl Priority {
    /// In the middle.
    pub const NORMAL: Self = Self(5);

    /// From a number.
    ///
    /// # Errors
    /// [`PriorityError`] outside 1 to 10.
    pub fn new(value: u32) -> Result<Self, PriorityError> {
        match u8::try_from(value) {
            Ok(small @ 1..=10) => Ok(Self(small)),
            _ => Err(PriorityError(value)),
        }
    }

    /// The number, 1 (lowest) to 10.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Priority {
    type Error = PriorityError;
    fn try_from(value: u8) -> Result<Self, PriorityError> {
        Self::new(u32::from(value))
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

/// What the commander asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissionSpec {
    /// For people; may be empty.
    pub name: String,
    /// What to do.
    pub objective: Objective,
    /// Where, in the map's frame.
    pub zone: Polygon,
    /// Goes before missions of lower priority.
    pub priority: Priority,
    /// Robots that may take part; empty means any.
    pub robots: Vec<AgentId>,
    /// Go back to where it started when done.
    pub return_home: bool,
}

/// State of a mission; each accepted mission ends in exactly one of the last three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MissionState {
    /// Prepared and not submitted.
    Draft,
    /// Accepted; waits for robots.
    Queued,
    /// Split and sent; no robot has begun.
    Assigned,
    /// At least one robot works on it.
    Running,
    /// A person halted it.
    Paused,
    /// Reached its goal.
    Done,
    /// Cannot reach its goal.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl MissionState {
    /// Done, failed or cancelled.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What one robot is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Sweep these cells with the survey sensor.
    Survey {
        /// The cells to sweep.
        region: Region,
    },
    /// Drive there and stay for a while (for ever when `None`).
    GoTo {
        /// Point in the frame of the map, metres.
        goal: Point,
        /// How long to stay.
        hold: Option<Duration>,
    },
    /// Drive back to where it started.
    Return,
    /// Drive to the charger and fill up.
    Charge,
}

/// One order to one robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// For which mission.
    pub mission: MissionId,
    /// Stale orders have an older generation.
    pub generation: Generation,
    /// What to do.
    pub task: Task,
    /// The mission's priority; counts for the right of way.
    pub priority: Priority,
    /// Go home afterwards.
    pub return_home: bool,
}

/// How far one robot has come with its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceProgress {
    /// For which mission.
    pub mission: MissionId,
    /// Of which order.
    pub generation: Generation,
    /// Where the robot is with it.
    pub state: SliceState,
    /// Why it is there; empty when there is nothing to say.
    pub reason: String,
    /// Of a survey: what was swept of the region, by the robot's own measure.
    pub covered: Percent,
    /// Of a survey: what is still to be swept. Missing when it did not change since the last report.
    pub remaining: Option<Region>,
    /// Estimated time to the end.
    pub eta: Option<Seconds>,
}

/// Where a robot is with its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceState {
    /// The robot has taken it up.
    Accepted,
    /// On the way to the first place.
    MovingToStart,
    /// The robot works on it.
    Executing,
    /// A person or the supervisor halted it.
    Paused,
    /// Everything it can reach is done.
    Done,
    /// It cannot go on.
    Failed,
    /// The supervisor took it away.
    Cancelled,
}

impl SliceState {
    /// Done, failed or cancelled.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// One robot's part of a mission, as the supervisor knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Name of the robot.
    pub agent: AgentId,
    /// Of which order.
    pub generation: Generation,
    /// How far the robot is with it.
    pub state: SliceState,
    /// Reason of the state, one sentence for the operator; empty where the state needs none.
    pub reason: String,
    /// Cells it was given, as area, m².
    pub area: f64,
    /// Swept, by the robot's measure.
    pub covered: Percent,
}

/// A mission as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mission {
    /// Id of the mission, a UUID.
    pub id: MissionId,
    /// What was asked.
    pub spec: MissionSpec,
    /// Where it is.
    pub state: MissionState,
    /// Why it is there.
    pub reason: String,
    /// Swept of the reachable free area of the zone.
    pub covered: Percent,
    /// Reachable free area of the zone, m².
    pub area: f64,
    /// One for each robot that was given work, ended ones included.
    pub slices: Vec<Slice>,
    /// When it was accepted.
    pub submitted_at: WallTime,
    /// When it last changed.
    pub updated_at: WallTime,
}

/// What would happen, before anything moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Reachable free area of the zone, m².
    pub area: f64,
    /// Free area of the zone that no robot can reach, m².
    pub unreachable_area: f64,
    /// Each robot's share.
    pub slices: Vec<PreviewSlice>,
    /// Longest of the slices.
    pub duration: Seconds,
    /// What speaks against it or should be known.
    pub verdicts: Vec<Verdict>,
}

/// One robot's share in a [`Preview`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewSlice {
    /// Name of the robot.
    pub agent: AgentId,
    /// The cells that the robot would get.
    pub region: Region,
    /// The way it would take.
    pub path: Vec<Point>,
    /// Length of that way.
    pub distance: Meters,
    /// Time it takes.
    pub duration: Seconds,
    /// Charge it needs.
    pub energy: Percent,
    /// Why this robot got this part.
    pub reason: String,
}

/// Something a person should know before committing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How bad (VDA5050 error levels).
    pub level: VerdictLevel,
    /// Machine-readable, `snake_case`.
    pub code: String,
    /// One sentence, for people.
    pub text: String,
}

/// How bad a [`Verdict`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VerdictLevel {
    /// Good to know.
    Info,
    /// Will work, but look at it.
    Warning,
    /// Will be refused.
    Error,
}
