//! How one robot sees all of an area: boustrophedon lanes over free space, and what they miss.

use skein_types::geometry::Point;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::{Meters, Radians};

use crate::planning::{PlanningMap, region_where};
use crate::sight::visible_squares;

/// Distance between lanes and between the viewpoints of a lane, in ranges. Discs this far apart overlap enough to
/// leave no gaps between lanes.
const LANE_SPACING: f64 = 1.6;
const VIEW_SPACING: f64 = 0.6;
/// Candidates compared for one missed place.
const CANDIDATES: usize = 12;

/// A way to sweep an area: whoever visits the viewpoints in order, looking around at each, sees what `swept` says.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepPlan {
    /// Where to look from, in order, in the middle of passable squares.
    pub viewpoints: Vec<Point>,
    /// Straight-line length from the start through all viewpoints.
    pub length: Meters,
    /// Direction of the lanes, radians counter-clockwise from east, in [0, π).
    pub direction: Radians,
    /// Squares of the area that are seen.
    pub swept: Region,
    /// Squares of the area that cannot be seen from anywhere the robot gets to.
    pub unseen: Region,
}

/// Plans a sweep of `region` from `start` with a sensor that sees as far as `range`. Lanes run along `direction`, or
/// along whichever of four directions makes the way shortest.
#[must_use]
pub fn plan(map: &PlanningMap, region: &Region, start: Point, range: Meters, direction: Option<Radians>) -> SweepPlan {
    let quarter = std::f64::consts::FRAC_PI_4;
    let directions: Vec<f64> = match direction {
        Some(direction) => vec![direction.0.rem_euclid(std::f64::consts::PI)],
        None => vec![0.0, 2.0 * quarter],
    };
    let standing = map.standing_from(&[start]);
    let plans = directions.into_iter().map(|angle| Sweep::new(map, region, &standing, range).run(start, angle));
    let shortest = plans.min_by(|a, b| a.length.0.total_cmp(&b.length.0));
    shortest.unwrap_or_else(|| Sweep::new(map, region, &standing, range).run(start, 0.0))
}

struct Sweep<'a> {
    map: &'a PlanningMap,
    frame: RegionFrame,
    range: Meters,
    standing: Vec<bool>,
    /// Squares of the area not seen yet.
    left: Vec<bool>,
    region: &'a Region,
    missed: Vec<bool>,
    viewpoints: Vec<Point>,
}

impl<'a> Sweep<'a> {
    fn new(map: &'a PlanningMap, region: &'a Region, standing: &Region, range: Meters) -> Self {
        let frame = *map.frame();
        let squares = frame.squares() as usize;
        let (mut left, mut may_stand) = (vec![false; squares], vec![false; squares]);
        region.squares().for_each(|sq| left[sq as usize] = true);
        standing.squares().for_each(|sq| may_stand[sq as usize] = true);
        let missed = vec![false; squares];
        Self { map, frame, range, standing: may_stand, left, region, missed, viewpoints: Vec::new() }
    }

    fn run(mut self, start: Point, angle: f64) -> SweepPlan {
        self.lanes(start, angle);
        let lanes = self.viewpoints.len();
        self.residual();
        let extra = self.viewpoints.split_off(lanes);
        for viewpoint in extra {
            self.insert(start, viewpoint);
        }
        let mut length = 0.0;
        let mut at = start;
        for &viewpoint in &self.viewpoints {
            length += at.distance(viewpoint);
            at = viewpoint;
        }
        let inside = |sq: u32| self.region.contains(sq);
        SweepPlan {
            swept: region_where(self.frame, |sq| inside(sq) && !self.left[sq as usize] && !self.missed[sq as usize]),
            unseen: region_where(self.frame, |sq| inside(sq) && self.missed[sq as usize]),
            viewpoints: self.viewpoints,
            length: Meters(length),
            direction: Radians(angle),
        }
    }

