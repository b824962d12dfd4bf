//! The routes, asked without a socket and without an agent: what they answer must not depend on one.

use super::*;
use crate::agent_thread::ORDERS_MAX;
use crate::latch_file::LatchFile;
use crate::latch_service::LatchThreads;
use crate::rt::LatchCell;
use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use skein_agent::{Agent, AgentConfig, Input, ManualRefused, OverrideMotion};
use skein_robot::latch::{LatchAuthority, Start};
use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_types::authority::{LatchGossip, LatchRegister};
use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::polygon::Polygon;
use skein_types::region::RegionFrame;
use skein_types::safety::{Causes, FailsafeLevel, Latch};
use skein_types::telemetry::{LinkState, OperatingMode, ReflexStats};
use skein_types::time::WallTime;
use skein_types::units::{Meters, Percent};
use std::path::PathBuf;
use tower::ServiceExt as _;
use uuid::Uuid;

struct Bench {
    api: Api,
    agent: AgentMailbox,
    cell: Arc<LatchCell>,
    threads: LatchThreads,
    secret: String,
    _telemetry: watch::Sender<Option<Arc<AgentTelemetry>>>,
    /// What the agent answers to [`Bench::drive`].
    answer: AgentStatus,
    _folder: tempfile::TempDir,
}

fn sample(pose: Pose) -> AgentTelemetry {
    AgentTelemetry {
        agent: AgentId::new("rover-1").unwrap(),
        at: WallTime::default(),
        sequence: 42,
        pose,
        position_std: Meters(0.02),
        twist: Twist::ZERO,
        battery: Percent(80.0),
        mode: OperatingMode::Automatic,
        state: AgentState::Idle,
        failsafe: FailsafeLevel::None,
        causes: Causes::NONE,
        mission: None,
        link: LinkState::default(),
        peers_visible: 0,
        reflex: ReflexStats::default(),
        why: "nothing to do".into(),
    }
}

/// Of an agent that would take a manual command.
fn answer(pose: Pose) -> AgentStatus {
    let (robot, fleet) = (AgentId::new("rover-1").unwrap(), FleetId::new("local").unwrap());
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.1, width: 100, height: 100 };
    let (map, body) = (OccupancyMap::from_cells(frame, |_| Cell::Free), BodyDescriptor::rover());
    let map = Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&body)).unwrap());
    let agent = Agent::new(AgentConfig::new(robot, fleet, BootId(Uuid::from_u128(1)), pose, body, map, 7));
    AgentStatus { pose, manual_refused: None, ..agent.status(MonoTime::ZERO) }
}

/// A robot in the middle of a square of 10 m.
fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("token");
    let token = Token::fresh(&path).unwrap();
    let secret = std::fs::read_to_string(&path).unwrap().trim().to_owned();
    let (telemetry, receiver) = watch::channel(Some(Arc::new(sample(Pose::new(5.0, 5.0, 0.0)))));
    let (agent, cell, outbox) = (AgentMailbox::default(), Arc::<LatchCell>::default(), Arc::default());
    let (file, found) = LatchFile::open(folder.path());
    let start = Start {
        robot: AgentId::new("rover-1").unwrap(),
        fleet: FleetId::new("local").unwrap(),
        boot: BootId(Uuid::from_u128(1)),
        kernel_boot: "k".into(),
        now: crate::clock::now(),
        wall: crate::clock::wall(),
        mesh_may_release: false,
    };
    let authority = LatchAuthority::start(crate::clock::now(), &start, found);
    let latch = LatchService::new(authority, Arc::clone(&cell), Arc::clone(&outbox), agent.clone());
    let threads = latch.start(file).unwrap();
    let square = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)].map(|(x, y)| Point::new(x, y));
    let fence = Fence::from(Polygon::new(square.to_vec(), Vec::new()).unwrap());
    let limits = OnceLock::from(Limits { body: BodyDescriptor::rover(), fence });
    let api = Api::new(Arc::new(Sources {
        identity: Identity {
            robot: AgentId::new("rover-1").unwrap(),
            fleet: FleetId::new("local").unwrap(),
            boot: BootId(Uuid::from_u128(1)),
            started: MonoTime::ZERO,
            allow_remote: false,
        },
        agent: agent.clone(),
        telemetry: receiver,
        ring: Ring::new(16),
        gauges: Arc::default(),
        outbox,
        latch,
        restarts: Restarts::default(),
        vitals: Arc::default(),
        token: Some(token),
        limits,
        granted: OnceLock::new(),
        cancel: CancellationToken::new(),
        streams: Sources::all_streams(),
    }));
    let answer = answer(Pose::new(5.0, 5.0, 0.0));
    Bench { api, agent, cell, threads, secret, _telemetry: telemetry, answer, _folder: folder }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.threads.end(false, Duration::from_secs(1));
    }
}

