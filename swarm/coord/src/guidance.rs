//! What a robot is told to do about its peers, and why.

use serde::{Deserialize, Serialize};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::units::Meters;

/// What the robot may do in this cycle. It holds until the next answer, and leaves no choice but how to drive it.
#[derive(Clone, Debug, PartialEq)]
pub enum Guidance {
    /// Nothing within the horizon stands against going on along the own way.
    Go,
    /// Go on along the own way, but come to rest no farther than this.
    Hold {
        /// Along the own way from the present place; zero means stand.
        at_distance: Meters,
        /// On whose account.
        for_agent: AgentId,
        /// TimerKind.
        reason: HoldReason,
    },
    /// Leave the own way: drive this one to its end, and stand there. It starts at the present place, is free of
    /// walls, and is already cut where others must be waited for, so it may be no longer than a point. When the
    /// answer is something else again, the own way has to be planned anew from wherever the robot is then.
    MoveAside {
        /// The way, in the map's frame.
        path: Vec<Point>,
        /// For whom.
        for_agent: AgentId,
    },
}

/// Why a robot has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The other goes first where the two ways meet.
    GiveWay,
    /// The other is on the way and moves, or will, because it has to make room.
    Follow,
    /// No place to move aside to was found; the other has to back out.
    Cornered,
    /// The other is on the way and will not move by itself: plan around it, see [`crate::Coord::obstacles`].
    Obstacle,
}

/// What decided between two claims; see [`crate::claim`] for the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecedenceReason {
    /// One of them moves on behalf of the other, or both of the same third.
    Behalf,
    /// One cannot get out of the way.
    Cornered,
    /// One wants to go somewhere, the other does not.
    Wants,
    /// An emergency.
    Emergency,
    /// A payload.
    Carrying,
    /// The priority of the mission.
    Priority,
    /// The longer wait.
    Waited,
    /// The smaller id.
    Id,
    /// It was decided before, and the other is on its way through.
    Underway,
    /// The other has said that it yields.
    Promise,
    /// Three or more wait for each other in a ring: the strongest claim in it goes.
    Ring,
}

/// A place to plan around, in the map's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Obstacle {
    /// Its centre.
    pub position: Point,
    /// How far from it the centre of the own robot has to stay.
    pub radius: Meters,
}
