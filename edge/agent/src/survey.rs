//! Sweeping a region: what of it was seen, where to look from next, and what is given up and why.

use std::collections::{BTreeMap, VecDeque};

use skein_space::path::{self, Search};
use skein_space::planning::{PlanningMap, Traversable};
use skein_space::{sight, sweep};
use skein_types::geometry::Point;
use skein_types::region::Region;
use skein_types::units::Meters;

use crate::squares::Squares;
use crate::terrain::Terrain;

/// The believed position is not the true one: a square counts as seen only when it is nearer than the sensor reaches
/// by this much, metres.
const BELIEF_SLACK: f64 = 0.10;
/// The sensor looks again after the robot moved this far, metres.
const LOOK_EVERY: f64 = 0.08;
/// A viewpoint that would show fewer new squares than this is skipped while there are planned ones after it.
const GAIN_MIN: u32 = 4;
/// Share of the region that may stay unseen in corners without a further way being driven for it.
const LEFT_OVER: f64 = 0.002;
/// Squares let go before rest in a new order of the same mission when they are a smaller share of it than this.
const RESTS_BELOW: f64 = 0.1;
/// How often a place is tried before it is given up.
const TRIES_MAX: u8 = 3;
/// Each further try looks from so much nearer, metres.
const NEARER: f64 = 0.5;
/// Side of the cells in which tries are counted and leftovers are looked for, metres.
const CELL: f64 = 1.0;
/// Most leftover cells weighed in one choice of the next viewpoint.
const CELLS_WEIGHED: usize = 96;

/// What a robot remembers of a mission from one order to the next.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Seen, inside its regions and outside.
    swept: Squares,
    /// Tried in vain, or left over as not worth the way.
    let_go: Squares,
}

impl Memory {
    /// Squares seen.
    pub(crate) const fn seen(&self) -> u64 {
        self.swept.len()
    }
}

/// A region on its way to being swept.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    region: Region,
    swept: Squares,
    remaining: Squares,
    given_up: Squares,
    reasons: BTreeMap<String, u64>,
    viewpoints: VecDeque<Point>,
    planned: usize,
    leftover: Option<(Point, u64)>,
    tries: BTreeMap<u64, u8>,
    looked_at: Option<Point>,
    range: f64,
    version: u64,
}

impl Survey {
    /// Takes up a region from where the robot is. `memory` is of earlier orders of the same mission.
    pub(crate) fn new(map: &PlanningMap, region: Region, memory: Option<Memory>, from: Point, range: Meters) -> Self {
        let nothing = || Squares::none(map.frame());
        let Memory { swept, let_go } = memory.unwrap_or_else(|| Memory { swept: nothing(), let_go: nothing() });
        let mut survey = Self {
            remaining: Squares::none(map.frame()),
            given_up: Squares::none(map.frame()),
            reasons: BTreeMap::new(),
            viewpoints: VecDeque::new(),
            planned: 0,
            leftover: None,
            tries: BTreeMap::new(),
            looked_at: None,
            range: (range.get() - BELIEF_SLACK).max(0.2),
            version: 0,
            region,
            swept,
        };
        survey.sort_out(map, from, &let_go);
        survey.plan(map, from);
        survey
    }

    /// What is still to be seen, and what never can be. What was let go before rests, unless it is what this order is
    /// about.
    fn sort_out(&mut self, map: &PlanningMap, from: Point, let_go: &Squares) {
        let reachable = map.reachable_from(&[from]);
        let old = self.region.squares().filter(|square| let_go.contains(*square)).count();
        let rests = (old as f64) < RESTS_BELOW * self.region.len() as f64;
        for square in self.region.squares().filter(|square| !self.swept.contains(*square)) {
            let why = if !reachable.contains(square) {
                "not reachable on the map"
            } else if rests && let_go.contains(square) {
                "left over from an earlier order"
            } else {
                self.remaining.insert(square);
                continue;
            };
            self.given_up.insert(square);
            *self.reasons.entry(why.to_owned()).or_default() += 1;
        }
    }

    /// Lanes through what is left, from here.
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

