//! Events and batches of them.

use skein_types::event::{EVENT_PAYLOAD_BYTES_MAX, Event, EventBatch, EventHash, EventKind};
use skein_types::ids::{AgentId, BootId, EventId};
use skein_types::time::{MonoTime, WallTime};

use crate::bounds::EVENTS_MAX;
use crate::error::{At, Fault, WireError};
use crate::read::{list, one_of, same_variants, text, text_up_to, uuid};
use crate::v1;

same_variants!(v1::EventKind, EventKind: Decision, StateChange, System, Message, Command, Safety);

impl TryFrom<v1::Event> for Event {
    type Error = WireError;
    fn try_from(wire: v1::Event) -> Result<Self, WireError> {
        Ok(Self {
            id: EventId(uuid(&wire.id).at("id")?),
            agent: AgentId::new(wire.agent).at("agent")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            sequence: wire.sequence,
            at: WallTime::from_unix_nanos(wire.at_unix_nanos),
            mono: MonoTime::from_nanos(wire.mono_nanos),
            kind: one_of::<v1::EventKind, _>(wire.kind).at("kind")?,
            name: text(wire.name).at("name")?,
            payload: text_up_to(wire.payload, EVENT_PAYLOAD_BYTES_MAX).at("payload")?,
            previous: hash(&wire.previous).at("previous")?,
        })
    }
}

/// Nothing is cut here: the next event holds the hash of every byte of this one.
impl From<Event> for v1::Event {
    fn from(event: Event) -> Self {
        let is_first = event.previous == EventHash::default();
        Self {
            id: event.id.to_string(),
            agent: event.agent.into(),
            boot: event.boot.to_string(),
            sequence: event.sequence,
            at_unix_nanos: event.at.unix_nanos(),
            mono_nanos: event.mono.as_nanos(),
            kind: v1::EventKind::from(event.kind).into(),
            name: event.name,
            payload: event.payload,
            previous: if is_first { Vec::new() } else { event.previous.0.to_vec() },
        }
    }
}

fn hash(bytes: &[u8]) -> Result<EventHash, Fault> {
    if bytes.is_empty() {
        return Ok(EventHash::default());
    }
    bytes.try_into().map(EventHash).map_err(|_| Fault::HashLength(bytes.len()))
}

impl TryFrom<v1::EventBatch> for EventBatch {
    type Error = WireError;
    fn try_from(wire: v1::EventBatch) -> Result<Self, WireError> {
        Ok(Self { events: list(wire.events, EVENTS_MAX, "events")? })
    }
}

impl From<EventBatch> for v1::EventBatch {
    fn from(batch: EventBatch) -> Self {
        Self { events: batch.events.into_iter().map(Into::into).collect() }
    }
}
