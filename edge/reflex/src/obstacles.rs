//! From a lidar revolution to points to keep clear of, moved to where the body is now.

use skein_types::geometry::{Point, Pose};
use skein_types::sensing::{BEAMS, Scan};
use skein_types::time::MonoTime;

use crate::config::ReflexConfig;
use crate::track::Reset;

/// A beam shorter than both beside it by more than this, metres, stands alone.
const LONE_DEPTH: f32 = 0.10;
/// A lone beam is confirmed by a beam of the revolution before that ends within this, metres.
const CONFIRM: f64 = 0.20;

/// What the last revolution saw, without its dropouts and flickers.
#[derive(Clone, Debug)]
pub(crate) struct Obstacles {
    directions: [(f32, f32); BEAMS],
    /// With the gaps filled, metres; infinite where nothing is.
    answers: [f32; BEAMS],
    /// The same without flickers.
    ranges: [f32; BEAMS],
    seen_at: MonoTime,
    /// Where it was seen from, `odom_from_body`.
    seen_from: Pose,
    /// Whether there was a revolution at all.
    any: bool,
}

/// The points that matter now, in the body's present frame.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    points: [(f32, f32); BEAMS],
    count: usize,
    /// Distance of the nearest from the body's centre; infinite without one.
    pub(crate) nearest: f64,
}

impl Near {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Point> + '_ {
        self.points.iter().take(self.count).map(|(x, y)| Point::new(f64::from(*x), f64::from(*y)))
    }
}

impl Obstacles {
    pub(crate) fn new() -> Self {
        let directions = core::array::from_fn(|beam| {
            let angle = Scan::angle_of(beam);
            (libm::cos(angle) as f32, libm::sin(angle) as f32)
        });
        Self {
            directions,
            answers: [f32::INFINITY; BEAMS],
            ranges: [f32::INFINITY; BEAMS],
            seen_at: MonoTime::ZERO,
            seen_from: Pose::default(),
            any: false,
        }
    }

    /// When the revolution that is in use ended; `None` before the first.
    pub(crate) fn seen_at(&self) -> Option<MonoTime> {
        self.any.then_some(self.seen_at)
    }

    /// Takes a revolution in, seen from `from` (`odom_from_body`).
    pub(crate) fn see(&mut self, config: &ReflexConfig, scan: &Scan, from: Pose) {
        let mut ranges = scan.ranges;
        for range in &mut ranges {
            if *range < 0.0 {
                *range = f32::NAN;
            } else if f64::from(*range) > scan.range_max.0 {
                *range = f32::INFINITY;
            }
        }
        fill_dropouts(&mut ranges, config.dropout_beams_max, config.descriptor.radius.0 as f32);
        self.ranges = self.without_flickers(config, &ranges, &from);
        self.answers = ranges;
        self.seen_at = scan.at;
        self.seen_from = from;
        self.any = true;
    }

    /// Every beam at least as long as the shorter of the two beside it, unless it is within the stop distance or was
    /// there before: noise and a single false answer farther away change nothing.
    fn without_flickers(&self, config: &ReflexConfig, ranges: &[f32; BEAMS], from: &Pose) -> [f32; BEAMS] {
        let near = (config.descriptor.radius.0 + config.stop_distance_at_most()) as f32;
        let mut cleaned = [f32::INFINITY; BEAMS];
        for (beam, out) in cleaned.iter_mut().enumerate() {
            let own = beam_of(ranges, beam);
            let beside = beam_of(ranges, beam.wrapping_add(BEAMS - 1)).min(beam_of(ranges, beam.wrapping_add(1)));
            let alone = beside - own > LONE_DEPTH;
            let counts = !alone || own < near || self.saw(from, self.point(beam, own));
            // Next to another answer only noise is taken off; a lone one goes whole or not at all.
            *out = if alone && counts { own } else { own.max(beside) };
        }
        cleaned
    }

    /// The odometry was reset: what was seen stays where it is, seen from the new frame.
    pub(crate) fn rebase(&mut self, reset: &Reset) {
        self.seen_from = reset.rebased(&self.seen_from);
    }

    fn point(&self, beam: usize, range: f32) -> Point {
        let (x, y) = self.directions.get(beam).copied().unwrap_or((1.0, 0.0));
        Point::new(f64::from(x * range), f64::from(y * range))
    }

    /// Whether the revolution before ended near this point (in the frame of `from`).
    fn saw(&self, from: &Pose, point: Point) -> bool {
        if !self.any {
            return true;
        }
        let then = self.seen_from.body_from_map(from.map_from_body(point));
        let turns = then.heading() / core::f64::consts::TAU + 1.0;
        let beam = libm::round(turns * BEAMS as f64) as usize;
        let distance = then.norm();
        (0..5).any(|offset| {
            let range = beam_of(&self.answers, beam.wrapping_add(BEAMS - 2).wrapping_add(offset));
            (f64::from(range) - distance).abs() < CONFIRM
        })
    }

