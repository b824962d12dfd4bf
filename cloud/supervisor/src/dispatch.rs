//! Missions are looked after in turn: begun, reclaimed, rebalanced and brought to their end.

use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::MissionState;
use skein_types::time::MonoTime;

use crate::allocation::SWEEP_YIELD;
use crate::api::Worker;
use crate::mission::Mission;
use crate::supervisor::Supervisor;
use core::time::Duration;

/// Cells that no robot could be given are offered again after this.
const OFFER_PERIOD: Duration = Duration::from_secs(2);

impl Supervisor {
    /// One round over all open missions, the urgent first, then the older.
    pub(crate) fn dispatch(&mut self, now: MonoTime) {
        for id in self.missions.open_by_urgency() {
            match self.missions.get(id).map(Mission::state) {
                Some(MissionState::Queued) => self.try_start(now, id),
                Some(MissionState::Assigned | MissionState::Running) => self.reconcile_mission(now, id),
                Some(
                    MissionState::Draft
                    | MissionState::Paused
                    | MissionState::Done
                    | MissionState::Failed
                    | MissionState::Cancelled,
                )
                | None => {}
            }
        }
    }

    fn reconcile_mission(&mut self, now: MonoTime, id: MissionId) {
        self.reclaim_from_unfit(now, id);
        let offer = self.missions.get(id).is_some_and(|mission| {
            !mission.area().unowned().is_empty() && now.since(mission.allocated_at()) >= OFFER_PERIOD
        });
        if offer {
            self.allocate_unowned(now, id);
        }
        self.assign_posts(now, id);
        self.rebalance(now, id);
        self.check_completion(now, id);
    }

    /// Robots that may take work of a mission under way: those at work on it, and the free ones.
    pub(crate) fn helpers(&self, now: MonoTime, id: MissionId) -> Vec<Worker> {
        let Some(mission) = self.missions.get(id) else { return Vec::new() };
        let mut helpers = Vec::new();
        for (agent, robot) in self.robots.iter().filter(|(agent, _)| mission.admits(agent)) {
            let slice = mission.area().slice(agent).filter(|slice| slice.is_open());
            let worker = robot.worker(0.0);
            match slice {
                Some(slice) if self.is_fit(now, robot) => {
                    let busy = slice.remaining.area() / (SWEEP_YIELD * worker.ability).max(0.01);
                    helpers.push(Worker { busy, ..worker });
                }
                Some(_) => {}
                None if self.is_free(now, robot) => helpers.push(worker),
                None => {}
            }
        }
        helpers
    }

    /// Robots that could begin a mission now.
    pub(crate) fn workers_for(&self, now: MonoTime, robots: &[AgentId]) -> Vec<Worker> {
        let may = |agent: &AgentId| robots.is_empty() || robots.contains(agent);
        let free = self.robots.values().filter(|robot| may(robot.id()) && self.is_free(now, robot));
        free.map(|robot| robot.worker(0.0)).collect()
    }

    /// A new reason for the same state, shown when it differs.
    pub(crate) fn explain(&mut self, now: MonoTime, id: MissionId, why: &str) {
        let wall = self.out.wall_now(now);
        let Some(mission) = self.missions.get_mut(id).filter(|mission| mission.reason() != why) else { return };
        mission.explain(why, wall);
        self.mark_mission_changed(id);
    }
}
