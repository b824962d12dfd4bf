//! Every cause of the ladder: what brings it, what it does, what ends it.

mod common;

use common::bench::{Bench, halted_for};
use common::{Place, Run, TICK};
use core::time::Duration;
use skein_reflex::{Reflex, ReflexConfig, ReflexOutput};
use skein_types::authority::LatchView;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::motion::{DriveMode, Setpoint};
use skein_types::safety::{Cause, Causes, FailsafeLevel, HazardDisc, PeerDisc, Surroundings};
use skein_types::sensing::{BEAMS, Battery, PoseEstimate, Scan, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond, Percent, Radians};

#[test]
fn with_all_well_it_passes_the_setpoint_on_and_reports_nothing() {
    let mut bench = Bench::new();
    let output = bench.tick();
    assert_eq!(output.actuators.twist, Twist::planar(0.8, 0.0));
    assert_eq!((output.actuators.mode, output.actuators.at), (DriveMode::Follow, bench.now));
    assert_eq!((output.report.level, output.report.causes), (FailsafeLevel::None, Causes::NONE));
    assert_eq!(output.report.clear_distance.0, f64::INFINITY);
    assert_eq!((output.report.stop_distance.0, output.report.speed_allowed.0), (0.5, 1.0));
    assert_eq!((output.report.sequence, output.report.missed_ticks), (1, 0));
    assert_eq!(bench.tick().actuators.sequence, 2);
}

type Bend = fn(MonoTime, &mut SensorFrame, &mut Setpoint);

#[test]
fn what_is_stale_or_broken_halts_and_what_is_just_good_enough_does_not() {
    let bad: [(Cause, Bend); 21] = [
        (Cause::DeadMan, |now, _, s| s.valid_until = now - Duration::from_nanos(1)),
        (Cause::DeadMan, |now, _, s| s.at = now - Duration::from_millis(101)),
        (Cause::DeadMan, |now, _, s| s.at = now + Duration::from_millis(21)),
        (Cause::DeadMan, |_, _, s| s.twist.yaw_rate = f64::NAN),
        (Cause::DeadMan, |_, _, s| s.twist.vx = f64::INFINITY),
        (Cause::StaleFrame, |now, f, _| f.at = now - Duration::from_millis(51)),
        (Cause::StaleScan, |now, f, _| f.scan.at = now - Duration::from_millis(301)),
        (Cause::StalePose, |now, f, _| f.estimate.at = now - Duration::from_millis(501)),
        (Cause::StalePose, |_, f, _| f.estimate.position_std = Meters(0.51)),
        (Cause::StalePose, |_, f, _| f.estimate.position_std = Meters(f64::NAN)),
        (Cause::SensorFault, |_, f, _| f.twist.vx = f64::NAN),
        (Cause::SensorFault, |_, f, _| f.odometry.heading = f64::INFINITY),
        (Cause::SensorFault, |_, f, _| f.estimate.pose.position.x = f64::NAN),
        (Cause::SensorFault, |_, f, _| f.tilt = Radians(f64::NAN)),
        (Cause::SensorFault, |now, f, _| f.at = now + Duration::from_millis(21)),
        (Cause::SensorFault, |now, f, _| f.scan.at = now + Duration::from_millis(21)),
        (Cause::OverSpeed, |_, f, _| f.twist.vx = 1.21),
        (Cause::OverSpeed, |_, f, _| f.twist.yaw_rate = -2.41),
        (Cause::Tilt, |_, f, _| f.tilt = Radians(-0.36)),
        (Cause::BatteryCritical, |_, f, _| f.battery.charge = Percent(3.0)),
        (Cause::BatteryCritical, |_, f, _| f.battery.charge = Percent(f64::NAN)),
    ];
    for (cause, bend) in bad {
        let mut bench = Bench::new();
        assert!(bench.follows());
        halted_for(&bench.tick_with(bend), cause);
        assert!(bench.follows(), "{cause:?} does not end with its reason");
    }
    let good: [Bend; 11] = [
        |now, _, s| s.valid_until = now,
        |now, _, s| s.at = now - Duration::from_millis(100),
        |now, _, s| s.at = now + Duration::from_millis(20),
        |now, f, _| f.at = now - Duration::from_millis(50),
        |now, f, _| f.scan.at = now - Duration::from_millis(300),
        |now, f, _| f.estimate.at = now - Duration::from_millis(500),
        |_, f, _| f.estimate.position_std = Meters(0.5),
        |_, f, _| f.twist.vx = 1.19,
        |_, f, _| f.twist.yaw_rate = 2.39,
        |_, f, _| f.tilt = Radians(0.34),
        |_, f, _| f.battery = Battery { charge: Percent(1.0), charging: true },
    ];
    for (i, bend) in good.into_iter().enumerate() {
        let output = Bench::new().tick_with(bend);
        assert_eq!(output.actuators.mode, DriveMode::Follow, "good {i}: {:?}", output.report);
        assert!(output.report.causes.is_empty(), "good {i}");
    }
}

