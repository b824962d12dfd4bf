//! Robots' streams: `AgentControl`.
//!
//! What a robot reports of its latches is noted before it waits for the core, and a core that is busy delays neither
//! the reading of acknowledgements nor the sending of a STOP.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use skein_types::ids::AgentId;
use skein_types::link::{AgentReport, Hello};
use skein_types::telemetry::TelemetryBatch;
use skein_wire::v1::agent_control_server::AgentControl;
use skein_wire::{WireError, v1};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::core_actor::{CoreHandle, CoreMessage};
use crate::meter::Meter;
use crate::problem::Problem;
use crate::proof::{Challenge, Challenges};
use crate::stop_lane::{RobotStream, StopLane};

/// Commands that may wait for one robot's stream. What finds no room is repeated by the core.
const COMMANDS_MAX: usize = 64;
/// Hello must come within this time.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Messages that cannot be decoded, one after the other, after which the stream is closed.
const INVALID_MAX: u32 = 50;
/// Reports of one robot that may wait for a busy core. When they are as many, the stream is slowed by its flow control.
const BACKLOG_MAX: usize = 64;
/// The metadata key of the challenge that a robot signs in its Hello.
pub(crate) const CHALLENGE_KEY: &str = "skein-challenge";

/// The service for robots.
pub(crate) struct RobotLinks {
    pub(crate) core: CoreHandle,
    pub(crate) lane: Arc<StopLane>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    pub(crate) challenges: Challenges,
    pub(crate) opened: AtomicU64,
}

type Commands = Result<v1::CloudCommand, Status>;

#[tonic::async_trait]
impl AgentControl for RobotLinks {
    type LinkStreamStream = Pin<Box<dyn Stream<Item = Commands> + Send>>;

    async fn link_stream(
        &self,
        request: Request<Streaming<v1::AgentReport>>,
    ) -> Result<Response<Self::LinkStreamStream>, Status> {
        let challenge =
            self.challenges.draw().map_err(|error| Status::unavailable(format!("no randomness: {error}")))?;
        let (stream, commands) = RobotStream::new(self.opened.fetch_add(1, Ordering::Relaxed), COMMANDS_MAX);
        let link =
            Link { core: self.core.clone(), lane: self.lane.clone(), meter: self.meter.clone(), stream, challenge };
        let (reports, closing) = (request.into_inner(), self.closing.clone());
        self.tasks.spawn(async move {
            let stream = link.stream.clone();
            tokio::select! {
                () = link.run(reports) => {}
                () = closing.cancelled() => {}
            }
            stream.finish();
        });
        let mut response: Response<Self::LinkStreamStream> = Response::new(Box::pin(commands));
        let mut text = String::with_capacity(64);
        for byte in challenge {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        if let Ok(value) = text.parse() {
            response.metadata_mut().insert(CHALLENGE_KEY, value);
        }
        Ok(response)
    }
}

/// One robot's stream.
struct Link {
    core: CoreHandle,
    lane: Arc<StopLane>,
    meter: Arc<Meter>,
    stream: Arc<RobotStream>,
    challenge: Challenge,
}

impl Link {
    async fn run(self, mut reports: Streaming<v1::AgentReport>) {
        let hello = match tokio::time::timeout(HELLO_WITHIN, read_hello(&mut reports)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(status)) => return self.stream.refuse(status),
            Err(_elapsed) => return self.stream.refuse(Status::deadline_exceeded("send Hello first")),
        };
        let agent = hello.agent.clone();
        if let Err(status) = self.open(hello.clone()).await {
            tracing::warn!(robot = %agent, reason = status.message(), "refused a robot");
            return self.stream.refuse(status);
        }
        tracing::info!(robot = %agent, "a robot connected");
        if let Err(status) = self.listen(&hello, &mut reports).await {
            self.stream.refuse(status);
        }
        tracing::info!(robot = %agent, "a robot's stream ended");
        // At once, so that a robot that comes back finds its place free although the core is busy.
        self.lane.remove(&agent, self.stream.number);
        // When the core is gone, so is what it would have to know.
        let _ = self.core.send(CoreMessage::Closed { stream: self.stream.number, agent }).await;
    }

    /// Admits the stream as that of the robot it says, unless the robot has one that answers.
    async fn open(&self, hello: Hello) -> Result<(), Status> {
        let agent = hello.agent.clone();
        crate::proof::verify(&self.challenge, &hello)?;
        if self.lane.is_taken(&agent).await {
            let what = "a second stream came while the robot's own stream answers, and was refused".to_owned();
            let conflict = CoreMessage::IdentityConflict { agent: agent.clone(), what };
            self.core.send(conflict).await.map_err(Problem::from)?;
            return Err(Status::already_exists(format!("{agent} is connected on another stream that answers")));
        }
        let (hello, stream) = (Box::new(hello), self.stream.clone());
        let latch = hello.latch.clone();
        self.lane.on_report(&agent, &self.stream, &AgentReport::Latch(latch));
        let opened = self.core.ask(|reply| CoreMessage::Opened { hello, stream, reply }).await;
        opened.map_err(Problem::from)?.map_err(|refusal| Status::from(Problem::from(refusal)))
    }

