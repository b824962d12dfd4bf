//! The fleet on a virtual clock: agents, reflexes, bodies and the supervisor, with every message through the real wire
//! encoding. Time jumps to whatever is next: a packet, a tick, a deadline. Same configuration, same bytes.

mod cloud;
mod config;
mod post;
mod report;
mod robot;
mod watch;

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use skein_agent::{AgentConfig, Input};
use skein_supervisor::Input as CloudInput;
use skein_types::coord::{Hazard, Intent};
use skein_types::ids::{AgentId, BootId, FleetId, NameError};
use skein_types::link::{AgentReport, CloudCommand};
use skein_types::mission::{Mission, MissionSpec, Objective, Priority};
use skein_types::region::Region;
use skein_types::telemetry::LinkState;
use skein_types::time::MonoTime;
use skein_wire::Wire;
use skein_world::{World, WorldConfig, WorldError};
use thiserror::Error;
use uuid::Uuid;

pub use config::{Fault, FaultKind, FleetConfig, Strike, StrikeError};
pub use report::{Check, FleetReport, MissionReport, RobotReport};
pub use watch::{Incident, RobotSample, SEPARATION_MARGIN, Sample};

use crate::place::PlaceError;
use cloud::Cloud;
pub(crate) use post::mixed;
use post::{Happening, Party, Post};
use robot::{Robot, Said};
use watch::{SAMPLE_EVERY, Watch};

/// The tick of reflex and body.
const TICK: Duration = Duration::from_millis(10);
/// When the mission is handed in.
const SUBMIT_AT: Duration = Duration::from_millis(1_500);
/// A broken link is noticed after this.
const HANGUP: Duration = Duration::from_secs(1);
/// A broken link is tried again after this.
const REDIAL: Duration = Duration::from_millis(1_500);
/// The run goes on for so long after the mission's end.
const AFTERMATH: Duration = Duration::from_secs(3);
/// And at most so long until robots that go home are there.
const HOMEWARD: Duration = Duration::from_secs(180);
/// Coverage that must be reached.
const COVERAGE_MIN: f64 = 0.99;

/// Why a run cannot begin.
#[derive(Debug, Error)]
pub enum FleetError {
    /// Place, zone and robots do not fit.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The world refused.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A robot's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A fault names a robot that there is not.
    #[error("a fault names robot {0}; there are {1}")]
    NoRobot(usize, usize),
}

/// A fleet under way.
pub struct Fleet {
    config: FleetConfig,
    region: Region,
    world: Rc<RefCell<World>>,
    robots: Vec<Robot>,
    cloud: Cloud,
    post: Post,
    now: MonoTime,
    next_tick: MonoTime,
    next_sample: MonoTime,
    cut_cloud: BTreeSet<usize>,
    cut_mesh: BTreeSet<usize>,
    watch: Watch,
    undecodable: Vec<String>,
    mission: Option<Mission>,
    ended_at: Option<MonoTime>,
    audit: Result<(), String>,
}

impl Fleet {
    /// Puts everybody in their places.
    ///
    /// # Errors
    /// [`FleetError`] when they do not fit.
    pub fn new(config: FleetConfig) -> Result<Self, FleetError> {
        let (seed, count) = (config.seed, config.robots);
        if let Some(robot) = config.faults.iter().filter_map(|fault| fault.robot).find(|robot| *robot >= count) {
            return Err(FleetError::NoRobot(robot + 1, count));
        }
        let start = config.place.start(&config.zone, count, seed)?;
        let base = config.place.world(&start, config.body, seed);
        let world = WorldConfig { people: config.people, noise: config.noise, ..base };
        let world = Rc::new(RefCell::new(World::new(world)?));
        let map_hash = config.place.map_hash();
        let fleet = FleetId::new("sim")?;
        let mut robots = Vec::new();
        for (number, &home) in start.poses.iter().enumerate() {
            let id = AgentId::new(format!("rover-{}", number + 1))?;
            let (boot, map) = (BootId(Uuid::nil()), Arc::clone(&config.place.planning));
            let own = seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
            let agent = AgentConfig::new(id, fleet.clone(), boot, home, config.body, map, own);
            robots.extend(Robot::new(agent, map_hash.clone(), &world, number));
        }
        let cloud = Cloud::new(fleet, map_hash, Arc::clone(&config.place.planning));
        let mut fleet = Self {
            post: Post::new(seed),
            config,
            region: start.region,
            world,
            robots,
            cloud,
            now: MonoTime::ZERO,
            next_tick: MonoTime::ZERO + TICK,
            next_sample: MonoTime::ZERO + SAMPLE_EVERY,
            cut_cloud: BTreeSet::new(),
            cut_mesh: BTreeSet::new(),
            watch: Watch::new(),
            undecodable: Vec::new(),
            mission: None,
            ended_at: None,
            audit: Ok(()),
        };
        fleet.schedule();
        Ok(fleet)
    }

