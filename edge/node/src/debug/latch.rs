//! STOP, KILL and RELEASE at the robot itself, and what it knows of all latches.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use skein_robot::latch::{KnownLatches, LatchOutcome, LatchRefusal, LatchVerdict};
use skein_types::authority::{
    Epoch, LatchAction, LatchRequest, LatchScope, LatchSet, LeaseGrant, Principal, ReleaseRefused,
};
use skein_types::ids::{AgentId, CommandId};
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body;
use super::problem::Problem;
use super::{Api, PeerAddress};
use crate::clock;

/// The disk has this long; then the answer says that the latch is not kept.
const KEPT_WITHIN: Duration = Duration::from_secs(3);
/// Who asks when no name is given.
const ANONYMOUS: &str = "anonymous";

/// The register that a request is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ScopeWish {
    /// The robot's own.
    #[default]
    Robot,
    /// The fleet's: it is passed on to every robot that can be heard.
    Fleet,
}

/// How hard to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LevelWish {
    /// Brake and stand, or hover.
    #[default]
    Stop,
    /// Cut the power of the motors.
    Kill,
}

/// Stop a robot or the fleet. Every field may be left out; an empty body stops this robot.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopWish {
    /// `robot` or `fleet`.
    scope: ScopeWish,
    /// Another robot that is to be stopped over the mesh.
    #[schema(example = "rover-2")]
    robot: Option<String>,
    /// `stop` or `kill`.
    level: LevelWish,
    /// Why; goes into the record.
    #[schema(example = "smoke in hall 2")]
    reason: Option<String>,
    /// Operator who asks; `anonymous` when missing.
    #[schema(example = "anna")]
    operator: Option<String>,
    /// UUID of the request: the same over several paths takes effect once.
    id: Option<String>,
    /// When it was asked, milliseconds since 1970.
    at: Option<i64>,
}

/// Release a robot or the fleet: the stop of one epoch, and no later one.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseWish {
    /// `robot` or `fleet`.
    #[serde(default)]
    scope: ScopeWish,
    /// Another robot that is to be released over the mesh.
    robot: Option<String>,
    /// Of the stop that is released; `/api/v1/latches` shows it.
    epoch: u64,
    /// Operator who releases; recorded.
    #[schema(example = "anna")]
    operator: String,
    /// Why; goes into the record.
    #[schema(example = "the hall is clear")]
    reason: String,
    /// Id of the lease, where one is held.
    lease: Option<String>,
    /// UUID of the request.
    id: Option<String>,
    /// When it was asked, milliseconds since 1970.
    at: Option<i64>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LatchAnswer {
    /// Id of the request; the same id over another path has no further effect.
    #[schema(value_type = String)]
    pub id: CommandId,
    /// `applied`, `already_done` or `relayed`.
    pub verdict: &'static str,
    /// `released`, `stop` or `kill`: what this robot obeys after it.
    #[schema(value_type = String)]
    pub latch: Latch,
    /// Both registers after the request.
    #[schema(value_type = Object)]
    pub latches: LatchSet,
    /// From the arrival of the request until the reflex can read it, microseconds.
    pub in_reflex_us: u64,
    /// The latch is on the disk; `false` with the reason in `error`.
    pub kept: bool,
    /// Until then, microseconds.
    pub kept_us: u64,
    /// Why it is not kept.
    pub error: String,
}

/// All latches that this robot knows of.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LatchesView {
    /// Name of the robot that answers.
    pub robot: String,
    /// What it obeys.
    #[schema(value_type = String)]
    pub latch: Latch,
    /// Both registers that it obeys.
    #[schema(value_type = Object)]
    pub latches: LatchSet,
    /// They are on the disk.
    pub kept: bool,
    /// Why they are not.
    pub error: String,
    /// A person drives or has not given control back.
    pub manual: bool,
    /// Who is in control.
    #[schema(value_type = Option<Object>)]
    pub lease: Option<LeaseGrant>,
    /// Highest term of a planner that was seen.
    pub term: u64,
    /// Registers of other robots as peers pass them on: `robot`, its own `register`, the `fleet` register as the robot
    /// itself said it (null while only others spoke of it), `age_s`.
    #[schema(value_type = Vec<Object>)]
    pub known: Vec<Value>,
}

