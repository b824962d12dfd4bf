//! Orders for work: given to a robot, and taken back.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, MissionId};
use skein_types::link::Order;
use skein_types::mission::{Assignment, MissionState, SliceState, Task};
use skein_types::region::Region;
use skein_types::safety::Latch;
use skein_types::time::MonoTime;

use crate::area::Slice;
use crate::supervisor::Supervisor;

/// What one robot is to do for a mission.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Sweep these cells.
    Sweep(Region),
    /// Go there and stay.
    Hold(Point),
}

impl Supervisor {
    /// Gives a robot work; every earlier order to it becomes stale.
    pub(crate) fn assign(&mut self, now: MonoTime, id: MissionId, agent: &AgentId, work: Work, why: &str) {
        let Some(mission) = self.missions.get_mut(id) else { return };
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let (task, remaining, post) = match work {
            Work::Sweep(region) => (Task::Survey { region: region.clone() }, Ok(region), None),
            Work::Hold(goal) => (Task::GoTo { goal, hold: None }, self.allocator.empty(), Some(goal)),
        };
        let Ok(remaining) = remaining else { return };
        let generation = robot.next_generation();
        let slice = Slice {
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
        let area = slice.given_area;
        if mission.assign(agent, slice, now).is_err() {
            return;
        }
        robot.collect_evidence(now, id, *self.allocator.frame());
        robot.begin_work(id);
        let assignment = Assignment {
            mission: id,
            generation,
            task,
            priority: mission.spec().priority,
            return_home: mission.spec().return_home,
        };
        self.persist_robot(agent);
        let payload = json!({
            "mission": id.to_string(), "robot": agent.as_str(), "generation": generation.0, "area_m2": area, "why": why,
        });
        self.out.emit_event(now, EventKind::Decision, "assigned", &payload);
        self.send_order(now, agent, Order::Assign(assignment));
        self.mark_mission_changed(id);
        self.mark_robot_changed(agent);
    }

    /// Takes an order back from a robot: sent when it can be, and until the robot answers.
    pub(crate) fn withdraw(&mut self, now: MonoTime, agent: &AgentId, id: MissionId) {
        let Some(robot) = self.robots.get_mut(agent) else { return };
        robot.next_generation();
        robot.duty.end_for(id);
        self.persist_robot(agent);
        self.send_order(now, agent, Order::Cancel(id));
        self.mark_robot_changed(agent);
    }

    /// Brings what a robot reports it does and what it should do together.
    pub(crate) fn reconcile_robot(&mut self, now: MonoTime, agent: &AgentId) {
        let Some(robot) = self.robots.get(agent).filter(|robot| robot.presence.is_connected()) else { return };
        let latched = robot.latch.level().max(self.latches.of(agent).level()) != Latch::Released;
        let (at_work, waits) = (robot.duty.reported(), robot.commands.awaits_work_order());
        let Some(id) = robot.duty.mission() else {
            if let (Some((stale, _)), false) = (at_work, waits) {
                self.withdraw(now, agent, stale);
            }
            return;
        };
        let Some(mission) = self.missions.get(id) else { return };
        let Some(slice) = mission.area().slice(agent) else { return };
        let paused = mission.state() == MissionState::Paused;
        if at_work == Some((id, slice.generation)) {
            if paused {
                self.send_order(now, agent, Order::Pause(id));
            }
            return;
        }
        // A latched robot gets its order again when it is released.
        if paused || waits || latched {
            return;
        }
        let work = match slice.post {
            Some(post) => Work::Hold(post),
            None => Work::Sweep(slice.remaining.clone()),
        };
        self.assign(now, id, agent, work, "it came back without its order");
    }
}
