//! Errors as people and programs get them: gRPC statuses and `application/problem+json`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use skein_supervisor::Refusal;
use skein_wire::WireError;
use tonic::{Code, Status};

use crate::store::StoreError;

/// The core actor is gone: the process is ending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing;

/// The metadata key that carries the code of a refusal.
pub(crate) const CODE_KEY: &str = "skein-code";
/// The metadata key that carries its hint.
pub(crate) const HINT_KEY: &str = "skein-hint";

/// Anything that can go wrong with a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    code: String,
    status: StatusCode,
    detail: String,
    hint: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>, hint: &str) -> Self {
        Self { code: code.to_owned(), status, detail: detail.into(), hint: hint.to_owned() }
    }

    fn grpc_code(&self) -> Code {
        match self.status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::CONFLICT | StatusCode::LOCKED | StatusCode::INSUFFICIENT_STORAGE => Code::FailedPrecondition,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
            _ => Code::InvalidArgument,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::UnknownRobot(_) | Refusal::UnknownMission(_) | Refusal::UnknownLease => StatusCode::NOT_FOUND,
            Refusal::State { .. } | Refusal::KeyReused { .. } => StatusCode::CONFLICT,
            Refusal::WrongFleet(_) | Refusal::WrongSchema(_) => StatusCode::CONFLICT,
            Refusal::ReservedName(_) | Refusal::SecondHello { .. } => StatusCode::CONFLICT,
            Refusal::FleetStopped { .. } | Refusal::Release { .. } => StatusCode::CONFLICT,
            Refusal::KeyMissing | Refusal::WrongKey => StatusCode::FORBIDDEN,
            Refusal::StorageFailing(_) => StatusCode::INSUFFICIENT_STORAGE,
            Refusal::LeaseHeld { .. } => StatusCode::LOCKED,
            Refusal::TooManyMissions(_) | Refusal::TooManyRobots(_) | Refusal::TooManyLeases(_) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Refusal::ZoneOutsideMap { .. }
            | Refusal::NothingReachable { .. }
            | Refusal::Objective(_)
            | Refusal::TextTooLong { .. }
            | Refusal::Missing(_)
            | Refusal::UnsoundBody
            | Refusal::OperatorMissing
            | Refusal::LeaseLength => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refusal.code(), refusal.to_string(), refusal.hint())
    }
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_message", error.to_string(), "correct the field that is named")
    }
}

impl From<Closing> for Problem {
    fn from(_: Closing) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "closing", "the supervisor is ending", "try again in a moment")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", error.to_string(), "look at the supervisor's log")
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut status = Self::new(problem.grpc_code(), format!("{}; {}", problem.detail, problem.hint));
        for (key, text) in [(CODE_KEY, &problem.code), (HINT_KEY, &problem.hint)] {
            if let Ok(value) = text.parse() {
                status.metadata_mut().insert(key, value);
            }
        }
        status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:skein:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "hint": self.hint,
        });
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
