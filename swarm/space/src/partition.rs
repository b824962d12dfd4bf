//! Who gets which part of an area: Voronoi cells over the ways robots drive, balanced by what each robot can do.

use skein_types::geometry::Point;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::Meters;

use crate::path::{Flood, Seed};
use crate::planning::{Passable, PlanningMap, nearest_passable, region_where};

/// One who takes part: where it is and how much it can do compared with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Where the robot is, metres in the map's frame.
    pub at: Point,
    /// Its share of the area in proportion to the sum of all. Not finite or not above zero counts as next to nothing.
    pub weight: f64,
}

/// Rounds of moving seeds and weights.
const ROUNDS: usize = 24;
const NOBODY: u32 = u32::MAX;

/// Splits a region among the sites, in their order: every square is given exactly once, in proportion to the weights.
///
/// Cells are Voronoi cells with additive weights over geodesic distance. Their seeds start far apart, move to the
/// middle of their cells, and trade weight until the areas fit; then cells go to the robots that reach them with the
/// least driving in all.
#[must_use]
pub fn split(map: &PlanningMap, region: &Region, sites: &[Site]) -> Vec<Region> {
    if sites.len() <= 1 || region.is_empty() {
        return sites.iter().map(|_| region.clone()).collect();
    }
    let mut cells = Cells::new(map, region, sites);
    cells.spread();
    cells.balance();
    cells.adopt_leftovers();
    let cell_of_site = cells.match_to_sites(sites);
    cell_of_site
        .into_iter()
        .map(|cell| region_where(*map.frame(), |square| cells.best_owner[square as usize] == cell))
        .collect()
}

/// Open ground as a grid to flood.
struct Ground<'a> {
    map: &'a PlanningMap,
}

impl Passable for Ground<'_> {
    fn frame(&self) -> &RegionFrame {
        self.map.frame()
    }

    fn passable(&self, square: u32) -> bool {
        !self.map.blocked(square)
    }
}

struct Cells<'a> {
    ground: Ground<'a>,
    squares: Vec<u32>,
    wanted: Vec<f64>,
    seeds: Vec<u32>,
    offsets: Vec<f64>,
    flood: Flood,
    distance: Vec<f32>,
    owner: Vec<u32>,
    best_owner: Vec<u32>,
    best_error: f64,
}

impl<'a> Cells<'a> {
    fn new(map: &'a PlanningMap, region: &Region, sites: &[Site]) -> Self {
        let count = map.frame().squares() as usize;
        let squares: Vec<u32> = region.squares().collect();
        let usable = |weight: f64| if weight.is_finite() && weight > 0.0 { weight } else { 1e-6 };
        let total: f64 = sites.iter().map(|site| usable(site.weight)).sum();
        let wanted = sites.iter().map(|s| usable(s.weight) / total * squares.len() as f64).collect();
        Self {
            ground: Ground { map },
            squares,
            wanted,
            seeds: Vec::new(),
            offsets: vec![0.0; sites.len()],
            flood: Flood::default(),
            distance: vec![f32::INFINITY; count],
            owner: vec![NOBODY; count],
            best_owner: vec![NOBODY; count],
            best_error: f64::INFINITY,
        }
    }

    /// Seeds far from each other: each as far as possible from those before.
    fn spread(&mut self) {
        let first = self.squares.iter().copied().find(|&sq| self.ground.passable(sq));
        self.seeds = vec![first.unwrap_or(self.squares[0])];
        while self.seeds.len() < self.wanted.len() {
            self.distance.fill(f32::INFINITY);
            let seeds: Vec<Seed> = self.seeds.iter().map(|&square| Seed { square, owner: 0, offset: 0.0 }).collect();
            self.flood.run(&self.ground, &seeds, f32::INFINITY, &mut self.distance, |_, _| {});
            let farthest = self
                .squares
                .iter()
                .copied()
                .filter(|&sq| self.ground.passable(sq))
                .max_by(|&a, &b| self.distance[a as usize].total_cmp(&self.distance[b as usize]).then(b.cmp(&a)));
            self.seeds.push(farthest.unwrap_or(self.squares[0]));
        }
    }

    fn balance(&mut self) {
        for _ in 0..ROUNDS {
            self.assign();
            let areas = self.areas();
            let error = areas.iter().zip(&self.wanted).map(|(a, w)| (a / w - 1.0).abs()).fold(0.0, f64::max);
            if error < self.best_error {
                self.best_error = error;
                self.best_owner.copy_from_slice(&self.owner);
            }
            if error < 0.02 {
                break;
            }
            self.trade(&areas);
            self.center();
        }
    }

