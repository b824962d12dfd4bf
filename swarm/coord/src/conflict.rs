//! One look at all peers: who matters, who goes first, how far the way is free, whom the robot is in the way of.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

use crate::PEER_CLEARANCE;
use crate::claim::{Claim, Precedence};
use crate::coord::Coord;
use crate::coord_state::{Course, HeldPrecedence, STAYS};
use crate::guidance::{HoldReason, PrecedenceReason};
use crate::own_state::OwnState;
use crate::path_conflict::{BESIDE, ConflictInterval, HORIZON, PathConflict, PeerGeometry, STEP};
use crate::peers::Peer;
use crate::planned_path::PlannedPath;

/// Peers farther than this do not matter: two horizons and a bit.
pub(crate) const NEAR: f64 = 14.0;
/// A robot this near along its way lends its claim to whoever stands on it.
const LENDS_WITHIN: f64 = 4.0;
/// Whoever may go on by less than this stands.
pub(crate) const STANDS: f64 = 0.15;
/// A peer faster than this moves, m/s.
const MOVES: f64 = 0.1;
/// How fast a robot surely gets out of a stretch, m/s.
const SLOW: f64 = 0.6;
/// How fast a peer comes at most, m/s.
const FAST: f64 = 1.0;
/// What must be left between one's leaving a stretch and the other's coming, to decide so, seconds.
const PASS_BEFORE: f64 = 2.0;
/// The same, to keep to the decision.
const PASS_STILL: f64 = 1.0;
/// A stretch that runs less than this against the peer is a crossing or runs along with it, metres.
const CROSSING: f64 = 0.8;
/// Who made no headway for this long is not passing.
const STALLED: Duration = Duration::from_secs(3);
/// Longest chain of robots that wait for each other that is followed.
const CHAIN_MAX: usize = 16;

/// One peer that matters in this cycle.
struct Encounter<'a> {
    agent: &'a AgentId,
    peer: &'a Peer,
    clearance: f64,
    mobile: bool,
    conflict: PathConflict,
}

/// How far the way is free, and who ends it.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) distance: f64,
    pub(crate) agent: AgentId,
    pub(crate) reason: HoldReason,
    pub(crate) precedence_reason: Option<PrecedenceReason>,
}

/// What came of looking at all peers.
pub(crate) struct ConflictSummary {
    pub(crate) claim: Claim,
    pub(crate) limit: Option<Limit>,
    /// Who wants to pass where the robot stands, and cannot be let by along the own way.
    pub(crate) pressed_by: Option<(AgentId, PrecedenceReason)>,
    pub(crate) settled: BTreeMap<AgentId, HeldPrecedence>,
    pub(crate) passing: BTreeSet<AgentId>,
}

impl ConflictSummary {
    fn limit_to(
        &mut self,
        at: Option<f64>,
        by: &Encounter<'_>,
        reason: HoldReason,
        precedence_reason: Option<PrecedenceReason>,
    ) {
        let Some(distance) = at else { return };
        if self.limit.as_ref().is_none_or(|known| distance < known.distance) {
            self.limit = Some(Limit { distance, agent: by.agent.clone(), reason, precedence_reason });
        }
    }
}

