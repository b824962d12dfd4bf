//! Distances from places to everywhere, by Dijkstra's search over buckets.
//!
//! A step is at least one square long, so all squares whose distance has the same whole part are final together and
//! need no order among themselves (Dial 1969, with buckets as wide as the shortest step).

use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

use super::{Search, plain::for_neighbours};
use crate::planning::Passable;

/// Length of the shortest way from one place to every square.
#[derive(Clone, Debug, PartialEq)]
pub struct DistanceField {
    frame: RegionFrame,
    meters: Vec<f32>,
}

impl DistanceField {
    /// Where the squares lie.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// Distance to a square, metres; `None` when it cannot be reached within the limit.
    #[must_use]
    pub fn to(&self, square: u32) -> Option<Meters> {
        self.meters.get(square as usize).filter(|d| d.is_finite()).map(|&d| Meters(f64::from(d)))
    }

    /// Distance to the square that holds a point.
    #[must_use]
    pub fn to_point(&self, point: Point) -> Option<Meters> {
        self.frame.square_of(point).and_then(|square| self.to(square))
    }

    /// Distances in metres in the order of the squares; infinite where it cannot be reached.
    #[must_use]
    pub fn meters(&self) -> &[f32] {
        &self.meters
    }
}

/// Distances from `from` over passable squares, as far as `limit` (which may be infinite). Nothing is reached from a
/// square that is not passable.
#[must_use]
pub fn distances(search: &mut Search, grid: &impl Passable, from: u32, limit: Meters) -> DistanceField {
    let frame = *grid.frame();
    let mut meters = vec![f32::INFINITY; frame.squares() as usize];
    let limit_squares = (limit.0 / frame.resolution) as f32;
    if grid.passable(from) {
        let seeds = [Seed { square: from, owner: 0, offset: 0.0 }];
        search.flood.run(grid, &seeds, limit_squares, &mut meters, |_, _| {});
    }
    for distance in &mut meters {
        *distance *= frame.resolution as f32;
    }
    DistanceField { frame, meters }
}

/// Where a flood starts, and with what lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    pub(crate) square: u32,
    /// Handed on to every square that this seed reaches first.
    pub(crate) owner: u32,
    /// Distance it starts with, in squares; not negative.
    pub(crate) offset: f32,
}

/// Buckets of squares by the whole part of their distance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flood {
    buckets: Vec<Vec<(u32, u32, f32)>>,
}

impl Flood {
    /// Fills `squares` (infinite before) with distances in squares; `settle` hears of every square once, in order of
    /// whole distance, with its owner.
    pub(crate) fn run(
        &mut self,
        grid: &impl Passable,
        seeds: &[Seed],
        limit: f32,
        squares: &mut [f32],
        mut settle: impl FnMut(u32, u32),
    ) {
        self.buckets.iter_mut().for_each(Vec::clear);
        for seed in seeds.iter().filter(|seed| grid.passable(seed.square)) {
            self.offer(seed.square, seed.owner, seed.offset, limit, squares);
        }
        let mut level = 0;
        while level < self.buckets.len() {
            let mut bucket = std::mem::take(&mut self.buckets[level]);
            for &(square, owner, distance) in &bucket {
                if squares[square as usize] < distance {
                    continue;
                }
                settle(square, owner);
                for_neighbours(grid, square, |next, length| {
                    self.offer(next, owner, distance + length as f32, limit, squares);
                });
            }
            bucket.clear();
            self.buckets[level] = bucket;
            level += 1;
        }
    }

    #[inline]
    fn offer(&mut self, square: u32, owner: u32, distance: f32, limit: f32, squares: &mut [f32]) {
        let known = &mut squares[square as usize];
        if distance < *known && distance <= limit {
            *known = distance;
            // Not negative and below the number of squares, so the conversion only drops the fraction.
            let level = distance as usize;
            if self.buckets.len() <= level {
                self.buckets.resize_with(level + 1, Vec::new);
            }
            self.buckets[level].push((square, owner, distance));
        }
    }
}
