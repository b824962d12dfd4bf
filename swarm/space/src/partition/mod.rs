//! Who gets which part of an area: Voronoi cells over the ways robots drive, balanced by what each robot can do.

mod assign;
mod exchange;
mod voronoi;

use skein_types::geometry::Point;
use skein_types::region::{Region, RegionFrame};
use skein_types::units::Meters;

use crate::padded_grid::PaddedGrid;
use crate::path::{Coarse, Flood, Seed};
use crate::planning::{PlanningMap, nearest_traversable, region_where};
use voronoi::Voronoi;

/// One who takes part: where it is and how much it can do compared with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// Where the robot is, metres in the map's frame.
    pub at: Point,
    /// Its share of the area in proportion to the sum of all. Not finite or not above zero counts as next to nothing.
    pub weight: f64,
}

/// Most rounds of moving seeds and weights, and of trading weights only.
const ROUNDS: usize = 24;
const TRIMS: usize = 4;
/// An area with more cells finds its slices on a coarser grid of about so many.
const CELLS_WANTED: usize = 30_000;
/// The owner of what nobody owns.
const NOBODY: u32 = u32::MAX;
/// Weights this much apart count as equal when slices are matched to robots.
const SAME_WEIGHT: f64 = 0.02;

/// Splits a region among the sites, in their order: every cell is given exactly once, in proportion to the weights.
///
/// Slices are Voronoi cells with additive weights over geodesic distance. Their seeds start far apart, move to the
/// middle of their slices and trade weight until the areas fit; what still differs is handed over the borders. Then
/// slices go to the robots that reach them with the least driving in all.
#[must_use]
pub fn split(map: &PlanningMap, region: &Region, sites: &[Site]) -> Vec<Region> {
    if sites.len() <= 1 || region.is_empty() {
        return sites.iter().map(|_| region.clone()).collect();
    }
    let ground = Ground::new(map, region);
    let wanted = shares(sites, ground.mass);
    let mut voronoi = Voronoi::new(&ground, &wanted);
    let mut owner = match ground.coarser() {
        Some((coarse, factor)) => {
            // The slices find their places on few cells and are only trimmed on all of them.
            let wanted: Vec<f64> = wanted.iter().map(|w| w * coarse.mass / ground.mass).collect();
            let mut rough = Voronoi::new(&coarse, &wanted);
            rough.spread();
            rough.balance(ROUNDS, true);
            let seeds = rough.seeds().iter().map(|&seed| ground.place_near(coarse.at(seed))).collect();
            let offsets = rough.offsets().iter().map(|offset| offset * f64::from(factor)).collect();
            voronoi.take_up(seeds, offsets);
            voronoi.balance(TRIMS, false)
        }
        None => {
            voronoi.spread();
            voronoi.balance(ROUNDS, true)
        }
    };
    exchange::mend(&ground, sites.len(), &mut owner);
    exchange::even_out(&ground, &wanted, &mut owner);
    let of_cell = ground.adopt(&owner, voronoi.seeds());
    let cell_of_site = match_to_sites(map, &ground, voronoi.seeds(), &wanted, sites);
    cell_of_site
        .into_iter()
        .map(|slice| region_where(*map.frame(), |cell| of_cell[cell as usize] == slice as u32))
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
    padded: PaddedGrid,
    /// By place: how many cells of the region it stands for.
    weight: Vec<u8>,
    /// Places with a weight.
    places: Vec<u32>,
    /// Cells of the region that are not open.
    closed: Vec<u32>,
    /// Sum of the weights.
    mass: f64,
}

impl Ground {
    fn new(map: &PlanningMap, region: &Region) -> Self {
        let frame = *map.frame();
        let padded = PaddedGrid::new(frame.width, frame.height, |cell| !map.blocked(cell));
        let mut weight = vec![0; padded.places()];
        let (mut places, mut closed) = (Vec::new(), Vec::new());
        for cell in region.cells() {
            match padded.place(cell) {
                Some(place) => {
                    weight[place as usize] = 1;
                    places.push(place);
                }
                None => closed.push(cell),
            }
        }
        let mass = places.len() as f64;
        Self { frame, padded, weight, places, closed, mass }
    }

