//! Voronoi cells with additive weights over geodesic distance, whose seeds and weights settle until areas fit.
//!
//! A slice with its weight is star-shaped over shortest ways: with a place it holds the whole way from its seed. So
//! slices are connected.
//!
//! Indexing: vectors over places have one entry for each place of the padded grid, the others one for each slice.

use skein_types::geometry::Point;

use super::{Ground, NOBODY};
use crate::path::{Flood, Seed};

/// Largest error of an area that needs no more rounds.
const GOOD_ENOUGH: f64 = 0.02;

pub(super) struct Voronoi<'a> {
    ground: &'a Ground,
    wanted: &'a [f64],
    seeds: Vec<u32>,
    offsets: Vec<f64>,
    flood: Flood,
    owner: Vec<u32>,
}

impl<'a> Voronoi<'a> {
    pub(super) fn new(ground: &'a Ground, wanted: &'a [f64]) -> Self {
        let offsets = vec![0.0; wanted.len()];
        Self { ground, wanted, seeds: Vec::new(), offsets, flood: Flood::default(), owner: Vec::new() }
    }

    pub(super) fn seeds(&self) -> &[u32] {
        &self.seeds
    }

    /// Seeds far from each other: each as far as possible from those before (Gonzalez 1985).
    pub(super) fn spread(&mut self) {
        let mut next = self.ground.places.first().copied().unwrap_or(0);
        self.flood.run(&self.ground.padded, &[], f32::INFINITY, |_, _, _| {});
        while self.seeds.len() < self.wanted.len() {
            self.seeds.push(next);
            let seed = [Seed { place: next, owner: 0, offset: 0.0 }];
            self.flood.run_on(&self.ground.padded, &seed, f32::INFINITY, |_, _, _| {});
            let farther = |a: u32, b: u32| self.flood.distance(a).total_cmp(&self.flood.distance(b));
            next = self.ground.places.iter().copied().max_by(|&a, &b| farther(a, b)).unwrap_or(0);
        }
    }

    pub(super) fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// Goes on from seeds and offsets found elsewhere.
    pub(super) fn take_up(&mut self, seeds: Vec<u32>, offsets: Vec<f64>) {
        (self.seeds, self.offsets) = (seeds, offsets);
    }

    /// The best assignment of places to slices found in some rounds; seeds move only if they may.
    pub(super) fn balance(&mut self, rounds: usize, seeds_move: bool) -> Vec<u32> {
        let mut best = (f64::INFINITY, Vec::new(), self.seeds.clone(), self.offsets.clone());
        for round in 0..rounds {
            self.assign();
            let areas = self.areas();
            let error = areas.iter().zip(self.wanted).map(|(a, w)| (a / w - 1.0).abs()).fold(0.0, f64::max);
            if error < best.0 {
                best = (error, self.owner.clone(), self.seeds.clone(), self.offsets.clone());
            }
            if error < GOOD_ENOUGH {
                break;
            }
            self.trade(&areas, round);
            // Seeds rest in the last third, so that the weights find their balance.
            if seeds_move && round * 3 < rounds * 2 {
                self.center();
            }
        }
        (self.seeds, self.offsets) = (best.2, best.3);
        best.1
    }

    fn assign(&mut self) {
        self.owner.clear();
        self.owner.resize(self.ground.padded.places(), NOBODY);
        let numbered = (0_u32..).zip(self.seeds.iter().zip(&self.offsets));
        let seeds: Vec<Seed> =
            numbered.map(|(owner, (&place, &offset))| Seed { place, owner, offset: offset as f32 }).collect();
        let owners = &mut self.owner;
        self.flood.run(&self.ground.padded, &seeds, f32::INFINITY, |place, owner, _| owners[place as usize] = owner);
    }

    fn areas(&self) -> Vec<f64> {
        let mut areas = vec![0.0; self.wanted.len()];
        for &place in &self.ground.places {
            if let Some(area) = areas.get_mut(self.owner[place as usize] as usize) {
                *area += f64::from(self.ground.weight[place as usize]);
            }
        }
        areas
    }

    /// Slices that are too large start later, those that are too small earlier; less so from round to round.
    fn trade(&mut self, areas: &[f64], round: usize) {
        let eagerness = 0.3 / (1.0 + round as f64 / 8.0);
        for ((offset, area), wanted) in self.offsets.iter_mut().zip(areas).zip(self.wanted) {
            *offset += eagerness * (area / wanted - 1.0).clamp(-1.0, 1.0) * wanted.sqrt();
        }
        let least = self.offsets.iter().copied().fold(f64::INFINITY, f64::min);
        self.offsets.iter_mut().for_each(|offset| *offset -= least);
    }

    /// Moves each seed to the place of its slice nearest to the slice's centre of area.
    fn center(&mut self) {
        let slices = self.seeds.len();
        let mut sums = vec![(Point::default(), 0.0); slices];
        for &place in &self.ground.places {
            if let Some((sum, count)) = sums.get_mut(self.owner[place as usize] as usize) {
                let weight = f64::from(self.ground.weight[place as usize]);
                *sum = *sum + self.ground.at(place) * weight;
                *count += weight;
            }
        }
        let centers: Vec<Point> = sums.into_iter().map(|(sum, count)| sum * (1.0 / f64::max(count, 1.0))).collect();
        let mut nearest = vec![(f64::INFINITY, NOBODY); slices];
        for &place in &self.ground.places {
            let owner = self.owner[place as usize] as usize;
            let Some(&center) = centers.get(owner) else { continue };
            let distance = (self.ground.at(place) - center).norm_squared();
            if distance < nearest[owner].0 {
                nearest[owner] = (distance, place);
            }
        }
        for (seed, (_, place)) in self.seeds.iter_mut().zip(nearest) {
            if place != NOBODY {
                *seed = place;
            }
        }
    }
}
