//! Coverage of a region: which cells the sensor has covered, the next viewpoints, and what is given up and why.

use std::collections::{BTreeMap, VecDeque};

use skein_space::path::{self, Search};
use skein_space::planning::{PlanningMap, Traversable};
use skein_space::{sight, sweep};
use skein_types::geometry::Point;
use skein_types::region::Region;
use skein_types::units::Meters;

use crate::cell_set::CellSet;
use crate::navigation::layered_grid::LayeredGrid;

/// The estimated position has an error: a cell counts as covered only within the sensor's range less this, metres.
const POSE_SLACK: f64 = 0.10;
/// Coverage is updated after the robot moved this far, metres.
const UPDATE_DISTANCE: f64 = 0.08;
/// A planned viewpoint with fewer new cells than this is dropped.
const GAIN_MIN: u32 = 4;
/// Share of the region that may stay uncovered without driving for it.
const RESIDUAL_SHARE: f64 = 0.002;
/// Cells deferred earlier stay deferred in a new assignment while they are a smaller share of its region than this.
const DEFERRED_SHARE: f64 = 0.1;
/// Attempts at a block before its cells are given up.
const ATTEMPTS_MAX: u8 = 3;
/// Each further attempt uses a viewpoint nearer by this, metres.
const NEARER: f64 = 0.5;
/// Side of the blocks in which attempts are counted, metres.
const BLOCK: f64 = 1.0;
/// Bound on the blocks compared in one choice of a residual viewpoint.
const BLOCKS_WEIGHED: usize = 96;

/// What is kept of a mission from one assignment to the next.
#[derive(Clone, Debug)]
pub(crate) struct CoverageMemory {
    /// Covered cells, inside the assigned regions and outside.
    covered: CellSet,
    /// Given up, or left as too few to drive for.
    deferred: CellSet,
}

impl CoverageMemory {
    /// Number of covered cells.
    pub(crate) const fn covered_cells(&self) -> u64 {
        self.covered.len()
    }
}

/// The state of one region's coverage.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    region: Region,
    covered: CellSet,
    remaining: CellSet,
    given_up: CellSet,
    reasons: BTreeMap<String, u64>,
    viewpoints: VecDeque<Point>,
    planned: usize,
    residual: Option<(Point, u64)>,
    attempts: BTreeMap<u64, u8>,
    updated_at: Option<Point>,
    range: f64,
    version: u64,
}

impl Coverage {
    /// Starts a region at the robot's position. `memory` is of earlier assignments of the same mission.
    pub(crate) fn new(
        map: &PlanningMap,
        region: Region,
        memory: Option<CoverageMemory>,
        from: Point,
        range: Meters,
    ) -> Self {
        let nothing = || CellSet::empty(map.frame());
        let CoverageMemory { covered, deferred } =
            memory.unwrap_or_else(|| CoverageMemory { covered: nothing(), deferred: nothing() });
        let mut coverage = Self {
            remaining: CellSet::empty(map.frame()),
            given_up: CellSet::empty(map.frame()),
            reasons: BTreeMap::new(),
            viewpoints: VecDeque::new(),
            planned: 0,
            residual: None,
            attempts: BTreeMap::new(),
            updated_at: None,
            range: (range.get() - POSE_SLACK).max(0.2),
            version: 0,
            region,
            covered,
        };
        coverage.classify(map, from, &deferred);
        coverage.plan(map, from);
        coverage
    }

    /// Splits the uncovered cells into remaining and given up. Cells deferred earlier are given up, unless they are a
    /// large share of this region: then the assignment is about them.
    fn classify(&mut self, map: &PlanningMap, from: Point, deferred: &CellSet) {
        let reachable = map.reachable_from(&[from]);
        let earlier = self.region.cells().filter(|cell| deferred.contains(*cell)).count();
        let stays_deferred = (earlier as f64) < DEFERRED_SHARE * self.region.len() as f64;
        for cell in self.region.cells().filter(|cell| !self.covered.contains(*cell)) {
            let why = if !reachable.contains(cell) {
                "not reachable on the map"
            } else if stays_deferred && deferred.contains(cell) {
                "deferred by an earlier assignment"
            } else {
                self.remaining.insert(cell);
                continue;
            };
            self.given_up.insert(cell);
            *self.reasons.entry(why.to_owned()).or_default() += 1;
        }
    }

