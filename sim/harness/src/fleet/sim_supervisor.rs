//! The supervisor's process on the virtual clock, with a ledger that survives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_supervisor::{
    Answer, Input, OperatorCommand, OperatorRequest, Output, Record, RecordTable, ReleaseCommand, RobotTargets,
    StorageState, Supervisor, SupervisorConfig,
};
use skein_types::authority::{LatchAction, LatchRegister, LatchRequest, LatchSet, Principal};
use skein_types::fleet::FleetView;
use skein_types::ids::{AgentId, FleetId, MissionId};
use skein_types::link::{CloudCommand, Order};
use skein_types::mission::{Mission, MissionSpec};
use skein_types::time::MonoTime;
use uuid::Uuid;

use super::fault::FaultKind;
use super::sim_robot::wall;

/// Commands for robots.
pub(crate) type Commands = Vec<(AgentId, CloudCommand)>;

/// The supervisor's process, its streams and its ledger.
pub(crate) struct SimSupervisor {
    fleet: FleetId,
    map_hash: String,
    map: Arc<PlanningMap>,
    /// None while its process is dead.
    supervisor: Option<Supervisor>,
    starts: u64,
    /// What is wrong with process and machine, by number of the fault.
    faults: BTreeMap<usize, FaultKind>,
    ledger: RecordTable,
    /// What waits in memory for a disk with room.
    waiting: Vec<Record>,
    /// The stream of each robot.
    streams: BTreeMap<usize, u64>,
    pub(crate) events: u64,
    pub(crate) mission: Option<MissionId>,
    /// Reasons of what it refused.
    pub(crate) refusals: Vec<String>,
}

impl SimSupervisor {
    pub(crate) fn new(fleet: FleetId, map_hash: String, map: Arc<PlanningMap>) -> Self {
        let mut supervisor = Self {
            fleet,
            map_hash,
            map,
            supervisor: None,
            starts: 0,
            faults: BTreeMap::new(),
            ledger: RecordTable::default(),
            waiting: Vec::new(),
            streams: BTreeMap::new(),
            events: 0,
            mission: None,
            refusals: Vec::new(),
        };
        supervisor.start(MonoTime::ZERO);
        supervisor
    }

    fn has(&self, kind: FaultKind) -> bool {
        self.faults.values().any(|active| *active == kind)
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.supervisor.is_some()
    }

    pub(crate) fn is_hung(&self) -> bool {
        self.has(FaultKind::HangCloud)
    }

    pub(crate) fn begin_fault(&mut self, fault: usize, kind: FaultKind) {
        self.faults.insert(fault, kind);
        if kind == FaultKind::KillCloud {
            self.supervisor = None;
            self.waiting.clear();
            self.streams.clear();
        }
    }

    /// Ends a fault; a process that no fault keeps dead starts again, a ledger that has room takes what waited.
    pub(crate) fn end_fault(&mut self, now: MonoTime, fault: usize) -> Commands {
        self.faults.remove(&fault);
        let mut commands = Vec::new();
        if self.supervisor.is_none() && !self.has(FaultKind::KillCloud) {
            commands.extend(self.start(now));
        }
        if !self.has(FaultKind::CloudDiskFull) && !self.waiting.is_empty() {
            for record in core::mem::take(&mut self.waiting) {
                self.ledger.apply(record);
            }
            commands.extend(self.handle(now, Input::Storage(StorageState::Healthy)));
        }
        commands
    }

    /// Starts from what is in the ledger.
    fn start(&mut self, now: MonoTime) -> Commands {
        self.starts += 1;
        let mut config = SupervisorConfig::new(self.fleet.clone(), self.starts);
        config.map_hash = self.map_hash.clone();
        self.supervisor = Some(Supervisor::new(config, Arc::clone(&self.map)));
        let mut commands = self.handle(now, Input::Wall(wall(now)));
        commands.extend(self.handle(now, Input::Restore(self.ledger.records())));
        commands
    }

