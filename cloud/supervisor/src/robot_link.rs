//! Robots connect, report, fall silent and disconnect.

use std::collections::BTreeMap;

use core::time::Duration;
use serde_json::json;
use skein_types::event::{EventBatch, EventKind};
use skein_types::ids::{AgentId, BootId};
use skein_types::link::{AgentReport, CommandAck, CommandOutcome, Hello, Order, SCHEMA_VERSION};
use skein_types::safety::Latch;
use skein_types::telemetry::TelemetryBatch;

use skein_types::time::MonoTime;

use crate::api::Output;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::robot::{Robot, record_of};
use crate::supervisor::Supervisor;

/// A robot that refused its work gets no other for this long.
const REST: Duration = Duration::from_secs(10);
/// After a refusal the generation leaps, in case the robot knows a later one than a supervisor that lost its memory.
const GENERATION_LEAP: u64 = 16;
/// How often a silent robot is shown again with its age.
const SHOW_SILENT: Duration = Duration::from_secs(1);
/// Silent for longer than this is shown as such.
const SILENT: Duration = Duration::from_millis(500);
/// Most robots that are known at a time; far above what one supervisor is for.
const ROBOTS_MAX: usize = 4096;

impl Supervisor {
    /// A robot opened a stream.
    pub(crate) fn on_hello(&mut self, now: MonoTime, hello: &Hello) {
        let agent = hello.agent.clone();
        if let Err(refusal) = self.admit(hello) {
            let payload = json!({"robot": agent.as_str(), "code": refusal.code(), "why": refusal.to_string()});
            self.out.emit_event(now, EventKind::Decision, "robot_refused", &payload);
            self.out.act(Output::RejectRobot { agent, refusal });
            return;
        }
        let wrong_map =
            !self.config.map_hash.is_empty() && !hello.map_hash.is_empty() && hello.map_hash != self.config.map_hash;
        let alive_until = now + self.config.lost_after;
        let robot = self
            .robots
            .entry(agent.clone())
            .or_insert_with(|| Robot::new(record_of(hello, Default::default()), alive_until));
        let said = hello.working_on.map(|(_, generation)| generation).unwrap_or_default();
        let known = record_of(hello, robot.record.generation.max(said));
        if known.boot != robot.record.boot {
            // What was known of its earlier life says nothing about this one.
            robot.telemetry = None;
            robot.latch = Latch::Released;
        }
        let changed = known != robot.record || robot.revision == 0;
        robot.record = known;
        robot.connected = true;
        robot.alive_until = alive_until;
        robot.wrong_map = wrong_map;
        robot.at_work = hello.working_on;
        let effective = robot.on_reconnect(hello.last_command);
        self.arrival_at = now;
        let payload = json!({"robot": agent.as_str(), "boot": hello.boot.to_string(), "wrong_map": wrong_map});
        self.out.emit_event(now, EventKind::System, "robot_connected", &payload);
        if changed {
            self.persist_robot(&agent);
        }
        for command in effective {
            self.on_ack(now, &agent, &CommandAck { command, outcome: CommandOutcome::Done });
        }
        // What the command was for may have been taken back since; the robot's own word counts.
        if let Some(robot) = self.robots.get_mut(&agent) {
            robot.at_work = hello.working_on;
        }
        self.reconcile_robot(now, &agent);
        self.stop_latecomer(now, &agent);
        self.send_due(now, &agent);
        self.mark_robot_changed(&agent);
    }

    fn admit(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.fleet != self.config.fleet {
            return Err(Refusal::WrongFleet(hello.fleet.clone()));
        }
        if hello.schema_version != SCHEMA_VERSION {
            return Err(Refusal::WrongSchema(hello.schema_version));
        }
        if !hello.body.is_sound() {
            return Err(Refusal::UnsoundBody);
        }
        if self.robots.len() >= ROBOTS_MAX && !self.robots.contains_key(&hello.agent) {
            return Err(Refusal::TooManyRobots(self.robots.len()));
        }
        Ok(())
    }

    /// STOP for everyone holds for who comes later, too.
    fn stop_latecomer(&mut self, now: MonoTime, agent: &AgentId) {
        let Some(reason) = self.stop_all.clone() else { return };
        let free = self.robots.get(agent).is_some_and(|robot| robot.latch == Latch::Released && !robot.awaits_stop());
        if free {
            self.send_order(now, agent, Order::Stop(reason));
        }
    }

    /// A robot's stream ended. It is lost only when it stays away.
    pub(crate) fn on_disconnect(&mut self, now: MonoTime, agent: &AgentId) {
        let Some(robot) = self.robots.get_mut(agent).filter(|robot| robot.connected) else { return };
        robot.connected = false;
        self.out.emit_event(now, EventKind::System, "robot_disconnected", &json!({"robot": agent.as_str()}));
        self.mark_robot_changed(agent);
    }

