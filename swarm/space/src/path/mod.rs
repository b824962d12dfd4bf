//! Paths over a grid: shortest 8-connected ones, any-angle ones that keep away from walls, and distance fields.
//!
//! A step goes to one of the eight neighbours; a diagonal step needs both squares beside it (no cutting of corners).
//! A straight step costs 1, a diagonal one √2, in squares.

mod angle;
mod coarse;
mod field;
mod jump;
mod plain;
mod soft;

use skein_types::region::RegionFrame;

use crate::planning::Passable;

pub use angle::{AngleOptions, any_angle, path_length};
pub(crate) use coarse::Coarse;
pub use field::{DistanceField, distances};
pub(crate) use field::{Flood, Seed, Terrain};

/// A shortest path: every square from start to goal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridPath {
    /// Start first, goal last, each beside the one before.
    pub squares: Vec<u32>,
    /// Steps along a row or a column.
    pub straights: u32,
    /// Diagonal steps.
    pub diagonals: u32,
}

impl GridPath {
    /// Length in squares: straight steps + √2 × diagonal steps.
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
    open: Heap,
    flood: Flood,
    band: soft::Band,
}

/// What a search knows about a square; void unless the stamp is the search's.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    g: f64,
    parent: u32,
    stamp: u32,
    /// The way it was reached (jump point search).
    way: u8,
    closed: bool,
}

impl Search {
    /// Empty; it grows with its first search.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the search before without touching its squares.
    fn begin(&mut self, squares: usize) {
        if self.nodes.len() < squares {
            self.nodes.resize(squares, Node::default());
        }
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.nodes.fill(Node::default());
            self.stamp = 1;
        }
        self.open.clear();
    }

    /// Records a better way to a square; false when the known one is as good.
    #[inline]
    fn improve(&mut self, square: u32, g: f64, parent: u32, way: u8) -> bool {
        let node = &mut self.nodes[square as usize];
        // Sums in different order differ by less than this; real differences of octile lengths are larger.
        if node.stamp == self.stamp && node.g <= g + 1e-9 {
            return false;
        }
        *node = Node { g, parent, stamp: self.stamp, way, closed: false };
        true
    }

    /// The open square with the least estimate, closed by this call.
    #[inline]
    fn pop(&mut self) -> Option<(u32, Node)> {
        while let Some(square) = self.open.pop() {
            let node = &mut self.nodes[square as usize];
            if !node.closed {
                node.closed = true;
                return Some((square, *node));
            }
        }
        None
    }
}

/// A shortest path between two squares, or `None` when there is none or an end is not passable.
///
/// # Panics
/// Never for squares inside or outside the frame: outside nothing is passable.
#[must_use]
pub fn shortest(search: &mut Search, grid: &impl Passable, start: u32, goal: u32) -> Option<GridPath> {
    let mut path = GridPath::default();
    shortest_into(search, grid, start, goal, &mut path).then_some(path)
}

/// As [`shortest`], into a path that is reused; false and an empty path when there is none.
pub fn shortest_into(search: &mut Search, grid: &impl Passable, start: u32, goal: u32, path: &mut GridPath) -> bool {
    path.squares.clear();
    (path.straights, path.diagonals) = (0, 0);
    if !grid.passable(start) || !grid.passable(goal) {
        return false;
    }
    let found = match grid.boards() {
        Some(boards) => jump::search(search, boards, start, goal),
        None => plain::search(search, grid, start, goal),
    };
    if found {
        trace(search, grid.frame(), start, goal, path);
    }
    found
}

/// Walks back from the goal. Between two recorded squares a path goes diagonally first, then straight.
fn trace(search: &Search, frame: &RegionFrame, start: u32, goal: u32, path: &mut GridPath) {
    let width = frame.width;
    let mut to = goal;
    path.squares.push(goal);
    while to != start {
        let from = search.nodes[to as usize].parent;
        let (mut x, mut y) = (i64::from(to % width), i64::from(to / width));
        let (from_x, from_y) = (i64::from(from % width), i64::from(from / width));
        while (x, y) != (from_x, from_y) {
            let (dx, dy) = (from_x - x, from_y - y);
            // Backwards the straight part comes first.
            let (step_x, step_y) = match dx.abs().cmp(&dy.abs()) {
                std::cmp::Ordering::Greater => (dx.signum(), 0),
                std::cmp::Ordering::Less => (0, dy.signum()),
                std::cmp::Ordering::Equal => (dx.signum(), dy.signum()),
            };
            if step_x != 0 && step_y != 0 {
                path.diagonals += 1;
            } else {
                path.straights += 1;
            }
            (x, y) = (x + step_x, y + step_y);
            path.squares.push((y * i64::from(width) + x) as u32);
        }
        to = from;
    }
    path.squares.reverse();
}

/// Length of the shortest way over an empty grid, in squares.
#[inline]
fn octile(dx: u32, dy: u32) -> f64 {
    let (long, short) = if dx > dy { (dx, dy) } else { (dy, dx) };
    f64::from(long) + (std::f64::consts::SQRT_2 - 1.0) * f64::from(short)
}

/// Binary heap, least estimate first; of equal ones that with less to go.
#[derive(Clone, Debug, Default)]
struct Heap {
    entries: std::collections::BinaryHeap<Entry>,
}

/// Estimates are not negative, so their bits sort as they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    estimate: std::cmp::Reverse<u64>,
    known: u32,
    square: u32,
}

impl Heap {
    fn clear(&mut self) {
        self.entries.clear();
    }

    #[inline]
    fn push(&mut self, estimate: f64, known: f64, square: u32) {
        self.entries.push(Entry { estimate: std::cmp::Reverse(estimate.to_bits()), known: known as u32, square });
    }

    #[inline]
    fn pop(&mut self) -> Option<u32> {
        self.entries.pop().map(|entry| entry.square)
    }
}
