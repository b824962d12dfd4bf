//! Paths over a grid: shortest 8-connected ones, any-angle ones that keep away from walls, and distance fields.
//!
//! A step goes to one of the eight neighbours; a diagonal step needs both cells beside it (no cutting of corners).
//! A straight step costs 1, a diagonal one √2, in cells.

mod angle;
mod coarse;
mod field;
mod jump;
mod plain;
mod soft;
mod table;

use crate::planning::Traversable;

pub use angle::{AngleOptions, any_angle, path_length};

pub(crate) use coarse::Coarse;
pub use field::{DistanceField, distances};
pub(crate) use field::{Flood, Seed};

/// A shortest path: every cell from start to goal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridPath {
    /// Start first, goal last, each beside the one before.
    pub cells: Vec<u32>,
    /// Steps along a row or a column.
    pub straights: u32,
    /// Number of diagonal steps; the others are straight.
    pub diagonals: u32,
}

impl GridPath {
    /// Length in cells: straight steps + √2 × diagonal steps.
    #[must_use]
    pub fn length(&self) -> f64 {
        f64::from(self.straights) + std::f64::consts::SQRT_2 * f64::from(self.diagonals)
    }
}

/// Scratch space of searches. Reused, it allocates nothing once it has grown to the largest grid and frontier.
#[derive(Clone, Debug, Default)]
pub struct Search {
    nodes: Vec<Node>,
    stamp: u32,
    open: Buckets,
    best: f64,
    flood: Flood,
    band: soft::Band,
}

/// What a search knows about a cell; void unless the stamp is the search's.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    g: f64,
    parent: u32,
    /// Stamp × 8 + closed × 4 + the way it was reached (jump point searches).
    state: u32,
}

/// A stamp moves the state by this.
const STAMP: u32 = 8;
const CLOSED: u32 = 4;

impl Node {
    const fn way(self) -> u8 {
        (self.state % CLOSED) as u8
    }
}

impl Search {
    /// Empty; it grows with its first search.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the search before without touching its cells, and reaches the start.
    fn begin(&mut self, frame: (u32, u32), start: u32, estimate: f64) {
        let cells = frame.0 as usize * frame.1 as usize;
        if self.nodes.len() < cells {
            self.nodes.resize(cells, Node::default());
        }
        self.stamp = self.stamp.wrapping_add(STAMP);
        if self.stamp == 0 {
            self.nodes.fill(Node::default());
            self.stamp = STAMP;
        }
        self.open.begin(frame.0, frame.1, estimate);
        self.best = f64::INFINITY;
        self.nodes[start as usize] = Node { g: 0.0, parent: start, state: self.stamp };
    }

    /// Reaches a cell by a way of length `g`, with at least `to_go` still to go; nothing to go means the goal.
    #[inline]
    fn reach(&mut self, cell: u32, g: f64, to_go: impl FnOnce(u32) -> f64, parent: u32, way: u8) {
        if g < self.best - SLACK && self.improve(cell, g, parent, way) {
            let to_go = to_go(cell);
            if to_go == 0.0 {
                self.best = g;
            } else if g + to_go < self.best - SLACK {
                self.open.push(g + to_go, cell);
            }
        }
    }

    /// Records a better way to a cell; false when the known one is as good.
    #[inline]
    fn improve(&mut self, cell: u32, g: f64, parent: u32, way: u8) -> bool {
        let node = &mut self.nodes[cell as usize];
        if node.state / STAMP == self.stamp / STAMP && node.g <= g + SLACK {
            return false;
        }
        *node = Node { g, parent, state: self.stamp + u32::from(way) };
        true
    }

    /// An open cell that may be on a better way than the best known, closed by this call.
    #[inline]
    fn pop(&mut self, to_go: impl Fn(u32) -> f64) -> Option<(u32, Node)> {
        while let Some(cell) = self.open.pop(self.best - SLACK) {
            let node = &mut self.nodes[cell as usize];
            if node.state & CLOSED == 0 && node.g + to_go(cell) < self.best - SLACK {
                node.state |= CLOSED;
                return Some((cell, *node));
            }
        }
        None
    }
}

/// Sums in different order differ by less than this; real differences of octile lengths are larger.
const SLACK: f64 = 1e-9;

/// A shortest path between two cells, or `None` when there is none or an end is not traversable.
///
/// # Panics
/// Never for cells inside or outside the frame: outside nothing is traversable.
#[must_use]
pub fn shortest(search: &mut Search, grid: &impl Traversable, start: u32, goal: u32) -> Option<GridPath> {
    let mut path = GridPath::default();
    shortest_into(search, grid, start, goal, &mut path).then_some(path)
}

