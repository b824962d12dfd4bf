//! Localization, tasks, behavior and path following of one robot: the tactical plane at 20 Hz.
//!
//! [`Agent`] estimates where the robot is and what is around it ([`status::WorldStatus`]), carries out the supervisor's
//! assignments, agrees with its peers through `skein-coord`, and commands the reflex twenty times a second. It has the
//! shape of a core: one mutation per [`Agent::handle`], outputs drained with [`Agent::poll_output`], the next deadline
//! from [`Agent::next_deadline`]. It reads no clock and does no I/O; the robot's process and the simulator drive it alike.
//!
//! ```text
//!   Sensors ──> localization (pose filter, obstacle layer) ─────────────────┐
//!   Command ──> tasking (command log, active task) ──> tasks/* ──> Behavior ┤
//!   Intent, Hazard ──> coordination (who goes first) ───────────────────────┤
//!   Override, Link, Reflex ──> safety ──────────────────────────────────────┤
//!                                                                           v
//!                     control_loop ──> navigation (planner, controller, recovery) ──> Setpoint
//! ```
//!
//! Each part owns its state; `agent` only routes. What leaves the agent goes through `reporting`.
//!
//! # Invariants
//!
//! 1. No setpoint moves the body while a latch is set, the motors have no power or the pose is unknown.
//! 2. A command takes effect at most once; a stale or expired one, or one of a lower term, never. Latches are no commands:
//!    the agent obeys the registers of [`Input::Latch`] and owns none.
//! 3. After a manual command the robot stands until control is given back; no timeout resumes its task.
//! 4. Covered cells stay covered when a newer assignment of the same mission replaces the region.
//! 5. Every assignment ends in exactly one of done, failed or cancelled, with a reason.
//! 6. An area is given up only with a reason that is reported and recorded.
//! 7. Every setpoint expires after [`SETPOINT_TTL`]; outputs per input are bounded.

mod agent;
mod behavior;
mod cell_set;
mod config;
mod control_loop;
mod coordination;
mod io;
mod localization;
mod navigation;
mod reporting;
mod safety;
pub mod status;
mod tasking;
mod tasks;

pub use crate::agent::Agent;
pub use crate::config::{AgentConfig, FailsafePolicy};
pub use crate::io::{Input, ManualRefused, OVERRIDE_TTL_MAX, Output, OverrideCommand, OverrideMotion, TimerKind};
pub use crate::navigation::CONTROL_PERIOD;
pub use crate::reporting::SETPOINT_TTL;
pub use crate::safety::peer_wait::PEER_WAIT_MAX;
pub use crate::status::AgentStatus;
