//! One agent, or two, in a closed loop with bodies without inertia: the stories it must get right, and the laws of a
//! core. One binary, so that what the parts share is compiled once.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod authority;
mod closed_loop;
mod core_laws;
mod example;
mod failsafe;
mod hazards;
mod rig;
mod with_peers;
