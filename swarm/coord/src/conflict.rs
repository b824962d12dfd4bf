//! Assessment of all conflicts with peers: which peers matter, which side goes first, how far the own path is free,
//! and for which peer the robot has to make way. Pure: it reads a [`Situation`] and returns a [`ConflictSummary`].

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

use crate::PEER_CLEARANCE;
use crate::claim::{Claim, Precedence};
use crate::config::CoordConfig;
use crate::coord_state::{CoordState, Course, HeldPrecedence, HeldPrecedences, STAYS};
use crate::guidance::{HoldReason, PrecedenceReason};
use crate::own_state::OwnState;
use crate::path_conflict::{BESIDE, ConflictInterval, HORIZON, PathConflict, PeerGeometry, STEP};
use crate::peer::Peer;
use crate::peers::PeerTable;
use crate::planned_path::PlannedPath;

/// Peers farther than this do not matter, metres: two horizons and a margin.
pub(crate) const NEAR: f64 = 14.0;
/// A peer this near along its path lends its claim to the robot that stands on that path, metres.
const LENDS_WITHIN: f64 = 4.0;
/// A robot that may go on by less than this stands, metres.
pub(crate) const STANDS: f64 = 0.15;
/// A peer faster than this moves, m/s.
const MOVES: f64 = 0.1;
/// Speed at which a robot surely leaves a conflict interval, m/s.
const SLOW: f64 = 0.6;
/// Highest speed of an approaching peer, m/s.
const FAST: f64 = 1.0;
/// Minimum time gap between leaving a conflict interval and the peer's arrival, to decide to pass first, seconds.
const PASS_BEFORE: f64 = 2.0;
/// The same gap for keeping that decision, seconds.
const PASS_STILL: f64 = 1.0;
/// An interval that runs less than this against the peer is a crossing, or runs along with it, metres.
const CROSSING: f64 = 0.8;
/// A robot without headway for this long is not passing.
const STALLED: Duration = Duration::from_secs(3);
/// Longest chain of waiting robots that is searched for a deadlock cycle.
const CHAIN_MAX: usize = 16;

/// One peer that matters in this cycle.
struct Encounter<'a> {
    agent: &'a AgentId,
    peer: &'a Peer,
    clearance: f64,
    mobile: bool,
    conflict: PathConflict,
}

/// Where the own path has to end until a peer has passed, and which peer.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) distance: f64,
    pub(crate) agent: AgentId,
    pub(crate) reason: HoldReason,
    pub(crate) precedence_reason: Option<PrecedenceReason>,
}

/// What an assessment depends on.
#[derive(Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) now: MonoTime,
    pub(crate) config: &'a CoordConfig,
    pub(crate) own: &'a OwnState,
    pub(crate) peers: &'a PeerTable,
    pub(crate) state: &'a CoordState,
}