    fn schedule(&mut self) {
        for robot in 0..self.robots.len() {
            self.come_up(robot);
        }
        self.post.at(MonoTime::ZERO + SUBMIT_AT, Happening::Submit);
        for (number, fault) in self.config.faults.iter().enumerate() {
            self.post.at(MonoTime::ZERO + fault.at, Happening::Begin(number));
            if let Some(lasts) = fault.lasts {
                self.post.at(MonoTime::ZERO + fault.at + lasts, Happening::End(number));
            }
        }
    }

    /// Runs to the end of the mission or of the time; `see` gets a sample five times a second.
    pub fn run(&mut self, see: &mut dyn FnMut(&Sample)) -> FleetReport {
        let limit = MonoTime::ZERO + self.config.limit;
        while self.now < limit && !self.is_over() {
            self.advance(see);
        }
        self.report()
    }

    /// The same, as long as `go_on` says so; nothing when it was broken off.
    pub fn run_while(&mut self, go_on: &dyn Fn() -> bool) -> Option<FleetReport> {
        let limit = MonoTime::ZERO + self.config.limit;
        while self.now < limit && !self.is_over() {
            if !go_on() {
                return None;
            }
            self.advance(&mut |_| ());
        }
        Some(self.report())
    }

    /// What the run is made of.
    #[must_use]
    pub const fn config(&self) -> &FleetConfig {
        &self.config
    }

    /// The squares of the zone that are to be swept.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// Where the run is in virtual time.
    #[must_use]
    pub const fn now(&self) -> MonoTime {
        self.now
    }

