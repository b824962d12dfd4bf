//! What the supervisor's orders do to the robot.

use core::time::Duration;

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::ids::MissionId;
use skein_types::link::{CloudCommand, CommandOutcome, Order};
use skein_types::mission::{Assignment, SliceState, Task as Wanted};
use skein_types::safety::{Cause, Latch, ReflexReport};
use skein_types::time::MonoTime;

use crate::agent::Agent;
use crate::io::Output;
use crate::mission::{Task, Work};
use crate::orders::Judgement;
use crate::survey::Survey;

/// Tilted for as long it has tipped over; shorter is a bump.
const TIPPED_OVER: Duration = Duration::from_millis(100);
/// Time that power and balance have to come back after a person's release.
const RELEASE_SETTLES: Duration = Duration::from_millis(2500);

impl Agent {
    pub(crate) fn obey(&mut self, now: MonoTime, command: CloudCommand) {
        if matches!(command.order, Order::EventsKept { .. }) {
            return;
        }
        let id = command.id;
        match self.orders.judge(&command, self.record.wall(now)) {
            Judgement::Answer(outcome) => {
                if let CommandOutcome::Rejected(reason) = &outcome {
                    self.refused(now, &command, reason);
                }
                self.answer(id, outcome);
            }
            Judgement::Obey => {
                let outcome = self.carry_out(now, &command);
                match &outcome {
                    CommandOutcome::Rejected(reason) => self.refused(now, &command, reason),
                    CommandOutcome::Accepted | CommandOutcome::Done | CommandOutcome::Failed(_) => {
                        self.orders.took_effect(&command);
                    }
                }
                self.orders.settle(id, outcome.clone());
                self.answer(id, outcome);
            }
        }
    }

    fn refused(&mut self, now: MonoTime, command: &CloudCommand, reason: &str) {
        self.counters.refused += 1;
        let payload = json!({ "command": command.id, "order": command.order.name(), "reason": reason });
        self.note(now, EventKind::Command, "order_refused", &payload);
    }

    fn carry_out(&mut self, now: MonoTime, command: &CloudCommand) -> CommandOutcome {
        let payload = json!({
            "command": command.id, "order": command.order.name(), "generation": command.generation,
        });
        self.note(now, EventKind::Command, "order", &payload);
        match &command.order {
            Order::Assign(assignment) => self.assign(now, command, assignment),
            Order::Pause(mission) => self.change(now, *mission, SliceState::Paused, "paused by the supervisor"),
            Order::Resume(mission) => self.change(now, *mission, SliceState::MovingToStart, "resumed"),
            Order::Cancel(mission) => self.change(now, *mission, SliceState::Cancelled, "cancelled by the supervisor"),
            Order::Stop(reason) => self.latch_by_order(now, Latch::Stop, reason),
            Order::Kill(reason) => self.latch_by_order(now, Latch::Kill, reason),
            Order::Release(reason) => self.release(now, reason),
            Order::EventsKept { .. } | Order::Latch(_) | Order::Lease(_) | Order::Hazards(_) => CommandOutcome::Done,
        }
    }

    fn assign(&mut self, now: MonoTime, command: &CloudCommand, assignment: &Assignment) -> CommandOutcome {
        let current = self.work.as_ref().map(|work| (work.mission, work.generation));
        if let Some((mission, generation)) = current
            && mission == assignment.mission
            && assignment.generation < generation
        {
            return CommandOutcome::Rejected(format!("stale: {} is older than {generation}", assignment.generation));
        }
        let here = self.pose().unwrap_or(self.config.home).position;
        if let Wanted::Survey { region } = &assignment.task
            && region.frame() != self.config.map.frame()
        {
            return CommandOutcome::Rejected("the region's frame is not that of this robot's map".to_owned());
        }
        if let Wanted::GoTo { goal, .. } = &assignment.task
            && self.config.map.frame().square_of(*goal).is_none()
        {
            return CommandOutcome::Rejected("the goal lies outside the map".to_owned());
        }
        self.lay_down_work(now, assignment.mission);
        let task = match &assignment.task {
            Wanted::Survey { region } => {
                let memory = self.memory.take().filter(|(mission, _)| *mission == assignment.mission);
                let memory = memory.map(|(_, memory)| memory);
                let range = self.config.descriptor.sweep_range;
                Task::Survey(Box::new(Survey::new(&self.config.map, region.clone(), memory, here, range)))
            }
            Wanted::GoTo { goal, hold } => Task::GoTo { goal: *goal, hold: *hold, since: None },
            Wanted::Return => Task::Return,
            Wanted::Charge => Task::Charge,
        };
        let (mission, generation) = (assignment.mission, assignment.generation);
        let work = Work::new(command.id, mission, generation, assignment.priority, assignment.return_home, task);
        let payload = json!({ "mission": mission, "generation": generation, "task": work.task.name() });
        self.note(now, EventKind::StateChange, "order_accepted", &payload);
        self.work = Some(work);
        self.going_home = false;
        self.course.forget();
        self.navigator.forget();
        self.progress.tell_all();
        CommandOutcome::Accepted
    }

