//! The world holds its invariants: same bytes for the same seed, robots that do not influence each other's chance, no
//! footprint in a wall, every touch counted, truth measured.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::motion::{ActuatorFrame, DriveMode};
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionFrame};
use skein_types::sensing::Scan;
use skein_types::time::MonoTime;
use skein_types::units::Percent;
use skein_world::placement::{START_GAP_MIN, start_places};
use skein_world::{CommandError, Noise, RobotSpec, Survey, Terrain, World, WorldConfig, WorldError};

const RES: f64 = 0.05;

/// A hall of 10 m × 6 m with walls all round, a wall in the middle with a door 1 m wide, and a pillar.
fn is_wall(at: Point) -> bool {
    let rim = at.x < 0.2 || at.y < 0.2 || at.x > 9.8 || at.y > 5.8;
    let middle = (4.9..5.1).contains(&at.x) && !(2.5..3.5).contains(&at.y);
    let pillar = at.distance(Point::new(7.5, 3.0)) < 0.3;
    rim || middle || pillar
}

fn hall_frame() -> RegionFrame {
    RegionFrame { origin: Point::new(0.0, 0.0), resolution: RES, width: 200, height: 120 }
}

fn hall() -> Arc<Terrain> {
    static HALL: LazyLock<Arc<Terrain>> = LazyLock::new(|| {
        let frame = hall_frame();
        Arc::new(Terrain::new(frame, |cell| is_wall(frame.center_of(cell))).unwrap())
    });
    Arc::clone(&HALL)
}

fn planning() -> PlanningMap {
    let frame = hall_frame();
    let cell = |cell| if is_wall(frame.center_of(cell)) { Cell::Occupied } else { Cell::Free };
    let map = OccupancyMap::from_cells(frame, cell);
    PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap()
}

fn rover(x: f64, y: f64, heading: f64) -> RobotSpec {
    RobotSpec { descriptor: BodyDescriptor::rover(), start: Pose::new(x, y, heading) }
}

fn world_of(robots: Vec<RobotSpec>, noise: Noise) -> World {
    World::new(WorldConfig { robots, noise, ..WorldConfig::new(11, hall()) }).unwrap()
}

fn drive(world: &mut World, robot: usize, twist: Twist) {
    let frame = ActuatorFrame { at: world.now(), sequence: 0, mode: DriveMode::Follow, twist };
    world.actuate(robot, &frame).unwrap();
}

fn drive_for(world: &mut World, robot: usize, twist: Twist, steps: u32) {
    for _ in 0..steps {
        drive(world, robot, twist);
        world.step();
    }
}

/// Everything a robot senses, as text: compares NaN with NaN.
fn sensed(world: &World, robot: usize) -> String {
    format!("{:?}", world.frame(robot).unwrap())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let run = |seed| {
        let robots = vec![rover(1.0, 1.0, 0.3), rover(2.5, 4.0, 2.0), rover(8.5, 1.0, -1.0)];
        let mut world = World::new(WorldConfig { robots, people: 3, ..WorldConfig::new(seed, hall()) }).unwrap();
        let mut record = String::new();
        for step in 0..600_u32 {
            for robot in 0..3 {
                drive(&mut world, robot, Twist::planar(0.4, f64::from(step % 100) / 50.0 - 1.0));
            }
            world.step();
            if step % 20 == 0 {
                (0..3).for_each(|robot| record.push_str(&sensed(&world, robot)));
                record.push_str(&format!("{:?}", world.people().collect::<Vec<_>>()));
            }
        }
        record + &format!("{:?}", world.truth())
    };
    assert!(run(5) == run(5));
    assert!(run(5) != run(6));
}

#[test]
fn a_robot_far_away_changes_nothing_for_another() {
    let run = |robots: Vec<RobotSpec>| {
        let mut world = world_of(robots, Noise::usual());
        drive_for(&mut world, 0, Twist::planar(0.3, 0.5), 300);
        sensed(&world, 0)
    };
    let (near, far) = (rover(2.0, 1.0, 0.0), rover(9.4, 0.6, 0.0));
    assert_eq!(run(vec![near]), run(vec![near, far]));
}

