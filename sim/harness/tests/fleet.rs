//! A fleet on the virtual clock does its work: everything swept, nobody touched, whichever process dies, and the same bytes
//! for the same seed.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::time::Duration;

use common::config;
use skein_sim::fleet::{FaultKind, FaultSpec, Fleet, FleetConfig, FleetReport, LinkKind};
use skein_types::geometry::Point;
use skein_types::mission::MissionState;
use skein_types::polygon::Polygon;

fn run(config: FleetConfig) -> FleetReport {
    Fleet::new(config).unwrap().run(&mut |_| ())
}

/// Every check holds; says which does not, and what led up to it.
fn assert_good(report: &FleetReport) {
    let broken: Vec<_> = report.checks.iter().filter(|check| !check.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}\n{:#?}", report.incidents.first());
    assert_eq!(report.mission.as_ref().map(|mission| mission.state), Some(MissionState::Done));
}

fn fault(kind: FaultKind, robot: Option<usize>, at_s: u64, lasts_s: Option<u64>) -> FaultSpec {
    FaultSpec { kind, robot, at: Duration::from_secs(at_s), lasts: lasts_s.map(Duration::from_secs) }
}

#[test]
fn one_robot_surveys_two_rooms() {
    assert_good(&run(config(1, 1)));
}

#[test]
fn three_robots_share_the_work_and_keep_apart() {
    let report = run(config(3, 2));
    assert_good(&report);
    assert!(report.per_robot.iter().all(|robot| robot.distance_m > 1.0), "{:?}", report.per_robot);
}

#[test]
fn the_area_of_a_robot_that_dies_is_taken_over() {
    let report = run(FleetConfig { faults: vec![fault(FaultKind::Kill, Some(1), 6, None)], ..config(3, 3) });
    assert_good(&report);
    assert!(!report.per_robot[1].alive);
}

#[test]
fn a_supervisor_that_restarts_knows_its_mission_and_the_robots_went_on_without_it() {
    let report = run(FleetConfig { faults: vec![fault(FaultKind::KillCloud, None, 8, Some(10))], ..config(2, 4) });
    assert_good(&report);
}

#[test]
fn without_the_mesh_robots_still_do_not_touch() {
    let report =
        run(FleetConfig { faults: vec![fault(FaultKind::Cut(LinkKind::Mesh), None, 3, Some(30))], ..config(3, 5) });
    assert_eq!(report.collisions.total(), 0, "{:#?}", report.incidents.first());
    assert_eq!(report.mission.as_ref().map(|mission| mission.state), Some(MissionState::Done));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| {
        let mut trace = String::new();
        let short = FleetConfig {
            limit: Duration::from_secs(25),
            people: 1,
            faults: vec![fault(FaultKind::Cut(LinkKind::Cloud), Some(0), 5, Some(5))],
            ..config(3, seed)
        };
        let report = Fleet::new(short).unwrap().run(&mut |sample| trace += &serde_json::to_string(sample).unwrap());
        trace + &serde_json::to_string(&report).unwrap()
    };
    let first = bytes(6);
    assert!(first == bytes(6), "two runs of one seed differ");
    assert!(first != bytes(7), "two seeds give the same run");
}

#[test]
fn a_checker_sees_what_goes_wrong() {
    // All robots lose their power for good: nothing can be swept, and nobody may say otherwise.
    let faults = vec![fault(FaultKind::PowerLoss, None, 2, None)];
    let report = run(FleetConfig { faults, limit: Duration::from_secs(200), ..config(2, 8) });
    assert!(!report.is_good());
    assert!(report.incidents.iter().any(|incident| incident.what.contains("nothing was swept")), "{report:#?}");
}

#[test]
fn what_cannot_run_is_refused() {
    let nowhere = Polygon::rectangle(Point::new(50.0, 50.0), Point::new(60.0, 60.0)).unwrap();
    assert!(Fleet::new(FleetConfig { zone: nowhere, ..config(2, 1) }).is_err());
    assert!(Fleet::new(config(400, 1)).is_err());
    let nobody = vec![fault(FaultKind::Kill, Some(7), 1, None)];
    assert!(Fleet::new(FleetConfig { faults: nobody, ..config(2, 1) }).is_err());
}