#[test]
fn it_stands_within_one_tick_of_the_end_of_a_setpoint_and_goes_on_with_a_fresh_one() {
    let mut bench = Bench::new();
    let given = bench.now;
    let mut stood_after = None;
    for _ in 0..20 {
        let output = bench.tick_with(|_, _, s| (s.at, s.valid_until) = (given, given + TICK * 10));
        if output.actuators.mode == DriveMode::Halt {
            stood_after = Some(bench.now.since(given));
            halted_for(&output, Cause::DeadMan);
            break;
        }
    }
    assert_eq!(stood_after, Some(Duration::from_millis(110)));
    assert!(bench.follows());
}

#[test]
fn the_floor_missing_on_a_side_forbids_only_the_ways_to_that_side() {
    let [front, left, rear, right] = [0, 1, 2, 3];
    let way = |vx, vy, yaw_rate| Twist { vx, vy, vz: 0.0, yaw_rate };
    for (side, twist, free) in [
        (front, way(0.3, 0.0, 0.0), false),
        (front, way(-0.3, 0.0, 0.0), true),
        (front, way(0.0, 0.0, 1.0), true),
        (front, way(0.0, 0.3, 0.0), true),
        (rear, way(-0.3, 0.0, 0.0), false),
        (rear, way(0.3, 0.0, 0.0), true),
        (left, way(0.0, 0.3, 0.0), false),
        (left, way(0.0, -0.3, 0.0), true),
        (left, way(0.3, 0.0, 0.5), false),
        (left, way(0.3, 0.0, -0.5), true),
        (left, way(-0.3, 0.0, -0.5), false),
        (right, way(0.0, -0.3, 0.0), false),
        (right, way(0.0, 0.3, 0.0), true),
        (right, way(0.3, 0.0, -0.5), false),
        (right, way(0.3, 0.0, 0.5), true),
        (right, way(0.3, 0.0, 0.0), true),
    ] {
        let mut bench = Bench::of(BodyDescriptor::holonomic());
        bench.frame.cliff[side] = true;
        // In motion, so that it may not turn in place instead.
        bench.frame.twist = Twist { vx: 0.1, vy: 0.1, ..Twist::ZERO };
        bench.setpoint.twist = twist;
        let output = bench.tick();
        assert_eq!(output.report.causes.contains(Cause::Cliff), !free, "{side} {twist:?}");
        assert_eq!(output.actuators.mode == DriveMode::Follow, free, "{side} {twist:?}");
    }
}

#[test]
fn what_touches_the_bumper_is_only_left_slowly() {
    let mut bench = Bench::new();
    bench.frame.twist = Twist::planar(0.5, 0.0);
    bench.tick();
    bench.frame.bumper = true;
    halted_for(&bench.tick(), Cause::Bumper);
    bench.frame.twist = Twist::ZERO;
    halted_for(&bench.tick(), Cause::Bumper);
    bench.setpoint.twist = Twist::planar(-0.5, 0.0);
    let output = bench.tick();
    assert_eq!(output.actuators.twist, Twist::planar(-0.2, 0.0));
    assert!(output.report.causes.contains(Cause::Bumper));
    bench.frame.bumper = false;
    bench.setpoint.twist = Twist::planar(0.5, 0.0);
    assert!(bench.follows());
}