    /// Handles an input and keeps what is to be kept; returns the commands to send.
    pub(crate) fn handle(&mut self, now: MonoTime, input: Input) -> Commands {
        let full = self.has(FaultKind::CloudDiskFull);
        let Some(supervisor) = &mut self.supervisor else { return Vec::new() };
        supervisor.handle(now, input);
        let mut commands = Vec::new();
        let mut fails = false;
        while let Some(output) = supervisor.poll_output() {
            match output {
                Output::Persist(Record::Events(_)) if full => {}
                Output::Persist(Record::Events(events)) => self.events += events.len() as u64,
                Output::Persist(record) if full => {
                    fails |= self.waiting.is_empty();
                    self.waiting.push(record);
                }
                Output::Persist(record) => self.ledger.apply(record),
                // Only what is on the disk is acknowledged.
                Output::Send { command, .. } if full && matches!(command.order, Order::EventsKept { .. }) => {}
                Output::Send { agent, command } => commands.push((agent, command)),
                Output::Answer(Ok(Answer::Mission(mission))) => self.mission = Some(mission.id),
                Output::Answer(Ok(_)) => {}
                Output::Answer(Err(refusal)) => self.refusals.push(refusal.to_string()),
                Output::RejectRobot { agent, refusal } => self.refusals.push(format!("{agent}: {refusal}")),
            }
        }
        if fails {
            commands
                .extend(self.handle(now, Input::Storage(StorageState::Failing("no space left on device".to_owned()))));
        }
        commands
    }

    pub(crate) fn submit(&mut self, now: MonoTime, spec: MissionSpec) -> Commands {
        let id = MissionId(Uuid::from_u128(1));
        let command = OperatorCommand::Submit { id, key: "run".to_owned(), spec };
        self.request(now, LatchRegister::released().by, command)
    }

    /// An operator stops or releases.
    pub(crate) fn on_latch_request(
        &mut self,
        now: MonoTime,
        target: Option<AgentId>,
        request: LatchRequest,
    ) -> Commands {
        let targets = target.clone().map_or(RobotTargets::All, |agent| RobotTargets::These(vec![agent]));
        let by = request.by.clone();
        let command = match request.action {
            LatchAction::Stop | LatchAction::Kill => OperatorCommand::Stop { targets, request, sent: false },
            LatchAction::Release { epoch } => {
                let LatchRequest { id, at, reason, .. } = request;
                let epochs = vec![(target, epoch)];
                OperatorCommand::Release(ReleaseCommand { targets, request: id, at, reason, epochs })
            }
        };
        self.request(now, by, command)
    }

    fn request(&mut self, now: MonoTime, by: Principal, command: OperatorCommand) -> Commands {
        self.handle(now, Input::Request(Box::new(OperatorRequest::new(by, command))))
    }

    /// What operators see.
    pub(crate) fn fleet_view(&self, now: MonoTime) -> Option<FleetView> {
        self.supervisor.as_ref().filter(|_| !self.is_hung()).map(|supervisor| supervisor.fleet_view(now))
    }

    /// The registers that a robot should have; of some robot when only the fleet's is asked for.
    pub(crate) fn wanted(&self, now: MonoTime, agent: Option<&AgentId>) -> Option<LatchSet> {
        let supervisor = self.supervisor.as_ref().filter(|_| !self.is_hung())?;
        match agent {
            Some(agent) => supervisor.robot(now, agent).ok().map(|robot| robot.wanted),
            None => self.fleet_view(now)?.robots.into_iter().next().map(|robot| robot.wanted),
        }
    }

    pub(crate) fn open_stream(&mut self, robot: usize, stream: u64) {
        self.streams.insert(robot, stream);
    }

    pub(crate) fn stream_of(&self, robot: usize) -> Option<u64> {
        self.streams.get(&robot).copied()
    }

    /// Forgets a stream; says whether it was the robot's newest.
    pub(crate) fn forget_stream(&mut self, robot: usize, stream: u64) -> bool {
        let newest = self.streams.get(&robot) == Some(&stream);
        if newest {
            self.streams.remove(&robot);
        }
        newest
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        let runs = !self.is_hung();
        self.supervisor.as_ref().filter(|_| runs).and_then(Supervisor::next_deadline).map(|(at, _)| at)
    }

    /// The mission as operators see it; `None` while the supervisor is dead.
    pub(crate) fn mission_view(&self) -> Option<Mission> {
        let (supervisor, id) = (self.supervisor.as_ref()?, self.mission?);
        supervisor.mission(id).ok()
    }

    /// The supervisor's own audit of its books.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.supervisor.as_ref().map_or(Ok(()), Supervisor::audit)
    }
}