/// Result of an assessment.
pub(crate) struct ConflictSummary {
    pub(crate) claim: Claim,
    pub(crate) limit: Option<Limit>,
    /// The peer that goes first, needs the place where the robot stands, and cannot be let by along the own path.
    pub(crate) pressed_by: Option<(AgentId, PrecedenceReason)>,
    pub(crate) held: HeldPrecedences,
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

/// Assesses every peer along the present course.
pub(crate) fn assess(situation: &Situation<'_>) -> ConflictSummary {
    situation.assess()
}

impl<'a> Situation<'a> {
    fn assess(&self) -> ConflictSummary {
        let path = self.state.path(self.own);
        let samples = path.samples(STEP, HORIZON);
        let encounters = self.encounters(&path, &samples);
        let base = self.state.base_claim(self.own, self.config);
        let freed = self.deadlock_cycle();
        let claim = self.effective_claim(&base, &encounters, freed.as_ref());
        let held = match self.state.course() {
            Course::Own => BTreeMap::new(),
            Course::Yielding { .. } => self.state.held_precedences().clone(),
        };
        let mut summary = ConflictSummary { claim, limit: None, pressed_by: None, held, passing: BTreeSet::new() };
        let mut pressing: Vec<(&Encounter<'_>, PrecedenceReason)> = Vec::new();
        for encounter in &encounters {
            let precedence = self.precedence(&summary.claim, encounter, freed.as_ref());
            if let Some(reason) = self.weigh(encounter, precedence, &mut summary) {
                pressing.push((encounter, reason));
            }
        }
        let free = summary.limit.as_ref().map_or(HORIZON, |limit| limit.distance);
        let blocker = summary.limit.as_ref().and_then(|limit| encounters.iter().find(|e| *e.agent == limit.agent));
        summary.pressed_by = pressing
            .into_iter()
            .filter(|(encounter, _)| path.length() < STAYS || !clears(encounter, free, blocker))
            .reduce(|a, b| if b.0.peer.claim.beats(&a.0.peer.claim) { b } else { a })
            .map(|(encounter, reason)| (encounter.agent.clone(), reason));
        summary
    }

    /// Adds what one peer means for the own path. Returns the reason when the peer goes first and needs the place
    /// where this robot stands.
    fn weigh(
        &self,
        encounter: &Encounter<'_>,
        precedence: Precedence,
        summary: &mut ConflictSummary,
    ) -> Option<PrecedenceReason> {
        let conflict = &encounter.conflict;
        if !encounter.mobile {
            summary.limit_to(conflict.disc, encounter, HoldReason::Obstacle, None);
            return None;
        }
        let reason = match precedence {
            Precedence::First(_) => {
                summary.held.insert(encounter.agent.clone(), HeldPrecedence::First);
                let nearing = conflict.nearing.filter(|_| self.makes_way_for_us(encounter.peer));
                summary.limit_to(earlier(conflict.disc, nearing), encounter, HoldReason::Follow, None);
                return None;
            }
            Precedence::Second(reason) => reason,
        };
        summary.held.insert(encounter.agent.clone(), HeldPrecedence::Second);
        let enters = match conflict.interval {
            Some(_) | None if conflict.on_path => None,
            Some(interval) if self.passes_before(encounter, &interval) => {
                summary.passing.insert(encounter.agent.clone());
                None
            }
            Some(interval) => Some(interval.enters),
            None => None,
        };
        summary.limit_to(earlier(conflict.disc, enters), encounter, HoldReason::GiveWay, Some(reason));
        (conflict.on_path && !self.course_serves(encounter)).then_some(reason)
    }

    fn makes_way_for_us(&self, peer: &Peer) -> bool {
        peer.intent.state == AgentState::Yielding && peer.intent.yields_to.as_ref() == Some(&self.config.id)
    }

    fn encounters(&self, path: &PlannedPath, samples: &[(f64, Point)]) -> Vec<Encounter<'a>> {
        let place = self.own.pose.position;
        self.peers
            .present_and_recently_lost(self.now)
            .filter(|(_, peer, _)| peer.intent.pose.position.distance(place) < NEAR)
            .filter_map(|(agent, peer, mobile)| {
                let clearance = self.clearance(peer);
                let other = PeerGeometry { path: &peer.path, places: peer.positions(self.now), clearance };
                let conflict = PathConflict::of(path, samples, &other)?;
                Some(Encounter { agent, peer, clearance, mobile, conflict })
            })
            .collect()
    }

    /// Distance to keep between the centres of the own robot and a peer, metres.
    pub(crate) fn clearance(&self, peer: &Peer) -> f64 {
        let moves = peer.intent.velocity.norm() > MOVES;
        self.config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE + peer.trust.extra_clearance(self.now, moves)
    }

