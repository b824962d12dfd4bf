//! One robot as the supervisor knows it, and the commands it has not answered yet.

use core::time::Duration;
use skein_types::authority::LatchSet;
use skein_types::coord::AgentState;
use skein_types::fleet::RobotView;
use skein_types::geometry::Point;
use skein_types::ids::{CommandId, Generation, MissionId};
use skein_types::link::{CloudCommand, CommandOutcome, Hello, Order};
use skein_types::safety::{Cause, Latch};
use skein_types::telemetry::AgentTelemetry;
use skein_types::units::{Percent, Seconds};

use skein_types::time::MonoTime;

use crate::api::Worker;
use crate::record::RobotRecord;

/// Most commands that may wait for one robot's answer; the oldest go first.
pub(crate) const PENDING_MAX: usize = 32;
/// A confirmed latch is not taken back by samples that were on their way before it.
const LATCH_SETTLES: Duration = Duration::from_secs(1);

/// A command without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) command: CloudCommand,
    /// When it was last sent; `None` when it waits for a stream.
    pub(crate) sent_at: Option<MonoTime>,
    /// Not sent again after this.
    pub(crate) expires_at: Option<MonoTime>,
}

/// One robot.
#[derive(Clone, Debug)]
pub(crate) struct Robot {
    /// What is kept of it.
    pub(crate) record: RobotRecord,
    pub(crate) connected: bool,
    /// Lost after this unless it is heard again.
    pub(crate) alive_until: MonoTime,
    pub(crate) telemetry: Option<AgentTelemetry>,
    pub(crate) telemetry_at: MonoTime,
    pub(crate) latch: Latch,
    latch_settled_at: MonoTime,
    pub(crate) wrong_map: bool,
    /// Since when it cannot work although it is there.
    pub(crate) unfit_since: Option<MonoTime>,
    /// No new work before this: it refused the last.
    pub(crate) no_work_until: MonoTime,
    /// What it was given to work on.
    pub(crate) mission: Option<MissionId>,
    /// What it says it works on.
    pub(crate) at_work: Option<(MissionId, Generation)>,
    pub(crate) pending: Vec<Pending>,
    /// Of the supervisor when it last changed.
    pub(crate) revision: u64,
    /// When a silent robot was last shown again with its new age.
    pub(crate) shown_at: MonoTime,
}

/// What is kept of a robot that says who it is.
pub(crate) fn record_of(hello: &Hello, generation: Generation) -> RobotRecord {
    RobotRecord {
        agent: hello.agent.clone(),
        boot: hello.boot,
        body: hello.body,
        home: hello.home,
        generation,
        debug_address: hello.debug_address.clone(),
        software: hello.software.clone(),
    }
}

impl Robot {
    /// A robot that is not there yet.
    pub(crate) const fn new(known: RobotRecord, alive_until: MonoTime) -> Self {
        Self {
            record: known,
            connected: false,
            alive_until,
            telemetry: None,
            telemetry_at: MonoTime::ZERO,
            latch: Latch::Released,
            latch_settled_at: MonoTime::ZERO,
            wrong_map: false,
            unfit_since: None,
            no_work_until: MonoTime::ZERO,
            mission: None,
            at_work: None,
            pending: Vec::new(),
            revision: 0,
            shown_at: MonoTime::ZERO,
        }
    }

    /// It was heard within the time after which it would be lost.
    pub(crate) fn is_alive(&self, now: MonoTime) -> bool {
        now <= self.alive_until
    }

    /// Where it believes it is.
    pub(crate) fn position(&self) -> Option<Point> {
        self.telemetry.as_ref().map(|sample| sample.pose.position)
    }

