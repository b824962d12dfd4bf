//! The grid everybody plans on, made from a map and a robot's size.

use std::collections::VecDeque;

use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::region::{REGION_RUNS_MAX, Region, RegionError, RegionFrame};
use skein_types::units::Meters;
use thiserror::Error;

use crate::bit_grid::BitGrid;
use crate::edt::Pixels;
use crate::jump_table::JumpTable;
use crate::map::{Cell, OccupancyMap};

/// Added to a robot's radius: what the middle of a robot keeps from everything that is not free.
pub const CLEARANCE_MARGIN: Meters = Meters(0.05);
/// Side of a planning cell that is aimed for.
pub const RESOLUTION_WANTED: Meters = Meters(0.1);

/// What a planning map is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanningParams {
    /// Side of a cell that is aimed for; the real one is the nearest whole multiple of the map's pixel.
    pub resolution: Meters,
    /// What the middle of a robot keeps from everything that is not free.
    pub clearance: Meters,
}

impl PlanningParams {
    /// For a body: its radius and [`CLEARANCE_MARGIN`].
    #[must_use]
    pub fn for_body(body: &BodyDescriptor) -> Self {
        Self { resolution: RESOLUTION_WANTED, clearance: body.radius + CLEARANCE_MARGIN }
    }
}

/// Why no planning map could be made.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PlanningError {
    /// A parameter is no usable number.
    #[error("planning resolution {resolution} and clearance {clearance} must be finite and above zero")]
    Params {
        /// Side of a cell, metres.
        resolution: f64,
        /// Clearance, metres.
        clearance: f64,
    },
    /// The grid cannot hold regions: too many cells, or an origin that is NaN.
    #[error("no planning grid can be laid over the map: {0}")]
    Frame(#[from] RegionError),
    /// So many specks that free space cannot be written down as runs.
    #[error("the map's free space falls into {0} runs, more than {REGION_RUNS_MAX}: is it noise?")]
    TooRagged(usize),
    /// No robot of this size fits anywhere.
    #[error(
        "no cell of the map is {clearance} m away from everything that is not free: is the map inverted (`negate`)?"
    )]
    NoPassable {
        /// Clearance, metres.
        clearance: f64,
    },
}

/// A grid that can be planned on.
pub trait Traversable {
    /// Where the cells lie.
    fn frame(&self) -> &RegionFrame;

    /// Whether the middle of a robot may be in a cell; nowhere outside the frame.
    fn traversable(&self, cell: u32) -> bool;

    /// Distance from the middle of a cell to the nearest thing to keep away from, metres. Paths with a soft
    /// cost prefer cells where this is above the least.
    fn clearance(&self, _cell: u32) -> f32 {
        f32::INFINITY
    }

    /// The same as [`Self::traversable`] as bits, where they exist: searching them is many times faster.
    fn bit_grid(&self) -> Option<&BitGrid> {
        None
    }

    /// Jump distances of all cells, where someone has made them: searching with them is faster still. They must be
    /// those of exactly the traversable cells.
    fn jump_table(&self) -> Option<&JumpTable> {
        None
    }
}

/// The conservative grid of a map for robots of one size. A cell is blocked when anything in it is not known to be
/// free; it is traversable when its middle keeps the clearance.
#[derive(Clone, Debug)]
pub struct PlanningMap {
    frame: RegionFrame,
    params: PlanningParams,
    clearance: Vec<f32>,
    open: BitGrid,
    traversable: BitGrid,
}

impl PlanningMap {
    /// Builds the grid: exact distances, then what a robot can pass.
    ///
    /// # Errors
    /// [`PlanningError`] when the parameters, the size or the content of the map make planning impossible.
    pub fn new(map: &OccupancyMap, params: &PlanningParams) -> Result<Self, PlanningError> {
        let usable = |length: Meters| length.is_finite() && length.0 > 0.0;
        if !usable(params.resolution) || !usable(params.clearance) {
            return Err(PlanningError::Params { resolution: params.resolution.0, clearance: params.clearance.0 });
        }
        let source = *map.frame();
        let factor = libm::round(params.resolution.0 / source.resolution).clamp(1.0, 1000.0) as usize;
        let free_pixel = |x: usize, y: usize| map.cell((y * source.width as usize + x) as u32) == Cell::Free;
        let pixels = Pixels { width: source.width as usize, height: source.height as usize, factor, free: &free_pixel };
        let frame = RegionFrame {
            origin: source.origin,
            resolution: source.resolution * factor as f64,
            width: pixels.cells_wide() as u32,
            height: pixels.cells_high() as u32,
        };
        Region::empty(frame)?;
        let clearance: Vec<f32> =
            pixels.clearances().into_iter().map(|d| (f64::from(d) * source.resolution) as f32).collect();
        let open = BitGrid::new(frame.width, frame.height, |cell| cell_is_free(&pixels, &frame, cell));
        // A hair less than asked for, so that a cell exactly at the clearance counts despite rounding.
        let least = (params.clearance.0 - 1e-6) as f32;
        let traversable =
            BitGrid::new(frame.width, frame.height, |cell| open.free(cell) && clearance[cell as usize] >= least);
        let planning = Self { frame, params: *params, clearance, open, traversable };
        planning.check()
    }