    /// The true state of the place.
    pub fn world(&self) -> std::cell::Ref<'_, World> {
        self.world.borrow()
    }

    /// What a robot believes, for whoever looks for a fault; none while its process is dead.
    #[must_use]
    pub fn status(&self, robot: usize) -> Option<skein_agent::AgentStatus> {
        self.robots.get(robot).and_then(|robot| robot.status(self.now))
    }

    fn is_over(&self) -> bool {
        let Some(ended) = self.ended_at else { return false };
        let since = self.now.since(ended);
        let resting = || self.robots.iter().filter(|r| r.is_alive()).all(|r| r.is_resting());
        since >= HOMEWARD || (since >= AFTERMATH && (!self.config.return_home || resting()))
    }

    /// Jumps to whatever is next and does it.
    fn advance(&mut self, see: &mut dyn FnMut(&Sample)) {
        let deadlines = self.robots.iter().filter_map(Robot::next_deadline).chain(self.cloud.next_deadline());
        let others = [Some(self.next_tick), self.post.next_at()].into_iter().flatten();
        self.now = deadlines.chain(others).min().unwrap_or(self.next_tick).max(self.now);
        while let Some(what) = self.post.take(self.now) {
            self.happen(what);
        }
        if self.now >= self.next_tick {
            self.next_tick = self.now + TICK;
            self.tick();
            if self.now >= self.next_sample {
                self.next_sample = self.now + SAMPLE_EVERY;
                self.observe(see);
            }
        }
        self.wake();
    }

    fn tick(&mut self) {
        for number in 0..self.robots.len() {
            if let Some(robot) = self.robots.get_mut(number) {
                robot.tick(self.now);
            }
            self.drain(number);
        }
        // Bodies whose processes are dead move on as well.
        self.world.borrow_mut().advance_to(self.now);
        let world = self.world.borrow();
        self.watch.look(self.now, &world);
    }

    fn wake(&mut self) {
        let now = self.now;
        for number in 0..self.robots.len() {
            let Some(robot) = self.robots.get_mut(number) else { continue };
            if robot.next_deadline().is_some_and(|at| at <= now) {
                robot.wake(now);
                self.drain(number);
            }
        }
        if self.cloud.next_deadline().is_some_and(|at| at <= now) {
            let commands = self.cloud.handle(now, CloudInput::Tick);
            self.send_commands(commands);
        }
    }

    fn observe(&mut self, see: &mut dyn FnMut(&Sample)) {
        let world = self.world.borrow();
        let sample = self.watch.sample(self.now, &world, &self.robots);
        see(sample);
        let coverage = sample.coverage;
        if let Some(mission) = self.cloud.view() {
            if self.ended_at.is_none() && mission.state.is_terminal() {
                self.ended_at = Some(self.now);
            }
            self.mission = Some(mission);
        }
        let at_work = self.mission.is_some() && self.ended_at.is_none();
        self.watch.progress(self.now, coverage, at_work);
        if self.audit.is_ok() {
            self.audit = self.cloud.audit().map_err(|what| format!("at {}: {what}", self.now));
        }
    }

    fn happen(&mut self, what: Happening) {
        let now = self.now;
        match what {
            Happening::Report { robot, stream, bytes } => self.report_arrives(robot, stream, &bytes),
            Happening::Command { robot, stream, bytes } => self.command_arrives(robot, stream, &bytes),
            Happening::Intent { robot, bytes } => {
                if let Some(intent) = self.decode::<Intent>(&bytes) {
                    self.give(robot, Input::Intent(intent));
                }
            }
            Happening::Hazard { robot, bytes } => {
                if let Some(hazard) = self.decode::<Hazard>(&bytes) {
                    self.give(robot, Input::Hazard(hazard));
                }
            }
            Happening::Peer { robot, peer, alive } => {
                if let Some(agent) = self.robots.get(peer).map(|r| r.config.id.clone()) {
                    self.give(robot, Input::PeerAlive { agent, alive });
                }
            }
            Happening::Dial { robot } => self.dial(robot),
            Happening::Hangup { robot, stream } => self.hang_up(robot, stream),
            Happening::Submit => {
                let spec = self.spec();
                let commands = self.cloud.submit(now, spec);
                self.send_commands(commands);
            }
            Happening::Begin(fault) => self.begin(fault),
            Happening::End(fault) => self.end(fault),
        }
    }

    fn spec(&self) -> MissionSpec {
        MissionSpec {
            name: "run".to_owned(),
            objective: Objective::Survey,
            zone: self.config.zone.clone(),
            priority: Priority::NORMAL,
            robots: Vec::new(),
            return_home: self.config.return_home,
        }
    }

    fn give(&mut self, robot: usize, input: Input) {
        if let Some(receiver) = self.robots.get_mut(robot) {
            receiver.give(self.now, input);
            self.drain(robot);
        }
    }

    fn decode<T: Wire>(&mut self, bytes: &[u8]) -> Option<T> {
        match T::from_bytes(bytes) {
            Ok(message) => Some(message),
            Err(error) => {
                if self.undecodable.len() < watch::INCIDENTS_MAX {
                    self.undecodable.push(format!("at {}: {error}", self.now));
                }
                None
            }
        }
    }

    /// Sends what a robot has to say.
    fn drain(&mut self, number: usize) {
        let mut said = Vec::new();
        if let Some(robot) = self.robots.get_mut(number) {
            robot.drain(self.now, |what| said.push(what));
        }
        for what in said {
            match what {
                Said::ToCloud(report) => self.send_report(number, report),
                Said::Intent(intent) => {
                    self.broadcast(number, intent.to_bytes(), |robot, bytes| Happening::Intent { robot, bytes });
                }
                Said::Hazard(hazard) => {
                    self.broadcast(number, hazard.to_bytes(), |robot, bytes| Happening::Hazard { robot, bytes });
                }
            }
        }
    }

    fn send_report(&mut self, number: usize, report: AgentReport) {
        let Some(robot) = self.robots.get(number).filter(|robot| robot.linked()) else { return };
        if self.cut_cloud.contains(&number) {
            return;
        }
        let (stream, bytes) = (robot.stream, Rc::<[u8]>::from(report.to_bytes()));
        let size = bytes.len();
        let what = Happening::Report { robot: number, stream, bytes };
        self.post.send(self.now, Party::Robot(number), Party::Cloud, size, what);
    }

    fn broadcast(&mut self, from: usize, bytes: Vec<u8>, what: impl Fn(usize, Rc<[u8]>) -> Happening) {
        let bytes = Rc::<[u8]>::from(bytes);
        for to in (0..self.robots.len()).filter(|to| *to != from) {
            if !self.cut_mesh.contains(&from) && !self.cut_mesh.contains(&to) {
                let happening = what(to, Rc::clone(&bytes));
                self.post.send(self.now, Party::Robot(from), Party::Robot(to), bytes.len(), happening);
            }
        }
    }

    fn send_commands(&mut self, commands: Vec<(AgentId, CloudCommand)>) {
        for (agent, command) in commands {
            let Some(number) = self.robots.iter().position(|robot| robot.config.id == agent) else { continue };
            let Some(robot) = self.robots.get(number) else { continue };
            if !robot.linked() || self.cut_cloud.contains(&number) {
                continue;
            }
            let (stream, bytes) = (robot.stream, Rc::<[u8]>::from(command.to_bytes()));
            let size = bytes.len();
            let what = Happening::Command { robot: number, stream, bytes };
            self.post.send(self.now, Party::Cloud, Party::Robot(number), size, what);
        }
    }

    fn report_arrives(&mut self, number: usize, stream: u64, bytes: &[u8]) {
        let Some(robot) = self.robots.get(number).filter(|robot| robot.stream == stream) else { return };
        let agent = robot.config.id.clone();
        let Some(report) = self.decode::<AgentReport>(bytes) else { return };
        let input = match report {
            AgentReport::Hello(hello) => CloudInput::Connected(Box::new(hello)),
            report => CloudInput::Report { agent, report },
        };
        let commands = self.cloud.handle(self.now, input);
        self.send_commands(commands);
    }

    fn command_arrives(&mut self, number: usize, stream: u64, bytes: &[u8]) {
        let Some(command) = self.decode::<CloudCommand>(bytes) else { return };
        if let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.stream == stream) {
            robot.obey(self.now, command);
            self.drain(number);
        }
    }

    /// A robot's process has started: it looks for the supervisor and its peers.
    fn come_up(&mut self, number: usize) {
        let jitter = Duration::from_micros(100_000 + self.post.draw() % 200_000);
        self.post.at(self.now + jitter, Happening::Dial { robot: number });
        self.meet(number, true);
    }

    /// A robot appears to its peers or vanishes from them, and they to it.
    fn meet(&mut self, number: usize, alive: bool) {
        let mesh = !self.cut_mesh.contains(&number);
        if let Some(robot) = self.robots.get_mut(number) {
            let link = LinkState { mesh, ..robot.link() };
            robot.relink(self.now, link);
        }
        let noticed = self.now + if alive { Duration::from_millis(150) } else { HANGUP };
        for peer in (0..self.robots.len()).filter(|peer| *peer != number) {
            let there = self.robots.get(peer).is_some_and(Robot::is_alive) && !self.cut_mesh.contains(&peer);
            if there {
                self.post.at(noticed, Happening::Peer { robot: peer, peer: number, alive });
                self.post.at(noticed, Happening::Peer { robot: number, peer, alive });
            }
        }
    }

    fn dial(&mut self, number: usize) {
        let reachable = self.cloud.is_alive() && !self.cut_cloud.contains(&number);
        let now = self.now;
        let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.is_alive() && !robot.linked()) else {
            return;
        };
        if !reachable {
            self.post.at(now + REDIAL, Happening::Dial { robot: number });
            return;
        }
        robot.stream += 1;
        let hello = robot.hello();
        let link = LinkState { cloud: true, ..robot.link() };
        robot.relink(now, link);
        if let Some(hello) = hello {
            self.send_report(number, AgentReport::Hello(hello));
        }
        self.drain(number);
    }

    /// Both ends find out that a stream is dead.
    fn hang_up(&mut self, number: usize, stream: u64) {
        let now = self.now;
        let Some(robot) = self.robots.get_mut(number).filter(|robot| robot.stream == stream) else { return };
        robot.stream += 1;
        let link = LinkState { cloud: false, ..robot.link() };
        robot.relink(now, link);
        let agent = robot.config.id.clone();
        let commands = self.cloud.handle(now, CloudInput::Gone(agent));
        self.send_commands(commands);
        self.drain(number);
        self.post.at(now + REDIAL, Happening::Dial { robot: number });
    }

    fn break_stream(&mut self, number: usize) {
        if let Some(robot) = self.robots.get(number) {
            self.post.at(self.now + HANGUP, Happening::Hangup { robot: number, stream: robot.stream });
        }
    }

    fn struck(&self, fault: &Fault) -> Vec<usize> {
        fault.robot.map_or_else(|| (0..self.robots.len()).collect(), |robot| vec![robot])
    }

    fn begin(&mut self, number: usize) {
        let Some(fault) = self.config.faults.get(number).copied() else { return };
        if fault.kind == FaultKind::KillCloud {
            self.cloud.die();
        }
        for robot in self.struck(&fault) {
            match fault.kind {
                FaultKind::Kill => {
                    self.robots.get_mut(robot).into_iter().for_each(Robot::die);
                    self.break_stream(robot);
                    self.meet(robot, false);
                }
                FaultKind::CutCloud => {
                    self.cut_cloud.insert(robot);
                    self.break_stream(robot);
                }
                FaultKind::KillCloud => self.break_stream(robot),
                FaultKind::CutMesh => {
                    self.meet(robot, false);
                    self.cut_mesh.insert(robot);
                    let link = self.robots.get(robot).map(|r| LinkState { mesh: false, ..r.link() });
                    if let (Some(r), Some(link)) = (self.robots.get_mut(robot), link) {
                        r.relink(self.now, link);
                    }
                }
                FaultKind::PowerLoss => self.world.borrow_mut().cut_power(robot),
            }
        }
    }

    fn end(&mut self, number: usize) {
        let Some(fault) = self.config.faults.get(number).copied() else { return };
        if fault.kind == FaultKind::KillCloud {
            let commands = self.cloud.start(self.now);
            self.send_commands(commands);
        }
        for robot in self.struck(&fault) {
            match fault.kind {
                FaultKind::Kill => {
                    self.robots.get_mut(robot).into_iter().for_each(|r| r.start(self.now));
                    self.come_up(robot);
                }
                FaultKind::CutCloud => {
                    self.cut_cloud.remove(&robot);
                }
                FaultKind::CutMesh => {
                    self.cut_mesh.remove(&robot);
                    self.meet(robot, true);
                }
                FaultKind::KillCloud | FaultKind::PowerLoss => {}
            }
        }
    }

    fn report(&self) -> FleetReport {
        let world = self.world.borrow();
        let truth = world.truth();
        let mission = self.mission.as_ref().map(|mission| MissionReport {
            state: mission.state,
            reason: mission.reason.clone(),
            covered: mission.covered.0 / 100.0,
            duration_s: self.ended_at.map(|at| at.as_secs_f64() - SUBMIT_AT.as_secs_f64()),
        });
        let per_robot = (0..self.robots.len()).filter_map(|number| self.robot_report(&world, number)).collect();
        let coverage = truth.coverage;
        let mut report = FleetReport {
            seed: self.config.seed,
            robots: self.robots.len(),
            duration_s: self.now.as_secs_f64(),
            mission,
            coverage_ratio: coverage.map_or(0.0, |c| c.ratio),
            zone_area_m2: coverage.map_or(0.0, |c| c.zone_area_m2),
            collisions: truth.collisions,
            min_separation_m: truth.min_separation_m,
            min_separation_of: truth.min_separation_of.map(|(a, b, at)| (a + 1, b + 1, at.as_secs_f64())),
            distance_total_m: truth.distance_m.iter().sum(),
            per_robot,
            messages: (self.post.messages, self.post.bytes),
            undecodable: self.undecodable.clone(),
            refusals: self.cloud.refusals.clone(),
            events_kept: self.cloud.events,
            checks: Vec::new(),
            incidents: self.watch.incidents.clone(),
        };
        report.checks = self.checks(&report);
        report
    }

    fn robot_report(&self, world: &World, number: usize) -> Option<RobotReport> {
        let robot = self.robots.get(number)?;
        let slices = self.mission.iter().flat_map(|mission| &mission.slices);
        let own = slices.filter(|slice| slice.agent == robot.config.id);
        Some(RobotReport {
            robot: robot.config.id.clone(),
            alive: robot.is_alive(),
            distance_m: world.driven(number)?,
            battery: world.frame(number)?.battery.charge.0,
            parts: own.map(|slice| (slice.state, slice.area, slice.reason.clone())).collect(),
            why: robot.sample.as_ref().map(|sample| sample.why.clone()).unwrap_or_default(),
            refused_commands: robot.actuate_errors,
            counters: robot.status(self.now).map(|status| status.counters),
        })
    }

    fn checks(&self, report: &FleetReport) -> Vec<Check> {
        let check = |what, holds, seen| Check { what, holds, seen };
        let state = report.mission.as_ref().map(|mission| mission.state);
        let least = 2.0 * self.config.body.radius.0 + SEPARATION_MARGIN;
        let separation = report.min_separation_m.unwrap_or(f64::INFINITY);
        let audit = self.audit.clone();
        vec![
            check("nobody touched anything", report.collisions.total() == 0, format!("{:?}", report.collisions)),
            check(
                "centres stayed apart by both radii and 0.1 m",
                separation > least,
                format!("{separation:.3} m of {least:.3} m"),
            ),
            check("the mission came to its end", state.is_some_and(|state| state.is_terminal()), format!("{state:?}")),
            check(
                "at least 99 % was swept",
                report.coverage_ratio >= COVERAGE_MIN,
                format!("{:.4}", report.coverage_ratio),
            ),
            check(
                "every message could be decoded",
                self.undecodable.is_empty(),
                self.undecodable.first().cloned().unwrap_or_default(),
            ),
            check("the supervisor's books are right", audit.is_ok(), audit.err().unwrap_or_default()),
        ]
    }
}
