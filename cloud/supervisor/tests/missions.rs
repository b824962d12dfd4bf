//! Missions from the wish to their end, on a virtual clock with pretended robots.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use skein_supervisor::{Answer, Input, OperatorCommand, Refusal};
use skein_types::coord::AgentState;
use skein_types::geometry::Point;
use skein_types::ids::MissionId;
use skein_types::link::Order;
use skein_types::mission::{MissionState, Objective, Priority, SliceState};
use skein_types::polygon::Polygon;
use support::{Stage, name, survey};
use uuid::Uuid;

const MINUTES: Duration = Duration::from_secs(300);

#[test]
fn a_survey_is_split_among_all_robots_and_ends_done() {
    let mut stage = Stage::new(4);
    let spec = survey((0.0, 0.0), (20.0, 15.0));
    let id = stage.submit(spec.clone()).unwrap();
    let mission = stage.mission(id);
    assert_eq!(mission.state, MissionState::Assigned);
    assert_eq!(mission.slices.len(), 4);
    let areas: Vec<f64> = mission.slices.iter().map(|slice| slice.area).collect();
    let mean = mission.area / 4.0;
    assert!(areas.iter().all(|area| (area / mean - 1.0).abs() < 0.15), "{areas:?}");
    stage.step();
    stage.step();
    assert_eq!(stage.mission(id).state, MissionState::Running);
    assert!(stage.run_to_the_end(MINUTES));
    let mission = stage.mission(id);
    assert_eq!(mission.state, MissionState::Done);
    assert!(mission.covered.0 >= 99.7, "{}", mission.covered.0);
    assert!(mission.reason.contains("swept"), "{}", mission.reason);
    assert!(stage.truly_swept(&spec.zone) >= 0.997);
    stage.run(Duration::from_secs(2));
    assert!(stage.robots.iter().all(|robot| robot.work.is_none()), "nobody goes on for the last corners");
}

#[test]
fn corners_that_were_left_over_are_not_swept_again_before_everything_else_is_done() {
    let mut stage = Stage::new(2);
    stage.robots[1].pace = 1;
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(2));
    let (mission, generation, region) = stage.robots[0].work.take().unwrap();
    let region = region.unwrap();
    let corners = skein_types::region::Region::from_cells(*region.frame(), region.cells().take(20)).unwrap();
    let report = support::progress(mission, generation, SliceState::Done, Some(corners.clone()));
    stage.handle(Input::Report { agent: name(0), report });
    while stage.robots[0].work.is_none() {
        stage.step();
    }
    let share = stage.robots[0].work.clone().unwrap().2.unwrap();
    assert!(share.intersection(&corners).unwrap().is_empty());
    assert!(stage.mission(id).covered.0 < 99.0);
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
}

#[test]
fn a_mission_without_robots_waits_and_begins_when_they_come() {
    let mut stage = Stage::new(0);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(5));
    assert_eq!(stage.mission(id).state, MissionState::Queued);
    let mut later = Stage::new(3);
    core::mem::swap(&mut stage.robots, &mut later.robots);
    for index in 0..3 {
        stage.connect(index);
    }
    stage.run(Duration::from_secs(2));
    assert_eq!(stage.mission(id).slices.len(), 3, "split once, after all three came");
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
}

#[test]
fn the_more_urgent_of_two_waiting_missions_goes_first() {
    let mut stage = Stage::new(2);
    let running = stage.submit(survey((1.0, 1.0), (9.0, 9.0))).unwrap();
    let low = stage.submit(survey((1.0, 1.0), (9.0, 9.0))).unwrap();
    let mut urgent = survey((11.0, 1.0), (19.0, 9.0));
    urgent.priority = Priority::new(9).unwrap();
    let high = stage.submit(urgent).unwrap();
    assert_eq!(stage.mission(low).state, MissionState::Queued);
    while stage.mission(high).state == MissionState::Queued {
        stage.step();
    }
    assert!(stage.mission(running).covered.0 > 30.0);
    assert_eq!(stage.mission(low).state, MissionState::Queued);
    assert!(stage.run_to_the_end(MINUTES));
}

