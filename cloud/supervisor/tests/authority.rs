//! Who may stop and release robots, and what nothing may forget: on a virtual clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use proptest::prelude::*;
use skein_supervisor::{Answer, Input, OperatorCommand, Refusal, StorageState};
use skein_types::authority::{Epoch, LatchAction, LatchRegister, LatchRequest, LatchScope, Term};
use skein_types::coord::{HazardKind, MapHazard};
use skein_types::geometry::Point;
use skein_types::ids::OperatorId;
use skein_types::link::{AgentReport, Order};
use skein_types::mission::{MissionState, SliceState};
use skein_types::region::Region;
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use skein_types::units::{Meters, MetersPerSecond};
use support::{Stage, latch_request, name, survey, targets};
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

fn is_latch(order: &Order) -> bool {
    matches!(order, Order::Latch(_))
}

#[test]
fn a_robot_stopped_while_dead_is_stopped_before_any_work_when_both_return() {
    let mut stage = Stage::new(2);
    let mission = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(SECOND);
    stage.robots[0].powered = false;
    stage.disconnect(0);
    stage.stop(&[0]).unwrap();
    stage.restart();
    stage.connect(1);
    stage.run(SECOND);
    stage.robots[0].reboot();
    let before = stage.sent.len();
    stage.connect(0);
    let orders: Vec<_> = stage.sent[before..].iter().filter(|(agent, _)| *agent == name(0)).collect();
    assert!(is_latch(&orders[0].1.order), "the latch goes first: {orders:?}");
    assert!(orders.iter().all(|(_, command)| !matches!(command.order, Order::Assign(_))), "{orders:?}");
    stage.run(SECOND);
    assert_eq!((stage.robots[0].latch(), stage.view(0).latch), (Latch::Stop, Latch::Stop));
    assert!(stage.run_to_the_end(Duration::from_secs(300)));
    assert_eq!(stage.mission(mission).state, MissionState::Done, "the other did it all");
}

#[test]
fn stop_all_is_sent_until_every_robot_reports_it_and_holds_for_latecomers() {
    let mut stage = Stage::new(3);
    stage.robots[1].mute = true;
    let Ok(Answer::Latched { robots, unknown, .. }) = stage.stop(&[]) else { panic!("no robots") };
    assert_eq!((robots.len(), unknown.len()), (3, 0));
    stage.run(3 * SECOND);
    let ids: Vec<_> = stage
        .sent
        .iter()
        .filter(|(agent, command)| *agent == name(1) && is_latch(&command.order))
        .map(|(_, command)| command.id)
        .collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "again and again with the same id");
    stage.robots[1].mute = false;
    stage.run(3 * SECOND);
    assert!((0..3).all(|i| stage.view(i).latch == Latch::Stop && stage.view(i).latches == stage.view(i).wanted));
    let sent = stage.sent.len();
    stage.run(5 * SECOND);
    assert!(stage.sent[sent..].iter().all(|(_, command)| !is_latch(&command.order)), "what is reported is not sent");
    stage.robots[2].reboot();
    stage.robots[2].latches = Default::default();
    stage.connect(2);
    stage.run(SECOND);
    assert_eq!(stage.robots[2].latch(), Latch::Stop);
    stage.release(&[]).unwrap();
    stage.run(2 * SECOND);
    assert!((0..3).all(|i| stage.view(i).latch == Latch::Released && stage.robots[i].latch() == Latch::Released));
}

#[test]
fn a_stop_made_at_the_robot_is_wanted_from_then_on() {
    let mut stage = Stage::new(2);
    stage.robots[0].stop_locally(77);
    let report = AgentReport::Latch(stage.robots[0].report());
    stage.handle(Input::Report { agent: name(0), report });
    assert_eq!(stage.view(0).wanted.own.by, support::operator("bob"));
    stage.restart();
    stage.robots[0].reboot();
    stage.robots[0].latches = Default::default();
    stage.connect(0);
    stage.run(SECOND);
    assert_eq!(stage.robots[0].latch(), Latch::Stop, "the robot forgot it, the supervisor did not");
    stage.release(&[0]).unwrap();
    stage.run(SECOND);
    assert_eq!(stage.robots[0].latch(), Latch::Released);
}

