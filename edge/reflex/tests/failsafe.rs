//! The failsafe table as it is seen from outside: every cause, brought about on every kind of body, has its action.

mod common;

use common::TICK;
use common::bench::{Bench, halted_for};
use core::time::Duration;
use skein_reflex::ReflexOutput;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::failsafe::{Action, Detector, Ends, row};
use skein_types::geometry::{Point, Twist};
use skein_types::motion::{DriveMode, Setpoint};
use skein_types::safety::{Cause, Causes, FailsafeLevel, HazardDisc, Latch, PeerDisc};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond, Percent, Radians};

type Bend = fn(MonoTime, &mut SensorFrame, &mut Setpoint);

/// How a cause is brought about, and ended again.
struct Scenario {
    begin: fn(&mut Bench),
    end: fn(&mut Bench),
    /// Applied to frame and setpoint of each tick while it lasts.
    bend: Bend,
    /// Ticks until the action is complete.
    ticks: usize,
    /// A motion that leads away from the cause.
    away: Twist,
}

const BACK: Twist = Twist { vx: -0.2, vy: 0.0, vz: 0.0, yaw_rate: 0.0 };
const AHEAD: std::ops::Range<usize> = 340..381;

impl Scenario {
    fn of(begin: fn(&mut Bench), end: fn(&mut Bench)) -> Self {
        Self { begin, end, bend: |_, _, _| {}, ticks: 1, away: BACK }
    }

    fn bent(bend: Bend) -> Self {
        Self { bend, ..Self::of(|_| {}, |_| {}) }
    }
}

fn all_clear(bench: &mut Bench) {
    bench.see(AHEAD, f32::INFINITY);
    (bench.surroundings.peers[0], bench.surroundings.hazards[0]) = (None, None);
    bench.surroundings.causes = Causes::NONE;
}

fn peer_at(bench: &mut Bench, x: f64) {
    let position = Point::new(x, 0.0);
    bench.surroundings.peers[0] =
        Some(PeerDisc { position, velocity: Point::default(), radius: Meters(0.25), at: bench.now });
}

fn hazard_at(bench: &mut Bench, x: f64) {
    let position = Point::new(x, 0.0);
    bench.surroundings.hazards[0] = Some(HazardDisc { position, radius: Meters(0.3), valid_until: MonoTime::MAX });
}

/// One for each cause: the compiler asks for the next.
fn scenario(cause: Cause) -> Scenario {
    match cause {
        Cause::ObstacleAvoid => Scenario::of(|b| b.see(AHEAD, 0.385), all_clear),
        Cause::ObstacleStop => Scenario::of(|b| b.see(AHEAD, 0.30), all_clear),
        Cause::PeerClose => Scenario::of(|b| peer_at(b, 0.70), all_clear),
        Cause::PeerStop => Scenario::of(|b| peer_at(b, 0.66), all_clear),
        Cause::HazardClose => Scenario::of(|b| hazard_at(b, 0.63), all_clear),
        Cause::Hazard => Scenario::of(|b| hazard_at(b, 0.59), all_clear),
        Cause::Fence => Scenario::of(|b| b.surroundings.causes.insert(Cause::Fence), all_clear),
        Cause::CloudLost => Scenario::of(|b| b.surroundings.causes.insert(Cause::CloudLost), all_clear),
        Cause::MeshLost => Scenario::of(|b| b.surroundings.causes.insert(Cause::MeshLost), all_clear),
        Cause::DeadMan => Scenario::bent(|now, _, s| s.valid_until = now - TICK),
        Cause::StaleScan => Scenario::bent(|now, f, _| f.scan.at = now - Duration::from_millis(301)),
        Cause::StalePose => Scenario::bent(|now, f, _| f.estimate.at = now - Duration::from_millis(501)),
        Cause::StaleFrame => Scenario::bent(|now, f, _| f.at = now - Duration::from_millis(51)),
        Cause::SensorFault => Scenario::bent(|_, f, _| f.odometry.heading = f64::NAN),
        Cause::OverSpeed => Scenario::bent(|_, f, _| f.twist.yaw_rate = 2.41),
        Cause::SetpointClamped => Scenario::bent(|_, _, s| s.twist.vx = 9.0),
        Cause::LateTick => Scenario::of(|b| b.now = b.now + TICK * 2, |_| {}),
        Cause::Cliff => Scenario::bent(|_, f, _| f.cliff[0] = true),
        Cause::Bumper => Scenario::bent(|_, f, _| f.bumper = true),
        Cause::Tilt => Scenario { ticks: 12, ..Scenario::bent(|_, f, _| f.tilt = Radians(1.4)) },
        Cause::PowerLoss => Scenario::bent(|_, f, _| f.motors_powered = false),
        Cause::EmergencyStop => Scenario::bent(|_, f, _| f.emergency_stop = true),
        Cause::OperatorStop => Scenario::of(|b| b.latch(Latch::Stop), |_| {}),
        Cause::OperatorKill => Scenario::of(|b| b.latch(Latch::Kill), |_| {}),
        Cause::BatteryLow => {
            Scenario::of(|b| b.frame.battery.charge = Percent(20.0), |b| b.frame.battery.charge = Percent(25.0))
        }
        Cause::BatteryCritical => {
            Scenario::of(|b| b.frame.battery.charge = Percent(3.0), |b| b.frame.battery.charge = Percent(25.0))
        }
    }
}

