//! The decision of one control cycle: who of the peers matters, who goes first, how far the way is free, and whether
//! to get out of someone's way.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use skein_space::planning::Passable;
use skein_types::coord::{AgentState, RightOfWay, WAIT_STEP};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::BERTH;
use crate::aside::{Disc, Keep, Question, Scratch};
use crate::claim::{Claim, Verdict};
use crate::coord::{Coord, Output, OwnState};
use crate::guidance::{Because, Guidance, HoldReason};
use crate::meeting::{BESIDE, HORIZON, Meeting, Other, STEP, Zone};
use crate::presence::{HEADWAY, Peer};
use crate::way::Way;

/// Peers farther than this do not matter: two horizons and a bit.
const NEAR: f64 = 14.0;
/// A robot this near along its way lends its claim to whoever stands on it.
const LENDS_WITHIN: f64 = 4.0;
/// Searches for a place aside are at least this far apart.
const SEARCH_EVERY: Duration = Duration::from_millis(500);
/// A way shorter than this means to stay.
const STAYS: f64 = 0.1;
/// Whoever may go on by less than this stands.
const STANDS: f64 = 0.15;
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
/// A robot that is cornered keeps to its way out for at most this long.
const ESCAPE_MAX: Duration = Duration::from_secs(30);
/// A way aside that is blocked for this long is looked for anew.
const BLOCKED_MAX: Duration = Duration::from_secs(1);
/// A robot that went on by this much on its own way no longer counts as having waited, metres.
const PROGRESS: f64 = 2.5;
/// Longest chain of robots that wait for each other that is followed.
const CHAIN_MAX: usize = 16;
/// The part of the own way a promise is held against, metres.
const PROMISED: f64 = 3.0;

/// The way the robot is on.
#[derive(Clone, Debug)]
enum Course {
    Own,
    Aside { for_agent: AgentId, way: Way, since: MonoTime, moved_at: MonoTime, escape: bool },
}

/// What is remembered from cycle to cycle.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    course: Course,
    claim: Option<Claim>,
    cornered: bool,
    held: bool,
    yields_to: Option<(AgentId, Because)>,
    settled: BTreeMap<AgentId, Settled>,
    passing: BTreeSet<AgentId>,
    headway: (MonoTime, Point),
    searched_at: Option<MonoTime>,
    waited: Duration,
    progress: f64,
    last: Option<(MonoTime, Point)>,
    scratch: Scratch,
}

impl Standing {
    pub(crate) fn new(_id: &AgentId) -> Self {
        Self {
            course: Course::Own,
            claim: None,
            cornered: false,
            held: false,
            yields_to: None,
            settled: BTreeMap::new(),
            passing: BTreeSet::new(),
            headway: (MonoTime::ZERO, Point::default()),
            searched_at: None,
            waited: Duration::ZERO,
            progress: 0.0,
            last: None,
            scratch: Scratch::default(),
        }
    }

    pub(crate) fn way(&self, own: &OwnState) -> Way {
        match &self.course {
            Course::Own => Way::new(own.pose.position, &own.path),
            Course::Aside { way, .. } => way.onward_from(own.pose.position),
        }
    }

    pub(crate) fn claim_of(&self, own: &OwnState, id: &AgentId) -> Claim {
        self.claim.clone().unwrap_or_else(|| self.base_claim(own, id))
    }

    pub(crate) fn yields_to(&self) -> Option<AgentId> {
        self.yields_to.as_ref().map(|(agent, _)| agent.clone())
    }

    pub(crate) fn said_state(&self, own: &OwnState) -> AgentState {
        match &self.course {
            _ if !mobile(own.state) => own.state,
            Course::Aside { .. } => AgentState::Yielding,
            Course::Own if self.held => AgentState::Waiting,
            Course::Own => own.state,
        }
    }

