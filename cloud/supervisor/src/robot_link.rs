//! Robots connect, report, fall silent and disconnect.

use std::collections::BTreeMap;

use core::time::Duration;
use serde_json::json;
use skein_types::event::{EventBatch, EventKind};
use skein_types::ids::{AgentId, BootId, CommandId, Generation};
use skein_types::link::{AgentReport, CommandAck, CommandOutcome, Hello, Order, SCHEMA};
use skein_types::telemetry::TelemetryBatch;

use skein_types::time::MonoTime;

use crate::api::Output;
use crate::identity::proved_key;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::robot::{Robot, record_of};
use crate::supervisor::Supervisor;

/// A robot that refused its work gets no other for this long.
const REST: Duration = Duration::from_secs(10);

impl Supervisor {
    /// A robot opened a stream.
    pub(crate) fn on_hello(&mut self, now: MonoTime, hello: &Hello) {
        let agent = hello.agent.clone();
        if let Err(refusal) = self.admit(now, hello) {
            self.on_refused(now, &agent, &refusal);
            self.out.act(Output::RejectRobot { agent, refusal });
            return;
        }
        let effective = self.enter_robot(now, hello);
        // First of all the robot learns how it is latched: nothing it is given later may move it before.
        self.on_latch_report(now, &agent, hello.latch.clone());
        for command in effective {
            self.on_ack(now, &agent, &CommandAck { command, outcome: CommandOutcome::Done });
        }
        // What the command was for may have been taken back since; the robot's own report counts.
        if let Some(robot) = self.robots.get_mut(&agent) {
            robot.duty.on_report(hello.working_on);
        }
        self.reconcile_robot(now, &agent);
        self.send_due(now, &agent);
        let grant = self.leases.grant(now, &agent);
        if grant.is_some() || hello.latch.lease.is_some() {
            self.send_order(now, &agent, Order::Lease(grant));
        }
        self.send_hazards(&agent);
        self.check_keys(now);
        self.mark_robot_changed(&agent);
    }

    /// What a Hello says is known from now on. Commands that took effect before are returned.
    fn enter_robot(&mut self, now: MonoTime, hello: &Hello) -> Vec<CommandId> {
        let agent = hello.agent.clone();
        let map = &self.config.map_hash;
        let wrong_map = !map.is_empty() && !hello.map_hash.is_empty() && hello.map_hash != *map;
        let alive_until = now + self.config.lost_after;
        let new = || Robot::new(record_of(hello, Generation::default(), String::new(), false), now, alive_until);
        let robot = self.robots.get_or_insert(&agent, new);
        let said = hello.working_on.map(|(_, generation)| generation).unwrap_or_default();
        let before = robot.record();
        let key = if before.key.is_empty() { proved_key(hello) } else { before.key.clone() };
        let known = record_of(hello, before.generation.max(said), key, before.worked);
        let (changed, effective) = robot.on_hello(known, alive_until, wrong_map, hello);
        self.robots.on_arrival(now);
        let payload = json!({
            "robot": agent.as_str(), "boot": hello.boot.to_string(), "wrong_map": wrong_map,
            "proved": hello.proof.is_some(), "schema": SCHEMA.common(hello.schema),
        });
        self.out.emit_event(now, EventKind::System, "robot_connected", &payload);
        if changed {
            self.persist_robot(&agent);
        }
        effective
    }

    /// A robot's stream ended. It is lost only when it stays away.
    pub(crate) fn on_disconnect(&mut self, now: MonoTime, agent: &AgentId) {
        let Some(robot) = self.robots.get_mut(agent).filter(|robot| robot.presence.is_connected()) else { return };
        robot.presence.on_disconnect(now);
        self.out.emit_event(now, EventKind::System, "robot_disconnected", &json!({"robot": agent.as_str()}));
        self.check_keys(now);
        self.mark_robot_changed(agent);
    }

    /// A robot reported something.
    pub(crate) fn on_report(&mut self, now: MonoTime, agent: &AgentId, report: AgentReport) {
        let lost_after = self.config.lost_after;
        let Some(robot) = self.robots.get_mut(agent).filter(|robot| robot.presence.is_connected()) else { return };
        robot.presence.on_heard(now + lost_after);
        match report {
            AgentReport::Hello(hello) => self.on_second_hello(now, agent, &hello),
            AgentReport::Telemetry(batch) => self.on_telemetry(now, agent, batch),
            AgentReport::Ack(ack) => self.on_ack(now, agent, &ack),
            AgentReport::Progress(progress) => self.on_progress(now, agent, progress),
            AgentReport::Events(batch) => self.on_events(now, agent, batch),
            AgentReport::Latch(report) => self.on_latch_report(now, agent, report),
            AgentReport::Hazards(hazards) => self.on_hazards(now, agent, hazards),
        }
    }

