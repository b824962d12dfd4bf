//! Which robots are admitted under which name, and when a name is forgotten.
//!
//! The shell verifies proofs; the core pins the key that a name first proved. A name that proved a key once is refused
//! without it. A name that never did is admitted without a key, and an alarm says so.

use core::fmt::Write as _;
use serde_json::json;
use skein_types::event::{Event, EventKind};
use skein_types::fleet::AlarmSeverity;
use skein_types::ids::AgentId;
use skein_types::link::{Hello, SCHEMA};
use skein_types::time::MonoTime;

use crate::alarms::{ALARM_LINGERS, NewAlarm};
use crate::journal::SUPERVISOR;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::robot::Robot;
use crate::supervisor::Supervisor;

/// Name of the event with which a robot reports two senders under one name on the mesh.
const MESH_CONFLICT: &str = "identity_conflict";
/// Names that stand for something else in the ledger, in keys and in commands.
const RESERVED: &[&str] = &[
    SUPERVISOR,
    "skein-cloud",
    "skein",
    "cloud",
    "fleet",
    "all",
    "any",
    "none",
    "server",
    "operator",
    "robot",
    "robots",
    "service",
    "anonymous",
    "system",
];

impl Supervisor {
    /// Whether a robot may have the name it says.
    pub(crate) fn admit(&mut self, now: MonoTime, hello: &Hello) -> Result<(), Refusal> {
        if hello.fleet != self.config.fleet {
            return Err(Refusal::WrongFleet(hello.fleet.clone()));
        }
        if SCHEMA.common(hello.schema).is_none() {
            return Err(Refusal::WrongSchema(hello.schema));
        }
        if RESERVED.contains(&hello.agent.as_str()) {
            return Err(Refusal::ReservedName(hello.agent.clone()));
        }
        if !hello.body.is_sound() {
            return Err(Refusal::UnsoundBody);
        }
        if let Some(robot) = self.robots.get(&hello.agent) {
            return check_key(robot, hello);
        }
        if self.robots.len() >= self.config.robots_max && !self.forget_one(now) {
            return Err(Refusal::TooManyRobots(self.robots.len()));
        }
        Ok(())
    }

    /// The alarm of a robot that is refused because it cannot prove its name.
    pub(crate) fn on_refused(&mut self, now: MonoTime, agent: &AgentId, refusal: &Refusal) {
        let payload = json!({"robot": agent.as_str(), "code": refusal.code(), "why": refusal.to_string()});
        self.out.emit_event(now, EventKind::Decision, "robot_refused", &payload);
        if matches!(refusal, Refusal::KeyMissing | Refusal::WrongKey) {
            self.on_identity_conflict(now, agent, &refusal.to_string());
        }
    }

    /// Something else spoke in the name of a robot.
    pub(crate) fn on_identity_conflict(&mut self, now: MonoTime, agent: &AgentId, what: &str) {
        let text = format!("another process uses the name {agent}: {what}; find the machine and rename or end it");
        self.raise_alarm(
            now,
            NewAlarm {
                id: &format!("identity_conflict:{agent}"),
                severity: AlarmSeverity::Critical,
                code: "identity_conflict",
                robot: Some(agent),
                text,
                lingers: Some(ALARM_LINGERS),
            },
        );
    }

    /// Robots hear two senders under one name on the mesh: a person has to know.
    pub(crate) fn on_robot_events(&mut self, now: MonoTime, agent: &AgentId, events: &[Event]) {
        let conflicts = events.iter().filter(|event| event.kind == EventKind::Safety && event.name == MESH_CONFLICT);
        for conflict in conflicts {
            let payload: serde_json::Value = serde_json::from_str(&conflict.payload).unwrap_or_default();
            let name = payload.get("peer").and_then(serde_json::Value::as_str).unwrap_or_default();
            // A name that is no robot's may be invented: all of those are one alarm.
            let peer = AgentId::new(name).ok().filter(|peer| self.robots.knows(peer));
            let (whose, id) = match &peer {
                Some(peer) => (format!("the name {peer}"), format!("mesh_conflict:{peer}")),
                None => ("a name that is no robot's".to_owned(), "mesh_conflict".to_owned()),
            };
            let text = format!(
                "{agent} hears two senders on the mesh under {whose}: find the stranger; certificates (mesh.tls_*) keep \
                 strangers out"
            );
            self.raise_alarm(
                now,
                NewAlarm {
                    id: &id,
                    severity: AlarmSeverity::Critical,
                    code: "mesh_conflict",
                    robot: peer.as_ref(),
                    text,
                    lingers: Some(ALARM_LINGERS),
                },
            );
        }
    }

