//! The decision of one control cycle: go on, wait, or get out of someone's way, and by which way.

use core::time::Duration;

use skein_space::planning::Passable;
use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::BERTH;
use crate::aside::{Disc, Keep, Question, Scratch};
use crate::claim::Claim;
use crate::coord::{Coord, Output};
use crate::guidance::{Because, Guidance, HoldReason};
use crate::look::{Look, NEAR, STANDS};
use crate::meeting::BESIDE;
use crate::own::OwnState;
use crate::presence::Peer;
use crate::standing::{Course, STAYS, mobile};
use crate::way::Way;

/// Searches for a place aside are at least this far apart.
const SEARCH_EVERY: Duration = Duration::from_millis(500);
/// A robot that is cornered keeps to its way out for at most this long.
const ESCAPE_MAX: Duration = Duration::from_secs(30);
/// A way aside that is blocked for this long is looked for anew.
const BLOCKED_MAX: Duration = Duration::from_secs(1);
/// A robot is this far off the way it said without meaning to, metres.
const OFF_ITS_WAY: f64 = 0.04;

/// Who promised to yield may come up to where the two ways meet; nearer than this it has to keep off, metres.
const WATCHED: f64 = 3.0;

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
            let Some(before) = peer.before.take() else { continue };
            if peer.intent.yields_to.as_ref() != Some(id) {
                peer.trust.no_promise();
                continue;
            }
            let berth = radius + peer.intent.radius.0 + BERTH;
            if let Some(advanced) = peer.trust.step(now, advance(&way, berth, &before, peer)) {
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
fn advance(way: &Way, berth: f64, before: &Way, peer: &Peer) -> f64 {
    let place = peer.intent.pose.position;
    let (was, is) = (before.start(), place);
    if is.distance(way.start()) > WATCHED {
        return 0.0;
    }
    let aside = way.distance(was) - way.distance(is);
    let along = was.distance(way.start()) - is.distance(way.start());
    let step = aside.max(along);
    if way.distance(is) >= berth || step <= 0.0 {
        return step.min(0.0);
    }
    let leads_out = peer.intent.state == AgentState::Yielding && way.distance(peer.way.end()) >= berth;
    if leads_out { (before.distance(is) - OFF_ITS_WAY).max(0.0) } else { step }
}

/// Who may be asked to make room for the way aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Push {
    Nobody,
    Weaker,
    Everybody,
}
