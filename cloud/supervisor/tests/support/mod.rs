//! A pretended fleet on a virtual clock: robots that obey, sweep, lose their stream, their power or their memory.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use skein_space::map::{Cell, OccupancyMap};
use skein_space::planning::{PlanningMap, PlanningParams};
use skein_supervisor::{
    Answer, Input, OperatorCommand, OperatorRequest, Output, Record, RecordTable, Refusal, ReleaseCommand,
    RobotTargets, Supervisor, SupervisorConfig,
};
use skein_types::authority::{LatchAction, LatchOrder, LatchReport, LatchRequest, LatchScope, LatchSet, Principal};
use skein_types::body::BodyDescriptor;
use skein_types::coord::AgentState;
use skein_types::event::Event;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, Order, SCHEMA};
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

/// A hall of 20 m × 15 m with a wall that has a door, cells of 0.25 m.
pub fn hall() -> Arc<PlanningMap> {
    hall_of(80, 60)
}

/// A hall of so many cells of 0.25 m.
pub fn hall_of(width: u32, height: u32) -> Arc<PlanningMap> {
    let frame = RegionFrame { origin: Point::new(0.0, 0.0), resolution: 0.25, width, height };
    let map = OccupancyMap::from_cells(frame, |cell| {
        let (x, y) = (cell % width, cell / width);
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

/// These robots, or all when none is named.
pub fn targets(robots: &[usize]) -> RobotTargets {
    if robots.is_empty() { RobotTargets::All } else { RobotTargets::These(robots.iter().map(|i| name(*i)).collect()) }
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
    /// Cells swept in a step.
    pub pace: usize,
    pub battery: f64,
    pub state: AgentState,
    pub latches: LatchSet,
    pub requests: BTreeSet<CommandId>,
    /// Poses since the last telemetry.
    pub track: Vec<Point>,
    /// Its disk works.
    pub keeps: bool,
    pub body: BodyDescriptor,
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
            latches: LatchSet::default(),
            requests: BTreeSet::new(),
            track: Vec::new(),
            keeps: true,
            body: BodyDescriptor::rover(),
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
            body: self.body,
            home: Pose::new(self.at.x, self.at.y, 0.0),
            software: "0.1.0".to_owned(),
            schema: SCHEMA,
            last_command: self.last,
            working_on: self.work.as_ref().map(|(mission, generation, _)| (*mission, *generation)),
            debug_address: String::new(),
            map_hash: String::new(),
            latch: self.report(),
            proof: None,
        }
    }

    pub fn latch(&self) -> Latch {
        self.latches.level()
    }

    pub fn report(&self) -> LatchReport {
        LatchReport { latches: self.latches.clone(), kept: self.keeps, ..LatchReport::default() }
    }

    fn telemetry(&mut self) -> AgentReport {
        let mut track = core::mem::take(&mut self.track);
        track.push(self.at);
        AgentReport::Telemetry(TelemetryBatch { samples: track.into_iter().map(|at| self.sample(at)).collect() })
    }

    fn sample(&mut self, at: Point) -> AgentTelemetry {
        self.sequence += 1;
        let causes = match self.latch() {
            Latch::Released => Causes::NONE,
            Latch::Stop => Causes::NONE.with(Cause::OperatorStop),
            Latch::Kill => Causes::NONE.with(Cause::OperatorKill),
        };
        AgentTelemetry {
            agent: self.id.clone(),
            at: WallTime::default(),
            sequence: self.sequence,
            pose: Pose::new(at.x, at.y, 0.0),
            position_std: Meters(0.01),
            twist: Twist::ZERO,
            battery: Percent(self.battery),
            mode: OperatingMode::Automatic,
            state: if self.latch() == Latch::Released { self.state } else { AgentState::Stopped },
            failsafe: FailsafeLevel::None,
            causes,
            mission: self.work.as_ref().map(|(mission, _, _)| *mission),
            link: LinkState { cloud: true, mesh: true },
            peers_visible: 0,
            reflex: ReflexStats::default(),
            why: "test".to_owned(),
        }
    }

    /// Merges the state, then applies the request; a request takes effect once.
    fn latch_order(&mut self, command: CommandId, order: &LatchOrder) -> Vec<AgentReport> {
        let mut latches = self.latches.merge(&order.state);
        let mut outcome = CommandOutcome::Done;
        if let Some(request) = order.request.as_ref().filter(|request| self.requests.insert(request.id)) {
            match latches.apply(request) {
                Ok(changed) => latches = changed,
                Err(refused) => outcome = CommandOutcome::Rejected(refused.to_string()),
            }
        }
        self.latches = latches;
        if self.mute {
            return Vec::new();
        }
        vec![AgentReport::Latch(self.report()), AgentReport::Ack(CommandAck { command, outcome })]
    }

    /// Somebody stops it at the robot itself.
    pub fn stop_locally(&mut self, id: u128) {
        let request = LatchRequest { scope: LatchScope::Robot, ..latch_request(id, LatchAction::Stop, "bob") };
        self.latches = self.latches.apply(&request).unwrap();
    }

    fn obey(&mut self, command: CloudCommand) -> Vec<AgentReport> {
        if let Order::Latch(order) = &command.order {
            return self.latch_order(command.id, order);
        }
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
            _ => return Vec::new(),
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
        if self.latch() != Latch::Released || self.paused || matches!(self.state, AgentState::Charging) {
            said.push(self.telemetry());
            return said;
        }
        let swept = self.sweep();
        said.push(self.telemetry());
        said.extend(swept);
        said
    }

    fn sweep(&mut self) -> Option<AgentReport> {
        let (mission, generation, region) = self.work.clone()?;
        let Some(region) = region else { return Some(progress(mission, generation, SliceState::Executing, None)) };
        let mut left: Vec<u32> = region.cells().collect();
        let now = left.len().saturating_sub(self.pace);
        for cell in left.drain(now..) {
            self.swept.insert(cell);
            self.at = region.frame().center_of(cell);
            self.track.push(self.at);
        }
        let remaining = Region::from_cells(*region.frame(), left).unwrap();
        let state = if remaining.is_empty() { SliceState::Done } else { SliceState::Executing };
        self.work = (!remaining.is_empty()).then_some((mission, generation, Some(remaining.clone())));
        Some(progress(mission, generation, state, Some(remaining)))
    }
}

/// A request about a latch.
pub fn latch_request(id: u128, action: LatchAction, by: &str) -> LatchRequest {
    LatchRequest {
        id: CommandId(Uuid::from_u128(id)),
        scope: LatchScope::Fleet,
        action,
        reason: "drill".to_owned(),
        by: operator(by),
        at: WallTime::from_unix_nanos(1_700_000_000_000_000_000),
    }
}

pub fn operator(name: &str) -> Principal {
    Principal::Operator(skein_types::ids::OperatorId::new(name).unwrap())
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
    pub table: RecordTable,
    pub events: Vec<Event>,
}

impl Store {
    fn keep(&mut self, record: Record) {
        match record {
            Record::Events(events) => self.events.extend(events),
            record => self.table.apply(record),
        }
    }

    fn kept_generation(&self, agent: &AgentId) -> Generation {
        let key = Record::RobotForgotten(agent.clone()).key();
        match self.table.get(&key) {
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
    pub sent: Vec<(AgentId, CloudCommand)>,
    pub rejected: Vec<(AgentId, Refusal)>,
    ends: BTreeMap<MissionId, MissionState>,
    missions: u128,
    latches: u128,
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
            sent: Vec::new(),
            rejected: Vec::new(),
            ends: BTreeMap::new(),
            missions: 0,
            latches: 1 << 64,
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
                Output::RejectRobot { agent, refusal } => {
                    if let Some(robot) = self.robots.iter_mut().find(|robot| robot.id == agent) {
                        robot.connected = false;
                    }
                    self.rejected.push((agent, refusal));
                }
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
        let records = self.store.table.records();
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

    pub fn ask_under(&mut self, lease: Option<Uuid>, command: OperatorCommand) -> Result<Answer, Refusal> {
        self.ask_as("ada", lease, command)
    }

    pub fn ask_as(&mut self, by: &str, lease: Option<Uuid>, command: OperatorCommand) -> Result<Answer, Refusal> {
        let before = self.answers.len();
        self.handle(Input::Request(Box::new(OperatorRequest { by: operator(by), lease, command })));
        assert_eq!(self.answers.len(), before + 1, "one answer to each request");
        self.answers.last().cloned().unwrap()
    }

    /// STOP under a fresh id; nobody named means all.
    pub fn stop(&mut self, robots: &[usize]) -> Result<Answer, Refusal> {
        self.latches += 1;
        let request = latch_request(self.latches, LatchAction::Stop, "ada");
        self.ask(OperatorCommand::Stop { targets: targets(robots), request, sent: false })
    }

    /// RELEASE of what is latched; nobody named means all.
    pub fn release(&mut self, robots: &[usize]) -> Result<Answer, Refusal> {
        let command = self.release_command(robots);
        self.ask(OperatorCommand::Release(command))
    }

    pub fn release_command(&mut self, robots: &[usize]) -> ReleaseCommand {
        self.latches += 1;
        ReleaseCommand {
            targets: targets(robots),
            request: CommandId(Uuid::from_u128(self.latches)),
            at: WallTime::from_unix_nanos(1_700_000_000_000_000_000),
            reason: String::new(),
            epochs: Vec::new(),
        }
    }

    pub fn view(&self, index: usize) -> skein_types::fleet::RobotView {
        self.supervisor.robot(self.now, &name(index)).unwrap()
    }

    pub fn alarms(&self) -> Vec<String> {
        self.supervisor.fleet_view(self.now).alarms.into_iter().map(|alarm| alarm.code).collect()
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

    /// Share of a zone's reachable cells that robots really swept.
    pub fn truly_swept(&self, zone: &Polygon) -> f64 {
        let region = skein_space::zone::reachable_zone(&self.map, zone, &[Point::new(1.0, 1.0)]).unwrap();
        let swept = region.cells().filter(|cell| self.robots.iter().any(|robot| robot.swept.contains(cell))).count();
        swept as f64 / region.len() as f64
    }

    pub fn event_names(&self) -> Vec<String> {
        self.store.events.iter().map(|event| event.name.clone()).collect()
    }
}
