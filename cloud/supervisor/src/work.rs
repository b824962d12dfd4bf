//! Orders to robots and what they say of them: assign, take back, follow, reconcile.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, Generation, MissionId};
use skein_types::link::Order;
use skein_types::mission::{Assignment, MissionState, Objective, SliceProgress, SliceState, Task};
use skein_types::region::Region;

use crate::api::At;
use crate::mission::Part;
use crate::supervisor::Supervisor;

/// What one robot is to do for a mission.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Sweep these squares.
    Sweep(Region),
    /// Go there and stay.
    Hold(Point),
}

impl Supervisor {
    /// The one way a mission gets from state to state: recorded, shown, and at the end everybody is let go.
    pub(crate) fn enter(&mut self, now: At, id: MissionId, to: MissionState, why: &str) -> bool {
        let wall = self.wall_now(now);
        let Some(mission) = self.missions.get_mut(&id) else { return false };
        let from = mission.state();
        if !mission.enter(to, why, wall) {
            return false;
        }
        let payload = json!({
            "mission": id.to_string(), "from": from, "to": to, "why": why,
            "covered_percent": 100.0 * mission.covered(),
        });
        self.note(now, EventKind::StateChange, "mission_state", &payload);
        self.touch_mission(id);
        if to.is_terminal() {
            self.let_go(now, id, to, why);
        }
        true
    }

    /// The mission is over: its robots are free. Those that still have something to do are told to drop it.
    fn let_go(&mut self, now: At, id: MissionId, end: MissionState, why: &str) {
        let Some(mission) = self.missions.get_mut(&id) else { return };
        let open: Vec<AgentId> = mission.open_parts().map(|(agent, _)| agent.clone()).collect();
        for agent in open {
            let left = self.missions.get(&id).and_then(|m| m.parts.get(&agent)).map_or(0, |part| part.remaining.len());
            if end == MissionState::Done && left == 0 {
                // The robot ends its order by itself, on its way home if it was asked to.
                if let Some(robot) = self.robots.get_mut(&agent) {
                    robot.mission = None;
                }
                continue;
            }
            let part = self.missions.get_mut(&id).and_then(|mission| mission.parts.get_mut(&agent));
            if let Some(part) = part {
                part.state = SliceState::Cancelled;
                part.reason = why.to_owned();
            }
            self.withdraw(now, &agent, id);
        }
    }

    /// Gives a robot work; every earlier order to it becomes stale.
    pub(crate) fn assign(&mut self, now: At, id: MissionId, agent: &AgentId, work: Work, why: &str) {
        let Some(mission) = self.missions.get_mut(&id) else { return };
        let Some(robot) = self.robots.get_mut(agent) else { return };
        if mission.retire(agent).is_err() {
            return;
        }
        let generation = robot.next_generation();
        robot.mission = Some(id);
        let (task, remaining, post) = match work {
            Work::Sweep(region) => (Task::Survey { region: region.clone() }, Some(region), None),
            Work::Hold(goal) => (Task::GoTo { goal, hold: None }, None, Some(goal)),
        };
        let Some(remaining) = remaining.or_else(|| self.terrain.empty().ok()) else { return };
        let part = Part {
            generation,
            state: SliceState::Accepted,
            reason: why.to_owned(),
            given_area: remaining.area(),
            left_area: 0.0,
            remaining,
            post,
            moved_at: now,
            given_at: now,
        };
        let area = part.given_area;
        mission.parts.insert(agent.clone(), part);
        mission.dirty = true;
        mission.moved_at = now;
        mission.divided_at = now;
        let assignment = Assignment {
            mission: id,
            generation,
            task,
            priority: mission.spec.priority,
            return_home: mission.spec.return_home,
        };
        self.keep_robot(agent);
        let payload = json!({
            "mission": id.to_string(), "robot": agent.as_str(), "generation": generation.0, "area_m2": area, "why": why,
        });
        self.note(now, EventKind::Decision, "assigned", &payload);
        self.command(now, agent, Order::Assign(assignment));
        self.touch_mission(id);
        self.touch_robot(agent);
    }

    /// Takes an order back from a robot: sent when it can be, and until the robot says so.
    pub(crate) fn withdraw(&mut self, now: At, agent: &AgentId, id: MissionId) {
        let Some(robot) = self.robots.get_mut(agent) else { return };
        robot.next_generation();
        if robot.mission == Some(id) {
            robot.mission = None;
        }
        self.keep_robot(agent);
        self.command(now, agent, Order::Cancel(id));
        self.touch_robot(agent);
    }

    /// Takes a robot's part of a mission away; its squares wait for somebody else.
    pub(crate) fn take_away(&mut self, now: At, id: MissionId, agent: &AgentId, why: &str) {
        let Some(mission) = self.missions.get_mut(&id) else { return };
        let Some(part) = mission.parts.get(agent) else { return };
        let (open, area) = (!part.state.is_terminal(), part.remaining.area());
        if mission.take_away(agent, why).is_err() {
            return;
        }
        let payload = json!({"mission": id.to_string(), "robot": agent.as_str(), "left_m2": area, "why": why});
        self.note(now, EventKind::Decision, "taken_away", &payload);
        if open {
            self.withdraw(now, agent, id);
        }
        self.touch_mission(id);
    }

