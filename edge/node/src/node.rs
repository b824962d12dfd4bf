//! The process put together, from the first socket to the orderly end.
//!
//! ```text
//!   START ──► debug API ──► map ──► body ──► reflex thread ──► agent, peers, uplink ──► READY
//!   SIGTERM or SIGINT ──► body halted and seen to stand ──► agent ends ──► tasks end ──► exit 0
//! ```

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use skein_agent::{Agent, AgentConfig};
use skein_body::{Fence, SafeBody};
use skein_body_remote::{RemoteBody, Welcome};
use skein_mesh::MeshConfig;
use skein_reflex::{Reflex, ReflexConfig};
use skein_space::map::OccupancyMap;
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_types::authority::LatchReport;
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::ids::BootId;
use skein_types::link::{Hello, SCHEMA};
use skein_types::safety::Latch;
use skein_types::telemetry::AgentTelemetry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::clock;
use crate::config::Config;
use crate::debug::{Api, Identity, Limits, Sources, TOKEN_VARIABLE, Token};
use crate::keeper::{Door, Keeper};
use crate::logs::Ring;
use crate::notify::Notify;
use crate::outbox::Outbox;
use crate::peers::{Peers, straight_to_the_reflex};
use crate::pilot::{Inbox, Message, PilotHandle, Sinks, WORDS_MAX, Word};
use crate::place::{hash_of, load_fence, load_map};
use crate::rt::{Ending, Ends, HazardEnd, Requests, RtThread, Ticker, Wanted, exchange};
use crate::state::LatchFile;
use crate::uplink::Uplink;
use crate::vitals::Vitals;
use crate::watch::{Fatal, Watch};

/// The tasks have this long to end once they are told.
const TASKS_END_WITHIN: Duration = Duration::from_secs(2);
/// The agent's thread likewise: longer than its longest search.
const AGENT_ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What is there before the body is: whoever asks the debug API is answered from the first moment.
struct Base {
    config: Config,
    boot: BootId,
    cancel: CancellationToken,
    tasks: TaskTracker,
    inbox: Inbox,
    pilot: PilotHandle,
    telemetry: watch::Sender<Option<Arc<AgentTelemetry>>>,
    outbox: Arc<Outbox>,
    vitals: Arc<Vitals>,
    ends: Ends<RemoteBody>,
}

/// Where the debug API is and how to get in.
struct DebugAt {
    sources: Arc<Sources>,
    address: Option<SocketAddr>,
}

/// Map, fence and body.
struct Ground {
    map: OccupancyMap,
    fence: Fence,
    body: RemoteBody,
    welcome: Welcome,
}

/// The threads while they run.
struct Running {
    rt: RtThread,
    agent: JoinHandle<()>,
    pilot: PilotHandle,
    requests: Arc<Requests>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    notify: Arc<Notify>,
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn any(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Runs the robot until a signal ends it.
///
/// # Errors
/// What could not be opened, read or reached at the start, or what only a new process cures.
pub async fn run(config: Config, ring: Arc<Ring>) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let base = Base::new(config);
    let debug = base.open_debug(ring).await?;
    let ground = tokio::select! {
        ground = base.find_ground() => ground?,
        name = signals.any() => {
            tracing::info!(signal = name, "ended while waiting for the body");
            return Ok(());
        }
    };
    let (running, fatal) = base.start(&debug, ground)?;
    let fatal = tokio::select! {
        fatal = fatal => fatal,
        name = signals.any() => {
            tracing::info!(signal = name, "ending");
            None
        }
    };
    running.end().await;
    match fatal {
        Some(fatal) => Err(fatal.into()),
        None => Ok(()),
    }
}

impl Base {
    fn new(config: Config) -> Self {
        let inbox = Inbox::default();
        Self {
            config,
            boot: BootId(Uuid::now_v7()),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            pilot: inbox.handle(),
            inbox,
            telemetry: watch::channel(None).0,
            outbox: Arc::default(),
            vitals: Arc::default(),
            ends: exchange(),
        }
    }

    /// Something that differs from robot to robot and from life to life.
    fn seed(&self) -> u64 {
        self.boot.0.as_u64_pair().1 ^ self.config.robot.seed
    }

