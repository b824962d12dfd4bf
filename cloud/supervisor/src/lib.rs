//! The supervisor's core: takes missions, splits them, assigns each robot its slice, follows the progress, and moves
//! work when a robot fails, is stopped, is lost or has nothing to do.
//!
//! ```text
//! operators  Request --> commands --> missions --> dispatch: split, reclaim, rebalance, completion --> orders to robots
//! robots     Hello, Ack, Progress, Telemetry, Events --> robot_link, progress --> reconcile --> view, records
//! ```
//!
//! It has the shape of every core here: [`Supervisor::handle`] for one mutation, [`Supervisor::poll_output`] until
//! `None`, [`Supervisor::next_deadline`]. Same inputs, same outputs. Records come before the commands that depend on
//! them.
//!
//! Invariants:
//! 1. An accepted mission ends in exactly one of DONE, FAILED and CANCELLED, and stays there.
//! 2. Every cell of a survey is swept, in exactly one robot's slice, unowned, or residual.
//! 3. Generations of the orders to one robot only rise, over restarts too: each order makes all earlier ones stale.
//! 4. A command is sent until it is answered or pointless, always with the same id.
//! 5. A latch that was asked for is durable, and is sent until the robot reports it; a release never undoes a later STOP.
//! 6. While records cannot be made durable no mission is accepted; STOP, KILL and the missions under way go on.

mod alarms;
mod alerting;
mod allocation;
mod api;
mod area;
mod assignment;
mod authority;
mod commands;
mod completion;
mod dispatch;
mod evidence;
mod guard;
mod hazards;
mod identity;
mod journal;
mod latches;
mod leases;
mod leasing;
mod mapping;
mod mission;
mod missions;
mod outbound;
mod preview;
mod progress;
mod rebalance;
mod recent;
mod reclaim;
mod record;
mod refusal;
mod robot;
mod robot_link;
mod roster;
mod split;
mod supervisor;
mod view;

pub use api::{
    Answer, Input, LeaseView, OperatorCommand, OperatorRequest, Output, ReleaseCommand, RobotTargets, StorageState,
    SupervisorConfig, TimerKind, Worker,
};
pub use journal::SUPERVISOR;
pub use record::{LatchRecord, LeaseRecord, MissionRecord, Record, RecordTable, RobotRecord, SliceRecord};
pub use refusal::Refusal;
pub use supervisor::Supervisor;
