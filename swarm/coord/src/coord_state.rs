//! What a robot remembers of its encounters from cycle to cycle.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use skein_types::coord::{AgentState, RightOfWay, WAIT_STEP};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

use crate::claim::Claim;
use crate::guidance::PrecedenceReason;
use crate::own_state::OwnState;
use crate::peers::HEADWAY;
use crate::planned_path::PlannedPath;
use crate::yield_search::Scratch;

/// A way shorter than this means to stay.
pub(crate) const STAYS: f64 = 0.1;
/// A robot that went on by this much on its own way no longer counts as having waited, metres.
const PROGRESS: f64 = 2.5;

/// What was decided about a peer, as long as the two ways meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldPrecedence {
    First,
    Second,
}

/// The way the robot is on.
#[derive(Clone, Debug)]
pub(crate) enum Course {
    Own,
    Yielding { for_agent: AgentId, path: PlannedPath, since: MonoTime, moved_at: MonoTime, escape: bool },
}

/// What is remembered from cycle to cycle.
#[derive(Clone, Debug)]
pub(crate) struct CoordState {
    pub(crate) course: Course,
    pub(crate) claim: Option<Claim>,
    pub(crate) cornered: bool,
    pub(crate) held: bool,
    pub(crate) yields_to: Option<(AgentId, PrecedenceReason)>,
    pub(crate) settled: BTreeMap<AgentId, HeldPrecedence>,
    pub(crate) passing: BTreeSet<AgentId>,
    pub(crate) headway: (MonoTime, Point),
    pub(crate) searched_at: Option<MonoTime>,
    waited: Duration,
    progress: f64,
    last: Option<(MonoTime, Point)>,
    pub(crate) scratch: Scratch,
}

impl CoordState {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn path(&self, own: &OwnState) -> PlannedPath {
        match &self.course {
            Course::Own => PlannedPath::new(own.pose.position, &own.path),
            Course::Yielding { path, .. } => path.onward_from(own.pose.position),
        }
    }

    pub(crate) fn claim_of(&self, own: &OwnState, id: &AgentId) -> Claim {
        self.claim.clone().unwrap_or_else(|| self.base_claim(own, id))
    }

    pub(crate) fn yields_to(&self) -> Option<AgentId> {
        self.yields_to.as_ref().map(|(agent, _)| agent.clone())
    }

    pub(crate) fn published_state(&self, own: &OwnState) -> AgentState {
        match &self.course {
            _ if !mobile(own.state) => own.state,
            Course::Yielding { .. } => AgentState::Yielding,
            Course::Own if self.held => AgentState::Waiting,
            Course::Own => own.state,
        }
    }

    /// The own claim, without what is inherited.
    pub(crate) fn base_claim(&self, own: &OwnState, id: &AgentId) -> Claim {
        let steps = self.waited.as_nanos() / WAIT_STEP.as_nanos();
        let right_of_way = RightOfWay {
            emergency: own.emergency,
            carrying: own.carrying,
            priority: own.priority,
            waited_steps: u16::try_from(steps).unwrap_or(u16::MAX),
            claimant: id.clone(),
        };
        let wants = PlannedPath::new(own.pose.position, &own.path).length() > STAYS;
        let escapes = matches!(self.course, Course::Yielding { escape: true, .. });
        Claim { sender: id.clone(), cornered: self.cornered, wants: wants || escapes, right_of_way }
    }

    /// Counts waiting and progress.
    pub(crate) fn count(&mut self, now: MonoTime, own: &OwnState, wants: bool) {
        let place = own.pose.position;
        if self.headway.1.distance(place) > HEADWAY {
            self.headway = (now, place);
        }
        let Some((before, from)) = self.last.replace((now, place)) else { return };
        let aside = matches!(self.course, Course::Yielding { .. });
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
pub(crate) fn mobile(state: AgentState) -> bool {
    !matches!(state, AgentState::Stopped | AgentState::Fault | AgentState::Charging)
}