    /// The points within `reach`, in the frame of a body that is now at `now` (`odom_from_body`).
    pub(crate) fn near(&self, now: &Pose, reach: f64) -> Near {
        let shift = now.body_from_map(self.seen_from.position);
        let turn = Point::from_heading(self.seen_from.heading - now.heading);
        let (shift_x, shift_y) = (shift.x as f32, shift.y as f32);
        let (turn_x, turn_y) = (turn.x as f32, turn.y as f32);
        let reach_squared = (reach * reach) as f32;
        let mut near = Near { points: [(0.0, 0.0); BEAMS], count: 0, nearest: f64::INFINITY };
        let mut nearest_squared = f32::INFINITY;
        for ((cos, sin), range) in self.directions.iter().zip(&self.ranges) {
            if !range.is_finite() {
                continue;
            }
            let (seen_x, seen_y) = (cos * range, sin * range);
            let x = shift_x + turn_x * seen_x - turn_y * seen_y;
            let y = shift_y + turn_y * seen_x + turn_x * seen_y;
            let squared = x * x + y * y;
            if squared > reach_squared {
                continue;
            }
            nearest_squared = nearest_squared.min(squared);
            if let Some(slot) = near.points.get_mut(near.count) {
                *slot = (x, y);
                near.count = near.count.wrapping_add(1);
            }
        }
        near.nearest = libm::sqrt(f64::from(nearest_squared));
        near
    }
}

fn beam_of(ranges: &[f32; BEAMS], beam: usize) -> f32 {
    ranges.get(beam % BEAMS).copied().unwrap_or(f32::INFINITY)
}

