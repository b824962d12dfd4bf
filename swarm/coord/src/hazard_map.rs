//! The map of static hazards that the fleet shares.
//!
//! Each entry is about one place and says which robot sensed a hazard there, or saw it gone. Entries have a version:
//! a robot that changes an entry gives it a version above the one it knew ([`MapHazard::supersedes`]), and robots
//! exchange entries until all know the highest. A new robot learns the map because every robot announces what it
//! knows, one entry after the other, at a low rate.
//!
//! An entry is cleared by its reporter, or by another robot that was near enough to see the place. On the say of a
//! third robot an entry is added, but never cleared.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_types::coord::{HAZARD_RADIUS_MAX, HazardKind, MapHazard};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

use crate::hazards::{SENSING_RANGE, area};
use crate::token_bucket::TokenBucket;

/// Most entries that are kept: the nearest.
pub const MAP_HAZARDS_KNOWN_MAX: usize = 128;
/// Most hazards that one sender adds, and the largest area they cover, square metres.
const PER_SENDER_MAX: (usize, f64) = (32, 6.0);
/// Entries taken from one sender at once, and in a second.
const PER_SENDER_RATE: (f64, f64) = (32.0, 4.0);
/// Senders whose rate is followed.
const SENDERS_MAX: usize = 128;
/// One entry is announced this often.
const ANNOUNCE_PERIOD: Duration = Duration::from_millis(500);
/// No version is believed that is farther than this above the one known.
const VERSION_JUMP_MAX: u64 = 1 << 20;
/// No version of a place that was not known is believed above this.
const FIRST_VERSION_MAX: u64 = 1 << 40;

/// One entry and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct MapEntry {
    pub(crate) hazard: MapHazard,
    /// The robot that taught this one the entry; `None` for the supervisor.
    via: Option<AgentId>,
}

/// What a robot senses at a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation<'a> {
    pub(crate) kind: HazardKind,
    pub(crate) position: Point,
    pub(crate) radius: Meters,
    pub(crate) reporter: &'a AgentId,
    pub(crate) boot: BootId,
    pub(crate) seen_at: WallTime,
}

/// Which robot says something about the map, and what it can see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) agent: &'a AgentId,
    /// Its position, where it is a known peer.
    pub(crate) position: Option<Point>,
    pub(crate) trusted: bool,
}

#[derive(Clone, Debug)]
struct SenderRate {
    bucket: TokenBucket,
    heard_at: MonoTime,
}

/// The shared map as this robot knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct HazardMap {
    entries: Vec<MapEntry>,
    rates: BTreeMap<AgentId, SenderRate>,
    announce_at: Option<MonoTime>,
    next: usize,
}

impl HazardMap {
    /// The own robot senses a static hazard. Returns the entry if that is news.
    pub(crate) fn on_sensed(&mut self, seen: &Observation<'_>, here: Option<Point>) -> Option<MapHazard> {
        if self.is_present(seen.kind, seen.position) {
            return None;
        }
        let entry = self.change(seen, false);
        self.insert(entry, Some(seen.reporter.clone()), here)
    }

    /// A peer senses a static hazard, by a report that was accepted. Returns the entry if that is news.
    pub(crate) fn on_reported(&mut self, seen: &Observation<'_>, here: Option<Point>) -> Option<MapHazard> {
        if self.is_present(seen.kind, seen.position) {
            return None;
        }
        let entry = self.change(seen, false);
        if !self.fits(seen.reporter, &entry) {
            return None;
        }
        self.insert(entry, Some(seen.reporter.clone()), here)
    }

    /// The own robot sees that a place is free. Returns the entry if that is news.
    pub(crate) fn on_seen_free(&mut self, seen: &Observation<'_>) -> Option<MapHazard> {
        let known = self.entry_at(seen.kind, seen.position).filter(|entry| !entry.hazard.cleared)?;
        let (position, radius) = (known.hazard.position, known.hazard.radius);
        let entry = self.change(&Observation { position, radius, ..*seen }, true);
        self.insert(entry, Some(seen.reporter.clone()), None)
    }

