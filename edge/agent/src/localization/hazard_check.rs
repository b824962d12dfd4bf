//! Whether an obstacle of the shared hazard map is still there, from this robot's own lidar.
//!
//! An obstacle is gone when the lidar measures well beyond its centre from nearby, revolution after revolution. (A cliff
//! is cleared by a robot that drives over it; see `skein-coord`.)

use skein_types::geometry::{Point, Pose};
use skein_types::sensing::{BEAMS, Scan};

/// An obstacle is judged from at most this far, metres: beyond it a heading error moves the beam too far.
const RANGE_MAX: f64 = 4.0;
/// A beam has to pass the centre by the obstacle's radius and this, metres.
const BEYOND: f64 = 0.15;
/// Consecutive revolutions (10 Hz) that must measure beyond it.
const CONFIRMATIONS: u8 = 8;
/// Bound on the obstacles judged at once.
const JUDGED_MAX: usize = 64;

/// An obstacle to judge: centre (map frame) and radius (metres).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ReportedObstacle {
    pub(crate) position: Point,
    pub(crate) radius: f64,
}

/// Counts the revolutions that measured beyond an obstacle.
#[derive(Clone, Debug, Default)]
pub(crate) struct HazardCheck {
    counts: Vec<(Point, u8)>,
}

impl HazardCheck {
    /// Takes one revolution measured at `pose`. Returns the obstacles that are confirmed to be gone.
    pub(crate) fn on_scan(
        &mut self,
        pose: &Pose,
        scan: &Scan,
        obstacles: impl Iterator<Item = ReportedObstacle>,
    ) -> Vec<ReportedObstacle> {
        let mut counts = Vec::new();
        let mut gone = Vec::new();
        for obstacle in obstacles.filter(|obstacle| measures_beyond(pose, scan, obstacle)).take(JUDGED_MAX) {
            let before = self.counts.iter().find(|(at, _)| *at == obstacle.position).map_or(0, |(_, count)| *count);
            if before + 1 >= CONFIRMATIONS {
                gone.push(obstacle);
            } else {
                counts.push((obstacle.position, before + 1));
            }
        }
        self.counts = counts;
        gone
    }
}

/// All beams through the inner half of the obstacle measure beyond it. NaN measures nothing.
pub(super) fn measures_beyond(pose: &Pose, scan: &Scan, obstacle: &ReportedObstacle) -> bool {
    let distance = obstacle.position.distance(pose.position);
    let limit = (distance + obstacle.radius + BEYOND) as f32;
    (obstacle.radius + BEYOND..=RANGE_MAX).contains(&distance)
        && ranges_through(pose, scan, obstacle).all(|range| range > limit)
}

/// The ranges measured through the inner half of an obstacle.
pub(super) fn ranges_through(pose: &Pose, scan: &Scan, obstacle: &ReportedObstacle) -> impl Iterator<Item = f32> {
    let toward = obstacle.position - pose.position;
    let distance = toward.norm();
    let beams_per_radian = BEAMS as f64 / std::f64::consts::TAU;
    let half = ((obstacle.radius / 2.0 / distance).atan() * beams_per_radian).ceil().max(1.0) as usize;
    let turn = (toward.heading() - pose.heading).rem_euclid(std::f64::consts::TAU);
    let middle = (turn * beams_per_radian).round() as usize;
    (0..=2 * half).map(move |offset| {
        let beam = (middle + BEAMS + offset - half) % BEAMS;
        scan.ranges.get(beam).copied().unwrap_or(f32::NAN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::units::Meters;

    fn obstacle(x: f64) -> ReportedObstacle {
        ReportedObstacle { position: Point::new(x, 0.0), radius: 0.3 }
    }

    fn scan(range: f32) -> Scan {
        let mut scan = Scan::nothing(Meters(10.0));
        scan.ranges = [range; BEAMS];
        scan
    }

    /// Revolutions until the obstacle is confirmed gone, of at most 20.
    fn revolutions(obstacle: ReportedObstacle, scan: &Scan) -> Option<usize> {
        let mut check = HazardCheck::default();
        (1..=20).find(|_| check.on_scan(&Pose::default(), scan, std::iter::once(obstacle)) == [obstacle])
    }

    #[test]
    fn an_obstacle_is_gone_after_eight_revolutions_beyond_it() {
        assert_eq!(revolutions(obstacle(2.0), &scan(5.0)), Some(8));
        assert_eq!(revolutions(obstacle(2.0), &scan(2.2)), None, "a beam that ends inside proves nothing");
        assert_eq!(revolutions(obstacle(2.0), &scan(f32::NAN)), None);
        assert_eq!(revolutions(obstacle(6.0), &scan(9.0)), None, "too far away");
        assert_eq!(revolutions(obstacle(0.2), &scan(9.0)), None, "the robot stands on it");
    }

    #[test]
    fn one_revolution_that_measures_it_restarts_the_count() {
        let mut check = HazardCheck::default();
        let mut on_scan = |range| check.on_scan(&Pose::default(), &scan(range), std::iter::once(obstacle(2.0)));
        assert!((0..7).all(|_| on_scan(5.0).is_empty()) && on_scan(1.7).is_empty());
        assert!((0..7).all(|_| on_scan(5.0).is_empty()));
        assert_eq!(on_scan(5.0).len(), 1);
    }
}
