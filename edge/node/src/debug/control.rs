//! Manual driving: token, lease, reason, time to live; the same reflex and fence as everything. A latched robot refuses.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use skein_agent::{Input, ManualRefused, OVERRIDE_TTL_MAX, OverrideCommand, OverrideMotion};
use skein_robot::latch::LeaseHeld;
use skein_types::authority::{LeaseGrant, Principal};
use skein_types::body::Drive;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::limits::MANUAL_POSE_AGE_MAX;
use skein_types::safety::Latch;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::{Api, Limits, body, latch};

/// What a wish looks like.
const EXAMPLE: &str =
    "such as {\"operator\": \"anna\", \"reason\": \"test\", \"ttl_ms\": 500, \"twist\": {\"vx\": 0.2}}";
/// How often an agent with an old pose is asked.
const POSE_ASKED_MAX: u32 = 3;
/// How finely the straight line to a target is looked at, metres.
const WAY_STEP: f64 = 0.05;

/// A manual command. Either `twist` or `target`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// Who drives (`lease` means the same). Nobody else drives while this operator holds the lease.
    #[serde(alias = "lease")]
    #[schema(example = "anna")]
    pub operator: String,
    /// Why; goes into the record.
    #[schema(example = "clear the doorway")]
    pub reason: String,
    /// For how long, 1 to 1000 milliseconds; send again to go on.
    #[schema(example = 500, minimum = 1, maximum = 1000)]
    pub ttl_ms: u64,
    /// Move like this, in the body's frame.
    pub twist: Option<TwistWish>,
    /// Go straight towards this place, metres in the map's frame.
    pub target: Option<TargetWish>,
}

/// A velocity in the body's frame.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwistWish {
    /// Forward, m/s.
    pub vx: f64,
    /// To the left, m/s; zero for a robot on two wheels.
    pub vy: f64,
    /// Counter-clockwise, rad/s.
    pub yaw_rate: f64,
}

/// A place in the map's frame.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetWish {
    /// East, metres.
    pub x: f64,
    /// North, metres.
    pub y: f64,
}

/// The command was taken.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OverrideTaken {
    /// Ends by itself after this.
    pub ttl_ms: u64,
    /// The lease, for as long as it lasts without another wish.
    pub lease: LeaseView,
}

/// Who is in control now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct LeaseView {
    /// The operator; nobody when missing.
    pub holder: Option<String>,
    /// Names the lease.
    pub id: Option<String>,
    /// Until it ends, unless it is renewed.
    pub expires_in_ms: u64,
}

impl From<Option<LeaseGrant>> for LeaseView {
    fn from(grant: Option<LeaseGrant>) -> Self {
        grant.map_or_else(Self::default, |LeaseGrant { id, operator, remaining }| Self {
            holder: Some(operator.to_string()),
            id: Some(id.to_string()),
            expires_in_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Whose lease is given back.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub(super) struct ReleaseQuery {
    /// The operator who holds it (`lease` means the same).
    #[serde(alias = "lease")]
    operator: String,
}

/// The end of manual driving.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveBackWish {
    /// The operator who gives control back.
    #[serde(alias = "lease")]
    #[schema(example = "anna")]
    operator: String,
}

/// Drive for at most a second. The reflex and the fence hold as for everything else; at its end the robot holds in MANUAL.
#[utoipa::path(post, path = "/api/v1/override", tag = "control", request_body = OverrideRequest,
    security(("token" = [])),
    responses(
        (status = 202, description = "Taken; then the robot holds until control is given back", body = OverrideTaken),
        (status = 401, description = "No token, or a wrong one", body = Problem),
        (status = 409, description = "Latched, without power or a pose, or somebody else holds the lease", body = Problem),
        (status = 422, description = "Out of the fence, beyond the limits or incomplete", body = Problem),
        (status = 503, description = "The robot is not ready", body = Problem)))]
pub(super) async fn post_override(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<OverrideTaken>), Problem> {
    api.check_token(&headers)?;
    let request: OverrideRequest = body::json(&body::bytes(body)?, EXAMPLE)?;
    let command = command(&request)?;
    check_latch(&api)?;
    latch::check_lease(&api, &headers, None)?;
    let limits = api.limits.get().ok_or_else(starting)?;
    check_limits(limits, &command.motion)?;
    check_fence(limits, &ready_pose(&api).await?, &command)?;
    let lease = LeaseView::from(Some(api.latch.take_lease(&command.operator).map_err(held)?));
    tracing::warn!(operator = %command.operator, reason = %command.reason, motion = ?command.motion, "manual command");
    let ttl_ms = request.ttl_ms;
    api.agent.order(Input::Override(command)).map_err(|busy| silent(&busy))?;
    Ok((StatusCode::ACCEPTED, Json(OverrideTaken { ttl_ms, lease })))
}

/// Give control back: the robot goes on by itself, and the lease ends.
#[utoipa::path(post, path = "/api/v1/give_back", tag = "control", request_body = GiveBackWish,
    security(("token" = [])),
    responses(
        (status = 200, description = "The lease after it", body = LeaseView),
        (status = 401, description = "No token, or a wrong one", body = Problem),
        (status = 409, description = "Somebody else holds the lease", body = Problem)))]
