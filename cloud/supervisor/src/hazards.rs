//! Static hazards of the map that the fleet shares: reported by robots, durable, planned around, sent to every robot.

use skein_types::coord::{MAP_HAZARDS_MAX, MapHazard};
use skein_types::ids::AgentId;

/// Entries that one stream may have on the map; its oldest go first.
const PER_STREAM_MAX: usize = 48;

/// An entry, and the robot on whose stream it came.
#[derive(Clone, Debug)]
struct Entry {
    hazard: MapHazard,
    via: AgentId,
}

/// The shared map of static hazards. Entries merge as they do in every robot: of two about the same place the one
/// that supersedes the other stays. One that was cleared stays as such, so that an old report does not bring it back.
#[derive(Clone, Debug, Default)]
pub(crate) struct HazardMap {
    entries: Vec<Entry>,
    revision: u64,
}

impl HazardMap {
    /// Hazards that are there.
    pub(crate) fn list(&self) -> Vec<MapHazard> {
        self.present().cloned().collect()
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = &MapHazard> {
        self.entries.iter().map(|entry| &entry.hazard).filter(|hazard| !hazard.cleared)
    }

    /// All entries, cleared ones included.
    pub(crate) fn all(&self) -> Vec<MapHazard> {
        self.entries.iter().map(|entry| entry.hazard.clone()).collect()
    }

    /// Of the view of the fleet when the map last changed.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The map changed at this revision of the view.
    pub(crate) const fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    pub(crate) fn restore(&mut self, hazards: Vec<MapHazard>) {
        let entry = |hazard: MapHazard| Entry { via: hazard.reporter.clone(), hazard };
        self.entries = hazards.into_iter().map(entry).collect();
    }

    /// Takes in what a robot senses, learned or sees gone. `true` when the map changed.
    pub(crate) fn take(&mut self, hazard: &MapHazard, via: &AgentId) -> bool {
        if !hazard.kind.is_static() {
            return false;
        }
        let same = |entry: &Entry| entry.hazard.is_at(hazard.kind, hazard.position);
        if self.entries.iter().any(|entry| same(entry) && !hazard.supersedes(&entry.hazard)) {
            return false;
        }
        let before = self.entries.len();
        self.entries.retain(|entry| !same(entry));
        if self.entries.len() == before {
            self.make_room(via);
        }
        self.entries.push(Entry { hazard: hazard.clone(), via: via.clone() });
        true
    }

    /// One robot cannot fill the map: the oldest entry of its stream makes room; when the map is full, the oldest of
    /// all does, cleared ones first.
    fn make_room(&mut self, via: &AgentId) {
        let of_stream = self.entries.iter().filter(|entry| entry.via == *via).count();
        let crowded = of_stream >= PER_STREAM_MAX;
        if !crowded && self.entries.len() < MAP_HAZARDS_MAX {
            return;
        }
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| !crowded || entry.via == *via);
        let oldest = candidates.min_by_key(|(_, entry)| (!entry.hazard.cleared, entry.hazard.seen_at));
        if let Some(index) = oldest.map(|(index, _)| index) {
            self.entries.remove(index);
        }
    }
}
