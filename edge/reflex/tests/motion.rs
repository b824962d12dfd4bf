//! The figures of one decision: which way is blocked, how fast the rest is taken, and to which side it steers.

mod common;

use common::bench::Bench;
use skein_reflex::{Reflex, ReflexOutput};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Twist};
use skein_types::motion::DriveMode;
use skein_types::safety::{Cause, Causes, HazardDisc};
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond};

const fn way(vx: f64, vy: f64, yaw_rate: f64) -> Twist {
    Twist { vx, vy, vz: 0.0, yaw_rate }
}

/// A body that was touched while it moved like this, and stands since.
fn touched_moving(measured: Twist) -> Bench {
    let mut bench = Bench::of(BodyDescriptor::holonomic());
    bench.frame.twist = measured;
    bench.frame.bumper = true;
    bench.tick();
    bench.frame.twist = Twist::ZERO;
    bench
}

#[test]
fn a_body_that_moves_sideways_leaves_what_it_touches_by_every_way_that_leads_away() {
    for (measured, wanted, free) in [
        (way(0.0, 0.3, 0.0), way(0.0, 0.1, 0.0), false),
        (way(0.0, 0.3, 0.0), way(0.1, 0.0, 0.0), false),
        (way(0.0, 0.3, 0.0), way(0.0, -0.1, 0.0), true),
        (way(0.0, 0.3, 0.0), way(0.1, -0.1, 0.0), true),
        (way(0.18, 0.24, 0.0), way(-0.05, 0.1, 0.0), false),
        (way(0.18, 0.24, 0.0), way(0.15, -0.1, 0.0), false),
        (way(0.18, 0.24, 0.0), way(-0.1, -0.1, 0.0), true),
        (way(0.18, 0.24, 0.0), way(0.05, -0.1, 0.0), true),
    ] {
        let mut bench = touched_moving(measured);
        bench.setpoint.twist = wanted;
        let output = bench.tick();
        assert_eq!(output.actuators.mode == DriveMode::Follow, free, "{measured:?} {wanted:?}");
        assert_eq!(output.report.causes.contains(Cause::Bumper), !free, "{measured:?} {wanted:?}");
    }
}

#[test]
fn the_stop_distance_counts_the_speed_that_goes_the_wanted_way() {
    for (measured, wanted, along) in [
        (way(0.0, 0.4, 0.0), way(0.0, 0.1, 0.0), 0.4),
        (way(0.0, 0.4, 0.0), way(0.1, 0.0, 0.0), 0.0),
        (way(0.3, 0.4, 0.0), way(0.06, 0.08, 0.0), 0.5),
        (way(0.3, 0.4, 0.0), way(0.08, -0.06, 0.0), 0.0),
        (way(0.4, -0.3, 0.0), way(0.1, 0.0, 0.0), 0.4),
        (way(0.0, -0.4, 0.0), way(0.0, 0.1, 0.0), 0.0),
    ] {
        let mut bench = Bench::of(BodyDescriptor::holonomic());
        bench.setpoint.speed_limit = MetersPerSecond(0.1);
        (bench.frame.twist, bench.setpoint.twist) = (measured, wanted);
        let stop = bench.tick().report.stop_distance.0;
        let expected = along * along / 4.0 + 0.04 * along + 0.1;
        assert!((stop - expected).abs() < 1e-9, "{measured:?} {wanted:?}: {stop} is not {expected}");
    }
}

#[test]
fn a_body_that_hardly_moves_towards_something_near_may_go_beside_it() {
    let mut bench = Bench::of(BodyDescriptor::holonomic());
    bench.setpoint.speed_limit = MetersPerSecond(0.3);
    bench.see(std::iter::once(0), 0.27);
    bench.setpoint.twist = way(0.001, 0.1, 0.0);
    for (speed, free) in [(0.04, true), (0.06, false)] {
        bench.frame.twist = way(speed, 0.0, 0.0);
        let output = bench.tick();
        assert_eq!(output.actuators.mode == DriveMode::Follow, free, "{speed}: {:?}", output.report);
        assert_eq!(output.report.causes.contains(Cause::ObstacleStop), !free, "{speed}");
    }
}

#[test]
fn a_missing_floor_forbids_no_way_that_goes_past_it() {
    let [front, left, rear, right] = [0, 1, 2, 3];
    for (side, wanted) in [
        (left, way(0.3, 0.0, 0.0)),
        (right, way(0.3, 0.0, 0.0)),
        (left, way(0.0, 0.0, 1.0)),
        (right, way(0.0, 0.0, -1.0)),
        (rear, way(0.0, 0.3, 0.0)),
        (rear, way(0.0, 0.0, 1.0)),
        (front, way(0.0, -0.3, 0.0)),
        (front, way(0.0, 0.0, -1.0)),
    ] {
        let mut bench = Bench::of(BodyDescriptor::holonomic());
        bench.frame.cliff[side] = true;
        bench.setpoint.twist = wanted;
        let output = bench.tick();
        assert!(!output.report.causes.contains(Cause::Cliff), "{side} {wanted:?}");
        assert_eq!(output.actuators.twist, wanted, "{side}");
    }
}