    /// The own claim, or that of the strongest robot on whose path this robot stands.
    fn effective_claim(&self, base: &Claim, encounters: &[Encounter<'_>], freed: Option<&AgentId>) -> Claim {
        let lender = match self.state.course() {
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
            .filter(|e| matches!(self.precedence(base, e, freed), Precedence::Second(_)))
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
        self.peers.get(claimant).is_some_and(|owner| {
            let clearance = owner.intent.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE + BESIDE;
            owner.path.distance(peer.intent.pose.position) < clearance
        })
    }

    fn precedence(&self, claim: &Claim, encounter: &Encounter<'_>, freed: Option<&AgentId>) -> Precedence {
        let peer = encounter.peer;
        if !peer.claim.wants {
            return Precedence::First(PrecedenceReason::Wants);
        }
        if freed == Some(encounter.agent) {
            return Precedence::First(PrecedenceReason::Ring);
        }
        let promised = peer.intent.yields_to.as_ref() == Some(&self.config.id) && !peer.claim.cornered;
        let owed = self.state.yields_to().is_some_and(|(to, _)| to == encounter.agent);
        if promised && !owed && peer.trust.believed(self.now) {
            return Precedence::First(PrecedenceReason::Promise);
        }
        let clear = claim.clearly_beats(&peer.claim) || peer.claim.clearly_beats(claim);
        match self.passing_now(encounter) {
            Some(precedence) if !clear => precedence,
            Some(_) | None => claim.against(&peer.claim),
        }
    }

    /// Keeps a precedence: one of the two is on its way through, and the other let it, or is still outside where they
    /// would meet head-on.
    fn passing_now(&self, encounter: &Encounter<'_>) -> Option<Precedence> {
        let conflict = &encounter.conflict;
        let (mine, theirs) = (self.state.made_headway(self.now, STALLED), self.underway(encounter.peer));
        let head_on = conflict.interval.is_some_and(|interval| interval.against > CROSSING);
        match self.state.held_precedence(encounter.agent) {
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

    /// Whether the peer, or a robot that makes way for it, made headway lately.
    fn underway(&self, peer: &Peer) -> bool {
        let claimant = &peer.claim.right_of_way.claimant;
        let same = |other: &Peer| other.claim.right_of_way.claimant == *claimant;
        self.peers.iter().any(|(_, other)| same(other) && other.underway(self.now, STALLED))
    }

    /// The peer this robot waits for in a cycle of waiting robots, if this robot has the strongest claim in it and so goes.
    fn deadlock_cycle(&self) -> Option<AgentId> {
        let first = self.state.yields_to().map(|(agent, _)| agent.clone())?;
        let claim = self.state.claim(self.own, self.config);
        let mut next = first.clone();
        for _ in 0..CHAIN_MAX {
            let peer = self.peers.get(&next)?;
            if !claim.beats(&peer.claim) {
                return None;
            }
            next = peer.intent.yields_to.clone()?;
            if next == self.config.id {
                return Some(first);
            }
        }
        None
    }

    /// Whether the end of the yield path is off this peer's path.
    fn course_serves(&self, encounter: &Encounter<'_>) -> bool {
        match self.state.course() {
            Course::Own => false,
            Course::Yielding { path, .. } => encounter.peer.path.distance(path.end()) >= encounter.clearance,
        }
    }

    /// Whether there is time to be through before the peer comes.
    fn passes_before(&self, encounter: &Encounter<'_>, interval: &ConflictInterval) -> bool {
        let spare = if self.state.is_passing(encounter.agent) { PASS_STILL } else { PASS_BEFORE };
        interval
            .leaves
            .is_some_and(|leaves| leaves / SLOW + spare < (interval.peer_enters - encounter.clearance).max(0.0) / FAST)
    }
}

fn earlier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::min)
}

/// Whether going on along the own path lets the peer by: it leads off the peer's path, or ahead of it.
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

/// Whether what stops this robot stops the peer behind it as well, so that making way would gain nothing.
fn holds_back_too(blocker: &Encounter<'_>, behind: &Encounter<'_>) -> bool {
    let stronger = !blocker.mobile || blocker.peer.claim.beats(&behind.peer.claim);
    let meets = blocker.peer.path.points().iter().any(|p| behind.peer.path.distance(*p) < behind.clearance)
        || behind.peer.path.points().iter().any(|p| blocker.peer.path.distance(*p) < behind.clearance);
    blocker.agent != behind.agent && stronger && meets
}