    /// The first Hello fixes whose stream it is; a later one may only repeat it.
    fn on_second_hello(&mut self, now: MonoTime, agent: &AgentId, hello: &Hello) {
        let same = self.robots.get(agent).is_some_and(|robot| {
            hello.agent == *agent && hello.boot == robot.record().boot && proved_key(hello) == robot.record().key
        });
        if same {
            self.on_latch_report(now, agent, hello.latch.clone());
            return;
        }
        let refusal = Refusal::SecondHello { stream: agent.clone(), said: hello.agent.clone() };
        self.on_refused(now, agent, &refusal);
        self.on_identity_conflict(now, &hello.agent, &refusal.to_string());
        self.out.act(Output::RejectRobot { agent: agent.clone(), refusal });
    }

    fn on_telemetry(&mut self, now: MonoTime, agent: &AgentId, mut batch: TelemetryBatch) {
        batch.samples.retain(|sample| sample.agent == *agent);
        if batch.samples.is_empty() {
            return;
        }
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.observe(now, batch.samples);
        }
        self.mark_robot_changed(agent);
    }

    /// A robot answered a command.
    pub(crate) fn on_ack(&mut self, now: MonoTime, agent: &AgentId, ack: &CommandAck) {
        if self.on_latch_ack(now, agent, ack) {
            return;
        }
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let Some(command) = robot.commands.on_ack(ack.command) else { return };
        match (&command.order, &ack.outcome) {
            (Order::Assign(assignment), CommandOutcome::Accepted | CommandOutcome::Done) => {
                robot.duty.on_report(Some((assignment.mission, assignment.generation)));
            }
            (Order::Assign(assignment), CommandOutcome::Rejected(why) | CommandOutcome::Failed(why)) => {
                robot.duty.rest_until(now + REST);
                robot.leap_generation();
                self.persist_robot(agent);
                let why = format!("{agent} refused it: {why}");
                self.slice_failed(now, agent, assignment.mission, assignment.generation, &why);
            }
            (Order::Cancel(_), _) => robot.duty.on_report(None),
            _ => {}
        }
        let payload = json!({
            "robot": agent.as_str(), "command": ack.command.to_string(), "outcome": &ack.outcome,
        });
        self.out.emit_event(now, EventKind::Command, "command_acknowledged", &payload);
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
        self.on_robot_events(now, agent, &own);
        if !own.is_empty() {
            self.out.persist(Record::Events(own));
        }
        for (boot, sequence) in last {
            self.send_unacknowledged(agent, Order::EventsKept { boot, sequence });
        }
    }

    /// Fit for work: there, free to move, charged, on the same map.
    pub(crate) fn is_fit(&self, now: MonoTime, robot: &Robot) -> bool {
        robot.presence.is_alive(now) && robot.duty.is_rested(now) && self.unfit(robot).is_none()
    }

    /// Why a robot can do no work now, if it cannot.
    pub(crate) fn unfit(&self, robot: &Robot) -> Option<&'static str> {
        robot.unfit(self.latches.of(robot.id()).level(), self.config.battery_min)
    }

    /// Fit, and nothing to do.
    pub(crate) fn is_free(&self, now: MonoTime, robot: &Robot) -> bool {
        let busy = robot.duty.mission().and_then(|id| self.missions.get(id)).is_some_and(|mission| {
            !mission.state().is_terminal()
                && mission.area().slice(robot.id()).is_some_and(|slice| !slice.state.is_terminal())
        });
        !busy && self.is_fit(now, robot)
    }

    /// Sends what is due, notes which robots cannot work, shows which are silent.
    pub(crate) fn check_robots(&mut self, now: MonoTime) {
        let agents: Vec<AgentId> = self.robots.keys().cloned().collect();
        for agent in agents {
            self.send_due(now, &agent);
            let fit = self.robots.get(&agent).is_some_and(|robot| self.unfit(robot).is_none());
            let Some(robot) = self.robots.get_mut(&agent) else { continue };
            robot.duty.note_fitness(now, fit);
            if robot.show_silence(now) {
                self.mark_robot_changed(&agent);
            }
        }
    }

    fn send_due(&mut self, now: MonoTime, agent: &AgentId) {
        let resend_after = self.config.resend_after;
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let due = robot.take_due(now, resend_after);
        self.send_all(agent, due);
        self.send_latch(now, agent, false);
    }
}