    async fn open_debug(&self, ring: Arc<Ring>) -> anyhow::Result<DebugAt> {
        let config = &self.config;
        let folder = config.state_dir();
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let sources = Arc::new(Sources {
            identity: Identity {
                robot: config.robot.id.clone(),
                fleet: config.robot.fleet.clone(),
                boot: self.boot,
                started: clock::now(),
                allow_remote: config.debug.allow_remote,
            },
            pilot: self.pilot.clone(),
            telemetry: self.telemetry.subscribe(),
            ring,
            gauges: Arc::clone(&self.ends.gauges),
            outbox: Arc::clone(&self.outbox),
            vitals: Arc::clone(&self.vitals),
            token: token(config)?,
            limits: OnceLock::new(),
            granted: OnceLock::new(),
            cancel: self.cancel.clone(),
            lease: Mutex::default(),
            streams: Sources::all_streams(),
        });
        let Some(wanted) = config.debug.listen() else { return Ok(DebugAt { sources, address: None }) };
        let listener = TcpListener::bind(wanted).await.with_context(|| {
            format!("the debug API cannot listen on {wanted}: another robot may have it; --debug 127.0.0.1:0 takes a free port")
        })?;
        let address = listener.local_addr().context("the debug API's address")?;
        let serving = Api::new(Arc::clone(&sources)).serve(listener);
        self.tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the debug API ended");
            }
        });
        Ok(DebugAt { sources, address: Some(address) })
    }

    async fn find_ground(&self) -> anyhow::Result<Ground> {
        let robot = &self.config.robot;
        let map = load_map(&robot.map)?;
        let fence = Fence::from(load_fence(robot.fence.as_deref(), &map)?);
        let door = self.door();
        let found = door.open_within(self.config.body.wait(), self.seed(), &self.cancel).await;
        let (body, welcome) = found.with_context(|| format!("no body at {}", door.socket.display()))?;
        Ok(Ground { map, fence, body, welcome })
    }

    fn door(&self) -> Door {
        Door { socket: self.config.body.socket(), robot: self.config.robot.id.clone() }
    }

    /// Starts the threads and the tasks; the future ends when only a new process helps.
    fn start(
        self,
        debug: &DebugAt,
        ground: Ground,
    ) -> anyhow::Result<(Running, impl Future<Output = Option<Fatal>> + use<>)> {
        let descriptor = ground.welcome.descriptor;
        let params = PlanningParams::for_body(&descriptor);
        let map = Arc::new(PlanningMap::new(&ground.map, &params).context("nobody can plan on this map")?);
        let hello = self.hello(descriptor, ground.welcome.home, &ground.map, debug);
        let agent = self.agent(descriptor, ground.welcome.home, map);
        let latch_file = LatchFile::new(&self.config.state_dir());
        let latch = watch::channel(Latch::Released).0;
        let seed = self.seed();
        let door = self.door();
        let Self { config, cancel, tasks, inbox, pilot, telemetry, outbox, vitals, ends, .. } = self;

        let body = Box::new(SafeBody::new(ground.body, ground.fence.clone()));
        let ticker = Ticker::new(body, Reflex::new(ReflexConfig::new(descriptor)), ends.reflex);
        let rt = RtThread::start(ticker, Arc::clone(&ends.gauges), wanted(&config)).context("no reflex thread")?;
        let granted = rt.granted();
        tracing::info!(?granted, "the reflex runs");
        // Both are set once, here.
        let _first = debug.sources.granted.set(granted);
        let _first = debug.sources.limits.set(Limits { body: descriptor, fence: ground.fence.clone() });

        let (words, spoken) = mpsc::channel(WORDS_MAX);
        tasks.spawn(latch_file.clone().follow(latch.subscribe(), cancel.clone()));
        let keeper =
            Keeper { door, descriptor, fence: ground.fence, end: ends.body, gauges: Arc::clone(&ends.gauges), seed };
        tasks.spawn(keeper.run(cancel.clone()));
        talk(&config, ends.hazards, spoken, &pilot, seed, &tasks, &cancel);
        if let Some(url) = config.cloud.url() {
            let (first, longest) = config.cloud.backoff();
            let backoff = Backoff::new(first, longest, seed);
            let uplink =
                Uplink { url: url.to_owned(), hello, outbox: Arc::clone(&outbox), pilot: pilot.clone(), backoff };
            tasks.spawn(uplink.run(cancel.clone()));
        }
        let requests = Arc::clone(&ends.requests);
        let gauges = Arc::clone(&ends.gauges);
        let sinks =
            Sinks { reflex: ends.agent, requests: ends.requests, gauges: ends.gauges, outbox, words, telemetry, latch };
        let agent = inbox.start(restored(agent, &latch_file), sinks).context("no agent thread")?;
        let notify = Arc::new(Notify::from_environment());
        let watch = Watch { gauges, pilot: pilot.clone(), vitals, notify: Arc::clone(&notify) };
        let fatal = watch.run(cancel.clone());
        tell_ready(&config, debug, &debug.sources.identity)?;
        notify.ready();
        Ok((Running { rt, agent, pilot, requests, cancel, tasks, notify }, fatal))
    }

    fn agent(&self, descriptor: BodyDescriptor, home: Pose, map: Arc<PlanningMap>) -> Agent {
        let robot = &self.config.robot;
        let mut config =
            AgentConfig::new(robot.id.clone(), robot.fleet.clone(), self.boot, home, descriptor, map, robot.seed);
        config.mesh = self.config.mesh.enabled;
        Agent::new(config)
    }

    fn hello(&self, body: BodyDescriptor, home: Pose, map: &OccupancyMap, debug: &DebugAt) -> Hello {
        Hello {
            agent: self.config.robot.id.clone(),
            fleet: self.config.robot.fleet.clone(),
            boot: self.boot,
            body,
            home,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            schema: SCHEMA,
            last_command: None,
            working_on: None,
            debug_address: debug.address.map(|address| address.to_string()).unwrap_or_default(),
            map_hash: hash_of(map),
            latch: LatchReport::default(),
            proof: None,
        }
    }
}

