//! The smallest body that keeps the contract: a disc on an endless floor. It is the reference the suite is proved on,
//! and enough of a body for tests of what sits on top of one.

use core::time::Duration;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::geometry::{Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::sensing::{Battery, PoseEstimate, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, Percent, Radians};

use super::{Rig, TICK};
use crate::{Body, BodyError};

/// It carries on this long without a command, and obeys none that is older.
const SILENCE: Duration = Duration::from_millis(100);
/// Share of its fastest descent with which it lands.
const DESCENT_SHARE: f64 = 0.5;
/// Its lidar turns ten times a second.
const SCAN_PERIOD: Duration = Duration::from_millis(100);

/// A disc that moves exactly as told, within its descriptor. Time passes only through [`PointBody::advance`].
#[derive(Clone, Debug)]
pub struct PointBody {
    descriptor: BodyDescriptor,
    pose: Pose,
    twist: Twist,
    wanted: Twist,
    commanded_at: Option<MonoTime>,
    powered: bool,
    lands: bool,
    frame: SensorFrame,
}

impl PointBody {
    /// Standing, powered, at this place.
    #[must_use]
    pub fn new(descriptor: BodyDescriptor, start: Pose) -> Self {
        let frame = SensorFrame {
            battery: Battery { charge: Percent(100.0), charging: false },
            motors_powered: true,
            ..SensorFrame::unknown(descriptor.lidar_range)
        };
        Self {
            descriptor,
            pose: start,
            twist: Twist::ZERO,
            wanted: Twist::ZERO,
            commanded_at: None,
            powered: true,
            lands: false,
            frame,
        }
    }

    /// Where it is, exactly.
    #[must_use]
    pub const fn pose(&self) -> Pose {
        self.pose
    }

    /// How it moves, exactly.
    #[must_use]
    pub const fn twist(&self) -> Twist {
        self.twist
    }

    /// Moves on by `span`, which ends at `now`.
    pub fn advance(&mut self, now: MonoTime, span: Duration) {
        let silent = self.commanded_at.is_none_or(|at| now.since(at) > SILENCE);
        if silent || !self.powered {
            self.wanted = Twist::ZERO;
        }
        if self.lands && self.pose.z > 0.0 {
            self.wanted.vz = -DESCENT_SHARE * self.descriptor.vertical_speed_max().0;
        }
        let dt = span.as_secs_f64();
        let (faster, slower) = (self.descriptor.acceleration_max.0 * dt, self.descriptor.braking_max.0 * dt);
        let before = self.twist;
        self.twist = Twist {
            vx: towards(before.vx, self.wanted.vx, faster, slower),
            vy: towards(before.vy, self.wanted.vy, faster, slower),
            vz: towards(before.vz, self.wanted.vz, faster, slower),
            yaw_rate: self.wanted.yaw_rate,
        };
        let middle = Twist {
            vx: (before.vx + self.twist.vx) / 2.0,
            vy: (before.vy + self.twist.vy) / 2.0,
            vz: (before.vz + self.twist.vz) / 2.0,
            yaw_rate: self.twist.yaw_rate,
        };
        self.pose = self.pose.moved(&middle, dt);
        if self.pose.z <= 0.0 {
            (self.pose.z, self.twist.vz) = (0.0, self.twist.vz.max(0.0));
        }
    }

    fn possible(&self, twist: &Twist) -> Twist {
        let mut possible = *twist;
        match self.descriptor.drive {
            Drive::Differential => (possible.vy, possible.vz) = (0.0, 0.0),
            Drive::Holonomic => possible.vz = 0.0,
            Drive::Multirotor => {}
        }
        let over = possible.speed() / self.descriptor.speed_max.0;
        let climb = self.descriptor.vertical_speed_max().0;
        let climbing = if possible.vz == 0.0 { 0.0 } else { possible.vz.abs() / climb };
        let turning = possible.yaw_rate.abs() / self.descriptor.yaw_rate_max.0;
        possible.scaled(over.max(climbing).max(turning).max(1.0).recip())
    }
}

/// One axis, nearer to what is wanted: slowing down is braking, a change of sign goes through zero.
fn towards(has: f64, wanted: f64, faster: f64, slower: f64) -> f64 {
    if has * wanted < 0.0 {
        return towards(has, 0.0, faster, slower);
    }
    let step = if wanted.abs() > has.abs() { faster } else { slower };
    has + (wanted - has).clamp(-step, step)
}

impl Body for PointBody {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.descriptor
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        self.frame.at = now;
        self.frame.sequence += 1;
        self.frame.estimate =
            PoseEstimate { pose: self.pose, position_std: Meters(0.01), heading_std: Radians(0.01), at: now };
        self.frame.odometry = self.pose;
        self.frame.twist = self.twist;
        self.frame.motors_powered = self.powered;
        self.frame.on_ground = self.pose.z <= 0.0;
        if now.since(self.frame.scan.at) >= SCAN_PERIOD {
            self.frame.scan.at = now;
        }
        Ok(self.frame)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        (self.wanted, self.lands) = (Twist::ZERO, frame.mode == DriveMode::Land);
        if !frame.twist.is_finite() {
            return Err(BodyError::NotFinite);
        }
        let age = now.since(frame.at);
        match frame.mode {
            DriveMode::CutPower => self.powered = false,
            DriveMode::Halt | DriveMode::Land => {}
            DriveMode::Follow if age > SILENCE => return Err(BodyError::Late { age, limit: SILENCE }),
            DriveMode::Follow => {
                self.commanded_at = Some(frame.at);
                self.wanted = self.possible(&frame.twist);
            }
        }
        Ok(())
    }

    fn halt(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        (self.wanted, self.lands) = (Twist::ZERO, false);
        Ok(())
    }

    fn restore_power(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.powered = true;
        (self.wanted, self.lands) = (Twist::ZERO, false);
        Ok(())
    }
}

/// A [`PointBody`] with a clock of its own.
#[derive(Clone, Debug)]
pub struct PointRig {
    body: PointBody,
    now: MonoTime,
}

impl PointRig {
    /// Standing at the origin.
    #[must_use]
    pub fn new(descriptor: BodyDescriptor) -> Self {
        Self { body: PointBody::new(descriptor, Pose::default()), now: MonoTime::from_millis(1_000) }
    }
}

impl Rig for PointRig {
    fn body(&mut self) -> &mut dyn Body {
        &mut self.body
    }

    fn now(&self) -> MonoTime {
        self.now
    }

    fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            let step = TICK.min(end.since(self.now));
            self.now = self.now + step;
            self.body.advance(self.now, step);
        }
    }

    fn truth(&self) -> Pose {
        self.body.pose()
    }
}
