//! How cells and places are shared among robots: pure functions of the map, a region and the workers.

use std::sync::Arc;

use skein_space::partition::{self, Site};
use skein_space::path::{self, DistanceField, Search};
use skein_space::planning::PlanningMap;
use skein_space::sweep::{self, SweepPlan};
use skein_space::zone::{ZoneError, zone_region};
use skein_types::geometry::Point;
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionError, RegionFrame};
use skein_types::units::Meters;

use crate::api::Worker;

/// Share of its top speed that a robot makes on average in a sweep, turns and doors included.
pub(crate) const CRUISE: f64 = 0.6;
/// What a robot sweeps of its sensor's widest strip: turns, overlaps and walls cost the rest.
pub(crate) const SWEEP_YIELD: f64 = 0.5;

/// Most places that stand for a region when it is cut.
const SAMPLES_MAX: usize = 2000;
/// Rounds in which the middles of the cells settle.
const SETTLE_ROUNDS: usize = 8;
/// How far a place may be from the nearest cell a robot can stand on, metres.
const NEAR: Meters = Meters(5.0);

/// The planning map, shared by everything that allocates on it.
#[derive(Clone, Debug)]
pub(crate) struct Allocator {
    map: Arc<PlanningMap>,
}

/// A zone on the map.
#[derive(Clone, Debug)]
pub(crate) struct ZoneCells {
    /// Cells of the zone that some robot can cover.
    pub(crate) reachable: Region,
    /// Free area of the zone, m².
    pub(crate) free: f64,
}

impl Allocator {
    pub(crate) const fn new(map: Arc<PlanningMap>) -> Self {
        Self { map }
    }

    pub(crate) fn frame(&self) -> &RegionFrame {
        self.map.frame()
    }

    pub(crate) fn empty(&self) -> Result<Region, RegionError> {
        Region::empty(*self.map.frame())
    }

    /// West, south, east and north end of the map, metres.
    pub(crate) fn bounds(&self) -> (Point, Point) {
        let frame = self.map.frame();
        let size = Point::new(f64::from(frame.width) * frame.resolution, f64::from(frame.height) * frame.resolution);
        (frame.origin, frame.origin + size)
    }

    /// The cells of a zone that can be covered from where robots stand; from anywhere when there are none.
    pub(crate) fn zone_cells(&self, zone: &Polygon, robots: &[Point]) -> Result<ZoneCells, ZoneError> {
        let inside = zone_region(self.map.frame(), zone)?.intersection(&self.map.free())?;
        let reachable = if robots.is_empty() { self.of_any_start() } else { self.map.reachable_from(robots) };
        Ok(ZoneCells { reachable: inside.intersection(&reachable)?, free: inside.area() })
    }

    /// What robots can cover that may stand anywhere a robot fits.
    fn of_any_start(&self) -> Region {
        let frame = self.map.frame();
        let cells = 0..frame.cells() as u32;
        let places: Vec<Point> =
            cells.filter(|&cell| self.map.traversable(cell)).map(|cell| frame.center_of(cell)).collect();
        self.map.reachable_from(&places)
    }

    /// Cuts a region into one compact part for each worker, in their order, and what none of them can reach. Each
    /// cell goes to one worker that can get to it.
    pub(crate) fn allot(&self, region: &Region, workers: &[Worker]) -> Result<(Vec<Region>, Region), RegionError> {
        let mut parts = vec![self.empty()?; workers.len()];
        let mut left = region.clone();
        for (reach, members) in self.islands(workers) {
            let site = |worker: &Worker| Site { at: worker.at, weight: worker.ability };
            let team: Vec<Site> = members.iter().filter_map(|&index| workers.get(index)).map(site).collect();
            let share = left.intersection(&reach)?;
            if share.is_empty() {
                continue;
            }
            let cut = partition::split(&self.map, &share, &team);
            for (&index, piece) in members.iter().zip(&cut) {
                // Nothing is given twice and nothing that was not asked for, whatever the cut says.
                let piece = piece.intersection(&left)?;
                left = left.difference(&piece)?;
                if let Some(part) = parts.get_mut(index) {
                    *part = piece;
                }
            }
        }
        Ok((parts, left))
    }

    /// Workers that can meet, with the cells they can cover.
    fn islands(&self, workers: &[Worker]) -> Vec<(Region, Vec<usize>)> {
        let mut islands: Vec<(Region, Vec<usize>)> = Vec::new();
        for (index, worker) in workers.iter().enumerate() {
            let cell = self.map.nearest_traversable(worker.at, Meters(1.0));
            let home = islands.iter_mut().find(|(reach, _)| cell.is_some_and(|cell| reach.contains(cell)));
            match home {
                Some((_, members)) => members.push(index),
                None => islands.push((self.map.reachable_from(&[worker.at]), vec![index])),
            }
        }
        islands
    }

    /// Takes about `area` m² of a region for the helper: the cells that are nearest to it compared with the owner.
    /// The rest stays with the owner.
    pub(crate) fn cut(
        &self,
        region: &Region,
        owner: Point,
        helper: Point,
        area: f64,
    ) -> Result<(Region, Region), RegionError> {
        let (near, far) = (self.field(helper), self.field(owner));
        let lead = |cell: u32| {
            let way = |field: &Option<DistanceField>, from: Point| {
                let known = field.as_ref().and_then(|field| field.to(cell));
                known.map_or_else(|| region.frame().center_of(cell).distance(from), |meters| meters.0)
            };
            way(&near, helper) - way(&far, owner)
        };
        let mut cells: Vec<(f64, u32)> = region.cells().map(|cell| (lead(cell), cell)).collect();
        cells.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let resolution = region.frame().resolution;
        cells.truncate((area / (resolution * resolution)) as usize);
        let mut taken: Vec<u32> = cells.into_iter().map(|(_, cell)| cell).collect();
        taken.sort_unstable();
        let taken = Region::from_cells(*region.frame(), taken)?;
        Ok((region.difference(&taken)?, taken))
    }

