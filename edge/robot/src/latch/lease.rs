//! Who is in control of this robot by hand: one lease, given by the supervisor or taken at the robot itself.

use core::time::Duration;

use skein_types::authority::LeaseGrant;
use skein_types::ids::OperatorId;
use skein_types::time::MonoTime;
use thiserror::Error;
use uuid::Uuid;

/// A lease that was taken at the robot ends this long after its last use.
pub const LOCAL_LEASE: Duration = Duration::from_secs(5);

/// Somebody else is in control.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operator} holds the lease of this robot for {:.1} s more", remaining.as_secs_f64())]
pub struct LeaseHeld {
    /// The operator who holds it.
    pub operator: OperatorId,
    /// Until the lease ends, unless it is renewed.
    pub remaining: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    id: Uuid,
    operator: OperatorId,
    until: MonoTime,
    from_supervisor: bool,
}

/// The lease of one robot.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaseTable {
    held: Option<Held>,
}

impl LeaseTable {
    /// The supervisor's grant replaces whatever was known; `None` ends what the supervisor granted.
    pub(super) fn set(&mut self, now: MonoTime, grant: Option<LeaseGrant>) {
        match grant {
            Some(LeaseGrant { id, operator, remaining }) => {
                self.held = Some(Held { id, operator, until: now + remaining, from_supervisor: true });
            }
            None => drop(self.held.take_if(|held| held.from_supervisor)),
        }
    }

    /// Takes or renews the lease at the robot. A lease of the same operator from the supervisor is used, not replaced.
    pub(super) fn take(&mut self, now: MonoTime, operator: &OperatorId, id: Uuid) -> Result<LeaseGrant, LeaseHeld> {
        self.permit(now, operator)?;
        let until = now + LOCAL_LEASE;
        let held = match self.held.take() {
            Some(held) if held.until > now => Held { until: held.until.max(until), ..held },
            Some(_) | None => Held { id, operator: operator.clone(), until, from_supervisor: false },
        };
        let grant = held.grant(now);
        self.held = Some(held);
        Ok(grant)
    }

    /// Ends the lease, if this operator holds it.
    pub(super) fn give_back(&mut self, operator: &OperatorId) -> bool {
        self.held.take_if(|held| held.operator == *operator).is_some()
    }

    /// Whether this operator may do what needs the lease where one is held.
    pub(super) fn permit(&self, now: MonoTime, operator: &OperatorId) -> Result<(), LeaseHeld> {
        match self.view(now) {
            Some(LeaseGrant { operator: holder, remaining, .. }) if holder != *operator => {
                Err(LeaseHeld { operator: holder, remaining })
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn view(&self, now: MonoTime) -> Option<LeaseGrant> {
        self.held.as_ref().filter(|held| held.until > now).map(|held| held.grant(now))
    }

    /// Forgets a lease that has ended; says whether there was one.
    pub(super) fn expire(&mut self, now: MonoTime) -> bool {
        self.held.take_if(|held| held.until <= now).is_some()
    }

    pub(super) fn ends_at(&self) -> Option<MonoTime> {
        self.held.as_ref().map(|held| held.until)
    }
}

impl Held {
    fn grant(&self, now: MonoTime) -> LeaseGrant {
        LeaseGrant { id: self.id, operator: self.operator.clone(), remaining: self.until.since(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> OperatorId {
        OperatorId::new(text).unwrap()
    }

    #[test]
    fn a_lease_ends_by_itself_and_is_renewed_by_use() {
        let mut lease = LeaseTable::default();
        let at = MonoTime::from_millis;
        assert!(lease.take(at(0), &name("anna"), Uuid::nil()).is_ok());
        assert!(lease.take(at(4_000), &name("anna"), Uuid::nil()).is_ok());
        let held = lease.take(at(8_000), &name("ben"), Uuid::nil()).unwrap_err();
        assert_eq!((held.operator, held.remaining), (name("anna"), Duration::from_secs(1)));
        assert!(lease.take(at(9_000), &name("ben"), Uuid::nil()).is_ok());
        assert_eq!(lease.view(at(99_000)), None);
    }

    #[test]
    fn the_supervisors_grant_replaces_and_ends_only_its_own() {
        let mut lease = LeaseTable::default();
        let at = MonoTime::from_millis;
        lease.take(at(0), &name("anna"), Uuid::nil()).unwrap();
        lease.set(at(1), None);
        assert!(lease.view(at(1)).is_some(), "a local lease is not the supervisor's to end by silence");
        let grant = LeaseGrant { id: Uuid::from_u128(9), operator: name("ben"), remaining: Duration::from_secs(60) };
        lease.set(at(2), Some(grant.clone()));
        assert_eq!(lease.view(at(2)), Some(grant));
        assert!(lease.take(at(3), &name("anna"), Uuid::nil()).is_err());
        let used = lease.take(at(3), &name("ben"), Uuid::nil()).unwrap();
        assert_eq!(used.id, Uuid::from_u128(9), "the lease in force is used");
        lease.set(at(4), None);
        assert_eq!(lease.view(at(4)), None);
    }
}
