//! Decision of one control cycle: go on, wait, or make way for a peer, and by which path. The only module that
//! changes a [`CoordState`].

use core::time::Duration;

use skein_space::planning::Traversable;
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

use crate::PEER_CLEARANCE;
use crate::claim::Claim;
use crate::config::CoordConfig;
use crate::conflict::{ConflictSummary, Limit, NEAR, STANDS, Situation, assess};
use crate::coord_state::{CoordState, Course, STAYS};
use crate::guidance::{Guidance, HoldReason, PrecedenceReason};
use crate::own_state::OwnState;
use crate::path_conflict::BESIDE;
use crate::peer::moves_by_itself;
use crate::peers::PeerTable;
use crate::planned_path::PlannedPath;
use crate::yield_search::{BlockingDisc, KeepoutCorridor, Scratch, YieldSearch};

/// Pause between searches for a place to yield.
const SEARCH_PERIOD: Duration = Duration::from_millis(500);
/// A cornered robot keeps to its escape for at most this long.
const ESCAPE_MAX: Duration = Duration::from_secs(30);
/// A yield path that is blocked for this long is searched anew.
const BLOCKED_MAX: Duration = Duration::from_secs(1);

/// Everything one decision depends on, and the state it changes.
pub(crate) struct Decider<'a, M> {
    pub(crate) now: MonoTime,
    pub(crate) map: &'a M,
    pub(crate) config: &'a CoordConfig,
    pub(crate) own: &'a OwnState,
    pub(crate) peers: &'a PeerTable,
    pub(crate) state: &'a mut CoordState,
}

/// A robot that goes first and needs the place where this one stands.
type Winner = (AgentId, PrecedenceReason);

