//! Which peers there are, and what each published last.
//!
//! # Identity
//!
//! A name is not proof of a sender: a stray, replayed or invented message may carry it. So the table follows
//! *streams*, sequences of intents that continue each other ([`Peer::is_continued_by`]). The first stream under a name
//! is the peer. A message that does not continue it and may matter starts a *rival* stream:
//!
//! ```text
//!   message ──► continues the peer ──────────────► the peer moves
//!          ├──► continues a rival ───────────────► the rival moves; it becomes the peer once the peer falls silent
//!          ├──► late or repeated, near the peer ─► nothing
//!          └──► anything else ───────────────────► a new rival
//! ```
//!
//! The positions of the peer and of its rivals are all obstacles, so a false message adds a ghost for a second and
//! never hides the real robot.
//!
//! # Which peers are kept
//!
//! The nearest: a full table gives up the farthest peer for a nearer one, and none for a crowd of names that cannot be
//! (`admission`). New names are admitted at a bounded rate, those that the own lidar sees always.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_types::coord::{INTENT_RADIUS_MAX, Intent};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::{MonoTime, WallTime};

use crate::admission::{Admission, Newcomer, given_up};
use crate::peer::{POSE_AGE_MAX, Peer, SILENCE_MAX, is_newer_boot};
use crate::sight::Sight;

/// Most peers that are kept: the nearest.
pub const PEERS_KNOWN_MAX: usize = 64;
/// Rival streams that are kept under one name.
const RIVALS_MAX: usize = 3;
/// Messages after which a rival counts as a sender of its own.
const RIVAL_ESTABLISHED: u32 = 3;
/// Messages after which a rival with a newer boot replaces a peer that still talks: that one is a replay.
const RESTART_ESTABLISHED: u32 = 10;
/// A peer without a message for this long can be replaced by an established rival.
const STALE: Duration = Duration::from_millis(300);
/// A lost peer is planned around, where it was last seen, for this long; what stands there longer is seen by the own
/// sensors.
const LOST_KEPT_FOR: Duration = Duration::from_secs(5);
/// Messages are never later than this: an old one after it comes from a sender that was misjudged.
const LATE_MAX: Duration = Duration::from_secs(2);
/// A rival nearer than this to the peer is no obstacle of its own, metres.
const RIVAL_APART: f64 = 0.3;
/// Two senders under one name are reported at most this often.
const CONFLICT_REPORT_PERIOD: Duration = Duration::from_secs(5);

/// What the table needs to know of the own robot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observer {
    /// Its position; `None` while unknown.
    pub(crate) position: Option<Point>,
    /// Its wall clock, for the age of boots.
    pub(crate) wall: WallTime,
    /// What its lidar says of the position in the intent.
    pub(crate) sight: Sight,
}

/// What a message changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Old, a duplicate, too far away or not believable.
    Nothing,
    /// A peer that was not there before, or restarted. The farthest peer may have been given up for it.
    New { given_up: Option<AgentId> },
    /// A peer that was there.
    Known,
    /// A message under the name of a peer that cannot come from it; whether it is to be reported.
    Rival { report: bool },
}

/// What happened to a peer that was silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silenced {
    NotThere,
    Lost,
    /// Another sender under the same name is the peer now.
    Replaced,
}

#[derive(Clone, Debug)]
struct Rival {
    peer: Peer,
    messages: u32,
}

/// The table of peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerTable {
    peers: BTreeMap<AgentId, Peer>,
    /// Of peers only.
    rivals: BTreeMap<AgentId, Vec<Rival>>,
    conflicts_reported: BTreeMap<AgentId, MonoTime>,
    recently_lost: BTreeMap<AgentId, Peer>,
    admission: Admission,
}

impl PeerTable {
    pub(crate) fn on_intent(&mut self, now: MonoTime, observer: &Observer, intent: Intent) -> Heard {
        if !is_believable(&intent) {
            return Heard::Nothing;
        }
        let Some(peer) = self.peers.get_mut(&intent.sender) else {
            return self.on_new_name(now, observer, intent);
        };
        if peer.is_continued_by(now, &intent) {
            *peer = Peer::new(now, intent, Some(peer));
            peer.sightings.note(now, observer.sight);
            return Heard::Known;
        }
        self.on_rival(now, observer, intent)
    }