    /// Plans lanes of viewpoints through the remaining cells, from a position.
    pub(crate) fn plan(&mut self, map: &PlanningMap, from: Point) {
        self.viewpoints.clear();
        if let Some(left) = self.remaining.to_region(*map.frame())
            && !left.is_empty()
        {
            let lanes = sweep::plan(map, &left, from, Meters(self.range - 0.05), None);
            self.viewpoints = lanes.viewpoints.into();
        }
        self.planned = self.viewpoints.len();
    }

    /// What the next assignment of the same mission starts with.
    pub(crate) fn into_memory(self) -> CoverageMemory {
        let mut deferred = self.given_up;
        if self.remaining.len() as f64 <= RESIDUAL_SHARE * self.region.len() as f64 {
            self.remaining.iter().for_each(|cell| {
                deferred.insert(cell);
            });
        }
        CoverageMemory { covered: self.covered, deferred }
    }

    /// Marks what the sensor covers from a position. True when the remaining cells changed.
    pub(crate) fn mark_covered(&mut self, map: &PlanningMap, from: Point) -> bool {
        if self.updated_at.is_some_and(|last| last.distance(from) < UPDATE_DISTANCE) {
            return false;
        }
        self.updated_at = Some(from);
        let before = (self.remaining.len(), self.given_up.len());
        let Self { covered, remaining, given_up, range, .. } = self;
        sight::visible_cells(map, from, Meters(*range), |cell| {
            if covered.insert(cell) {
                remaining.remove(cell);
                given_up.remove(cell);
            }
        });
        let changed = before != (self.remaining.len(), self.given_up.len());
        self.version += u64::from(changed);
        changed
    }

    /// Rises with every change of the remaining cells.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Cells of the region.
    pub(crate) fn cell_count(&self) -> u64 {
        self.region.len()
    }

    /// Cells that are neither covered nor given up.
    pub(crate) const fn remaining_cells(&self) -> u64 {
        self.remaining.len()
    }

    /// Cells given up.
    pub(crate) const fn given_up_cells(&self) -> u64 {
        self.given_up.len()
    }

    /// Cells covered since the mission began, inside the region and outside.
    pub(crate) const fn covered_cells(&self) -> u64 {
        self.covered.len()
    }

    /// Covered share of the region, percent.
    pub(crate) fn percent(&self) -> f64 {
        let total = self.cell_count();
        if total == 0 {
            return 100.0;
        }
        100.0 * (1.0 - (self.remaining_cells() + self.given_up_cells()) as f64 / total as f64)
    }

    /// Everything of the region that is not covered, given up or not.
    pub(crate) fn uncovered(&self) -> Option<Region> {
        let frame = *self.region.frame();
        let left = self.remaining.to_region(frame)?;
        let lost = self.given_up.to_region(frame)?;
        left.union(&lost).ok()
    }

    /// At most [`RESIDUAL_SHARE`] of the region remains.
    pub(crate) fn is_complete(&self) -> bool {
        self.remaining_cells() as f64 <= RESIDUAL_SHARE * self.cell_count() as f64
    }

    /// What was given up and why, as text; empty when nothing was.
    pub(crate) fn losses(&self) -> String {
        if self.given_up.is_empty() {
            return String::new();
        }
        let area = self.region.frame().resolution.powi(2);
        let parts: Vec<String> =
            self.reasons.iter().map(|(why, cells)| format!("{:.1} m² {why}", *cells as f64 * area)).collect();
        parts.join(", ")
    }

    /// Number of the next planned viewpoint (from 1), and how many were planned.
    pub(crate) fn viewpoint_number(&self) -> (usize, usize) {
        (self.planned - self.viewpoints.len().min(self.planned) + 1, self.planned)
    }

    /// The planned viewpoints ahead.
    pub(crate) const fn viewpoints(&self) -> &VecDeque<Point> {
        &self.viewpoints
    }

    /// How many remaining cells are visible from a point, counted up to `enough`.
    pub(crate) fn gain(&self, map: &PlanningMap, from: Point, enough: u32) -> u32 {
        let mut gain = 0;
        sight::visible_cells(map, from, Meters(self.range), |cell| {
            gain += u32::from(self.remaining.contains(cell));
        });
        gain.min(enough)
    }

    /// Drops up to `most` planned viewpoints at the front whose gain is below [`GAIN_MIN`]. True when one was dropped.
    pub(crate) fn drop_redundant(&mut self, map: &PlanningMap, most: usize) -> bool {
        let mut dropped = false;
        for _ in 0..most {
            let Some(next) = self.viewpoints.front().copied() else { break };
            if self.gain(map, next, GAIN_MIN) >= GAIN_MIN {
                break;
            }
            self.viewpoints.pop_front();
            dropped = true;
        }
        dropped
    }