    fn field(&self, from: Point) -> Option<DistanceField> {
        let start = self.map.nearest_traversable(from, NEAR)?;
        Some(path::distances(&mut Search::new(), &*self.map, start, Meters(f64::INFINITY)))
    }

    /// As many places as asked for, spread evenly over a region, each where a robot can stand.
    pub(crate) fn spread(&self, region: &Region, count: usize) -> Vec<Point> {
        let samples = self.samples(region);
        let Some(&first) = samples.first() else { return Vec::new() };
        let mut middles = vec![first];
        while middles.len() < count {
            let far = |point: &Point| middles.iter().map(|m| m.distance(*point)).fold(f64::INFINITY, f64::min);
            let next = samples.iter().copied().max_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(first);
            middles.push(next);
        }
        for _ in 0..SETTLE_ROUNDS {
            settle(&samples, &mut middles);
        }
        middles.into_iter().map(|middle| self.standing(middle, &samples)).collect()
    }

    /// A handful of a region's cells, evenly taken.
    fn samples(&self, region: &Region) -> Vec<Point> {
        let step = (region.len() as usize).div_ceil(SAMPLES_MAX).max(1);
        region.cells().step_by(step).map(|cell| region.frame().center_of(cell)).collect()
    }

    /// The place nearest to a point where a robot can stand.
    fn standing(&self, point: Point, samples: &[Point]) -> Point {
        if let Some(cell) = self.map.nearest_traversable(point, NEAR) {
            return self.map.frame().center_of(cell);
        }
        samples.iter().copied().min_by(|a, b| a.distance(point).total_cmp(&b.distance(point))).unwrap_or(point)
    }

    /// Length of the shortest path between two places, metres; `None` when there is none.
    pub(crate) fn path_length(&self, from: Point, to: Point) -> Option<f64> {
        let (start, goal) = (self.map.nearest_traversable(from, NEAR)?, self.map.nearest_traversable(to, NEAR)?);
        path::shortest(&mut Search::new(), &*self.map, start, goal).map(|way| way.length() * self.frame().resolution)
    }

    /// How a robot would sweep a region.
    pub(crate) fn tour(&self, region: &Region, start: Point, range: Meters) -> SweepPlan {
        sweep::plan(&self.map, region, start, range, None)
    }

    /// At most one robot for each `area_min` m² of the region: those that are there first.
    pub(crate) fn limit_to_useful(&self, area: &Region, mut workers: Vec<Worker>, area_min: f64) -> Vec<Worker> {
        let enough = (area.area() / area_min).ceil().max(1.0) as usize;
        if workers.len() > enough {
            workers.sort_by_cached_key(|worker| {
                let seconds = worker.busy + self.distance_to(area, worker.at) / worker.speed.0.max(0.01);
                (whole_millis(seconds), worker.agent.clone())
            });
            workers.truncate(enough);
        }
        workers
    }

    /// Straight-line distance from a place to the nearest sampled cell of a region, metres.
    pub(crate) fn distance_to(&self, region: &Region, from: Point) -> f64 {
        self.samples(region).iter().map(|place| place.distance(from)).fold(f64::INFINITY, f64::min)
    }
}

/// Robots that will be ready before this area could be swept by all together; those ready later are spared.
pub(crate) fn ready_in_time(area: &Region, mut workers: Vec<Worker>) -> Vec<Worker> {
    loop {
        let rates = workers.iter().map(|worker| SWEEP_YIELD * worker.ability);
        let busy: f64 = workers.iter().map(|worker| SWEEP_YIELD * worker.ability * worker.busy).sum();
        let ready = (area.area() + busy) / rates.sum::<f64>().max(0.01);
        let before = workers.len();
        if before > 1 {
            workers.retain(|worker| worker.busy <= ready);
        }
        if workers.len() == before {
            return workers;
        }
    }
}

/// Seconds as whole milliseconds, which sort.
fn whole_millis(seconds: f64) -> u64 {
    // Negative and NaN become zero, infinite becomes the largest.
    (seconds * 1000.0) as u64
}

/// Moves every middle to the mean of the places nearest to it.
fn settle(samples: &[Point], middles: &mut [Point]) {
    let mut sums = vec![(Point::default(), 0_u32); middles.len()];
    for &sample in samples {
        let nearest = |a: &(usize, &Point), b: &(usize, &Point)| {
            (*a.1 - sample).norm_squared().total_cmp(&(*b.1 - sample).norm_squared())
        };
        let Some((index, _)) = middles.iter().enumerate().min_by(nearest) else { continue };
        if let Some(sum) = sums.get_mut(index) {
            *sum = (sum.0 + sample, sum.1 + 1);
        }
    }
    for (middle, (sum, count)) in middles.iter_mut().zip(sums) {
        if count > 0 {
            *middle = sum * (1.0 / f64::from(count));
        }
    }
}
