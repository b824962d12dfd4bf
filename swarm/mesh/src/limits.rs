//! Rate limit of each sender, applied before a message is decoded: the key carries the sender.
//!
//! A robot that follows the protocol never reaches its limit. A flood costs a table look-up a message, and takes
//! nothing from other senders: each has buckets of its own, and senders beyond [`SENDERS_MAX`] share one set.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use skein_types::ids::AgentId;

/// Senders that have buckets of their own.
const SENDERS_MAX: usize = 256;
/// A sender without a message for this long gives up its buckets when others need them.
const IDLE: Duration = Duration::from_secs(5);

/// What kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageKind {
    Intent,
    Hazard,
    Latch,
    MapHazard,
}

impl MessageKind {
    /// Messages of one sender at once, and in a second in the long run. A robot publishes 10 intents a second, repeats
    /// a hazard once a second, gossips latches a few times a second, and announces two map entries a second.
    const fn limits(self) -> (f64, f64) {
        match self {
            Self::Intent => (25.0, 25.0),
            Self::Hazard => (20.0, 10.0),
            Self::Latch => (40.0, 20.0),
            Self::MapHazard => (64.0, 8.0),
        }
    }

    /// The same for all senders that have no buckets of their own.
    const fn shared_limits(self) -> (f64, f64) {
        let (burst, rate) = self.limits();
        (burst * 8.0, rate * 8.0)
    }

    const ALL: [Self; 4] = [Self::Intent, Self::Hazard, Self::Latch, Self::MapHazard];
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    burst: f64,
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    const fn new((burst, rate): (f64, f64), now: Instant) -> Self {
        Self { burst, rate, tokens: burst, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

/// Buckets of one sender, by kind.
#[derive(Clone, Debug)]
struct Buckets {
    buckets: [Bucket; 4],
    heard_at: Instant,
}

impl Buckets {
    fn new(limits: fn(MessageKind) -> (f64, f64), now: Instant) -> Self {
        Self { buckets: MessageKind::ALL.map(|kind| Bucket::new(limits(kind), now)), heard_at: now }
    }

    fn take(&mut self, kind: MessageKind, now: Instant) -> bool {
        self.heard_at = now;
        self.buckets.get_mut(kind as usize).is_some_and(|bucket| bucket.take(now))
    }
}

#[derive(Debug)]
struct Table {
    senders: BTreeMap<AgentId, Buckets>,
    shared: Buckets,
}

/// Limits of all senders. The lock is between network threads only, and held for a look-up.
#[derive(Debug)]
pub(crate) struct SenderLimits {
    table: Mutex<Table>,
}

impl SenderLimits {
    pub(crate) fn new(now: Instant) -> Self {
        let shared = Buckets::new(MessageKind::shared_limits, now);
        Self { table: Mutex::new(Table { senders: BTreeMap::new(), shared }) }
    }

    /// Whether a message of the sender is to be decoded.
    pub(crate) fn admit(&self, now: Instant, sender: &AgentId, kind: MessageKind) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buckets) = table.senders.get_mut(sender) {
            return buckets.take(kind, now);
        }
        if table.senders.len() >= SENDERS_MAX {
            let is_idle = |buckets: &Buckets| now.saturating_duration_since(buckets.heard_at) >= IDLE;
            let oldest = table.senders.iter().min_by_key(|(_, buckets)| buckets.heard_at);
            let idle = oldest.filter(|(_, buckets)| is_idle(buckets)).map(|(sender, _)| sender.clone());
            match idle {
                Some(idle) => drop(table.senders.remove(&idle)),
                None => return table.shared.take(kind, now),
            }
        }
        let mut buckets = Buckets::new(MessageKind::limits, now);
        let admitted = buckets.take(kind, now);
        table.senders.insert(sender.clone(), buckets);
        admitted
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "an instant has no other constructor")]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentId {
        AgentId::new(name).unwrap()
    }

    #[test]
    fn a_robot_at_its_usual_rate_is_never_limited() {
        let start = Instant::now();
        let limits = SenderLimits::new(start);
        assert!((0..10_000_u64).all(|i| {
            let now = start + Duration::from_millis(i * 100);
            limits.admit(now, &agent("a"), MessageKind::Intent)
        }));
    }

    #[test]
    fn a_flood_of_one_sender_is_cut_and_takes_nothing_from_others() {
        let start = Instant::now();
        let limits = SenderLimits::new(start);
        let mut admitted = 0;
        for i in 0..20_000_u64 {
            let now = start + Duration::from_micros(i * 50);
            admitted += u64::from(limits.admit(now, &agent("flood"), MessageKind::Intent));
            if i % 2000 == 0 {
                assert!(limits.admit(now, &agent("real"), MessageKind::Intent));
                assert!(limits.admit(now, &agent("flood"), MessageKind::Latch), "kinds have buckets of their own");
            }
        }
        assert!(admitted <= 51, "{admitted}");
    }

    #[test]
    fn a_flood_of_names_shares_one_rate_once_the_table_is_full() {
        let start = Instant::now();
        let limits = SenderLimits::new(start);
        assert!(limits.admit(start, &agent("real"), MessageKind::Intent));
        let flood = (0..20_000_u64).filter(|i| {
            let now = start + Duration::from_micros(i * 50);
            limits.admit(now, &agent(&format!("n{i}")), MessageKind::Intent)
        });
        let admitted = flood.count();
        assert!(admitted <= SENDERS_MAX + 400, "{admitted}");
        assert!(limits.admit(start + Duration::from_secs(1), &agent("real"), MessageKind::Intent));
        assert!(limits.table.lock().unwrap().senders.len() <= SENDERS_MAX);
    }
}