    /// The own claim, without what is inherited.
    fn base_claim(&self, own: &OwnState, id: &AgentId) -> Claim {
        let steps = self.waited.as_nanos() / WAIT_STEP.as_nanos();
        let right_of_way = RightOfWay {
            emergency: own.emergency,
            carrying: own.carrying,
            priority: own.priority,
            waited_steps: u16::try_from(steps).unwrap_or(u16::MAX),
            claimant: id.clone(),
        };
        let wants = Way::new(own.pose.position, &own.path).length() > STAYS;
        let escapes = matches!(self.course, Course::Aside { escape: true, .. });
        Claim { sender: id.clone(), cornered: self.cornered, wants: wants || escapes, right_of_way }
    }

    /// Counts waiting and progress.
    fn count(&mut self, now: MonoTime, own: &OwnState, wants: bool) {
        let place = own.pose.position;
        if self.headway.1.distance(place) > HEADWAY {
            self.headway = (now, place);
        }
        let Some((before, from)) = self.last.replace((now, place)) else { return };
        let aside = matches!(self.course, Course::Aside { .. });
        if wants && (aside || self.held) {
            self.waited += now.since(before).min(Duration::from_secs(1));
            self.progress = 0.0;
        } else {
            self.progress += from.distance(place);
            if self.progress > PROGRESS || !wants {
                self.waited = Duration::ZERO;
            }
        }
    }
}

/// A state in which a robot does not move by itself.
fn mobile(state: AgentState) -> bool {
    !matches!(state, AgentState::Stopped | AgentState::Fault | AgentState::Charging)
}

/// One peer that matters in this cycle.
struct Encounter<'a> {
    agent: &'a AgentId,
    peer: &'a Peer,
    berth: f64,
    mobile: bool,
    meeting: Meeting,
}

/// What was decided about a peer, as long as the two ways meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    First,
    Second,
}

/// How far the way is free, and who ends it.
#[derive(Clone, Debug)]
struct Limit {
    distance: f64,
    agent: AgentId,
    reason: HoldReason,
    because: Option<Because>,
}

/// What came of looking at all peers.
struct Look {
    claim: Claim,
    limit: Option<Limit>,
    /// Who wants to pass where the robot stands, and cannot be let by along the own way.
    pressed_by: Option<(AgentId, Because)>,
    settled: BTreeMap<AgentId, Settled>,
    passing: BTreeSet<AgentId>,
}

impl Coord {
    /// What the robot may do about its peers now: ask once every control cycle, after [`crate::Input::Own`].
    pub fn guidance<M: Passable>(&mut self, now: MonoTime, map: &M, own: &OwnState) -> Guidance {
        let before = self.standing.yields_to.clone();
        self.watch_promises(now, own);
        let guidance = if mobile(own.state) { self.decide(now, map, own) } else { self.stand_down() };
        let wants = self.standing.base_claim(own, &self.config.id).wants;
        self.standing.count(now, own, wants);
        self.tell_change(before);
        guidance
    }

    fn tell_change(&mut self, before: Option<(AgentId, Because)>) {
        let after = self.standing.yields_to.clone();
        if before.as_ref().map(|b| &b.0) == after.as_ref().map(|a| &a.0) {
            return;
        }
        match (before, after) {
            (_, Some((to, because))) => self.outputs.push_back(Output::Yielding { to, because }),
            (Some((after, _)), None) => self.outputs.push_back(Output::Proceeding { after }),
            (None, None) => {}
        }
    }

    /// The robot does not move at all: it has no claim and no course.
    fn stand_down(&mut self) -> Guidance {
        let standing = &mut self.standing;
        standing.course = Course::Own;
        standing.claim = None;
        standing.cornered = false;
        standing.held = false;
        standing.yields_to = None;
        standing.settled.clear();
        standing.passing.clear();
        Guidance::Go
    }

    fn decide<M: Passable>(&mut self, now: MonoTime, map: &M, own: &OwnState) -> Guidance {
        self.advance_course(now, own);
        let mut look = self.look(now, own);
        if let Some(winner) = self.blocked_aside(now, &look).filter(|_| self.may_search(now)) {
            self.find_aside(now, map, own, &winner, &look.claim);
            look = self.look(now, own);
        }
        if let Some((winner, because)) = look.pressed_by.clone() {
            if self.may_search(now) {
                self.find_aside(now, map, own, &winner, &look.claim);
                look = self.look(now, own);
            }
            return self.conclude(now, look, Some((winner, because)));
        }
        self.conclude(now, look, None)
    }