impl Bench {
    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::post(path).header("authorization", format!("Bearer {}", self.secret));
        self.ask(request, body.to_string()).await
    }

    async fn ask(&self, request: axum::http::request::Builder, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = request.body(body.into()).unwrap();
        let response = self.api.clone().router().oneshot(request).await.unwrap();
        let status = response.status();
        let is_problem = response.headers()[header::CONTENT_TYPE] == "application/problem+json";
        assert_eq!(is_problem, !status.is_success(), "an error is a problem and nothing else is");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        if is_problem {
            assert!(value["code"].is_string() && value["hint"].as_str().is_some_and(|h| !h.is_empty()), "{value}");
        }
        (status, value)
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Request::get(path), Body::empty()).await
    }

    /// Presses STOP; the epoch that a release has to name.
    async fn stop(&self) -> u64 {
        let (status, answer) = self.ask(Request::post("/api/v1/stop"), Body::empty()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["latches"]["own"]["epoch"].as_u64().unwrap()
    }

    async fn drive(&self, wish: &Value) -> (StatusCode, Value) {
        let request = Request::post("/api/v1/override").header("authorization", format!("Bearer {}", self.secret));
        tokio::select! {
            answer = self.ask(request, wish.to_string()) => answer,
            () = self.answer_questions() => unreachable!("it never ends"),
        }
    }

    async fn answer_questions(&self) {
        loop {
            if let Some(tell) = self.agent.try_question() {
                drop(tell.send(Box::new(self.answer.clone())));
            }
            tokio::task::yield_now().await;
        }
    }
}

fn wish(extra: &Value) -> Value {
    let mut wish = json!({ "lease": "anna", "reason": "test", "ttl_ms": 500 });
    for (key, value) in extra.as_object().unwrap() {
        wish[key] = value.clone();
    }
    wish
}

#[tokio::test]
async fn a_wish_inside_the_fence_reaches_the_agent_with_its_time_to_live() {
    let bench = bench();
    let (status, answer) = bench.drive(&wish(&json!({ "twist": { "vx": 0.3 } }))).await;
    assert_eq!((status, &answer["lease"]["holder"]), (StatusCode::ACCEPTED, &json!("anna")), "{answer}");
    let Some(Input::Override(command)) = bench.agent.try_order() else { panic!("nothing came") };
    assert_eq!(command.ttl, Duration::from_millis(500));
    assert!(matches!(command.motion, OverrideMotion::Twist(twist) if twist.vx == 0.3 && twist.yaw_rate == 0.0));
    let (status, _) = bench.drive(&wish(&json!({ "target": { "x": 8.0, "y": 2.0 } }))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn without_the_token_nobody_drives() {
    let bench = bench();
    let body = wish(&json!({ "twist": { "vx": 0.3 } })).to_string();
    for request in [
        Request::post("/api/v1/override"),
        Request::post("/api/v1/override").header("authorization", "Bearer wrong"),
        Request::post(format!("/api/v1/override?token={}", bench.secret)),
    ] {
        let (status, problem) = bench.ask(request, body.clone()).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthorized")));
        assert!(!problem.to_string().contains(&bench.secret));
    }
    assert!(bench.agent.try_order().is_none());
}

#[tokio::test]
async fn out_of_the_fence_is_refused_whichever_way_it_is_asked() {
    let mut bench = bench();
    for out in [
        json!({ "target": { "x": 50.0, "y": 5.0 } }),
        json!({ "target": { "x": 9.9, "y": 5.0 } }),
        json!({ "target": { "x": -1e300, "y": 1e300 } }),
    ] {
        let (status, problem) = bench.drive(&wish(&out)).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("out_of_fence")), "{out}");
    }
    bench.answer.pose = Pose::new(9.5, 5.0, 0.0);
    let (status, problem) = bench.drive(&wish(&json!({ "twist": { "vx": 1.0 } }))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("out_of_fence")));
    assert!(bench.agent.try_order().is_none());
    let (status, _) = bench.drive(&wish(&json!({ "twist": { "vx": -1.0 } }))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "the way back in stays open");
}

