//! Obstacles that are on no map, from lidar evidence, and how well the lidar agrees with the map.
//!
//! A beam that ends in a cell with nothing mapped nearby counts that cell up; a beam that passes through counts it down.
//! Beams that end at a peer do not count: peers move. Counts that are not renewed expire, so that the robot tries the
//! place again.

use std::collections::BTreeMap;
use std::time::Duration;

use skein_space::planning::PlanningMap;
use skein_space::sight;
use skein_types::geometry::{Point, Pose};
use skein_types::sensing::{BEAMS, Scan};
use skein_types::time::MonoTime;
use skein_types::units::Meters;

/// Revolutions (10 Hz) that must have hit a cell before it counts as an obstacle.
const HITS_CONFIRMED: u8 = 4;
/// Hits saturate here, so that an obstacle that goes away is cleared within a second.
const HITS_MAX: u8 = 12;
/// What a beam that passes through a cell subtracts.
const PASS_WEIGHT: u8 = 2;
/// Evidence expires this long after its last hit.
const EVIDENCE_TTL: Duration = Duration::from_secs(60);
/// Longest beam whose end counts, metres: beyond it a heading error moves the end too far.
const RANGE_MAX: f64 = 5.0;
/// Bound on the cells with layer.
pub(crate) const CELLS_MAX: usize = 2048;
/// A hit nearer than this to a mapped obstacle is explained by the map, metres, at range zero.
const EXPLAINED: f64 = 0.17;
/// Growth of [`EXPLAINED`] with the range, metres per metre: a heading error.
const EXPLAINED_PER_METER: f64 = 0.025;
/// Beams of one revolution that are compared with the map.
const CHECKED_BEAMS: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq)]
struct CellEvidence {
    hits: u8,
    last_hit: MonoTime,
}

/// A circle around a peer: hits inside are the peer, not an obstacle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PeerMask {
    pub(crate) at: Point,
    pub(crate) radius: f64,
}

/// Evidence of unmapped obstacles by cell, and the agreement of lidar and map.
#[derive(Clone, Debug)]
pub(crate) struct ObstacleLayer {
    cells: BTreeMap<u32, CellEvidence>,
    consistency: f64,
}

impl ObstacleLayer {
    pub(crate) const fn new() -> Self {
        Self { cells: BTreeMap::new(), consistency: 1.0 }
    }

    /// Smoothed share of beams that measured what the map predicts, 0 to 1.
    pub(crate) const fn consistency(&self) -> f64 {
        self.consistency
    }