    /// A robot reported something.
    pub(crate) fn on_report(&mut self, now: MonoTime, agent: &AgentId, report: AgentReport) {
        if let AgentReport::Hello(hello) = report {
            self.on_hello(now, &hello);
            return;
        }
        let lost_after = self.config.lost_after;
        let Some(robot) = self.robots.get_mut(agent).filter(|robot| robot.connected) else { return };
        robot.alive_until = now + lost_after;
        match report {
            AgentReport::Hello(_) => {}
            AgentReport::Telemetry(batch) => self.on_telemetry(now, agent, batch),
            AgentReport::Ack(ack) => self.on_ack(now, agent, &ack),
            AgentReport::Progress(progress) => self.on_progress(now, agent, progress),
            AgentReport::Events(batch) => self.on_events(now, agent, batch),
        }
    }

    fn on_telemetry(&mut self, now: MonoTime, agent: &AgentId, mut batch: TelemetryBatch) {
        let Some(sample) = batch.samples.pop().filter(|sample| sample.agent == *agent) else { return };
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.observe(now, sample);
        }
        self.mark_robot_changed(agent);
    }

    /// A robot answered a command.
    pub(crate) fn on_ack(&mut self, now: MonoTime, agent: &AgentId, ack: &CommandAck) {
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let Some(command) = robot.on_ack(now, ack.command, &ack.outcome) else { return };
        match (&command.order, &ack.outcome) {
            (Order::Assign(assignment), CommandOutcome::Accepted | CommandOutcome::Done) => {
                robot.at_work = Some((assignment.mission, assignment.generation));
            }
            (Order::Assign(assignment), CommandOutcome::Rejected(why) | CommandOutcome::Failed(why)) => {
                robot.no_work_until = now + REST;
                robot.record.generation.0 = robot.record.generation.0.saturating_add(GENERATION_LEAP);
                self.persist_robot(agent);
                let why = format!("{agent} refused it: {why}");
                self.slice_failed(now, agent, assignment.mission, assignment.generation, &why);
            }
            (Order::Cancel(_), _) => robot.at_work = None,
            (
                Order::Pause(_)
                | Order::Resume(_)
                | Order::Stop(_)
                | Order::Kill(_)
                | Order::Release(_)
                | Order::EventsKept { .. },
                _,
            ) => {}
        }
        let payload = json!({
            "robot": agent.as_str(), "command": ack.command.to_string(), "outcome": &ack.outcome,
        });
        self.out.emit_event(now, EventKind::Command, "command_acknowledged", &payload);
        self.out.act(Output::Acknowledged { agent: agent.clone(), command: ack.command, outcome: ack.outcome.clone() });
        self.mark_robot_changed(agent);
    }

    /// A robot's record goes into ours; once it is durable, the robot may forget it.
    fn on_events(&mut self, now: MonoTime, agent: &AgentId, batch: EventBatch) {
        let sent = batch.events.len();
        let own: Vec<_> = batch.events.into_iter().filter(|event| event.agent == *agent).collect();
        if own.len() < sent {
            let payload = json!({"robot": agent.as_str(), "events": sent - own.len()});
            self.out.emit_event(now, EventKind::Safety, "foreign_events_refused", &payload);
        }
        let mut last: BTreeMap<BootId, u64> = BTreeMap::new();
        for event in &own {
            let sequence = last.entry(event.boot).or_default();
            *sequence = event.sequence.max(*sequence);
        }
        if !own.is_empty() {
            self.out.persist(Record::Events(own));
        }
        for (boot, sequence) in last {
            self.send_unacknowledged(agent, Order::EventsKept { boot, sequence });
        }
    }

    /// Fit for work: there, free to move, charged, on the same map.
    pub(crate) fn is_fit(&self, now: MonoTime, robot: &Robot) -> bool {
        robot.is_alive(now) && now >= robot.no_work_until && robot.unfit(self.config.battery_min).is_none()
    }

    /// Fit, and nothing to do.
    pub(crate) fn is_free(&self, now: MonoTime, robot: &Robot) -> bool {
        let busy = robot.mission.and_then(|id| self.missions.get(id)).is_some_and(|mission| {
            !mission.state().is_terminal()
                && mission.area().slice(&robot.record.agent).is_some_and(|slice| !slice.state.is_terminal())
        });
        !busy && self.is_fit(now, robot)
    }

    /// Sends what is due, notices who cannot work, shows who is silent.
    pub(crate) fn check_robots(&mut self, now: MonoTime) {
        let battery_min = self.config.battery_min;
        let agents: Vec<AgentId> = self.robots.keys().cloned().collect();
        for agent in agents {
            self.send_due(now, &agent);
            let Some(robot) = self.robots.get_mut(&agent) else { continue };
            if robot.unfit(battery_min).is_none() {
                robot.unfit_since = None;
            } else if robot.unfit_since.is_none() {
                robot.unfit_since = Some(now);
            }
            let silent = robot.telemetry.is_some() && now.since(robot.telemetry_at) > SILENT;
            if silent && now.since(robot.shown_at) >= SHOW_SILENT {
                robot.shown_at = now;
                self.mark_robot_changed(&agent);
            }
        }
    }

    fn send_due(&mut self, now: MonoTime, agent: &AgentId) {
        let resend_after = self.config.resend_after;
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let due = robot.take_due(now, resend_after);
        self.send_all(agent, due);
    }
}
