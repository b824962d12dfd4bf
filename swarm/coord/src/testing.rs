//! What several tests need.

use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::config::CoordConfig;

pub(crate) fn at(ms: u64) -> MonoTime {
    MonoTime::from_millis(ms)
}

pub(crate) fn intent(name: &str, boot: u128, sequence: u64) -> Intent {
    let boot = BootId(uuid::Uuid::from_u128(boot));
    let standing = Intent::standing(AgentId::new(name).unwrap(), boot, Pose::default(), Meters(0.25));
    Intent { sequence, state: AgentState::Executing, ..standing }
}

pub(crate) fn config(name: &str) -> CoordConfig {
    CoordConfig { id: AgentId::new(name).unwrap(), boot: BootId(uuid::Uuid::from_u128(9)), radius: Meters(0.25) }
}
