//! A way made drivable: corners rounded where there is room, and at every station the fastest speed that still lets the
//! robot take what comes after it.

use skein_types::geometry::{Point, wrap_angle};

/// Distance between stations, metres.
pub(crate) const STATION: f64 = 0.1;
/// A corner sharper than this that could not be rounded is taken by turning on the spot, radians.
const SHARP: f64 = 0.9;
/// Largest deviation from a corner when it is rounded, metres.
const ROUNDING_MAX: f64 = 0.25;
/// Corners that turn less than this are left alone, radians.
const STRAIGHT: f64 = 0.02;

/// What the body and the place allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Fastest anywhere, m/s.
    pub(crate) speed: f64,
    /// Slowest that is still worth driving, m/s.
    pub(crate) speed_min: f64,
    /// Fastest turn used while driving, rad/s.
    pub(crate) yaw_rate: f64,
    /// Gentle braking the profile plans with, m/s².
    pub(crate) braking: f64,
    /// Gentle acceleration, m/s².
    pub(crate) acceleration: f64,
    /// Footprint, metres.
    pub(crate) radius: f64,
    /// Clearance that a point of a way needs (radius and margin), metres.
    pub(crate) clearance: f64,
}

impl Limits {
    /// The fastest speed at a place with this clearance: the corridor that the reflex wants free is
    /// `radius + 0.03 + 0.10 · speed` to each side.
    pub(crate) fn speed_at_clearance(&self, clearance: f64) -> f64 {
        ((clearance - self.radius - 0.04) / 0.10).clamp(self.speed_min.max(0.15), self.speed)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Station {
    at: Point,
    /// Direction of the way from here on.
    heading: f64,
    /// Metres from the start.
    along: f64,
    /// Fastest speed here, m/s.
    speed: f64,
    /// The robot turns on the spot here.
    turn: bool,
}

/// A drivable way and how far the robot has come on it.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Route {
    stations: Vec<Station>,
    next: usize,
}

/// What the follower needs to know at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ahead {
    /// Where to steer.
    pub(crate) target: Point,
    /// Fastest speed here.
    pub(crate) speed: f64,
    /// Distance off the way, metres.
    pub(crate) off: f64,
    /// Metres driven on it.
    pub(crate) along: f64,
    /// Metres left.
    pub(crate) left: f64,
    /// Direction of the way here.
    pub(crate) heading: f64,
}

