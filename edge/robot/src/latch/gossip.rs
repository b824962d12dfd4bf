//! What this robot knows of the latches of others, and the requests it passes on.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use skein_types::authority::{GOSSIP_REQUESTS_MAX, GOSSIP_ROBOTS_MAX, LatchRegister, RelayedRequest};
use skein_types::ids::{AgentId, CommandId};
use skein_types::time::MonoTime;

/// Robots whose registers are kept: one sender that invents names costs no more memory than this.
pub const KNOWN_MAX: usize = 256;
/// A request is passed on for this long after it was first heard here: a robot that restarts meanwhile still gets it.
pub const RELAY_FOR: Duration = Duration::from_secs(60);
/// Requests that were passed on, by id and target (one request may name several robots), so that none circulates for ever.
const SEEN_MAX: usize = 128;
/// Gossip without a change.
const PERIOD: Duration = Duration::from_secs(1);
/// Gossip while a request is young: a lost message costs this much.
const URGENT_PERIOD: Duration = Duration::from_millis(100);
/// See [`URGENT_PERIOD`].
const URGENT_FOR: Duration = Duration::from_secs(1);
/// Least time between two messages.
const SPACING: Duration = Duration::from_millis(20);
/// Requests of peers that are looked at in a second; a STOP of a robot that moves is always looked at.
const REQUESTS_PER_SECOND: u32 = 20;

#[derive(Clone, Debug)]
struct Relay {
    relayed: RelayedRequest,
    since: MonoTime,
}

/// What is known of the latches of another robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLatches {
    /// Its own register.
    pub own: LatchRegister,
    /// The fleet's register as the robot itself said it; `None` while only others spoke of it.
    pub fleet: Option<LatchRegister>,
    /// When it was last heard of.
    pub heard_at: MonoTime,
}

/// Registers and requests of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Gossip {
    known: BTreeMap<AgentId, KnownLatches>,
    relays: VecDeque<Relay>,
    seen: VecDeque<(CommandId, Option<AgentId>)>,
    sequence: u64,
    sent_at: Option<MonoTime>,
    due: MonoTime,
    /// The robot whose register was sent last, so that all have their turn.
    turn: Option<AgentId>,
    budget: (MonoTime, u32),
}

impl Gossip {
    /// Takes what a peer says of a robot. When there is no place, the entry that was heard of longest ago goes.
    pub(super) fn learn(&mut self, now: MonoTime, robot: AgentId, register: &LatchRegister) {
        if !self.known.contains_key(&robot) && self.known.len() >= KNOWN_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.heard_at).map(|(name, _)| name.clone());
            oldest.map(|name| self.known.remove(&name));
        }
        let unknown = || KnownLatches { own: LatchRegister::released(), fleet: None, heard_at: now };
        let entry = self.known.entry(robot).or_insert_with(unknown);
        (entry.own, entry.heard_at) = (entry.own.merge(register), now);
    }

    /// Takes what a peer says of the fleet's register: that it obeys it. Robots that are not known are left out.
    pub(super) fn learn_fleet(&mut self, robot: &AgentId, register: &LatchRegister) {
        if let Some(entry) = self.known.get_mut(robot) {
            let merged = entry.fleet.as_ref().map_or_else(|| register.clone(), |known| known.merge(register));
            entry.fleet = Some(merged);
        }
    }

    pub(super) fn known(&self) -> impl Iterator<Item = (&AgentId, &KnownLatches)> {
        self.known.iter()
    }

    /// Begins to pass a request on; `false` when it was passed on before. When all places are taken the oldest goes.
    pub(super) fn relay(&mut self, now: MonoTime, relayed: RelayedRequest) -> bool {
        let key = (relayed.request.id, relayed.target.clone());
        if self.seen.contains(&key) {
            return false;
        }
        push_bounded(&mut self.seen, key, SEEN_MAX);
        push_bounded(&mut self.relays, Relay { relayed, since: now }, GOSSIP_REQUESTS_MAX);
        self.hurry(now);
        true
    }

    /// Something changed: the peers are to hear of it now.
    pub(super) fn hurry(&mut self, now: MonoTime) {
        let earliest = self.sent_at.map_or(now, |sent| now.max(sent + SPACING));
        self.due = self.due.min(earliest);
    }

    pub(super) const fn due(&self) -> MonoTime {
        self.due
    }

    /// A request of a peer may be looked at.
    pub(super) fn admit(&mut self, now: MonoTime) -> bool {
        if now.since(self.budget.0) >= Duration::from_secs(1) {
            self.budget = (now, 0);
        }
        self.budget.1 += 1;
        self.budget.1 <= REQUESTS_PER_SECOND
    }

    /// The content of the next message: its number, registers of others in turn, requests under way.
    pub(super) fn next(&mut self, now: MonoTime) -> (u64, Vec<(AgentId, LatchRegister)>, Vec<RelayedRequest>) {
        self.relays.retain(|relay| now.since(relay.since) < RELAY_FOR);
        let urgent = self.relays.iter().any(|relay| now.since(relay.since) < URGENT_FOR);
        self.due = now + if urgent { URGENT_PERIOD } else { PERIOD };
        self.sent_at = Some(now);
        self.sequence += 1;
        let requests = self.relays.iter().map(|relay| relay.relayed.clone()).collect();
        (self.sequence, self.in_turn(GOSSIP_ROBOTS_MAX - 1), requests)
    }

    fn in_turn(&mut self, places: usize) -> Vec<(AgentId, LatchRegister)> {
        let pair = |(robot, known): (&AgentId, &KnownLatches)| (robot.clone(), known.own.clone());
        let chosen: Vec<_> = match &self.turn {
            Some(last) => {
                let later = self.known.iter().filter(|(robot, _)| *robot > last);
                let earlier = self.known.iter().filter(|(robot, _)| *robot <= last);
                later.chain(earlier).take(places).map(pair).collect()
            }
            None => self.known.iter().take(places).map(pair).collect(),
        };
        self.turn = chosen.last().map(|(robot, _)| robot.clone());
        chosen
    }
}

pub(super) fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}
