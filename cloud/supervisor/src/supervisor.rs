//! The core itself: it owns its parts, routes each input to a handler and brings the outputs out.

use std::sync::Arc;

use core::time::Duration;
use serde_json::json;
use skein_space::planning::PlanningMap;
use skein_types::authority::{LatchAction, LatchRegister, LatchRequest, LatchScope, Term};
use skein_types::event::EventKind;
use skein_types::fleet::AlarmSeverity;
use skein_types::ids::{AgentId, CommandId, MissionId};
use skein_types::link::{CloudCommand, Order};
use skein_types::time::{MonoTime, WallTime};

use crate::alarms::{Alarms, NewAlarm};
use crate::allocation::Allocator;
use crate::api::{Input, Output, StorageState, SupervisorConfig, TimerKind};
use crate::hazards::HazardMap;
use crate::latches::WantedLatches;
use crate::leases::Leases;
use crate::mission::Mission;
use crate::missions::Missions;
use crate::outbound::Outbound;
use crate::record::Record;
use crate::robot::Robot;
use crate::roster::Roster;

/// How often the supervisor checks everything that no message reminds it of.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_millis(250);

/// The supervisor's core: owns the parts of the state and routes each input to its handler.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) config: SupervisorConfig,
    pub(crate) allocator: Allocator,
    pub(crate) robots: Roster,
    pub(crate) missions: Missions,
    pub(crate) leases: Leases,
    /// The latches that robots should have.
    pub(crate) latches: WantedLatches,
    pub(crate) alarms: Alarms,
    pub(crate) hazards: HazardMap,
    pub(crate) storage: StorageState,
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
            robots: Roster::default(),
            missions: Missions::default(),
            leases: Leases::default(),
            latches: WantedLatches::default(),
            alarms: Alarms::default(),
            hazards: HazardMap::default(),
            storage: StorageState::Healthy,
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
            Input::IdentityConflict { agent, what } => self.on_identity_conflict(now, &agent, &what),
            Input::Storage(state) => self.on_storage(now, state),
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
            self.expire_leases(now);
            self.expire_alarms(now);
            self.check_robots(now);
            self.forget_strangers(now);
            self.dispatch(now);
            self.next_check = Some(now + HOUSEKEEPING_PERIOD);
        }
        let idle =
            self.robots.is_empty() && self.missions.is_empty() && self.leases.is_empty() && self.alarms.is_empty();
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
            self.out.persist(Record::Robot(Box::new(robot.record().clone())));
        }
    }

    /// The robot changed for viewers.
    pub(crate) fn mark_robot_changed(&mut self, agent: &AgentId) {
        let revision = self.out.next_revision();
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.set_revision(revision);
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
        let resend_after = self.config.resend_after;
        let robot = self.robots.get_mut(agent)?;
        let command = self.out.command(id, robot.generation(), order);
        let name = command.order.name();
        let generation = command.generation;
        robot.commands.push(command);
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
            let command = self.out.command(id, robot.generation(), order);
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
        let mut stop_all = None;
        let mut term = Term(0);
        for record in records {
            match record {
                Record::Mission(record) => self.missions.insert(Mission::restored(*record, now)),
                Record::Robot(record) => {
                    self.robots.insert(Robot::new(*record, now, alive_until));
                }
                Record::Latch(record) => self.latches.restore(*record),
                Record::Lease(record) => self.restore_lease(now, *record),
                Record::Term(kept) => term = kept,
                Record::Hazards(hazards) => self.hazards.restore(hazards),
                Record::StopAll(reason) => stop_all = reason,
                Record::Events(_) | Record::LeaseEnded(_) | Record::RobotForgotten(_) => {}
            }
        }
        self.out.begin_term_after(term);
        self.restore_stop_all(now, stop_all);
        self.restore_assignments();
        // Robots come back one after the other: what is queued waits for them.
        if !self.robots.is_empty() {
            self.robots.on_arrival(alive_until);
        }
        let revision = self.out.next_revision();
        self.missions.values_mut().for_each(|mission| mission.set_revision(revision));
        self.robots.values_mut().for_each(|robot| robot.set_revision(revision));
        let payload =
            json!({"missions": self.missions.len(), "robots": self.robots.len(), "term": self.out.term().to_string()});
        self.out.emit_event(now, EventKind::System, "restored", &payload);
    }

    /// A STOP for all that an earlier release recorded becomes the fleet's register, once.
    fn restore_stop_all(&mut self, now: MonoTime, reason: Option<String>) {
        let Some(reason) = reason.filter(|_| *self.latches.fleet() == LatchRegister::released()) else { return };
        let request = LatchRequest {
            id: self.out.next_command(),
            scope: LatchScope::Fleet,
            action: LatchAction::Stop,
            reason,
            by: LatchRegister::released().by,
            at: self.out.wall_now(now),
        };
        // STOP is never refused.
        if self.latches.apply(None, &request).is_ok() {
            self.persist_latch(None);
        }
    }

    /// A robot has seen a later term than ours (the ledger was lost): ours must be later still, or it obeys nothing.
    pub(crate) fn raise_term(&mut self, now: MonoTime, seen: Term) {
        if seen > self.out.term() {
            self.out.begin_term_after(seen);
            let payload = json!({"seen": seen.to_string(), "term": self.out.term().to_string()});
            self.out.emit_event(now, EventKind::System, "term_raised", &payload);
        }
    }

    /// Records become durable again, or no longer.
    fn on_storage(&mut self, now: MonoTime, state: StorageState) {
        match &state {
            StorageState::Healthy => self.clear_alarm(now, "store_full"),
            StorageState::Failing(why) => {
                let text =
                    format!("the ledger cannot be written ({why}): free disk space; STOP works, new missions wait");
                self.raise_alarm(
                    now,
                    NewAlarm {
                        id: "store_full",
                        severity: AlarmSeverity::Critical,
                        code: "store_full",
                        robot: None,
                        text,
                        lingers: None,
                    },
                );
            }
        }
        self.storage = state;
    }

    /// Each robot with an open slice works on that mission.
    fn restore_assignments(&mut self) {
        for mission in self.missions.open() {
            for (agent, _) in mission.area().open_slices() {
                if let Some(robot) = self.robots.get_mut(agent) {
                    robot.duty.begin(mission.id());
                }
            }
        }
    }
}
