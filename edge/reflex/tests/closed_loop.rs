//! A disc among walls, driven only through the reflex: it never touches, and it never sticks.

mod common;

use common::{Dice, Place, Run};
use proptest::prelude::*;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::motion::DriveMode;
use skein_types::safety::Cause;

const RADIUS: f64 = 0.25;

/// A room with walls and posts that leave the start free.
fn random_place(seed: u64) -> Place {
    let mut dice = Dice(seed);
    let mut place = Place::default().room((-3.0, -3.0), (3.0, 3.0));
    let far = |p: Point| p.norm() > 0.6;
    for _ in 0..6 {
        let from = Point::new(dice.between(-2.8, 2.8), dice.between(-2.8, 2.8));
        let to = from + Point::from_heading(dice.between(0.0, 6.3)) * dice.between(0.3, 2.0);
        if Point::default().distance_to_segment(from, to) > 0.5 {
            // A wall has a thickness: a line seen from its end would be invisible.
            place.walls.push((from, to));
            place.posts.extend([(from, 0.04), (to, 0.04)]);
        }
    }
    for _ in 0..5 {
        let at = Point::new(dice.between(-2.8, 2.8), dice.between(-2.8, 2.8));
        if far(at) {
            place.posts.push((at, dice.between(0.03, 0.15)));
        }
    }
    place
}

fn never_touches(seed: u64, descriptor: BodyDescriptor, seconds: usize) -> f64 {
    let mut run = Run::with_body(random_place(seed), Pose::default(), descriptor).seeded(seed ^ 0x9e37);
    let mut dice = Dice(seed.rotate_left(17) | 1);
    for _ in 0..seconds * 2 {
        let wanted = Twist {
            vx: dice.between(-1.2, 1.5),
            vy: dice.between(-1.0, 1.0),
            vz: 0.0,
            yaw_rate: if dice.share() < 0.3 { 0.0 } else { dice.between(-2.0, 2.0) },
        };
        let limit = [0.1, 0.3, 0.5, 1.0, 2.0][(dice.share() * 5.0) as usize];
        run.drive(wanted, limit, 0.5);
    }
    run.nearest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_commanded_among_whatever_walls_nothing_is_touched(seed in any::<u64>(), holonomic in any::<bool>()) {
        let body = if holonomic { BodyDescriptor::holonomic() } else { BodyDescriptor::rover() };
        let nearest = never_touches(seed, body, 20);
        prop_assert!(nearest > RADIUS, "came to {nearest:.3} m");
    }

    #[test]
    fn from_wherever_it_came_to_stand_it_can_turn_and_leave(seed in any::<u64>()) {
        let mut run = Run::new(random_place(seed), Pose::default()).seeded(seed);
        let mut dice = Dice(seed | 1);
        let heading = dice.between(-3.0, 3.0);
        // Straight on until it stands before something, as close as it gets.
        run.pose.heading = heading;
        run.drive(Twist::planar(1.0, 0.0), 1.0, 6.0);
        run.drive(Twist::planar(0.2, 0.0), 0.2, 6.0);
        // From there it turns in place, and one of the ways it then faces leads away.
        let stuck_at = run.pose.position;
        for _ in 0..12 {
            let before = run.pose;
            run.drive(Twist::planar(0.0, 1.0), 0.2, 0.52);
            let turned = wrap_angle(run.pose.heading - before.heading);
            prop_assert!(turned > 0.4, "it did not turn: {:?}", run.output.unwrap().report);
            run.drive(Twist::planar(0.2, 0.0), 0.2, 1.5);
            if run.pose.position.distance(stuck_at) > 0.1 {
                break;
            }
        }
        let left = run.pose.position.distance(stuck_at);
        prop_assert!(left > 0.1, "it only went {left:.2} m: {:?}", run.output.unwrap().report);
        prop_assert!(run.nearest > RADIUS);
    }
}

