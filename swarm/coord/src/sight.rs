//! What the own lidar says of where peers claim to be.

use core::time::Duration;

use skein_types::time::MonoTime;

/// A peer counts as seen for this long.
const SEEN_FOR: Duration = Duration::from_secs(5);
/// Intents in a row (10 Hz) from a position that is empty before the peer counts as refuted.
const REFUTED_AFTER: u8 = 5;

/// What the own lidar says of the position that a peer claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nothing: it is too far away or hidden, or there is no lidar.
    #[default]
    Unknown,
    /// Something that is on no map is there.
    Seen,
    /// The lidar measures beyond it.
    Empty,
}

/// What the lidar said of one peer, over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sightings {
    /// When the name was first heard.
    pub(crate) heard_since: MonoTime,
    seen_at: Option<MonoTime>,
    empty: u8,
}

impl Sightings {
    pub(crate) const fn new(now: MonoTime) -> Self {
        Self { heard_since: now, seen_at: None, empty: 0 }
    }

    pub(crate) fn note(&mut self, now: MonoTime, sight: Sight) {
        match sight {
            Sight::Unknown => {}
            Sight::Seen => (self.seen_at, self.empty) = (Some(now), 0),
            Sight::Empty => self.empty = self.empty.saturating_add(1),
        }
    }

    pub(crate) fn is_seen(&self, now: MonoTime) -> bool {
        !self.is_refuted() && self.seen_at.is_some_and(|at| now.since(at) < SEEN_FOR)
    }

    pub(crate) const fn is_refuted(&self) -> bool {
        self.empty >= REFUTED_AFTER
    }
}
