//! Identity and size of the robot that a [`crate::Coord`] coordinates.

use skein_types::ids::{AgentId, BootId};
use skein_types::units::Meters;

/// Fixed for the lifetime of a [`crate::Coord`].
#[derive(Clone, Debug, PartialEq)]
pub struct CoordConfig {
    /// Name of the robot.
    pub id: AgentId,
    /// Boot of its process: intents and hazards are numbered within it.
    pub boot: BootId,
    /// Radius of its footprint.
    pub radius: Meters,
}
