//! What stays until a person ends it: the operator latch, a power loss, a tip-over and the body's emergency stop; and
//! the bumper, while something touches it.
//!
//! # Terms
//!
//! - *View*: level and stamp of the robot's latch register, read once per tick ([`LatchView`]).
//! - *Release*: a view whose stamp has risen and whose level is `Released`. Both parts are needed: a stamp that rises
//!   under another STOP or KILL releases nothing, and a level that falls without a rise of the stamp is not believed.
//!   A release that took place between two ticks is seen at the next one, because the stamp stays risen.
//!
//! # States
//!
//! ```text
//! operator  RELEASED ──STOP──► STOP ──KILL──► KILL      (the level that was read; a release leads to RELEASED)
//!
//! power     UNSEEN ──power──► ON ──power gone──► LOST ──release──► RETURNING ──power──► ON
//!             │                                    ▲                   │
//!             │                                    └─────too long──────┘
//!             └──release of a latch──► RETURNING          any ──KILL read──► CUT ──release──► RETURNING
//!
//! tilt      LEVEL ──tilted──► SINCE(t) ──for long enough──► LATCHED ──release──► LEVEL
//!             ▲─────level───────┘
//!
//! estop     CLEAR ──pressed──► PRESSED ──let go──► LATCHED ──release──► CLEAR
//!                                 ▲─────pressed─────┘
//! ```
//!
//! The motors get their power back in the tick that reads the release, never before: [`Latches::update`] returns that
//! moment. While the emergency stop is pressed a release has no effect here, neither on power nor on tilt. KILL cuts
//! from every state. A release acts on what was latched before its tick; what the same tick's frame shows comes after.

use skein_types::authority::LatchView;
use skein_types::geometry::{Point, Twist};
use skein_types::safety::{Cause, Causes, Latch};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::config::ReflexConfig;