    fn check(self) -> Result<Self, PlanningError> {
        let cells = 0..self.frame.cells() as u32;
        let starts =
            |cell: u32| self.is_open(cell) && (cell.is_multiple_of(self.frame.width) || !self.is_open(cell - 1));
        let runs = cells.clone().filter(|&cell| starts(cell)).count();
        if runs > REGION_RUNS_MAX {
            return Err(PlanningError::TooRagged(runs));
        }
        if !cells.into_iter().any(|cell| self.traversable(cell)) {
            return Err(PlanningError::NoPassable { clearance: self.params.clearance.0 });
        }
        Ok(self)
    }

    /// Where the cells lie.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// What it was made for.
    #[must_use]
    pub const fn params(&self) -> &PlanningParams {
        &self.params
    }

    /// Something in the cell is not known to be free; everything outside the frame is.
    #[must_use]
    pub fn blocked(&self, cell: u32) -> bool {
        !self.is_open(cell)
    }

    fn is_open(&self, cell: u32) -> bool {
        self.open.free(cell)
    }

    /// The cells that are not blocked, as bits.
    #[must_use]
    pub const fn open(&self) -> &BitGrid {
        &self.open
    }

    /// The traversable cells, as bits.
    #[must_use]
    pub const fn traversable_grid(&self) -> &BitGrid {
        &self.traversable
    }

    /// Distance from the middle of a cell to the nearest place that is not free, metres.
    #[must_use]
    pub fn clearance(&self, cell: u32) -> f32 {
        self.clearance.get(cell as usize).copied().unwrap_or(0.0)
    }

    /// Whether the middle of a robot may be in the cell.
    #[must_use]
    pub fn traversable(&self, cell: u32) -> bool {
        self.traversable.free(cell)
    }

    /// Whether the middle of a robot may be at a point.
    #[must_use]
    pub fn traversable_at(&self, point: Point) -> bool {
        self.frame.cell_of(point).is_some_and(|cell| self.traversable(cell))
    }

    /// Everything that is not blocked.
    #[must_use]
    pub fn free(&self) -> Region {
        region_where(self.frame, |cell| self.is_open(cell))
    }

    /// The traversable cell whose middle is nearest to a point, if there is one within `max`.
    #[must_use]
    pub fn nearest_traversable(&self, point: Point, max: Meters) -> Option<u32> {
        nearest_traversable(self, point, max)
    }

    /// The cells where a robot's middle can get from any of the points, moving to neighbours without cutting
    /// corners. A point that is not traversable stands for the nearest traversable cell within 1 m.
    #[must_use]
    pub fn standing_from(&self, points: &[Point]) -> Region {
        let reached = self.reached_from(points);
        region_where(self.frame, |cell| reached[cell as usize])
    }

    /// The cells that a robot's footprint (with its margin) can cover when it starts at any of the points.
    /// A point that is not traversable stands for the nearest traversable cell within 1 m.
    #[must_use]
    pub fn reachable_from(&self, points: &[Point]) -> Region {
        let reached = self.reached_from(points);
        let covered = self.dilate(&reached);
        region_where(self.frame, |cell| covered[cell as usize] && self.is_open(cell))
    }

    /// Visits each cell that a robot can reach from one of these once, with the number of straight steps to it, nearest
    /// first.
    pub fn flood(&self, from: impl IntoIterator<Item = u32>, mut visit: impl FnMut(u32, u32)) {
        let mut seen = vec![false; self.frame.cells() as usize];
        let mut queue: VecDeque<(u32, u32)> = from.into_iter().map(|cell| (cell, 0)).collect();
        let width = self.frame.width;
        while let Some((cell, steps)) = queue.pop_front() {
            match seen.get_mut(cell as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            visit(cell, steps);
            // Without corner cutting a diagonal step needs both straight ones: four neighbours reach the same.
            let column = cell % width;
            let west = (column > 0).then(|| cell - 1);
            let east = (column + 1 < width).then(|| cell + 1);
            let neighbours = [west, east, cell.checked_sub(width), cell.checked_add(width)];
            let open = neighbours.into_iter().flatten().filter(|&next| self.traversable(next) && !seen[next as usize]);
            queue.extend(open.map(|next| (next, steps + 1)));
        }
    }

    fn reached_from(&self, points: &[Point]) -> Vec<bool> {
        let mut reached = vec![false; self.frame.cells() as usize];
        let starts = points.iter().filter_map(|&point| self.nearest_traversable(point, Meters(1.0)));
        self.flood(starts, |cell, _| reached[cell as usize] = true);
        reached
    }

    /// Everything within the clearance of a reached cell, middle to middle.
    fn dilate(&self, reached: &[bool]) -> Vec<bool> {
        let (width, height) = (i64::from(self.frame.width), i64::from(self.frame.height));
        let radius = self.params.clearance.0 / self.frame.resolution;
        let reach = radius.floor() as i64;
        let mut covered = reached.to_vec();
        let is_reached =
            |x: i64, y: i64| (0..width).contains(&x) && (0..height).contains(&y) && reached[(y * width + x) as usize];
        for y in 0..height {
            for x in (0..width).filter(|&x| is_reached(x, y)) {
                if is_reached(x - 1, y) && is_reached(x + 1, y) && is_reached(x, y - 1) && is_reached(x, y + 1) {
                    continue;
                }
                for dy in -reach..=reach {
                    let half = (radius * radius - (dy * dy) as f64).max(0.0).sqrt().floor() as i64;
                    if !(0..height).contains(&(y + dy)) {
                        continue;
                    }
                    for column in (x - half).max(0)..=(x + half).min(width - 1) {
                        covered[((y + dy) * width + column) as usize] = true;
                    }
                }
            }
        }
        covered
    }
}

impl Traversable for PlanningMap {
    fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    fn traversable(&self, cell: u32) -> bool {
        self.traversable.free(cell)
    }

