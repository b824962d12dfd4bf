//! What is on its way between processes: the virtual network, the queue of the virtual clock, and what waits at
//! processes that hang.

use std::collections::BTreeMap;

use skein_types::time::MonoTime;

use super::event_queue::{EventQueue, SimEvent};
use super::network::{Endpoint, Link, Network};

/// Messages that the system keeps for one hung process.
const HELD_MAX: usize = 4_096;

/// Everything that has been sent or planned and has not happened yet.
#[derive(Debug)]
pub(crate) struct Transport {
    queue: EventQueue,
    network: Network,
    /// What has arrived at processes that hang.
    held: BTreeMap<Endpoint, Vec<SimEvent>>,
}

impl Transport {
    pub(crate) fn new(seed: u64) -> Self {
        Self { queue: EventQueue::default(), network: Network::new(seed), held: BTreeMap::new() }
    }

    /// The state of all links.
    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }

    /// To cut, impair and mend links.
    pub(crate) const fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// Something will happen at a time.
    pub(crate) fn schedule(&mut self, at: MonoTime, event: SimEvent) {
        self.queue.schedule(at, event);
    }

    /// Sends a message of so many bytes: the event happens when it arrives, as often as the link delivers it.
    pub(crate) fn send(&mut self, now: MonoTime, link: Link, bytes: usize, event: &SimEvent) {
        for at in self.network.send(now, link, bytes) {
            self.queue.schedule(at, event.clone());
        }
    }

    /// When something happens next.
    pub(crate) fn next_at(&self) -> Option<MonoTime> {
        self.queue.next_at()
    }

    /// What happens next, at or before a time.
    pub(crate) fn pop_until(&mut self, now: MonoTime) -> Option<SimEvent> {
        self.queue.pop_until(now)
    }

    /// The system keeps an event for a process that hangs, if there is space.
    pub(crate) fn hold(&mut self, process: Endpoint, event: SimEvent) {
        let held = self.held.entry(process).or_default();
        if held.len() < HELD_MAX {
            held.push(event);
        }
    }

    /// A process runs again: what the system kept for it is delivered at once.
    pub(crate) fn deliver_held(&mut self, now: MonoTime, process: Endpoint) {
        for event in self.held.remove(&process).unwrap_or_default() {
            self.queue.schedule(now, event);
        }
    }
}
