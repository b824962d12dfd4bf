//! The robots that the supervisor knows, by name.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

use crate::robot::Robot;

/// Robots in the order of their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    robots: BTreeMap<AgentId, Robot>,
    /// When a robot last connected; after a restart the end of the time in which known ones may come back.
    arrival_at: MonoTime,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.robots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.robots.is_empty()
    }

    pub(crate) fn knows(&self, agent: &AgentId) -> bool {
        self.robots.contains_key(agent)
    }

    pub(crate) fn get(&self, agent: &AgentId) -> Option<&Robot> {
        self.robots.get(agent)
    }

    pub(crate) fn get_mut(&mut self, agent: &AgentId) -> Option<&mut Robot> {
        self.robots.get_mut(agent)
    }

    pub(crate) fn get_or_insert(&mut self, agent: &AgentId, new: impl FnOnce() -> Robot) -> &mut Robot {
        self.robots.entry(agent.clone()).or_insert_with(new)
    }

    pub(crate) fn insert(&mut self, robot: Robot) {
        self.robots.insert(robot.id().clone(), robot);
    }

    pub(crate) fn remove(&mut self, agent: &AgentId) {
        self.robots.remove(agent);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Robot)> {
        self.robots.iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &AgentId> {
        self.robots.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Robot> {
        self.robots.values()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Robot> {
        self.robots.values_mut()
    }

    /// Robots with an open stream.
    pub(crate) fn connected(&self) -> impl Iterator<Item = &Robot> {
        self.values().filter(|robot| robot.presence.is_connected())
    }

    /// A robot connected, or will have had the time to until then.
    pub(crate) const fn on_arrival(&mut self, at: MonoTime) {
        self.arrival_at = at;
    }

    /// Robots have only just begun to connect: others may follow within this time, and get their share of the work.
    pub(crate) fn is_settling(&self, now: MonoTime, settle: Duration) -> bool {
        !self.is_empty() && (now < self.arrival_at || now.since(self.arrival_at) < settle)
    }
}
