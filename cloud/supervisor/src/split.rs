//! Cells are given to robots: at the start of a mission, and whenever some have no robot.

use std::collections::BTreeMap;

use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::{MissionState, Objective};
use skein_types::region::{Region, RegionError};
use skein_types::time::MonoTime;

use crate::allocation::ready_in_time;
use crate::api::Worker;
use crate::assignment::Work;
use crate::supervisor::Supervisor;

/// Unassigned cells and the robot to avoid giving them to.
pub(crate) struct Piece {
    pub(crate) region: Region,
    pub(crate) not_to: Option<AgentId>,
}

impl Supervisor {
    /// Splits a queued mission among the robots that are free.
    pub(crate) fn try_start(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id) else { return };
        if mission.state() != MissionState::Queued || self.robots.is_settling(now, self.config.settle) {
            return;
        }
        let workers = self.workers_for(now, &mission.spec().robots);
        if workers.is_empty() {
            return;
        }
        let spec = mission.spec().clone();
        let Some(zone) = self.zone_cells(&spec.zone, &spec.robots) else { return };
        if zone.reachable.is_empty() {
            self.explain(now, id, "none of the robots that are here can reach the zone");
            return;
        }
        if let Some(mission) = self.missions.get_mut(id) {
            mission.reset_area(zone.reachable.clone());
        }
        match spec.objective {
            Objective::Guard => self.start_guard(now, id, &zone.reachable, spec.robots.len()),
            Objective::Survey | Objective::Search | Objective::Patrol | Objective::Deliver => {
                self.split(now, id, &zone.reachable, workers);
            }
        }
        let given = self.missions.get(id).map_or(0, |mission| mission.area().slices().len());
        if given > 0 {
            self.enter(now, id, MissionState::Assigned, &format!("split among {given} robots"));
        }
    }

    fn split(&mut self, now: MonoTime, id: MissionId, area: &Region, workers: Vec<Worker>) {
        let workers = self.allocator.limit_to_useful(area, workers, self.config.share_area_min);
        let Ok((slices, _left)) = self.allocator.allot(area, &workers) else { return };
        for (worker, cells) in workers.iter().zip(slices) {
            if !cells.is_empty() {
                self.assign(now, id, &worker.agent, Work::Sweep(cells), "its slice of the split");
            }
        }
    }

    /// Gives unowned cells to the robots that will be ready first.
    pub(crate) fn allocate_unowned(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id) else { return };
        let piece = Piece { region: mission.area().unowned().clone(), not_to: None };
        // A cell that no robot gets stays unowned, and is offered again.
        let _ragged = self.allocate_pieces(now, id, &[piece]);
    }

    /// Gives out pieces of unowned cells, each to others than its last owner if there are any; one order a robot.
    pub(crate) fn allocate_pieces(
        &mut self,
        now: MonoTime,
        id: MissionId,
        pieces: &[Piece],
    ) -> Result<(), RegionError> {
        let mut orders: BTreeMap<AgentId, Region> = BTreeMap::new();
        for Piece { region, not_to } in pieces.iter().filter(|piece| !piece.region.is_empty()) {
            let mut helpers = self.helpers(now, id);
            if helpers.iter().any(|worker| Some(&worker.agent) != not_to.as_ref()) {
                helpers.retain(|worker| Some(&worker.agent) != not_to.as_ref());
            }
            let in_time = ready_in_time(region, helpers);
            let helpers = self.allocator.limit_to_useful(region, in_time, self.config.share_area_min);
            let (slices, _left) = self.allocator.allot(region, &helpers)?;
            for (worker, cells) in helpers.iter().zip(slices).filter(|(_, cells)| !cells.is_empty()) {
                let whole = match orders.get(&worker.agent) {
                    Some(before) => before.union(&cells)?,
                    None => cells,
                };
                orders.insert(worker.agent.clone(), whole);
            }
        }
        if let Some(mission) = self.missions.get_mut(id) {
            mission.note_allocation(now);
        }
        for (agent, cells) in orders {
            let whole = self.with_open_slice(id, &agent, &cells)?;
            self.assign(now, id, &agent, Work::Sweep(whole), "cells that no robot had");
        }
        Ok(())
    }

    /// Cells together with those the robot still works on. The residual of an ended slice stays out.
    pub(crate) fn with_open_slice(&self, id: MissionId, agent: &AgentId, more: &Region) -> Result<Region, RegionError> {
        let slice = self.missions.get(id).and_then(|mission| mission.area().slice(agent));
        match slice.filter(|slice| slice.is_open()) {
            Some(slice) => slice.remaining.union(more),
            None => Ok(more.clone()),
        }
    }
}
