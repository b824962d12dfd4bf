//! PeerTable, hazards and right of way among robots.
//!
//! [`Coord`] is the part of a robot that agrees with its peers who goes where. It hears what they say
//! ([`Input::Intent`], [`Input::Hazard`], [`Input::PeerAlive`]), is told what its own robot does ([`Input::Own`],
//! [`Input::HazardSeen`]), says its own [`Intent`] ten times a second ([`Output::PublishIntent`]) and answers one question per
//! control cycle: [`Coord::guidance`], may the robot go on along its way, must it wait, or must it move aside.
//!
//! It has the one shape of a core: one mutation per [`Coord::handle`], outputs drained with [`Coord::poll_output`],
//! the next moment it wants to be woken from [`Coord::next_deadline`]. It reads no clock and opens nothing.
//!
//! # Right of way
//!
//! Both sides of an encounter compare the same two claims and come to the same answer without asking ([`claim`]).
//! The loser holds before the winner's way begins, or, when it already stands on it, gets out of it: along its own
//! way where that leads out, else to the nearest place beside. While it stands in someone's way it moves with that
//! robot's claim (priority inheritance), so whoever stands behind it makes room in turn; one that cannot get out says
//! `cornered`, and then whoever meets it must. This is PIBT (Okumura et al., 2019) carried over to continuous ways:
//! the robot with the greatest claim is never blocked for good, and waiting makes every claim grow.
//!
//! # Invariants
//!
//! 1. A message older than one already heard from the same life of a peer changes nothing (`presence`).
//! 2. A peer that was silent for [`SILENCE_MAX`] is lost, and said to be lost once (`presence`).
//! 3. A motion that opens the distance to a peer is never held back on that peer's account (`conflict`).
//! 4. Of two robots with fresh intents of each other exactly one goes first (`claim`).
//! 5. Every table is bounded: peers, hazards, points of a way, squares of a search.

pub mod claim;
mod conflict;
mod coord;
mod coord_state;
mod decide;
mod guidance;
mod hazards;
mod own_state;
mod path_conflict;
mod peers;
mod planned_path;
#[cfg(test)]
mod testing;
mod trust;
mod yield_search;

pub use crate::coord::{Coord, CoordConfig, INTENT_PERIOD, Input, Output, TimerKind};
pub use crate::guidance::{Guidance, HoldReason, Obstacle, PrecedenceReason};
pub use crate::hazards::{HAZARD_TIME_TO_LIVE, HAZARDS_KNOWN_MAX, TIME_TO_LIVE_MAX};
pub use crate::own_state::OwnState;
pub use crate::peers::{PEERS_KNOWN_MAX, PeerView, SILENCE_MAX};

/// Free distance that is kept between two footprints wherever the way allows it.
pub const PEER_CLEARANCE: f64 = 0.25;

#[cfg(doc)]
use skein_types::coord::Intent;
