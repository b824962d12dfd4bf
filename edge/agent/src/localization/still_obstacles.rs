//! Which unmapped obstacles are worth telling the whole fleet: those that stand still for long enough to be neither a
//! robot nor a person.
//!
//! ```text
//! confirmed cells of the obstacle layer -> clusters -> candidates (since when, from where) -> reported once
//! ```
//!
//! A candidate is an obstacle when it has stood for [`STILL_FOR`] and was seen from two viewpoints, or for
//! [`SURELY_STILL_FOR`]. Peers that are heard are masked out of the obstacle layer, so they are no candidates. A mistake
//! is undone like any other entry of the shared map: by a robot that sees the place free.

use std::time::Duration;

use skein_space::planning::PlanningMap;
use skein_types::coord::HAZARD_SAME_PLACE;
use skein_types::geometry::Point;
use skein_types::time::MonoTime;

use super::hazard_check::ReportedObstacle;
use super::obstacle_layer::ObstacleLayer;

/// Seen from two viewpoints, it has to stand for this long.
const STILL_FOR: Duration = Duration::from_secs(8);
/// Seen from one viewpoint, it has to stand for this long.
const SURELY_STILL_FOR: Duration = Duration::from_secs(30);
/// Two poses this far apart are two viewpoints, metres.
const VIEWPOINTS_APART: f64 = 1.0;
/// The candidates are compared with the obstacle layer this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A candidate that another robot has cleared, or that found no place, is reported again after this.
const REPORT_AGAIN: Duration = Duration::from_secs(30);
/// Cells this near to the first cell of a cluster belong to it, metres.
const CLUSTER_REACH: f64 = HAZARD_SAME_PLACE.0;
/// A cluster this near to where a candidate was first seen is the candidate, metres: from another side other cells of it
/// are seen.
const STAYS_WITHIN: f64 = 0.3;
/// Largest reported radius, metres: a larger obstacle is several.
const RADIUS_MAX: f64 = 0.3;
/// Fewest cells of an obstacle: a single cell may be an error of the pose.
const CELLS_MIN: usize = 2;
/// An obstacle whose centre is nearer to a mapped one than this is not reported, metres: it may be an error of the pose, and
/// no robot fits beside it anyway.
const MAPPED_APART: f64 = 0.3;
/// Bound on the clusters.
const CLUSTERS_MAX: usize = 32;

/// Neighbouring cells of the obstacle layer.
#[derive(Clone, Debug)]
struct Cluster {
    first: Point,
    cells: Vec<Point>,
    last_hit: MonoTime,
}

/// A cluster over time.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    place: ReportedObstacle,
    /// Where it was first seen.
    first_seen: Point,
    since: MonoTime,
    /// Where the robot was when it first saw it.
    first_viewpoint: Point,
    has_two_viewpoints: bool,
    reported_at: Option<MonoTime>,
}

/// The candidates.
#[derive(Clone, Debug, Default)]
pub(crate) struct StillObstacles {
    candidates: Vec<Candidate>,
    next_look: MonoTime,
}

impl StillObstacles {
    /// Compares the candidates with the obstacle layer, seen from a position. Returns the obstacles to report now.
    pub(crate) fn update(
        &mut self,
        now: MonoTime,
        here: Point,
        map: &PlanningMap,
        layer: &ObstacleLayer,
    ) -> Vec<ReportedObstacle> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + LOOK_EVERY;
        let followed = clusters(map, layer).iter().filter_map(|cluster| self.follow(now, here, map, cluster)).collect();
        self.candidates = followed;
        let due = self.candidates.iter_mut().filter(|candidate| candidate.is_due(now));
        due.map(|candidate| {
            candidate.reported_at = Some(now);
            candidate.place
        })
        .collect()
    }

    /// Begins anew: while peers are not heard, each of them looks like an obstacle.
    pub(crate) fn forget(&mut self) {
        self.candidates.clear();
    }

    fn follow(&self, now: MonoTime, here: Point, map: &PlanningMap, cluster: &Cluster) -> Option<Candidate> {
        let place = cluster.place(map)?;
        let known = self.candidates.iter().find(|known| known.first_seen.distance(place.position) < STAYS_WITHIN);
        let mut candidate = match known {
            Some(known) => Candidate { place, ..*known },
            None => Candidate {
                place,
                first_seen: place.position,
                since: now,
                first_viewpoint: here,
                has_two_viewpoints: false,
                reported_at: None,
            },
        };
        let is_seen = now.since(cluster.last_hit) < LOOK_EVERY;
        candidate.has_two_viewpoints |= is_seen && candidate.first_viewpoint.distance(here) >= VIEWPOINTS_APART;
        Some(candidate)
    }
}

impl Candidate {
    fn is_due(&self, now: MonoTime) -> bool {
        let needed = if self.has_two_viewpoints { STILL_FOR } else { SURELY_STILL_FOR };
        now.since(self.since) >= needed && self.reported_at.is_none_or(|at| now.since(at) >= REPORT_AGAIN)
    }
}

