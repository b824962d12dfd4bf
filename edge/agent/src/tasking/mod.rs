//! The robot's assignment: which task it carries out, and what it keeps of the mission.

pub(crate) mod active_task;
mod command_handler;
pub(crate) mod command_log;

use serde_json::json;
use skein_space::planning::PlanningMap;
use skein_types::authority::Term;
use skein_types::coord::AgentState;
use skein_types::event::EventKind;
use skein_types::geometry::Point;
use skein_types::ids::{CommandId, Generation, MissionId};
use skein_types::link::{AgentReport, CommandOutcome};
use skein_types::mission::{Priority, SliceState};
use skein_types::time::MonoTime;

use self::active_task::ActiveTask;
pub(crate) use self::command_handler::CommandContext;
use self::command_log::CommandLog;
use crate::behavior::{Behavior, CycleContext};
use crate::config::AgentConfig;
use crate::io::Output;
use crate::navigation::Navigation;
use crate::reporting::Reporting;
use crate::tasks::coverage::CoverageMemory;

/// Average speed over a task, for the estimated time, m/s.
const AVERAGE_SPEED: f64 = 0.55;

/// Command log, active task, coverage memory, and whether the robot returns home after its task.
#[derive(Debug)]
pub(crate) struct Tasking {
    commands: CommandLog,
    active: Option<ActiveTask>,
    /// Coverage of the mission surveyed last.
    memory: Option<(MissionId, CoverageMemory)>,
    going_home: bool,
}

impl Tasking {
    pub(crate) fn new() -> Self {
        Self { commands: CommandLog::default(), active: None, memory: None, going_home: false }
    }

    /// Mission and generation of the task that has not ended.
    pub(crate) fn working_on(&self) -> Option<(MissionId, Generation)> {
        let task = self.active.as_ref().filter(|task| !task.state().is_terminal())?;
        Some((task.mission(), task.generation()))
    }

    /// The last command that took effect.
    pub(crate) const fn last_command(&self) -> Option<CommandId> {
        self.commands.last_executed()
    }

    /// The highest term of a planner seen in commands.
    pub(crate) const fn term(&self) -> Term {
        self.commands.term()
    }

    /// The assignment received last, ended or not.
    pub(crate) const fn active(&self) -> Option<&ActiveTask> {
        self.active.as_ref()
    }

    /// Priority among peers: that of the active task.
    pub(crate) fn priority(&self) -> Priority {
        self.active.as_ref().filter(|task| task.is_active()).map_or(Priority::NORMAL, ActiveTask::priority)
    }

    /// Cells covered for the present mission, inside its region and outside.
    pub(crate) fn covered_cells(&self) -> u64 {
        match self.active.as_ref().and_then(|task| task.task().coverage()) {
            Some(coverage) => coverage.covered_cells(),
            None => self.memory.as_ref().map_or(0, |(_, memory)| memory.covered_cells()),
        }
    }

    /// The robot is at a position that the localizer does not contradict.
    pub(crate) fn on_position(&mut self, map: &PlanningMap, position: Point) {
        if let Some(active) = &mut self.active {
            active.task_mut().on_position(map, position);
        }
    }

    /// Something else takes the robot away from its goal.
    pub(crate) fn on_interruption(&mut self) {
        if let Some(active) = &mut self.active {
            active.task_mut().on_interruption();
        }
    }

    /// The goal cannot be reached now: the active task chooses another one.
    pub(crate) fn skip_goal(&mut self, ctx: &mut CycleContext<'_>, reason: &str) {
        if let Some(active) = self.active.as_mut().filter(|task| task.is_active()) {
            active.task_mut().skip_goal(ctx, reason);
        }
    }

    /// The behavior for the active task, the way home, or nothing.
    pub(crate) fn step(&mut self, ctx: &mut CycleContext<'_>) -> Behavior {
        if self.active.as_ref().is_some_and(ActiveTask::is_active) {
            return self.step_task(ctx);
        }
        if let Some(paused) = self.active.as_ref().filter(|task| task.state() == SliceState::Paused) {
            return Behavior::stand(AgentState::Idle, paused.reason());
        }
        if self.going_home {
            return self.go_home(ctx);
        }
        Behavior::stand(AgentState::Idle, "has no task")
    }

