//! One robot as the supervisor knows it.
//!
//! | part | what it holds |
//! |---|---|
//! | `presence` | whether a stream is open, and when the robot counts as lost |
//! | `duty` | its mission, what it says it works on, since when it cannot |
//! | `latch_link` | the latches it reports and the order about them |
//! | `command_queue` | commands without an answer |
//! | `samples` | telemetry, and which cells it can have swept |

mod command_queue;
mod duty;
mod latch_link;
mod presence;
mod samples;

use core::time::Duration;

use skein_types::authority::LatchSet;
use skein_types::coord::AgentState;
use skein_types::fleet::{LatchDurability, RobotView};
use skein_types::geometry::Point;
use skein_types::ids::{AgentId, CommandId, Generation, MissionId};
use skein_types::link::{CloudCommand, Hello};
use skein_types::region::{Region, RegionError, RegionFrame};
use skein_types::safety::{Cause, Latch};
use skein_types::telemetry::AgentTelemetry;
use skein_types::time::MonoTime;
use skein_types::units::Percent;

use crate::api::Worker;
use crate::record::RobotRecord;
use command_queue::CommandQueue;
use duty::Duty;
use latch_link::LatchLink;
use presence::Presence;
use samples::Samples;

/// After a refusal the generation leaps, in case the robot knows a later one than a supervisor that lost its memory.
const GENERATION_LEAP: u64 = 16;

/// One robot: what is recorded of it, and one part for each thing that it may be asked about.
#[derive(Clone, Debug)]
pub(crate) struct Robot {
    record: RobotRecord,
    samples: Samples,
    /// Of the supervisor when the robot last changed.
    revision: u64,
    pub(crate) presence: Presence,
    pub(crate) duty: Duty,
    pub(crate) latch: LatchLink,
    pub(crate) commands: CommandQueue,
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
    pub(crate) const fn new(record: RobotRecord, now: MonoTime, alive_until: MonoTime) -> Self {
        Self {
            record,
            samples: Samples::none(),
            revision: 0,
            presence: Presence::away(now, alive_until),
            duty: Duty::none(),
            latch: LatchLink::silent(),
            commands: CommandQueue::new(),
        }
    }

    /// What is kept of it.
    pub(crate) const fn record(&self) -> &RobotRecord {
        &self.record
    }

    pub(crate) const fn id(&self) -> &AgentId {
        &self.record.agent
    }

    /// Of the last order that it was given.
    pub(crate) const fn generation(&self) -> Generation {
        self.record.generation
    }

    /// Its newest sample.
    pub(crate) const fn telemetry(&self) -> Option<&AgentTelemetry> {
        self.samples.last()
    }

    /// Where it believes it is, in the map's frame.
    pub(crate) fn position(&self) -> Option<Point> {
        self.samples.position()
    }

    /// Of the supervisor when the robot last changed; 0 before it is first shown.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) const fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Why it can do no work now, if it cannot. `wanted` is the latch it should obey.
    pub(crate) fn unfit(&self, wanted: Latch, battery_min: Percent) -> Option<&'static str> {
        let Some(sample) = self.telemetry() else { return Some("has not said where it is") };
        if !self.presence.is_connected() {
            return Some("is not connected");
        }
        if self.presence.has_wrong_map() {
            return Some("uses another map");
        }
        match self.latch.level().max(wanted) {
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
        let charge = self.telemetry().map_or(100.0, |sample| sample.battery.0);
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

    /// A stream was opened with this record: `true` when the record changed. Also the commands that took effect before.
    pub(crate) fn on_hello(
        &mut self,
        record: RobotRecord,
        alive_until: MonoTime,
        wrong_map: bool,
        hello: &Hello,
    ) -> (bool, Vec<CommandId>) {
        if record.boot != self.record.boot {
            self.samples.on_new_boot();
        }
        let changed = record != self.record || self.revision == 0;
        self.record = record;
        self.presence.on_hello(alive_until, wrong_map);
        self.duty.on_report(hello.working_on);
        self.latch.forget_order();
        (changed, self.commands.on_reconnect(hello.last_command))
    }

    /// Takes in a batch of samples; the newest is shown.
    pub(crate) fn observe(&mut self, now: MonoTime, samples: Vec<AgentTelemetry>) {
        self.samples.observe(now, samples, &self.record.body);
    }

    /// From now on what it sweeps for a mission is checked against where it is. What was collected for the same mission
    /// stays.
    pub(crate) fn collect_evidence(&mut self, now: MonoTime, mission: MissionId, frame: RegionFrame) {
        self.samples.collect_evidence(now, mission, frame, &self.record.body);
    }

    /// What is left of a slice as far as the robot's report is believed, and the number of cells that are not. Before
    /// there is evidence (the supervisor restarted while the robot worked) the report counts.
    ///
    /// # Errors
    /// [`RegionError`] when the report is about other cells.
    pub(crate) fn believed(
        &mut self,
        now: MonoTime,
        mission: MissionId,
        remaining: &Region,
        reported: &Region,
    ) -> Result<(Region, usize), RegionError> {
        match self.samples.evidence_for(mission) {
            Some(evidence) => evidence.believed(now, &self.record.body, remaining, reported),
            None => Ok((reported.clone(), 0)),
        }
    }

    /// Whether it is silent and is to be shown again with its age.
    pub(crate) fn show_silence(&mut self, now: MonoTime) -> bool {
        self.samples.show_silence(now)
    }

    /// It was given work of this mission.
    pub(crate) const fn begin_work(&mut self, mission: MissionId) {
        self.duty.begin(mission);
        self.record.worked = true;
    }

    /// It refused an order: it may know a later generation than a supervisor that lost its memory.
    pub(crate) const fn leap_generation(&mut self) {
        self.record.generation.0 = self.record.generation.0.saturating_add(GENERATION_LEAP);
    }

    /// The next order's generation, which makes every earlier order stale.
    pub(crate) fn next_generation(&mut self) -> Generation {
        self.record.generation = self.record.generation.next();
        self.record.generation
    }

    /// Commands to send now, marked as sent; none without a stream.
    pub(crate) fn take_due(&mut self, now: MonoTime, resend_after: Duration) -> Vec<CloudCommand> {
        if self.presence.is_connected() { self.commands.take_due(now, resend_after) } else { Vec::new() }
    }

    /// As people see it.
    pub(crate) fn view(&self, now: MonoTime, wanted: LatchSet) -> RobotView {
        RobotView {
            agent: self.record.agent.clone(),
            boot: self.record.boot,
            body: self.record.body,
            home: self.record.home,
            connected: self.presence.is_connected(),
            latch: self.latch.level(),
            latches: self.latch.reported().map(|report| report.latches.clone()).unwrap_or_default(),
            durability: self.latch.reported().map(LatchDurability::from).unwrap_or_default(),
            wanted,
            telemetry: self.telemetry().cloned(),
            age: self.samples.age(now),
            debug_address: self.record.debug_address.clone(),
            software: self.record.software.clone(),
        }
    }
}
