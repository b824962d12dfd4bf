//! Moves a shortest path away from walls: the cheapest way in a band around it, where places near walls cost more.
//!
//! Searching only the band keeps the cost of planning in proportion to the path and not to the map. A way round through
//! other rooms is not looked for: the band holds every way that differs from the shortest one by less than its width.
//!
//! Indexing: local numbers run over the bounding box of the path with the band around it and a closed border.

use super::GridPath;
use super::Search;
use crate::planning::Traversable;

/// Half the width of the band, metres.
const HALF_WIDTH: f64 = 1.2;
/// Buckets a cell of cost falls into; finer means fewer cells looked at twice.
const BUCKETS: f32 = 2.0;
/// Most cells of a bounding box; a longer path stays as it is.
const BOX_MAX: usize = 16_000_000;

/// Scratch space: what is known about the cells of the box.
#[derive(Clone, Debug, Default)]
pub(super) struct Band {
    nodes: Vec<Node>,
    buckets: Vec<Vec<u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    cost: f32,
    /// Cost of a step's length here; 0 outside the band, negative while not looked up.
    weight: f32,
    parent: u32,
    done: bool,
}

const OUTSIDE: Node = Node { cost: f32::INFINITY, weight: 0.0, parent: 0, done: false };
const UNKNOWN: f32 = -1.0;

/// Replaces `path` by the cheapest way in the band around it. `weight` tells the cost of a step of length one from the
/// clearance; it is at least 1.
pub(super) fn relax(search: &mut Search, grid: &impl Traversable, path: &mut GridPath, weight: &dyn Fn(f32) -> f64) {
    let (Some(&start), Some(&goal)) = (path.cells.first(), path.cells.last()) else { return };
    let Some(window) = Window::around(grid, path) else { return };
    let band = &mut search.band;
    band.mark(&window, path);
    let mut hunt = Hunt { band, window, grid, weight, first: 0 };
    if hunt.run(start, goal) {
        hunt.write(start, goal, path);
    }
}

/// The box in which local numbers count, with a border of one cell.
struct Window {
    frame_width: u32,
    column: i64,
    row: i64,
    width: usize,
    height: usize,
    half: i64,
}

impl Window {
    fn around(grid: &impl Traversable, path: &GridPath) -> Option<Self> {
        let frame = grid.frame();
        let half = (HALF_WIDTH / frame.resolution).ceil().clamp(2.0, 64.0) as i64;
        let place = |cell: &u32| (i64::from(cell % frame.width), i64::from(cell / frame.width));
        let (mut low, mut high) = ((i64::MAX, i64::MAX), (i64::MIN, i64::MIN));
        for (x, y) in path.cells.iter().map(place) {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        let (column, row) = ((low.0 - half).max(0) - 1, (low.1 - half).max(0) - 1);
        let end_column = (high.0 + half).min(i64::from(frame.width) - 1) + 1;
        let end_row = (high.1 + half).min(i64::from(frame.height) - 1) + 1;
        let (width, height) = ((end_column - column + 1) as usize, (end_row - row + 1) as usize);
        (width * height <= BOX_MAX).then_some(Self { frame_width: frame.width, column, row, width, height, half })
    }

    fn local(&self, cell: u32) -> usize {
        let (x, y) = (i64::from(cell % self.frame_width), i64::from(cell / self.frame_width));
        (y - self.row) as usize * self.width + (x - self.column) as usize
    }

    fn cell(&self, local: usize) -> u32 {
        let (x, y) = ((local % self.width) as i64 + self.column, (local / self.width) as i64 + self.row);
        (y * i64::from(self.frame_width) + x) as u32
    }
}

impl Band {
    /// Opens the cells around the path; the border of the box stays closed.
    fn mark(&mut self, window: &Window, path: &GridPath) {
        self.nodes.clear();
        self.nodes.resize(window.width * window.height, OUTSIDE);
        self.buckets.iter_mut().for_each(Vec::clear);
        // Boxes around every few cells overlap enough to hold the band around all of them.
        let every = (window.half / 2).max(1) as usize;
        for &cell in path.cells.iter().step_by(every).chain(path.cells.last()) {
            let local = window.local(cell);
            let (x, y) = ((local % window.width) as i64, (local / window.width) as i64);
            let columns = (x - window.half).max(1)..=(x + window.half).min(window.width as i64 - 2);
            for row in (y - window.half).max(1)..=(y + window.half).min(window.height as i64 - 2) {
                let base = row as usize * window.width;
                for node in &mut self.nodes[base + *columns.start() as usize..=base + *columns.end() as usize] {
                    node.weight = UNKNOWN;
                }
            }
        }
    }
}

struct Hunt<'a, G> {
    band: &'a mut Band,
    window: Window,
    grid: &'a G,
    weight: &'a dyn Fn(f32) -> f64,
    /// The lowest bucket that may hold something.
    first: usize,
}

