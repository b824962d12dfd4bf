//! What can be seen: status, world, plan, reasons, peers, models, health.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use skein_robot::outbox::Backlog;
use skein_types::authority::{LatchReport, LatchSet};
use skein_types::ids::AgentId;
use skein_types::safety::Latch;
use utoipa::ToSchema;

use super::Api;
use super::problem::Problem;
use crate::clock;
use crate::heartbeat::HANGS_AFTER;
use crate::rt::Granted;

/// The robot at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusView {
    /// Name of the robot.
    #[schema(value_type = String)]
    robot: AgentId,
    /// Name of its fleet.
    fleet: String,
    /// This boot of its process.
    boot: String,
    /// Version of this program.
    software: &'static str,
    /// Since the start, seconds.
    uptime_s: f64,
    /// Operating mode; missing while the agent does not answer.
    #[schema(value_type = Option<String>)]
    mode: Option<Value>,
    /// What it does.
    #[schema(value_type = Option<String>)]
    state: Option<Value>,
    /// Why, in one sentence.
    why: Option<String>,
    /// What the robot obeys: `released`, `stop` or `kill`.
    #[schema(value_type = String)]
    latch: Latch,
    /// Its own register and the fleet's.
    #[schema(value_type = Object)]
    latches: LatchSet,
    /// They are on the disk.
    latch_kept: bool,
    /// What somebody should look at.
    alarms: Vec<AlarmView>,
    /// Rung of the ladder and every cause of it.
    #[schema(value_type = Option<Object>)]
    failsafes: Option<Value>,
    /// The order it works on.
    #[schema(value_type = Option<Object>)]
    mission: Option<Value>,
    /// Where it believes it is.
    #[schema(value_type = Option<Object>)]
    pose: Option<Value>,
    /// Measured by the body at the last tick, m/s; missing before the first and while there is no body.
    speed: Option<f64>,
    /// Charge, percent; missing without a body.
    battery: Option<f64>,
    /// Connections to supervisor, peers and body.
    #[schema(value_type = Option<Object>)]
    link: Option<Value>,
    /// Peers heard within the last second.
    peers_visible: Vec<String>,
    /// Share of one processor over the last second.
    cpu_load: f64,
    /// Of the machine, over the last minute.
    load_average: f64,
    /// Resident memory of the process, bytes.
    memory_bytes: u64,
    /// The body is connected.
    body_connected: bool,
    /// The reflex loop.
    reflex_loop: LoopView,
    /// What waits for the supervisor.
    #[schema(value_type = Object)]
    backlog: Backlog,
    /// Who is in control.
    lease: super::LeaseView,
    /// Tasks that had to be started again since the start.
    task_restarts: u64,
}

/// Something that somebody should look at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlarmView {
    /// Stable name, for programs.
    code: &'static str,
    /// One sentence, for people.
    text: String,
}

/// How the reflex loop runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoopView {
    /// Ticks since the boot.
    ticks: u64,
    /// Ticks that did not begin within their period.
    missed_ticks: u64,
    /// Half of the ticks began at most this late, µs.
    lateness_us_p50: f64,
    /// 99 % began at most this late, µs.
    lateness_us_p99: f64,
    /// 99.9 % began at most this late, µs.
    lateness_us_p999: f64,
    /// The latest, µs.
    lateness_us_max: f64,
    /// 99 % took at most this long, µs.
    duration_us_p99: f64,
    /// What the system grants the thread.
    #[schema(value_type = Option<Object>)]
    granted: Option<Granted>,
}

/// Mode, load, peers, mission, failsafes and why.
#[utoipa::path(get, path = "/status", tag = "read",
    responses((status = 200, description = "The robot at a glance", body = StatusView)))]
pub(super) async fn status(State(api): State<Api>) -> Json<StatusView> {
    let agent = api.ask_agent().await.ok();
    let now = clock::now();
    let report = api.latch.report();
    let (cpu_load, load_average, memory_bytes) = api.vitals.latest();
    Json(StatusView {
        robot: api.identity.robot.clone(),
        fleet: api.identity.fleet.to_string(),
        boot: api.identity.boot.to_string(),
        software: env!("CARGO_PKG_VERSION"),
        uptime_s: now.secs_since(api.identity.started),
        mode: agent.as_ref().map(|a| json!(a.mode)),
        state: agent.as_ref().map(|a| json!(a.state)),
        why: agent.as_ref().map(|a| a.why.clone()),
        latch: report.latches.level(),
        alarms: alarms(&api, &report),
        latches: report.latches,
        latch_kept: report.kept,
        failsafes: agent.as_ref().map(|a| json!(a.failsafe)),
        mission: agent.as_ref().and_then(|a| a.mission.as_ref()).map(|mission| json!(mission)),
        pose: agent.as_ref().map(|a| json!(a.pose)),
        speed: (api.gauges.has_body() && api.gauges.ticks() > 0).then(|| api.gauges.speed()),
        battery: agent.as_ref().map(|a| a.battery),
        link: agent.as_ref().map(|a| json!(a.link)),
        peers_visible: agent.iter().flat_map(|a| &a.peers).map(|peer| peer.agent.to_string()).collect(),
        cpu_load,
        load_average,
        memory_bytes,
        body_connected: api.gauges.has_body(),
        reflex_loop: loop_view(&api),
        backlog: api.outbox.backlog(),
        lease: super::LeaseView::from(report.lease),
        task_restarts: api.restarts.count(),
    })
}