#[test]
fn touched_while_backing_up_it_may_go_forward() {
    let mut bench = Bench::new();
    bench.frame.twist = Twist::planar(-0.3, 0.0);
    bench.frame.bumper = true;
    bench.setpoint.twist = Twist::planar(-0.3, 0.0);
    halted_for(&bench.tick(), Cause::Bumper);
    bench.frame.twist = Twist::ZERO;
    bench.setpoint.twist = Twist::planar(0.3, 0.0);
    assert!(bench.follows());
}

#[test]
fn a_setpoint_beyond_the_limits_is_cut_down_on_its_own_path() {
    let mut bench = Bench::new();
    bench.setpoint.speed_limit = MetersPerSecond(0.5);
    bench.setpoint.twist = Twist::planar(1.0, 0.8);
    let output = bench.tick();
    assert_eq!(output.actuators.twist, Twist::planar(0.5, 0.4));
    assert_eq!(output.report.causes, Causes::NONE.with(Cause::SetpointClamped));
    bench.setpoint.twist = Twist { vx: 0.2, vy: 0.2, vz: 0.1, yaw_rate: 0.0 };
    assert_eq!(bench.tick().actuators.twist, Twist::planar(0.2, 0.0));
    bench.setpoint.twist = Twist::planar(0.1, 8.0);
    assert_eq!(bench.tick().actuators.twist, Twist::planar(0.025, 2.0));
    for nothing in [-1.0, 0.0, f64::NAN] {
        bench.setpoint.speed_limit = MetersPerSecond(nothing);
        bench.setpoint.twist = Twist::planar(0.4, 0.0);
        assert_eq!(bench.tick().actuators.twist.vx, 0.0, "{nothing}");
    }
}

#[test]
fn nearer_than_the_stop_distance_it_stops_and_nearer_than_the_avoid_distance_it_slows() {
    for (range, follows, causes) in [
        (0.74, false, Causes::NONE.with(Cause::ObstacleStop)),
        (0.77, true, Causes::NONE.with(Cause::ObstacleAvoid)),
        (1.24, true, Causes::NONE.with(Cause::ObstacleAvoid)),
        (1.27, true, Causes::NONE),
    ] {
        let mut bench = Bench::new();
        bench.see((340..360).chain(0..21), range);
        let output = bench.tick();
        assert_eq!(output.actuators.mode == DriveMode::Follow, follows, "{range}");
        assert_eq!(output.report.causes, causes, "{range}");
        assert!(range > 1.25 || (output.report.clear_distance.0 - (f64::from(range) - 0.25)).abs() < 1e-3);
        if range == 0.77 {
            assert!(output.actuators.twist.vx < 0.3, "{:?}", output.actuators);
        }
    }
}

#[test]
fn the_speed_limit_shrinks_the_stop_distance_down_to_the_margin() {
    for (limit, stop) in [(1.0, 0.5), (0.8, 0.32), (0.5, 0.125), (0.3, 0.1), (0.05, 0.1)] {
        let mut bench = Bench::new();
        bench.setpoint.speed_limit = MetersPerSecond(limit);
        assert!((bench.tick().report.stop_distance.0 - stop).abs() < 1e-9, "{limit}");
    }
}

#[test]
fn the_present_speed_lengthens_the_stop_distance() {
    let mut bench = Bench::new();
    bench.setpoint.speed_limit = MetersPerSecond(0.3);
    bench.frame.twist = Twist::planar(1.0, 0.0);
    let stop = bench.tick().report.stop_distance.0;
    assert!((stop - (0.25 + 0.04 + 0.1)).abs() < 1e-9, "{stop}");
    bench.frame.twist = Twist::planar(-1.0, 0.0);
    assert!((bench.tick().report.stop_distance.0 - 0.1).abs() < 1e-9);
}

#[test]
fn once_stopped_it_takes_more_room_to_go_on() {
    let mut bench = Bench::new();
    bench.see((340..360).chain(0..21), 0.74);
    assert!(!bench.follows());
    bench.see((340..360).chain(0..21), 0.77);
    assert!(!bench.follows());
    bench.see((340..360).chain(0..21), 0.82);
    assert!(bench.follows());
    bench.see((340..360).chain(0..21), 0.77);
    assert!(bench.follows());
}

