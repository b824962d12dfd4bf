//! Who sees what: lines, discs and rays over the conservative grid.

use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

use crate::planning::PlanningMap;

/// Walks the cells that a line touches, in order, with the share of the line inside each, until `visit` says no.
/// Where the line goes exactly through a corner, both cells beside the corner are visited too (with share zero).
/// False when `visit` said no or the line leaves the frame.
pub fn line_cells(frame: &RegionFrame, from: Point, to: Point, mut visit: impl FnMut(u32, f64) -> bool) -> bool {
    let mut walk = match Walk::new(frame, from, to) {
        Some(walk) => walk,
        None => return false,
    };
    loop {
        let until = walk.next_x.min(walk.next_y).min(1.0);
        let share = (until - walk.at).max(0.0);
        walk.at = until;
        if !walk.cell(frame).is_some_and(|cell| visit(cell, share)) {
            return false;
        }
        if until >= 1.0 {
            return true;
        }
        if walk.next_x == walk.next_y {
            let beside = [(walk.x + walk.step_x, walk.y), (walk.x, walk.y + walk.step_y)];
            if !beside.into_iter().all(|(x, y)| cell_at(frame, x, y).is_some_and(|cell| visit(cell, 0.0))) {
                return false;
            }
            walk.cross_x();
            walk.cross_y();
        } else if walk.next_x < walk.next_y {
            walk.cross_x();
        } else {
            walk.cross_y();
        }
    }
}

/// A line on its way through the cells (Amanatides and Woo 1987). Shares of the line's length.
struct Walk {
    x: i64,
    y: i64,
    step_x: i64,
    step_y: i64,
    /// Where the next edge across x and across y is crossed.
    next_x: f64,
    next_y: f64,
    /// Share of the line from one such edge to the next.
    every_x: f64,
    every_y: f64,
    at: f64,
}

impl Walk {
    fn new(frame: &RegionFrame, from: Point, to: Point) -> Option<Self> {
        if !from.is_finite() || !to.is_finite() {
            return None;
        }
        let local = |p: Point| ((p.x - frame.origin.x) / frame.resolution, (p.y - frame.origin.y) / frame.resolution);
        let ((x0, y0), (x1, y1)) = (local(from), local(to));
        let ((column, step_x), (row, step_y)) = (start_of(x0, x1 - x0), start_of(y0, y1 - y0));
        let axis = |start: f64, cell: f64, delta: f64| {
            if delta > 0.0 {
                ((cell + 1.0 - start) / delta, 1.0 / delta)
            } else if delta < 0.0 {
                ((cell - start) / delta, -1.0 / delta)
            } else {
                (f64::INFINITY, f64::INFINITY)
            }
        };
        let (next_x, every_x) = axis(x0, column, x1 - x0);
        let (next_y, every_y) = axis(y0, row, y1 - y0);
        Some(Self { x: column as i64, y: row as i64, step_x, step_y, next_x, next_y, every_x, every_y, at: 0.0 })
    }

    fn cell(&self, frame: &RegionFrame) -> Option<u32> {
        cell_at(frame, self.x, self.y)
    }

    fn cross_x(&mut self) {
        self.x += self.step_x;
        self.next_x += self.every_x;
    }

    fn cross_y(&mut self) {
        self.y += self.step_y;
        self.next_y += self.every_y;
    }
}

/// The cell in which a line starts along one axis: on an edge, the one it goes into.
fn start_of(start: f64, delta: f64) -> (f64, i64) {
    let cell = start.floor();
    if delta < 0.0 { (if cell == start { cell - 1.0 } else { cell }, -1) } else { (cell, 1) }
}

fn cell_at(frame: &RegionFrame, x: i64, y: i64) -> Option<u32> {
    let inside = (0..i64::from(frame.width)).contains(&x) && (0..i64::from(frame.height)).contains(&y);
    inside.then(|| (y * i64::from(frame.width) + x) as u32)
}

/// Whether nothing blocked lies on the line between two points.
#[must_use]
pub fn line_free(map: &PlanningMap, from: Point, to: Point) -> bool {
    line_cells(map.frame(), from, to, |cell, _| !map.blocked(cell))
}

/// Whether the middle of a robot may follow the line between two points.
#[must_use]
pub fn line_passable(grid: &impl crate::planning::Traversable, from: Point, to: Point) -> bool {
    line_cells(grid.frame(), from, to, |cell, _| grid.traversable(cell))
}

/// Every free cell whose middle is within `range` of a point and in line of sight of it, each once.
pub fn visible_cells(map: &PlanningMap, from: Point, range: Meters, mut visit: impl FnMut(u32)) {
    let frame = *map.frame();
    let Some(home) = frame.cell_of(from).filter(|&cell| !map.blocked(cell)) else { return };
    let reach = range.0.clamp(0.0, 10_000.0) / frame.resolution;
    let (x, y) = ((from.x - frame.origin.x) / frame.resolution, (from.y - frame.origin.y) / frame.resolution);
    let (column, row) = ((home % frame.width) as i32, (home / frame.width) as i32);
    let rows = reach.ceil() as i32 + 1;
    for (first, step) in [(row, 1), (row - 1, -1)] {
        // Columns in which something is blocked in the rows passed so far, the point's own column in the middle.
        let mut blocked = if step < 0 { !map.open().window(column - MIDDLE, row) } else { 0 };
        for distance in 0..=rows {
            let at = first + step * distance;
            let dy = f64::from(at) + 0.5 - y;
            let half = reach * reach - dy * dy;
            let open = map.open().window(column - MIDDLE, at);
            blocked |= !open;
            if half < 0.0 || at < 0 || at >= frame.height as i32 {
                continue;
            }
            // Both are clamped into the row.
            let left = (x - half.sqrt() - 0.5).ceil().max(0.0) as i32;
            let right = (x + half.sqrt() - 0.5).floor().min(f64::from(frame.width - 1)) as i32;
            for target in left..=right {
                let cell = (at * frame.width as i32 + target) as u32;
                let bit = target - column + MIDDLE;
                let visible = if (0..64).contains(&bit) {
                    open >> bit & 1 == 1 && (blocked & between(bit) == 0 || line_free(map, from, frame.center_of(cell)))
                } else {
                    !map.blocked(cell) && line_free(map, from, frame.center_of(cell))
                };
                if visible {
                    visit(cell);
                }
            }
        }
    }
}

/// Bit of the point's own column in a window of 64.
const MIDDLE: i32 = 31;

/// The bits from the point's own column to another, both included.
fn between(bit: i32) -> u64 {
    let (low, high) = (bit.min(MIDDLE), bit.max(MIDDLE));
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

/// Distance from a point to the first blocked cell along a heading, metres; `None` when there is none within `max`.
#[must_use]
pub fn raycast(map: &PlanningMap, from: Point, heading: f64, max: Meters) -> Option<Meters> {
    let to = from + Point::from_heading(heading) * max.0;
    let mut share = 0.0;
    let mut hit = false;
    line_cells(map.frame(), from, to, |cell, inside| {
        hit = map.blocked(cell);
        if !hit {
            share += inside;
        }
        !hit
    });
    // Leaving the frame without a hit is unknown ground, which is blocked.
    let left = !hit && share < 1.0 - 1e-9;
    (hit || left).then_some(Meters(share * max.0))
}
