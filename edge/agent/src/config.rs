//! Configuration of one agent.

use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, FleetId};

/// Everything an agent needs to know before its first input.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The robot's name, unique in its fleet.
    pub id: AgentId,
    /// The fleet it belongs to.
    pub fleet: FleetId,
    /// This start of its process.
    pub boot: BootId,
    /// Where it returns to and charges, `map_from_body`.
    pub home: Pose,
    /// The body it drives.
    pub descriptor: BodyDescriptor,
    /// The static map that the whole fleet plans on.
    pub map: Arc<PlanningMap>,
    /// Seed of the random part of event ids, so that a run repeats itself.
    pub seed: u64,
    /// Charge below which it interrupts its task and charges, percent.
    pub charge_below: f64,
    /// Charge at which it continues its task, percent.
    pub charge_until: f64,
}

impl AgentConfig {
    /// The default thresholds: charges below 20 % and until 80 %.
    #[must_use]
    pub fn new(
        id: AgentId,
        fleet: FleetId,
        boot: BootId,
        home: Pose,
        descriptor: BodyDescriptor,
        map: Arc<PlanningMap>,
        seed: u64,
    ) -> Self {
        Self { id, fleet, boot, home, descriptor, map, seed, charge_below: 20.0, charge_until: 80.0 }
    }

    /// Area of one cell of the planning grid, m².
    pub(crate) fn cell_area(&self) -> f64 {
        self.map.frame().resolution.powi(2)
    }
}