impl<G: Traversable> Hunt<'_, G> {
    /// Dijkstra over buckets: a step costs at least one, so what is popped from a bucket narrower than that is nearly in
    /// order, and what was not is looked at again.
    fn run(&mut self, start: u32, goal: u32) -> bool {
        let (start, goal) = (self.window.local(start), self.window.local(goal));
        self.offer(start, start, 0.0);
        while let Some(at) = self.pop() {
            if at == goal {
                return true;
            }
            self.spread(at);
        }
        false
    }

    fn pop(&mut self) -> Option<usize> {
        loop {
            let bucket = self.band.buckets.get_mut(self.first)?;
            match bucket.pop() {
                Some(at) => {
                    let node = &mut self.band.nodes[at as usize];
                    if !node.done {
                        node.done = true;
                        return Some(at as usize);
                    }
                }
                None => self.first += 1,
            }
        }
    }

    fn spread(&mut self, at: usize) {
        let width = self.window.width;
        let here = self.band.nodes[at];
        let [east, west, north, south] = [at + 1, at - 1, at + width, at - width].map(|to| self.weight_of(to));
        let diagonal = std::f32::consts::SQRT_2;
        let steps = [
            (east, at + 1, 1.0, east > 0.0),
            (west, at - 1, 1.0, west > 0.0),
            (north, at + width, 1.0, north > 0.0),
            (south, at - width, 1.0, south > 0.0),
        ];
        for (weight, to, length, open) in steps {
            if open {
                self.offer(to, at, here.cost + length * 0.5 * (here.weight + weight));
            }
        }
        let corners = [
            (at + width + 1, north > 0.0 && east > 0.0),
            (at + width - 1, north > 0.0 && west > 0.0),
            (at - width + 1, south > 0.0 && east > 0.0),
            (at - width - 1, south > 0.0 && west > 0.0),
        ];
        for (to, open) in corners {
            if open {
                let weight = self.weight_of(to);
                if weight > 0.0 {
                    self.offer(to, at, here.cost + diagonal * 0.5 * (here.weight + weight));
                }
            }
        }
    }

    fn weight_of(&mut self, local: usize) -> f32 {
        let known = self.band.nodes[local].weight;
        if known >= 0.0 {
            return known;
        }
        let cell = self.window.cell(local);
        let traversable = self.grid.traversable(cell);
        let weight = if traversable { (self.weight)(self.grid.clearance(cell)) as f32 } else { 0.0 };
        self.band.nodes[local].weight = weight;
        weight
    }

    fn offer(&mut self, to: usize, from: usize, cost: f32) {
        if self.weight_of(to) <= 0.0 {
            return;
        }
        let node = &mut self.band.nodes[to];
        if cost < node.cost {
            (node.cost, node.parent, node.done) = (cost, from as u32, false);
            let bucket = (cost * BUCKETS) as usize;
            if self.band.buckets.len() <= bucket {
                self.band.buckets.resize_with(bucket + 1, Vec::new);
            }
            self.band.buckets[bucket].push(to as u32);
        }
    }

    fn write(&self, start: u32, goal: u32, path: &mut GridPath) {
        path.cells.clear();
        (path.straights, path.diagonals) = (0, 0);
        let (start, mut at) = (self.window.local(start), self.window.local(goal));
        path.cells.push(goal);
        while at != start {
            let parent = self.band.nodes[at].parent as usize;
            let straight = at.abs_diff(parent) == 1 || at.abs_diff(parent) == self.window.width;
            if straight {
                path.straights += 1
            } else {
                path.diagonals += 1
            }
            at = parent;
            path.cells.push(self.window.cell(at));
        }
        path.cells.reverse();
    }
}
