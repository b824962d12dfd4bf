//! Driving by hand: token, lease, reason, time to live; the same reflex and fence as everything.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use skein_agent::{Input, OVERRIDE_TTL_MAX, OverrideCommand, OverrideMotion};
use skein_types::body::Drive;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::OperatorId;
use skein_types::limits::MANUAL_POSE_AGE_MAX;
use skein_types::mission::TEXT_BYTES_MAX;
use skein_types::time::MonoTime;
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::{Api, Limits};
use crate::clock;

/// A holder who sends nothing for this long loses the lease.
const LEASE_FOR: Duration = Duration::from_secs(5);
/// How finely the straight way to a target is looked at, metres.
const WAY_STEP: f64 = 0.05;

/// A wish to drive by hand. Either `twist` or `target`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// Who drives: a name of your choice (`operator` means the same). Nobody else drives while you do.
    #[serde(alias = "operator")]
    #[schema(example = "anna")]
    pub lease: String,
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

/// The wish was taken.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OverrideTaken {
    /// Ends by itself after this.
    pub ttl_ms: u64,
    /// The lease, for as long as it lasts without another wish.
    pub lease: LeaseView,
}

/// Who may drive by hand now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct LeaseView {
    /// Nobody when missing.
    pub holder: Option<String>,
    /// Until someone else may, if nothing more is sent.
    pub expires_in_ms: u64,
}

/// Whose lease is given back.
#[derive(Clone, Debug, Deserialize, IntoParams)]
pub(super) struct ReleaseQuery {
    /// The name it was taken with.
    lease: String,
}

/// Who drives, and until when nobody else may.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    held: Option<(OperatorId, MonoTime)>,
}

impl Lease {
    /// Takes or renews it.
    ///
    /// # Errors
    /// A 409 problem that names the holder.
    pub fn take(&mut self, now: MonoTime, who: &OperatorId) -> Result<LeaseView, Problem> {
        if let Some((holder, until)) = &self.held
            && holder != who
            && *until > now
        {
            let left = until.since(now);
            let hint = format!("ask {holder}, or try again in {:.1} s", left.as_secs_f64());
            let detail = format!("{holder} drives this robot by hand");
            return Err(Problem::new(StatusCode::CONFLICT, "lease_held", detail, hint));
        }
        self.held = Some((who.clone(), now + LEASE_FOR));
        Ok(self.view(now))
    }

    /// Gives it back, if it is `who`'s.
    pub fn release(&mut self, who: &OperatorId) -> bool {
        self.held.take_if(|(holder, _)| holder == who).is_some()
    }

    /// Who holds it.
    #[must_use]
    pub fn view(&self, now: MonoTime) -> LeaseView {
        match &self.held {
            Some((holder, until)) if *until > now => LeaseView {
                holder: Some(holder.to_string()),
                expires_in_ms: u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX),
            },
            Some(_) | None => LeaseView::default(),
        }
    }
}

/// Drive by hand for at most a second. The reflex and the fence hold as for everything else.
#[utoipa::path(post, path = "/api/v1/override", tag = "control", request_body = OverrideRequest,
    security(("token" = [])),
    responses(
        (status = 202, description = "Taken; ends by itself", body = OverrideTaken),
        (status = 401, description = "No token, or a wrong one", body = Problem),
        (status = 409, description = "Someone else drives", body = Problem),
        (status = 422, description = "Out of the fence, beyond the limits or incomplete", body = Problem),
        (status = 503, description = "The robot is not ready", body = Problem)))]
