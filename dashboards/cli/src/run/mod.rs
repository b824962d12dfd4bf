//! The processes of a simulated fleet: found, started, supervised, measured and ended.

mod child;
mod directory;
mod fleet;
mod plan;
mod ports;
mod process;
pub(crate) mod procfs;
pub(crate) mod programs;
mod recipes;
mod restart;
mod sample;
mod supervised;

pub(crate) use child::become_child_if_asked;
pub(crate) use directory::{ProcessRecord, RunDirectory, RunRecord, write_whole};
pub(crate) use fleet::Fleet;
pub(crate) use plan::{Plan, Purpose};
pub(crate) use ports::is_free;
pub(crate) use process::Measured;
