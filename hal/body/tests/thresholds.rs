//! The figures of the envelope: how near to the fence each motion passes, how fast speed builds up, what is cut down.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what failed")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use skein_body::{Body, BodyError, Fence, FenceVerdict, SafeBody, Unable};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::polygon::Polygon;
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::Meters;

const NOW: MonoTime = MonoTime::from_millis(60_000);
/// Less than any difference that a figure makes.
const BARELY: f64 = 1e-6;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A body that shows what it is told to show, and writes down what reaches it.
struct Probe {
    descriptor: BodyDescriptor,
    frame: Rc<RefCell<SensorFrame>>,
    told: Rc<RefCell<Vec<ActuatorFrame>>>,
    refuses: Rc<RefCell<Vec<DriveMode>>>,
}

impl Body for Probe {
    fn descriptor(&self) -> &BodyDescriptor {
        &self.descriptor
    }

    fn sense(&mut self, _now: MonoTime) -> Result<SensorFrame, BodyError> {
        Ok(*self.frame.borrow())
    }

    fn actuate(&mut self, _now: MonoTime, frame: &ActuatorFrame) -> Result<(), BodyError> {
        self.told.borrow_mut().push(*frame);
        let refuses = self.refuses.borrow().contains(&frame.mode);
        if refuses { Err(BodyError::Refused(Unable::NotReady)) } else { Ok(()) }
    }

    fn halt(&mut self, now: MonoTime) -> Result<(), BodyError> {
        self.actuate(now, &ActuatorFrame::halt(now, 0))
    }

    fn restore_power(&mut self, _now: MonoTime) -> Result<(), BodyError> {
        Ok(())
    }
}

struct Bench {
    safe: SafeBody<Probe>,
    frame: Rc<RefCell<SensorFrame>>,
    told: Rc<RefCell<Vec<ActuatorFrame>>>,
    refuses: Rc<RefCell<Vec<DriveMode>>>,
}

impl Bench {
    fn new(descriptor: BodyDescriptor, fence: Fence) -> Self {
        let mut shown = SensorFrame::unknown(descriptor.lidar_range);
        (shown.at, shown.estimate.at) = (NOW, NOW);
        let (frame, told) = (Rc::new(RefCell::new(shown)), Rc::new(RefCell::new(Vec::new())));
        let refuses = Rc::new(RefCell::new(Vec::new()));
        let probe = Probe { descriptor, frame: frame.clone(), told: told.clone(), refuses: refuses.clone() };
        Self { safe: SafeBody::new(probe, fence), frame, told, refuses }
    }

    fn show(&self, bend: impl FnOnce(&mut SensorFrame)) {
        bend(&mut self.frame.borrow_mut());
    }

    fn order(&mut self, at: MonoTime, twist: Twist) -> Result<(), BodyError> {
        self.safe.actuate(at, &ActuatorFrame { at, sequence: 7, mode: DriveMode::Follow, twist })
    }

    fn follow(&mut self, at: MonoTime, twist: Twist) -> Twist {
        self.safe.sense(at).unwrap();
        self.order(at, twist).unwrap();
        self.last().twist
    }

    fn last(&self) -> ActuatorFrame {
        *self.told.borrow().last().unwrap()
    }
}

const fn way(vx: f64, vy: f64) -> Twist {
    Twist { vx, vy, vz: 0.0, yaw_rate: 0.0 }
}

/// Speeds up at once, so that only the fence has a say.
fn agile(body: BodyDescriptor) -> BodyDescriptor {
    let mut agile = body;
    agile.acceleration_max.0 = 1_000.0;
    agile
}

/// The border runs north at x = 2; everything else is far away.
fn border() -> Fence {
    Fence::from(Polygon::rectangle(Point::new(-90.0, -90.0), Point::new(2.0, 90.0)).unwrap())
}

/// One way that is asked for before the border.
#[derive(Clone, Copy, Debug)]
struct Case {
    body: BodyDescriptor,
    measured: Twist,
    wanted: Twist,
    std: f64,
    age: Duration,
}

impl Case {
    fn of(body: BodyDescriptor, measured: Twist, wanted: Twist) -> Self {
        Self { body, measured, wanted, std: 0.0, age: Duration::ZERO }
    }

    /// What passes from so far before the border.
    fn at(&self, distance: f64) -> (FenceVerdict, Twist) {
        let mut bench = Bench::new(self.body, border());
        bench.show(|frame| {
            frame.twist = self.measured;
            frame.estimate.pose = Pose::new(2.0 - distance, 0.0, 0.0);
            frame.estimate.position_std = Meters(self.std);
            frame.estimate.at = NOW - self.age;
        });
        let twist = bench.follow(NOW, self.wanted);
        (bench.safe.verdict(), twist)
    }