/// A body that drives slowly ahead, in the air when it flies.
fn driving(drive: Drive) -> Bench {
    let mut bench = Bench::of(match drive {
        Drive::Differential => BodyDescriptor::rover(),
        Drive::Holonomic => BodyDescriptor::holonomic(),
        Drive::Multirotor => BodyDescriptor::multirotor(),
    });
    bench.setpoint.twist = Twist::planar(0.4, 0.0);
    bench.setpoint.speed_limit = MetersPerSecond(0.4);
    assert!(bench.follows());
    bench
}

fn last_of(bench: &mut Bench, scenario: &Scenario) -> ReflexOutput {
    let mut last = bench.tick_with(scenario.bend);
    for _ in 1..scenario.ticks {
        last = bench.tick_with(scenario.bend);
    }
    last
}

/// What the reflex does about one cause, told from its outputs alone.
fn action_of(drive: Drive, cause: Cause) -> (Option<Action>, Bench) {
    let scenario = scenario(cause);
    let mut bench = driving(drive);
    (scenario.begin)(&mut bench);
    let output = last_of(&mut bench, &scenario);
    assert!(output.report.causes.contains(cause), "{cause:?} on {drive:?}: {:?}", output.report);
    let asked = bench.setpoint.twist;
    bench.setpoint.twist = scenario.away;
    let leaves = bench.tick_with(scenario.bend).actuators.mode == DriveMode::Follow;
    bench.setpoint.twist = asked;
    bench.tick_with(scenario.bend);
    (scenario.end)(&mut bench);
    let goes_on = bench.follows();
    let action = match (output.actuators.mode, output.report.level) {
        (DriveMode::CutPower, _) if !goes_on => Some(Action::CutPower),
        (DriveMode::Land, _) if !goes_on => Some(Action::Land),
        (DriveMode::Halt, _) if leaves => Some(Action::Block),
        (DriveMode::Halt, _) if goes_on => Some(Action::Hold),
        (DriveMode::Halt, _) => Some(Action::Stop),
        (DriveMode::Follow, FailsafeLevel::Return) => Some(Action::Return),
        (DriveMode::Follow, _) if output.actuators.twist.vx < asked.vx => Some(Action::Slow),
        (DriveMode::Follow, _) => Some(Action::Warn),
        (DriveMode::CutPower | DriveMode::Land, _) => None,
    };
    assert_eq!(action.map(Action::level), Some(output.report.level), "{cause:?} on {drive:?}");
    (action, bench)
}

