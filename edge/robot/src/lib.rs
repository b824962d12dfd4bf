//! One robot without its I/O: the state machines between the agent, the reflex, the body, the peers and the supervisor,
//! written once and driven by the robot's process (`edge/node`) and by the simulator (`sim/harness`).
//!
//! | module | what it is |
//! |---|---|
//! | [`latch`] | who stops and releases the robot, what must be on disk before an ack, what is passed on to peers |
//! | [`rt`] | one tick of the real-time thread |
//! | [`hazard`] | dangers on the straight path, out of a tick and into one |
//! | [`tactical`] | one round of the agent's thread |
//! | [`outbox`] | what waits for the supervisor |
//! | [`link`] | the connection to the supervisor and where its commands belong |
//! | [`backoff`] | pauses between attempts |
//! | [`robot`] | all of it composed for one thread and a virtual clock |
//!
//! STOP does not pass through the tactical side: every writer changes the [`latch::LatchAuthority`] under a lock that is
//! never held over I/O, and the first output of that change is the [`LatchView`](skein_types::authority::LatchView) that the next tick reads.

pub mod backoff;
pub mod hazard;
pub mod latch;
pub mod link;
pub mod outbox;
pub mod robot;
pub mod rt;
pub mod tactical;

pub use robot::{Robot, RobotConfig, RobotInput, RobotOutput};