#[test]
fn standing_before_an_obstacle_it_turns_and_backs_up_and_in_motion_it_does_neither_by_itself() {
    let mut bench = Bench::new();
    bench.see((340..360).chain(0..21), 0.4);
    bench.setpoint.twist = Twist::planar(0.5, 0.7);
    bench.frame.twist = Twist::planar(0.5, 0.0);
    halted_for(&bench.tick(), Cause::ObstacleStop);
    bench.frame.twist = Twist::ZERO;
    let output = bench.tick();
    assert_eq!((output.actuators.mode, output.actuators.twist), (DriveMode::Follow, Twist::planar(0.0, 0.7)));
    assert!(output.report.causes.contains(Cause::ObstacleStop));
    bench.setpoint.twist = Twist::planar(-0.5, 0.0);
    let output = bench.tick();
    assert_eq!((output.actuators.twist, output.report.causes), (Twist::planar(-0.5, 0.0), Causes::NONE));
}

#[test]
fn what_lies_on_the_present_motion_stops_it_though_the_wanted_one_would_pass() {
    let mut bench = Bench::new();
    bench.setpoint.speed_limit = MetersPerSecond(0.3);
    bench.see((25..36).map(|beam| 360 - beam), 0.42);
    bench.setpoint.twist = Twist::planar(0.3, 1.5);
    bench.frame.twist = Twist::planar(0.3, 1.5);
    assert!(bench.follows());
    bench.frame.twist = Twist::planar(0.8, -1.0);
    halted_for(&bench.tick(), Cause::ObstacleStop);
    // To back up brakes it as well as a halt does.
    bench.setpoint.twist = Twist::planar(-0.3, 0.0);
    assert!(bench.follows());
}

#[test]
fn standing_close_to_a_wall_it_may_go_along_it_but_not_nearer() {
    let mut bench = Bench::new();
    for beam in 20..161 {
        bench.see(std::iter::once(beam), (0.27 / Scan::angle_of(beam).sin()) as f32);
    }
    bench.setpoint.speed_limit = MetersPerSecond(0.3);
    bench.setpoint.twist = Twist::planar(0.3, 0.0);
    let output = bench.tick();
    assert!((0.05..0.11).contains(&output.actuators.twist.vx), "{output:?}");
    bench.setpoint.twist = Twist::planar(0.1, 1.0);
    halted_for_or_turns(&bench.tick());
}

#[track_caller]
fn halted_for_or_turns(output: &ReflexOutput) {
    assert!(output.report.causes.contains(Cause::ObstacleStop));
    assert_eq!(output.actuators.twist.vx, 0.0);
}

#[test]
fn a_sector_without_answers_blocks_the_way_into_it_and_no_other() {
    let mut bench = Bench::new();
    bench.see((350..360).chain(0..11), f32::NAN);
    halted_for(&bench.tick(), Cause::ObstacleStop);
    bench.setpoint.twist = Twist::planar(-0.5, 0.0);
    assert!(bench.follows());
}

#[test]
fn what_was_seen_is_moved_as_the_body_moved_since() {
    let mut bench = Bench::new();
    bench.see((340..360).chain(0..21), 0.85);
    let seen_at = bench.now + TICK;
    bench.frame.twist = Twist::planar(1.0, 0.0);
    let mut stopped_after = None;
    for tick in 0..20 {
        bench.frame.odometry.position.x = 0.01 * f64::from(tick);
        let output = bench.tick_with(|_, f, _| f.scan.at = seen_at);
        if output.actuators.mode == DriveMode::Halt {
            stopped_after = Some(tick);
            break;
        }
    }
    // 0.6 m free, less 0.01 m each tick, is below 0.5 m after ten.
    assert!(matches!(stopped_after, Some(10 | 11)), "{stopped_after:?}");
}

#[test]
fn the_same_revolution_again_confirms_no_lone_beam() {
    let mut bench = Bench::new();
    bench.tick();
    bench.see([0].into_iter(), 1.1);
    let seen_at = bench.now + TICK;
    for _ in 0..5 {
        let output = bench.tick_with(|_, frame, _| frame.scan.at = seen_at);
        assert_eq!(output.report.causes, Causes::NONE);
    }
    // The next revolution sees it again.
    assert_eq!(bench.tick().report.causes, Causes::NONE.with(Cause::ObstacleAvoid));
}

