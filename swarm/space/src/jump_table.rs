//! Jump distances known beforehand for every cell and direction (JPS+, Rabin and Sturtevant 2016), for grids that are
//! searched often and do not change.
//!
//! Directions 0 to 3 are east, north, west, south; direction `4 + d` lies between `d` and `d + 1`. A record holds for
//! each direction the steps to the next cell where a walk may turn, or, not above zero, minus the steps that are
//! open before the wall. What a cell to turn at is says [`crate::bit_grid`]; on a diagonal it is one from which a
//! straight walk along either part finds such a cell.

use crate::bit_grid::BitGrid;
use crate::landmarks::{self, Far};

/// Column and row of one step in each direction.
pub(crate) const STEPS: [(i32, i32); 8] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)];

/// The table of one grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JumpTable {
    pub(crate) width: u32,
    pub(crate) cells: Vec<JumpRecord>,
    /// Cells with the same number can reach each other.
    pub(crate) areas: Vec<u32>,
    /// What distances to landmarks are counted in.
    pub(crate) unit: u32,
}

/// What is known about a cell beforehand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct JumpRecord {
    pub(crate) steps: [i16; 8],
    pub(crate) far: Far,
}

impl JumpTable {
    /// For a grid; `None` when it is so large that the table would be too.
    #[must_use]
    pub fn new(bits: &BitGrid) -> Option<Self> {
        let (width, height) = (bits.width(), bits.height());
        let fits = u64::from(width) * u64::from(height) <= landmarks::CELLS_MAX && width.max(height) <= i16::MAX as u32;
        if !fits {
            return None;
        }
        let mut cells = vec![JumpRecord::default(); width as usize * height as usize];
        let (areas, unit) = landmarks::survey(bits, |cell, which, far| cells[cell].far[which] = far);
        let mut table = Self { width, cells, areas, unit };
        for way in 0..8 {
            table.fill(bits, way);
        }
        Some(table)
    }

    /// The record of a cell of the grid.
    #[inline]
    pub(crate) fn at(&self, x: i32, y: i32) -> &JumpRecord {
        &self.cells[y as usize * self.width as usize + x as usize]
    }

    /// Goes against the direction, so that the cell ahead is known.
    fn fill(&mut self, bits: &BitGrid, way: usize) {
        let (dx, dy) = STEPS[way];
        let (width, height) = (bits.width() as i32, bits.height() as i32);
        for i in 0..height {
            let y = if dy > 0 { height - 1 - i } else { i };
            for j in 0..width {
                let x = if dx > 0 { width - 1 - j } else { j };
                if bits.free_at(x, y) {
                    self.cells[(y * width + x) as usize].steps[way] = self.step(bits, x, y, way);
                }
            }
        }
    }

    fn step(&self, bits: &BitGrid, x: i32, y: i32, way: usize) -> i16 {
        let (dx, dy) = STEPS[way];
        let (x, y) = (x + dx, y + dy);
        let free = bits.free_at(x, y) && bits.free_at(x - dx, y) && bits.free_at(x, y - dy);
        if !free {
            return 0;
        }
        let ahead = self.at(x, y).steps;
        let turn = match way {
            0 => bits.rows.stops_up(y, x),
            2 => bits.rows.stops_down(y, x),
            1 => bits.columns.stops_up(x, y),
            3 => bits.columns.stops_down(x, y),
            _ => ahead[way - 4] > 0 || ahead[(way - 3) % 4] > 0,
        };
        match ahead[way] {
            _ if turn => 1,
            steps if steps > 0 => steps + 1,
            steps => steps - 1,
        }
    }
}
