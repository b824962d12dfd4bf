//! The link against a supervisor that breaks it, repeats itself and talks nonsense.
#![expect(clippy::expect_used, reason = "a test that cannot be set up says what is missing")]

use std::sync::Arc;
use std::time::Duration;

use skein_agent::Input;
use skein_edge::agent_thread::{AgentMailbox, ORDERS_MAX};
use skein_edge::clock;
use skein_edge::latch_file::LatchFile;
use skein_edge::latch_service::{LatchService, LatchThreads};
use skein_edge::outbox::SharedOutbox;
use skein_edge::robot_key::KeyFile;
use skein_edge::rt::LatchCell;
use skein_edge::uplink::{CHALLENGE_KEY, Uplink};
use skein_robot::backoff::Backoff;
use skein_robot::latch::{LatchAuthority, Start};
use skein_robot::link::{RobotIdentity, RobotKey as _};
use skein_types::authority::{LatchAction, LatchOrder, LatchRequest, LatchScope, LatchSet, Term, hello_message};
use skein_types::body::BodyDescriptor;
use skein_types::event::{Event, EventHash, EventKind};
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, CommandId, EventId, FleetId, Generation, MissionId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Order};
use skein_types::safety::Latch;
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
        let mut response = Response::new(ReceiverStream::new(outgoing));
        response.metadata_mut().insert(CHALLENGE_KEY, "07".repeat(32).parse().expect("hex digits"));
        Ok(response)
    }
}

struct Bench {
    streams: mpsc::Receiver<Stream>,
    outbox: Arc<SharedOutbox>,
    agent: AgentMailbox,
    latch: Arc<LatchService>,
    cell: Arc<LatchCell>,
    key: KeyFile,
    cancel: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
    threads: LatchThreads,
    _folder: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.threads.end(false, Duration::from_secs(1));
    }
}

fn identity() -> RobotIdentity {
    RobotIdentity {
        robot: AgentId::new("rover-1").expect("a name"),
        fleet: FleetId::new("test").expect("a name"),
        boot: BOOT,
        body: BodyDescriptor::rover(),
        home: Pose::default(),
        software: "0.1.0".into(),
        debug_address: String::new(),
        map_hash: "00".into(),
    }
}

async fn bench() -> Bench {
    let (tell, streams) = mpsc::channel(4);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut tasks = tokio::task::JoinSet::new();
    let server = tonic::transport::Server::builder().add_service(AgentControlServer::new(Supervisor(tell)));
    tasks.spawn(async move { server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("it serves") });
    let folder = tempfile::tempdir().expect("a folder");
    let (outbox, agent, cell) = (Arc::<SharedOutbox>::default(), AgentMailbox::default(), Arc::<LatchCell>::default());
    let (file, found) = LatchFile::open(folder.path());
    let RobotIdentity { robot, fleet, boot, .. } = identity();
    let start = Start {
        robot,
        fleet,
        boot,
        kernel_boot: "k".into(),
        now: clock::now(),
        wall: clock::wall(),
        mesh_may_release: false,
    };
    let authority = LatchAuthority::start(clock::now(), &start, found);
    let latch = LatchService::new(authority, Arc::clone(&cell), Arc::clone(&outbox), agent.clone());
    let threads = latch.start(file).expect("two threads");
    let key = KeyFile::open(folder.path()).expect("a key");
    let cancel = CancellationToken::new();
    let uplink = Uplink {
        url,
        identity: identity(),
        key: Some(Arc::new(key.clone())),
        outbox: Arc::clone(&outbox),
        agent: agent.clone(),
        latch: Arc::clone(&latch),
        backoff: Backoff::new(Duration::from_millis(10), Duration::from_millis(20), 1),
    };
    tasks.spawn(uplink.run(cancel.clone(), Arc::default()));
    Bench { streams, outbox, agent, latch, cell, key, cancel, tasks, threads, _folder: folder }
}

impl Bench {
    async fn stream(&mut self) -> Stream {
        tokio::time::timeout(PATIENCE, self.streams.recv()).await.expect("in time").expect("a stream")
    }

