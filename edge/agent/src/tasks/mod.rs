//! Tasks: what a robot does for an assignment. One module per kind, all behind [`Task`].

pub(crate) mod charge;
pub(crate) mod coverage;
pub(crate) mod goto;
pub(crate) mod return_home;
pub(crate) mod survey;

use std::fmt;

use skein_space::planning::PlanningMap;
use skein_types::geometry::Point;
use skein_types::mission::SliceState;

use self::coverage::{Coverage, CoverageMemory};
use crate::behavior::{Approach, Behavior, CycleContext};

/// Why a task fails whose goal has no path.
const UNREACHABLE: &str = "found no path to its goal";

/// One kind of task.
pub(crate) trait Task: fmt::Debug + Send {
    /// Name in events and status.
    fn name(&self) -> &'static str;

    /// Chooses the behavior of this cycle. `state` is that of the assignment.
    fn step(&mut self, ctx: &mut CycleContext<'_>, state: SliceState) -> TaskStep;

    /// The robot is at a position (map frame) that the localizer does not contradict.
    fn on_position(&mut self, _map: &PlanningMap, _position: Point) {}

    /// Something else (charging, an operator) took the robot away from its present goal.
    fn on_interruption(&mut self) {}

    /// The present goal cannot be reached now: chooses another one, where the task has others.
    fn skip_goal(&mut self, _ctx: &mut CycleContext<'_>, _reason: &str) {}

    /// Cells given up since the last call.
    fn take_given_up(&mut self) -> u64 {
        0
    }

    /// The coverage of a survey.
    fn coverage(&self) -> Option<&Coverage> {
        None
    }

    /// What the next assignment of the same mission starts with.
    fn into_memory(self: Box<Self>) -> Option<CoverageMemory> {
        None
    }
}

/// A task's decision for one cycle.
#[derive(Debug)]
pub(crate) struct TaskStep {
    pub(crate) behavior: Behavior,
    /// State transitions of the assignment with their reasons, in order.
    pub(crate) transitions: Vec<(SliceState, String)>,
}

impl From<Behavior> for TaskStep {
    fn from(behavior: Behavior) -> Self {
        Self { behavior, transitions: Vec::new() }
    }
}

impl TaskStep {
    /// Adds a transition of the assignment's state.
    pub(crate) fn request_transition(mut self, to: SliceState, reason: impl Into<String>) -> Self {
        self.transitions.push((to, reason.into()));
        self
    }

    /// An approach to the task's only goal: the task fails with it.
    pub(crate) fn from_approach(approach: Approach) -> Self {
        let step = Self::from(approach.behavior);
        if approach.failed { step.request_transition(SliceState::Failed, UNREACHABLE) } else { step }
    }
}
