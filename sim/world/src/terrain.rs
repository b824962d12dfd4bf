//! The place as it truly is: which cells are solid, how far a beam flies, how deep a disc sticks in a wall.

use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use thiserror::Error;

/// Most cells of one terrain.
pub const TERRAIN_CELLS_MAX: u64 = 64_000_000;

/// A direction that is never quite parallel to an axis, so that no division gives a NaN.
const SLANT_MIN: f32 = 1e-9;

/// Why a terrain was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TerrainError {
    /// No cells, or cells without size.
    #[error("the map has {width} × {height} cells of {resolution} m: nothing to drive on")]
    Empty {
        /// Cells from west to east.
        width: u32,
        /// Cells from south to north.
        height: u32,
        /// Side of a cell, metres.
        resolution: f64,
    },
    /// More than [`TERRAIN_CELLS_MAX`].
    #[error("the map has {0} cells, more than {TERRAIN_CELLS_MAX}")]
    TooLarge(u64),
}

/// Solid and open cells of a grid with a solid rim around it. Cell numbers and the frame are those of
/// [`RegionFrame`]; everything outside the frame is solid.
///
/// For each cell and each quarter of the sky the terrain keeps the *opening*: 0 for a solid one, else the side (up to
/// 255) of the largest block of open cells that has this one in its corner and lies in that quarter. A beam into the
/// quarter crosses the block in one step (it enters nothing else before it leaves it), which makes ray casting exact
/// and cheap: long steps in the open and along walls, single cells only where a wall is met.
#[derive(Clone, Debug, PartialEq)]
pub struct Terrain {
    frame: RegionFrame,
    /// Columns with the rim.
    stride: usize,
    opening: Vec<[u8; 4]>,
}

impl Terrain {
    /// Asks once for each cell whether it is solid.
    ///
    /// # Errors
    /// [`TerrainError`] when there is nothing in it or too much.
    pub fn new(frame: RegionFrame, solid: impl Fn(u32) -> bool) -> Result<Self, TerrainError> {
        let usable = frame.resolution.is_finite() && frame.resolution > 0.0 && frame.origin.is_finite();
        if !usable || frame.width == 0 || frame.height == 0 {
            let RegionFrame { width, height, resolution, .. } = frame;
            return Err(TerrainError::Empty { width, height, resolution });
        }
        if frame.cells() > TERRAIN_CELLS_MAX {
            return Err(TerrainError::TooLarge(frame.cells()));
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let stride = width + 2;
        let mut opening = vec![[0_u8; 4]; stride * (height + 2)];
        let rows = opening.chunks_exact_mut(stride).skip(1).take(height);
        for (row, line) in (0_u32..).zip(rows) {
            for (column, cell) in (0_u32..).zip(line.iter_mut().skip(1).take(width)) {
                *cell = if solid(row * frame.width + column) { [0; 4] } else { [u8::MAX; 4] };
            }
        }
        let mut terrain = Self { frame, stride, opening };
        terrain.spread();
        Ok(terrain)
    }

    /// The block in a cell's corner is one larger than the smallest of the blocks of the three cells next to it in
    /// that quarter: one sweep against each quarter's direction.
    fn spread(&mut self) {
        let (stride, height) = (self.stride, self.frame.height as usize);
        for row in 1..=height {
            for at in row * stride + 1..(row + 1) * stride - 1 {
                self.grow(at, 0, [at - 1, at - stride, at - stride - 1]);
            }
            for at in (row * stride + 1..(row + 1) * stride - 1).rev() {
                self.grow(at, 1, [at + 1, at - stride, at - stride + 1]);
            }
        }
        for row in (1..=height).rev() {
            for at in row * stride + 1..(row + 1) * stride - 1 {
                self.grow(at, 2, [at - 1, at + stride, at + stride - 1]);
            }
            for at in (row * stride + 1..(row + 1) * stride - 1).rev() {
                self.grow(at, 3, [at + 1, at + stride, at + stride + 1]);
            }
        }
    }

    fn grow(&mut self, at: usize, quarter: usize, beside: [usize; 3]) {
        let side = |at: usize| self.opening.get(at).and_then(|sides| sides.get(quarter)).copied().unwrap_or(0);
        let smallest = beside.into_iter().map(side).min().unwrap_or(0);
        if let Some(here) = self.opening.get_mut(at).and_then(|sides| sides.get_mut(quarter)) {
            *here = (*here).min(smallest.saturating_add(1));
        }
    }

    /// Where the cells lie.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// Whether a place is solid or outside.
    #[must_use]
    pub fn is_solid(&self, at: Point) -> bool {
        let here = self.in_cells(at);
        !here.is_finite() || self.opening_at(here.x.floor() as i32, here.y.floor() as i32) == 0
    }

    /// How many columns and rows around a cell are open, itself included; everything beyond the rim counts as rim.
    fn opening_at(&self, column: i32, row: i32) -> u8 {
        let column = column.clamp(-1, self.frame.width as i32);
        let sides = self.sides(column, row.clamp(-1, self.frame.height as i32));
        sides.into_iter().min().unwrap_or(0)
    }

    /// The openings of a cell whose column and row are known to lie inside the rim or on it.
    fn sides(&self, column: i32, row: i32) -> [u8; 4] {
        let at = (row + 1) as isize * self.stride as isize + (column + 1) as isize;
        self.opening.get(at as usize).copied().unwrap_or([0; 4])
    }

    /// A place in cells from the south-west corner.
    fn in_cells(&self, at: Point) -> Point {
        (at - self.frame.origin) * self.frame.resolution.recip()
    }

    /// A source of beams at one place.
    #[must_use]
    pub fn beams_from(&self, at: Point) -> Beams<'_> {
        let start = self.in_cells(at);
        Beams {
            terrain: self,
            x: start.x as f32,
            y: start.y as f32,
            column: (start.x.floor() as i32).clamp(-1, self.frame.width as i32),
            row: (start.y.floor() as i32).clamp(-1, self.frame.height as i32),
        }
    }

