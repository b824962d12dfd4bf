//! The link against a supervisor that breaks it, repeats itself and talks nonsense.
#![expect(clippy::expect_used, reason = "a test that cannot be set up says what is missing")]

use std::sync::Arc;
use std::time::Duration;

use skein_agent::Input;
use skein_edge::backoff::Backoff;
use skein_edge::outbox::Outbox;
use skein_edge::pilot::{Inbox, Message};
use skein_edge::uplink::Uplink;
use skein_types::authority::{LatchReport, Term};
use skein_types::body::BodyDescriptor;
use skein_types::event::{Event, EventHash, EventKind};
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, CommandId, EventId, FleetId, Generation};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, Order, SCHEMA};
use skein_types::time::{MonoTime, WallTime};
use skein_wire::v1;
use skein_wire::v1::agent_control_server::{AgentControl, AgentControlServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);
const BOOT: BootId = BootId(Uuid::from_u128(9));

/// One stream as the supervisor sees it.
struct Stream {
    reports: Streaming<v1::AgentReport>,
    commands: mpsc::Sender<Result<v1::CloudCommand, Status>>,
}

impl Stream {
    async fn next(&mut self) -> AgentReport {
        let raw = tokio::time::timeout(PATIENCE, self.reports.message()).await.expect("in time").expect("sound");
        AgentReport::try_from(raw.expect("one more")).expect("what it says makes sense")
    }

    async fn order(&self, command: CloudCommand) {
        self.commands.send(Ok(command.into())).await.expect("the robot listens");
    }
}

struct Supervisor(mpsc::Sender<Stream>);

#[tonic::async_trait]
impl AgentControl for Supervisor {
    type LinkStreamStream = ReceiverStream<Result<v1::CloudCommand, Status>>;

