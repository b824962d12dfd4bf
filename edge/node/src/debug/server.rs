//! Serves the debug API on a thread and a runtime of its own, bounded in connections and in the time that a request
//! takes to arrive.
//!
//! When all places are taken, the oldest connection without a request in hand goes: connections that only sit there,
//! however many, keep nobody out.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Api, PeerAddress};
use crate::clock;
use crate::heartbeat::Heartbeat;

/// Connections at once: far more than the streams that may be open, and far fewer than the process has descriptors.
const CONNECTIONS_MAX: usize = 64;
/// A request's head must arrive within this.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// A process without descriptors waits this long before it accepts again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(20);
/// Open answers have this long at the end.
const ANSWERS_END_WITHIN: Duration = Duration::from_millis(500);
/// The runtime shows this often that it runs.
const BEAT_EVERY: Duration = Duration::from_millis(200);
const STACK_BYTES: usize = 1024 * 1024;

/// The server while it runs.
pub struct DebugServer {
    address: SocketAddr,
    heartbeat: Arc<Heartbeat>,
    _thread: JoinHandle<()>,
}

/// A connection that is open.
struct Open {
    task: AbortHandle,
    /// A request is being answered.
    busy: Arc<AtomicBool>,
}

impl DebugServer {
    /// Binds the address and starts the thread; it ends when cancelled.
    ///
    /// # Errors
    /// When the address cannot be bound, or the system gives no thread.
    pub fn start(address: SocketAddr, api: Api, cancel: CancellationToken) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let heartbeat = Arc::<Heartbeat>::default();
        let beating = Arc::clone(&heartbeat);
        let thread = Builder::new().name("skein-debug".into()).stack_size(STACK_BYTES).spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, api.router(), &cancel, &beating).await,
                    Err(error) => tracing::error!(%error, "the debug API cannot listen"),
                }
            });
        })?;
        Ok(Self { address, heartbeat, _thread: thread })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// When its runtime last went round.
    #[must_use]
    pub fn heartbeat(&self) -> Arc<Heartbeat> {
        Arc::clone(&self.heartbeat)
    }
}

async fn serve(listener: TcpListener, router: Router, cancel: &CancellationToken, heartbeat: &Heartbeat) {
    let mut tasks = JoinSet::new();
    let mut open: Vec<Open> = Vec::new();
    let mut every = tokio::time::interval(BEAT_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = every.tick() => heartbeat.beat(clock::now()),
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if make_room(&mut open) {
                        let busy = Arc::<AtomicBool>::default();
                        let task = tasks.spawn(connection(stream, peer, router.clone(), Arc::clone(&busy)));
                        open.push(Open { task, busy });
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection accepted");
                    close_oldest(&mut open);
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    let _left_behind =
        tokio::time::timeout(ANSWERS_END_WITHIN, async { while tasks.join_next().await.is_some() {} }).await;
}

/// Whether there is a place for one more.
fn make_room(open: &mut Vec<Open>) -> bool {
    open.retain(|connection| !connection.task.is_finished());
    open.len() < CONNECTIONS_MAX || close_oldest(open)
}

fn close_oldest(open: &mut Vec<Open>) -> bool {
    let idle = open.iter().position(|connection| !connection.busy.load(Ordering::Acquire));
    let Some(index) = idle else { return false };
    open.remove(index).task.abort();
    true
}

async fn connection(stream: TcpStream, peer: SocketAddr, router: Router, busy: Arc<AtomicBool>) {
    let _slower_without = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, busy) = (router.clone(), Arc::clone(&busy));
        async move {
            busy.store(true, Ordering::Release);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(PeerAddress(peer));
            let Ok(response) = router.oneshot(request).await;
            busy.store(false, Ordering::Release);
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "a connection of the debug API ended");
    }
}
