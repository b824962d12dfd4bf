//! What a robot remembers of its encounters from cycle to cycle. Read by `conflict`, changed by `decide` only.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use skein_types::coord::{AgentState, RightOfWay, WAIT_STEP};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

use crate::claim::Claim;
use crate::config::CoordConfig;
use crate::guidance::PrecedenceReason;
use crate::own_state::OwnState;
use crate::peer::{HEADWAY, moves_by_itself};
use crate::planned_path::PlannedPath;
use crate::privilege::Privilege;
use crate::yield_search::Scratch;

/// A path shorter than this means to stay, metres.
pub(crate) const STAYS: f64 = 0.1;
/// A robot that went on by this much along its own path no longer counts as having waited, metres.
const PROGRESS: f64 = 2.5;

/// What was decided about a peer, kept as long as the two paths conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldPrecedence {
    First,
    Second,
}

/// Precedence over each peer whose path conflicts with the own one.
pub(crate) type HeldPrecedences = BTreeMap<AgentId, HeldPrecedence>;

/// The path the robot is on.
#[derive(Clone, Debug)]
pub(crate) enum Course {
    Own,
    Yielding { for_agent: AgentId, path: PlannedPath, since: MonoTime, moved_at: MonoTime, escape: bool },
}

/// What the robot does for its peers until the next cycle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commitment {
    /// It stands because of a peer.
    pub(crate) held: bool,
    /// Whom it lets go first, and why.
    pub(crate) yields_to: Option<(AgentId, PrecedenceReason)>,
}

/// What is remembered from cycle to cycle.
#[derive(Clone, Debug)]
pub(crate) struct CoordState {
    course: Course,
    claim: Option<Claim>,
    cornered: bool,
    commitment: Commitment,
    held_precedences: HeldPrecedences,
    /// Peers before which the robot is passing through a conflict.
    passing: BTreeSet<AgentId>,
    headway: (MonoTime, Point),
    searched_at: Option<MonoTime>,
    waited: Duration,
    progress: f64,
    last: Option<(MonoTime, Point)>,
    cornered_privilege: Privilege,
    emergency_privilege: Privilege,
    pub(crate) scratch: Scratch,
}

impl CoordState {
    pub(crate) fn new() -> Self {
        Self {
            course: Course::Own,
            claim: None,
            cornered: false,
            commitment: Commitment::default(),
            held_precedences: BTreeMap::new(),
            passing: BTreeSet::new(),
            headway: (MonoTime::ZERO, Point::default()),
            searched_at: None,
            waited: Duration::ZERO,
            progress: 0.0,
            last: None,
            cornered_privilege: Privilege::cornered(),
            emergency_privilege: Privilege::emergency(),
            scratch: Scratch::default(),
        }
    }

    pub(crate) fn course(&self) -> &Course {
        &self.course
    }

    pub(crate) fn cornered(&self) -> bool {
        self.cornered
    }

    pub(crate) fn yields_to(&self) -> Option<&(AgentId, PrecedenceReason)> {
        self.commitment.yields_to.as_ref()
    }

    pub(crate) fn held_precedence(&self, agent: &AgentId) -> Option<HeldPrecedence> {
        self.held_precedences.get(agent).copied()
    }

    pub(crate) fn held_precedences(&self) -> &HeldPrecedences {
        &self.held_precedences
    }

    pub(crate) fn is_passing(&self, agent: &AgentId) -> bool {
        self.passing.contains(agent)
    }

    pub(crate) fn made_headway(&self, now: MonoTime, within: Duration) -> bool {
        now.since(self.headway.0) < within
    }

    pub(crate) fn searched_within(&self, now: MonoTime, span: Duration) -> bool {
        self.searched_at.is_some_and(|at| now.since(at) < span)
    }

    /// The path the robot drives now: its own, or the one by which it yields.
    pub(crate) fn path(&self, own: &OwnState) -> PlannedPath {
        match &self.course {
            Course::Own => PlannedPath::new(own.pose.position, &own.path),
            Course::Yielding { path, .. } => path.onward_from(own.pose.position),
        }
    }

