//! The figures of what it perceives: which senses it believes, where what the lidar saw is now, and how far that is.

mod common;

use common::TICK;
use common::bench::Bench;
use core::time::Duration;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Pose, Twist};
use skein_types::safety::{Cause, Causes};
use skein_types::units::MetersPerSecond;

const fn way(vx: f64, vy: f64, yaw_rate: f64) -> Twist {
    Twist { vx, vy, vz: 0.0, yaw_rate }
}

fn clear(bench: &mut Bench) -> f64 {
    bench.tick().report.clear_distance.0
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
}

#[test]
fn what_the_senses_say_may_be_of_a_moment_ahead_and_of_no_later_one() {
    for (ahead, faulty) in [(20, false), (21, true)] {
        let ahead = Duration::from_millis(ahead);
        for part in 0..3 {
            let output = Bench::new().tick_with(|now, frame, _| {
                let at = [&mut frame.at, &mut frame.scan.at, &mut frame.estimate.at];
                at.into_iter().skip(part).take(1).for_each(|at| *at = now + ahead);
            });
            assert_eq!(output.report.causes.contains(Cause::SensorFault), faulty, "{part} {ahead:?}");
        }
    }
}

#[test]
fn a_body_exactly_as_fast_as_is_borne_is_not_too_fast() {
    let descriptor = BodyDescriptor::multirotor();
    let factor = 1.0 + Bench::new().reflex.config().over_speed_share;
    let (fast, climb) = (descriptor.speed_max.0 * factor, descriptor.vertical_speed_max().0 * factor);
    let turn = descriptor.yaw_rate_max.0 * factor;
    for (twist, too_fast) in [
        (way(fast, 0.0, 0.0), false),
        (way(fast.next_up(), 0.0, 0.0), true),
        (way(0.0, 0.0, -turn), false),
        (way(0.0, 0.0, -turn.next_up()), true),
        (Twist { vz: climb, ..Twist::ZERO }, false),
        (Twist { vz: climb.next_up(), ..Twist::ZERO }, true),
    ] {
        let mut bench = Bench::of(descriptor);
        bench.frame.twist = twist;
        assert_eq!(bench.tick().report.causes.contains(Cause::OverSpeed), too_fast, "{twist:?}");
    }
}

#[test]
fn what_rolls_sideways_does_not_climb() {
    let mut bench = Bench::of(BodyDescriptor::holonomic());
    bench.setpoint.twist = Twist { vx: 0.2, vy: 0.1, vz: 0.3, yaw_rate: 0.0 };
    let output = bench.tick();
    assert_eq!(output.actuators.twist, way(0.2, 0.1, 0.0));
    assert_eq!(output.report.causes, Causes::NONE.with(Cause::SetpointClamped));
}

#[test]
fn a_setpoint_that_is_over_a_limit_by_rounding_alone_is_not_reported() {
    for (over, reported) in [(0.9e-6, false), (1.1e-6, true)] {
        let mut bench = Bench::new();
        bench.setpoint.twist = way(1.0 + over, 0.0, 0.0);
        let output = bench.tick();
        assert_eq!(output.report.causes.contains(Cause::SetpointClamped), reported, "{over}");
        assert!(output.actuators.twist.vx <= 1.0);
    }
}

#[test]
fn noise_is_taken_off_an_answer_that_does_not_stand_alone_however_near_it_is() {
    let mut bench = Bench::new();
    for (beam, range) in [(358, 0.70), (359, 0.70), (0, 0.66), (1, 0.70), (2, 0.70)] {
        bench.see([beam].into_iter(), range);
    }
    bench.setpoint.speed_limit = MetersPerSecond(0.3);
    bench.setpoint.twist = way(0.2, 0.0, 0.0);
    // The footprint is round: the beam straight ahead says how far it is.
    close(clear(&mut bench), 0.45);
}

#[test]
fn a_lone_answer_is_confirmed_in_every_direction() {
    for heading in [0.0_f64, 0.6, 2.5, -0.6, -2.5] {
        let beam = (heading.to_degrees().round() as usize + 720) % 360;
        let beam = if heading < 0.0 { 360 - (-heading.to_degrees()).round() as usize } else { beam };
        let mut bench = Bench::of(BodyDescriptor::holonomic());
        bench.setpoint.twist = way(0.8 * heading.cos(), 0.8 * heading.sin(), 0.0);
        bench.tick();
        bench.see([beam].into_iter(), 1.1);
        assert_eq!(bench.tick().report.causes, Causes::NONE, "{heading}");
        assert_eq!(bench.tick().report.causes, Causes::NONE.with(Cause::ObstacleAvoid), "{heading}");
    }
}

