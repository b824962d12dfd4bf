//! Search for a place beside a winner's path.
//!
//! Dijkstra over the traversable cells around the robot, to the cheapest cell off the path. Discs block, but not a
//! motion that opens the distance to them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use skein_space::planning::Traversable;
use skein_types::geometry::Point;
use skein_types::region::RegionFrame;

use crate::path_conflict::BESIDE;
use crate::planned_path::PlannedPath;

/// How far around the robot is searched, metres.
const REACH: f64 = 12.0;
/// Most cells across the searched window.
const WINDOW_MAX: u32 = 255;
/// Cost factor per metre through a robot's place: that robot has to move first.
const DISPLACE_FACTOR: f32 = 4.0;
/// Cost of standing where another robot will want to pass, metres of path.
const OBSTRUCTS: f32 = 15.0;
/// A robot that stands on no traversable cell starts from the nearest one within this, metres.
const OFF_MAP: f64 = 0.5;

/// A disc that the robot's centre must not enter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockingDisc {
    pub(crate) at: Point,
    pub(crate) radius: f64,
    /// The robot there can be displaced: passing costs more instead of being impossible.
    pub(crate) yields: bool,
}

/// A peer's path to keep clear of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepoutCorridor<'a> {
    pub(crate) path: &'a PlannedPath,
    pub(crate) clearance: f64,
    /// A place on it is no result at all; else it only costs.
    pub(crate) must: bool,
}

/// A search for the nearest place that a robot can yield to.
pub(crate) struct YieldSearch<'a, M> {
    pub(crate) map: &'a M,
    pub(crate) from: Point,
    pub(crate) discs: &'a [BlockingDisc],
    pub(crate) corridors: &'a [KeepoutCorridor<'a>],
}

/// Memory that is used again by the next search.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    cost: Vec<f32>,
    parent: Vec<u32>,
    open: BinaryHeap<(Reverse<u32>, Reverse<u32>)>,
}

/// The searched part of the map: cells by their number in it.
struct Window {
    frame: RegionFrame,
    column: u32,
    row: u32,
    width: u32,
    height: u32,
}

impl Window {
    fn around(frame: &RegionFrame, at: Point) -> Option<Self> {
        let cell = frame.cell_of(at)?;
        let reach = ((REACH / frame.resolution) as u32).min(WINDOW_MAX / 2);
        let span = |middle: u32, size: u32| {
            let first = middle.saturating_sub(reach);
            (first, (middle + reach + 1).min(size) - first)
        };
        let (column, width) = span(cell % frame.width, frame.width);
        let (row, height) = span(cell / frame.width, frame.height);
        Some(Self { frame: *frame, column, row, width, height })
    }

    fn cell(&self, local: u32) -> u32 {
        (self.row + local / self.width) * self.frame.width + self.column + local % self.width
    }

    fn local(&self, cell: u32) -> Option<u32> {
        let column = (cell % self.frame.width).checked_sub(self.column).filter(|c| *c < self.width)?;
        let row = (cell / self.frame.width).checked_sub(self.row).filter(|r| *r < self.height)?;
        Some(row * self.width + column)
    }

    fn center(&self, local: u32) -> Point {
        self.frame.center_of(self.cell(local))
    }

    fn step(&self, local: u32, (dx, dy): (i32, i32)) -> Option<u32> {
        let column = (local % self.width).checked_add_signed(dx).filter(|c| *c < self.width)?;
        let row = (local / self.width).checked_add_signed(dy).filter(|r| *r < self.height)?;
        Some(row * self.width + column)
    }
}

const NEIGHBOURS: [(i32, i32); 8] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)];

