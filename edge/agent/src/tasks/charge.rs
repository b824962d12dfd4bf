//! Charge: drive to the charger and end when charged.

use skein_types::coord::AgentState;
use skein_types::mission::SliceState;

use super::{Task, TaskStep};
use crate::behavior::{Behavior, CycleContext};

/// An assignment to charge.
#[derive(Debug)]
pub(crate) struct ChargeTask;

impl Task for ChargeTask {
    fn name(&self) -> &'static str {
        "charge"
    }

    fn step(&mut self, ctx: &mut CycleContext<'_>, _state: SliceState) -> TaskStep {
        if ctx.localization.battery().charge.get() >= ctx.config.charge_until {
            let step = TaskStep::from(Behavior::stand(AgentState::Idle, "is charged"));
            return step.request_transition(SliceState::Done, "is charged");
        }
        TaskStep::from_approach(ctx.charge())
    }
}