    /// The same ground on cells so many times as large, for an area of many cells. A large cell is open when more
    /// than half of it is, which keeps thin walls closed.
    fn coarser(&self) -> Option<(Self, u32)> {
        let factor = (self.mass / CELLS_WANTED as f64).sqrt().ceil().clamp(1.0, 8.0) as u32;
        if factor == 1 {
            return None;
        }
        let frame = RegionFrame {
            resolution: self.frame.resolution * f64::from(factor),
            width: self.frame.width.div_ceil(factor),
            height: self.frame.height.div_ceil(factor),
            ..self.frame
        };
        let large = |cell: u32| {
            let (column, row) = (cell % self.frame.width / factor, cell / self.frame.width / factor);
            (row * frame.width + column) as usize
        };
        let (mut open, mut inside) = (vec![0_u8; frame.cells() as usize], vec![0_u8; frame.cells() as usize]);
        for cell in 0..self.frame.cells() as u32 {
            if let Some(place) = self.padded.place(cell) {
                open[large(cell)] += 1;
                inside[large(cell)] += self.weight[place as usize];
            }
        }
        let padded =
            PaddedGrid::new(frame.width, frame.height, |cell| 2 * u32::from(open[cell as usize]) > factor * factor);
        let mut weight = vec![0; padded.places()];
        let mut places = Vec::new();
        for (cell, &count) in (0_u32..).zip(&inside) {
            if let Some(place) = padded.place(cell).filter(|_| count > 0) {
                weight[place as usize] = count;
                places.push(place);
            }
        }
        let mass: f64 = places.iter().map(|&place| f64::from(weight[place as usize])).sum();
        let coarse = Self { frame, padded, weight, places, closed: Vec::new(), mass };
        (mass > 0.5 * self.mass).then_some((coarse, factor))
    }

    fn at(&self, place: u32) -> Point {
        self.frame.center_of(self.padded.cell(place))
    }

    /// The open place nearest to a point, of those in a box around it that holds some.
    fn place_near(&self, point: Point) -> u32 {
        let cell = self.frame.cell_of(point).unwrap_or(0);
        let (column, row) = (i64::from(cell % self.frame.width), i64::from(cell / self.frame.width));
        let found = (0..32_i64).find_map(|reach| {
            let rows = (row - reach).max(0)..=(row + reach).min(i64::from(self.frame.height) - 1);
            let columns = (column - reach).max(0)..=(column + reach).min(i64::from(self.frame.width) - 1);
            let cells = rows.flat_map(|y| columns.clone().map(move |x| (y * i64::from(self.frame.width) + x) as u32));
            let places = cells.filter_map(|cell| self.padded.place(cell));
            places.min_by(|&a, &b| self.at(a).distance(point).total_cmp(&self.at(b).distance(point)))
        });
        found.or(self.places.first().copied()).unwrap_or(0)
    }

    /// The owner of every cell of the region; what no slice reached goes to the slice with the nearest seed.
    fn adopt(&self, owner: &[u32], seeds: &[u32]) -> Vec<u32> {
        let mut of_cell = vec![NOBODY; self.frame.cells() as usize];
        let nearest = |cell: u32| {
            let at = self.frame.center_of(cell);
            let distance = |seed: u32| self.at(seed).distance(at);
            (0_u32..).zip(seeds).min_by(|a, b| distance(*a.1).total_cmp(&distance(*b.1))).map_or(0, |(slice, _)| slice)
        };
        for &place in &self.places {
            let (cell, slice) = (self.padded.cell(place), owner[place as usize]);
            of_cell[cell as usize] = if slice == NOBODY { nearest(cell) } else { slice };
        }
        for &cell in &self.closed {
            if let Some(slice) = of_cell.get_mut(cell as usize) {
                *slice = nearest(cell);
            }
        }
        of_cell
    }
}

/// The slice of each site, so that all together drive least to get there and get about what their weight asks for.
fn match_to_sites(map: &PlanningMap, ground: &Ground, seeds: &[u32], wanted: &[f64], sites: &[Site]) -> Vec<usize> {
    let coarse = Coarse::new(map);
    let goals: Vec<u32> = seeds.iter().map(|&seed| coarse.place(map, ground.padded.cell(seed))).collect();
    let mut flood = Flood::default();
    let mut costs = Vec::with_capacity(sites.len());
    for (site, own) in sites.iter().zip(wanted) {
        let from = nearest_traversable(map, site.at, Meters(2.0)).map_or(0, |cell| coarse.place(map, cell));
        let seed = [Seed { place: from, owner: 0, offset: 0.0 }];
        flood.run(&coarse.padded, &seed, f32::INFINITY, |_, _, _| {});
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
