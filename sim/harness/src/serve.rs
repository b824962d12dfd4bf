//! The world as a process: one simulated place in real time for many robot processes, through `hal/remote`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use skein_body::Body;
use skein_body_remote::{Arrival, Connection, Listener, Refusal, Welcome};
use skein_types::geometry::Pose;
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;
use skein_world::{Collisions, STEP, SimBody, World, WorldConfig};

use crate::clock;
use crate::place::Start;

/// Between two writings of the report.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// The world does not catch up on more than this: a machine that slept has not driven meanwhile.
const CATCH_UP_MAX: Duration = Duration::from_millis(250);

/// What the served world is made of.
pub struct ServeConfig {
    /// Where robots come in.
    pub socket: PathBuf,
    /// Where the truth is written, once a second and at the end.
    pub report: PathBuf,
    /// Everything left to chance follows from it.
    pub seed: u64,
    /// Where robots start and what is to be swept.
    pub start: Start,
    /// Place, bodies, noise.
    pub world: WorldConfig,
    /// Hash of the map in hex, so that robots can be told that they plan on another.
    pub map_hash: String,
}

/// First line on stdout, when robots may come.
#[derive(Debug, Serialize)]
pub struct Ready<'a> {
    /// Always `true`: the line is written when robots may connect.
    pub ready: bool,
    /// Where robots come in.
    pub socket: &'a Path,
    /// The bodies there are.
    pub robots: Vec<ReadyRobot>,
    /// From which seed.
    pub seed: u64,
    /// Reachable area of the zone.
    pub zone_area_m2: f64,
    /// Hash of the map in hex.
    pub map_hash: &'a str,
}

/// A body that a robot's process may connect to.
#[derive(Debug, Serialize)]
pub struct ReadyRobot {
    /// The name its process says.
    pub id: AgentId,
    /// Where it stands, `map_from_body`.
    pub home: Pose,
}

/// What truly happened, as the report file says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthReport {
    /// The world has ended; nothing will change any more.
    pub is_final: bool,
    /// From which seed.
    pub seed: u64,
    /// Since the start of the world.
    pub duration_s: f64,
    /// Time that the machine took away: the world stood still.
    pub skipped_s: f64,
    /// How many bodies there are.
    pub robots: usize,
    /// How many of them are driven by a process now.
    pub robots_connected: usize,
    /// Share of the reachable zone that was swept, 0 to 1.
    pub coverage_ratio: f64,
    /// Of the zone swept.
    pub covered_area_m2: f64,
    /// Reachable area of the zone.
    pub zone_area_m2: f64,
    /// Contacts by kind.
    pub collisions: Collisions,
    /// Contacts of all kinds.
    pub collisions_total: u64,
    /// Robots that drove over a drop-off.
    pub falls: u64,
    /// Smallest distance there ever was between two robots' centres; null with fewer than two.
    pub min_separation_m: Option<f64>,
    /// Driven by all robots.
    pub distance_m: f64,
    /// Driven by each.
    pub distance_by_robot_m: BTreeMap<AgentId, f64>,
}

/// A world that robots can come to.
pub struct Server {
    config: ServeConfig,
    ids: Vec<AgentId>,
    world: Rc<RefCell<World>>,
    bodies: Vec<SimBody>,
    listener: Listener,
    connections: BTreeMap<usize, Connection>,
    /// Taken off the clock: time that the world did not live through.
    skipped: Duration,
}

impl Server {
    /// Puts everybody in their places, opens the socket and writes the first report.
    ///
    /// # Errors
    /// When the world does not fit, or the socket or the report cannot be made.
    pub fn open(mut config: ServeConfig) -> anyhow::Result<Self> {
        config.world.start = clock::now();
        let world = Rc::new(RefCell::new(World::new(config.world.clone())?));
        let count = config.world.robots.len();
        let ids = (1..=count).map(|number| AgentId::new(format!("rover-{number}"))).collect::<Result<Vec<_>, _>>()?;
        let bodies = (0..count).filter_map(|number| SimBody::new(&world, number)).collect();
        let listener = Listener::bind(&config.socket)?;
        let connections = BTreeMap::new();
        let server = Self { config, ids, world, bodies, listener, connections, skipped: Duration::ZERO };
        server.write_report(false)?;
        Ok(server)
    }

