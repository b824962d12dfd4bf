//! Jump point search by a [`JumpTable`]: one record of half a cache line is looked at for each cell that is expanded.
//! Landmarks tell how far the goal is at least, where the way there is not straight.
//!
//! Indexing: `cells` has one record for each cell; a step that a record allows leads to a cell of the grid.

use super::{Search, octile};
use crate::jump_table::{JumpTable, STEPS};
use crate::landmarks::{Far, apart};

/// Whether the goal was reached; parents are in the scratch space. Both ends are free.
pub(super) fn search(search: &mut Search, table: &JumpTable, start: u32, goal: u32) -> bool {
    if table.areas[start as usize] != table.areas[goal as usize] {
        return false;
    }
    let width = table.width;
    let place = |cell: u32| ((cell % width) as i32, (cell / width) as i32);
    let aim = Aim { table, at: place(goal), far: table.cells[goal as usize].far };
    search.begin((width, table.cells.len() as u32 / width), start, aim.least(start, place(start)));
    if start == goal {
        return true;
    }
    let mut jump = Jump { search, table, goal_at: aim.at, at: place(start), aim, from: start, g: 0.0 };
    let record = table.cells[start as usize].steps;
    for way in 0..4 {
        jump.straight(&record, way);
        jump.diagonal(&record, way);
    }
    while let Some((cell, node)) = jump.search.pop(|cell| aim.least(cell, place(cell))) {
        (jump.from, jump.at, jump.g) = (cell, place(cell), node.g);
        jump.expand(node.way() as usize);
    }
    jump.search.best.is_finite()
}

/// The goal: where it lies and how far from the landmarks.
#[derive(Clone, Copy)]
struct Aim<'a> {
    table: &'a JumpTable,
    at: (i32, i32),
    far: Far,
}

impl Aim<'_> {
    /// Least length of a way to the goal.
    #[inline]
    fn least(&self, cell: u32, (x, y): (i32, i32)) -> f64 {
        let straight = octile(x.abs_diff(self.at.0), y.abs_diff(self.at.1));
        straight.max(apart(&self.table.cells[cell as usize].far, &self.far, self.table.unit))
    }
}

struct Jump<'a> {
    search: &'a mut Search,
    table: &'a JumpTable,
    aim: Aim<'a>,
    goal_at: (i32, i32),
    /// The cell being expanded, where it lies, and the length of the way to it.
    from: u32,
    at: (i32, i32),
    g: f64,
}

impl Jump<'_> {
    fn expand(&mut self, way: usize) {
        let record = self.table.cells[self.from as usize].steps;
        self.straight(&record, way);
        // A wall has ended on a side when the side is open and the diagonal back to it is not.
        if record[(way + 1) % 4] != 0 && record[4 + (way + 1) % 4] == 0 {
            self.straight(&record, (way + 1) % 4);
            self.diagonal(&record, way);
        }
        if record[(way + 3) % 4] != 0 && record[4 + (way + 2) % 4] == 0 {
            self.straight(&record, (way + 3) % 4);
            self.diagonal(&record, (way + 3) % 4);
        }
    }

    #[inline]
    fn straight(&mut self, record: &[i16; 8], way: usize) {
        let (dx, dy) = STEPS[way];
        let (to_x, to_y) = (self.goal_at.0 - self.at.0, self.goal_at.1 - self.at.1);
        let ahead = to_x * dx + to_y * dy;
        let steps = i32::from(record[way]);
        if ahead > 0 && to_x * dy == to_y * dx && ahead <= steps.abs() {
            self.reach(self.goal_at, way, 0, ahead);
        } else if steps > 0 {
            self.reach((self.at.0 + dx * steps, self.at.1 + dy * steps), way, 0, steps);
        }
    }

    /// Follows the diagonal between `way` and the next direction, from one cell to turn at to the next.
    #[inline]
    fn diagonal(&mut self, record: &[i16; 8], way: usize) {
        let (dx, dy) = STEPS[4 + way];
        let mut left = i32::from(record[4 + way]);
        let (to_x, to_y) = ((self.goal_at.0 - self.at.0) * dx, (self.goal_at.1 - self.at.1) * dy);
        // Where the diagonal meets the goal's row or column first.
        let mut cross = if to_x > 0 && to_y > 0 { to_x.min(to_y) } else { i32::MAX };
        let mut walked = 0;
        loop {
            if walked + left.abs() >= cross {
                self.turn_to_goal(cross, way, to_x, to_y);
                cross = i32::MAX;
            }
            if left <= 0 {
                return;
            }
            walked += left;
            let (x, y) = (self.at.0 + dx * walked, self.at.1 + dy * walked);
            let there = self.table.at(x, y).steps;
            for part in [way, (way + 1) % 4] {
                let steps = i32::from(there[part]);
                if steps > 0 {
                    let (sx, sy) = STEPS[part];
                    self.reach((x + sx * steps, y + sy * steps), part, walked, steps);
                }
            }
            left = i32::from(there[4 + way]);
        }
    }

    /// Takes the straight way to the goal from where a diagonal crosses its row or column, if it is open.
    fn turn_to_goal(&mut self, diagonals: i32, way: usize, to_x: i32, to_y: i32) {
        let (dx, dy) = STEPS[4 + way];
        let (x, y) = (self.at.0 + dx * diagonals, self.at.1 + dy * diagonals);
        let rest = to_x.max(to_y) - diagonals;
        let along_x = to_x > to_y;
        let part = if along_x == (STEPS[way].0 != 0) { way } else { (way + 1) % 4 };
        let there = self.table.at(x, y).steps;
        if rest <= i32::from(there[part]).abs() || rest == 0 {
            self.reach(self.goal_at, part, diagonals, rest);
        }
    }

    #[inline]
    fn reach(&mut self, (x, y): (i32, i32), way: usize, diagonals: i32, straights: i32) {
        let cell = y as u32 * self.table.width + x as u32;
        let g = self.g + f64::from(straights) + std::f64::consts::SQRT_2 * f64::from(diagonals);
        self.search.reach(cell, g, |cell| self.aim.least(cell, (x, y)), self.from, way as u8);
    }
}
