//! What passes the envelope, and what never does.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

use core::time::Duration;
use proptest::prelude::*;
use skein_body::conformance::TICK;
use skein_body::{Body, BodyError, Fence, FenceVerdict, Loss, SafeBody};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::polygon::Polygon;
use skein_types::sensing::{PoseEstimate, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, Radians};

/// A body that writes down what reaches it, and brakes and speeds up as its descriptor says.
struct Spy {
    descriptor: BodyDescriptor,
    pose: Pose,
    twist: Twist,
    last: Option<ActuatorFrame>,
    estimate_age: Duration,
    position_std: f64,
    gone: bool,
    powered: bool,
}

impl Spy {
    fn new(x: f64, heading: f64) -> Self {
        Self {
            descriptor: BodyDescriptor::rover(),
            pose: Pose::new(x, 0.0, heading),
            twist: Twist::ZERO,
            last: None,
            estimate_age: Duration::ZERO,
            position_std: 0.0,
            gone: false,
            powered: true,
        }
    }

    fn advance(&mut self) {
        let wanted = self.last.filter(|f| f.mode == DriveMode::Follow).map_or(Twist::ZERO, |f| f.twist);
        let axis = |has: f64, wanted: f64| {
            let target = if has * wanted < 0.0 { 0.0 } else { wanted };
            let step = if target.abs() > has.abs() { 0.01 } else { 0.02 };
            has + (target - has).clamp(-step, step)
        };
        self.twist = Twist { vx: axis(self.twist.vx, wanted.vx), vy: axis(self.twist.vy, wanted.vy), ..wanted };
        self.pose = self.pose.moved(&self.twist, 0.01);
    }
}

/// The spy, shared between the envelope and the test.
#[derive(Clone)]
struct Shared(std::rc::Rc<std::cell::RefCell<Spy>>, BodyDescriptor);

impl Body for Shared {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.1
    }

    fn sense(&mut self, now: MonoTime) -> Result<SensorFrame, BodyError> {
        let spy = self.0.borrow();
        if spy.gone {
            return Err(BodyError::Lost(Loss::Closed));
        }
        let estimate = PoseEstimate {
            pose: spy.pose,
            position_std: Meters(spy.position_std),
            heading_std: Radians(0.0),
            at: now - spy.estimate_age,
        };
        let unknown = SensorFrame::unknown(spy.descriptor.lidar_range);
        Ok(SensorFrame { at: now, estimate, twist: spy.twist, motors_powered: spy.powered, ..unknown })
    }

    fn actuate(&mut self, _now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        let mut spy = self.0.borrow_mut();
        if spy.gone {
            return Err(BodyError::Lost(Loss::Closed));
        }
        spy.last = Some(*frame);
        spy.powered &= frame.mode != DriveMode::CutPower;
        Ok(())
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.actuate(now, &ActuatorFrame::halt(now, 0))
    }

    fn restore_power(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        self.0.borrow_mut().powered = true;
        Ok(())
    }
}

struct Bench {
    spy: Shared,
    safe: SafeBody<Shared>,
    now: MonoTime,
    sequence: u64,
}

impl Bench {
    fn new(spy: Spy, fence: Fence) -> Self {
        let descriptor = spy.descriptor;
        let spy = Shared(std::rc::Rc::new(std::cell::RefCell::new(spy)), descriptor);
        Self { safe: SafeBody::new(spy.clone(), fence), spy, now: MonoTime::from_millis(5_000), sequence: 0 }
    }

    fn command(&mut self, mode: DriveMode, twist: Twist) -> Result<(), BodyError> {
        self.sequence += 1;
        self.safe.actuate(self.now, &ActuatorFrame { at: self.now, sequence: self.sequence, mode, twist })
    }

    fn tick(&mut self, twist: Twist) -> Result<(), BodyError> {
        self.now = self.now + TICK;
        self.safe.sense(self.now)?;
        let done = self.command(DriveMode::Follow, twist);
        self.spy.0.borrow_mut().advance();
        done
    }