#[test]
fn a_pose_of_a_moment_ago_is_carried_on_by_the_odometry() {
    // A quarter turn to the left and half a metre ahead since the localiser spoke.
    let mut bench = Bench::new();
    let estimated_at = bench.now + TICK;
    let estimate = PoseEstimate { pose: Pose::new(5.0, 5.0, 0.3), at: estimated_at, ..bench.frame.estimate };
    bench.setpoint.speed_limit = MetersPerSecond(0.5);
    let twist = Twist::planar(1.0, std::f64::consts::FRAC_PI_2 * 2.0);
    let mut truth = estimate.pose;
    for tick in 0..50 {
        let moved = twist.scaled(0.01 * f64::from(tick));
        bench.frame.odometry = Pose::new(-2.0, 1.0, 2.0).moved(&moved, 1.0);
        truth = estimate.pose.moved(&moved, 1.0);
        bench.tick_with(|_, frame, _| frame.estimate = estimate);
    }
    for (bearing, stops) in [(0.0, true), (1.5, false), (-1.5, false), (3.1, false)] {
        let position = truth.map_from_body(Point::from_heading(bearing) * 0.58);
        bench.surroundings.hazards[0] = Some(HazardDisc { position, radius: Meters(0.3), valid_until: MonoTime::MAX });
        let output = bench.tick_with(|_, frame, _| frame.estimate = estimate);
        assert_eq!(output.report.causes.contains(Cause::Hazard), stops, "{bearing}: {:?}", output.report);
    }
}

fn peer(bench: &Bench, x: f64, vx: f64, age_ms: u64) -> PeerDisc {
    let at = bench.now + TICK - Duration::from_millis(age_ms);
    PeerDisc { position: Point::new(x, 0.0), velocity: Point::new(vx, 0.0), radius: Meters(0.25), at }
}

#[test]
fn a_peer_is_met_where_it_will_be() {
    for (x, vx, age, follows) in [
        (0.9, 0.0, 0, true),      // 0.25 m free: slow
        (0.66, 0.0, 0, false),    // within the margin: stands
        (1.5, -1.0, 900, false),  // it has come to 0.6 m since
        (0.7, 1.0, 0, true),      // it goes ahead, faster
        (0.66, 0.0, 1_300, true), // not heard of for too long
        (-0.6, 1.0, 0, true),     // behind: leaving opens the distance
    ] {
        let mut bench = Bench::new();
        bench.setpoint.twist = Twist::planar(0.3, 0.0);
        bench.surroundings.peers[3] = Some(peer(&bench, x, vx, age));
        let output = bench.tick();
        assert_eq!(output.actuators.mode == DriveMode::Follow, follows, "{x} {vx} {age}: {:?}", output.report);
        if !follows {
            halted_for(&output, Cause::PeerStop);
        }
        assert!(!output.report.causes.contains(Cause::PeerClose), "{:?}", output.report);
    }
}

#[test]
fn a_hazard_stops_it_at_its_edge_until_it_is_forgotten_and_lets_it_out() {
    let hazard = |bench: &Bench, x: f64, valid_ms: u64| HazardDisc {
        position: Point::new(x, 0.0),
        radius: Meters(0.3),
        valid_until: bench.now + Duration::from_millis(valid_ms),
    };
    let mut bench = Bench::new();
    bench.surroundings.hazards[0] = Some(hazard(&bench, 0.59, 100));
    halted_for(&bench.tick(), Cause::Hazard);
    for _ in 0..10 {
        bench.tick();
    }
    assert!(bench.follows());
    bench.surroundings.hazards[0] = Some(hazard(&bench, 0.9, 10_000));
    let output = bench.tick();
    assert!(output.actuators.twist.vx < 0.8, "it does not slow down: {:?}", output.actuators);
    assert_eq!(output.report.causes, Causes::NONE.with(Cause::HazardClose));
    bench.surroundings.hazards[0] = Some(hazard(&bench, -0.1, 10_000));
    assert!(bench.follows());
    bench.surroundings.hazards[0] = Some(hazard(&bench, 0.1, 10_000));
    halted_for(&bench.tick(), Cause::Hazard);
}

