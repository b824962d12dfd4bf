//! A set of cells of one grid, one bit each.

use skein_types::region::{Region, RegionFrame};

/// A set of cells of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CellSet {
    words: Vec<u64>,
    count: u64,
}

impl CellSet {
    /// The empty set.
    pub(crate) fn empty(frame: &RegionFrame) -> Self {
        let words = usize::try_from(frame.cells().div_ceil(64)).unwrap_or(0);
        Self { words: vec![0; words], count: 0 }
    }

    pub(crate) fn contains(&self, cell: u32) -> bool {
        self.words.get(cell as usize / 64).is_some_and(|word| word >> (cell % 64) & 1 == 1)
    }

    /// Returns true if the cell was not in the set.
    pub(crate) fn insert(&mut self, cell: u32) -> bool {
        let Some(word) = self.words.get_mut(cell as usize / 64) else { return false };
        let bit = 1 << (cell % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        new
    }

    /// Returns true if the cell was in the set.
    pub(crate) fn remove(&mut self, cell: u32) -> bool {
        let Some(word) = self.words.get_mut(cell as usize / 64) else { return false };
        let bit = 1 << (cell % 64);
        let there = *word & bit != 0;
        *word &= !bit;
        self.count -= u64::from(there);
        there
    }

    /// Number of cells.
    pub(crate) const fn len(&self) -> u64 {
        self.count
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Indices of the cells, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let base = u32::try_from(index * 64).unwrap_or(u32::MAX);
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(base + bit)
            })
        })
    }

    /// As a region of the frame the set was made for. `None` when the region would have too many runs.
    pub(crate) fn to_region(&self, frame: RegionFrame) -> Option<Region> {
        Region::from_cells(frame, self.iter()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skein_types::geometry::Point;
    use std::collections::BTreeSet;

    const FRAME: RegionFrame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.1, width: 30, height: 20 };

    proptest! {
        #[test]
        fn it_behaves_like_a_plain_set(steps in prop::collection::vec((0_u32..600, any::<bool>()), 0..300)) {
            let (mut cells, mut plain) = (CellSet::empty(&FRAME), BTreeSet::new());
            for (cell, add) in steps {
                if add {
                    prop_assert_eq!(cells.insert(cell), plain.insert(cell));
                } else {
                    prop_assert_eq!(cells.remove(cell), plain.remove(&cell));
                }
                prop_assert_eq!(cells.len(), plain.len() as u64);
            }
            prop_assert_eq!(cells.iter().collect::<Vec<_>>(), plain.iter().copied().collect::<Vec<_>>());
            let region = cells.to_region(FRAME).unwrap();
            prop_assert_eq!(region.cells().collect::<Vec<_>>(), cells.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn cells_outside_the_frame_are_never_in_it() {
        let mut cells = CellSet::empty(&FRAME);
        assert!(!cells.insert(640) && !cells.contains(640) && !cells.remove(u32::MAX));
        assert!(cells.is_empty());
    }
}
