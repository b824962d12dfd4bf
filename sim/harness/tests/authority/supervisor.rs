//! The supervisor's core with a ledger on a disk that can be full.

use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_supervisor::{
    Input, OperatorCommand, OperatorRequest, Output, Record, RecordTable, ReleaseCommand, RobotTargets, StorageState,
    Supervisor, SupervisorConfig,
};
use skein_types::authority::{Epoch, LatchAction, LatchOrder, LatchRegister, LatchReport, LatchRequest, LatchSet};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::Pose;
use skein_types::ids::{BootId, CommandId, FleetId};
use skein_types::link::{AgentReport, Hello, Order, SCHEMA};
use skein_types::time::MonoTime;

use super::model::Register;
use super::world::{agent, number, wall};

/// An order about latches on its way to a robot.
pub(crate) struct LatchCommand {
    pub(crate) robot: usize,
    pub(crate) command: CommandId,
    pub(crate) order: LatchOrder,
}

pub(crate) struct SupervisorProcess {
    map: Arc<PlanningMap>,
    core: Option<Supervisor>,
    starts: u64,
    ledger: RecordTable,
    /// What waits in memory for a disk with room.
    waiting: Vec<Record>,
    pub(crate) disk_full: bool,
}

impl SupervisorProcess {
    pub(crate) fn new(map: Arc<PlanningMap>) -> Self {
        let ledger = RecordTable::default();
        let mut process = Self { map, core: None, starts: 0, ledger, waiting: Vec::new(), disk_full: false };
        process.start(MonoTime::ZERO, false);
        process
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.core.is_some()
    }

    pub(crate) fn die(&mut self) {
        self.core = None;
        self.waiting.clear();
    }

    pub(crate) fn start(&mut self, now: MonoTime, forgets_latches: bool) {
        self.starts += 1;
        let config = SupervisorConfig::new(FleetId::new("sim").unwrap(), self.starts);
        let mut core = Supervisor::new(config, Arc::clone(&self.map));
        core.handle(now, Input::Wall(wall(now)));
        let is_kept = |record: &Record| !forgets_latches || !matches!(record, Record::Latch(_));
        core.handle(now, Input::Restore(self.ledger.records().into_iter().filter(is_kept).collect()));
        self.core = Some(core);
        self.drain(now);
    }

    /// A disk with room takes what waited.
    pub(crate) fn set_disk_full(&mut self, now: MonoTime, full: bool) -> Vec<LatchCommand> {
        self.disk_full = full;
        if full || !self.is_up() {
            return Vec::new();
        }
        std::mem::take(&mut self.waiting).into_iter().for_each(|record| self.ledger.apply(record));
        self.handle(now, Input::Storage(StorageState::Healthy))
    }

    /// Nothing waits for the disk.
    pub(crate) fn has_kept_all(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        self.core.as_ref().and_then(Supervisor::next_deadline).map(|(at, _)| at)
    }

    pub(crate) fn tick(&mut self, now: MonoTime) -> Vec<LatchCommand> {
        if self.next_deadline().is_some_and(|at| at <= now) { self.handle(now, Input::Tick) } else { Vec::new() }
    }

    pub(crate) fn on_hello(
        &mut self,
        now: MonoTime,
        robot: usize,
        boot: BootId,
        latch: LatchReport,
    ) -> Vec<LatchCommand> {
        let hello = Hello {
            agent: agent(robot),
            fleet: FleetId::new("sim").unwrap(),
            boot,
            body: BodyDescriptor::rover(),
            home: Pose::new(0.0, 0.0, 0.0),
            software: String::new(),
            schema: SCHEMA,
            last_command: None,
            working_on: None,
            debug_address: String::new(),
            map_hash: String::new(),
            latch,
            proof: None,
        };
        self.handle(now, Input::Connected(Box::new(hello)))
    }

    pub(crate) fn on_report(&mut self, now: MonoTime, robot: usize, report: AgentReport) -> Vec<LatchCommand> {
        self.handle(now, Input::Report { agent: agent(robot), report })
    }

    pub(crate) fn on_gone(&mut self, now: MonoTime, robot: usize) -> Vec<LatchCommand> {
        self.handle(now, Input::Disconnected(agent(robot)))
    }

    pub(crate) fn on_request(
        &mut self,
        now: MonoTime,
        target: Option<usize>,
        request: LatchRequest,
        epochs: &[(Option<usize>, Epoch)],
    ) -> Vec<LatchCommand> {
        let targets = target.map_or(RobotTargets::All, |robot| RobotTargets::These(vec![agent(robot)]));
        let by = request.by.clone();
        let command = match request.action {
            LatchAction::Stop | LatchAction::Kill => OperatorCommand::Stop { targets, request, sent: false },
            LatchAction::Release { .. } => {
                let LatchRequest { id, at, reason, .. } = request;
                let epochs = epochs.iter().map(|(robot, epoch)| (robot.map(agent), *epoch)).collect();
                OperatorCommand::Release(ReleaseCommand { targets, request: id, at, reason, epochs })
            }
        };
        self.handle(now, Input::Request(Box::new(OperatorRequest::new(by, command))))
    }

    fn handle(&mut self, now: MonoTime, input: Input) -> Vec<LatchCommand> {
        if let Some(core) = &mut self.core {
            core.handle(now, input);
        }
        self.drain(now)
    }

    pub(crate) fn drain(&mut self, now: MonoTime) -> Vec<LatchCommand> {
        let mut commands = Vec::new();
        let mut fails = false;
        while let Some(output) = self.core.as_mut().and_then(Supervisor::poll_output) {
            match output {
                Output::Persist(record) if self.disk_full => {
                    fails |= self.waiting.is_empty();
                    self.waiting.push(record);
                }
                Output::Persist(record) => self.ledger.apply(record),
                Output::Send { agent, command } => {
                    if let Order::Latch(order) = command.order {
                        commands.push(LatchCommand { robot: number(&agent), command: command.id, order });
                    }
                }
                Output::Answer(_) | Output::RejectRobot { .. } => {}
            }
        }
        if fails {
            commands
                .extend(self.handle(now, Input::Storage(StorageState::Failing("no space left on device".to_owned()))));
        }
        commands
    }

    /// The registers that a robot should have; `None` for a robot that has never connected.
    pub(crate) fn wanted(&self, now: MonoTime, robot: usize) -> Option<LatchSet> {
        self.core.as_ref()?.robot(now, &agent(robot)).ok().map(|view| view.wanted)
    }

    pub(crate) fn register(&self, now: MonoTime, register: Register) -> Option<LatchRegister> {
        match register {
            Register::Fleet => {
                self.core.as_ref()?.fleet_view(now).robots.first().map(|robot| robot.wanted.fleet.clone())
            }
            Register::Robot(robot) => self.wanted(now, robot).map(|wanted| wanted.own),
        }
    }
}
