//! A request about operator latches: what is asked, for which robots, and when a robot has done it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skein_types::authority::{Epoch, LatchScope, LatchSet};
use skein_types::ids::{AgentId, CommandId, OperatorId};
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use uuid::Uuid;

use crate::clock;

/// Operator of a STOP whose giver has no name.
const ANONYMOUS: &str = "anonymous";
/// Reason when none is given: a robot takes no release without one.
const DEFAULT_REASON: &str = "asked for on the command line";
/// The fleet's register and the robot's own are released by two requests, which a robot tells apart by their ids.
const OWN_ID: u128 = 1;
/// Debug APIs take the time of a request in milliseconds.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// The person who gives a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    pub operator: Option<OperatorId>,
    pub lease: Option<Uuid>,
}

/// What is asked, the same over every path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub id: CommandId,
    pub at: WallTime,
    pub operator: Option<OperatorId>,
    pub lease: Option<Uuid>,
    pub reason: String,
    pub ask: Ask,
}

/// STOP and KILL raise a latch; RELEASE ends the epochs that the operator saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ask {
    Raise { level: Level, robots: Option<Vec<AgentId>> },
    Release(Seen),
}

/// What holds until it is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Stop,
    Kill,
}

/// Latched epochs, as they were shown to the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub fleet: Option<Epoch>,
    pub robots: BTreeMap<AgentId, Epoch>,
    /// Every robot is meant, not only those with a latch of their own.
    pub is_all: bool,
}

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.fleet.is_none() && self.robots.is_empty()
    }
}

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }

    const fn latch(self) -> Latch {
        match self {
            Self::Stop => Latch::Stop,
            Self::Kill => Latch::Kill,
        }
    }
}

impl Request {
    /// A new request. Its time is whole milliseconds, the same over every path.
    pub(crate) fn new(ask: Ask, caller: Caller, reason: String) -> Self {
        let at = clock::unix_nanos() / NANOS_PER_MILLI * NANOS_PER_MILLI;
        let Caller { operator, lease } = caller;
        let reason = if reason.is_empty() { DEFAULT_REASON.to_owned() } else { reason };
        Self { id: CommandId(clock::fresh_id()), at: WallTime::from_unix_nanos(at), operator, lease, reason, ask }
    }

    /// Robots that are meant; none for every robot.
    pub(crate) fn named(&self) -> Option<Vec<AgentId>> {
        match &self.ask {
            Ask::Raise { robots, .. } => robots.clone(),
            Ask::Release(seen) if seen.is_all => None,
            Ask::Release(seen) => Some(seen.robots.keys().cloned().collect()),
        }
    }

    /// Whether a robot with these latches did what was asked.
    pub(crate) fn is_done(&self, robot: &AgentId, latches: &LatchSet) -> bool {
        match &self.ask {
            Ask::Raise { level, robots } => {
                let scope = if robots.is_some() { LatchScope::Robot } else { LatchScope::Fleet };
                let register = latches.get(scope);
                // A later STOP of another person holds the robot just as well.
                let is_ours = register.request == self.id || register.at >= self.at;
                register.level >= level.latch() && is_ours
            }
            Ask::Release(seen) => {
                let is_past = |named: Option<&Epoch>, scope: LatchScope| {
                    let register = latches.get(scope);
                    named.is_none_or(|epoch| register.epoch > *epoch && !register.is_latched())
                };
                is_past(seen.robots.get(robot), LatchScope::Robot) && is_past(seen.fleet.as_ref(), LatchScope::Fleet)
            }
        }
    }

    /// Path and body of each request to a robot's debug API; one for each register.
    pub(crate) fn to_robot(&self, robot: &AgentId) -> Vec<(&'static str, Value)> {
        match &self.ask {
            Ask::Raise { .. } => vec![("/api/v1/stop", self.raise_body(None))],
            Ask::Release(seen) => {
                let own = seen.robots.get(robot).map(|epoch| self.release_body("robot", *epoch, OWN_ID));
                let fleet = seen.fleet.map(|epoch| self.release_body("fleet", epoch, 0));
                fleet.into_iter().chain(own).map(|body| ("/api/v1/release", body)).collect()
            }
        }
    }

    /// Path and body of a STOP or KILL that a robot passes on to another one over the mesh.
    pub(crate) fn to_relay(&self, target: &AgentId) -> (&'static str, Value) {
        ("/api/v1/stop", self.raise_body(Some(target)))
    }

    fn raise_body(&self, target: Option<&AgentId>) -> Value {
        let Ask::Raise { level, robots } = &self.ask else { return Value::Null };
        let scope = if robots.is_some() { "robot" } else { "fleet" };
        let mut body = self.body(scope, 0);
        body.insert("level".to_owned(), json!(level.name()));
        if let Some(target) = target {
            body.insert("robot".to_owned(), json!(target));
        }
        Value::Object(body)
    }

    fn release_body(&self, scope: &str, epoch: Epoch, id: u128) -> Value {
        let mut body = self.body(scope, id);
        body.insert("epoch".to_owned(), json!(epoch));
        if let Some(lease) = self.lease {
            body.insert("lease".to_owned(), json!(lease.to_string()));
        }
        Value::Object(body)
    }

    fn body(&self, scope: &str, id: u128) -> Map<String, Value> {
        let id = Uuid::from_u128(self.id.0.as_u128() ^ id).to_string();
        let operator = self.operator.as_ref().map_or(ANONYMOUS, OperatorId::as_str);
        let fields = [
            ("id", json!(id)),
            ("scope", json!(scope)),
            ("reason", json!(self.reason)),
            ("operator", json!(operator)),
            ("at", json!(self.at.unix_nanos() / NANOS_PER_MILLI)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Verb and object, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match &self.ask {
            Ask::Raise { level: Level::Stop, .. } => "STOP",
            Ask::Raise { level: Level::Kill, .. } => "KILL",
            Ask::Release(_) => "release",
        }
    }
}