impl<M: Traversable> YieldSearch<'_, M> {
    /// Path from the robot to the cheapest place; `None` when there is none within reach.
    pub(crate) fn run(&self, scratch: &mut Scratch) -> Option<Vec<Point>> {
        let window = Window::around(self.map.frame(), self.from)?;
        let start = self.start(&window)?;
        let size = (window.width * window.height) as usize;
        scratch.cost.clear();
        scratch.cost.resize(size, f32::INFINITY);
        scratch.parent.clear();
        scratch.parent.resize(size, u32::MAX);
        scratch.open.clear();
        let mut best: Option<(f32, u32)> = None;
        reach(scratch, start, start, 0.0);
        while let Some((Reverse(bits), Reverse(local))) = scratch.open.pop() {
            let cost = f32::from_bits(bits);
            if best.is_some_and(|(least, _)| cost >= least) {
                break;
            }
            if scratch.cost.get(local as usize).is_none_or(|known| cost > *known) {
                continue;
            }
            if let Some(total) = self.standing_at(window.center(local)).map(|extra| cost + extra)
                && best.is_none_or(|(least, _)| total < least)
            {
                best = Some((total, local));
            }
            self.expand(&window, scratch, local, cost);
        }
        best.map(|(_, local)| self.trace(&window, scratch, start, local))
    }

    /// The robot's cell, or the nearest traversable one when a jump of the localiser put it into a wall.
    fn start(&self, window: &Window) -> Option<u32> {
        let own = window.local(window.frame.cell_of(self.from)?)?;
        if self.map.traversable(window.cell(own)) {
            return Some(own);
        }
        let reach = (OFF_MAP / window.frame.resolution) as i32;
        let around = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
        around.filter_map(|by| window.step(own, by)).filter(|local| self.map.traversable(window.cell(*local))).min_by(
            |a, b| {
                let far = |local: u32| window.center(local).distance(self.from);
                far(*a).total_cmp(&far(*b))
            },
        )
    }

    fn expand(&self, window: &Window, scratch: &mut Scratch, local: u32, cost: f32) {
        let free = |by| window.step(local, by).filter(|next| self.map.traversable(window.cell(*next)));
        for (dx, dy) in NEIGHBOURS {
            let Some(next) = free((dx, dy)) else { continue };
            let diagonal = dx != 0 && dy != 0;
            if diagonal && (free((dx, 0)).is_none() || free((0, dy)).is_none()) {
                continue;
            }
            let length = window.frame.resolution as f32 * if diagonal { std::f32::consts::SQRT_2 } else { 1.0 };
            if let Some(weight) = self.passing(window.center(local), window.center(next)) {
                reach(scratch, local, next, cost + length * weight);
            }
        }
    }

    /// Cost factor from one cell to its neighbour; `None` when a disc forbids it.
    fn passing(&self, from: Point, to: Point) -> Option<f32> {
        let mut weight = 1.0;
        for disc in self.discs {
            let near = to.distance(disc.at);
            if near >= disc.radius || near > from.distance(disc.at) {
                continue;
            }
            if !disc.yields {
                return None;
            }
            weight = DISPLACE_FACTOR;
        }
        Some(weight)
    }

    /// Cost of standing there; `None` when the place is no result.
    fn standing_at(&self, place: Point) -> Option<f32> {
        let mut extra = 0.0;
        for corridor in self.corridors {
            let clearance = corridor.clearance + BESIDE + self.map.frame().resolution / 2.0;
            if corridor.path.far_from(place, clearance) || corridor.path.distance(place) >= clearance {
                continue;
            }
            if corridor.must {
                return None;
            }
            extra += OBSTRUCTS;
        }
        for disc in self.discs.iter().filter(|disc| place.distance(disc.at) < disc.radius) {
            if !disc.yields {
                return None;
            }
            extra += OBSTRUCTS;
        }
        Some(extra)
    }

    fn trace(&self, window: &Window, scratch: &Scratch, start: u32, end: u32) -> Vec<Point> {
        let mut cells = vec![end];
        let mut at = end;
        while at != start {
            match scratch.parent.get(at as usize) {
                Some(&parent) if parent != u32::MAX => at = parent,
                Some(_) | None => break,
            }
            cells.push(at);
        }
        let mut path = vec![self.from];
        path.extend(cells.iter().rev().skip(1).map(|local| window.center(*local)));
        if path.len() == 1 && !self.map.traversable(window.cell(start)) {
            path.push(window.center(start));
        }
        straightened(path)
    }
}

