//! A path with a speed profile: corners rounded where clearance allows, and at every point the highest speed from which
//! the robot can still brake for what follows.

use skein_types::geometry::{Point, wrap_angle};

/// Distance between trajectory points, metres.
pub(crate) const SPACING: f64 = 0.1;
/// A corner sharper than this that cannot be rounded is taken by rotation in place, radians.
const SHARP: f64 = 0.9;
/// Largest deviation from a rounded corner, metres.
const ROUNDING_MAX: f64 = 0.25;
/// Corners below this angle are not rounded, radians.
const STRAIGHT: f64 = 0.02;

/// Limits of the body used for planning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Highest speed, m/s.
    pub(crate) speed: f64,
    /// Lowest speed that is still driven, m/s.
    pub(crate) speed_min: f64,
    /// Highest yaw rate while driving, rad/s.
    pub(crate) yaw_rate: f64,
    /// Deceleration of the speed profile, m/s².
    pub(crate) braking: f64,
    /// Acceleration of the controller, m/s².
    pub(crate) acceleration: f64,
    /// Footprint radius, metres.
    pub(crate) radius: f64,
    /// Clearance that each point needs (radius and margin), metres.
    pub(crate) clearance: f64,
}

impl Limits {
    /// Highest speed at a clearance: the reflex requires a free corridor of `radius + 0.03 + 0.10 · speed` to each
    /// side.
    pub(crate) fn speed_at_clearance(&self, clearance: f64) -> f64 {
        ((clearance - self.radius - 0.04) / 0.10).clamp(self.speed_min.max(0.15), self.speed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct TrajectoryPoint {
    at: Point,
    /// Direction of the path from here, radians.
    heading: f64,
    /// Distance from the start, metres.
    along: f64,
    /// Highest speed here, m/s.
    speed: f64,
    /// The robot rotates in place here.
    rotate: bool,
}

/// A path with speeds, and how far the robot has followed it.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Trajectory {
    points: Vec<TrajectoryPoint>,
    next: usize,
}

/// What the controller needs at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TrackingState {
    /// Point to steer to.
    pub(crate) target: Point,
    /// Highest speed here, m/s.
    pub(crate) speed: f64,
    /// Cross-track error, metres.
    pub(crate) cross_track: f64,
    /// Distance from the start, metres.
    pub(crate) along: f64,
    /// Remaining distance, metres.
    pub(crate) remaining: f64,
    /// Direction of the path here, radians.
    pub(crate) heading: f64,
}

impl Trajectory {
    /// Rounds the corners of a polyline and sets the speeds. `clearance` gives the map's clearance at a point, metres.
    pub(crate) fn new(corners: &[Point], limits: &Limits, clearance: impl Fn(Point) -> f64) -> Self {
        let corners = without_repeats(corners);
        let mut points = sample_polyline(&corners, limits, &clearance);
        set_speeds(&mut points, limits, &clearance);
        Self { points, next: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// `None` for an empty trajectory.
    pub(crate) fn end(&self) -> Option<Point> {
        self.points.last().map(|point| point.at)
    }

    /// Along the path, metres.
    pub(crate) fn length(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.along)
    }

    /// Distance followed so far, metres.
    pub(crate) fn along(&self) -> f64 {
        self.points.get(self.next).map_or(0.0, |point| point.along)
    }

    /// At most `count` points ahead of the robot, up to `reach` metres along the path.
    pub(crate) fn points_ahead(&self, count: usize, reach: f64) -> Vec<Point> {
        let from = self.along();
        let ahead = self.points.get(self.next..).unwrap_or_default();
        let within: Vec<&TrajectoryPoint> = ahead.iter().take_while(|point| point.along - from <= reach).collect();
        let step = within.len().div_ceil(count.max(1)).max(1);
        let mut points: Vec<Point> = within.iter().step_by(step).map(|point| point.at).collect();
        if let Some(last) = within.last()
            && !(within.len() - 1).is_multiple_of(step)
        {
            if points.len() >= count {
                points.pop();
            }
            points.push(last.at);
        }
        points
    }

    /// Every point ahead of the robot up to `reach` metres along, with its distance from the robot.
    pub(crate) fn points_within(&self, reach: f64) -> impl Iterator<Item = (Point, f64)> + '_ {
        let from = self.along();
        let ahead = self.points.get(self.next..).unwrap_or_default();
        ahead.iter().map(move |point| (point.at, point.along - from)).take_while(move |(_, d)| *d <= reach)
    }

