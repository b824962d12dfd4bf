//! Operators take, renew and release leases. Each change is durable, an event, and told to the robots it covers.

use core::time::Duration;
use serde_json::json;
use skein_types::authority::Principal;
use skein_types::event::EventKind;
use skein_types::ids::AgentId;
use skein_types::link::Order;
use skein_types::time::MonoTime;
use uuid::Uuid;

use crate::api::{Answer, LeaseView};
use crate::leases::{LEASE_MAX, LEASE_MIN, LEASES_MAX, Lease, NewLease, robots_text};
use crate::record::{LeaseRecord, Record};
use crate::refusal::Refusal;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Leases in force, the first to end first.
    #[must_use]
    pub fn leases(&self) -> Vec<LeaseView> {
        let mut leases: Vec<LeaseView> = self.leases.held.values().map(|lease| lease.view.clone()).collect();
        leases.sort_by_key(|lease| (lease.expires_at, lease.id));
        leases
    }

    /// No other operator has control of these robots (none named means all).
    pub(crate) fn check_lease(&self, now: MonoTime, lease: Option<Uuid>, robots: &[AgentId]) -> Result<(), Refusal> {
        match self.leases.find(now, robots, |held| Some(held.id) != lease) {
            None => Ok(()),
            Some(held) => Err(held.refusal()),
        }
    }

    pub(crate) fn take_lease(&mut self, now: MonoTime, by: &Principal, new: NewLease) -> Result<Answer, Refusal> {
        check_length(new.time_to_live)?;
        if let Some(unknown) = new.robots.iter().find(|robot| !self.robots.knows(robot)) {
            return Err(Refusal::UnknownRobot(unknown.clone()));
        }
        // The name of the holder gives no right to its lease: only the id does.
        self.check_lease(now, None, &new.robots)?;
        if self.leases.held.len() >= LEASES_MAX {
            return Err(Refusal::TooManyLeases(self.leases.held.len()));
        }
        let expires_at = self.out.wall_now(now) + new.time_to_live;
        let view = LeaseView { id: new.id, operator: new.operator, robots: new.robots, expires_at };
        let ends_at = now + new.time_to_live;
        self.leases.held.insert(new.id, Lease { view, ends_at });
        self.put_lease(now, by, new.id, "lease_taken")
    }

    pub(crate) fn renew_lease(
        &mut self,
        now: MonoTime,
        by: &Principal,
        id: Uuid,
        time_to_live: Duration,
    ) -> Result<Answer, Refusal> {
        check_length(time_to_live)?;
        let expires_at = self.out.wall_now(now) + time_to_live;
        let lease = self.leases.held.get_mut(&id).filter(|lease| now < lease.ends_at).ok_or(Refusal::UnknownLease)?;
        lease.view.expires_at = expires_at;
        lease.ends_at = now + time_to_live;
        self.put_lease(now, by, id, "lease_renewed")
    }

    /// Records a lease, tells the robots of it and answers with it.
    fn put_lease(&mut self, now: MonoTime, by: &Principal, id: Uuid, event: &str) -> Result<Answer, Refusal> {
        let view = self.leases.held.get(&id).map(|lease| lease.view.clone()).ok_or(Refusal::UnknownLease)?;
        let record = LeaseRecord {
            id,
            operator: view.operator.clone(),
            robots: view.robots.clone(),
            expires_at: view.expires_at,
        };
        self.out.persist(Record::Lease(Box::new(record)));
        let payload = json!({
            "operator": view.operator.as_str(), "robots": robots_text(&view.robots), "by": by.to_string(),
        });
        self.out.emit_event(now, EventKind::Command, event, &payload);
        self.send_leases(now, &view.robots);
        Ok(Answer::Lease(view))
    }

    pub(crate) fn release_lease(&mut self, now: MonoTime, by: &Principal, id: Uuid) -> Result<Answer, Refusal> {
        self.end_lease(now, id, "lease_released", &by.to_string()).ok_or(Refusal::UnknownLease)?;
        Ok(Answer::Released)
    }

    pub(crate) fn expire_leases(&mut self, now: MonoTime) {
        for id in self.leases.ended(now) {
            let _ended = self.end_lease(now, id, "lease_expired", "service:skein-cloud");
        }
    }

    fn end_lease(&mut self, now: MonoTime, id: Uuid, event: &str, by: &str) -> Option<()> {
        let lease = self.leases.held.remove(&id)?;
        self.out.persist(Record::LeaseEnded(id));
        let payload = json!({
            "operator": lease.view.operator.as_str(), "robots": robots_text(&lease.view.robots), "by": by,
        });
        self.out.emit_event(now, EventKind::Command, event, &payload);
        self.send_leases(now, &lease.view.robots);
        Some(())
    }

    /// Tells robots (none named means all) which lease is over them.
    fn send_leases(&mut self, now: MonoTime, robots: &[AgentId]) {
        let covered: Vec<AgentId> =
            self.robots.keys().filter(|agent| robots.is_empty() || robots.contains(agent)).cloned().collect();
        for agent in covered {
            self.send_order(now, &agent, Order::Lease(self.leases.grant(now, &agent)));
        }
    }

    /// A lease as it was recorded; one that ended meanwhile is gone.
    pub(crate) fn restore_lease(&mut self, now: MonoTime, record: LeaseRecord) {
        let left = record.expires_at.unix_nanos().saturating_sub(self.out.wall_now(now).unix_nanos());
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
            self.out.persist(Record::LeaseEnded(record.id));
            return;
        };
        // A wall clock that was set back must not make a lease endless.
        let ends_at = now + Duration::from_nanos(left).min(LEASE_MAX);
        let LeaseRecord { id, operator, robots, expires_at } = record;
        self.leases.held.insert(id, Lease { view: LeaseView { id, operator, robots, expires_at }, ends_at });
    }
}

fn check_length(time_to_live: Duration) -> Result<(), Refusal> {
    if (LEASE_MIN..=LEASE_MAX).contains(&time_to_live) { Ok(()) } else { Err(Refusal::LeaseLength) }
}
