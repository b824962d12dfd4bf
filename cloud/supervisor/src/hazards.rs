//! Static hazards of the map that the fleet shares: reported by robots, durable, planned around, sent to every robot.

use std::collections::BTreeMap;

use serde_json::json;
use skein_types::coord::{HazardKind, MAP_HAZARDS_MAX, MapHazard};
use skein_types::event::EventKind;
use skein_types::ids::AgentId;
use skein_types::link::Order;
use skein_types::region::{Region, RegionError};
use skein_types::time::MonoTime;

use crate::record::Record;
use crate::supervisor::Supervisor;

/// Hazards whose centres are in one square of this side are the same, metres.
const SAME_PLACE: f64 = 0.5;
/// Hazards that one robot may have on the map; its oldest go first.
const PER_REPORTER_MAX: usize = 48;

/// Kind and place of a hazard, rounded to [`SAME_PLACE`].
type Place = (u8, i64, i64);

/// The shared map of static hazards.
#[derive(Clone, Debug, Default)]
pub(crate) struct HazardMap {
    by_place: BTreeMap<Place, MapHazard>,
    revision: u64,
}

impl HazardMap {
    pub(crate) fn list(&self) -> Vec<MapHazard> {
        self.by_place.values().cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// Of the view of the fleet when the map last changed.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn restore(&mut self, hazards: Vec<MapHazard>) {
        self.by_place = hazards.into_iter().map(|hazard| (place_of(&hazard), hazard)).collect();
    }

    /// Takes in what a robot senses or sees gone. `true` when the map changed.
    fn take(&mut self, hazard: &MapHazard) -> bool {
        if !hazard.kind.is_static() {
            return false;
        }
        if hazard.cleared {
            return self.clear(hazard);
        }
        let place = place_of(hazard);
        if self.by_place.get(&place).is_some_and(|known| known.radius.0 >= hazard.radius.0) {
            return false;
        }
        self.make_room(&hazard.reporter);
        self.by_place.insert(place, hazard.clone());
        true
    }

    /// A robot sees that there is nothing: hazards of this kind whose centre it covers go.
    fn clear(&mut self, seen: &MapHazard) -> bool {
        let before = self.by_place.len();
        self.by_place.retain(|_, known| {
            let reach = seen.radius.0.max(SAME_PLACE);
            known.kind != seen.kind || known.position.distance(seen.position) > reach
        });
        self.by_place.len() != before
    }

    /// One robot cannot fill the map: its own oldest entry makes room; when the map is full, the oldest of all.
    fn make_room(&mut self, reporter: &AgentId) {
        let of_reporter = self.by_place.values().filter(|hazard| hazard.reporter == *reporter).count();
        let full = self.by_place.len() >= MAP_HAZARDS_MAX;
        if of_reporter < PER_REPORTER_MAX && !full {
            return;
        }
        let own = of_reporter >= PER_REPORTER_MAX;
        let candidates = self.by_place.iter().filter(|(_, hazard)| !own || hazard.reporter == *reporter);
        let oldest = candidates.min_by_key(|(_, hazard)| hazard.seen_at).map(|(place, _)| *place);
        if let Some(place) = oldest {
            self.by_place.remove(&place);
        }
    }
}

fn place_of(hazard: &MapHazard) -> Place {
    let index = |metres: f64| (metres / SAME_PLACE).floor() as i64;
    let kind = match hazard.kind {
        HazardKind::Cliff => 0,
        _ => 1,
    };
    (kind, index(hazard.position.x), index(hazard.position.y))
}

impl Supervisor {
    /// A robot reports static hazards that it sensed, learned of or saw gone.
    pub(crate) fn on_hazards(&mut self, now: MonoTime, agent: &AgentId, reported: Vec<MapHazard>) {
        let mut changed = Vec::new();
        for hazard in reported.into_iter().take(MAP_HAZARDS_MAX) {
            // Provenance is the robot whose stream this is: no robot fills the map in another's name.
            let hazard = MapHazard { reporter: agent.clone(), ..hazard };
            if self.hazards.take(&hazard) {
                changed.push(hazard);
            }
        }
        if changed.is_empty() {
            return;
        }
        self.hazards.revision = self.out.next_revision();
        self.out.persist(Record::Hazards(self.hazards.list()));
        for hazard in &changed {
            let payload = json!({
                "robot": agent.as_str(), "kind": hazard.kind, "x": hazard.position.x, "y": hazard.position.y,
                "radius_m": hazard.radius.0, "cleared": hazard.cleared,
            });
            self.out.emit_event(now, EventKind::Safety, "map_hazard", &payload);
        }
        let others: Vec<AgentId> = self
            .robots
            .iter()
            .filter(|(name, robot)| robot.connected && *name != agent)
            .map(|(n, _)| n.clone())
            .collect();
        for other in others {
            self.send_unacknowledged(&other, Order::Hazards(changed.clone()));
        }
    }

    /// A robot that connects gets the whole map.
    pub(crate) fn send_hazards(&mut self, agent: &AgentId) {
        if !self.hazards.is_empty() {
            self.send_unacknowledged(agent, Order::Hazards(self.hazards.list()));
        }
    }

    /// The cells of a region that no hazard of the map covers.
    pub(crate) fn without_hazards(&self, region: &Region) -> Result<Region, RegionError> {
        if self.hazards.is_empty() {
            return Ok(region.clone());
        }
        let frame = *region.frame();
        let covered = |cell: &u32| {
            let center = frame.center_of(*cell);
            self.hazards.by_place.values().any(|hazard| hazard.position.distance(center) <= hazard.radius.0)
        };
        let blocked: Vec<u32> = region.squares().filter(covered).collect();
        region.difference(&Region::from_squares(frame, blocked)?)
    }
}
