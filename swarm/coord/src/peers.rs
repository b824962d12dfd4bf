//! Which peers there are, and what each said last.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_types::coord::{AgentState, Intent};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, BootId};
use skein_types::time::MonoTime;

use crate::claim::Claim;
use crate::planned_path::PlannedPath;
use crate::trust::Trust;

/// A peer that says nothing for this long is gone.
pub const SILENCE_MAX: Duration = Duration::from_secs(1);
/// Most peers that are kept; more are not heard, so that a flood of names cannot exhaust the memory.
pub const PEERS_KNOWN_MAX: usize = 64;
/// Earlier lives of a peer that are remembered, so that their late messages are not taken for a restart.
const LIVES_KNOWN_MAX: usize = 4;
/// A peer that is gone is planned around, where it was last seen, for this long; what stands there longer is seen by
/// the own sensors.
const LOST_KEPT_FOR: Duration = Duration::from_secs(5);
/// A said way shorter than this means that the peer stays where it is.
const STAYS: f64 = 0.1;
/// A peer that moved less than this makes no headway.
pub(crate) const HEADWAY: f64 = 0.2;
/// A position is carried forward with its velocity over at most this long.
const EXTRAPOLATE: f64 = 0.3;

/// What is known of one peer, as others may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// Its last word.
    pub intent: Intent,
    /// How long ago that was heard.
    pub age: Duration,
    /// How far its promises are believed, 0 to 1.
    pub trust: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) intent: Intent,
    pub(crate) heard_at: MonoTime,
    /// Its place and the way it means to go.
    pub(crate) path: PlannedPath,
    pub(crate) claim: Claim,
    pub(crate) trust: Trust,
    /// Its place and way by the word before, until that has been looked at.
    pub(crate) before: Option<PlannedPath>,
    /// When and where it last made headway.
    pub(crate) headway: (MonoTime, Point),
}

impl Peer {
    fn new(now: MonoTime, intent: Intent, before: Option<&Self>) -> Self {
        let place = intent.pose.position;
        let path = PlannedPath::new(place, &intent.path);
        let claim = Claim::of(&intent, path.length() > STAYS);
        let trust = before.map(|peer| peer.trust.clone()).unwrap_or_default();
        let headway = before.map_or((now, place), |peer| peer.headway);
        let headway = if headway.1.distance(place) > HEADWAY { (now, place) } else { headway };
        let last = before.map(|peer| peer.path.clone());
        Self { intent, heard_at: now, path, claim, trust, before: last, headway }
    }

    /// Whether it can be asked to move.
    pub(crate) fn mobile(&self) -> bool {
        moves_by_itself(self.intent.state)
    }

    /// Where it was when it spoke, and where it should be by now.
    pub(crate) fn places(&self, now: MonoTime) -> [Point; 2] {
        let ahead = now.secs_since(self.heard_at).min(EXTRAPOLATE);
        [self.intent.pose.position, self.intent.pose.position + self.intent.velocity * ahead]
    }

    /// It made headway within this span.
    pub(crate) fn underway(&self, now: MonoTime, within: Duration) -> bool {
        now.since(self.headway.0) < within
    }

    pub(crate) fn silent_at(&self) -> MonoTime {
        self.heard_at + SILENCE_MAX
    }
}

/// Whether a robot in this state can move for its peers.
pub(crate) fn moves_by_itself(state: AgentState) -> bool {
    match state {
        AgentState::Stopped | AgentState::Fault | AgentState::Charging => false,
        AgentState::Idle
        | AgentState::MovingToStart
        | AgentState::Executing
        | AgentState::CarryingPayload
        | AgentState::Yielding
        | AgentState::Waiting
        | AgentState::Returning => true,
    }
}

/// What a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Old, a duplicate, of an earlier life, or one peer too many.
    Nothing,
    /// A peer that was not there before, or lives anew.
    New,
    /// A peer that was there.
    Known,
}

/// The table of peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerTable {
    peers: BTreeMap<AgentId, Peer>,
    /// Lives that ended, and the last number of the one before a peer went silent.
    lives: BTreeMap<AgentId, Lives>,
    recently_lost: BTreeMap<AgentId, Peer>,
}

#[derive(Clone, Debug, Default)]
struct Lives {
    ended: Vec<BootId>,
    last: Option<(BootId, u64)>,
}

impl PeerTable {
    pub(crate) fn on_intent(&mut self, now: MonoTime, intent: Intent) -> Heard {
        let sender = intent.sender.clone();
        let room = self.peers.contains_key(&sender) || self.peers.len() < PEERS_KNOWN_MAX;
        if !room || !self.note_life(&intent) {
            return Heard::Nothing;
        }
        self.recently_lost.remove(&sender);
        let before = self.peers.get(&sender);
        let known = before.is_some_and(|peer| peer.intent.boot == intent.boot);
        let peer = Peer::new(now, intent, before);
        self.peers.insert(sender, peer);
        if known { Heard::Known } else { Heard::New }
    }

