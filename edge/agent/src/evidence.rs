//! What the lidar sees that is on no map, and whether it sees what the map promises.
//!
//! Squares that a beam ended in although nothing is mapped near are counted; a beam that passes through such a square
//! counts it down again. Beams that end at a peer are not evidence: peers move. Counts that are not renewed fade, so
//! that a place is looked at again.

use std::collections::BTreeMap;
use std::time::Duration;

use skein_space::planning::PlanningMap;
use skein_space::sight;
use skein_types::geometry::{Point, Pose};
use skein_types::sensing::{BEAMS, Scan};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

/// Revolutions in which a square must have been hit before it counts as an obstacle (10 Hz).
const HITS_BELIEVED: u8 = 4;
/// More hits than this make no difference, so that a thing that goes away is forgotten soon.
const HITS_MAX: u8 = 12;
/// A beam that passes through takes away so much.
const PASS_WEIGHT: u8 = 2;
/// Evidence that nobody renews is forgotten after this, so that the place is tried again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Farthest beam whose end is counted: beyond it an error of the heading moves the end too far.
const BELIEVED_RANGE: f64 = 5.0;
/// Most squares of evidence kept.
pub(crate) const EVIDENCE_MAX: usize = 2048;
/// A hit nearer than this to something mapped is explained by the map, metres, at no range.
const EXPLAINED: f64 = 0.17;
/// The same grows with the range, metres per metre: an error of the heading.
const EXPLAINED_PER_METER: f64 = 0.025;
/// Beams looked at for the consistency of one revolution.
const CHECKED_BEAMS: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    hits: u8,
    last: MonoTime,
}

/// A disc whose hits are explained by a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mask {
    pub(crate) at: Point,
    pub(crate) radius: f64,
}

/// The memory of what is on no map.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    squares: BTreeMap<u32, Seen>,
    consistency: f64,
}

impl Evidence {
    pub(crate) const fn new() -> Self {
        Self { squares: BTreeMap::new(), consistency: 1.0 }
    }

    /// Share of the recent beams that saw what the map promises, 0 to 1.
    pub(crate) const fn consistency(&self) -> f64 {
        self.consistency
    }

    /// Squares believed to hold something, in rising order.
    pub(crate) fn obstacles(&self) -> impl Iterator<Item = u32> + '_ {
        self.squares.iter().filter(|(_, seen)| seen.hits >= HITS_BELIEVED).map(|(square, _)| *square)
    }

    /// Takes a revolution, seen from `pose` (where the robot was when the revolution ended).
    pub(crate) fn integrate(&mut self, now: MonoTime, map: &PlanningMap, pose: &Pose, scan: &Scan, masks: &[Mask]) {
        self.free(now, map, pose, scan);
        for (beam, range) in scan.ranges.iter().enumerate() {
            let range = f64::from(*range);
            if !(range.is_finite() && range > 0.05 && range < BELIEVED_RANGE) {
                continue;
            }
            let end = pose.position + Point::from_heading(pose.heading + Scan::angle_of(beam)) * range;
            let Some(square) = map.frame().square_of(end) else { continue };
            let explained = f64::from(map.clearance(square)) < EXPLAINED + EXPLAINED_PER_METER * range;
            if explained || masks.iter().any(|mask| mask.at.distance(end) < mask.radius) {
                continue;
            }
            self.hit(now, square);
        }
        self.check(map, pose, scan);
    }

    /// Forgets what nobody renewed.
    pub(crate) fn fade(&mut self, now: MonoTime) {
        self.squares.retain(|_, seen| now.since(seen.last) < FORGOTTEN_AFTER);
    }

    fn hit(&mut self, now: MonoTime, square: u32) {
        if self.squares.len() >= EVIDENCE_MAX && !self.squares.contains_key(&square) {
            return;
        }
        let seen = self.squares.entry(square).or_insert(Seen { hits: 0, last: now });
        // Several beams of one revolution in one square count once.
        if seen.hits == 0 || seen.last < now {
            seen.hits = (seen.hits + 1).min(HITS_MAX);
            seen.last = now;
        }
    }

    /// Counts down the squares that a beam passed through.
    fn free(&mut self, now: MonoTime, map: &PlanningMap, pose: &Pose, scan: &Scan) {
        self.squares.retain(|square, seen| {
            let toward = map.frame().center_of(*square) - pose.position;
            let distance = toward.norm();
            if !(0.05..=BELIEVED_RANGE).contains(&distance) || seen.last >= now {
                return true;
            }
            let passed = beam_towards(toward.heading() - pose.heading, scan)
                .is_some_and(|range| range > distance + 2.0 * map.frame().resolution);
            if passed {
                seen.hits = seen.hits.saturating_sub(PASS_WEIGHT);
            }
            seen.hits > 0
        });
    }

    /// Compares some beams with what the map promises.
    fn check(&mut self, map: &PlanningMap, pose: &Pose, scan: &Scan) {
        let (mut agree, mut asked) = (0_u32, 0_u32);
        for beam in (0..BEAMS).step_by(BEAMS / CHECKED_BEAMS) {
            let Some(range) = scan.ranges.get(beam).map(|range| f64::from(*range)) else { continue };
            let reach = scan.range_max.get().min(BELIEVED_RANGE);
            if range.is_nan() {
                continue;
            }
            let heading = pose.heading + Scan::angle_of(beam);
            let expected =
                sight::raycast(map, pose.position, heading, Meters(reach)).map_or(reach, |d| d.get().min(reach));
            asked += 1;
            // The conservative grid may promise a wall up to a square and a half too early.
            let tolerance = 0.30 + 0.05 * expected;
            agree += u32::from((range.min(reach) - expected).abs() < tolerance);
        }
        if asked > 0 {
            let share = f64::from(agree) / f64::from(asked);
            self.consistency += 0.1 * (share - self.consistency);
        }
    }
}

