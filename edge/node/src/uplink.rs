//! The link to the supervisor: the sockets and timers of a [`LinkSession`].
//!
//! The outbox is drained by the stream itself, so a slow network holds nothing up. Latch orders go to the latch service
//! in the task that reads them: no queue, no agent.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use skein_agent::Input;
use skein_robot::latch::LatchInput;
use skein_robot::link::{
    Destination, LinkInput, LinkOutput, LinkSession, RobotIdentity, RobotKey, admitted_order, destination, stale_reason,
};
use skein_types::ids::CommandId;
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Order};
use skein_types::mission::TEXT_BYTES_MAX;
use skein_wire::v1::agent_control_client::AgentControlClient;
use skein_wire::{MESSAGE_BYTES_MAX, v1};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Streaming;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use crate::agent_thread::AgentMailbox;
use crate::clock;
use crate::heartbeat::{BEAT_EVERY, Heartbeat};
use crate::latch_service::LatchService;
use crate::outbox::SharedOutbox;

/// To reach the supervisor's machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A silent connection is probed this often, and given up after the second figure.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Response metadata that carries the challenge, 64 hex digits.
pub const CHALLENGE_KEY: &str = "skein-challenge";

/// Everything the link needs.
#[derive(Clone)]
pub struct Uplink {
    /// `http://host:port`.
    pub url: String,
    /// How the robot introduces itself.
    pub identity: RobotIdentity,
    /// Proves its name; `None` when there is no key.
    pub key: Option<Arc<dyn RobotKey + Send + Sync>>,
    /// What is to be sent.
    pub outbox: Arc<SharedOutbox>,
    /// Where orders go.
    pub agent: AgentMailbox,
    /// For latches, leases and terms.
    pub latch: Arc<LatchService>,
    /// Pauses between attempts to connect.
    pub backoff: skein_robot::backoff::Backoff,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("cannot use the address {0}")]
    Address(String, #[source] tonic::transport::Error),
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
    #[error("the stream broke: {0}")]
    Status(Box<tonic::Status>),
    #[error("the supervisor closed the stream")]
    Closed,
}

/// A stream whose Hello has not been sent.
struct Opened {
    commands: Streaming<v1::CloudCommand>,
    challenge: Option<[u8; 32]>,
    greet: oneshot::Sender<AgentReport>,
    over: DropGuard,
}

type Attempt = Pin<Box<dyn Future<Output = Result<Opened, Broken>> + Send>>;

/// The connection in its present state.
#[derive(Default)]
struct Connection {
    attempt: Option<Attempt>,
    greet: Option<oneshot::Sender<AgentReport>>,
    /// Commands, and what ends the reports of the same stream with it.
    commands: Option<(Streaming<v1::CloudCommand>, DropGuard)>,
}

impl Uplink {
    /// Keeps the link until cancelled.
    pub async fn run(self, cancel: CancellationToken, heartbeat: Arc<Heartbeat>) {
        let mut session = LinkSession::new(clock::now(), self.backoff.clone());
        let mut connection = Connection::default();
        loop {
            heartbeat.beat(clock::now());
            self.perform(&mut session, &mut connection);
            let pause = session.next_deadline().map_or(BEAT_EVERY, |at| at.since(clock::now()).min(BEAT_EVERY));
            let input = tokio::select! {
                () = cancel.cancelled() => break,
                input = self.next(&mut connection) => input,
                () = tokio::time::sleep(pause) => Some(LinkInput::Tick),
            };
            if let Some(input) = input {
                session.handle(clock::now(), input);
            }
        }
        self.agent.cloud(false);
    }

    fn perform(&self, session: &mut LinkSession, connection: &mut Connection) {
        session.handle(clock::now(), LinkInput::Tick);
        while let Some(output) = session.poll_output() {
            match output {
                LinkOutput::Dial => {
                    *connection = Connection { attempt: Some(Box::pin(self.clone().open())), ..Connection::default() };
                }
                LinkOutput::HangUp => *connection = Connection::default(),
                LinkOutput::Greet { challenge } => self.greet(connection, challenge),
                LinkOutput::Up => {
                    tracing::info!(url = %self.url, "linked to the supervisor");
                    self.agent.cloud(true);
                }
                LinkOutput::Down { reason, pause } => {
                    *connection = Connection::default();
                    self.agent.cloud(false);
                    tracing::warn!(%reason, pause_ms = pause.as_millis(), "no link to the supervisor");
                }
            }
        }
    }

    fn greet(&self, connection: &mut Connection, challenge: Option<[u8; 32]>) {
        self.outbox.begin_stream();
        let standing = self.outbox.standing(self.latch.report());
        let key = self.key.as_ref().map(|key| &**key as &dyn RobotKey);
        let hello = self.identity.hello(standing, challenge, key);
        // A stream that has ended meanwhile says so by itself.
        if let Some(greet) = connection.greet.take() {
            drop(greet.send(AgentReport::Hello(hello)));
        }
    }