#[test]
fn a_perfect_rover_drives_as_its_command_says_and_senses_just_that() {
    let mut world = world_of(vec![rover(1.0, 3.0, 0.0)], Noise::none());
    drive_for(&mut world, 0, Twist::planar(0.5, 0.0), 300);
    let pose = world.pose(0).unwrap();
    // Half a second at 1 m/s² to get up to speed, and the lag of the motors.
    let ideal = 1.0 + 0.5 * (3.0 - 0.25);
    assert!((pose.position.x - ideal).abs() < 0.03 && (pose.position.y - 3.0).abs() < 1e-9, "{pose:?}");
    let frame = world.frame(0).unwrap();
    assert_eq!(frame.estimate.pose, pose);
    assert_eq!(frame.estimate.at, world.now());
    assert!((frame.odometry.position.x - (pose.position.x - 1.0)).abs() < 1e-9);
    assert!((frame.twist.vx - 0.5).abs() < 1e-3);
    assert!((world.truth().distance_m[0] - (pose.position.x - 1.0)).abs() < 1e-9);
}

#[test]
fn a_rover_that_drives_into_a_wall_stops_at_it_and_it_counts_once() {
    let mut world = world_of(vec![rover(1.0, 1.0, 0.0)], Noise::usual());
    drive_for(&mut world, 0, Twist::planar(1.0, 0.0), 600);
    let truth = world.truth();
    assert_eq!(truth.collisions.robot_wall, 1, "{truth:?}");
    let pose = world.pose(0).unwrap();
    assert!((pose.position.x - (4.9 - 0.25)).abs() < 0.03, "{pose:?}");
    assert!(world.frame(0).unwrap().bumper);
    assert!(world.twist(0).unwrap().vx < 0.05);
    drive_for(&mut world, 0, Twist::planar(-0.5, 0.0), 200);
    assert!(world.pose(0).unwrap().position.x < 4.2, "it can leave again");
    assert!(!world.frame(0).unwrap().bumper);
    assert_eq!(world.truth().collisions.robot_wall, 1);
}

#[test]
fn two_rovers_that_meet_stop_and_it_counts_once_for_both() {
    let mut world = world_of(vec![rover(1.0, 1.0, 0.0), rover(4.0, 1.05, core::f64::consts::PI)], Noise::usual());
    for _ in 0..500 {
        (0..2).for_each(|robot| drive(&mut world, robot, Twist::planar(0.6, 0.0)));
        world.step();
        let gap = world.pose(0).unwrap().position.distance(world.pose(1).unwrap().position);
        assert!(gap > 0.499, "{gap}");
    }
    let truth = world.truth();
    assert_eq!((truth.collisions.robot_robot, truth.collisions.robot_wall), (1, 0), "{truth:?}");
    assert!(truth.min_separation_m.unwrap() < 0.5);
    assert_eq!(world.contacts()[0].other, Some(1));
}

#[test]
fn the_smallest_separation_is_remembered_after_robots_part() {
    let mut world = world_of(vec![rover(1.0, 1.0, 0.0), rover(4.0, 1.8, 0.0)], Noise::none());
    drive_for(&mut world, 0, Twist::planar(0.8, 0.0), 400);
    drive_for(&mut world, 0, Twist::planar(-0.8, 0.0), 300);
    let least = world.truth().min_separation_m.unwrap();
    assert!((least - 0.8).abs() < 0.02, "{least}");
}