    /// Takes a peer away. It is planned around for a while, unless another sender under its name takes its place.
    pub(crate) fn lose(&mut self, now: MonoTime, agent: &AgentId) -> Silenced {
        self.recently_lost.retain(|_, lost| now.since(lost.heard_at) < LOST_KEPT_FOR);
        let Some(peer) = self.peers.remove(agent) else { return Silenced::NotThere };
        self.conflicts_reported.remove(agent);
        let heard = |rival: &Rival| rival.peer.silent_at() > now;
        let rivals = self.rivals.remove(agent).unwrap_or_default();
        match rivals.into_iter().filter(heard).max_by_key(|rival| rival.messages) {
            Some(rival) => {
                self.peers.insert(agent.clone(), rival.peer);
                Silenced::Replaced
            }
            None => {
                if self.recently_lost.len() >= PEERS_KNOWN_MAX {
                    let oldest = self.recently_lost.iter().min_by_key(|(_, lost)| lost.heard_at);
                    oldest.map(|(agent, _)| agent.clone()).map(|agent| self.recently_lost.remove(&agent));
                }
                self.recently_lost.insert(agent.clone(), peer);
                Silenced::Lost
            }
        }
    }

    /// Forgets rivals that fell silent. Returns the peers that did.
    pub(crate) fn silent(&mut self, now: MonoTime) -> Vec<AgentId> {
        self.rivals.retain(|_, rivals| {
            rivals.retain(|rival| rival.peer.silent_at() > now);
            !rivals.is_empty()
        });
        self.peers.iter().filter(|(_, peer)| peer.silent_at() <= now).map(|(agent, _)| agent.clone()).collect()
    }

    pub(crate) fn next_silence(&self) -> Option<MonoTime> {
        let rivals = self.rivals.values().flatten().map(|rival| &rival.peer);
        self.peers.values().chain(rivals).map(Peer::silent_at).min()
    }

    pub(crate) fn get(&self, agent: &AgentId) -> Option<&Peer> {
        self.peers.get(agent)
    }

    /// Robots are trusted until they break a promise.
    pub(crate) fn trusts(&self, now: MonoTime, agent: &AgentId) -> bool {
        self.get(agent).is_none_or(|peer| peer.trust.believed(now))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Peer)> {
        self.peers.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.peers.values_mut()
    }

    /// Every position at which a robot may be: peers, and rivals that are apart from theirs.
    pub(crate) fn sightings(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().chain(self.rivals_apart().map(|(_, rival)| rival))
    }

    /// Peers that are there, and those that cannot be asked to move: rivals, and peers lost a short while ago. With
    /// each goes whether it can be asked to move.
    pub(crate) fn present_and_recently_lost(&self, now: MonoTime) -> impl Iterator<Item = (&AgentId, &Peer, bool)> {
        let present = self.peers.iter().map(|(agent, peer)| (agent, peer, peer.mobile()));
        let rivals = self.rivals_apart().map(|(agent, rival)| (agent, rival, false));
        let is_recent = move |(_, lost): &(&AgentId, &Peer)| now.since(lost.heard_at) < LOST_KEPT_FOR;
        let lost = self.recently_lost.iter().filter(is_recent).map(|(agent, lost)| (agent, lost, false));
        present.chain(rivals).chain(lost)
    }

    fn rivals_apart(&self) -> impl Iterator<Item = (&AgentId, &Peer)> {
        self.rivals.iter().flat_map(|(agent, rivals)| {
            let peer = self.peers.get(agent);
            let is_apart = move |rival: &&Rival| {
                peer.is_none_or(|peer| peer.position().distance(rival.peer.position()) > RIVAL_APART)
            };
            rivals.iter().filter(is_apart).map(move |rival| (agent, &rival.peer))
        })
    }

    fn on_new_name(&mut self, now: MonoTime, observer: &Observer, intent: Intent) -> Heard {
        let lost = self.recently_lost.get(&intent.sender);
        if lost.is_some_and(|lost| now.since(lost.heard_at) < LATE_MAX && lost.is_followed_late_by(&intent)) {
            return Heard::Nothing;
        }
        let Some(given_up) = self.make_room(now, observer, &intent, lost.is_some()) else { return Heard::Nothing };
        let agent = intent.sender.clone();
        let lost = self.recently_lost.remove(&agent);
        let mut peer = Peer::new(now, intent, lost.as_ref());
        peer.before = None;
        peer.sightings.note(now, observer.sight);
        self.peers.insert(agent, peer);
        Heard::New { given_up }
    }