    /// The whole of it passes from this distance on and from no less.
    #[track_caller]
    fn passes_from(&self, distance: f64) {
        let (verdict, twist) = self.at(distance + BARELY);
        assert_eq!((verdict, twist), (FenceVerdict::Clear, self.wanted), "{distance}: {self:?}");
        let (verdict, _) = self.at(distance - BARELY);
        assert_ne!(verdict, FenceVerdict::Clear, "{distance}: {self:?}");
    }
}

#[test]
fn a_way_passes_when_it_ends_its_footprint_and_margin_before_the_fence() {
    let rover = BodyDescriptor::rover();
    let mut strong = rover;
    strong.braking_max.0 = 5.0;
    // 0.25 m and 0.05 m, 0.1 s of reaction, and the way that braking takes.
    Case::of(rover, way(0.8, 0.0), way(0.8, 0.0)).passes_from(0.30 + 0.08 + 0.16);
    Case::of(strong, way(0.8, 0.0), way(0.8, 0.0)).passes_from(0.30 + 0.08 + 0.064);
    // It still does 0.8 m/s when less is wanted.
    Case::of(rover, way(0.8, 0.0), way(0.2, 0.0)).passes_from(0.30 + 0.08 + 0.16);
    let holonomic = BodyDescriptor::holonomic();
    Case::of(holonomic, way(0.48, 0.64), way(0.48, 0.64)).passes_from(0.30 + 0.6 * (0.08 + 0.16));
    // 0.672 m/s of what it does go the wanted way.
    let along = 0.1 * 0.672 + 0.672 * 0.672 / 4.0;
    Case::of(holonomic, way(0.3, 0.72), way(0.24, 0.18)).passes_from(0.30 + 0.8 * along);
    Case::of(agile(holonomic), way(0.0, 0.5), way(0.4, 0.0)).passes_from(0.30 + 0.04 + 0.04);
    // It drifts to the border faster than is wanted, and stops from that drift.
    let drift = 0.1 * 0.61_f64.sqrt() + 0.61 / 4.0;
    Case::of(agile(holonomic), way(0.6, -0.5), way(0.18, 0.24)).passes_from(0.30 + 0.6 / 0.61_f64.sqrt() * drift);
}

#[test]
fn an_uncertain_or_older_pose_keeps_it_farther_from_the_fence() {
    let moving = Case::of(BodyDescriptor::rover(), way(0.8, 0.0), way(0.8, 0.0));
    let (way_length, still) = (0.30 + 0.24, way(0.0, 0.0));
    Case { std: 0.1, ..moving }.passes_from(way_length + 0.2);
    Case { std: 0.5, ..moving }.passes_from(way_length + 1.0);
    // It has moved on since the estimate, and may have sped up or braked by 2 m/s².
    Case { age: ms(200), ..moving }.passes_from(way_length + 0.16 + 0.04);
    Case { age: ms(500), std: 0.1, ..moving }.passes_from(way_length + 0.4 + 0.25 + 0.2);
    let mut quick = BodyDescriptor::rover();
    (quick.acceleration_max.0, quick.speed_max.0) = (6.0, 0.9);
    Case { body: quick, age: ms(200), ..moving }.passes_from(way_length + 0.16 + 0.12);
    // Never more than twice its top speed apart.
    Case { body: quick, age: ms(490), ..moving }.passes_from(way_length + 0.392 + 0.5 * 6.0 * 0.49 * 0.49);
    quick.acceleration_max.0 = 30.0;
    Case { body: quick, age: ms(400), ..moving }.passes_from(way_length + 0.32 + 0.72);
    Case { body: quick, age: ms(400), measured: still, ..moving }.passes_from(way_length + 0.72);
    let older = Case { age: ms(501), ..moving };
    assert_eq!(older.at(50.0).0, FenceVerdict::PoseUnknown);
}

