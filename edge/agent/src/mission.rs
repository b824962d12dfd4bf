//! One order and where the robot is with it.
//!
//! ```text
//!            ┌────────────────────────── pause ───────────────────────────┐
//!            v                                                            │
//! Accepted ──> MovingToStart ──> Executing ──> Done | Failed           Paused
//!     └───────────────┴───────────────┴──────── cancel ──> Cancelled <────┘
//! ```
//!
//! `Paused` goes back to `MovingToStart`: the robot may have been moved meanwhile. A robot that charges or is stopped
//! stays in the state of its order; peers and people see it from the robot's own state.

use std::time::Duration;

use skein_types::geometry::Point;
use skein_types::ids::{CommandId, Generation, MissionId};
use skein_types::mission::{Priority, SliceState};
use skein_types::time::MonoTime;

use crate::survey::Survey;

/// What is to be done, with what is known about it.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// Sweep a region.
    Survey(Box<Survey>),
    /// Be somewhere.
    GoTo { goal: Point, hold: Option<Duration>, since: Option<MonoTime> },
    /// Be home.
    Return,
    /// Be full.
    Charge,
}

impl Task {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Survey(_) => "survey",
            Self::GoTo { .. } => "go_to",
            Self::Return => "return",
            Self::Charge => "charge",
        }
    }
}

/// An order.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) command: CommandId,
    pub(crate) mission: MissionId,
    pub(crate) generation: Generation,
    pub(crate) priority: Priority,
    pub(crate) return_home: bool,
    pub(crate) task: Task,
    state: SliceState,
    reason: String,
}

impl Work {
    pub(crate) fn new(
        command: CommandId,
        mission: MissionId,
        generation: Generation,
        priority: Priority,
        return_home: bool,
        task: Task,
    ) -> Self {
        let (state, reason) = (SliceState::Accepted, String::new());
        Self { command, mission, generation, priority, return_home, task, state, reason }
    }

    pub(crate) const fn state(&self) -> SliceState {
        self.state
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Waits to be worked on or is worked on.
    pub(crate) const fn active(&self) -> bool {
        matches!(self.state, SliceState::Accepted | SliceState::MovingToStart | SliceState::Executing)
    }

    /// The one place where the state changes. False, and nothing changes, where the diagram has no arrow.
    pub(crate) fn enter(&mut self, to: SliceState, reason: impl Into<String>) -> bool {
        if !may_follow(self.state, to) {
            return false;
        }
        self.state = to;
        self.reason = reason.into();
        true
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
    use uuid::Uuid;

    fn work() -> Work {
        Work::new(
            CommandId(Uuid::from_u128(1)),
            MissionId(Uuid::from_u128(2)),
            Generation(3),
            Priority::NORMAL,
            false,
            Task::Return,
        )
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
    fn an_order_goes_its_way_through_pause_to_its_end() {
        let mut order = work();
        for state in [
            SliceState::MovingToStart,
            SliceState::Executing,
            SliceState::Paused,
            SliceState::MovingToStart,
            SliceState::Executing,
            SliceState::Done,
        ] {
            assert!(order.enter(state, "because"), "{state:?}");
            assert_eq!((order.state(), order.reason()), (state, "because"));
        }
    }

    #[test]
    fn nothing_leaves_an_end_and_nothing_goes_back_to_the_beginning() {
        for end in [SliceState::Done, SliceState::Failed, SliceState::Cancelled] {
            let mut order = work();
            assert!(order.enter(end, "over"));
            assert!(ALL.iter().all(|to| !order.clone().enter(*to, "again")));
            assert!(!order.active());
        }
        for state in ALL {
            let mut order = work();
            let _ = order.enter(state, "");
            assert!(!order.enter(SliceState::Accepted, "again"));
        }
    }

    #[test]
    fn a_paused_order_can_only_go_on_or_be_taken_away() {
        let mut order = work();
        assert!(order.enter(SliceState::Paused, "person"));
        assert!(!order.active());
        assert!(!order.clone().enter(SliceState::Done, ""));
        assert!(!order.clone().enter(SliceState::Executing, ""));
        assert!(order.clone().enter(SliceState::Cancelled, "person"));
        assert!(order.enter(SliceState::MovingToStart, ""));
    }
}
