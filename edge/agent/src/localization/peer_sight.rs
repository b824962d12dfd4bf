//! Whether something stands where a peer says that it is, from this robot's own lidar.

use skein_coord::Sight;
use skein_space::planning::PlanningMap;
use skein_types::geometry::{Point, Pose};
use skein_types::sensing::Scan;

use super::hazard_check::{ReportedObstacle, measures_beyond, ranges_through};

/// A peer is judged from at most this far, metres: beyond it a heading error moves the beam too far.
const RANGE_MAX: f64 = 4.0;
/// The footprint may be this far from where the peer says, metres: both poses have errors, and the peer moves.
const POSE_ERROR: f64 = 0.3;

/// What a revolution measured at `pose` says of a footprint of this radius (metres) at a position (map frame).
pub(super) fn sight_of(map: &PlanningMap, pose: &Pose, scan: &Scan, at: Point, radius: f64) -> Sight {
    let (peer, distance) = (ReportedObstacle { position: at, radius }, at.distance(pose.position));
    if !at.is_finite() || !(radius + POSE_ERROR..=RANGE_MAX).contains(&distance) {
        return Sight::Unknown;
    }
    if measures_beyond(pose, scan, &peer) {
        return Sight::Empty;
    }
    let hull = (distance - radius - POSE_ERROR) as f32..=(distance + POSE_ERROR) as f32;
    let (mut hits, mut beams) = (0_usize, 0_usize);
    for range in ranges_through(pose, scan, &peer) {
        beams += 1;
        hits += usize::from(hull.contains(&range));
    }
    // Where the map shows something, the beam proves nothing.
    let is_free = map.frame().cell_of(at).is_some_and(|cell| f64::from(map.clearance(cell)) >= radius);
    if is_free && 2 * hits > beams { Sight::Seen } else { Sight::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::localization::obstacle_layer::tests::scan;
    use crate::navigation::layered_grid::tests::hall;

    #[test]
    fn a_peer_is_seen_where_something_stands_and_refuted_where_nothing_does() {
        let (map, pose) = (hall(), Pose::new(2.0, 2.0, 0.4));
        let (robot, radius) = (Point::new(4.0, 2.2), 0.25);
        let seen = scan(&map, &pose, &[(robot, radius)]);
        let sight = |at| sight_of(&map, &pose, &seen, at, radius);
        assert_eq!(sight(robot), Sight::Seen);
        assert_eq!(sight(robot + Point::new(0.15, -0.1)), Sight::Seen, "poses have errors");
        assert_eq!(sight(Point::new(3.5, 3.2)), Sight::Empty);
        assert_eq!(sight(Point::new(5.3, 2.33)), Sight::Unknown, "the robot hides what is behind it");
        assert_eq!(sight(Point::new(2.1, 2.0)), Sight::Unknown, "too near");
        assert_eq!(sight(Point::new(4.0, 0.45)), Sight::Unknown, "a wall is no peer");
        assert_eq!(sight(Point::new(f64::NAN, 0.0)), Sight::Unknown);
    }
}
