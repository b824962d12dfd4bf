//! The supervisor's process: one port for robots, people and programs, around one owner of the supervisor's core.
//!
//! ```text
//! robots  --gRPC-->  links  --\                      /-->  robots' streams
//! people  --gRPC-->  control --+--> owner (thread) --+-->  answers
//! people  --REST-->  rest   --/      | core, store    \-->  pictures at 10 Hz, notice of new events
//!                                    v
//!                               SQLite in the state folder
//! ```
//!
//! The owner takes what came in, lets the core decide, commits every record of that round in one transaction, and only
//! then sends commands and answers. Every queue is bounded; robots that talk too fast are slowed by the stream's own
//! flow control, viewers that read too slowly miss pictures, never events.

pub mod cli;
pub mod clock;
pub mod config;
mod control;
mod events;
mod links;
pub mod mapfile;
mod meter;
mod owner;
mod problem;
mod rest;
pub mod serve;
mod store;
mod watch;
mod zone;
