//! The supervisor as its process drives it: what it wants kept is kept, and survives it.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_space::planning::PlanningMap;
use skein_supervisor::{
    Answer, Input, MissionRecord, Output, Record, Request, RobotRecord, Supervisor, SupervisorConfig, Wish,
};
use skein_types::ids::{AgentId, FleetId, MissionId};
use skein_types::link::CloudCommand;
use skein_types::mission::{Mission, MissionSpec};
use skein_types::time::MonoTime;
use uuid::Uuid;

use super::robot::wall;

/// The supervisor, alive or dead.
pub(crate) struct Cloud {
    fleet: FleetId,
    map_hash: String,
    map: Arc<PlanningMap>,
    supervisor: Option<Supervisor>,
    lives: u64,
    missions: BTreeMap<MissionId, MissionRecord>,
    robots: BTreeMap<AgentId, RobotRecord>,
    stop_all: Option<String>,
    pub(crate) events: u64,
    pub(crate) mission: Option<MissionId>,
    /// What it refused, in its words.
    pub(crate) refusals: Vec<String>,
}

impl Cloud {
    pub(crate) fn new(fleet: FleetId, map_hash: String, map: Arc<PlanningMap>) -> Self {
        let mut cloud = Self {
            fleet,
            map_hash,
            map,
            supervisor: None,
            lives: 0,
            missions: BTreeMap::new(),
            robots: BTreeMap::new(),
            stop_all: None,
            events: 0,
            mission: None,
            refusals: Vec::new(),
        };
        cloud.start(MonoTime::ZERO);
        cloud
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.supervisor.is_some()
    }

    /// Starts from what was kept.
    pub(crate) fn start(&mut self, now: MonoTime) -> Vec<(AgentId, CloudCommand)> {
        self.lives += 1;
        let mut config = SupervisorConfig::new(self.fleet.clone(), self.lives);
        config.map_hash = self.map_hash.clone();
        self.supervisor = Some(Supervisor::new(config, Arc::clone(&self.map)));
        let mut commands = self.handle(now, Input::Wall(wall(now)));
        if self.lives > 1 {
            let missions = self.missions.values().cloned().map(|m| Record::Mission(Box::new(m)));
            let robots = self.robots.values().cloned().map(|r| Record::Robot(Box::new(r)));
            let stop = self.stop_all.iter().cloned().map(|reason| Record::StopAll(Some(reason)));
            let records = robots.chain(missions).chain(stop).collect();
            commands.extend(self.handle(now, Input::Restore(records)));
        }
        commands
    }

    pub(crate) fn die(&mut self) {
        self.supervisor = None;
    }

    /// Hands something in and keeps what is to be kept; what comes back is to be sent.
    pub(crate) fn handle(&mut self, now: MonoTime, input: Input) -> Vec<(AgentId, CloudCommand)> {
        let Some(supervisor) = &mut self.supervisor else { return Vec::new() };
        supervisor.handle(now, input);
        let mut commands = Vec::new();
        while let Some(output) = supervisor.poll_output() {
            match output {
                Output::Persist(Record::Mission(record)) => {
                    self.missions.insert(record.id, *record);
                }
                Output::Persist(Record::Robot(record)) => {
                    self.robots.insert(record.agent.clone(), *record);
                }
                Output::Persist(Record::StopAll(reason)) => self.stop_all = reason,
                Output::Persist(Record::Events(events)) => self.events += events.len() as u64,
                Output::Send { agent, command } => commands.push((agent, command)),
                Output::Answer(Ok(Answer::Mission(mission))) => self.mission = Some(mission.id),
                Output::Answer(Ok(_)) | Output::Acknowledged { .. } => {}
                Output::Answer(Err(refusal)) => self.refusals.push(refusal.to_string()),
                Output::TurnAway { agent, refusal } => self.refusals.push(format!("{agent}: {refusal}")),
            }
        }
        commands
    }

    pub(crate) fn submit(&mut self, now: MonoTime, spec: MissionSpec) -> Vec<(AgentId, CloudCommand)> {
        let id = MissionId(Uuid::from_u128(1));
        let request = Request::Submit { id, key: "run".to_owned(), spec };
        self.handle(now, Input::Request(Box::new(Wish::new(request))))
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        self.supervisor.as_ref().and_then(Supervisor::next_deadline).map(|(at, _)| at)
    }

    /// The mission as people see it; while the supervisor is dead, nobody does.
    pub(crate) fn view(&self) -> Option<Mission> {
        self.supervisor.as_ref()?.mission(self.mission?).ok()
    }

    /// The supervisor's own audit of its books.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.supervisor.as_ref().map_or(Ok(()), Supervisor::audit)
    }
}
