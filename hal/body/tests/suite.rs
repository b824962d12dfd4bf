//! The conformance suite passes a body that keeps the contract and catches each way of breaking it.

use core::time::Duration;
use skein_body::conformance::{self, PointBody, Rig, TICK};
use skein_body::{Body, BodyError, Fence, SafeBody};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::polygon::Polygon;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::{MetersPerSecond, Percent};

/// One way of breaking the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    None,
    UnsoundDescriptor,
    DescriptorChanges,
    ChargeBeyondFull,
    NanOdometry,
    NegativeRange,
    BumperAlways,
    SequenceFallsBack,
    FrameFromTheFuture,
    ScanNeverComes,
    StaleFrame,
    CreepsUnasked,
    IgnoresCommands,
    BackwardsIsForwards,
    TurnsTheWrongWay,
    SlidesSideways,
    NoSpeedLimit,
    NoTurnLimit,
    SpeedsUpAtOnce,
    HaltCoasts,
    HaltFollowsItsTwist,
    LandFollowsItsTwist,
    NeverSilent,
    ObeysLateCommands,
    AcceptsNan,
    CutPowerIgnored,
    PowerComesBack,
    RestoreStartsMoving,
    RestoreDoesNothing,
    EmergencyStopAlways,
    NoClimbLimit,
    NeverLands,
    GroundInTheAir,
}

struct Broken {
    bug: Bug,
    body: PointBody,
    descriptor: BodyDescriptor,
    now: MonoTime,
    last: Option<ActuatorFrame>,
    drift: f64,
    coast: Option<Twist>,
    senses: u64,
    runs_away: bool,
}

impl Broken {
    fn new(bug: Bug) -> Self {
        let flies = matches!(bug, Bug::NoClimbLimit | Bug::NeverLands | Bug::GroundInTheAir);
        let sound = if flies { BodyDescriptor::multirotor() } else { BodyDescriptor::rover() };
        let mut descriptor = sound;
        if bug == Bug::NoClimbLimit {
            descriptor.speed_max = MetersPerSecond(40.0);
        }
        if bug == Bug::SpeedsUpAtOnce {
            descriptor.acceleration_max.0 = 50.0;
        }
        if bug == Bug::NoSpeedLimit {
            descriptor.speed_max = MetersPerSecond(40.0);
            descriptor.acceleration_max.0 = 20.0;
        }
        if bug == Bug::NoTurnLimit {
            descriptor.yaw_rate_max.0 = 40.0;
        }
        let body = PointBody::new(descriptor, Pose::default());
        let mut told = sound;
        if bug == Bug::UnsoundDescriptor {
            told.radius.0 = f64::NAN;
        }
        Self {
            bug,
            body,
            descriptor: told,
            now: MonoTime::from_millis(500),
            last: None,
            drift: 0.0,
            coast: None,
            senses: 0,
            runs_away: false,
        }
    }

    fn resend(&mut self) {
        if let Some(last) = self.last {
            let _again = self.body.actuate(self.now, &ActuatorFrame { at: self.now, ..last });
        }
    }
}

