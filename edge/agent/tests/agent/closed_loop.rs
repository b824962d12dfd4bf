//! One robot on a small map: survey, unmapped obstacles, charging, manual override and commands.

use std::time::Duration;

use super::rig::{Rig, from_rows, mission, two_rooms};
use skein_types::coord::AgentState;
use skein_types::event::first_break;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::Generation;
use skein_types::link::{CommandOutcome, Order};
use skein_types::mission::{Assignment, Priority, SliceState, Task};

fn ended(rig: &Rig) -> bool {
    rig.progress.last().is_some_and(|progress| progress.state.is_terminal())
}

#[test]
fn a_survey_covers_two_rooms_and_reports_done() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    let region = rig.whole();
    let area = region.area();
    let id = rig.assign(1, Task::Survey { region });
    assert!(rig.until(240.0, ended), "why: {}", rig.agent.status(rig.now).why);
    let last = rig.progress.last().unwrap();
    assert_eq!((last.state, last.mission), (SliceState::Done, mission()));
    assert!(last.covered.get() >= 99.5, "{} {}", last.covered, last.reason);
    assert_eq!(rig.touched, 0);
    let states: Vec<_> = rig.acks.iter().filter(|ack| ack.command == id).map(|ack| ack.outcome.clone()).collect();
    assert_eq!(states, [CommandOutcome::Accepted, CommandOutcome::Done]);
    assert_eq!(first_break(&rig.events), None);
    let seconds = rig.now.as_secs_f64() - 1.2;
    println!("{area:.0} m² in {seconds:.0} s, {:.0} m driven, {:?}", rig.driven, rig.agent.status(rig.now).counters);
    assert!(rig.driven / seconds > 0.4, "{} m in {seconds} s", rig.driven);
    let expected = 100 * (rig.now.as_nanos() / 1_000_000_000 - 1);
    assert!((rig.telemetry as i64 - expected as i64).abs() < 200, "{} samples", rig.telemetry);
}

#[test]
fn a_blocked_door_is_avoided_through_the_other_door() {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 1.2, 0.0));
    // The lower door is 1.2 m wide at y = 1.2.
    rig.things = vec![(Point::new(6.4, 0.9), 0.25), (Point::new(6.4, 1.4), 0.25)];
    rig.assign(1, Task::GoTo { goal: Point::new(10.0, 1.2), hold: Some(Duration::from_secs(1)) });
    assert!(rig.until(90.0, ended), "why: {}", rig.agent.status(rig.now).why);
    assert_eq!(rig.progress.last().unwrap().state, SliceState::Done, "{:?}", rig.progress.last());
    assert_eq!(rig.touched, 0);
    assert!(rig.named("path_blocked") >= 1 && rig.named("replanned") >= 1);
    assert!(rig.trail.iter().any(|at| at.y > 4.5), "it took the upper door");
    assert!(!rig.agent.status(rig.now).world.obstacles.is_empty());
}

#[test]
fn a_stale_assignment_changes_nothing() {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 2.0, 0.0));
    rig.assign(5, Task::GoTo { goal: Point::new(4.0, 4.5), hold: None });
    let stale = rig.assign(4, Task::Return);
    let refusal = rig.acks.iter().find(|ack| ack.command == stale).unwrap();
    assert!(matches!(&refusal.outcome, CommandOutcome::Rejected(why) if why.contains("stale")), "{refusal:?}");
    assert_eq!(rig.agent.status(rig.now).mission.unwrap().task, "go_to");
}

#[test]
fn a_low_battery_interrupts_the_survey_until_charged() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    rig.battery = 27.0;
    rig.appetite = 1.0;
    let region = rig.whole();
    rig.assign(1, Task::Survey { region });
    let charging = |rig: &Rig| rig.agent.status(rig.now).state == AgentState::Charging;
    assert!(rig.until(90.0, charging), "why: {}", rig.agent.status(rig.now).why);
    assert!(rig.pose.position.distance(rig.home) < 0.35 && rig.battery < 20.0);
    let covered = rig.progress.last().unwrap().covered;
    assert!(covered.get() > 5.0);
    rig.appetite = 0.05;
    assert!(rig.until(300.0, ended), "why: {}", rig.agent.status(rig.now).why);
    assert_eq!(rig.progress.last().unwrap().state, SliceState::Done);
    assert_eq!((rig.named("charge_low"), rig.named("charged")), (1, 1));
}

