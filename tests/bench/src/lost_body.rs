//! A tick of the real-time core that loses its body, and ticks without one: allocations.

use std::time::Duration;

use anyhow::{Result, ensure};
use skein_body::conformance::PointBody;
use skein_body::{Body, BodyError, Fence, Loss, SafeBody};
use skein_reflex::{Reflex, ReflexConfig};
use skein_robot::rt::{RealtimeCore, TickInputs};
use skein_types::authority::LatchView;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Pose, Twist};
use skein_types::motion::{ActuatorFrame, Setpoint};
use skein_types::safety::Surroundings;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::MetersPerSecond;

use crate::counting::allocations;
use crate::row::Row;

const TICK: Duration = Duration::from_millis(10);
const TICKS_BEFORE: u32 = 100;
const TICKS_AFTER: u32 = 1_000;

/// A body whose driver dies.
struct Dying {
    body: PointBody,
    dies_at: MonoTime,
}

impl Dying {
    fn check(&self, now: MonoTime) -> Result<(), BodyError> {
        if now >= self.dies_at { Err(BodyError::Lost(Loss::Closed)) } else { Ok(()) }
    }
}

impl Body for Dying {
    fn descriptor(&self) -> &BodyDescriptor {
        self.body.descriptor()
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        self.check(now)?;
        self.body.advance(now, TICK);
        self.body.sense(now)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        self.check(now)?;
        self.body.actuate(now, frame)
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.check(now)?;
        self.body.halt(now)
    }

    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.check(now)?;
        self.body.restore_power(now)
    }
}

pub(crate) fn rows() -> Result<Vec<Row>> {
    let (start, descriptor) = (MonoTime::from_millis(1_000), BodyDescriptor::rover());
    let dies_at = start + TICK * TICKS_BEFORE;
    let body = Dying { body: PointBody::new(descriptor, Pose::default()), dies_at };
    let body = Box::new(SafeBody::new(body, Fence::unbounded()));
    let mut core = RealtimeCore::new(body, Reflex::new(ReflexConfig::new(descriptor)));
    let (mut allocated, mut lost) = (0, None);
    for tick in 0..TICKS_BEFORE + TICKS_AFTER {
        let now = start + TICK * tick;
        let setpoint = Setpoint {
            twist: Twist::planar(0.5, 0.0),
            speed_limit: MetersPerSecond(1.0),
            sequence: u64::from(tick),
            at: now,
            valid_until: now + TICK * 10,
        };
        let inputs = TickInputs {
            latch: LatchView::default(),
            setpoint: &setpoint,
            surroundings: &Surroundings::empty(),
            hazards: &Default::default(),
        };
        let before = allocations();
        let outcome = core.tick(now, &inputs);
        allocated += allocations() - before;
        lost = lost.or(outcome.lost);
    }
    ensure!(lost.is_some(), "the body was not lost");
    Ok(vec![Row {
        name: "real-time tick with a lost body, allocations".into(),
        ours: allocated as f64,
        reference: 0.0,
        ratio: 0.0,
        goal: "none".into(),
        met: allocated == 0,
        unit: "in all",
        how: format!("a counting allocator around {TICKS_BEFORE} ticks with a body and {TICKS_AFTER} from its loss on"),
    }])
}