    /// The claim published to peers: inherited while the robot makes way for another.
    pub(crate) fn claim(&self, own: &OwnState, config: &CoordConfig) -> Claim {
        self.claim.clone().unwrap_or_else(|| self.base_claim(own, config))
    }

    /// The own claim, without what is inherited.
    pub(crate) fn base_claim(&self, own: &OwnState, config: &CoordConfig) -> Claim {
        let steps = self.waited.as_nanos() / WAIT_STEP.as_nanos();
        let right_of_way = RightOfWay {
            emergency: own.emergency && !self.emergency_privilege.is_used_up(),
            carrying: own.carrying,
            priority: own.priority,
            waited_steps: u16::try_from(steps).unwrap_or(u16::MAX),
            claimant: config.id.clone(),
        };
        let wants = PlannedPath::new(own.pose.position, &own.path).length() > STAYS;
        let cornered = self.cornered && !self.cornered_privilege.is_used_up();
        let escapes = matches!(self.course, Course::Yielding { escape: true, .. });
        Claim { sender: config.id.clone(), cornered, wants: wants || escapes, right_of_way }
    }

    pub(crate) fn published_state(&self, own: &OwnState) -> AgentState {
        match &self.course {
            _ if !moves_by_itself(own.state) => own.state,
            Course::Yielding { .. } => AgentState::Yielding,
            Course::Own if self.commitment.held => AgentState::Waiting,
            Course::Own => own.state,
        }
    }

    /// The robot does not move at all: it has no claim and no course.
    pub(crate) fn clear_claim(&mut self) {
        self.course = Course::Own;
        self.claim = None;
        self.cornered = false;
        self.commitment = Commitment::default();
        self.held_precedences.clear();
        self.passing.clear();
    }

    /// Cuts the part of the yield path that was driven. Returns what is left, in metres.
    pub(crate) fn advance_along_yield_path(&mut self, place: Point) -> Option<f64> {
        let Course::Yielding { path, .. } = &mut self.course else { return None };
        *path = path.onward_from(place);
        Some(path.length())
    }

    pub(crate) fn end_yield(&mut self) {
        self.course = Course::Own;
        self.cornered = false;
    }

    /// A search for a place to yield ended: with a path to it, which is an escape when it leads past the winner, or
    /// with none. Then the robot is cornered, as during an escape.
    pub(crate) fn start_yield(&mut self, now: MonoTime, for_agent: &AgentId, found: Option<(PlannedPath, bool)>) {
        self.searched_at = Some(now);
        self.cornered = found.as_ref().is_none_or(|(_, escape)| *escape);
        self.course = found.map_or(Course::Own, |(path, escape)| Course::Yielding {
            for_agent: for_agent.clone(),
            path,
            since: now,
            moved_at: now,
            escape,
        });
    }

    /// The yield path is free ahead, so its delay starts anew.
    pub(crate) fn note_yield_motion(&mut self, now: MonoTime) {
        if let Course::Yielding { moved_at, .. } = &mut self.course {
            *moved_at = now;
        }
    }

    pub(crate) fn is_not_cornered(&mut self) {
        self.cornered = false;
    }

    pub(crate) fn hold_precedences(&mut self, claim: Claim, held: HeldPrecedences, passing: BTreeSet<AgentId>) {
        self.claim = Some(claim);
        self.held_precedences = held;
        self.passing = passing;
    }

    pub(crate) fn commit(&mut self, held: bool, yields_to: Option<(AgentId, PrecedenceReason)>) {
        self.commitment = Commitment { held, yields_to };
    }

    /// Bounds the own privileges as peers bound them, so that both sides of an encounter decide alike.
    pub(crate) fn honour_privileges(&mut self, now: MonoTime, own: &OwnState) {
        self.emergency_privilege.grant(now, own.emergency);
        self.cornered_privilege.grant(now, self.cornered);
    }

    /// Counts waiting and progress.
    pub(crate) fn count(&mut self, now: MonoTime, own: &OwnState, wants: bool) {
        let place = own.pose.position;
        if self.headway.1.distance(place) > HEADWAY {
            self.headway = (now, place);
        }
        let Some((before, from)) = self.last.replace((now, place)) else { return };
        let yielding = matches!(self.course, Course::Yielding { .. });
        if wants && (yielding || self.commitment.held) {
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