const DRIVES: [Drive; 3] = [Drive::Differential, Drive::Holonomic, Drive::Multirotor];

#[test]
fn every_cause_has_the_action_of_its_row() {
    for drive in DRIVES {
        for cause in Cause::ALL.iter().copied().filter(|cause| row(*cause).detector != Detector::Envelope) {
            assert_eq!(action_of(drive, cause).0, Some(cause.action(drive)), "{cause:?} on {drive:?}");
        }
    }
}

#[test]
fn the_envelopes_cause_is_reported_and_left_to_the_envelope() {
    for drive in DRIVES {
        let mut bench = driving(drive);
        bench.surroundings.causes = Causes::NONE.with(Cause::Fence).with(Cause::ObstacleStop);
        let output = bench.tick();
        assert_eq!((output.actuators.mode, output.report.causes), (DriveMode::Follow, Causes::NONE.with(Cause::Fence)));
        assert_eq!(output.report.level, Cause::Fence.action(drive).level());
    }
}

#[test]
fn what_a_release_ends_lasts_until_the_release() {
    for drive in DRIVES {
        for cause in Cause::ALL.iter().copied().filter(|cause| row(*cause).ends == Ends::Release) {
            let (_, mut bench) = action_of(drive, cause);
            bench.frame.on_ground = true;
            for _ in 0..50 {
                assert!(!bench.follows(), "{cause:?} on {drive:?}");
            }
            bench.latch(Latch::Stop);
            bench.tick();
            bench.latch(Latch::Released);
            bench.tick();
            bench.wait_for_power();
            assert!(bench.follows(), "{cause:?} on {drive:?}");
        }
    }
}

#[test]
fn a_charge_that_recovers_a_little_changes_nothing() {
    for (cause, enter, leave) in [(Cause::BatteryLow, 20.0, 25.0), (Cause::BatteryCritical, 3.0, 8.0)] {
        let mut bench = Bench::new();
        let mut holds = |charge: f64, charging: bool| {
            (bench.frame.battery.charge, bench.frame.battery.charging) = (Percent(charge), charging);
            bench.tick().report.causes.contains(cause)
        };
        assert!(!holds(enter + 0.01, false));
        assert!(holds(enter, false));
        assert!(holds(enter + 0.01, false) && holds(leave - 0.01, false));
        assert!(!holds(leave, false) && !holds(enter + 0.01, false));
        assert!(holds(f64::NAN, false), "no charge that can be read counts as none");
        assert!(!holds(enter, true), "on the charger it ends");
        assert!(!holds(enter + 0.01, false));
    }
}

#[test]
fn a_charge_in_a_frame_that_cannot_be_trusted_changes_nothing() {
    let mut bench = Bench::new();
    bench.tick_with(|now, frame, _| {
        (frame.at, frame.battery.charge) = (now - Duration::from_millis(51), Percent(1.0));
    });
    assert!(bench.follows());
}

#[test]
fn landing_goes_on_to_the_ground_though_its_cause_ends() {
    let mut bench = Bench::of(BodyDescriptor::multirotor());
    bench.frame.battery.charge = Percent(2.9);
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.actuators.twist), (DriveMode::Land, Twist::ZERO));
    assert_eq!(output.report.level, FailsafeLevel::Land);
    bench.frame.battery.charge = Percent(9.0);
    for _ in 0..100 {
        let output = bench.tick();
        assert_eq!(output.actuators.mode, DriveMode::Land);
        assert!(output.report.causes.contains(Cause::BatteryCritical), "what it lands for is still reported");
    }
    // A frame that cannot be trusted shows no ground.
    let untrusted = |now, frame: &mut SensorFrame, _: &mut Setpoint| {
        (frame.at, frame.on_ground) = (now - Duration::from_millis(51), true);
    };
    assert_eq!(bench.tick_with(untrusted).actuators.mode, DriveMode::Land);
    assert_eq!(bench.tick().actuators.mode, DriveMode::Land);
    bench.frame.on_ground = true;
    assert!(bench.follows());
}