#[test]
fn a_fleet_stop_that_one_robot_heard_of_reaches_all() {
    let mut stage = Stage::new(3);
    let request = latch_request(9, LatchAction::Stop, "bob");
    stage.robots[1].latches = stage.robots[1].latches.apply(&request).unwrap();
    let report = AgentReport::Latch(stage.robots[1].report());
    stage.handle(Input::Report { agent: name(1), report });
    stage.run(SECOND);
    assert!((0..3).all(|i| stage.robots[i].latch() == Latch::Stop));
}

#[test]
fn a_stop_holds_on_a_register_that_is_of_a_later_epoch_than_the_supervisor_knew() {
    let mut stage = Stage::new(1);
    stage.disconnect(0);
    stage.stop(&[0]).unwrap();
    stage.stop(&[]).unwrap();
    let later = LatchRegister { epoch: Epoch(40), ..LatchRegister::released() };
    stage.robots[0].latches.own = later.clone();
    stage.robots[0].latches.fleet = later;
    stage.restart();
    stage.connect(0);
    stage.run(3 * SECOND);
    let latches = stage.robots[0].latches.clone();
    assert_eq!((latches.own.level, latches.fleet.level), (Latch::Stop, Latch::Stop), "{latches:?}");
    assert_eq!(latches, stage.view(0).wanted);
}

#[test]
fn a_release_never_undoes_a_stop_that_came_after_the_one_it_names() {
    let mut stage = Stage::new(1);
    stage.stop(&[0]).unwrap();
    stage.run(SECOND);
    let mut release = stage.release_command(&[0]);
    release.epochs = vec![(Some(name(0)), stage.view(0).wanted.own.epoch)];
    stage.stop(&[0]).unwrap();
    let refused = stage.ask(OperatorCommand::Release(release)).unwrap_err();
    assert_eq!(refused.code(), "latched_again");
    stage.run(SECOND);
    // Released here while somebody stops it there.
    stage.disconnect(0);
    stage.release(&[0]).unwrap();
    stage.robots[0].stop_locally(78);
    stage.connect(0);
    stage.run(SECOND);
    assert_eq!((stage.robots[0].latch(), stage.view(0).wanted.level()), (Latch::Stop, Latch::Stop));
    stage.release(&[0]).unwrap();
    stage.run(SECOND);
    assert_eq!(stage.robots[0].latch(), Latch::Released);
}

#[test]
fn a_release_needs_a_name_and_the_lease_and_is_for_the_fleet_while_the_fleet_is_stopped() {
    let mut stage = Stage::new(2);
    stage.stop(&[]).unwrap();
    stage.run(SECOND);
    let anonymous = stage.release_command(&[]);
    let refused = stage.ask_as("anonymous", None, OperatorCommand::Release(anonymous)).unwrap_err();
    assert_eq!(refused, Refusal::OperatorMissing);
    let refused = stage.release(&[0]).unwrap_err();
    assert_eq!(refused.code(), "fleet_stopped");
    assert!(refused.hint().contains("--all"));
    let lease = Uuid::from_u128(5);
    take(&mut stage, lease, "eve").unwrap();
    assert_eq!(stage.release(&[]).unwrap_err().code(), "lease_held");
    let command = stage.release_command(&[]);
    stage.ask_as("eve", Some(lease), OperatorCommand::Release(command)).unwrap();
    stage.run(SECOND);
    assert!((0..2).all(|i| stage.robots[i].latch() == Latch::Released));
    let by = stage.store.events.iter().find(|event| event.name == "release").unwrap();
    assert!(by.payload.contains("operator:eve"), "{}", by.payload);
}

