//! The process put together, from the first socket to the orderly end.
//!
//! ```text
//!   START ──► kept latch ──► debug API ──► map ──► body ──► reflex thread ──► agent, mesh, uplink ──► READY
//!   SIGTERM or SIGINT ──► body halted and seen to stand ──► marked as an orderly end ──► threads and tasks end
//! ```
//!
//! The latch is read and can be raised before anything else is there; the debug API has a runtime of its own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use skein_agent::{Agent, AgentConfig};
use skein_body::{Fence, SafeBody};
use skein_body_remote::{RemoteBody, Welcome};
use skein_mesh::MeshConfig;
use skein_reflex::{Reflex, ReflexConfig};
use skein_robot::backoff::Backoff;
use skein_robot::latch::{LatchAuthority, LatchInput, Start};
use skein_robot::link::{RobotIdentity, RobotKey};
use skein_space::map::OccupancyMap;
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::ids::BootId;
use skein_types::telemetry::AgentTelemetry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::agent_thread::{AgentMailbox, AgentThread, Sinks};
use crate::body_connector::{BodyConnector, BodyEndpoint};
use crate::clock;
use crate::config::Config;
use crate::debug::{Api, DebugServer, Identity, Limits, Sources, TOKEN_VARIABLE, Token};
use crate::hazard_thread::{HazardThread, HazardThreadHandle, MeshSlot};
use crate::heartbeat::{BEAT_EVERY, Heartbeat};
use crate::latch_file::LatchFile;
use crate::latch_service::{LatchService, LatchThreads};
use crate::logs::Ring;
use crate::mesh_task::{MeshTask, straight_hooks};
use crate::notify::Notify;
use crate::outbox::SharedOutbox;
use crate::place::{hash_of, load_fence, load_map};
use crate::robot_key::KeyFile;
use crate::rt::{Ending, Ends, Gauges, Requests, RtThread, Ticker, WantedPrivileges, exchange};
use crate::supervise::{Restarts, supervised};
use crate::uplink::Uplink;
use crate::vitals::Vitals;
use crate::watchdog::{Fatal, Watchdog, WatchdogHandle};

/// The tasks have this long to end once they are told.
const TASKS_END_WITHIN: Duration = Duration::from_secs(2);
/// The agent's thread likewise: longer than its longest search.
const AGENT_ENDS_WITHIN: Duration = Duration::from_secs(2);
/// The reflex thread likewise: it halts the body for at most three seconds.
const REFLEX_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// The latch has this long to reach the disk.
const LATCH_ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Entries of the shared hazard map that wait for the mesh.
const MAP_ENTRIES_MAX: usize = 64;

/// What is there before the body is: the latch and the debug API work from the first moment.
struct Base {
    config: Config,
    boot: BootId,
    cancel: CancellationToken,
    tasks: TaskTracker,
    agent: AgentMailbox,
    telemetry: watch::Sender<Option<Arc<AgentTelemetry>>>,
    outbox: Arc<SharedOutbox>,
    vitals: Arc<Vitals>,
    ends: Ends<RemoteBody>,
    latch: Arc<LatchService>,
    latch_threads: LatchThreads,
    restarts: Restarts,
}

/// The debug API while it is served.
struct DebugAt {
    sources: Arc<Sources>,
    server: Option<DebugServer>,
}

impl DebugAt {
    fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(DebugServer::address)
    }
}

/// Map, fence and body.
struct Ground {
    map: OccupancyMap,
    fence: Fence,
    body: RemoteBody,
    welcome: Welcome,
}

/// Threads and heartbeats that are watched.
struct Threads {
    agent_thread: Arc<JoinHandle<()>>,
    hazards: Arc<HazardThreadHandle>,
    latch: Arc<LatchThreads>,
    runtime: Arc<Heartbeat>,
    latch_beat: Arc<Heartbeat>,
}