    /// Advances to the robot's position and returns the tracking state with a target `lookahead` metres ahead.
    pub(crate) fn track(&mut self, position: Point, lookahead: f64) -> Option<TrackingState> {
        self.advance(position);
        let here = self.points.get(self.next)?;
        let after = self.points.get(self.next + 1).unwrap_or(here);
        let cross_track = position.distance_to_segment(here.at, after.at).min(
            self.next
                .checked_sub(1)
                .and_then(|i| self.points.get(i))
                .map_or(f64::INFINITY, |before| position.distance_to_segment(before.at, here.at)),
        );
        let mut aim = here;
        for point in self.points.get(self.next..).unwrap_or_default() {
            aim = point;
            if point.rotate && point.along > here.along || point.along - here.along >= lookahead {
                break;
            }
        }
        let end = self.length();
        // Near the end the target is extended beyond it, so that the last steps do not oscillate.
        let short = lookahead - (aim.along - here.along);
        let target = if aim.along >= end && short > 0.0 {
            aim.at + Point::from_heading(aim.heading) * short.min(0.05)
        } else {
            aim.at
        };
        Some(TrackingState {
            target,
            speed: here.speed,
            cross_track,
            along: here.along,
            remaining: end - here.along + here.at.distance(position) * f64::from(u8::from(here.along >= end)),
            heading: here.heading,
        })
    }

