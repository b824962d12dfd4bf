//! One tick: sense, decide, act, tell. No allocation, no lock, no log, no early return.

use std::sync::atomic::Ordering;

use skein_body::{Body, BodyError, FenceVerdict, SafeBody};
use skein_reflex::{Reflex, ReflexOutput};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::safety::{Cause, ReflexReport};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use super::exchange::{ReflexEnd, TickRecord, with_hazards};

/// Slower than this counts as standing, m/s and rad/s.
const STANDING: f64 = 0.02;

/// The loop's own state.
pub struct Ticker<B> {
    body: Option<Box<SafeBody<B>>>,
    reflex: Reflex,
    frame: SensorFrame,
    end: ReflexEnd<B>,
}

impl<B: Body> Ticker<B> {
    /// A loop that owns its body.
    #[must_use]
    pub fn new(body: Box<SafeBody<B>>, reflex: Reflex, end: ReflexEnd<B>) -> Self {
        let frame = SensorFrame::unknown(body.descriptor().lidar_range);
        end.gauges.body.store(true, Ordering::Relaxed);
        Self { body: Some(body), reflex, frame, end }
    }

    /// Runs one tick.
    pub fn tick(&mut self, now: MonoTime) {
        self.take_body();
        self.sense(now);
        let straight = self.end.hazards.read();
        let here = self.frame.estimate.pose.position;
        let surroundings = with_hazards(now, self.end.surroundings.read(), straight, here);
        let latch = self.end.requests.latch();
        let output = self.reflex.tick(now, &self.frame, self.end.setpoint.read(), &surroundings, latch);
        if output.restore_power {
            let restored = self.body.as_mut().map(|body| body.restore_power(now));
            self.note(restored);
        }
        self.act(now, &output.actuators);
        let report = self.with_fence(&output);
        let record = TickRecord { frame: self.frame, report };
        if self.end.records.push(record).is_err() {
            self.end.gauges.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Halts and senses once; says whether the body stands.
    pub fn halt(&mut self, now: MonoTime) -> bool {
        let before = self.frame.sequence;
        self.sense(now);
        let told = self.body.as_mut().is_some_and(|body| body.halt(now).is_ok());
        let twist = &self.frame.twist;
        told && self.frame.sequence != before && twist.speed() < STANDING && twist.yaw_rate.abs() < STANDING
    }

    /// The loop is to end.
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        self.end.requests.is_finishing()
    }

    /// There is a body to halt.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        self.body.is_some()
    }

    fn take_body(&mut self) {
        if let Ok(body) = self.end.attach.pop() {
            self.give_back();
            self.body = Some(body);
            self.end.gauges.body.store(true, Ordering::Relaxed);
        }
    }

    fn sense(&mut self, now: MonoTime) {
        match self.body.as_mut().map(|body| body.sense(now)) {
            Some(Ok(frame)) => self.frame = frame,
            Some(Err(error)) => self.note(Some(Err(error))),
            None => {}
        }
    }

    fn act(&mut self, now: MonoTime, actuators: &ActuatorFrame) {
        let acted = self.body.as_mut().map(|body| body.actuate(now, actuators));
        self.note(acted);
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
            Some(Err(BodyError::Lost(_))) => self.give_back(),
            Some(Err(BodyError::NotFinite | BodyError::Late { .. } | BodyError::Refused(_))) => {
                self.end.gauges.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Hands a body that is gone to where dropping it may take its time.
    fn give_back(&mut self) {
        if let Some(body) = self.body.take() {
            // The ring holds more than can be under way; were it full, dropping here is late but not wrong.
            drop(self.end.lost.push(body));
            // Told last: who sees it finds the old body in the ring.
            self.end.gauges.body.store(false, Ordering::Release);
        }
    }
}
