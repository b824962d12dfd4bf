//! Hazards that are reported and expire, and the hazards that the own robot has to report.
//!
//! Static ones (cliff, obstacle) also go into the shared map (`hazard_map`). What one reporter can block is bounded:
//! number, area, rate, radius and life.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use skein_types::coord::{HAZARD_LIFE_MAX, HAZARD_RADIUS_MAX, HAZARD_SAME_PLACE, Hazard, HazardKind};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

use crate::config::CoordConfig;
use crate::token_bucket::TokenBucket;

/// Most hazards that are kept: the nearest.
pub const HAZARDS_KNOWN_MAX: usize = 64;
/// Most hazards of one reporter: its nearest.
pub const HAZARDS_PER_REPORTER_MAX: usize = 8;
/// Largest area that the hazards of one reporter cover, square metres.
pub const HAZARD_AREA_PER_REPORTER_MAX: f64 = 6.0;
/// How long a hazard that this robot reports is believed without being sensed again.
pub const HAZARD_TIME_TO_LIVE: Duration = Duration::from_secs(3);
/// New places that a reporter can report at once, and in a second.
const NEW_PLACES: (f64, f64) = (8.0, 2.0);
/// A hazard that is sensed continuously is published this often.
const REPEAT_PERIOD: Duration = Duration::from_secs(1);
/// A robot senses hazards within this distance of itself, metres.
pub(crate) const SENSING_RANGE: f64 = 12.0;
/// Most reporters whose rate is followed.
const REPORTERS_MAX: usize = 128;
/// Last messages of a reporter that are recognised when they arrive again.
const RECENT_MAX: usize = 16;

/// A hazard that counts until it expires.
#[derive(Clone, Debug)]
pub(crate) struct LiveHazard {
    pub(crate) kind: HazardKind,
    pub(crate) position: Point,
    pub(crate) radius: Meters,
    pub(crate) valid_until: MonoTime,
    pub(crate) reporter: AgentId,
    /// The reporter was too far away to have sensed it.
    pub(crate) doubtful: bool,
    published_at: Option<MonoTime>,
}

impl LiveHazard {
    fn is_of(&self, reporter: &AgentId, kind: HazardKind, position: Point) -> bool {
        self.reporter == *reporter && self.kind == kind && self.position.distance(position) < HAZARD_SAME_PLACE.0
    }

    fn area(&self) -> f64 {
        area(self.radius)
    }
}

pub(crate) fn area(radius: Meters) -> f64 {
    core::f64::consts::PI * radius.0 * radius.0
}

/// What of a reporter's messages is remembered.
#[derive(Clone, Debug)]
struct Reporter {
    new_places: TokenBucket,
    recent: VecDeque<(BootId, u64, HazardKind, Point)>,
    heard_at: MonoTime,
}

impl Reporter {
    const fn new() -> Self {
        let new_places = TokenBucket::new(NEW_PLACES.0, NEW_PLACES.1);
        Self { new_places, recent: VecDeque::new(), heard_at: MonoTime::ZERO }
    }

    /// Notes a message. False when it arrived before.
    fn is_first_arrival(&mut self, now: MonoTime, hazard: &Hazard) -> bool {
        self.heard_at = now;
        let message = (hazard.boot, hazard.sequence, hazard.kind, hazard.position);
        if self.recent.contains(&message) {
            return false;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(message);
        true
    }
}

/// The table of hazards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hazards {
    live: Vec<LiveHazard>,
    reporters: BTreeMap<AgentId, Reporter>,
    sequence: u64,
}

