//! Distances from places to everywhere, by Dijkstra's search over buckets.
//!
//! A step is at least one cell long, so all cells whose distance has the same whole part are final together and
//! need no order among themselves (Dial 1969, with buckets as wide as the shortest step).
//!
//! Indexing: the eight neighbours of an open place of a [`PaddedGrid`] exist.

use skein_types::geometry::Point;
use skein_types::region::RegionFrame;
use skein_types::units::Meters;

use super::Search;
use crate::padded_grid::PaddedGrid;
use crate::planning::Traversable;

/// Length of the shortest way from one place to every cell.
#[derive(Clone, Debug, PartialEq)]
pub struct DistanceField {
    frame: RegionFrame,
    meters: Vec<f32>,
}

impl DistanceField {
    /// Where the cells lie.
    #[must_use]
    pub const fn frame(&self) -> &RegionFrame {
        &self.frame
    }

    /// Distance to a cell, metres; `None` when it cannot be reached within the limit.
    #[must_use]
    pub fn to(&self, cell: u32) -> Option<Meters> {
        self.meters.get(cell as usize).filter(|d| d.is_finite()).map(|&d| Meters(f64::from(d)))
    }

    /// Distance to the cell that holds a point.
    #[must_use]
    pub fn to_point(&self, point: Point) -> Option<Meters> {
        self.frame.cell_of(point).and_then(|cell| self.to(cell))
    }

    /// Distances in metres in the order of the cells; infinite where it cannot be reached.
    #[must_use]
    pub fn meters(&self) -> &[f32] {
        &self.meters
    }
}

/// Distances from `from` over traversable cells, as far as `limit` (which may be infinite). Nothing is reached from a
/// cell that is not traversable.
#[must_use]
pub fn distances(search: &mut Search, grid: &impl Traversable, from: u32, limit: Meters) -> DistanceField {
    let frame = *grid.frame();
    let padded = PaddedGrid::new(frame.width, frame.height, |cell| grid.traversable(cell));
    let limit_cells = (limit.0 / frame.resolution) as f32;
    let mut meters = vec![f32::INFINITY; frame.cells() as usize];
    if let Some(place) = padded.place(from) {
        let seeds = [Seed { place, owner: 0, offset: 0.0 }];
        search.flood.run(&padded, &seeds, limit_cells, |place, _, distance| {
            meters[padded.cell(place) as usize] = (f64::from(distance) * frame.resolution) as f32;
        });
    }
    DistanceField { frame, meters }
}

/// Where a flood starts, and with what lead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    pub(crate) place: u32,
    /// Handed on to every place that this seed reaches first.
    pub(crate) owner: u32,
    /// Distance it starts with, in cells; not negative.
    pub(crate) offset: f32,
}

/// Buckets of places by the whole part of their distance, and the distances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flood {
    buckets: Vec<Vec<Entry>>,
    /// Cells; infinite where the flood has not come.
    distance: Vec<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: u32,
    owner: u32,
    distance: f32,
}

impl Flood {
    /// Distance of a place in the last run, in cells.
    pub(crate) fn distance(&self, place: u32) -> f32 {
        self.distance.get(place as usize).copied().unwrap_or(f32::INFINITY)
    }

    /// Floods from all seeds at once; `settle` hears of every place reached within the limit once, with its owner and
    /// distance, in order of whole distance.
    pub(crate) fn run(&mut self, padded: &PaddedGrid, seeds: &[Seed], limit: f32, settle: impl FnMut(u32, u32, f32)) {
        self.distance.clear();
        self.distance.resize(padded.places(), f32::INFINITY);
        self.run_on(padded, seeds, limit, settle);
    }

    /// As [`Self::run`], but places that earlier runs on the same grid reached at no greater distance stay as they are.
    pub(crate) fn run_on(
        &mut self,
        padded: &PaddedGrid,
        seeds: &[Seed],
        limit: f32,
        mut settle: impl FnMut(u32, u32, f32),
    ) {
        for seed in seeds.iter().filter(|seed| padded.is_open(seed.place)) {
            self.offer(Entry { place: seed.place, owner: seed.owner, distance: seed.offset }, limit);
        }
        let mut level = 0;
        while level < self.buckets.len() {
            let mut bucket = std::mem::take(&mut self.buckets[level]);
            for &entry in &bucket {
                if self.distance[entry.place as usize] >= entry.distance {
                    settle(entry.place, entry.owner, entry.distance);
                    self.spread(padded, entry, limit);
                }
            }
            bucket.clear();
            self.buckets[level] = bucket;
            level += 1;
        }
    }

    #[inline]
    fn spread(&mut self, padded: &PaddedGrid, from: Entry, limit: f32) {
        let (stride, open, at) = (padded.stride(), &padded.open, from.place as usize);
        let (east, west, north, south) = (open[at + 1], open[at - 1], open[at + stride], open[at - stride]);
        let mut step = |ok: bool, to: usize, length: f32| {
            if ok {
                self.offer(Entry { place: to as u32, owner: from.owner, distance: from.distance + length }, limit);
            }
        };
        step(east, at + 1, 1.0);
        step(west, at - 1, 1.0);
        step(north, at + stride, 1.0);
        step(south, at - stride, 1.0);
        let diagonal = std::f32::consts::SQRT_2;
        step(north && east && open[at + stride + 1], at + stride + 1, diagonal);
        step(north && west && open[at + stride - 1], at + stride - 1, diagonal);
        step(south && east && open[at - stride + 1], at - stride + 1, diagonal);
        step(south && west && open[at - stride - 1], at - stride - 1, diagonal);
    }

    #[inline]
    fn offer(&mut self, entry: Entry, limit: f32) {
        let known = &mut self.distance[entry.place as usize];
        if entry.distance < *known && entry.distance <= limit {
            *known = entry.distance;
            // Not negative and below the number of places, so the conversion only drops the fraction.
            let level = entry.distance as usize;
            if self.buckets.len() <= level {
                self.buckets.resize_with(level + 1, Vec::new);
            }
            self.buckets[level].push(entry);
        }
    }
}