impl Cluster {
    /// The disc around the cells; `None` for what is too small, or too near to what is mapped.
    fn place(&self, map: &PlanningMap) -> Option<ReportedObstacle> {
        if self.cells.len() < CELLS_MIN {
            return None;
        }
        let sum = self.cells.iter().fold(Point::default(), |sum, cell| sum + *cell);
        let position = sum * (1.0 / self.cells.len() as f64);
        let reach = self.cells.iter().map(|cell| cell.distance(position)).fold(0.0, f64::max);
        let radius = (reach + map.frame().resolution / 2.0).min(RADIUS_MAX);
        let free = map.frame().cell_of(position).map_or(0.0, |cell| f64::from(map.clearance(cell)));
        (free >= MAPPED_APART).then_some(ReportedObstacle { position, radius })
    }
}

fn clusters(map: &PlanningMap, layer: &ObstacleLayer) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (cell, last_hit) in layer.confirmed() {
        let at = map.frame().center_of(cell);
        if let Some(cluster) = clusters.iter_mut().find(|cluster| cluster.first.distance(at) < CLUSTER_REACH) {
            cluster.cells.push(at);
            cluster.last_hit = cluster.last_hit.max(last_hit);
        } else if clusters.len() < CLUSTERS_MAX {
            clusters.push(Cluster { first: at, cells: vec![at], last_hit });
        }
    }
    clusters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::localization::obstacle_layer::tests::scan;
    use crate::navigation::layered_grid::tests::hall;
    use skein_types::geometry::Pose;

    const THING: (Point, f64) = (Point::new(4.0, 2.0), 0.2);

    struct Watch {
        layer: ObstacleLayer,
        still: StillObstacles,
        now: MonoTime,
    }

    impl Watch {
        fn new() -> Self {
            Self { layer: ObstacleLayer::new(), still: StillObstacles::default(), now: MonoTime::from_millis(1_000) }
        }

        /// Revolutions of these seconds from one place, with circular objects; what is reported.
        fn look(&mut self, from: Point, seconds: u64, things: &[(Point, f64)]) -> Vec<ReportedObstacle> {
            let (map, pose) = (hall(), Pose::new(from.x, from.y, 0.4));
            let mut reported = Vec::new();
            for _ in 0..10 * seconds {
                self.now = self.now + Duration::from_millis(100);
                let seen = scan(&map, &pose, things);
                self.layer.integrate(self.now, &map, &pose, &seen, &[]);
                reported.extend(self.still.update(self.now, from, &map, &self.layer));
            }
            reported
        }
    }

    #[test]
    fn an_obstacle_that_stands_and_is_seen_from_two_places_is_reported_once() {
        let mut watch = Watch::new();
        assert_eq!(watch.look(Point::new(2.0, 2.0), 5, &[THING]), []);
        let reported = watch.look(Point::new(2.0, 3.2), 15, &[THING]);
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(reported[0].position.distance(THING.0) < 0.25 && (0.1..=RADIUS_MAX).contains(&reported[0].radius));
    }

    #[test]
    fn from_one_place_it_has_to_stand_longer_than_any_robot_waits() {
        let mut watch = Watch::new();
        assert_eq!(watch.look(Point::new(2.0, 2.0), 28, &[THING]), []);
        assert_eq!(watch.look(Point::new(2.0, 2.0), 5, &[THING]).len(), 1);
    }

    #[test]
    fn what_moves_on_is_not_reported() {
        let mut watch = Watch::new();
        for step in 0..10_u32 {
            let thing = (Point::new(3.0 + 0.35 * f64::from(step), 2.0), 0.2);
            let from = if step % 2 == 0 { Point::new(2.0, 1.0) } else { Point::new(2.0, 3.2) };
            assert_eq!(watch.look(from, 4, &[thing]), [], "{step}");
        }
    }

    #[test]
    fn what_stands_at_a_mapped_wall_is_left_to_each_robot() {
        let mut watch = Watch::new();
        watch.look(Point::new(2.0, 2.0), 20, &[(Point::new(4.0, 0.45), 0.15)]);
        assert_eq!(watch.look(Point::new(2.0, 3.2), 20, &[(Point::new(4.0, 0.45), 0.15)]), []);
    }

    #[test]
    fn a_long_obstacle_is_a_bounded_number_of_places_apart() {
        let mut watch = Watch::new();
        let wall: Vec<(Point, f64)> = (0..20).map(|i| (Point::new(3.0 + 0.1 * f64::from(i), 1.6), 0.1)).collect();
        watch.look(Point::new(3.0, 3.2), 5, &wall);
        let reported = watch.look(Point::new(4.5, 3.2), 15, &wall);
        assert!((2..=6).contains(&reported.len()), "{reported:?}");
        assert!(reported.iter().all(|place| place.radius <= RADIUS_MAX));
    }
}