impl Body for Broken {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.descriptor
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        self.senses += 1;
        let mut frame = self.body.sense(now)?;
        match self.bug {
            Bug::ChargeBeyondFull => frame.battery.charge = Percent(120.0),
            Bug::NanOdometry => frame.odometry.heading = f64::NAN,
            Bug::NegativeRange => frame.scan.ranges[17] = -1.0,
            Bug::BumperAlways => frame.bumper = true,
            Bug::SequenceFallsBack => frame.sequence = 1_000 - self.senses,
            Bug::FrameFromTheFuture => frame.estimate.at = now + TICK,
            Bug::ScanNeverComes => frame.scan.at = MonoTime::ZERO,
            Bug::StaleFrame => frame.at = now - Duration::from_millis(300),
            Bug::EmergencyStopAlways => frame.emergency_stop = true,
            Bug::GroundInTheAir => frame.on_ground = true,
            Bug::DescriptorChanges => self.descriptor.radius.0 += 0.001,
            _ => {}
        }
        Ok(frame)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        let mut frame = *frame;
        match self.bug {
            Bug::IgnoresCommands => frame.mode = DriveMode::Halt,
            Bug::BackwardsIsForwards => frame.twist.vx = frame.twist.vx.abs(),
            Bug::TurnsTheWrongWay => frame.twist.yaw_rate = -frame.twist.yaw_rate,
            Bug::SlidesSideways if frame.twist.vy != 0.0 => self.drift = frame.twist.vy,
            Bug::HaltFollowsItsTwist if frame.mode == DriveMode::Halt => frame.mode = DriveMode::Follow,
            Bug::LandFollowsItsTwist if frame.mode == DriveMode::Land => frame.mode = DriveMode::Follow,
            Bug::NeverLands if frame.mode == DriveMode::Land => frame.mode = DriveMode::Halt,
            Bug::ObeysLateCommands => frame.at = now,
            Bug::AcceptsNan if !frame.twist.is_finite() => return Ok(()),
            Bug::CutPowerIgnored if frame.mode == DriveMode::CutPower => frame.mode = DriveMode::Halt,
            Bug::PowerComesBack if frame.mode == DriveMode::Follow => self.body.restore_power(now)?,
            _ => {}
        }
        if frame.mode == DriveMode::Follow {
            self.last = Some(frame);
        }
        self.body.actuate(now, &frame)
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        if self.bug == Bug::HaltCoasts {
            let coast = *self.coast.get_or_insert(self.body.twist());
            let slower = coast.scaled(0.995);
            self.coast = Some(slower);
            let frame = ActuatorFrame { at: now, sequence: 0, mode: DriveMode::Follow, twist: slower };
            return self.body.actuate(now, &frame);
        }
        self.body.halt(now)
    }

    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError> {
        match self.bug {
            Bug::RestoreDoesNothing => Ok(()),
            Bug::RestoreStartsMoving => {
                self.runs_away = true;
                self.body.restore_power(now)
            }
            _ => self.body.restore_power(now),
        }
    }
}

impl Rig for Broken {
    fn body(&mut self) -> &mut dyn Body {
        self
    }

    fn now(&self) -> MonoTime {
        self.now
    }

    fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + TICK;
            match self.bug {
                Bug::NeverSilent => self.resend(),
                Bug::RestoreStartsMoving if self.runs_away => self.resend(),
                Bug::CreepsUnasked if self.last.is_none() => self.drift = 0.1,
                _ => {}
            }
            self.body.advance(self.now, TICK);
        }
        let pose = self.body.pose();
        if self.drift != 0.0 {
            let slid = pose.moved(&Twist { vy: self.drift, ..Twist::ZERO }, span.as_secs_f64());
            self.body = PointBody::new(self.descriptor, slid);
        }
    }

    fn truth(&self) -> Pose {
        self.body.pose()
    }
}

/// The bug, and a part of the name of a check that must find it.
const PLANTED: [(Bug, &str); 32] = [
    (Bug::UnsoundDescriptor, "descriptor is sound"),
    (Bug::DescriptorChanges, "descriptor is sound"),
    (Bug::ChargeBeyondFull, "senses is sound"),
    (Bug::NanOdometry, "senses is sound"),
    (Bug::NegativeRange, "senses is sound"),
    (Bug::BumperAlways, "senses is sound"),
    (Bug::SequenceFallsBack, "fresh and in order"),
    (Bug::FrameFromTheFuture, "fresh and in order"),
    (Bug::ScanNeverComes, "fresh and in order"),
    (Bug::StaleFrame, "fresh and in order"),
    (Bug::CreepsUnasked, "stands until"),
    (Bug::IgnoresCommands, "follows a velocity"),
    (Bug::BackwardsIsForwards, "backs up"),
    (Bug::TurnsTheWrongWay, "turns the way"),
    (Bug::SlidesSideways, "only as its drive can"),
    (Bug::NoSpeedLimit, "top speed"),
    (Bug::NoTurnLimit, "top speed"),
    (Bug::SpeedsUpAtOnce, "speeds up no harder"),
    (Bug::HaltCoasts, "halt() stops"),
    (Bug::HaltFollowsItsTwist, "a Halt command"),
    (Bug::LandFollowsItsTwist, "a Land command"),
    (Bug::NeverSilent, "silence stops"),
    (Bug::ObeysLateCommands, "late commands"),
    (Bug::AcceptsNan, "is NaN"),
    (Bug::CutPowerIgnored, "CutPower stops"),
    (Bug::PowerComesBack, "without power"),
    (Bug::RestoreStartsMoving, "with power back"),
    (Bug::RestoreDoesNothing, "with power back"),
    (Bug::EmergencyStopAlways, "senses is sound"),
    (Bug::NoClimbLimit, "climbs and descends"),
    (Bug::NeverLands, "to the ground"),
    (Bug::GroundInTheAir, "to the ground"),
];

