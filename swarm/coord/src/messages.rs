//! What goes into the core, what comes out, and why it wants to be woken.

use skein_types::coord::{Hazard, HazardKind, Intent, MapHazard};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::units::Meters;

use crate::guidance::PrecedenceReason;
use crate::own_state::OwnState;
use crate::sight::Sight;

/// What the core is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Intent of a peer.
    Intent(Intent),
    /// Intent of a peer, with what the own lidar says of its position.
    SightedIntent {
        /// What the peer published.
        intent: Intent,
        /// Whether something is there.
        sight: Sight,
    },
    /// Hazard reported by a peer.
    Hazard(Hazard),
    /// Entry of the shared hazard map, from a peer.
    MapHazard {
        /// The peer that sent it, not always the one that sensed it.
        from: AgentId,
        /// What it says.
        entry: MapHazard,
    },
    /// Entries of the shared hazard map, from the supervisor.
    MapHazards(Vec<MapHazard>),
    /// A peer came or went according to the mesh (its liveliness token).
    PeerAlive {
        /// Name of the peer.
        agent: AgentId,
        /// Whether it came.
        alive: bool,
    },
    /// State of the own robot.
    Own(OwnState),
    /// The own robot senses a hazard.
    HazardSeen {
        /// What it is.
        kind: HazardKind,
        /// Its centre, in the map's frame.
        position: Point,
        /// How far it reaches.
        radius: Meters,
    },
    /// The own robot sees that a place is free of a static hazard.
    HazardGone {
        /// What is not there.
        kind: HazardKind,
        /// Where, in the map's frame.
        position: Point,
    },
    /// A deadline came.
    Wake,
}

/// What the core wants done or recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To be sent to all peers.
    PublishIntent(Intent),
    /// To be sent to all peers at once.
    PublishHazard(Hazard),
    /// To be sent to all peers: an entry of the shared hazard map.
    PublishMapHazard(MapHazard),
    /// An entry of the shared hazard map changed, by this robot or by a peer: for the record and the supervisor.
    MapHazard(MapHazard),
    /// A peer appeared, or restarted.
    PeerSeen(AgentId),
    /// A peer left, or has been silent for [`crate::SILENCE_MAX`].
    PeerLost(AgentId),
    /// A peer promised to yield to this robot and advanced into its path.
    TrustViolation {
        /// Name of the peer.
        agent: AgentId,
        /// Distance it moved into the path it promised to clear.
        advanced: Meters,
        /// Trust that is left, 0 to 1.
        trust: f64,
    },
    /// Messages of two senders arrive under one name. Both are kept clear of.
    IdentityConflict {
        /// The name that both use.
        agent: AgentId,
        /// Boot of the message that does not continue what the peer published.
        boot: BootId,
    },
    /// This robot begins to yield to a peer.
    Yielding {
        /// Name of the peer.
        to: AgentId,
        /// The rule that decided.
        reason: PrecedenceReason,
    },
    /// This robot no longer yields.
    Proceeding {
        /// The peer to which it yielded.
        after: AgentId,
    },
}

/// Why the core wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// The next own intent is due.
    Intent,
    /// A peer has been silent for [`crate::SILENCE_MAX`].
    PeerSilence,
    /// The life of a hazard ends.
    HazardExpiry,
    /// An entry of the shared hazard map is to be announced.
    MapAnnouncement,
}
