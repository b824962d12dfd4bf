//! Robots and people meet at the server, over real connections: missions, STOP, events, restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use skein_types::ids::BootId;
use skein_types::link::{AgentReport, Order};
use skein_types::telemetry::TelemetryBatch;
use skein_types::time::WallTime;
use skein_wire::v1;
use skein_wire::v1::agent_control_client::AgentControlClient;
use support::{PATIENCE, Robot, channel, client, serve, spec};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use uuid::Uuid;

const ZONE: ((f64, f64), (f64, f64)) = ((-3.0, -3.0), (3.0, 3.0));

async fn submit(address: std::net::SocketAddr, key: &str) -> v1::Mission {
    let request = v1::SubmitMissionRequest { spec: Some(spec(ZONE.0, ZONE.1)), idempotency_key: key.to_owned() };
    client(address).await.submit_mission(request).await.unwrap().into_inner().mission.unwrap()
}

async fn until(address: std::net::SocketAddr, id: &str, state: v1::MissionState) -> v1::Mission {
    let mut client = client(address).await;
    let mut watch = client.watch_fleet(v1::WatchFleetRequest::default()).await.unwrap().into_inner();
    let waiting = async {
        loop {
            let message = watch.message().await.unwrap().expect("the stream ended");
            let missions = message.view.unwrap_or_default().missions;
            if let Some(mission) = missions.into_iter().find(|m| m.id == id && m.state() == state) {
                return mission;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the mission did not get there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mission_goes_from_the_wish_through_a_robot_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    let mission = submit(address, "").await;
    robot.await_order(|order| matches!(order, Order::Assign(_))).await;
    robot.progress(40).await;
    until(address, &mission.id, v1::MissionState::Running).await;
    robot.progress(0).await;
    let done = until(address, &mission.id, v1::MissionState::Done).await;
    assert!((done.covered_percent - 100.0).abs() < 1e-9, "{}", done.covered_percent);
    assert_eq!(done.slices.len(), 1);
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_mission_is_known_and_the_robot_goes_on_with_the_order_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let mut robot = Robot::connect(server.address(), Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    let mission = submit(server.address(), "once").await;
    robot.await_order(|order| matches!(order, Order::Assign(_))).await;
    robot.progress(40).await;
    until(server.address(), &mission.id, v1::MissionState::Running).await;
    server.close().await.unwrap();

    let server = serve(dir.path()).await;
    let address = server.address();
    let again = submit(address, "once").await;
    assert_eq!((again.id.as_str(), again.state()), (mission.id.as_str(), v1::MissionState::Running));
    let work = robot.work.clone();
    let mut hello = Robot::hello("rover-1", 1);
    hello.working_on = work.as_ref().map(|(mission, generation, _)| (*mission, *generation));
    let mut robot = Robot::connect(address, hello).await;
    robot.work = work;
    robot.telemetry().await;
    robot.progress(0).await;
    until(address, &mission.id, v1::MissionState::Done).await;
    let events = client(address).await.query_events(v1::QueryEventsRequest::default()).await.unwrap().into_inner();
    let assigned = events.events.iter().filter(|event| event.name == "assigned").count();
    assert_eq!(assigned, 1, "nothing was assigned twice");
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_is_answered_with_what_every_robot_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut obedient = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    let mut deaf = Robot::connect(address, Robot::hello("rover-2", 2)).await;
    obedient.telemetry().await;
    deaf.telemetry().await;
    until_robots(address, 2).await;
    let request = v1::StopRequest { robots: Vec::new(), all: true, reason: "drill".to_owned(), ..Default::default() };
    let (outcomes, _order) = tokio::join!(stop(address, request), obedient.await_order(is_stop));
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes[0].acknowledged && outcomes[0].latch() == v1::Latch::Stop);
    assert!(!outcomes[1].acknowledged && outcomes[1].text.contains("not answered"));
    let first = deaf.command().await.unwrap();
    let again = deaf.command().await.unwrap();
    assert_eq!(first.id, again.id, "told again with the same id");
    server.close().await.unwrap();
}

fn is_stop(order: &Order) -> bool {
    matches!(order, Order::Latch(order) if order.request.is_some())
}

async fn stop(address: std::net::SocketAddr, request: v1::StopRequest) -> Vec<v1::RobotOutcome> {
    client(address).await.stop(request).await.unwrap().into_inner().outcomes
}

async fn until_robots(address: std::net::SocketAddr, count: usize) {
    let mut client = client(address).await;
    let mut watch = client.watch_fleet(v1::WatchFleetRequest::default()).await.unwrap().into_inner();
    let waiting =
        async { while watch.message().await.unwrap().unwrap().view.unwrap_or_default().robots.len() < count {} };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the robots were not seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_kept_once_and_the_robot_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 7)).await;
    let batch = robot.events(50);
    for _ in 0..2 {
        robot.say(AgentReport::Events(batch.clone())).await;
        let kept = robot.await_order(|order| matches!(order, Order::EventsKept { .. })).await;
        assert_eq!(kept.order, Order::EventsKept { boot: BootId(Uuid::from_u128(7)), sequence: 49 });
    }
    let filter = v1::EventFilter { agent: "rover-1".to_owned(), ..Default::default() };
    let mut people = client(address).await;
    let mut events = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::QueryEventsRequest { filter: Some(filter.clone()), limit: 20, page_token };
        let page = people.query_events(request).await.unwrap().into_inner();
        events.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(events.len(), 50);
    assert_eq!(events, batch.events.iter().cloned().map(v1::Event::from).collect::<Vec<_>>());
    let why = people.why(v1::WhyRequest { robot: "rover-1".to_owned() }).await.unwrap().into_inner();
    assert!(!why.decisions.is_empty());
    let request = v1::WatchEventsRequest { filter: Some(filter), after: events[44].id.clone() };
    let mut watch = people.watch_events(request).await.unwrap().into_inner();
    for expected in &events[45..] {
        let event = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap().event;
        assert_eq!(event.as_ref(), Some(expected));
    }
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_as_it_was_is_empty_before_the_first_event_and_real_later() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    let mut people = client(address).await;
    let before = v1::StateAtRequest { at_unix_nanos: 5 };
    assert!(people.state_at(before).await.unwrap().into_inner().view.unwrap().robots.is_empty());
    let waiting = async {
        loop {
            robot.telemetry().await;
            let now = v1::StateAtRequest { at_unix_nanos: i64::MAX };
            let view = people.state_at(now).await.unwrap().into_inner().view.unwrap();
            if view.robots.iter().any(|robot| robot.agent == "rover-1" && robot.telemetry.is_some()) {
                return view.at_unix_nanos;
            }
        }
    };
    let at = tokio::time::timeout(PATIENCE, waiting).await.expect("no picture was kept");
    assert!(WallTime::from_unix_nanos(at) > WallTime::from_unix_nanos(1_600_000_000_000_000_000));
    server.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_get_ten_pictures_a_second_and_go_on_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut moving = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    let mut still = Robot::connect(address, Robot::hello("rover-2", 2)).await;
    moving.telemetry().await;
    still.telemetry().await;
    until_robots(address, 2).await;
    let talking = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            tick.tick().await;
            moving.telemetry().await;
        }
    };
    tokio::select! {
        () = talking => {}
        () = watching(address) => {}
    }
    server.close().await.unwrap();
}

