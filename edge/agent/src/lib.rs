//! World model, mission, behaviour and the 20 Hz cycle of a robot.
//!
//! [`Agent`] is the tactical plane of one robot: it believes where it is and what is around ([`status::WorldStatus`]),
//! carries out the supervisor's orders, agrees with its peers through `skein-coord`, and tells the reflex twenty times
//! a second how to move. It has the one shape of a core: one mutation per [`Agent::handle`], outputs drained with
//! [`Agent::poll_output`], the next moment it wants to be woken from [`Agent::next_deadline`]. It reads no clock and
//! opens nothing; the robot's process and the simulator drive it alike.
//!
//! ```text
//!   Sensors ──> sensed (where am I) ──> evidence (what is on no map) ─┐
//!   Command ──> orders ──> mission ──> behave (what now, where to) ───┤
//!   Intent, Hazard ──> coord (who goes first) ────────────────────────┤
//!                                                                     v
//!                             navigate (a way) ──> route ──> follow ──> Setpoint
//!                                                  recover (when stuck) ─┘
//! ```
//!
//! # Invariants
//!
//! 1. No setpoint moves the body while a latch is set, the motors have no power or the robot does not know where it is.
//! 2. A command takes effect at most once; a stale or expired one never, except STOP and KILL, which always do.
//! 3. What was swept stays swept when a newer order of the same mission replaces the region.
//! 4. Every order ends in exactly one of done, failed or cancelled, with a reason.
//! 5. A place is given up only with a reason that is reported and recorded.
//! 6. Every setpoint expires after [`SETPOINT_LIFE`]; outputs per input are bounded.

mod agent;
mod behave;
mod course;
mod cycle;
mod evidence;
mod follow;
mod io;
mod manual;
mod mission;
mod navigate;
mod obey;
mod orders;
mod record;
mod recover;
mod report;
mod route;
mod sensed;
mod squares;
pub mod status;
mod survey;
mod tell;
mod terrain;

pub use crate::agent::Agent;
pub use crate::io::{
    AgentConfig, CYCLE, Input, OVERRIDE_TTL_MAX, Output, OverrideCommand, OverrideWish, SETPOINT_LIFE, Why,
};
pub use crate::status::AgentStatus;