#[test]
fn pause_keeps_the_task_and_resume_continues_it() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    let region = rig.whole();
    rig.assign(1, Task::Survey { region: region.clone() });
    rig.run(5.0);
    rig.order(1, Order::Pause(mission()));
    rig.run(1.0);
    let (at, covered) = (rig.pose.position, rig.progress.last().unwrap().covered);
    rig.run(3.0);
    assert!(rig.pose.position.distance(at) < 0.01);
    assert_eq!(rig.progress.last().unwrap().state, SliceState::Paused);
    rig.order(1, Order::Resume(mission()));
    rig.run(5.0);
    assert!(rig.progress.last().unwrap().covered.get() > covered.get());
    // A newer order of the same mission keeps what was swept.
    let covered = rig.progress.last().unwrap().covered;
    rig.assign(2, Task::Survey { region });
    rig.run(0.2);
    assert!(rig.progress.last().unwrap().covered.get() >= covered.get());
    rig.order(2, Order::Cancel(mission()));
    rig.run(0.2);
    assert_eq!(rig.progress.last().unwrap().state, SliceState::Cancelled);
    assert!(rig.progress.last().unwrap().remaining.as_ref().is_some_and(|rest| !rest.is_empty()));
}

#[test]
fn an_area_behind_an_obstacle_is_given_up_with_a_reason() {
    let mut rig = Rig::new(
        from_rows(&[
            "####################",
            "#..................#",
            "#..................#",
            "#..................#",
            "#............#######",
            "#............#######",
            "#............#######",
            "#..................#",
            "#..................#",
            "#............#.....#",
            "#............#.....#",
            "#............#.....#",
            "####################",
        ]),
        Pose::new(1.0, 3.0, 0.0),
    );
    // Stands in the only door (y = 1.6 to 2.4) of the chamber in the south-east.
    rig.things = vec![(Point::new(5.4, 1.8), 0.2), (Point::new(5.4, 2.2), 0.2)];
    let region = rig.whole();
    rig.assign(1, Task::Survey { region });
    assert!(rig.until(240.0, ended), "why: {}", rig.agent.status(rig.now).why);
    let last = rig.progress.last().unwrap();
    assert_eq!(last.state, SliceState::Done);
    assert!(last.covered.get() < 99.0 && last.reason.contains("gave up"), "{} {}", last.covered, last.reason);
    assert!(last.remaining.as_ref().unwrap().area() > 0.3);
    assert!(rig.named("given_up") >= 1);
    assert_eq!(rig.touched, 0);
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
        let region = rig.whole();
        rig.assign(1, Task::Survey { region });
        rig.run(20.0);
        let events: Vec<_> = rig.events.iter().map(|event| event.hash()).collect();
        (rig.pose, rig.driven.to_bits(), events, serde_json::to_string(&rig.agent.status(rig.now)).unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn robots_return_home_when_done_but_not_when_cancelled() {
    for (cancel, goes) in [(false, true), (true, false)] {
        let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
        let assignment = Assignment {
            mission: mission(),
            generation: Generation(1),
            task: Task::GoTo { goal: Point::new(4.5, 4.5), hold: Some(Duration::from_secs(1)) },
            priority: Priority::NORMAL,
            return_home: true,
        };
        rig.order(1, Order::Assign(assignment));
        rig.run(3.0);
        if cancel {
            rig.order(1, Order::Cancel(mission()));
        }
        assert!(rig.until(30.0, ended));
        rig.run(15.0);
        let away = rig.pose.position.distance(rig.home);
        assert_eq!(away < 0.2, goes, "{away} m from home, {}", rig.agent.status(rig.now).why);
        assert_eq!(rig.agent.status(rig.now).state, AgentState::Idle);
    }
}

#[test]
fn an_unreachable_goal_fails_and_one_off_the_map_is_refused() {
    let mut rig = Rig::new(two_rooms(), Pose::new(1.0, 1.0, 0.0));
    // Inside the pillar of the left room.
    rig.assign(1, Task::GoTo { goal: Point::new(3.2, 3.2), hold: None });
    rig.things = Vec::new();
    assert!(rig.until(60.0, ended), "why: {}", rig.agent.status(rig.now).why);
    let last = rig.progress.last().unwrap();
    assert_eq!((last.state, last.reason.as_str()), (SliceState::Failed, "found no path to its goal"));
    let off = rig.assign(2, Task::GoTo { goal: Point::new(-50.0, 1e300), hold: None });
    let ack = rig.acks.iter().find(|ack| ack.command == off).unwrap();
    assert!(matches!(&ack.outcome, CommandOutcome::Rejected(why) if why.contains("outside the map")), "{ack:?}");
}
