//! What stays until a person or the body itself ends it: power, tilt, the bumper.
//!
//! ```text
//! power   UNSEEN ──power──► ON ──lost──► LOST ──release──► RETURNING ──power──► ON
//!                                          ▲───too long───────┘
//! tilt    LEVEL ──tilted for a while──► LATCHED ──release, level again──► LEVEL
//! ```
//!
//! A release is the step of the person's latch from STOP or KILL to released: to free a robot that lost its power or
//! tipped over, a person presses STOP (or KILL) and releases it.

use core::time::Duration;
use skein_types::geometry::{Point, Twist};
use skein_types::safety::Latch;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::config::ReflexConfig;

/// Slower than this it stands, and a touch tells nothing of its own direction.
const MOVING: f64 = 0.03;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    /// Not seen with power since the boot.
    Unseen,
    On,
    Lost,
    /// A person released it; the power may take until then.
    Returning(MonoTime),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tilt {
    Level,
    Since(MonoTime),
    Latched,
}

/// The latches of one robot.
#[derive(Clone, Debug)]
pub(crate) struct Latches {
    hand: Latch,
    power: Power,
    tilt: Tilt,
    /// The way it went when it touched, a unit vector in the body's frame.
    touched: Option<Point>,
}

impl Latches {
    pub(crate) const fn new() -> Self {
        Self { hand: Latch::Released, power: Power::Unseen, tilt: Tilt::Level, touched: None }
    }

    /// One tick. The frame is one that can be trusted, or `None`.
    pub(crate) fn update(
        &mut self,
        config: &ReflexConfig,
        now: MonoTime,
        hand: Latch,
        frame: Option<&SensorFrame>,
        commanded: &Twist,
    ) {
        let released = self.hand != Latch::Released && hand == Latch::Released;
        self.hand = hand;
        if released {
            self.release(now, config.power_return_max);
        }
        if let Some(frame) = frame {
            self.power = self.power_with(now, frame.motors_powered);
            self.tilt = self.tilt_with(config, now, frame.tilt.0.abs() > config.tilt_max.0);
            self.touched = self.touched_with(frame, commanded);
        }
    }

    fn release(&mut self, now: MonoTime, within: Duration) {
        self.tilt = match self.tilt {
            Tilt::Latched => Tilt::Level,
            other @ (Tilt::Level | Tilt::Since(_)) => other,
        };
        self.power = match self.power {
            Power::Lost | Power::Returning(_) => Power::Returning(now + within),
            other @ (Power::Unseen | Power::On) => other,
        };
    }

    fn power_with(&self, now: MonoTime, powered: bool) -> Power {
        match (self.power, powered) {
            (Power::Unseen | Power::On | Power::Returning(_), true) => Power::On,
            (Power::Unseen, false) => Power::Unseen,
            (Power::On, false) | (Power::Lost, _) => Power::Lost,
            (Power::Returning(until), false) if now > until => Power::Lost,
            (Power::Returning(until), false) => Power::Returning(until),
        }
    }

    fn tilt_with(&self, config: &ReflexConfig, now: MonoTime, tilted: bool) -> Tilt {
        match (self.tilt, tilted) {
            (Tilt::Latched, _) => Tilt::Latched,
            (Tilt::Level | Tilt::Since(_), false) => Tilt::Level,
            (Tilt::Level, true) => Tilt::Since(now),
            (Tilt::Since(since), true) if now.since(since) >= config.tilt_latch => Tilt::Latched,
            (Tilt::Since(since), true) => Tilt::Since(since),
        }
    }

    fn touched_with(&self, frame: &SensorFrame, commanded: &Twist) -> Option<Point> {
        if !frame.bumper {
            return None;
        }
        self.touched.or_else(|| direction(&frame.twist)).or_else(|| direction(commanded)).or(Some(Point::new(1.0, 0.0)))
    }

    pub(crate) fn lost_power(&self) -> bool {
        self.power != Power::On
    }

    pub(crate) fn tilted(&self) -> bool {
        self.tilt != Tilt::Level
    }

    /// The way it went when it touched something, while it touches it. Standing without a command counts as forward:
    /// that is where bumpers are.
    pub(crate) const fn touched(&self) -> Option<Point> {
        self.touched
    }
}

fn direction(twist: &Twist) -> Option<Point> {
    let speed = twist.speed();
    (speed > MOVING).then(|| Point::new(twist.vx / speed, twist.vy / speed))
}
