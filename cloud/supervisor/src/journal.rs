//! The supervisor's own record: a chain of events as robots keep one.

use serde_json::Value;
use skein_types::event::{EVENT_PAYLOAD_BYTES_MAX, Event, EventHash, EventKind};
use skein_types::ids::{AgentId, BootId, EventId};
use skein_types::time::{MonoTime, WallTime};
use uuid::Uuid;

/// The name under which the supervisor's own events are kept.
pub const SUPERVISOR: &str = "supervisor";

/// Writes events until they are taken to be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    agent: Option<AgentId>,
    epoch: u64,
    sequence: u64,
    previous: EventHash,
    fresh: Vec<Event>,
}

impl Journal {
    pub(crate) fn new(epoch: u64) -> Self {
        let agent = AgentId::new(SUPERVISOR).ok();
        Self { agent, epoch, sequence: 0, previous: EventHash::default(), fresh: Vec::new() }
    }

    /// Adds an event.
    pub(crate) fn write(&mut self, now: MonoTime, wall: WallTime, kind: EventKind, name: &str, payload: &Value) {
        let Some(agent) = self.agent.clone() else { return };
        let mut payload = payload.to_string();
        if payload.len() > EVENT_PAYLOAD_BYTES_MAX {
            payload = format!("{{\"left_out_bytes\":{}}}", payload.len());
        }
        let event = Event {
            id: EventId(numbered(self.epoch, 1, self.sequence)),
            agent,
            boot: BootId(numbered(self.epoch, 0, 0)),
            sequence: self.sequence,
            at: wall,
            mono: now,
            kind,
            name: name.to_owned(),
            payload,
            previous: self.previous,
        };
        self.sequence += 1;
        self.previous = event.hash();
        self.fresh.push(event);
    }

    /// Events since the last call.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.fresh)
    }
}

/// A UUID (version 8: made by an own rule) that is unique to a life of the supervisor, a series and a number.
pub(crate) fn numbered(epoch: u64, series: u16, number: u64) -> Uuid {
    let mut bytes = [0_u8; 16];
    let (high, low) = bytes.split_at_mut(8);
    high.copy_from_slice(&epoch.to_be_bytes());
    low.copy_from_slice(&((u64::from(series & 0xf) << 56) | (number & 0x00ff_ffff_ffff_ffff)).to_be_bytes());
    uuid_from(bytes)
}

fn uuid_from(bytes: [u8; 16]) -> Uuid {
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
