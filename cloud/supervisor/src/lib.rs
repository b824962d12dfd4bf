//! The supervisor's core: takes missions in, splits them, gives each robot its part, follows what becomes of it and
//! hands work over when a robot fails, is stopped, gets lost or has nothing to do.
//!
//! ```text
//! people    Request  --> intake --> queue --> split and assign --> Assign, Cancel, Pause, Stop …  --> robots
//! robots    Hello, Ack, Progress, Telemetry, Events --> reconcile, follow, hand over, finish      --> view, record
//! ```
//!
//! It has the one shape of a core: [`Supervisor::handle`] for one mutation, [`Supervisor::poll_output`] until `None`,
//! [`Supervisor::next_deadline`]. Same inputs, same outputs. Records come before the commands that depend on them.
//!
//! What always holds:
//! 1. An accepted mission ends in exactly one of DONE, FAILED and CANCELLED, and never leaves it.
//! 2. Every square of a survey is done, in exactly one robot's part, or waits for a robot.
//! 3. Generations of the orders to one robot only rise, over restarts too: each order makes all earlier ones stale.
//! 4. A command is sent until it is answered, pointless or past its time, always with the same id.

mod api;
mod fleet;
mod intake;
mod journal;
mod lease;
mod mission;
mod refusal;
mod robots;
mod safety;
mod supervisor;
mod tend;
mod terrain;
mod view;
mod work;

pub use api::{
    Answer, Input, LeaseView, MissionRecord, Output, PartRecord, Record, Request, RobotRecord, SupervisorConfig, Whom,
    Why, Wish, Worker,
};
pub use journal::SUPERVISOR;
pub use refusal::Refusal;
pub use supervisor::Supervisor;
