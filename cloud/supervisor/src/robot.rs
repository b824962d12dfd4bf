//! One robot as the supervisor knows it, and the commands it has not answered yet.

use core::time::Duration;
use skein_types::authority::{LatchOrder, LatchReport, LatchSet};
use skein_types::coord::AgentState;
use skein_types::fleet::RobotView;
use skein_types::geometry::Point;
use skein_types::ids::{CommandId, Generation, MissionId};
use skein_types::link::{CloudCommand, Hello, Order};
use skein_types::region::RegionFrame;
use skein_types::safety::{Cause, Latch};
use skein_types::telemetry::AgentTelemetry;
use skein_types::units::{Percent, Seconds};

use skein_types::time::MonoTime;

use crate::api::Worker;
use crate::evidence::SweepEvidence;
use crate::record::RobotRecord;

/// Most commands that may wait for one robot's answer; the oldest go first.
pub(crate) const PENDING_MAX: usize = 32;

/// A command without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) command: CloudCommand,
    /// When it was last sent; `None` when it waits for a stream.
    pub(crate) sent_at: Option<MonoTime>,
}

/// The latches a robot reports, and the order about them that is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct LatchLink {
    /// As it last reported; none before the first Hello since this start.
    pub(crate) reported: Option<LatchReport>,
    pub(crate) sending: Option<LatchSending>,
}

/// A latch order without an answer.
#[derive(Clone, Debug)]
pub(crate) struct LatchSending {
    pub(crate) id: CommandId,
    order: LatchOrder,
    sent_at: MonoTime,
}

impl LatchLink {
    /// The id to send an order under, if it is due. A request is sent under its own id, so that it is the same command
    /// over every path. `sent`: the shell has sent it just now.
    pub(crate) fn due(
        &mut self,
        now: MonoTime,
        resend_after: Duration,
        order: &LatchOrder,
        fresh: CommandId,
        sent: bool,
    ) -> Option<CommandId> {
        if let Some(sending) = self.sending.as_mut().filter(|sending| sending.order == *order) {
            let due = now.since(sending.sent_at) >= resend_after;
            if due {
                sending.sent_at = now;
            }
            return due.then_some(sending.id);
        }
        let id = order.request.as_ref().map_or(fresh, |request| request.id);
        self.sending = Some(LatchSending { id, order: order.clone(), sent_at: now });
        (!sent).then_some(id)
    }
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
    pub(crate) latch: LatchLink,
    /// Which cells it could have swept for its mission; none right after a restart of the supervisor.
    pub(crate) evidence: Option<(MissionId, SweepEvidence)>,
    /// When its stream ended, or the supervisor started.
    pub(crate) left_at: MonoTime,
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

/// What a Hello says of a robot, to be recorded.
pub(crate) fn record_of(hello: &Hello, generation: Generation, key: String, worked: bool) -> RobotRecord {
    RobotRecord {
        agent: hello.agent.clone(),
        boot: hello.boot,
        body: hello.body,
        home: hello.home,
        generation,
        debug_address: hello.debug_address.clone(),
        software: hello.software.clone(),
        key,
        worked,
    }
}

impl Robot {
    /// A robot that is not there yet.
    pub(crate) const fn new(known: RobotRecord, now: MonoTime, alive_until: MonoTime) -> Self {
        Self {
            record: known,
            connected: false,
            alive_until,
            telemetry: None,
            telemetry_at: MonoTime::ZERO,
            latch: LatchLink { reported: None, sending: None },
            evidence: None,
            left_at: now,
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

    /// What it obeys, as it last reported.
    pub(crate) fn latch_level(&self) -> Latch {
        self.latch.reported.as_ref().map_or(Latch::Released, |report| report.latches.level())
    }

    /// Why it can do no work now, if it cannot. `wanted` is the latch it should obey.
    pub(crate) fn unfit(&self, wanted: Latch, battery_min: Percent) -> Option<&'static str> {
        let Some(sample) = &self.telemetry else { return Some("has not said where it is") };
        if !self.connected {
            return Some("is not connected");
        }
        if self.wrong_map {
            return Some("uses another map");
        }
        match self.latch_level().max(wanted) {
            Latch::Stop => return Some("is stopped by an operator"),
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

    /// Takes in a batch of samples; the newest is shown.
    pub(crate) fn observe(&mut self, now: MonoTime, samples: Vec<AgentTelemetry>) {
        if let Some((_, evidence)) = &mut self.evidence {
            for sample in &samples {
                evidence.observe(now, sample.pose.position, &self.record.body);
            }
        }
        if let Some(newest) = samples.into_iter().next_back() {
            self.telemetry = Some(newest);
            self.telemetry_at = now;
        }
    }

    /// From now on what it sweeps for a mission is checked against where it is. What was collected for the same mission
    /// stays.
    pub(crate) fn collect_evidence(&mut self, now: MonoTime, mission: MissionId, frame: RegionFrame) {
        if self.evidence.as_ref().is_some_and(|(of, _)| *of == mission) {
            return;
        }
        let mut evidence = SweepEvidence::new(frame);
        if let Some(at) = self.position() {
            evidence.observe(now, at, &self.record.body);
        }
        self.evidence = Some((mission, evidence));
    }

    /// The next order's generation, which makes every earlier order stale.
    pub(crate) fn next_generation(&mut self) -> Generation {
        self.record.generation = self.record.generation.next();
        self.record.generation
    }

    /// Keeps a command until it is answered; what it makes pointless is dropped.
    pub(crate) fn enqueue(&mut self, command: CloudCommand) {
        self.pending.retain(|old| !supersedes(&command.order, &old.command.order));
        if self.pending.len() >= PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(Pending { command, sent_at: None });
    }

    /// An answer came: the command it was for.
    pub(crate) fn on_ack(&mut self, id: CommandId) -> Option<CloudCommand> {
        let index = self.pending.iter().position(|pending| pending.command.id == id)?;
        Some(self.pending.remove(index).command)
    }

    /// The stream is new: everything unanswered goes out again. Commands up to the last that took effect are named.
    pub(crate) fn on_reconnect(&mut self, last_command: Option<CommandId>) -> Vec<CommandId> {
        self.latch.sending = None;
        for pending in &mut self.pending {
            pending.sent_at = None;
        }
        let done = last_command.and_then(|last| self.pending.iter().position(|pending| pending.command.id == last));
        let effective = done.map_or(0, |index| index + 1);
        self.pending.iter().take(effective).map(|pending| pending.command.id).collect()
    }

    /// Commands to send now, marked as sent.
    pub(crate) fn take_due(&mut self, now: MonoTime, resend_after: Duration) -> Vec<CloudCommand> {
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

    /// As people see it.
    pub(crate) fn view(&self, now: MonoTime, wanted: LatchSet) -> RobotView {
        RobotView {
            agent: self.record.agent.clone(),
            boot: self.record.boot,
            body: self.record.body,
            home: self.record.home,
            connected: self.connected,
            latch: self.latch_level(),
            latches: self.latch.reported.as_ref().map(|report| report.latches.clone()).unwrap_or_default(),
            wanted,
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
        Order::Assign(_) | Order::Cancel(_) => {
            matches!(old, Order::Assign(_) | Order::Cancel(_) | Order::Pause(_) | Order::Resume(_))
        }
        Order::Pause(mission) | Order::Resume(mission) => {
            matches!(old, Order::Pause(other) | Order::Resume(other) if other == mission)
        }
        _ => matches!((new, old), (Order::Lease(_), Order::Lease(_))),
    }
}
