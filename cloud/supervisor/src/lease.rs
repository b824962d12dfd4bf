//! Sole control of robots for a while.

use core::time::Duration;
use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, OperatorId};
use uuid::Uuid;

use crate::api::{Answer, At, LeaseView};
use crate::refusal::Refusal;
use crate::supervisor::{Lease, Supervisor};

/// Longest lease; whoever needs it for longer renews it.
const LEASE_MAX: Duration = Duration::from_secs(3600);
/// Shortest lease that is of any use.
const LEASE_MIN: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Leases in force.
    pub fn leases(&self) -> impl Iterator<Item = &LeaseView> {
        self.leases.values().map(|lease| &lease.view)
    }

    /// Nobody else has control of these robots (none named means all).
    pub(crate) fn allowed(&self, now: At, lease: Option<Uuid>, robots: &[AgentId]) -> Result<(), Refusal> {
        let other =
            self.leases.values().find(|held| now < held.ends_at && Some(held.view.id) != lease && held.touches(robots));
        match other {
            None => Ok(()),
            Some(held) => Err(Refusal::LeaseHeld {
                operator: held.view.operator.clone(),
                what: robots_text(&held.view.robots),
                until: held.view.expires_at,
            }),
        }
    }

    pub(crate) fn take_lease(
        &mut self,
        now: At,
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
        // Whoever holds a lease may take it again: that renews it.
        self.expire_leases(now);
        let own: Vec<Uuid> =
            self.leases.values().filter(|held| held.view.operator == operator).map(|held| held.view.id).collect();
        let other = self.leases.values().find(|held| held.view.operator != operator && held.touches(&robots));
        if let Some(held) = other {
            return Err(Refusal::LeaseHeld {
                operator: held.view.operator.clone(),
                what: robots_text(&held.view.robots),
                until: held.view.expires_at,
            });
        }
        for id in own {
            self.leases.remove(&id);
        }
        let view = LeaseView { id, operator, robots, expires_at: self.wall_now(now) + time_to_live };
        let payload = json!({"operator": view.operator.as_str(), "robots": robots_text(&view.robots)});
        self.note(now, EventKind::Command, "lease_taken", &payload);
        self.leases.insert(id, Lease { view: view.clone(), ends_at: now + time_to_live });
        Ok(Answer::Lease(view))
    }

    pub(crate) fn release_lease(&mut self, now: At, id: Uuid) -> Result<Answer, Refusal> {
        let held = self.leases.remove(&id).ok_or(Refusal::UnknownLease)?;
        self.note(now, EventKind::Command, "lease_released", &json!({"operator": held.view.operator.as_str()}));
        Ok(Answer::Released)
    }

    pub(crate) fn expire_leases(&mut self, now: At) {
        self.leases.retain(|_, held| now < held.ends_at);
    }
}

fn robots_text(robots: &[AgentId]) -> String {
    if robots.is_empty() {
        return "all robots".to_owned();
    }
    robots.iter().map(AgentId::as_str).collect::<Vec<_>>().join(", ")
}
