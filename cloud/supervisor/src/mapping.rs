//! Robots report static hazards; the supervisor keeps the map of them, tells the other robots and plans around it.

use serde_json::json;
use skein_types::coord::{MAP_HAZARDS_MAX, MapHazard};
use skein_types::event::EventKind;
use skein_types::ids::AgentId;
use skein_types::link::Order;
use skein_types::region::{Region, RegionError};
use skein_types::time::MonoTime;

use crate::record::Record;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// A robot reports static hazards that it sensed, learned of or saw gone.
    pub(crate) fn on_hazards(&mut self, now: MonoTime, agent: &AgentId, reported: Vec<MapHazard>) {
        let mut changed = Vec::new();
        for hazard in reported.into_iter().take(MAP_HAZARDS_MAX) {
            if self.hazards.take(&hazard, agent) {
                changed.push(hazard);
            }
        }
        if changed.is_empty() {
            return;
        }
        let revision = self.out.next_revision();
        self.hazards.set_revision(revision);
        self.out.persist(Record::Hazards(self.hazards.all()));
        for hazard in &changed {
            let payload = json!({
                "robot": agent.as_str(), "reporter": hazard.reporter.as_str(), "kind": hazard.kind,
                "x": hazard.position.x, "y": hazard.position.y, "radius_m": hazard.radius.0, "cleared": hazard.cleared,
            });
            self.out.emit_event(now, EventKind::Safety, "map_hazard", &payload);
        }
        let others: Vec<AgentId> = self
            .robots
            .iter()
            .filter(|(name, robot)| robot.presence.is_connected() && *name != agent)
            .map(|(n, _)| n.clone())
            .collect();
        for other in others {
            self.send_unacknowledged(&other, Order::Hazards(changed.clone()));
        }
    }

    /// A robot that connects gets the whole map.
    pub(crate) fn send_hazards(&mut self, agent: &AgentId) {
        let all = self.hazards.all();
        if !all.is_empty() {
            self.send_unacknowledged(agent, Order::Hazards(all));
        }
    }

    /// The cells of a region that no hazard of the map covers.
    pub(crate) fn without_hazards(&self, region: &Region) -> Result<Region, RegionError> {
        if self.hazards.present().next().is_none() {
            return Ok(region.clone());
        }
        let frame = *region.frame();
        let covered = |cell: &u32| {
            let center = frame.center_of(*cell);
            self.hazards.present().any(|hazard| hazard.position.distance(center) <= hazard.radius.0)
        };
        let blocked: Vec<u32> = region.cells().filter(covered).collect();
        region.difference(&Region::from_cells(frame, blocked)?)
    }
}
