//! What robots say of strangers on the mesh, and what the commander sees of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use skein_supervisor::Input;
use skein_types::event::{Event, EventBatch, EventHash, EventKind};
use skein_types::ids::{BootId, EventId};
use skein_types::link::AgentReport;
use skein_types::time::{MonoTime, WallTime};
use support::{Stage, name};
use uuid::Uuid;

#[test]
fn two_senders_under_one_name_on_the_mesh_are_an_alarm() {
    let mut stage = Stage::new(2);
    let report = |sequence: u64, kind, peer: &str| {
        let event = Event {
            id: EventId(Uuid::from_u128(900 + u128::from(sequence))),
            agent: name(0),
            boot: BootId(Uuid::from_u128(1)),
            sequence,
            at: WallTime::default(),
            mono: MonoTime::from_millis(sequence),
            kind,
            name: "identity_conflict".to_owned(),
            payload: format!("{{\"peer\":\"{peer}\",\"boot\":\"x\"}}"),
            previous: EventHash::default(),
        };
        Input::Report { agent: name(0), report: AgentReport::Events(EventBatch { events: vec![event] }) }
    };
    stage.handle(report(1, EventKind::Decision, name(1).as_str()));
    assert!(!stage.alarms().contains(&"mesh_conflict".to_owned()), "only what the robot says for safety");
    stage.handle(report(2, EventKind::Safety, name(1).as_str()));
    for invented in 0..20_u64 {
        stage.handle(report(3 + invented, EventKind::Safety, &format!("ghost-{invented}")));
    }
    let alarms = stage.supervisor.fleet_view(stage.now).alarms;
    let conflicts: Vec<_> = alarms.iter().filter(|alarm| alarm.code == "mesh_conflict").collect();
    assert_eq!(conflicts.len(), 2, "invented names share one: {conflicts:?}");
    assert!(conflicts.iter().any(|alarm| alarm.robot == Some(name(1)) && alarm.text.contains("find the stranger")));
}
