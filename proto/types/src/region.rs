//! A set of cells on a regular grid: what a robot is asked to cover, and what of it is left.
//!
//! A region is exact (union, difference and handing over lose nothing) and small on the wire (runs of cells).

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::Point;

/// Most cells the bounding box of a region may have.
pub const REGION_CELLS_MAX: u64 = 16_000_000;
/// Most runs one region may have.
pub const REGION_RUNS_MAX: usize = 200_000;

/// Where the cells of a region lie. Cell (column, row) covers
/// `origin + [column, column+1) × resolution` by `origin + [row, row+1) × resolution`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionFrame {
    /// South-west corner of cell (0, 0), metres in the map's frame.
    pub origin: Point,
    /// Side of a cell, metres.
    pub resolution: f64,
    /// Cells from west to east.
    pub width: u32,
    /// Cells from south to north.
    pub height: u32,
}

impl RegionFrame {
    /// The cell that holds a point, if it is inside the box.
    #[must_use]
    pub fn cell_of(&self, point: Point) -> Option<u32> {
        let (x, y) = ((point.x - self.origin.x) / self.resolution, (point.y - self.origin.y) / self.resolution);
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(self.width) && y < f64::from(self.height);
        // Both are in range, so the conversions lose only the fraction.
        inside.then(|| y as u32 * self.width + x as u32)
    }

    /// The middle of a cell, metres in the map's frame.
    #[must_use]
    pub fn center_of(&self, cell: u32) -> Point {
        let width = self.width.max(1);
        let (column, row) = (f64::from(cell % width), f64::from(cell / width));
        Point::new(self.origin.x + (column + 0.5) * self.resolution, self.origin.y + (row + 0.5) * self.resolution)
    }

    /// Number of cells in the box.
    #[must_use]
    pub const fn cells(&self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

/// Consecutive cells in row-major order (row 0 is the southernmost), `start = row × width + column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Index of the first cell, row by row from the south-west.
    pub start: u32,
    /// Number of cells, at least one.
    pub length: u32,
}

/// A set of cells. Runs are in order, apart from each other, and inside the frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RegionParts", into = "RegionParts")]
pub struct Region {
    frame: RegionFrame,
    runs: Vec<Run>,
}

/// The unchecked parts of a [`Region`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionParts {
    /// Where the cells lie.
    pub frame: RegionFrame,
    /// The cells, as ascending runs that do not touch.
    pub runs: Vec<Run>,
}

/// Why a region was refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RegionError {
    /// Resolution or origin is no usable number.
    #[error("the frame is unusable: resolution {resolution} m at ({x}, {y})")]
    Frame {
        /// Side of a cell.
        resolution: f64,
        /// Origin, east.
        x: f64,
        /// Origin, north.
        y: f64,
    },
    /// The box is larger than [`REGION_CELLS_MAX`].
    #[error("the frame has {0} cells, more than {REGION_CELLS_MAX}")]
    TooLarge(u64),
    /// More than [`REGION_RUNS_MAX`].
    #[error("it has {0} runs, more than {REGION_RUNS_MAX}")]
    TooManyRuns(usize),
    /// A run is empty, out of order, touches the one before or leaves the frame.
    #[error("run {index} is empty, out of order or outside the frame")]
    Run {
        /// Number of the run, from 0.
        index: usize,
    },
    /// Two regions that were to be combined have different frames.
    #[error("the two regions have different frames")]
    FramesDiffer,
}

impl TryFrom<RegionParts> for Region {
    type Error = RegionError;
    fn try_from(parts: RegionParts) -> Result<Self, RegionError> {
        Self::new(parts.frame, parts.runs)
    }
}

impl From<Region> for RegionParts {
    fn from(region: Region) -> Self {
        Self { frame: region.frame, runs: region.runs }
    }
}

impl Region {
    /// Checks the frame and the runs.
    ///
    /// # Errors
    /// [`RegionError`] names what is wrong.
    pub fn new(frame: RegionFrame, runs: Vec<Run>) -> Result<Self, RegionError> {
        check_frame(&frame)?;
        if runs.len() > REGION_RUNS_MAX {
            return Err(RegionError::TooManyRuns(runs.len()));
        }
        let mut free_from = 0_u64;
        for (index, run) in runs.iter().enumerate() {
            let end = u64::from(run.start) + u64::from(run.length);
            if run.length == 0 || u64::from(run.start) < free_from || end > frame.cells() {
                return Err(RegionError::Run { index });
            }
            free_from = end + 1;
        }
        Ok(Self { frame, runs })
    }

    /// No cells at all.
    ///
    /// # Errors
    /// [`RegionError`] when the frame is unusable.
    pub fn empty(frame: RegionFrame) -> Result<Self, RegionError> {
        Self::new(frame, Vec::new())
    }

    /// From cells in rising order; neighbours become one run.
    ///
    /// # Errors
    /// [`RegionError`] when a cell is out of order or outside, or there are too many runs.
    pub fn from_cells(frame: RegionFrame, cells: impl IntoIterator<Item = u32>) -> Result<Self, RegionError> {
        let mut runs: Vec<Run> = Vec::new();
        for cell in cells {
            match runs.last_mut() {
                Some(run) if run.start.checked_add(run.length) == Some(cell) => run.length += 1,
                _ => runs.push(Run { start: cell, length: 1 }),
            }
        }
        Self::new(frame, runs)
    }