    /// The nearest solid place strictly within `radius` of a point and its distance; the point itself when that is
    /// solid.
    #[must_use]
    pub fn nearest_solid(&self, at: Point, radius: f64) -> Option<(Point, f64)> {
        let here = self.in_cells(at);
        if !here.is_finite() {
            return Some((at, 0.0));
        }
        let opening = self.opening_at(here.x.floor() as i32, here.y.floor() as i32);
        if opening == 0 {
            return Some((at, 0.0));
        }
        let reach = radius / self.frame.resolution;
        if f64::from(opening) - 1.0 >= reach || (opening > 1 && edge_distance(here) + f64::from(opening - 1) >= reach) {
            return None;
        }
        let mut best = reach * reach;
        let mut found = None;
        for y in (here.y - reach).floor() as i32..=(here.y + reach).floor() as i32 {
            let dy = here.y.clamp(f64::from(y), f64::from(y + 1)) - here.y;
            for x in (here.x - reach).floor() as i32..=(here.x + reach).floor() as i32 {
                let dx = here.x.clamp(f64::from(x), f64::from(x + 1)) - here.x;
                let distance = dx * dx + dy * dy;
                if distance < best && self.opening_at(x, y) == 0 {
                    best = distance;
                    found = Some(Point::new(dx, dy));
                }
            }
        }
        found.map(|offset| (at + offset * self.frame.resolution, best.sqrt() * self.frame.resolution))
    }

    /// Whether a disc that moves straight from `from` to `to` touches nothing solid.
    #[must_use]
    pub fn disc_passes(&self, from: Point, to: Point, radius: f64) -> bool {
        let length = from.distance(to);
        let steps = (length / (self.frame.resolution * 0.5).max(1e-3)).ceil().max(1.0);
        (0..=steps as u32).all(|i| self.nearest_solid(from.lerp(to, f64::from(i) / steps), radius).is_none())
    }
}

