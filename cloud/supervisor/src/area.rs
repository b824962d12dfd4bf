//! The cells of one mission: which are swept, and which robot has the others.
//!
//! `area = swept + remaining of the slices + unowned + residual`, each apart from the others. What is swept is never
//! stored: it is what is in none of the others. Every change of ownership goes through [`MissionArea`].

use std::collections::BTreeMap;

use skein_types::geometry::Point;
use skein_types::ids::{AgentId, Generation};
use skein_types::mission::SliceState;
use skein_types::region::{Region, RegionError};
use skein_types::time::MonoTime;

/// Most former slices that are kept to be shown.
const FORMER_MAX: usize = 64;

/// What one robot is assigned of a mission.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) generation: Generation,
    pub(crate) state: SliceState,
    pub(crate) reason: String,
    /// Area of the cells it was given, m².
    pub(crate) given_area: f64,
    /// Cells still to be swept; only a new order adds to them.
    pub(crate) remaining: Region,
    /// Of a former slice: area of the cells that were left when it was reclaimed, m².
    pub(crate) left_area: f64,
    /// The place to hold, of a guard.
    pub(crate) post: Option<Point>,
    /// When it last shrank, changed its state or was given out.
    pub(crate) moved_at: MonoTime,
    /// When it was given out.
    pub(crate) given_at: MonoTime,
}

impl Slice {
    /// The robot still works on it.
    pub(crate) const fn is_open(&self) -> bool {
        !self.state.is_terminal()
    }
}

/// The cells of a mission and the robots that have them.
#[derive(Clone, Debug)]
pub(crate) struct MissionArea {
    area: Region,
    unowned: Region,
    residual: Region,
    slices: BTreeMap<AgentId, Slice>,
    former: Vec<(AgentId, Slice)>,
}

impl MissionArea {
    /// All cells unowned. `nothing` is an empty region of the same frame.
    pub(crate) fn new(area: Region, nothing: Region) -> Self {
        Self { unowned: area.clone(), area, residual: nothing, slices: BTreeMap::new(), former: Vec::new() }
    }

    /// The ledger as it was recorded.
    pub(crate) fn restored(
        area: Region,
        unowned: Region,
        residual: Region,
        slices: BTreeMap<AgentId, Slice>,
        former: Vec<(AgentId, Slice)>,
    ) -> Self {
        Self { area, unowned, residual, slices, former }
    }

    /// The cells coverage is measured by.
    pub(crate) const fn area(&self) -> &Region {
        &self.area
    }

    /// Cells no robot has.
    pub(crate) const fn unowned(&self) -> &Region {
        &self.unowned
    }

    /// Cells a robot ended its slice without sweeping; tried again when all else is done.
    pub(crate) const fn residual(&self) -> &Region {
        &self.residual
    }

    pub(crate) fn slice(&self, agent: &AgentId) -> Option<&Slice> {
        self.slices.get(agent)
    }

    /// For state, reason and times; cells change hands by the methods below only.
    pub(crate) fn slice_mut(&mut self, agent: &AgentId) -> Option<&mut Slice> {
        self.slices.get_mut(agent)
    }

    pub(crate) const fn slices(&self) -> &BTreeMap<AgentId, Slice> {
        &self.slices
    }

    pub(crate) fn slices_mut(&mut self) -> impl Iterator<Item = &mut Slice> {
        self.slices.values_mut()
    }

    /// Slices that a robot still works on.
    pub(crate) fn open_slices(&self) -> impl Iterator<Item = (&AgentId, &Slice)> {
        self.slices.iter().filter(|(_, slice)| slice.is_open())
    }

    /// Slices that were reclaimed or replaced, kept to be shown.
    pub(crate) fn former(&self) -> &[(AgentId, Slice)] {
        &self.former
    }

    /// Number of cells that are not swept yet.
    pub(crate) fn left(&self) -> u64 {
        let owned = self.slices.values().map(|slice| slice.remaining.len()).sum::<u64>();
        self.unowned.len() + self.residual.len() + owned
    }

