//! A robot on an empty floor whose every input a test can change, tick by tick.

use skein_reflex::{Reflex, ReflexConfig, ReflexOutput};
use skein_types::authority::LatchView;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::Twist;
use skein_types::motion::{DriveMode, Setpoint};
use skein_types::safety::{Cause, Latch, Surroundings};
use skein_types::sensing::{BEAMS, Battery, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond, Percent};

use super::TICK;

/// A robot on an empty floor whose every input can be bent.
pub struct Bench {
    pub reflex: Reflex,
    pub now: MonoTime,
    pub frame: SensorFrame,
    pub setpoint: Setpoint,
    pub surroundings: Surroundings,
    pub latch: LatchView,
}

impl Bench {
    pub fn new() -> Self {
        Self::of(BodyDescriptor::rover())
    }

    pub fn of(descriptor: BodyDescriptor) -> Self {
        let mut frame = SensorFrame::unknown(Meters(10.0));
        frame.battery = Battery { charge: Percent(80.0), charging: false };
        frame.motors_powered = true;
        Self {
            reflex: Reflex::new(ReflexConfig::new(descriptor)),
            now: MonoTime::from_millis(60_000),
            frame,
            setpoint: Setpoint {
                speed_limit: MetersPerSecond(1.0),
                twist: Twist::planar(0.8, 0.0),
                ..Setpoint::none()
            },
            surroundings: Surroundings::empty(),
            latch: LatchView::default(),
        }
    }

    /// Everything is of now, then `bend` spoils it.
    pub fn tick_with(&mut self, bend: impl FnOnce(MonoTime, &mut SensorFrame, &mut Setpoint)) -> ReflexOutput {
        self.now = self.now + TICK;
        let mut frame = self.frame;
        let mut setpoint = self.setpoint;
        (frame.at, frame.scan.at, frame.estimate.at) = (self.now, self.now, self.now);
        (setpoint.at, setpoint.valid_until) = (self.now, self.now + TICK * 10);
        bend(self.now, &mut frame, &mut setpoint);
        self.reflex.tick(self.now, &frame, &setpoint, &self.surroundings, self.latch)
    }

    pub fn tick(&mut self) -> ReflexOutput {
        self.tick_with(|_, _, _| {})
    }

    pub fn follows(&mut self) -> bool {
        self.tick().actuators.mode == DriveMode::Follow
    }

    /// Sets the operator latch as the register does: a release opens the next epoch.
    pub fn latch(&mut self, level: Latch) {
        self.latch.stamp += u64::from(level == Latch::Released);
        self.latch.level = level;
    }

    /// Ticks until what a frame shows after a release is believed.
    pub fn wait_for_power(&mut self) {
        for _ in 0..10 {
            self.tick();
        }
    }

    /// A wall of points in these beams.
    pub fn see(&mut self, beams: impl Iterator<Item = usize>, range: f32) {
        for beam in beams {
            self.frame.scan.ranges[beam % BEAMS] = range;
        }
    }
}

#[track_caller]
pub fn halted_for(output: &ReflexOutput, cause: Cause) {
    assert!(output.report.causes.contains(cause), "{:?}", output.report.causes.iter().collect::<Vec<_>>());
    assert_eq!(output.actuators.mode, DriveMode::Halt);
    assert_eq!(output.actuators.twist, Twist::ZERO);
    assert_eq!(output.report.speed_allowed.0, 0.0);
    assert!(output.report.level >= cause.action(Drive::Differential).level());
}
