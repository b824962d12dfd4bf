//! Who gets which part of an area: Voronoi cells over the ways robots drive, balanced by what each robot can do.

mod assign;
mod exchange;
mod voronoi;

use skein_types::geometry::Point;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::Meters;

use crate::path::{Coarse, Flood, Seed, Terrain};
use crate::planning::{PlanningMap, nearest_passable, region_where};
use voronoi::Voronoi;

/// One who takes part: where it is and how much it can do compared with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Where the robot is, metres in the map's frame.
    pub at: Point,
    /// Its share of the area in proportion to the sum of all. Not finite or not above zero counts as next to nothing.
    pub weight: f64,
}

/// The owner of what nobody owns.
const NOBODY: u32 = u32::MAX;
/// Weights this much apart count as equal when cells are matched to robots.
const SAME_WEIGHT: f64 = 0.02;

/// Splits a region among the sites, in their order: every square is given exactly once, in proportion to the weights.
///
/// Cells are Voronoi cells with additive weights over geodesic distance. Their seeds start far apart, move to the
/// middle of their cells and trade weight until the areas fit; what still differs is handed over the borders. Then
/// cells go to the robots that reach them with the least driving in all.
#[must_use]
pub fn split(map: &PlanningMap, region: &Region, sites: &[Site]) -> Vec<Region> {
    if sites.len() <= 1 || region.is_empty() {
        return sites.iter().map(|_| region.clone()).collect();
    }
    let ground = Ground::new(map, region);
    let wanted = shares(sites, ground.mass as f64);
    let mut voronoi = Voronoi::new(&ground, &wanted);
    voronoi.spread();
    let mut owner = voronoi.balance();
    exchange::mend(&ground, sites.len(), &mut owner);
    exchange::even_out(&ground, &wanted, &mut owner);
    let of_square = ground.adopt(&owner, voronoi.seeds());
    let cell_of_site = match_to_sites(map, &ground, voronoi.seeds(), &wanted, sites);
    cell_of_site
        .into_iter()
        .map(|cell| region_where(*map.frame(), |square| of_square[square as usize] == cell as u32))
        .collect()
}

fn shares(sites: &[Site], mass: f64) -> Vec<f64> {
    let usable = |weight: f64| if weight.is_finite() && weight > 0.0 { weight } else { 1e-6 };
    let total: f64 = sites.iter().map(|site| usable(site.weight)).sum();
    sites.iter().map(|site| (usable(site.weight) / total * mass).max(1e-3)).collect()
}

/// Open ground, and which of it is to be split.
struct Ground {
    frame: RegionFrame,
    terrain: Terrain,
    /// By place.
    inside: Vec<bool>,
    /// Places inside.
    places: Vec<u32>,
    /// Squares of the region that are not open.
    closed: Vec<u32>,
    mass: usize,
}

impl Ground {
    fn new(map: &PlanningMap, region: &Region) -> Self {
        let frame = *map.frame();
        let terrain = Terrain::new(frame.width, frame.height, |square| !map.blocked(square));
        let mut inside = vec![false; terrain.places()];
        let (mut places, mut closed) = (Vec::new(), Vec::new());
        for square in region.squares() {
            match terrain.place(square) {
                Some(place) => {
                    inside[place as usize] = true;
                    places.push(place);
                }
                None => closed.push(square),
            }
        }
        let mass = places.len();
        Self { frame, terrain, inside, places, closed, mass }
    }

    fn at(&self, place: u32) -> Point {
        self.frame.center_of(self.terrain.square(place))
    }

    /// The owner of every square of the region; what no cell reached goes to the cell with the nearest seed.
    fn adopt(&self, owner: &[u32], seeds: &[u32]) -> Vec<u32> {
        let mut of_square = vec![NOBODY; self.frame.squares() as usize];
        let nearest = |square: u32| {
            let at = self.frame.center_of(square);
            let distance = |seed: u32| self.at(seed).distance(at);
            (0_u32..).zip(seeds).min_by(|a, b| distance(*a.1).total_cmp(&distance(*b.1))).map_or(0, |(cell, _)| cell)
        };
        for &place in &self.places {
            let (square, cell) = (self.terrain.square(place), owner[place as usize]);
            of_square[square as usize] = if cell == NOBODY { nearest(square) } else { cell };
        }
        for &square in &self.closed {
            if let Some(cell) = of_square.get_mut(square as usize) {
                *cell = nearest(square);
            }
        }
        of_square
    }
}

/// The cell of each site, so that all together drive least to get there and get about what their weight asks for.
fn match_to_sites(map: &PlanningMap, ground: &Ground, seeds: &[u32], wanted: &[f64], sites: &[Site]) -> Vec<usize> {
    let coarse = Coarse::new(map);
    let goals: Vec<u32> = seeds.iter().map(|&seed| coarse.place(map, ground.terrain.square(seed))).collect();
    let mut flood = Flood::default();
    let mut costs = Vec::with_capacity(sites.len());
    for (site, own) in sites.iter().zip(wanted) {
        let from = nearest_passable(map, site.at, Meters(2.0)).map_or(0, |square| coarse.place(map, square));
        let seed = [Seed { place: from, owner: 0, offset: 0.0 }];
        flood.run(&coarse.terrain, &seed, f32::INFINITY, |_, _, _| {});
        let row = goals.iter().zip(wanted).map(|(&goal, share)| {
            let reach = f64::from(flood.distance(goal));
            let misfit = (share / own).max(own / share) - 1.0;
            let penalty = if misfit > SAME_WEIGHT { 1e9 * (1.0 + misfit).ln() } else { 0.0 };
            (if reach.is_finite() { reach } else { 1e7 }) + penalty
        });
        costs.push(row.collect());
    }
    assign::cheapest(&costs)
}