#[tokio::test]
async fn the_straight_way_to_a_target_must_stay_inside_too() {
    let bench = bench();
    let u_shape = [(0, 0), (3, 0), (3, 8), (7, 8), (7, 0), (10, 0), (10, 10), (0, 10)];
    let corners = u_shape.map(|(x, y)| Point::new(f64::from(x), f64::from(y))).to_vec();
    let fence = Fence::from(Polygon::new(corners, Vec::new()).unwrap());
    let limits = Limits { body: BodyDescriptor::rover(), fence };
    let command = |x, y| skein_agent::OverrideCommand {
        motion: OverrideMotion::Target(Point::new(x, y)),
        ttl: Duration::from_secs(1),
        operator: skein_types::ids::OperatorId::new("anna").unwrap(),
        reason: "test".into(),
    };
    let from = Pose::new(1.5, 1.5, 0.0);
    assert!(control::check_fence(&limits, &from, &command(8.5, 1.5)).is_err());
    assert!(control::check_fence(&limits, &from, &command(1.5, 9.0)).is_ok());
    drop(bench);
}

#[tokio::test]
async fn incomplete_contradictory_and_impossible_wishes_are_named() {
    let bench = bench();
    let table = [
        (json!({ "twist": { "vx": 1.5 } }), "beyond_limits"),
        (json!({ "twist": { "yaw_rate": -9 } }), "beyond_limits"),
        (json!({ "twist": { "vy": 0.1 } }), "beyond_limits"),
        (json!({ "twist": { "vx": 0.1 }, "target": { "x": 5, "y": 5 } }), "bad_wish"),
        (json!({}), "bad_wish"),
        (json!({ "twist": { "vx": 0.1 }, "ttl_ms": 1001 }), "bad_ttl"),
        (json!({ "twist": { "vx": 0.1 }, "ttl_ms": 0 }), "bad_ttl"),
        (json!({ "twist": { "vx": 0.1 }, "ttl_ms": -5 }), "bad_field"),
        (json!({ "twist": { "vx": 0.1 }, "reason": "  " }), "bad_reason"),
        (json!({ "twist": { "vx": 0.1 }, "reason": "x".repeat(300) }), "bad_reason"),
        (json!({ "twist": { "vx": 0.1 }, "lease": "Anna B." }), "bad_operator"),
        (json!({ "twist": { "vx": "fast" } }), "bad_field"),
        (json!({ "twist": { "speed": 0.1 } }), "bad_field"),
        (json!({ "twist": { "vx": 0.1 }, "token": "x" }), "bad_field"),
    ];
    for (extra, code) in table {
        let (status, problem) = bench.drive(&wish(&extra)).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!(code)), "{extra}: {problem}");
    }
    let auth = || Request::post("/api/v1/override").header("authorization", format!("Bearer {}", bench.secret));
    let (status, problem) = bench.ask(auth(), "{\"twist\": {\"vx\": 1e999}").await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("bad_json")));
    let (status, problem) = bench.ask(auth(), vec![b' '; 1024 * 1024]).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("too_large")));
    assert!(bench.agent.try_order().is_none());
}

