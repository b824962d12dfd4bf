//! Lower bounds on distances from distances to a few landmarks (Goldberg and Harrelson 2005): two cells are at least as
//! far apart as their distances to any third differ. Each area of a grid has landmarks of its own, far from each other.
//!
//! Distances are whole numbers of 1/985 of a cell. A diagonal step counts 1393 of these, a hair less than √2, so that
//! a bound never exceeds the distance.

use crate::bit_grid::BitGrid;
use crate::padded_grid::PaddedGrid;

/// Landmarks of each area.
pub(crate) const LANDMARKS: usize = 8;
/// Units of a straight step.
const STRAIGHT: u32 = 985;
/// Units of a diagonal step.
const DIAGONAL: u32 = 1393;
/// Most cells of a grid with landmarks: no way through so many is too long for 32 bits.
pub(crate) const CELLS_MAX: u64 = (u32::MAX / STRAIGHT) as u64;
/// Number of the area of a cell that is not free.
const NO_AREA: u32 = u32::MAX;

/// Distances of a cell to the landmarks of its area, rounded down to whole units, which are the grid's own multiple of
/// 1/985 of a cell.
pub(crate) type Far = [u16; LANDMARKS];

/// Least distance between two cells of one area. Rounding took less than a unit from a difference.
#[inline]
pub(crate) fn apart(a: &Far, b: &Far, unit: u32) -> f64 {
    let most = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).fold(0, u16::max);
    f64::from(u32::from(most.saturating_sub(1)) * unit) * (1.0 / STRAIGHT as f64)
}

/// Tells cell, which landmark of its area, and the distance to it, for every free cell and landmark. Returns the
/// area of every cell, one number for all that can reach each other, and the unit.
pub(crate) fn survey(bits: &BitGrid, mut tell: impl FnMut(usize, usize, u16)) -> (Vec<u32>, u32) {
    let (width, height) = (bits.width(), bits.height());
    let padded = PaddedGrid::new(width, height, |cell| bits.free(cell));
    let areas = Areas::of(&padded);
    let places = || {
        let rows = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
        rows.map(|(row, column)| padded.at(column, row)).enumerate()
    };
    let mut flood = Flood::default();
    flood.run(&padded, &areas.seeds);
    // Two cells are no farther apart than both are from a third.
    let farthest = flood.distance.iter().max().map_or(0, |&distance| distance);
    let unit = farthest / u32::from(u16::MAX / 2) + 1;
    let mut nearest = vec![u32::MAX; padded.places()];
    for which in 0..LANDMARKS {
        // The next landmark is the cell farthest from all so far.
        let mut landmarks: Vec<(u32, u32)> = areas.seeds.iter().map(|&seed| (0, seed)).collect();
        for (cell, place) in places().filter(|&(_, place)| padded.is_open(place)) {
            let distance = flood.distance[place as usize];
            tell(cell, which, (distance / unit) as u16);
            let nearest = &mut nearest[place as usize];
            *nearest = distance.min(*nearest);
            let landmark = &mut landmarks[areas.numbers[place as usize] as usize];
            if *nearest > landmark.0 {
                *landmark = (*nearest, place);
            }
        }
        if which + 1 < LANDMARKS {
            let landmarks: Vec<u32> = landmarks.into_iter().map(|(_, place)| place).collect();
            flood.run(&padded, &landmarks);
        }
    }
    let numbers = places().map(|(_, place)| areas.numbers[place as usize]).collect();
    (numbers, unit)
}

/// The area of every place of a padded grid.
struct Areas {
    numbers: Vec<u32>,
    /// A place of each area.
    seeds: Vec<u32>,
}

impl Areas {
    fn of(padded: &PaddedGrid) -> Self {
        let mut areas = Self { numbers: vec![NO_AREA; padded.places()], seeds: Vec::new() };
        let mut stack = Vec::new();
        for seed in (0..padded.places() as u32).filter(|&place| padded.is_open(place)) {
            if areas.numbers[seed as usize] != NO_AREA {
                continue;
            }
            let number = areas.seeds.len() as u32;
            areas.seeds.push(seed);
            areas.numbers[seed as usize] = number;
            stack.push(seed);
            while let Some(place) = stack.pop() {
                for beside in padded.beside(place) {
                    if padded.is_open(beside) && areas.numbers[beside as usize] == NO_AREA {
                        areas.numbers[beside as usize] = number;
                        stack.push(beside);
                    }
                }
            }
        }
        areas
    }
}

/// Distances from the nearest of some places, by Dijkstra's search over a ring of buckets as wide as the shortest step.
#[derive(Default)]
struct Flood {
    distance: Vec<u32>,
    ring: [Vec<u32>; 4],
    held: usize,
}

impl Flood {
    fn run(&mut self, padded: &PaddedGrid, seeds: &[u32]) {
        self.distance.clear();
        // Closed places are as near as can be, so nothing is ever offered to them.
        let places = 0..padded.places() as u32;
        self.distance.extend(places.map(|place| if padded.is_open(place) { u32::MAX } else { 0 }));
        seeds.iter().for_each(|&seed| self.offer(seed, 0));
        let mut level = 0;
        while self.held > 0 {
            let mut bucket = std::mem::take(&mut self.ring[level as usize % 4]);
            self.held -= bucket.len();
            for place in bucket.drain(..) {
                let distance = self.distance[place as usize];
                if distance / STRAIGHT == level {
                    self.spread(padded, place, distance);
                }
            }
            self.ring[level as usize % 4] = bucket;
            level += 1;
        }
    }

    #[inline]
    fn spread(&mut self, padded: &PaddedGrid, place: u32, distance: u32) {
        let sides = padded.beside(place);
        let [east, west, north, south] = sides.map(|side| padded.is_open(side));
        for side in sides {
            self.offer(side, distance + STRAIGHT);
        }
        let (up, down) = (sides[2], sides[3]);
        let corners =
            [(up + 1, north & east), (up - 1, north & west), (down + 1, south & east), (down - 1, south & west)];
        for (corner, open) in corners {
            self.offer(corner, if open { distance + DIAGONAL } else { u32::MAX });
        }
    }

    #[inline]
    fn offer(&mut self, place: u32, distance: u32) {
        let known = &mut self.distance[place as usize];
        if distance < *known {
            *known = distance;
            self.ring[(distance / STRAIGHT) as usize % 4].push(place);
            self.held += 1;
        }
    }
}
