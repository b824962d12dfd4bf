//! The fleet on a virtual clock: robots, bodies and the supervisor, with every message through the real wire encoding.
//! Time jumps to whatever is next: a message, a tick, a deadline. The same configuration gives the same bytes.
//!
//! - [`Fleet`] runs the clock and routes what happens;
//! - `transport` (`event_queue`, `network`) says what arrives when, and what becomes of it while a fault lasts;
//! - `sim_robot`, `disk` and `sim_supervisor` drive the cores as their processes do;
//! - `operators` press STOP, KILL and RELEASE at the supervisor and at debug APIs;
//! - `monitor` watches the true state of the place, `report` is what came of the run.

mod config;
mod disk;
mod event_queue;
mod fault;
mod faults;
mod liar;
mod links;
mod monitor;
mod network;
mod operator;
mod operators;
mod presence;
mod probe;
mod random;
mod report;
mod run;
mod run_record;
mod sim_robot;
mod sim_supervisor;
mod summary;
mod transport;

use skein_types::ids::NameError;
use skein_types::polygon::PolygonError;
use skein_world::WorldError;
use thiserror::Error;

pub use config::FleetConfig;
pub use fault::{FaultKind, FaultSpec, FaultSpecError, Impairment, LinkKind};
pub use monitor::{Incident, RobotSample, SEPARATION_MARGIN, Sample};
pub use operator::{Access, Press, PressAction, PressError};
pub use operators::Acknowledgement;
pub use probe::Probe;
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
    /// The fence is no simple polygon.
    #[error(transparent)]
    Fence(#[from] PolygonError),
    /// A fault or a press names a robot that does not exist.
    #[error("a fault or a press names robot {0}; there are {1}")]
    NoRobot(usize, usize),
}