#[tokio::test]
async fn two_engineers_do_not_fight() {
    let bench = bench();
    let mine = wish(&json!({ "twist": { "vx": 0.1 } }));
    let theirs = wish(&json!({ "twist": { "vx": -0.1 }, "lease": "ben" }));
    assert_eq!(bench.drive(&mine).await.0, StatusCode::ACCEPTED);
    let (status, problem) = bench.drive(&theirs).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("lease_held")));
    assert!(problem["detail"].as_str().unwrap().contains("anna"));
    assert_eq!(bench.get("/api/v1/override").await.1["holder"], "anna");
    let give_back = |who: &str| {
        Request::delete(format!("/api/v1/override?lease={who}"))
            .header("authorization", format!("Bearer {}", bench.secret))
    };
    assert_eq!(bench.ask(give_back("ben"), Body::empty()).await.0, StatusCode::CONFLICT);
    assert_eq!(bench.ask(give_back("anna"), Body::empty()).await.0, StatusCode::OK);
    assert_eq!(bench.drive(&theirs).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_stop_needs_no_token_and_no_agent_and_says_when_it_is_kept() {
    let bench = bench();
    (0..ORDERS_MAX).for_each(|_| bench.agent.order(Input::Cycle).unwrap());
    let (status, answer) = bench.ask(Request::post("/api/v1/stop"), Body::empty()).await;
    assert_eq!((status, &answer["latch"], &answer["kept"]), (StatusCode::OK, &json!("stop"), &json!(true)), "{answer}");
    assert_eq!(bench.cell.view().level, Latch::Stop);
    let wish = json!({ "level": "kill", "reason": "smoke", "operator": "anna", "id": Uuid::from_u128(5).to_string() });
    for verdict in ["applied", "already_done"] {
        let (_, answer) = bench.ask(Request::post("/api/v1/stop"), wish.to_string()).await;
        assert_eq!((&answer["latch"], &answer["verdict"]), (&json!("kill"), &json!(verdict)), "{answer}");
    }
    let (_, view) = bench.get("/api/v1/latches").await;
    assert_eq!(view["latches"]["own"]["by"], "operator:anna");
    let (_, status) = bench.get("/status").await;
    assert_eq!((&status["latch"], &status["latch_kept"]), (&json!("kill"), &json!(true)));
}

#[tokio::test]
async fn the_latches_of_a_robot_that_only_the_mesh_reaches_are_shown_with_the_fleets_register() {
    let bench = bench();
    let stopped = LatchRegister { level: Latch::Stop, ..LatchRegister::released() };
    let other = AgentId::new("rover-2").unwrap();
    bench.api.latch.handle(skein_robot::latch::LatchInput::Gossip(Box::new(LatchGossip {
        sender: other.clone(),
        boot: BootId(Uuid::from_u128(2)),
        sequence: 1,
        fleet: stopped,
        robots: vec![(other, LatchRegister::released())],
        requests: Vec::new(),
    })));
    let (_, view) = bench.get("/api/v1/latches").await;
    let known = &view["known"][0];
    assert_eq!((&known["robot"], &known["register"]["level"]), (&json!("rover-2"), &json!("released")), "{view}");
    assert_eq!(known["fleet"]["level"], "stop", "{view}");
}

#[tokio::test]
async fn a_release_needs_token_operator_and_the_epoch_that_is_latched() {
    let bench = bench();
    let epoch = bench.stop().await;
    let wish = |epoch: u64| json!({ "epoch": epoch, "operator": "anna", "reason": "clear" });
    let (status, _) = bench.ask(Request::post("/api/v1/release"), wish(epoch).to_string()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    for (incomplete, code) in [
        (json!({ "operator": "anna", "reason": "clear" }), "bad_field"),
        (json!({ "epoch": epoch, "reason": "clear" }), "bad_field"),
        (json!({ "epoch": epoch, "operator": "anna", "reason": "" }), "bad_reason"),
    ] {
        assert_eq!(bench.post("/api/v1/release", &incomplete).await.1["code"], code, "{incomplete}");
    }
    let (status, problem) = bench.post("/api/v1/release", &wish(epoch + 7)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("unknown_epoch")));
    let second = bench.stop().await;
    let (status, problem) = bench.post("/api/v1/release", &wish(epoch)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("latched_again")), "{problem}");
    let (status, answer) = bench.post("/api/v1/release", &wish(second)).await;
    assert_eq!((status, &answer["latch"]), (StatusCode::OK, &json!("released")), "{answer}");
    assert_eq!(bench.cell.view(), skein_types::authority::LatchView { level: Latch::Released, stamp: 1 });
}