    /// Whether the message is newer than all heard of its sender.
    fn note_life(&mut self, intent: &Intent) -> bool {
        if !self.lives.contains_key(&intent.sender) && self.lives.len() >= 2 * PEERS_KNOWN_MAX {
            let forgotten = self.lives.keys().find(|agent| !self.peers.contains_key(*agent)).cloned();
            forgotten.map(|agent| self.lives.remove(&agent));
        }
        let lives = self.lives.entry(intent.sender.clone()).or_default();
        if lives.ended.contains(&intent.boot) {
            return false;
        }
        match lives.last {
            Some((boot, sequence)) if boot == intent.boot && intent.sequence <= sequence => return false,
            Some((boot, _)) if boot != intent.boot => {
                if lives.ended.len() == LIVES_KNOWN_MAX {
                    lives.ended.remove(0);
                }
                lives.ended.push(boot);
            }
            Some(_) | None => {}
        }
        lives.last = Some((intent.boot, intent.sequence));
        true
    }

    /// Takes a peer away; it stays as a lost for a while.
    pub(crate) fn lose(&mut self, now: MonoTime, agent: &AgentId) -> bool {
        self.recently_lost.retain(|_, lost| now.since(lost.heard_at) < LOST_KEPT_FOR);
        match self.peers.remove(agent) {
            Some(peer) => {
                self.recently_lost.insert(agent.clone(), peer);
                true
            }
            None => false,
        }
    }

    pub(crate) fn silent(&self, now: MonoTime) -> Vec<AgentId> {
        self.peers.iter().filter(|(_, peer)| peer.silent_at() <= now).map(|(agent, _)| agent.clone()).collect()
    }

    pub(crate) fn next_silence(&self) -> Option<MonoTime> {
        self.peers.values().map(Peer::silent_at).min()
    }

    pub(crate) fn get(&self, agent: &AgentId) -> Option<&Peer> {
        self.peers.get(agent)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Peer)> {
        self.peers.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.peers.values_mut()
    }

    /// Peers that are there, and those that were lost a short while ago: these do not move by themselves. With each
    /// goes whether it can be asked to move.
    pub(crate) fn present_and_recently_lost(&self, now: MonoTime) -> impl Iterator<Item = (&AgentId, &Peer, bool)> {
        let present = self.peers.iter().map(|(agent, peer)| (agent, peer, peer.mobile()));
        present.chain(self.recently_lost(now).map(|(agent, peer)| (agent, peer, false)))
    }

    /// Peers that went silent a short while ago: they may still stand there.
    pub(crate) fn recently_lost(&self, now: MonoTime) -> impl Iterator<Item = (&AgentId, &Peer)> {
        self.recently_lost.iter().filter(move |(_, lost)| now.since(lost.heard_at) < LOST_KEPT_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, intent};

    #[test]
    fn what_is_old_doubled_or_of_an_earlier_life_changes_nothing() {
        let mut presence = PeerTable::default();
        assert_eq!(presence.on_intent(at(0), intent("a", 1, 5)), Heard::New);
        assert_eq!(presence.on_intent(at(1), intent("a", 1, 5)), Heard::Nothing);
        assert_eq!(presence.on_intent(at(1), intent("a", 1, 4)), Heard::Nothing);
        assert_eq!(presence.on_intent(at(2), intent("a", 1, 6)), Heard::Known);
        assert_eq!(presence.on_intent(at(3), intent("a", 2, 0)), Heard::New, "a restart counts from the start again");
        assert_eq!(presence.on_intent(at(4), intent("a", 1, 99)), Heard::Nothing, "a late packet of the life before");
        assert_eq!(presence.on_intent(at(5), intent("a", 2, 1)), Heard::Known);
    }

    #[test]
    fn a_peer_that_went_silent_comes_back_with_its_next_word_but_not_with_an_old_one() {
        let mut presence = PeerTable::default();
        presence.on_intent(at(0), intent("a", 1, 5));
        assert_eq!(presence.silent(at(999)), []);
        let gone = presence.silent(at(1000));
        assert!(gone.len() == 1 && presence.lose(at(1000), &gone[0]) && !presence.lose(at(1000), &gone[0]));
        assert_eq!(presence.recently_lost(at(1001)).count(), 1);
        assert_eq!(presence.recently_lost(at(6000)).count(), 0);
        assert_eq!(presence.on_intent(at(1100), intent("a", 1, 5)), Heard::Nothing);
        assert_eq!(presence.on_intent(at(1200), intent("a", 1, 6)), Heard::New);
        assert_eq!(presence.recently_lost(at(1201)).count(), 0);
    }

    #[test]
    fn a_flood_of_names_fills_a_bounded_table() {
        let mut presence = PeerTable::default();
        for i in 0..1000 {
            let heard = presence.on_intent(at(0), intent(&format!("n{i}"), 1, 1));
            assert_eq!(heard == Heard::New, i < PEERS_KNOWN_MAX, "{i}");
        }
        for i in 0..2000 {
            presence.lose(at(1), &intent(&format!("n{i}"), 1, 1).sender);
            presence.on_intent(at(1), intent(&format!("m{i}"), 1, 1));
        }
        assert!(presence.lives.len() <= 2 * PEERS_KNOWN_MAX && presence.iter().count() <= PEERS_KNOWN_MAX);
    }
}
