//! One assignment and its state.
//!
//! ```text
//!            ┌────────────────────────── pause ───────────────────────────┐
//!            v                                                            │
//! Accepted ──> MovingToStart ──> Executing ──> Done | Failed           Paused
//!     └───────────────┴───────────────┴──────── cancel ──> Cancelled <────┘
//! ```
//!
//! `Paused` goes back to `MovingToStart`: the robot may have been moved meanwhile. A robot that charges or is stopped
//! keeps the state of its assignment; the robot's own state shows what it does.

use skein_types::ids::{CommandId, Generation, MissionId};
use skein_types::mission::{Assignment, Priority, SliceProgress, SliceState};
use skein_types::units::{Percent, Seconds};

use crate::reporting::progress::ProgressTimer;
use crate::status::MissionStatus;
use crate::tasks::Task;

/// An assignment with the task that carries it out.
#[derive(Debug)]
pub(crate) struct ActiveTask {
    command: CommandId,
    mission: MissionId,
    generation: Generation,
    priority: Priority,
    return_home: bool,
    task: Box<dyn Task>,
    state: SliceState,
    reason: String,
}

impl ActiveTask {
    pub(crate) fn new(command: CommandId, assignment: &Assignment, task: Box<dyn Task>) -> Self {
        Self {
            command,
            mission: assignment.mission,
            generation: assignment.generation,
            priority: assignment.priority,
            return_home: assignment.return_home,
            task,
            state: SliceState::Accepted,
            reason: String::new(),
        }
    }

    /// The command that assigned it.
    pub(crate) const fn command(&self) -> CommandId {
        self.command
    }

    pub(crate) const fn mission(&self) -> MissionId {
        self.mission
    }

    pub(crate) const fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) const fn priority(&self) -> Priority {
        self.priority
    }

    /// The robot returns home when the task has ended.
    pub(crate) const fn returns_home(&self) -> bool {
        self.return_home
    }

    pub(crate) fn task(&self) -> &dyn Task {
        &*self.task
    }

    pub(crate) fn task_mut(&mut self) -> &mut dyn Task {
        &mut *self.task
    }

    pub(crate) fn into_task(self) -> Box<dyn Task> {
        self.task
    }

    pub(crate) const fn state(&self) -> SliceState {
        self.state
    }

    /// Why it is in its state; empty when there is nothing to say.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Accepted and neither paused nor ended.
    pub(crate) const fn is_active(&self) -> bool {
        matches!(self.state, SliceState::Accepted | SliceState::MovingToStart | SliceState::Executing)
    }

    /// The one place where the state changes. False, and nothing changes, where the diagram has no arrow.
    pub(crate) fn transition(&mut self, to: SliceState, reason: impl Into<String>) -> bool {
        if !may_follow(self.state, to) {
            return false;
        }
        self.state = to;
        self.reason = reason.into();
        true
    }

    /// The progress report. It carries the remaining region when that changed since the last report, and at the end.
    pub(crate) fn progress(&self, eta: Option<f64>, timer: &mut ProgressTimer) -> SliceProgress {
        let (covered, remaining) = match self.task.coverage() {
            Some(coverage) => {
                let changed = timer.is_new_version(coverage.version()) || self.state.is_terminal();
                (coverage.percent(), if changed { coverage.uncovered() } else { None })
            }
            None => (if self.state == SliceState::Done { 100.0 } else { 0.0 }, None),
        };
        SliceProgress {
            mission: self.mission,
            generation: self.generation,
            state: self.state,
            reason: self.reason.clone(),
            covered: Percent(covered),
            remaining,
            eta: eta.map(Seconds),
        }
    }

    /// For the status; `cell_area` in m².
    pub(crate) fn status(&self, cell_area: f64) -> MissionStatus {
        let coverage = self.task.coverage();
        let area = |cells: u64| cells as f64 * cell_area;
        MissionStatus {
            mission: self.mission,
            generation: self.generation,
            task: self.task.name().to_owned(),
            state: self.state,
            reason: self.reason.clone(),
            covered: coverage.map_or(0.0, |coverage| coverage.percent()),
            area: coverage.map_or(0.0, |coverage| area(coverage.cell_count())),
            remaining: coverage.map_or(0.0, |coverage| area(coverage.remaining_cells())),
            given_up: coverage.map_or(0.0, |coverage| area(coverage.given_up_cells())),
        }
    }
}

/// The arrows of the diagram.
const fn may_follow(from: SliceState, to: SliceState) -> bool {
    match from {
        SliceState::Accepted => !matches!(to, SliceState::Accepted),
        SliceState::MovingToStart => !matches!(to, SliceState::Accepted | SliceState::MovingToStart),
        SliceState::Executing => {
            matches!(to, SliceState::Paused | SliceState::Done | SliceState::Failed | SliceState::Cancelled)
        }
        SliceState::Paused => matches!(to, SliceState::MovingToStart | SliceState::Cancelled),
        SliceState::Done | SliceState::Failed | SliceState::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::return_home::ReturnTask;
    use skein_types::mission::Task as AssignedTask;
    use uuid::Uuid;

    fn accepted() -> ActiveTask {
        let assignment = Assignment {
            mission: MissionId(Uuid::from_u128(2)),
            generation: Generation(3),
            task: AssignedTask::Return,
            priority: Priority::NORMAL,
            return_home: false,
        };
        ActiveTask::new(CommandId(Uuid::from_u128(1)), &assignment, Box::new(ReturnTask))
    }

    fn in_state(state: SliceState) -> ActiveTask {
        let mut task = accepted();
        let _ = task.transition(state, "");
        task
    }

    const ALL: [SliceState; 7] = [
        SliceState::Accepted,
        SliceState::MovingToStart,
        SliceState::Executing,
        SliceState::Paused,
        SliceState::Done,
        SliceState::Failed,
        SliceState::Cancelled,
    ];

    #[test]
    fn a_task_passes_through_pause_to_its_end() {
        let mut task = accepted();
        for state in [
            SliceState::MovingToStart,
            SliceState::Executing,
            SliceState::Paused,
            SliceState::MovingToStart,
            SliceState::Executing,
            SliceState::Done,
        ] {
            assert!(task.transition(state, "because"), "{state:?}");
            assert_eq!((task.state(), task.reason()), (state, "because"));
        }
    }

    #[test]
    fn no_state_follows_an_end_and_none_leads_to_the_start() {
        for end in [SliceState::Done, SliceState::Failed, SliceState::Cancelled] {
            assert!(ALL.iter().all(|to| !in_state(end).transition(*to, "again")));
            assert!(!in_state(end).is_active());
        }
        for state in ALL {
            assert!(!in_state(state).transition(SliceState::Accepted, "again"));
        }
    }

    #[test]
    fn a_paused_task_resumes_or_is_cancelled() {
        let paused = || in_state(SliceState::Paused);
        assert!(!paused().is_active());
        assert!(!paused().transition(SliceState::Done, ""));
        assert!(!paused().transition(SliceState::Executing, ""));
        assert!(paused().transition(SliceState::Cancelled, "operator"));
        assert!(paused().transition(SliceState::MovingToStart, ""));
    }
}