    /// Moves to the nearest point at most 12 ahead, never back. A point to rotate at is not skipped: the path after it
    /// may overlap the path before it.
    fn advance(&mut self, position: Point) {
        let mut best = self.next;
        let mut best_distance = f64::INFINITY;
        for index in self.next..(self.next + 12).min(self.points.len()) {
            let Some(point) = self.points.get(index) else { break };
            let distance = point.at.distance(position);
            if distance < best_distance {
                (best, best_distance) = (index, distance);
            }
            if point.rotate && index > self.next {
                break;
            }
        }
        self.next = best;
    }
}

fn without_repeats(corners: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(corners.len());
    for corner in corners {
        if kept.last().is_none_or(|last| last.distance(*corner) > 0.02) {
            kept.push(*corner);
        }
    }
    kept
}

/// Geometry of one rounded corner.
struct Corner {
    /// Distance of the arc's ends from the corner, metres.
    tangent: f64,
    /// Arc radius, metres; infinite on a straight.
    radius: f64,
    /// Too sharp for an arc.
    rotate: bool,
}

fn corner(before: Point, at: Point, after: Point, margin: f64) -> Corner {
    let turn = wrap_angle((after - at).heading() - (at - before).heading()).abs();
    if turn < STRAIGHT {
        return Corner { tangent: 0.0, radius: f64::INFINITY, rotate: false };
    }
    let half = turn / 2.0;
    let sagitta = 1.0 / half.cos().max(1e-3) - 1.0;
    let longest = 0.45 * before.distance(at).min(at.distance(after));
    let radius = (margin.clamp(0.01, ROUNDING_MAX) / sagitta).min(longest / half.tan().max(1e-3)).min(5.0);
    Corner { tangent: radius * half.tan(), radius, rotate: turn > SHARP && radius < 0.12 }
}

/// Points every [`SPACING`] metres along the rounded polyline, with the speed that the curvature allows.
fn sample_polyline(corners: &[Point], limits: &Limits, clearance: &impl Fn(Point) -> f64) -> Vec<TrajectoryPoint> {
    let mut shape: Vec<(Point, f64, bool)> = Vec::new();
    for (i, &at) in corners.iter().enumerate() {
        let neighbours = i.checked_sub(1).and_then(|b| corners.get(b)).zip(corners.get(i + 1));
        let Some((&before, &after)) = neighbours else {
            shape.push((at, f64::INFINITY, false));
            continue;
        };
        let bend = corner(before, at, after, clearance(at) - limits.clearance);
        if bend.rotate || bend.tangent < 0.02 {
            shape.push((at, bend.radius, bend.rotate));
            continue;
        }
        let (into, out) =
            (at.lerp(before, bend.tangent / at.distance(before)), at.lerp(after, bend.tangent / at.distance(after)));
        let pieces = ((bend.tangent * 2.0 / SPACING).ceil() as u32).clamp(2, 24);
        for piece in 0..=pieces {
            let t = f64::from(piece) / f64::from(pieces);
            // A quadratic Bézier curve through the two tangents approximates the arc and is cheaper.
            let point = into.lerp(at, t).lerp(at.lerp(out, t), t);
            shape.push((point, bend.radius, false));
        }
    }
    points_along(&shape, limits)
}

fn points_along(shape: &[(Point, f64, bool)], limits: &Limits) -> Vec<TrajectoryPoint> {
    let mut points: Vec<TrajectoryPoint> = Vec::new();
    let mut along = 0.0;
    for (i, &(at, radius, rotate)) in shape.iter().enumerate() {
        let bend = if radius.is_finite() { 0.7 * limits.yaw_rate * radius } else { limits.speed };
        let speed = if rotate { limits.speed_min } else { bend.clamp(limits.speed_min, limits.speed) };
        let Some(&(after, ..)) = shape.get(i + 1) else {
            let heading = points.last().map_or(0.0, |point| point.heading);
            points.push(TrajectoryPoint { at, heading, along, speed: 0.0, rotate: false });
            break;
        };
        let length = at.distance(after);
        if length < 1e-6 {
            continue;
        }
        let heading = (after - at).heading();
        points.push(TrajectoryPoint { at, heading, along, speed, rotate });
        let pieces = (length / SPACING).ceil().max(1.0) as u32;
        for piece in 1..pieces {
            let t = f64::from(piece) / f64::from(pieces);
            let between = TrajectoryPoint {
                at: at.lerp(after, t),
                heading,
                along: along + length * t,
                speed: limits.speed,
                rotate: false,
            };
            points.push(between);
        }
        along += length;
    }
    points
}

/// Lowers every speed to what the clearance allows and to what the next point's speed can be reached from by braking.
fn set_speeds(points: &mut [TrajectoryPoint], limits: &Limits, clearance: &impl Fn(Point) -> f64) {
    let mut after: Option<(f64, f64)> = None;
    for point in points.iter_mut().rev() {
        let place = limits.speed_at_clearance(clearance(point.at));
        let mut speed = point.speed.min(place);
        if let Some((along, next)) = after {
            let brake = next.mul_add(next, 2.0 * limits.braking * (along - point.along)).sqrt();
            speed = speed.min(brake);
        }
        point.speed = speed;
        after = Some((point.along, speed));
    }
    // The last points keep the lowest speed, else the robot would never reach the goal.
    for point in points {
        point.speed = point.speed.max(limits.speed_min);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LIMITS: Limits = Limits {
        speed: 1.0,
        speed_min: 0.08,
        yaw_rate: 2.0,
        braking: 0.8,
        acceleration: 0.9,
        radius: 0.25,
        clearance: 0.30,
    };

    fn p(x: f64, y: f64) -> Point {
        Point::new(x, y)
    }

    #[test]
    fn a_free_straight_is_fast_and_braked_at_the_end() {
        let trajectory = Trajectory::new(&[p(0.0, 0.0), p(10.0, 0.0)], &LIMITS, |_| 3.0);
        assert!((trajectory.length() - 10.0).abs() < 1e-9);
        assert!((trajectory.points[0].speed - 1.0).abs() < 1e-9);
        assert!((trajectory.points[50].speed - 1.0).abs() < 1e-9);
        let near_end = trajectory.points.iter().find(|s| s.along > 9.7).unwrap();
        assert!(near_end.speed < 0.75, "{near_end:?}");
    }

    #[test]
    fn narrow_passages_are_slow_and_braked_for() {
        let trajectory =
            Trajectory::new(&[p(0.0, 0.0), p(10.0, 0.0)], &LIMITS, |at| if at.x > 5.0 { 0.31 } else { 2.0 });
        let at = |x: f64| trajectory.points.iter().find(|s| s.at.x >= x).unwrap().speed;
        assert!(at(5.1) <= 0.21, "{}", at(5.1));
        assert!(at(4.8) < 0.75, "{}", at(4.8));
        assert!((at(3.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_wide_corner_is_rounded_and_a_tight_one_rotated_at() {
        let corners = [p(0.0, 0.0), p(5.0, 0.0), p(5.0, 5.0)];
        let wide = Trajectory::new(&corners, &LIMITS, |_| 2.0);
        assert!(wide.length() < 9.8 && wide.points.iter().all(|s| !s.rotate));
        assert!(wide.points.iter().filter(|s| s.along < 9.0).all(|s| s.speed > 0.4), "{:?}", wide.points);
        let deviation = wide.points.iter().map(|s| s.at.distance(p(5.0, 0.0))).fold(f64::INFINITY, f64::min);
        assert!(deviation <= ROUNDING_MAX + 0.01 && deviation > 0.1, "{deviation}");
        let tight = Trajectory::new(&corners, &LIMITS, |_| 0.30);
        assert!(tight.points.iter().any(|s| s.rotate && s.at == p(5.0, 0.0)));
    }

    #[test]
    fn the_profile_never_exceeds_the_planned_braking() {
        let corners = [p(0.0, 0.0), p(2.0, 0.0), p(2.0, 1.0), p(4.0, 1.5), p(0.5, 3.0)];
        let trajectory = Trajectory::new(&corners, &LIMITS, |at| 0.3 + (at.x * 3.0).sin().abs());
        for pair in trajectory.points.windows(2) {
            let drop = pair[0].speed.powi(2) - pair[1].speed.powi(2);
            assert!(drop <= 2.0 * LIMITS.braking * (pair[1].along - pair[0].along) + 1e-6, "{pair:?}");
        }
    }

    #[test]
    fn tracking_never_skips_a_rotation_in_place() {
        let corners = [p(0.0, 0.0), p(2.0, 0.0), p(0.0, 0.1)];
        let mut trajectory = Trajectory::new(&corners, &LIMITS, |_| 2.0);
        let ahead = trajectory.track(p(1.0, 0.05), 0.4).unwrap();
        assert!(ahead.target.x > 1.2, "{ahead:?}");
        let mut x = 1.0;
        while x < 1.9 {
            let _ = trajectory.track(p(x, 0.05), 0.4).unwrap();
            x += 0.05;
        }
        let ahead = trajectory.track(p(1.9, 0.0), 0.4).unwrap();
        assert!(ahead.along <= 2.0 && ahead.target.x > 1.95, "{ahead:?}");
        let turning = trajectory.track(p(2.0, 0.0), 0.4).unwrap();
        assert!((turning.along - 2.0).abs() < 1e-9 && turning.target.x < 1.8, "{turning:?}");
        let back = trajectory.track(p(1.5, 0.02), 0.4).unwrap();
        assert!(back.along > 2.3, "{back:?}");
    }

    #[test]
    fn the_points_ahead_are_few_and_reach_far() {
        let trajectory = Trajectory::new(&[p(0.0, 0.0), p(20.0, 0.0)], &LIMITS, |_| 2.0);
        let points = trajectory.points_ahead(32, 6.0);
        assert!(points.len() <= 32 && points[0] == p(0.0, 0.0));
        assert!((points.last().unwrap().x - 6.0).abs() < 0.11, "{points:?}");
    }

    #[test]
    fn an_empty_trajectory_has_nothing_ahead() {
        let mut trajectory = Trajectory::new(&[], &LIMITS, |_| 1.0);
        assert!(trajectory.is_empty() && trajectory.track(p(0.0, 0.0), 0.4).is_none() && trajectory.end().is_none());
    }
}