fn token(config: &Config) -> anyhow::Result<Token> {
    if let Some(secret) = std::env::var(TOKEN_VARIABLE).ok().filter(|text| !text.is_empty()) {
        return Ok(Token::from_environment(&secret)?);
    }
    match &config.debug.token_file {
        Some(path) => Ok(Token::kept(path)?),
        None => Ok(Token::fresh(&config.state_dir().join("override.token"))?),
    }
}

fn wanted(config: &Config) -> Wanted {
    Wanted { priority: config.rt.priority, cpu: config.rt.cpu, lock_memory: config.rt.lock_memory }
}

fn restored(mut agent: Agent, file: &LatchFile) -> Agent {
    let latch = file.load();
    if latch != Latch::Released {
        tracing::warn!(?latch, "kept over the restart: a person must release it");
        agent.restore_latch(clock::now(), latch);
    }
    agent
}

fn talk(
    config: &Config,
    hazards: HazardEnd,
    words: mpsc::Receiver<Word>,
    pilot: &PilotHandle,
    seed: u64,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    if !config.mesh.enabled {
        tracing::warn!("no mesh: peers are not heard");
        return;
    }
    let mesh = &config.mesh;
    let config = MeshConfig {
        listen: mesh.listen.clone(),
        connect: mesh.connect.clone(),
        interface: mesh.interface.clone(),
        zenoh: mesh.zenoh.clone(),
        ..MeshConfig::loopback(config.robot.fleet.clone(), config.robot.id.clone())
    };
    let hook = straight_to_the_reflex(hazards);
    tasks.spawn(Peers { config, hook, words, pilot: pilot.clone(), seed }.run(cancel.clone()));
}

/// One line of JSON on standard output, for whoever started the process.
fn tell_ready(config: &Config, debug: &DebugAt, identity: &Identity) -> anyhow::Result<()> {
    let line = serde_json::json!({
        "ready": true,
        "robot": identity.robot,
        "fleet": identity.fleet,
        "boot": identity.boot,
        "pid": std::process::id(),
        "debug": debug.address.map(|address| address.to_string()),
        "token_file": debug.sources.token.path(),
        "state": config.state_dir(),
    });
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| anyhow!("standard output is closed: {e}"))
}

impl Running {
    /// The body first, then everything else; each step is bounded in time.
    async fn end(self) {
        self.notify.stopping();
        self.requests.finish();
        let ending = tokio::task::spawn_blocking(|| self.rt.join()).await.unwrap_or(Ending::NoBody);
        match ending {
            Ending::Standing => tracing::info!("the body stands"),
            Ending::Told => tracing::error!("the body was told to halt and does not show that it stands"),
            Ending::NoBody => tracing::warn!("there was no body to halt; it halts by itself"),
        }
        // A full queue means a hanging agent: it is left behind below.
        let _full = self.pilot.send(Message::Stop);
        self.cancel.cancel();
        self.tasks.close();
        if tokio::time::timeout(TASKS_END_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time and are left behind");
        }
        let agent = self.agent;
        let joined = tokio::task::spawn_blocking(move || agent.join());
        match tokio::time::timeout(AGENT_ENDS_WITHIN, joined).await {
            Ok(Ok(Ok(()))) => tracing::info!("ended in order"),
            Ok(_) => tracing::error!("the agent's thread had died"),
            Err(_) => tracing::warn!("the agent did not end in time and is left behind"),
        }
    }
}
