//! STOP, KILL and release over every path at once, with a supervisor that is dead, hangs or answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use serde_json::json;
use skein_types::safety::Latch;
use support::Run;
use support::robot::Mesh;
use support::supervisor::{self, Supervisor};

/// What the command may take, start of the process included.
const PROMISE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_all_needs_no_supervisor() {
    for hangs in [false, true] {
        let mesh = Mesh::default();
        let robots = [("r1", mesh.serve("r1").await), ("r2", mesh.serve("r2").await)];
        let supervisor = if hangs { supervisor::hanging().await } else { supervisor::dead() };
        let run = Run::new(supervisor, &robots);
        let seen = run.skein(&["stop", "--all", "--reason", "person on the floor"]).await;
        assert!(seen.code == 0 && seen.took < PROMISE, "{seen:?}");
        assert!(seen.talk.contains("fleet yard in") && seen.talk.contains(&supervisor.to_string()), "{seen:?}");
        for name in ["r1", "r2"] {
            let latches = mesh.latches(name);
            assert_eq!((latches.level(), latches.fleet.reason.as_str()), (Latch::Stop, "person on the floor"));
            assert_eq!(latches.fleet.by.to_string(), "operator:ada");
            let entry = seen.robot(name);
            assert_eq!((&entry["acknowledged"], &entry["latch"]), (&json!(true), &json!("stop")), "{seen:?}");
        }
        let paths = seen.robot("r1")["paths"].to_string();
        assert!(paths.contains("direct"), "{paths}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_id_goes_over_every_path() {
    let mesh = Mesh::default();
    let robots = [("r1", mesh.serve("r1").await), ("r2", mesh.serve("r2").await)];
    let run = Run::new(supervisor::hanging().await, &robots);
    assert_eq!(run.skein(&["stop", "r1"]).await.code, 0);
    let requests = mesh.requests.lock().unwrap().clone();
    let ids: std::collections::BTreeSet<String> = requests.iter().map(|(_, body)| body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{requests:?}");
    assert!(requests.iter().any(|(robot, body)| robot == "r2" && body["robot"] == "r1"), "{requests:?}");
    assert_eq!((mesh.latches("r1").level(), mesh.latches("r2").level()), (Latch::Stop, Latch::Released));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_passes_a_stop_on_to_a_robot_that_only_it_can_hear() {
    let mesh = Mesh::default();
    mesh.add("r2");
    let robots = [("r1", mesh.serve("r1").await), ("r2", supervisor::dead())];
    let run = Run::new(supervisor::hanging().await, &robots);
    let seen = run.skein(&["stop", "r2"]).await;
    assert!(seen.code == 0 && seen.took < PROMISE, "{seen:?}");
    assert_eq!((mesh.latches("r2").level(), &seen.robot("r2")["path"]), (Latch::Stop, &json!("mesh (r1)")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_reached_is_named_and_does_not_fail_the_others() {
    let mesh = Mesh::default();
    let robots = [("r1", mesh.serve("r1").await), ("r9", supervisor::dead())];
    let run = Run::new(supervisor::dead(), &robots);
    let seen = run.skein(&["stop", "--all"]).await;
    assert!(seen.code == 0 && seen.took < PROMISE, "{seen:?}");
    assert!(seen.talk.contains("not reached: r9") && !seen.talk.contains("r1"), "{seen:?}");
    let alone = run.skein(&["stop", "r9"]).await;
    assert!(alone.code == 5 && alone.took < PROMISE, "{alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_hangs_is_not_waited_for_longer_than_promised() {
    let mesh = Mesh::default();
    let robots = [("r1", mesh.serve("r1").await), ("r2", supervisor::hanging().await)];
    let run = Run::new(supervisor::hanging().await, &robots);
    let seen = run.skein(&["stop", "--all"]).await;
    assert!(seen.code == 0 && seen.took < PROMISE && seen.talk.contains("not reached: r2"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_cannot_keep_its_stop_says_so() {
    let mesh = Mesh::default();
    let run = Run::new(supervisor::dead(), &[("r1", mesh.serve_as("r1", false).await)]);
    let seen = run.skein(&["kill", "r1", "--confirm", "r1", "--reason", "smoke"]).await;
    let entry = seen.robot("r1");
    assert_eq!((seen.code, mesh.latches("r1").level()), (0, Latch::Kill));
    assert_eq!((&entry["kept"], &entry["text"]), (&json!(false), &json!("stopped, not kept: no space left on device")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_not_kept_is_said_over_the_supervisor_too() {
    let known = Supervisor::default();
    let mut stopped = view("r7", "", true);
    let later = 4_000_000_000_000_000_000;
    let own = stopped.latches.as_mut().unwrap().own.as_mut().unwrap();
    (own.level, own.at_unix_nanos) = (skein_wire::v1::Latch::Stop.into(), later);
    stopped.latch_error = "no space left on device".to_owned();
    known.desk.lock().unwrap().robots.push(stopped);
    let (supervisor, _server) = known.serve("127.0.0.1:0".parse().unwrap()).await;
    let seen = Run::new(supervisor, &[]).skein(&["stop", "r7"]).await;
    let entry = seen.robot("r7");
    assert_eq!((&entry["path"], &entry["kept"]), (&json!("supervisor"), &json!(false)), "{seen:?}");
    assert_eq!(entry["text"], "stopped, not kept: no space left on device");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_names_the_epochs_it_ends() {
    let mesh = Mesh::default();
    let run = Run::new(supervisor::dead(), &[("r1", mesh.serve("r1").await), ("r2", mesh.serve("r2").await)]);
    run.skein(&["stop", "--all"]).await;
    run.skein(&["stop", "r1", "--reason", "loose wheel"]).await;
    let one = run.skein(&["release", "r1"]).await;
    assert!(one.talk.contains("releasing r1: STOP of epoch") && one.talk.contains("loose wheel"), "{one:?}");
    assert!(one.talk.contains("the whole fleet is still stopped") && one.talk.contains("--all"), "{one:?}");
    assert_eq!((mesh.latches("r1").own.level, mesh.latches("r1").level()), (Latch::Released, Latch::Stop));
    let all = run.skein(&["release", "--all"]).await;
    assert!(all.code == 0 && all.took < 2 * PROMISE, "{all:?}");
    assert_eq!((mesh.latches("r1").level(), mesh.latches("r2").level()), (Latch::Released, Latch::Released));
    let none = run.skein(&["release", "--all"]).await;
    assert!(none.code == 0 && none.talk.contains("nothing to release"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_answers_names_the_robots_and_hears_who_asks() {
    let mesh = Mesh::default();
    let (known, address) = (Supervisor::default(), mesh.serve("r1").await);
    known.desk.lock().unwrap().robots.push(view("r1", &address.to_string(), true));
    known.desk.lock().unwrap().robots.push(view("r7", "", false));
    let (supervisor, _server) = known.serve("127.0.0.1:0".parse().unwrap()).await;
    let run = Run::new(supervisor, &[]);
    let lease = "0190b2f0-7b1a-7000-8000-000000000009";
    let seen = run.skein(&["stop", "--all", "--lease", lease]).await;
    assert!(seen.code == 0 && seen.took < PROMISE, "{seen:?}");
    assert_eq!((mesh.latches("r1").level(), &seen.robot("r1")["path"]), (Latch::Stop, &json!("direct")));
    assert!(seen.talk.contains("not reached: r7; the supervisor sends the STOP"), "{seen:?}");
    let released = run.skein(&["release", "--all"]).await;
    assert!(released.talk.contains("the supervisor refused the release: bob holds the lease"), "{released:?}");
    assert_eq!(run.skein(&["lease", "release", "--lease", lease]).await.code, 0);
    let taken = run.skein(&["lease", "take", "--all"]).await;
    assert_eq!((taken.code, &taken.json()["operator"]), (0, &json!("ada")), "{taken:?}");
    let calls = known.desk.lock().unwrap().calls.clone();
    assert_eq!(calls.first(), Some(&("stop", "ada".to_owned(), lease.to_owned())));
    assert!(calls.contains(&("release_lease", "ada".to_owned(), lease.to_owned())), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_is_sent_again_until_its_time_is_over() {
    let mesh = Mesh::default();
    let run = Run::new(supervisor::dead(), &[("r1", mesh.serve("r1").await)]);
    let seen = run.skein(&["override", "r1", "--forward", "-0.2", "--turn", "0.1", "--for", "700ms"]).await;
    assert!(seen.code == 0 && seen.talk.contains("--give-back"), "{seen:?}");
    let requests = mesh.requests.lock().unwrap().clone();
    assert!((2..=5).contains(&requests.len()), "{requests:?}");
    let body = &requests[0].1;
    assert_eq!((&body["operator"], &body["ttl_ms"], &body["token"]), (&json!("ada"), &json!(500), &json!(true)));
    assert_eq!((&body["twist"]["vx"], &body["twist"]["yaw_rate"]), (&json!(-0.2), &json!(0.1)));
    assert_eq!(run.skein(&["override", "r1", "--give-back"]).await.code, 0);
    run.skein(&["stop", "r1"]).await;
    let refused = run.skein(&["override", "r1", "--forward", "0.2"]).await;
    assert!(refused.code == 4 && refused.talk.contains("release it first"), "{refused:?}");
}

fn view(name: &str, debug: &str, connected: bool) -> skein_wire::v1::RobotView {
    use skein_types::body::BodyDescriptor;
    use skein_types::fleet::RobotView;
    use skein_types::geometry::Pose;
    let view = RobotView {
        agent: name.parse().unwrap(),
        boot: "0190b2f0-7b1a-7000-8000-00000000000a".parse().unwrap(),
        body: BodyDescriptor::rover(),
        home: Pose::new(0.0, 0.0, 0.0),
        connected,
        latch: Latch::Released,
        latches: Default::default(),
        durability: Default::default(),
        wanted: Default::default(),
        telemetry: None,
        age: skein_types::units::Seconds(0.0),
        debug_address: debug.to_owned(),
        software: "0.1.0".to_owned(),
    };
    view.into()
}