/// Stop this robot, another one over the mesh, or the fleet. No token on the robot itself.
#[utoipa::path(post, path = "/api/v1/stop", tag = "latch", request_body = StopWish,
    responses(
        (status = 200, description = "In the reflex; `kept` says whether it is on the disk", body = LatchAnswer),
        (status = 401, description = "From another machine without the token", body = Problem),
        (status = 422, description = "A name or an id is not one", body = Problem)))]
pub(super) async fn post_stop(
    State(api): State<Api>,
    peer: Option<Extension<PeerAddress>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LatchAnswer>, Problem> {
    if peer.is_some_and(|Extension(PeerAddress(address))| !address.ip().is_loopback()) {
        api.check_token(&headers)?;
    }
    let bytes = body::bytes(body)?;
    let example = "such as {\"reason\": \"smoke\", \"operator\": \"anna\"}; an empty body stops this robot";
    let wish: StopWish = if bytes.is_empty() { StopWish::default() } else { body::json(&bytes, example)? };
    let action = match wish.level {
        LevelWish::Stop => LatchAction::Stop,
        LevelWish::Kill => LatchAction::Kill,
    };
    let reason = wish.reason.unwrap_or_else(|| "asked for at the robot".to_owned());
    let by = wish.operator.unwrap_or_else(|| ANONYMOUS.to_owned());
    let request = request(wish.id.as_deref(), wish.scope, action, reason, &by, wish.at)?;
    submit(&api, wish.robot.as_deref(), request).await
}

/// Release the stop of one epoch.
#[utoipa::path(post, path = "/api/v1/release", tag = "latch", request_body = ReleaseWish, security(("token" = [])),
    responses(
        (status = 200, description = "Released, or released already", body = LatchAnswer),
        (status = 401, description = "No token, or a wrong one", body = Problem),
        (status = 409, description = "Stopped again since, or somebody else holds the lease", body = Problem),
        (status = 422, description = "Incomplete", body = Problem)))]
pub(super) async fn post_release(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LatchAnswer>, Problem> {
    api.check_token(&headers)?;
    let bytes = body::bytes(body)?;
    let example = "such as {\"epoch\": 3, \"operator\": \"anna\", \"reason\": \"the hall is clear\"}";
    let wish: ReleaseWish = body::json(&bytes, example)?;
    body::check_reason(&wish.reason)?;
    check_lease(&api, &headers, wish.lease.as_deref())?;
    let action = LatchAction::Release { epoch: Epoch(wish.epoch) };
    let request = request(wish.id.as_deref(), wish.scope, action, wish.reason, &wish.operator, wish.at)?;
    submit(&api, wish.robot.as_deref(), request).await
}

/// What this robot knows of all latches.
#[utoipa::path(get, path = "/api/v1/latches", tag = "latch",
    responses((status = 200, description = "Its own, the fleet's, and what peers pass on", body = LatchesView)))]
pub(super) async fn get_latches(State(api): State<Api>) -> Json<LatchesView> {
    let report = api.latch.report();
    let now = clock::now();
    let known = api.latch.known().into_iter().map(|(robot, KnownLatches { own, fleet, heard_at })| {
        json!({ "robot": robot, "register": own, "fleet": fleet, "age_s": now.secs_since(heard_at) })
    });
    Json(LatchesView {
        robot: api.identity.robot.to_string(),
        latch: report.latches.level(),
        latches: report.latches,
        kept: report.kept,
        error: report.error,
        manual: report.manual,
        lease: report.lease,
        term: report.term.0,
        known: known.collect(),
    })
}

