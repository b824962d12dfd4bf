//! What REST handlers take out of a request. Each refusal is a [`Problem`] that says what to do.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Largest body that is read.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Parts of the path, which must be UTF-8.
pub(crate) struct UrlPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for UrlPath<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(path)| Self(path)).map_err(|rejection| {
            let text = rejection.body_text();
            Problem::new(StatusCode::BAD_REQUEST, "bad_path", text, "encode the path as UTF-8, with % where needed")
        })
    }
}

/// The parameters of the query.
pub(crate) struct UrlQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for UrlQuery<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|rejection| {
            let text = rejection.body_text();
            Problem::new(StatusCode::BAD_REQUEST, "bad_query", text, "correct the parameter that is named")
        })
    }
}

/// A body as JSON; an empty one is an empty object.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            status => Problem::new(status, "bad_body", rejection.body_text(), "send it again"),
        })?;
        // A foreign page in a browser can send text to any address, but JSON only where it is allowed to. An empty body
        // is no exception.
        if !kind.split(';').next().is_some_and(|kind| kind.trim().ends_with("json")) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "no_json",
                format!("the body is {kind:?}, not application/json"),
                "add the header content-type: application/json",
            ));
        }
        from_json(if body.is_empty() { b"{}" } else { &body }).map(Self)
    }
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", error.to_string(), "correct the place that is named")
    })
}

pub(crate) fn too_large() -> Problem {
    let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail, "draw the zone with fewer corners")
}