impl Route {
    /// Rounds the corners of a polyline and sets the speeds. `clearance` is that of the map at a point.
    pub(crate) fn new(corners: &[Point], limits: &Limits, clearance: impl Fn(Point) -> f64) -> Self {
        let corners = without_repeats(corners);
        let mut stations = lay_stations(&corners, limits, &clearance);
        set_speeds(&mut stations, limits, &clearance);
        Self { stations, next: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stations.is_empty()
    }

    /// Last point.
    pub(crate) fn end(&self) -> Option<Point> {
        self.stations.last().map(|station| station.at)
    }

    /// Metres from the start to the end.
    pub(crate) fn length(&self) -> f64 {
        self.stations.last().map_or(0.0, |station| station.along)
    }

    /// Metres already driven.
    pub(crate) fn along(&self) -> f64 {
        self.stations.get(self.next).map_or(0.0, |station| station.along)
    }

    /// The points from where the robot is, at most `count`, at most `reach` metres along.
    pub(crate) fn points_ahead(&self, count: usize, reach: f64) -> Vec<Point> {
        let from = self.along();
        let ahead = self.stations.get(self.next..).unwrap_or_default();
        let within: Vec<&Station> = ahead.iter().take_while(|station| station.along - from <= reach).collect();
        let step = within.len().div_ceil(count.max(1)).max(1);
        let mut points: Vec<Point> = within.iter().step_by(step).map(|station| station.at).collect();
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

    /// Every station from where the robot is up to `reach` metres on: place and metres from here.
    pub(crate) fn walk(&self, reach: f64) -> impl Iterator<Item = (Point, f64)> + '_ {
        let from = self.along();
        let ahead = self.stations.get(self.next..).unwrap_or_default();
        ahead.iter().map(move |station| (station.at, station.along - from)).take_while(move |(_, d)| *d <= reach)
    }

    /// Moves along with the robot and says where to steer, `lookahead` metres on.
    pub(crate) fn follow(&mut self, position: Point, lookahead: f64) -> Option<Ahead> {
        self.advance(position);
        let here = self.stations.get(self.next)?;
        let after = self.stations.get(self.next + 1).unwrap_or(here);
        let off = position.distance_to_segment(here.at, after.at).min(
            self.next
                .checked_sub(1)
                .and_then(|i| self.stations.get(i))
                .map_or(f64::INFINITY, |before| position.distance_to_segment(before.at, here.at)),
        );
        let mut aim = here;
        for station in self.stations.get(self.next..).unwrap_or_default() {
            aim = station;
            if station.turn && station.along > here.along || station.along - here.along >= lookahead {
                break;
            }
        }
        let end = self.length();
        // Just before the end the aim lies as far on as everywhere else, so that the last steps are not nervous.
        let short = lookahead - (aim.along - here.along);
        let target = if aim.along >= end && short > 0.0 {
            aim.at + Point::from_heading(aim.heading) * short.min(0.05)
        } else {
            aim.at
        };
        Some(Ahead {
            target,
            speed: here.speed,
            off,
            along: here.along,
            left: end - here.along + here.at.distance(position) * f64::from(u8::from(here.along >= end)),
            heading: here.heading,
        })
    }

    /// The nearest station not far ahead, never one behind. A place to turn on the spot is not skipped: the way after it
    /// may lie where the way before it did.
    fn advance(&mut self, position: Point) {
        let mut best = self.next;
        let mut best_distance = f64::INFINITY;
        for index in self.next..(self.next + 12).min(self.stations.len()) {
            let Some(station) = self.stations.get(index) else { break };
            let distance = station.at.distance(position);
            if distance < best_distance {
                (best, best_distance) = (index, distance);
            }
            if station.turn && index > self.next {
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

/// How a corner is taken.
struct Corner {
    /// Metres before and after the corner where the arc begins and ends.
    tangent: f64,
    /// Of the arc, metres; infinite on a straight.
    radius: f64,
    /// Too sharp for an arc.
    turn: bool,
}

fn corner(before: Point, at: Point, after: Point, room: f64) -> Corner {
    let turn = wrap_angle((after - at).heading() - (at - before).heading()).abs();
    if turn < STRAIGHT {
        return Corner { tangent: 0.0, radius: f64::INFINITY, turn: false };
    }
    let half = turn / 2.0;
    let sagitta = 1.0 / half.cos().max(1e-3) - 1.0;
    let longest = 0.45 * before.distance(at).min(at.distance(after));
    let radius = (room.clamp(0.01, ROUNDING_MAX) / sagitta).min(longest / half.tan().max(1e-3)).min(5.0);
    Corner { tangent: radius * half.tan(), radius, turn: turn > SHARP && radius < 0.12 }
}

/// Stations every [`STATION`] metres along the rounded polyline, with the speed that the curve allows.
fn lay_stations(corners: &[Point], limits: &Limits, clearance: &impl Fn(Point) -> f64) -> Vec<Station> {
    let mut shape: Vec<(Point, f64, bool)> = Vec::new();
    for (i, &at) in corners.iter().enumerate() {
        let neighbours = i.checked_sub(1).and_then(|b| corners.get(b)).zip(corners.get(i + 1));
        let Some((&before, &after)) = neighbours else {
            shape.push((at, f64::INFINITY, false));
            continue;
        };
        let bend = corner(before, at, after, clearance(at) - limits.clearance);
        if bend.turn || bend.tangent < 0.02 {
            shape.push((at, bend.radius, bend.turn));
            continue;
        }
        let (into, out) =
            (at.lerp(before, bend.tangent / at.distance(before)), at.lerp(after, bend.tangent / at.distance(after)));
        let pieces = ((bend.tangent * 2.0 / STATION).ceil() as u32).clamp(2, 24);
        for piece in 0..=pieces {
            let t = f64::from(piece) / f64::from(pieces);
            // A quadratic through the two tangents: within a hair of the arc and cheaper.
            let point = into.lerp(at, t).lerp(at.lerp(out, t), t);
            shape.push((point, bend.radius, false));
        }
    }
    stations_along(&shape, limits)
}

fn stations_along(shape: &[(Point, f64, bool)], limits: &Limits) -> Vec<Station> {
    let mut stations: Vec<Station> = Vec::new();
    let mut along = 0.0;
    for (i, &(at, radius, turn)) in shape.iter().enumerate() {
        let bend = if radius.is_finite() { 0.7 * limits.yaw_rate * radius } else { limits.speed };
        let speed = if turn { limits.speed_min } else { bend.clamp(limits.speed_min, limits.speed) };
        let Some(&(after, ..)) = shape.get(i + 1) else {
            let heading = stations.last().map_or(0.0, |station| station.heading);
            stations.push(Station { at, heading, along, speed: 0.0, turn: false });
            break;
        };
        let length = at.distance(after);
        if length < 1e-6 {
            continue;
        }
        let heading = (after - at).heading();
        stations.push(Station { at, heading, along, speed, turn });
        let pieces = (length / STATION).ceil().max(1.0) as u32;
        for piece in 1..pieces {
            let t = f64::from(piece) / f64::from(pieces);
            let between =
                Station { at: at.lerp(after, t), heading, along: along + length * t, speed: limits.speed, turn: false };
            stations.push(between);
        }
        along += length;
    }
    stations
}

/// Lowers every speed to what the clearance allows and to what can still be braked for what comes after.
fn set_speeds(stations: &mut [Station], limits: &Limits, clearance: &impl Fn(Point) -> f64) {
    let mut after: Option<(f64, f64)> = None;
    for station in stations.iter_mut().rev() {
        let place = limits.speed_at_clearance(clearance(station.at));
        let mut speed = station.speed.min(place);
        if let Some((along, next)) = after {
            let brake = next.mul_add(next, 2.0 * limits.braking * (along - station.along)).sqrt();
            speed = speed.min(brake);
        }
        station.speed = speed;
        after = Some((station.along, speed));
    }
    // The last stretch is driven at the slowest speed, else the goal would never be reached.
    for station in stations {
        station.speed = station.speed.max(limits.speed_min);
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
    fn a_straight_way_in_the_open_is_driven_at_full_speed_and_braked_at_the_end() {
        let route = Route::new(&[p(0.0, 0.0), p(10.0, 0.0)], &LIMITS, |_| 3.0);
        assert!((route.length() - 10.0).abs() < 1e-9);
        assert!((route.stations[0].speed - 1.0).abs() < 1e-9);
        assert!((route.stations[50].speed - 1.0).abs() < 1e-9);
        let near_end = route.stations.iter().find(|s| s.along > 9.7).unwrap();
        assert!(near_end.speed < 0.75, "{near_end:?}");
    }

    #[test]
    fn narrow_places_are_taken_slowly_and_braked_for() {
        let route = Route::new(&[p(0.0, 0.0), p(10.0, 0.0)], &LIMITS, |at| if at.x > 5.0 { 0.31 } else { 2.0 });
        let at = |x: f64| route.stations.iter().find(|s| s.at.x >= x).unwrap().speed;
        assert!(at(5.1) <= 0.21, "{}", at(5.1));
        assert!(at(4.8) < 0.75, "{}", at(4.8));
        assert!((at(3.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_corner_with_room_is_rounded_and_one_without_is_turned_on_the_spot() {
        let corners = [p(0.0, 0.0), p(5.0, 0.0), p(5.0, 5.0)];
        let wide = Route::new(&corners, &LIMITS, |_| 2.0);
        assert!(wide.length() < 9.8 && wide.stations.iter().all(|s| !s.turn));
        assert!(wide.stations.iter().filter(|s| s.along < 9.0).all(|s| s.speed > 0.4), "{:?}", wide.stations);
        let deviation = wide.stations.iter().map(|s| s.at.distance(p(5.0, 0.0))).fold(f64::INFINITY, f64::min);
        assert!(deviation <= ROUNDING_MAX + 0.01 && deviation > 0.1, "{deviation}");
        let tight = Route::new(&corners, &LIMITS, |_| 0.30);
        assert!(tight.stations.iter().any(|s| s.turn && s.at == p(5.0, 0.0)));
    }

    #[test]
    fn speeds_never_ask_for_harder_braking_than_planned() {
        let corners = [p(0.0, 0.0), p(2.0, 0.0), p(2.0, 1.0), p(4.0, 1.5), p(0.5, 3.0)];
        let route = Route::new(&corners, &LIMITS, |at| 0.3 + (at.x * 3.0).sin().abs());
        for pair in route.stations.windows(2) {
            let drop = pair[0].speed.powi(2) - pair[1].speed.powi(2);
            assert!(drop <= 2.0 * LIMITS.braking * (pair[1].along - pair[0].along) + 1e-6, "{pair:?}");
        }
    }

    #[test]
    fn progress_never_skips_a_turn_on_the_spot() {
        let corners = [p(0.0, 0.0), p(2.0, 0.0), p(0.0, 0.1)];
        let mut route = Route::new(&corners, &LIMITS, |_| 2.0);
        let ahead = route.follow(p(1.0, 0.05), 0.4).unwrap();
        assert!(ahead.target.x > 1.2, "{ahead:?}");
        let mut x = 1.0;
        while x < 1.9 {
            let _ = route.follow(p(x, 0.05), 0.4).unwrap();
            x += 0.05;
        }
        let ahead = route.follow(p(1.9, 0.0), 0.4).unwrap();
        assert!(ahead.along <= 2.0 && ahead.target.x > 1.95, "{ahead:?}");
        let turning = route.follow(p(2.0, 0.0), 0.4).unwrap();
        assert!((turning.along - 2.0).abs() < 1e-9 && turning.target.x < 1.8, "{turning:?}");
        let back = route.follow(p(1.5, 0.02), 0.4).unwrap();
        assert!(back.along > 2.3, "{back:?}");
    }

    #[test]
    fn the_points_told_to_peers_are_few_and_reach_far() {
        let route = Route::new(&[p(0.0, 0.0), p(20.0, 0.0)], &LIMITS, |_| 2.0);
        let points = route.points_ahead(32, 6.0);
        assert!(points.len() <= 32 && points[0] == p(0.0, 0.0));
        assert!((points.last().unwrap().x - 6.0).abs() < 0.11, "{points:?}");
    }

    #[test]
    fn an_empty_way_has_nothing_ahead() {
        let mut route = Route::new(&[], &LIMITS, |_| 1.0);
        assert!(route.is_empty() && route.follow(p(0.0, 0.0), 0.4).is_none() && route.end().is_none());
    }
}