    /// One alarm counts the connected robots that have proved no key.
    pub(crate) fn check_keys(&mut self, now: MonoTime) {
        let unproved = self.robots.connected().filter(|robot| robot.record().key.is_empty());
        let names: Vec<&str> = unproved.map(|robot| robot.id().as_str()).collect();
        let Some(first) = names.first() else {
            self.clear_alarm(now, "robots_without_key");
            return;
        };
        let others = if names.len() > 1 { format!(" and {} others", names.len() - 1) } else { String::new() };
        let text = format!("{first}{others} proved no key: any process that says the name gets its orders");
        self.raise_alarm(
            now,
            NewAlarm {
                id: "robots_without_key",
                severity: AlarmSeverity::Warning,
                code: "robots_without_key",
                robot: None,
                text,
                lingers: None,
            },
        );
    }

    /// Forgets names that left and never worked, in time.
    pub(crate) fn forget_strangers(&mut self, now: MonoTime) {
        let after = self.config.forget_after;
        let long_gone = |robot: &Robot| now.since(robot.presence.left_at()) >= after && !robot.record().worked;
        let gone: Vec<AgentId> = self
            .robots
            .iter()
            .filter(|(agent, robot)| {
                long_gone(robot) && robot.record().key.is_empty() && self.is_forgettable(agent, robot)
            })
            .map(|(agent, _)| agent.clone())
            .collect();
        for agent in gone {
            self.forget(now, &agent, "it left and never worked");
        }
    }

    /// Makes room for a new robot: first names that never worked, then the others, the longest gone first.
    fn forget_one(&mut self, now: MonoTime) -> bool {
        let forgettable = self.robots.iter().filter(|(agent, robot)| self.is_forgettable(agent, robot));
        let oldest = forgettable
            .min_by_key(|(_, robot)| (robot.record().worked, !robot.record().key.is_empty(), robot.presence.left_at()));
        let Some(agent) = oldest.map(|(agent, _)| agent.clone()) else { return false };
        self.forget(now, &agent, "a new robot needs its place");
        true
    }

    /// Away, held by no latch of its own, without a mission.
    fn is_forgettable(&self, agent: &AgentId, robot: &Robot) -> bool {
        !robot.presence.is_connected() && !self.latches.holds(agent) && robot.duty.mission().is_none()
    }

    fn forget(&mut self, now: MonoTime, agent: &AgentId, why: &str) {
        self.robots.remove(agent);
        self.latches.forget(agent);
        self.out.persist(Record::RobotForgotten(agent.clone()));
        self.out.emit_event(now, EventKind::System, "robot_forgotten", &json!({"robot": agent.as_str(), "why": why}));
    }
}

fn check_key(robot: &Robot, hello: &Hello) -> Result<(), Refusal> {
    let pinned = &robot.record().key;
    match &hello.proof {
        _ if pinned.is_empty() => Ok(()),
        None => Err(Refusal::KeyMissing),
        Some(proof) if *pinned == hex(&proof.public_key) => Ok(()),
        Some(_) => Err(Refusal::WrongKey),
    }
}

/// The key a Hello proves, in hex; empty when it proves none.
pub(crate) fn proved_key(hello: &Hello) -> String {
    hello.proof.as_ref().map(|proof| hex(&proof.public_key)).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