fn before_a_hazard(free: f64) -> ReflexOutput {
    let mut bench = Bench::new();
    bench.setpoint.twist = Twist::planar(0.5, 0.0);
    let position = Point::new(0.58 + free, 0.0);
    bench.surroundings.hazards[0] = Some(HazardDisc { position, radius: Meters(0.3), valid_until: MonoTime::MAX });
    bench.tick()
}

#[test]
fn slower_than_two_centimetres_a_second_it_does_not_creep() {
    // What is left beyond the margin of 0.03 m is braked in with 1 m/s².
    for (free, speed) in [(0.0301, 0.0), (0.0303, 0.000_6_f64.sqrt()), (0.08, 0.1_f64.sqrt())] {
        let output = before_a_hazard(free);
        assert_eq!(output.actuators.mode, DriveMode::Follow, "{free}: {:?}", output.report);
        assert!((output.actuators.twist.vx - speed).abs() < 1e-6, "{free}: {:?}", output.actuators.twist);
        assert!(output.report.causes.contains(Cause::HazardClose));
    }
}

#[test]
fn too_slow_to_creep_on_a_bend_it_goes_on_turning() {
    // The hazard lies on a bend of 1 m; after so many radians of it both touch, and 0.03 m before that it stands.
    let touching = 2.0 * (0.58_f64 / 2.0).asin();
    for yaw_rate in [0.5, -0.5] {
        let mut bench = Bench::new();
        bench.setpoint.twist = way(0.5, 0.0, yaw_rate);
        let angle = touching + 0.0302;
        let position = Point::new(angle.sin(), (1.0 - angle.cos()).copysign(yaw_rate));
        bench.surroundings.hazards[0] = Some(HazardDisc { position, radius: Meters(0.3), valid_until: MonoTime::MAX });
        let output = bench.tick();
        assert_eq!(output.actuators.mode, DriveMode::Follow, "{:?}", output.report);
        assert_eq!(output.report.causes, Causes::NONE.with(Cause::HazardClose));
        assert_eq!(output.actuators.twist, way(0.0, 0.0, yaw_rate));
    }
}

#[test]
fn the_avoid_distance_shrinks_with_the_speed_limit() {
    // At 0.8 m/s 0.64 of 1 m, at half a metre a second a quarter.
    for (limit, avoid) in [(0.8, 0.64), (0.5, 0.25)] {
        for (free, avoids) in [(avoid - 0.01, true), (avoid + 0.01, false), (1.1, false)] {
            let mut bench = Bench::new();
            bench.setpoint.speed_limit = MetersPerSecond(limit);
            bench.setpoint.twist = Twist::planar(0.1, 0.0);
            bench.see([359, 0, 1].into_iter(), (0.25 + free) as f32);
            let output = bench.tick();
            assert_eq!(output.report.causes.contains(Cause::ObstacleAvoid), avoids, "{limit} {free}");
        }
    }
}

/// Brakes with 6 m/s²: from 3 m/s it plans with 1.5 m.
fn flier() -> Bench {
    let mut descriptor = BodyDescriptor::multirotor();
    descriptor.braking_max.0 = 6.0;
    let mut bench = Bench::of(descriptor);
    bench.setpoint.speed_limit = MetersPerSecond(3.0);
    bench
}

#[test]
fn the_avoid_distance_of_a_fast_body_is_what_it_brakes_in_beyond_the_stop_distance() {
    for (free, avoids) in [(1.98, true), (2.02, false)] {
        let mut bench = flier();
        bench.setpoint.twist = Twist::planar(0.2, 0.0);
        bench.see([359, 0, 1].into_iter(), 0.25 + free);
        let output = bench.tick();
        assert_eq!(output.report.causes.contains(Cause::ObstacleAvoid), avoids, "{free}: {:?}", output.report);
        assert!((output.report.stop_distance.0 - 0.5).abs() < 1e-9);
    }
}

/// Small things in these beams, so far away, and nothing else.
fn shows(bench: &mut Bench, things: &[(usize, f32)]) {
    bench.frame.scan.ranges.fill(f32::INFINITY);
    for (beam, range) in things {
        // Two beams each: a lone one that is far away would have to be seen twice.
        bench.see([*beam, beam + 1].into_iter(), *range);
    }
}

/// The rate of turn that comes of straight on.
fn steers(bench: &mut Bench, things: &[(usize, f32)]) -> f64 {
    shows(bench, things);
    let output = bench.tick();
    assert_eq!(output.actuators.mode, DriveMode::Follow, "{:?}", output.report);
    output.actuators.twist.yaw_rate
}