#[test]
fn it_stops_before_a_wall_at_the_stop_distance_of_its_speed_limit() {
    for (limit, low, high) in [(1.0, 0.42, 0.56), (0.5, 0.09, 0.20), (0.2, 0.08, 0.16)] {
        let place = Place::default().room((-2.0, -2.0), (4.0, 2.0));
        let mut run = Run::new(place, Pose::default());
        run.drive(Twist::planar(limit, 0.0), limit, 25.0);
        let left = 4.0 - run.pose.position.x - RADIUS;
        assert!((low..high).contains(&left), "at {limit} m/s it stands {left:.3} m before the wall");
        assert!(run.twist.speed() < 0.01);
        let report = run.output.unwrap().report;
        assert!(report.causes.contains(Cause::ObstacleStop), "{report:?}");
    }
}

#[test]
fn it_backs_away_from_a_wall_it_stands_at() {
    let place = Place::default().room((-4.0, -2.0), (0.27, 2.0));
    let mut run = Run::new(place, Pose::default());
    run.drive(Twist::planar(-0.5, 0.0), 1.0, 2.0);
    assert!(run.pose.position.x < -0.6, "{:?}", run.output.unwrap().report);
}

#[test]
fn a_door_of_0_7_m_is_passed_slowly() {
    for (seed, offset) in [(1, 0.0), (2, 0.02), (3, -0.03), (4, 0.04), (5, -0.05)] {
        let place = Place::default()
            .room((-3.0, -3.0), (3.0, 3.0))
            .wall((0.0, 0.35), (0.0, 3.0))
            .wall((0.15, 0.35), (0.15, 3.0))
            .wall((0.0, 0.35), (0.15, 0.35))
            .wall((0.0, -0.35), (0.0, -3.0))
            .wall((0.15, -0.35), (0.15, -3.0))
            .wall((0.0, -0.35), (0.15, -0.35));
        let mut run = Run::new(place, Pose::new(-1.5, offset, 0.0)).seeded(seed);
        run.drive(Twist::planar(0.3, 0.0), 0.3, 15.0);
        assert!(run.pose.position.x > 1.0, "stuck at {:?} with {:?}", run.pose, run.output.unwrap().report);
        assert!(run.nearest > RADIUS);
    }
}

#[test]
fn a_corridor_of_0_8_m_is_driven_through_at_a_fair_speed() {
    let place = Place::default().wall((-3.0, 0.4), (9.0, 0.4)).wall((-3.0, -0.4), (9.0, -0.4));
    let mut run = Run::new(place, Pose::new(0.0, 0.02, 0.0));
    run.drive(Twist::planar(0.5, 0.0), 0.5, 10.0);
    assert!(run.pose.position.x > 4.0, "{:?} {:?}", run.pose, run.output.unwrap().report);
    assert!(run.nearest > RADIUS);
}

#[test]
fn alongside_a_wall_it_keeps_a_steady_speed() {
    let place = Place::default().wall((-3.0, 0.42), (20.0, 0.42));
    let mut run = Run::new(place, Pose::default());
    run.drive(Twist::planar(1.0, 0.0), 1.0, 3.0);
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for _ in 0..300 {
        run.tick(Twist::planar(1.0, 0.0), 1.0);
        (low, high) = (low.min(run.twist.vx), high.max(run.twist.vx));
    }
    assert!(low > 0.7 && high - low < 0.3, "between {low:.2} and {high:.2} m/s");
}

#[test]
fn a_shelf_corner_is_rounded() {
    let place =
        Place::default().room((-3.0, -3.0), (3.0, 3.0)).wall((0.0, 0.0), (0.0, 3.0)).wall((0.0, 0.0), (3.0, 0.0));
    // A quarter circle of 0.45 m around the corner, at 0.2 m from its edge.
    let mut run = Run::new(place, Pose::new(-0.45, 1.0, -std::f64::consts::FRAC_PI_2));
    run.drive(Twist::planar(0.3, 0.0), 0.3, 1.0 / 0.3);
    let turn = Twist::planar(0.3, 0.3 / 0.45);
    for _ in 0..1_000 {
        if wrap_angle(run.pose.heading).abs() < 0.02 {
            break;
        }
        run.tick(turn, 0.3);
    }
    run.drive(Twist::planar(0.3, 0.0), 0.3, 4.0);
    assert!(run.pose.position.x > 0.6, "stuck at {:?} with {:?}", run.pose, run.output.unwrap().report);
    assert!(run.nearest > RADIUS);
}

