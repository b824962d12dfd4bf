//! What arrives, on Zenoh's threads: checked, counted, handed over without waiting.

use std::sync::Arc;

use skein_types::coord::{Hazard, Intent};
use skein_types::ids::AgentId;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use tokio::sync::mpsc;
use zenoh::sample::{Sample, SampleKind};

use crate::stats::Counters;
use crate::{EVENTS_RESERVED, HazardHook, MeshEvent};

pub(crate) struct Subscriber {
    keys: SwarmKeys,
    own: AgentId,
    sender: mpsc::Sender<MeshEvent>,
    on_hazard: Option<HazardHook>,
    counters: Arc<Counters>,
}

impl Subscriber {
    pub(crate) fn new(
        keys: SwarmKeys,
        own: AgentId,
        sender: mpsc::Sender<MeshEvent>,
        on_hazard: Option<HazardHook>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { keys, own, sender, on_hazard, counters }
    }

    /// The session is open.
    pub(crate) fn up(&self) {
        self.hand_over(MeshEvent::Up);
    }

    /// A message came.
    pub(crate) fn on_sample(&self, sample: &Sample) {
        if sample.kind() != SampleKind::Put {
            return;
        }
        match self.keys.parse(sample.key_expr().as_str()) {
            Ok(SwarmKey::Presence(agent)) if agent != self.own => self.intent(&agent, sample),
            Ok(SwarmKey::Hazard(kind, agent)) if agent != self.own => {
                if let Some(hazard) = self.read::<Hazard>(sample) {
                    if hazard.reporter == agent && hazard.kind == kind {
                        self.hazard(hazard);
                    } else {
                        self.refuse(sample, "it came under another's name");
                    }
                }
            }
            // Nobody else has this robot's name: what says so is a mistake, or worse.
            Ok(SwarmKey::Presence(_) | SwarmKey::Hazard(..)) => self.refuse(sample, "it came under this robot's name"),
            Ok(SwarmKey::Negotiation(_) | SwarmKey::Claim(..) | SwarmKey::Latch(_)) => {}
            Err(error) => self.refuse(sample, &error.to_string()),
        }
    }

    /// A token came or went.
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

    fn intent(&self, agent: &AgentId, sample: &Sample) {
        let Some(intent) = self.read::<Intent>(sample) else { return };
        if intent.sender != *agent {
            return self.refuse(sample, "it came under another's name");
        }
        self.counters.intent();
        if self.sender.capacity() <= EVENTS_RESERVED {
            return self.counters.dropped();
        }
        self.hand_over(MeshEvent::Intent(intent));
    }

    fn hazard(&self, hazard: Hazard) {
        self.counters.hazard();
        if let Some(hook) = &self.on_hazard {
            hook(&hazard);
        }
        self.hand_over(MeshEvent::Hazard(hazard));
    }

    /// Checks the size before the bytes are even put together.
    fn read<T: Wire>(&self, sample: &Sample) -> Option<T> {
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
        self.counters.refused();
        tracing::debug!(key = %sample.key_expr(), why, "a message from the mesh was refused");
    }

    fn hand_over(&self, event: MeshEvent) {
        if self.sender.try_send(event).is_err() {
            self.counters.dropped();
        }
    }
}