async fn submit(api: &Api, robot: Option<&str>, request: LatchRequest) -> Result<Json<LatchAnswer>, Problem> {
    let target = robot.map(robot_name).transpose()?;
    let begun = clock::now();
    tracing::warn!(request = ?request.action, scope = ?request.scope, by = %request.by, reason = %request.reason,
        target = ?target, "a latch request at the debug API");
    let told = api.latch.request(target, request);
    let in_reflex = clock::now().since(begun);
    let outcome = tokio::time::timeout(KEPT_WITHIN, told).await.ok().and_then(Result::ok).ok_or_else(|| {
        let detail = "the request is in the reflex; the latch thread gives no answer about the disk";
        Problem::unavailable("latch_silent", detail, "look at /api/v1/latches and /healthz")
    })?;
    answer(outcome, in_reflex, clock::now().since(begun))
}

fn answer(outcome: LatchOutcome, in_reflex: Duration, kept: Duration) -> Result<Json<LatchAnswer>, Problem> {
    let verdict = match &outcome.verdict {
        LatchVerdict::Applied => "applied",
        LatchVerdict::AlreadyDone => "already_done",
        LatchVerdict::Relayed => "relayed",
        LatchVerdict::Refused(refusal) => return Err(refused(refusal)),
    };
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Ok(Json(LatchAnswer {
        id: outcome.request,
        verdict,
        latch: outcome.latches.level(),
        latches: outcome.latches,
        in_reflex_us: micros(in_reflex),
        kept: outcome.kept,
        kept_us: micros(kept),
        error: outcome.error,
    }))
}

fn refused(refusal: &LatchRefusal) -> Problem {
    let (code, hint) = match refusal {
        LatchRefusal::Release(ReleaseRefused::LatchedAgain { .. }) => {
            ("latched_again", "look why it was stopped again, then release the epoch in /api/v1/latches")
        }
        LatchRefusal::Release(ReleaseRefused::UnknownEpoch { .. }) => {
            ("unknown_epoch", "take the epoch from /api/v1/latches")
        }
        LatchRefusal::Lease(_) => ("lease_held", "only the holder of the lease releases"),
        LatchRefusal::MeshUnauthenticated => ("mesh_unauthenticated", "release at that robot or at the supervisor"),
        LatchRefusal::NoOperator(_) => ("no_operator", "give the name of a person"),
    };
    Problem::new(StatusCode::CONFLICT, code, refusal.to_string(), hint)
}

/// A lease that is named, in the body or as the header `skein-lease`, must be the one that is held.
pub(super) fn check_lease(api: &Api, headers: &HeaderMap, lease: Option<&str>) -> Result<(), Problem> {
    let header = headers.get("skein-lease").and_then(|value| value.to_str().ok());
    let held = api.latch.report().lease.map(|lease| lease.id.to_string());
    match (lease.or(header), held) {
        (Some(given), Some(held)) if *given != held => {
            let hint = "take the lease, or leave it out and give the holder's name";
            Err(Problem::new(StatusCode::CONFLICT, "lease_held", "this is not the lease that is held", hint))
        }
        _ => Ok(()),
    }
}

fn request(
    id: Option<&str>,
    scope: ScopeWish,
    action: LatchAction,
    reason: String,
    operator: &str,
    at: Option<i64>,
) -> Result<LatchRequest, Problem> {
    let id = match id {
        None => CommandId(Uuid::now_v7()),
        Some(text) => text.parse().map_err(|_| {
            Problem::unprocessable("bad_id", format!("id {text:?} is not a UUID"), "leave it out to have one made")
        })?,
    };
    if reason.len() > skein_types::mission::TEXT_BYTES_MAX {
        body::check_reason(&reason)?;
    }
    let by = Principal::Operator(body::operator("operator", operator)?);
    let at = at.map_or_else(clock::wall, |millis| WallTime::from_unix_nanos(millis.saturating_mul(1_000_000)));
    let scope = match scope {
        ScopeWish::Robot => LatchScope::Robot,
        ScopeWish::Fleet => LatchScope::Fleet,
    };
    Ok(LatchRequest { id, scope, action, reason, by, at })
}

fn robot_name(name: &str) -> Result<AgentId, Problem> {
    AgentId::new(name).map_err(|e| Problem::unprocessable("bad_robot", format!("robot {e}"), "such as \"rover-2\""))
}
