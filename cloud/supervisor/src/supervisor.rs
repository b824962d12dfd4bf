//! The core itself: its state, its door and what leaves it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use core::time::Duration;
use serde_json::{Value, json};
use skein_space::planning::PlanningMap;
use skein_types::authority::Term;
use skein_types::event::EventKind;
use skein_types::ids::{AgentId, CommandId, MissionId};
use skein_types::link::{CloudCommand, Order};
use skein_types::time::WallTime;
use uuid::Uuid;

use crate::api::{Answer, At, Input, LeaseView, Output, Record, Request, SupervisorConfig, Why, Wish};
use crate::fleet::Robot;
use crate::journal::{Journal, numbered};
use crate::mission::Mission;
use crate::refusal::Refusal;
use crate::terrain::Terrain;

/// How often the supervisor looks after everything that no message reminds it of.
const HOUSEKEEPING: Duration = Duration::from_millis(250);
/// Progress alone is kept this often; an earlier state only means that a few squares are swept again.
const PROGRESS_KEPT: Duration = Duration::from_secs(5);

/// The supervisor.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) config: SupervisorConfig,
    pub(crate) terrain: Terrain,
    pub(crate) wall: (WallTime, At),
    pub(crate) robots: BTreeMap<AgentId, Robot>,
    pub(crate) missions: BTreeMap<MissionId, Mission>,
    pub(crate) keys: BTreeMap<String, MissionId>,
    pub(crate) leases: BTreeMap<Uuid, Lease>,
    /// STOP for everyone, those that come later included, and why.
    pub(crate) stop_all: Option<String>,
    /// When a robot last came.
    pub(crate) arrival_at: At,
    /// Rises with every change that people may see.
    pub(crate) revision: u64,
    pub(crate) journal: Journal,
    commands: u64,
    next_check: Option<At>,
    records: Vec<Record>,
    pub(crate) actions: Vec<Output>,
    outputs: VecDeque<Output>,
}