pub(super) async fn post_override(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<OverrideTaken>), Problem> {
    api.token.check(&headers)?;
    let request = read(body)?;
    let command = wish(&request)?;
    let limits = api.limits.get().ok_or_else(starting)?;
    let pose = api.telemetry.borrow().as_ref().map(|sample| sample.pose).ok_or_else(starting)?;
    check_limits(limits, &command.motion)?;
    check_fence(limits, &pose, &command)?;
    let lease = api.lease().take(clock::now(), &command.operator)?;
    tracing::warn!(lease = %command.operator, reason = %command.reason, motion = ?command.motion, "driven by hand");
    let ttl_ms = request.ttl_ms;
    api.pilot
        .input(Input::Override(command))
        .map_err(|busy| Problem::unavailable("agent_silent", busy.to_string(), "look at /healthz and /api/v1/logs"))?;
    Ok((StatusCode::ACCEPTED, Json(OverrideTaken { ttl_ms, lease })))
}

/// Who drives by hand.
#[utoipa::path(get, path = "/api/v1/override", tag = "control",
    responses((status = 200, description = "The lease", body = LeaseView)))]
pub(super) async fn get_override(State(api): State<Api>) -> Json<LeaseView> {
    Json(api.lease().view(clock::now()))
}

/// Give the lease back, so that someone else may drive at once.
#[utoipa::path(delete, path = "/api/v1/override", tag = "control", params(ReleaseQuery), security(("token" = [])),
    responses(
        (status = 200, description = "The lease after it", body = LeaseView),
        (status = 401, description = "No token, or a wrong one", body = Problem),
        (status = 409, description = "It was not yours", body = Problem)))]
pub(super) async fn delete_override(
    State(api): State<Api>,
    headers: HeaderMap,
    query: Result<Query<ReleaseQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<LeaseView>, Problem> {
    api.token.check(&headers)?;
    let Query(query) = query.map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", e.body_text(), "give ?lease= and the name it was taken with")
    })?;
    let who = operator(&query.lease)?;
    let mut lease = api.lease();
    if lease.release(&who) {
        return Ok(Json(lease.view(clock::now())));
    }
    let view = lease.view(clock::now());
    let holder = view.holder.unwrap_or_else(|| "nobody".into());
    Err(Problem::new(StatusCode::CONFLICT, "lease_held", format!("{holder} holds it"), "only the holder gives it back"))
}

fn starting() -> Problem {
    Problem::unavailable("starting", "the robot does not know yet where it is", "try again in a second")
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<OverrideRequest, Problem> {
    let bytes = body.map_err(|e| {
        let (code, hint) = match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "a wish fits into a few hundred bytes"),
            _ => ("bad_body", "send the whole body"),
        };
        Problem::new(e.status(), code, e.body_text(), hint)
    })?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let hint = "such as {\"lease\": \"anna\", \"reason\": \"test\", \"ttl_ms\": 500, \"twist\": {\"vx\": 0.2}}";
        match e.classify() {
            serde_json::error::Category::Data => Problem::unprocessable("bad_field", e.to_string(), hint),
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => Problem::new(StatusCode::BAD_REQUEST, "bad_json", e.to_string(), hint),
        }
    })
}

fn operator(name: &str) -> Result<OperatorId, Problem> {
    OperatorId::new(name).map_err(|e| {
        Problem::unprocessable("bad_lease", format!("lease {e}"), "a short name such as \"anna\" or \"laptop-2\"")
    })
}

fn wish(request: &OverrideRequest) -> Result<OverrideCommand, Problem> {
    let operator = operator(&request.lease)?;
    if request.reason.trim().is_empty() || request.reason.len() > TEXT_BYTES_MAX {
        let hint = "say in a few words why you drive by hand";
        let detail = format!("reason must have 1 to {TEXT_BYTES_MAX} bytes");
        return Err(Problem::unprocessable("bad_reason", detail, hint));
    }
    let ttl = Duration::from_millis(request.ttl_ms);
    if ttl.is_zero() || ttl > OVERRIDE_TTL_MAX {
        let detail = format!("ttl_ms is {}; it must be 1 to {}", request.ttl_ms, OVERRIDE_TTL_MAX.as_millis());
        return Err(Problem::unprocessable("bad_ttl", detail, "send the wish again to go on for longer"));
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
        OverrideMotion::Target(at) => format!("the straight way to ({:.2}, {:.2}) leaves the fence", at.x, at.y),
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
