//! The grid everybody plans on, made from a map and a robot's size.

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
/// Side of a planning square that is aimed for.
pub const RESOLUTION_WANTED: Meters = Meters(0.1);

/// What a planning map is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanningParams {
    /// Side of a square that is aimed for; the real one is the nearest whole multiple of the map's pixel.
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
        /// Side of a square, metres.
        resolution: f64,
        /// Clearance, metres.
        clearance: f64,
    },
    /// The grid cannot hold regions: too many squares, or an origin that is NaN.
    #[error("no planning grid can be laid over the map: {0}")]
    Frame(#[from] RegionError),
    /// So many specks that free space cannot be written down as runs.
    #[error("the map's free space falls into {0} runs, more than {REGION_RUNS_MAX}: is it noise?")]
    TooRagged(usize),
    /// No robot of this size fits anywhere.
    #[error(
        "no square of the map is {clearance} m away from everything that is not free: is the map inverted (`negate`)?"
    )]
    NoPassable {
        /// Clearance, metres.
        clearance: f64,
    },
}

/// A grid that can be planned on.
pub trait Traversable {
    /// Where the squares lie.
    fn frame(&self) -> &RegionFrame;

    /// Whether the middle of a robot may be in a square; nowhere outside the frame.
    fn traversable(&self, square: u32) -> bool;

    /// Distance from the middle of a square to the nearest thing to keep away from, metres. Paths with a soft
    /// cost prefer squares where this is above the least.
    fn clearance(&self, _square: u32) -> f32 {
        f32::INFINITY
    }

    /// The same as [`Self::traversable`] as bits, where they exist: searching them is many times faster.
    fn bit_grid(&self) -> Option<&BitGrid> {
        None
    }

    /// Jump distances of all squares, where someone has made them: searching with them is faster still. They must be
    /// those of exactly the traversable squares.
    fn jump_table(&self) -> Option<&JumpTable> {
        None
    }
}

/// The conservative grid of a map for robots of one size. A square is blocked when anything in it is not known to be
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
            width: pixels.squares_wide() as u32,
            height: pixels.squares_high() as u32,
        };
        Region::empty(frame)?;
        let clearance: Vec<f32> =
            pixels.clearances().into_iter().map(|d| (f64::from(d) * source.resolution) as f32).collect();
        let open = BitGrid::new(frame.width, frame.height, |square| square_is_free(&pixels, &frame, square));
        // A hair less than asked for, so that a square exactly at the clearance counts despite rounding.
        let least = (params.clearance.0 - 1e-6) as f32;
        let traversable =
            BitGrid::new(frame.width, frame.height, |sq| open.free(sq) && clearance[sq as usize] >= least);
        let planning = Self { frame, params: *params, clearance, open, traversable };
        planning.check()
    }

    fn check(self) -> Result<Self, PlanningError> {
        let squares = 0..self.frame.squares() as u32;
        let starts = |sq: u32| self.is_open(sq) && (sq.is_multiple_of(self.frame.width) || !self.is_open(sq - 1));
        let runs = squares.clone().filter(|&sq| starts(sq)).count();
        if runs > REGION_RUNS_MAX {
            return Err(PlanningError::TooRagged(runs));
        }
        if !squares.into_iter().any(|sq| self.traversable(sq)) {
            return Err(PlanningError::NoPassable { clearance: self.params.clearance.0 });
        }
        Ok(self)
    }

    /// Where the squares lie.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// What it was made for.
    #[must_use]
    pub const fn params(&self) -> &PlanningParams {
        &self.params
    }

    /// Something in the square is not known to be free; everything outside the frame is.
    #[must_use]
    pub fn blocked(&self, square: u32) -> bool {
        !self.is_open(square)
    }

    fn is_open(&self, square: u32) -> bool {
        self.open.free(square)
    }

    /// The squares that are not blocked, as bits.
    #[must_use]
    pub const fn open(&self) -> &BitGrid {
        &self.open
    }

    /// The traversable squares, as bits.
    #[must_use]
    pub const fn traversable_grid(&self) -> &BitGrid {
        &self.traversable
    }

    /// Distance from the middle of a square to the nearest place that is not free, metres.
    #[must_use]
    pub fn clearance(&self, square: u32) -> f32 {
        self.clearance.get(square as usize).copied().unwrap_or(0.0)
    }

    /// Whether the middle of a robot may be in the square.
    #[must_use]
    pub fn traversable(&self, square: u32) -> bool {
        self.traversable.free(square)
    }

    /// Whether the middle of a robot may be at a point.
    #[must_use]
    pub fn traversable_at(&self, point: Point) -> bool {
        self.frame.square_of(point).is_some_and(|square| self.traversable(square))
    }

    /// Everything that is not blocked.
    #[must_use]
    pub fn free(&self) -> Region {
        region_where(self.frame, |square| self.is_open(square))
    }

    /// The traversable square whose middle is nearest to a point, if there is one within `max`.
    #[must_use]
    pub fn nearest_traversable(&self, point: Point, max: Meters) -> Option<u32> {
        nearest_traversable(self, point, max)
    }

    /// The squares where a robot's middle can get from any of the points, moving to neighbours without cutting
    /// corners. A point that is not traversable stands for the nearest traversable square within 1 m.
    #[must_use]
    pub fn standing_from(&self, points: &[Point]) -> Region {
        let reached = self.flood(points);
        region_where(self.frame, |square| reached[square as usize])
    }

    /// The squares that a robot's footprint (with its margin) can cover when it starts at any of the points.
    /// A point that is not traversable stands for the nearest traversable square within 1 m.
    #[must_use]
    pub fn reachable_from(&self, points: &[Point]) -> Region {
        let reached = self.flood(points);
        let covered = self.dilate(&reached);
        region_where(self.frame, |square| covered[square as usize] && self.is_open(square))
    }

    fn flood(&self, points: &[Point]) -> Vec<bool> {
        let mut reached = vec![false; self.frame.squares() as usize];
        let mut stack: Vec<u32> =
            points.iter().filter_map(|&point| self.nearest_traversable(point, Meters(1.0))).collect();
        let width = self.frame.width;
        while let Some(square) = stack.pop() {
            if std::mem::replace(&mut reached[square as usize], true) {
                continue;
            }
            // Without corner cutting a diagonal step needs both straight ones: four neighbours reach the same.
            let column = square % width;
            let west = (column > 0).then(|| square - 1);
            let east = (column + 1 < width).then(|| square + 1);
            let neighbours = [west, east, square.checked_sub(width), square.checked_add(width)];
            stack.extend(neighbours.into_iter().flatten().filter(|&n| self.traversable(n) && !reached[n as usize]));
        }
        reached
    }

    /// Everything within the clearance of a reached square, middle to middle.
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

    fn traversable(&self, square: u32) -> bool {
        self.traversable.free(square)
    }

    fn clearance(&self, square: u32) -> f32 {
        Self::clearance(self, square)
    }

    fn bit_grid(&self) -> Option<&BitGrid> {
        Some(&self.traversable)
    }
}