/// As [`shortest`], into a path that is reused; false and an empty path when there is none.
pub fn shortest_into(search: &mut Search, grid: &impl Traversable, start: u32, goal: u32, path: &mut GridPath) -> bool {
    path.cells.clear();
    (path.straights, path.diagonals) = (0, 0);
    if !grid.traversable(start) || !grid.traversable(goal) {
        return false;
    }
    let found = match (grid.jump_table(), grid.bit_grid()) {
        (Some(table), _) => table::search(search, table, start, goal),
        (None, Some(bits)) => jump::search(search, bits, start, goal),
        (None, None) => plain::search(search, grid, start, goal),
    };
    if found {
        trace(search, grid.frame().width, start, goal, path);
    }
    found
}

/// Walks back from the goal. Between two recorded cells a path goes diagonally first, then straight.
fn trace(search: &Search, width: u32, start: u32, goal: u32, path: &mut GridPath) {
    let place = |cell: u32| ((cell % width) as i32, (cell / width) as i32);
    let width = width as i32;
    let (mut to, mut cell) = (goal, goal as i32);
    let (mut x, mut y) = place(goal);
    path.cells.push(goal);
    while to != start {
        to = search.nodes[to as usize].parent;
        let (from_x, from_y) = place(to);
        let (dx, dy) = (from_x - x, from_y - y);
        let (long, diagonals) = (dx.abs().max(dy.abs()), dx.abs().min(dy.abs()));
        let along = if dx.abs() > dy.abs() { dx.signum() } else { dy.signum() * width };
        // Backwards the straight part comes first.
        for (steps, step) in [(long - diagonals, along), (diagonals, dy.signum() * width + dx.signum())] {
            for _ in 0..steps {
                cell += step;
                path.cells.push(cell as u32);
            }
        }
        path.straights += (long - diagonals) as u32;
        path.diagonals += diagonals as u32;
        (x, y) = (from_x, from_y);
    }
    path.cells.reverse();
}

/// Length of the shortest way over an empty grid, in cells.
#[inline]
fn octile(dx: u32, dy: u32) -> f64 {
    let (long, short) = if dx > dy { (dx, dy) } else { (dy, dx) };
    f64::from(long) + (std::f64::consts::SQRT_2 - 1.0) * f64::from(short)
}

/// Open cells by the whole part of their scaled estimate, in a ring.
///
/// Estimates never fall on the way, so what is taken out is at most a bucket's width out of order; a cell reached
/// again on a better way is looked at again. The goal stays the best known until nothing open can beat it, so the
/// result is exact all the same. In a bucket the last in is the first out: of many equal ways one is followed to its end.
#[derive(Clone, Debug, Default)]
struct Buckets {
    ring: Vec<Vec<u32>>,
    /// Number of the bucket that is being emptied, counted on from 0.
    current: usize,
    /// Buckets that have been filled.
    used: Vec<u32>,
    base: f64,
    held: usize,
}

/// Buckets for each cell of estimate.
const BUCKETS_PER_CELL: f64 = 4.0;

impl Buckets {
    /// Makes the ring long enough for a grid: a step's estimate rises by no more than twice the step.
    fn begin(&mut self, width: u32, height: u32, base: f64) {
        let span = 4.0 * (f64::from(width) + f64::from(height)) * BUCKETS_PER_CELL;
        let size = (span as usize + 2).next_power_of_two();
        for bucket in self.used.drain(..) {
            self.ring[bucket as usize].clear();
        }
        if self.ring.len() < size {
            self.ring.resize_with(size, Vec::new);
        }
        (self.current, self.base, self.held) = (0, base, 0);
    }

    #[inline]
    fn push(&mut self, estimate: f64, cell: u32) {
        // Not below zero but for rounding, which the conversion cuts off.
        let bucket = (((estimate - self.base) * BUCKETS_PER_CELL) as usize).max(self.current);
        let mask = self.ring.len() - 1;
        let list = &mut self.ring[bucket & mask];
        if list.is_empty() {
            self.used.push((bucket & mask) as u32);
        }
        list.push(cell);
        self.held += 1;
    }

    /// An open cell, unless no estimate is below the limit any more.
    #[inline]
    fn pop(&mut self, limit: f64) -> Option<u32> {
        if self.held == 0 {
            return None;
        }
        let mask = self.ring.len() - 1;
        loop {
            if let Some(cell) = self.ring[self.current & mask].pop() {
                self.held -= 1;
                return Some(cell);
            }
            self.current += 1;
            // What is in this bucket and later ones is no nearer than its lower end.
            if self.base + self.current as f64 / BUCKETS_PER_CELL > limit {
                return None;
            }
        }
    }
}