#[test]
fn a_release_that_names_epochs_is_about_those_registers_only() {
    let mut stage = Stage::new(2);
    stage.stop(&[0]).unwrap();
    stage.stop(&[]).unwrap();
    stage.run(SECOND);
    let mut release = stage.release_command(&[]);
    release.epochs = vec![(None, stage.view(0).wanted.fleet.epoch)];
    stage.ask(OperatorCommand::Release(release)).unwrap();
    stage.run(SECOND);
    assert_eq!((stage.robots[0].latch(), stage.robots[1].latch()), (Latch::Stop, Latch::Released));
    stage.release(&[]).unwrap();
    stage.run(SECOND);
    assert_eq!(stage.robots[0].latch(), Latch::Released);
}

#[test]
fn an_epoch_that_could_never_be_released_is_not_taken_over() {
    let mut stage = Stage::new(2);
    let forged = LatchRegister { epoch: Epoch(u64::MAX), level: Latch::Kill, ..LatchRegister::released() };
    stage.robots[0].latches.fleet = forged;
    let report = AgentReport::Latch(stage.robots[0].report());
    stage.handle(Input::Report { agent: name(0), report });
    stage.run(SECOND);
    assert_eq!((stage.robots[1].latch(), stage.view(1).wanted.level()), (Latch::Released, Latch::Released));
    assert!(stage.alarms().contains(&"latch_implausible".to_owned()));
    assert_eq!(stage.view(0).latch, Latch::Kill, "what it reports is shown");
}

fn take(stage: &mut Stage, id: Uuid, operator: &str) -> Result<Answer, Refusal> {
    stage.ask(OperatorCommand::TakeLease {
        id,
        operator: OperatorId::new(operator).unwrap(),
        robots: Vec::new(),
        time_to_live: Duration::from_secs(20),
    })
}

#[test]
fn kill_needs_a_reason_and_holds() {
    let mut stage = Stage::new(2);
    let request = LatchRequest { reason: " ".to_owned(), ..latch_request(3, LatchAction::Kill, "ada") };
    let kill = |request| OperatorCommand::Stop { targets: targets(&[0]), request, sent: false };
    assert_eq!(stage.ask(kill(request)), Err(Refusal::Missing("reason")));
    stage.ask(kill(latch_request(4, LatchAction::Kill, "ada"))).unwrap();
    stage.run(SECOND);
    assert_eq!(stage.view(0).latch, Latch::Kill);
    stage.stop(&[0]).unwrap();
    stage.run(SECOND);
    assert_eq!(stage.view(0).latch, Latch::Kill, "a STOP does not lower it");
}

#[test]
fn a_wrong_name_does_not_keep_the_others_from_being_stopped() {
    let mut stage = Stage::new(1);
    let Ok(Answer::Latched { robots, unknown, .. }) = stage.stop(&[0, 7]) else { panic!("refused") };
    assert_eq!((robots, unknown), (vec![name(0)], vec![name(7)]));
    assert!(matches!(stage.stop(&[7]), Err(Refusal::UnknownRobot(_))));
}

#[test]
fn the_same_request_again_takes_effect_once() {
    let mut stage = Stage::new(1);
    let request = latch_request(3, LatchAction::Stop, "ada");
    let stop = OperatorCommand::Stop { targets: targets(&[]), request, sent: true };
    stage.ask(stop.clone()).unwrap();
    stage.run(3 * SECOND);
    stage.release(&[]).unwrap();
    stage.ask(stop).unwrap();
    stage.run(3 * SECOND);
    assert_eq!(stage.robots[0].latch(), Latch::Released, "it had its effect before the release");
}

