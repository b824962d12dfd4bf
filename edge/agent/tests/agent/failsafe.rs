//! What the robot does when a link is lost, its charge is critical, or its process was suspended.

use std::time::Duration;

use super::rig::{Rig, two_rooms};
use skein_agent::Input;
use skein_types::body::{BodyDescriptor, Drive};
use skein_types::coord::{AgentState, Intent, RightOfWay};
use skein_types::failsafe::{LossPolicy, LossRule};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::{Priority, Task};
use skein_types::safety::{Cause, Causes, FailsafeLevel};
use skein_types::telemetry::LinkState;
use skein_types::time::WallTime;
use skein_types::units::Meters;
use uuid::Uuid;

const BOTH: LinkState = LinkState { cloud: true, mesh: true };
const NO_CLOUD: LinkState = LinkState { cloud: false, mesh: true };
const NO_MESH: LinkState = LinkState { cloud: true, mesh: false };

/// On its way to a far goal, with both links.
fn driving(rules: impl FnOnce(&mut skein_agent::AgentConfig)) -> Rig {
    let mut rig = Rig::configured("rover-1", two_rooms(), Pose::new(2.0, 2.0, 0.0), |config| {
        config.mesh = false;
        rules(config);
    });
    rig.give(Input::Link(BOTH));
    rig.assign(1, Task::GoTo { goal: Point::new(10.0, 5.0), hold: None });
    rig.run(1.5);
    rig
}

fn driven_in(rig: &mut Rig, seconds: f64) -> f64 {
    let before = rig.driven;
    rig.run(seconds);
    rig.driven - before
}

const fn rule(hold_ms: u64, then: LossPolicy) -> LossRule {
    LossRule { hold_first: Duration::from_millis(hold_ms), then }
}

#[test]
fn without_the_cloud_it_continues_by_default() {
    let mut rig = driving(|_| {});
    rig.give(Input::Link(NO_CLOUD));
    assert!(driven_in(&mut rig, 2.0) > 1.0);
    assert!(rig.surroundings.causes.contains(Cause::CloudLost));
    assert_eq!(rig.named("link_failsafe"), 0);
}

#[test]
fn without_the_mesh_it_holds_and_then_continues_slowly() {
    let mut rig = driving(|_| {});
    rig.give(Input::Link(NO_MESH));
    rig.run(0.1);
    assert!(driven_in(&mut rig, 1.8) < 0.02, "it holds for two seconds");
    assert_eq!((rig.why().as_str(), rig.agent.status(rig.now).state), ("holds: the mesh is lost", AgentState::Waiting));
    rig.run(1.5);
    let speed = driven_in(&mut rig, 1.0);
    let top = BodyDescriptor::rover().speed_max.get();
    assert!((0.3 * top..0.51 * top).contains(&speed), "{speed} m/s");
    rig.give(Input::Link(BOTH));
    assert!(driven_in(&mut rig, 2.0) > 1.2 * top, "at full speed again");
    assert_eq!(rig.named("link_failsafe"), 2);
}

#[test]
fn a_lost_link_escalates_to_a_return_and_the_task_continues_after_it() {
    let mut rig = driving(|config| config.failsafe.cloud_lost = rule(1000, LossPolicy::Return));
    rig.give(Input::Link(NO_CLOUD));
    rig.run(0.1);
    assert!(driven_in(&mut rig, 0.8) < 0.02 && rig.why().contains("holds: the supervisor"));
    let home = rig.home;
    assert!(rig.until(20.0, |rig| rig.pose.position.distance(home) < 0.2), "{}", rig.why());
    rig.run(3.0);
    assert_eq!(rig.why(), "waits at home: the supervisor is lost");
    rig.give(Input::Link(BOTH));
    assert!(rig.until(30.0, |rig| rig.pose.position.distance(Point::new(10.0, 5.0)) < 0.3), "{}", rig.why());
}

#[test]
fn a_hold_of_one_link_wins_over_a_return_of_the_other() {
    let mut rig = driving(|config| {
        config.failsafe.cloud_lost = rule(0, LossPolicy::Return);
        config.failsafe.mesh_lost = rule(0, LossPolicy::Hold);
    });
    rig.give(Input::Link(LinkState::default()));
    rig.run(0.1);
    assert!(driven_in(&mut rig, 20.0) < 0.02, "{}", rig.why());
    rig.give(Input::Link(NO_CLOUD));
    assert!(driven_in(&mut rig, 3.0) > 0.5 && rig.why().contains("returns home"), "{}", rig.why());
}

#[test]
fn a_link_that_never_was_up_is_not_lost() {
    let mut rig = driving(|config| config.failsafe.mesh_lost = rule(0, LossPolicy::Hold));
    let mut alone = Rig::configured("rover-1", two_rooms(), Pose::new(2.0, 2.0, 0.0), |config| {
        config.mesh = false;
        config.failsafe.mesh_lost = rule(0, LossPolicy::Hold);
    });
    alone.assign(1, Task::GoTo { goal: Point::new(10.0, 5.0), hold: None });
    assert!(driven_in(&mut alone, 3.0) > 1.0);
    rig.give(Input::Link(NO_MESH));
    rig.run(0.1);
    assert!(driven_in(&mut rig, 3.0) < 0.02);
}

