//! Waiting for peers after a gap: at the start, and after the process was suspended.
//!
//! A robot that could not hear its peers for a while does not know where they are. Its first cycles after the gap hold
//! until every peer known before has been heard again, for at most [`PEER_WAIT_MAX`].

use std::collections::BTreeSet;
use std::time::Duration;

use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

/// Upper bound on the wait. Twenty intents of each peer fit into it.
pub const PEER_WAIT_MAX: Duration = Duration::from_secs(2);
/// A gap between two inputs longer than this means that the process was suspended: sensor frames come at 100 Hz.
const SUSPENDED: Duration = Duration::from_secs(1);
/// Intents that arrive sooner after the gap were queued during it and are old.
const QUEUED: Duration = Duration::from_millis(200);

/// Detects gaps between inputs and keeps the wait after one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerWait {
    last_input: Option<MonoTime>,
    /// When the wait began.
    since: Option<MonoTime>,
    /// Peers known before the gap that were not heard since.
    missing: BTreeSet<AgentId>,
}

impl PeerWait {
    /// An input arrives. Returns the length of the gap when one has just ended; zero at the first input.
    pub(crate) fn on_input<P: Iterator<Item = AgentId>>(
        &mut self,
        now: MonoTime,
        peers: impl FnOnce() -> P,
    ) -> Option<Duration> {
        let gap = match self.last_input.replace(now) {
            None => Duration::ZERO,
            Some(last) if now.since(last) > SUSPENDED => now.since(last),
            Some(_) => return None,
        };
        self.since = Some(now);
        self.missing = peers().collect();
        Some(gap)
    }

    /// An intent of a peer arrives. The wait ends with the last missing peer; where no peer was known, it lasts its full
    /// time, because nothing says how many there are.
    pub(crate) fn on_intent(&mut self, now: MonoTime, sender: &AgentId) {
        let Some(since) = self.since else { return };
        if now.since(since) >= QUEUED && self.missing.remove(sender) && self.missing.is_empty() {
            self.since = None;
        }
    }

    /// The robot has to hold.
    pub(crate) fn is_waiting(&self, now: MonoTime) -> bool {
        self.since.is_some_and(|since| now.since(since) < PEER_WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> AgentId {
        AgentId::new(name).unwrap()
    }

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_millis(ms)
    }

    #[test]
    fn the_first_input_waits_and_regular_inputs_do_not() {
        let mut wait = PeerWait::default();
        assert_eq!(wait.on_input(at(100), std::iter::empty), Some(Duration::ZERO));
        assert!(wait.is_waiting(at(2099)) && !wait.is_waiting(at(2100)));
        assert_eq!(wait.on_input(at(1100), std::iter::empty), None, "a second is no suspension");
        assert!(!wait.is_waiting(at(2100)), "the wait was not extended");
    }

    #[test]
    fn a_wait_ends_when_all_known_peers_are_heard_again() {
        let mut wait = PeerWait::default();
        wait.on_input(at(0), std::iter::empty);
        let known = || [peer("rover-2"), peer("rover-3")].into_iter();
        assert_eq!(wait.on_input(at(5000), known), Some(Duration::from_secs(5)));
        wait.on_intent(at(5300), &peer("rover-2"));
        wait.on_intent(at(5300), &peer("stranger"));
        assert!(wait.is_waiting(at(5300)), "rover-3 is missing");
        wait.on_intent(at(5350), &peer("rover-3"));
        assert!(!wait.is_waiting(at(5350)));
    }

    #[test]
    fn intents_queued_during_the_suspension_do_not_end_the_wait() {
        let mut wait = PeerWait::default();
        wait.on_input(at(0), std::iter::empty);
        wait.on_input(at(5000), || [peer("rover-2")].into_iter());
        wait.on_intent(at(5001), &peer("rover-2"));
        assert!(wait.is_waiting(at(5300)));
        wait.on_intent(at(5300), &peer("rover-2"));
        assert!(!wait.is_waiting(at(5300)));
    }
}