    async fn link_stream(
        &self,
        request: Request<Streaming<v1::AgentReport>>,
    ) -> Result<Response<Self::LinkStreamStream>, Status> {
        let (commands, outgoing) = mpsc::channel(8);
        let stream = Stream { reports: request.into_inner(), commands };
        self.0.send(stream).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

struct Bench {
    streams: mpsc::Receiver<Stream>,
    outbox: Arc<Outbox>,
    inbox: Inbox,
    cancel: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

fn hello() -> Hello {
    Hello {
        agent: AgentId::new("rover-1").expect("a name"),
        fleet: FleetId::new("test").expect("a name"),
        boot: BOOT,
        body: BodyDescriptor::rover(),
        home: Pose::default(),
        software: "0.1.0".into(),
        schema: SCHEMA,
        last_command: None,
        working_on: None,
        debug_address: String::new(),
        map_hash: "00".into(),
        latch: LatchReport::default(),
        proof: None,
    }
}

async fn bench() -> Bench {
    let (tell, streams) = mpsc::channel(4);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut tasks = tokio::task::JoinSet::new();
    let server = tonic::transport::Server::builder().add_service(AgentControlServer::new(Supervisor(tell)));
    tasks.spawn(async move { server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("it serves") });
    let (outbox, inbox, cancel) = (Arc::<Outbox>::default(), Inbox::default(), CancellationToken::new());
    let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(20), 1);
    let uplink = Uplink { url, hello: hello(), outbox: Arc::clone(&outbox), pilot: inbox.handle(), backoff };
    tasks.spawn(uplink.run(cancel.clone()));
    Bench { streams, outbox, inbox, cancel, tasks }
}

impl Bench {
    async fn stream(&mut self) -> Stream {
        tokio::time::timeout(PATIENCE, self.streams.recv()).await.expect("in time").expect("a stream")
    }

    async fn message(&mut self) -> Message {
        loop {
            if let Some(message) = self.inbox.try_take() {
                return message;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn event(sequence: u64) -> Event {
    Event {
        id: EventId(Uuid::from_u128(u128::from(sequence) + 1)),
        agent: AgentId::new("rover-1").expect("a name"),
        boot: BOOT,
        sequence,
        at: WallTime::default(),
        mono: MonoTime::ZERO,
        kind: EventKind::System,
        name: "tested".into(),
        payload: "{}".into(),
        previous: EventHash::default(),
    }
}

fn order(n: u128, order: Order) -> CloudCommand {
    CloudCommand {
        id: CommandId(Uuid::from_u128(n)),
        generation: Generation(1),
        term: Term(0),
        expires_at: None,
        order,
    }
}

fn done(n: u128) -> AgentReport {
    AgentReport::Ack(CommandAck { command: CommandId(Uuid::from_u128(n)), outcome: CommandOutcome::Done })
}

#[tokio::test]
async fn after_a_break_the_link_comes_back_says_who_it_is_and_repeats_what_may_be_lost() {
    let mut bench = bench().await;
    let mut first = bench.stream().await;
    assert!(matches!(first.next().await, AgentReport::Hello(said) if said == hello()));
    assert!(matches!(bench.message().await, Message::Cloud(true)));
    bench.outbox.event(event(0));
    bench.outbox.event(event(1));
    bench.outbox.report(done(5));
    let mut said = vec![first.next().await, first.next().await];
    if matches!(said.last(), Some(AgentReport::Events(batch)) if batch.events.len() == 1) {
        said.push(first.next().await);
    }
    assert!(said.contains(&done(5)));
    first.order(order(6, Order::EventsKept { boot: BOOT, sequence: 0 })).await;
    first.order(order(7, Order::Stop("test".into()))).await;
    let Message::Input(input) = bench.message().await else { panic!("an order") };
    assert!(matches!(*input, Input::Command(CloudCommand { order: Order::Stop(_), .. })), "{input:?}");
    drop(first);
    let mut second = bench.stream().await;
    let AgentReport::Hello(again) = second.next().await else { panic!("Hello comes first") };
    assert_eq!(again.last_command, Some(CommandId(Uuid::from_u128(5))));
    let repeated = [second.next().await, second.next().await];
    assert_eq!(repeated[0], done(5));
    assert!(matches!(&repeated[1], AgentReport::Events(batch) if batch.events == [event(1)]), "{repeated:?}");
    assert!(matches!(bench.message().await, Message::Cloud(false)));
    assert!(matches!(bench.message().await, Message::Cloud(true)));
    bench.cancel.cancel();
    bench.tasks.shutdown().await;
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_by_name_and_the_stream_goes_on() {
    let mut bench = bench().await;
    let mut stream = bench.stream().await;
    stream.next().await;
    let nonsense = v1::CloudCommand { id: Uuid::from_u128(3).to_string(), ..v1::CloudCommand::default() };
    stream.commands.send(Ok(nonsense)).await.expect("the robot listens");
    stream.commands.send(Ok(v1::CloudCommand { id: "?".into(), ..v1::CloudCommand::default() })).await.expect("so");
    let AgentReport::Ack(ack) = stream.next().await else { panic!("an answer") };
    assert_eq!(ack.command, CommandId(Uuid::from_u128(3)));
    assert!(matches!(ack.outcome, CommandOutcome::Rejected(_)), "{ack:?}");
    stream.order(order(4, Order::Release("test".into()))).await;
    assert!(matches!(bench.message().await, Message::Cloud(true)));
    let Message::Input(input) = bench.message().await else { panic!("an order") };
    assert!(matches!(*input, Input::Command(CloudCommand { order: Order::Release(_), .. })));
    bench.cancel.cancel();
    bench.tasks.shutdown().await;
}

#[tokio::test]
async fn a_flood_of_orders_ends_the_stream_rather_than_lose_one() {
    let mut bench = bench().await;
    let mut stream = bench.stream().await;
    stream.next().await;
    let flood = async {
        for n in 0.. {
            if stream.commands.send(Ok(order(n, Order::Stop("again".into())).into())).await.is_err() {
                return n;
            }
        }
        0
    };
    let sent = tokio::time::timeout(PATIENCE, flood).await.expect("the stream ends");
    assert!(sent >= 1_000, "{sent}");
    bench.cancel.cancel();
    bench.tasks.shutdown().await;
}