/// How far a place is from the nearest edge of the cell it lies in, in cells.
fn edge_distance(at: Point) -> f64 {
    let (x, y) = (at.x - at.x.floor(), at.y - at.y.floor());
    x.min(1.0 - x).min(y).min(1.0 - y)
}

/// Beams from one place.
#[derive(Clone, Copy, Debug)]
pub struct Beams<'a> {
    terrain: &'a Terrain,
    x: f32,
    y: f32,
    column: i32,
    row: i32,
}

impl Beams<'_> {
    /// Metres to the first solid cell in the direction `(dx, dy)`, a unit vector; infinite beyond `range`.
    /// Zero when the place itself is solid.
    #[must_use]
    pub fn cast(&self, dx: f32, dy: f32, range: f32) -> f32 {
        let size = self.terrain.frame.resolution as f32;
        let limit = range / size;
        let inverse = |d: f32| if d.abs() < SLANT_MIN { SLANT_MIN.recip().copysign(d) } else { d.recip() };
        let (inverse_x, inverse_y) = (inverse(dx), inverse(dy));
        let (east, north) = (inverse_x > 0.0, inverse_y > 0.0);
        let quarter = usize::from(east) + 2 * usize::from(north);
        let (mut column, mut row, mut flown) = (self.column, self.row, 0.0_f32);
        loop {
            let block = i32::from(self.terrain.sides(column, row).get(quarter).copied().unwrap_or(0));
            if block == 0 {
                return flown * size;
            }
            if flown > limit {
                return f32::INFINITY;
            }
            // The edges of the open block ahead of this cell, on the sides the beam leaves it by. Chosen without
            // branches: which of the two comes first is as good as random, and a wrong guess costs more than the sums.
            let x_edge = if east { column + block } else { column - block + 1 };
            let y_edge = if north { row + block } else { row - block + 1 };
            let x_at = (x_edge as f32 - self.x) * inverse_x;
            let y_at = (y_edge as f32 - self.y) * inverse_y;
            flown = x_at.min(y_at).max(flown);
            let (beyond_x, last_column) = if east { (x_edge, x_edge - 1) } else { (x_edge - 1, x_edge) };
            let (beyond_y, last_row) = if north { (y_edge, y_edge - 1) } else { (y_edge - 1, y_edge) };
            let by_x = x_at < y_at;
            let within_x = floor_to_i32(self.x + dx * flown).clamp(column.min(last_column), column.max(last_column));
            let within_y = floor_to_i32(self.y + dy * flown).clamp(row.min(last_row), row.max(last_row));
            column = if by_x { beyond_x } else { within_x };
            row = if by_x { within_y } else { beyond_y };
        }
    }
}