impl Coord {
    /// Looks at every peer along the present course.
    pub(crate) fn look(&self, now: MonoTime, own: &OwnState) -> ConflictSummary {
        let path = self.standing.path(own);
        let samples = path.samples(STEP, HORIZON);
        let encounters = self.encounters(now, own, &path, &samples);
        let base = self.standing.base_claim(own, &self.config.id);
        let freed = self.deadlock_cycle(&base);
        let claim = self.effective_claim(now, &base, &encounters, freed.as_ref());
        let settled = match self.standing.course {
            Course::Own => BTreeMap::new(),
            Course::Yielding { .. } => self.standing.settled.clone(),
        };
        let mut look = ConflictSummary { claim, limit: None, pressed_by: None, settled, passing: BTreeSet::new() };
        let mut pressing: Vec<(&Encounter<'_>, PrecedenceReason)> = Vec::new();
        for encounter in &encounters {
            let precedence = self.precedence(now, &look.claim, encounter, freed.as_ref());
            if let Some(reason) = self.weigh(encounter, precedence, &mut look) {
                pressing.push((encounter, reason));
            }
        }
        let free = look.limit.as_ref().map_or(HORIZON, |limit| limit.distance);
        let blocker = look.limit.as_ref().and_then(|limit| encounters.iter().find(|e| *e.agent == limit.agent));
        look.pressed_by = pressing
            .into_iter()
            .filter(|(encounter, _)| path.length() < STAYS || !clears(encounter, free, blocker))
            .reduce(|a, b| if b.0.peer.claim.beats(&a.0.peer.claim) { b } else { a })
            .map(|(encounter, reason)| (encounter.agent.clone(), reason));
        look
    }

    /// Notes what one peer means for the own way. Returns the reason when it goes first and wants to pass where this
    /// robot stands.
    fn weigh(
        &self,
        encounter: &Encounter<'_>,
        precedence: Precedence,
        look: &mut ConflictSummary,
    ) -> Option<PrecedenceReason> {
        let conflict = &encounter.conflict;
        if !encounter.mobile {
            look.limit_to(conflict.disc, encounter, HoldReason::Obstacle, None);
            return None;
        }
        let reason = match precedence {
            Precedence::First(_) => {
                look.settled.insert(encounter.agent.clone(), HeldPrecedence::First);
                let nearing = conflict.nearing.filter(|_| self.makes_room_for_us(encounter.peer));
                look.limit_to(earlier(conflict.disc, nearing), encounter, HoldReason::Follow, None);
                return None;
            }
            Precedence::Second(reason) => reason,
        };
        look.settled.insert(encounter.agent.clone(), HeldPrecedence::Second);
        let enters = match conflict.interval {
            Some(_) | None if conflict.on_path => None,
            Some(interval) if self.passes_before(encounter, &interval) => {
                look.passing.insert(encounter.agent.clone());
                None
            }
            Some(interval) => Some(interval.enters),
            None => None,
        };
        look.limit_to(earlier(conflict.disc, enters), encounter, HoldReason::GiveWay, Some(reason));
        (conflict.on_path && !self.course_serves(encounter)).then_some(reason)
    }

    fn makes_room_for_us(&self, peer: &Peer) -> bool {
        peer.intent.state == AgentState::Yielding && peer.intent.yields_to.as_ref() == Some(&self.config.id)
    }

    fn encounters<'a>(
        &'a self,
        now: MonoTime,
        own: &OwnState,
        path: &PlannedPath,
        samples: &[(f64, Point)],
    ) -> Vec<Encounter<'a>> {
        let place = own.pose.position;
        let present = self.presence.iter().map(|(agent, peer)| (agent, peer, peer.mobile()));
        let ghosts = self.presence.ghosts(now).map(|(agent, peer)| (agent, peer, false));
        present
            .chain(ghosts)
            .filter(|(_, peer, _)| peer.intent.pose.position.distance(place) < NEAR)
            .filter_map(|(agent, peer, mobile)| {
                let clearance = self.clearance(now, peer);
                let other = PeerGeometry { path: &peer.path, places: peer.places(now), clearance };
                let conflict = PathConflict::of(path, samples, &other)?;
                Some(Encounter { agent, peer, clearance, mobile, conflict })
            })
            .collect()
    }

    pub(crate) fn clearance(&self, now: MonoTime, peer: &Peer) -> f64 {
        let moves = peer.intent.velocity.norm() > MOVES;
        self.config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE + peer.trust.extra_clearance(now, moves)
    }

    /// The own claim, or that of the strongest robot in whose way this one stands.
    fn effective_claim(
        &self,
        now: MonoTime,
        base: &Claim,
        encounters: &[Encounter<'_>],
        freed: Option<&AgentId>,
    ) -> Claim {
        let lender = match &self.standing.course {
            Course::Yielding { for_agent, escape: false, .. } => Some(for_agent),
            Course::Yielding { .. } | Course::Own => None,
        };
        encounters
            .iter()
            .filter(|e| e.mobile && e.peer.claim.wants && e.peer.intent.yields_to.as_ref() != Some(&self.config.id))
            .filter(|e| {
                let stands = e.conflict.on_path && e.conflict.peer_to_place < LENDS_WITHIN;
                (stands || lender == Some(e.agent)) && self.claim_is_backed(&e.peer.claim, e.peer)
            })
            .filter(|e| matches!(self.precedence(now, base, e, freed), Precedence::Second(_)))
            .map(|e| &e.peer.claim)
            .reduce(|a, b| if b.beats(a) { b } else { a })
            .map_or_else(|| base.clone(), |claim| base.inherited_from(claim))
    }

    /// An inherited claim is lent on only while its owner is there and really held up, so that two robots cannot
    /// keep a claim alive between them that nobody makes any more.
    fn claim_is_backed(&self, claim: &Claim, peer: &Peer) -> bool {
        let claimant = &claim.right_of_way.claimant;
        if *claimant == claim.sender {
            return true;
        }
        if *claimant == self.config.id {
            return false;
        }
        if peer.intent.yields_to.is_some() {
            return true;
        }
        self.presence.get(claimant).is_some_and(|owner| {
            let clearance = owner.intent.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE + BESIDE;
            owner.path.distance(peer.intent.pose.position) < clearance
        })
    }

    fn precedence(
        &self,
        now: MonoTime,
        claim: &Claim,
        encounter: &Encounter<'_>,
        freed: Option<&AgentId>,
    ) -> Precedence {
        let peer = encounter.peer;
        if !peer.claim.wants {
            return Precedence::First(PrecedenceReason::Wants);
        }
        if freed == Some(encounter.agent) {
            return Precedence::First(PrecedenceReason::Ring);
        }
        let promised = peer.intent.yields_to.as_ref() == Some(&self.config.id) && !peer.claim.cornered;
        let owed = self.standing.yields_to.as_ref().is_some_and(|(to, _)| to == encounter.agent);
        if promised && !owed && peer.trust.believed(now) {
            return Precedence::First(PrecedenceReason::Promise);
        }
        let clear = claim.clearly_beats(&peer.claim) || peer.claim.clearly_beats(claim);
        match self.passing_now(now, encounter) {
            Some(precedence) if !clear => precedence,
            Some(_) | None => claim.against(&peer.claim),
        }
    }

    /// What speaks against changing one's mind: one of the two is on its way through, and the other let it, or is
    /// still outside where they would meet head-on.
    fn passing_now(&self, now: MonoTime, encounter: &Encounter<'_>) -> Option<Precedence> {
        let conflict = &encounter.conflict;
        let (mine, theirs) = (self.makes_headway(now), self.underway(now, encounter.peer));
        let head_on = conflict.interval.is_some_and(|interval| interval.against > CROSSING);
        match self.standing.settled.get(encounter.agent) {
            Some(HeldPrecedence::First) if mine => Some(Precedence::First(PrecedenceReason::Underway)),
            Some(HeldPrecedence::Second) if theirs => Some(Precedence::Second(PrecedenceReason::Underway)),
            Some(_) | None if !head_on => None,
            Some(_) | None if mine && conflict.on_path && !conflict.peer_on_path => {
                Some(Precedence::First(PrecedenceReason::Underway))
            }
            Some(_) | None if theirs && conflict.peer_on_path && !conflict.on_path => {
                Some(Precedence::Second(PrecedenceReason::Underway))
            }
            Some(_) | None => None,
        }
    }

    fn makes_headway(&self, now: MonoTime) -> bool {
        now.since(self.standing.headway.0) < STALLED
    }

    /// Whether the peer, or someone who makes room for it, made headway lately.
    fn underway(&self, now: MonoTime, peer: &Peer) -> bool {
        let claimant = &peer.claim.right_of_way.claimant;
        let same = |other: &Peer| other.claim.right_of_way.claimant == *claimant;
        self.presence.iter().any(|(_, other)| same(other) && other.underway(now, STALLED))
    }

    /// The peer this robot waits for in a ring of robots that wait for each other, if this robot is the one to go.
    fn deadlock_cycle(&self, base: &Claim) -> Option<AgentId> {
        let first = self.standing.yields_to()?;
        let mine = self.standing.claim.as_ref().unwrap_or(base);
        let mut next = first.clone();
        for _ in 0..CHAIN_MAX {
            let peer = self.presence.get(&next)?;
            if !mine.beats(&peer.claim) {
                return None;
            }
            next = peer.intent.yields_to.clone()?;
            if next == self.config.id {
                return Some(first);
            }
        }
        None
    }

    /// Whether the end of the way aside is off this peer's way.
    fn course_serves(&self, encounter: &Encounter<'_>) -> bool {
        match &self.standing.course {
            Course::Own => false,
            Course::Yielding { path, .. } => encounter.peer.path.distance(path.end()) >= encounter.clearance,
        }
    }

    /// Whether there is time to be through before the peer comes.
    fn passes_before(&self, encounter: &Encounter<'_>, interval: &ConflictInterval) -> bool {
        let spare = if self.standing.passing.contains(encounter.agent) { PASS_STILL } else { PASS_BEFORE };
        interval
            .leaves
            .is_some_and(|leaves| leaves / SLOW + spare < (interval.peer_enters - encounter.clearance).max(0.0) / FAST)
    }
}

