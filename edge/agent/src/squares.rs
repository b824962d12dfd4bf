//! A set of squares of one grid as bits: quick to ask and to mark.

use skein_types::region::{Region, RegionFrame};

/// Bits for every square of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Squares {
    words: Vec<u64>,
    count: u64,
}

impl Squares {
    /// Nothing of a frame.
    pub(crate) fn none(frame: &RegionFrame) -> Self {
        let words = usize::try_from(frame.squares().div_ceil(64)).unwrap_or(0);
        Self { words: vec![0; words], count: 0 }
    }

    pub(crate) fn contains(&self, square: u32) -> bool {
        self.words.get(square as usize / 64).is_some_and(|word| word >> (square % 64) & 1 == 1)
    }

    /// Adds a square; true if it was not there.
    pub(crate) fn insert(&mut self, square: u32) -> bool {
        let Some(word) = self.words.get_mut(square as usize / 64) else { return false };
        let bit = 1 << (square % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        new
    }

    /// Takes a square out; true if it was there.
    pub(crate) fn remove(&mut self, square: u32) -> bool {
        let Some(word) = self.words.get_mut(square as usize / 64) else { return false };
        let bit = 1 << (square % 64);
        let there = *word & bit != 0;
        *word &= !bit;
        self.count -= u64::from(there);
        there
    }

    /// How many.
    pub(crate) const fn len(&self) -> u64 {
        self.count
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// In rising order.
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

    /// As a region of the frame it was made for. `None` when it is too ragged for one.
    pub(crate) fn to_region(&self, frame: RegionFrame) -> Option<Region> {
        Region::from_squares(frame, self.iter()).ok()
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
            let (mut squares, mut plain) = (Squares::none(&FRAME), BTreeSet::new());
            for (square, add) in steps {
                if add {
                    prop_assert_eq!(squares.insert(square), plain.insert(square));
                } else {
                    prop_assert_eq!(squares.remove(square), plain.remove(&square));
                }
                prop_assert_eq!(squares.len(), plain.len() as u64);
            }
            prop_assert_eq!(squares.iter().collect::<Vec<_>>(), plain.iter().copied().collect::<Vec<_>>());
            let region = squares.to_region(FRAME).unwrap();
            prop_assert_eq!(region.squares().collect::<Vec<_>>(), squares.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn squares_outside_the_frame_are_never_in_it() {
        let mut squares = Squares::none(&FRAME);
        assert!(!squares.insert(640) && !squares.contains(640) && !squares.remove(u32::MAX));
        assert!(squares.is_empty());
    }
}