    /// TimerKind it can do no work now, if it cannot.
    pub(crate) fn unfit(&self, battery_min: Percent) -> Option<&'static str> {
        let Some(sample) = &self.telemetry else { return Some("has not said where it is") };
        if !self.connected {
            return Some("is not connected");
        }
        if self.wrong_map {
            return Some("uses another map");
        }
        match self.latch {
            Latch::Stop => return Some("is stopped by a person"),
            Latch::Kill => return Some("has its power cut"),
            Latch::Released => {}
        }
        match sample.state {
            AgentState::Fault => Some("has a fault"),
            AgentState::Stopped => Some("is stopped"),
            AgentState::Charging => Some("is charging"),
            AgentState::Returning if sample.causes.contains(Cause::BatteryLow) => Some("returns to charge"),
            AgentState::Idle
            | AgentState::MovingToStart
            | AgentState::Executing
            | AgentState::CarryingPayload
            | AgentState::Yielding
            | AgentState::Waiting
            | AgentState::Returning => (sample.battery.0 < battery_min.0).then_some("has too little charge"),
        }
    }

    /// What the planner needs to know of it.
    pub(crate) fn worker(&self, busy: f64) -> Worker {
        let body = &self.record.body;
        let charge = self.telemetry.as_ref().map_or(100.0, |sample| sample.battery.0);
        // In coarse steps: robots that differ by little are alike, and the split may give any cell to any of them.
        let charge = if charge >= 50.0 { 1.0 } else { 0.5 };
        Worker {
            agent: self.record.agent.clone(),
            at: self.position().unwrap_or(self.record.home.position),
            ability: body.speed_max.0 * body.sweep_range.0 * charge,
            speed: body.speed_max,
            sweep_range: body.sweep_range,
            busy,
        }
    }

    /// Takes in the newest sample.
    pub(crate) fn observe(&mut self, now: MonoTime, sample: AgentTelemetry) {
        if now >= self.latch_settled_at {
            self.latch = if sample.causes.contains(Cause::OperatorKill) {
                Latch::Kill
            } else if sample.causes.contains(Cause::OperatorStop) {
                Latch::Stop
            } else {
                Latch::Released
            };
        }
        self.telemetry = Some(sample);
        self.telemetry_at = now;
    }

    /// The next order's generation, which makes every earlier order stale.
    pub(crate) fn next_generation(&mut self) -> Generation {
        self.record.generation = self.record.generation.next();
        self.record.generation
    }

    /// Keeps a command until it is answered; what it makes pointless is dropped.
    pub(crate) fn enqueue(&mut self, command: CloudCommand, expires_at: Option<MonoTime>) {
        self.pending.retain(|old| !supersedes(&command.order, &old.command.order));
        if self.pending.len() >= PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(Pending { command, sent_at: None, expires_at });
    }

    /// An answer came: the command it was for.
    pub(crate) fn on_ack(&mut self, now: MonoTime, id: CommandId, outcome: &CommandOutcome) -> Option<CloudCommand> {
        let index = self.pending.iter().position(|pending| pending.command.id == id)?;
        let command = self.pending.remove(index).command;
        if matches!(outcome, CommandOutcome::Accepted | CommandOutcome::Done) {
            let latch = match command.order {
                Order::Stop(_) => Some(self.latch.max(Latch::Stop)),
                Order::Kill(_) => Some(Latch::Kill),
                Order::Release(_) => Some(Latch::Released),
                Order::Assign(_)
                | Order::Pause(_)
                | Order::Resume(_)
                | Order::Cancel(_)
                | Order::EventsKept { .. }
                | Order::Latch(_)
                | Order::Lease(_)
                | Order::Hazards(_) => None,
            };
            if let Some(latch) = latch {
                self.latch = latch;
                self.latch_settled_at = now + LATCH_SETTLES;
            }
        }
        Some(command)
    }

    /// The stream is new: everything unanswered goes out again. Commands up to the last that took effect are named.
    pub(crate) fn on_reconnect(&mut self, last_command: Option<CommandId>) -> Vec<CommandId> {
        for pending in &mut self.pending {
            pending.sent_at = None;
        }
        let done = last_command.and_then(|last| self.pending.iter().position(|pending| pending.command.id == last));
        let effective = done.map_or(0, |index| index + 1);
        self.pending.iter().take(effective).map(|pending| pending.command.id).collect()
    }

    /// Commands to send now, marked as sent; those past their time are dropped.
    pub(crate) fn take_due(&mut self, now: MonoTime, resend_after: Duration) -> Vec<CloudCommand> {
        self.pending.retain(|pending| pending.expires_at.is_none_or(|end| now <= end));
        if !self.connected {
            return Vec::new();
        }
        let mut due = Vec::new();
        for pending in &mut self.pending {
            if pending.sent_at.is_none_or(|sent| now.since(sent) >= resend_after) {
                pending.sent_at = Some(now);
                due.push(pending.command.clone());
            }
        }
        due
    }

    /// A command that would take its work away or give it other work waits for its answer.
    pub(crate) fn awaits_order(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending.command.order, Order::Assign(_) | Order::Cancel(_)))
    }

    /// STOP or KILL waits for its answer.
    pub(crate) fn awaits_stop(&self) -> bool {
        self.pending.iter().any(|pending| matches!(pending.command.order, Order::Stop(_) | Order::Kill(_)))
    }

    /// As people see it.
    pub(crate) fn view(&self, now: MonoTime) -> RobotView {
        RobotView {
            agent: self.record.agent.clone(),
            boot: self.record.boot,
            body: self.record.body,
            home: self.record.home,
            connected: self.connected,
            latch: self.latch,
            latches: LatchSet::default(),
            wanted: LatchSet::default(),
            telemetry: self.telemetry.clone(),
            age: Seconds(if self.telemetry.is_some() { now.secs_since(self.telemetry_at) } else { 0.0 }),
            debug_address: self.record.debug_address.clone(),
            software: self.record.software.clone(),
        }
    }
}

/// Whether an order makes an older, unanswered one pointless.
fn supersedes(new: &Order, old: &Order) -> bool {
    match new {
        Order::Assign(_) => matches!(old, Order::Assign(_) | Order::Cancel(_) | Order::Pause(_) | Order::Resume(_)),
        Order::Cancel(_) => matches!(old, Order::Assign(_) | Order::Cancel(_) | Order::Pause(_) | Order::Resume(_)),
        Order::Pause(mission) | Order::Resume(mission) => {
            matches!(old, Order::Pause(other) | Order::Resume(other) if other == mission)
        }
        Order::Stop(_) => matches!(old, Order::Stop(_) | Order::Release(_)),
        Order::Kill(_) => matches!(old, Order::Stop(_) | Order::Kill(_) | Order::Release(_)),
        Order::Release(_) => matches!(old, Order::Stop(_) | Order::Kill(_) | Order::Release(_)),
        Order::EventsKept { .. } | Order::Latch(_) | Order::Lease(_) | Order::Hazards(_) => false,
    }
}