    /// Takes in what the robot reports until it stops. Reading goes on while the core is busy, as far as there is room.
    async fn listen(&self, first: &Hello, reports: &mut Streaming<v1::AgentReport>) -> Result<(), Status> {
        let mut backlog: VecDeque<AgentReport> = VecDeque::new();
        let mut invalid = 0;
        loop {
            tokio::select! {
                biased;
                place = self.core.reserve(), if !backlog.is_empty() => {
                    let place = place.map_err(Problem::from)?;
                    if let Some(report) = backlog.pop_front() {
                        let (stream, agent) = (self.stream.number, first.agent.clone());
                        place.send(CoreMessage::Report { stream, agent, report });
                    }
                }
                wire = reports.next(), if backlog.len() < BACKLOG_MAX => {
                    let Some(wire) = wire else { return self.deliver(first, backlog).await };
                    if let Some(report) = self.decode(&first.agent, wire?, &mut invalid)? {
                        self.check_identity(first, &report).await?;
                        self.lane.on_report(&first.agent, &self.stream, &report);
                        enqueue(&mut backlog, report);
                    }
                }
            }
        }
    }

    /// The robot closed its side: what it said before still counts.
    async fn deliver(&self, first: &Hello, backlog: VecDeque<AgentReport>) -> Result<(), Status> {
        for report in backlog {
            let (stream, agent) = (self.stream.number, first.agent.clone());
            self.core.send(CoreMessage::Report { stream, agent, report }).await.map_err(Problem::from)?;
        }
        Ok(())
    }

    /// A stream speaks for the robot of its first Hello.
    async fn check_identity(&self, first: &Hello, report: &AgentReport) -> Result<(), Status> {
        let AgentReport::Hello(hello) = report else { return Ok(()) };
        if hello.agent == first.agent && hello.boot == first.boot && hello.proof == first.proof {
            return Ok(());
        }
        let what = format!("a second Hello as {} came on the stream of {}", hello.agent, first.agent);
        let conflict = CoreMessage::IdentityConflict { agent: hello.agent.clone(), what: what.clone() };
        self.core.send(conflict).await.map_err(Problem::from)?;
        Err(Status::permission_denied(what))
    }

    /// One bad sensor must not cost the robot its connection: what cannot be decoded is left out, and counted.
    fn decode(&self, agent: &AgentId, wire: v1::AgentReport, invalid: &mut u32) -> Result<Option<AgentReport>, Status> {
        match decode_report(wire) {
            Ok((report, 0)) => {
                *invalid = 0;
                Ok(Some(report))
            }
            Ok((report, dropped)) => {
                self.meter.refused_samples.add(dropped);
                Ok(Some(report))
            }
            Err(Undecodable::Samples(error, dropped)) => {
                self.meter.refused.add(1);
                self.meter.refused_samples.add(dropped);
                tracing::debug!(robot = %agent, %error, "left out telemetry that cannot be decoded");
                Ok(None)
            }
            Err(Undecodable::Message(error)) => {
                *invalid += 1;
                self.meter.refused.add(1);
                if *invalid == 1 {
                    tracing::warn!(robot = %agent, %error, "left out a message that cannot be decoded");
                }
                if *invalid >= INVALID_MAX { Err(Problem::from(error).into()) } else { Ok(None) }
            }
        }
    }
}

/// Telemetry is replaced by newer telemetry while it waits; everything else keeps its place.
fn enqueue(backlog: &mut VecDeque<AgentReport>, report: AgentReport) {
    if matches!(report, AgentReport::Telemetry(_)) {
        backlog.retain(|waiting| !matches!(waiting, AgentReport::Telemetry(_)));
    }
    backlog.push_back(report);
}

/// Why a report is left out.
enum Undecodable {
    /// No sample of a telemetry batch can be decoded.
    Samples(WireError, u64),
    Message(WireError),
}

/// A report, and how many samples of it were left out because they cannot be decoded.
fn decode_report(wire: v1::AgentReport) -> Result<(AgentReport, u64), Undecodable> {
    let Some(v1::agent_report::Report::Telemetry(batch)) = wire.report else {
        return AgentReport::try_from(wire).map(|report| (report, 0)).map_err(Undecodable::Message);
    };
    let error = match TelemetryBatch::try_from(batch.clone()) {
        Ok(batch) => return Ok((AgentReport::Telemetry(batch), 0)),
        Err(error) => error,
    };
    let (samples, dropped) = decode_samples(batch);
    if samples.is_empty() {
        return Err(Undecodable::Samples(error, dropped));
    }
    Ok((AgentReport::Telemetry(TelemetryBatch { samples }), dropped))
}

/// The samples of a batch that can be decoded. Samples say only what changed since the one before, so those after a
/// sample that cannot be decoded count only from the next that says everything.
fn decode_samples(batch: v1::TelemetryBatch) -> (Vec<skein_types::telemetry::AgentTelemetry>, u64) {
    let (mut samples, mut dropped) = (Vec::new(), 0);
    let mut chain: Vec<v1::AgentTelemetry> = Vec::new();
    for sample in batch.samples {
        if sample.unchanged == 0 {
            chain.clear();
        }
        chain.push(sample);
        let decoded = TelemetryBatch::try_from(v1::TelemetryBatch { samples: chain.clone() });
        match decoded.map(|mut batch| batch.samples.pop()) {
            Ok(Some(sample)) => samples.push(sample),
            Ok(None) | Err(_) => dropped += 1,
        }
    }
    (samples, dropped)
}

async fn read_hello(reports: &mut Streaming<v1::AgentReport>) -> Result<Hello, Status> {
    let first = reports.next().await.ok_or_else(|| Status::invalid_argument("the stream ended before Hello"))??;
    match AgentReport::try_from(first).map_err(Status::from)? {
        AgentReport::Hello(hello) => Ok(hello),
        AgentReport::Telemetry(_)
        | AgentReport::Ack(_)
        | AgentReport::Progress(_)
        | AgentReport::Events(_)
        | AgentReport::Latch(_)
        | AgentReport::Hazards(_) => {
            Err(Status::invalid_argument("field report: the first report on a stream is Hello"))
        }
    }
}
