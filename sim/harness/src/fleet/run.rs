//! The run itself: the virtual clock and the routing of what happens.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use skein_agent::AgentConfig;
use skein_reflex::ReflexConfig;
use skein_robot::backoff::Backoff;
use skein_robot::link::RobotIdentity;
use skein_robot::{Robot, RobotConfig, RobotInput};
use skein_supervisor::Input as SupervisorInput;
use skein_types::fleet::FleetView;
use skein_types::geometry::Pose;
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::mission::{MissionSpec, Objective, Priority};
use skein_types::region::Region;
use skein_types::time::MonoTime;
use skein_wire::Wire;
use skein_world::{SimBody, World, WorldConfig};
use uuid::Uuid;

use super::FleetError;
use super::config::FleetConfig;
use super::event_queue::SimEvent;
use super::monitor::{Monitor, SAMPLE_EVERY, Sample};
use super::network::Endpoint;
use super::operators::Operators;
use super::presence::Presence;
use super::probe::Probe;
use super::report::FleetReport;
use super::run_record::RunRecord;
use super::sim_robot::SimRobot;
use super::sim_supervisor::SimSupervisor;
use super::transport::Transport;

/// Period of reflex and body.
const TICK: Duration = Duration::from_millis(10);
/// When the mission is submitted.
pub(crate) const SUBMIT_AT: Duration = Duration::from_millis(1_500);
/// The run goes on for this long after the mission's end.
const AFTER_MISSION: Duration = Duration::from_secs(3);
/// The run goes on for at most this long until robots that return home are there.
const RETURN_MAX: Duration = Duration::from_secs(180);
/// Shortest and longest pause between two attempts of a robot to open its stream.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A fleet during a run.
pub struct Fleet {
    pub(super) config: FleetConfig,
    region: Region,
    pub(super) world: Rc<RefCell<World>>,
    pub(super) robots: Vec<SimRobot>,
    pub(super) supervisor: SimSupervisor,
    pub(super) transport: Transport,
    pub(super) presence: Presence,
    pub(super) operators: Operators,
    /// The robot in whose name each liar speaks, by number of the fault.
    pub(super) liars: BTreeMap<usize, usize>,
    pub(super) probe: Option<Box<dyn Probe>>,
    pub(super) now: MonoTime,
    next_tick: MonoTime,
    next_sample: MonoTime,
    pub(super) monitor: Monitor,
    pub(super) record: RunRecord,
}