    fn clearance(&self, cell: u32) -> f32 {
        Self::clearance(self, cell)
    }

    fn bit_grid(&self) -> Option<&BitGrid> {
        Some(&self.traversable)
    }
}

fn cell_is_free(pixels: &Pixels<'_>, frame: &RegionFrame, cell: u32) -> bool {
    let (column, row) = ((cell % frame.width) as usize * pixels.factor, (cell / frame.width) as usize * pixels.factor);
    let inside = column + pixels.factor <= pixels.width && row + pixels.factor <= pixels.height;
    inside && (row..row + pixels.factor).all(|y| (column..column + pixels.factor).all(|x| (pixels.free)(x, y)))
}

/// The cells for which `member` holds. The caller has made sure that they are no more runs than a region may have;
/// a set more ragged than that keeps its southern part.
pub(crate) fn region_where(frame: RegionFrame, member: impl Fn(u32) -> bool) -> Region {
    region_of(frame, (0..frame.cells() as u32).filter(|&cell| member(cell)))
}

/// A region of cells in rising order, cut off where it has as many runs as a region may have.
pub(crate) fn region_of(frame: RegionFrame, cells: impl Iterator<Item = u32>) -> Region {
    let (mut runs, mut last) = (0_usize, None);
    let kept = cells.take_while(|&cell| {
        runs += usize::from(last.is_none_or(|l: u32| l + 1 != cell));
        last = Some(cell);
        runs <= REGION_RUNS_MAX
    });
    match Region::from_cells(frame, kept) {
        Ok(region) => region,
        Err(error) => unreachable!("a planning frame and rising cells make a region: {error}"),
    }
}

/// See [`PlanningMap::nearest_traversable`]; for any grid.
#[must_use]
pub fn nearest_traversable(grid: &impl Traversable, point: Point, max: Meters) -> Option<u32> {
    let frame = grid.frame();
    if !point.is_finite() || !max.is_finite() {
        return None;
    }
    if let Some(cell) = frame.cell_of(point).filter(|&cell| grid.traversable(cell)) {
        return Some(cell);
    }
    let (width, height) = (i64::from(frame.width), i64::from(frame.height));
    let rings = (max.0 / frame.resolution).ceil().clamp(0.0, 10_000.0) as i64 + 1;
    let (east, north) = ((point.x - frame.origin.x) / frame.resolution, (point.y - frame.origin.y) / frame.resolution);
    let near = |along: f64, cells: i64| along >= -(rings as f64) && along <= (cells + rings) as f64;
    if !near(east, width) || !near(north, height) {
        return None;
    }
    let (column, row) = (east.floor() as i64, north.floor() as i64);
    let mut best: Option<(f64, u32)> = None;
    for ring in 0..=rings {
        // Nothing in this ring or beyond is nearer than its inner edge.
        if best.is_some_and(|(distance, _)| (ring as f64 - 1.0) * frame.resolution > distance) {
            break;
        }
        for y in (row - ring).max(0)..=(row + ring).min(height - 1) {
            let step = if (y - row).abs() == ring { 1 } else { (2 * ring).max(1) };
            let mut x = column - ring;
            while x <= column + ring {
                if (0..width).contains(&x) {
                    let cell = (y * width + x) as u32;
                    let distance = frame.center_of(cell).distance(point);
                    let nearer = best.is_none_or(|(least, _)| distance < least);
                    if nearer && distance <= max.0 && grid.traversable(cell) {
                        best = Some((distance, cell));
                    }
                }
                x += step;
            }
        }
    }
    best.map(|(_, cell)| cell)
}