#[test]
fn a_lease_is_not_stolen_by_its_holders_name_and_survives_a_restart() {
    let mut stage = Stage::new(2);
    let lease = Uuid::from_u128(5);
    take(&mut stage, lease, "ann").unwrap();
    assert_eq!(take(&mut stage, Uuid::from_u128(6), "ann").unwrap_err().code(), "lease_held");
    let granted = |stage: &Stage| {
        stage.sent.iter().rev().find_map(|(_, command)| match &command.order {
            Order::Lease(grant) => Some(grant.clone().map(|grant| grant.id)),
            _ => None,
        })
    };
    assert_eq!(granted(&stage), Some(Some(lease)));
    stage.run(15 * SECOND);
    let renew = |id| OperatorCommand::RenewLease { id, time_to_live: Duration::from_secs(60) };
    assert_eq!(stage.ask(renew(Uuid::from_u128(9))).unwrap_err(), Refusal::UnknownLease);
    stage.ask(renew(lease)).unwrap();
    stage.restart();
    stage.connect(0);
    stage.run(10 * SECOND);
    assert_eq!(stage.supervisor.leases().len(), 1);
    let spec = survey((1.0, 1.0), (9.0, 9.0));
    assert_eq!(stage.submit(spec.clone()).unwrap_err().code(), "lease_held");
    stage.ask(OperatorCommand::ReleaseLease(lease)).unwrap();
    assert_eq!(granted(&stage), Some(None));
    stage.submit(spec).unwrap();
    assert_eq!(stage.ask(OperatorCommand::ReleaseLease(lease)), Err(Refusal::UnknownLease));
}

#[test]
fn every_start_has_a_higher_term_and_higher_than_any_robot_has_seen() {
    let mut stage = Stage::new(1);
    stage.restart();
    stage.connect(0);
    let first = stage.supervisor.term();
    stage.restart();
    assert!(stage.supervisor.term() > first);
    let mut hello = stage.robots[0].hello();
    hello.latch.term = Term(500);
    stage.robots[0].connected = true;
    stage.handle(Input::Connected(Box::new(hello)));
    assert_eq!(stage.supervisor.term(), Term(501));
    stage.stop(&[0]).unwrap();
    assert_eq!(stage.sent.last().unwrap().1.term, Term(501));
}

#[test]
fn a_failing_disk_refuses_missions_but_no_stop_and_recovers() {
    let mut stage = Stage::new(1);
    stage.handle(Input::Storage(StorageState::Failing("disk full".to_owned())));
    let spec = survey((1.0, 1.0), (9.0, 9.0));
    assert_eq!(stage.submit(spec.clone()).unwrap_err().code(), "storage_failing");
    assert!(stage.alarms().contains(&"store_full".to_owned()));
    stage.stop(&[]).unwrap();
    stage.run(SECOND);
    assert_eq!(stage.robots[0].latch(), Latch::Stop);
    stage.release(&[]).unwrap();
    stage.handle(Input::Storage(StorageState::Healthy));
    assert!(!stage.alarms().contains(&"store_full".to_owned()));
    stage.submit(spec).unwrap();
}

#[test]
fn work_that_a_robot_was_never_near_is_not_believed() {
    let mut stage = Stage::new(1);
    let spec = survey((0.0, 0.0), (20.0, 15.0));
    let id = stage.submit(spec.clone()).unwrap();
    stage.run(SECOND);
    let (mission, generation, region) = stage.robots[0].work.clone().unwrap();
    let nothing = Region::empty(*region.unwrap().frame()).unwrap();
    let report = support::progress(mission, generation, SliceState::Done, Some(nothing));
    stage.handle(Input::Report { agent: name(0), report });
    assert!(stage.mission(id).covered.0 < 50.0, "{}", stage.mission(id).covered.0);
    assert!(stage.alarms().contains(&"coverage_not_believed".to_owned()));
    stage.robots[0].work = None;
    assert!(stage.run_to_the_end(Duration::from_secs(600)));
    assert_eq!(stage.mission(id).state, MissionState::Done);
    // What was within the reach of its sensor counts as swept, which this robot sweeps cell by cell.
    assert!(stage.truly_swept(&spec.zone) > 0.6, "{}", stage.truly_swept(&spec.zone));
}

#[test]
fn what_was_swept_while_the_link_was_down_is_believed_as_far_as_it_could_be() {
    let mut stage = Stage::new(1);
    stage.robots[0].pace = 2;
    stage.robots[0].body.speed_max = MetersPerSecond(10.0);
    stage.connect(0);
    stage.run(2 * SECOND);
    let id = stage.submit(survey((0.0, 0.0), (20.0, 15.0))).unwrap();
    stage.run(2 * SECOND);
    stage.disconnect(0);
    stage.run(4 * SECOND);
    let before = stage.mission(id).covered.0;
    stage.connect(0);
    stage.run(SECOND);
    assert!(stage.mission(id).covered.0 > before);
    assert!(!stage.alarms().contains(&"coverage_not_believed".to_owned()), "{:?}", stage.alarms());
}

