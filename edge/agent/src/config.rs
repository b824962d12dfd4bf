//! Configuration of one agent.

use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_types::body::BodyDescriptor;
use skein_types::failsafe::{CLOUD_LOST, LossRule, MESH_LOST};
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, FleetId, OperatorId};
use skein_types::limits::{BATTERY_CRITICAL, BATTERY_LOW, CHARGED};

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
    /// A mesh is configured: at its start and after a suspension the robot holds until it hears its peers again, for at
    /// most [`crate::PEER_WAIT_MAX`].
    pub mesh: bool,
    /// Charge at which it interrupts its task and charges, percent.
    pub charge_below: f64,
    /// Charge at which it continues its task, percent.
    pub charge_until: f64,
    /// Charge at which it stands (on wheels) or lands (in the air), percent.
    pub critical_below: f64,
    /// Charge at which it moves again after that, unless it is at its charger, percent.
    pub critical_until: f64,
    /// What it does while a link is lost.
    pub failsafe: FailsafePolicy,
    /// The operator who had control when the process ended and has not given it back.
    pub manual: Option<OperatorId>,
}

/// The rules for both links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailsafePolicy {
    /// No supervisor answers.
    pub cloud_lost: LossRule,
    /// The mesh is down.
    pub mesh_lost: LossRule,
}

impl Default for FailsafePolicy {
    /// The rules of the failsafe table: without the supervisor the robot continues; without the mesh it holds for 2 s and
    /// then continues, at half speed.
    fn default() -> Self {
        Self { cloud_lost: CLOUD_LOST, mesh_lost: MESH_LOST }
    }
}

impl AgentConfig {
    /// The defaults: the thresholds and rules of the failsafe table, and a mesh.
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
        Self {
            id,
            fleet,
            boot,
            home,
            descriptor,
            map,
            seed,
            mesh: true,
            charge_below: BATTERY_LOW.enter.get(),
            charge_until: CHARGED.get(),
            critical_below: BATTERY_CRITICAL.enter.get(),
            critical_until: BATTERY_CRITICAL.leave.get(),
            failsafe: FailsafePolicy::default(),
            manual: None,
        }
    }

    /// Area of one cell of the planning grid, m².
    pub(crate) fn cell_area(&self) -> f64 {
        self.map.frame().resolution.powi(2)
    }
}
