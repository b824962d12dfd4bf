//! The decision of one control cycle: go on, wait, or get out of someone's way, and by which way.

use core::time::Duration;

use skein_space::planning::Traversable;
use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::PEER_CLEARANCE;
use crate::claim::Claim;
use crate::conflict::{ConflictSummary, NEAR, STANDS};
use crate::coord::{Coord, Output};
use crate::coord_state::{Course, STAYS, mobile};
use crate::guidance::{Guidance, HoldReason, PrecedenceReason};
use crate::own_state::OwnState;
use crate::path_conflict::BESIDE;
use crate::peers::Peer;
use crate::planned_path::PlannedPath;
use crate::yield_search::{BlockingDisc, KeepoutCorridor, Scratch, YieldSearch};

/// Searches for a place aside are at least this far apart.
const SEARCH_EVERY: Duration = Duration::from_millis(500);
/// A robot that is cornered keeps to its way out for at most this long.
const ESCAPE_MAX: Duration = Duration::from_secs(30);
/// A way aside that is blocked for this long is looked for anew.
const BLOCKED_MAX: Duration = Duration::from_secs(1);
/// A robot is this far off the way it said without meaning to, metres.
const OFF_ITS_PATH: f64 = 0.04;

/// Who promised to yield may come up to where the two ways meet; nearer than this it has to keep off, metres.
const WATCHED: f64 = 3.0;

impl Coord {
    /// What the robot may do about its peers now: ask once every control cycle, after [`crate::Input::Own`].
    pub fn guidance<M: Traversable>(&mut self, now: MonoTime, map: &M, own: &OwnState) -> Guidance {
        let before = self.standing.yields_to.clone();
        self.check_yield_commitments(now, own);
        let guidance = if mobile(own.state) { self.decide(now, map, own) } else { self.clear_claim() };
        let wants = self.standing.base_claim(own, &self.config.id).wants;
        self.standing.count(now, own, wants);
        self.tell_change(before);
        guidance
    }

    fn tell_change(&mut self, before: Option<(AgentId, PrecedenceReason)>) {
        let after = self.standing.yields_to.clone();
        if before.as_ref().map(|b| &b.0) == after.as_ref().map(|a| &a.0) {
            return;
        }
        match (before, after) {
            (_, Some((to, reason))) => self.outputs.push_back(Output::Yielding { to, reason }),
            (Some((after, _)), None) => self.outputs.push_back(Output::Proceeding { after }),
            (None, None) => {}
        }
    }