#[tokio::test]
async fn a_latched_robot_is_not_driven_and_control_is_given_back_by_its_holder() {
    let bench = bench();
    let wish = wish(&json!({ "twist": { "vx": 0.1 } }));
    let epoch = bench.stop().await;
    let (status, problem) = bench.drive(&wish).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("latched")), "{problem}");
    bench.post("/api/v1/release", &json!({ "epoch": epoch, "operator": "anna", "reason": "clear" })).await;
    assert_eq!(bench.drive(&wish).await.0, StatusCode::ACCEPTED);
    let give_back = |who: &str| json!({ "operator": who });
    let (status, problem) = bench.post("/api/v1/give_back", &give_back("ben")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("lease_held")));
    let (status, lease) = bench.post("/api/v1/give_back", &give_back("anna")).await;
    assert_eq!((status, &lease["holder"]), (StatusCode::OK, &Value::Null), "{lease}");
}

#[tokio::test]
async fn a_page_of_another_site_neither_stops_the_robot_nor_drives_it() {
    let bench = bench();
    for (origin, status) in [("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:8000", 200)] {
        let request = Request::post("/api/v1/stop").header("origin", origin);
        assert_eq!(bench.ask(request, Body::empty()).await.0.as_u16(), status, "{origin}");
    }
}