    /// Viewpoints on lanes back and forth, beginning at the end nearer to the start.
    fn lanes(&mut self, start: Point, angle: f64) {
        let (mut low, mut high) = (Point::new(f64::MAX, f64::MAX), Point::new(f64::MIN, f64::MIN));
        for square in self.region.squares() {
            let p = self.frame.center_of(square).rotated(-angle);
            low = Point::new(low.x.min(p.x), low.y.min(p.y));
            high = Point::new(high.x.max(p.x), high.y.max(p.y));
        }
        if low.x > high.x {
            return;
        }
        let (lane, along) = (self.range.0 * LANE_SPACING, self.range.0 * VIEW_SPACING);
        let lanes = ((high.y - low.y) / lane).ceil().max(1.0);
        let stops = ((high.x - low.x) / along).ceil().max(1.0);
        let (lane, along) = ((high.y - low.y) / lanes, (high.x - low.x) / stops);
        let begin = start.rotated(-angle);
        let (mut flip_x, flip_y) = (begin.x > (low.x + high.x) / 2.0, begin.y > (low.y + high.y) / 2.0);
        for i in 0..lanes as usize {
            let i = if flip_y { lanes as usize - 1 - i } else { i };
            for j in 0..=stops as usize {
                let j = if flip_x { stops as usize - j } else { j };
                let p = Point::new(low.x + along * j as f64, low.y + lane * (i as f64 + 0.5)).rotated(angle);
                self.look_from_near(p, lane * 0.5);
            }
            flip_x = !flip_x;
        }
    }

    /// Adds a viewpoint near a point if it shows enough that is new.
    fn look_from_near(&mut self, point: Point, within: f64) {
        let standing = Standing { sweep: self };
        let Some(square) = crate::planning::nearest_passable(&standing, point, Meters(within)) else { return };
        let at = self.frame.center_of(square);
        let worth = 0.04 * std::f64::consts::PI * (self.range.0 / self.frame.resolution).powi(2);
        if self.gain(at) as f64 > worth {
            self.look(at);
        }
    }

    fn gain(&self, at: Point) -> usize {
        let mut gain = 0;
        visible_squares(self.map, at, self.range, |square| gain += usize::from(self.left[square as usize]));
        gain
    }

    fn look(&mut self, at: Point) {
        visible_squares(self.map, at, self.range, |square| self.left[square as usize] = false);
        self.viewpoints.push(at);
    }

    /// Takes what is left place by place: of the viewpoints that show the place, the one that shows most.
    fn residual(&mut self) {
        for square in self.region.squares() {
            if !self.left[square as usize] {
                continue;
            }
            let mut candidates = Vec::new();
            visible_squares(self.map, self.frame.center_of(square), self.range, |candidate| {
                if self.standing[candidate as usize] {
                    candidates.push(candidate);
                }
            });
            let every = candidates.len().div_ceil(CANDIDATES).max(1);
            let best = candidates
                .into_iter()
                .step_by(every)
                .map(|candidate| (self.gain(self.frame.center_of(candidate)), candidate))
                .max();
            if let Some((_, candidate)) = best {
                self.look(self.frame.center_of(candidate));
            }
            if self.left[square as usize] {
                self.left[square as usize] = false;
                self.missed[square as usize] = true;
            }
        }
    }

    /// Puts a viewpoint where it makes the way longest least.
    fn insert(&mut self, start: Point, viewpoint: Point) {
        let mut best = (f64::INFINITY, 0);
        for i in 0..=self.viewpoints.len() {
            let before = if i == 0 { start } else { self.viewpoints[i - 1] };
            let detour = match self.viewpoints.get(i) {
                Some(after) => before.distance(viewpoint) + viewpoint.distance(*after) - before.distance(*after),
                None => before.distance(viewpoint),
            };
            if detour < best.0 {
                best = (detour, i);
            }
        }
        self.viewpoints.insert(best.1, viewpoint);
    }
}

struct Standing<'a, 'b> {
    sweep: &'a Sweep<'b>,
}

impl crate::planning::Passable for Standing<'_, '_> {
    fn frame(&self) -> &RegionFrame {
        &self.sweep.frame
    }

    fn passable(&self, square: u32) -> bool {
        self.sweep.standing.get(square as usize).copied().unwrap_or(false)
    }
}
