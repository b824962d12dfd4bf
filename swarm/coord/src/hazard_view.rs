//! What the robot believes of all hazards that it knows of: its own, those of trusted peers, those of the shared map.

use core::time::Duration;

use skein_types::geometry::Point;
use skein_types::safety::HazardDisc;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::hazard_map::HazardMap;
use crate::hazards::{Hazards, LiveHazard};
use crate::peers::PeerTable;

/// Doubtful hazards matter within this distance of their rim, metres.
const DOUBTFUL_RANGE: f64 = 2.0;
/// A disc of the shared map is handed to the reflex for this long, again and again.
const MAP_DISC_LIFE: Duration = Duration::from_secs(1);

/// Hazards at one moment.
#[derive(Clone, Copy)]
pub(crate) struct HazardView<'a> {
    pub(crate) now: MonoTime,
    pub(crate) peers: &'a PeerTable,
    pub(crate) live: &'a Hazards,
    pub(crate) map: &'a HazardMap,
}

impl<'a> HazardView<'a> {
    /// Hazards that are planned around and that the reflex keeps clear of. One that the shared map holds as well comes
    /// once.
    pub(crate) fn believed(self) -> impl Iterator<Item = HazardDisc> + 'a {
        let Self { now, peers, live, map } = self;
        let live = live.iter().filter(move |known| known.valid_until > now && !known.doubtful);
        let live = live.filter(move |known| peers.trusts(now, &known.reporter) && !self.is_mapped(known));
        let live = live.map(|known| HazardDisc {
            position: known.position,
            radius: known.radius,
            valid_until: known.valid_until,
        });
        let mapped = map.present().filter(move |entry| entry.via().is_none_or(|via| peers.trusts(now, via)));
        live.chain(mapped.map(move |entry| HazardDisc {
            position: entry.hazard.position,
            radius: entry.hazard.radius,
            valid_until: now + MAP_DISC_LIFE,
        }))
    }

    /// Whether a hazard is near whose reporter is distrusted, or was too far away to have sensed it.
    pub(crate) fn is_doubtful_near(self, position: Point) -> bool {
        let Self { now, peers, live, map } = self;
        let is_near = |at: Point, radius: Meters| at.distance(position) < radius.0 + DOUBTFUL_RANGE;
        let live = live.iter().filter(|known| known.valid_until > now);
        let mut doubtful = live.filter(|known| known.doubtful || !peers.trusts(now, &known.reporter));
        let mut mapped = map.present().filter(|entry| !entry.via().is_none_or(|via| peers.trusts(now, via)));
        doubtful.any(|known| is_near(known.position, known.radius))
            || mapped.any(|entry| is_near(entry.hazard.position, entry.hazard.radius))
    }

    /// Whether the shared map says the same.
    fn is_mapped(self, known: &LiveHazard) -> bool {
        let mut entries = self.map.present().filter(|entry| entry.hazard.is_at(known.kind, known.position));
        entries.any(|entry| {
            entry.hazard.radius >= known.radius && entry.via().is_none_or(|via| self.peers.trusts(self.now, via))
        })
    }
}