    /// A new order replaces the one in hand. What was swept for the same mission is kept.
    fn lay_down_work(&mut self, now: MonoTime, next: MissionId) {
        let Some(mut work) = self.work.take() else { return };
        if !work.state().is_terminal() && work.mission != next {
            let _ = work.enter(SliceState::Cancelled, "replaced by another order");
            self.report_work(now, &work);
            let outcome = CommandOutcome::Failed("replaced by another order".to_owned());
            self.orders.settle(work.command, outcome.clone());
            self.answer(work.command, outcome);
        }
        if let Task::Survey(survey) = work.task {
            self.memory = Some((work.mission, survey.into_memory()));
        }
    }

    fn change(&mut self, now: MonoTime, mission: MissionId, to: SliceState, reason: &str) -> CommandOutcome {
        let Some(work) = self.work.as_mut().filter(|work| work.mission == mission) else {
            return match to {
                // What is not there is cancelled already.
                SliceState::Cancelled => CommandOutcome::Done,
                _ => CommandOutcome::Rejected("the robot does not work on this mission".to_owned()),
            };
        };
        let from = work.state();
        if from == to || (to == SliceState::MovingToStart && work.active()) {
            return CommandOutcome::Done;
        }
        if from.is_terminal() && to == SliceState::Cancelled {
            return CommandOutcome::Done;
        }
        if !self.enter_state(now, to, reason) {
            return CommandOutcome::Rejected(format!("not possible while the order is {from:?}"));
        }
        CommandOutcome::Done
    }

    /// Moves the order in hand to another state, records it and tells the supervisor.
    pub(crate) fn enter_state(&mut self, now: MonoTime, to: SliceState, reason: &str) -> bool {
        let Some(work) = self.work.as_mut() else { return false };
        let from = work.state();
        if !work.enter(to, reason) {
            return false;
        }
        let (mission, command, home) = (work.mission, work.command, work.return_home);
        let payload = json!({ "mission": mission, "from": from, "to": to, "reason": reason });
        self.note(now, EventKind::StateChange, "order_state", &payload);
        let ended = match to {
            SliceState::Done => Some(CommandOutcome::Done),
            SliceState::Failed | SliceState::Cancelled => Some(CommandOutcome::Failed(reason.to_owned())),
            SliceState::Accepted | SliceState::MovingToStart | SliceState::Executing | SliceState::Paused => None,
        };
        if let Some(outcome) = ended {
            self.orders.settle(command, outcome.clone());
            self.answer(command, outcome);
            self.going_home = home && to != SliceState::Cancelled;
            self.course.forget();
            self.navigator.forget();
        }
        self.progress.tell_now();
        true
    }

    fn latch_by_order(&mut self, now: MonoTime, latch: Latch, reason: &str) -> CommandOutcome {
        self.set_latch(now, self.latch.max(latch), reason);
        CommandOutcome::Done
    }

    /// Sets a person's hand; the reflex hears of it at once.
    pub(crate) fn set_latch(&mut self, now: MonoTime, latch: Latch, reason: &str) {
        let changed = self.latch != latch;
        self.latch = latch;
        reason.clone_into(&mut self.latch_reason);
        if changed {
            self.note(now, EventKind::Safety, "latch", &json!({ "latch": latch, "reason": reason }));
            self.outputs.push_back(Output::LatchChanged(latch));
            self.manual = None;
            self.stand_still(now);
        }
        self.say_surroundings(now);
    }

    /// After a lost power or a tip-over nothing moves by itself: the robot takes the STOP that a person then releases.
    pub(crate) fn hear_reflex(&mut self, now: MonoTime, report: ReflexReport) {
        let tilted = report.causes.contains(Cause::Tilt);
        self.tilted_since = tilted.then(|| self.tilted_since.unwrap_or(report.at));
        let fell = self.tilted_since.is_some_and(|since| report.at.since(since) >= TIPPED_OVER);
        let unpowered = self.sensed.frame().is_some_and(|frame| !frame.motors_powered);
        let reason = if unpowered && report.causes.contains(Cause::PowerLoss) {
            Some("the motors lost their power")
        } else {
            fell.then_some("it tipped over")
        };
        self.reflex = report;
        if let Some(reason) = reason
            && self.latch == Latch::Released
            && now > self.released_at + RELEASE_SETTLES
        {
            self.set_latch(now, Latch::Stop, reason);
        }
    }

    fn release(&mut self, now: MonoTime, reason: &str) -> CommandOutcome {
        let unpowered = self.sensed.frame().is_some_and(|frame| !frame.motors_powered);
        if self.latch == Latch::Kill || unpowered {
            self.outputs.push_back(Output::RestorePower);
        }
        self.released_at = now;
        self.set_latch(now, Latch::Released, reason);
        self.course.forget();
        self.navigator.forget();
        CommandOutcome::Done
    }
}
