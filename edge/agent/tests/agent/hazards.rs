//! The shared hazard map: planned around by everyone, reported once, cleared by a robot that sees the place free.

use std::time::Duration;

use super::rig::{Rig, two_rooms};
use skein_agent::Input;
use skein_types::coord::{HazardKind, MapHazard};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::{SliceState, Task};
use skein_types::telemetry::LinkState;
use skein_types::time::WallTime;
use skein_types::units::Meters;
use uuid::Uuid;

/// Middle of the lower door between the two rooms.
const DOOR: Point = Point::new(6.4, 1.2);

fn entry(kind: HazardKind, cleared: bool, sequence: u64) -> MapHazard {
    MapHazard {
        kind,
        position: DOOR,
        radius: Meters(0.4),
        reporter: AgentId::new("rover-2").unwrap(),
        boot: BootId(Uuid::from_u128(9)),
        sequence,
        seen_at: WallTime::default(),
        cleared,
    }
}

/// Drives through a door to the other room. True when it took the upper one.
fn takes_the_upper_door(rig: &mut Rig) -> bool {
    rig.assign(1, Task::GoTo { goal: Point::new(9.5, 1.2), hold: Some(Duration::ZERO) });
    let done = |rig: &Rig| rig.progress.last().is_some_and(|progress| progress.state.is_terminal());
    assert!(rig.until(90.0, done), "{}", rig.why());
    assert_eq!(rig.progress.last().unwrap().state, SliceState::Done);
    rig.trail.iter().any(|at| at.y > 4.5)
}

#[test]
fn a_cliff_from_the_supervisor_is_planned_around_until_cleared() {
    let mut rig = Rig::new(two_rooms(), Pose::new(3.0, 1.2, 0.0));
    rig.give(Input::Hazards(vec![entry(HazardKind::Cliff, false, 1)]));
    // Nobody repeats it: a static hazard does not expire.
    rig.run(30.0);
    assert!(takes_the_upper_door(&mut rig));
    let mut rig = Rig::new(two_rooms(), Pose::new(3.0, 1.2, 0.0));
    rig.give(Input::Hazards(vec![entry(HazardKind::Cliff, false, 1)]));
    rig.run(1.0);
    rig.give(Input::Hazards(vec![entry(HazardKind::Cliff, true, 2)]));
    assert!(!takes_the_upper_door(&mut rig));
}

#[test]
fn an_obstacle_that_the_lidar_sees_through_is_cleared_for_all() {
    let mut rig = Rig::new(two_rooms(), Pose::new(3.0, 1.2, 0.0));
    rig.give(Input::Hazards(vec![entry(HazardKind::Obstacle, false, 1)]));
    rig.run(0.5);
    assert!(rig.map_changes.iter().all(|change| !change.cleared), "five revolutions are not enough");
    rig.run(1.0);
    let cleared: Vec<&MapHazard> = rig.map_changes.iter().filter(|change| change.cleared).collect();
    assert_eq!(cleared.len(), 1, "{:?}", rig.map_changes);
    assert_eq!((cleared[0].kind, cleared[0].reporter.as_str()), (HazardKind::Obstacle, "rover-1"));
    assert!(!takes_the_upper_door(&mut rig));
}

#[test]
fn an_obstacle_that_is_there_stays_in_the_map() {
    let mut rig = Rig::new(two_rooms(), Pose::new(3.0, 1.2, 0.0));
    rig.things = vec![(DOOR, 0.3)];
    rig.give(Input::Hazards(vec![entry(HazardKind::Obstacle, false, 1)]));
    rig.run(10.0);
    assert!(rig.map_changes.iter().all(|change| !change.cleared), "{:?}", rig.map_changes);
}

/// With the mesh up, from its start.
fn on_mesh(name: &str, start: Pose) -> Rig {
    let mut rig = Rig::named_rover(name, two_rooms(), start);
    rig.give(Input::Link(LinkState { cloud: false, mesh: true }));
    rig
}

/// Stands before an obstacle in the lower door, first here, then there.
fn finder() -> Rig {
    let mut rig = on_mesh("rover-1", Pose::new(3.0, 1.2, 0.0));
    rig.things = vec![(DOOR, 0.3)];
    rig.assign(1, Task::GoTo { goal: Point::new(3.5, 2.5), hold: None });
    rig.run(20.0);
    rig
}

#[test]
fn an_unmapped_obstacle_that_stands_is_shared_once() {
    let rig = finder();
    let found: Vec<&MapHazard> = rig.map_changes.iter().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind, found[0].reporter.as_str(), found[0].cleared), (HazardKind::Obstacle, "rover-1", false));
    assert!(found[0].position.distance(DOOR) < 0.35, "{:?}", found[0]);
}

#[test]
fn a_robot_that_has_not_seen_the_obstacle_plans_around_it() {
    let found = finder().map_changes.remove(0);
    let mut rig = on_mesh("rover-2", Pose::new(3.0, 1.2, 0.0));
    rig.things = vec![(DOOR, 0.3)];
    rig.give(Input::MapHazard { from: AgentId::new("rover-1").unwrap(), entry: found });
    rig.assign(1, Task::GoTo { goal: Point::new(9.5, 1.2), hold: Some(Duration::ZERO) });
    let planned = |rig: &Rig| !rig.agent.status(rig.now).plan.path.is_empty();
    assert!(rig.until(0.3, planned), "{}", rig.why());
    let status = rig.agent.status(rig.now);
    assert_eq!(status.world.obstacles, [], "its lidar has not confirmed it");
    assert!(status.plan.path.iter().any(|at| at.y > 4.5), "{:?}", status.plan.path);
}

#[test]
fn without_the_mesh_it_reports_none_for_a_peer_that_is_not_heard_looks_the_same() {
    let mut rig = on_mesh("rover-1", Pose::new(3.0, 1.2, 0.0));
    rig.give(Input::Link(LinkState { cloud: true, mesh: false }));
    rig.things = vec![(DOOR, 0.3)];
    rig.assign(1, Task::GoTo { goal: Point::new(3.5, 2.5), hold: None });
    rig.run(60.0);
    assert_eq!(rig.map_changes, []);
}

#[test]
fn an_obstacle_that_goes_away_is_cleared_by_the_robot_that_sees_through_the_place() {
    let mut rig = finder();
    rig.things.clear();
    rig.run(5.0);
    let cleared: Vec<bool> = rig.map_changes.iter().map(|change| change.cleared).collect();
    assert_eq!(cleared, [false, true]);
}

#[test]
fn an_own_cliff_is_reported_to_the_supervisor_once() {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 2.0, 0.0));
    rig.cliff = true;
    rig.run(5.0);
    assert_eq!(rig.map_changes.len(), 1, "{:?}", rig.map_changes);
    let change = &rig.map_changes[0];
    assert_eq!((change.kind, change.reporter.as_str(), change.cleared), (HazardKind::Cliff, "rover-1", false));
}