    /// What is to be remembered for the next order of this mission.
    pub(crate) fn into_memory(self) -> Memory {
        let mut let_go = self.given_up;
        if self.remaining.len() as f64 <= LEFT_OVER * self.region.len() as f64 {
            self.remaining.iter().for_each(|square| {
                let_go.insert(square);
            });
        }
        Memory { swept: self.swept, let_go }
    }

    /// Marks what the sensor sees from here. True when something new was seen.
    pub(crate) fn look(&mut self, map: &PlanningMap, from: Point) -> bool {
        if self.looked_at.is_some_and(|last| last.distance(from) < LOOK_EVERY) {
            return false;
        }
        self.looked_at = Some(from);
        let before = (self.remaining.len(), self.given_up.len());
        let Self { swept, remaining, given_up, range, .. } = self;
        sight::visible_squares(map, from, Meters(*range), |square| {
            if swept.insert(square) {
                remaining.remove(square);
                given_up.remove(square);
            }
        });
        let changed = before != (self.remaining.len(), self.given_up.len());
        self.version += u64::from(changed);
        changed
    }

    /// Rises whenever what is left changed.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Squares of the region.
    pub(crate) fn total(&self) -> u64 {
        self.region.len()
    }

    /// Squares still to be seen.
    pub(crate) const fn left(&self) -> u64 {
        self.remaining.len()
    }

    /// Squares given up.
    pub(crate) const fn lost(&self) -> u64 {
        self.given_up.len()
    }

    /// Squares seen since the mission began, inside the region and outside.
    pub(crate) const fn seen(&self) -> u64 {
        self.swept.len()
    }

    /// Percent of the region that was seen.
    pub(crate) fn covered(&self) -> f64 {
        let total = self.total();
        if total == 0 {
            return 100.0;
        }
        100.0 * (1.0 - (self.left() + self.lost()) as f64 / total as f64)
    }

    /// Everything of the region that was not seen, given up or not.
    pub(crate) fn unseen(&self) -> Option<Region> {
        let frame = *self.region.frame();
        let left = self.remaining.to_region(frame)?;
        let lost = self.given_up.to_region(frame)?;
        left.union(&lost).ok()
    }

    /// Everything that can be seen was seen, but for [`LEFT_OVER`].
    pub(crate) fn complete(&self) -> bool {
        self.left() as f64 <= LEFT_OVER * self.total() as f64
    }

    /// What was given up and why, as a sentence; empty when nothing was.
    pub(crate) fn loss(&self) -> String {
        if self.given_up.is_empty() {
            return String::new();
        }
        let area = self.region.frame().resolution.powi(2);
        let parts: Vec<String> =
            self.reasons.iter().map(|(why, squares)| format!("{:.1} m² {why}", *squares as f64 * area)).collect();
        parts.join(", ")
    }

    /// Which lane viewpoint is next, and of how many.
    pub(crate) fn lane(&self) -> (usize, usize) {
        (self.planned - self.viewpoints.len().min(self.planned) + 1, self.planned)
    }

    /// The planned viewpoints that are left.
    pub(crate) const fn viewpoints(&self) -> &VecDeque<Point> {
        &self.viewpoints
    }

    /// How many new squares a look from a point would show, counted up to `enough`.
    pub(crate) fn gain(&self, map: &PlanningMap, from: Point, enough: u32) -> u32 {
        let mut gain = 0;
        sight::visible_squares(map, from, Meters(self.range), |square| {
            gain += u32::from(self.remaining.contains(square));
        });
        gain.min(enough)
    }