fn hazard(at: (f64, f64), sequence: u64, cleared: bool) -> MapHazard {
    MapHazard {
        kind: HazardKind::Obstacle,
        position: Point::new(at.0, at.1),
        radius: Meters(1.0),
        reporter: name(0),
        boot: skein_types::ids::BootId(Uuid::from_u128(1)),
        sequence,
        seen_at: WallTime::from_unix_nanos(i64::try_from(sequence).unwrap()),
        cleared,
    }
}

#[test]
fn static_hazards_are_durable_planned_around_and_sent_to_robots() {
    let mut stage = Stage::new(2);
    let report = AgentReport::Hazards(vec![hazard((5.0, 5.0), 1, false)]);
    stage.handle(Input::Report { agent: name(0), report });
    let told = |stage: &Stage, index: usize| {
        stage.sent.iter().any(|(agent, command)| {
            *agent == name(index) && matches!(&command.order, Order::Hazards(hazards) if !hazards.is_empty())
        })
    };
    assert!(told(&stage, 1));
    stage.restart();
    stage.sent.clear();
    (0..2).for_each(|index| stage.connect(index));
    assert!(told(&stage, 0) && told(&stage, 1));
    assert_eq!(stage.supervisor.fleet_view(stage.now).hazards.len(), 1);
    stage.run(20 * SECOND);
    let with = stage.submit(survey((3.0, 3.0), (7.0, 7.0))).unwrap();
    let area = stage.mission(with).area;
    assert!((16.0 - core::f64::consts::PI - area).abs() < 0.8, "{area}");
    let report = AgentReport::Hazards(vec![hazard((5.0, 5.0), 2, true)]);
    stage.handle(Input::Report { agent: name(1), report });
    assert!(stage.supervisor.fleet_view(stage.now).hazards.is_empty());
    // What one robot saw gone is not brought back by an older report of another, also after a restart.
    stage.restart();
    (0..2).for_each(|index| stage.connect(index));
    let report = AgentReport::Hazards(vec![hazard((5.1, 5.1), 1, false)]);
    stage.handle(Input::Report { agent: name(0), report });
    assert!(stage.supervisor.fleet_view(stage.now).hazards.is_empty());
}

#[test]
fn one_robot_cannot_fill_the_map_of_hazards() {
    let mut stage = Stage::new(2);
    let own = AgentReport::Hazards(vec![hazard((2.0, 2.0), 1, false)]);
    stage.handle(Input::Report { agent: name(1), report: own });
    for sequence in 2..400_u64 {
        let at = (f64::from(u32::try_from(sequence % 20).unwrap()), f64::from(u32::try_from(sequence / 20).unwrap()));
        let report = AgentReport::Hazards(vec![hazard(at, sequence, false)]);
        stage.handle(Input::Report { agent: name(0), report });
    }
    let hazards = stage.supervisor.fleet_view(stage.now).hazards;
    assert!(hazards.len() <= 60, "{}", hazards.len());
}

/// What happens to latches while links break and processes die.
#[derive(Clone, Debug)]
enum Step {
    Stop(Option<usize>),
    Release(Option<usize>),
    StopAtTheRobot(usize),
    Disconnect(usize),
    Connect(usize),
    RestartSupervisor,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let robot = 0..3_usize;
    let some = prop_oneof![Just(None), robot.clone().prop_map(Some)];
    prop_oneof![
        some.clone().prop_map(Step::Stop),
        some.prop_map(Step::Release),
        robot.clone().prop_map(Step::StopAtTheRobot),
        robot.clone().prop_map(Step::Disconnect),
        robot.prop_map(Step::Connect),
        Just(Step::RestartSupervisor),
        (1..30_u64).prop_map(Step::Wait),
    ]
}

/// The reference: who must be stopped in the end, by the last thing that was done about it.
#[derive(Default)]
struct Reference {
    fleet: bool,
    own: [bool; 3],
    /// Stopped at the robot while it was away: a release that crosses with it is not about it.
    unseen: [bool; 3],
}

