//! REST for curl and scripts, health and figures.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use skein_supervisor::{LeaseView, OperatorCommand, Refusal, RobotTargets, StorageState};
use skein_types::authority::{Epoch, LatchAction};
use skein_types::event::EventKind;
use skein_types::geo::Datum;
use skein_types::ids::{AgentId, CommandId, MissionId, OperatorId};
use skein_types::mission::{MissionSpec, MissionState, Objective, Priority, TEXT_BYTES_MAX};
use skein_types::time::WallTime;
use skein_wire::request::{EventFilter, RobotOutcome};
use uuid::Uuid;

use crate::control::{Caller, LEASE_KEY, OPERATOR_KEY, Release, Services, StopCommand, parse_event, shown_lease};
use crate::core_actor::CoreMessage;
use crate::extractors::{BODY_BYTES_MAX, JsonBody, UrlPath, UrlQuery, too_large};
use crate::problem::Problem;
use crate::zone;

/// Silence after which an event stream sends a keep-alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What the handlers need.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) services: Services,
    pub(crate) datum: Option<Datum>,
}

pub(crate) fn routes(api: Api) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/missions", get(list_missions).post(submit))
        .route("/api/v1/missions/preview", post(preview))
        .route("/api/v1/missions/{id}", get(get_mission))
        .route("/api/v1/missions/{id}/{action}", post(act))
        .route("/api/v1/robots", get(list_robots))
        .route("/api/v1/robots/{name}", get(get_robot))
        .route("/api/v1/robots/{name}/why", get(why))
        .route("/api/v1/stop", post(stop))
        .route("/api/v1/release", post(release))
        .route("/api/v1/leases", get(list_leases).post(take_lease))
        .route("/api/v1/leases/{id}/{action}", post(act_on_lease))
        .route("/api/v1/events", get(events))
        .route("/api/v1/state", get(state_at))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(not_too_large))
        .with_state(api)
}

/// A body that says itself that it is too large is not waited for.
async fn not_too_large(request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let bytes: Option<usize> = announced.and_then(|text| text.parse().ok());
    if bytes.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
        too_large().into_response()
    } else {
        next.run(request).await
    }
}

/// For addresses without a handler.
pub(crate) async fn nothing_here(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_address",
        format!("there is nothing at {method} {}", uri.path()),
        "try GET /api/v1/missions, /api/v1/robots, /api/v1/events, /healthz or /metrics",
    )
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!("{} cannot be asked with {method}", uri.path());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        detail,
        "missions are made with POST and read with GET",
    )
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready means: requests are answered and robots can be stopped. With a failing disk that still holds, and is said.
async fn readyz(State(api): State<Api>) -> Result<String, Problem> {
    if !api.services.core.is_open() {
        return Err(crate::problem::Closing.into());
    }
    Ok(match &*api.services.published.storage.borrow() {
        StorageState::Healthy => "ready\n".to_owned(),
        StorageState::Failing(why) => format!("degraded: {why}\n"),
    })
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], api.services.meter.render())
}

fn header<'a>(headers: &'a HeaderMap, key: &str) -> Option<&'a str> {
    headers.get(key).and_then(|value| value.to_str().ok())
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::new(header(&parts.headers, OPERATOR_KEY), header(&parts.headers, LEASE_KEY))
    }
}

fn no_such_action(what: &str, action: &str, hint: &'static str) -> Problem {
    let detail = format!("{what} cannot be asked to {action:?}");
    Problem::new(StatusCode::NOT_FOUND, "no_such_action", detail, hint)
}

fn parse_id(text: &str) -> Result<MissionId, Problem> {
    skein_wire::request::mission_id(text).map_err(Problem::from)
}

fn parse_robot(text: String) -> Result<AgentId, Problem> {
    skein_wire::request::robot_id(text).map_err(Problem::from)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MissionBody {
    #[serde(default)]
    name: String,
    objective: Objective,
    zone: Value,
    #[serde(default)]
    priority: Option<Priority>,
    #[serde(default)]
    robots: Vec<AgentId>,
    #[serde(default)]
    return_home: bool,
    #[serde(default)]
    idempotency_key: String,
}

impl MissionBody {
    fn into_spec(self, datum: Option<Datum>) -> Result<MissionSpec, Problem> {
        Ok(MissionSpec {
            name: self.name,
            objective: self.objective,
            zone: zone::polygon(&self.zone, datum)?,
            priority: self.priority.unwrap_or(Priority::NORMAL),
            robots: self.robots,
            return_home: self.return_home,
        })
    }
}

async fn submit(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(body): JsonBody<MissionBody>,
) -> Result<Response, Problem> {
    let header_key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = if body.idempotency_key.is_empty() { header_key.to_owned() } else { body.idempotency_key.clone() };
    let mission = api.services.submit(caller, key, body.into_spec(api.datum)?).await?;
    let place = format!("/api/v1/missions/{}", mission.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(mission)).into_response())
}