    /// Cells with a confirmed obstacle, ascending.
    pub(crate) fn obstacles(&self) -> impl Iterator<Item = u32> + '_ {
        self.cells.iter().filter(|(_, seen)| seen.hits >= HITS_CONFIRMED).map(|(cell, _)| *cell)
    }

    /// The same cells with the time of their last hit.
    pub(crate) fn confirmed(&self) -> impl Iterator<Item = (u32, MonoTime)> + '_ {
        self.cells.iter().filter(|(_, seen)| seen.hits >= HITS_CONFIRMED).map(|(cell, seen)| (*cell, seen.last_hit))
    }

    /// Whether a confirmed obstacle is within a radius (metres) of a point.
    pub(crate) fn is_seen_at(&self, map: &PlanningMap, at: Point, radius: f64) -> bool {
        self.obstacles().any(|cell| map.frame().center_of(cell).distance(at) < radius)
    }

    /// Takes a revolution measured at `pose`, `map_from_body` when the revolution ended.
    pub(crate) fn integrate(&mut self, now: MonoTime, map: &PlanningMap, pose: &Pose, scan: &Scan, masks: &[PeerMask]) {
        self.clear_passed(now, map, pose, scan);
        for (beam, range) in scan.ranges.iter().enumerate() {
            let range = f64::from(*range);
            if !(range.is_finite() && range > 0.05 && range < RANGE_MAX) {
                continue;
            }
            let end = pose.position + Point::from_heading(pose.heading + Scan::angle_of(beam)) * range;
            let Some(cell) = map.frame().cell_of(end) else { continue };
            let explained = f64::from(map.clearance(cell)) < EXPLAINED + EXPLAINED_PER_METER * range;
            if explained || masks.iter().any(|mask| mask.at.distance(end) < mask.radius) {
                continue;
            }
            self.hit(now, cell);
        }
        self.update_consistency(map, pose, scan);
    }

    /// Removes evidence older than [`EVIDENCE_TTL`].
    pub(crate) fn expire(&mut self, now: MonoTime) {
        self.cells.retain(|_, seen| now.since(seen.last_hit) < EVIDENCE_TTL);
    }

    fn hit(&mut self, now: MonoTime, cell: u32) {
        if self.cells.len() >= CELLS_MAX && !self.cells.contains_key(&cell) {
            return;
        }
        let seen = self.cells.entry(cell).or_insert(CellEvidence { hits: 0, last_hit: now });
        // Several beams of one revolution in one cell count once.
        if seen.hits == 0 || seen.last_hit < now {
            seen.hits = (seen.hits + 1).min(HITS_MAX);
            seen.last_hit = now;
        }
    }

    /// Counts down the cells that a beam passed through.
    fn clear_passed(&mut self, now: MonoTime, map: &PlanningMap, pose: &Pose, scan: &Scan) {
        self.cells.retain(|cell, seen| {
            let toward = map.frame().center_of(*cell) - pose.position;
            let distance = toward.norm();
            if !(0.05..=RANGE_MAX).contains(&distance) || seen.last_hit >= now {
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

    /// Compares [`CHECKED_BEAMS`] beams with ray casts on the map.
    fn update_consistency(&mut self, map: &PlanningMap, pose: &Pose, scan: &Scan) {
        let (mut agree, mut compared) = (0_u32, 0_u32);
        for beam in (0..BEAMS).step_by(BEAMS / CHECKED_BEAMS) {
            let Some(range) = scan.ranges.get(beam).map(|range| f64::from(*range)) else { continue };
            let reach = scan.range_max.get().min(RANGE_MAX);
            if range.is_nan() {
                continue;
            }
            let heading = pose.heading + Scan::angle_of(beam);
            let expected =
                sight::raycast(map, pose.position, heading, Meters(reach)).map_or(reach, |d| d.get().min(reach));
            compared += 1;
            // The conservative grid may predict a wall up to 1.5 cells too early.
            let tolerance = 0.30 + 0.05 * expected;
            agree += u32::from((range.min(reach) - expected).abs() < tolerance);
        }
        if compared > 0 {
            let share = f64::from(agree) / f64::from(compared);
            self.consistency += 0.1 * (share - self.consistency);
        }
    }
}

/// Range of the beam nearest to a direction (body frame); `None` where that beam returned nothing.
fn beam_towards(angle: f64, scan: &Scan) -> Option<f64> {
    let turns = (angle / std::f64::consts::TAU).rem_euclid(1.0);
    let beam = (turns * BEAMS as f64).round() as usize % BEAMS;
    scan.ranges.get(beam).map(|range| f64::from(*range)).filter(|range| !range.is_nan())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::navigation::layered_grid::tests::hall;
    use skein_types::units::Meters;

    const RANGE: Meters = Meters(10.0);

    /// Simulated revolution at `pose` in the hall with circular objects in it.
    pub(crate) fn scan(map: &PlanningMap, pose: &Pose, things: &[(Point, f64)]) -> Scan {
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

    fn watch(layer: &mut ObstacleLayer, from_ms: u64, scans: u64, things: &[(Point, f64)], masks: &[PeerMask]) {
        let map = hall();
        let pose = Pose::new(2.0, 2.0, 0.4);
        for i in 0..scans {
            let seen = scan(&map, &pose, things);
            layer.integrate(MonoTime::from_millis(from_ms + i * 100), &map, &pose, &seen, masks);
        }
    }

    #[test]
    fn a_still_object_becomes_an_obstacle_until_seen_through() {
        let mut layer = ObstacleLayer::new();
        let thing = [(Point::new(4.0, 2.0), 0.2)];
        watch(&mut layer, 0, 2, &thing, &[]);
        assert_eq!(layer.obstacles().count(), 0, "two revolutions are not enough");
        watch(&mut layer, 200, 4, &thing, &[]);
        let map = hall();
        assert!(layer.obstacles().count() > 1);
        assert!(layer.obstacles().all(|cell| map.frame().center_of(cell).distance(thing[0].0) < 0.35));
        watch(&mut layer, 600, 8, &[], &[]);
        assert_eq!(layer.obstacles().count(), 0);
    }

    #[test]
    fn a_moving_object_leaves_no_obstacle() {
        let mut layer = ObstacleLayer::new();
        for step in 0..30_u64 {
            let at = Point::new(4.0, 0.8 + step as f64 * 0.12);
            watch(&mut layer, step * 100, 1, &[(at, 0.2)], &[]);
        }
        watch(&mut layer, 3000, 6, &[], &[]);
        assert_eq!(layer.obstacles().count(), 0);
    }

    #[test]
    fn walls_and_peers_do_not_count() {
        let mut layer = ObstacleLayer::new();
        let peer = Point::new(3.5, 2.5);
        watch(&mut layer, 0, 10, &[(peer, 0.25)], &[PeerMask { at: peer, radius: 0.55 }]);
        assert_eq!(layer.obstacles().count(), 0);
        assert!(layer.consistency() > 0.8, "{}", layer.consistency());
    }

    #[test]
    fn evidence_without_new_hits_expires_after_a_minute() {
        let mut layer = ObstacleLayer::new();
        watch(&mut layer, 0, 6, &[(Point::new(4.0, 2.0), 0.2)], &[]);
        layer.expire(MonoTime::from_millis(30_000));
        assert!(layer.obstacles().count() > 0);
        layer.expire(MonoTime::from_millis(61_000));
        assert_eq!(layer.obstacles().count(), 0);
    }

    #[test]
    fn a_wrong_pose_lowers_the_consistency() {
        let mut layer = ObstacleLayer::new();
        let map = hall();
        let elsewhere = Pose::new(5.5, 3.4, 2.0);
        for i in 0..60 {
            let seen = scan(&map, &elsewhere, &[]);
            layer.integrate(MonoTime::from_millis(i * 100), &map, &Pose::new(1.0, 1.0, 0.0), &seen, &[]);
        }
        assert!(layer.consistency() < 0.5, "{}", layer.consistency());
    }
}
