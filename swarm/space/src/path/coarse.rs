//! The traversable squares of a map on a coarser grid, where distances are found many times faster.
//!
//! It is so coarse that a robot's clearance still keeps the two sides of a wall apart: traversable squares on its two
//! sides are at least two clearances from each other, and two neighbouring coarse squares span less.

use skein_types::region::RegionFrame;
use skein_types::units::Meters;

use crate::planning::{PlanningMap, nearest_traversable};
use crate::terrain::Terrain;

/// A coarse square is open when any square in it is traversable.
#[derive(Clone, Debug)]
pub(crate) struct Coarse {
    fine: RegionFrame,
    coarse: RegionFrame,
    factor: u32,
    pub(crate) terrain: Terrain,
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
        let terrain = Terrain::new(coarse.width, coarse.height, |square| {
            let (column, row) = (square % coarse.width * factor, square / coarse.width * factor);
            (row..(row + factor).min(fine.height))
                .any(|y| (column..(column + factor).min(fine.width)).any(|x| map.traversable(y * fine.width + x)))
        });
        Self { fine, coarse, factor, terrain }
    }

    /// Side of a coarse square, metres.
    pub(crate) const fn resolution(&self) -> f64 {
        self.coarse.resolution
    }

    /// The place of a square of the map; for one that is not traversable, the place of the nearest within 2 m. The closed
    /// place 0 when there is none.
    pub(crate) fn place(&self, map: &PlanningMap, square: u32) -> u32 {
        let found = self.open_place(square).or_else(|| {
            let near = nearest_traversable(map, self.fine.center_of(square), Meters(2.0))?;
            self.open_place(near)
        });
        found.unwrap_or(0)
    }

    fn open_place(&self, square: u32) -> Option<u32> {
        let (column, row) = (square % self.fine.width / self.factor, square / self.fine.width / self.factor);
        self.terrain.place(row * self.coarse.width + column)
    }

    /// A square of the map in the middle of a place, traversable or not.
    pub(crate) fn middle_of(&self, place: u32) -> u32 {
        let coarse = self.terrain.square(place);
        let (column, row) = (coarse % self.coarse.width * self.factor, coarse / self.coarse.width * self.factor);
        let column = (column + self.factor / 2).min(self.fine.width - 1);
        (row + self.factor / 2).min(self.fine.height - 1) * self.fine.width + column
    }
}
