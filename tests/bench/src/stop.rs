//! From the click of STOP to the tick of the reflex that obeys, by each path, with real processes.
//!
//! The body of the robot is served from here, so that one clock dates both ends: the click, and the first frame in which
//! the robot halts its body. That frame is up to one tick (10 ms) after the latch cell was written.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use skein_e2e::fleet::{TOKEN, free_port};
use skein_e2e::http;
use skein_e2e::place::Place;
use skein_e2e::process::{PATIENCE, Process, command, wait_for};
use skein_mesh::{Mesh, MeshConfig, MeshHooks};
use skein_types::authority::{
    LatchAction, LatchGossip, LatchRegister, LatchRequest, LatchScope, Principal, RelayedRequest,
};
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, OperatorId};
use skein_wire::v1;
use skein_wire::v1::mission_control_client::MissionControlClient;
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::bodies::BodyServer;
use crate::child::Peer;
use crate::clock::{now, sleep_until, wall};
use crate::flood::RATE;
use crate::row::{Row, quantile};

const SAMPLES: usize = 100;
const ROBOT: &str = "rover-1";
/// In the robot, from the door to the reflex.
const GOAL_MS: f64 = 20.0;
/// Frames in which the robot lets its body follow before the next click.
const FOLLOWS: u64 = 10;
/// Between two clicks: a robot takes 20 latch messages a second of one sender.
const PAUSE: Duration = Duration::from_millis(120);

#[derive(Clone, Copy)]
enum Path {
    DebugApi,
    LinkStream,
    Mesh,
}

impl Path {
    const ALL: [Self; 3] = [Self::DebugApi, Self::LinkStream, Self::Mesh];

    const fn name(self) -> &'static str {
        match self {
            Self::DebugApi => "debug API",
            Self::LinkStream => "supervisor and LinkStream",
            Self::Mesh => "mesh",
        }
    }
}

pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut rig = Rig::start()?;
    let mut rows = rig.rows("idle")?;
    let flood = Peer::flood(std::slice::from_ref(&rig.fleet), RATE)?;
    rows.extend(rig.rows("beside a flood")?);
    flood.end()?;
    Ok(rows)
}

/// A supervisor and a robot, whose body and one of whose peers are in this process.
struct Rig {
    client: MissionControlClient<Channel>,
    mesh: Mesh,
    runtime: Runtime,
    debug: String,
    fleet: FleetId,
    boot: BootId,
    sequence: u64,
    _edge: Process,
    _cloud: Process,
    body: BodyServer,
    _place: Place,
}

impl Rig {
    fn start() -> Result<Self> {
        let place = Place::two_rooms()?;
        let folder = place.path("");
        let fleet = FleetId::new(format!("bench-stop-{}", std::process::id()))?;
        let body = BodyServer::start(&place.path("body.sock"), Pose::new(1.5, 1.5, 0.0))?;
        let cloud_address = format!("127.0.0.1:{}", free_port()?);
        let mut cloud = command("skein-cloud")?;
        cloud.args(["--listen", &cloud_address, "--fleet", fleet.as_str()]).arg("--map").arg(place.map());
        cloud.arg("--state").arg(place.path("state"));
        let mut cloud = Process::start(cloud, "cloud", &folder)?;
        cloud.ready()?;
        let mut edge = command("skein-edge")?;
        edge.args(["--id", ROBOT, "--fleet", fleet.as_str(), "--debug", "127.0.0.1:0"]).arg("--map").arg(place.map());
        edge.args(["--cloud", &format!("http://{cloud_address}")]).arg("--state").arg(place.path("robots"));
        edge.arg("--body")
            .arg(format!("unix:{}", place.path("body.sock").display()))
            .env("SKEIN_OVERRIDE_TOKEN", TOKEN);
        let mut edge = Process::start(edge, ROBOT, &folder)?;
        let ready = edge.ready()?;
        let debug = ready["debug"].as_str().with_context(|| format!("a debug address in {ready}"))?.to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config = MeshConfig::loopback(fleet.clone(), AgentId::new("rover-9")?);
        let (mesh, mut events) = runtime.block_on(Mesh::open(&config, MeshHooks::default()))?;
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        let channel = Channel::from_shared(format!("http://{cloud_address}"))?;
        let client = MissionControlClient::new(runtime.block_on(channel.connect())?);
        let rig = Self {
            client,
            mesh,
            runtime,
            debug,
            fleet,
            boot: BootId(Uuid::new_v4()),
            sequence: 0,
            _edge: edge,
            _cloud: cloud,
            body,
            _place: place,
        };
        rig.wait_linked()?;
        rig.wait_following()?;
        Ok(rig)
    }