/// Truncation is cheaper than `floor` without SSE4.1, and a beam never goes further below zero than the rim.
fn floor_to_i32(value: f32) -> i32 {
    (value + 1.0) as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const FRAME: RegionFrame = RegionFrame { origin: Point::new(-3.0, 1.0), resolution: 0.5, width: 24, height: 17 };

    fn terrain(solid: &BTreeSet<u32>) -> Terrain {
        Terrain::new(FRAME, |cell| solid.contains(&cell)).unwrap()
    }

    /// The plain way: tiny steps along the beam.
    fn march(terrain: &Terrain, from: Point, heading: f64, range: f64) -> f64 {
        let step = 1e-3;
        let direction = Point::from_heading(heading);
        (0..(range / step) as u32)
            .map(|i| f64::from(i) * step)
            .find(|&d| terrain.is_solid(from + direction * d))
            .unwrap_or(f64::INFINITY)
    }

    /// The plain way: every cell there is, and a rim.
    fn nearest(solid: &BTreeSet<u32>, at: Point) -> f64 {
        let inside = |column: i64, row: i64| (0..24).contains(&column) && (0..17).contains(&row);
        let mut best = f64::INFINITY;
        for row in -1..=17_i64 {
            for column in -1..=24_i64 {
                if inside(column, row) && !solid.contains(&((row * 24 + column) as u32)) {
                    continue;
                }
                let (x0, y0) = (-3.0 + column as f64 * 0.5, 1.0 + row as f64 * 0.5);
                let q = Point::new(at.x.clamp(x0, x0 + 0.5), at.y.clamp(y0, y0 + 0.5));
                best = best.min(at.distance(q));
            }
        }
        best
    }

    proptest! {
        #[test]
        fn a_beam_ends_where_tiny_steps_first_meet_a_solid_cell(
            solid in prop::collection::btree_set(0_u32..24 * 17, 0..70),
            x in -2.9_f64..8.9, y in 1.1_f64..9.4, heading in -3.2_f64..3.2,
        ) {
            let terrain = terrain(&solid);
            let from = Point::new(x, y);
            let direction = Point::from_heading(heading);
            let cast = f64::from(terrain.beams_from(from).cast(direction.x as f32, direction.y as f32, 6.0));
            let marched = march(&terrain, from, heading, 6.0);
            // Tiny steps can jump over the corner of a cell that the beam cuts by less than a step.
            let cut_corner = cast < marched && terrain.is_solid(from + direction * (cast + 1e-5))
                || terrain.nearest_solid(from + direction * cast, 2e-3).is_some();
            prop_assert!((cast - marched).abs() < 2e-3 || (cast.is_infinite() && marched > 5.99) || cut_corner,
                "cast {cast}, marched {marched}");
        }

        #[test]
        fn the_nearest_solid_place_is_the_nearest_of_all(
            solid in prop::collection::btree_set(0_u32..24 * 17, 0..70),
            x in -2.9_f64..8.9, y in 1.1_f64..9.4, radius in 0.05_f64..2.0,
        ) {
            let terrain = terrain(&solid);
            let at = Point::new(x, y);
            let truth = nearest(&solid, at);
            match terrain.nearest_solid(at, radius) {
                Some((place, distance)) => {
                    prop_assert!((distance - truth).abs() < 1e-9, "{distance} against {truth}");
                    prop_assert!((place.distance(at) - distance).abs() < 1e-9);
                }
                None => prop_assert!(truth >= radius - 1e-9, "missed {truth} within {radius}"),
            }
        }

        #[test]
        fn beams_from_anywhere_end(x in -1e3_f64..1e3, y in -1e3_f64..1e3, heading in -7.0_f64..7.0) {
            let direction = Point::from_heading(heading);
            let range = terrain(&BTreeSet::new()).beams_from(Point::new(x, y)).cast(direction.x as f32, direction.y as f32, 10.0);
            prop_assert!(range >= 0.0);
        }
    }

    #[test]
    fn beams_along_the_axes_stop_at_the_rim() {
        let terrain = terrain(&BTreeSet::new());
        let beams = terrain.beams_from(Point::new(0.0, 2.0));
        for (dx, dy, expected) in
            [(1.0, 0.0, 9.0), (-1.0, 0.0, 3.0), (0.0, 1.0, 7.5), (0.0, -1.0, 1.0), (-1.0, -0.0, 3.0)]
        {
            assert!((beams.cast(dx, dy, 50.0) - expected).abs() < 1e-4, "({dx}, {dy})");
        }
        assert_eq!(beams.cast(1.0, 0.0, 5.0), f32::INFINITY);
    }

    #[test]
    fn what_is_no_terrain_is_refused() {
        assert!(Terrain::new(RegionFrame { width: 0, ..FRAME }, |_| false).is_err());
        assert!(Terrain::new(RegionFrame { resolution: f64::NAN, ..FRAME }, |_| false).is_err());
        let huge = RegionFrame { width: 100_000, height: 100_000, ..FRAME };
        assert!(matches!(Terrain::new(huge, |_| false), Err(TerrainError::TooLarge(_))));
    }
}
