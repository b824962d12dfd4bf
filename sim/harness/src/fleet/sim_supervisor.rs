//! The supervisor as its process drives it, with a store that survives it.

use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_supervisor::{
    Answer, Input, OperatorCommand, OperatorRequest, Output, Record, RecordTable, StorageState, Supervisor,
    SupervisorConfig,
};
use skein_types::authority::LatchRegister;
use skein_types::ids::{AgentId, FleetId, MissionId};
use skein_types::link::{CloudCommand, Order};
use skein_types::mission::{Mission, MissionSpec};
use skein_types::time::MonoTime;
use uuid::Uuid;

use super::sim_robot::wall;

/// The supervisor's process and its store.
pub(crate) struct SimSupervisor {
    fleet: FleetId,
    map_hash: String,
    map: Arc<PlanningMap>,
    /// None while its process is dead.
    supervisor: Option<Supervisor>,
    hung: bool,
    disk_full: bool,
    starts: u64,
    /// The supervisor was told that its disk is full.
    knows_full: bool,
    /// What is on its disk.
    ledger: RecordTable,
    /// What waits in memory for the disk.
    unwritten: Vec<Record>,
    pub(crate) events: u64,
    pub(crate) mission: Option<MissionId>,
    /// Reasons of what it refused.
    pub(crate) refusals: Vec<String>,
}

impl SimSupervisor {
    pub(crate) fn new(fleet: FleetId, map_hash: String, map: Arc<PlanningMap>) -> Self {
        let mut cloud = Self {
            fleet,
            map_hash,
            map,
            supervisor: None,
            hung: false,
            disk_full: false,
            starts: 0,
            knows_full: false,
            ledger: RecordTable::default(),
            unwritten: Vec::new(),
            events: 0,
            mission: None,
            refusals: Vec::new(),
        };
        cloud.start(MonoTime::ZERO);
        cloud
    }

    /// Its port answers: the system accepts streams for a hung process as well.
    pub(crate) const fn is_reachable(&self) -> bool {
        self.supervisor.is_some()
    }

    pub(crate) const fn is_hung(&self) -> bool {
        self.hung
    }

    pub(crate) const fn set_hung(&mut self, hung: bool) {
        self.hung = hung;
    }

    pub(crate) const fn set_disk_full(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// Starts from what was kept.
    pub(crate) fn start(&mut self, now: MonoTime) -> Vec<(AgentId, CloudCommand)> {
        self.starts += 1;
        let mut config = SupervisorConfig::new(self.fleet.clone(), self.starts);
        config.map_hash = self.map_hash.clone();
        self.supervisor = Some(Supervisor::new(config, Arc::clone(&self.map)));
        let mut commands = self.handle(now, Input::Wall(wall(now)));
        self.knows_full = false;
        let records = self.ledger.records();
        commands.extend(self.handle(now, Input::Restore(records)));
        commands
    }

    pub(crate) fn die(&mut self) {
        self.supervisor = None;
        self.unwritten.clear();
    }

    /// Handles an input and keeps what is to be kept; returns the commands to send.
    pub(crate) fn handle(&mut self, now: MonoTime, input: Input) -> Vec<(AgentId, CloudCommand)> {
        let mut commands = Vec::new();
        if self.knows_full != self.disk_full && !matches!(input, Input::Restore(_)) {
            self.knows_full = self.disk_full;
            let full = StorageState::Failing("disk full".to_owned());
            let state = if self.disk_full { full } else { StorageState::Healthy };
            self.step(now, Input::Storage(state), &mut commands);
        }
        self.step(now, input, &mut commands);
        if !self.disk_full {
            self.unwritten.drain(..).for_each(|record| self.ledger.apply(record));
        }
        commands
    }

    fn step(&mut self, now: MonoTime, input: Input, commands: &mut Vec<(AgentId, CloudCommand)>) {
        let Some(supervisor) = &mut self.supervisor else { return };
        supervisor.handle(now, input);
        while let Some(output) = supervisor.poll_output() {
            match output {
                Output::Persist(Record::Events(events)) if !self.disk_full => self.events += events.len() as u64,
                Output::Persist(Record::Events(_)) => {}
                Output::Persist(record) => self.unwritten.push(record),
                // Only what is on the disk is acknowledged.
                Output::Send { command, .. } if self.disk_full && matches!(command.order, Order::EventsKept { .. }) => {
                }
                Output::Send { agent, command } => commands.push((agent, command)),
                Output::Answer(Ok(Answer::Mission(mission))) => self.mission = Some(mission.id),
                Output::Answer(Ok(_)) => {}
                Output::Answer(Err(refusal)) => self.refusals.push(refusal.to_string()),
                Output::RejectRobot { agent, refusal } => self.refusals.push(format!("{agent}: {refusal}")),
            }
        }
    }

    pub(crate) fn submit(&mut self, now: MonoTime, spec: MissionSpec) -> Vec<(AgentId, CloudCommand)> {
        let id = MissionId(Uuid::from_u128(1));
        let request = OperatorCommand::Submit { id, key: "run".to_owned(), spec };
        self.handle(now, Input::Request(Box::new(OperatorRequest::new(LatchRegister::released().by, request))))
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        self.supervisor.as_ref().filter(|_| !self.hung).and_then(Supervisor::next_deadline).map(|(at, _)| at)
    }

    /// The mission as operators see it; `None` while the supervisor is dead.
    pub(crate) fn mission_view(&self) -> Option<Mission> {
        self.supervisor.as_ref()?.mission(self.mission?).ok()
    }

    /// The supervisor's own audit of its books.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.supervisor.as_ref().map_or(Ok(()), Supervisor::audit)
    }
}