    fn step_task(&mut self, ctx: &mut CycleContext<'_>) -> Behavior {
        if self.active.as_ref().is_some_and(|task| task.state() == SliceState::Accepted) {
            self.request_transition(ctx.now, SliceState::MovingToStart, "", ctx.navigation, ctx.reporting);
        }
        let Some(active) = &mut self.active else { return Behavior::stand(AgentState::Idle, "has no task") };
        let state = active.state();
        let step = active.task_mut().step(ctx, state);
        for (to, reason) in step.transitions {
            self.request_transition(ctx.now, to, &reason, ctx.navigation, ctx.reporting);
        }
        step.behavior
    }

    fn go_home(&mut self, ctx: &mut CycleContext<'_>) -> Behavior {
        let home = ctx.config.home.position;
        if ctx.has_arrived(home) {
            self.going_home = false;
            ctx.navigation.clear_path();
            let payload = json!({ "at": ctx.pose.position });
            ctx.reporting.emit_event(ctx.now, EventKind::StateChange, "arrived_home", &payload);
            return Behavior::stand(AgentState::Idle, "is at home");
        }
        ctx.approach(home, AgentState::Returning, "returns home".to_owned()).behavior
    }

    /// Changes the state of the active task, records it and reports it. False where the state has no such transition.
    fn request_transition(
        &mut self,
        now: MonoTime,
        to: SliceState,
        reason: &str,
        navigation: &mut Navigation,
        reporting: &mut Reporting,
    ) -> bool {
        let Some(task) = self.active.as_mut() else { return false };
        let from = task.state();
        if !task.transition(to, reason) {
            return false;
        }
        let payload = json!({ "mission": task.mission(), "from": from, "to": to, "reason": reason });
        reporting.emit_event(now, EventKind::StateChange, "task_state", &payload);
        if let Some(outcome) = outcome_of(to, reason) {
            self.going_home = task.returns_home() && to != SliceState::Cancelled;
            self.commands.record_outcome(task.command(), outcome.clone());
            reporting.ack_command(task.command(), outcome);
            navigation.reset();
        }
        reporting.progress_mut().report_now();
        true
    }

    /// Reports the progress when it is due.
    pub(crate) fn report_progress(&self, now: MonoTime, eta: Option<f64>, reporting: &mut Reporting) {
        if let Some(active) = &self.active
            && reporting.progress_mut().is_due(now, active.state().is_terminal())
        {
            report(active, eta, reporting);
        }
    }

    /// Records the area that the task has given up since the last cycle.
    pub(crate) fn report_given_up(&mut self, now: MonoTime, config: &AgentConfig, reporting: &mut Reporting) {
        let Some(active) = &mut self.active else { return };
        let cells = active.task_mut().take_given_up();
        if cells > 0 {
            let payload = json!({ "mission": active.mission(), "area_m2": cells as f64 * config.cell_area() });
            reporting.emit_event(now, EventKind::Decision, "given_up", &payload);
        }
    }

    /// Seconds to the end of the active task from a position, by the length of what is planned.
    pub(crate) fn eta(&self, from: Option<Point>, navigation: &Navigation) -> Option<f64> {
        let active = self.active.as_ref().filter(|task| !task.state().is_terminal())?;
        let mut at = from?;
        let Some(coverage) = active.task().coverage() else {
            return Some(navigation.remaining_length() / AVERAGE_SPEED);
        };
        let mut length = 0.0;
        for viewpoint in coverage.viewpoints() {
            length += at.distance(*viewpoint);
            at = *viewpoint;
        }
        Some(length / AVERAGE_SPEED)
    }

    /// The planned viewpoints of a survey.
    pub(crate) fn viewpoints(&self) -> Option<Vec<Point>> {
        let coverage = self.active.as_ref()?.task().coverage()?;
        Some(coverage.viewpoints().iter().copied().collect())
    }
}

/// Emits one progress report.
fn report(task: &ActiveTask, eta: Option<f64>, reporting: &mut Reporting) {
    let progress = task.progress(eta, reporting.progress_mut());
    reporting.emit(Output::Report(AgentReport::Progress(progress)));
}

/// The outcome of the assigning command when its task enters a state; `None` while it goes on.
fn outcome_of(state: SliceState, reason: &str) -> Option<CommandOutcome> {
    match state {
        SliceState::Done => Some(CommandOutcome::Done),
        SliceState::Failed | SliceState::Cancelled => Some(CommandOutcome::Failed(reason.to_owned())),
        SliceState::Accepted | SliceState::MovingToStart | SliceState::Executing | SliceState::Paused => None,
    }
}
