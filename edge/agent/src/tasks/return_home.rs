//! Return: drive home and end there.

use skein_types::coord::AgentState;
use skein_types::mission::SliceState;

use super::{Task, TaskStep};
use crate::behavior::{Behavior, CycleContext};

/// An assignment to return home.
#[derive(Debug)]
pub(crate) struct ReturnTask;

impl Task for ReturnTask {
    fn name(&self) -> &'static str {
        "return"
    }

    fn step(&mut self, ctx: &mut CycleContext<'_>, _state: SliceState) -> TaskStep {
        let home = ctx.config.home.position;
        if ctx.has_arrived(home) {
            let step = TaskStep::from(Behavior::stand(AgentState::Idle, "is at home"));
            return step.request_transition(SliceState::Done, "is at home");
        }
        let why = "returns home for its assignment".to_owned();
        TaskStep::from_approach(ctx.approach(home, AgentState::Returning, why))
    }
}