pub(super) async fn post_give_back(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LeaseView>, Problem> {
    api.check_token(&headers)?;
    let wish: GiveBackWish = body::json(&body::bytes(body)?, "such as {\"operator\": \"anna\"}")?;
    give_back(&api, &wish.operator)
}

fn give_back(api: &Api, operator: &str) -> Result<Json<LeaseView>, Problem> {
    let operator = body::operator("operator", operator)?;
    // Taking it first says whether somebody else holds it; a lease that has ended is no reason to stay in MANUAL.
    api.latch.take_lease(&operator).map_err(held)?;
    let by = Principal::Operator(operator.clone());
    api.agent.order(Input::GiveBack { by }).map_err(|busy| silent(&busy))?;
    api.latch.give_back_lease(&operator);
    tracing::warn!(%operator, "control given back");
    Ok(Json(LeaseView::from(api.latch.report().lease)))
}

/// Who is in control.
#[utoipa::path(get, path = "/api/v1/override", tag = "control",
    responses((status = 200, description = "The lease", body = LeaseView)))]
pub(super) async fn get_override(State(api): State<Api>) -> Json<LeaseView> {
    Json(LeaseView::from(api.latch.report().lease))
}

/// The same as `POST /api/v1/give_back`, with the operator in the query.
#[utoipa::path(delete, path = "/api/v1/override", tag = "control", params(ReleaseQuery), security(("token" = [])),
    responses(
        (status = 200, description = "The lease after it", body = LeaseView),
        (status = 401, description = "No token, or a wrong one", body = Problem),
        (status = 409, description = "This operator does not hold it", body = Problem)))]
pub(super) async fn delete_override(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<ReleaseQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<LeaseView>, Problem> {
    api.check_token(&headers)?;
    let Query(query) = query.map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", e.body_text(), "give ?lease= and the name it was taken with")
    })?;
    give_back(&api, &query.operator)
}

/// Where the robot is, if its agent would take a manual command now. An agent that has just come out of a long search
/// answers before it has seen its newest frame, so an old pose is asked for again.
async fn ready_pose(api: &Api) -> Result<Pose, Problem> {
    let mut status = api.ask_agent().await?;
    for _ in 1..POSE_ASKED_MAX {
        if matches!(status.manual_refused, Some(ManualRefused::StalePose { .. })) {
            status = api.ask_agent().await?;
        }
    }
    match &status.manual_refused {
        None => Ok(status.pose),
        Some(refused) => Err(not_ready(refused)),
    }
}

fn not_ready(refused: &ManualRefused) -> Problem {
    let (code, hint) = match refused {
        ManualRefused::Latched { .. } => ("latched", "release it first: POST /api/v1/release"),
        ManualRefused::Unpowered => {
            ("no_power", "look at the emergency-stop button and the battery; the robot latches: POST /api/v1/release")
        }
        ManualRefused::NoPose => ("no_pose", "wait until the robot is localised: /status shows its mode and pose"),
        ManualRefused::StalePose { .. } => ("stale_pose", "look at /healthz: the body or its sensors are silent"),
        ManualRefused::NotFinite => ("not_finite", "send finite numbers"),
    };
    Problem::new(StatusCode::CONFLICT, code, refused.to_string(), hint)
}

/// A latched robot is released first, on purpose. This needs no agent.
fn check_latch(api: &Api) -> Result<(), Problem> {
    let latches = api.latch.latches();
    if latches.level() == Latch::Released {
        return Ok(());
    }
    let holding = latches.holding();
    let detail = format!("{:?} by {} in epoch {}: {}", holding.level, holding.by, holding.epoch, holding.reason);
    Err(Problem::new(StatusCode::CONFLICT, "latched", detail, "release it first: POST /api/v1/release"))
}

