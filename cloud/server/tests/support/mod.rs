//! A server in this process, a pretended robot and a client that speak to it over TCP.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use skein_cloud::mapfile;
use skein_cloud::serve::{Running, ServerConfig, start};
use skein_types::authority::{LatchOrder, LatchReport, LatchSet};
use skein_types::body::BodyDescriptor;
use skein_types::coord::AgentState;
use skein_types::event::{Event, EventBatch, EventHash, EventKind};
use skein_types::geometry::{Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, EventId, FleetId, Generation, MissionId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, Order, SCHEMA};
use skein_types::mission::{SliceProgress, SliceState, Task};
use skein_types::region::Region;
use skein_types::safety::{Causes, FailsafeLevel};
use skein_types::telemetry::{AgentTelemetry, LinkState, OperatingMode, ReflexStats, TelemetryBatch};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, Percent};
use skein_wire::v1;
use skein_wire::v1::agent_control_client::AgentControlClient;
use skein_wire::v1::mission_control_client::MissionControlClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// Far more than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The sample warehouse.
pub fn map() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/maps/warehouse.yaml")
}

/// A server on a free port.
pub async fn serve(state: &Path) -> Running {
    let config = ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        state: state.to_owned(),
        fleet: FleetId::new("test").unwrap(),
        allow_origins: vec!["http://localhost:5173".to_owned()],
    };
    start(&config, mapfile::load(&map()).unwrap()).await.unwrap()
}

/// A connection to a server.
pub async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// A client for people and programs.
pub async fn client(address: SocketAddr) -> MissionControlClient<Channel> {
    MissionControlClient::new(channel(address).await)
}

/// A rectangle in metres of the map.
pub fn spec(min: (f64, f64), max: (f64, f64)) -> v1::MissionSpec {
    let zone = skein_types::polygon::Polygon::rectangle(
        skein_types::geometry::Point::new(min.0, min.1),
        skein_types::geometry::Point::new(max.0, max.1),
    );
    skein_types::mission::MissionSpec {
        name: "test".to_owned(),
        objective: skein_types::mission::Objective::Survey,
        zone: zone.unwrap(),
        priority: skein_types::mission::Priority::NORMAL,
        robots: Vec::new(),
        return_home: false,
    }
    .into()
}

/// A robot at the level of the protocol.
pub struct Robot {
    pub id: AgentId,
    pub boot: BootId,
    pub to: mpsc::Sender<v1::AgentReport>,
    pub from: Streaming<v1::CloudCommand>,
    pub work: Option<(MissionId, Generation, Option<Region>)>,
    pub at: (f64, f64),
    pub latches: LatchSet,
    /// Why its disk does not keep a latch; empty when it does.
    pub disk_error: String,
    pub challenge: String,
    sequence: u64,
}

impl Robot {
    pub fn hello(name: &str, boot: u128) -> Hello {
        Hello {
            agent: AgentId::new(name).unwrap(),
            fleet: FleetId::new("test").unwrap(),
            boot: BootId(Uuid::from_u128(boot)),
            body: BodyDescriptor::rover(),
            home: Pose::new(0.0, 0.0, 0.0),
            software: "0.1.0".to_owned(),
            schema: SCHEMA,
            last_command: None,
            working_on: None,
            debug_address: String::new(),
            map_hash: String::new(),
            latch: LatchReport::default(),
            proof: None,
        }
    }

    pub async fn connect(address: SocketAddr, hello: Hello) -> Self {
        let (to, reports) = mpsc::channel(64);
        let (id, boot) = (hello.agent.clone(), hello.boot);
        to.send(AgentReport::Hello(hello).into()).await.unwrap();
        let mut client = AgentControlClient::new(channel(address).await);
        let answer = client.link_stream(ReceiverStream::new(reports)).await.unwrap();
        let challenge = answer.metadata().get("skein-challenge").unwrap().to_str().unwrap().to_owned();
        let (from, latches) = (answer.into_inner(), LatchSet::default());
        let disk_error = String::new();
        Self { id, boot, to, from, work: None, at: (0.0, 0.0), latches, disk_error, challenge, sequence: 0 }
    }

    pub fn sample(&mut self) -> AgentTelemetry {
        self.sequence += 1;
        AgentTelemetry {
            agent: self.id.clone(),
            at: WallTime::default(),
            sequence: self.sequence,
            pose: Pose::new(self.at.0, self.at.1, 0.0),
            position_std: Meters(0.01),
            twist: Twist::ZERO,
            battery: Percent(90.0),
            mode: OperatingMode::Automatic,
            state: AgentState::Idle,
            failsafe: FailsafeLevel::None,
            causes: Causes::NONE,
            mission: None,
            link: LinkState { cloud: true, mesh: true },
            peers_visible: 0,
            reflex: ReflexStats::default(),
            why: "it waits for work".to_owned(),
        }
    }

    pub async fn say(&self, report: AgentReport) {
        self.to.send(report.into()).await.unwrap();
    }