    fn passed(&self) -> (DriveMode, Twist) {
        self.spy.0.borrow().last.map_or((DriveMode::Halt, Twist::ZERO), |f| (f.mode, f.twist))
    }

    fn pose(&self) -> Pose {
        self.spy.0.borrow().pose
    }
}

fn yard() -> Polygon {
    let hole = vec![Point::new(2.0, 1.0), Point::new(3.0, 1.0), Point::new(3.0, 2.0), Point::new(2.0, 2.0)];
    let outer = vec![Point::new(-4.0, -3.0), Point::new(5.0, -3.0), Point::new(4.0, 4.0), Point::new(-4.0, 3.0)];
    Polygon::new(outer, vec![hole]).unwrap()
}

fn square(half: f64) -> Fence {
    Fence::from(Polygon::rectangle(Point::new(-half, -half), Point::new(half, half)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_commanded_the_footprint_stays_inside(
        holonomic in any::<bool>(),
        commands in prop::collection::vec((-2.0_f64..2.0, -2.0_f64..2.0, -3.0_f64..3.0, 1_usize..120), 8..24),
    ) {
        let mut spy = Spy::new(0.0, 0.4);
        if holonomic {
            spy.descriptor = BodyDescriptor::holonomic();
        }
        let mut bench = Bench::new(spy, Fence::from(yard()));
        let border = Fence::from(yard());
        for (vx, vy, yaw_rate, ticks) in commands {
            for _ in 0..ticks {
                bench.tick(Twist { vx, vy, vz: 0.0, yaw_rate }).unwrap();
                let left = border.clearance(bench.pose().position);
                prop_assert!(left >= 0.25 - 1e-9, "{left:.3} m at {:?}", bench.pose());
            }
        }
    }

    #[test]
    fn the_clearance_agrees_with_the_polygon(x in -6.0_f64..7.0, y in -5.0_f64..6.0) {
        let (polygon, point) = (yard(), Point::new(x, y));
        let nearest = polygon
            .rings()
            .flat_map(|ring| ring.iter().zip(ring.iter().cycle().skip(1)))
            .map(|(a, b)| point.distance_to_segment(*a, *b))
            .fold(f64::INFINITY, f64::min);
        let expected = if polygon.contains(point) { nearest } else { -nearest };
        prop_assert!((Fence::from(&polygon).clearance(point) - expected).abs() < 1e-9);
    }
}

#[test]
fn towards_the_fence_it_slows_and_stands_before_it_and_can_turn_and_leave() {
    let mut bench = Bench::new(Spy::new(0.0, 0.0), square(2.0));
    for _ in 0..600 {
        bench.tick(Twist::planar(1.0, 0.0)).unwrap();
    }
    let stands = bench.pose().position.x;
    assert!((1.5..1.75).contains(&stands), "{stands}");
    assert_eq!(bench.passed().0, DriveMode::Halt);
    assert_eq!(bench.safe.verdict(), FenceVerdict::Refused);
    for _ in 0..160 {
        bench.tick(Twist::planar(0.5, 2.0)).unwrap();
    }
    for _ in 0..200 {
        bench.tick(Twist::planar(0.5, 0.0)).unwrap();
    }
    assert!(bench.pose().position.x < stands - 0.1, "{:?}", bench.pose());
    assert_eq!(bench.safe.verdict(), FenceVerdict::Clear);
}

#[test]
fn from_outside_only_the_way_back_in_passes() {
    for (heading, vx, moves) in [(0.0, 0.5, false), (0.0, -0.5, true), (1.57, 0.5, false), (3.0, 0.5, true)] {
        let mut bench = Bench::new(Spy::new(2.5, heading), square(2.0));
        for _ in 0..100 {
            bench.tick(Twist::planar(vx, 0.0)).unwrap();
        }
        let moved = bench.pose().position.distance(Point::new(2.5, 0.0));
        assert_eq!(moved > 0.1, moves, "heading {heading} at {vx} m/s it moved {moved:.2} m");
    }
}

#[test]
fn along_the_fence_a_noisy_pose_does_not_hold_it() {
    // Within the margin of the border, not outside.
    let mut bench = Bench::new(Spy::new(1.73, std::f64::consts::FRAC_PI_2), square(2.0));
    bench.spy.0.borrow_mut().position_std = 0.05;
    for _ in 0..150 {
        bench.tick(Twist::planar(0.5, 0.0)).unwrap();
    }
    assert!(bench.pose().position.y > 0.4, "{:?}", bench.pose());
}

#[test]
fn without_a_fresh_and_certain_pose_a_fenced_body_only_halts() {
    let moving = Twist::planar(0.5, 0.0);
    let cases: [(Duration, f64, bool); 6] = [
        (Duration::from_millis(490), 0.0, true),
        (Duration::from_millis(510), 0.0, false),
        (Duration::ZERO, 0.5, true),
        (Duration::ZERO, 0.51, false),
        (Duration::ZERO, f64::NAN, false),
        (Duration::ZERO, -0.1, false),
    ];
    for (age, std, moves) in cases {
        for fence in [square(20.0), Fence::unbounded()] {
            let fenced = fence.is_bounded();
            let mut bench = Bench::new(Spy::new(0.0, 0.0), fence);
            bench.spy.0.borrow_mut().estimate_age = age;
            bench.spy.0.borrow_mut().position_std = std;
            bench.tick(moving).unwrap();
            assert_eq!(bench.passed().0 == DriveMode::Follow, moves || !fenced, "{age:?} {std} fenced {fenced}");
            assert_eq!(bench.safe.verdict() == FenceVerdict::PoseUnknown, !moves && fenced);
        }
    }
    let mut blind = Bench::new(Spy::new(0.0, 0.0), square(20.0));
    blind.command(DriveMode::Follow, moving).unwrap();
    assert_eq!((blind.passed().0, blind.safe.verdict()), (DriveMode::Halt, FenceVerdict::PoseUnknown));
}

#[test]
fn speed_builds_up_within_the_acceleration_and_braking_passes_at_once() {
    let mut bench = Bench::new(Spy::new(0.0, 0.0), Fence::unbounded());
    bench.tick(Twist::ZERO).unwrap();
    for tick in 1..=50 {
        bench.tick(Twist::planar(9.0, 0.0)).unwrap();
        let passed = bench.passed().1.vx;
        assert!((passed - 0.01 * f64::from(tick)).abs() < 1e-9, "tick {tick}: {passed}");
    }
    bench.tick(Twist::planar(0.1, 0.0)).unwrap();
    assert_eq!(bench.passed().1.vx, 0.1);
    bench.tick(Twist::planar(-1.0, 0.0)).unwrap();
    assert!((-0.011..0.0).contains(&bench.passed().1.vx), "{:?}", bench.passed());
    for _ in 0..300 {
        bench.tick(Twist::planar(9.0, 9.0)).unwrap();
        let (_, twist) = bench.passed();
        assert!(twist.speed() <= 1.0 && twist.yaw_rate <= 2.0);
    }
}

#[test]
fn silence_halts_after_fifty_milliseconds_and_not_before() {
    for (ms, mode) in [(50, DriveMode::Follow), (51, DriveMode::Halt)] {
        for by_sense in [true, false] {
            let mut bench = Bench::new(Spy::new(0.0, 0.0), Fence::unbounded());
            bench.tick(Twist::planar(0.5, 0.0)).unwrap();
            let then = bench.now + Duration::from_millis(ms);
            if by_sense {
                bench.safe.sense(then).unwrap();
            } else {
                bench.safe.watch(then).unwrap();
            }
            assert_eq!(bench.passed().0, mode, "{ms}");
        }
    }
}

#[test]
fn late_early_and_senseless_commands_halt_and_say_why() {
    let mut bench = Bench::new(Spy::new(0.0, 0.0), Fence::unbounded());
    let now = bench.now;
    let at = |at, twist| ActuatorFrame { at, sequence: 1, mode: DriveMode::Follow, twist };
    let moving = Twist::planar(0.5, 0.0);
    for (frame, late) in [
        (at(now - Duration::from_millis(51), moving), true),
        (at(now + Duration::from_millis(51), moving), true),
        (at(now, Twist::planar(f64::NAN, 0.0)), false),
        (at(now, Twist { vz: f64::INFINITY, ..moving }), false),
    ] {
        bench.command(DriveMode::Follow, moving).unwrap();
        let error = bench.safe.actuate(now, &frame).unwrap_err();
        assert_eq!(matches!(error, BodyError::Late { .. }), late, "{error}");
        assert_eq!(bench.passed().0, DriveMode::Halt);
    }
    bench.safe.actuate(now, &at(now - Duration::from_millis(50), moving)).unwrap();
    assert_eq!(bench.passed().0, DriveMode::Follow);
}

#[test]
fn after_a_kill_only_a_restored_power_and_a_new_command_move_it() {
    let mut bench = Bench::new(Spy::new(0.0, 0.0), Fence::unbounded());
    let moving = Twist::planar(0.5, 0.0);
    bench.tick(moving).unwrap();
    bench.command(DriveMode::CutPower, moving).unwrap();
    assert!(bench.safe.is_cut());
    for mode in [DriveMode::Follow, DriveMode::Halt, DriveMode::Land] {
        bench.command(mode, moving).unwrap();
        assert_eq!(bench.passed(), (DriveMode::CutPower, Twist::ZERO));
    }
    bench.safe.halt(bench.now).unwrap();
    bench.command(DriveMode::Follow, moving).unwrap();
    assert_eq!(bench.passed().0, DriveMode::CutPower);
    bench.safe.restore_power(bench.now).unwrap();
    assert!(!bench.safe.is_cut());
    assert_eq!(bench.passed().0, DriveMode::Halt);
    bench.tick(moving).unwrap();
    assert_eq!(bench.passed().0, DriveMode::Follow);
}

#[test]
fn land_and_halt_pass_without_their_velocity() {
    let mut bench = Bench::new(Spy::new(0.0, 0.0), square(2.0));
    for mode in [DriveMode::Land, DriveMode::Halt] {
        bench.command(mode, Twist::planar(1.0, 1.0)).unwrap();
        assert_eq!(bench.passed(), (mode, Twist::ZERO));
    }
}

#[test]
fn a_body_that_is_gone_is_an_error_everywhere() {
    let mut bench = Bench::new(Spy::new(0.0, 0.0), Fence::unbounded());
    bench.spy.0.borrow_mut().gone = true;
    assert!(matches!(bench.tick(Twist::ZERO), Err(BodyError::Lost(_))));
    assert!(bench.command(DriveMode::Follow, Twist::planar(0.2, 0.0)).is_err());
    assert!(bench.safe.halt(bench.now).is_err());
}

#[test]
fn an_override_out_of_the_fence_is_known_beforehand() {
    let bench = Bench::new(Spy::new(0.0, 0.0), square(2.0));
    let at = Pose::new(1.0, 0.0, 0.0);
    let second = Duration::from_secs(1);
    assert!(bench.safe.would_leave_fence(&at, &Twist::planar(0.7, 0.0), second));
    assert!(!bench.safe.would_leave_fence(&at, &Twist::planar(0.5, 0.0), second));
    assert!(!bench.safe.would_leave_fence(&at, &Twist::planar(-1.0, 0.0), second));
    assert!(!bench.safe.would_leave_fence(&at, &Twist::planar(0.0, 2.0), second));
    assert!(bench.safe.would_leave_fence(&at, &Twist::planar(f64::NAN, 0.0), second));
    assert!(!Fence::unbounded().would_leave(&BodyDescriptor::rover(), &at, &Twist::planar(1.0, 0.0), second));
}
