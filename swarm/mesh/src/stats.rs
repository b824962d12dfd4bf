//! Counters, written on network threads and read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened since the mesh was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeshStats {
    /// Own intents sent.
    pub intents_sent: u64,
    /// Own hazards sent.
    pub hazards_sent: u64,
    /// Own messages that Zenoh did not take.
    pub failed: u64,
    /// Intents of peers.
    pub intents: u64,
    /// Hazards of peers.
    pub hazards: u64,
    /// Messages that were no message, or came under another's name.
    pub refused: u64,
    /// Events that nobody took in time.
    pub dropped: u64,
    /// Links to others at present.
    pub links: u64,
}

/// Relaxed everywhere: each counter stands for itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    intents_sent: AtomicU64,
    hazards_sent: AtomicU64,
    failed: AtomicU64,
    intents: AtomicU64,
    hazards: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    links: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn intent_sent(&self) {
        count(&self.intents_sent);
    }

    pub(crate) fn hazard_sent(&self) {
        count(&self.hazards_sent);
    }

    pub(crate) fn failed(&self) {
        count(&self.failed);
    }

    pub(crate) fn intent(&self) {
        count(&self.intents);
    }

    pub(crate) fn hazard(&self) {
        count(&self.hazards);
    }

    pub(crate) fn refused(&self) {
        count(&self.refused);
    }

    pub(crate) fn dropped(&self) {
        count(&self.dropped);
    }

    /// How many links there were before.
    pub(crate) fn linked(&self) -> u64 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    /// How many links there were before.
    pub(crate) fn unlinked(&self) -> u64 {
        let less = |links: u64| Some(links.saturating_sub(1));
        self.links.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default()
    }

    pub(crate) fn read(&self) -> MeshStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        MeshStats {
            intents_sent: of(&self.intents_sent),
            hazards_sent: of(&self.hazards_sent),
            failed: of(&self.failed),
            intents: of(&self.intents),
            hazards: of(&self.hazards),
            refused: of(&self.refused),
            dropped: of(&self.dropped),
            links: of(&self.links),
        }
    }
}
