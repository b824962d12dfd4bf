//! Which process may speak under which name: streams, keys, reserved names, names that come and go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use skein_supervisor::{Input, Refusal};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::link::{AgentReport, HelloProof};
use skein_types::safety::Latch;
use support::{Stage, name};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_stream_speaks_for_the_robot_of_its_first_hello() {
    let mut stage = Stage::new(2);
    let other = stage.robots[1].hello();
    let home = stage.view(1).home;
    let mut forged = other.clone();
    forged.home.position = Point::new(19.0, 14.0);
    stage.handle(Input::Report { agent: name(0), report: AgentReport::Hello(forged) });
    assert_eq!(stage.rejected.last().unwrap().0, name(0));
    assert_eq!(stage.view(1).home, home);
    assert!(stage.alarms().contains(&"identity_conflict".to_owned()));
    // The refusal is not left for the next robot.
    let refused = stage.rejected.len();
    stage.connect(1);
    assert_eq!(stage.rejected.len(), refused);
}

#[test]
fn a_name_is_bound_to_the_key_it_first_proved() {
    let mut stage = Stage::new(1);
    assert!(stage.alarms().contains(&"robots_without_key".to_owned()));
    let proved = |stage: &Stage, key: u8| {
        let mut hello = stage.robots[0].hello();
        hello.proof = Some(HelloProof { public_key: [key; 32], signature: [0; 64] });
        Input::Connected(Box::new(hello))
    };
    stage.disconnect(0);
    let hello = proved(&stage, 1);
    stage.handle(hello);
    assert!(!stage.alarms().contains(&"robots_without_key".to_owned()));
    stage.handle(Input::Disconnected(name(0)));
    stage.restart();
    let stranger = proved(&stage, 2);
    stage.handle(stranger);
    assert_eq!(stage.rejected.pop().unwrap().1, Refusal::WrongKey);
    stage.connect(0);
    assert_eq!(stage.rejected.pop().unwrap().1, Refusal::KeyMissing);
    assert!(stage.alarms().contains(&"identity_conflict".to_owned()));
    let hello = proved(&stage, 1);
    stage.handle(hello);
    assert!(stage.rejected.is_empty() && stage.view(0).connected);
}

fn hello_as(stage: &Stage, name: &str) -> Input {
    let mut hello = stage.robots[0].hello();
    hello.agent = AgentId::new(name).unwrap();
    Input::Connected(Box::new(hello))
}

#[test]
fn reserved_names_are_refused() {
    let mut stage = Stage::new(1);
    for reserved in ["supervisor", "skein-cloud", "cloud", "fleet", "all"] {
        let hello = hello_as(&stage, reserved);
        stage.handle(hello);
        assert_eq!(stage.rejected.pop().unwrap().1.code(), "reserved_name", "{reserved}");
    }
}

#[test]
fn names_that_come_and_go_never_keep_a_robot_out() {
    let mut stage = Stage::new(2);
    stage.config.robots_max = 10;
    stage.restart();
    (0..2).for_each(|index| stage.connect(index));
    stage.stop(&[1]).unwrap();
    stage.disconnect(1);
    for stranger in 0..30 {
        let agent = format!("stranger-{stranger}");
        let hello = hello_as(&stage, &agent);
        stage.handle(hello);
        stage.handle(Input::Disconnected(AgentId::new(agent).unwrap()));
        stage.run(Duration::from_millis(100));
    }
    assert!(stage.rejected.is_empty());
    assert_eq!(stage.supervisor.known(), 10);
    assert_eq!(stage.view(1).wanted.level(), Latch::Stop, "a robot that is stopped is not forgotten");
    stage.config.forget_after = Duration::from_secs(5);
    stage.restart();
    stage.connect(0);
    stage.run(6 * SECOND);
    assert_eq!(stage.supervisor.known(), 2, "strangers are forgotten in time, also over a restart");
}
