//! Any-angle paths that keep away from walls where there is room.

use skein_types::geometry::Point;
use skein_types::units::Meters;

use super::{GridPath, Search, shortest_into, soft};
use crate::planning::{Traversable, nearest_traversable};
use crate::sight::line_cells;

/// Most cells between two places where a path may be bent.
const STRETCH: usize = 8;
/// Failed straight lines in a row after which no farther place is tried.
const FAILURES_MAX: usize = 6;

/// How an any-angle path weighs length against distance from walls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AngleOptions {
    /// Clearance below which a place costs more; at and above it none.
    pub comfortable: Meters,
    /// Cost of a metre at no clearance at all, in metres more. Zero: the shortest path.
    pub penalty: f64,
}

impl AngleOptions {
    /// Nothing but length.
    pub const SHORTEST: Self = Self { comfortable: Meters(0.0), penalty: 0.0 };

    /// Prefers 0.2 m more than the least clearance; narrow places are passed when the way round is long.
    #[must_use]
    pub fn comfortable(clearance: Meters) -> Self {
        Self { comfortable: clearance + Meters(0.2), penalty: 6.0 }
    }

    /// Cost of a metre in a cell with this clearance, at least 1.
    fn weight(&self, clearance: f32) -> f64 {
        let lack = self.comfortable.0 - f64::from(clearance);
        if lack <= 0.0 { 1.0 } else { 1.0 + self.penalty.max(0.0) * lack / self.comfortable.0.max(1e-9) }
    }
}

/// A path of straight lines from one point to another through traversable cells. A start that is not traversable (a robot
/// pushed against a wall) is left towards the nearest traversable cell within 1 m; a goal that is not traversable has no path.
#[must_use]
pub fn any_angle(
    search: &mut Search,
    grid: &impl Traversable,
    start: Point,
    goal: Point,
    options: &AngleOptions,
) -> Option<Vec<Point>> {
    let frame = *grid.frame();
    let last = frame.cell_of(goal).filter(|&cell| grid.traversable(cell))?;
    let first = nearest_traversable(grid, start, Meters(1.0))?;
    let mut way = GridPath::default();
    if !shortest_into(search, grid, first, last, &mut way) {
        return None;
    }
    if options.penalty > 0.0 {
        soft::relax(search, grid, &mut way, &|clearance| options.weight(clearance));
    }
    let corners: Vec<Point> = turns(&way.cells).map(|cell| frame.center_of(cell)).collect();
    let inside = frame.cell_of(start) == Some(first);
    let mut path = vec![start];
    // The middle of the first cell is on the way only when the start is outside it.
    let rest = if inside && corners.len() > 1 { &corners[1..] } else { &corners[..] };
    path.extend_from_slice(rest);
    if let Some(end) = path.last_mut() {
        *end = goal;
    }
    let pulled = pull(grid, &path, options, usize::from(!inside));
    Some(pulled)
}

/// The cells where a grid path turns, its ends, and some between on long straight stretches.
fn turns(cells: &[u32]) -> impl Iterator<Item = u32> + '_ {
    let mut since = 0;
    cells.iter().enumerate().filter_map(move |(i, &cell)| {
        let before = i.checked_sub(1).and_then(|i| cells.get(i)).map(|&b| i64::from(cell) - i64::from(b));
        let after = cells.get(i + 1).map(|&a| i64::from(a) - i64::from(cell));
        since += 1;
        let keep = before.is_none() || after.is_none() || before != after || since >= STRETCH;
        if keep {
            since = 0;
        }
        keep.then_some(cell)
    })
}

/// Length of a way through points.
#[must_use]
pub fn path_length(points: &[Point]) -> Meters {
    Meters(points.windows(2).map(|pair| pair[0].distance(pair[1])).sum())
}

/// Leaves out corners as long as the straight line costs no more than the way it replaces. The first `keep` legs stay.
fn pull(grid: &impl Traversable, path: &[Point], options: &AngleOptions, keep: usize) -> Vec<Point> {
    let costs: Vec<f64> = std::iter::once(0.0)
        .chain(path.windows(2).scan(0.0, |sum, pair| {
            *sum += leg_cost(grid, pair[0], pair[1], options).unwrap_or_else(|| pair[0].distance(pair[1]) * 10.0);
            Some(*sum)
        }))
        .collect();
    let mut pulled: Vec<Point> = path.iter().take(keep.min(path.len())).copied().collect();
    let mut at = keep.min(path.len().saturating_sub(1));
    pulled.extend(path.get(at));
    while at + 1 < path.len() {
        let mut next = at + 1;
        // Ever farther while the line stays as good; a few failures in a row end the search.
        let mut failures = 0;
        for to in at + 2..path.len() {
            let along = costs[to] - costs[at];
            if leg_cost(grid, path[at], path[to], options).is_some_and(|cost| cost <= along * 1.0001 + 1e-9) {
                (next, failures) = (to, 0);
            } else {
                failures += 1;
                if failures > FAILURES_MAX {
                    break;
                }
            }
        }
        at = next;
        pulled.push(path[at]);
    }
    pulled.dedup();
    pulled
}

/// Cost of a straight line, or `None` when it leaves the traversable cells.
fn leg_cost(grid: &impl Traversable, from: Point, to: Point, options: &AngleOptions) -> Option<f64> {
    let frame = *grid.frame();
    let mut cost = 0.0;
    let length = from.distance(to);
    let free = line_cells(&frame, from, to, |cell, share| {
        cost += share * length * options.weight(grid.clearance(cell));
        grid.traversable(cell)
    });
    free.then_some(cost)
}
