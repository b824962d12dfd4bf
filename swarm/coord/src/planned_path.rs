//! The path a robot means to drive, as a polyline from its present position.

use skein_types::geometry::Point;

/// Longest path that is published and compared, metres.
pub(crate) const PATH_LENGTH_MAX: f64 = 10.0;
/// Points nearer than this to the one before are left out, metres.
const POINT_APART: f64 = 0.02;
/// Most points that are read.
const POINTS_MAX: usize = 256;

/// A line of at most [`PATH_LENGTH_MAX`] metres; its first point is the robot's position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedPath {
    points: Vec<Point>,
    length: f64,
    low: Point,
    high: Point,
}

impl PlannedPath {
    pub(crate) fn new(place: Point, path: &[Point]) -> Self {
        let mut points = Vec::with_capacity(path.len().min(POINTS_MAX) + 1);
        points.push(place);
        let (mut length, mut last) = (0.0, place);
        for &next in path.iter().take(POINTS_MAX).filter(|point| point.is_finite()) {
            let step = last.distance(next);
            if step < POINT_APART {
                continue;
            }
            if length + step >= PATH_LENGTH_MAX {
                points.push(last.lerp(next, (PATH_LENGTH_MAX - length) / step));
                length = PATH_LENGTH_MAX;
                break;
            }
            points.push(next);
            length += step;
            last = next;
        }
        let bound =
            |pick: fn(f64, f64) -> f64| points.iter().fold(place, |b, p| Point::new(pick(b.x, p.x), pick(b.y, p.y)));
        let (low, high) = (bound(f64::min), bound(f64::max));
        Self { points, length, low, high }
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn length(&self) -> f64 {
        self.length
    }

    pub(crate) fn start(&self) -> Point {
        self.points.first().copied().unwrap_or(self.low)
    }

    pub(crate) fn end(&self) -> Point {
        self.points.last().copied().unwrap_or(self.low)
    }

    /// Whether a point lies farther than `distance` from the bounding box: a quick rejection.
    pub(crate) fn far_from(&self, point: Point, distance: f64) -> bool {
        point.x < self.low.x - distance
            || point.y < self.low.y - distance
            || point.x > self.high.x + distance
            || point.y > self.high.y + distance
    }

    /// Whether the bounding boxes of two paths are farther apart than `distance`.
    pub(crate) fn apart(&self, other: &Self, distance: f64) -> bool {
        other.high.x < self.low.x - distance
            || other.high.y < self.low.y - distance
            || other.low.x > self.high.x + distance
            || other.low.y > self.high.y + distance
    }

    /// Distance of a point from the first `within` metres of the path, and where along it the nearest point lies.
    pub(crate) fn nearest(&self, point: Point, within: f64) -> (f64, f64) {
        let mut best = (self.points.first().map_or(f64::INFINITY, |p| (*p - point).norm_squared()), 0.0);
        let mut along = 0.0;
        for (&a, &b) in self.points.iter().zip(self.points.iter().skip(1)) {
            if along >= within {
                break;
            }
            let (line, length) = (b - a, a.distance(b));
            let reach = ((within - along) / length).min(1.0);
            let t = ((point - a).dot(line) / (length * length)).clamp(0.0, reach);
            let squared = (a + line * t - point).norm_squared();
            if squared < best.0 {
                best = (squared, along + t * length);
            }
            along += length;
        }
        (best.0.sqrt(), best.1)
    }

    /// Distance of a point from the whole path.
    pub(crate) fn distance(&self, point: Point) -> f64 {
        self.nearest(point, PATH_LENGTH_MAX).0
    }

    /// Positions along the first `within` metres, at most `step` apart, with their distance from the start.
    pub(crate) fn samples(&self, step: f64, within: f64) -> Vec<(f64, Point)> {
        let mut samples = vec![(0.0, self.points.first().copied().unwrap_or_default())];
        let mut along = 0.0;
        for (&a, &b) in self.points.iter().zip(self.points.iter().skip(1)) {
            let length = a.distance(b);
            let pieces = (length / step).ceil().max(1.0);
            let mut piece = 1.0;
            while piece <= pieces {
                let at = along + length * piece / pieces;
                if at > within {
                    return samples;
                }
                samples.push((at, a.lerp(b, piece / pieces)));
                piece += 1.0;
            }
            along += length;
        }
        samples
    }

    /// The first `length` metres.
    pub(crate) fn first(&self, length: f64) -> Vec<Point> {
        let mut points = Vec::with_capacity(self.points.len());
        points.extend(self.points.first());
        let mut along = 0.0;
        for (&a, &b) in self.points.iter().zip(self.points.iter().skip(1)) {
            let step = a.distance(b);
            if along + step >= length {
                if length > along {
                    points.push(a.lerp(b, (length - along) / step));
                }
                break;
            }
            points.push(b);
            along += step;
        }
        points
    }

    /// What is left from the point nearest to `place`. Only the first 1.5 m are searched, so that a path that crosses
    /// itself is not cut short.
    pub(crate) fn onward_from(&self, place: Point) -> Self {
        let (_, passed) = self.nearest(place, 1.5);
        let mut along = 0.0;
        let mut rest = Vec::new();
        for (&a, &b) in self.points.iter().zip(self.points.iter().skip(1)) {
            along += a.distance(b);
            if along > passed + POINT_APART {
                rest.push(b);
            }
        }
        Self::new(place, &rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corner() -> PlannedPath {
        PlannedPath::new(Point::new(0.0, 0.0), &[Point::new(3.0, 0.0), Point::new(3.0, 4.0)])
    }

    #[test]
    fn a_path_starts_at_the_robot_and_ends_at_its_bound() {
        let path = PlannedPath::new(Point::new(-1.0, 0.0), &[Point::new(f64::NAN, 0.0), Point::new(20.0, 0.0)]);
        assert_eq!(path.points(), [Point::new(-1.0, 0.0), Point::new(9.0, 0.0)]);
        assert_eq!(path.length(), PATH_LENGTH_MAX);
    }

    #[test]
    fn the_nearest_point_comes_with_its_distance_along_the_path() {
        assert_eq!(corner().nearest(Point::new(4.0, 2.0), 10.0), (1.0, 5.0));
        assert_eq!(corner().nearest(Point::new(4.0, 2.0), 3.0), (5.0_f64.sqrt(), 3.0));
        assert_eq!(PlannedPath::new(Point::default(), &[]).nearest(Point::new(0.0, 2.0), 1.0), (2.0, 0.0));
    }

    #[test]
    fn samples_leave_no_gap_and_cover_the_end() {
        let samples = corner().samples(0.3, 10.0);
        assert_eq!(samples.last().map(|s| s.1), Some(Point::new(3.0, 4.0)));
        assert!(samples.windows(2).all(|w| w[1].0 - w[0].0 <= 0.3 + 1e-9));
    }

    #[test]
    fn a_path_can_be_cut_at_both_ends() {
        assert_eq!(corner().first(4.0).last(), Some(&Point::new(3.0, 1.0)));
        assert_eq!(corner().first(0.0), [Point::new(0.0, 0.0)]);
        let rest = corner().onward_from(Point::new(1.0, 0.1));
        assert_eq!(rest.points(), [Point::new(1.0, 0.1), Point::new(3.0, 0.0), Point::new(3.0, 4.0)]);
    }
}