#[test]
fn all_that_a_fast_body_must_know_of_is_looked_at_and_what_is_farther_is_not() {
    // 4.18 m from the centre of a multirotor at 3 m/s, 1.38 m from that of a rover at 1 m/s.
    for (descriptor, range, seen) in [
        (BodyDescriptor::multirotor(), 4.1, true),
        (BodyDescriptor::multirotor(), 4.3, false),
        (BodyDescriptor::rover(), 1.37, true),
        (BodyDescriptor::rover(), 1.39, false),
    ] {
        let mut bench = Bench::of(descriptor);
        bench.setpoint.speed_limit = MetersPerSecond(3.0);
        bench.setpoint.twist = way(descriptor.speed_max.0, 0.0, 0.0);
        bench.see([359, 0, 1].into_iter(), range);
        let free = clear(&mut bench);
        assert_eq!(free.is_finite(), seen, "{range}: {free}");
    }
}

/// How far the way is free after the odometry jumped, by the revolution of before.
fn clear_after(descriptor: BodyDescriptor, jump: Pose) -> f64 {
    let mut bench = Bench::of(descriptor);
    bench.see([359, 0, 1].into_iter(), 1.3);
    let seen_at = bench.now + TICK;
    close(clear(&mut bench), 1.05);
    bench.frame.odometry = jump;
    bench.tick_with(|_, frame, _| frame.scan.at = seen_at).report.clear_distance.0
}

#[test]
fn odometry_that_moved_farther_than_the_body_can_began_anew_and_any_other_motion_counts() {
    // 0.1 m and half as much again as it can go in 10 ms; 0.2 rad and half as much again as it can turn.
    let (rover, flier) = (BodyDescriptor::rover(), BodyDescriptor::multirotor());
    for (descriptor, x, anew) in
        [(rover, 0.114, false), (rover, 0.116, true), (flier, 0.144, false), (flier, 0.146, true)]
    {
        close(clear_after(descriptor, Pose::new(x, 0.0, 0.0)), if anew { 1.05 } else { 1.05 - x });
    }
    for (heading, anew) in [(0.229, false), (0.231, true), (-0.229, false), (-0.231, true)] {
        let free = clear_after(rover, Pose::new(0.0, 0.0, heading));
        assert_eq!((free - 1.05).abs() < 1e-5, anew, "{heading}: {free}");
    }
}

#[test]
fn what_was_seen_lies_on_the_other_side_after_a_turn() {
    for turned in [0.2_f64, -0.2] {
        let mut bench = Bench::of(BodyDescriptor::holonomic());
        bench.see([359, 0, 1].into_iter(), 1.3);
        let seen_at = bench.now + TICK;
        bench.tick();
        bench.frame.odometry.heading = turned;
        for (way_to, lies_there) in [(-turned, true), (turned, false)] {
            bench.setpoint.twist = way(0.5 * way_to.cos(), 0.5 * way_to.sin(), 0.0);
            let free = bench.tick_with(|_, frame, _| frame.scan.at = seen_at).report.clear_distance.0;
            assert_eq!((free - 1.05).abs() < 1e-5, lies_there, "{turned} {way_to}: {free}");
        }
    }
}

#[test]
fn the_way_of_a_body_is_as_long_as_it_is_in_every_direction_it_goes() {
    for (beam, twist) in [
        (0, way(0.5, 0.0, 0.0)),
        (90, way(0.0, 0.5, 0.0)),
        (90, way(0.0, 0.8, 0.0)),
        (180, way(-0.5, 0.0, 0.0)),
        (270, way(0.0, -0.5, 0.0)),
        (45, way(0.3, 0.3, 0.0)),
        (135, way(-0.3, 0.3, 0.0)),
    ] {
        let mut bench = Bench::of(BodyDescriptor::holonomic());
        bench.see([beam + 359, beam, beam + 1].into_iter(), 1.0);
        bench.setpoint.twist = twist;
        close(clear(&mut bench), 0.75);
    }
}

#[test]
fn a_point_beside_the_way_is_met_where_the_footprint_reaches_it() {
    for (beam, range) in [(10, 0.9_f64), (349, 0.9), (15, 0.8)] {
        let mut bench = Bench::new();
        bench.see([beam, beam + 1].into_iter(), range as f32);
        bench.setpoint.twist = way(0.5, 0.0, 0.0);
        let met = [beam, beam + 1].map(|beam| {
            let angle = (beam as f64).to_radians();
            range * angle.cos() - (0.0625 - (range * angle.sin()).powi(2)).sqrt()
        });
        close(clear(&mut bench), met[0].min(met[1]));
    }
}
