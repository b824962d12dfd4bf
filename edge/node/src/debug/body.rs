//! Reading a JSON body, with the same problems everywhere.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use skein_types::ids::OperatorId;
use skein_types::mission::TEXT_BYTES_MAX;

use super::problem::Problem;

/// The bytes of a body.
pub(super) fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|e| {
        let (code, hint) = match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "a request fits into a few hundred bytes"),
            _ => ("bad_body", "send the whole body"),
        };
        Problem::new(e.status(), code, e.body_text(), hint)
    })
}

/// A body as JSON; `example` is the hint of every problem.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8], example: &str) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => Problem::unprocessable("bad_field", e.to_string(), example),
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            Problem::new(StatusCode::BAD_REQUEST, "bad_json", e.to_string(), example)
        }
    })
}

/// The name of an operator in the field `field`.
pub(super) fn operator(field: &str, name: &str) -> Result<OperatorId, Problem> {
    OperatorId::new(name).map_err(|e| {
        let hint = "a short name such as \"anna\" or \"laptop-2\"";
        Problem::unprocessable("bad_operator", format!("{field} {e}"), hint)
    })
}

/// A reason that goes into the record.
pub(super) fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.trim().is_empty() || reason.len() > TEXT_BYTES_MAX {
        let detail = format!("reason must have 1 to {TEXT_BYTES_MAX} bytes");
        return Err(Problem::unprocessable("bad_reason", detail, "give the reason in a few words"));
    }
    Ok(())
}
