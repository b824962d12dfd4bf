//! Everything that leaves the agent: the output queue, the event log, telemetry, progress and counters.

pub(crate) mod event_log;
pub(crate) mod progress;
pub(crate) mod status_reason;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use skein_types::coord::AgentState;
use skein_types::event::EventKind;
use skein_types::geometry::Twist;
use skein_types::ids::CommandId;
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome};
use skein_types::motion::Setpoint;
use skein_types::telemetry::{AgentTelemetry, TELEMETRY_BATCH, TelemetryBatch};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::MetersPerSecond;

use self::event_log::EventLog;
use self::progress::ProgressTimer;
use self::status_reason::StatusReason;
use crate::config::AgentConfig;
use crate::io::Output;
use crate::status::Counters;

/// Validity of a setpoint: the dead-man time of the reflex.
pub const SETPOINT_TTL: Duration = Duration::from_millis(100);
/// A velocity below this is published as zero, m/s and rad/s.
const STANDSTILL: f64 = 0.03;
/// Lower bound of a setpoint's speed limit, m/s.
const SPEED_LIMIT_MIN: f64 = 0.05;

/// The output queue and what feeds it.
#[derive(Clone, Debug)]
pub(crate) struct Reporting {
    outputs: VecDeque<Output>,
    log: EventLog,
    reason: StatusReason,
    /// Telemetry samples of the next batch.
    samples: Vec<AgentTelemetry>,
    next_sample: u64,
    setpoints: u64,
    progress: ProgressTimer,
    counters: Counters,
}

impl Reporting {
    pub(crate) fn new(config: &AgentConfig) -> Self {
        Self {
            outputs: VecDeque::new(),
            log: EventLog::new(config.id.clone(), config.boot, config.seed),
            reason: StatusReason::new(),
            samples: Vec::with_capacity(TELEMETRY_BATCH),
            next_sample: 0,
            setpoints: 0,
            progress: ProgressTimer::new(),
            counters: Counters::default(),
        }
    }

    /// The oldest output that was not taken yet.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Adds an event to the log and emits it.
    pub(crate) fn emit_event(&mut self, now: MonoTime, kind: EventKind, name: &str, payload: &Value) {
        let event = self.log.event(now, kind, name, payload);
        self.emit(Output::Event(event));
    }

    /// Acknowledges a command with its outcome.
    pub(crate) fn ack_command(&mut self, command: CommandId, outcome: CommandOutcome) {
        self.emit(Output::Report(AgentReport::Ack(CommandAck { command, outcome })));
    }

    /// Records that a command was refused.
    pub(crate) fn command_refused(&mut self, now: MonoTime, command: &CloudCommand, reason: &str) {
        self.counters.refused += 1;
        let payload = json!({ "command": command.id, "order": command.order.name(), "reason": reason });
        self.emit_event(now, EventKind::Command, "command_refused", &payload);
    }

    /// Records that a manual command was refused.
    pub(crate) fn override_refused(&mut self, now: MonoTime, reason: &dyn fmt::Display) {
        self.counters.refused += 1;
        self.emit_event(now, EventKind::Command, "override_refused", &json!({ "reason": reason.to_string() }));
    }

    pub(crate) const fn set_wall(&mut self, now: MonoTime, wall: WallTime) {
        self.log.set_wall(now, wall);
    }

    pub(crate) fn wall(&self, now: MonoTime) -> WallTime {
        self.log.wall(now)
    }

    /// Sets the state and the reason that status and telemetry show.
    pub(crate) fn set_reason(&mut self, now: MonoTime, state: AgentState, why: &str) {
        self.reason.set(now, state, why);
    }

    pub(crate) const fn reason(&self) -> &StatusReason {
        &self.reason
    }

    /// Emits a setpoint. `speed_limit` and `speed_max` in m/s.
    pub(crate) fn publish_setpoint(&mut self, now: MonoTime, twist: Twist, speed_limit: f64, speed_max: f64) {
        self.setpoints += 1;
        let standing = twist.speed() < STANDSTILL && twist.yaw_rate.abs() < STANDSTILL;
        self.emit(Output::Setpoint(Setpoint {
            twist: if standing { Twist::ZERO } else { twist },
            speed_limit: MetersPerSecond(speed_limit.max(SPEED_LIMIT_MIN).min(speed_max)),
            sequence: self.setpoints,
            at: now,
            valid_until: now + SETPOINT_TTL,
        }));
    }

    /// Sequence number of the next telemetry sample.
    pub(crate) const fn next_sample(&self) -> u64 {
        self.next_sample
    }

    /// Adds a telemetry sample; every [`TELEMETRY_BATCH`] samples a batch is emitted.
    pub(crate) fn add_sample(&mut self, sample: AgentTelemetry) {
        self.next_sample += 1;
        self.samples.push(sample);
        if self.samples.len() >= TELEMETRY_BATCH {
            let samples = std::mem::take(&mut self.samples);
            self.emit(Output::Report(AgentReport::Telemetry(TelemetryBatch { samples })));
        }
    }

    pub(crate) const fn progress_mut(&mut self) -> &mut ProgressTimer {
        &mut self.progress
    }

    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }
}