/// Everything while it runs.
struct Running {
    rt: RtThread,
    threads: Threads,
    agent: AgentMailbox,
    requests: Arc<Requests>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    notify: Arc<Notify>,
    watchdog: WatchdogHandle,
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
    let base = Base::new(config)?;
    let debug = base.open_debug(ring)?;
    let ground = tokio::select! {
        ground = base.find_ground() => ground?,
        name = signals.any() => {
            tracing::info!(signal = name, "ended while waiting for the body");
            base.latch_threads.end(true, LATCH_ENDS_WITHIN);
            return Ok(());
        }
    };
    let (running, fatal) = base.start(&debug, ground)?;
    let fatal = tokio::select! {
        fatal = fatal => fatal.ok(),
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
    fn new(config: Config) -> anyhow::Result<Self> {
        let boot = BootId(Uuid::now_v7());
        let folder = config.state_dir();
        if let Err(error) = std::fs::create_dir_all(&folder) {
            // A full disk is no reason not to run: the latch says that it is not kept.
            tracing::error!(folder = %folder.display(), %error, "no folder for what must survive a restart");
        }
        let (file, found) = LatchFile::open(&folder);
        let start = Start {
            robot: config.robot.id.clone(),
            fleet: config.robot.fleet.clone(),
            boot,
            kernel_boot: clock::kernel_boot(),
            now: clock::now(),
            wall: clock::wall(),
            mesh_may_release: config.mesh.authenticates(),
        };
        let authority = LatchAuthority::start(clock::now(), &start, found);
        let (ends, outbox, agent) = (exchange(), Arc::<SharedOutbox>::default(), AgentMailbox::default());
        let latch = LatchService::new(authority, Arc::clone(&ends.latch), Arc::clone(&outbox), agent.clone());
        let latch_threads = latch.start(file).context("no thread for the latch")?;
        Ok(Self {
            config,
            boot,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            agent,
            telemetry: watch::channel(None).0,
            outbox,
            vitals: Arc::default(),
            ends,
            latch,
            latch_threads,
            restarts: Restarts::default(),
        })
    }

    /// Something that differs from robot to robot and from boot to boot.
    fn seed(&self) -> u64 {
        self.boot.0.as_u64_pair().1 ^ self.config.robot.seed
    }

    fn open_debug(&self, ring: Arc<Ring>) -> anyhow::Result<DebugAt> {
        let config = &self.config;
        let sources = Arc::new(Sources {
            identity: Identity {
                robot: config.robot.id.clone(),
                fleet: config.robot.fleet.clone(),
                boot: self.boot,
                started: clock::now(),
                allow_remote: config.debug.allow_remote,
            },
            agent: self.agent.clone(),
            telemetry: self.telemetry.subscribe(),
            ring,
            gauges: Arc::clone(&self.ends.gauges),
            outbox: Arc::clone(&self.outbox),
            latch: Arc::clone(&self.latch),
            vitals: Arc::clone(&self.vitals),
            restarts: self.restarts.clone(),
            token: token(config)?,
            limits: OnceLock::new(),
            granted: OnceLock::new(),
            cancel: self.cancel.clone(),
            streams: Sources::all_streams(),
        });
        let Some(wanted) = config.debug.listen() else { return Ok(DebugAt { sources, server: None }) };
        let server = DebugServer::start(wanted, Api::new(Arc::clone(&sources)), self.cancel.clone());
        let server = server.with_context(|| {
            format!("the debug API cannot listen on {wanted}: another robot may have it; --debug 127.0.0.1:0 takes a free port")
        })?;
        Ok(DebugAt { sources, server: Some(server) })
    }

    async fn find_ground(&self) -> anyhow::Result<Ground> {
        let robot = &self.config.robot;
        let map = load_map(&robot.map)?;
        let fence = Fence::from(load_fence(robot.fence.as_deref(), &map)?);
        let endpoint = self.endpoint();
        let found = endpoint.open_within(self.config.body.wait(), self.seed(), &self.cancel).await;
        let (body, welcome) = found.with_context(|| format!("no body at {}", endpoint.socket.display()))?;
        Ok(Ground { map, fence, body, welcome })
    }

    fn endpoint(&self) -> BodyEndpoint {
        BodyEndpoint { socket: self.config.body.socket(), robot: self.config.robot.id.clone() }
    }

    /// Starts the threads and the tasks; the receiver hears of what only a new process cures.
    fn start(self, debug: &DebugAt, ground: Ground) -> anyhow::Result<(Running, oneshot::Receiver<Fatal>)> {
        let Ground { map, fence, body, welcome: Welcome { descriptor, home } } = ground;
        let planning = PlanningMap::new(&map, &PlanningParams::for_body(&descriptor));
        let agent = self.agent(descriptor, home, Arc::new(planning.context("this map cannot be planned on")?));
        let uplink = self.uplink(self.identity(descriptor, home, &map, debug));
        let (seed, endpoint, mesh) = (self.seed(), self.endpoint(), mesh_config(&self.config));
        let Self { config, boot, cancel, tasks, agent: mailbox, telemetry, outbox, vitals, ends, latch, .. } = self;
        let gauges = ends.gauges;

        let body = Box::new(SafeBody::new(body, fence.clone()));
        let ticker = Ticker::new(body, Reflex::new(ReflexConfig::new(descriptor)), ends.reflex);
        let rt = start_reflex(ticker, &gauges, &config, debug, Limits { body: descriptor, fence: fence.clone() })?;
        let slot = MeshSlot::default();
        let (hazard_thread, lane) = HazardThread::new(config.robot.id.clone(), boot, ends.sensed, slot.clone());
        let (intent, map_out) = (watch::channel(None).0, broadcast::channel(MAP_ENTRIES_MAX).0);

        let spawner = Spawner { tasks: &tasks, cancel: &cancel, restarts: &self.restarts };
        let connector =
            BodyConnector { endpoint, descriptor, fence, end: ends.body, gauges: Arc::clone(&gauges), seed };
        spawner.connector(connector);
        if config.mesh.enabled {
            let hooks = straight_hooks(ends.hazards, Arc::clone(&latch));
            let (agent, gossip, intent) = (mailbox.clone(), latch.gossip(), intent.subscribe());
            spawner.mesh(MeshTask { config: mesh, hooks, intent, map: map_out.clone(), gossip, slot, agent, seed });
        } else {
            tracing::warn!("no mesh: peers are not heard");
        }
        if let Some(uplink) = uplink {
            spawner.uplink(uplink);
        }
        let runtime = spawner.heartbeat();

        let hazards = Arc::new(hazard_thread.start(config.rt.priority - 1).context("no hazard thread")?);
        let (latch_seen, gauges_seen) = (Arc::clone(&latch), Arc::clone(&gauges));
        let sinks = Sinks {
            reflex: ends.agent,
            gauges: gauges_seen,
            outbox,
            intent,
            map: map_out,
            hazards: lane,
            telemetry,
            manual: Box::new(move |manual| latch_seen.handle(LatchInput::Manual(manual))),
        };
        let agent_thread = AgentThread::start(agent, mailbox.clone(), sinks).context("no agent thread")?;
        let threads = Threads {
            agent_thread: Arc::new(agent_thread),
            hazards,
            latch: Arc::new(self.latch_threads),
            runtime,
            latch_beat: latch.heartbeat(),
        };
        let notify = Arc::new(Notify::from_environment());
        let watchdog = threads.watchdog(debug, gauges, mailbox.clone(), vitals, Arc::clone(&notify));
        let (watchdog, fatal) = watchdog.start().context("no watchdog thread")?;
        print_ready(&config, debug, &debug.sources.identity)?;
        notify.ready();
        let requests = ends.requests;
        Ok((Running { rt, threads, agent: mailbox, requests, cancel, tasks, notify, watchdog }, fatal))
    }

    fn uplink(&self, identity: RobotIdentity) -> Option<Uplink> {
        let (first, longest) = self.config.cloud.backoff();
        Some(Uplink {
            url: self.config.cloud.url()?.to_owned(),
            identity,
            key: self.key(),
            outbox: Arc::clone(&self.outbox),
            agent: self.agent.clone(),
            latch: Arc::clone(&self.latch),
            backoff: Backoff::new(first, longest, self.seed()),
        })
    }

    fn agent(&self, descriptor: BodyDescriptor, home: Pose, map: Arc<PlanningMap>) -> Agent {
        let robot = &self.config.robot;
        let config =
            AgentConfig::new(robot.id.clone(), robot.fleet.clone(), self.boot, home, descriptor, map, robot.seed);
        Agent::new(AgentConfig {
            mesh: self.config.mesh.enabled,
            failsafe: self.config.failsafe.policy(),
            manual: self.latch.manual(),
            ..config
        })
    }

    /// Without a key the robot runs, and cannot prove its name to a supervisor that has pinned one.
    fn key(&self) -> Option<Arc<dyn RobotKey + Send + Sync>> {
        match KeyFile::open(&self.config.state_dir()) {
            Ok(key) => Some(Arc::new(key)),
            Err(error) => {
                tracing::error!(%error, "this robot cannot prove its name");
                None
            }
        }
    }

    fn identity(&self, body: BodyDescriptor, home: Pose, map: &OccupancyMap, debug: &DebugAt) -> RobotIdentity {
        RobotIdentity {
            robot: self.config.robot.id.clone(),
            fleet: self.config.robot.fleet.clone(),
            boot: self.boot,
            body,
            home,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            debug_address: debug.address().map(|address| address.to_string()).unwrap_or_default(),
            map_hash: hash_of(map),
        }
    }
}

impl Threads {
    fn watchdog(
        &self,
        debug: &DebugAt,
        gauges: Arc<Gauges>,
        agent: AgentMailbox,
        vitals: Arc<Vitals>,
        notify: Arc<Notify>,
    ) -> Watchdog {
        let (agent_thread, latch, hazards) =
            (Arc::clone(&self.agent_thread), Arc::clone(&self.latch), Arc::clone(&self.hazards));
        let mut heartbeats = vec![
            ("the runtime of the tasks", Arc::clone(&self.runtime)),
            ("the hazard thread", Arc::clone(&self.hazards.heartbeat)),
            ("the latch thread", Arc::clone(&self.latch_beat)),
        ];
        heartbeats.extend(debug.server.as_ref().map(|server| ("the debug API", server.heartbeat())));
        Watchdog {
            gauges,
            agent,
            threads: vec![
                ("agent", Box::new(move || agent_thread.is_finished())),
                ("latch", Box::new(move || latch.is_broken())),
                ("hazard", Box::new(move || hazards.is_broken())),
            ],
            heartbeats,
            vitals,
            notify,
        }
    }
}

fn start_reflex(
    ticker: Ticker<RemoteBody>,
    gauges: &Arc<Gauges>,
    config: &Config,
    debug: &DebugAt,
    limits: Limits,
) -> anyhow::Result<RtThread> {
    let rt = RtThread::start(ticker, Arc::clone(gauges), wanted(config)).context("no reflex thread")?;
    let granted = rt.granted();
    tracing::info!(?granted, "the reflex runs");
    // Both are set once, here.
    let _first = debug.sources.granted.set(granted);
    let _first = debug.sources.limits.set(limits);
    Ok(rt)
}

/// Starts the supervised tasks.
struct Spawner<'a> {
    tasks: &'a TaskTracker,
    cancel: &'a CancellationToken,
    restarts: &'a Restarts,
}

