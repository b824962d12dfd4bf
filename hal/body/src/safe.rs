//! The envelope around a body that nothing goes around.
//!
//! ```text
//!              command (fresh, finite)              CutPower
//!   HALTED ───────────────────────────► FOLLOWING ───────────► CUT
//!     ▲  ▲   silence, late, NaN, fence      │                   │
//!     │  └──────────────────────────────────┘                   │
//!     └─────────────── restore_power (a person) ────────────────┘
//! ```

use core::time::Duration;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Pose, Twist};
use skein_types::limits::{self, COMMAND_AGE_MAX, POSE_AGE_MAX, POSE_STD_MAX, SILENCE_MAX};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::sensing::{PoseEstimate, SensorFrame};
use skein_types::time::MonoTime;

use crate::{Body, BodyError, Fence, FenceVerdict};

/// How long the body may carry on with its last command when everything above it has died. The way to the fence is
/// reckoned with it.
pub const REACTION: Duration = limits::BODY_SILENCE_MAX;

/// Kept free between footprint and fence, metres, beside what the uncertainty of the pose asks for.
const FENCE_MARGIN: f64 = 0.05;
/// So many standard deviations of the pose are kept free as well.
const SIGMAS: f64 = 2.0;
/// Shares of the wanted speed that are tried when the whole of it would leave the fence.
const SHARES: [f64; 6] = [0.8, 0.6, 0.45, 0.3, 0.2, 0.1];
/// Slower than this, m/s, a share is no motion.
const SLOWEST: f64 = 0.005;
/// Longest time between two commands that speed may build up over.
const SLEW_STEP_MAX: f64 = 0.05;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drives {
    /// Stands or brakes.
    Halted,
    /// Does what the last command said, given at this time.
    Following(MonoTime),
    /// Without power until a person restores it.
    Cut,
}

/// A body inside its envelope. The inner body cannot be reached any more: every command, of an agent, of a person with a
/// joystick or of a bug, goes through here.
pub struct SafeBody<B> {
    body: B,
    fence: Fence,
    drives: Drives,
    /// What was passed on last.
    passed: Twist,
    /// When speed was last allowed to build up.
    slewed_at: MonoTime,
    estimate: Option<PoseEstimate>,
    /// Measured, and when.
    measured: (Twist, MonoTime),
    verdict: FenceVerdict,
}

impl<B: Body> Body for SafeBody<B> {
    fn descriptor(&self) -> &BodyDescriptor {
        self.body.descriptor()
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        let sensed = self.body.sense(now);
        if let Ok(frame) = &sensed {
            self.learn(now, frame);
        }
        let watched = self.watch(now);
        let frame = sensed?;
        watched.map(|()| frame)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        if self.drives == Drives::Cut {
            return self.cut(now, frame);
        }
        match frame.mode {
            DriveMode::CutPower => self.cut(now, frame),
            DriveMode::Halt => self.halt(now),
            DriveMode::Land => self.land(now, frame),
            DriveMode::Follow => self.follow(now, frame),
        }
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.passed = Twist::ZERO;
        if self.drives != Drives::Cut {
            self.drives = Drives::Halted;
        }
        self.body.halt(now)
    }

    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.body.restore_power(now)?;
        self.drives = Drives::Halted;
        self.halt(now)
    }
}

impl<B: Body> SafeBody<B> {
    /// Takes the body in. It is halted with the first call that reaches it.
    #[must_use]
    pub const fn new(body: B, fence: Fence) -> Self {
        Self {
            body,
            fence,
            drives: Drives::Halted,
            passed: Twist::ZERO,
            slewed_at: MonoTime::ZERO,
            estimate: None,
            measured: (Twist::ZERO, MonoTime::ZERO),
            verdict: FenceVerdict::Clear,
        }
    }

    /// What the fence said to the last velocity that was asked for.
    #[must_use]
    pub const fn verdict(&self) -> FenceVerdict {
        self.verdict
    }