/// The range of the beam nearest to a direction in the body's frame; `None` where it dropped out.
fn beam_towards(angle: f64, scan: &Scan) -> Option<f64> {
    let turns = (angle / std::f64::consts::TAU).rem_euclid(1.0);
    let beam = (turns * BEAMS as f64).round() as usize % BEAMS;
    scan.ranges.get(beam).map(|range| f64::from(*range)).filter(|range| !range.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terrain::tests::hall;
    use skein_types::units::Meters;

    const RANGE: Meters = Meters(10.0);

    /// What a robot at `pose` sees in the hall with discs in it.
    fn scan(map: &PlanningMap, pose: &Pose, things: &[(Point, f64)]) -> Scan {
        let mut scan = Scan::nothing(RANGE);
        scan.ranges = std::array::from_fn(|beam| {
            let heading = pose.heading + Scan::angle_of(beam);
            let wall = sight::raycast(map, pose.position, heading, RANGE).map_or(f64::INFINITY, |d| d.get());
            let way = Point::from_heading(heading);
            let hits = things.iter().filter_map(|(at, radius)| {
                let to = *at - pose.position;
                let (along, beside) = (to.dot(way), to.cross(way).abs());
                (along > 0.0 && beside < *radius).then(|| along - (radius * radius - beside * beside).sqrt())
            });
            hits.fold(wall, f64::min) as f32
        });
        scan
    }

    fn watch(evidence: &mut Evidence, from_ms: u64, scans: u64, things: &[(Point, f64)], masks: &[Mask]) {
        let map = hall();
        let pose = Pose::new(2.0, 2.0, 0.4);
        for i in 0..scans {
            let seen = scan(&map, &pose, things);
            evidence.integrate(MonoTime::from_millis(from_ms + i * 100), &map, &pose, &seen, masks);
        }
    }

    #[test]
    fn a_thing_that_stays_becomes_an_obstacle_and_is_forgotten_when_seen_through() {
        let mut evidence = Evidence::new();
        let thing = [(Point::new(4.0, 2.0), 0.2)];
        watch(&mut evidence, 0, 2, &thing, &[]);
        assert_eq!(evidence.obstacles().count(), 0, "two revolutions are not enough");
        watch(&mut evidence, 200, 4, &thing, &[]);
        let map = hall();
        assert!(evidence.obstacles().count() > 1);
        assert!(evidence.obstacles().all(|square| map.frame().center_of(square).distance(thing[0].0) < 0.35));
        watch(&mut evidence, 600, 8, &[], &[]);
        assert_eq!(evidence.obstacles().count(), 0);
    }

    #[test]
    fn a_thing_that_walks_by_leaves_nothing_behind() {
        let mut evidence = Evidence::new();
        for step in 0..30_u64 {
            let at = Point::new(4.0, 0.8 + step as f64 * 0.12);
            watch(&mut evidence, step * 100, 1, &[(at, 0.2)], &[]);
        }
        watch(&mut evidence, 3000, 6, &[], &[]);
        assert_eq!(evidence.obstacles().count(), 0);
    }

    #[test]
    fn walls_and_peers_are_no_evidence() {
        let mut evidence = Evidence::new();
        let peer = Point::new(3.5, 2.5);
        watch(&mut evidence, 0, 10, &[(peer, 0.25)], &[Mask { at: peer, radius: 0.55 }]);
        assert_eq!(evidence.obstacles().count(), 0);
        assert!(evidence.consistency() > 0.8, "{}", evidence.consistency());
    }

    #[test]
    fn what_nobody_looks_at_fades_after_a_minute() {
        let mut evidence = Evidence::new();
        watch(&mut evidence, 0, 6, &[(Point::new(4.0, 2.0), 0.2)], &[]);
        evidence.fade(MonoTime::from_millis(30_000));
        assert!(evidence.obstacles().count() > 0);
        evidence.fade(MonoTime::from_millis(61_000));
        assert_eq!(evidence.obstacles().count(), 0);
    }

    #[test]
    fn a_place_that_is_not_as_mapped_is_noticed() {
        let mut evidence = Evidence::new();
        let map = hall();
        let elsewhere = Pose::new(5.5, 3.4, 2.0);
        for i in 0..60 {
            let seen = scan(&map, &elsewhere, &[]);
            evidence.integrate(MonoTime::from_millis(i * 100), &map, &Pose::new(1.0, 1.0, 0.0), &seen, &[]);
        }
        assert!(evidence.consistency() < 0.5, "{}", evidence.consistency());
    }
}
