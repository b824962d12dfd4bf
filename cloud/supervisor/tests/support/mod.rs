//! A pretended fleet on a virtual clock: robots that obey, sweep, lose their stream, their power or their memory.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_supervisor::{
    Answer, Input, OperatorCommand, OperatorRequest, Output, Record, Refusal, Supervisor, SupervisorConfig,
};
use skein_types::body::BodyDescriptor;
use skein_types::coord::AgentState;
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, Order, SCHEMA_VERSION};
use skein_types::mission::{Mission, MissionSpec, MissionState, Objective, Priority, SliceProgress, SliceState, Task};
use skein_types::polygon::Polygon;
use skein_types::region::{Region, RegionFrame};
use skein_types::safety::{Cause, Causes, FailsafeLevel, Latch};
use skein_types::telemetry::{AgentTelemetry, LinkState, OperatingMode, ReflexStats, TelemetryBatch};
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::{Meters, Percent};
use uuid::Uuid;

/// One step of the virtual clock.
pub const STEP: Duration = Duration::from_millis(100);

/// A hall of 20 m × 15 m with a wall that has a door, squares of 0.25 m.
pub fn hall() -> Arc<PlanningMap> {
    hall_of(80, 60)
}

/// A hall of so many squares of 0.25 m.
pub fn hall_of(width: u32, height: u32) -> Arc<PlanningMap> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.25, width, height };
    let map = OccupancyMap::from_cells(frame, |square| {
        let (x, y) = (square % width, square / width);
        let edge = x == 0 || y == 0 || x + 1 == width || y + 1 == height;
        let wall = x == width / 2 && !(height / 3..height / 3 + 8).contains(&y);
        if edge || wall { Cell::Occupied } else { Cell::Free }
    });
    Arc::new(PlanningMap::new(&map, &PlanningParams::for_body(&BodyDescriptor::rover())).unwrap())
}

/// A rectangle as a survey.
pub fn survey(min: (f64, f64), max: (f64, f64)) -> MissionSpec {
    MissionSpec {
        name: "test".to_owned(),
        objective: Objective::Survey,
        zone: Polygon::rectangle(Point::new(min.0, min.1), Point::new(max.0, max.1)).unwrap(),
        priority: Priority::NORMAL,
        robots: Vec::new(),
        return_home: false,
    }
}

/// The name of robot number `index`.
pub fn name(index: usize) -> AgentId {
    AgentId::new(format!("rover-{index}")).unwrap()
}

/// A pretended robot.
pub struct FakeRobot {
    pub id: AgentId,
    pub boot: BootId,
    pub at: Point,
    pub connected: bool,
    /// Runs at all.
    pub powered: bool,
    /// Squares swept in a step.
    pub pace: usize,
    pub battery: f64,
    pub state: AgentState,
    pub latch: Latch,
    pub work: Option<(MissionId, Generation, Option<Region>)>,
    pub paused: bool,
    pub swept: BTreeSet<u32>,
    /// It refuses every order, and says so.
    pub refuses: Option<String>,
    /// It never answers commands.
    pub mute: bool,
    pub seen: BTreeMap<CommandId, CommandOutcome>,
    pub last: Option<CommandId>,
    pub generation: Generation,
    pub inbox: Vec<CloudCommand>,
    pub sequence: u64,
}

impl FakeRobot {
    fn new(index: usize, at: Point) -> Self {
        Self {
            id: name(index),
            boot: BootId(Uuid::from_u128(index as u128 + 1)),
            at,
            connected: false,
            powered: true,
            pace: 12,
            battery: 90.0,
            state: AgentState::Idle,
            latch: Latch::Released,
            work: None,
            paused: false,
            swept: BTreeSet::new(),
            refuses: None,
            mute: false,
            seen: BTreeMap::new(),
            last: None,
            generation: Generation::default(),
            inbox: Vec::new(),
            sequence: 0,
        }
    }

    /// It loses everything but its name.
    pub fn reboot(&mut self) {
        self.boot = BootId(Uuid::from_u128(self.boot.0.as_u128() + 1000));
        self.work = None;
        self.seen.clear();
        self.last = None;
        self.generation = Generation::default();
        self.connected = false;
        self.inbox.clear();
        self.powered = true;
    }