#[test]
fn lidar_sees_walls_and_the_other_robot_where_they_are() {
    let mut world = world_of(vec![rover(2.0, 3.0, 0.5), rover(3.5, 3.0, 0.0)], Noise::none());
    (0..10).for_each(|_| world.step());
    let pose = world.pose(0).unwrap();
    let scan = world.frame(0).unwrap().scan;
    let hits =
        |beam: usize| pose.map_from_body(Point::from_heading(Scan::angle_of(beam)) * f64::from(scan.ranges[beam]));
    let other = Point::new(3.5, 3.0);
    for beam in 0..360 {
        let hit = hits(beam);
        let near_wall = hall().nearest_solid(hit, 1e-3).is_some();
        assert!(near_wall || (hit.distance(other) - 0.25).abs() < 1e-3, "beam {beam} ended at {hit:?}");
    }
    assert!((0..360).any(|beam| (hits(beam).distance(other) - 0.25).abs() < 1e-3));
}

#[test]
fn the_localiser_lags_wanders_and_jumps_within_what_was_said() {
    let noise = Noise { jumps_per_hour: 3_600.0, ..Noise::usual() };
    let mut world = world_of(vec![rover(2.0, 2.0, 0.0)], noise);
    let (mut worst, mut cells, mut truths) = (0.0_f64, 0.0, vec![]);
    for step in 0..4_000_u64 {
        drive(&mut world, 0, Twist::planar(0.3, 0.5));
        world.step();
        truths.push(world.pose(0).unwrap());
        let estimate = world.frame(0).unwrap().estimate;
        let lag = (world.now().since(estimate.at).as_millis() / 10) as usize;
        if step > 20 {
            assert!((5..=10).contains(&lag), "{lag}");
            let then = truths[truths.len() - 1 - lag];
            let error = then.position.distance(estimate.pose.position);
            worst = worst.max(error);
            cells += error * error;
            assert!(wrap_angle(then.heading - estimate.pose.heading).abs() < 0.03);
            assert!(estimate.position_std.0 > 0.0 && error < 6.0 * estimate.position_std.0 + 0.06);
        }
    }
    let deviation = (cells / 2.0 / 3_980.0_f64).sqrt();
    assert!((0.01..0.06).contains(&deviation), "{deviation}");
    assert!((0.04..0.17).contains(&worst), "{worst}");
}

#[test]
fn odometry_drifts_but_not_much() {
    let mut world = world_of(vec![rover(2.0, 2.0, 0.0)], Noise::usual());
    drive_for(&mut world, 0, Twist::planar(0.4, 0.4), 2_000);
    let pose = world.pose(0).unwrap();
    let from_start = Point::new(pose.position.x - 2.0, pose.position.y - 2.0);
    let error = from_start.distance(world.frame(0).unwrap().odometry.position);
    assert!(error > 1e-4 && error < 0.5, "{error}");
}

#[test]
fn driving_drains_the_battery_and_standing_at_home_fills_it() {
    let mut world = world_of(vec![rover(2.0, 2.0, 0.0)], Noise::none());
    world.set_charge(0, Percent(50.0));
    let charge = |world: &World| world.frame(0).unwrap().battery.charge.0;
    drive_for(&mut world, 0, Twist::planar(0.5, 0.5), 3_000);
    let driven = charge(&world);
    // 10 W, 25 W for the way and 2.5 W for the turn are 0.3 Wh in 30 s.
    assert!((50.0 - driven - 0.3).abs() < 0.1, "{driven}");
    let mut home = world_of(vec![rover(2.0, 2.0, 0.0)], Noise::none());
    home.set_charge(0, Percent(50.0));
    (0..1_000).for_each(|_| home.step());
    assert!(charge(&home) > 50.5 && home.frame(0).unwrap().battery.charging);
}

#[test]
fn an_empty_battery_stops_the_motors() {
    let mut world = world_of(vec![rover(2.0, 2.0, 0.0)], Noise::none());
    world.set_charge(0, Percent(0.01));
    drive_for(&mut world, 0, Twist::planar(0.3, 0.5), 2_000);
    assert!(!world.frame(0).unwrap().motors_powered);
    assert_eq!(world.twist(0), Some(Twist::ZERO));
    assert_eq!(world.restore_power(0), Err(CommandError::Powerless));
}