    /// Where the cells lie.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// The runs, in order.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// All cells, in rising order.
    pub fn cells(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| run.start..run.start + run.length)
    }

    /// How many cells.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.length)).sum()
    }

    /// Nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// m².
    #[must_use]
    pub fn area(&self) -> f64 {
        self.len() as f64 * self.frame.resolution * self.frame.resolution
    }

    /// Whether a cell belongs to it.
    #[must_use]
    pub fn contains(&self, cell: u32) -> bool {
        let after = self.runs.partition_point(|run| run.start <= cell);
        after.checked_sub(1).and_then(|i| self.runs.get(i)).is_some_and(|run| cell - run.start < run.length)
    }

    /// What is in either.
    ///
    /// # Errors
    /// [`RegionError::FramesDiffer`].
    pub fn union(&self, other: &Self) -> Result<Self, RegionError> {
        self.combine(other, |a, b| a || b)
    }

    /// What is in this one and not in the other.
    ///
    /// # Errors
    /// [`RegionError::FramesDiffer`].
    pub fn difference(&self, other: &Self) -> Result<Self, RegionError> {
        self.combine(other, |a, b| a && !b)
    }

    /// What is in both.
    ///
    /// # Errors
    /// [`RegionError::FramesDiffer`].
    pub fn intersection(&self, other: &Self) -> Result<Self, RegionError> {
        self.combine(other, |a, b| a && b)
    }

    /// Walks the ends of both lists of runs in order.
    fn combine(&self, other: &Self, keep: impl Fn(bool, bool) -> bool) -> Result<Self, RegionError> {
        if self.frame != other.frame {
            return Err(RegionError::FramesDiffer);
        }
        let mut edges: Vec<(u32, bool)> = self.edges().map(|at| (at, true)).collect();
        edges.extend(other.edges().map(|at| (at, false)));
        edges.sort_unstable_by_key(|&(at, _)| at);
        let (mut in_self, mut in_other, mut open) = (false, false, None);
        let mut runs: Vec<Run> = Vec::new();
        for (i, &(at, is_self)) in edges.iter().enumerate() {
            if is_self {
                in_self = !in_self;
            } else {
                in_other = !in_other;
            }
            if edges.get(i + 1).is_some_and(|&(next, _)| next == at) {
                continue;
            }
            match (keep(in_self, in_other), open) {
                (true, None) => open = Some(at),
                (false, Some(start)) => {
                    runs.push(Run { start, length: at - start });
                    open = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        Self::new(self.frame, runs)
    }

    fn edges(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| [run.start, run.start + run.length])
    }
}

fn check_frame(frame: &RegionFrame) -> Result<(), RegionError> {
    let usable = frame.resolution.is_finite() && frame.resolution > 0.0 && frame.origin.is_finite();
    if !usable {
        return Err(RegionError::Frame { resolution: frame.resolution, x: frame.origin.x, y: frame.origin.y });
    }
    if frame.cells() > REGION_CELLS_MAX {
        return Err(RegionError::TooLarge(frame.cells()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec;
    use proptest::prelude::*;

    const FRAME: RegionFrame = RegionFrame { origin: Point::new(-1.0, 2.0), resolution: 0.5, width: 10, height: 8 };

    fn region(cells: &BTreeSet<u32>) -> Region {
        Region::from_cells(FRAME, cells.iter().copied()).unwrap()
    }

    proptest! {
        #[test]
        fn set_operations_agree_with_plain_sets(a in prop::collection::btree_set(0_u32..80, 0..60), b in prop::collection::btree_set(0_u32..80, 0..60)) {
            let (ra, rb) = (region(&a), region(&b));
            prop_assert_eq!(ra.union(&rb).unwrap(), region(&a.union(&b).copied().collect()));
            prop_assert_eq!(ra.difference(&rb).unwrap(), region(&a.difference(&b).copied().collect()));
            prop_assert_eq!(ra.intersection(&rb).unwrap(), region(&a.intersection(&b).copied().collect()));
            prop_assert_eq!(ra.len(), a.len() as u64);
            for cell in 0..80 {
                prop_assert_eq!(ra.contains(cell), a.contains(&cell));
            }
        }

        #[test]
        fn the_middle_of_a_cell_lies_in_that_cell(cell in 0_u32..80) {
            prop_assert_eq!(FRAME.cell_of(FRAME.center_of(cell)), Some(cell));
        }
    }

    #[test]
    fn wrong_runs_and_frames_are_refused() {
        let bad = |runs| Region::new(FRAME, runs).unwrap_err();
        assert_eq!(bad(vec![Run { start: 0, length: 0 }]), RegionError::Run { index: 0 });
        assert_eq!(bad(vec![Run { start: 79, length: 2 }]), RegionError::Run { index: 0 });
        assert_eq!(bad(vec![Run { start: 5, length: 2 }, Run { start: 6, length: 1 }]), RegionError::Run { index: 1 });
        assert_eq!(bad(vec![Run { start: u32::MAX, length: u32::MAX }]), RegionError::Run { index: 0 });
        let frame = RegionFrame { resolution: f64::NAN, ..FRAME };
        assert!(matches!(Region::empty(frame), Err(RegionError::Frame { .. })));
        let huge = RegionFrame { width: u32::MAX, height: u32::MAX, ..FRAME };
        assert!(matches!(Region::empty(huge), Err(RegionError::TooLarge(_))));
        let other = Region::empty(RegionFrame { width: 11, ..FRAME }).unwrap();
        assert_eq!(Region::empty(FRAME).unwrap().union(&other), Err(RegionError::FramesDiffer));
    }

    #[test]
    fn points_outside_the_frame_are_in_no_cell() {
        assert_eq!(FRAME.cell_of(Point::new(-1.1, 3.0)), None);
        assert_eq!(FRAME.cell_of(Point::new(4.0, 3.0)), None);
        assert_eq!(FRAME.cell_of(Point::new(f64::NAN, 3.0)), None);
    }
}