    pub fn hello(&self) -> Hello {
        Hello {
            agent: self.id.clone(),
            fleet: FleetId::new("test").unwrap(),
            boot: self.boot,
            body: BodyDescriptor::rover(),
            home: Pose::new(self.at.x, self.at.y, 0.0),
            software: "0.1.0".to_owned(),
            schema_version: SCHEMA_VERSION,
            last_command: self.last,
            working_on: self.work.as_ref().map(|(mission, generation, _)| (*mission, *generation)),
            debug_address: String::new(),
            map_hash: String::new(),
        }
    }

    fn telemetry(&mut self) -> AgentReport {
        self.sequence += 1;
        let causes = match self.latch {
            Latch::Released => Causes::NONE,
            Latch::Stop => Causes::NONE.with(Cause::OperatorStop),
            Latch::Kill => Causes::NONE.with(Cause::OperatorKill),
        };
        let sample = AgentTelemetry {
            agent: self.id.clone(),
            at: WallTime::default(),
            sequence: self.sequence,
            pose: Pose::new(self.at.x, self.at.y, 0.0),
            position_std: Meters(0.01),
            twist: Twist::ZERO,
            battery: Percent(self.battery),
            mode: OperatingMode::Automatic,
            state: if self.latch == Latch::Released { self.state } else { AgentState::Stopped },
            failsafe: FailsafeLevel::None,
            causes,
            mission: self.work.as_ref().map(|(mission, _, _)| *mission),
            link: LinkState { cloud: true, mesh: true },
            peers_visible: 0,
            reflex: ReflexStats::default(),
            why: "test".to_owned(),
        };
        AgentReport::Telemetry(TelemetryBatch { samples: vec![sample] })
    }

    fn obey(&mut self, command: CloudCommand) -> Vec<AgentReport> {
        let ack = |outcome: CommandOutcome| AgentReport::Ack(CommandAck { command: command.id, outcome });
        if let Some(outcome) = self.seen.get(&command.id) {
            return vec![ack(outcome.clone())];
        }
        let outcome = match &command.order {
            Order::Assign(_) | Order::Cancel(_) if command.generation < self.generation => {
                CommandOutcome::Rejected("stale".to_owned())
            }
            Order::Assign(_) if self.refuses.is_some() => {
                CommandOutcome::Rejected(self.refuses.clone().unwrap_or_default())
            }
            Order::Assign(assignment) => {
                self.generation = command.generation;
                let region = match &assignment.task {
                    Task::Survey { region } => Some(region.clone()),
                    Task::GoTo { .. } | Task::Return | Task::Charge => None,
                };
                self.work = Some((assignment.mission, assignment.generation, region));
                self.paused = false;
                CommandOutcome::Accepted
            }
            Order::Cancel(mission) => {
                self.generation = command.generation;
                if self.work.as_ref().is_some_and(|(at_work, _, _)| at_work == mission) {
                    self.work = None;
                }
                CommandOutcome::Done
            }
            Order::Pause(_) => {
                self.paused = true;
                CommandOutcome::Done
            }
            Order::Resume(_) => {
                self.paused = false;
                CommandOutcome::Done
            }
            Order::Stop(_) => {
                self.latch = Latch::Stop;
                CommandOutcome::Done
            }
            Order::Kill(_) => {
                self.latch = Latch::Kill;
                CommandOutcome::Done
            }
            Order::Release(_) => {
                self.latch = Latch::Released;
                CommandOutcome::Done
            }
            Order::EventsKept { .. } => return Vec::new(),
        };
        self.seen.insert(command.id, outcome.clone());
        self.last = Some(command.id);
        if self.mute { Vec::new() } else { vec![ack(outcome)] }
    }

    /// Sweeps a little and says how far it is.
    fn live(&mut self) -> Vec<AgentReport> {
        let mut said = Vec::new();
        for command in core::mem::take(&mut self.inbox) {
            said.extend(self.obey(command));
        }
        said.push(self.telemetry());
        if self.latch != Latch::Released || self.paused || matches!(self.state, AgentState::Charging) {
            return said;
        }
        let Some((mission, generation, region)) = self.work.clone() else { return said };
        let Some(region) = region else {
            said.push(progress(mission, generation, SliceState::Executing, None));
            return said;
        };
        let mut left: Vec<u32> = region.squares().collect();
        let now = left.len().saturating_sub(self.pace);
        for square in left.drain(now..) {
            self.swept.insert(square);
            self.at = region.frame().center_of(square);
        }
        let remaining = Region::from_squares(*region.frame(), left).unwrap();
        let state = if remaining.is_empty() { SliceState::Done } else { SliceState::Executing };
        said.push(progress(mission, generation, state, Some(remaining.clone())));
        self.work = (!remaining.is_empty()).then_some((mission, generation, Some(remaining)));
        said
    }
}