#[test]
fn a_pressed_emergency_stop_is_sensed_until_it_is_let_go() {
    let mut world = world_of(vec![rover(2.0, 2.0, 0.0)], Noise::none());
    for pressed in [true, false] {
        world.press_estop(0, pressed);
        world.step();
        assert_eq!(world.frame(0).unwrap().emergency_stop, pressed);
    }
}

#[test]
fn a_drop_off_is_sensed_ahead_and_swallows_who_drives_on() {
    let cliff = Polygon::rectangle(Point::new(3.0, 0.5), Point::new(4.0, 5.5)).unwrap();
    let config = WorldConfig { cliffs: vec![cliff], noise: Noise::none(), ..WorldConfig::new(1, hall()) };
    let mut world = World::new(WorldConfig { robots: vec![rover(1.5, 3.0, 0.0)], ..config }).unwrap();
    let mut sensed_at = None;
    for _ in 0..500 {
        drive(&mut world, 0, Twist::planar(0.5, 0.0));
        world.step();
        let ahead = world.frame(0).unwrap().cliff;
        if sensed_at.is_none() && ahead != [false; 4] {
            assert_eq!(ahead, [true, false, false, false]);
            sensed_at = Some(world.pose(0).unwrap().position.x);
        }
    }
    assert!((3.0 - 0.66..3.0 - 0.6).contains(&sensed_at.unwrap()), "{sensed_at:?}");
    assert_eq!(world.truth().falls, 1);
    assert_eq!(world.restore_power(0), Err(CommandError::Powerless));
}

#[test]
fn people_walk_far_without_entering_walls_or_robots_that_stand() {
    let robots = vec![rover(2.0, 3.0, 0.0), rover(8.5, 3.0, 0.0)];
    let config = WorldConfig { robots, people: 6, distraction: 0.0, ..WorldConfig::new(4, hall()) };
    let mut world = World::new(config).unwrap();
    let start: Vec<Point> = world.people().collect();
    assert!(!start.is_empty());
    let mut way = vec![0.0; start.len()];
    let mut last = start;
    for _ in 0..6_000 {
        world.step();
        for (i, at) in world.people().enumerate() {
            assert!(hall().nearest_solid(at, 0.249).is_none(), "person {i} at {at:?}");
            way[i] += at.distance(last[i]);
            last[i] = at;
        }
    }
    assert!(way.iter().all(|w| *w > 3.0), "{way:?}");
    assert_eq!(world.truth().collisions.robot_person, 0);
}

fn survey() -> Survey {
    let map = Arc::new(planning());
    let zone = map.reachable_from(&[Point::new(2.0, 3.0)]);
    Survey { map, zone }
}

#[test]
fn coverage_is_what_the_true_place_has_had_in_range_and_in_sight() {
    let survey = survey();
    let map = Arc::clone(&survey.map);
    let all = survey.zone.len();
    let config = WorldConfig { survey: Some(survey), noise: Noise::none(), ..WorldConfig::new(1, hall()) };
    let mut world = World::new(WorldConfig { robots: vec![rover(2.0, 3.0, 0.0)], ..config }).unwrap();
    let first = world.truth().coverage.unwrap();
    assert!(first.ratio > 0.1 && first.ratio < 0.3, "{first:?}");
    for cell in world.unswept() {
        let at = map.frame().center_of(cell);
        assert!(at.x > 4.9 || at.distance(Point::new(2.0, 3.0)) > 2.0, "{at:?} is in range and in sight");
    }
    drive_for(&mut world, 0, Twist::planar(0.8, 0.0), 500);
    let later = world.truth().coverage.unwrap();
    assert!(later.ratio > first.ratio + 0.1);
    assert!((later.zone_area_m2 - all as f64 * 0.01).abs() < 1e-6);
}

