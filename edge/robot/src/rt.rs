//! The real-time step of one robot: sense, decide, act, report. No allocation, no lock, no log, no wait.
//!
//! ```text
//!   LatchView ─┐
//!   Setpoint ──┤          ┌────────┐  ActuatorFrame  ┌──────────┐
//!   Surroundings ─────────► Reflex ├────────────────►│ SafeBody │──► motors
//!   straight hazards ─────►        │ restore_power ─►│          │
//!              sensors ──►└────────┘                 └──────────┘
//! ```
//!
//! A release is one atomic load: the tick that reads it restores the power and lets the reflex go on, so that no tick lies
//! between the two.

use core::time::Duration;

use skein_body::{Body, BodyError, FenceVerdict, Loss, SafeBody};
use skein_reflex::{Reflex, ReflexOutput};
use skein_types::authority::LatchView;
use skein_types::motion::{DriveMode, Setpoint};
use skein_types::safety::{Cause, Causes, ReflexReport, Surroundings};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::hazard::{HazardSensor, SENSED_MAX, SensedHazards, StraightHazards, with_straight_hazards};

/// From one tick to the next.
pub const PERIOD: Duration = Duration::from_millis(10);
/// Slower than this counts as standing, m/s and rad/s.
const STANDING: f64 = 0.02;

/// What a tick reads besides the sensors.
#[derive(Clone, Copy, Debug)]
pub struct TickInputs<'a> {
    /// The latch cell.
    pub latch: LatchView,
    /// How to move.
    pub setpoint: &'a Setpoint,
    /// What the agent knows of the surroundings.
    pub surroundings: &'a Surroundings,
    /// What peers reported meanwhile.
    pub hazards: &'a StraightHazards,
}

/// What a tick leaves for the agent.
#[derive(Clone, Copy, Debug)]
pub struct TickRecord {
    /// What was sensed.
    pub frame: SensorFrame,
    /// What the reflex made of it.
    pub report: ReflexReport,
    /// The latch that it read.
    pub latch: LatchView,
    /// What the reflex holds until a release.
    pub latched: Causes,
}

/// A body that is gone, to be dropped where dropping may take its time.
pub struct LostBody<B> {
    /// The body, to be dropped outside the real-time thread.
    pub body: Box<SafeBody<B>>,
    /// How that showed.
    pub why: Loss,
}

/// What became of a tick.
pub struct TickOutcome<B> {
    /// For the agent.
    pub record: TickRecord,
    /// For the peers.
    pub hazards: SensedHazards,
    /// A body that is gone.
    pub lost: Option<LostBody<B>>,
    /// Commands that the body did not take.
    pub refused: u32,
}

/// Body in its envelope, reflex, and what belongs to the loop itself.
pub struct RealtimeCore<B> {
    body: Option<Box<SafeBody<B>>>,
    reflex: Reflex,
    sensor: HazardSensor,
    frame: SensorFrame,
    refused: u32,
    lost: Option<LostBody<B>>,
}

impl<B: Body> RealtimeCore<B> {
    /// A loop that owns its body.
    #[must_use]
    pub fn new(body: Box<SafeBody<B>>, reflex: Reflex) -> Self {
        let frame = SensorFrame::unknown(body.descriptor().lidar_range);
        Self { body: Some(body), reflex, sensor: HazardSensor::default(), frame, refused: 0, lost: None }
    }

    /// Runs one tick.
    pub fn tick(&mut self, now: MonoTime, inputs: &TickInputs<'_>) -> TickOutcome<B> {
        let hazards = self.sense(now);
        let here = self.frame.estimate.pose.position;
        let surroundings = with_straight_hazards(now, inputs.surroundings, inputs.hazards, here);
        let output = self.reflex.tick(now, &self.frame, inputs.setpoint, &surroundings, inputs.latch);
        if output.restore_power {
            let restored = self.body.as_mut().map(|body| body.restore_power(now));
            self.note(restored);
        }
        let acted = self.body.as_mut().map(|body| body.actuate(now, &output.actuators));
        self.note(acted);
        let report = self.with_fence(&output);
        let record = TickRecord { frame: self.frame, report, latch: inputs.latch, latched: output.latched };
        TickOutcome { record, hazards, lost: self.lost.take(), refused: core::mem::take(&mut self.refused) }
    }

    /// Halts and senses once, for the end of the process; says whether the body stands.
    pub fn halt(&mut self, now: MonoTime) -> bool {
        let before = self.frame.sequence;
        self.sense(now);
        let told = self.body.as_mut().is_some_and(|body| body.halt(now).is_ok());
        let twist = &self.frame.twist;
        told && self.frame.sequence != before && twist.speed() < STANDING && twist.yaw_rate.abs() < STANDING
    }

    /// Takes a body in the place of one that was lost; gives back what was there.
    pub const fn attach(&mut self, body: Box<SafeBody<B>>) -> Option<Box<SafeBody<B>>> {
        self.body.replace(body)
    }

    /// There is a body to halt.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The body in its envelope.
    #[must_use]
    pub fn body(&self) -> Option<&SafeBody<B>> {
        self.body.as_deref()
    }

    /// Ends the loop and gives the body out.
    #[must_use]
    pub fn into_body(self) -> Option<Box<SafeBody<B>>> {
        self.body
    }

    fn sense(&mut self, now: MonoTime) -> SensedHazards {
        match self.body.as_mut().map(|body| body.sense(now)) {
            Some(Ok(frame)) => {
                self.frame = frame;
                let reach = self.reflex.config().descriptor.radius;
                self.sensor.sense(now, &self.frame, reach)
            }
            Some(Err(error)) => {
                self.note(Some(Err(error)));
                [None; SENSED_MAX]
            }
            None => [None; SENSED_MAX],
        }
    }

    /// What the envelope said to a motion belongs to the same report.
    fn with_fence(&self, output: &ReflexOutput) -> ReflexReport {
        let mut report = output.report;
        let asked = output.actuators.mode == DriveMode::Follow;
        let verdict = self.body.as_ref().filter(|_| asked).map(|body| body.verdict());
        let cause = match verdict {
            Some(FenceVerdict::Refused) => Cause::Fence,
            Some(FenceVerdict::PoseUnknown) => Cause::StalePose,
            Some(FenceVerdict::Clear | FenceVerdict::Slowed(_)) | None => return report,
        };
        report.causes.insert(cause);
        report.level = report.level.max(cause.level());
        report
    }

    fn note(&mut self, outcome: Option<Result<(), BodyError>>) {
        match outcome {
            Some(Ok(())) | None | Some(Err(BodyError::NothingSensed)) => {}
            Some(Err(BodyError::Lost(why))) => self.lost = self.body.take().map(|body| LostBody { body, why }),
            Some(Err(BodyError::NotFinite | BodyError::Late { .. } | BodyError::Refused(_))) => self.refused += 1,
        }
    }
}
