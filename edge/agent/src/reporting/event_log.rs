//! The robot's event log: a hash chain of events, and the wall clock that dates them.

use serde_json::Value;
use skein_types::event::{EVENT_PAYLOAD_BYTES_MAX, Event, EventHash, EventKind};
use skein_types::ids::{AgentId, BootId, EventId};
use skein_types::time::{MonoTime, WallTime};
use uuid::Uuid;

/// Makes events; each carries the hash of the one before.
#[derive(Clone, Debug)]
pub(crate) struct EventLog {
    agent: AgentId,
    boot: BootId,
    seed: u64,
    sequence: u64,
    previous: EventHash,
    wall: Option<(MonoTime, WallTime)>,
}

impl EventLog {
    pub(crate) const fn new(agent: AgentId, boot: BootId, seed: u64) -> Self {
        Self { agent, boot, seed, sequence: 0, previous: EventHash([0; 32]), wall: None }
    }

    /// The reading of the wall clock at a monotonic time.
    pub(crate) const fn set_wall(&mut self, now: MonoTime, wall: WallTime) {
        self.wall = Some((now, wall));
    }

    /// Wall time now; time since boot until [`Self::set_wall`] was called.
    pub(crate) fn wall(&self, now: MonoTime) -> WallTime {
        match self.wall {
            Some((at, wall)) => wall + now.since(at),
            None => WallTime::from_unix_nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)),
        }
    }

    /// The next event of the chain. A payload over the limit is replaced by a note of its size.
    pub(crate) fn event(&mut self, now: MonoTime, kind: EventKind, name: &str, payload: &Value) -> Event {
        let text = payload.to_string();
        let payload = if text.len() <= EVENT_PAYLOAD_BYTES_MAX {
            text
        } else {
            format!("{{\"cut\":\"payload of {} bytes\"}}", text.len())
        };
        let at = self.wall(now);
        let event = Event {
            id: self.id(at),
            agent: self.agent.clone(),
            boot: self.boot,
            sequence: self.sequence,
            at,
            mono: now,
            kind,
            name: name.to_owned(),
            payload,
            previous: self.previous,
        };
        self.previous = event.hash();
        self.sequence += 1;
        event
    }

    /// A UUIDv7 whose random part comes from the boot, the seed and the sequence, so that a run repeats itself.
    fn id(&self, at: WallTime) -> EventId {
        let millis = u128::try_from(at.unix_millis().max(0)).unwrap_or(0) & 0xffff_ffff_ffff;
        let mixed = (u128::from(self.seed) << 64)
            ^ self.boot.0.as_u128()
            ^ (u128::from(self.sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let a = u128::from(self.sequence & 0xfff);
        let b = (mixed ^ (mixed >> 64)) & 0x3fff_ffff_ffff_ffff;
        EventId(Uuid::from_u128((millis << 80) | (0x7 << 76) | (a << 64) | (0b10 << 62) | b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use skein_types::event::first_break;

    #[test]
    fn events_form_a_chain_with_unique_ids() {
        let mut log = EventLog::new(AgentId::new("rover-1").unwrap(), BootId(Uuid::from_u128(99)), 3);
        log.set_wall(MonoTime::ZERO, WallTime::from_unix_nanos(1_700_000_000_000_000_000));
        let events: Vec<Event> = (0..50)
            .map(|i| log.event(MonoTime::from_millis(i), EventKind::Decision, "chosen", &json!({ "i": i })))
            .collect();
        assert_eq!(first_break(&events), None);
        let mut ids: Vec<_> = events.iter().map(|event| event.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 50);
        assert!(events.iter().all(|event| event.id.0.get_version_num() == 7));
    }

    #[test]
    fn a_payload_over_the_limit_becomes_a_note() {
        let mut log = EventLog::new(AgentId::new("rover-1").unwrap(), BootId(Uuid::from_u128(1)), 3);
        let event = log.event(MonoTime::ZERO, EventKind::System, "long", &json!({ "x": "y".repeat(20_000) }));
        assert!(event.payload.contains("20008 bytes"), "{}", event.payload);
    }
}
