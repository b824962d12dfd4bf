//! Who controls the robot: latches, manual override, and the term of the planner.

use std::time::Duration;

use super::rig::{Rig, two_rooms};
use skein_agent::{Input, ManualRefused, OverrideMotion};
use skein_types::authority::{LatchAction, LatchScope, Principal, Term};
use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{CommandId, Generation, OperatorId};
use skein_types::link::{CloudCommand, CommandOutcome, Order};
use skein_types::mission::Task;
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch};
use uuid::Uuid;

const FORWARD: OverrideMotion = OverrideMotion::Twist(Twist::planar(0.4, 0.0));

/// On its way to a far goal.
fn driving() -> Rig {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 2.0, 0.0));
    rig.assign(1, Task::GoTo { goal: Point::new(10.0, 5.0), hold: None });
    rig.run(2.0);
    assert!(rig.driven > 0.5);
    rig
}

/// How far it drives in this many seconds.
fn driven_in(rig: &mut Rig, seconds: f64) -> f64 {
    let before = rig.driven;
    rig.run(seconds);
    rig.driven - before
}

fn give_back(rig: &mut Rig) {
    rig.give(Input::GiveBack { by: Principal::Operator(OperatorId::new("ada").unwrap()) });
}

#[test]
fn a_latch_stands_the_robot_at_once_and_names_who_set_it() {
    let mut rig = driving();
    rig.stop("a person in the aisle");
    assert_eq!((rig.setpoint.twist, rig.setpoint.at), (Twist::ZERO, rig.now), "it waits for no cycle");
    assert!(driven_in(&mut rig, 3.0) < 0.01);
    let status = rig.agent.status(rig.now);
    assert_eq!((status.state, rig.mode().as_str()), (AgentState::Stopped, "INTERVENED"));
    assert_eq!(status.why, "stopped by ada: a person in the aisle");
    assert_eq!((status.latch, status.latches), (Latch::Stop, rig.latches.clone()));
    rig.release();
    assert!(driven_in(&mut rig, 3.0) > 0.5, "it continues its task");
}

#[test]
fn a_fleet_latch_holds_while_the_own_one_is_released() {
    let mut rig = driving();
    rig.stop("drill");
    rig.latch(LatchScope::Fleet, LatchAction::Kill, "ben", "smoke");
    assert_eq!((rig.agent.status(rig.now).latch, rig.named("latch")), (Latch::Kill, 2));
    rig.release();
    assert!(driven_in(&mut rig, 1.0) < 0.01);
    assert_eq!(rig.why(), "power cut by ben: smoke");
    rig.give(Input::Latch(rig.latches.clone()));
    assert_eq!(rig.named("latch"), 3, "the same registers again change nothing");
}

#[test]
fn power_loss_and_tip_over_are_latched_by_the_reflex_alone() {
    let mut rig = driving();
    (rig.powered, rig.causes, rig.level) = (false, Causes::NONE.with(Cause::PowerLoss), FailsafeLevel::Stop);
    rig.run(5.0);
    let status = rig.agent.status(rig.now);
    assert_eq!((status.latch, status.state), (Latch::Released, AgentState::Stopped));
    assert_eq!(status.why, "stopped by the reflex: power loss");
    (rig.powered, rig.causes, rig.level) = (true, Causes::NONE.with(Cause::Tilt), FailsafeLevel::Stop);
    assert!(driven_in(&mut rig, 5.0) < 0.01 && rig.named("latch") == 0 && rig.named("stuck") == 0);
    (rig.causes, rig.level) = (Causes::NONE, FailsafeLevel::None);
    assert!(driven_in(&mut rig, 2.0) > 0.3);
}

#[test]
fn after_a_manual_command_the_robot_holds_until_control_is_given_back() {
    let mut rig = driving();
    rig.drive(FORWARD, 800);
    rig.run(0.5);
    assert_eq!((rig.mode().as_str(), rig.why().as_str()), ("MANUAL", "driven by ada: look behind the shelf"));
    assert!(rig.twist.vx > 0.3);
    rig.run(0.6);
    assert!(driven_in(&mut rig, 30.0) < 0.01, "no timeout resumes its task");
    assert_eq!((rig.mode().as_str(), rig.why().as_str()), ("MANUAL", "stands until ada gives control back"));
    assert!(rig.agent.is_manual() && !rig.agent.status(rig.now).manual.unwrap().driving);
    rig.drive(FORWARD, 300);
    assert!(driven_in(&mut rig, 0.3) > 0.05, "another command drives again");
    rig.run(0.2);
    give_back(&mut rig);
    assert!(driven_in(&mut rig, 3.0) > 0.5 && rig.mode() == "AUTOMATIC");
    assert_eq!((rig.named("override_started"), rig.named("override_ended")), (2, 2));
    assert_eq!(rig.named("control_given_back"), 1);
}