    /// A robot says how far it is.
    pub(crate) fn follow(&mut self, now: At, agent: &AgentId, progress: SliceProgress) {
        let (id, generation) = (progress.mission, progress.generation);
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.at_work = (!progress.state.is_terminal()).then_some((id, generation));
        }
        let current = self.missions.get(&id).and_then(|mission| mission.parts.get(agent));
        if current.is_none_or(|part| part.generation != generation) {
            self.disown(now, agent, &progress);
            return;
        }
        let state = self.state_followed(id, progress.state);
        let Some(mission) = self.missions.get_mut(&id) else { return };
        let Some(part) = mission.parts.get_mut(agent) else { return };
        if part.state.is_terminal() {
            return;
        }
        let changed = part.state != state;
        part.state = state;
        if !progress.reason.is_empty() {
            part.reason = progress.reason;
        }
        let shrunk = progress.remaining.as_ref().and_then(|left| part.remaining.intersection(left).ok());
        let foreign = progress.remaining.is_some() && shrunk.is_none();
        if let Some(left) = shrunk
            && left.len() < part.remaining.len()
        {
            part.remaining = left;
            part.moved_at = now;
            mission.moved_at = now;
            mission.progressed = true;
        }
        if changed {
            part.moved_at = now;
            mission.moved_at = now;
            mission.dirty = true;
        }
        let part_reason = part.reason.clone();
        self.touch_mission(id);
        if foreign {
            self.note(
                now,
                EventKind::System,
                "foreign_region",
                &json!({"robot": agent.as_str(), "mission": id.to_string()}),
            );
        }
        if changed {
            self.followed(now, id, agent, state, &part_reason);
        }
        self.conclude(now, id);
    }

    /// Holding a place is never done before somebody ends it.
    fn state_followed(&self, id: MissionId, said: SliceState) -> SliceState {
        let guard = self.missions.get(&id).is_some_and(|mission| mission.spec.objective == Objective::Guard);
        if guard && said == SliceState::Done { SliceState::Executing } else { said }
    }

    /// A part's state changed.
    fn followed(&mut self, now: At, id: MissionId, agent: &AgentId, state: SliceState, why: &str) {
        let payload = json!({"mission": id.to_string(), "robot": agent.as_str(), "state": state, "why": why});
        self.note(now, EventKind::StateChange, "slice_state", &payload);
        if state.is_terminal()
            && let Some(robot) = self.robots.get_mut(agent)
        {
            robot.mission = None;
        }
        let begun = match state {
            SliceState::MovingToStart | SliceState::Executing | SliceState::Paused | SliceState::Done => true,
            SliceState::Accepted | SliceState::Failed | SliceState::Cancelled => false,
        };
        let assigned = self.missions.get(&id).is_some_and(|mission| mission.state() == MissionState::Assigned);
        if begun && assigned {
            self.enter(now, id, MissionState::Running, &format!("{agent} has begun"));
        }
    }

    /// A robot works on what is not its own any more: it is told, once.
    fn disown(&mut self, now: At, agent: &AgentId, progress: &SliceProgress) {
        if progress.state.is_terminal() {
            return;
        }
        let Some(robot) = self.robots.get(agent) else { return };
        // With newer work on its way this report only crossed with it.
        if robot.mission.is_none() && !robot.awaits_order() {
            let payload = json!({
                "robot": agent.as_str(), "mission": progress.mission.to_string(), "generation": progress.generation.0,
            });
            self.note(now, EventKind::Decision, "stale_work", &payload);
            self.withdraw(now, agent, progress.mission);
        }
    }

    /// A robot refused its order or could not begin it.
    pub(crate) fn part_failed(&mut self, now: At, agent: &AgentId, id: MissionId, generation: Generation, why: &str) {
        let part = self.missions.get_mut(&id).and_then(|mission| mission.parts.get_mut(agent));
        let Some(part) = part.filter(|part| part.generation == generation && !part.state.is_terminal()) else { return };
        part.state = SliceState::Failed;
        part.reason = why.to_owned();
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.dirty = true;
        }
        self.followed(now, id, agent, SliceState::Failed, why);
        self.touch_mission(id);
    }

    /// Brings what a robot says it does and what it should do together.
    pub(crate) fn reconcile(&mut self, now: At, agent: &AgentId) {
        let Some(robot) = self.robots.get(agent).filter(|robot| robot.connected) else { return };
        let at_work = robot.at_work;
        let waits = robot.awaits_order();
        let Some(id) = robot.mission else {
            if let (Some((stale, _)), false) = (at_work, waits) {
                self.withdraw(now, agent, stale);
            }
            return;
        };
        let Some(mission) = self.missions.get(&id) else { return };
        let Some(part) = mission.parts.get(agent) else { return };
        let paused = mission.state() == MissionState::Paused;
        if at_work == Some((id, part.generation)) {
            if paused {
                self.command(now, agent, Order::Pause(id));
            }
            return;
        }
        if paused || waits {
            return;
        }
        let work = match part.post {
            Some(post) => Work::Hold(post),
            None => Work::Sweep(part.remaining.clone()),
        };
        self.assign(now, id, agent, work, "it came back without its order");
    }
}