#[test]
fn the_highest_share_of_the_speed_that_ends_inside_is_taken() {
    let length = |speed: f64| 0.1 * speed + speed * speed / 4.0;
    let case = Case::of(agile(BodyDescriptor::rover()), way(0.0, 0.0), way(1.0, 0.0));
    let shares = [0.8, 0.6, 0.45, 0.3, 0.2, 0.1];
    for (number, share) in shares.into_iter().enumerate() {
        let (verdict, twist) = case.at(0.30 + length(share) + BARELY);
        assert_eq!((verdict, twist), (FenceVerdict::Slowed(share), way(share, 0.0)));
        let (verdict, twist) = case.at(0.30 + length(share) - BARELY);
        let next = shares.get(number + 1).map_or(FenceVerdict::Refused, |next| FenceVerdict::Slowed(*next));
        assert_eq!((verdict, twist), (next, way(shares.get(number + 1).copied().unwrap_or(0.0), 0.0)));
    }
    let turning = Case { wanted: Twist { yaw_rate: 0.7, ..case.wanted }, ..case };
    assert_eq!(turning.at(0.30), (FenceVerdict::Slowed(0.0), Twist { yaw_rate: 0.7, ..Twist::ZERO }));
    // A tenth of 0.04 m/s is no motion; a fifth of it is.
    let slow = Case { wanted: way(0.04, 0.0), ..case };
    assert_eq!(slow.at(0.30 + length(0.004) + BARELY), (FenceVerdict::Refused, Twist::ZERO));
    assert_eq!(slow.at(0.30 + length(0.008) + BARELY), (FenceVerdict::Slowed(0.2), way(0.008, 0.0)));
}

/// Whether the way passes whole, from this distance, with this share of it leading to the border.
fn passes_leading(distance: f64, std: f64, share: f64) -> bool {
    let moving = way(0.5 * share, 0.5 * (1.0 - share * share).sqrt());
    let case = Case { std, ..Case::of(BodyDescriptor::holonomic(), moving, moving) };
    case.at(distance).0 == FenceVerdict::Clear
}

#[test]
fn near_the_fence_it_may_go_along_it_and_outside_only_back_in() {
    // 0.1125 m long; footprint and margin take 0.5 m.
    for (distance, std, share, passes) in [
        (0.40, 0.1, 0.019, true),
        (0.40, 0.1, 0.021, false),
        (0.40, 0.1, -0.5, true),
        // A footprint that is inside stays inside.
        (0.251, 0.1, 0.008, true),
        (0.251, 0.1, 0.010, false),
        // Outside, a tenth of the way leads back in.
        (0.05, 0.1, -0.11, true),
        (0.05, 0.1, -0.09, false),
        (-0.30, 0.0, -0.11, true),
        (-0.30, 0.0, -0.09, false),
        // Or a tenth of what is missing.
        (0.24, 0.0, -0.0095, true),
        (0.24, 0.0, -0.0080, false),
    ] {
        assert_eq!(passes_leading(distance, std, share), passes, "{distance} {share}");
    }
}

#[test]
fn what_would_leave_the_fence_is_reckoned_with_the_time_and_the_braking() {
    let mut strong = BodyDescriptor::rover();
    strong.braking_max.0 = 5.0;
    for (body, speed, span, length) in
        [(BodyDescriptor::rover(), 0.8, 500, 0.4 + 0.16), (strong, 0.8, 500, 0.4 + 0.064), (strong, 0.5, 0, 0.025)]
    {
        for (distance, leaves) in [(0.25 + length + BARELY, false), (0.25 + length - BARELY, true)] {
            let at = Pose::new(2.0 - distance, 3.0, 0.0);
            assert_eq!(border().would_leave(&body, &at, &way(speed, 0.0), ms(span)), leaves, "{speed} {span}");
        }
    }
    let nowhere = Pose::new(f64::NAN, 0.0, 0.0);
    assert!(border().would_leave(&strong, &nowhere, &way(0.0, 0.0), ms(0)));
}

#[test]
fn a_small_hole_beside_the_middle_of_the_way_is_not_stepped_over() {
    let ring = |x: f64, y: f64, half: f64| {
        let corners = [(-half, -half), (half, -half), (half, half), (-half, half)];
        corners.map(|(dx, dy)| Point::new(x + dx, y + dy)).to_vec()
    };
    for (ahead, aside, leaves) in [(0.8, 0.2, true), (0.8, -0.2, true), (0.4, 0.245, true), (0.8, 0.27, false)] {
        let fence = Fence::from(Polygon::new(ring(0.0, 0.0, 9.0), vec![ring(ahead, aside, 0.01)]).unwrap());
        for speed in [0.5, 1.0] {
            let span = Duration::from_secs_f64(1.6 / speed);
            let would = fence.would_leave(&BodyDescriptor::rover(), &Pose::default(), &way(speed, 0.0), span);
            assert_eq!(would, leaves, "{ahead} {aside} at {speed}");
        }
    }
}