fn reach(scratch: &mut Scratch, from: u32, to: u32, cost: f32) {
    let (Some(known), Some(parent)) = (scratch.cost.get_mut(to as usize), scratch.parent.get_mut(to as usize)) else {
        return;
    };
    if cost < *known {
        *known = cost;
        *parent = from;
        scratch.open.push((Reverse(cost.to_bits()), Reverse(to)));
    }
}

/// Without the points in the middle of straight stretches.
fn straightened(path: Vec<Point>) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(path.len());
    for (i, &point) in path.iter().enumerate() {
        let straight = match (kept.last(), path.get(i + 1)) {
            (Some(&before), Some(&after)) => {
                let (u, v) = (point - before, after - point);
                u.cross(v).abs() < 1e-9 && u.dot(v) > 0.0
            }
            (None, _) | (_, None) => false,
        };
        if !straight {
            kept.push(point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hall one robot wide along the x axis, 10 m, with a pocket to the north at 6 m; each cell 0.1 m.
    struct Hall;

    const FRAME: RegionFrame = RegionFrame { origin: Point::new(0.0, -2.0), resolution: 0.1, width: 100, height: 40 };

    impl Traversable for Hall {
        fn frame(&self) -> &RegionFrame {
            &FRAME
        }
        fn traversable(&self, cell: u32) -> bool {
            let at = FRAME.center_of(cell);
            at.y.abs() < 0.2 || ((6.0..6.4).contains(&at.x) && (0.0..1.5).contains(&at.y))
        }
    }

    fn p(x: f64, y: f64) -> Point {
        Point::new(x, y)
    }

    fn ask(from: Point, path: &PlannedPath, discs: &[BlockingDisc]) -> Option<Vec<Point>> {
        let corridors = [KeepoutCorridor { path, clearance: 0.75, must: true }];
        YieldSearch { map: &Hall, from, discs, corridors: &corridors }.run(&mut Scratch::default())
    }

    #[test]
    fn the_pocket_is_found_by_a_path_over_free_cells() {
        let winner = PlannedPath::new(p(0.2, 0.0), &[p(9.5, 0.0)]);
        let path = ask(p(4.0, 0.0), &winner, &[]).unwrap();
        let end = *path.last().unwrap();
        assert!(winner.distance(end) >= 0.75 + BESIDE && (6.0..6.4).contains(&end.x), "{end:?}");
        let walk = PlannedPath::new(path[0], &path[1..]);
        let on_floor = |at: Point| FRAME.cell_of(at).is_some_and(|cell| Hall.traversable(cell));
        assert!(walk.samples(0.02, 20.0).iter().all(|(_, at)| on_floor(*at)));
    }

    #[test]
    fn a_disc_ends_the_search_unless_its_robot_can_be_displaced() {
        let winner = PlannedPath::new(p(0.2, 0.0), &[p(9.5, 0.0)]);
        let disc = |x: f64, yields| [BlockingDisc { at: p(x, 0.0), radius: 0.75, yields }];
        assert_eq!(ask(p(4.0, 0.0), &winner, &disc(5.0, false)), None);
        assert!(ask(p(4.0, 0.0), &winner, &disc(5.0, true)).is_some());
        assert!(ask(p(4.0, 0.0), &winner, &disc(3.6, false)).is_some(), "it may leave a disc it is in");
    }

    #[test]
    fn a_robot_beside_the_path_stays_and_one_off_the_map_finds_nothing() {
        let winner = PlannedPath::new(p(0.2, 0.0), &[p(9.5, 0.0)]);
        assert_eq!(ask(p(6.2, 1.3), &winner, &[]), Some(vec![p(6.2, 1.3)]));
        assert_eq!(ask(p(-5.0, 0.0), &winner, &[]), None);
        assert_eq!(ask(p(2.0, 1.5), &winner, &[]), None);
    }
}