async fn watching(address: std::net::SocketAddr) {
    let mut people = client(address).await;
    let mut watch = people.watch_fleet(v1::WatchFleetRequest::default()).await.unwrap().into_inner();
    let begin = skein_cloud::clock::now();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.view.as_ref().unwrap().robots.len(), 2, "everything in the first");
    let mut last = first;
    for _ in 0..10 {
        last = watch.message().await.unwrap().unwrap();
        assert!(last.view.as_ref().unwrap().robots.len() <= 2);
    }
    let seconds = skein_cloud::clock::now().secs_since(begin);
    assert!((0.8..3.0).contains(&seconds), "11 pictures took {seconds} s");
    drop(watch);
    let request = v1::WatchFleetRequest { resume_token: last.resume_token };
    let mut watch = people.watch_fleet(request).await.unwrap().into_inner();
    let names: Vec<String> =
        watch.message().await.unwrap().unwrap().view.unwrap().robots.into_iter().map(|robot| robot.agent).collect();
    assert!(names.contains(&"rover-1".to_owned()), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robot_that_cannot_be_ours_is_turned_away_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut hello = Robot::hello("rover-1", 1);
    hello.fleet = skein_types::ids::FleetId::new("others").unwrap();
    let mut robot = Robot::connect(address, hello).await;
    let status = robot.from.message().await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("others"), "{}", status.message());

    let mut infinite: v1::Hello = Robot::hello("rover-1", 1).into();
    if let Some(body) = &mut infinite.body {
        body.radius = f64::NAN;
    }
    let report = v1::AgentReport { report: Some(v1::agent_report::Report::Hello(infinite)) };
    let status = first_status(address, report).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("hello.body"), "{}", status.message());

    let empty = AgentReport::Telemetry(TelemetryBatch { samples: Vec::new() });
    let status = first_status(address, empty.into()).await;
    assert!(status.message().contains("first report on a stream is Hello"), "{}", status.message());
    server.close().await.unwrap();
}

async fn first_status(address: std::net::SocketAddr, report: v1::AgentReport) -> tonic::Status {
    let (to, reports) = tokio::sync::mpsc::channel(4);
    to.send(report).await.unwrap();
    let mut client = AgentControlClient::new(channel(address).await);
    let answer = client.link_stream(ReceiverStream::new(reports)).await;
    match answer {
        Err(status) => status,
        Ok(stream) => stream.into_inner().message().await.unwrap_err(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_that_is_nan_is_left_out_and_the_robot_can_still_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path()).await;
    let address = server.address();
    let mut robot = Robot::connect(address, Robot::hello("rover-1", 1)).await;
    robot.telemetry().await;
    let mut sample: v1::AgentTelemetry = robot.sample().into();
    sample.battery_percent = f64::NAN;
    let batch = v1::TelemetryBatch { samples: vec![sample] };
    let report = v1::AgentReport { report: Some(v1::agent_report::Report::Telemetry(batch)) };
    robot.to.send(report).await.unwrap();
    robot.telemetry().await;
    until_robots(address, 1).await;
    let request =
        v1::StopRequest { robots: vec!["rover-1".to_owned()], all: false, reason: String::new(), ..Default::default() };
    let (outcomes, _order) = tokio::join!(stop(address, request), robot.await_order(is_stop));
    assert!(outcomes[0].acknowledged);
    assert!(support::get(address, "/metrics").await.contains("skein_refused_messages_total 1"));
    server.close().await.unwrap();
}
