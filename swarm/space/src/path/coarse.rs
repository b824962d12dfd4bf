//! The traversable cells of a map on a coarser grid, where distances are found many times faster.
//!
//! It is so coarse that a robot's clearance still keeps the two sides of a wall apart: traversable cells on its two
//! sides are at least two clearances from each other, and two neighbouring coarse cells span less.

use skein_types::region::RegionFrame;
use skein_types::units::Meters;

use crate::padded_grid::PaddedGrid;
use crate::planning::{PlanningMap, nearest_traversable};

/// A coarse cell is open when any cell in it is traversable.
#[derive(Clone, Debug)]
pub(crate) struct Coarse {
    fine: RegionFrame,
    coarse: RegionFrame,
    factor: u32,
    pub(crate) padded: PaddedGrid,
}

impl Coarse {
    pub(crate) fn new(map: &PlanningMap) -> Self {
        let fine = *map.frame();
        let span = std::f64::consts::SQRT_2 * fine.resolution;
        let factor = (map.params().clearance.0 / span).clamp(1.0, 8.0) as u32;
        let coarse = RegionFrame {
            resolution: fine.resolution * f64::from(factor),
            width: fine.width.div_ceil(factor),
            height: fine.height.div_ceil(factor),
            ..fine
        };
        let padded = PaddedGrid::new(coarse.width, coarse.height, |cell| {
            let (column, row) = (cell % coarse.width * factor, cell / coarse.width * factor);
            (row..(row + factor).min(fine.height))
                .any(|y| (column..(column + factor).min(fine.width)).any(|x| map.traversable(y * fine.width + x)))
        });
        Self { fine, coarse, factor, padded }
    }

    /// Side of a coarse cell, metres.
    pub(crate) const fn resolution(&self) -> f64 {
        self.coarse.resolution
    }

    /// The place of a cell of the map; for one that is not traversable, the place of the nearest within 2 m. The closed
    /// place 0 when there is none.
    pub(crate) fn place(&self, map: &PlanningMap, cell: u32) -> u32 {
        let found = self.open_place(cell).or_else(|| {
            let near = nearest_traversable(map, self.fine.center_of(cell), Meters(2.0))?;
            self.open_place(near)
        });
        found.unwrap_or(0)
    }

    fn open_place(&self, cell: u32) -> Option<u32> {
        let (column, row) = (cell % self.fine.width / self.factor, cell / self.fine.width / self.factor);
        self.padded.place(row * self.coarse.width + column)
    }

    /// A cell of the map in the middle of a place, traversable or not.
    pub(crate) fn middle_of(&self, place: u32) -> u32 {
        let coarse = self.padded.cell(place);
        let (column, row) = (coarse % self.coarse.width * self.factor, coarse / self.coarse.width * self.factor);
        let column = (column + self.factor / 2).min(self.fine.width - 1);
        (row + self.factor / 2).min(self.fine.height - 1) * self.fine.width + column
    }
}
