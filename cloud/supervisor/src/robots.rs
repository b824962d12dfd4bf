//! Robots come, speak, fall silent and go.

use std::collections::BTreeMap;

use core::time::Duration;
use serde_json::json;
use skein_types::event::{EventBatch, EventKind};
use skein_types::ids::{AgentId, BootId};
use skein_types::link::{AgentReport, CommandAck, CommandOutcome, Hello, Order, SCHEMA};
use skein_types::safety::Latch;
use skein_types::telemetry::TelemetryBatch;

use crate::api::{At, Output, Record};
use crate::fleet::{Robot, record_of};
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

/// A robot that refused its work is left alone for this long.
const REST: Duration = Duration::from_secs(10);
/// After a refusal the generation leaps, in case the robot knows a later one than a supervisor that lost its memory.
const GENERATION_LEAP: u64 = 16;
/// How often a silent robot is shown again with its age.
const SHOW_SILENT: Duration = Duration::from_secs(1);
/// Silent for longer than this is shown as such.
const SILENT: Duration = Duration::from_millis(500);
/// Most robots; far above what one supervisor is for.
const ROBOTS_MAX: usize = 4096;

impl Supervisor {
    /// A robot opened a stream.
    pub(crate) fn welcome(&mut self, now: At, hello: &Hello) {
        let agent = hello.agent.clone();
        if let Err(refusal) = self.admit(hello) {
            let payload = json!({"robot": agent.as_str(), "code": refusal.code(), "why": refusal.to_string()});
            self.note(now, EventKind::Decision, "robot_refused", &payload);
            self.actions.push(Output::TurnAway { agent, refusal });
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
        let known = record_of(hello, robot.known.generation.max(said));
        if known.boot != robot.known.boot {
            // What was known of its earlier life says nothing about this one.
            robot.telemetry = None;
            robot.latch = Latch::Released;
        }
        let changed = known != robot.known || robot.revision == 0;
        robot.known = known;
        robot.connected = true;
        robot.alive_until = alive_until;
        robot.wrong_map = wrong_map;
        robot.at_work = hello.working_on;
        let effective = robot.reopened(hello.last_command);
        self.arrival_at = now;
        let payload = json!({"robot": agent.as_str(), "boot": hello.boot.to_string(), "wrong_map": wrong_map});
        self.note(now, EventKind::System, "robot_connected", &payload);
        if changed {
            self.keep_robot(&agent);
        }
        for command in effective {
            self.acknowledge(now, &agent, &CommandAck { command, outcome: CommandOutcome::Done });
        }
        // What the command was for may have been taken back since; the robot's own word counts.
        if let Some(robot) = self.robots.get_mut(&agent) {
            robot.at_work = hello.working_on;
        }
        self.reconcile(now, &agent);
        self.stop_latecomer(now, &agent);
        self.send_due(now, &agent);
        self.touch_robot(&agent);
    }

    fn admit(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.fleet != self.config.fleet {
            return Err(Refusal::WrongFleet(hello.fleet.clone()));
        }
        if SCHEMA.common(hello.schema).is_none() {
            return Err(Refusal::WrongSchema(hello.schema));
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
    fn stop_latecomer(&mut self, now: At, agent: &AgentId) {
        let Some(reason) = self.stop_all.clone() else { return };
        let free = self.robots.get(agent).is_some_and(|robot| robot.latch == Latch::Released && !robot.awaits_stop());
        if free {
            self.command(now, agent, Order::Stop(reason));
        }
    }

    /// A robot's stream ended. It is lost only when it stays away.
    pub(crate) fn part_with(&mut self, now: At, agent: &AgentId) {
        let Some(robot) = self.robots.get_mut(agent).filter(|robot| robot.connected) else { return };
        robot.connected = false;
        self.note(now, EventKind::System, "robot_disconnected", &json!({"robot": agent.as_str()}));
        self.touch_robot(agent);
    }

    /// A robot said something.
    pub(crate) fn hear(&mut self, now: At, agent: &AgentId, report: AgentReport) {
        if let AgentReport::Hello(hello) = report {
            self.welcome(now, &hello);
            return;
        }
        let lost_after = self.config.lost_after;
        let Some(robot) = self.robots.get_mut(agent).filter(|robot| robot.connected) else { return };
        robot.alive_until = now + lost_after;
        match report {
            AgentReport::Hello(_) => {}
            AgentReport::Telemetry(batch) => self.observe(now, agent, batch),
            AgentReport::Ack(ack) => self.acknowledge(now, agent, &ack),
            AgentReport::Progress(progress) => self.follow(now, agent, progress),
            AgentReport::Events(batch) => self.keep_events(now, agent, batch),
            AgentReport::Latch(_) | AgentReport::Hazards(_) => {}
        }
    }

    fn observe(&mut self, now: At, agent: &AgentId, mut batch: TelemetryBatch) {
        let Some(sample) = batch.samples.pop().filter(|sample| sample.agent == *agent) else { return };
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.observe(now, sample);
        }
        self.touch_robot(agent);
    }

    /// A robot answered a command.
    pub(crate) fn acknowledge(&mut self, now: At, agent: &AgentId, ack: &CommandAck) {
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let Some(command) = robot.answered(now, ack.command, &ack.outcome) else { return };
        match (&command.order, &ack.outcome) {
            (Order::Assign(assignment), CommandOutcome::Accepted | CommandOutcome::Done) => {
                robot.at_work = Some((assignment.mission, assignment.generation));
            }
            (Order::Assign(assignment), CommandOutcome::Rejected(why) | CommandOutcome::Failed(why)) => {
                robot.rests_until = now + REST;
                robot.known.generation.0 = robot.known.generation.0.saturating_add(GENERATION_LEAP);
                self.keep_robot(agent);
                let why = format!("{agent} refused it: {why}");
                self.part_failed(now, agent, assignment.mission, assignment.generation, &why);
            }
            (Order::Cancel(_), _) => robot.at_work = None,
            (
                Order::Pause(_)
                | Order::Resume(_)
                | Order::Stop(_)
                | Order::Kill(_)
                | Order::Release(_)
                | Order::EventsKept { .. }
                | Order::Latch(_)
                | Order::Lease(_)
                | Order::Hazards(_),
                _,
            ) => {}
        }
        let payload = json!({
            "robot": agent.as_str(), "command": ack.command.to_string(), "outcome": &ack.outcome,
        });
        self.note(now, EventKind::Command, "command_acknowledged", &payload);
        self.actions.push(Output::Acknowledged {
            agent: agent.clone(),
            command: ack.command,
            outcome: ack.outcome.clone(),
        });
        self.touch_robot(agent);
    }

    /// A robot's record goes into ours; once it is durable, the robot may forget it.
    fn keep_events(&mut self, now: At, agent: &AgentId, batch: EventBatch) {
        let sent = batch.events.len();
        let own: Vec<_> = batch.events.into_iter().filter(|event| event.agent == *agent).collect();
        if own.len() < sent {
            let payload = json!({"robot": agent.as_str(), "events": sent - own.len()});
            self.note(now, EventKind::Safety, "foreign_events_refused", &payload);
        }
        let mut last: BTreeMap<BootId, u64> = BTreeMap::new();
        for event in &own {
            let sequence = last.entry(event.boot).or_default();
            *sequence = event.sequence.max(*sequence);
        }
        if !own.is_empty() {
            self.keep(Record::Events(own));
        }
        for (boot, sequence) in last {
            self.tell(agent, Order::EventsKept { boot, sequence });
        }
    }

    /// Fit for work: there, free to move, charged, on the same map.
    pub(crate) fn is_fit(&self, now: At, robot: &Robot) -> bool {
        robot.is_alive(now) && now >= robot.rests_until && robot.unfit(self.config.battery_min).is_none()
    }

    /// Fit, and nothing to do.
    pub(crate) fn is_free(&self, now: At, robot: &Robot) -> bool {
        let busy = robot.mission.and_then(|id| self.missions.get(&id)).is_some_and(|mission| {
            !mission.state().is_terminal()
                && mission.parts.get(&robot.known.agent).is_some_and(|part| !part.state.is_terminal())
        });
        !busy && self.is_fit(now, robot)
    }

    /// Sends what is due, notices who cannot work, shows who is silent.
    pub(crate) fn look_after_robots(&mut self, now: At) {
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
                self.touch_robot(&agent);
            }
        }
    }

    fn send_due(&mut self, now: At, agent: &AgentId) {
        let resend_after = self.config.resend_after;
        let Some(robot) = self.robots.get_mut(agent) else { return };
        let due = robot.due(now, resend_after);
        self.send_all(agent, due);
    }
}