    /// Waits for the next thing that changes the session; commands are obeyed on the way.
    async fn next(&self, connection: &mut Connection) -> Option<LinkInput> {
        if let Some(attempt) = &mut connection.attempt {
            let opened = attempt.await;
            connection.attempt = None;
            return Some(match opened {
                Ok(Opened { commands, challenge, greet, over }) => {
                    connection.commands = Some((commands, over));
                    connection.greet = Some(greet);
                    LinkInput::Connected { challenge }
                }
                Err(broken) => LinkInput::Broken { reason: chain(&broken) },
            });
        }
        let Some((commands, _)) = &mut connection.commands else { return std::future::pending().await };
        let broken = match commands.message().await {
            Ok(Some(command)) => {
                self.take(command);
                return None;
            }
            Ok(None) => Broken::Closed,
            Err(status) => Broken::Status(Box::new(status)),
        };
        Some(LinkInput::Broken { reason: chain(&broken) })
    }

    async fn open(self) -> Result<Opened, Broken> {
        let over = CancellationToken::new();
        let channel = connect(&self.url).await?;
        let mut client = AgentControlClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (greet, greeting) = oneshot::channel();
        let reports = self.reports(greeting, over.clone());
        let response = client.link_stream(reports).await.map_err(|status| Broken::Status(Box::new(status)))?;
        let challenge = challenge_in(response.metadata());
        Ok(Opened { commands: response.into_inner(), challenge, greet, over: over.drop_guard() })
    }

    /// Hello once it is made, then whatever the outbox has, until the stream is over: nothing is given to a stream that
    /// nobody reads.
    fn reports(
        &self,
        greeting: oneshot::Receiver<AgentReport>,
        over: CancellationToken,
    ) -> impl Stream<Item = v1::AgentReport> + Send + 'static {
        let first = stream::once(greeting).filter_map(|hello| async move { hello.ok() });
        let rest = stream::unfold(Arc::clone(&self.outbox), |outbox| async move {
            let report = outbox.next().await;
            Some((report, outbox))
        });
        first.chain(rest).take_until(over.cancelled_owned()).map(v1::AgentReport::from)
    }

    fn take(&self, raw: v1::CloudCommand) {
        let id = raw.id.clone();
        match CloudCommand::try_from(raw) {
            Ok(command) => self.obey(command),
            Err(error) => self.refuse(&id, &error.to_string()),
        }
    }

    fn obey(&self, command: CloudCommand) {
        let known = self.latch.term();
        if destination(&command, known) == Destination::Stale {
            return self.ack(command.id, CommandOutcome::Rejected(stale_reason(&command, known)));
        }
        if let Order::Latch(order) = command.order {
            // The order first: nothing stands before a STOP.
            let order = admitted_order(order, command.term, known);
            self.latch.handle(LatchInput::Order { command: command.id, order });
            return self.latch.handle(LatchInput::Term(command.term));
        }
        if command.term > known {
            self.latch.handle(LatchInput::Term(command.term));
        }
        match command.order {
            Order::EventsKept { boot, sequence } => self.outbox.kept(boot, sequence),
            Order::Lease(grant) => {
                self.latch.handle(LatchInput::Lease(grant));
                self.ack(command.id, CommandOutcome::Done);
            }
            Order::Hazards(hazards) => {
                let taken = self.agent.order(Input::Hazards(hazards));
                self.ack(
                    command.id,
                    taken.map_or_else(|busy| CommandOutcome::Failed(busy.to_string()), |()| CommandOutcome::Done),
                );
            }
            _ => self.give(command),
        }
    }

    /// A full agent is no reason to break the stream: the order is refused by name, and the supervisor decides.
    fn give(&self, command: CloudCommand) {
        let id = command.id;
        if let Err(busy) = self.agent.order(Input::Command(command)) {
            tracing::warn!(command = %id, reason = %busy, "refused an order");
            self.ack(id, CommandOutcome::Failed(busy.to_string()));
        }
    }

    /// An order that makes no sense is answered, if it can be named.
    fn refuse(&self, id: &str, reason: &str) {
        tracing::warn!(command = %id.escape_debug(), reason, "refused an order that makes no sense");
        if let Ok(command) = id.parse::<CommandId>() {
            let reason: String = reason.chars().take(TEXT_BYTES_MAX / 4).collect();
            self.ack(command, CommandOutcome::Rejected(reason));
        }
    }

    fn ack(&self, command: CommandId, outcome: CommandOutcome) {
        self.outbox.report(AgentReport::Ack(CommandAck { command, outcome }));
    }
}

fn challenge_in(metadata: &MetadataMap) -> Option<[u8; 32]> {
    let text = metadata.get(CHALLENGE_KEY)?.to_str().ok()?;
    let mut challenge = [0; 32];
    if text.len() != 2 * challenge.len() {
        return None;
    }
    for (index, byte) in challenge.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(challenge)
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
