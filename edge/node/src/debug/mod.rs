//! The robot's debug API: what an engineer beside it can see and, with the token, do. Stopping it needs no token on the
//! robot itself.
//!
//! It has a thread and a runtime of its own, bounded in connections. Everything here reads copies and snapshots: a
//! request never holds up the agent or the reflex, and one that cannot be answered in time says so.

mod body;
mod control;
mod docs;
mod latch;
mod metrics;
mod problem;
mod read;
mod server;
mod stream;
mod token;

pub use control::{LeaseView, OverrideRequest, OverrideTaken, TargetWish, TwistWish};
pub use latch::{LatchAnswer, LatchesView, ReleaseWish, StopWish};
pub use problem::Problem;
pub use server::DebugServer;
pub use token::{TOKEN_VARIABLE, Token, TokenError};

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use skein_agent::AgentStatus;
use skein_body::Fence;
use skein_types::body::BodyDescriptor;
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::telemetry::AgentTelemetry;
use skein_types::time::MonoTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::agent_thread::AgentMailbox;
use crate::latch_service::LatchService;
use crate::logs::Ring;
use crate::outbox::SharedOutbox;
use crate::rt::{Gauges, Granted};
use crate::supervise::Restarts;
use crate::vitals::Vitals;

/// Largest request: a wish to drive by hand has a few hundred bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest time to begin an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the agent may take to answer a question: longer than its longest search.
const AGENT_PATIENCE: Duration = Duration::from_secs(1);
/// Streams at once: a few engineers with a few windows each.
const STREAMS_MAX: usize = 16;

/// Where a request came from; set by the server for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// Who this robot is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the robot, unique in its fleet.
    pub robot: AgentId,
    /// Peers and supervisor of another fleet are ignored.
    pub fleet: FleetId,
    /// This boot of its process.
    pub boot: BootId,
    /// When it began.
    pub started: MonoTime,
    /// Others may reach the API: the `Host` header is not looked at.
    pub allow_remote: bool,
}

/// What the body can do and where it may go.
#[derive(Clone, Debug)]
pub struct Limits {
    /// What the body can do.
    pub body: BodyDescriptor,
    /// Where the robot may drive; the reflex stops it at the edge.
    pub fence: Fence,
}

/// Everything the handlers read from.
pub struct Sources {
    /// Names of the robot, its fleet and its boot.
    pub identity: Identity,
    /// To ask and to command the agent.
    pub agent: AgentMailbox,
    /// The last telemetry sample; none before the first cycle.
    pub telemetry: watch::Receiver<Option<Arc<AgentTelemetry>>>,
    /// Last log lines.
    pub ring: Arc<Ring>,
    /// The reflex thread.
    pub gauges: Arc<Gauges>,
    /// What waits for the supervisor.
    pub outbox: Arc<SharedOutbox>,
    /// Latch and lease.
    pub latch: Arc<LatchService>,
    /// CPU time and memory of the process.
    pub vitals: Arc<Vitals>,
    /// Tasks that had to be started again.
    pub restarts: Restarts,
    /// For what only its bearer may do; `None` when there is none.
    pub token: Option<Token>,
    /// Known once the body is there.
    pub limits: OnceLock<Limits>,
    /// Known once the reflex thread runs.
    pub granted: OnceLock<Granted>,
    /// Ends the open streams.
    pub cancel: CancellationToken,
    /// Streams that may still be opened.
    pub streams: Arc<Semaphore>,
}

/// Shared by all handlers.
#[derive(Clone)]
pub struct Api(Arc<Sources>);

impl Deref for Api {
    type Target = Sources;
    fn deref(&self) -> &Sources {
        &self.0
    }
}

impl Sources {
    /// As many streams as may be open at once.
    #[must_use]
    pub fn all_streams() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(STREAMS_MAX))
    }
}

impl Api {
    /// Handlers over these sources.
    #[must_use]
    pub fn new(sources: Arc<Sources>) -> Self {
        Self(sources)
    }

    /// All routes, with their limits and layers.
    pub fn router(self) -> Router {
        let (router, openapi) = self.documented();
        let document: Arc<str> = openapi.to_json().unwrap_or_default().into();
        router
            .merge(docs::routes(document))
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(from_fn(in_time))
            .layer(from_fn_with_state(self, only_local_names))
    }

    fn documented(&self) -> (Router, OpenApi) {
        let (router, openapi) = OpenApiRouter::with_openapi(docs::frame())
            .routes(routes!(read::status))
            .routes(routes!(stream::telemetry))
            .routes(routes!(latch::post_stop))
            .routes(routes!(latch::post_release))
            .routes(routes!(latch::get_latches))
            .routes(routes!(control::post_override, control::get_override, control::delete_override))
            .routes(routes!(control::post_give_back))
            .routes(routes!(stream::logs))
            .routes(routes!(read::world))
            .routes(routes!(read::plan))
            .routes(routes!(read::why))
            .routes(routes!(read::peers))
            .routes(routes!(read::models))
            .routes(routes!(metrics::metrics))
            .routes(routes!(read::healthz))
            .split_for_parts();
        (router.with_state(self.clone()), openapi)
    }

    /// Whether a request carries the token.
    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            let detail = "this robot could not make its token: see /api/v1/logs?level=error";
            return Err(Problem::new(StatusCode::FORBIDDEN, "no_token", detail, "free the disk and restart the robot"));
        };
        token.check(headers)
    }

    async fn ask_agent(&self) -> Result<Box<AgentStatus>, Problem> {
        self.agent.status(AGENT_PATIENCE).await.map_err(|_| {
            let hint = "the robot may be starting, or its agent hangs: look at /healthz and /api/v1/logs";
            Problem::unavailable("agent_silent", format!("no answer within {AGENT_PATIENCE:?}"), hint)
        })
    }

    fn stream_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            let detail = format!("{STREAMS_MAX} streams are open already");
            Problem::unavailable("too_many_streams", detail, "close one, or ask without a stream")
        })
    }
}

async fn no_such_path(request: Request) -> Problem {
    let path = request.uri().path().escape_debug().to_string();
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!("there is nothing at {path}"),
        "the paths are listed on /docs",
    )
}

async fn no_such_method(request: Request) -> Problem {
    let detail = format!("{} is not possible here", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail, "the methods are listed on /docs")
}

/// Every answer begins in time or is a problem; none is kept by a cache.
async fn in_time(request: Request, next: Next) -> Response {
    let late = || {
        let detail = format!("no answer within {ANSWER_WITHIN:?}");
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail, "try again; look at /api/v1/logs").into_response()
    };
    let mut response = bounded(next.run(request)).await.unwrap_or_else(late);
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn bounded<T>(answer: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ANSWER_WITHIN, answer).await.ok()
}

/// A page of the web neither reads this robot under a name of its own nor stops it from a browser on this machine.
async fn only_local_names(State(api): State<Api>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !api.identity.allow_remote && !text(header::HOST).is_none_or(is_address_or_localhost) {
        let hint = "use 127.0.0.1 or localhost in the address, or set debug.allow_remote = true";
        let detail = "this name is not this robot's";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail, hint).into_response();
    }
    let from_page = text(header::ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    if !request.method().is_safe() && !from_page.is_none_or(is_address_or_localhost) {
        let hint = "send the request from a program or from a page of this machine";
        return Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "another site's page asks", hint).into_response();
    }
    next.run(request).await
}

fn is_address_or_localhost(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;