    /// The robot does not move at all: it has no claim and no course.
    fn clear_claim(&mut self) -> Guidance {
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

    fn decide<M: Traversable>(&mut self, now: MonoTime, map: &M, own: &OwnState) -> Guidance {
        self.advance_course(now, own);
        let mut look = self.look(now, own);
        if let Some(winner) = self.blocked_aside(now, &look).filter(|_| self.may_search(now)) {
            self.find_aside(now, map, own, &winner, &look.claim);
            look = self.look(now, own);
        }
        if let Some((winner, reason)) = look.pressed_by.clone() {
            if self.may_search(now) {
                self.find_aside(now, map, own, &winner, &look.claim);
                look = self.look(now, own);
            }
            return self.conclude(now, look, Some((winner, reason)));
        }
        self.conclude(now, look, None)
    }

    /// For whom the robot moves aside, if it could not move for too long.
    fn blocked_aside(&self, now: MonoTime, look: &ConflictSummary) -> Option<AgentId> {
        let blocked = look.limit.as_ref().is_some_and(|limit| limit.distance < STANDS);
        match &self.standing.course {
            Course::Yielding { for_agent, moved_at, .. } if blocked && now.since(*moved_at) > BLOCKED_MAX => {
                Some(for_agent.clone())
            }
            Course::Yielding { .. } | Course::Own => None,
        }
    }

    fn may_search(&self, now: MonoTime) -> bool {
        self.standing.searched_at.is_none_or(|at| now.since(at) >= SEARCH_EVERY)
    }

    /// Follows the way aside, and ends it when it has done its service.
    fn advance_course(&mut self, now: MonoTime, own: &OwnState) {
        let Course::Yielding { for_agent, path, since, escape, .. } = &mut self.standing.course else { return };
        let place = own.pose.position;
        *path = path.onward_from(place);
        let arrived = path.length() < STAYS;
        let over = match self.presence.get(for_agent) {
            None => true,
            Some(_) if *escape => now.since(*since) > ESCAPE_MAX,
            Some(peer) => {
                let clearance = self.config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE + BESIDE;
                peer.path.distance(place) > clearance
            }
        };
        if arrived || over {
            self.standing.course = Course::Own;
            self.standing.cornered = false;
        }
    }

    /// Turns the look into the answer and remembers what peers have to be told.
    fn conclude(
        &mut self,
        now: MonoTime,
        look: ConflictSummary,
        pressed_by: Option<(AgentId, PrecedenceReason)>,
    ) -> Guidance {
        let standing = &mut self.standing;
        standing.settled = look.settled;
        standing.passing = look.passing;
        standing.claim = Some(look.claim);
        let free = look.limit.as_ref().map_or(f64::INFINITY, |limit| limit.distance);
        standing.held = free < STANDS;
        if let Course::Yielding { for_agent, path, moved_at, escape, .. } = &mut standing.course {
            if free >= STANDS {
                *moved_at = now;
            }
            let reason = pressed_by.map_or(PrecedenceReason::Underway, |(_, reason)| reason);
            standing.yields_to = (!*escape).then(|| (for_agent.clone(), reason));
            return Guidance::MoveAside { path: path.first(free), for_agent: for_agent.clone() };
        }
        if let Some((winner, precedence_reason)) = pressed_by {
            standing.held = true;
            let reason = if standing.cornered { HoldReason::Cornered } else { HoldReason::GiveWay };
            standing.yields_to = (!standing.cornered).then(|| (winner.clone(), precedence_reason));
            return Guidance::Hold { at_distance: Meters::ZERO, for_agent: winner, reason };
        }
        standing.cornered = false;
        standing.yields_to =
            look.limit.as_ref().and_then(|limit| limit.precedence_reason.map(|reason| (limit.agent.clone(), reason)));
        match look.limit {
            None => Guidance::Go,
            Some(limit) => {
                Guidance::Hold { at_distance: Meters(limit.distance), for_agent: limit.agent, reason: limit.reason }
            }
        }
    }

    /// Looks for a place beside the winner's way: without disturbing anyone, else past those who have to make room,
    /// else, cornered, past the winner itself.
    fn find_aside<M: Traversable>(&mut self, now: MonoTime, map: &M, own: &OwnState, winner: &AgentId, claim: &Claim) {
        self.standing.searched_at = Some(now);
        let mut scratch = std::mem::take(&mut self.standing.scratch);
        let found = [Displace::None, Displace::LowerPriority, Displace::All].into_iter().find_map(|displace| {
            let path = self.search(now, map, own, winner, claim, displace, &mut scratch)?;
            Some((path, displace))
        });
        self.standing.scratch = scratch;
        let escape = !matches!(found, Some((_, Displace::None | Displace::LowerPriority)));
        self.standing.cornered = escape;
        self.standing.course = match found {
            Some((path, _)) => {
                let path = PlannedPath::new(own.pose.position, path.get(1..).unwrap_or_default());
                Course::Yielding { for_agent: winner.clone(), path, since: now, moved_at: now, escape }
            }
            None => Course::Own,
        };
    }

    #[expect(clippy::too_many_arguments, reason = "one search, told all it depends on")]
    fn search<M: Traversable>(
        &self,
        now: MonoTime,
        map: &M,
        own: &OwnState,
        winner: &AgentId,
        claim: &Claim,
        displace: Displace,
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
            let radius = self.clearance(now, peer);
            let yields = mobile
                && match displace {
                    Displace::None => false,
                    Displace::LowerPriority => agent != winner && claim.beats(&peer.claim),
                    Displace::All => true,
                };
            discs.push(BlockingDisc { at: peer.intent.pose.position, radius, yields });
            let must = agent == winner;
            if mobile && peer.claim.wants && (must || peer.claim.beats(&base)) {
                keep.push(KeepoutCorridor { path: &peer.path, clearance: radius, must });
            }
        }
        YieldSearch { map, from: own.pose.position, discs: &discs, keep: &keep }.run(scratch)
    }

    /// Holds peers to what they said.
    fn check_yield_commitments(&mut self, now: MonoTime, own: &OwnState) {
        let path = self.standing.path(own);
        let (id, radius) = (&self.config.id, self.config.radius.0);
        let mut broken = Vec::new();
        for peer in self.presence.iter_mut() {
            let Some(before) = peer.before.take() else { continue };
            if peer.intent.yields_to.as_ref() != Some(id) {
                peer.trust.no_promise();
                continue;
            }
            let clearance = radius + peer.intent.radius.0 + PEER_CLEARANCE;
            if let Some(advanced) = peer.trust.step(now, advance(&path, clearance, &before, peer)) {
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

/// By how much a peer that promised to yield has come nearer to the way it is to keep free, or on that way nearer to
/// this robot, between its last two words and measured against the way as it is now. One that says by which way it leaves may come nearer on it: for
/// that one counts how far it is off what it said.
fn advance(path: &PlannedPath, clearance: f64, before: &PlannedPath, peer: &Peer) -> f64 {
    let place = peer.intent.pose.position;
    let (was, is) = (before.start(), place);
    if is.distance(path.start()) > WATCHED {
        return 0.0;
    }
    let aside = path.distance(was) - path.distance(is);
    let along = was.distance(path.start()) - is.distance(path.start());
    let step = aside.max(along);
    if path.distance(is) >= clearance || step <= 0.0 {
        return step.min(0.0);
    }
    let leads_out = peer.intent.state == AgentState::Yielding && path.distance(peer.path.end()) >= clearance;
    if leads_out { (before.distance(is) - OFF_ITS_PATH).max(0.0) } else { step }
}

/// Who may be asked to make room for the way aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Displace {
    None,
    LowerPriority,
    All,
}