#[test]
fn robots_start_apart_from_each_other_in_the_free_part_of_the_zone() {
    let (map, zone) = (planning(), survey().zone);
    for count in [1, 6, 10] {
        let places = start_places(&map, &zone, count, 3).unwrap();
        assert_eq!(places.len(), count);
        assert_eq!(places, start_places(&map, &zone, count, 3).unwrap());
        for (i, a) in places.iter().enumerate() {
            assert!(map.traversable_at(a.position));
            assert!(places.iter().skip(i + 1).all(|b| a.position.distance(b.position) >= START_GAP_MIN));
        }
    }
    assert!(start_places(&map, &zone, 500, 3).is_err());
    assert!(start_places(&map, &Region::empty(*map.frame()).unwrap(), 1, 3).is_err());
}

#[test]
fn what_cannot_be_a_world_is_refused() {
    let make = |robots| World::new(WorldConfig { robots, ..WorldConfig::new(1, hall()) }).unwrap_err();
    assert!(matches!(make(vec![rover(0.3, 3.0, 0.0)]), WorldError::StartBlocked { robot: 0, .. }));
    assert_eq!(make(vec![rover(2.0, 3.0, 0.0), rover(2.2, 3.0, 0.0)]), WorldError::StartsOverlap(0, 1));
    assert_eq!(make(vec![rover(f64::NAN, 3.0, 0.0)]), WorldError::Body(0));
    assert!(matches!(make(vec![rover(2.0, 3.0, 0.0); 2_000]), WorldError::TooManyRobots(2_000)));
}

#[test]
fn a_late_or_senseless_command_brakes() {
    let mut world = world_of(vec![rover(2.0, 3.0, 0.0)], Noise::none());
    drive_for(&mut world, 0, Twist::planar(0.5, 0.0), 100);
    let late =
        ActuatorFrame { at: MonoTime::ZERO, sequence: 1, mode: DriveMode::Follow, twist: Twist::planar(1.0, 0.0) };
    assert!(matches!(world.actuate(0, &late), Err(CommandError::Late(_))));
    let nan = ActuatorFrame { at: world.now(), twist: Twist::planar(f64::NAN, 0.0), ..late };
    assert_eq!(world.actuate(0, &nan), Err(CommandError::NotFinite));
    (0..60).for_each(|_| world.step());
    assert_eq!(world.twist(0), Some(Twist::ZERO));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn however_they_are_driven_no_footprint_is_in_a_wall_or_in_another(
        commands in prop::collection::vec((-1.5_f64..1.5, -1.5_f64..1.5, -2.5_f64..2.5), 4..24), seed in 0_u64..1_000
    ) {
        let bodies = [BodyDescriptor::rover(), BodyDescriptor::holonomic(), BodyDescriptor::rover()];
        let starts = [Pose::new(1.0, 1.0, 0.0), Pose::new(3.0, 3.0, 1.0), Pose::new(8.5, 4.0, 2.0)];
        let robots = bodies.into_iter().zip(starts).map(|(descriptor, start)| RobotSpec { descriptor, start }).collect();
        let mut world = World::new(WorldConfig { robots, lidar_every: 0, ..WorldConfig::new(seed, hall()) }).unwrap();
        for (i, (vx, vy, yaw_rate)) in commands.into_iter().enumerate() {
            for _ in 0..40 {
                drive(&mut world, i % 3, Twist { vx, vy, vz: 0.0, yaw_rate });
                drive(&mut world, (i + 1) % 3, Twist::planar(vx, yaw_rate));
                world.step();
                for robot in 0..3 {
                    let at = world.pose(robot).unwrap().position;
                    prop_assert!(hall().nearest_solid(at, 0.25 - 1e-9).is_none(), "{at:?}");
                }
            }
        }
        let truth = world.truth();
        prop_assert!(truth.distance_m.iter().all(|d| d.is_finite()));
    }
}
