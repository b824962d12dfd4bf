//! What robots report of their slices.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::fleet::AlarmSeverity;
use skein_types::ids::{AgentId, Generation, MissionId};
use skein_types::mission::{MissionState, SliceProgress, SliceState};
use skein_types::time::MonoTime;

use crate::alarms::{ALARM_LINGERS, NewAlarm};
use crate::mission::Mission;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// A robot reports how far it is.
    pub(crate) fn on_progress(&mut self, now: MonoTime, agent: &AgentId, progress: SliceProgress) {
        let (id, generation) = (progress.mission, progress.generation);
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.duty.on_report((!progress.state.is_terminal()).then_some((id, generation)));
        }
        let current = self.missions.get(id).and_then(|mission| mission.area().slice(agent));
        if current.is_none_or(|slice| slice.generation != generation) {
            self.reject_stale_progress(now, agent, &progress);
            return;
        }
        if current.is_none_or(|slice| !slice.is_open()) {
            return;
        }
        let Some(mission) = self.missions.get_mut(id) else { return };
        let state = effective_state(mission, progress.state);
        let mut unbelieved = 0;
        let mut foreign = false;
        if let (Some(left), Some(robot)) = (progress.remaining, self.robots.get_mut(agent)) {
            let remaining = mission.area().slice(agent).map_or(&left, |slice| &slice.remaining);
            match robot.believed(now, id, remaining, &left) {
                Ok((left, unseen)) => {
                    unbelieved = unseen;
                    foreign = mission.shrink(agent, &left, now).is_err();
                }
                Err(_) => foreign = true,
            }
            robot.collect_evidence(now, id, *self.allocator.frame());
        }
        let changed = mission.report_slice(agent, state, progress.reason, now);
        let reason = mission.area().slice(agent).map(|slice| slice.reason.clone()).unwrap_or_default();
        self.mark_mission_changed(id);
        if foreign {
            let payload = json!({"robot": agent.as_str(), "mission": id.to_string()});
            self.out.emit_event(now, EventKind::System, "foreign_region", &payload);
        }
        if unbelieved > 0 {
            self.on_unbelieved(now, id, agent, unbelieved);
        }
        if changed {
            self.on_slice_state(now, id, agent, state, &reason);
        }
        self.check_completion(now, id);
    }

    /// A robot says it swept cells that it was never near.
    fn on_unbelieved(&mut self, now: MonoTime, id: MissionId, agent: &AgentId, cells: usize) {
        let text = format!(
            "{agent} says it swept {cells} cells of mission {id} that it was never near: they are swept again; \
             look at its survey sensor and localization"
        );
        self.raise_alarm(
            now,
            NewAlarm {
                id: &format!("coverage_not_believed:{agent}"),
                severity: AlarmSeverity::Warning,
                code: "coverage_not_believed",
                robot: Some(agent),
                text,
                lingers: Some(ALARM_LINGERS),
            },
        );
    }

    /// The state of a slice changed.
    fn on_slice_state(&mut self, now: MonoTime, id: MissionId, agent: &AgentId, state: SliceState, why: &str) {
        let payload = json!({"mission": id.to_string(), "robot": agent.as_str(), "state": state, "why": why});
        self.out.emit_event(now, EventKind::StateChange, "slice_state", &payload);
        if state.is_terminal()
            && let Some(robot) = self.robots.get_mut(agent)
        {
            robot.duty.end();
        }
        let begun = match state {
            SliceState::MovingToStart | SliceState::Executing | SliceState::Paused | SliceState::Done => true,
            SliceState::Accepted | SliceState::Failed | SliceState::Cancelled => false,
        };
        let assigned = self.missions.get(id).is_some_and(|mission| mission.state() == MissionState::Assigned);
        if begun && assigned {
            self.enter(now, id, MissionState::Running, &format!("{agent} has begun"));
        }
    }

    /// A robot works on what is not its own any more: it is told once to drop it.
    fn reject_stale_progress(&mut self, now: MonoTime, agent: &AgentId, progress: &SliceProgress) {
        if progress.state.is_terminal() {
            return;
        }
        let Some(robot) = self.robots.get(agent) else { return };
        // With newer work under way this report only crossed with it.
        if robot.duty.mission().is_none() && !robot.commands.awaits_work_order() {
            let payload = json!({
                "robot": agent.as_str(), "mission": progress.mission.to_string(), "generation": progress.generation.0,
            });
            self.out.emit_event(now, EventKind::Decision, "stale_progress_rejected", &payload);
            self.withdraw(now, agent, progress.mission);
        }
    }

    /// A robot refused its order or could not begin it.
    pub(crate) fn slice_failed(
        &mut self,
        now: MonoTime,
        agent: &AgentId,
        id: MissionId,
        generation: Generation,
        why: &str,
    ) {
        let Some(mission) = self.missions.get_mut(id) else { return };
        let slice = mission.area().slice(agent);
        if slice.is_none_or(|slice| slice.generation != generation || !slice.is_open()) {
            return;
        }
        mission.end_slice(agent, SliceState::Failed, why);
        self.on_slice_state(now, id, agent, SliceState::Failed, why);
        self.mark_mission_changed(id);
    }
}

/// Holding a place is never done before an operator ends it.
fn effective_state(mission: &Mission, reported: SliceState) -> SliceState {
    if mission.is_guard() && reported == SliceState::Done { SliceState::Executing } else { reported }
}