#[test]
fn every_planted_bug_is_found_by_the_check_made_for_it() {
    for (bug, check) in PLANTED {
        let findings = conformance::run(&mut || Broken::new(bug)).expect_err(&format!("{bug:?} went unnoticed")).0;
        assert!(findings.iter().any(|f| f.check.contains(check)), "{bug:?} was not found by {check:?}: {findings:?}");
    }
}

#[test]
fn the_wrapper_that_plants_bugs_is_sound_without_one() {
    conformance::run(&mut || Broken::new(Bug::None)).unwrap();
}

#[test]
fn the_reference_bodies_conform() {
    for descriptor in [BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::multirotor()] {
        conformance::run(&mut || conformance::PointRig::new(descriptor)).unwrap();
    }
}

struct SafeRig {
    safe: SafeBody<PointBodyCell>,
    now: MonoTime,
}

/// The point body behind the envelope, advanced from outside: the test keeps its own way in.
#[derive(Clone)]
struct PointBodyCell(std::rc::Rc<std::cell::RefCell<PointBody>>, BodyDescriptor);

impl Body for PointBodyCell {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.1
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        self.0.borrow_mut().sense(now)
    }

    fn actuate(&mut self, now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        self.0.borrow_mut().actuate(now, frame)
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.0.borrow_mut().halt(now)
    }

    fn restore_power(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.0.borrow_mut().restore_power(now)
    }
}

struct EnvelopeRig {
    inner: PointBodyCell,
    rig: SafeRig,
}

impl EnvelopeRig {
    fn new(descriptor: BodyDescriptor, fence: Fence) -> Self {
        let body = PointBody::new(descriptor, Pose::default());
        let inner = PointBodyCell(std::rc::Rc::new(std::cell::RefCell::new(body)), descriptor);
        let safe = SafeBody::new(inner.clone(), fence);
        Self { inner, rig: SafeRig { safe, now: MonoTime::from_millis(3) } }
    }
}

impl Rig for EnvelopeRig {
    fn body(&mut self) -> &mut dyn Body {
        &mut self.rig.safe
    }

    fn now(&self) -> MonoTime {
        self.rig.now
    }

    fn advance(&mut self, span: Duration) {
        let end = self.rig.now + span;
        while self.rig.now < end {
            let step = TICK.min(end.since(self.rig.now));
            self.rig.now = self.rig.now + step;
            self.inner.0.borrow_mut().advance(self.rig.now, step);
        }
    }

    fn truth(&self) -> Pose {
        self.inner.0.borrow().pose()
    }
}

#[test]
fn a_body_in_its_envelope_still_conforms() {
    let yard = Fence::from(Polygon::rectangle(Point::new(-30.0, -30.0), Point::new(30.0, 30.0)).unwrap());
    for descriptor in [BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::multirotor()] {
        conformance::run(&mut || EnvelopeRig::new(descriptor, yard.clone())).unwrap();
        conformance::run(&mut || EnvelopeRig::new(descriptor, Fence::unbounded())).unwrap();
    }
}
