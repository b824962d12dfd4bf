//! Messages that arrive, on Zenoh's threads: checked, counted, handed over without waiting.

use std::sync::Arc;
use std::time::Instant;

use skein_types::authority::LatchGossip;
use skein_types::coord::{Hazard, HazardKind, Intent, MapHazard};
use skein_types::ids::AgentId;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use tokio::sync::mpsc;
use zenoh::sample::{Sample, SampleKind};

use crate::limits::{MessageKind, SenderLimits};
use crate::stats::Counters;
use crate::{EVENTS_RESERVED, MeshEvent, MeshHooks};

pub(crate) struct Subscriber {
    keys: SwarmKeys,
    own: AgentId,
    sender: mpsc::Sender<MeshEvent>,
    hooks: MeshHooks,
    limits: SenderLimits,
    counters: Arc<Counters>,
}

impl Subscriber {
    pub(crate) fn new(
        keys: SwarmKeys,
        own: AgentId,
        sender: mpsc::Sender<MeshEvent>,
        hooks: MeshHooks,
        counters: Arc<Counters>,
    ) -> Self {
        Self { keys, own, sender, hooks, limits: SenderLimits::new(now()), counters }
    }

    /// The session is open.
    pub(crate) fn on_open(&self) {
        self.hand_over(MeshEvent::Up);
    }

    pub(crate) fn on_sample(&self, sample: &Sample) {
        if sample.kind() != SampleKind::Put {
            return;
        }
        let key = match self.keys.parse(sample.key_expr().as_str()) {
            Ok(key) => key,
            Err(error) => return self.refuse(sample, &error.to_string()),
        };
        let (kind, agent) = match &key {
            SwarmKey::Presence(agent) => (MessageKind::Intent, agent),
            SwarmKey::Hazard(_, agent) => (MessageKind::Hazard, agent),
            SwarmKey::Latch(agent) => (MessageKind::Latch, agent),
            SwarmKey::MapHazard(agent) => (MessageKind::MapHazard, agent),
            SwarmKey::Negotiation(_) | SwarmKey::Claim(..) => return,
        };
        if *agent == self.own {
            // No other robot has this name: the sender is misconfigured, or worse.
            return self.refuse(sample, "it came under this robot's name");
        }
        if !self.limits.admit(now(), agent, kind) {
            return self.counters.limited.count();
        }
        match key {
            SwarmKey::Presence(agent) => self.on_intent(&agent, sample),
            SwarmKey::Hazard(kind, agent) => self.on_hazard(kind, &agent, sample),
            SwarmKey::Latch(agent) => self.on_latch(&agent, sample),
            SwarmKey::MapHazard(agent) => self.on_map_hazard(agent, sample),
            SwarmKey::Negotiation(_) | SwarmKey::Claim(..) => {}
        }
    }

    /// A liveliness token came or went.
    pub(crate) fn on_liveliness(&self, sample: &Sample) {
        let Ok(SwarmKey::Presence(agent)) = self.keys.parse(sample.key_expr().as_str()) else {
            return self.refuse(sample, "it is no presence of a robot");
        };
        if agent != self.own {
            self.hand_over(MeshEvent::PeerAlive { agent, alive: sample.kind() == SampleKind::Put });
        }
    }

    /// A link came or went.
    pub(crate) fn on_transport(&self, kind: SampleKind) {
        let event = match kind {
            SampleKind::Put => (self.counters.linked() == 0).then_some(MeshEvent::Up),
            SampleKind::Delete => (self.counters.unlinked() == 1).then_some(MeshEvent::Down),
        };
        if let Some(event) = event {
            self.hand_over(event);
        }
    }

    fn on_intent(&self, agent: &AgentId, sample: &Sample) {
        let Some(intent) = self.decode::<Intent>(sample) else { return };
        if intent.sender != *agent {
            return self.refuse(sample, "it came under another's name");
        }
        self.counters.intents.count();
        if self.sender.capacity() <= EVENTS_RESERVED {
            return self.counters.dropped.count();
        }
        self.hand_over(MeshEvent::Intent(intent));
    }

    fn on_hazard(&self, kind: HazardKind, agent: &AgentId, sample: &Sample) {
        let Some(hazard) = self.decode::<Hazard>(sample) else { return };
        if hazard.reporter != *agent || hazard.kind != kind {
            return self.refuse(sample, "it came under another's name");
        }
        self.counters.hazards.count();
        if let Some(hook) = &self.hooks.on_hazard {
            hook(&hazard);
        }
        self.hand_over(MeshEvent::Hazard(hazard));
    }

    fn on_latch(&self, agent: &AgentId, sample: &Sample) {
        let Some(gossip) = self.decode::<LatchGossip>(sample) else { return };
        if gossip.sender != *agent {
            return self.refuse(sample, "it came under another's name");
        }
        self.counters.latches.count();
        if let Some(hook) = &self.hooks.on_latch {
            hook(gossip);
        }
    }

    fn on_map_hazard(&self, from: AgentId, sample: &Sample) {
        let Some(entry) = self.decode::<MapHazard>(sample) else { return };
        self.counters.map_hazards.count();
        if self.sender.capacity() <= EVENTS_RESERVED {
            return self.counters.dropped.count();
        }
        self.hand_over(MeshEvent::MapHazard { from, entry });
    }

    /// Checks the size before the bytes are put together.
    fn decode<T: Wire>(&self, sample: &Sample) -> Option<T> {
        if sample.payload().len() > T::BYTES_MAX {
            self.refuse(sample, "it is too large");
            return None;
        }
        match T::from_bytes(&sample.payload().to_bytes()) {
            Ok(message) => Some(message),
            Err(error) => {
                self.refuse(sample, &error.to_string());
                None
            }
        }
    }

    fn refuse(&self, sample: &Sample, why: &str) {
        self.counters.refused.count();
        tracing::debug!(key = %sample.key_expr(), why, "a message from the mesh was refused");
    }

    fn hand_over(&self, event: MeshEvent) {
        if self.sender.try_send(event).is_err() {
            self.counters.dropped.count();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the only place of this shell that reads the clock")]
fn now() -> Instant {
    Instant::now()
}
