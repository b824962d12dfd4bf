//! The supervisor's process: one port for robots, people and programs, around one actor that owns the core.
//!
//! ```text
//! robots  --gRPC--> robot_links --\                            /--> robots' streams
//! people  --gRPC--> control -------+--> core actor (thread) --+---> answers
//! people  --REST--> rest ---------/      | core, store         \--> snapshots at 10 Hz, notice of new events
//!                                        v
//!                                   SQLite in the state folder
//!
//! STOP, KILL --> stop_lane --> robots' streams, before and beside all of the above
//! ```
//!
//! The core actor takes what came in, lets the core decide, commits every record of that round in one transaction, and
//! only then sends commands and answers. Every queue is bounded; robots that report too fast are slowed by the stream's
//! own flow control, viewers that read too slowly miss snapshots, never events.

pub mod cli;
pub mod clock;
pub mod config;
mod control;
mod core_actor;
mod events;
mod extractors;
mod latching;
mod ledger;
pub mod mapfile;
mod meter;
mod problem;
mod proof;
mod rest;
mod robot_links;
pub mod serve;
mod stop_lane;
mod store;
mod viewer;
mod zone;