fn loop_view(api: &Api) -> LoopView {
    let stats = api.gauges.stats();
    LoopView {
        ticks: stats.ticks,
        missed_ticks: stats.missed_ticks,
        lateness_us_p50: stats.lateness_us_p50,
        lateness_us_p99: stats.lateness_us_p99,
        lateness_us_p999: stats.lateness_us_p999,
        lateness_us_max: stats.lateness_us_max,
        duration_us_p99: api.gauges.duration.quantile_us(0.99),
        granted: api.granted.get().cloned(),
    }
}

/// What it believes of the world.
#[utoipa::path(get, path = "/api/v1/world", tag = "read",
    responses(
        (status = 200, description = "Pose, things on no map, blocked places, hazards, consistency", body = Value),
        (status = 503, description = "The agent does not answer", body = Problem)))]
pub(super) async fn world(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let agent = api.ask_agent().await?;
    Ok(Json(json!({
        "pose": agent.pose,
        "position_std": agent.position_std,
        "twist": agent.twist,
        "world": agent.world,
        "reflex": agent.reflex,
    })))
}

/// What it means to do.
#[utoipa::path(get, path = "/api/v1/plan", tag = "read",
    responses(
        (status = 200, description = "The order, the way and the places to look from", body = Value),
        (status = 503, description = "The agent does not answer", body = Problem)))]
pub(super) async fn plan(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let agent = api.ask_agent().await?;
    Ok(Json(json!({ "mission": agent.mission, "state": agent.state, "plan": agent.plan })))
}

/// Why it does what it does.
#[utoipa::path(get, path = "/api/v1/why", tag = "read",
    responses(
        (status = 200, description = "The reason now, those before it, and every failsafe cause", body = Value),
        (status = 503, description = "The agent does not answer", body = Problem)))]
pub(super) async fn why(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let agent = api.ask_agent().await?;
    let before: Vec<Value> = agent.reasons.iter().map(|r| json!({ "age_s": r.age, "why": r.why })).collect();
    Ok(Json(json!({
        "mode": agent.mode,
        "state": agent.state,
        "why": agent.why,
        "reasons": before,
        "latches": api.latch.latches(),
        "failsafes": agent.failsafe,
        "counters": agent.counters,
    })))
}

/// Whom it hears.
#[utoipa::path(get, path = "/api/v1/peers", tag = "read",
    responses(
        (status = 200, description = "Each peer, where it is, what it says, how old that is", body = Value),
        (status = 503, description = "The agent does not answer", body = Problem)))]
pub(super) async fn peers(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let agent = api.ask_agent().await?;
    Ok(Json(json!({ "mesh": agent.link.mesh, "peers": agent.peers })))
}

/// Models that are loaded: none in this build.
#[utoipa::path(get, path = "/api/v1/models", tag = "read",
    responses((status = 200, description = "The loaded models", body = Value)))]
pub(super) async fn models() -> Json<Value> {
    Json(json!({ "models": [] }))
}

/// Whether the robot can work.
#[utoipa::path(get, path = "/healthz", tag = "read",
    responses(
        (status = 200, description = "The loop is on time, the body is there, the agent answers", body = Value),
        (status = 503, description = "One of them is not so", body = Problem)))]
pub(super) async fn healthz(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let found = ailments(&api);
    if found.is_empty() {
        return Ok(Json(json!({ "status": "ok" })));
    }
    Err(Problem::unavailable("unhealthy", found.join("; "), "look at /status and /api/v1/logs?level=warn"))
}

fn alarms(api: &Api, report: &LatchReport) -> Vec<AlarmView> {
    let mut alarms: Vec<AlarmView> =
        ailments(api).into_iter().map(|text| AlarmView { code: "unhealthy", text }).collect();
    if !report.error.is_empty() {
        let text = format!("the latch is not kept: {}", report.error);
        alarms.push(AlarmView { code: "latch_not_kept", text });
    }
    if api.token.is_none() {
        alarms.push(AlarmView { code: "no_token", text: "neither release nor manual driving here: no token".into() });
    }
    alarms
}

fn ailments(api: &Api) -> Vec<String> {
    let now = clock::now();
    let mut found = Vec::new();
    match api.gauges.since_tick(now) {
        None => found.push("the reflex loop has not begun".to_owned()),
        Some(age) if api.gauges.is_stalled(now) => found.push(format!("the reflex loop is late by {age:?}")),
        Some(_) => {}
    }
    if !api.gauges.has_body() {
        found.push("the body is not connected".to_owned());
    }
    if api.agent.since_round(now).is_none_or(|age| age > HANGS_AFTER) {
        found.push("the agent does not go round".to_owned());
    }
    found
}