#[test]
fn a_lost_robots_cells_go_to_the_others_and_it_gets_nothing_twice() {
    let mut stage = Stage::new(3);
    let spec = survey((0.0, 0.0), (20.0, 15.0));
    let id = stage.submit(spec.clone()).unwrap();
    stage.run(Duration::from_secs(3));
    stage.robots[1].powered = false;
    stage.disconnect(1);
    stage.run(Duration::from_secs(7));
    let lost = stage.mission(id).slices.into_iter().find(|slice| slice.agent == name(1)).unwrap();
    assert_eq!(lost.state, SliceState::Cancelled);
    assert!(lost.reason.contains("not been heard"), "{}", lost.reason);
    let stale = stage.robots[1].work.clone();
    stage.robots[1].powered = true;
    stage.connect(1);
    stage.step();
    stage.step();
    let newer = stage.robots[1].work.clone();
    assert!(
        newer.is_none() || newer.map(|work| work.1) > stale.map(|work| work.1),
        "it may not go on as if nothing were"
    );
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
    assert!(stage.truly_swept(&spec.zone) > 0.99);
}

#[test]
fn a_short_break_of_a_stream_changes_nothing() {
    let mut stage = Stage::new(3);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(3));
    let before = stage.sent.len();
    stage.disconnect(1);
    stage.run(Duration::from_secs(3));
    stage.connect(1);
    stage.run(Duration::from_secs(1));
    let orders =
        stage.sent[before..].iter().filter(|(_, command)| matches!(command.order, Order::Assign(_) | Order::Cancel(_)));
    assert_eq!(orders.count(), 0);
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
}

#[test]
fn a_robot_that_restarted_without_memory_gets_what_is_left_of_its_part_again() {
    let mut stage = Stage::new(2);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(3));
    stage.disconnect(0);
    stage.robots[0].reboot();
    stage.connect(0);
    stage.step();
    let (mission, generation, _) = stage.robots[0].work.clone().unwrap();
    assert_eq!(mission, id);
    assert!(generation.0 >= 2);
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
}

#[test]
fn a_robot_that_is_ready_early_takes_work_from_a_slow_one() {
    let mut slow = Stage::new(2);
    slow.robots[1].pace = 1;
    let id = slow.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    assert!(slow.run_to_the_end(Duration::from_secs(3000)));
    assert_eq!(slow.mission(id).state, MissionState::Done);
    let shares = slow.event_names().iter().filter(|name| *name == "slice_split").count();
    assert!((1..=12).contains(&shares), "{shares} shares");
}

#[test]
fn cells_that_a_robot_could_not_sweep_are_given_to_another() {
    let mut stage = Stage::new(2);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(2));
    let (mission, generation, region) = stage.robots[0].work.take().unwrap();
    let agent = name(0);
    stage.handle(Input::Report { agent, report: support::progress(mission, generation, SliceState::Failed, region) });
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
}

#[test]
fn what_nobody_can_sweep_fails_the_mission_with_the_place_and_the_reason() {
    let mut stage = Stage::new(2);
    for robot in &mut stage.robots {
        robot.refuses = Some("its brush is worn".to_owned());
    }
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    assert!(stage.run_to_the_end(MINUTES));
    let mission = stage.mission(id);
    assert_eq!(mission.state, MissionState::Failed);
    assert!(mission.reason.contains("brush is worn"), "{}", mission.reason);
}

#[test]
fn a_robot_that_must_charge_hands_its_work_over() {
    let mut stage = Stage::new(2);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(3));
    stage.robots[0].battery = 9.0;
    stage.robots[0].state = AgentState::Charging;
    assert!(stage.run_to_the_end(MINUTES));
    let mission = stage.mission(id);
    assert_eq!(mission.state, MissionState::Done);
    assert!(mission.slices.iter().any(|slice| slice.agent == name(0) && slice.reason.contains("charging")));
}

#[test]
fn paused_work_halts_and_goes_on_where_it_was() {
    let mut stage = Stage::new(2);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(3));
    stage.ask(OperatorCommand::Pause(id)).unwrap();
    stage.run(Duration::from_secs(1));
    let covered = stage.mission(id).covered;
    stage.run(Duration::from_secs(30));
    assert_eq!(stage.mission(id).covered, covered);
    assert_eq!(stage.mission(id).state, MissionState::Paused);
    stage.ask(OperatorCommand::Resume(id)).unwrap();
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
    assert!(matches!(stage.ask(OperatorCommand::Resume(id)), Err(Refusal::State { .. })));
}