    /// For whom the robot moves aside, if it could not move for too long.
    fn blocked_aside(&self, now: MonoTime, look: &Look) -> Option<AgentId> {
        let blocked = look.limit.as_ref().is_some_and(|limit| limit.distance < STANDS);
        match &self.standing.course {
            Course::Aside { for_agent, moved_at, .. } if blocked && now.since(*moved_at) > BLOCKED_MAX => {
                Some(for_agent.clone())
            }
            Course::Aside { .. } | Course::Own => None,
        }
    }

    fn may_search(&self, now: MonoTime) -> bool {
        self.standing.searched_at.is_none_or(|at| now.since(at) >= SEARCH_EVERY)
    }

    /// Follows the way aside, and ends it when it has done its service.
    fn advance_course(&mut self, now: MonoTime, own: &OwnState) {
        let Course::Aside { for_agent, way, since, escape, .. } = &mut self.standing.course else { return };
        let place = own.pose.position;
        *way = way.onward_from(place);
        let arrived = way.length() < STAYS;
        let over = match self.presence.get(for_agent) {
            None => true,
            Some(_) if *escape => now.since(*since) > ESCAPE_MAX,
            Some(peer) => {
                let berth = self.config.radius.0 + peer.intent.radius.0 + BERTH + BESIDE;
                peer.way.distance(place) > berth
            }
        };
        if arrived || over {
            self.standing.course = Course::Own;
            self.standing.cornered = false;
        }
    }

