//! Go to: drive to a point and hold it for a while, or until another assignment.

use std::time::Duration;

use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::mission::SliceState;
use skein_types::time::MonoTime;

use super::{Task, TaskStep};
use crate::behavior::{Behavior, CycleContext};

/// A robot that holds a point drives back when it was moved farther than this, metres.
const DISPLACED: f64 = 0.5;

/// An assignment to be at a point.
#[derive(Debug)]
pub(crate) struct GoToTask {
    goal: Point,
    /// How long to hold the point; `None` without an end.
    hold: Option<Duration>,
    /// Since when the robot has held the point.
    since: Option<MonoTime>,
}

impl GoToTask {
    pub(crate) const fn new(goal: Point, hold: Option<Duration>) -> Self {
        Self { goal, hold, since: None }
    }
}

impl Task for GoToTask {
    fn name(&self) -> &'static str {
        "go_to"
    }

    fn step(&mut self, ctx: &mut CycleContext<'_>, state: SliceState) -> TaskStep {
        let displaced = self.since.is_some() && ctx.pose.position.distance(self.goal) > DISPLACED;
        if !ctx.has_arrived(self.goal) && (self.since.is_none() || displaced) {
            let state = if displaced { AgentState::Executing } else { AgentState::MovingToStart };
            return TaskStep::from_approach(ctx.approach(self.goal, state, "drives to its goal".to_owned()));
        }
        let held = ctx.now.since(*self.since.get_or_insert(ctx.now));
        let (behavior, ended) = match self.hold {
            Some(hold) if held >= hold => (Behavior::stand(AgentState::Idle, "has no task"), true),
            Some(hold) => {
                let left = (hold - held).as_secs();
                (Behavior::stand(AgentState::Executing, format!("holds its position for {left} s more")), false)
            }
            None => (Behavior::stand(AgentState::Executing, "holds its position"), false),
        };
        let mut step = TaskStep::from(behavior);
        if state != SliceState::Executing {
            step = step.request_transition(SliceState::Executing, "holds its position");
        }
        if ended {
            step = step.request_transition(SliceState::Done, "held its position as long as assigned");
        }
        step
    }
}