impl Hazards {
    /// A peer reports one; `reporter_at` is where the peer is, `here` where the own robot is. Whether it was taken.
    pub(crate) fn on_report(
        &mut self,
        now: MonoTime,
        hazard: &Hazard,
        reporter_at: Option<Point>,
        here: Option<Point>,
    ) -> bool {
        self.expire(now);
        let left = hazard.time_to_live.min(HAZARD_LIFE_MAX).saturating_sub(hazard.age);
        let is_sound = hazard.position.is_finite() && (0.0..=HAZARD_RADIUS_MAX.0).contains(&hazard.radius.0);
        if !is_sound || left.is_zero() || !self.reporter(&hazard.reporter).is_first_arrival(now, hazard) {
            return false;
        }
        let doubtful = reporter_at.is_some_and(|at| at.distance(hazard.position) > SENSING_RANGE);
        let entry = LiveHazard {
            kind: hazard.kind,
            position: hazard.position,
            radius: hazard.radius,
            valid_until: now + left,
            reporter: hazard.reporter.clone(),
            doubtful,
            published_at: None,
        };
        self.keep(now, entry, here).is_some()
    }

    /// The own robot senses one. Returns what to publish, unless that was done a moment ago.
    pub(crate) fn observe(
        &mut self,
        now: MonoTime,
        (kind, position, radius): (HazardKind, Point, Meters),
        config: &CoordConfig,
        seen_at: WallTime,
    ) -> Option<Hazard> {
        self.expire(now);
        if !position.is_finite() || !radius.is_finite() {
            return None;
        }
        let reporter = config.id.clone();
        let valid_until = now + HAZARD_TIME_TO_LIVE;
        let entry = LiveHazard { kind, position, radius, valid_until, reporter, doubtful: false, published_at: None };
        let known = self.keep_own(entry)?;
        if known.published_at.is_some_and(|at| now.since(at) < REPEAT_PERIOD) {
            return None;
        }
        known.published_at = Some(now);
        self.sequence += 1;
        Some(Hazard {
            reporter: config.id.clone(),
            boot: config.boot,
            sequence: self.sequence,
            kind,
            position,
            radius,
            time_to_live: HAZARD_TIME_TO_LIVE,
            age: Duration::ZERO,
            seen_at,
        })
    }

    /// Whether the own robot senses a hazard there now.
    pub(crate) fn is_sensed(&self, own: &AgentId, kind: HazardKind, position: Point) -> bool {
        self.live.iter().any(|known| known.is_of(own, kind, position))
    }

    pub(crate) fn expire(&mut self, now: MonoTime) {
        self.live.retain(|known| known.valid_until > now);
    }