    /// Another robot sends an entry it knows. Returns the entry if that is news.
    pub(crate) fn on_entry(
        &mut self,
        now: MonoTime,
        sender: &Sender<'_>,
        hazard: &MapHazard,
        here: Option<Point>,
    ) -> Option<MapHazard> {
        let acceptable = is_sound(hazard) && self.supersedes(hazard) && self.may_say(sender, hazard);
        if !acceptable || !self.rate(now, sender.agent).bucket.take(now) || !self.fits(sender.agent, hazard) {
            return None;
        }
        self.insert(hazard.clone(), Some(sender.agent.clone()), here)
    }

    /// The supervisor sends entries: it is believed.
    pub(crate) fn on_supervisor_entries(&mut self, entries: &[MapHazard], here: Option<Point>) {
        for hazard in entries {
            if is_sound(hazard) && self.supersedes(hazard) {
                self.insert(hazard.clone(), None, here);
            }
        }
    }

    /// The entry that is to be announced now, for robots that do not know it.
    pub(crate) fn announcement(&mut self, now: MonoTime) -> Option<MapHazard> {
        if self.entries.is_empty() {
            return None;
        }
        let at = *self.announce_at.get_or_insert(now + ANNOUNCE_PERIOD);
        if at > now {
            return None;
        }
        self.announce_at = Some(now + ANNOUNCE_PERIOD);
        self.next = (self.next + 1) % self.entries.len();
        self.entries.get(self.next).map(|entry| entry.hazard.clone())
    }

    pub(crate) fn next_announcement(&self) -> Option<MonoTime> {
        self.announce_at.filter(|_| !self.entries.is_empty())
    }