#[test]
fn a_cancelled_mission_frees_its_robots_and_stays_cancelled() {
    let mut stage = Stage::new(2);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(Duration::from_secs(2));
    stage.ask(OperatorCommand::Cancel { mission: id, reason: "lunch".to_owned() }).unwrap();
    stage.run(Duration::from_secs(1));
    assert!(stage.robots.iter().all(|robot| robot.work.is_none()));
    assert_eq!((stage.mission(id).state, stage.mission(id).reason.as_str()), (MissionState::Cancelled, "lunch"));
    let next = stage.submit(survey((0.0, 0.0), (9.0, 9.0))).unwrap();
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(next).state, MissionState::Done);
}

#[test]
fn a_guard_is_held_until_it_is_cancelled_and_handed_over_when_its_robot_is_lost() {
    let mut stage = Stage::new(3);
    let mut spec = survey((14.0, 8.0), (18.0, 12.0));
    spec.objective = Objective::Guard;
    let id = stage.submit(spec).unwrap();
    stage.run(Duration::from_secs(5));
    let mission = stage.mission(id);
    assert_eq!((mission.state, mission.slices.len(), mission.covered.0), (MissionState::Running, 1, 100.0));
    let guard = mission.slices[0].agent.clone();
    let index = (0..3).find(|index| name(*index) == guard).unwrap();
    stage.robots[index].powered = false;
    stage.disconnect(index);
    stage.run(Duration::from_secs(200));
    let mission = stage.mission(id);
    assert_eq!((mission.state, mission.covered.0), (MissionState::Running, 100.0));
    assert!(mission.slices.iter().any(|slice| slice.agent != guard && slice.state == SliceState::Executing));
    stage.ask(OperatorCommand::Cancel { mission: id, reason: String::new() }).unwrap();
    assert_eq!(stage.mission(id).state, MissionState::Cancelled);
}

#[test]
fn wishes_that_cannot_be_fulfilled_are_refused_with_the_reason() {
    let mut stage = Stage::new(1);
    let outside = stage.submit(survey((100.0, 100.0), (110.0, 110.0))).unwrap_err();
    assert_eq!(outside.code(), "zone_outside_map");
    let wall = stage.submit(survey((10.0, 12.0), (10.2, 14.0))).unwrap_err();
    assert_eq!(wall.code(), "nothing_reachable");
    let mut search = survey((1.0, 1.0), (5.0, 5.0));
    search.objective = Objective::Search;
    assert_eq!(stage.submit(search).unwrap_err(), Refusal::Objective(Objective::Search));
    let mut named = survey((1.0, 1.0), (5.0, 5.0));
    named.robots = vec![name(9)];
    assert_eq!(stage.submit(named).unwrap_err(), Refusal::UnknownRobot(name(9)));
    let mut wordy = survey((1.0, 1.0), (5.0, 5.0));
    wordy.name = "x".repeat(300);
    assert_eq!(stage.submit(wordy).unwrap_err().code(), "text_too_long");
    assert!(stage.supervisor.missions().next().is_none());
    assert!(stage.event_names().iter().any(|name| name == "mission_refused"));
    let unknown = MissionId(Uuid::from_u128(99));
    assert_eq!(stage.ask(OperatorCommand::Pause(unknown)), Err(Refusal::UnknownMission(unknown)));
}

#[test]
fn the_same_key_gives_the_same_mission_also_after_a_restart() {
    let mut stage = Stage::new(1);
    let spec = survey((1.0, 1.0), (5.0, 5.0));
    let submit =
        |id: u128, spec| OperatorCommand::Submit { id: MissionId(Uuid::from_u128(id)), key: "k".to_owned(), spec };
    let id_of = |answer| match answer {
        Ok(Answer::Mission(mission)) => mission.id,
        other => panic!("{other:?}"),
    };
    let first = id_of(stage.ask(submit(10, spec.clone())));
    assert_eq!(id_of(stage.ask(submit(11, spec.clone()))), first);
    stage.restart();
    assert_eq!(id_of(stage.ask(submit(12, spec))), first);
    let other = stage.ask(submit(13, survey((1.0, 1.0), (6.0, 6.0))));
    assert_eq!(other.unwrap_err().code(), "key_reused");
    assert_eq!(stage.supervisor.missions().count(), 1);
}