fn earlier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::min)
}

/// Whether going on along the own way lets the peer by: it leads out of the peer's way, or ahead of it.
fn clears(encounter: &Encounter<'_>, free: f64, blocker: Option<&Encounter<'_>>) -> bool {
    let Some(interval) = encounter.conflict.interval else { return false };
    let against = interval.against > CROSSING;
    match interval.leaves {
        Some(leaves) if free >= leaves => {
            !against || leaves / SLOW + PASS_STILL < (interval.peer_enters - encounter.clearance).max(0.0) / FAST
        }
        Some(_) | None if against => false,
        Some(_) | None => free >= STANDS || blocker.is_some_and(|blocker| holds_back_too(blocker, encounter)),
    }
}

/// Whether what stops this robot stops the peer behind it as well, so that making room would gain nothing.
fn holds_back_too(blocker: &Encounter<'_>, behind: &Encounter<'_>) -> bool {
    let stronger = !blocker.mobile || blocker.peer.claim.beats(&behind.peer.claim);
    let meets = blocker.peer.path.points().iter().any(|p| behind.peer.path.distance(*p) < behind.clearance)
        || behind.peer.path.points().iter().any(|p| blocker.peer.path.distance(*p) < behind.clearance);
    blocker.agent != behind.agent && stronger && meets
}