#[test]
fn control_can_be_given_back_while_a_command_holds() {
    let mut rig = driving();
    rig.drive(OverrideMotion::Twist(Twist::ZERO), 1000);
    assert!(driven_in(&mut rig, 0.5) < 0.2);
    give_back(&mut rig);
    assert!(driven_in(&mut rig, 3.0) > 0.5 && rig.mode() == "AUTOMATIC");
    give_back(&mut rig);
    assert_eq!(rig.named("control_given_back"), 1, "nobody had control");
}

#[test]
fn a_latched_robot_refuses_manual_commands() {
    let mut rig = driving();
    assert_eq!(rig.agent.may_override(rig.now), Ok(()));
    rig.stop("drill");
    let refused = rig.agent.may_override(rig.now).unwrap_err();
    assert_eq!(refused.to_string(), "the robot is latched by operator:ada (drill); release it first");
    assert!(matches!(refused, ManualRefused::Latched { .. }));
    rig.drive(FORWARD, 800);
    assert!(driven_in(&mut rig, 1.0) < 0.01 && rig.named("override_refused") == 1);
    rig.release();
    assert!(driven_in(&mut rig, 2.0) > 0.5, "the refused command left nothing behind");
}

#[test]
fn a_latch_ends_a_manual_command_but_not_the_control() {
    let mut rig = driving();
    rig.drive(FORWARD, 1000);
    rig.run(0.2);
    rig.stop("too close");
    rig.run(0.2);
    rig.release();
    assert!(driven_in(&mut rig, 3.0) < 0.01 && rig.mode() == "MANUAL", "{}", rig.why());
    give_back(&mut rig);
    assert!(driven_in(&mut rig, 3.0) > 0.5);
}

#[test]
fn a_robot_without_pose_or_power_refuses_manual_commands() {
    let mut rig = driving();
    rig.powered = false;
    rig.run(0.1);
    assert_eq!(rig.agent.may_override(rig.now), Err(ManualRefused::Unpowered));
    let fresh = skein_agent::Agent::new(rig.config.clone());
    assert_eq!(fresh.may_override(rig.now), Err(ManualRefused::NoPose));
    rig.powered = true;
    rig.run(0.1);
    rig.drive(OverrideMotion::Target(Point::new(f64::NAN, 0.0)), 500);
    assert_eq!((rig.named("override_refused"), rig.mode().as_str()), (1, "AUTOMATIC"));
}

#[test]
fn a_robot_whose_sensors_are_silent_refuses_manual_commands() {
    let mut rig = driving();
    rig.now = rig.now + Duration::from_millis(250);
    rig.give(Input::Cycle);
    let refused = rig.agent.may_override(rig.now).unwrap_err();
    assert!(matches!(refused, ManualRefused::StalePose { age } if age >= Duration::from_millis(250)), "{refused}");
    assert_eq!(rig.agent.status(rig.now).manual_refused, Some(refused));
}

#[test]
fn a_robot_that_was_in_manual_when_its_process_ended_begins_in_manual() {
    let mut rig = Rig::configured("rover-1", two_rooms(), Pose::new(2.0, 2.0, 0.0), |config| {
        config.manual = Some(OperatorId::new("ada").unwrap());
    });
    rig.assign(1, Task::GoTo { goal: Point::new(10.0, 5.0), hold: None });
    assert!(driven_in(&mut rig, 10.0) < 0.01, "{}", rig.why());
    assert_eq!((rig.mode().as_str(), rig.why().as_str()), ("MANUAL", "stands until ada gives control back"));
    give_back(&mut rig);
    assert!(driven_in(&mut rig, 3.0) > 0.5 && rig.mode() == "AUTOMATIC");
}

/// Gives a command of a term and returns its last outcome.
fn order(rig: &mut Rig, id: u128, term: u64, generation: u64, order: Order) -> CommandOutcome {
    let (id, generation) = (CommandId(Uuid::from_u128(id)), Generation(generation));
    rig.give(Input::Command(CloudCommand { id, generation, term: Term(term), expires_at: None, order }));
    rig.acks.iter().rev().find(|ack| ack.command == id).unwrap().outcome.clone()
}

#[test]
fn commands_of_a_lower_term_are_refused_and_a_higher_one_counts_anew() {
    let mut rig = Rig::new(two_rooms(), Pose::new(2.0, 2.0, 0.0));
    let cancel = || Order::Cancel(super::rig::mission());
    assert_eq!(order(&mut rig, 1, 5, 40, cancel()), CommandOutcome::Done);
    assert_eq!(rig.agent.term(), Term(5));
    let refused = order(&mut rig, 2, 4, 41, cancel());
    assert_eq!(refused, CommandOutcome::Rejected("stale: term t4 is lower than t5".to_owned()));
    assert!(matches!(order(&mut rig, 3, 5, 39, cancel()), CommandOutcome::Rejected(_)));
    assert_eq!(order(&mut rig, 4, 6, 1, cancel()), CommandOutcome::Done);
    assert_eq!(rig.agent.term(), Term(6));
}