/// Slower than this, m/s, it stands, and its motion does not show on which side it touches.
const MOVING: f64 = 0.03;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    /// No frame of this boot has shown power.
    Unseen,
    On,
    /// Went away without an order.
    Lost,
    /// Cut by KILL.
    Cut,
    /// A person released it. Frames of `from` and later may show the power, at the latest at `until`: older frames show
    /// what was before.
    Returning {
        from: MonoTime,
        until: MonoTime,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tilt {
    Level,
    Since(MonoTime),
    Latched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EmergencyStop {
    Clear,
    Pressed,
    Latched,
}

/// The latch register as the reflex has read it.
#[derive(Clone, Copy, Debug)]
struct OperatorLatch {
    level: Latch,
    /// Highest stamp that was read; `None` before the first tick.
    stamp: Option<u64>,
}

impl OperatorLatch {
    /// Whether this view is a release.
    fn read(&mut self, view: LatchView) -> bool {
        let risen = self.stamp.is_some_and(|before| view.stamp > before);
        let released = risen && view.level == Latch::Released;
        if view.level != Latch::Released || released {
            self.level = view.level;
        }
        self.stamp = Some(self.stamp.map_or(view.stamp, |before| before.max(view.stamp)));
        released
    }
}

/// The latches of one robot.
#[derive(Clone, Debug)]
pub(crate) struct Latches {
    operator: OperatorLatch,
    power: Power,
    tilt: Tilt,
    estop: EmergencyStop,
    /// The direction it moved in when it touched something, a unit vector in the body's frame.
    touched: Option<Point>,
}

impl Latches {
    pub(crate) const fn new() -> Self {
        Self {
            operator: OperatorLatch { level: Latch::Released, stamp: None },
            power: Power::Unseen,
            tilt: Tilt::Level,
            estop: EmergencyStop::Clear,
            touched: None,
        }
    }

    /// One tick. The frame is one that can be trusted, or `None`. Returns whether the motors are to get their power back
    /// in this tick.
    #[must_use]
    pub(crate) fn update(
        &mut self,
        config: &ReflexConfig,
        now: MonoTime,
        view: LatchView,
        frame: Option<&SensorFrame>,
        commanded: &Twist,
    ) -> bool {
        if let Some(frame) = frame {
            self.estop = self.estop_with(frame.emergency_stop);
        }
        let was_latched = self.operator.level != Latch::Released;
        let released = self.operator.read(view) && self.estop != EmergencyStop::Pressed;
        let restores = released && self.release(config, now, was_latched);
        if self.operator.level == Latch::Kill {
            self.power = Power::Cut;
        }
        self.power = self.power_at(now);
        if let Some(frame) = frame {
            self.power = self.power_with(frame);
            self.tilt = self.tilt_with(config, now, frame.tilt.0.abs() > config.tilt_limit());
            self.touched = self.touched_with(frame, commanded);
        }
        restores
    }

    /// Ends what a release ends; says whether the motors were without power.
    fn release(&mut self, config: &ReflexConfig, now: MonoTime, was_latched: bool) -> bool {
        if self.tilt == Tilt::Latched {
            self.tilt = Tilt::Level;
        }
        if self.estop == EmergencyStop::Latched {
            self.estop = EmergencyStop::Clear;
        }
        let restores = match self.power {
            Power::Lost | Power::Cut | Power::Returning { .. } => true,
            // Power that was off at the boot is restored only where a person released a latch of before the boot.
            Power::Unseen => was_latched,
            Power::On => false,
        };
        if restores {
            let until = now + config.power_return_max;
            self.power = Power::Returning { from: now + config.power_lag, until };
        }
        restores
    }

    fn estop_with(&self, pressed: bool) -> EmergencyStop {
        match (self.estop, pressed) {
            (_, true) => EmergencyStop::Pressed,
            (EmergencyStop::Clear, false) => EmergencyStop::Clear,
            (EmergencyStop::Pressed | EmergencyStop::Latched, false) => EmergencyStop::Latched,
        }
    }

    fn power_with(&self, frame: &SensorFrame) -> Power {
        match (self.power, frame.motors_powered) {
            (Power::Unseen | Power::On, true) => Power::On,
            (Power::Returning { from, .. }, true) if frame.at >= from => Power::On,
            (Power::On, false) => Power::Lost,
            (other @ (Power::Unseen | Power::Lost | Power::Cut | Power::Returning { .. }), _) => other,
        }
    }

    fn power_at(&self, now: MonoTime) -> Power {
        match self.power {
            Power::Returning { until, .. } if now > until => Power::Lost,
            other @ (Power::Unseen | Power::On | Power::Lost | Power::Cut | Power::Returning { .. }) => other,
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

    /// What the operator latch, power, tilt and emergency stop forbid at this tick.
    pub(crate) fn causes(&self) -> Causes {
        let mut causes = match self.operator.level {
            Latch::Released => Causes::NONE,
            Latch::Stop => Causes::NONE.with(Cause::OperatorStop),
            Latch::Kill => Causes::NONE.with(Cause::OperatorKill),
        };
        if self.power != Power::On {
            causes.insert(Cause::PowerLoss);
        }
        if self.tilt != Tilt::Level {
            causes.insert(Cause::Tilt);
        }
        if self.estop != EmergencyStop::Clear {
            causes.insert(Cause::EmergencyStop);
        }
        causes
    }

    /// The part of them that the reflex latched by itself: it ends with a release and not before.
    pub(crate) fn latched(&self) -> Causes {
        let mut causes = Causes::NONE;
        if self.power == Power::Lost {
            causes.insert(Cause::PowerLoss);
        }
        if self.tilt == Tilt::Latched {
            causes.insert(Cause::Tilt);
        }
        if self.estop != EmergencyStop::Clear {
            causes.insert(Cause::EmergencyStop);
        }
        causes
    }

    /// The direction it moved in when it touched something, while it touches it. Standing without a command counts as
    /// forward: bumpers are in front.
    pub(crate) const fn touched(&self) -> Option<Point> {
        self.touched
    }
}

fn direction(twist: &Twist) -> Option<Point> {
    let speed = twist.speed();
    (speed > MOVING).then(|| Point::new(twist.vx / speed, twist.vy / speed))
}