impl<M: Traversable> Decider<'_, M> {
    /// Decides, and counts waiting time and progress.
    pub(crate) fn run(mut self) -> Guidance {
        self.state.honour_privileges(self.now, self.own);
        let guidance = if moves_by_itself(self.own.state) {
            self.decide()
        } else {
            self.state.clear_claim();
            Guidance::Go
        };
        let wants = self.state.base_claim(self.own, self.config).wants;
        self.state.count(self.now, self.own, wants);
        guidance
    }

    fn decide(&mut self) -> Guidance {
        self.advance_course();
        let mut summary = assess(&self.situation());
        if let Some(winner) = self.blocked_while_yielding(&summary).filter(|_| self.search_due()) {
            self.plan_yield(&winner, &summary.claim);
            summary = assess(&self.situation());
        }
        let Some(winner) = summary.pressed_by.clone() else { return self.conclude(summary, None) };
        if self.search_due() {
            self.plan_yield(&winner.0, &summary.claim);
            summary = assess(&self.situation());
        }
        self.conclude(summary, Some(winner))
    }

    fn situation(&self) -> Situation<'_> {
        Situation { now: self.now, config: self.config, own: self.own, peers: self.peers, state: self.state }
    }

    /// Follows the yield path, and ends it once it has served.
    fn advance_course(&mut self) {
        let Some(left) = self.state.advance_along_yield_path(self.own.pose.position) else { return };
        if left < STAYS || self.yield_is_over() {
            self.state.end_yield();
        }
    }

    fn yield_is_over(&self) -> bool {
        let Course::Yielding { for_agent, since, escape, .. } = self.state.course() else { return true };
        match self.peers.get(for_agent) {
            None => true,
            Some(_) if *escape => self.now.since(*since) > ESCAPE_MAX,
            Some(peer) => {
                let clearance = self.config.radius.0 + peer.intent.radius.0 + PEER_CLEARANCE + BESIDE;
                peer.path.distance(self.own.pose.position) > clearance
            }
        }
    }

    /// The robot to yield to, when the yield path has been blocked for too long.
    fn blocked_while_yielding(&self, summary: &ConflictSummary) -> Option<AgentId> {
        let blocked = summary.limit.as_ref().is_some_and(|limit| limit.distance < STANDS);
        match self.state.course() {
            Course::Yielding { for_agent, moved_at, .. } if blocked && self.now.since(*moved_at) > BLOCKED_MAX => {
                Some(for_agent.clone())
            }
            Course::Yielding { .. } | Course::Own => None,
        }
    }

    fn search_due(&self) -> bool {
        !self.state.searched_within(self.now, SEARCH_PERIOD)
    }

    /// Keeps what the next cycle needs and turns the summary into guidance.
    fn conclude(&mut self, summary: ConflictSummary, pressed_by: Option<Winner>) -> Guidance {
        let ConflictSummary { claim, limit, held, passing, .. } = summary;
        self.state.hold_precedences(claim, held, passing);
        let free = limit.as_ref().map_or(f64::INFINITY, |limit| limit.distance);
        if let Course::Yielding { for_agent, path, escape, .. } = self.state.course().clone() {
            if free >= STANDS {
                self.state.note_yield_motion(self.now);
            }
            let reason = pressed_by.map_or(PrecedenceReason::Underway, |(_, reason)| reason);
            self.state.commit(free < STANDS, (!escape).then(|| (for_agent.clone(), reason)));
            return Guidance::MoveAside { path: path.first(free), for_agent };
        }
        match pressed_by {
            Some(winner) => self.hold_for(winner),
            None => self.go_up_to(limit),
        }
    }

    /// No path out of the winner's path was found: stand, and let it go first or, cornered, let it back out.
    fn hold_for(&mut self, (winner, precedence_reason): Winner) -> Guidance {
        let cornered = self.state.cornered();
        self.state.commit(true, (!cornered).then(|| (winner.clone(), precedence_reason)));
        let reason = if cornered { HoldReason::Cornered } else { HoldReason::GiveWay };
        Guidance::Hold { at_distance: Meters::ZERO, for_agent: winner, reason }
    }

    fn go_up_to(&mut self, limit: Option<Limit>) -> Guidance {
        self.state.is_not_cornered();
        let yields_to = limit.as_ref().and_then(|limit| Some((limit.agent.clone(), limit.precedence_reason?)));
        self.state.commit(limit.as_ref().is_some_and(|limit| limit.distance < STANDS), yields_to);
        match limit {
            None => Guidance::Go,
            Some(Limit { distance, agent, reason, .. }) => {
                Guidance::Hold { at_distance: Meters(distance), for_agent: agent, reason }
            }
        }
    }

    /// Searches a place beside the winner's path: without displacing a robot, else past those of lower priority,
    /// else, cornered, past the winner itself.
    fn plan_yield(&mut self, winner: &AgentId, claim: &Claim) {
        let mut scratch = std::mem::take(&mut self.state.scratch);
        let found = [Displace::None, Displace::LowerPriority, Displace::All].into_iter().find_map(|displace| {
            let points = self.search(winner, claim, displace, &mut scratch)?;
            let path = PlannedPath::new(self.own.pose.position, points.get(1..).unwrap_or_default());
            Some((path, displace == Displace::All))
        });
        self.state.scratch = scratch;
        self.state.start_yield(self.now, winner, found);
    }

    fn search(&self, winner: &AgentId, claim: &Claim, displace: Displace, scratch: &mut Scratch) -> Option<Vec<Point>> {
        let base = self.state.base_claim(self.own, self.config);
        let situation = self.situation();
        let from = self.own.pose.position;
        let mut discs = Vec::new();
        let mut corridors = Vec::new();
        for (agent, peer, mobile) in self.peers.present_and_recently_lost(self.now) {
            if peer.intent.pose.position.distance(from) > NEAR * 2.0 {
                continue;
            }
            let clearance = situation.clearance(peer);
            let yields = mobile
                && match displace {
                    Displace::None => false,
                    Displace::LowerPriority => agent != winner && claim.beats(&peer.claim),
                    Displace::All => true,
                };
            discs.push(BlockingDisc { at: peer.intent.pose.position, radius: clearance, yields });
            let must = agent == winner;
            if mobile && peer.claim.wants && (must || peer.claim.beats(&base)) {
                corridors.push(KeepoutCorridor { path: &peer.path, clearance, must });
            }
        }
        YieldSearch { map: self.map, from, discs: &discs, corridors: &corridors }.run(scratch)
    }
}

/// Which robots the yield path may make move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Displace {
    None,
    LowerPriority,
    All,
}