#[test]
fn on_the_ground_it_stays_landed_while_its_cause_lasts() {
    let mut bench = Bench::of(BodyDescriptor::multirotor());
    (bench.frame.battery.charge, bench.frame.on_ground) = (Percent(2.0), true);
    for charge in [2.0, 3.5, 7.9] {
        bench.frame.battery.charge = Percent(charge);
        assert_eq!(bench.tick().actuators.mode, DriveMode::Land);
    }
    bench.frame.battery.charge = Percent(8.0);
    assert!(bench.follows());
}

#[test]
fn landing_goes_on_under_stop_and_ends_under_kill() {
    let mut bench = Bench::of(BodyDescriptor::multirotor());
    bench.frame.battery.charge = Percent(2.0);
    bench.latch(Latch::Stop);
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.report.level), (DriveMode::Land, FailsafeLevel::Stop));
    bench.latch(Latch::Kill);
    assert_eq!(bench.tick().actuators.mode, DriveMode::CutPower);
}

#[test]
fn what_lands_for_two_causes_reports_both_to_the_ground() {
    let mut bench = Bench::of(BodyDescriptor::multirotor());
    bench.frame.battery.charge = Percent(2.0);
    bench.tick();
    (bench.frame.battery.charge, bench.frame.emergency_stop) = (Percent(50.0), true);
    bench.tick();
    let causes = bench.tick().report.causes;
    assert!(causes.contains(Cause::BatteryCritical) && causes.contains(Cause::EmergencyStop));
}

#[test]
fn a_multirotor_that_brakes_hard_has_not_tipped_over() {
    // Braking with 4 m/s² tilts by atan(4 / 9.81) = 0.387 rad.
    let mut bench = Bench::of(BodyDescriptor::multirotor());
    for tilt in [0.387, 0.45, 0.70, 0.73] {
        bench.frame.tilt = Radians(tilt);
        for _ in 0..30 {
            assert!(bench.follows(), "{tilt}");
        }
    }
    bench.frame.tilt = Radians(0.75);
    let output = bench.tick();
    assert_eq!(output.actuators.mode, DriveMode::Halt, "at first it hovers");
    for _ in 0..12 {
        bench.tick();
    }
    assert_eq!(bench.tick().actuators.mode, DriveMode::Land);
}

#[test]
fn vertical_speed_is_bounded_and_checked() {
    let mut bench = Bench::of(BodyDescriptor::multirotor());
    bench.setpoint.twist = Twist { vz: 3.0, ..Twist::ZERO };
    let output = bench.tick();
    assert_eq!(output.actuators.twist, Twist { vz: 1.0, ..Twist::ZERO });
    assert_eq!(output.report.causes, Causes::NONE.with(Cause::SetpointClamped));
    bench.setpoint.twist = Twist { vx: 0.5, vz: -2.0, ..Twist::ZERO };
    assert_eq!(bench.tick().actuators.twist, Twist { vx: 0.25, vz: -1.0, ..Twist::ZERO });
    for (vz, holds) in [(1.19, false), (-1.19, false), (1.21, true), (-1.21, true)] {
        bench.frame.twist.vz = vz;
        assert_eq!(bench.tick().report.causes.contains(Cause::OverSpeed), holds, "{vz}");
    }
    // On wheels a ramp shows as vertical speed, and is none.
    let mut rover = Bench::new();
    rover.frame.twist.vz = 0.5;
    assert!(rover.follows());
}

#[test]
fn a_rover_with_an_empty_battery_stands() {
    let mut bench = Bench::new();
    bench.frame.battery.charge = Percent(3.0);
    let output = bench.tick();
    halted_for(&output, Cause::BatteryCritical);
    assert_eq!(output.report.level, FailsafeLevel::Hold);
}
