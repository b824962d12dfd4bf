//! A request about operator latches: what is asked, for which robots, and when a robot has done it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skein_types::authority::{Epoch, LatchScope, LatchSet};
use skein_types::ids::{AgentId, CommandId, OperatorId};
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use uuid::Uuid;

/// Operator of a STOP whose giver has no name.
const ANONYMOUS: &str = "anonymous";

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

    /// What one robot is to release.
    fn of(&self, robot: &AgentId) -> Value {
        let mut epochs = Map::new();
        if let Some(epoch) = self.robots.get(robot) {
            epochs.insert("own".to_owned(), json!(epoch));
        }
        if let Some(epoch) = self.fleet {
            epochs.insert("fleet".to_owned(), json!(epoch));
        }
        Value::Object(epochs)
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

    /// Path and body of the request to a robot's debug API; `relay_to` asks it to pass the request on to another robot.
    pub(crate) fn to_robot(&self, robot: &AgentId, relay_to: Option<&AgentId>) -> (&'static str, Value) {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        put("request_id", json!(self.id.to_string()));
        put("reason", json!(self.reason));
        put("operator", json!(self.operator.as_ref().map_or(ANONYMOUS, OperatorId::as_str)));
        put("at_unix_nanos", json!(self.at.unix_nanos()));
        let path = match &self.ask {
            Ask::Raise { level, robots } => {
                put("scope", json!(if robots.is_some() { "robot" } else { "fleet" }));
                put("level", json!(level.name()));
                if let Some(target) = relay_to {
                    put("robot", json!(target));
                }
                "/api/v1/stop"
            }
            Ask::Release(seen) => {
                put("epochs", seen.of(robot));
                if let Some(lease) = self.lease {
                    put("lease", json!(lease.to_string()));
                }
                "/api/v1/release"
            }
        };
        (path, Value::Object(body))
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
