//! The fleet on a virtual clock: robots, bodies and the supervisor, with every message through the real wire encoding.
//! Time jumps to whatever is next: a message, a tick, a deadline. The same configuration gives the same bytes.
//!
//! - [`Fleet`] runs the clock and routes what happens;
//! - `event_queue` and `network` say what arrives when, and what becomes of it while a fault lasts;
//! - `sim_robot` and `sim_supervisor` drive the cores as their processes do;
//! - `monitor` watches the true state of the place, `report` is what came of the run.

mod config;
mod event_queue;
mod fault;
mod faults;
mod links;
mod monitor;
mod network;
mod presence;
mod random;
mod report;
mod run;
mod sim_robot;
mod sim_supervisor;
mod summary;

use skein_types::ids::NameError;
use skein_world::WorldError;
use thiserror::Error;

pub use config::FleetConfig;
pub use fault::{FaultKind, FaultSpec, FaultSpecError, Impairment, LinkKind};
pub use monitor::{Incident, RobotSample, SEPARATION_MARGIN, Sample};
pub(crate) use random::mixed;
pub use report::{Check, FleetReport, MissionReport, RobotReport};
pub use run::Fleet;

use crate::place::PlaceError;

/// Why a run cannot begin.
#[derive(Debug, Error)]
pub enum FleetError {
    /// Place, zone and robots do not fit.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The world refused.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A robot's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A fault names a robot that does not exist.
    #[error("a fault names robot {0}; there are {1}")]
    NoRobot(usize, usize),
}