    /// Ends the planned viewpoint at the front, reached or not. Cells it would have covered stay remaining and get a
    /// residual viewpoint later.
    pub(crate) fn advance(&mut self) {
        self.viewpoints.pop_front();
    }

    /// Chooses the best reachable viewpoint for remaining cells after the planned ones. `None` when no remaining cell is
    /// visible from any reachable cell of the costmap.
    pub(crate) fn choose_residual_viewpoint(
        &mut self,
        costmap: &LayeredGrid,
        search: &mut Search,
        from: Point,
    ) -> Option<Point> {
        let frame = *costmap.frame();
        let start = skein_space::planning::nearest_traversable(costmap, from, Meters(1.0))?;
        let field = path::distances(search, costmap, start, Meters(f64::INFINITY));
        let mut best: Option<(f64, Point)> = None;
        for (block, cell) in self.residual_blocks(BLOCKS_WEIGHED) {
            let target = frame.center_of(cell);
            let mut stands: Vec<(f32, u32)> = Vec::new();
            // The robot does not stop exactly at its viewpoint: each attempt goes nearer.
            let attempts = f64::from(self.attempts.get(&block).copied().unwrap_or(0));
            let reach = (self.range - 0.15 - NEARER * attempts).max(0.5);
            sight::visible_cells(costmap.map(), target, Meters(reach), |stand| {
                if let Some(distance) = field.to(stand) {
                    stands.push((distance.get() as f32, stand));
                }
            });
            stands.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let seen = stands.iter().take(24).map(|(distance, stand)| (f64::from(*distance), frame.center_of(*stand)));
            for (distance, at) in seen.step_by(4) {
                let gain = self.gain(costmap.map(), at, 200);
                let cost = distance - f64::from(gain) / 100.0;
                if gain > 0 && best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, at));
                }
            }
        }
        let (_, at) = best?;
        self.residual = Some((at, self.remaining_cells()));
        Some(at)
    }

    /// One remaining cell of each block, the fullest blocks first when there are more than `most`.
    fn residual_blocks(&self, most: usize) -> Vec<(u64, u32)> {
        let mut blocks: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for cell in self.remaining.iter() {
            let entry = blocks.entry(self.block(cell)).or_insert((0, cell));
            entry.0 += 1;
        }
        let mut list: Vec<(u64, u32, u32)> =
            blocks.into_iter().map(|(block, (count, cell))| (block, count, cell)).collect();
        if list.len() > most {
            list.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            list.truncate(most);
        }
        list.into_iter().map(|(block, _, cell)| (block, cell)).collect()
    }

    fn block(&self, cell: u32) -> u64 {
        let frame = self.region.frame();
        let at = frame.center_of(cell) - frame.origin;
        let (x, y) = ((at.x / BLOCK).max(0.0) as u64, (at.y / BLOCK).max(0.0) as u64);
        y << 32 | x
    }

    /// The robot reached the residual viewpoint or cannot. Counts an attempt for each block in view; after
    /// [`ATTEMPTS_MAX`] the block's cells are given up. Returns the number of cells given up.
    pub(crate) fn residual_attempted(&mut self, map: &PlanningMap, why: &str) -> u64 {
        let Some((at, left_before)) = self.residual.take() else { return 0 };
        if self.remaining_cells() < left_before {
            return 0;
        }
        let mut exhausted = Vec::new();
        let mut seen = Vec::new();
        sight::visible_cells(map, at, Meters(self.range), |cell| {
            if self.remaining.contains(cell) {
                seen.push(cell);
            }
        });
        let mut blocks: Vec<u64> = seen.iter().map(|cell| self.block(*cell)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        for block in blocks {
            let attempts = self.attempts.entry(block).or_default();
            *attempts += 1;
            if *attempts >= ATTEMPTS_MAX {
                exhausted.push(block);
            }
        }
        seen.retain(|cell| exhausted.contains(&self.block(*cell)));
        self.give_up(&seen, why)
    }

    /// Gives up every remaining cell. Returns their number.
    pub(crate) fn give_up_remaining(&mut self, why: &str) -> u64 {
        let rest: Vec<u32> = self.remaining.iter().collect();
        self.give_up(&rest, why)
    }

    fn give_up(&mut self, cells: &[u32], why: &str) -> u64 {
        let mut lost = 0;
        for cell in cells {
            if self.remaining.remove(*cell) {
                self.given_up.insert(*cell);
                lost += 1;
            }
        }
        if lost > 0 {
            *self.reasons.entry(why.to_owned()).or_default() += lost;
            self.version += 1;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::navigation::layered_grid::tests::hall;
    use skein_types::region::Region;

    const RANGE: Meters = Meters(2.0);

    fn coverage(from: Point) -> (std::sync::Arc<PlanningMap>, Coverage) {
        let map = hall();
        let region = map.reachable_from(&[from]);
        let coverage = Coverage::new(&map, region, None, from, RANGE);
        (map, coverage)
    }

    #[test]
    fn the_planned_viewpoints_cover_nearly_everything() {
        let (map, mut coverage) = coverage(Point::new(1.0, 1.0));
        while let Some(next) = coverage.viewpoints().front().copied() {
            coverage.mark_covered(&map, next);
            coverage.advance();
        }
        assert!(coverage.percent() > 99.0, "{}", coverage.percent());
    }

    #[test]
    fn residual_viewpoints_cover_the_rest() {
        let (map, mut coverage) = coverage(Point::new(1.0, 1.0));
        let (costmap, mut search) = (LayeredGrid::new(map.clone()), Search::new());
        while !coverage.viewpoints().is_empty() {
            coverage.advance();
        }
        let mut at = Point::new(1.0, 1.0);
        for _ in 0..60 {
            if coverage.is_complete() {
                break;
            }
            at = coverage.choose_residual_viewpoint(&costmap, &mut search, at).unwrap();
            coverage.mark_covered(&map, at);
            assert_eq!(coverage.residual_attempted(&map, "hidden"), 0);
        }
        assert!(coverage.is_complete() && coverage.given_up_cells() == 0, "{} %", coverage.percent());
    }

    #[test]
    fn hidden_cells_are_given_up_after_three_attempts() {
        let (map, mut coverage) = coverage(Point::new(1.0, 1.0));
        let (costmap, mut search) = (LayeredGrid::new(map.clone()), Search::new());
        let mut lost = 0;
        for _ in 0..3 {
            assert_eq!(lost, 0);
            let _ = coverage.choose_residual_viewpoint(&costmap, &mut search, Point::new(1.0, 1.0)).unwrap();
            lost = coverage.residual_attempted(&map, "hidden behind a curtain");
        }
        assert!(lost > 0 && coverage.given_up_cells() == lost);
        assert!(coverage.losses().contains("hidden behind a curtain"), "{}", coverage.losses());
        let unseen = coverage.uncovered().unwrap();
        assert_eq!(unseen.len(), coverage.remaining_cells() + coverage.given_up_cells());
    }

    #[test]
    fn covered_cells_stay_covered_in_a_new_assignment() {
        let (map, mut coverage) = coverage(Point::new(1.0, 1.0));
        coverage.mark_covered(&map, Point::new(1.5, 1.5));
        let (left, region) = (coverage.remaining_cells(), coverage.region.clone());
        let again = Coverage::new(&map, region, Some(coverage.into_memory()), Point::new(1.5, 1.5), RANGE);
        assert_eq!(again.remaining_cells(), left);
    }

    #[test]
    fn deferred_cells_stay_deferred_unless_assigned_alone() {
        let (map, mut coverage) = coverage(Point::new(1.0, 1.0));
        let whole = coverage.region.clone();
        let corner = Region::from_cells(*map.frame(), coverage.remaining.iter().take(40)).unwrap();
        coverage.region = corner.clone();
        coverage.remaining = CellSet::empty(map.frame());
        corner.cells().for_each(|cell| {
            coverage.given_up.insert(cell);
        });
        let memory = coverage.into_memory();
        let stays = Coverage::new(&map, whole, Some(memory.clone()), Point::new(1.0, 1.0), RANGE);
        assert_eq!(stays.given_up_cells(), 40);
        assert!(stays.losses().contains("earlier assignment"), "{}", stays.losses());
        let again = Coverage::new(&map, corner, Some(memory), Point::new(1.0, 1.0), RANGE);
        assert_eq!((again.remaining_cells(), again.given_up_cells()), (40, 0));
    }

    #[test]
    fn unreachable_cells_are_given_up_at_once() {
        let map = hall();
        let frame = *map.frame();
        let region = Region::from_cells(frame, 0..frame.cells() as u32).unwrap();
        let coverage = Coverage::new(&map, region.clone(), None, Point::new(1.0, 1.0), RANGE);
        assert!(coverage.losses().contains("not reachable on the map"));
        assert_eq!(coverage.remaining_cells() + coverage.given_up_cells(), region.len());
    }
}