    async fn order(&self) -> Input {
        loop {
            if let Some(order) = self.agent.try_order() {
                return order;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn end(mut self) {
        self.cancel.cancel();
        self.tasks.shutdown().await;
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

fn request(n: u128, action: LatchAction) -> LatchRequest {
    LatchRequest {
        id: CommandId(Uuid::from_u128(n)),
        scope: LatchScope::Robot,
        action,
        reason: "test".into(),
        by: "operator:ada".parse().expect("a principal"),
        at: WallTime::default(),
    }
}

fn latch_order(n: u128, action: LatchAction) -> Order {
    Order::Latch(LatchOrder { request: Some(request(n, action)), state: LatchSet::default() })
}

/// The next report that is neither a latch nor telemetry.
async fn ack(stream: &mut Stream) -> CommandAck {
    loop {
        if let AgentReport::Ack(ack) = stream.next().await {
            return ack;
        }
    }
}

#[tokio::test]
async fn after_a_break_the_link_comes_back_and_repeats_what_may_be_lost() {
    let mut bench = bench().await;
    let mut first = bench.stream().await;
    assert!(matches!(first.next().await, AgentReport::Hello(hello) if hello.boot == BOOT));
    bench.outbox.event(event(0));
    bench.outbox.event(event(1));
    bench.outbox.report(done(5));
    let mut seen = Vec::new();
    while seen.iter().filter(|report| matches!(report, AgentReport::Events(_) | AgentReport::Ack(_))).count() < 2 {
        seen.push(first.next().await);
    }
    assert!(seen.contains(&done(5)));
    first.order(order(6, Order::EventsKept { boot: BOOT, sequence: 0 })).await;
    first.order(order(7, Order::Pause(MissionId(Uuid::nil())))).await;
    assert!(matches!(bench.order().await, Input::Command(CloudCommand { order: Order::Pause(_), .. })));
    drop(first);
    let mut second = bench.stream().await;
    let AgentReport::Hello(again) = second.next().await else { panic!("Hello comes first") };
    assert_eq!(again.last_command, Some(CommandId(Uuid::from_u128(5))));
    assert_eq!(ack(&mut second).await.command, CommandId(Uuid::from_u128(5)));
    loop {
        match second.next().await {
            AgentReport::Events(batch) => break assert_eq!(batch.events, [event(1)]),
            AgentReport::Latch(_) => {}
            other => panic!("{other:?}"),
        }
    }
    bench.end().await;
}

#[tokio::test]
async fn hello_proves_the_robots_name_with_the_supervisors_challenge() {
    let mut bench = bench().await;
    let mut stream = bench.stream().await;
    let AgentReport::Hello(hello) = stream.next().await else { panic!("Hello comes first") };
    let proof = hello.proof.expect("a proof");
    assert_eq!(proof.public_key, bench.key.public_key());
    let message = hello_message(&[7; 32], &hello.fleet, &hello.agent, hello.boot, &proof.public_key);
    assert_eq!(proof.signature, bench.key.sign(&message));
    bench.end().await;
}

#[tokio::test]
async fn a_stop_is_in_the_cell_and_acknowledged_while_the_agent_takes_nothing() {
    let mut bench = bench().await;
    let mut stream = bench.stream().await;
    stream.next().await;
    for n in 0..ORDERS_MAX {
        bench.agent.order(Input::Cycle).unwrap_or_else(|_| panic!("room for {n}"));
    }
    stream.order(order(3, latch_order(30, LatchAction::Stop))).await;
    let stopped = ack(&mut stream).await;
    assert_eq!((stopped.command, stopped.outcome), (CommandId(Uuid::from_u128(3)), CommandOutcome::Done));
    assert_eq!(bench.cell.view().level, Latch::Stop);
    stream.order(order(4, Order::Pause(MissionId(Uuid::nil())))).await;
    let refused = ack(&mut stream).await;
    assert!(matches!(refused.outcome, CommandOutcome::Failed(_)), "a full agent refuses by name: {refused:?}");
    let epoch = bench.latch.latches().own.epoch;
    stream.order(order(5, latch_order(31, LatchAction::Release { epoch }))).await;
    assert_eq!(ack(&mut stream).await.outcome, CommandOutcome::Done);
    assert_eq!(bench.cell.view().level, Latch::Released);
    bench.end().await;
}

#[tokio::test]
async fn a_planner_whose_term_is_over_stops_and_does_nothing_else() {
    let mut bench = bench().await;
    let mut stream = bench.stream().await;
    stream.next().await;
    let of_term = |n, term, order_of| CloudCommand { term: Term(term), ..order(n, order_of) };
    stream.order(of_term(3, 9, Order::Lease(None))).await;
    assert_eq!(ack(&mut stream).await.outcome, CommandOutcome::Done);
    stream.order(of_term(4, 8, Order::Pause(MissionId(Uuid::nil())))).await;
    assert!(matches!(ack(&mut stream).await.outcome, CommandOutcome::Rejected(why) if why.contains("t8")));
    stream.order(of_term(5, 8, latch_order(50, LatchAction::Stop))).await;
    assert_eq!(ack(&mut stream).await.outcome, CommandOutcome::Done);
    assert_eq!(bench.cell.view().level, Latch::Stop);
    bench.end().await;
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_refused_by_name_and_the_stream_goes_on() {
    let mut bench = bench().await;
    let mut stream = bench.stream().await;
    stream.next().await;
    let nonsense = v1::CloudCommand { id: Uuid::from_u128(3).to_string(), ..v1::CloudCommand::default() };
    stream.commands.send(Ok(nonsense)).await.expect("the robot listens");
    stream.commands.send(Ok(v1::CloudCommand { id: "?".into(), ..v1::CloudCommand::default() })).await.expect("so");
    let refused = ack(&mut stream).await;
    assert_eq!(refused.command, CommandId(Uuid::from_u128(3)));
    assert!(matches!(refused.outcome, CommandOutcome::Rejected(_)), "{refused:?}");
    stream.order(order(4, Order::Pause(MissionId(Uuid::nil())))).await;
    assert!(matches!(bench.order().await, Input::Command(CloudCommand { order: Order::Pause(_), .. })));
    bench.end().await;
}
