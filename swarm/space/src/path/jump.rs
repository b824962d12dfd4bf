//! Jump point search for grids without corner cutting (Harabor and Grastien 2011, 2014), on bits.
//!
//! Only cells reached by a straight walk are kept: those beside which a wall has just ended, and the goal. From such
//! a cell the walk goes on, turns towards the opening, or leaves diagonally into it. A diagonal walk is followed to
//! its end at once; at each of its cells the two straight walks that a shortest path could take are looked up.

use super::{Search, octile};
use crate::bit_grid::BitGrid;

const EAST: u8 = 0;
const NORTH: u8 = 1;
const WEST: u8 = 2;
const SOUTH: u8 = 3;
const STEPS: [(i32, i32); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// Whether the goal was reached; parents are in the scratch space. Both ends are free.
pub(super) fn search(search: &mut Search, bits: &BitGrid, start: u32, goal: u32) -> bool {
    let width = bits.width();
    let place = |cell: u32| ((cell % width) as i32, (cell / width) as i32);
    let (goal_x, goal_y) = (goal % width, goal / width);
    let to_go = |cell: u32| octile((cell % width).abs_diff(goal_x), (cell / width).abs_diff(goal_y));
    search.begin((width, bits.height()), start, to_go(start));
    if start == goal {
        return true;
    }
    let mut jump = Jump { search, bits, width, goal_at: place(goal), from: start, g: 0.0 };
    let at = place(start);
    for way in [EAST, NORTH, WEST, SOUTH] {
        jump.straight(at, way, 0);
    }
    for (dx, dy) in [(1, 1), (1, -1), (-1, 1), (-1, -1)] {
        jump.diagonal(at, dx, dy);
    }
    while let Some((cell, node)) = jump.search.pop(to_go) {
        (jump.from, jump.g) = (cell, node.g);
        jump.expand(place(cell), node.way());
    }
    jump.search.best.is_finite()
}

struct Jump<'a> {
    search: &'a mut Search,
    bits: &'a BitGrid,
    width: u32,
    goal_at: (i32, i32),
    /// The cell being expanded and the length of the way to it.
    from: u32,
    g: f64,
}

impl Jump<'_> {
    fn expand(&mut self, at: (i32, i32), way: u8) {
        let (x, y) = at;
        let (dx, dy) = STEPS[way as usize];
        self.straight(at, way, 0);
        // The two ways across.
        let (left, right) = ((way + 1) % 4, (way + 3) % 4);
        for side in [left, right] {
            let (sx, sy) = STEPS[side as usize];
            if self.bits.free_at(x + sx, y + sy) && !self.bits.free_at(x + sx - dx, y + sy - dy) {
                self.straight(at, side, 0);
                self.diagonal(at, dx + sx, dy + sy);
            }
        }
    }

    /// Follows a diagonal to its end.
    #[inline]
    fn diagonal(&mut self, (mut x, mut y): (i32, i32), dx: i32, dy: i32) {
        let (horizontal, vertical) = (if dx > 0 { EAST } else { WEST }, if dy > 0 { NORTH } else { SOUTH });
        let mut steps = 0;
        while self.bits.free_at(x + dx, y) && self.bits.free_at(x, y + dy) && self.bits.free_at(x + dx, y + dy) {
            (x, y, steps) = (x + dx, y + dy, steps + 1);
            if (x, y) == self.goal_at {
                self.reach(self.goal_at, horizontal, steps, 0);
                return;
            }
            self.straight((x, y), horizontal, steps);
            self.straight((x, y), vertical, steps);
        }
    }

    /// Looks up where a straight walk from a cell, reached by `diagonals` steps, stops.
    #[inline]
    fn straight(&mut self, (x, y): (i32, i32), way: u8, diagonals: u32) {
        let (goal_x, goal_y) = self.goal_at;
        let (line, at, goal_line, goal) = match way {
            EAST | WEST => (y, x, goal_y, goal_x),
            _ => (x, y, goal_x, goal_y),
        };
        let lines = if way == EAST || way == WEST { &self.bits.rows } else { &self.bits.columns };
        let up = way == EAST || way == NORTH;
        let stop = if up { lines.next_stop_up(line, at) } else { lines.next_stop_down(line, at) };
        let passes_goal = line == goal_line && if up { at < goal && goal <= stop } else { stop <= goal && goal < at };
        let end = if passes_goal { goal } else { stop };
        let place = if way == EAST || way == WEST { (end, line) } else { (line, end) };
        if passes_goal || self.bits.free_at(place.0, place.1) {
            self.reach(place, way, diagonals, at.abs_diff(end));
        }
    }

    #[inline]
    fn reach(&mut self, (x, y): (i32, i32), way: u8, diagonals: u32, straights: u32) {
        let cell = y as u32 * self.width + x as u32;
        let g = self.g + f64::from(straights) + std::f64::consts::SQRT_2 * f64::from(diagonals);
        let to_go = octile(x.abs_diff(self.goal_at.0), y.abs_diff(self.goal_at.1));
        self.search.reach(cell, g, |_| to_go, self.from, way);
    }
}