#[test]
fn peers_and_hazards_are_seen_from_where_the_body_is_on_the_map() {
    let mut bench = Bench::new();
    bench.frame.estimate =
        PoseEstimate { pose: Pose::new(5.0, 5.0, std::f64::consts::FRAC_PI_2), ..bench.frame.estimate };
    let disc = |x, y| HazardDisc { position: Point::new(x, y), radius: Meters(0.3), valid_until: MonoTime::MAX };
    bench.surroundings.hazards[0] = Some(disc(5.0, 5.58));
    halted_for(&bench.tick(), Cause::Hazard);
    bench.surroundings.hazards[0] = Some(disc(5.58, 5.0));
    assert!(bench.follows());
}

#[test]
fn causes_found_elsewhere_count_and_its_own_do_not_come_back_to_it() {
    let mut bench = Bench::new();
    bench.surroundings.causes = Causes::NONE.with(Cause::CloudLost).with(Cause::Fence).with(Cause::ObstacleStop);
    let output = bench.tick();
    assert_eq!(output.actuators.mode, DriveMode::Follow);
    assert_eq!(output.report.causes, Causes::NONE.with(Cause::CloudLost).with(Cause::Fence));
}

#[test]
fn missed_ticks_are_counted() {
    let mut bench = Bench::new();
    bench.tick();
    bench.now = bench.now + Duration::from_millis(4);
    let output = bench.tick();
    assert_eq!((output.report.missed_ticks, output.report.causes), (0, Causes::NONE));
    bench.now = bench.now + TICK * 3;
    let output = bench.tick();
    assert_eq!((output.report.missed_ticks, output.report.causes), (3, Causes::NONE.with(Cause::LateTick)));
    assert_eq!(bench.tick().report.missed_ticks, 3);
    // Half a period late is late.
    bench.now = bench.now + Duration::from_millis(6);
    assert_eq!(bench.tick().report.missed_ticks, 4);
}

#[test]
fn before_the_first_frame_it_stands() {
    let mut reflex = Reflex::new(ReflexConfig::new(BodyDescriptor::rover()));
    let nothing = SensorFrame::unknown(Meters(10.0));
    let output = reflex.tick(
        MonoTime::from_millis(5_000),
        &nothing,
        &Setpoint::none(),
        &Surroundings::empty(),
        LatchView::default(),
    );
    for cause in [Cause::StaleFrame, Cause::StaleScan, Cause::StalePose, Cause::DeadMan, Cause::PowerLoss] {
        halted_for(&output, cause);
    }
}

#[test]
fn what_goes_out_is_finite_whatever_comes_in() {
    let odd = [0.0, -1.0, 1e300, -1e300, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];
    for a in odd {
        for b in odd {
            let mut bench = Bench::new();
            bench.setpoint.twist = Twist { vx: a, vy: b, vz: a, yaw_rate: b };
            bench.setpoint.speed_limit = MetersPerSecond(b);
            bench.frame.scan = Scan { ranges: [a as f32; BEAMS], range_max: Meters(10.0), at: bench.now };
            bench.surroundings.peers[0] = Some(PeerDisc {
                position: Point::new(a, b),
                velocity: Point::new(b, a),
                radius: Meters(a),
                at: bench.now,
            });
            bench.surroundings.hazards[0] =
                Some(HazardDisc { position: Point::new(b, a), radius: Meters(b), valid_until: MonoTime::MAX });
            for _ in 0..3 {
                let output = bench.tick();
                assert!(output.actuators.twist.is_finite(), "{a} {b}");
                assert!(
                    output.actuators.twist.speed() <= 1.0 + 1e-9 && output.actuators.twist.yaw_rate.abs() <= 2.0 + 1e-9
                );
                assert!(!output.report.speed_allowed.0.is_nan() && !output.report.clear_distance.0.is_nan());
            }
        }
    }
}

#[test]
fn a_run_in_a_loop_reports_what_it_does() {
    let mut run = Run::new(Place::default().room((-3.0, -3.0), (3.0, 3.0)), Pose::default());
    run.drive(Twist::planar(0.5, 0.0), 0.5, 1.0);
    let report = run.output.unwrap().report;
    assert_eq!((report.sequence, report.missed_ticks), (100, 0));
}