#[test]
fn a_restarted_supervisor_knows_the_mission_and_assigns_nothing_twice() {
    let mut stage = Stage::new(3);
    let spec = survey((0.0, 0.0), (20.0, 15.0));
    let id = stage.submit(spec.clone()).unwrap();
    stage.run(Duration::from_secs(4));
    stage.restart();
    assert_eq!(stage.mission(id).state, MissionState::Running);
    let before = stage.sent.len();
    stage.run(Duration::from_secs(2));
    for index in 0..3 {
        stage.connect(index);
        stage.run(Duration::from_secs(1));
    }
    let early = stage.sent[before..].iter().filter(|(_, command)| matches!(command.order, Order::Assign(_)));
    assert_eq!(early.count(), 0, "everybody is still at work on what they have");
    assert!(stage.run_to_the_end(MINUTES));
    assert_eq!(stage.mission(id).state, MissionState::Done);
    assert!(stage.truly_swept(&spec.zone) > 0.99);
}

#[test]
fn the_preview_promises_what_the_mission_then_does() {
    let mut stage = Stage::new(3);
    let spec = survey((0.0, 0.0), (20.0, 15.0));
    let preview = stage.supervisor.preview(stage.now, &spec).unwrap();
    assert_eq!(preview.slices.len(), 3);
    assert!(
        preview.slices.iter().all(|s| s.distance.0 > 1.0 && s.duration.0 > 1.0 && s.energy.0 > 0.0 && s.path.len() > 2)
    );
    let id = stage.submit(spec).unwrap();
    let mission = stage.mission(id);
    assert!((mission.area - preview.area).abs() < 1e-6);
    for (slice, promised) in mission.slices.iter().zip(&preview.slices) {
        assert_eq!(slice.agent, promised.agent);
        assert!((slice.area - promised.region.area()).abs() < 1e-6);
    }
    let partly = survey((15.0, 10.0), (40.0, 30.0));
    let verdicts = stage.supervisor.preview(stage.now, &partly).unwrap().verdicts;
    assert!(verdicts.iter().any(|verdict| verdict.code == "zone_leaves_map"), "{verdicts:?}");
    assert!(verdicts.iter().any(|verdict| verdict.code == "no_robots"), "{verdicts:?}");
}

#[test]
fn a_robot_with_another_map_or_of_another_fleet_gets_no_work() {
    let mut stage = Stage::new(1);
    stage.config.map_hash = "aa".to_owned();
    stage.restart();
    let mut hello = stage.robots[0].hello();
    hello.map_hash = "bb".to_owned();
    stage.robots[0].connected = true;
    stage.handle(Input::Connected(Box::new(hello.clone())));
    stage.run(Duration::from_secs(2));
    let id = stage.submit(survey((1.0, 1.0), (9.0, 9.0))).unwrap();
    stage.run(Duration::from_secs(3));
    assert_eq!(stage.mission(id).state, MissionState::Queued);
    hello.fleet = skein_types::ids::FleetId::new("others").unwrap();
    stage.handle(Input::Connected(Box::new(hello)));
    assert_eq!(stage.rejected.last().unwrap().1.code(), "wrong_fleet");
}

#[test]
fn a_zone_with_holes_is_split_without_the_holes() {
    let mut stage = Stage::new(3);
    let ring = |x0: f64, y0: f64, x1: f64, y1: f64| {
        vec![Point::new(x0, y0), Point::new(x1, y0), Point::new(x1, y1), Point::new(x0, y1)]
    };
    let mut spec = survey((1.0, 1.0), (9.0, 14.0));
    spec.zone = Polygon::new(ring(1.0, 1.0, 9.0, 14.0), vec![ring(3.0, 3.0, 6.0, 9.0)]).unwrap();
    let id = stage.submit(spec).unwrap();
    assert!((stage.mission(id).area - (8.0 * 13.0 - 18.0)).abs() < 4.0, "{}", stage.mission(id).area);
    assert!(stage.run_to_the_end(MINUTES));
    let hole = stage.map.frame().cell_of(Point::new(4.5, 6.0)).unwrap();
    assert!(stage.robots.iter().all(|robot| !robot.swept.contains(&hole)));
}
