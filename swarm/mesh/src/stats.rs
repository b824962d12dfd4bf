//! Counters, written on network threads and read by any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened since the mesh was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeshStats {
    /// Own intents sent.
    pub intents_sent: u64,
    /// Own hazards sent.
    pub hazards_sent: u64,
    /// Own latch gossip sent.
    pub latches_sent: u64,
    /// Own entries of the shared hazard map sent.
    pub map_hazards_sent: u64,
    /// Own messages that Zenoh did not take.
    pub failed: u64,
    /// Intents of peers.
    pub intents: u64,
    /// Hazards of peers.
    pub hazards: u64,
    /// Latch gossip of peers.
    pub latches: u64,
    /// Entries of the shared hazard map from peers.
    pub map_hazards: u64,
    /// Messages that could not be decoded, or came under another's name.
    pub refused: u64,
    /// Messages beyond the rate of their sender, which were not decoded.
    pub limited: u64,
    /// Events that were not taken in time.
    pub dropped: u64,
    /// Links to others at present.
    pub links: u64,
}

/// Relaxed everywhere: each counter stands for itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) intents_sent: Counter,
    pub(crate) hazards_sent: Counter,
    pub(crate) latches_sent: Counter,
    pub(crate) map_hazards_sent: Counter,
    pub(crate) failed: Counter,
    pub(crate) intents: Counter,
    pub(crate) hazards: Counter,
    pub(crate) latches: Counter,
    pub(crate) map_hazards: Counter,
    pub(crate) refused: Counter,
    pub(crate) limited: Counter,
    pub(crate) dropped: Counter,
    links: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// Returns the number of links before.
    pub(crate) fn linked(&self) -> u64 {
        self.links.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the number of links before.
    pub(crate) fn unlinked(&self) -> u64 {
        let less = |links: u64| Some(links.saturating_sub(1));
        self.links.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default()
    }

    pub(crate) fn read(&self) -> MeshStats {
        MeshStats {
            intents_sent: self.intents_sent.get(),
            hazards_sent: self.hazards_sent.get(),
            latches_sent: self.latches_sent.get(),
            map_hazards_sent: self.map_hazards_sent.get(),
            failed: self.failed.get(),
            intents: self.intents.get(),
            hazards: self.hazards.get(),
            latches: self.latches.get(),
            map_hazards: self.map_hazards.get(),
            refused: self.refused.get(),
            limited: self.limited.get(),
            dropped: self.dropped.get(),
            links: self.links.get(),
        }
    }
}
