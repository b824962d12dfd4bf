//! What the supervisor's commands do to the robot's task.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::geometry::Point;
use skein_types::ids::MissionId;
use skein_types::link::{CloudCommand, CommandOutcome};
use skein_types::mission::{Assignment, SliceState, Task as AssignedTask};
use skein_types::time::MonoTime;

use super::active_task::ActiveTask;
use super::command_log::Admission;
use super::{Tasking, report};
use crate::config::AgentConfig;
use crate::navigation::Navigation;
use crate::reporting::Reporting;
use crate::tasks::Task;
use crate::tasks::charge::ChargeTask;
use crate::tasks::coverage::Coverage;
use crate::tasks::goto::GoToTask;
use crate::tasks::return_home::ReturnTask;
use crate::tasks::survey::SurveyTask;

/// What a command is executed with.
pub(crate) struct CommandContext<'a> {
    pub(crate) now: MonoTime,
    pub(crate) config: &'a AgentConfig,
    /// Where the robot is (map frame); home when that is not known.
    pub(crate) position: Point,
    pub(crate) navigation: &'a mut Navigation,
    pub(crate) reporting: &'a mut Reporting,
}

impl Tasking {
    /// Whether to execute a command. One that is stale, expired or known is acknowledged here.
    pub(crate) fn admit_command(&mut self, now: MonoTime, command: &CloudCommand, reporting: &mut Reporting) -> bool {
        match self.commands.admit(command, reporting.wall(now)) {
            Admission::Answer(outcome) => {
                if let CommandOutcome::Rejected(reason) = &outcome {
                    reporting.command_refused(now, command, reason);
                }
                reporting.ack_command(command.id, outcome);
                false
            }
            Admission::Execute => {
                let payload = json!({
                    "command": command.id, "order": command.order.name(), "generation": command.generation,
                });
                reporting.emit_event(now, EventKind::Command, "command_admitted", &payload);
                true
            }
        }
    }

    /// Keeps and acknowledges the outcome of an executed command.
    pub(crate) fn complete_command(
        &mut self,
        now: MonoTime,
        command: &CloudCommand,
        outcome: CommandOutcome,
        reporting: &mut Reporting,
    ) {
        match &outcome {
            CommandOutcome::Rejected(reason) => reporting.command_refused(now, command, reason),
            CommandOutcome::Accepted | CommandOutcome::Done | CommandOutcome::Failed(_) => {
                self.commands.mark_executed(command);
            }
        }
        self.commands.record_outcome(command.id, outcome.clone());
        reporting.ack_command(command.id, outcome);
    }

    /// Starts an assignment.
    pub(crate) fn assign(
        &mut self,
        ctx: &mut CommandContext<'_>,
        command: &CloudCommand,
        assignment: &Assignment,
    ) -> CommandOutcome {
        if let Some(reason) = self.assignment_error(ctx.config, assignment) {
            return CommandOutcome::Rejected(reason);
        }
        self.replace_task(ctx, assignment.mission);
        let task = ActiveTask::new(command.id, assignment, self.make_task(ctx, assignment));
        let payload = json!({
            "mission": assignment.mission, "generation": assignment.generation, "task": task.task().name(),
        });
        ctx.reporting.emit_event(ctx.now, EventKind::StateChange, "task_accepted", &payload);
        self.active = Some(task);
        self.going_home = false;
        ctx.navigation.reset();
        ctx.reporting.progress_mut().report_all();
        CommandOutcome::Accepted
    }

    /// Why an assignment cannot be carried out.
    fn assignment_error(&self, config: &AgentConfig, assignment: &Assignment) -> Option<String> {
        if let Some(current) = &self.active
            && current.mission() == assignment.mission
            && assignment.generation < current.generation()
        {
            return Some(format!("stale: {} is older than {}", assignment.generation, current.generation()));
        }
        let frame = config.map.frame();
        match &assignment.task {
            AssignedTask::Survey { region } if region.frame() != frame => {
                Some("the region's frame is not that of this robot's map".to_owned())
            }
            AssignedTask::GoTo { goal, .. } if frame.cell_of(*goal).is_none() => {
                Some("the goal lies outside the map".to_owned())
            }
            AssignedTask::Survey { .. } | AssignedTask::GoTo { .. } | AssignedTask::Return | AssignedTask::Charge => {
                None
            }
        }
    }

    fn make_task(&mut self, ctx: &CommandContext<'_>, assignment: &Assignment) -> Box<dyn Task> {
        match &assignment.task {
            AssignedTask::Survey { region } => {
                let memory = self.memory.take().filter(|(mission, _)| *mission == assignment.mission);
                let memory = memory.map(|(_, memory)| memory);
                let range = ctx.config.descriptor.sweep_range;
                let coverage = Coverage::new(&ctx.config.map, region.clone(), memory, ctx.position, range);
                Box::new(SurveyTask::new(coverage))
            }
            AssignedTask::GoTo { goal, hold } => Box::new(GoToTask::new(*goal, *hold)),
            AssignedTask::Return => Box::new(ReturnTask),
            AssignedTask::Charge => Box::new(ChargeTask),
        }
    }

    /// Ends the present task for an assignment of mission `next`. Coverage is kept for the same mission.
    fn replace_task(&mut self, ctx: &mut CommandContext<'_>, next: MissionId) {
        let Some(mut task) = self.active.take() else { return };
        let reason = "replaced by another assignment";
        if !task.state().is_terminal() && task.mission() != next && task.transition(SliceState::Cancelled, reason) {
            report(&task, None, ctx.reporting);
            let outcome = CommandOutcome::Failed(reason.to_owned());
            self.commands.record_outcome(task.command(), outcome.clone());
            ctx.reporting.ack_command(task.command(), outcome);
        }
        let mission = task.mission();
        if let Some(memory) = task.into_task().into_memory() {
            self.memory = Some((mission, memory));
        }
    }

    /// Pauses, resumes or cancels the task of a mission.
    pub(crate) fn change_state(
        &mut self,
        ctx: &mut CommandContext<'_>,
        mission: MissionId,
        to: SliceState,
        reason: &str,
    ) -> CommandOutcome {
        let Some(task) = self.active.as_ref().filter(|task| task.mission() == mission) else {
            return match to {
                // A task that does not exist is cancelled already.
                SliceState::Cancelled => CommandOutcome::Done,
                _ => CommandOutcome::Rejected("the robot does not work on this mission".to_owned()),
            };
        };
        let from = task.state();
        let resumed = to == SliceState::MovingToStart && task.is_active();
        let over = from.is_terminal() && to == SliceState::Cancelled;
        if from == to || resumed || over {
            return CommandOutcome::Done;
        }
        if !self.request_transition(ctx.now, to, reason, ctx.navigation, ctx.reporting) {
            return CommandOutcome::Rejected(format!("not possible while the task is {from:?}"));
        }
        CommandOutcome::Done
    }
}
