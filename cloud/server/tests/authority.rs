//! STOP past a core that is stuck and a disk that fails, leases, and who a stream speaks for: over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use skein_types::authority::hello_message;
use skein_types::link::{AgentReport, Hello, HelloProof, Order};
use skein_wire::v1;
use skein_wire::v1::agent_control_client::AgentControlClient;
use support::{PATIENCE, Robot, channel, client, get, post, post_as, serve, spec};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

fn is_stop(order: &Order) -> bool {
    matches!(order, Order::Latch(order) if order.request.is_some())
}

fn stop_all() -> v1::StopRequest {
    v1::StopRequest { all: true, reason: "drill".to_owned(), ..Default::default() }
}

async fn seconds<T>(doing: impl Future<Output = T>) -> (T, f64) {
    let begin = skein_cloud::clock::now();
    let done = doing.await;
    (done, skein_cloud::clock::now().secs_since(begin))
}

/// Holds the database as another process would, or a disk that does not answer.
fn block_the_disk(dir: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(dir.join("supervisor.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

async fn until_text(address: SocketAddr, path: &str, text: &str) {
    let waiting = async {
        while !get(address, path).await.contains(text) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{path} never said {text}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_reaches_robots_while_the_core_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    until_text(address, "/api/v1/robots", "rover-1").await;
    let mut people = client(address).await;
    let disk = block_the_disk(dir.path());
    // The core begins to write this, and waits.
    robot.say(AgentReport::Events(robot.events(3))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (answers, took) = seconds(async {
        tokio::join!(people.stop(stop_all()), robot.await_order(is_stop)).0.unwrap().into_inner().outcomes
    })
    .await;
    assert!(answers[0].acknowledged && answers[0].latch() == v1::Latch::Stop, "{answers:?}");
    assert!(took < 1.5, "{took} s with a core that waits");

    // The disk fails for good: missions are refused, the process lives, STOP works.
    until_text(address, "/readyz", "degraded").await;
    let submit = v1::SubmitMissionRequest { spec: Some(spec((-3.0, -3.0), (3.0, 3.0))), ..Default::default() };
    let refused = people.submit_mission(submit.clone()).await.unwrap_err();
    assert_eq!(refused.metadata().get("skein-code").unwrap(), "storage_failing", "{refused:?}");
    let again = tokio::join!(people.stop(stop_all()), robot.await_order(is_stop)).0.unwrap().into_inner().outcomes;
    assert!(again[0].acknowledged, "{again:?}");
    let view = post(address, "/api/v1/stop", r#"{"all":true}"#).await;
    assert!(view.starts_with("HTTP/1.1 200"), "{view}");

    disk.execute_batch("ROLLBACK").unwrap();
    until_text(address, "/readyz", "ready").await;
    people.submit_mission(submit).await.unwrap();
    server.close().await.unwrap();
    let server = serve(dir.path()).await;
    let robots = get(server.address(), "/api/v1/robots").await;
    assert!(robots.contains("\"level\":\"stop\""), "the latch was written when the disk worked again: {robots}");
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robot_that_stops_and_cannot_keep_it_is_said_to_be_stopped_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.disk_error = "disk full".to_owned();
    robot.telemetry().await;
    until_text(address, "/api/v1/robots", "rover-1").await;
    let stopped = tokio::join!(post(address, "/api/v1/stop", r#"{"all":true}"#), robot.await_order(is_stop)).0;
    assert!(stopped.contains(r#""acknowledged":false"#), "{stopped}");
    assert!(stopped.contains(r#""latch":"stop""#) && stopped.contains(r#""not_kept":"disk full""#), "{stopped}");
    until_text(address, "/api/v1/robots", r#""not_kept":"disk full""#).await;
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_silent_streams_do_not_delay_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut silent = Vec::new();
    for number in 0..200_u32 {
        silent.push(Robot::connect(address, Robot::hello(&format!("silent-{number}"), 10 + u128::from(number))).await);
    }
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    until_text(address, "/api/v1/robots", "rover-1").await;
    let mut people = client(address).await;
    let ((answer, _order), took) =
        seconds(async { tokio::join!(people.stop(stop_all()), robot.await_order(is_stop)) }).await;
    let outcomes = answer.unwrap().into_inner().outcomes;
    assert_eq!((outcomes.len(), outcomes.iter().filter(|outcome| outcome.acknowledged).count()), (201, 1));
    assert!(took < 2.0, "{took} s");
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_needs_a_name_and_is_recorded_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    until_text(address, "/api/v1/robots", "rover-1").await;
    let stopped = tokio::join!(post(address, "/api/v1/stop", r#"{"all":true}"#), robot.await_order(is_stop)).0;
    assert!(stopped.contains("\"acknowledged\":true"), "{stopped}");
    let nameless = post(address, "/api/v1/release", r#"{"all":true}"#).await;
    assert!(nameless.contains("operator_missing"), "{nameless}");
    let by_name = post_as(address, "ada", "/api/v1/release", r#"{"robots":["rover-1"]}"#).await;
    assert!(by_name.starts_with("HTTP/1.1 409") && by_name.contains("fleet_stopped"), "{by_name}");
    let release = post_as(address, "ada", "/api/v1/release", r#"{"all":true,"reason":"clear"}"#);
    let (released, _order) = tokio::join!(release, robot.await_order(is_stop));
    assert!(released.contains("\"latch\":\"released\"") && released.contains("\"acknowledged\":true"), "{released}");
    let (again, took) = seconds(post_as(address, "ada", "/api/v1/release", r#"{"robots":["rover-1"]}"#)).await;
    assert!(again.contains("\"acknowledged\":true") && took < 0.8, "nothing is left to release: {took} s, {again}");
    let events = client(address).await.query_events(v1::QueryEventsRequest::default()).await.unwrap().into_inner();
    let release = events.events.iter().find(|event| event.name == "release").unwrap();
    assert!(release.payload.contains("operator:ada"), "{}", release.payload);
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_taken_listed_without_their_id_renewed_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let mut people = client(server.address()).await;
    let take =
        v1::TakeLeaseRequest { operator: "ann".to_owned(), robots: Vec::new(), time_to_live_nanos: 30_000_000_000 };
    let lease = people.take_lease(take.clone()).await.unwrap().into_inner().lease.unwrap();
    assert_eq!(people.take_lease(take).await.unwrap_err().code(), Code::FailedPrecondition, "her name is no key");
    let listed = get(server.address(), "/api/v1/leases").await;
    assert!(listed.contains("ann") && !listed.contains(&lease.id), "{listed}");
    let renew = v1::RenewLeaseRequest { lease: lease.id.clone(), time_to_live_nanos: 60_000_000_000 };
    let renewed = people.renew_lease(renew).await.unwrap().into_inner().lease.unwrap();
    assert!(renewed.expires_at_unix_nanos > lease.expires_at_unix_nanos);
    server.close().await.unwrap();

    let dir_again = dir.path();
    let server = serve(dir_again).await;
    let mut people = client(server.address()).await;
    let held = people.list_leases(v1::ListLeasesRequest {}).await.unwrap().into_inner().leases;
    assert_eq!(held.len(), 1, "it survives a restart");
    let mut release = Request::new(v1::ReleaseRequest { all: true, ..Default::default() });
    release.metadata_mut().insert("skein-operator", "bob".parse().unwrap());
    assert_eq!(people.release(release).await.unwrap_err().metadata().get("skein-code").unwrap(), "lease_held");
    people.release_lease(v1::ReleaseLeaseRequest { lease: lease.id }).await.unwrap();
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_does_not_take_the_stream_of_a_robot_that_answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    until_text(address, "/api/v1/robots", "rover-1").await;
    let mut stranger = Robot::connect(address, Robot::hello("rover-1", 2)).await;
    let refused = stranger.from.message().await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    // Silent, but it answers a ping.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let answering = async {
        loop {
            let command = robot.command().await.unwrap();
            robot.ack(command.id, skein_types::link::CommandOutcome::Done).await;
        }
    };
    let refused = tokio::select! {
        () = answering => unreachable!(),
        refused = async {
            let mut stranger = Robot::connect(address, Robot::hello("rover-1", 3)).await;
            stranger.from.message().await.unwrap_err()
        } => refused,
    };
    assert_eq!(refused.code(), Code::AlreadyExists);
    let mut watch = client(address).await.watch_fleet(v1::WatchFleetRequest::default()).await.unwrap().into_inner();
    let alarms = watch.message().await.unwrap().unwrap().view.unwrap().alarms;
    assert!(alarms.iter().any(|alarm| alarm.code == "identity_conflict"), "{alarms:?}");
    // Neither heard nor answering: its place is free.
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let mut new = Robot::connect(address, Robot::hello("rover-1", 4)).await;
    assert_eq!(robot.from.message().await.map(|_| ()).err().map(|status| status.code()), None, "the ping");
    let ended = async { while let Ok(Some(_)) = robot.from.message().await {} };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    new.telemetry().await;
    until_text(address, "/api/v1/robots", "\"connected\":true").await;
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_hello_under_another_name_ends_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    until_text(address, "/api/v1/robots", "rover-1").await;
    robot.say(AgentReport::Hello(Robot::hello("rover-2", 2))).await;
    let ended = async {
        loop {
            if let Err(status) = robot.from.message().await {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(!get(address, "/api/v1/robots").await.contains("rover-2"));
    let reserved = Robot::connect(address, Robot::hello("supervisor", 3)).await.from.message().await.unwrap_err();
    assert!(reserved.message().contains("no robot may have the name"), "{reserved:?}");
    server.close().await.unwrap();
}

/// A robot with a key: it waits for the challenge, then proves its name.
async fn prove(address: SocketAddr, key: &SigningKey, signed: bool) -> Result<(), tonic::Status> {
    let (to, reports) = mpsc::channel(8);
    let mut link = AgentControlClient::new(channel(address).await);
    let answer = link.link_stream(ReceiverStream::new(reports)).await?;
    let text = answer.metadata().get("skein-challenge").unwrap().to_str().unwrap().to_owned();
    let byte = |index: usize| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap();
    let challenge: [u8; 32] = core::array::from_fn(byte);
    let mut hello: Hello = Robot::hello("rover-1", 1);
    let public_key = key.verifying_key().to_bytes();
    let message = hello_message(&challenge, &hello.fleet, &hello.agent, hello.boot, &public_key);
    let signature = if signed { key.sign(&message).to_bytes() } else { key.sign(b"recorded before").to_bytes() };
    hello.proof = Some(HelloProof { public_key, signature });
    to.send(AgentReport::Hello(hello).into()).await.unwrap();
    let mut from = answer.into_inner();
    // An admitted robot hears nothing, or orders; a refused one its reason.
    match tokio::time::timeout(Duration::from_millis(700), from.message()).await {
        Ok(Err(status)) => Err(status),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_belongs_to_the_key_that_proved_it_first() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let (own, other) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
    assert_eq!(prove(address, &own, false).await.unwrap_err().code(), Code::Unauthenticated, "a recorded Hello");
    prove(address, &own, true).await.unwrap();
    let stranger = prove(address, &other, true).await.unwrap_err();
    assert_eq!(stranger.code(), Code::PermissionDenied, "{stranger:?}");
    let keyless = Robot::connect(address, Robot::hello("rover-1", 1)).await.from.message().await.unwrap_err();
    assert_eq!(keyless.code(), Code::PermissionDenied, "{keyless:?}");
    server.close().await.unwrap();
    let server = serve(dir.path()).await;
    assert!(prove(server.address(), &other, true).await.is_err(), "also after a restart");
    prove(server.address(), &own, true).await.unwrap();
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unknown_value_drops_one_sample() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    let mut samples: Vec<v1::AgentTelemetry> = (0..3).map(|_| robot.sample().into()).collect();
    samples[1].state = 99;
    let batch = v1::TelemetryBatch { samples };
    robot.to.send(v1::AgentReport { report: Some(v1::agent_report::Report::Telemetry(batch)) }).await.unwrap();
    until_text(address, "/api/v1/robots", "it waits for work").await;
    until_text(address, "/metrics", "skein_refused_samples_total 1").await;
    server.close().await.unwrap();
}
