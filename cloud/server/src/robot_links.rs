//! Robots' streams: `AgentControl`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use skein_types::ids::AgentId;
use skein_types::link::{AgentReport, Hello};
use skein_wire::v1;
use skein_wire::v1::agent_control_server::AgentControl;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use crate::core_actor::{Closing, CoreHandle, CoreMessage};
use crate::meter::Meter;
use crate::problem::Problem;

/// Commands that may wait for one robot's stream. What finds no room is repeated by the core.
const COMMANDS_MAX: usize = 64;
/// A robot says who it is within this time.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Messages that make no sense, one after the other, after which the stream is closed.
const INVALID_MAX: u32 = 50;

/// The service for robots.
pub(crate) struct RobotLinks {
    pub(crate) core: CoreHandle,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
}

type Commands = Result<v1::CloudCommand, Status>;

#[tonic::async_trait]
impl AgentControl for RobotLinks {
    type LinkStreamStream = Pin<Box<dyn Stream<Item = Commands> + Send>>;

    async fn link_stream(
        &self,
        request: Request<Streaming<v1::AgentReport>>,
    ) -> Result<Response<Self::LinkStreamStream>, Status> {
        let (out, commands) = mpsc::channel(COMMANDS_MAX);
        let link = Link { core: self.core.clone(), meter: self.meter.clone(), out };
        let (reports, closing) = (request.into_inner(), self.closing.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = link.run(reports) => {}
                () = closing.cancelled() => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(commands))))
    }
}

/// One robot's stream.
struct Link {
    core: CoreHandle,
    meter: Arc<Meter>,
    out: mpsc::Sender<Commands>,
}

impl Link {
    async fn run(self, mut reports: Streaming<v1::AgentReport>) {
        let hello = match tokio::time::timeout(HELLO_WITHIN, read_hello(&mut reports)).await {
            Ok(Ok(hello)) => hello,
            Ok(Err(status)) => return self.refuse(status).await,
            Err(_elapsed) => return self.refuse(Status::deadline_exceeded("say Hello first")).await,
        };
        let agent = hello.agent.clone();
        let (to, mut commands) = mpsc::channel(COMMANDS_MAX);
        let opened = self.core.ask(|reply| CoreMessage::Opened { hello: Box::new(hello), to, reply }).await;
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(refusal)) => {
                tracing::warn!(robot = %agent, %refusal, "turned a robot away");
                return self.refuse(Problem::from(refusal).into()).await;
            }
            Err(closing) => return self.refuse(Problem::from(closing).into()).await,
        };
        tracing::info!(robot = %agent, "a robot connected");
        let sending = async {
            while let Some(command) = commands.recv().await {
                if self.out.send(Ok(command.into())).await.is_err() {
                    return;
                }
            }
            // The core gave this robot's place to a newer stream.
            self.refuse(Status::aborted("a newer stream of this robot took over")).await;
        };
        tokio::select! {
            () = sending => {}
            ended = self.listen(stream, &agent, &mut reports) => {
                if let Err(status) = ended {
                    self.refuse(status).await;
                }
            }
        }
        tracing::info!(robot = %agent, "a robot's stream ended");
        // When the core is gone, so is what it would have to know.
        let _ = self.core.send(CoreMessage::Closed { stream, agent }).await;
    }

    /// Takes in what the robot says until it stops.
    async fn listen(
        &self,
        stream: u64,
        agent: &AgentId,
        reports: &mut Streaming<v1::AgentReport>,
    ) -> Result<(), Status> {
        let mut invalid = 0;
        while let Some(wire) = reports.next().await {
            match AgentReport::try_from(wire?) {
                Ok(report) => {
                    invalid = 0;
                    let job = CoreMessage::Report { stream, agent: agent.clone(), report };
                    self.core.send(job).await.map_err(|closing: Closing| Status::from(Problem::from(closing)))?;
                }
                // One bad sensor must not cost the robot its way to be stopped: the message is left out, and said so.
                Err(error) => {
                    invalid += 1;
                    self.meter.refused.add(1);
                    if invalid == 1 {
                        tracing::warn!(robot = %agent, %error, "left out a message that makes no sense");
                    }
                    if invalid >= INVALID_MAX {
                        return Err(Problem::from(error).into());
                    }
                }
            }
        }
        Ok(())
    }

    async fn refuse(&self, status: Status) {
        // A robot that is gone need not know why.
        drop(self.out.send(Err(status)).await);
    }
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