    /// Looks at every peer along the present course.
    fn look(&self, now: MonoTime, own: &OwnState) -> Look {
        let way = self.standing.way(own);
        let samples = way.samples(STEP, HORIZON);
        let encounters = self.encounters(now, own, &way, &samples);
        let base = self.standing.base_claim(own, &self.config.id);
        let freed = self.ring_to_break(&base);
        let claim = self.effective_claim(now, &base, &encounters, freed.as_ref());
        let settled = match self.standing.course {
            Course::Own => BTreeMap::new(),
            Course::Aside { .. } => self.standing.settled.clone(),
        };
        let mut look = Look { claim, limit: None, pressed_by: None, settled, passing: BTreeSet::new() };
        let mut pressing: Vec<(&Encounter<'_>, Because)> = Vec::new();
        for encounter in &encounters {
            let before = |limit: &Option<Limit>, at: f64| limit.as_ref().is_none_or(|known| at < known.distance);
            let verdict = self.verdict(now, &look.claim, encounter, freed.as_ref());
            let reason = match verdict {
                _ if !encounter.mobile => HoldReason::Obstacle,
                Verdict::First(_) => HoldReason::Follow,
                Verdict::Second(_) => HoldReason::GiveWay,
            };
            let because = match verdict {
                Verdict::Second(because) if encounter.mobile => Some(because),
                Verdict::Second(_) | Verdict::First(_) => None,
            };
            if encounter.mobile {
                let settled = if because.is_some() { Settled::Second } else { Settled::First };
                look.settled.insert(encounter.agent.clone(), settled);
            }
            let for_me = encounter.peer.intent.yields_to.as_ref() == Some(&self.config.id);
            let makes_room = because.is_none() && for_me && encounter.peer.intent.state == AgentState::Yielding;
            let nearing = encounter.meeting.nearing.filter(|_| makes_room && encounter.mobile);
            let mut limit_at = earlier(encounter.meeting.disc, nearing);
            if let Some(because) = because {
                let leaving = matches!(self.standing.course, Course::Aside { .. });
                if encounter.meeting.on_way {
                    if !leaving || !self.course_serves(encounter) {
                        pressing.push((encounter, because));
                    }
                } else if let Some(zone) = encounter.meeting.zone {
                    if self.passes_before(encounter, &zone) {
                        look.passing.insert(encounter.agent.clone());
                    } else {
                        limit_at = earlier(limit_at, Some(zone.enters));
                    }
                }
            }
            if let Some(distance) = limit_at.filter(|at| before(&look.limit, *at)) {
                look.limit = Some(Limit { distance, agent: encounter.agent.clone(), reason, because });
            }
        }
        let free = look.limit.as_ref().map_or(HORIZON, |limit| limit.distance);
        let blocker = look.limit.as_ref().and_then(|limit| encounters.iter().find(|e| *e.agent == limit.agent));
        look.pressed_by = pressing
            .into_iter()
            .filter(|(encounter, _)| way.length() < STAYS || !clears(encounter, free, blocker))
            .reduce(|a, b| if b.0.peer.claim.beats(&a.0.peer.claim) { b } else { a })
            .map(|(encounter, because)| (encounter.agent.clone(), because));
        look
    }

    fn encounters<'a>(
        &'a self,
        now: MonoTime,
        own: &OwnState,
        way: &Way,
        samples: &[(f64, Point)],
    ) -> Vec<Encounter<'a>> {
        let place = own.pose.position;
        let present = self.presence.iter().map(|(agent, peer)| (agent, peer, peer.mobile()));
        let ghosts = self.presence.ghosts(now).map(|(agent, peer)| (agent, peer, false));
        present
            .chain(ghosts)
            .filter(|(_, peer, _)| peer.intent.pose.position.distance(place) < NEAR)
            .filter_map(|(agent, peer, mobile)| {
                let berth = self.berth(now, peer);
                let other = Other { way: &peer.way, places: peer.places(now), berth };
                let meeting = Meeting::of(way, samples, &other)?;
                Some(Encounter { agent, peer, berth, mobile, meeting })
            })
            .collect()
    }

    fn berth(&self, now: MonoTime, peer: &Peer) -> f64 {
        self.config.radius.0 + peer.intent.radius.0 + BERTH + peer.trust.berth_extra(now)
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
            Course::Aside { for_agent, escape: false, .. } => Some(for_agent),
            Course::Aside { .. } | Course::Own => None,
        };
        encounters
            .iter()
            .filter(|e| e.mobile && e.peer.claim.wants && e.peer.intent.yields_to.as_ref() != Some(&self.config.id))
            .filter(|e| {
                let stands = e.meeting.on_way && e.meeting.peer_to_place < LENDS_WITHIN;
                (stands || lender == Some(e.agent)) && self.claim_is_backed(&e.peer.claim, e.peer)
            })
            .filter(|e| matches!(self.verdict(now, base, e, freed), Verdict::Second(_)))
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
            let berth = owner.intent.radius.0 + peer.intent.radius.0 + BERTH + BESIDE;
            owner.way.distance(peer.intent.pose.position) < berth
        })
    }

    fn verdict(&self, now: MonoTime, claim: &Claim, encounter: &Encounter<'_>, freed: Option<&AgentId>) -> Verdict {
        let peer = encounter.peer;
        if !peer.claim.wants {
            return Verdict::First(Because::Wants);
        }
        if freed == Some(encounter.agent) {
            return Verdict::First(Because::Ring);
        }
        let promised = peer.intent.yields_to.as_ref() == Some(&self.config.id) && !peer.claim.cornered;
        let owed = self.standing.yields_to.as_ref().is_some_and(|(to, _)| to == encounter.agent);
        if promised && !owed && peer.trust.believed(now) {
            return Verdict::First(Because::Promise);
        }
        let clear = claim.clearly_beats(&peer.claim) || peer.claim.clearly_beats(claim);
        match self.passing_now(now, encounter) {
            Some(verdict) if !clear => verdict,
            Some(_) | None => claim.against(&peer.claim),
        }
    }

    /// What speaks against changing one's mind: one of the two is on its way through, and the other let it, or is
    /// still outside where they would meet head-on.
    fn passing_now(&self, now: MonoTime, encounter: &Encounter<'_>) -> Option<Verdict> {
        let meeting = &encounter.meeting;
        let (mine, theirs) = (self.makes_headway(now), self.underway(now, encounter.peer));
        let head_on = meeting.zone.is_some_and(|zone| zone.against > CROSSING);
        match self.standing.settled.get(encounter.agent) {
            Some(Settled::First) if mine => Some(Verdict::First(Because::Underway)),
            Some(Settled::Second) if theirs => Some(Verdict::Second(Because::Underway)),
            Some(_) | None if !head_on => None,
            Some(_) | None if mine && meeting.on_way && !meeting.peer_on_way => Some(Verdict::First(Because::Underway)),
            Some(_) | None if theirs && meeting.peer_on_way && !meeting.on_way => {
                Some(Verdict::Second(Because::Underway))
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
    fn ring_to_break(&self, base: &Claim) -> Option<AgentId> {
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
            Course::Aside { way, .. } => encounter.peer.way.distance(way.end()) >= encounter.berth,
        }
    }

    /// Whether there is time to be through before the peer comes.
    fn passes_before(&self, encounter: &Encounter<'_>, zone: &Zone) -> bool {
        let spare = if self.standing.passing.contains(encounter.agent) { PASS_STILL } else { PASS_BEFORE };
        zone.leaves.is_some_and(|leaves| leaves / SLOW + spare < (zone.peer_enters - encounter.berth).max(0.0) / FAST)
    }

    /// Turns the look into the answer and remembers what peers have to be told.
    fn conclude(&mut self, now: MonoTime, look: Look, pressed_by: Option<(AgentId, Because)>) -> Guidance {
        let standing = &mut self.standing;
        standing.settled = look.settled;
        standing.passing = look.passing;
        standing.claim = Some(look.claim);
        let free = look.limit.as_ref().map_or(f64::INFINITY, |limit| limit.distance);
        standing.held = free < STANDS;
        if let Course::Aside { for_agent, way, moved_at, escape, .. } = &mut standing.course {
            if free >= STANDS {
                *moved_at = now;
            }
            let because = pressed_by.map_or(Because::Underway, |(_, because)| because);
            standing.yields_to = (!*escape).then(|| (for_agent.clone(), because));
            return Guidance::MoveAside { path: way.first(free), for_agent: for_agent.clone() };
        }
        if let Some((winner, because)) = pressed_by {
            standing.held = true;
            let reason = if standing.cornered { HoldReason::Cornered } else { HoldReason::GiveWay };
            standing.yields_to = (!standing.cornered).then(|| (winner.clone(), because));
            return Guidance::Hold { at_distance: Meters::ZERO, for_agent: winner, reason };
        }
        standing.cornered = false;
        standing.yields_to =
            look.limit.as_ref().and_then(|limit| limit.because.map(|because| (limit.agent.clone(), because)));
        match look.limit {
            None => Guidance::Go,
            Some(limit) => {
                Guidance::Hold { at_distance: Meters(limit.distance), for_agent: limit.agent, reason: limit.reason }
            }
        }
    }

    /// Looks for a place beside the winner's way: without disturbing anyone, else past those who have to make room,
    /// else, cornered, past the winner itself.
    fn find_aside<M: Passable>(&mut self, now: MonoTime, map: &M, own: &OwnState, winner: &AgentId, claim: &Claim) {
        self.standing.searched_at = Some(now);
        let mut scratch = std::mem::take(&mut self.standing.scratch);
        let found = [Push::Nobody, Push::Weaker, Push::Everybody].into_iter().find_map(|push| {
            let way = self.search(now, map, own, winner, claim, push, &mut scratch)?;
            Some((way, push))
        });
        self.standing.scratch = scratch;
        let escape = !matches!(found, Some((_, Push::Nobody | Push::Weaker)));
        self.standing.cornered = escape;
        self.standing.course = match found {
            Some((path, _)) => {
                let way = Way::new(own.pose.position, path.get(1..).unwrap_or_default());
                Course::Aside { for_agent: winner.clone(), way, since: now, moved_at: now, escape }
            }
            None => Course::Own,
        };
    }

    #[expect(clippy::too_many_arguments, reason = "one search, told all it depends on")]
    fn search<M: Passable>(
        &self,
        now: MonoTime,
        map: &M,
        own: &OwnState,
        winner: &AgentId,
        claim: &Claim,
        push: Push,
        scratch: &mut Scratch,
    ) -> Option<Vec<Point>> {
        let base = self.standing.base_claim(own, &self.config.id);
        let mut discs = Vec::new();
        let mut keep = Vec::new();
        let present = self.presence.iter().map(|(agent, peer)| (agent, peer, peer.mobile()));
        let ghosts = self.presence.ghosts(now).map(|(agent, peer)| (agent, peer, false));
        for (agent, peer, mobile) in present.chain(ghosts) {
            if peer.intent.pose.position.distance(own.pose.position) > NEAR * 2.0 {
                continue;
            }
            let radius = self.berth(now, peer);
            let yields = mobile
                && match push {
                    Push::Nobody => false,
                    Push::Weaker => agent != winner && claim.beats(&peer.claim),
                    Push::Everybody => true,
                };
            discs.push(Disc { at: peer.intent.pose.position, radius, yields });
            let must = agent == winner;
            if mobile && peer.claim.wants && (must || peer.claim.beats(&base)) {
                keep.push(Keep { way: &peer.way, berth: radius, must });
            }
        }
        Question { map, from: own.pose.position, discs: &discs, keep: &keep }.answer(scratch)
    }

    /// Holds peers to what they said.
    fn watch_promises(&mut self, now: MonoTime, own: &OwnState) {
        let way = self.standing.way(own);
        let (id, radius) = (&self.config.id, self.config.radius.0);
        let mut broken = Vec::new();
        for peer in self.presence.iter_mut() {
            if peer.intent.yields_to.as_ref() != Some(id) {
                peer.trust.no_promise();
                continue;
            }
            let berth = radius + peer.intent.radius.0 + BERTH;
            let distance = |place: Point| way.nearest(place, PROMISED).0;
            if peer.way.length() > STAYS && distance(peer.way.end()) >= berth {
                continue;
            }
            if let Some(advanced) = peer.trust.promise(now, peer.intent.pose.position, berth, distance) {
                broken.push(Output::TrustViolation {
                    agent: peer.intent.sender.clone(),
                    advanced: Meters(advanced),
                    trust: peer.trust.share(now),
                });
            }
        }
        self.outputs.extend(broken);
    }
}

fn earlier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::min)
}