async fn preview(State(api): State<Api>, JsonBody(body): JsonBody<MissionBody>) -> Result<Response, Problem> {
    Ok(Json(api.services.preview(body.into_spec(api.datum)?).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateQuery {
    state: Option<MissionState>,
}

async fn list_missions(State(api): State<Api>, UrlQuery(asked): UrlQuery<StateQuery>) -> Result<Response, Problem> {
    let states = asked.state.into_iter().collect();
    let missions = api.services.core.ask(|reply| CoreMessage::Missions(states, reply)).await?;
    Ok(Json(json!({"missions": missions})).into_response())
}

async fn get_mission(State(api): State<Api>, UrlPath(id): UrlPath<String>) -> Result<Response, Problem> {
    Ok(Json(api.services.mission(parse_id(&id)?).await?).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    #[serde(default)]
    reason: String,
}

async fn act(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, action)): UrlPath<(String, String)>,
    JsonBody(ReasonBody { reason }): JsonBody<ReasonBody>,
) -> Result<Response, Problem> {
    let mission = parse_id(&id)?;
    let wanted = match action.as_str() {
        "pause" => OperatorCommand::Pause(mission),
        "resume" => OperatorCommand::Resume(mission),
        "cancel" => OperatorCommand::Cancel { mission, reason },
        other => return Err(no_such_action("a mission", other, "pause, resume or cancel")),
    };
    Ok(Json(api.services.mission_request(caller, wanted).await?).into_response())
}

async fn list_robots(State(api): State<Api>) -> Result<Response, Problem> {
    Ok(Json(json!({"robots": api.services.core.ask(CoreMessage::Robots).await?})).into_response())
}

async fn get_robot(State(api): State<Api>, UrlPath(name): UrlPath<String>) -> Result<Response, Problem> {
    Ok(Json(api.services.robot(parse_robot(name)?).await?).into_response())
}

async fn why(State(api): State<Api>, UrlPath(name): UrlPath<String>) -> Result<Response, Problem> {
    let explanation = api.services.why(parse_robot(name)?).await?;
    Ok(Json(json!({
        "why": explanation.why,
        "failsafe": explanation.failsafe,
        "causes": explanation.causes,
        "decisions": explanation.decisions,
    }))
    .into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StopBody {
    #[serde(default)]
    robots: Vec<AgentId>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    reason: String,
    /// `stop` or `kill`.
    #[serde(default)]
    level: StopLevel,
    #[serde(default)]
    request_id: Option<CommandId>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StopLevel {
    #[default]
    Stop,
    Kill,
}

fn targets(robots: Vec<AgentId>, all: bool) -> Result<RobotTargets, Problem> {
    match (all, robots.is_empty()) {
        (true, true) => Ok(RobotTargets::All),
        (false, false) => Ok(RobotTargets::These(robots)),
        (true, false) | (false, true) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "whom",
            "either robots are named or all are meant",
            "send {\"all\": true} or {\"robots\": [\"rover-1\"]}",
        )),
    }
}

fn checked(reason: String) -> Result<String, Problem> {
    if reason.len() <= TEXT_BYTES_MAX {
        return Ok(reason);
    }
    Err(Refusal::TextTooLong { field: "reason", bytes: reason.len() }.into())
}

async fn stop(
    State(api): State<Api>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<StopBody>,
) -> Result<Response, Problem> {
    let action = match body.level {
        StopLevel::Stop => LatchAction::Stop,
        StopLevel::Kill if body.reason.trim().is_empty() => return Err(Refusal::Missing("reason").into()),
        StopLevel::Kill if body.all => return Err(kill_all()),
        StopLevel::Kill => LatchAction::Kill,
    };
    let by = Caller::of_stop(header(&headers, OPERATOR_KEY));
    let (targets, reason) = (targets(body.robots, body.all)?, checked(body.reason)?);
    let command = StopCommand { targets, action, reason, id: body.request_id, at: None };
    Ok(outcomes(api.services.stop(by, command).await?))
}

fn kill_all() -> Problem {
    let detail = "the power of all robots cannot be cut at once";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "kill_all", detail, "stop all, or name the robots to cut off")
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    #[serde(default)]
    robots: Vec<AgentId>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    request_id: Option<CommandId>,
    /// The epochs that the operator saw latched.
    #[serde(default)]
    epochs: Vec<EpochBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochBody {
    /// Missing for the fleet's register.
    #[serde(default)]
    robot: Option<AgentId>,
    epoch: Epoch,
}

async fn release(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<ReleaseBody>,
) -> Result<Response, Problem> {
    let (targets, reason) = (targets(body.robots, body.all)?, checked(body.reason)?);
    let epochs = body.epochs.into_iter().map(|named| (named.robot, named.epoch)).collect();
    let release = Release { targets, reason, id: body.request_id, epochs };
    Ok(outcomes(api.services.release(caller, release).await?))
}

fn outcomes(outcomes: Vec<RobotOutcome>) -> Response {
    let outcome = |o: RobotOutcome| {
        json!({
            "robot": o.robot, "acknowledged": o.acknowledged, "latch": o.latch, "text": o.text, "latches": o.latches,
            "durability": o.durability,
        })
    };
    Json(json!({"outcomes": outcomes.into_iter().map(outcome).collect::<Vec<Value>>()})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseBody {
    operator: OperatorId,
    #[serde(default)]
    robots: Vec<AgentId>,
    ttl_seconds: u32,
}

async fn take_lease(
    State(api): State<Api>,
    caller: Caller,
    JsonBody(body): JsonBody<LeaseBody>,
) -> Result<Response, Problem> {
    let LeaseBody { operator, robots, ttl_seconds } = body;
    let time_to_live = Duration::from_secs(ttl_seconds.into());
    let command = OperatorCommand::TakeLease { id: Uuid::now_v7(), operator, robots, time_to_live };
    let lease = api.services.lease_request(caller, command).await?;
    Ok((StatusCode::CREATED, Json(lease_json(&lease))).into_response())
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RenewBody {
    #[serde(default)]
    ttl_seconds: u32,
}

/// Renews or releases a lease; its id is the right to do so.
async fn act_on_lease(
    State(api): State<Api>,
    caller: Caller,
    UrlPath((id, action)): UrlPath<(String, String)>,
    JsonBody(RenewBody { ttl_seconds }): JsonBody<RenewBody>,
) -> Result<Response, Problem> {
    let id = shown_lease(Some(&id))?.ok_or(Refusal::UnknownLease)?;
    match action.as_str() {
        "renew" => {
            let time_to_live = Duration::from_secs(ttl_seconds.into());
            let command = OperatorCommand::RenewLease { id, time_to_live };
            Ok(Json(lease_json(&api.services.lease_request(caller, command).await?)).into_response())
        }
        "release" => {
            api.services.request(caller, OperatorCommand::ReleaseLease(id)).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        other => Err(no_such_action("a lease", other, "renew or release")),
    }
}

/// Leases in force, without their ids: those are known to their holders alone.
async fn list_leases(State(api): State<Api>) -> Result<Response, Problem> {
    let held = |lease: &LeaseView| {
        json!({
            "operator": lease.operator, "robots": lease.robots, "expires_at_unix_ms": lease.expires_at.unix_millis(),
        })
    };
    let leases: Vec<Value> = api.services.leases().await?.iter().map(held).collect();
    Ok(Json(json!({"leases": leases})).into_response())
}

fn lease_json(lease: &LeaseView) -> Value {
    json!({
        "id": lease.id, "operator": lease.operator, "robots": lease.robots,
        "expires_at_unix_ms": lease.expires_at.unix_millis(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    agent: Option<AgentId>,
    kind: Option<EventKind>,
    since_unix_ms: Option<i64>,
    until_unix_ms: Option<i64>,
    after: Option<String>,
}

fn wall(millis: i64) -> WallTime {
    WallTime::from_unix_nanos(millis.saturating_mul(1_000_000))
}

/// The record as server-sent events: from after `Last-Event-ID` (or `after`), else what comes next. With a time to
/// begin from and no event to begin after, everything since then.
async fn events(
    State(api): State<Api>,
    headers: HeaderMap,
    UrlQuery(asked): UrlQuery<EventsQuery>,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let after = last.or(asked.after.as_deref()).map(parse_event).transpose()?;
    let filter = EventFilter {
        agent: asked.agent,
        kinds: asked.kind.into_iter().collect(),
        since: asked.since_unix_ms.map(wall),
        until: asked.until_unix_ms.map(wall),
    };
    let from_the_first = after.is_none() && filter.since.is_some();
    let mut follower = api.services.records.follow(filter, after).await?;
    if from_the_first {
        follower.rewind();
    }
    let closing = api.services.closing.clone();
    let chunks = futures::stream::unfold(follower, |mut follower| async move {
        follower.next().await.ok().map(|events| (events, follower))
    });
    let events = chunks.flat_map(futures::stream::iter).map(|event| {
        let id = event.id.to_string();
        let sse = Sse::default().id(id).event(event.name.clone());
        Ok::<Sse, Infallible>(sse.json_data(&event).unwrap_or_default())
    });
    let stream = events.take_until(closing.cancelled_owned());
    Ok(axum::response::Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtQuery {
    at_unix_ms: i64,
}

async fn state_at(State(api): State<Api>, UrlQuery(asked): UrlQuery<AtQuery>) -> Result<Response, Problem> {
    let at = wall(asked.at_unix_ms);
    Ok(Json(api.services.records.state_at(at).await?).into_response())
}