#[test]
fn speed_builds_up_from_what_it_does_or_was_told_whichever_is_faster() {
    let passed = |measured: f64, age_ms: u64, told: f64, wanted: f64| {
        let mut bench = Bench::new(BodyDescriptor::holonomic(), Fence::unbounded());
        bench.show(|frame| frame.twist = way(told, told));
        bench.follow(NOW, way(told, told));
        bench.show(|frame| (frame.twist, frame.at) = (way(measured, measured), NOW + ms(10) - ms(age_ms)));
        bench.follow(NOW + ms(10), way(wanted, wanted))
    };
    for (measured, age_ms, told, wanted, vx) in [
        (0.2, 0, 0.0, 0.5, 0.21),
        (0.2, 50, 0.0, 0.5, 0.21),
        (0.2, 51, 0.0, 0.5, 0.01),
        (0.2, 0, 0.3, 0.5, 0.31),
        (-0.2, 0, 0.0, -0.5, -0.21),
        (-0.2, 0, -0.3, -0.5, -0.31),
        (-0.2, 0, 0.0, 0.5, 0.01),
        (0.2, 0, 0.3, -0.5, -0.01),
        (0.2, 0, 0.3, 0.1, 0.1),
        (0.4, 0, 0.3, 0.305, 0.305),
    ] {
        let twist = passed(measured, age_ms, told, wanted);
        assert!((twist.vx - vx).abs() < 1e-9 && (twist.vy - vx).abs() < 1e-9, "{measured} {told} {wanted}: {twist:?}");
    }
    let mut flier = Bench::new(BodyDescriptor::multirotor(), Fence::unbounded());
    flier.follow(NOW, Twist::ZERO);
    let up = Twist { vz: 1.0, ..Twist::ZERO };
    assert!((flier.follow(NOW + ms(20), up).vz - 0.06).abs() < 1e-9);
    assert!((flier.follow(NOW + ms(40), up).vz - 0.12).abs() < 1e-9);
    assert!((flier.follow(NOW + ms(9_000), up).vz - 0.15).abs() < 1e-9, "from standing, and at most 0.05 s count");
}

#[test]
fn a_measured_velocity_that_is_no_number_leaves_the_last_one_in_force() {
    let mut bench = Bench::new(BodyDescriptor::rover(), Fence::unbounded());
    bench.show(|frame| frame.twist = way(0.4, 0.0));
    bench.safe.sense(NOW).unwrap();
    bench.show(|frame| frame.twist = way(f64::NAN, 0.0));
    let twist = bench.follow(NOW + ms(10), way(0.4, 0.0));
    assert_eq!(twist, way(0.4, 0.0));
}

#[test]
fn only_what_the_drive_can_do_passes_and_a_limit_scales_the_whole() {
    let all = |vx, vy, vz, yaw_rate| Twist { vx, vy, vz, yaw_rate };
    let (rover, holonomic, flier) =
        (BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::multirotor());
    for (body, wanted, passes) in [
        (rover, all(0.5, 0.4, 0.3, 0.2), all(0.5, 0.0, 0.0, 0.2)),
        (holonomic, all(0.5, 0.4, 0.3, 0.2), all(0.5, 0.4, 0.0, 0.2)),
        (flier, all(0.5, 0.4, 0.3, 0.2), all(0.5, 0.4, 0.3, 0.2)),
        (rover, all(2.0, 0.0, 0.0, 1.0), all(1.0, 0.0, 0.0, 0.5)),
        (rover, all(0.8, 0.0, 0.0, -4.0), all(0.4, 0.0, 0.0, -2.0)),
        (flier, all(0.8, 0.0, -2.0, 0.4), all(0.4, 0.0, -1.0, 0.2)),
        (flier, all(3.6, 4.8, 0.0, 0.4), all(1.8, 2.4, 0.0, 0.2)),
    ] {
        let mut bench = Bench::new(agile(body), Fence::unbounded());
        assert_eq!(bench.follow(NOW, wanted), passes, "{wanted:?}");
        assert_eq!(bench.last().sequence, 7);
    }
}

