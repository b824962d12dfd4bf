//! What robots say to each other.

use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Pose};
use crate::ids::{AgentId, BootId};
use crate::mission::Priority;
use crate::time::WallTime;
use crate::units::Meters;

/// Most points of its way a robot tells its peers.
pub const INTENT_PATH_MAX: usize = 32;

/// What a robot is doing, as its peers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentState {
    /// Nothing to do.
    #[default]
    Idle,
    /// On the way to its work.
    MovingToStart,
    /// Working on its task.
    Executing,
    /// Carries a load to its place.
    CarryingPayload,
    /// Gets out of someone's way.
    Yielding,
    /// Stands because someone else goes first.
    Waiting,
    /// On the way home.
    Returning,
    /// At the charger.
    Charging,
    /// Held by a person or a failsafe.
    Stopped,
    /// Cannot go on by itself.
    Fault,
}

/// What decides who goes first. Compared field by field, the greater goes first; see `skein-coord` for the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightOfWay {
    /// In an emergency.
    pub emergency: bool,
    /// Carries a payload.
    pub carrying: bool,
    /// Of its mission.
    pub priority: Priority,
    /// How long it has been waiting, in whole steps of [`WAIT_STEP`], so that it rarely changes.
    pub waited_steps: u16,
    /// Whose claim this is: its own id, or that of the robot on whose behalf it moves (inherited).
    pub claimant: AgentId,
}

impl RightOfWay {
    /// A robot's own claim on an ordinary mission: no emergency, no payload, not waiting.
    #[must_use]
    pub const fn ordinary(claimant: AgentId) -> Self {
        Self { emergency: false, carrying: false, priority: Priority::NORMAL, waited_steps: 0, claimant }
    }
}

/// The waiting time that counts as one step of [`RightOfWay::waited_steps`].
pub const WAIT_STEP: Duration = Duration::from_secs(5);

/// Said ten times a second by every robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Name of the robot that published it.
    pub sender: AgentId,
    /// Boot id: made anew at each start of the robot's process, so that a restart is not taken for a late message.
    pub boot: BootId,
    /// Rises by one each message of this boot.
    pub sequence: u64,
    /// The sender's wall clock, for the record only.
    pub sent_at: WallTime,
    /// Where it believed it was when the pose was measured.
    pub pose: Pose,
    /// How old the pose was when the message was sent.
    pub pose_age: Duration,
    /// Velocity in the map's frame, m/s.
    pub velocity: Point,
    /// Radius of its footprint.
    pub radius: Meters,
    /// The next points of its way, nearest first, in the map's frame; empty when it means to stay.
    pub path: Vec<Point>,
    /// What it is doing.
    pub state: AgentState,
    /// Its claim to go first.
    pub right_of_way: RightOfWay,
    /// The sender has no path out of the way: a robot that meets it must yield.
    pub cornered: bool,
    /// For whom it waits or moves aside.
    pub yields_to: Option<AgentId>,
}

impl Intent {
    /// The first message of a robot that stands at a pose and claims nothing; others are made from it field by field.
    #[must_use]
    pub fn standing(sender: AgentId, boot: BootId, pose: Pose, radius: Meters) -> Self {
        Self {
            right_of_way: RightOfWay::ordinary(sender.clone()),
            sender,
            boot,
            sequence: 1,
            sent_at: WallTime::default(),
            pose,
            pose_age: Duration::ZERO,
            velocity: Point::default(),
            radius,
            path: Vec::new(),
            state: AgentState::Idle,
            cornered: false,
            yields_to: None,
        }
    }
}

/// What kind of danger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardKind {
    /// The floor ends.
    Cliff,
    /// A person.
    Person,
    /// Something in the way that is on no map.
    Obstacle,
    /// A robot that cannot move.
    Breakdown,
}

impl HazardKind {
    /// Stays where it is until somebody sees otherwise; the others move and expire.
    #[must_use]
    pub const fn is_static(self) -> bool {
        match self {
            Self::Cliff | Self::Obstacle => true,
            Self::Person | Self::Breakdown => false,
        }
    }
}

/// Largest footprint that a robot may claim.
pub const INTENT_RADIUS_MAX: Meters = Meters(3.0);
/// Largest hazard that one message may report.
pub const HAZARD_RADIUS_MAX: Meters = Meters(2.0);
/// Longest that a hazard is believed without being reported again.
pub const HAZARD_LIFE_MAX: Duration = Duration::from_secs(10);
/// Two hazards of one kind nearer than this are the same hazard.
pub const HAZARD_SAME_PLACE: Meters = Meters(0.5);
/// Most static hazards of the shared map in one message.
pub const MAP_HAZARDS_MAX: usize = 256;

/// A static hazard of the map that the fleet shares, with where the knowledge comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapHazard {
    /// Cliff or obstacle.
    pub kind: HazardKind,
    /// Centre, in the map's frame.
    pub position: Point,
    /// How far it reaches.
    pub radius: Meters,
    /// The robot that sensed it, or that saw it gone.
    pub reporter: AgentId,
    /// The reporter's boot.
    pub boot: BootId,
    /// Version of the entry at this place: a change is one above the highest that its reporter knew there.
    pub sequence: u64,
    /// When it was sensed, on the reporter's wall clock: for people.
    pub seen_at: WallTime,
    /// The reporter saw that it is not there any more.
    pub cleared: bool,
}

impl MapHazard {
    /// Whether the entry is about a hazard of this kind at this position.
    #[must_use]
    pub fn is_at(&self, kind: HazardKind, position: Point) -> bool {
        self.kind == kind && self.position.distance(position) < HAZARD_SAME_PLACE.0
    }

    /// Whether this entry replaces another of the same place: the higher version does, and of two with the same
    /// version the one that is not cleared. A total order, so the order of arrival does not matter.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        let rank = |entry: &Self| (entry.sequence, !entry.cleared, entry.reporter.clone(), entry.boot);
        rank(self) > rank(other)
    }
}

/// A danger one robot saw and all should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hazard {
    /// Who saw it.
    pub reporter: AgentId,
    /// The reporter's boot.
    pub boot: BootId,
    /// Rises by one each hazard message of the reporter's boot.
    pub sequence: u64,
    /// Kind of the hazard; static kinds become part of the shared map.
    pub kind: HazardKind,
    /// Where, in the map's frame.
    pub position: Point,
    /// How far it reaches.
    pub radius: Meters,
    /// Forgotten after this unless repeated.
    pub time_to_live: Duration,
    /// Time from the sensing tick to the sending of the message.
    pub age: Duration,
    /// The reporter's wall clock, for the record only.
    pub seen_at: WallTime,
}
