//! Where to look from, so that everything is seen.
//!
//! Indexing: all vectors have one entry for each cell of the frame.

use skein_types::geometry::Point;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::Meters;

use super::tour::Tour;
use crate::planning::{PlanningMap, Traversable, nearest_traversable};
use crate::sight::{line_free, visible_cells};

/// Distance between lanes and between the viewpoints of a lane, in ranges. At this distance the discs around the
/// viewpoints just cover the lane: the half diagonal `hypot(0.92, 0.3)` is below 1.
const LANE_SPACING: f64 = 1.84;
const VIEW_SPACING: f64 = 0.6;
/// Share of a full disc that a viewpoint on a lane must add; less is left to the viewpoints for what was missed.
const LANE_WORTH: f64 = 0.04;
/// Candidates compared for one missed place.
const CANDIDATES: usize = 16;
/// Share of the area that may be left out, and the least way that leaving out a viewpoint must save, metres.
const SPARE: f64 = 0.002;
const SPARE_DETOUR: f64 = 1.0;
/// Places tried when a viewpoint is moved nearer to the way.
const MOVES: usize = 40;

/// What is seen from the viewpoints chosen so far.
pub(super) struct Look<'a> {
    map: &'a PlanningMap,
    frame: RegionFrame,
    range: Meters,
    area: Vec<Place>,
    cells: Vec<u32>,
    standing: Standing,
    viewpoints: Vec<u32>,
    /// Cells that may still be left out.
    to_spare: usize,
    low: Point,
    high: Point,
}

/// What a cell is to the sweep.
#[derive(Clone, Copy, Default)]
struct Place {
    inside: bool,
    missed: bool,
    /// By how many viewpoints it is seen.
    seen: u16,
}

/// Where the robot gets to.
struct Standing {
    frame: RegionFrame,
    cells: Vec<bool>,
}

impl Traversable for Standing {
    fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    fn traversable(&self, cell: u32) -> bool {
        self.cells.get(cell as usize).copied().unwrap_or(false)
    }
}

impl<'a> Look<'a> {
    pub(super) fn new(map: &'a PlanningMap, region: &Region, standing: &Region, range: Meters) -> Self {
        let frame = *map.frame();
        let mut area = vec![Place::default(); frame.cells() as usize];
        let mut stands = vec![false; frame.cells() as usize];
        let cells: Vec<u32> = region.cells().filter(|&cell| (cell as usize) < area.len()).collect();
        cells.iter().for_each(|&cell| area[cell as usize].inside = true);
        let cells_to_spare = cells.len();
        standing.cells().for_each(|cell| stands[cell as usize] = true);
        Self {
            map,
            frame,
            range,
            area,
            cells,
            standing: Standing { frame, cells: stands },
            viewpoints: Vec::new(),
            to_spare: (cells_to_spare as f64 * SPARE) as usize,
            low: Point::default(),
            high: Point::default(),
        }
    }

    pub(super) fn viewpoints(&self) -> &[u32] {
        &self.viewpoints
    }

    pub(super) fn is_seen(&self, cell: u32) -> bool {
        let place = self.area[cell as usize];
        place.inside && place.seen > 0
    }

    pub(super) fn is_missed(&self, cell: u32) -> bool {
        let place = self.area[cell as usize];
        place.inside && place.missed && place.seen == 0
    }

    fn is_left(&self, cell: u32) -> bool {
        let place = self.area[cell as usize];
        place.inside && place.seen == 0 && !place.missed
    }

    /// Viewpoints on lanes back and forth, beginning at the corner nearest to the start.
    pub(super) fn lanes(&mut self, start: Point, angle: f64) {
        self.measure(angle);
        if self.cells.is_empty() {
            return;
        }
        let (low, high) = (self.low, self.high);
        let count = |length: f64, spacing: f64| (length / (self.range.0 * spacing)).ceil().clamp(1.0, 1e5);
        let (lanes, stops) = (count(high.y - low.y, LANE_SPACING), count(high.x - low.x, VIEW_SPACING));
        let (lane, stop) = ((high.y - low.y) / lanes, (high.x - low.x) / stops);
        let begin = start.rotated(-angle);
        let (mut back, down) = (begin.x > (low.x + high.x) / 2.0, begin.y > (low.y + high.y) / 2.0);
        for i in 0..lanes as usize {
            let i = if down { lanes as usize - 1 - i } else { i };
            for j in 0..=stops as usize {
                let j = if back { stops as usize - j } else { j };
                let at = Point::new(low.x + stop * j as f64, low.y + lane * (i as f64 + 0.5));
                self.look_near(at.rotated(angle), lane * 0.5);
            }
            back = !back;
        }
    }

