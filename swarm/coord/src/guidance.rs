//! Guidance for the own robot about its peers, with reasons.

use serde::{Deserialize, Serialize};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::units::Meters;

/// What the robot may do until the next guidance.
#[derive(Clone, Debug, PartialEq)]
pub enum Guidance {
    /// The own path is free within the horizon.
    Go,
    /// Go on along the own path, but come to rest no farther than this.
    Hold {
        /// Along the own path from the present position; zero means stand.
        at_distance: Meters,
        /// The peer that needs the path.
        for_agent: AgentId,
        /// TimerKind.
        reason: HoldReason,
    },
    /// Leave the own path: drive this one to its end, and stand there. It starts at the present position, is free of
    /// walls, and is already cut where other robots must be waited for, so it may be a single point. Once the guidance
    /// changes again, the own path has to be planned anew from where the robot is then.
    MoveAside {
        /// The yield path, in the map's frame.
        path: Vec<Point>,
        /// The peer that goes first.
        for_agent: AgentId,
    },
}

/// Why a robot has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The peer goes first where the two paths conflict.
    GiveWay,
    /// The peer is on the own path and moves, or will, because it has to make way.
    Follow,
    /// No place to yield was found; the peer has to back out.
    Cornered,
    /// The peer is on the own path and will not move by itself: plan around it, see [`crate::Coord::obstacles`].
    Obstacle,
}

/// What decided between two claims; see [`crate::claim`] for the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecedenceReason {
    /// One of them moves on behalf of the other, or both on behalf of the same third.
    Behalf,
    /// One of them cannot make way.
    Cornered,
    /// Only one of them has somewhere to go.
    Wants,
    /// One of them is in an emergency.
    Emergency,
    /// One of them carries a payload.
    Carrying,
    /// One of them has a mission of higher priority.
    Priority,
    /// The longer wait.
    Waited,
    /// The smaller id.
    Id,
    /// It was decided before, and the winner is already passing.
    Underway,
    /// The other has promised to yield.
    Promise,
    /// Robots wait for each other in a cycle: the strongest claim in it goes.
    Ring,
}

/// A place to plan around, in the map's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Obstacle {
    /// Centre, in the map's frame.
    pub position: Point,
    /// How far from it the centre of the own robot has to stay.
    pub radius: Meters,
}
