//! One port for everything, and an orderly end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use skein_supervisor::{Supervisor, SupervisorConfig};
use skein_types::ids::FleetId;
use skein_wire::v1::agent_control_server::AgentControlServer;
use skein_wire::v1::mission_control_server::MissionControlServer;
use skein_wire::{DESCRIPTOR_SET, MESSAGE_BYTES_MAX};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_web::GrpcWebLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use uuid::Uuid;

use crate::control::{Control, LEASE_KEY, OPERATOR_KEY, Services};
use crate::core_actor::{self, CoreActor, CoreInbox};
use crate::events::Records;
use crate::mapfile::LoadedMap;
use crate::meter::Meter;
use crate::problem::Problem;
use crate::proof::Challenges;
use crate::rest::{self, Api};
use crate::robot_links::RobotLinks;
use crate::stop_lane::StopLane;
use crate::store::{Store, StoreError};

/// A peer that does not answer a ping is gone; its stream ends.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long such a ping may take.
const PING_WITHIN: Duration = Duration::from_secs(5);
/// How long streams have to end when the process does.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);
/// Streams that one connection may have open at a time.
const STREAMS_MAX: u32 = 256;

/// What a server is made of.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it keeps what must survive.
    pub state: PathBuf,
    /// Robots that say another fleet are refused.
    pub fleet: FleetId,
    /// Origins whose pages may talk to it from a browser.
    pub allow_origins: Vec<String>,
}

/// Why a server could not start or go on.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said; often that it is in use.
        source: std::io::Error,
    },
    /// Nothing can be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The core's thread could not be started or failed.
    #[error("the core's thread {0}")]
    Thread(String),
    /// The system's random numbers could not be opened.
    #[error("cannot open the system's random numbers: {0}")]
    Randomness(String),
    /// gRPC reflection could not be set up.
    #[error("cannot describe the services: {0}")]
    Reflection(String),
    /// The server itself failed.
    #[error("cannot serve: {0}")]
    Transport(String),
}

/// A server that runs.
pub struct Running {
    address: SocketAddr,
    closing: CancellationToken,
    tasks: TaskTracker,
    server: tokio::task::JoinHandle<Result<(), ServeError>>,
    core: std::thread::JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends when the server fails by itself; the token is cancelled then.
    pub async fn failed(&self) {
        self.closing.cancelled().await;
    }

    /// Ends all streams, lets the core finish its round, closes the store.
    ///
    /// # Errors
    /// [`ServeError`] when something failed while it ran or ended.
    pub async fn close(self) -> Result<(), ServeError> {
        self.closing.cancel();
        self.tasks.close();
        // What does not end in time is cut off with the process; nothing that was acknowledged is lost by that.
        drop(tokio::time::timeout(CLOSE_WITHIN, self.tasks.wait()).await);
        let abort = self.server.abort_handle();
        let served = match tokio::time::timeout(CLOSE_WITHIN, self.server).await {
            Ok(Ok(served)) => served,
            Ok(Err(_)) => Err(ServeError::Transport("its task ended badly".to_owned())),
            Err(_elapsed) => {
                abort.abort();
                Ok(())
            }
        };
        let core = tokio::task::spawn_blocking(move || self.core.join());
        match tokio::time::timeout(CLOSE_WITHIN, core).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(_)) | Err(_)) => return Err(ServeError::Thread("ended badly".to_owned())),
            Err(_elapsed) => tracing::warn!("the core did not end in time"),
        }
        served
    }
}

/// Opens the ledger, restores the state from it, and serves the gRPC and HTTP APIs.
///
/// # Errors
/// [`ServeError`] names what could not be started.
pub async fn start(config: &ServerConfig, map: LoadedMap) -> Result<Running, ServeError> {
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen { address: config.listen, source })?;
    let store = Store::open(&config.state)?;
    let reader = store.reader();
    // The low half of a fresh UUIDv7 is random: no two starts share it.
    let epoch = u64::from_be_bytes(low_half(Uuid::now_v7()));
    let core = SupervisorConfig { map_hash: map.hash.clone(), ..SupervisorConfig::new(config.fleet.clone(), epoch) };
    let meter = Arc::new(Meter::default());
    let lane = Arc::new(StopLane::default());
    let supervisor = Supervisor::new(core, map.planning.clone());
    let (actor, published) = CoreActor::new(supervisor, store, lane.clone(), meter.clone())?;
    let (core, inbox) = core_actor::channels();
    let closing = CancellationToken::new();
    let thread = start_core(actor, inbox, closing.clone())?;
    let tasks = TaskTracker::new();
    let services = Services {
        core,
        lane,
        records: Records::new(reader, published.newest.clone()),
        published,
        meter,
        tasks: tasks.clone(),
        closing: closing.clone(),
        epoch,
    };
    let routes = routes(config, services, map, address).await?;
    let serving = serve(listener, routes, closing.clone());
    #[expect(clippy::disallowed_methods, reason = "the one task that serves; Running awaits it")]
    let server = tokio::spawn(serving);
    Ok(Running { address, closing, tasks, server, core: thread })
}