    /// What is said when robots may come.
    #[must_use]
    pub fn ready(&self) -> Ready<'_> {
        let robots = self.ids.iter().cloned().zip(self.config.start.poses.iter().copied());
        Ready {
            ready: true,
            socket: &self.config.socket,
            robots: robots.map(|(id, home)| ReadyRobot { id, home }).collect(),
            seed: self.config.seed,
            zone_area_m2: self.config.start.region.area(),
            map_hash: &self.config.map_hash,
        }
    }

    /// Serves until told to stop; writes the last report.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub fn run(mut self, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
        let mut wake = clock::now();
        let mut report_at = wake + REPORT_EVERY;
        while !stop.load(Ordering::Relaxed) {
            wake = wake + STEP;
            clock::sleep_until(wake);
            let now = clock::now();
            if now.since(wake) > STEP {
                // Deadlines that have passed are not made up for one by one.
                wake = now;
            }
            self.step(now);
            if now >= report_at {
                report_at = now + REPORT_EVERY;
                self.write_report(false)?;
            }
        }
        self.write_report(true)
    }

    /// One step of the world, and one exchange with each robot's process.
    fn step(&mut self, now: MonoTime) {
        let behind = (now - self.skipped).since(self.world.borrow().now());
        if behind > CATCH_UP_MAX {
            self.skipped += behind - STEP;
        }
        let now = now - self.skipped;
        self.world.borrow_mut().advance_to(now);
        while let Some(arrival) = self.listener.poll(now) {
            self.welcome(now, arrival);
        }
        let (bodies, ids) = (&mut self.bodies, &self.ids);
        self.connections.retain(|number, connection| {
            let Some(body) = bodies.get_mut(*number) else { return false };
            match connection.serve(now, body) {
                Ok(_) => true,
                Err(error) => {
                    let name = ids.get(*number).map_or("?", AgentId::as_str);
                    tracing::info!(robot = name, reason = %error, "robot left");
                    // Halting a body of this process cannot fail.
                    let _ = body.halt(now);
                    false
                }
            }
        });
    }

    fn welcome(&mut self, now: MonoTime, arrival: Arrival) {
        let agent = arrival.agent().clone();
        let Some(number) = self.ids.iter().position(|id| *id == agent) else {
            let names: Vec<&str> = self.ids.iter().map(AgentId::as_str).collect();
            arrival.refuse(&Refusal::UnknownRobot(names.join(", ")));
            return;
        };
        // A process that hangs does not keep the body: it was halted long ago, and finds its stream closed.
        if self.connections.get(&number).is_some_and(|old| !old.is_wedged(now)) {
            arrival.refuse(&Refusal::AlreadyConnected);
            return;
        }
        let world = self.world.borrow();
        let (Some(descriptor), Some(home)) = (world.descriptor(number).copied(), world.home(number)) else { return };
        match arrival.welcome(now, &Welcome { descriptor, home }) {
            Ok(connection) => {
                tracing::info!(robot = %agent, "robot came");
                self.connections.insert(number, connection);
            }
            Err(error) => tracing::info!(robot = %agent, reason = %error, "robot left at the door"),
        }
    }

    /// What truly happened so far.
    #[must_use]
    pub fn truth(&self, is_final: bool) -> TruthReport {
        let truth = self.world.borrow().truth();
        let coverage = truth.coverage;
        TruthReport {
            is_final,
            seed: self.config.seed,
            duration_s: truth.duration_s,
            skipped_s: self.skipped.as_secs_f64(),
            robots: self.ids.len(),
            robots_connected: self.connections.len(),
            coverage_ratio: coverage.map_or(0.0, |c| c.ratio),
            covered_area_m2: coverage.map_or(0.0, |c| c.covered_area_m2),
            zone_area_m2: coverage.map_or(0.0, |c| c.zone_area_m2),
            collisions: truth.collisions,
            collisions_total: truth.collisions.total(),
            falls: truth.falls,
            min_separation_m: truth.min_separation_m,
            distance_m: truth.distance_m.iter().sum(),
            distance_by_robot_m: self.ids.iter().cloned().zip(truth.distance_m).collect(),
        }
    }

    /// Written beside and moved over, so that a reader always finds a whole one.
    fn write_report(&self, is_final: bool) -> anyhow::Result<()> {
        let path = &self.config.report;
        let text = serde_json::to_string_pretty(&self.truth(is_final))?;
        let mut beside = path.clone().into_os_string();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let failed = || format!("cannot write the report {}", path.display());
        let mut file = std::fs::File::create(&beside).with_context(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).with_context(failed)?;
        drop(file);
        std::fs::rename(&beside, path).with_context(failed)
    }
}
