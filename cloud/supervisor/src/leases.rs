//! Sole control of robots for a while. A lease is known to its holder by its id alone, survives a restart, and is told
//! to the robots that it covers.

use std::collections::BTreeMap;

use core::time::Duration;
use skein_types::authority::LeaseGrant;
use skein_types::ids::{AgentId, OperatorId};
use skein_types::time::MonoTime;
use uuid::Uuid;

use crate::api::LeaseView;
use crate::refusal::Refusal;

/// Longest lease; a holder that needs it for longer renews it.
pub(crate) const LEASE_MAX: Duration = Duration::from_secs(3600);
/// Shortest lease that is of any use.
pub(crate) const LEASE_MIN: Duration = Duration::from_secs(1);
/// Most leases at a time.
pub(crate) const LEASES_MAX: usize = 256;

/// Leases by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leases {
    pub(crate) held: BTreeMap<Uuid, Lease>,
}

/// A lease and when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) view: LeaseView,
    pub(crate) ends_at: MonoTime,
}

impl Lease {
    /// Both are about one robot at least; none named means all.
    fn touches(&self, robots: &[AgentId]) -> bool {
        self.view.robots.is_empty() || robots.is_empty() || robots.iter().any(|robot| self.view.robots.contains(robot))
    }

    pub(crate) fn refusal(&self) -> Refusal {
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

    /// A lease in force over any of these robots (none named means all) that `keep` selects.
    pub(crate) fn find(&self, now: MonoTime, robots: &[AgentId], keep: impl Fn(&LeaseView) -> bool) -> Option<&Lease> {
        self.held.values().find(|lease| now < lease.ends_at && keep(&lease.view) && lease.touches(robots))
    }

    /// The lease over a robot, as the robot is told it.
    pub(crate) fn grant(&self, now: MonoTime, agent: &AgentId) -> Option<LeaseGrant> {
        let lease = self.find(now, core::slice::from_ref(agent), |_| true)?;
        Some(LeaseGrant {
            id: lease.view.id,
            operator: lease.view.operator.clone(),
            remaining: lease.ends_at.since(now),
        })
    }

    pub(crate) fn ended(&self, now: MonoTime) -> Vec<Uuid> {
        self.held.iter().filter(|(_, lease)| now >= lease.ends_at).map(|(id, _)| *id).collect()
    }
}

/// A lease that is asked for.
pub(crate) struct NewLease {
    pub(crate) id: Uuid,
    pub(crate) operator: OperatorId,
    pub(crate) robots: Vec<AgentId>,
    pub(crate) time_to_live: Duration,
}

/// Robots that a lease covers; none named means all.
pub(crate) fn robots_text(robots: &[AgentId]) -> String {
    if robots.is_empty() {
        return "all robots".to_owned();
    }
    robots.iter().map(AgentId::as_str).collect::<Vec<_>>().join(", ")
}
