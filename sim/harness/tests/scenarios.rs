//! Stories of `STORIES.md` on the virtual clock, each over several seeds.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{config, rooms};
use skein_robot::{RobotInput, RobotOutput};
use skein_sim::fleet::{FaultSpec, Fleet, FleetConfig, FleetReport, Press, Probe};
use skein_sim::place::Place;
use skein_space::map::Cell;
use skein_types::geometry::Point;
use skein_types::mission::MissionState;
use skein_types::polygon::Polygon;
use skein_types::safety::Latch;
use skein_types::time::MonoTime;
use skein_world::Terrain;

const SEEDS: u64 = 3;

fn faults(specs: &[&str]) -> Vec<FaultSpec> {
    specs.iter().map(|spec| spec.parse().unwrap()).collect()
}

fn presses(specs: &[&str]) -> Vec<Press> {
    specs.iter().map(|spec| spec.parse().unwrap()).collect()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn levels(fleet: &Fleet, robots: usize) -> Vec<Option<Latch>> {
    (0..robots).map(|robot| fleet.robot(robot).map(|core| core.latch().latches().level())).collect()
}

fn speeds(fleet: &Fleet, robots: usize) -> Vec<f64> {
    (0..robots).map(|robot| fleet.world().twist(robot).unwrap().speed()).collect()
}

fn driven(fleet: &Fleet, robots: usize) -> Vec<f64> {
    (0..robots).map(|robot| fleet.world().driven(robot).unwrap()).collect()
}

/// Codes of the alarms that the commander sees.
fn alarms(fleet: &Fleet) -> Vec<String> {
    fleet.fleet_view().map(|view| view.alarms.into_iter().map(|alarm| alarm.code).collect()).unwrap_or_default()
}

/// Whether a robot hears every other robot of the fleet.
fn hears_all(fleet: &Fleet, robot: usize, robots: usize) -> bool {
    let peers = fleet.robot(robot).unwrap().tactical().agent().status(MonoTime::ZERO).peers;
    let others = (0..robots).filter(|other| *other != robot).map(|other| format!("rover-{}", other + 1));
    others.into_iter().all(|name| peers.iter().any(|peer| peer.agent.as_str() == name))
}

/// The rooms with a box in them that is on no map.
fn rooms_with(low: Point, high: Point) -> Place {
    let place = rooms();
    let frame = *place.map.frame();
    let is_solid = |cell| {
        let at = frame.center_of(cell);
        let in_box = (low.x..high.x).contains(&at.x) && (low.y..high.y).contains(&at.y);
        in_box || place.map.cell(cell) != Cell::Free
    };
    let terrain = Arc::new(Terrain::new(frame, is_solid).unwrap());
    Place { terrain, ..place }
}

/// Where a robot knows hazards within half a metre of a place.
fn knows_hazard_at(fleet: &Fleet, robot: usize, at: Point) -> bool {
    let hazards = fleet.robot(robot).unwrap().tactical().agent().status(MonoTime::ZERO).world.hazards;
    hazards.iter().any(|hazard| hazard.position.distance(at) < 0.5)
}

fn assert_sound(report: &FleetReport, seed: u64) {
    assert_eq!(report.collisions.total(), 0, "seed {seed}: {:#?}", report.incidents.first());
    let moves = report.checks.iter().find(|check| check.what.starts_with("no robot moved against")).unwrap();
    assert!(moves.holds, "seed {seed}: {:#?}", report.incidents);
}

/// Story 15. The supervisor hangs with a full disk, the agent of rover-2 hangs, rover-4 hears nothing but rover-3.
#[test]
fn stop_works_whatever_is_broken() {
    for seed in 1..=SEEDS {
        let config = FleetConfig {
            faults: faults(&[
                "cloud-disk-full:@5+60",
                "hang-cloud:@9+16",
                "hang-agent:rover-2@9+10",
                "cut-cloud:rover-4@8+60",
                "cut-debug:rover-4@8+60",
                "split-mesh:rover-2@8+60",
                "kill:all@20+2",
                "kill-cloud:@26+3",
            ]),
            presses: presses(&["stop:all@12/supervisor,rover-1,rover-2,rover-3,rover-4"]),
            ..config(4, seed)
        };
        let mut fleet = Fleet::new(config).unwrap();
        fleet.run_until(seconds(11.9));
        assert!(driven(&fleet, 4).iter().sum::<f64>() > 4.0, "seed {seed}: they were to be driving");
        fleet.run_until(seconds(13.5));
        assert_eq!(levels(&fleet, 4), [Some(Latch::Stop); 4], "seed {seed}");
        assert!(speeds(&fleet, 4).iter().all(|speed| *speed < 0.02), "seed {seed}: {:?}", speeds(&fleet, 4));
        let kept = |robot| fleet.acknowledgements().iter().any(|ack| ack.robot == robot && ack.kept);
        assert!((0..3).all(kept), "seed {seed}: {:?}", fleet.acknowledgements());
        let before = driven(&fleet, 4);
        fleet.run_until(seconds(45.0));
        assert_eq!(levels(&fleet, 4), [Some(Latch::Stop); 4], "seed {seed}: a restart of everything changes nothing");
        let moved = driven(&fleet, 4).iter().zip(&before).map(|(now, then)| now - then).fold(0.0, f64::max);
        assert!(moved < 0.05, "seed {seed}: a stopped robot drove {moved} m");
        assert_sound(&fleet.report_so_far(), seed);
    }
}

/// Story 15, its end: only a person releases, and then the work goes on.
#[test]
fn a_release_lets_the_work_go_on() {
    for seed in 1..=SEEDS {
        let config = FleetConfig {
            presses: presses(&[
                "stop:all@8/supervisor",
                "stop:rover-2@9/rover-2",
                "release:all@20/supervisor",
                "release:rover-2@30/supervisor",
            ]),
            ..config(3, seed)
        };
        let report = Fleet::new(config).unwrap().run(&mut |_| ());
        assert_sound(&report, seed);
        assert_eq!(report.mission.as_ref().map(|mission| mission.state), Some(MissionState::Done), "seed {seed}");
        assert!(report.coverage_ratio >= 0.99, "seed {seed}: {}", report.coverage_ratio);
    }
}

/// Drops what would stop one robot: a checker that cannot see this sees nothing.
struct DeafTo {
    robot: usize,
}

impl Probe for DeafTo {
    fn input(&mut self, _now: MonoTime, robot: usize, input: RobotInput) -> Option<RobotInput> {
        let is_latch = matches!(input, RobotInput::Latch(_) | RobotInput::Command(_));
        (robot != self.robot || !is_latch).then_some(input)
    }
}

#[test]
fn a_robot_that_is_deaf_to_stop_is_seen() {
    let config = FleetConfig { presses: presses(&["stop:all@8/supervisor,rover-1,rover-2"]), ..config(2, 1) };
    let mut fleet = Fleet::new(config).unwrap();
    fleet.run_until(seconds(7.5));
    fleet.set_probe(Box::new(DeafTo { robot: 1 }));
    fleet.run_until(seconds(12.0));
    assert_eq!(levels(&fleet, 2), [Some(Latch::Stop), Some(Latch::Released)]);
}

/// When each robot's core reported a hazard, and when the first message about it was handed to each of the others.
#[derive(Default)]
struct HazardTimes {
    reported: Option<MonoTime>,
    heard: Option<MonoTime>,
}

struct HazardProbe(Rc<RefCell<HazardTimes>>);

impl Probe for HazardProbe {
    fn input(&mut self, now: MonoTime, _robot: usize, input: RobotInput) -> Option<RobotInput> {
        if matches!(input, RobotInput::Hazard(_)) {
            self.0.borrow_mut().heard.get_or_insert(now);
        }
        Some(input)
    }

    fn output(&mut self, now: MonoTime, _robot: usize, output: RobotOutput) -> Option<RobotOutput> {
        if matches!(output, RobotOutput::Hazard(_)) {
            self.0.borrow_mut().reported.get_or_insert(now);
        }
        Some(output)
    }
}

/// Story 5. The floor ends where no map shows it: the robot that finds the edge stops, the others have it in their reflex as
/// soon as the network delivers it, and nobody falls.
#[test]
fn an_edge_on_no_map_is_in_every_reflex_at_once() {
    for seed in 1..=SEEDS {
        let edge = Polygon::rectangle(Point::new(4.0, -3.0), Point::new(6.0, -1.6)).unwrap();
        let config = FleetConfig { cliffs: vec![edge], limit: seconds(90.0), ..config(3, seed) };
        let times = Rc::new(RefCell::new(HazardTimes::default()));
        let mut fleet = Fleet::new(config).unwrap();
        fleet.set_probe(Box::new(HazardProbe(Rc::clone(&times))));
        let mut at = 1.0;
        while at < 80.0 && times.borrow().heard.is_none() {
            at += 0.01;
            fleet.run_until(seconds(at));
        }
        let (reported, heard) = (times.borrow().reported.unwrap(), times.borrow().heard.unwrap());
        // The longest delay of a sound link is 9 ms; the cores add nothing to it.
        assert!(heard.since(reported) <= Duration::from_millis(9), "seed {seed}: {:?}", heard.since(reported));
        let knows = |robot: usize| fleet.robot(robot).unwrap().straight_hazards().iter().any(Option::is_some);
        assert!((0..3).filter(|robot| knows(*robot)).count() >= 1, "seed {seed}");
        fleet.run_until(seconds(at + 20.0));
        assert_eq!(fleet.world().truth().falls, 0, "seed {seed}");
        let view = fleet.fleet_view().unwrap();
        assert!(!view.hazards.is_empty(), "seed {seed}: the edge is not on the commander's map");
        assert_sound(&fleet.report_so_far(), seed);
    }
}

/// A box on no map, without the supervisor: the robot that finds it tells its peers, and they know it before they have
/// seen it. The commander hears of it when the links are back.
#[test]
fn an_obstacle_on_no_map_is_known_to_all_from_the_robot_that_found_it() {
    let (low, high) = (Point::new(1.2, -1.6), Point::new(1.7, -1.1));
    let middle = low.lerp(high, 0.5);
    let mut by_mesh_only = 0;
    for seed in 1..=SEEDS {
        let faults = faults(&["cut-cloud:all@4+90"]);
        let config = FleetConfig { place: rooms_with(low, high), faults, ..config(3, seed) };
        let mut fleet = Fleet::new(config).unwrap();
        let mut at = 4.0;
        let known = |fleet: &Fleet| (0..3).filter(|robot| knows_hazard_at(fleet, *robot, middle)).count();
        while at < 90.0 && known(&fleet) == 0 {
            at += 0.05;
            fleet.run_until(seconds(at));
        }
        assert!(known(&fleet) > 0, "seed {seed}: nobody reported the box");
        fleet.run_until(seconds(at + 0.2));
        assert_eq!(known(&fleet), 3, "seed {seed}: told by the mesh alone, at {at} s");
        let sees = |robot: usize| {
            let status = fleet.robot(robot).unwrap().tactical().agent().status(MonoTime::ZERO);
            status.world.obstacles.iter().any(|cell| cell.distance(middle) < 0.6)
        };
        by_mesh_only += (0..3).filter(|robot| !sees(*robot)).count();
        let report = fleet.run(&mut |_| ());
        assert_sound(&report, seed);
        assert_eq!(report.mission.as_ref().map(|mission| mission.state), Some(MissionState::Done), "seed {seed}");
        let hazards = fleet.fleet_view().unwrap().hazards;
        let on_map = |entry: &skein_types::coord::MapHazard| !entry.cleared && entry.position.distance(middle) < 0.5;
        assert!(hazards.iter().any(on_map), "seed {seed}: the commander's map shows {hazards:?}");
    }
    assert!(by_mesh_only > 0, "in no run did a robot know of the box before its own lidar saw it");
}

/// Without anything unmapped nothing is reported: no robot and no person becomes an obstacle.
#[test]
fn robots_and_people_are_not_taken_for_obstacles() {
    for seed in 1..=SEEDS {
        let mut fleet = Fleet::new(FleetConfig { people: 1, limit: seconds(120.0), ..config(3, seed) }).unwrap();
        let report = fleet.run(&mut |_| ());
        assert_sound(&report, seed);
        let hazards = fleet.fleet_view().unwrap().hazards;
        assert_eq!(hazards, [], "seed {seed}");
    }
}

/// Story 16 at full strength: 20,000 messages a second to each robot, without a limit in the network. Each robot goes on
/// hearing the others, and the commander is told.
#[test]
fn a_flood_of_twenty_thousand_lies_a_second_blinds_nobody_and_the_commander_is_told() {
    let flood: Vec<&str> = std::iter::repeat_n("liar:rover-2@6+4", 10).collect();
    let mut fleet = Fleet::new(FleetConfig { faults: faults(&flood), ..config(3, 1) }).unwrap();
    fleet.run_until(seconds(5.9));
    assert!((0..3).all(|robot| hears_all(&fleet, robot, 3)), "before the flood");
    assert!(!alarms(&fleet).contains(&"mesh_conflict".to_owned()));
    for step in 1..=20 {
        fleet.run_until(seconds(6.0 + 0.2 * f64::from(step)));
        assert!((0..3).all(|robot| hears_all(&fleet, robot, 3)), "step {step}");
    }
    assert!(alarms(&fleet).contains(&"mesh_conflict".to_owned()), "{:?}", alarms(&fleet));
    let report = fleet.run(&mut |_| ());
    assert_sound(&report, 1);
    assert_eq!(report.mission.as_ref().map(|mission| mission.state), Some(MissionState::Done));
}

/// Story 16. An unknown process invents seventy robots, speaks in rover-2's name, claims emergencies, reports a hazard a
/// kilometre wide, forges releases and floods.
#[test]
fn a_liar_on_the_mesh_stops_nothing_and_releases_nothing() {
    for seed in 1..=SEEDS {
        let config = FleetConfig {
            faults: faults(&["liar:rover-2@6+30"]),
            presses: presses(&["stop:rover-1@14/rover-1", "release:rover-1@24/rover-1"]),
            ..config(3, seed)
        };
        let mut fleet = Fleet::new(config).unwrap();
        fleet.run_until(seconds(23.9));
        assert_eq!(levels(&fleet, 3)[0], Some(Latch::Stop), "seed {seed}: a forged release released");
        assert!(alarms(&fleet).contains(&"mesh_conflict".to_owned()), "seed {seed}: {:?}", alarms(&fleet));
        let report = fleet.run(&mut |_| ());
        assert_sound(&report, seed);
        assert_eq!(report.mission.as_ref().map(|mission| mission.state), Some(MissionState::Done), "seed {seed}");
        assert!(report.coverage_ratio >= 0.99, "seed {seed}: {}", report.coverage_ratio);
    }
}