    fn assign(&mut self) {
        self.distance.fill(f32::INFINITY);
        self.owner.fill(NOBODY);
        let seeds: Vec<Seed> = self
            .seeds
            .iter()
            .zip(&self.offsets)
            .zip(0_u32..)
            .map(|((&square, &offset), owner)| Seed { square, owner, offset: offset as f32 })
            .collect();
        let owners = &mut self.owner;
        self.flood.run(&self.ground, &seeds, f32::INFINITY, &mut self.distance, |square, owner| {
            owners[square as usize] = owner;
        });
    }

    fn areas(&self) -> Vec<f64> {
        let mut areas = vec![0.0; self.wanted.len()];
        for &square in &self.squares {
            if let Some(area) = areas.get_mut(self.owner[square as usize] as usize) {
                *area += 1.0;
            }
        }
        areas
    }

    /// Cells that are too large start later, those that are too small earlier.
    fn trade(&mut self, areas: &[f64]) {
        for ((offset, area), wanted) in self.offsets.iter_mut().zip(areas).zip(&self.wanted) {
            *offset += 0.25 * (area / wanted - 1.0).clamp(-1.0, 1.0) * wanted.sqrt();
        }
        let least = self.offsets.iter().copied().fold(f64::INFINITY, f64::min);
        self.offsets.iter_mut().for_each(|offset| *offset -= least);
    }

    /// Moves each seed to the square of its cell nearest to the cell's centre of area.
    fn center(&mut self) {
        let frame = *self.ground.frame();
        let mut sums = vec![(Point::default(), 0.0); self.seeds.len()];
        for &square in &self.squares {
            if let Some((sum, count)) = sums.get_mut(self.owner[square as usize] as usize) {
                *sum = *sum + frame.center_of(square);
                *count += 1.0;
            }
        }
        let mut nearest = vec![(f64::INFINITY, NOBODY); self.seeds.len()];
        for &square in &self.squares {
            let owner = self.owner[square as usize] as usize;
            let Some(&(sum, count)) = sums.get(owner) else { continue };
            let distance = (frame.center_of(square) - sum * (1.0 / count)).norm_squared();
            if distance < nearest[owner].0 {
                nearest[owner] = (distance, square);
            }
        }
        for (seed, (_, square)) in self.seeds.iter_mut().zip(nearest) {
            if square != NOBODY {
                *seed = square;
            }
        }
    }

    /// Squares that no flood reached go to the cell of the nearest square that one did, walls or not.
    fn adopt_leftovers(&mut self) {
        let frame = *self.ground.frame();
        let mut inside = vec![false; self.owner.len()];
        self.squares.iter().for_each(|&square| inside[square as usize] = true);
        for (square, owner) in self.best_owner.iter_mut().enumerate() {
            if !inside[square] {
                *owner = NOBODY;
            }
        }
        let left: Vec<u32> =
            self.squares.iter().copied().filter(|&square| self.best_owner[square as usize] == NOBODY).collect();
        let seeds = self.seeds.clone();
        for square in left {
            let at = frame.center_of(square);
            let nearest = (0_u32..).zip(&seeds).min_by(|(_, a), (_, b)| {
                frame.center_of(**a).distance(at).total_cmp(&frame.center_of(**b).distance(at))
            });
            self.best_owner[square as usize] = nearest.map_or(0, |(owner, _)| owner);
        }
    }

    /// The cell of each site, so that all together drive least to get there.
    fn match_to_sites(&mut self, sites: &[Site]) -> Vec<u32> {
        let mut costs = Vec::with_capacity(sites.len());
        for (i, site) in sites.iter().enumerate() {
            self.distance.fill(f32::INFINITY);
            if let Some(square) = nearest_passable(&self.ground, site.at, Meters(2.0)) {
                let seed = [Seed { square, owner: 0, offset: 0.0 }];
                self.flood.run(&self.ground, &seed, f32::INFINITY, &mut self.distance, |_, _| {});
            }
            let row: Vec<f64> = self
                .seeds
                .iter()
                .enumerate()
                .map(|(cell, &seed)| {
                    let reach = f64::from(self.distance[seed as usize]);
                    let misfit = (self.wanted[cell] / self.wanted[i] - 1.0).abs();
                    (if reach.is_finite() { reach } else { 1e7 }) + if misfit > 0.02 { 1e9 * misfit } else { 0.0 }
                })
                .collect();
            costs.push(row);
        }
        crate::assign::cheapest(&costs).into_iter().map(|cell| cell as u32).collect()
    }
}
