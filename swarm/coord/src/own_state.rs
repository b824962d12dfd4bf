//! What the robot says of itself to its coordination.

use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose};
use skein_types::mission::Priority;
use skein_types::time::WallTime;

/// What the robot itself does and wants, told every control cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnState {
    /// Where it is.
    pub pose: Pose,
    /// Velocity in the map's frame, m/s.
    pub velocity: Point,
    /// The way it would drive if it were alone, from its present place, at least 10 m of it if there is so much;
    /// empty when it means to stay. The same way while it moves aside: what it drives then is known here.
    pub path: Vec<Point>,
    /// What it is doing; `Waiting` and `Yielding` are found out here.
    pub state: AgentState,
    /// Of its mission.
    pub priority: Priority,
    /// Carries a payload.
    pub carrying: bool,
    /// In an emergency.
    pub emergency: bool,
    /// For the record.
    pub wall: WallTime,
}