fn held(held: LeaseHeld) -> Problem {
    let hint = format!("ask {}, or try again in {:.1} s", held.operator, held.remaining.as_secs_f64());
    Problem::new(StatusCode::CONFLICT, "lease_held", held.to_string(), hint)
}

fn silent(busy: &crate::agent_thread::AgentBusy) -> Problem {
    Problem::unavailable("agent_silent", busy.to_string(), "look at /healthz and /api/v1/logs")
}

fn starting() -> Problem {
    Problem::unavailable("starting", "the robot does not know yet where it is", "try again in a second")
}

fn command(request: &OverrideRequest) -> Result<OverrideCommand, Problem> {
    let operator = body::operator("operator", &request.operator)?;
    body::check_reason(&request.reason)?;
    let ttl = Duration::from_millis(request.ttl_ms);
    if ttl.is_zero() || ttl > OVERRIDE_TTL_MAX {
        let detail = format!("ttl_ms is {}; it must be 1 to {}", request.ttl_ms, OVERRIDE_TTL_MAX.as_millis());
        return Err(Problem::unprocessable("bad_ttl", detail, "send the command again to go on for longer"));
    }
    let motion = match (request.twist, request.target) {
        (Some(twist), None) => {
            OverrideMotion::Twist(Twist { vx: twist.vx, vy: twist.vy, vz: 0.0, yaw_rate: twist.yaw_rate })
        }
        (None, Some(target)) => OverrideMotion::Target(Point::new(target.x, target.y)),
        (Some(_), Some(_)) | (None, None) => {
            let detail = "exactly one of twist and target is needed";
            return Err(Problem::unprocessable("bad_wish", detail, "give {\"twist\": …} or {\"target\": …}"));
        }
    };
    Ok(OverrideCommand { motion, ttl, operator, reason: request.reason.clone() })
}

fn check_limits(limits: &Limits, motion: &OverrideMotion) -> Result<(), Problem> {
    let beyond = |detail: String| {
        let hint = "ask for less; /status shows what the body can do";
        Err(Problem::unprocessable("beyond_limits", detail, hint))
    };
    let body = &limits.body;
    match motion {
        OverrideMotion::Target(point) if !point.is_finite() => beyond("the target is not finite".into()),
        OverrideMotion::Target(_) => Ok(()),
        OverrideMotion::Twist(twist) if !twist.is_finite() => beyond("the twist is not finite".into()),
        OverrideMotion::Twist(twist) if body.drive == Drive::Differential && twist.vy != 0.0 => {
            beyond("a robot on two wheels cannot move sideways: vy must be 0".into())
        }
        OverrideMotion::Twist(twist) if twist.speed() > body.speed_max.get() => {
            beyond(format!("{:.2} m/s is faster than {}", twist.speed(), body.speed_max))
        }
        OverrideMotion::Twist(twist) if twist.yaw_rate.abs() > body.yaw_rate_max.get() => {
            beyond(format!("{:.2} rad/s is faster than {}", twist.yaw_rate.abs(), body.yaw_rate_max))
        }
        OverrideMotion::Twist(_) => Ok(()),
    }
}

pub(super) fn check_fence(limits: &Limits, pose: &Pose, command: &OverrideCommand) -> Result<(), Problem> {
    let leaves = match &command.motion {
        OverrideMotion::Twist(twist) => {
            limits.fence.would_leave(&limits.body, pose, twist, command.ttl + MANUAL_POSE_AGE_MAX)
        }
        OverrideMotion::Target(target) => !is_way_inside(limits, pose.position, *target),
    };
    if !leaves {
        return Ok(());
    }
    let detail = match &command.motion {
        OverrideMotion::Twist(_) => "this motion would carry the robot out of its fence".to_owned(),
        OverrideMotion::Target(at) => format!("the straight line to ({:.2}, {:.2}) leaves the fence", at.x, at.y),
    };
    Err(Problem::unprocessable("out_of_fence", detail, "the fence holds for everyone; choose a place inside it"))
}

/// The target is inside with the whole footprint; so is the straight way, unless the robot is outside already.
fn is_way_inside(limits: &Limits, from: Point, target: Point) -> bool {
    let inside = |point| limits.fence.clearance(point) >= limits.body.radius.get();
    if !inside(target) {
        return false;
    }
    // The target is inside a fence of at most a map's size, so the number of steps is bounded by it.
    let steps = (from.distance(target) / WAY_STEP).ceil().clamp(1.0, 100_000.0) as u32;
    !inside(from) || (1..steps).all(|step| inside(from.lerp(target, f64::from(step) / f64::from(steps))))
}
