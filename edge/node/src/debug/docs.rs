//! The API's own description, and a page that shows it without any network.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use utoipa::Modify;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// Everything but the paths.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Skein robot debug API", description = "What an engineer beside a robot can see and, with the token, do."),
    tags((name = "latch", description = "Stop and release"), (name = "read", description = "See"), (name = "control", description = "Manual driving")),
    modifiers(&WithToken)
)]
struct Frame;

struct WithToken;

impl Modify for WithToken {
    fn modify(&self, openapi: &mut OpenApi) {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        openapi.components.get_or_insert_default().add_security_scheme("token", bearer);
    }
}

/// The document before the paths are added.
#[must_use]
pub(super) fn frame() -> OpenApi {
    Frame::openapi()
}

/// The document and the page.
pub(super) fn routes(document: Arc<str>) -> Router {
    let document = move || {
        let document = document.to_string();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    Router::new().route("/api/v1/openapi.json", get(document)).route("/docs", get(page))
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("docs.html")))
}
