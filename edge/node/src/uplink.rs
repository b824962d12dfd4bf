//! The link to the supervisor: one stream, opened again with backoff and jitter for as long as the process lives.
//!
//! ```text
//!            connected, Hello said              broken, refused, silent
//!   PAUSE ─────────────────────────► STREAMING ─────────────────────────► PAUSE (longer each time)
//! ```
//!
//! The outbox is drained by the stream itself, so a slow network holds nothing up: what is too old is dropped there.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use skein_agent::Input;
use skein_types::ids::CommandId;
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, Order};
use skein_types::mission::TEXT_BYTES_MAX;
use skein_wire::v1::agent_control_client::AgentControlClient;
use skein_wire::{MESSAGE_BYTES_MAX, v1};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::backoff::Backoff;
use crate::clock;
use crate::outbox::Outbox;
use crate::pilot::{Message, PilotHandle};

/// To reach the supervisor's machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// From the first words to the supervisor's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is asked whether it lives this often, and given up after the second figure.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// A stream that lived this long counts as a success: the next pause is short again.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// Everything the link needs.
pub struct Uplink {
    /// `http://host:port`.
    pub url: String,
    /// First words; what changes in them is filled in for each stream.
    pub hello: Hello,
    /// What is to be said.
    pub outbox: Arc<Outbox>,
    /// Who is to hear the orders.
    pub pilot: PilotHandle,
    /// Pauses.
    pub backoff: Backoff,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("cannot use the address {0}")]
    Address(String, #[source] tonic::transport::Error),
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
    #[error("the supervisor does not answer within {ANSWER_TIMEOUT:?}")]
    Silent,
    #[error("the stream broke: {0}")]
    Status(Box<tonic::Status>),
    #[error("the supervisor closed the stream")]
    Closed,
    #[error("an order found no room: {0}")]
    Busy(#[from] crate::pilot::AgentBusy),
}

impl Uplink {
    /// Keeps the link until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let begun = clock::now();
            let ended = tokio::select! {
                () = cancel.cancelled() => return,
                ended = self.stream() => ended,
            };
            // The queue may be full just now; the agent hears of the link again with the next stream.
            let _full = self.pilot.send(Message::Cloud(false));
            if clock::now().since(begun) > GOOD_AFTER {
                self.backoff.reset();
            }
            let pause = self.backoff.next_pause();
            tracing::warn!(reason = %chain(&ended), pause_ms = pause.as_millis(), "no link to the supervisor");
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One stream from its first words to its end, which always has a reason.
    async fn stream(&self) -> Broken {
        // However this ends, the reports of this stream end with it: none of them is given to a stream nobody reads.
        let over = CancellationToken::new();
        let _over_at_the_end = over.clone().drop_guard();
        let mut commands = match self.open(over).await {
            Ok(commands) => commands,
            Err(broken) => return broken,
        };
        tracing::info!(url = %self.url, "linked to the supervisor");
        if let Err(busy) = self.pilot.send(Message::Cloud(true)) {
            return busy.into();
        }
        loop {
            match commands.message().await {
                Ok(Some(command)) => {
                    if let Err(busy) = self.take(command) {
                        return busy;
                    }
                }
                Ok(None) => return Broken::Closed,
                Err(status) => return Broken::Status(Box::new(status)),
            }
        }
    }

    async fn open(&self, over: CancellationToken) -> Result<Streaming<v1::CloudCommand>, Broken> {
        let channel = connect(&self.url).await?;
        let mut client = AgentControlClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        self.outbox.begin_stream();
        let answer = client.link_stream(self.reports(over));
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Broken::Status(Box::new(status))),
            Err(_) => Err(Broken::Silent),
        }
    }

    /// Hello, then whatever the outbox has, until it is over.
    fn reports(&self, over: CancellationToken) -> impl Stream<Item = v1::AgentReport> + Send + 'static {
        let hello = Hello {
            last_command: self.outbox.last_command(),
            working_on: self.outbox.working_on(),
            ..self.hello.clone()
        };
        let rest = stream::unfold(Arc::clone(&self.outbox), |outbox| async move {
            let report = outbox.next().await;
            Some((report, outbox))
        });
        let reports = stream::iter([AgentReport::Hello(hello)]).chain(rest);
        reports.take_until(over.cancelled_owned()).map(v1::AgentReport::from)
    }

    fn take(&self, raw: v1::CloudCommand) -> Result<(), Broken> {
        let id = raw.id.clone();
        match CloudCommand::try_from(raw) {
            Ok(CloudCommand { order: Order::EventsKept { boot, sequence }, .. }) => self.outbox.kept(boot, sequence),
            Ok(command) => self.pilot.input(Input::Command(command))?,
            Err(error) => self.refuse(&id, &error.to_string()),
        }
        Ok(())
    }

    /// An order that makes no sense is answered, if it can be named.
    fn refuse(&self, id: &str, reason: &str) {
        tracing::warn!(command = %id.escape_debug(), reason, "refused an order that makes no sense");
        if let Ok(command) = id.parse::<CommandId>() {
            let reason: String = reason.chars().take(TEXT_BYTES_MAX / 4).collect();
            self.outbox.report(AgentReport::Ack(CommandAck { command, outcome: CommandOutcome::Rejected(reason) }));
        }
    }
}

async fn connect(url: &str) -> Result<Channel, Broken> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|e| Broken::Address(url.to_owned(), e))?;
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(Broken::Connect)
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
