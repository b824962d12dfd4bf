//! Sole control of robots for a while.

use std::collections::BTreeMap;

use core::time::Duration;
use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, OperatorId};
use skein_types::time::MonoTime;
use uuid::Uuid;

use crate::api::{Answer, LeaseView};
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

/// Longest lease; a holder that needs it for longer renews it.
const LEASE_MAX: Duration = Duration::from_secs(3600);
/// Shortest lease that is of any use.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Leases by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    held: BTreeMap<Uuid, Lease>,
}

/// A lease and when it ends.
#[derive(Clone, Debug)]
struct Lease {
    view: LeaseView,
    ends_at: MonoTime,
}

impl Lease {
    /// Both are about one robot at least; none named means all.
    fn touches(&self, robots: &[AgentId]) -> bool {
        self.view.robots.is_empty() || robots.is_empty() || robots.iter().any(|robot| self.view.robots.contains(robot))
    }

    fn refusal(&self) -> Refusal {
        Refusal::LeaseHeld {
            operator: self.view.operator.clone(),
            what: robots_text(&self.view.robots),
            until: self.view.expires_at,
        }
    }
}

impl Leases {
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn expire(&mut self, now: MonoTime) {
        self.held.retain(|_, lease| now < lease.ends_at);
    }

    /// A lease in force over any of these robots (none named means all) that `keep` selects.
    fn find(&self, now: MonoTime, robots: &[AgentId], keep: impl Fn(&LeaseView) -> bool) -> Option<&Lease> {
        self.held.values().find(|lease| now < lease.ends_at && keep(&lease.view) && lease.touches(robots))
    }
}

impl Supervisor {
    /// Leases in force.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseView> {
        self.leases.held.values().map(|lease| &lease.view)
    }

    /// No other operator has control of these robots (none named means all).
    pub(crate) fn check_lease(&self, now: MonoTime, lease: Option<Uuid>, robots: &[AgentId]) -> Result<(), Refusal> {
        match self.leases.find(now, robots, |held| Some(held.id) != lease) {
            None => Ok(()),
            Some(held) => Err(held.refusal()),
        }
    }

    pub(crate) fn take_lease(
        &mut self,
        now: MonoTime,
        id: Uuid,
        operator: OperatorId,
        robots: Vec<AgentId>,
        time_to_live: Duration,
    ) -> Result<Answer, Refusal> {
        if !(LEASE_MIN..=LEASE_MAX).contains(&time_to_live) {
            return Err(Refusal::LeaseLength);
        }
        if let Some(unknown) = robots.iter().find(|robot| !self.robots.contains_key(robot)) {
            return Err(Refusal::UnknownRobot(unknown.clone()));
        }
        if let Some(held) = self.leases.find(now, &robots, |held| held.operator != operator) {
            return Err(held.refusal());
        }
        // A holder may take its lease again: that renews it.
        self.leases.held.retain(|_, held| held.view.operator != operator);
        let view = LeaseView { id, operator, robots, expires_at: self.out.wall_now(now) + time_to_live };
        let payload = json!({"operator": view.operator.as_str(), "robots": robots_text(&view.robots)});
        self.out.emit_event(now, EventKind::Command, "lease_taken", &payload);
        self.leases.held.insert(id, Lease { view: view.clone(), ends_at: now + time_to_live });
        Ok(Answer::Lease(view))
    }

    pub(crate) fn release_lease(&mut self, now: MonoTime, id: Uuid) -> Result<Answer, Refusal> {
        let lease = self.leases.held.remove(&id).ok_or(Refusal::UnknownLease)?;
        let payload = json!({"operator": lease.view.operator.as_str()});
        self.out.emit_event(now, EventKind::Command, "lease_released", &payload);
        Ok(Answer::Released)
    }
}

fn robots_text(robots: &[AgentId]) -> String {
    if robots.is_empty() {
        return "all robots".to_owned();
    }
    robots.iter().map(AgentId::as_str).collect::<Vec<_>>().join(", ")
}
