//! The record: what happened, in order, each entry tied to the one before it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::ids::{AgentId, BootId, EventId};
use crate::time::{MonoTime, WallTime};

/// Longest payload of one event, in bytes.
pub const EVENT_PAYLOAD_BYTES_MAX: usize = 16 * 1024;

/// What kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// What was seen, chosen and rejected.
    Decision,
    /// From one state to another.
    StateChange,
    /// The process itself: start, stop, link up, link down.
    System,
    /// Something was said or heard.
    Message,
    /// An order came.
    Command,
    /// The reflex or the fence acted.
    Safety,
}

/// BLAKE3 of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventHash(pub [u8; 32]);

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One entry of one robot's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// UUIDv7, so that ids sort by time.
    pub id: EventId,
    /// Name of the robot, or of the service, that recorded it.
    pub agent: AgentId,
    /// Boot id of the process that recorded it; sequence and hash chain start anew with each boot.
    pub boot: BootId,
    /// Rises by one each event of this boot.
    pub sequence: u64,
    /// Wall clock of the robot, for people; not monotonic.
    pub at: WallTime,
    /// The boot's own clock.
    pub mono: MonoTime,
    /// Which subject it is about.
    pub kind: EventKind,
    /// What happened, `snake_case`.
    pub name: String,
    /// The details as JSON.
    pub payload: String,
    /// Hash of the event before it; zero for the first of a boot.
    pub previous: EventHash,
}

impl Event {
    /// Hash over every field, each with its length, so that no two events can share one.
    #[must_use]
    pub fn hash(&self) -> EventHash {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(self.id.0.as_bytes());
        field(self.agent.as_str().as_bytes());
        field(self.boot.0.as_bytes());
        field(&self.sequence.to_le_bytes());
        field(&self.at.unix_nanos().to_le_bytes());
        field(&self.mono.as_nanos().to_le_bytes());
        field(&[self.kind as u8]);
        field(self.name.as_bytes());
        field(self.payload.as_bytes());
        field(&self.previous.0);
        EventHash(*hasher.finalize().as_bytes())
    }
}

/// Where a chain of one boot's events breaks: the index of the first event that does not follow the one before.
#[must_use]
pub fn first_break(events: &[Event]) -> Option<usize> {
    events
        .iter()
        .zip(events.iter().skip(1))
        .position(|(a, b)| b.previous != a.hash() || b.sequence != a.sequence + 1 || b.boot != a.boot)
        .map(|i| i + 1)
}

/// Events on their way up, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatch {
    /// In the order of their sequence numbers.
    pub events: Vec<Event>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use uuid::Uuid;

    fn chain(length: u64) -> Vec<Event> {
        let mut previous = EventHash::default();
        (0..length)
            .map(|sequence| {
                let event = Event {
                    id: EventId(Uuid::from_u128(u128::from(sequence))),
                    agent: AgentId::new("rover-1").unwrap(),
                    boot: BootId(Uuid::from_u128(7)),
                    sequence,
                    at: WallTime::from_unix_nanos(5),
                    mono: MonoTime::from_millis(sequence),
                    kind: EventKind::Decision,
                    name: "replanned".into(),
                    payload: format!("{{\"n\":{sequence}}}"),
                    previous,
                };
                previous = event.hash();
                event
            })
            .collect()
    }

    #[test]
    fn a_whole_chain_has_no_break() {
        assert_eq!(first_break(&chain(20)), None);
    }

    #[test]
    fn a_changed_removed_or_swapped_event_breaks_the_chain_where_it_happened() {
        let mut changed = chain(20);
        changed[4].payload.push(' ');
        assert_eq!(first_break(&changed), Some(5));
        let mut removed = chain(20);
        removed.remove(7);
        assert_eq!(first_break(&removed), Some(7));
        let mut swapped = chain(20);
        swapped.swap(10, 11);
        assert_eq!(first_break(&swapped), Some(10));
    }
}
