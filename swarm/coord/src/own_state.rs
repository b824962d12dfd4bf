//! State of the own robot, as its agent reports it.

use core::time::Duration;

use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose};
use skein_types::mission::Priority;
use skein_types::time::WallTime;

/// What the robot does and wants, reported every control cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnState {
    /// Where it is.
    pub pose: Pose,
    /// Age of the pose.
    pub pose_age: Duration,
    /// Velocity in the map's frame, m/s.
    pub velocity: Point,
    /// The path it would drive if it were alone, from its present position, at least 10 m of it if there is so much;
    /// empty when it means to stay. The same path while it yields: the yield path is known here.
    pub path: Vec<Point>,
    /// What it is doing; `Waiting` and `Yielding` are derived here.
    pub state: AgentState,
    /// Of its mission.
    pub priority: Priority,
    /// Carries a payload.
    pub carrying: bool,
    /// In an emergency.
    pub emergency: bool,
    /// Wall clock, for the record.
    pub wall: WallTime,
}