    pub async fn telemetry(&mut self) {
        let samples = (0..10).map(|_| self.sample()).collect();
        self.say(AgentReport::Telemetry(TelemetryBatch { samples })).await;
    }

    /// The next command; `None` when the stream ended.
    pub async fn command(&mut self) -> Option<CloudCommand> {
        let message = tokio::time::timeout(PATIENCE, self.from.message()).await.expect("no command came").unwrap();
        message.map(|wire| CloudCommand::try_from(wire).unwrap())
    }

    /// The next command of a kind; others are obeyed and passed over.
    pub async fn await_order(&mut self, wanted: fn(&Order) -> bool) -> CloudCommand {
        loop {
            let command = self.command().await.expect("the stream ended");
            self.obey(&command).await;
            if wanted(&command.order) {
                return command;
            }
        }
    }

    pub async fn ack(&self, command: CommandId, outcome: CommandOutcome) {
        self.say(AgentReport::Ack(CommandAck { command, outcome })).await;
    }

    async fn obey(&mut self, command: &CloudCommand) {
        match &command.order {
            Order::Assign(assignment) => {
                let region = match &assignment.task {
                    Task::Survey { region } => Some(region.clone()),
                    Task::GoTo { .. } | Task::Return | Task::Charge => None,
                };
                self.work = Some((assignment.mission, assignment.generation, region));
            }
            Order::Cancel(_) => self.work = None,
            Order::Pause(_) | Order::Resume(_) | Order::Lease(_) => {}
            Order::Latch(order) => return self.latch(command.id, order).await,
            _ => return,
        }
        self.ack(command.id, CommandOutcome::Done).await;
    }

    async fn latch(&mut self, command: CommandId, order: &LatchOrder) {
        self.latches = self.latches.merge(&order.state);
        let applied = order.request.as_ref().map_or(Ok(self.latches.clone()), |request| self.latches.apply(request));
        let outcome = match applied {
            Ok(latches) => {
                self.latches = latches;
                CommandOutcome::Done
            }
            Err(refused) => CommandOutcome::Rejected(refused.to_string()),
        };
        let (kept, error) = (self.disk_error.is_empty(), self.disk_error.clone());
        let not_kept = CommandOutcome::Failed(format!("stopped, not kept: {error}"));
        let report = LatchReport { latches: self.latches.clone(), kept, error, ..LatchReport::default() };
        self.say(AgentReport::Latch(report)).await;
        self.ack(command, if kept { outcome } else { not_kept }).await;
    }

    /// Drives through its work, so that it could have swept all of it.
    pub async fn drive(&mut self) {
        let (_, _, region) = self.work.clone().unwrap();
        let region = region.unwrap();
        let mut samples = Vec::new();
        for cell in region.cells().step_by(25) {
            let at = region.frame().center_of(cell);
            self.at = (at.x, at.y);
            samples.push(self.sample());
        }
        for batch in samples.chunks(10) {
            self.say(AgentReport::Telemetry(TelemetryBatch { samples: batch.to_vec() })).await;
        }
    }

    /// Says that everything of its work but some cells is done.
    pub async fn progress(&mut self, left: usize) {
        self.drive().await;
        let (mission, generation, region) = self.work.clone().unwrap();
        let region = region.unwrap();
        let remaining = Region::from_cells(*region.frame(), region.cells().take(left)).unwrap();
        let state = if left == 0 { SliceState::Done } else { SliceState::Executing };
        let report = SliceProgress {
            mission,
            generation,
            state,
            reason: String::new(),
            covered: Percent(50.0),
            remaining: Some(remaining),
            eta: None,
        };
        self.say(AgentReport::Progress(report)).await;
    }

    /// A chain of so many events.
    pub fn events(&self, count: u64) -> EventBatch {
        let mut previous = EventHash::default();
        let event = |sequence: u64| {
            let event = Event {
                id: EventId(Uuid::from_u128(u128::from(sequence) + 1000)),
                agent: self.id.clone(),
                boot: self.boot,
                sequence,
                at: WallTime::from_unix_nanos(1_700_000_000_000_000_000 + i64::try_from(sequence).unwrap()),
                mono: MonoTime::from_millis(sequence),
                kind: EventKind::Decision,
                name: "chose_a_way".to_owned(),
                payload: "{}".to_owned(),
                previous,
            };
            previous = event.hash();
            event
        };
        EventBatch { events: (0..count).map(event).collect() }
    }
}

/// What a raw HTTP/1.1 exchange answers, as text.
pub async fn http(address: SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("no answer").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// `POST` as an operator, with a JSON body; the connection is closed afterwards.
pub async fn post_as(address: SocketAddr, operator: &str, path: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         skein-operator: {operator}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    http(address, &request).await
}

/// `POST` with a JSON body; the connection is closed afterwards.
pub async fn post(address: SocketAddr, path: &str, body: &str) -> String {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    http(address, &request).await
}

/// `GET`; the connection is closed afterwards.
pub async fn get(address: SocketAddr, path: &str) -> String {
    http(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
}
