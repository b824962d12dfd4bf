//! Wire to domain (`TryFrom`, which checks everything) and domain to wire (`From`), a module for each schema file.

mod authority;
mod common;
mod event;
mod fleet;
mod link;
mod mission;
mod swarm;
mod telemetry;

pub(crate) use fleet::{durability, durability_fields};