    /// Share of the area that was swept, 0 to 1.
    pub(crate) fn covered(&self) -> f64 {
        let area = self.area.len();
        if area == 0 { 0.0 } else { 1.0 - self.left().min(area) as f64 / area as f64 }
    }

    /// The mission is split anew: its cells are these, and no robot has them.
    pub(crate) fn reset(&mut self, area: Region) {
        self.unowned = area.clone();
        self.area = area;
    }

    /// Nothing of the area is to be swept (a guard holds places instead).
    pub(crate) fn disclaim_unowned(&mut self) -> Result<(), RegionError> {
        self.unowned = self.unowned.difference(&self.unowned)?;
        Ok(())
    }

    /// Gives a robot a slice in place of the one it has. Cells of an open slice that are not in the new one become
    /// unowned; the cells of an ended one become residual.
    pub(crate) fn assign(&mut self, agent: &AgentId, slice: Slice) -> Result<(), RegionError> {
        self.retire(agent)?;
        let freed = match self.slices.get(agent) {
            Some(before) => self.unowned.union(&before.remaining)?,
            None => self.unowned.clone(),
        };
        self.unowned = freed.difference(&slice.remaining)?;
        self.slices.insert(agent.clone(), slice);
        Ok(())
    }

    /// The robot reports what is left of its slice: how many cells were swept since.
    pub(crate) fn shrink(&mut self, agent: &AgentId, left: &Region) -> Result<u64, RegionError> {
        let Some(slice) = self.slices.get_mut(agent) else { return Ok(0) };
        let left = slice.remaining.intersection(left)?;
        let swept = slice.remaining.len() - left.len();
        slice.remaining = left;
        Ok(swept)
    }

    /// Takes a robot's slice: its cells become unowned, the place it held is returned.
    pub(crate) fn reclaim(&mut self, agent: &AgentId, reason: &str) -> Result<Option<Point>, RegionError> {
        let Some(slice) = self.slices.get(agent) else { return Ok(None) };
        self.unowned = self.unowned.union(&slice.remaining)?;
        let Some(mut slice) = self.slices.remove(agent) else { return Ok(None) };
        let post = slice.post.take();
        if slice.is_open() {
            slice.state = SliceState::Cancelled;
        }
        slice.reason = reason.to_owned();
        self.remember(agent, slice)?;
        Ok(post)
    }

    /// A robot that ended its slice gets other work: what it did not sweep waits until all other slices ended, too.
    fn retire(&mut self, agent: &AgentId) -> Result<(), RegionError> {
        let Some(slice) = self.slices.get(agent).filter(|slice| !slice.is_open()) else { return Ok(()) };
        self.residual = self.residual.union(&slice.remaining)?;
        if let Some(slice) = self.slices.remove(agent) {
            self.remember(agent, slice)?;
        }
        Ok(())
    }

    /// The residual cells are to be given out again.
    pub(crate) fn reopen_residual(&mut self) -> Result<(), RegionError> {
        self.unowned = self.unowned.union(&self.residual)?;
        self.residual = self.residual.difference(&self.residual)?;
        Ok(())
    }

    fn remember(&mut self, agent: &AgentId, mut slice: Slice) -> Result<(), RegionError> {
        slice.left_area = slice.remaining.area();
        slice.remaining = slice.remaining.difference(&slice.remaining)?;
        if self.former.len() >= FORMER_MAX {
            self.former.remove(0);
        }
        self.former.push((agent.clone(), slice));
        Ok(())
    }

    /// Looks for a cell that has two owners or lies outside the area, for tests.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub(crate) fn audit(&self) -> Result<(), String> {
        let text = |error: RegionError| error.to_string();
        let mut seen = self.area.difference(&self.area).map_err(text)?;
        let owned = self.slices.values().map(|slice| &slice.remaining);
        for region in [&self.unowned, &self.residual].into_iter().chain(owned) {
            if !seen.intersection(region).map_err(text)?.is_empty() {
                return Err("cells are given twice".to_owned());
            }
            seen = seen.union(region).map_err(text)?;
        }
        if !seen.difference(&self.area).map_err(text)?.is_empty() {
            return Err("cells outside its area are given".to_owned());
        }
        Ok(())
    }
}
