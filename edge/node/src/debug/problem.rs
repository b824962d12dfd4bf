//! Errors as `application/problem+json` (RFC 9457), each with a code for programs and a hint for people.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:skein:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status again.
    pub status: u16,
    /// In a few words.
    pub title: String,
    /// For programs; never changes its meaning.
    pub code: &'static str,
    /// What it was this time.
    pub detail: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    /// A problem with its code, what it was this time and what to do.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:skein:problem:{code}"),
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Problem").to_owned(),
            code,
            detail: detail.into(),
            hint: hint.into(),
        }
    }

    /// 422.
    #[must_use]
    pub fn unprocessable(code: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail, hint)
    }

    /// 503.
    #[must_use]
    pub fn unavailable(code: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail, hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
