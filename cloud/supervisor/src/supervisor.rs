//! The core itself: it owns its parts, routes each input to a handler and brings the outputs out.

use std::collections::BTreeMap;
use std::sync::Arc;

use core::time::Duration;
use serde_json::json;
use skein_space::planning::PlanningMap;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, CommandId, MissionId};
use skein_types::link::{CloudCommand, Order};
use skein_types::time::{MonoTime, WallTime};

use crate::allocation::Allocator;
use crate::api::{Input, Output, SupervisorConfig, TimerKind};
use crate::leases::Leases;
use crate::mission::Mission;
use crate::missions::Missions;
use crate::outbound::Outbound;
use crate::record::Record;
use crate::robot::Robot;

/// How often the supervisor checks everything that no message reminds it of.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_millis(250);

/// The supervisor.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) config: SupervisorConfig,
    pub(crate) allocator: Allocator,
    pub(crate) robots: BTreeMap<AgentId, Robot>,
    pub(crate) missions: Missions,
    pub(crate) leases: Leases,
    /// STOP for all robots, those that connect later included, and why.
    pub(crate) stop_all: Option<String>,
    /// When a robot last connected.
    pub(crate) arrival_at: MonoTime,
    pub(crate) out: Outbound,
    next_check: Option<MonoTime>,
}

impl Supervisor {
    /// A supervisor that knows nothing but the map.
    #[must_use]
    pub fn new(config: SupervisorConfig, map: Arc<PlanningMap>) -> Self {
        Self {
            out: Outbound::new(config.epoch),
            config,
            allocator: Allocator::new(map),
            robots: BTreeMap::new(),
            missions: Missions::default(),
            leases: Leases::default(),
            stop_all: None,
            arrival_at: MonoTime::ZERO,
            next_check: None,
        }
    }

    /// One thing happened. Drain [`Self::poll_output`] afterwards.
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        match input {
            Input::Wall(wall) => self.out.set_wall(now, wall),
            Input::Restore(records) => self.restore(now, records),
            Input::Connected(hello) => self.on_hello(now, &hello),
            Input::Report { agent, report } => self.on_report(now, &agent, report),
            Input::Disconnected(agent) => self.on_disconnect(now, &agent),
            Input::Request(request) => {
                let answer = self.on_request(now, *request);
                self.out.act(Output::Answer(answer));
            }
            Input::Tick => {}
        }
        self.check_timers(now);
        self.flush(now);
    }

    /// What the shell has to do next; `None` when there is nothing more.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// When to send [`Input::Tick`] at the latest, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(MonoTime, TimerKind)> {
        self.next_check.map(|at| (at, TimerKind::Housekeeping))
    }

    /// What the supervisor's wall clock shows.
    #[must_use]
    pub fn wall_now(&self, now: MonoTime) -> WallTime {
        self.out.wall_now(now)
    }

    fn check_timers(&mut self, now: MonoTime) {
        if self.next_check.is_some_and(|due| now >= due) {
            self.leases.expire(now);
            self.check_robots(now);
            self.dispatch(now);
            self.next_check = Some(now + HOUSEKEEPING_PERIOD);
        }
        let idle = self.robots.is_empty() && self.missions.is_empty() && self.leases.is_empty();
        if self.next_check.is_none() && !idle {
            self.next_check = Some(now + HOUSEKEEPING_PERIOD);
        }
    }

    /// Brings out what this call changed: records first, then what depends on them.
    fn flush(&mut self, now: MonoTime) {
        for mission in self.missions.values_mut() {
            if let Some(record) = mission.take_record(now) {
                self.out.persist(Record::Mission(Box::new(record)));
            }
        }
        self.out.flush();
    }

    /// Records what is known of a robot.
    pub(crate) fn persist_robot(&mut self, agent: &AgentId) {
        if let Some(robot) = self.robots.get(agent) {
            self.out.persist(Record::Robot(Box::new(robot.record.clone())));
        }
    }

    /// The robot changed for viewers.
    pub(crate) fn mark_robot_changed(&mut self, agent: &AgentId) {
        let revision = self.out.next_revision();
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.revision = revision;
        }
    }

    /// The mission changed for viewers.
    pub(crate) fn mark_mission_changed(&mut self, id: MissionId) {
        let revision = self.out.next_revision();
        if let Some(mission) = self.missions.get_mut(id) {
            mission.set_revision(revision);
        }
    }

    /// Gives an order to a robot: sent at once when its stream is open, and again until it is answered.
    pub(crate) fn send_order(&mut self, now: MonoTime, agent: &AgentId, order: Order) -> Option<CommandId> {
        let id = self.out.next_command();
        let wall = self.out.wall_now(now);
        let resend_after = self.config.resend_after;
        let give_up_after = matches!(order, Order::Release(_)).then_some(self.config.release_expiry);
        let robot = self.robots.get_mut(agent)?;
        let command = CloudCommand {
            id,
            generation: robot.record.generation,
            // Clocks differ by up to a minute; the robot must not refuse a release that was just given.
            expires_at: give_up_after.map(|after| wall + after + Duration::from_secs(60)),
            order,
        };
        let name = command.order.name();
        let generation = command.generation;
        robot.enqueue(command, give_up_after.map(|after| now + after));
        let due = robot.take_due(now, resend_after);
        self.send_all(agent, due);
        let payload =
            json!({"robot": agent.as_str(), "order": name, "command": id.to_string(), "generation": generation.0});
        self.out.emit_event(now, EventKind::Command, "command_given", &payload);
        Some(id)
    }

    /// A command that needs no answer.
    pub(crate) fn send_unacknowledged(&mut self, agent: &AgentId, order: Order) {
        let id = self.out.next_command();
        if let Some(robot) = self.robots.get(agent) {
            let command = CloudCommand { id, generation: robot.record.generation, expires_at: None, order };
            self.out.act(Output::Send { agent: agent.clone(), command });
        }
    }

    pub(crate) fn send_all(&mut self, agent: &AgentId, commands: Vec<CloudCommand>) {
        for command in commands {
            self.out.act(Output::Send { agent: agent.clone(), command });
        }
    }

    /// Continues from what was recorded before this start.
    fn restore(&mut self, now: MonoTime, records: Vec<Record>) {
        let alive_until = now + self.config.restart_grace;
        for record in records {
            match record {
                Record::Mission(record) => self.missions.insert(Mission::restored(*record, now)),
                Record::Robot(record) => {
                    self.robots.insert(record.agent.clone(), Robot::new(*record, alive_until));
                }
                Record::StopAll(reason) => self.stop_all = reason,
                Record::Events(_) => {}
            }
        }
        self.restore_assignments();
        // Robots come back one after the other: what is queued waits for them.
        self.arrival_at = alive_until;
        let revision = self.out.next_revision();
        self.missions.values_mut().for_each(|mission| mission.set_revision(revision));
        self.robots.values_mut().for_each(|robot| robot.revision = revision);
        let payload = json!({"missions": self.missions.len(), "robots": self.robots.len()});
        self.out.emit_event(now, EventKind::System, "restored", &payload);
    }

    /// Each robot with an open slice works on that mission.
    fn restore_assignments(&mut self) {
        for mission in self.missions.open() {
            for (agent, _) in mission.area().open_slices() {
                if let Some(robot) = self.robots.get_mut(agent) {
                    robot.mission = Some(mission.id());
                }
            }
        }
    }
}
