//! Connects to the body: at the start, and again whenever the reflex loop has lost it. The robot is halted meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skein_body::{Fence, SafeBody};
use skein_body_remote::{Options, RemoteBody, RemoteError, Welcome};
use skein_types::body::BodyDescriptor;
use skein_types::ids::AgentId;
use tokio_util::sync::CancellationToken;

use skein_robot::backoff::Backoff;

use crate::heartbeat::Heartbeat;
use crate::rt::{BodyEnd, Gauges};

/// How often the body is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pauses between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// One attempt to connect may take this long.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// How the body is reached.
#[derive(Clone, Debug)]
pub struct BodyEndpoint {
    /// Path of the Unix socket.
    pub socket: PathBuf,
    /// The name given there.
    pub robot: AgentId,
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum NoBody {
    /// Not there, or refused.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Its description is impossible.
    #[error("the body describes itself as what cannot be: {0:?}")]
    Unsound(Box<BodyDescriptor>),
    /// Another body answers.
    #[error("the body came back as another one: it was {was:?} and is {is:?}")]
    Changed {
        /// The body that the process started with.
        was: Box<BodyDescriptor>,
        /// The body that answers now.
        is: Box<BodyDescriptor>,
    },
    /// The process ends.
    #[error("the process ends")]
    Cancelled,
}

impl BodyEndpoint {
    /// One attempt, on a thread of its own: it waits for an answer.
    ///
    /// # Errors
    /// [`NoBody`] says why.
    pub async fn open(&self) -> Result<(RemoteBody, Welcome), NoBody> {
        let endpoint = self.clone();
        let options = Options { connect_within: CONNECT_WITHIN, ..Options::default() };
        let attempt = move || RemoteBody::connect(&endpoint.socket, &endpoint.robot, options);
        let (body, welcome) = tokio::task::spawn_blocking(attempt).await.map_err(|_| NoBody::Cancelled)??;
        if welcome.descriptor.is_sound() {
            Ok((body, welcome))
        } else {
            Err(NoBody::Unsound(Box::new(welcome.descriptor)))
        }
    }

    /// Attempts until it connects, for at most `patience`. A refusal is final.
    ///
    /// # Errors
    /// [`NoBody`] of the last attempt.
    pub async fn open_within(
        &self,
        patience: Duration,
        seed: u64,
        cancel: &CancellationToken,
    ) -> Result<(RemoteBody, Welcome), NoBody> {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1, seed);
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let failed = tokio::select! {
                opened = self.open() => match opened {
                    Ok(opened) => return Ok(opened),
                    Err(failed) => failed,
                },
                () = cancel.cancelled() => return Err(NoBody::Cancelled),
            };
            let refused = matches!(failed, NoBody::Remote(RemoteError::Refused(_)) | NoBody::Unsound(_));
            let pause = backoff.next_pause();
            if refused || tokio::time::Instant::now() + pause > deadline {
                return Err(failed);
            }
            tracing::info!(reason = %failed, "waiting for the body");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return Err(NoBody::Cancelled),
            }
        }
    }
}

/// Everything needed to bring a lost body back.
pub struct BodyConnector {
    /// How it is reached.
    pub endpoint: BodyEndpoint,
    /// What it was.
    pub descriptor: BodyDescriptor,
    /// Where it may go.
    pub fence: Fence,
    /// Bodies into the loop and out of it.
    pub end: BodyEnd<RemoteBody>,
    /// Whether the loop has a body.
    pub gauges: Arc<Gauges>,
    /// Makes the pauses differ from robot to robot.
    pub seed: u64,
}

impl BodyConnector {
    /// Brings the body back as often as it is lost, until cancelled.
    pub async fn run(&mut self, cancel: CancellationToken, heartbeat: &Heartbeat) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1, self.seed);
        while !cancel.is_cancelled() {
            let pause = if self.gauges.has_body() {
                backoff.reset();
                LOOK_EVERY
            } else {
                // Connecting is bounded in time.
                heartbeat.while_waiting(self.bring_back(&mut backoff)).await
            };
            tokio::select! {
                () = heartbeat.while_waiting(tokio::time::sleep(pause)) => {}
                () = cancel.cancelled() => return,
            }
        }
    }

    async fn bring_back(&mut self, backoff: &mut Backoff) -> Duration {
        while let Ok(old) = self.end.lost.pop() {
            tracing::error!(reason = %old.why, "the body is lost; the robot is halted until it is back");
            drop(old);
        }
        match again(&self.endpoint, &self.descriptor, &self.fence).await {
            Ok(body) => {
                tracing::info!("the body is back");
                if self.end.attach.push(Box::new(body)).is_err() {
                    tracing::error!("the reflex loop takes no body");
                }
                LOOK_EVERY
            }
            Err(reason) => {
                tracing::warn!(%reason, "the body is not there");
                backoff.next_pause()
            }
        }
    }
}

async fn again(
    endpoint: &BodyEndpoint,
    descriptor: &BodyDescriptor,
    fence: &Fence,
) -> Result<SafeBody<RemoteBody>, NoBody> {
    let (body, welcome) = endpoint.open().await?;
    if welcome.descriptor != *descriptor {
        let (was, is) = (Box::new(*descriptor), Box::new(welcome.descriptor));
        return Err(NoBody::Changed { was, is });
    }
    Ok(SafeBody::new(body, fence.clone()))
}