#[test]
fn a_critical_charge_stands_the_robot_with_hysteresis() {
    let mut rig = driving(|_| {});
    rig.battery = 2.9;
    rig.run(0.1);
    assert!(driven_in(&mut rig, 2.0) < 0.02);
    let status = rig.agent.status(rig.now);
    assert_eq!((status.state, status.why.as_str()), (AgentState::Fault, "stands: 3 % charge is too low to move"));
    assert!(status.failsafe.causes.contains(&Cause::BatteryCritical));
    rig.battery = 3.5;
    assert!(driven_in(&mut rig, 2.0) < 0.02, "a little more is not enough");
    rig.battery = 8.1;
    assert!(driven_in(&mut rig, 3.0) > 0.3 && rig.named("charge_low") == 1, "{}", rig.why());
    assert_eq!((rig.named("charge_critical"), rig.named("charge_sufficient")), (1, 1));
}

#[test]
fn a_flyer_lands_at_a_critical_charge() {
    let mut rig = driving(|config| config.descriptor.drive = Drive::Multirotor);
    rig.battery = 2.0;
    rig.run(0.2);
    assert_eq!(rig.why(), "lands: 2 % charge is too low to move");
}

#[test]
fn a_landing_flyer_and_a_latched_reflex_start_no_recovery() {
    let landing = (FailsafeLevel::Land, Cause::EmergencyStop, Drive::Multirotor, "lands: emergency stop");
    let stopped = (FailsafeLevel::Stop, Cause::Tilt, Drive::Differential, "stopped by the reflex: tilt");
    for (level, cause, drive, why) in [landing, stopped] {
        let mut rig = driving(|config| config.descriptor.drive = drive);
        (rig.level, rig.causes) = (level, Causes::NONE.with(cause));
        rig.run(0.1);
        assert!(driven_in(&mut rig, 6.0) < 0.02 && rig.named("stuck") == 0);
        assert_eq!((rig.why().as_str(), rig.agent.status(rig.now).failsafe.level), (why, level));
    }
}

fn intent(name: &str, sequence: u64) -> Input {
    let sender = AgentId::new(name).unwrap();
    let (priority, claimant) = (Priority::NORMAL, sender.clone());
    Input::Intent(Intent {
        boot: BootId(Uuid::from_u128(5)),
        sequence,
        sent_at: WallTime::default(),
        pose: Pose::new(11.0, 5.5, 0.0),
        pose_age: Duration::ZERO,
        velocity: Point::default(),
        radius: Meters(0.25),
        path: Vec::new(),
        state: AgentState::Idle,
        right_of_way: RightOfWay { emergency: false, carrying: false, priority, waited_steps: 0, claimant },
        cornered: false,
        yields_to: None,
        sender,
    })
}

#[test]
fn at_its_start_a_robot_with_a_mesh_waits_for_its_peers() {
    let mut rig = Rig::configured("rover-1", two_rooms(), Pose::new(2.0, 2.0, 0.0), |_| {});
    rig.assign(1, Task::GoTo { goal: Point::new(10.0, 5.0), hold: None });
    assert!(driven_in(&mut rig, 1.7) < 0.01, "it waits two seconds at most, of which 0.2 s are over");
    assert_eq!(rig.why(), "waits until it hears its peers");
    assert!(driven_in(&mut rig, 2.0) > 0.5);
}

#[test]
fn after_a_suspension_it_waits_until_known_peers_are_heard() {
    for heard in [true, false] {
        let mut rig = driving(|config| config.mesh = true);
        rig.run(1.0);
        rig.give(intent("rover-2", 1));
        rig.now = rig.now + Duration::from_secs(3);
        rig.give(intent("rover-2", 2));
        rig.run(0.1);
        assert!(driven_in(&mut rig, 0.3) < 0.02, "an intent from before the suspension is no news");
        assert_eq!(rig.named("suspended"), 1);
        if heard {
            rig.give(intent("rover-2", 30));
        }
        assert_eq!(driven_in(&mut rig, 1.0) > 0.2, heard, "{}", rig.why());
        assert!(driven_in(&mut rig, 2.5) > 0.5, "it waits two seconds at most: {}", rig.why());
    }
}

#[test]
fn intents_carry_the_age_of_the_pose() {
    let mut rig = driving(|_| {});
    rig.said.clear();
    rig.run(1.0);
    let oldest = rig.said.iter().map(|intent| intent.pose_age).max().unwrap();
    assert!(oldest <= Duration::from_millis(60), "{oldest:?}: an intent is sent within a cycle of its pose");
    // The sensors are silent; the agent still runs.
    rig.said.clear();
    for _ in 0..8 {
        rig.now = rig.now + Duration::from_millis(50);
        rig.give(Input::Cycle);
    }
    let last = rig.said.last().unwrap();
    assert!(last.pose_age >= Duration::from_millis(300), "{:?}", last.pose_age);
}