#[test]
fn motors_go_to_zero_within_the_tick_when_somebody_steps_in_at_0_4_m() {
    let mut run = Run::new(Place::default().room((-9.0, -9.0), (9.0, 9.0)), Pose::default());
    run.noise = 0.0;
    run.drive(Twist::planar(1.0, 0.3), 1.0, 3.0);
    assert!(run.twist.vx > 0.9);
    let ahead = run.pose.moved(&run.twist, (0.4 + RADIUS + 0.15) / run.twist.vx);
    run.place.posts.push((ahead.position, 0.15));
    // The tick at which the revolution with the person in it arrives.
    let before = run.frame.scan.at;
    let mut last = run.tick(Twist::planar(1.0, 0.3), 1.0);
    while run.frame.scan.at == before {
        assert_eq!(last.actuators.mode, DriveMode::Follow);
        last = run.tick(Twist::planar(1.0, 0.3), 1.0);
    }
    assert_eq!(last.actuators.mode, DriveMode::Halt);
    assert_eq!(last.actuators.twist, Twist::ZERO);
    assert!(last.report.causes.contains(Cause::ObstacleStop));
    assert!(last.report.clear_distance < last.report.stop_distance);
}

#[test]
fn a_person_who_walks_up_is_met_standing_or_creeping_past() {
    let mut run = Run::new(Place::default().room((-9.0, -9.0), (9.0, 9.0)).post((6.0, 0.1), 0.2), Pose::default());
    for _ in 0..600 {
        run.tick(Twist::planar(1.0, 0.0), 1.0);
        let person = &mut run.place.posts[0].0;
        person.x -= 0.012;
        let towards = *person - run.pose.position;
        if towards.norm() < RADIUS + 0.2 + 0.05 {
            let closing = Point::from_heading(run.pose.heading).dot(towards) / towards.norm() * run.twist.vx;
            assert!(closing <= 0.1, "it closes in at {closing:.2} m/s when it is touched");
            return;
        }
    }
    panic!("they never met");
}

#[test]
fn with_room_it_steers_clear_of_a_post() {
    let place = Place::default().room((-9.0, -9.0), (9.0, 9.0)).post((3.0, 0.12), 0.08);
    let mut run = Run::new(place, Pose::default());
    run.drive(Twist::planar(0.8, 0.0), 0.8, 12.0);
    assert!(run.pose.position.x > 4.0, "it stands at {:?} with {:?}", run.pose, run.output.unwrap().report);
    assert!(run.pose.position.y < -0.05, "it went to the side of the post: {:?}", run.pose);
    assert!(run.nearest > RADIUS);
}

#[test]
fn a_lidar_that_loses_a_third_of_its_beams_still_drives_and_touches_nothing() {
    for seed in 0..6 {
        let mut run = Run::new(random_place(seed), Pose::default()).seeded(seed);
        run.dropout = 0.10;
        run.noise = 0.02;
        run.drive(Twist::planar(0.6, 0.3), 0.6, 10.0);
        run.drive(Twist::planar(-0.4, 0.9), 0.6, 5.0);
        assert!(run.nearest > RADIUS, "{:.3}", run.nearest);
    }
    let mut open = Run::new(Place::default().room((-9.0, -9.0), (9.0, 9.0)), Pose::default());
    open.dropout = 0.10;
    open.drive(Twist::planar(0.6, 0.0), 0.6, 8.0);
    assert!(open.pose.position.x > 4.0);
}