impl Spawner<'_> {
    fn keep<F>(&self, name: &'static str, make: impl FnMut(Arc<Heartbeat>) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(supervised(name, self.cancel.clone(), self.restarts.clone(), make));
    }

    fn uplink(&self, uplink: Uplink) {
        let cancel = self.cancel.clone();
        self.keep("uplink", move |beat| uplink.clone().run(cancel.clone(), beat));
    }

    fn mesh(&self, mesh: MeshTask) {
        let cancel = self.cancel.clone();
        self.keep("mesh", move |beat| mesh.clone().run(cancel.clone(), beat));
    }

    /// There is one connector only: its next run takes it over from the last.
    fn connector(&self, connector: BodyConnector) {
        let (connector, cancel) = (Arc::new(Mutex::new(connector)), self.cancel.clone());
        self.keep("body connector", move |beat| {
            let (connector, cancel) = (Arc::clone(&connector), cancel.clone());
            async move { connector.lock().await.run(cancel, &beat).await }
        });
    }

    /// Shows that the runtime of the tasks runs.
    fn heartbeat(&self) -> Arc<Heartbeat> {
        let heartbeat = Arc::<Heartbeat>::default();
        let (beating, cancel) = (Arc::clone(&heartbeat), self.cancel.clone());
        self.keep("heartbeat", move |beat| {
            let (beating, cancel) = (Arc::clone(&beating), cancel.clone());
            async move {
                while !cancel.is_cancelled() {
                    beating.beat(clock::now());
                    beat.beat(clock::now());
                    tokio::time::sleep(BEAT_EVERY).await;
                }
            }
        });
        heartbeat
    }
}