#[test]
fn it_steers_to_the_side_that_is_freer_by_a_tenth_of_a_metre() {
    for (things, yaw_rate) in [
        (&[(3, 1.1), (5, 1.1)][..], -0.5),
        (&[(355, 1.1), (353, 1.1)], 0.5),
        (&[(0, 0.95), (359, 0.95)], 0.5),
        // The way to either side is freer by less.
        (&[(0, 0.88), (359, 0.88)], 0.0),
        // Farther than the avoid distance nothing is avoided.
        (&[(3, 1.28), (5, 1.28)], 0.0),
        (&[], 0.0),
    ] {
        assert_eq!(steers(&mut Bench::new(), things), yaw_rate, "{things:?}");
    }
}

#[test]
fn it_keeps_to_the_side_it_steered_to_until_the_other_is_freer_by_far() {
    for (first, then, far, side) in [
        ([(3, 1.1), (5, 1.1)], [(0, 1.1)], [(355, 1.1), (353, 1.1)], -0.5),
        ([(355, 1.1), (353, 1.1)], [(359, 1.1)], [(3, 1.1), (5, 1.1)], 0.5),
    ] {
        let mut bench = Bench::new();
        assert_eq!(steers(&mut bench, &first), side);
        assert_eq!(steers(&mut bench, &then), side, "it keeps to its side");
        assert_eq!(steers(&mut Bench::new(), &then), -side, "it would have gone to the other");
        assert_eq!(steers(&mut bench, &[(0, 0.88), (359, 0.88)]), side, "and needs to gain less there");
        assert_eq!(steers(&mut bench, &far), -side, "something stands on its own side");
    }
}

#[test]
fn a_side_that_is_taken_only_slower_is_not_steered_to() {
    let mut bench = Bench::new();
    assert_eq!(steers(&mut bench, &[(3, 1.1), (5, 1.1)]), -0.5);
    // Straight on 0.75 m are free; to the right 0.68 m, and its side counts 0.2 m more.
    assert_eq!(steers(&mut bench, &[(0, 1.0), (27, 0.79), (335, 0.875)]), 0.0);
}

#[test]
fn a_side_that_the_body_cannot_turn_to_or_where_the_floor_is_missing_is_not_steered_to() {
    let things = [(3, 1.1), (5, 1.1)];
    for (steer_max, yaw_rate) in [(0.5, 0.5), (2.0, 2.0), (2.1, 0.0)] {
        let mut bench = Bench::new();
        let mut config = *bench.reflex.config();
        config.steer_max.0 = steer_max;
        bench.reflex = Reflex::new(config);
        assert_eq!(steers(&mut bench, &things).abs(), yaw_rate);
    }
    let mut bench = Bench::new();
    bench.frame.cliff[3] = true;
    assert!(steers(&mut bench, &things) >= 0.0);
}

#[test]
fn where_the_speed_limit_is_below_half_the_top_speed_steering_is_left_to_the_agent() {
    for (limit, steered) in [(1.4, false), (1.5, true), (3.0, true)] {
        let mut bench = Bench::of(BodyDescriptor::multirotor());
        bench.setpoint.speed_limit = MetersPerSecond(limit);
        bench.setpoint.twist = Twist::planar(0.3, 0.0);
        // Within the avoid distance of each limit, and beyond its stop distance.
        let range = if limit > 2.0 { 1.3 } else { 0.75 };
        let yaw_rate = steers(&mut bench, &[(0, range), (2, range)]);
        assert_eq!(yaw_rate != 0.0, steered, "{limit}: {yaw_rate}");
    }
}

#[test]
fn what_does_not_move_does_not_steer() {
    let mut bench = Bench::new();
    let position = Point::new(0.58 + 0.0301, 0.0);
    bench.surroundings.hazards[0] = Some(HazardDisc { position, radius: Meters(0.3), valid_until: MonoTime::MAX });
    assert_eq!(steers(&mut bench, &[(0, 1.1), (2, 1.1)]), 0.0);
}

#[test]
fn a_turn_in_place_reports_no_speed_and_forgets_no_side() {
    let mut bench = Bench::new();
    assert_eq!(steers(&mut bench, &[(3, 1.1), (5, 1.1)]), -0.5);
    bench.setpoint.twist = Twist::planar(0.8, 0.3);
    shows(&mut bench, &[(0, 0.4)]);
    let output = bench.tick();
    assert_eq!(output.actuators.twist, Twist::planar(0.0, 0.3));
    assert_eq!(output.report.speed_allowed.0, 0.0);
    bench.setpoint.twist = Twist::planar(0.8, 0.0);
    assert_eq!(steers(&mut bench, &[(0, 1.1)]), -0.5, "the other side would be a little freer");
}
