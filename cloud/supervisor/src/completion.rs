//! Missions end: at their goal, without hope, or after the residual cells were tried again.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::{MissionState, SliceState};
use skein_types::time::MonoTime;

use crate::mission::Mission;
use crate::split::Piece;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Ends a mission that is at its goal or cannot get there; gives out residual cells again.
    pub(crate) fn check_completion(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id).filter(|mission| mission.is_under_way()) else { return };
        let (area, covered, guard) = (mission.area(), mission.covered(), mission.is_guard());
        let open = area.open_slices().count();
        let abandoned = now.since(mission.moved_at()) >= self.config.abandon_after;
        // A robot that is to come home would lose that order with the rest: it may finish.
        let enough = covered >= self.config.enough && !mission.spec().return_home;
        if !guard && (area.left() == 0 || enough || (open == 0 && covered >= self.config.goal)) {
            let why = format!("{:.2} % of {:.1} m² swept", 100.0 * covered, area.area().area());
            self.enter(now, id, MissionState::Done, &why);
        } else if abandoned && !(guard && open > 0) {
            let why = format!(
                "no robot made progress for {} s; {:.2} % swept",
                self.config.abandon_after.as_secs(),
                100.0 * covered
            );
            self.enter(now, id, MissionState::Failed, &why);
        } else {
            let ended = area.slices().values().any(|slice| !slice.is_open());
            if (guard && ended) || (!guard && open == 0 && (ended || mission.retried() > 0)) {
                self.retry_residual(now, id);
            }
        }
    }

    /// Every slice ended, but the goal is not reached.
    fn retry_residual(&mut self, now: MonoTime, id: MissionId) {
        let Some(mission) = self.missions.get(id) else { return };
        let ended = mission.area().slices().iter().filter(|(_, slice)| !slice.is_open());
        let owners: Vec<AgentId> = ended.map(|(agent, _)| agent.clone()).collect();
        if mission.retried() >= self.config.retries {
            let why = reason_failed(mission);
            self.enter(now, id, MissionState::Failed, &why);
            return;
        }
        if self.helpers(now, id).is_empty() {
            self.explain(now, id, "waits for a robot that can go on");
            return;
        }
        let mut pieces = Vec::new();
        for owner in owners {
            let slice = self.missions.get(id).and_then(|mission| mission.area().slice(&owner));
            let Some(slice) = slice.filter(|slice| !slice.remaining.is_empty() || slice.post.is_some()) else {
                continue;
            };
            let why = slice.reason.clone();
            pieces.push(Piece { region: slice.remaining.clone(), not_to: Some(owner.clone()) });
            self.reclaim(now, id, &owner, &why);
        }
        let Some(mission) = self.missions.get_mut(id) else { return };
        pieces.push(Piece { region: mission.area().residual().clone(), not_to: None });
        if mission.retry_residual().is_ok() {
            let _ragged = self.allocate_pieces(now, id, &pieces);
        }
        self.assign_posts(now, id);
    }

    /// The one transition of a mission: recorded, shown, and at the end its robots are released.
    pub(crate) fn enter(&mut self, now: MonoTime, id: MissionId, to: MissionState, why: &str) -> bool {
        let wall = self.out.wall_now(now);
        let Some(mission) = self.missions.get_mut(id) else { return false };
        let from = mission.state();
        if !mission.enter(to, why, wall) {
            return false;
        }
        let payload = json!({
            "mission": id.to_string(), "from": from, "to": to, "why": why,
            "covered_percent": 100.0 * mission.covered(),
        });
        self.out.emit_event(now, EventKind::StateChange, "mission_state", &payload);
        self.mark_mission_changed(id);
        if to.is_terminal() {
            self.release_robots(now, id, to, why);
        }
        true
    }

    /// The mission is over: robots that still have something to do for it are told to drop it.
    fn release_robots(&mut self, now: MonoTime, id: MissionId, end: MissionState, why: &str) {
        let Some(mission) = self.missions.get(id) else { return };
        let open: Vec<(AgentId, u64)> =
            mission.area().open_slices().map(|(agent, slice)| (agent.clone(), slice.remaining.len())).collect();
        for (agent, left) in open {
            if end == MissionState::Done && left == 0 {
                // The robot ends its order by itself, on its way home if it was asked to.
                if let Some(robot) = self.robots.get_mut(&agent) {
                    robot.duty.end();
                }
                continue;
            }
            if let Some(mission) = self.missions.get_mut(id) {
                mission.end_slice(&agent, SliceState::Cancelled, why);
            }
            self.withdraw(now, &agent, id);
        }
    }
}

fn reason_failed(mission: &Mission) -> String {
    let area = mission.area();
    let left = area.slices().values().find(|slice| !slice.remaining.is_empty());
    let regions = [area.unowned(), area.residual()].into_iter().chain(left.map(|slice| &slice.remaining));
    let place = regions
        .filter_map(|region| region.cells().next().map(|cell| region.frame().center_of(cell)))
        .next()
        .map(|at| format!(", some of it near ({:.1}, {:.1})", at.x, at.y))
        .unwrap_or_default();
    let reported = left.map(|slice| format!("; the robot reported: {}", slice.reason)).unwrap_or_default();
    let missing = area.area().area() * (1.0 - mission.covered());
    format!(
        "{:.2} % swept; {missing:.1} m² are left after {} more attempts{place}{reported}",
        100.0 * mission.covered(),
        mission.retried()
    )
}