    /// Hazards that are there.
    pub(crate) fn present(&self) -> impl Iterator<Item = &MapEntry> {
        self.entries.iter().filter(|entry| !entry.hazard.cleared)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &MapHazard> {
        self.entries.iter().map(|entry| &entry.hazard)
    }

    fn entry_at(&self, kind: HazardKind, position: Point) -> Option<&MapEntry> {
        self.entries.iter().find(|entry| entry.hazard.is_at(kind, position))
    }

    fn is_present(&self, kind: HazardKind, position: Point) -> bool {
        self.entry_at(kind, position).is_some_and(|entry| !entry.hazard.cleared)
    }

    fn change(&self, seen: &Observation<'_>, cleared: bool) -> MapHazard {
        let version = self.entry_at(seen.kind, seen.position).map_or(0, |entry| entry.hazard.sequence);
        MapHazard {
            kind: seen.kind,
            position: seen.position,
            radius: seen.radius,
            reporter: seen.reporter.clone(),
            boot: seen.boot,
            sequence: version.saturating_add(1),
            seen_at: seen.seen_at,
            cleared,
        }
    }

    fn supersedes(&self, hazard: &MapHazard) -> bool {
        match self.entry_at(hazard.kind, hazard.position) {
            None => hazard.sequence <= FIRST_VERSION_MAX,
            Some(entry) => {
                let limit = entry.hazard.sequence.saturating_add(VERSION_JUMP_MAX);
                hazard.supersedes(&entry.hazard) && hazard.sequence <= limit
            }
        }
    }

    /// Whether the sender may make this change: see the module.
    fn may_say(&self, sender: &Sender<'_>, hazard: &MapHazard) -> bool {
        let known = self.entry_at(hazard.kind, hazard.position).filter(|entry| !entry.hazard.cleared);
        let Some(known) = known.filter(|_| hazard.cleared) else { return sender.trusted };
        let is_first_hand = hazard.reporter == *sender.agent;
        let saw_it = sender.position.is_some_and(|at| at.distance(hazard.position) < SENSING_RANGE);
        sender.trusted && is_first_hand && (saw_it || known.hazard.reporter == *sender.agent)
    }

    /// Whether the sender may add this much.
    fn fits(&self, sender: &AgentId, hazard: &MapHazard) -> bool {
        if hazard.cleared {
            return true;
        }
        let of_sender = self.present().filter(|entry| entry.via.as_ref() == Some(sender));
        let others = of_sender.filter(|entry| !entry.hazard.is_at(hazard.kind, hazard.position));
        let (count, covered) = others.fold((0, 0.0), |(n, sum), entry| (n + 1, sum + area(entry.hazard.radius)));
        count < PER_SENDER_MAX.0 && covered + area(hazard.radius) <= PER_SENDER_MAX.1
    }

    fn rate(&mut self, now: MonoTime, agent: &AgentId) -> &mut SenderRate {
        if self.rates.len() >= SENDERS_MAX && !self.rates.contains_key(agent) {
            let oldest = self.rates.iter().min_by_key(|(_, rate)| rate.heard_at);
            oldest.map(|(agent, _)| agent.clone()).map(|agent| self.rates.remove(&agent));
        }
        let new = || SenderRate { bucket: TokenBucket::new(PER_SENDER_RATE.0, PER_SENDER_RATE.1), heard_at: now };
        let rate = self.rates.entry(agent.clone()).or_insert_with(new);
        rate.heard_at = now;
        rate
    }

    fn insert(&mut self, hazard: MapHazard, via: Option<AgentId>, here: Option<Point>) -> Option<MapHazard> {
        let known = self.entries.iter_mut().find(|entry| entry.hazard.is_at(hazard.kind, hazard.position));
        if let Some(entry) = known {
            *entry = MapEntry { hazard: hazard.clone(), via };
            return Some(hazard);
        }
        if self.entries.len() >= MAP_HAZARDS_KNOWN_MAX {
            let far = |entry: &MapEntry| match here {
                Some(_) if entry.hazard.cleared => f64::INFINITY,
                Some(here) => here.distance(entry.hazard.position),
                None => 0.0,
            };
            let of_all = self.entries.iter().enumerate().map(|(at, entry)| (at, far(entry)));
            let (at, distance) = of_all.max_by(|a, b| a.1.total_cmp(&b.1))?;
            if here.is_none_or(|here| here.distance(hazard.position) >= distance) {
                return None;
            }
            self.entries.swap_remove(at);
        }
        self.entries.push(MapEntry { hazard: hazard.clone(), via });
        Some(hazard)
    }
}

impl MapEntry {
    pub(crate) fn via(&self) -> Option<&AgentId> {
        self.via.as_ref()
    }
}

fn is_sound(hazard: &MapHazard) -> bool {
    hazard.kind.is_static() && hazard.position.is_finite() && (0.0..=HAZARD_RADIUS_MAX.0).contains(&hazard.radius.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    const HERE: Option<Point> = Some(Point::new(0.0, 0.0));

    fn cliff(reporter: &AgentId, x: f64) -> Observation<'_> {
        let (kind, position, radius) = (HazardKind::Cliff, Point::new(x, 0.0), Meters(0.2));
        Observation { kind, position, radius, reporter, boot: BootId(uuid::Uuid::nil()), seen_at: WallTime::default() }
    }

    fn sender<'a>(agent: &'a AgentId, x: f64) -> Sender<'a> {
        Sender { agent, position: Some(Point::new(x, 0.0)), trusted: true }
    }

    fn agent(name: &str) -> AgentId {
        AgentId::new(name).unwrap()
    }

    fn sensed(map: &mut HazardMap, name: &str, x: f64) -> Option<MapHazard> {
        map.on_sensed(&cliff(&agent(name), x), HERE)
    }

    fn seen_free(map: &mut HazardMap, name: &str, x: f64) -> Option<MapHazard> {
        map.on_seen_free(&cliff(&agent(name), x))
    }

    #[test]
    fn a_static_hazard_stays_until_it_is_seen_gone() {
        let mut map = HazardMap::default();
        assert_eq!(sensed(&mut map, "a", 1.0).unwrap().sequence, 1);
        assert_eq!(sensed(&mut map, "a", 1.2), None, "the same place");
        assert_eq!(map.present().count(), 1);
        let gone = seen_free(&mut map, "a", 1.1).unwrap();
        assert_eq!((gone.sequence, gone.cleared, map.present().count()), (2, true, 0));
        assert_eq!(sensed(&mut map, "a", 1.0).unwrap().sequence, 3, "and may come again");
    }

    #[test]
    fn maps_that_exchange_entries_in_any_order_become_equal() {
        let (mut a, mut b, mut c) = (HazardMap::default(), HazardMap::default(), HazardMap::default());
        let first = sensed(&mut a, "a", 1.0).unwrap();
        let other = sensed(&mut b, "b", 5.0).unwrap();
        b.on_entry(at(0), &sender(&agent("a"), 1.0), &first, HERE).unwrap();
        let gone = seen_free(&mut b, "b", 1.0).unwrap();
        for (map, name) in [(&mut a, "b"), (&mut c, "b")] {
            map.on_entry(at(0), &sender(&agent(name), 1.0), &gone, HERE);
            assert_eq!(map.on_entry(at(0), &sender(&agent("a"), 1.0), &first, HERE), None, "an old version");
            map.on_entry(at(0), &sender(&agent(name), 1.0), &other, HERE);
        }
        let all = |map: &HazardMap| {
            let mut entries: Vec<MapHazard> = map.iter().cloned().collect();
            entries.sort_by(|a, b| a.position.x.total_cmp(&b.position.x));
            entries
        };
        assert_eq!(all(&a), all(&b));
        assert_eq!(all(&a), all(&c));
    }

    #[test]
    fn an_entry_is_cleared_by_its_reporter_or_by_a_robot_that_can_see_the_place() {
        let entry = |map: &mut HazardMap| sensed(map, "a", 1.0).unwrap();
        let mut gone = entry(&mut HazardMap::default());
        (gone.cleared, gone.sequence, gone.reporter) = (true, 2, agent("b"));
        let clears = |sender: &Sender<'_>, gone: &MapHazard| {
            let mut map = HazardMap::default();
            entry(&mut map);
            map.on_entry(at(0), sender, gone, HERE).is_some()
        };
        assert!(clears(&sender(&agent("b"), 5.0), &gone));
        assert!(!clears(&sender(&agent("b"), 50.0), &gone), "too far away");
        assert!(!clears(&sender(&agent("c"), 5.0), &gone), "on a third robot's say");
        assert!(!clears(&Sender { trusted: false, ..sender(&agent("b"), 5.0) }, &gone));
        let own = MapHazard { reporter: agent("a"), ..gone };
        assert!(clears(&sender(&agent("a"), 50.0), &own), "its reporter");
    }

    #[test]
    fn a_new_robot_learns_the_map_from_announcements() {
        let (mut old, mut new) = (HazardMap::default(), HazardMap::default());
        for i in 0..20_u32 {
            sensed(&mut old, "a", f64::from(i)).unwrap();
        }
        for tick in 0..300 {
            if let Some(entry) = old.announcement(at(tick * 50)) {
                new.on_entry(at(tick * 50), &sender(&agent("a"), 0.0), &entry, HERE);
            }
        }
        assert_eq!(new.present().count(), 20);
        let sent = (0..200).filter(|tick| old.announcement(at(20_000 + tick * 50)).is_some()).count();
        assert!(sent <= 20, "{sent} in 10 s");
    }

    #[test]
    fn one_sender_adds_a_bounded_number_area_and_version() {
        let mut map = HazardMap::default();
        let template = sensed(&mut HazardMap::default(), "x", 1.0).unwrap();
        let named = agent("x");
        let mut add = |i: u64, radius: f64, sequence: u64| {
            let position = Point::new(2.0 + i as f64, 0.0);
            let entry = MapHazard { position, radius: Meters(radius), sequence, ..template.clone() };
            map.on_entry(at(i * 1000), &sender(&named, 0.0), &entry, HERE).is_some()
        };
        assert!(!add(0, 0.2, u64::MAX));
        assert!(!add(0, 1000.0, 1));
        assert!((0..200).filter(|i| add(*i, 0.1, 1)).count() == PER_SENDER_MAX.0);
        let mut map = HazardMap::default();
        for i in 0..200_u64 {
            let entry = MapHazard { position: Point::new(i as f64, 0.0), radius: Meters(1.0), ..template.clone() };
            map.on_entry(at(i * 1000), &sender(&named, 0.0), &entry, HERE);
        }
        assert!(map.present().map(|entry| area(entry.hazard.radius)).sum::<f64>() <= PER_SENDER_MAX.1);
    }

    #[test]
    fn a_full_map_keeps_what_is_near() {
        let mut map = HazardMap::default();
        for i in 0..300_u32 {
            sensed(&mut map, "a", 300.0 - f64::from(i));
        }
        assert_eq!(map.iter().count(), MAP_HAZARDS_KNOWN_MAX);
        assert!(map.iter().all(|entry| entry.position.x <= 128.0));
    }
}