    /// `None` when there is no room for the sender of the intent, else the peer given up for it, if any.
    fn make_room(
        &mut self,
        now: MonoTime,
        observer: &Observer,
        intent: &Intent,
        comes_back: bool,
    ) -> Option<Option<AgentId>> {
        let newcomer = observer
            .position
            .map(|own| Newcomer { distance: own.distance(intent.pose.position), sight: observer.sight });
        let displaced = if self.peers.len() < PEERS_KNOWN_MAX {
            None
        } else {
            Some(given_up(now, observer.position?, &self.peers, newcomer?)?.clone())
        };
        if !(comes_back || self.admission.admit(now, newcomer)) {
            return None;
        }
        if let Some(agent) = &displaced {
            self.peers.remove(agent);
            self.rivals.remove(agent);
            self.conflicts_reported.remove(agent);
        }
        Some(displaced)
    }

    /// A message under a peer's name that does not continue what the peer published.
    fn on_rival(&mut self, now: MonoTime, observer: &Observer, intent: Intent) -> Heard {
        let Some(peer) = self.peers.get(&intent.sender) else { return Heard::Nothing };
        let agent = intent.sender.clone();
        let rivals = self.rivals.entry(agent.clone()).or_default();
        if let Some(rival) = rivals.iter_mut().find(|rival| rival.peer.is_continued_by(now, &intent)) {
            rival.peer = Peer::new(now, intent, Some(&rival.peer));
            rival.messages += 1;
            let messages = rival.messages;
            let replaces = replaces(now, observer, peer, rival);
            if replaces {
                self.promote(&agent);
                return Heard::New { given_up: None };
            }
            return Heard::Rival { report: messages >= RIVAL_ESTABLISHED && self.is_report_due(now, &agent) };
        }
        let late =
            peer.is_followed_late_by(&intent) || rivals.iter().any(|rival| rival.peer.is_followed_late_by(&intent));
        if late && peer.may_be_at(now, intent.pose.position) {
            return Heard::Nothing;
        }
        if rivals.len() >= RIVALS_MAX {
            let weakest = rivals.iter().enumerate().min_by_key(|(_, rival)| (rival.messages, rival.peer.heard_at));
            let place = weakest.filter(|(_, rival)| rival.messages < RIVAL_ESTABLISHED).map(|(place, _)| place);
            let Some(place) = place else { return Heard::Nothing };
            rivals.swap_remove(place);
        }
        let is_elsewhere = !peer.may_be_at(now, intent.pose.position);
        rivals.push(Rival { peer: Peer::new(now, intent, None), messages: 1 });
        Heard::Rival { report: is_elsewhere && self.is_report_due(now, &agent) }
    }

    /// Whether two senders under a name are to be reported now. Each time the name is trusted less.
    fn is_report_due(&mut self, now: MonoTime, agent: &AgentId) -> bool {
        let due = self.conflicts_reported.get(agent).is_none_or(|at| now.since(*at) >= CONFLICT_REPORT_PERIOD);
        if due {
            self.conflicts_reported.insert(agent.clone(), now);
            self.peers.get_mut(agent).into_iter().for_each(|peer| peer.trust.contradicted(now));
        }
        due
    }

    /// The strongest rival becomes the peer, and the peer a rival.
    fn promote(&mut self, agent: &AgentId) {
        let (Some(peer), Some(rivals)) = (self.peers.get_mut(agent), self.rivals.get_mut(agent)) else { return };
        if let Some(rival) = rivals.iter_mut().max_by_key(|rival| (rival.peer.heard_at, rival.messages)) {
            let trust = peer.trust.clone();
            std::mem::swap(peer, &mut rival.peer);
            peer.trust = trust;
        }
    }
}

fn is_believable(intent: &Intent) -> bool {
    intent.pose.is_finite()
        && intent.velocity.is_finite()
        && intent.radius.is_finite()
        && intent.radius <= INTENT_RADIUS_MAX
        && intent.pose_age <= POSE_AGE_MAX
}