/// A report of progress.
pub fn progress(
    mission: MissionId,
    generation: Generation,
    state: SliceState,
    remaining: Option<Region>,
) -> AgentReport {
    AgentReport::Progress(SliceProgress {
        mission,
        generation,
        state,
        reason: String::new(),
        covered: Percent(0.0),
        remaining,
        eta: None,
    })
}

/// What would be on disk.
#[derive(Default)]
pub struct Store {
    pub missions: BTreeMap<MissionId, Record>,
    pub robots: BTreeMap<AgentId, Record>,
    pub stop_all: Option<Record>,
    pub events: Vec<Event>,
}

impl Store {
    fn keep(&mut self, record: Record) {
        match record {
            Record::Mission(ref mission) => drop(self.missions.insert(mission.id, record)),
            Record::Robot(ref robot) => drop(self.robots.insert(robot.agent.clone(), record)),
            Record::StopAll(_) => self.stop_all = Some(record),
            Record::Events(events) => self.events.extend(events),
        }
    }

    pub fn records(&self) -> Vec<Record> {
        self.missions.values().chain(self.robots.values()).chain(&self.stop_all).cloned().collect()
    }

    fn kept_generation(&self, agent: &AgentId) -> Generation {
        match self.robots.get(agent) {
            Some(Record::Robot(robot)) => robot.generation,
            _ => Generation::default(),
        }
    }
}

/// The supervisor, its store and its robots.
pub struct Stage {
    pub supervisor: Supervisor,
    pub config: SupervisorConfig,
    pub map: Arc<PlanningMap>,
    pub now: MonoTime,
    pub robots: Vec<FakeRobot>,
    pub store: Store,
    pub answers: Vec<Result<Answer, Refusal>>,
    pub acknowledged: Vec<(AgentId, CommandId, CommandOutcome)>,
    pub sent: Vec<(AgentId, CloudCommand)>,
    pub rejected: Vec<(AgentId, Refusal)>,
    ends: BTreeMap<MissionId, MissionState>,
    missions: u128,
}

impl Stage {
    /// So many robots beside each other in the west, connected and settled.
    pub fn new(robots: usize) -> Self {
        Self::on(hall(), robots)
    }

    pub fn on(map: Arc<PlanningMap>, robots: usize) -> Self {
        let mut config = SupervisorConfig::new(FleetId::new("test").unwrap(), 7);
        config.abandon_after = Duration::from_secs(120);
        let mut stage = Self {
            supervisor: Supervisor::new(config.clone(), map.clone()),
            config,
            map,
            now: MonoTime::from_millis(1000),
            robots: Vec::new(),
            store: Store::default(),
            answers: Vec::new(),
            acknowledged: Vec::new(),
            sent: Vec::new(),
            rejected: Vec::new(),
            ends: BTreeMap::new(),
            missions: 0,
        };
        stage.handle(Input::Wall(WallTime::from_unix_nanos(1_700_000_000_000_000_000)));
        for index in 0..robots {
            let at = Point::new(1.0 + (index % 4) as f64, 1.0 + (index / 4) as f64);
            stage.robots.push(FakeRobot::new(index, at));
            stage.connect(index);
        }
        stage.run(Duration::from_secs(2));
        stage
    }