    fn rows(&mut self, load: &str) -> Result<Vec<Row>> {
        Path::ALL.iter().map(|path| self.row(*path, load)).collect()
    }

    fn row(&mut self, path: Path, load: &str) -> Result<Row> {
        let mut millis = Vec::with_capacity(SAMPLES);
        for sample in 0..SAMPLES {
            let delay = self.sample(path).with_context(|| format!("sample {sample} over {}", path.name()))?;
            millis.push(delay);
        }
        millis.sort_by(f64::total_cmp);
        let p99 = quantile(&millis, 0.99);
        let flood = if load == "idle" { String::new() } else { format!("beside {RATE} mesh messages/s; ") };
        Ok(Row {
            name: format!("STOP, click to reflex, {}, {load}, p99", path.name()),
            ours: p99,
            reference: GOAL_MS,
            ratio: p99 / GOAL_MS,
            goal: format!("at most {GOAL_MS:.0} ms"),
            met: p99 <= GOAL_MS,
            unit: "ms",
            how: format!(
                "{flood}{SAMPLES} clicks, p50 {:.1} ms, of which half a tick (5 ms) is the wait for the tick",
                quantile(&millis, 0.5)
            ),
        })
    }

    /// Clicks and waits for the halt; then releases and waits until the body follows again. Milliseconds.
    fn sample(&mut self, path: Path) -> Result<f64> {
        // Another moment of the tick each time.
        self.sequence += 1;
        sleep_until(now() + PAUSE + Duration::from_micros(self.sequence * 1_370 % 10_000));
        let clicked = now().as_nanos();
        self.click(path)?;
        let halted = wait_for(PATIENCE, "the robot to halt its body", || Ok(self.body.halted_at()))?;
        ensure!(halted >= clicked, "the body was halted before the click");
        self.release()?;
        self.wait_following()?;
        Ok((halted - clicked) as f64 / 1e6)
    }

    fn click(&mut self, path: Path) -> Result<()> {
        let id = Uuid::new_v4();
        match path {
            Path::DebugApi => {
                let body = json!({ "id": id.to_string(), "reason": "bench", "operator": "ada" });
                let answer = http::post(&self.debug, "/api/v1/stop", &[], &body)?;
                ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
            }
            Path::LinkStream => {
                let request = v1::StopRequest {
                    robots: vec![ROBOT.to_owned()],
                    reason: "bench".to_owned(),
                    request_id: id.to_string(),
                    at_unix_nanos: wall().unix_nanos(),
                    ..v1::StopRequest::default()
                };
                self.runtime.block_on(self.client.stop(request))?;
            }
            Path::Mesh => self.mesh.publish_latch(self.gossip(id)?)?,
        }
        Ok(())
    }

    fn gossip(&self, id: Uuid) -> Result<LatchGossip> {
        let request = LatchRequest {
            id: CommandId(id),
            scope: LatchScope::Robot,
            action: LatchAction::Stop,
            reason: "bench".to_owned(),
            by: Principal::Operator(OperatorId::new("ada")?),
            at: wall(),
        };
        Ok(LatchGossip {
            sender: AgentId::new("rover-9")?,
            boot: self.boot,
            sequence: self.sequence,
            fleet: LatchRegister::released(),
            robots: Vec::new(),
            requests: vec![RelayedRequest { target: Some(AgentId::new(ROBOT)?), request }],
        })
    }

    fn release(&self) -> Result<()> {
        let seen = http::get(&self.debug, "/api/v1/latches")?.json()?;
        for (scope, name) in [("robot", "own"), ("fleet", "fleet")] {
            let register = &seen["latches"][name];
            if register["level"] != "released" {
                self.release_epoch(scope, &register["epoch"])?;
            }
        }
        Ok(())
    }

    fn release_epoch(&self, scope: &str, epoch: &Value) -> Result<()> {
        let body = json!({ "scope": scope, "epoch": epoch, "reason": "bench", "operator": "ada" });
        let bearer = format!("Bearer {TOKEN}");
        let answer = http::post(&self.debug, "/api/v1/release", &[("authorization", &bearer)], &body)?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(())
    }

    fn wait_following(&self) -> Result<()> {
        wait_for(PATIENCE, "the robot to let its body follow", || {
            Ok((self.body.halted_at().is_none() && self.body.follows() >= FOLLOWS).then_some(()))
        })
    }

    fn wait_linked(&self) -> Result<()> {
        wait_for(PATIENCE, "the robot to be linked with supervisor and peer", || {
            let status = http::get(&self.debug, "/status")?.json()?;
            Ok((status["link"]["cloud"] == true && status["link"]["mesh"] == true).then_some(()))
        })
    }
}