/// Whether an established rival takes the place of the peer under its name.
fn replaces(now: MonoTime, observer: &Observer, peer: &Peer, rival: &Rival) -> bool {
    let is_newer = is_newer_boot(rival.peer.intent.boot, peer.intent.boot, observer.wall);
    let is_older = is_newer_boot(peer.intent.boot, rival.peer.intent.boot, observer.wall);
    let silent_for = now.since(peer.heard_at);
    let stale = if is_older { SILENCE_MAX } else { STALE };
    rival.messages >= RIVAL_ESTABLISHED && silent_for >= stale || is_newer && rival.messages >= RESTART_ESTABLISHED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, intent};

    fn here() -> Observer {
        Observer { position: Some(Point::default()), ..Observer::default() }
    }

    fn from(name: &str, boot: u128, sequence: u64, x: f64) -> Intent {
        let mut intent = intent(name, boot, sequence);
        intent.pose.position = Point::new(x, 0.0);
        intent
    }

    /// A UUIDv7 of a moment in milliseconds.
    fn v7(millis: u128) -> u128 {
        millis << 80 | 7 << 76 | 2 << 62
    }

    fn positions(table: &PeerTable) -> Vec<f64> {
        table.sightings().map(|peer| peer.position().x).collect()
    }

    const NEW: Heard = Heard::New { given_up: None };

    #[test]
    fn old_and_repeated_messages_change_nothing() {
        let mut table = PeerTable::default();
        assert_eq!(table.on_intent(at(0), &here(), intent("a", 1, 5)), NEW);
        assert_eq!(table.on_intent(at(1), &here(), intent("a", 1, 5)), Heard::Nothing);
        assert_eq!(table.on_intent(at(1), &here(), intent("a", 1, 4)), Heard::Nothing);
        assert_eq!(table.on_intent(at(2), &here(), intent("a", 1, 6)), Heard::Known);
    }

    #[test]
    fn a_restarted_peer_is_taken_up_within_half_a_second() {
        let mut table = PeerTable::default();
        for i in 0..10 {
            table.on_intent(at(i * 100), &here(), intent("a", v7(1000), i));
        }
        let taken_up = (0..5).find(|i| table.on_intent(at(1000 + i * 100), &here(), intent("a", v7(2000), *i)) == NEW);
        assert_eq!(taken_up, Some(2));
        assert_ne!(
            table.on_intent(at(1500), &here(), intent("a", v7(1000), 11)),
            NEW,
            "a late packet of the boot before"
        );
        assert_eq!(table.on_intent(at(1500), &here(), intent("a", v7(2000), 5)), Heard::Known);
    }

    #[test]
    fn one_message_with_a_huge_sequence_silences_nobody() {
        for (far, first) in [(u64::MAX, false), (u64::MAX, true), (205, false), (205, true)] {
            let mut table = PeerTable::default();
            if first {
                table.on_intent(at(0), &here(), from("a", 1, far, 40.0));
            }
            let mut reports = 0;
            for i in 0..60_u64 {
                let now = at(10 + i * 100);
                table.silent(now).iter().for_each(|agent| {
                    table.lose(now, agent);
                });
                if i == 20 && !first {
                    let heard = table.on_intent(now, &here(), from("a", 1, far, 40.0));
                    reports += usize::from(heard == Heard::Rival { report: true });
                }
                table.on_intent(now, &here(), from("a", 1, i + 1, 0.05 * i as f64));
                assert!(positions(&table).contains(&(0.05 * i as f64)), "{i}: the real one is always seen");
            }
            assert_eq!(positions(&table), [0.05 * 59.0], "and the false one is forgotten");
            assert!(first || reports == 1);
        }
    }

    #[test]
    fn a_message_one_number_ahead_hides_the_real_peer_for_no_moment() {
        let mut table = PeerTable::default();
        for i in 0..100_u64 {
            let real = 0.02 * i as f64;
            table.on_intent(at(i * 100), &here(), from("a", 1, i + 1, 30.0));
            table.on_intent(at(i * 100 + 1), &here(), from("a", 1, i + 1, real));
            assert!(positions(&table).iter().any(|x| (x - real).abs() < 0.5), "{i}: {:?}", positions(&table));
        }
    }

    #[test]
    fn replayed_and_flipped_boots_do_not_condemn_the_true_one() {
        let mut table = PeerTable::default();
        for i in 0..50_u64 {
            let now = at(i * 100);
            table.silent(now).iter().for_each(|agent| {
                table.lose(now, agent);
            });
            if i < 20 {
                table.on_intent(now, &here(), from("a", v7(1000), i, 20.0));
                table.on_intent(now, &here(), from("a", v7(2000) ^ 1 << i, i, 25.0));
            }
            table.on_intent(now, &here(), from("a", v7(2000), i, 3.0));
            assert!(positions(&table).contains(&3.0) || i == 0, "{i}: {:?}", positions(&table));
        }
        assert_eq!(positions(&table), [3.0]);
    }

    #[test]
    fn a_silent_peer_comes_back_with_a_new_message_only() {
        let mut table = PeerTable::default();
        table.on_intent(at(0), &here(), intent("a", 1, 5));
        assert_eq!(table.silent(at(999)), []);
        let gone = table.silent(at(1000));
        assert_eq!(table.lose(at(1000), &gone[0]), Silenced::Lost);
        assert_eq!(table.lose(at(1000), &gone[0]), Silenced::NotThere);
        assert_eq!(table.present_and_recently_lost(at(1001)).count(), 1);
        assert_eq!(table.present_and_recently_lost(at(6000)).count(), 0);
        assert_eq!(table.on_intent(at(1100), &here(), intent("a", 1, 5)), Heard::Nothing);
        assert_eq!(table.on_intent(at(1200), &here(), intent("a", 1, 16)), NEW);
        assert_eq!(table.present_and_recently_lost(at(1201)).count(), 1);
    }

    #[test]
    fn the_nearest_peers_are_kept_whatever_the_order_of_arrival() {
        let mut table = PeerTable::default();
        for i in 0..70_u32 {
            let far = from(&format!("far-{i}"), 1, 1, 20.0 + f64::from(i));
            table.on_intent(at(u64::from(i) * 200), &here(), far);
        }
        let given_up = Some(AgentId::new("far-63").unwrap());
        assert_eq!(table.on_intent(at(20_000), &here(), from("near", 1, 1, 1.0)), Heard::New { given_up });
        assert_eq!(table.iter().count(), PEERS_KNOWN_MAX);
        assert_eq!(table.on_intent(at(20_001), &here(), from("far-63", 1, 2, 83.0)), Heard::Nothing);
        let without_pose = Observer::default();
        assert_eq!(table.on_intent(at(20_002), &without_pose, from("other", 1, 2, 0.0)), Heard::Nothing);
    }

    #[test]
    fn a_robot_that_restarts_among_seventy_strangers_hears_its_three_peers() {
        let mut table = PeerTable::default();
        for round in 0..10_u64 {
            for i in 0..70_u32 {
                let stranger = from(&format!("stranger-{i}"), 1, round, 6.0 + 0.5 * f64::from(i));
                table.on_intent(at(round * 100), &here(), stranger);
            }
            for x in [1.0, 3.0, 5.0] {
                table.on_intent(at(round * 100 + 50), &here(), from(&format!("rover-{x}"), 1, round, x));
            }
        }
        let real = table.iter().filter(|(agent, _)| agent.as_str().starts_with("rover")).count();
        assert_eq!(real, 3);
    }

    #[test]
    fn a_flood_of_names_fills_a_bounded_table_at_a_bounded_rate() {
        let mut table = PeerTable::default();
        let mut admitted = 0;
        for i in 0..20_000_u64 {
            let name = format!("n{i}");
            let heard = table.on_intent(at(i / 20), &here(), from(&name, 1, 1, 100.0 - 0.004 * i as f64));
            admitted += usize::from(matches!(heard, Heard::New { .. }));
            table.lose(at(i / 20), &AgentId::new(format!("n{}", i / 2)).unwrap());
        }
        assert!(admitted <= 64 + 10, "{admitted} names in a second");
        assert!(table.peers.len() <= PEERS_KNOWN_MAX && table.recently_lost.len() <= PEERS_KNOWN_MAX);
    }

    #[test]
    fn far_robots_of_a_kilometre_and_old_poses_are_not_believed() {
        let mut table = PeerTable::default();
        let mut large = from("a", 1, 1, 200.0);
        large.radius.0 = 1000.0;
        assert_eq!(table.on_intent(at(0), &here(), large), Heard::Nothing);
        let mut old = intent("a", 1, 1);
        old.pose_age = Duration::from_millis(1001);
        assert_eq!(table.on_intent(at(0), &here(), old), Heard::Nothing);
    }

    #[test]
    fn the_age_of_a_pose_counts_when_it_is_carried_forward() {
        let mut table = PeerTable::default();
        let mut moving = intent("a", 1, 1);
        (moving.velocity.x, moving.pose_age) = (1.0, Duration::from_millis(200));
        table.on_intent(at(1000), &here(), moving);
        let peer = table.get(&AgentId::new("a").unwrap()).unwrap();
        assert!((peer.positions(at(1100))[1].x - 0.3).abs() < 1e-9);
    }

    #[test]
    fn an_emergency_on_a_peers_word_is_honoured_for_a_minute() {
        let mut table = PeerTable::default();
        let honoured = (0..6000_u64).filter(|i| {
            let mut urgent = intent("a", 1, *i);
            urgent.right_of_way.emergency = true;
            table.on_intent(at(i * 100), &here(), urgent);
            table.iter().any(|(_, peer)| peer.claim.right_of_way.emergency)
        });
        let seconds = honoured.count() / 10;
        assert!((60..240).contains(&seconds), "{seconds} s of 600 s");
    }
}
