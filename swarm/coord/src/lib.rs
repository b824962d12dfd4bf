//! Coordination of a robot with its peers: presence, hazards and right of way.
//!
//! [`Coord`] receives what peers publish ([`Input::Intent`], [`Input::Hazard`], [`Input::PeerAlive`]) and the state of
//! its own robot ([`Input::Own`], [`Input::HazardSeen`]). It publishes the own [`Intent`] ten times a second
//! ([`Output::PublishIntent`]) and answers one question per control cycle ([`Coord::guidance`]): may the robot go on
//! along its path, must it wait, or must it make way?
//!
//! It has the shape of every core: one mutation per [`Coord::handle`], outputs drained with [`Coord::poll_output`],
//! the next wake-up from [`Coord::next_deadline`]. It reads no clock and does no I/O.
//!
//! # Right of way
//!
//! Both sides of an encounter compare the same two claims and come to the same answer without asking ([`claim`]).
//! The loser holds before the winner's path begins, or, when it already stands on it, leaves it: along its own path
//! where that leads out, else to the nearest place beside. While it stands on a winner's path it moves with the
//! winner's claim (priority inheritance), so that robots behind it make way in turn. A robot that cannot get out
//! publishes `cornered`, and then the robot that meets it must back out. This is PIBT (Okumura et al., 2019) for
//! continuous paths: the robot with the greatest claim is never blocked for good, and waiting makes every claim grow.
//!
//! # Invariants
//!
//! 1. A late or repeated message of a peer changes nothing, and no message hides a peer that goes on publishing
//!    (`peers`).
//! 2. A peer that was silent for [`SILENCE_MAX`] is lost, and reported lost once (`peers`).
//! 3. A motion that opens the distance to a peer is never held back on that peer's account (`path_conflict`).
//! 4. Of two robots with fresh intents of each other exactly one goes first (`claim`).
//! 5. Every table is bounded: peers, hazards, the shared map, points of a path, cells of a search. What a full table
//!    keeps is what is nearest to the robot; a crowd of names that no floor can hold displaces no peer that was there
//!    or is seen (`admission`). What one sender can add, block or claim is bounded (`peers`, `hazards`,
//!    `hazard_map`, `privilege`).
//! 6. `conflict` only reads; `decide` alone changes the state kept from cycle to cycle (`coord_state`).

mod admission;
pub mod claim;
mod commitments;
mod config;
mod conflict;
mod coord;
mod coord_state;
mod decide;
mod guidance;
mod hazard_map;
mod hazard_view;
mod hazards;
mod intent_publisher;
mod messages;
mod own_state;
mod path_conflict;
mod peer;
mod peers;
mod planned_path;
mod privilege;
mod sight;
#[cfg(test)]
mod testing;
mod token_bucket;
mod trust;
mod yield_search;

pub use crate::config::CoordConfig;
pub use crate::coord::Coord;
pub use crate::guidance::{Guidance, HoldReason, Obstacle, PrecedenceReason};
pub use crate::hazard_map::MAP_HAZARDS_KNOWN_MAX;
pub use crate::hazards::{
    HAZARD_AREA_PER_REPORTER_MAX, HAZARD_TIME_TO_LIVE, HAZARDS_KNOWN_MAX, HAZARDS_PER_REPORTER_MAX,
};
pub use crate::intent_publisher::INTENT_PERIOD;
pub use crate::messages::{Input, Output, TimerKind};
pub use crate::own_state::OwnState;
pub use crate::peer::{POSE_AGE_MAX, PeerView, SILENCE_MAX};
pub use crate::peers::PEERS_KNOWN_MAX;
pub use crate::sight::Sight;

/// Free distance that is kept between two footprints wherever the path allows it, metres.
pub const PEER_CLEARANCE: f64 = 0.25;

#[cfg(doc)]
use skein_types::coord::Intent;