    pub(crate) fn next_expiry(&self) -> Option<MonoTime> {
        self.live.iter().map(|known| known.valid_until).min()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LiveHazard> {
        self.live.iter()
    }

    fn reporter(&mut self, agent: &AgentId) -> &mut Reporter {
        if self.reporters.len() >= REPORTERS_MAX && !self.reporters.contains_key(agent) {
            let oldest = self.reporters.iter().min_by_key(|(_, reporter)| reporter.heard_at);
            oldest.map(|(agent, _)| agent.clone()).map(|agent| self.reporters.remove(&agent));
        }
        self.reporters.entry(agent.clone()).or_insert_with(Reporter::new)
    }

    /// What the own robot senses is kept whatever else is known, in the place of the farthest.
    fn keep_own(&mut self, entry: LiveHazard) -> Option<&mut LiveHazard> {
        if let Some(at) = self.place_of(&entry) {
            return self.refresh(at, entry);
        }
        let farthest = self.farthest(Some(entry.position), |_| true).map(|(at, _)| at);
        if let Some(at) = farthest.filter(|_| self.live.len() >= HAZARDS_KNOWN_MAX) {
            self.live.swap_remove(at);
        }
        self.live.push(entry);
        self.live.last_mut()
    }

    fn keep(&mut self, now: MonoTime, entry: LiveHazard, here: Option<Point>) -> Option<&mut LiveHazard> {
        if let Some(at) = self.place_of(&entry) {
            return self.refresh(at, entry);
        }
        if !self.reporter(&entry.reporter).new_places.take(now) {
            return None;
        }
        let reporter = entry.reporter.clone();
        let is_nearer = |known: f64| here.is_some_and(|here| here.distance(entry.position) < known);
        let of_reporter = self.live.iter().filter(|known| known.reporter == reporter);
        let (count, covered) = of_reporter.fold((0, 0.0), |(n, sum), known| (n + 1, sum + known.area()));
        let given_up = if count >= HAZARDS_PER_REPORTER_MAX || covered + entry.area() > HAZARD_AREA_PER_REPORTER_MAX {
            let (at, far) = self.farthest(here, |known| known.reporter == reporter)?;
            let freed = self.live.get(at).map_or(0.0, LiveHazard::area);
            let fits = covered - freed + entry.area() <= HAZARD_AREA_PER_REPORTER_MAX;
            Some(at).filter(|_| fits && is_nearer(far))?.into()
        } else if self.live.len() >= HAZARDS_KNOWN_MAX {
            let (at, far) = self.farthest(here, |_| true)?;
            Some(at).filter(|_| is_nearer(far))?.into()
        } else {
            None
        };
        if let Some(at) = given_up {
            self.live.swap_remove(at);
        }
        self.live.push(entry);
        self.live.last_mut()
    }

    fn place_of(&self, entry: &LiveHazard) -> Option<usize> {
        self.live.iter().position(|known| known.is_of(&entry.reporter, entry.kind, entry.position))
    }

    fn refresh(&mut self, at: usize, entry: LiveHazard) -> Option<&mut LiveHazard> {
        let known = self.live.get_mut(at)?;
        known.valid_until = known.valid_until.max(entry.valid_until);
        known.doubtful = entry.doubtful;
        if area(entry.radius) <= known.area() || entry.published_at.is_some() {
            known.radius = entry.radius;
        }
        known.position = entry.position;
        Some(known)
    }

    /// The farthest hazard of some, and its distance; infinitely far while the own position is unknown.
    fn farthest(&self, here: Option<Point>, of: impl Fn(&LiveHazard) -> bool) -> Option<(usize, f64)> {
        let far = |known: &LiveHazard| here.map_or(f64::INFINITY, |here| here.distance(known.position));
        let of_those = self.live.iter().enumerate().filter(|(_, known)| of(known));
        of_those.map(|(at, known)| (at, far(known))).max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, config};

    fn hazard(sequence: u64, x: f64, seconds: u64) -> Hazard {
        hazard_of("b", sequence, x, seconds)
    }

    fn hazard_of(reporter: &str, sequence: u64, x: f64, seconds: u64) -> Hazard {
        Hazard {
            reporter: AgentId::new(reporter).unwrap(),
            boot: BootId(uuid::Uuid::nil()),
            sequence,
            kind: HazardKind::Person,
            position: Point::new(x, 0.0),
            radius: Meters(0.3),
            time_to_live: Duration::from_secs(seconds),
            age: Duration::ZERO,
            seen_at: WallTime::default(),
        }
    }

    fn report(hazards: &mut Hazards, ms: u64, hazard: &Hazard) -> bool {
        hazards.on_report(at(ms), hazard, None, Some(Point::default()))
    }

    #[test]
    fn a_hazard_expires_at_its_time_and_a_copy_does_not_extend_it() {
        let mut hazards = Hazards::default();
        report(&mut hazards, 0, &hazard(1, 0.0, 3));
        assert_eq!(hazards.next_expiry(), Some(at(3000)));
        hazards.expire(at(2999));
        assert_eq!(hazards.iter().count(), 1);
        assert!(!report(&mut hazards, 2999, &hazard(1, 0.0, 3)));
        hazards.expire(at(3000));
        assert_eq!(hazards.iter().count(), 0);
        report(&mut hazards, 3000, &hazard(2, 0.0, 9_999_999));
        assert_eq!(hazards.next_expiry(), Some(at(13_000)), "no reporter decides for ever");
    }

    #[test]
    fn the_age_of_a_report_shortens_its_life() {
        let mut hazards = Hazards::default();
        let mut old = hazard(1, 0.0, 3);
        old.age = Duration::from_secs(2);
        report(&mut hazards, 0, &old);
        assert_eq!(hazards.next_expiry(), Some(at(1000)));
        old.age = Duration::from_secs(3);
        old.sequence = 2;
        assert!(!report(&mut hazards, 0, &old));
    }

    #[test]
    fn a_hazard_of_many_metres_is_refused() {
        let mut hazards = Hazards::default();
        for radius in [2.1, 1000.0, f64::NAN, f64::INFINITY, -1.0] {
            let mut large = hazard(1, 0.0, 60);
            large.radius = Meters(radius);
            assert!(!report(&mut hazards, 0, &large), "{radius}");
        }
    }

    #[test]
    fn one_reporter_blocks_a_bounded_number_and_area_its_nearest() {
        let mut hazards = Hazards::default();
        for i in 0..500_u64 {
            report(&mut hazards, i * 500, &hazard(i, 600.0 - i as f64, 1000));
        }
        assert_eq!(hazards.iter().count(), HAZARDS_PER_REPORTER_MAX);
        assert!(hazards.iter().any(|known| known.position.x == 101.0), "the nearest is kept");
        let mut hazards = Hazards::default();
        for i in 0..500_u64 {
            let large = Hazard { radius: Meters(1.0), ..hazard(i, 600.0 - i as f64, 1000) };
            report(&mut hazards, i * 500, &large);
        }
        assert!(hazards.iter().map(LiveHazard::area).sum::<f64>() <= HAZARD_AREA_PER_REPORTER_MAX);
    }

    #[test]
    fn five_hundred_far_hazards_a_second_hide_no_cliff_beside_the_robot() {
        let (mut hazards, mut seen) = (Hazards::default(), 0);
        for i in 0..5000_u64 {
            let flood = hazard_of(&format!("n{}", i % 100), i, 50.0 + (i % 977) as f64, 10);
            report(&mut hazards, i * 2, &flood);
            if i % 500 == 0 {
                let cliff = Hazard { kind: HazardKind::Cliff, ..hazard_of("rover-2", i, 1.0, 3) };
                report(&mut hazards, i * 2, &cliff);
            }
            seen += usize::from(hazards.iter().any(|known| known.kind == HazardKind::Cliff));
            assert!(hazards.iter().count() <= HAZARDS_KNOWN_MAX && hazards.reporters.len() <= REPORTERS_MAX);
        }
        assert_eq!(seen, 5000, "the cliff is in the table at every look");
    }

    #[test]
    fn new_places_are_bounded_per_second_and_repeats_are_not() {
        let mut hazards = Hazards::default();
        let taken = (0..100).filter(|i| report(&mut hazards, 0, &hazard(*i, *i as f64, 3))).count();
        assert_eq!(taken, 8);
        assert!((0..100).all(|i| report(&mut hazards, i * 20, &hazard(1000 + i, 0.0, 3))));
    }

    #[test]
    fn a_hazard_out_of_its_reporters_sight_is_doubtful() {
        let mut hazards = Hazards::default();
        hazards.on_report(at(0), &hazard(1, 0.0, 3), Some(Point::new(200.0, 0.0)), None);
        assert!(hazards.iter().all(|known| known.doubtful));
        hazards.on_report(at(0), &hazard(2, 0.0, 3), Some(Point::new(2.0, 0.0)), None);
        assert!(hazards.iter().all(|known| !known.doubtful));
    }

    #[test]
    fn a_continuous_own_observation_is_published_once_a_second() {
        let mut hazards = Hazards::default();
        let mut observe = |ms: u64, x: f64| {
            let seen = (HazardKind::Person, Point::new(x, 1.0), Meters(0.4));
            hazards.observe(at(ms), seen, &config("a"), WallTime::default()).map(|hazard| hazard.sequence)
        };
        let published: Vec<Option<u64>> = (0..25).map(|i| observe(i * 50, 0.01 * i as f64)).collect();
        assert_eq!(published.iter().flatten().collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(observe(1250, 9.0), Some(3), "another place is another hazard");
        assert_eq!(observe(1300, f64::NAN), None);
    }
}