/// A short gap is as near as the nearer beam beside it; behind a long one something touches the footprint.
fn fill_dropouts(ranges: &mut [f32; BEAMS], longest: usize, worst: f32) {
    let Some(start) = ranges.iter().position(|range| !range.is_nan()) else {
        *ranges = [worst; BEAMS];
        return;
    };
    let mut before = beam_of(ranges, start);
    let mut gap = 0_usize;
    // Once around, from a beam that answered to itself: every gap has an answer on both sides.
    for step in 1..=BEAMS {
        let beam = start.wrapping_add(step);
        let range = beam_of(ranges, beam);
        if range.is_nan() {
            gap = gap.wrapping_add(1);
            continue;
        }
        let filled = if gap > longest { worst } else { before.min(range) };
        for back in 1..=gap {
            if let Some(slot) = ranges.get_mut(beam.wrapping_sub(back) % BEAMS) {
                *slot = filled;
            }
        }
        (before, gap) = (range, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::body::BodyDescriptor;
    use skein_types::units::Meters;
    use std::vec::Vec;

    fn config() -> ReflexConfig {
        ReflexConfig::new(BodyDescriptor::rover())
    }

    fn scan_of(ranges: [f32; BEAMS]) -> Scan {
        Scan { at: MonoTime::from_millis(10), ranges, range_max: Meters(10.0) }
    }

    fn seen(ranges: [f32; BEAMS]) -> Obstacles {
        let mut obstacles = Obstacles::new();
        obstacles.see(&config(), &scan_of([f32::INFINITY; BEAMS]), Pose::default());
        obstacles.see(&config(), &scan_of(ranges), Pose::default());
        obstacles
    }

    fn wall_with(changes: &[(usize, f32)]) -> [f32; BEAMS] {
        let mut ranges = [3.0_f32; BEAMS];
        for (beam, range) in changes {
            ranges[*beam] = *range;
        }
        ranges
    }

    #[test]
    fn a_short_gap_is_as_near_as_the_nearer_side() {
        let gap: Vec<_> = (100..106).map(|b| (b, f32::NAN)).chain([(99, 2.0), (98, 2.0)]).collect();
        let obstacles = seen(wall_with(&gap));
        assert!((100..106).all(|b| obstacles.ranges[b] == 2.0));
        assert_eq!(obstacles.ranges[106], 3.0);
    }

    #[test]
    fn a_gap_over_the_front_beam_is_filled_like_any_other() {
        let gap: Vec<_> = [357, 358, 359, 0, 1, 2].map(|b| (b, f32::NAN)).to_vec();
        let obstacles = seen(wall_with(&gap));
        assert!(obstacles.ranges.iter().all(|r| *r == 3.0), "{:?}", &obstacles.ranges[..4]);
    }

    #[test]
    fn behind_a_long_gap_something_touches_the_footprint() {
        let gap: Vec<_> = (100..107).map(|b| (b, f32::NAN)).collect();
        let obstacles = seen(wall_with(&gap));
        assert!((100..107).all(|b| obstacles.ranges[b] == 0.25));
        assert_eq!((obstacles.ranges[99], obstacles.ranges[107]), (3.0, 3.0));
    }

    #[test]
    fn without_any_answer_everything_is_full() {
        assert!(seen([f32::NAN; BEAMS]).ranges.iter().all(|r| *r == 0.25));
        assert!(seen([-1.0; BEAMS]).ranges.iter().all(|r| *r == 0.25));
        assert!(seen([f32::NEG_INFINITY; BEAMS]).ranges.iter().all(|r| *r == 0.25));
    }

    #[test]
    fn a_range_of_zero_touches_and_is_no_gap() {
        assert_eq!(seen(wall_with(&[(40, 0.0)])).ranges[40], 0.0);
    }

    #[test]
    fn a_range_beyond_the_longest_is_nothing() {
        assert!(seen([11.0; BEAMS]).ranges.iter().all(|r| r.is_infinite()));
        assert!(seen([10.0; BEAMS]).ranges.iter().all(|r| *r == 10.0));
    }

    #[test]
    fn a_single_far_beam_counts_only_when_it_was_there_before() {
        let ranges = wall_with(&[(40, 1.0)]);
        let mut obstacles = seen(ranges);
        assert_eq!(obstacles.ranges[40], 3.0);
        obstacles.see(&config(), &scan_of(ranges), Pose::default());
        assert_eq!(obstacles.ranges[40], 1.0);
        obstacles.see(&config(), &scan_of(wall_with(&[])), Pose::default());
        obstacles.see(&config(), &scan_of(wall_with(&[(40, 1.0), (41, 1.02)])), Pose::default());
        assert_eq!((obstacles.ranges[40], obstacles.ranges[41]), (1.02, 1.02));
    }

    #[test]
    fn a_lone_beam_is_looked_for_where_it_was_from_another_place() {
        let (first, second) = (Pose::new(0.0, 0.0, 0.0), Pose::new(0.2, 0.0, 0.5));
        let place = Point::new(1.5, 0.8);
        let scan_from = |pose: &Pose| {
            let seen = pose.body_from_map(place);
            let beam = (seen.heading().rem_euclid(core::f64::consts::TAU) * 360.0 / core::f64::consts::TAU).round();
            (beam as usize % BEAMS, seen.norm() as f32)
        };
        let mut obstacles = Obstacles::new();
        obstacles.see(&config(), &scan_of(wall_with(&[scan_from(&first)])), first);
        let (beam, range) = scan_from(&second);
        obstacles.see(&config(), &scan_of(wall_with(&[(beam, range)])), second);
        assert_eq!(obstacles.ranges[beam], range);
        obstacles.see(&config(), &scan_of(wall_with(&[((beam + 30) % BEAMS, range)])), second);
        assert_eq!(obstacles.ranges[(beam + 30) % BEAMS], 3.0);
    }

    #[test]
    fn a_single_near_beam_counts_at_once() {
        assert_eq!(seen(wall_with(&[(0, 0.74)])).ranges[0], 0.74);
        assert_eq!(seen(wall_with(&[(0, 0.76)])).ranges[0], 3.0);
    }

    #[test]
    fn the_first_revolution_of_all_is_believed_beam_by_beam() {
        let mut obstacles = Obstacles::new();
        assert_eq!(obstacles.seen_at(), None);
        obstacles.see(&config(), &scan_of(wall_with(&[(40, 1.0)])), Pose::default());
        assert_eq!(obstacles.ranges[40], 1.0);
        assert_eq!(obstacles.seen_at(), Some(MonoTime::from_millis(10)));
    }

    #[test]
    fn what_was_seen_moves_as_the_body_moves() {
        let mut obstacles = Obstacles::new();
        let mut ranges = [f32::INFINITY; BEAMS];
        (ranges[89], ranges[90], ranges[91]) = (2.0, 2.0, 2.0);
        let from = Pose::new(5.0, 5.0, 0.3);
        obstacles.see(&config(), &scan_of(ranges), from);
        let place = from.map_from_body(Point::new(0.0, 2.0));
        let now = Pose::new(5.4, 5.2, 0.9);
        let near = obstacles.near(&now, 4.0);
        assert_eq!(near.iter().count(), 3);
        let middle = near.iter().nth(1).unwrap();
        assert!(now.map_from_body(middle).distance(place) < 1e-5);
        assert!((near.nearest - near.iter().map(Point::norm).fold(9.0, f64::min)).abs() < 1e-5);
        assert_eq!(obstacles.near(&now, 1.0).iter().count(), 0);
        assert_eq!(obstacles.near(&now, 1.0).nearest, f64::INFINITY);
    }
}