fn mesh_config(config: &Config) -> MeshConfig {
    let mesh = &config.mesh;
    MeshConfig {
        listen: mesh.listen.clone(),
        connect: mesh.connect.clone(),
        interface: mesh.interface.clone(),
        zenoh: mesh.zenoh.clone(),
        tls: mesh.tls(),
        access: mesh.access(),
        allow_remote: mesh.allow_remote,
        ..MeshConfig::loopback(config.robot.fleet.clone(), config.robot.id.clone())
    }
}

/// The token for what only its bearer may do. A file that cannot be written is no reason not to start: everything else
/// works, and driving by hand is refused with the reason.
fn token(config: &Config) -> anyhow::Result<Option<Token>> {
    if let Some(secret) = std::env::var(TOKEN_VARIABLE).ok().filter(|text| !text.is_empty()) {
        return Ok(Some(Token::from_environment(&secret)?));
    }
    let made = match &config.debug.token_file {
        Some(path) => Token::kept(path),
        None => Token::fresh(&config.state_dir().join("override.token")),
    };
    match made {
        Ok(token) => Ok(Some(token)),
        Err(error) if error.is_io() => {
            tracing::error!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "no token: neither release nor manual driving here"
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn wanted(config: &Config) -> WantedPrivileges {
    WantedPrivileges { priority: config.rt.priority, cpu: config.rt.cpu, lock_memory: config.rt.lock_memory }
}

/// One line of JSON on standard output, for the program that started the process.
fn print_ready(config: &Config, debug: &DebugAt, identity: &Identity) -> anyhow::Result<()> {
    let line = serde_json::json!({
        "ready": true,
        "robot": identity.robot,
        "fleet": identity.fleet,
        "boot": identity.boot,
        "pid": std::process::id(),
        "debug": debug.address().map(|address| address.to_string()),
        "token_file": debug.sources.token.as_ref().and_then(Token::path),
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
        let joined = tokio::task::spawn_blocking(|| self.rt.join());
        let ending = tokio::time::timeout(REFLEX_ENDS_WITHIN, joined).await;
        let ending = ending.map_or(Ending::NoBody, |joined| joined.unwrap_or(Ending::NoBody));
        match ending {
            Ending::Standing => tracing::info!("the body stands"),
            Ending::Told => tracing::error!("the body was told to halt and does not show that it stands"),
            Ending::NoBody => tracing::warn!("there was no body to halt; it halts by itself"),
        }
        self.watchdog.end();
        self.agent.stop();
        self.cancel.cancel();
        self.tasks.close();
        if tokio::time::timeout(TASKS_END_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time and are left behind");
        }
        let Threads { agent_thread, hazards, latch, .. } = self.threads;
        let ended = tokio::task::spawn_blocking(move || {
            let stands = ending == Ending::Standing;
            latch.end(stands, LATCH_ENDS_WITHIN);
            hazards.end();
            wait_for(&agent_thread)
        });
        match tokio::time::timeout(LATCH_ENDS_WITHIN + AGENT_ENDS_WITHIN, ended).await {
            Ok(Ok(true)) => tracing::info!("ended in order"),
            Ok(_) | Err(_) => tracing::warn!("the agent did not end in time and is left behind"),
        }
    }
}

fn wait_for(thread: &JoinHandle<()>) -> bool {
    let deadline = clock::now() + AGENT_ENDS_WITHIN;
    while !thread.is_finished() && clock::now() < deadline {
        clock::sleep_until(clock::now() + Duration::from_millis(5));
    }
    thread.is_finished()
}