impl Fleet {
    /// Puts robots, supervisor and world together.
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
        let world = WorldConfig { people: config.people, noise: config.noise, cliffs: config.cliffs.clone(), ..base };
        let world = Rc::new(RefCell::new(World::new(world)?));
        let map_hash = config.place.map_hash();
        let fleet = FleetId::new("sim")?;
        let fence = config.fence.clone().map_or_else(|| config.place.outline(), Ok)?;
        let mut robots = Vec::new();
        for (number, &home) in start.poses.iter().enumerate() {
            let robot = robot_config(&config, &fleet, &map_hash, number, home)?;
            robots.push(SimRobot::new(robot, fence.clone(), &world, number));
        }
        let supervisor = SimSupervisor::new(fleet, map_hash, Arc::clone(&config.place.planning));
        let mut fleet = Self {
            transport: Transport::new(seed),
            config,
            region: start.region,
            world,
            robots,
            supervisor,
            presence: Presence::default(),
            operators: Operators::default(),
            liars: BTreeMap::new(),
            probe: None,
            now: MonoTime::ZERO,
            next_tick: MonoTime::ZERO + TICK,
            next_sample: MonoTime::ZERO + SAMPLE_EVERY,
            monitor: Monitor::new(&fence),
            record: RunRecord::default(),
        };
        fleet.schedule_start();
        Ok(fleet)
    }

    fn schedule_start(&mut self) {
        self.update_presence();
        for (number, press) in self.config.presses.iter().enumerate() {
            self.transport.schedule(MonoTime::ZERO + press.at, SimEvent::Press(number));
        }
        self.transport.schedule(MonoTime::ZERO + SUBMIT_AT, SimEvent::Submit);
        for (number, fault) in self.config.faults.iter().enumerate() {
            self.transport.schedule(MonoTime::ZERO + fault.at, SimEvent::FaultBegins(number));
            if let Some(lasts) = fault.lasts {
                self.transport.schedule(MonoTime::ZERO + fault.at + lasts, SimEvent::FaultEnds(number));
            }
        }
    }

    /// Runs to the end of the mission or of the time; `see` gets a sample five times a second.
    pub fn run(&mut self, see: &mut dyn FnMut(&Sample)) -> FleetReport {
        while self.goes_on() {
            self.advance(see);
        }
        self.report()
    }

    /// [`Self::run`] as long as `go_on` allows; `None` when it was broken off.
    pub fn run_while(&mut self, go_on: &dyn Fn() -> bool) -> Option<FleetReport> {
        while self.goes_on() {
            if !go_on() {
                return None;
            }
            self.advance(&mut |_| ());
        }
        Some(self.report())
    }

    /// Runs to a time of the virtual clock, whatever becomes of the mission.
    pub fn run_until(&mut self, until: Duration) {
        while self.now < MonoTime::ZERO + until {
            self.advance(&mut |_| ());
        }
    }

    /// What came of the run so far.
    #[must_use]
    pub fn report_so_far(&self) -> FleetReport {
        self.report()
    }

    /// A robot's core; `None` while its process is dead.
    #[must_use]
    pub fn robot(&self, robot: usize) -> Option<&Robot<SimBody>> {
        self.robots.get(robot).and_then(SimRobot::core)
    }

    /// The fleet as operators see it at the supervisor; `None` while it is dead or hangs.
    #[must_use]
    pub fn fleet_view(&self) -> Option<FleetView> {
        self.supervisor.fleet_view(self.now)
    }

    /// What the run is made of.
    #[must_use]
    pub const fn config(&self) -> &FleetConfig {
        &self.config
    }

    /// The cells of the zone that are to be swept.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> MonoTime {
        self.now
    }

    /// The true state of the place.
    pub fn world(&self) -> std::cell::Ref<'_, World> {
        self.world.borrow()
    }

    /// What a robot believes; `None` while its process is dead.
    #[must_use]
    pub fn status(&self, robot: usize) -> Option<skein_agent::AgentStatus> {
        self.robots.get(robot).and_then(|robot| robot.status(self.now))
    }

    fn goes_on(&self) -> bool {
        self.now < MonoTime::ZERO + self.config.limit && !self.is_over()
    }

    fn is_over(&self) -> bool {
        let Some(ended) = self.record.ended_at() else { return false };
        let since = self.now.since(ended);
        let resting = || self.robots.iter().filter(|r| r.is_alive()).all(SimRobot::is_resting);
        since >= RETURN_MAX || (since >= AFTER_MISSION && (!self.config.return_home || resting()))
    }

    /// Jumps to whatever is next and does it.
    fn advance(&mut self, see: &mut dyn FnMut(&Sample)) {
        let deadlines = self.robots.iter().filter_map(SimRobot::next_deadline).chain(self.supervisor.next_deadline());
        let others = [Some(self.next_tick), self.transport.next_at()].into_iter().flatten();
        self.now = deadlines.chain(others).min().unwrap_or(self.next_tick).max(self.now);
        while let Some(event) = self.transport.pop_until(self.now) {
            self.handle(event);
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
        let liars: Vec<usize> = self.liars.values().copied().collect();
        liars.into_iter().for_each(|impersonated| self.lie(impersonated));
        for number in 0..self.robots.len() {
            if let Some(robot) = self.robots.get_mut(number) {
                robot.tick(self.now);
            }
            self.send_outputs(number);
        }
        // Bodies whose processes are dead move on as well.
        self.world.borrow_mut().advance_to(self.now);
        let world = self.world.borrow();
        self.monitor.check(self.now, &world, &self.robots);
    }

    fn wake(&mut self) {
        let now = self.now;
        for number in 0..self.robots.len() {
            let Some(robot) = self.robots.get_mut(number) else { continue };
            if robot.next_deadline().is_some_and(|at| at <= now) {
                robot.wake(now);
                self.send_outputs(number);
            }
        }
        if self.supervisor.next_deadline().is_some_and(|at| at <= now) {
            self.handle_in_supervisor(SupervisorInput::Tick);
        }
    }

    fn observe(&mut self, see: &mut dyn FnMut(&Sample)) {
        let world = self.world.borrow();
        let sample = self.monitor.sample(self.now, &world, &self.robots);
        see(sample);
        let coverage = sample.coverage;
        if let Some(mission) = self.supervisor.mission_view() {
            self.record.on_mission(self.now, mission);
        }
        self.monitor.check_progress(self.now, coverage, self.record.is_at_work());
        self.record.check(self.now, || self.supervisor.audit());
    }

    fn handle(&mut self, event: SimEvent) {
        if let Some(receiver) = receiver(&event).filter(|receiver| self.is_hung(*receiver)) {
            return self.transport.hold(receiver, event);
        }
        match event {
            SimEvent::ReportArrives { robot, stream, bytes } => self.on_report(robot, stream, &bytes),
            SimEvent::CommandArrives { robot, stream, bytes } => self.on_command(robot, stream, &bytes),
            SimEvent::PeerMessageArrives { robot, from, kind, bytes } => {
                self.on_peer_message(robot, from, kind, &bytes)
            }
            SimEvent::PeerSeen { robot, peer, alive } => self.on_peer(robot, peer, alive),
            SimEvent::DialArrives { robot, stream } => self.on_dial(robot, stream),
            SimEvent::DialAnswered { robot, stream } => self.on_dial_answered(robot, stream),
            SimEvent::StreamBroken { robot, stream } => self.on_stream_broken(robot, stream),
            SimEvent::StreamGone { robot, stream } => self.on_stream_gone(robot, stream),
            SimEvent::Saved { robot, start, ticket } => self.on_saved(robot, start, ticket),
            SimEvent::Press(press) => self.press(press),
            SimEvent::Decide { press, seen } => self.decide(press, &seen),
            SimEvent::RequestAtSupervisor { target, request } => {
                let commands = self.supervisor.on_latch_request(self.now, target, *request);
                self.send_commands(commands);
            }
            SimEvent::RequestAtRobot { robot, caller, target, request } => {
                self.on_request(robot, caller, target, *request);
            }
            SimEvent::Submit => {
                let spec = self.mission_spec();
                let commands = self.supervisor.submit(self.now, spec);
                self.send_commands(commands);
            }
            SimEvent::FaultBegins(fault) => self.begin_fault(fault),
            SimEvent::FaultEnds(fault) => self.end_fault(fault),
        }
    }

    fn is_hung(&self, process: Endpoint) -> bool {
        match process {
            Endpoint::Supervisor => self.supervisor.is_hung(),
            Endpoint::Console => false,
            Endpoint::Robot(number) => self.robots.get(number).is_some_and(SimRobot::is_hung),
        }
    }

    fn mission_spec(&self) -> MissionSpec {
        MissionSpec {
            name: "run".to_owned(),
            objective: Objective::Survey,
            zone: self.config.zone.clone(),
            priority: Priority::NORMAL,
            robots: Vec::new(),
            return_home: self.config.return_home,
        }
    }

    /// Something arrives at a robot's process.
    pub(super) fn give(&mut self, robot: usize, input: RobotInput) {
        let Some(input) = self.probe_input(robot, input) else { return };
        if let Some(receiver) = self.robots.get_mut(robot) {
            receiver.give(self.now, input);
            self.send_outputs(robot);
        }
    }

    fn on_saved(&mut self, robot: usize, start: u32, ticket: u64) {
        let answer = self.robots.get_mut(robot).and_then(|r| r.end_save(start, ticket));
        if let Some(input) = answer {
            self.give(robot, input);
        }
    }

    pub(super) fn is_alive(&self, robot: usize) -> bool {
        self.robots.get(robot).is_some_and(SimRobot::is_alive)
    }

    pub(super) fn decode<T: Wire>(&mut self, bytes: &[u8]) -> Option<T> {
        match T::from_bytes(bytes) {
            Ok(message) => Some(message),
            Err(error) => {
                self.record.on_undecodable(self.now, &error);
                None
            }
        }
    }
}