    pub fn handle(&mut self, input: Input) {
        self.supervisor.handle(self.now, input);
        while let Some(output) = self.supervisor.poll_output() {
            match output {
                Output::Persist(record) => self.store.keep(record),
                Output::Send { agent, command } => {
                    if let Order::Assign(assignment) = &command.order {
                        assert!(assignment.generation <= self.store.kept_generation(&agent), "sent before it was kept");
                    }
                    let robot = self.robots.iter_mut().find(|robot| robot.id == agent).unwrap();
                    if robot.connected && robot.powered {
                        robot.inbox.push(command.clone());
                    }
                    self.sent.push((agent, command));
                }
                Output::Answer(answer) => self.answers.push(answer),
                Output::RejectRobot { agent, refusal } => self.rejected.push((agent, refusal)),
                Output::Acknowledged { agent, command, outcome } => self.acknowledged.push((agent, command, outcome)),
            }
        }
        if let Some((deadline, _)) = self.supervisor.next_deadline() {
            assert!(deadline > self.now, "the next deadline is in the past");
        }
        self.check();
    }

    /// What must always hold.
    fn check(&mut self) {
        self.supervisor.audit().unwrap();
        for mission in self.supervisor.missions() {
            let end = self.ends.entry(mission.id).or_insert(mission.state);
            assert!(!end.is_terminal() || *end == mission.state, "{end:?} became {:?}", mission.state);
            *end = mission.state;
        }
    }

    pub fn connect(&mut self, index: usize) {
        let robot = &mut self.robots[index];
        robot.connected = true;
        robot.inbox.clear();
        let hello = robot.hello();
        self.handle(Input::Connected(Box::new(hello)));
    }

    pub fn disconnect(&mut self, index: usize) {
        let robot = &mut self.robots[index];
        robot.connected = false;
        robot.inbox.clear();
        let id = robot.id.clone();
        self.handle(Input::Disconnected(id));
    }

    /// The supervisor's process dies and starts again on what it kept. Every stream breaks.
    pub fn restart(&mut self) {
        self.config.epoch += 1;
        self.supervisor = Supervisor::new(self.config.clone(), self.map.clone());
        for robot in &mut self.robots {
            robot.connected = false;
            robot.inbox.clear();
        }
        let records = self.store.records();
        self.handle(Input::Wall(WallTime::from_unix_nanos(1_700_000_000_000_000_000)));
        self.handle(Input::Restore(records));
    }

    pub fn step(&mut self) {
        self.now = self.now + STEP;
        for index in 0..self.robots.len() {
            let robot = &mut self.robots[index];
            if !robot.powered {
                continue;
            }
            let said = robot.live();
            let (id, connected) = (robot.id.clone(), robot.connected);
            for report in said.into_iter().filter(|_| connected) {
                self.handle(Input::Report { agent: id.clone(), report });
            }
        }
        self.handle(Input::Tick);
    }

    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// Until every mission is at its end; `false` when that takes longer.
    pub fn run_to_the_end(&mut self, limit: Duration) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if self.supervisor.missions().all(|mission| mission.state.is_terminal()) {
                return true;
            }
            self.step();
        }
        false
    }

    pub fn ask(&mut self, request: OperatorCommand) -> Result<Answer, Refusal> {
        self.ask_under(None, request)
    }

    pub fn ask_under(&mut self, lease: Option<Uuid>, request: OperatorCommand) -> Result<Answer, Refusal> {
        let before = self.answers.len();
        self.handle(Input::Request(Box::new(OperatorRequest { lease, command: request })));
        assert_eq!(self.answers.len(), before + 1, "one answer to each request");
        self.answers.last().cloned().unwrap()
    }

    pub fn submit(&mut self, spec: MissionSpec) -> Result<MissionId, Refusal> {
        self.missions += 1;
        let id = MissionId(Uuid::from_u128(self.missions));
        match self.ask(OperatorCommand::Submit { id, key: String::new(), spec })? {
            Answer::Mission(mission) => Ok(mission.id),
            other => panic!("{other:?}"),
        }
    }

    pub fn mission(&self, id: MissionId) -> Mission {
        self.supervisor.mission(id).unwrap()
    }

    /// Share of a zone's reachable squares that robots really swept.
    pub fn truly_swept(&self, zone: &Polygon) -> f64 {
        let region = skein_space::zone::reachable_zone(&self.map, zone, &[Point::new(1.0, 1.0)]).unwrap();
        let swept = region.squares().filter(|sq| self.robots.iter().any(|robot| robot.swept.contains(sq))).count();
        swept as f64 / region.len() as f64
    }

    pub fn event_names(&self) -> Vec<String> {
        self.store.events.iter().map(|event| event.name.clone()).collect()
    }
}
