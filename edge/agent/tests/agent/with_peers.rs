//! Two robots that coordinate, hazards, latches and lost connections.

use super::rig::{Rig, from_rows, two_rooms};
use skein_agent::Input;
use skein_types::coord::{AgentState, Hazard, HazardKind};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::{SliceState, Task};
use skein_types::safety::Cause;
use skein_types::telemetry::LinkState;
use skein_types::time::WallTime;
use skein_types::units::Meters;
use std::time::Duration;
use uuid::Uuid;

/// Runs both until the condition holds; the smallest distance between them, or `None` when the time is over.
fn together(a: &mut Rig, b: &mut Rig, seconds: f64, done: impl Fn(&Rig, &Rig) -> bool) -> Option<f64> {
    let mut nearest = f64::INFINITY;
    for _ in 0..(seconds * 100.0) as u32 {
        a.tick();
        b.tick();
        let (from_a, from_b) = (std::mem::take(&mut a.said), std::mem::take(&mut b.said));
        from_a.into_iter().for_each(|intent| b.give(Input::Intent(intent)));
        from_b.into_iter().for_each(|intent| a.give(Input::Intent(intent)));
        nearest = nearest.min(a.pose.position.distance(b.pose.position));
        if done(a, b) {
            return Some(nearest);
        }
    }
    None
}

fn over(rig: &Rig) -> bool {
    rig.progress.last().is_some_and(|progress| progress.state == SliceState::Done)
}

#[test]
fn two_robots_that_meet_in_a_hallway_both_pass() {
    let hallway = from_rows(&[
        "################################",
        "#......##################......#",
        "#......##################......#",
        "#......##################......#",
        "#......##################......#",
        "#..............................#",
        "#..............................#",
        "#..............................#",
        "#......##################......#",
        "#......##################......#",
        "#......##################......#",
        "################################",
    ]);
    let mut a = Rig::named_rover("rover-1", hallway.clone(), Pose::new(1.4, 2.2, 0.0));
    let mut b = Rig::named_rover("rover-2", hallway, Pose::new(11.4, 2.2, 3.0));
    a.assign(1, Task::GoTo { goal: Point::new(11.2, 2.2), hold: Some(Duration::ZERO) });
    b.assign(1, Task::GoTo { goal: Point::new(1.6, 2.2), hold: Some(Duration::ZERO) });
    let nearest = together(&mut a, &mut b, 120.0, |a, b| over(a) && over(b));
    let whys = (a.agent.status(a.now).why, b.agent.status(b.now).why);
    assert!(nearest.is_some_and(|nearest| nearest > 0.6), "{nearest:?} {whys:?}");
    assert!(a.named("yield_started") + b.named("yield_started") >= 1);
}

#[test]
fn an_idle_robot_yields_and_stands_again() {
    let door = two_rooms();
    // rover-2 idles in the lower door.
    let mut a = Rig::named_rover("rover-1", door.clone(), Pose::new(4.0, 1.2, 0.0));
    let mut b = Rig::named_rover("rover-2", door, Pose::new(6.4, 1.2, 0.0));
    a.assign(1, Task::GoTo { goal: Point::new(9.5, 1.2), hold: Some(Duration::ZERO) });
    let nearest = together(&mut a, &mut b, 60.0, |a, _| over(a));
    assert!(nearest.is_some_and(|nearest| nearest > 0.55), "{nearest:?} {}", a.agent.status(a.now).why);
    assert!(b.driven > 0.3, "it made room");
    let _ = together(&mut a, &mut b, 5.0, |_, _| false);
    assert_eq!(b.agent.status(b.now).state, AgentState::Idle);
}

#[test]
fn a_stopped_robot_is_driven_around() {
    let rooms = two_rooms();
    let mut a = Rig::named_rover("rover-1", rooms.clone(), Pose::new(4.0, 1.2, 0.0));
    let mut b = Rig::named_rover("rover-2", rooms, Pose::new(6.4, 1.2, 0.0));
    b.stop("drill");
    a.assign(1, Task::GoTo { goal: Point::new(9.5, 1.2), hold: Some(Duration::ZERO) });
    let nearest = together(&mut a, &mut b, 90.0, |a, _| over(a));
    assert!(nearest.is_some_and(|nearest| nearest > 0.6), "{nearest:?} {}", a.agent.status(a.now).why);
    assert!(b.driven < 0.01 && a.trail.iter().any(|at| at.y > 4.5), "it took the upper door");
}

#[test]
fn a_peer_is_no_obstacle_while_it_is_heard() {
    let rooms = two_rooms();
    let mut a = Rig::named_rover("rover-1", rooms.clone(), Pose::new(2.0, 1.4, 0.0));
    let mut b = Rig::named_rover("rover-2", rooms, Pose::new(4.0, 1.4, 0.0));
    a.things = vec![(Point::new(4.0, 1.4), 0.25)];
    let _ = together(&mut a, &mut b, 3.0, |_, _| false);
    assert!(a.agent.status(a.now).world.obstacles.is_empty());
    // Silent, it is a thing like any other.
    a.run(4.0);
    assert!(!a.agent.status(a.now).world.obstacles.is_empty());
    // Gone, it is forgotten.
    a.things.clear();
    a.run(3.0);
    assert!(a.agent.status(a.now).world.obstacles.is_empty());
}

#[test]
fn a_peers_hazard_is_in_the_surroundings_at_once() {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 2.0, 0.0));
    rig.give(Input::Hazard(Hazard {
        reporter: AgentId::new("rover-2").unwrap(),
        sequence: 1,
        kind: HazardKind::Cliff,
        position: Point::new(3.0, 2.0),
        radius: Meters(0.3),
        boot: BootId(Uuid::nil()),
        age: Duration::ZERO,
        time_to_live: Duration::from_secs(5),
        seen_at: WallTime::default(),
    }));
    assert_eq!(rig.surroundings.hazards[0].unwrap().position, Point::new(3.0, 2.0));
}

#[test]
fn a_sensed_cliff_is_published() {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 2.0, 0.0));
    rig.cliff = true;
    rig.run(0.2);
    assert_eq!(rig.warned[0].kind, HazardKind::Cliff);
    assert!(rig.warned[0].position.distance(Point::new(2.25, 2.0)) < 0.01);
}

#[test]
fn progress_is_complete_after_a_cloud_loss() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    rig.give(Input::Link(LinkState { cloud: true, mesh: true }));
    let region = rig.whole();
    rig.assign(1, Task::Survey { region });
    rig.run(3.0);
    rig.give(Input::Link(LinkState { cloud: false, mesh: true }));
    rig.run(0.2);
    assert!(rig.surroundings.causes.contains(Cause::CloudLost));
    let driven = rig.driven;
    rig.run(3.0);
    assert!(rig.driven > driven + 0.5, "it goes on without the cloud");
    let covered = rig.progress.last().unwrap().covered;
    rig.give(Input::Link(LinkState { cloud: true, mesh: true }));
    rig.run(0.06);
    let last = rig.progress.last().unwrap();
    assert!(last.covered >= covered && last.remaining.is_some());
    assert!(!rig.surroundings.causes.contains(Cause::CloudLost));
}