/// The process that an event arrives at.
const fn receiver(event: &SimEvent) -> Option<Endpoint> {
    match event {
        SimEvent::ReportArrives { .. }
        | SimEvent::DialArrives { .. }
        | SimEvent::StreamGone { .. }
        | SimEvent::RequestAtSupervisor { .. }
        | SimEvent::Submit => Some(Endpoint::Supervisor),
        SimEvent::CommandArrives { robot, .. }
        | SimEvent::PeerMessageArrives { robot, .. }
        | SimEvent::PeerSeen { robot, .. }
        | SimEvent::DialAnswered { robot, .. }
        | SimEvent::StreamBroken { robot, .. }
        | SimEvent::RequestAtRobot { robot, .. }
        | SimEvent::Saved { robot, .. } => Some(Endpoint::Robot(*robot)),
        SimEvent::Press(_) | SimEvent::Decide { .. } | SimEvent::FaultBegins(_) | SimEvent::FaultEnds(_) => None,
    }
}

fn robot_config(
    config: &FleetConfig,
    fleet: &FleetId,
    map_hash: &str,
    number: usize,
    home: Pose,
) -> Result<RobotConfig, FleetError> {
    let (id, boot) = (AgentId::new(format!("rover-{}", number + 1))?, BootId(Uuid::nil()));
    let seed = config.seed.wrapping_mul(1_000_003).wrapping_add(number as u64);
    let map = Arc::clone(&config.place.planning);
    let agent = AgentConfig::new(id.clone(), fleet.clone(), boot, home, config.body, map, seed);
    let identity = RobotIdentity {
        robot: id,
        fleet: fleet.clone(),
        boot,
        body: config.body,
        home,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        debug_address: String::new(),
        map_hash: map_hash.to_owned(),
    };
    let reflex = ReflexConfig::new(config.body);
    let backoff = Some(Backoff::new(BACKOFF.0, BACKOFF.1, seed));
    Ok(RobotConfig { identity, agent, reflex, backoff, kernel_boot: String::new(), mesh_may_release: false })
}