#[tokio::test]
async fn from_another_machine_a_stop_needs_the_token() {
    let bench = bench();
    let from = |address: &str| Request::post("/api/v1/stop").extension(PeerAddress(address.parse().unwrap()));
    assert_eq!(bench.ask(from("10.0.0.7:999"), Body::empty()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(bench.cell.view().level, Latch::Released);
    assert_eq!(bench.ask(from("127.0.0.1:999"), Body::empty()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_robot_that_cannot_be_driven_now_says_why_and_what_to_do_next() {
    let mut bench = bench();
    let by = skein_types::authority::Principal::Operator(skein_types::ids::OperatorId::new("ben").unwrap());
    let table = [
        (ManualRefused::Unpowered, "no_power", "no power"),
        (ManualRefused::NoPose, "no_pose", "no pose estimate"),
        (ManualRefused::StalePose { age: Duration::from_millis(750) }, "stale_pose", "750 ms"),
        (ManualRefused::Latched { by, reason: "drill".into() }, "latched", "ben"),
    ];
    for (refused, code, detail) in table {
        bench.answer.manual_refused = Some(refused);
        let (status, problem) = bench.drive(&wish(&json!({ "twist": { "vx": 0.1 } }))).await;
        assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!(code)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
        assert_eq!(bench.get("/api/v1/override").await.1["holder"], Value::Null, "it takes no lease");
    }
    assert!(bench.agent.try_order().is_none());
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_not_said_to_drive() {
    let bench = bench();
    let body = wish(&json!({ "twist": { "vx": 0.1 } }));
    let (status, problem) = bench.post("/api/v1/override", &body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("agent_silent")));
    assert!(bench.agent.try_order().is_none());
}

#[tokio::test]
async fn a_silent_agent_is_said_to_be_silent_and_the_rest_still_answers() {
    let bench = bench();
    for path in ["/api/v1/world", "/api/v1/plan", "/api/v1/why", "/api/v1/peers"] {
        let (status, problem) = bench.get(path).await;
        assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("agent_silent")), "{path}");
    }
    let (status, view) = bench.get("/status").await;
    assert_eq!((status, &view["robot"], &view["mode"]), (StatusCode::OK, &json!("rover-1"), &Value::Null));
    assert_eq!(bench.get("/api/v1/telemetry").await.1["sequence"], 42);
    assert_eq!(bench.get("/api/v1/models").await.1, json!({ "models": [] }));
    let (status, problem) = bench.get("/healthz").await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("unhealthy")));
    assert!(problem["detail"].as_str().unwrap().contains("body is not connected"), "{problem}");
    let (_, page) = bench.get("/metrics").await;
    let page = page.as_str().unwrap();
    assert!(page.contains("skein_reflex_missed_ticks_total 0") && page.contains("skein_battery_ratio 0.8"), "{page}");
    assert!(!page.contains("rover-1"), "no ids as labels");
}

#[tokio::test]
async fn every_documented_path_exists_and_everything_else_is_a_problem() {
    let bench = bench();
    let (status, document) = bench.get("/api/v1/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    for path in [
        "/status",
        "/api/v1/telemetry",
        "/api/v1/override",
        "/api/v1/give_back",
        "/api/v1/stop",
        "/api/v1/release",
        "/api/v1/latches",
        "/api/v1/logs",
        "/api/v1/world",
        "/api/v1/plan",
        "/api/v1/why",
        "/api/v1/peers",
        "/api/v1/models",
        "/metrics",
        "/healthz",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert!(document["components"]["schemas"]["OverrideRequest"]["properties"]["ttl_ms"].is_object());
    assert_eq!(bench.get("/nowhere").await.1["code"], "not_found");
    let (status, problem) = bench.ask(Request::builder().method(Method::PUT).uri("/status"), Body::empty()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (405, &json!("method_not_allowed")));
    for path in [
        "/api/v1/logs?level=loud",
        "/api/v1/logs?since=yesterday",
        "/api/v1/logs?follow=7",
        "/api/v1/telemetry?stream=x",
    ] {
        assert_eq!(bench.get(path).await.1["code"], "bad_query", "{path}");
    }
    let (_, page) = bench.get("/docs").await;
    let page = page.as_str().unwrap();
    assert!(page.contains("openapi.json") && !page.contains("http://") && !page.contains("https://"));
}

#[tokio::test]
async fn a_foreign_name_for_this_machine_gets_nothing() {
    let bench = bench();
    for (host, expected) in [
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
    ] {
        let (status, _) = bench.ask(Request::get("/api/v1/models").header("host", host), Body::empty()).await;
        assert_eq!(status.as_u16(), expected, "{host}");
    }
}

#[tokio::test]
async fn streams_are_counted_and_end_with_the_process() {
    let bench = bench();
    let open = |path: &str| bench.api.clone().router().oneshot(Request::get(path).body(Body::empty()).unwrap());
    let mut telemetry = open("/api/v1/telemetry?stream=sse").await.unwrap().into_body();
    let first = telemetry.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8_lossy(&first).into_owned();
    assert!(text.contains("event: telemetry") && text.contains("id: 42"), "{text}");
    let mut others = Vec::new();
    for _ in 1..STREAMS_MAX {
        others.push(open("/api/v1/logs?follow=true").await.unwrap());
    }
    let refused = open("/api/v1/logs?follow=true").await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    bench.api.cancel.cancel();
    assert!(telemetry.frame().await.is_none());
    drop(others.pop());
    assert!(bench.api.stream_permit().is_ok());
}