/// Who may be asked to make room for the way aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Push {
    Nobody,
    Weaker,
    Everybody,
}

/// Whether going on along the own way lets the peer by: it leads out of the peer's way, or ahead of it.
fn clears(encounter: &Encounter<'_>, free: f64, blocker: Option<&Encounter<'_>>) -> bool {
    let Some(zone) = encounter.meeting.zone else { return false };
    let against = zone.against > CROSSING;
    match zone.leaves {
        Some(leaves) if free >= leaves => {
            !against || leaves / SLOW + PASS_STILL < (zone.peer_enters - encounter.berth).max(0.0) / FAST
        }
        Some(_) | None if against => false,
        Some(_) | None => free >= STANDS || blocker.is_some_and(|blocker| holds_back_too(blocker, encounter)),
    }
}

/// Whether what stops this robot stops the peer behind it as well, so that making room would gain nothing.
fn holds_back_too(blocker: &Encounter<'_>, behind: &Encounter<'_>) -> bool {
    let stronger = !blocker.mobile || blocker.peer.claim.beats(&behind.peer.claim);
    let meets = blocker.peer.way.points().iter().any(|p| behind.peer.way.distance(*p) < behind.berth)
        || behind.peer.way.points().iter().any(|p| blocker.peer.way.distance(*p) < behind.berth);
    blocker.agent != behind.agent && stronger && meets
}