fn low_half(id: Uuid) -> [u8; 8] {
    let mut low = [0; 8];
    low.copy_from_slice(&id.as_bytes()[8..]);
    low
}

/// Starts the core's thread; however it ends, everything else ends with it.
fn start_core(
    actor: CoreActor,
    inbox: CoreInbox,
    closing: CancellationToken,
) -> Result<std::thread::JoinHandle<()>, ServeError> {
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let _ends_all = closing.drop_guard();
        actor.run(inbox, &runtime);
    };
    std::thread::Builder::new()
        .name("core".to_owned())
        .spawn(run)
        .map_err(|error| ServeError::Thread(format!("cannot be started: {error}")))
}

async fn serve(listener: TcpListener, routes: Router, closing: CancellationToken) -> Result<(), ServeError> {
    // Set on each accepted connection: the server's own setting does not reach connections that it did not accept
    // itself, and a STOP would then wait up to 40 ms for the robot's acknowledgement of the packet before it.
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .accept_http1(true)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_WITHIN))
        .max_concurrent_streams(STREAMS_MAX)
        .add_routes(Routes::from(routes))
        .serve_with_incoming_shutdown(connections, closing.cancelled_owned())
        .await
        .map_err(|error| ServeError::Transport(error.to_string()))
}

async fn routes(
    config: &ServerConfig,
    services: Services,
    map: LoadedMap,
    address: SocketAddr,
) -> Result<Router, ServeError> {
    let challenges = Challenges::open().map_err(|error| ServeError::Randomness(error.to_string()))?;
    let links = RobotLinks {
        core: services.core.clone(),
        lane: services.lane.clone(),
        challenges,
        opened: AtomicU64::new(1),
        meter: services.meter.clone(),
        tasks: services.tasks.clone(),
        closing: services.closing.clone(),
    };
    let agents = AgentControlServer::new(links).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let control = MissionControlServer::new(Control(services.clone())).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<AgentControlServer<RobotLinks>>().await;
    health.set_serving::<MissionControlServer<Control>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|error| ServeError::Reflection(error.to_string()))?;
    let mut grpc = Routes::default();
    grpc = grpc.add_service(agents).add_service(control).add_service(health_service).add_service(reflection);
    let grpc = grpc.into_axum_router().layer(GrpcWebLayer::new()).layer(cors(&config.allow_origins));
    let rest = rest::routes(Api { services, datum: map.datum }).layer(cors(&config.allow_origins));
    let all = grpc.merge(rest).fallback(rest::nothing_here);
    let guarded = address.ip().is_loopback();
    Ok(if guarded { all.layer(axum::middleware::from_fn(only_local_names)) } else { all })
}

/// Pages of the origins that the configuration names may talk to us; others may not.
fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| origin.parse().ok());
    let key = |name: &'static str| header::HeaderName::from_static(name);
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(tower_http::cors::AllowMethods::list([axum::http::Method::GET, axum::http::Method::POST]))
        .allow_headers([
            header::CONTENT_TYPE,
            key("x-grpc-web"),
            key("x-user-agent"),
            key("grpc-timeout"),
            key("idempotency-key"),
            key(LEASE_KEY),
            key(OPERATOR_KEY),
        ])
        .expose_headers([key("grpc-status"), key("grpc-message"), key("skein-code"), key("skein-hint")])
}

/// A page of another site must not reach us by giving its own name our loopback address.
async fn only_local_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // Browsers speak HTTP/2 only over TLS, which this port does not.
    if request.version() == Version::HTTP_2 || is_local(host) {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "foreign_host",
        format!("this supervisor is not {host:?}"),
        "use http://127.0.0.1 or http://localhost",
    )
    .into_response()
}

fn is_local(host: &str) -> bool {
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(n, _)| n);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