    /// The fence it keeps.
    #[must_use]
    pub const fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Power was cut and no person has restored it.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.drives == Drives::Cut
    }

    /// Whether moving like this for `span` and then braking would leave the fence.
    #[must_use]
    pub fn would_leave_fence(&self, pose: &Pose, twist: &Twist, span: Duration) -> bool {
        self.fence.would_leave(self.body.descriptor(), pose, twist, span)
    }

    /// Halts when the last command is older than [`SILENCE_MAX`]. `sense` does this too; a loop that may stop sensing
    /// calls it by itself.
    ///
    /// # Errors
    /// [`BodyError`] when the body could not be told.
    pub fn watch(&mut self, now: MonoTime) -> Result<(), BodyError> {
        match self.drives {
            Drives::Following(since) if now.since(since) > SILENCE_MAX => self.halt(now),
            Drives::Following(_) | Drives::Halted | Drives::Cut => Ok(()),
        }
    }

    fn learn(&mut self, now: MonoTime, frame: &SensorFrame) {
        let estimate = frame.estimate;
        let sound = estimate.pose.is_finite()
            && estimate.position_std.is_finite()
            && estimate.position_std.0 >= 0.0
            && estimate.at <= now + COMMAND_AGE_MAX;
        self.estimate = sound.then_some(estimate);
        if frame.twist.is_finite() {
            self.measured = (frame.twist, frame.at);
        }
    }

    fn cut(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        self.drives = Drives::Cut;
        self.passed = Twist::ZERO;
        let cut = ActuatorFrame { at: now, mode: DriveMode::CutPower, twist: Twist::ZERO, ..*frame };
        self.body.actuate(now, &cut)
    }

    fn land(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        self.passed = Twist::ZERO;
        self.drives = Drives::Halted;
        self.body.actuate(now, &ActuatorFrame { twist: Twist::ZERO, ..*frame })
    }

    fn follow(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        if let Err(refused) = check(now, frame) {
            self.halt(now)?;
            return Err(refused);
        }
        let wanted = self.slewed(now, self.limited(&frame.twist));
        let (twist, verdict) = self.fenced(now, &wanted);
        self.verdict = verdict;
        self.slewed_at = now;
        if matches!(verdict, FenceVerdict::Refused | FenceVerdict::PoseUnknown) {
            return self.halt(now);
        }
        self.passed = twist;
        self.drives = Drives::Following(now);
        let passed = self.body.actuate(now, &ActuatorFrame { twist, ..*frame });
        if passed.is_err() {
            // The command may have arrived in part: make sure of the halt, and tell the first reason.
            let _also_gone = self.halt(now);
        }
        passed
    }

    /// Within the speed and the rate of turn of the descriptor, on the same path; only the motions the drive can do.
    fn limited(&self, twist: &Twist) -> Twist {
        let body = self.body.descriptor();
        let possible = match body.drive {
            Drive::Differential => Twist { vy: 0.0, vz: 0.0, ..*twist },
            Drive::Holonomic => Twist { vz: 0.0, ..*twist },
            Drive::Multirotor => *twist,
        };
        let of_speed = share(body.speed_max.0, possible.speed());
        let of_climb = share(body.vertical_speed_max().0, possible.vz.abs());
        let of_turn = share(body.yaw_rate_max.0, possible.yaw_rate.abs());
        possible.scaled(of_speed.min(of_climb).min(of_turn))
    }

    /// Speed builds up no faster than the acceleration limit, from what the body does now; braking passes at once.
    fn slewed(&self, now: MonoTime, wanted: Twist) -> Twist {
        let dt = now.secs_since(self.slewed_at).min(SLEW_STEP_MAX);
        let step = self.body.descriptor().acceleration_max.0 * dt;
        let (measured, at) = self.measured;
        let measured = if now.since(at) <= SILENCE_MAX { measured } else { Twist::ZERO };
        Twist {
            vx: build_up(wanted.vx, self.passed.vx, measured.vx, step),
            vy: build_up(wanted.vy, self.passed.vy, measured.vy, step),
            vz: build_up(wanted.vz, self.passed.vz, measured.vz, step),
            yaw_rate: wanted.yaw_rate,
        }
    }

    fn fenced(&self, now: MonoTime, wanted: &Twist) -> (Twist, FenceVerdict) {
        if !self.fence.is_bounded() {
            return (*wanted, FenceVerdict::Clear);
        }
        let Some((pose, margin)) = self.pose_now(now) else { return (Twist::ZERO, FenceVerdict::PoseUnknown) };
        if !self.stops_inside(&pose, margin) {
            return (Twist::ZERO, FenceVerdict::Refused);
        }
        if self.stays_inside(&pose, margin, wanted) {
            return (*wanted, FenceVerdict::Clear);
        }
        for share in SHARES {
            let slower = wanted.scaled(share);
            if slower.speed() >= SLOWEST && self.stays_inside(&pose, margin, &slower) {
                return (slower, FenceVerdict::Slowed(share));
            }
        }
        // A round footprint that turns where it stands goes nowhere, and can face the way back in.
        let turn = Twist { yaw_rate: wanted.yaw_rate, ..Twist::ZERO };
        if turn.yaw_rate == 0.0 { (turn, FenceVerdict::Refused) } else { (turn, FenceVerdict::Slowed(0.0)) }
    }

    /// Where the body is now, and how far it may be from there, metres; `None` when that is too unsure.
    fn pose_now(&self, now: MonoTime) -> Option<(Pose, f64)> {
        let estimate = self.estimate?;
        let age = now.secs_since(estimate.at);
        if age > POSE_AGE_MAX.as_secs_f64() || estimate.position_std > POSE_STD_MAX {
            return None;
        }
        let body = self.body.descriptor();
        let hardest = body.acceleration_max.max(body.braking_max).0;
        // Since the estimate it may have sped up or braked as hard as it can, but never beyond twice its top speed apart.
        let drift = (0.5 * hardest * age * age).min(2.0 * body.speed_max.0 * age);
        let (measured, _) = self.measured;
        Some((estimate.pose.moved(&measured, age), FENCE_MARGIN + SIGMAS * estimate.position_std.0 + drift))
    }

    /// From the motion that it has, it stops inside: a command turns that motion no faster than the body can change it,
    /// so a command that leads along the fence does not help against a drift towards it.
    fn stops_inside(&self, pose: &Pose, margin: f64) -> bool {
        let (measured, _) = self.measured;
        measured.speed() < SLOWEST || self.stays_inside(pose, margin, &measured)
    }

    fn stays_inside(&self, pose: &Pose, margin: f64, twist: &Twist) -> bool {
        let speed = twist.speed();
        if speed <= 0.0 {
            return true;
        }
        let body = self.body.descriptor();
        let (measured, _) = self.measured;
        let along = (measured.vx * twist.vx + measured.vy * twist.vy) / speed;
        let fastest = speed.max(along);
        let length = fastest * REACTION.as_secs_f64() + fastest * fastest / (2.0 * body.braking_max.0);
        self.fence.admits(body.radius.0, margin, pose, twist, length / speed)
    }
}

fn check(now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
    if !frame.twist.is_finite() {
        return Err(BodyError::NotFinite);
    }
    let age = now.since(frame.at).max(frame.at.since(now));
    if age > COMMAND_AGE_MAX {
        return Err(BodyError::Late { age, limit: COMMAND_AGE_MAX });
    }
    Ok(())
}

/// The factor that brings `value` down to `limit`.
fn share(limit: f64, value: f64) -> f64 {
    if value > limit { limit / value } else { 1.0 }
}

/// One axis: from standing or from the speed it has in the wanted direction, at most `step` faster.
fn build_up(wanted: f64, passed: f64, measured: f64, step: f64) -> f64 {
    let has = (passed * wanted.signum()).max(measured * wanted.signum()).max(0.0);
    wanted.abs().min(has + step).copysign(wanted)
}