impl Reference {
    fn release(&mut self, robot: usize) {
        self.own[robot] = self.unseen[robot];
    }
}

fn take_step(stage: &mut Stage, reference: &mut Reference, number: usize, step: &Step) {
    let named = |robot: &Option<usize>| robot.map_or(Vec::new(), |robot| vec![robot]);
    match step {
        Step::Stop(robot) => {
            stage.stop(&named(robot)).unwrap();
            match robot {
                None => reference.fleet = true,
                Some(robot) => reference.own[*robot] = true,
            }
        }
        // Only what the supervisor saw is released: what it did not see holds.
        Step::Release(robot) => {
            if stage.release(&named(robot)).is_ok() {
                match robot {
                    None => {
                        reference.fleet = false;
                        (0..3).for_each(|robot| reference.release(robot));
                    }
                    Some(robot) => reference.release(*robot),
                }
            }
        }
        Step::StopAtTheRobot(robot) => {
            stage.robots[*robot].stop_locally(1000 + number as u128);
            // As its node does: it reports the change when it can.
            if stage.robots[*robot].connected {
                let report = AgentReport::Latch(stage.robots[*robot].report());
                stage.handle(Input::Report { agent: name(*robot), report });
            }
            reference.own[*robot] = true;
            reference.unseen[*robot] = !stage.robots[*robot].connected;
        }
        Step::Disconnect(robot) if stage.robots[*robot].connected => stage.disconnect(*robot),
        Step::Connect(robot) if !stage.robots[*robot].connected => {
            stage.connect(*robot);
            reference.unseen[*robot] = false;
        }
        Step::Disconnect(_) | Step::Connect(_) => {}
        Step::RestartSupervisor => stage.restart(),
        Step::Wait(tenths) => stage.run(Duration::from_millis(100 * tenths)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn latches_converge_and_no_stop_is_forgotten(steps in prop::collection::vec(step(), 1..40)) {
        let mut stage = Stage::on(support::hall_of(40, 32), 3);
        let mut reference = Reference::default();
        for (number, step) in steps.iter().enumerate() {
            take_step(&mut stage, &mut reference, number, step);
        }
        for index in 0..3 {
            if !stage.robots[index].connected {
                stage.connect(index);
            }
        }
        stage.run(Duration::from_secs(5));
        for index in 0..3 {
            let view = stage.view(index);
            prop_assert_eq!(&stage.robots[index].latches, &view.wanted, "robot {}", index);
            prop_assert_eq!(&view.latches, &view.wanted, "robot {}", index);
            // A STOP that was under way for long may hold a robot once more; none is ever lost.
            let stopped = reference.fleet || reference.own[index];
            prop_assert!(!stopped || view.latch == Latch::Stop, "robot {}: {:?}", index, view.latches);
        }
        stage.release(&[]).unwrap();
        stage.run(Duration::from_secs(5));
        for index in 0..3 {
            prop_assert_eq!(stage.robots[index].latch(), Latch::Released, "robot {}", index);
        }
    }
}

#[test]
fn a_stop_at_a_robot_that_was_away_is_not_undone_by_the_release_of_another() {
    let mut stage = Stage::new(1);
    stage.disconnect(0);
    stage.stop(&[0]).unwrap();
    stage.release(&[0]).unwrap();
    stage.robots[0].stop_locally(55);
    stage.restart();
    stage.connect(0);
    stage.run(SECOND);
    assert_eq!((stage.robots[0].latch(), stage.view(0).wanted.own.by.clone()), (Latch::Stop, support::operator("bob")));
}

#[test]
fn a_request_of_the_fleet_names_its_scope() {
    let mut stage = Stage::new(1);
    stage.stop(&[0]).unwrap();
    let scope = stage.sent.iter().rev().find_map(|(_, command)| match &command.order {
        Order::Latch(order) => order.request.as_ref().map(|request| request.scope),
        _ => None,
    });
    assert_eq!(scope, Some(LatchScope::Robot));
}