#[test]
fn an_estimate_of_the_future_is_no_pose_beyond_fifty_milliseconds() {
    for (ahead, verdict) in [(50, FenceVerdict::Clear), (51, FenceVerdict::PoseUnknown)] {
        let mut bench = Bench::new(BodyDescriptor::rover(), border());
        bench.show(|frame| frame.estimate.at = NOW + ms(ahead));
        bench.safe.sense(NOW).unwrap();
        bench.order(NOW, way(0.04, 0.0)).unwrap();
        assert_eq!(bench.safe.verdict(), verdict);
    }
    let mut bench = Bench::new(BodyDescriptor::rover(), border());
    bench.show(|frame| frame.estimate.pose = Pose::new(f64::INFINITY, 0.0, 0.0));
    bench.safe.sense(NOW).unwrap();
    bench.order(NOW, way(0.04, 0.0)).unwrap();
    assert_eq!(bench.safe.verdict(), FenceVerdict::PoseUnknown);
    assert_eq!(*bench.safe.fence(), border());
}

#[test]
fn a_power_cut_and_a_landing_are_passed_on_with_their_own_figures() {
    let old = NOW - ms(900);
    let frame = |mode| ActuatorFrame { at: old, sequence: 9, mode, twist: way(0.5, 0.0) };
    let mut bench = Bench::new(BodyDescriptor::multirotor(), Fence::unbounded());
    bench.safe.actuate(NOW, &frame(DriveMode::Land)).unwrap();
    assert_eq!(bench.last(), ActuatorFrame { twist: Twist::ZERO, ..frame(DriveMode::Land) });
    for mode in [DriveMode::CutPower, DriveMode::Follow] {
        bench.safe.actuate(NOW, &frame(mode)).unwrap();
        let cut = ActuatorFrame { at: NOW, mode: DriveMode::CutPower, twist: Twist::ZERO, sequence: 9 };
        assert_eq!(bench.last(), cut, "a cut is never too old");
    }
}

#[test]
fn a_motion_that_the_body_refuses_is_halted_and_its_reason_told() {
    let mut bench = Bench::new(BodyDescriptor::rover(), Fence::unbounded());
    bench.refuses.borrow_mut().push(DriveMode::Follow);
    assert_eq!(bench.order(NOW, way(0.04, 0.0)), Err(BodyError::Refused(Unable::NotReady)));
    assert_eq!(bench.last().mode, DriveMode::Halt);
    let told = bench.told.borrow().len();
    bench.safe.watch(NOW + ms(900)).unwrap();
    assert_eq!(bench.told.borrow().len(), told, "it halts already");
}

#[test]
fn a_late_command_tells_its_age_and_an_older_halt_starts_from_standing() {
    let mut bench = Bench::new(BodyDescriptor::rover(), Fence::unbounded());
    bench.follow(NOW, way(0.04, 0.0));
    for at in [NOW - ms(51), NOW + ms(51)] {
        let late = ActuatorFrame { at, sequence: 1, mode: DriveMode::Follow, twist: way(0.04, 0.0) };
        let error = BodyError::Late { age: ms(51), limit: ms(50) };
        assert_eq!(bench.safe.actuate(NOW, &late), Err(error));
    }
    let twist = bench.follow(NOW + ms(10), way(0.5, 0.0));
    assert!((twist.vx - 0.01).abs() < 1e-9, "after a halt speed builds up from nothing: {twist:?}");
    for mode in [DriveMode::Halt, DriveMode::Land] {
        let frame = ActuatorFrame { at: NOW + ms(10), sequence: 2, mode, twist: Twist::ZERO };
        bench.safe.actuate(NOW + ms(10), &frame).unwrap();
        let told = bench.told.borrow().len();
        bench.safe.watch(NOW + ms(500)).unwrap();
        assert_eq!(bench.told.borrow().len(), told, "silence after {mode:?} needs no halt");
        let twist = bench.follow(NOW + ms(20), way(0.5, 0.0));
        assert!((twist.vx - 0.01).abs() < 0.011, "{twist:?}");
        bench.follow(NOW + ms(10), Twist::ZERO);
    }
}

#[test]
fn a_point_as_high_as_a_corner_is_inside_or_outside_like_its_neighbours() {
    let corners = [(2.0, 0.0), (0.0, 2.0), (-2.0, 0.0), (0.0, -2.0)].map(|(x, y)| Point::new(x, y));
    let diamond = Fence::from(Polygon::new(corners.to_vec(), Vec::new()).unwrap());
    for (x, y, inside) in [(0.0, 0.0, true), (1.5, 0.0, true), (-3.0, 0.0, false), (3.0, 0.0, false)] {
        assert_eq!(diamond.clearance(Point::new(x, y)) > 0.0, inside, "{x} {y}");
    }
    for (x, y) in [(-1.0, 2.0), (-1.0, -2.0)] {
        assert!(diamond.clearance(Point::new(x, y)) < 0.0, "{x} {y}");
    }
}