    /// The area's extent along and across the lanes.
    fn measure(&mut self, angle: f64) {
        (self.low, self.high) = (Point::new(f64::MAX, f64::MAX), Point::new(f64::MIN, f64::MIN));
        for &cell in &self.cells {
            let p = self.frame.center_of(cell).rotated(-angle);
            self.low = Point::new(self.low.x.min(p.x), self.low.y.min(p.y));
            self.high = Point::new(self.high.x.max(p.x), self.high.y.max(p.y));
        }
    }

    /// Adds a viewpoint near a point if it shows enough that is new.
    fn look_near(&mut self, point: Point, within: f64) {
        let Some(cell) = nearest_traversable(&self.standing, point, Meters(within)) else { return };
        let disc = std::f64::consts::PI * (self.range.0 / self.frame.resolution).powi(2);
        if self.gain(cell) as f64 > LANE_WORTH * disc {
            self.look(cell);
        }
    }

    fn gain(&self, from: u32) -> usize {
        let mut gain = 0;
        self.view(from, |cell| gain += usize::from(self.is_left(cell)));
        gain
    }

    fn view(&self, from: u32, visit: impl FnMut(u32)) {
        visible_cells(self.map, self.frame.center_of(from), self.range, visit);
    }

    fn look(&mut self, from: u32) {
        self.count(from, 1);
        self.viewpoints.push(from);
    }

    fn count(&mut self, from: u32, by: i16) {
        let (map, range) = (self.map, self.range);
        visible_cells(map, self.frame.center_of(from), range, |cell| {
            let seen = &mut self.area[cell as usize].seen;
            *seen = seen.saturating_add_signed(by);
        });
    }

    /// Takes what is left place by place: of the viewpoints that show the place, the one that shows most.
    pub(super) fn residual(&mut self) {
        for index in 0..self.cells.len() {
            let cell = self.cells[index];
            if !self.is_left(cell) {
                continue;
            }
            let mut candidates = Vec::new();
            self.view(cell, |from| {
                if self.standing.traversable(from) {
                    candidates.push(from);
                }
            });
            let every = candidates.len().div_ceil(CANDIDATES).max(1);
            let gains = candidates.into_iter().step_by(every).map(|from| (self.gain(from), from));
            if let Some((_, from)) = gains.max() {
                self.look(from);
            }
            if self.is_left(cell) {
                self.area[cell as usize].missed = true;
            }
        }
    }

    /// Drops viewpoints that show nothing of their own and moves the others nearer to the way, one after the other.
    pub(super) fn settle(&mut self, tour: &mut Tour<'_>) {
        let mut index = 0;
        while let Some(from) = tour.viewpoint(index) {
            let own = self.own_view(from);
            if own.len() <= self.to_spare && (own.is_empty() || tour.detour(index) > SPARE_DETOUR) {
                self.to_spare -= own.len();
                self.count(from, -1);
                own.iter().for_each(|&cell| self.area[cell as usize].missed = true);
                tour.remove(index);
                continue;
            }
            let moved = tour.nearer_places(index).filter(|&to| self.standing.traversable(to)).take(MOVES).find(|&to| {
                let at = self.frame.center_of(to);
                let sees = |cell: &u32| {
                    let there = self.frame.center_of(*cell);
                    at.distance(there) <= self.range.0 && line_free(self.map, at, there)
                };
                own.iter().all(sees)
            });
            if let Some(to) = moved {
                self.count(from, -1);
                self.count(to, 1);
                tour.replace(index, to);
            }
            index += 1;
        }
        self.viewpoints.clear();
    }

    /// The cells of the area that only this viewpoint shows.
    fn own_view(&self, from: u32) -> Vec<u32> {
        let mut own = Vec::new();
        self.view(from, |cell| {
            let place = self.area[cell as usize];
            if place.inside && place.seen == 1 {
                own.push(cell);
            }
        });
        own
    }
}