fn square_is_free(pixels: &Pixels<'_>, frame: &RegionFrame, square: u32) -> bool {
    let (column, row) =
        ((square % frame.width) as usize * pixels.factor, (square / frame.width) as usize * pixels.factor);
    let inside = column + pixels.factor <= pixels.width && row + pixels.factor <= pixels.height;
    inside && (row..row + pixels.factor).all(|y| (column..column + pixels.factor).all(|x| (pixels.free)(x, y)))
}

/// The squares for which `member` holds. The caller has made sure that they are no more runs than a region may have;
/// a set more ragged than that keeps its southern part.
pub(crate) fn region_where(frame: RegionFrame, member: impl Fn(u32) -> bool) -> Region {
    region_of(frame, (0..frame.squares() as u32).filter(|&square| member(square)))
}

/// A region of squares in rising order, cut off where it has as many runs as a region may have.
pub(crate) fn region_of(frame: RegionFrame, squares: impl Iterator<Item = u32>) -> Region {
    let (mut runs, mut last) = (0_usize, None);
    let kept = squares.take_while(|&square| {
        runs += usize::from(last.is_none_or(|l: u32| l + 1 != square));
        last = Some(square);
        runs <= REGION_RUNS_MAX
    });
    match Region::from_squares(frame, kept) {
        Ok(region) => region,
        Err(error) => unreachable!("a planning frame and rising squares make a region: {error}"),
    }
}

/// See [`PlanningMap::nearest_traversable`]; for any grid.
#[must_use]
pub fn nearest_traversable(grid: &impl Traversable, point: Point, max: Meters) -> Option<u32> {
    let frame = grid.frame();
    if !point.is_finite() || !max.is_finite() {
        return None;
    }
    if let Some(square) = frame.square_of(point).filter(|&square| grid.traversable(square)) {
        return Some(square);
    }
    let (width, height) = (i64::from(frame.width), i64::from(frame.height));
    let rings = (max.0 / frame.resolution).ceil().clamp(0.0, 10_000.0) as i64 + 1;
    let (east, north) = ((point.x - frame.origin.x) / frame.resolution, (point.y - frame.origin.y) / frame.resolution);
    let near = |along: f64, squares: i64| along >= -(rings as f64) && along <= (squares + rings) as f64;
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
                    let square = (y * width + x) as u32;
                    let distance = frame.center_of(square).distance(point);
                    let nearer = best.is_none_or(|(least, _)| distance < least);
                    if nearer && distance <= max.0 && grid.traversable(square) {
                        best = Some((distance, square));
                    }
                }
                x += step;
            }
        }
    }
    best.map(|(_, square)| square)
}