impl Supervisor {
    /// A supervisor that knows nothing but the map.
    #[must_use]
    pub fn new(config: SupervisorConfig, map: Arc<PlanningMap>) -> Self {
        Self {
            journal: Journal::new(config.epoch),
            config,
            terrain: Terrain::new(map),
            wall: (WallTime::default(), At::ZERO),
            robots: BTreeMap::new(),
            missions: BTreeMap::new(),
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            stop_all: None,
            arrival_at: At::ZERO,
            revision: 0,
            commands: 0,
            next_check: None,
            records: Vec::new(),
            actions: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// One thing happened. Drain [`Self::poll_output`] afterwards.
    pub fn handle(&mut self, now: At, input: Input) {
        match input {
            Input::Wall(wall) => self.wall = (wall, now),
            Input::Restore(records) => self.restore(now, records),
            Input::Connected(hello) => self.welcome(now, &hello),
            Input::Report { agent, report } => self.hear(now, &agent, report),
            Input::Gone(agent) => self.part_with(now, &agent),
            Input::Request(wish) => {
                let answer = self.answer(now, *wish);
                self.actions.push(Output::Answer(answer));
            }
            Input::Tick => {}
        }
        if self.next_check.is_some_and(|due| now >= due) {
            self.housekeeping(now);
            self.next_check = Some(now + HOUSEKEEPING);
        }
        if self.next_check.is_none() && !(self.robots.is_empty() && self.missions.is_empty() && self.leases.is_empty())
        {
            self.next_check = Some(now + HOUSEKEEPING);
        }
        self.flush(now);
    }

    /// What the shell has to do next; `None` when there is nothing more.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to send [`Input::Tick`] at the latest, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(At, Why)> {
        self.next_check.map(|at| (at, Why::Housekeeping))
    }

    /// What the supervisor's wall clock says.
    #[must_use]
    pub fn wall_now(&self, now: At) -> WallTime {
        self.wall.0 + now.since(self.wall.1)
    }

    fn answer(&mut self, now: At, wish: Wish) -> Result<Answer, Refusal> {
        let lease = wish.lease;
        match wish.request {
            Request::Submit { id, key, spec } => self.submit(now, lease, id, key, spec),
            Request::Pause(mission) => self.pause(now, lease, mission),
            Request::Resume(mission) => self.resume(now, lease, mission),
            Request::Cancel { mission, reason } => self.cancel(now, lease, mission, &reason),
            Request::Stop { whom, reason } => self.stop(now, &whom, &reason),
            Request::Kill { robot, reason } => self.kill(now, &robot, &reason),
            Request::Release { whom, reason } => self.release(now, &whom, &reason),
            Request::TakeLease { id, operator, robots, time_to_live } => {
                self.take_lease(now, id, operator, robots, time_to_live)
            }
            Request::ReleaseLease(id) => self.release_lease(now, id),
        }
    }

    /// Looks after the silent, the idle, the unacknowledged and the queued.
    fn housekeeping(&mut self, now: At) {
        self.expire_leases(now);
        self.look_after_robots(now);
        self.look_after_missions(now);
        for mission in self.missions.values_mut() {
            if mission.progressed && now.since(mission.saved_at) >= PROGRESS_KEPT {
                mission.dirty = true;
            }
        }
    }

    /// Brings out what this call changed: records first, then what depends on them.
    fn flush(&mut self, now: At) {
        for mission in self.missions.values_mut().filter(|mission| mission.dirty) {
            mission.dirty = false;
            mission.progressed = false;
            mission.saved_at = now;
            self.records.push(Record::Mission(Box::new(mission.record())));
        }
        let events = self.journal.take();
        if !events.is_empty() {
            self.records.push(Record::Events(events));
        }
        self.outputs.extend(self.records.drain(..).map(Output::Persist));
        self.outputs.extend(self.actions.drain(..));
    }

    /// Keeps something before this call's commands leave.
    pub(crate) fn keep(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Keeps what is known of a robot.
    pub(crate) fn keep_robot(&mut self, agent: &AgentId) {
        if let Some(robot) = self.robots.get(agent) {
            self.records.push(Record::Robot(Box::new(robot.known.clone())));
        }
    }

    /// Adds to the supervisor's own record.
    pub(crate) fn note(&mut self, now: At, kind: EventKind, name: &str, payload: &Value) {
        let wall = self.wall_now(now);
        self.journal.write(now, wall, kind, name, payload);
    }

    /// The robot changed for whoever watches.
    pub(crate) fn touch_robot(&mut self, agent: &AgentId) {
        self.revision += 1;
        if let Some(robot) = self.robots.get_mut(agent) {
            robot.revision = self.revision;
        }
    }

    /// The mission changed for whoever watches.
    pub(crate) fn touch_mission(&mut self, id: MissionId) {
        self.revision += 1;
        if let Some(mission) = self.missions.get_mut(&id) {
            mission.revision = self.revision;
        }
    }

    /// Gives an order to a robot: sent at once when its stream is open, and again until it is answered.
    pub(crate) fn command(&mut self, now: At, agent: &AgentId, order: Order) -> Option<CommandId> {
        let id = self.next_command();
        let wall = self.wall_now(now);
        let resend_after = self.config.resend_after;
        let give_up_after = matches!(order, Order::Release(_)).then_some(self.config.release_expiry);
        let robot = self.robots.get_mut(agent)?;
        let command = CloudCommand {
            id,
            generation: robot.known.generation,
            term: Term(0),
            // Clocks differ by up to a minute; the robot must not refuse a release that was just given.
            expires_at: give_up_after.map(|after| wall + after + Duration::from_secs(60)),
            order,
        };
        let name = command.order.name();
        let generation = command.generation;
        robot.expect(command, give_up_after.map(|after| now + after));
        let due = robot.due(now, resend_after);
        self.send_all(agent, due);
        let payload =
            json!({"robot": agent.as_str(), "order": name, "command": id.to_string(), "generation": generation.0});
        self.note(now, EventKind::Command, "command_given", &payload);
        Some(id)
    }

    /// A command that needs no answer.
    pub(crate) fn tell(&mut self, agent: &AgentId, order: Order) {
        let id = self.next_command();
        if let Some(robot) = self.robots.get(agent) {
            let command =
                CloudCommand { id, generation: robot.known.generation, term: Term(0), expires_at: None, order };
            self.actions.push(Output::Send { agent: agent.clone(), command });
        }
    }

    pub(crate) fn send_all(&mut self, agent: &AgentId, commands: Vec<CloudCommand>) {
        let send = |command| Output::Send { agent: agent.clone(), command };
        self.actions.extend(commands.into_iter().map(send));
    }

    fn next_command(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(numbered(self.config.epoch, 2, self.commands))
    }

    /// Takes up where an earlier life left off.
    fn restore(&mut self, now: At, records: Vec<Record>) {
        let alive_until = now + self.config.restart_grace;
        for record in records {
            match record {
                Record::Mission(record) => {
                    let mission = Mission::restored(*record, now);
                    if !mission.key.is_empty() {
                        self.keys.insert(mission.key.clone(), mission.id);
                    }
                    self.missions.insert(mission.id, mission);
                }
                Record::Robot(record) => {
                    self.robots.insert(record.agent.clone(), Robot::new(*record, alive_until));
                }
                Record::StopAll(reason) => self.stop_all = reason,
                Record::Events(_) => {}
            }
        }
        let owners: Vec<(AgentId, MissionId)> = self
            .missions
            .values()
            .filter(|mission| !mission.state().is_terminal())
            .flat_map(|mission| mission.open_parts().map(|(agent, _)| (agent.clone(), mission.id)))
            .collect();
        for (agent, mission) in owners {
            if let Some(robot) = self.robots.get_mut(&agent) {
                robot.mission = Some(mission);
            }
        }
        // Robots come back one after the other: what is queued waits for them.
        self.arrival_at = alive_until;
        self.revision += 1;
        let (missions, robots) = (self.missions.len(), self.robots.len());
        let revision = self.revision;
        self.missions.values_mut().for_each(|mission| mission.revision = revision);
        self.robots.values_mut().for_each(|robot| robot.revision = revision);
        self.note(now, EventKind::System, "restored", &json!({"missions": missions, "robots": robots}));
    }
}

/// A lease and when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) view: LeaseView,
    pub(crate) ends_at: At,
}

impl Lease {
    /// Both are about one robot at least; none named means all.
    pub(crate) fn touches(&self, robots: &[AgentId]) -> bool {
        self.view.robots.is_empty() || robots.is_empty() || robots.iter().any(|robot| self.view.robots.contains(robot))
    }
}