    /// Takes away the planned viewpoints at the front that show nothing new any more.
    pub(crate) fn drop_useless(&mut self, map: &PlanningMap, most: usize) -> bool {
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

    /// The planned viewpoint at the front was reached or cannot be: go on with the next. What it would have shown stays
    /// to be seen and comes up again as a leftover.
    pub(crate) fn pass(&mut self) {
        self.viewpoints.pop_front();
    }

    /// The nearest place from which something left over is seen. `None` when nothing left over can be seen from
    /// anywhere that can be reached over this terrain.
    pub(crate) fn choose_leftover(&mut self, terrain: &Terrain, search: &mut Search, from: Point) -> Option<Point> {
        let frame = *terrain.frame();
        let start = skein_space::planning::nearest_traversable(terrain, from, Meters(1.0))?;
        let field = path::distances(search, terrain, start, Meters(f64::INFINITY));
        let mut best: Option<(f64, Point)> = None;
        for (cell, square) in self.leftover_cells(CELLS_WEIGHED) {
            let target = frame.center_of(square);
            let mut stands: Vec<(f32, u32)> = Vec::new();
            // The robot does not come to stand exactly where it wants: each try looks from nearer.
            let tries = f64::from(self.tries.get(&cell).copied().unwrap_or(0));
            let reach = (self.range - 0.15 - NEARER * tries).max(0.5);
            sight::visible_squares(terrain.map(), target, Meters(reach), |stand| {
                if let Some(distance) = field.to(stand) {
                    stands.push((distance.get() as f32, stand));
                }
            });
            stands.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let seen = stands.iter().take(24).map(|(distance, stand)| (f64::from(*distance), frame.center_of(*stand)));
            for (distance, at) in seen.step_by(4) {
                let gain = self.gain(terrain.map(), at, 200);
                let cost = distance - f64::from(gain) / 100.0;
                if gain > 0 && best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, at));
                }
            }
        }
        let (_, at) = best?;
        self.leftover = Some((at, self.left()));
        Some(at)
    }

    /// One square of each cell that holds leftovers, in the order of the cells.
    fn leftover_cells(&self, most: usize) -> Vec<(u64, u32)> {
        let mut cells: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for square in self.remaining.iter() {
            let entry = cells.entry(self.cell(square)).or_insert((0, square));
            entry.0 += 1;
        }
        let mut list: Vec<(u64, u32, u32)> =
            cells.into_iter().map(|(cell, (count, square))| (cell, count, square)).collect();
        if list.len() > most {
            list.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
            list.truncate(most);
        }
        list.into_iter().map(|(cell, _, square)| (cell, square)).collect()
    }

    fn cell(&self, square: u32) -> u64 {
        let frame = self.region.frame();
        let at = frame.center_of(square) - frame.origin;
        let (x, y) = ((at.x / CELL).max(0.0) as u64, (at.y / CELL).max(0.0) as u64);
        y << 32 | x
    }

    /// The robot is where a leftover was to be seen from, or cannot get there. Counts the try; a place that was tried
    /// too often is given up. Returns how many squares were.
    pub(crate) fn tried_leftover(&mut self, map: &PlanningMap, why: &str) -> u64 {
        let Some((at, left_before)) = self.leftover.take() else { return 0 };
        if self.left() < left_before {
            return 0;
        }
        let mut hopeless = Vec::new();
        let mut seen = Vec::new();
        sight::visible_squares(map, at, Meters(self.range), |square| {
            if self.remaining.contains(square) {
                seen.push(square);
            }
        });
        let mut cells: Vec<u64> = seen.iter().map(|square| self.cell(*square)).collect();
        cells.sort_unstable();
        cells.dedup();
        for cell in cells {
            let tries = self.tries.entry(cell).or_default();
            *tries += 1;
            if *tries >= TRIES_MAX {
                hopeless.push(cell);
            }
        }
        seen.retain(|square| hopeless.contains(&self.cell(*square)));
        self.give_up(&seen, why)
    }

    /// Nothing that is left can be seen from anywhere: gives all of it up.
    pub(crate) fn give_up_rest(&mut self, why: &str) -> u64 {
        let rest: Vec<u32> = self.remaining.iter().collect();
        self.give_up(&rest, why)
    }

    fn give_up(&mut self, squares: &[u32], why: &str) -> u64 {
        let mut lost = 0;
        for square in squares {
            if self.remaining.remove(*square) {
                self.given_up.insert(*square);
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
    use crate::terrain::tests::hall;
    use skein_types::region::Region;

    const RANGE: Meters = Meters(2.0);

    fn survey(from: Point) -> (std::sync::Arc<PlanningMap>, Survey) {
        let map = hall();
        let region = map.reachable_from(&[from]);
        let survey = Survey::new(&map, region, None, from, RANGE);
        (map, survey)
    }

    #[test]
    fn looking_from_every_planned_viewpoint_leaves_next_to_nothing() {
        let (map, mut survey) = survey(Point::new(1.0, 1.0));
        while let Some(next) = survey.viewpoints().front().copied() {
            survey.look(&map, next);
            survey.pass();
        }
        assert!(survey.covered() > 99.0, "{}", survey.covered());
    }

    #[test]
    fn leftovers_are_seen_one_after_the_other_until_all_is_swept() {
        let (map, mut survey) = survey(Point::new(1.0, 1.0));
        let (terrain, mut search) = (Terrain::new(map.clone()), Search::new());
        while !survey.viewpoints().is_empty() {
            survey.pass();
        }
        let mut at = Point::new(1.0, 1.0);
        for _ in 0..60 {
            if survey.complete() {
                break;
            }
            at = survey.choose_leftover(&terrain, &mut search, at).unwrap();
            survey.look(&map, at);
            assert_eq!(survey.tried_leftover(&map, "hidden"), 0);
        }
        assert!(survey.complete() && survey.lost() == 0, "{} %", survey.covered());
    }

    #[test]
    fn a_place_that_shows_nothing_is_given_up_after_three_tries_with_its_reason() {
        let (map, mut survey) = survey(Point::new(1.0, 1.0));
        let (terrain, mut search) = (Terrain::new(map.clone()), Search::new());
        let mut lost = 0;
        for _ in 0..3 {
            assert_eq!(lost, 0);
            let _ = survey.choose_leftover(&terrain, &mut search, Point::new(1.0, 1.0)).unwrap();
            lost = survey.tried_leftover(&map, "hidden behind a curtain");
        }
        assert!(lost > 0 && survey.lost() == lost);
        assert!(survey.loss().contains("hidden behind a curtain"), "{}", survey.loss());
        let unseen = survey.unseen().unwrap();
        assert_eq!(unseen.len(), survey.left() + survey.lost());
    }

    #[test]
    fn what_was_seen_before_stays_seen_when_the_region_is_replaced() {
        let (map, mut survey) = survey(Point::new(1.0, 1.0));
        survey.look(&map, Point::new(1.5, 1.5));
        let (left, region) = (survey.left(), survey.region.clone());
        let again = Survey::new(&map, region, Some(survey.into_memory()), Point::new(1.5, 1.5), RANGE);
        assert_eq!(again.left(), left);
    }

    #[test]
    fn what_was_let_go_before_rests_unless_the_new_order_is_about_it() {
        let (map, mut survey) = survey(Point::new(1.0, 1.0));
        let whole = survey.region.clone();
        let corner = Region::from_squares(*map.frame(), survey.remaining.iter().take(40)).unwrap();
        survey.region = corner.clone();
        survey.remaining = Squares::none(map.frame());
        corner.squares().for_each(|square| {
            survey.given_up.insert(square);
        });
        let memory = survey.into_memory();
        let rests = Survey::new(&map, whole, Some(memory.clone()), Point::new(1.0, 1.0), RANGE);
        assert_eq!(rests.lost(), 40);
        assert!(rests.loss().contains("earlier order"), "{}", rests.loss());
        let again = Survey::new(&map, corner, Some(memory), Point::new(1.0, 1.0), RANGE);
        assert_eq!((again.left(), again.lost()), (40, 0));
    }

    #[test]
    fn what_nobody_can_reach_is_given_up_at_once() {
        let map = hall();
        let frame = *map.frame();
        let region = Region::from_squares(frame, 0..frame.squares() as u32).unwrap();
        let survey = Survey::new(&map, region.clone(), None, Point::new(1.0, 1.0), RANGE);
        assert!(survey.loss().contains("not reachable on the map"));
        assert_eq!(survey.left() + survey.lost(), region.len());
    }
}
