//! Slices are taken from robots that cannot work.

use core::time::Duration;
use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, MissionId};
use skein_types::time::MonoTime;

use crate::api::Worker;
use crate::area::Slice;
use crate::supervisor::Supervisor;

/// A robot whose slice was reclaimed gets no new work for this long.
const RECLAIM_REST: Duration = Duration::from_secs(8);

impl Supervisor {
    /// Slices of robots that are lost, cannot work or make no progress go to others, if there are any.
    pub(crate) fn reclaim_from_unfit(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id) else { return };
        let unfit: Vec<(AgentId, String)> = mission
            .area()
            .open_slices()
            .filter_map(|(agent, slice)| self.reason_unfit(now, agent, slice).map(|why| (agent.clone(), why)))
            .collect();
        if unfit.is_empty() {
            return;
        }
        let able = |worker: &Worker| unfit.iter().all(|(agent, _)| *agent != worker.agent);
        if !self.helpers(now, id).iter().any(able) {
            return;
        }
        for (agent, why) in &unfit {
            if let Some(robot) = self.robots.get_mut(agent) {
                robot.duty.rest_until(now + RECLAIM_REST);
            }
            self.reclaim(now, id, agent, why);
        }
        self.allocate_unowned(now, id);
    }

    fn reason_unfit(&self, now: MonoTime, agent: &AgentId, slice: &Slice) -> Option<String> {
        let robot = self.robots.get(agent)?;
        if !robot.presence.is_alive(now) {
            return Some(format!("{agent} has not been heard for {} s", self.config.lost_after.as_secs()));
        }
        if robot.duty.is_unfit_for(now, self.config.unfit_after) {
            let why = self.unfit(robot)?;
            return Some(format!("{agent} {why}"));
        }
        let stuck = now.since(slice.moved_at) >= self.config.stuck_after;
        (stuck && slice.post.is_none())
            .then(|| format!("{agent} made no progress for {} s", self.config.stuck_after.as_secs()))
    }

    /// Takes a robot's slice; its cells wait for another robot.
    pub(crate) fn reclaim(&mut self, now: MonoTime, id: MissionId, agent: &AgentId, why: &str) {
        let Some(mission) = self.missions.get_mut(id) else { return };
        let Some(slice) = mission.area().slice(agent) else { return };
        let (open, area) = (slice.is_open(), slice.remaining.area());
        if mission.reclaim(agent, why).is_err() {
            return;
        }
        let payload = json!({"mission": id.to_string(), "robot": agent.as_str(), "left_m2": area, "why": why});
        self.out.emit_event(now, EventKind::Decision, "slice_reclaimed", &payload);
        if open {
            self.withdraw(now, agent, id);
        }
        self.mark_mission_changed(id);
    }
}
