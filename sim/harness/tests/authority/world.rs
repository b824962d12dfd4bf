//! Latch authorities of some robots, their disks, the supervisor, operators and the network between them, on a virtual clock.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skein_robot::latch::{
    LatchAuthority, LatchFileContents, LatchInput, LatchOutcome, LatchOutput, LatchPath, LatchVerdict,
};
use skein_space::planning::PlanningMap;
use skein_types::authority::{Epoch, LatchGossip, LatchOrder, LatchRegister, LatchRequest, LatchScope, LatchView};
use skein_types::ids::{AgentId, BootId, CommandId};
use skein_types::link::{AgentReport, CommandAck};
use skein_types::safety::Latch;
use skein_types::time::{MonoTime, WallTime};
use uuid::Uuid;

use super::bugs::{Bug, Seam};
use super::model::{Model, Process, Register};
use super::script::{Fault, Press, Script, mixed};
use super::supervisor::{LatchCommand, SupervisorProcess};

/// A released fleet is whole again this long after the last fault.
pub(crate) const QUIET: Duration = Duration::from_secs(25);
const WALL_START_S: i64 = 1_767_225_600;
/// Delay of a message, milliseconds.
const DELAY_MS: (u64, u64) = (1, 40);
/// Delay of a message on an impaired network, milliseconds.
const SLOW_MS: u64 = 1_500;
/// A save takes up to this on a sound and on a slow disk, milliseconds.
const SAVE_MS: (u64, u64) = (15, 3_000);
/// A stream is open again this long after both ends can reach each other.
pub(crate) const REDIAL: Duration = Duration::from_millis(700);
/// An ack of the debug API comes at the latest after this: a save may have to wait for the one before, each for 2 s.
const ACK_WITHIN: Duration = Duration::from_millis(4_200);

pub(crate) fn wall(now: MonoTime) -> WallTime {
    WallTime::from_unix_nanos(WALL_START_S * 1_000_000_000) + now.since(MonoTime::ZERO)
}

pub(crate) fn agent(robot: usize) -> AgentId {
    AgentId::new(format!("rover-{}", robot + 1)).unwrap()
}

pub(crate) fn number(agent: &AgentId) -> usize {
    agent.as_str().trim_start_matches("rover-").parse::<usize>().unwrap() - 1
}

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Act(usize),
    FaultBegins(usize),
    FaultEnds(usize),
    /// A request reaches a robot's debug API.
    Debug {
        robot: usize,
        caller: u64,
        target: Option<AgentId>,
        request: LatchRequest,
    },
    /// A request reaches the supervisor; a release with the epochs that the operator saw.
    AtSupervisor {
        target: Option<usize>,
        request: LatchRequest,
        epochs: Vec<(Option<usize>, Epoch)>,
    },
    /// An operator looks at registers before a release.
    Look {
        press: Press,
    },
    /// An operator releases what was seen.
    Release {
        press: Press,
        seen: Vec<(Option<usize>, LatchRegister)>,
    },
    Gossip {
        robot: usize,
        gossip: Box<LatchGossip>,
    },
    Order {
        robot: usize,
        stream: u64,
        command: CommandId,
        order: LatchOrder,
    },
    Report {
        robot: usize,
        stream: u64,
        report: Box<AgentReport>,
    },
    Redial {
        robot: usize,
    },
    Saved {
        robot: usize,
        boot: u32,
        ticket: u64,
    },
    /// An ack of the debug API should have come by now.
    AckDue {
        robot: usize,
        boot: u32,
        caller: u64,
    },
}

/// A robot's process and what survives it.
pub(crate) struct Robot {
    pub(crate) authority: Option<LatchAuthority>,
    pub(crate) boot: u32,
    pub(crate) kernel: u32,
    pub(crate) hung: bool,
    pub(crate) held: Vec<Event>,
    pub(crate) disk: Disk,
    pub(crate) view: LatchView,
    pub(crate) stream: u64,
    pub(crate) linked: bool,
    pub(crate) unanswered: BTreeSet<u64>,
}

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) full: bool,
    pub(crate) slow: bool,
    pub(crate) kept: Option<Box<LatchFileContents>>,
    pub(crate) torn: bool,
    /// Saves under way, by boot and ticket.
    pub(crate) under_way: BTreeMap<(u32, u64), Box<LatchFileContents>>,
}

pub(crate) struct World {
    pub(crate) script: Script,
    pub(crate) now: MonoTime,
    pub(crate) queue: BTreeMap<(MonoTime, u64), Event>,
    pub(crate) scheduled: u64,
    pub(crate) random: u64,
    pub(crate) robots: Vec<Robot>,
    pub(crate) supervisor: SupervisorProcess,
    pub(crate) active: BTreeSet<usize>,
    pub(crate) model: Model,
    pub(crate) seam: Seam,
    pub(crate) callers: u64,
    pub(crate) wrong: Vec<String>,
    pub(crate) log: Vec<String>,
    /// Requests that took effect, to show that a run did something.
    pub(crate) applied: u64,
}

impl World {
    pub(crate) fn new(map: &Arc<PlanningMap>, script: Script, bug: Option<Bug>) -> Self {
        let robots = (0..script.robots).map(|_| Robot::new()).collect();
        let mut world = Self {
            now: MonoTime::ZERO,
            queue: BTreeMap::new(),
            scheduled: 0,
            random: script.seed,
            robots,
            supervisor: SupervisorProcess::new(Arc::clone(map)),
            active: BTreeSet::new(),
            model: Model::default(),
            seam: Seam::new(bug),
            callers: 0,
            wrong: Vec::new(),
            log: Vec::new(),
            applied: 0,
            script,
        };
        for robot in 0..world.robots.len() {
            world.start(robot);
        }
        for index in 0..world.script.acts.len() {
            world.at(MonoTime::ZERO + world.script.acts[index].at, Event::Act(index));
        }
        for index in 0..world.script.faults.len() {
            let fault = &world.script.faults[index];
            let (begins, ends) = (MonoTime::ZERO + fault.at, MonoTime::ZERO + fault.at + fault.lasts);
            world.at(begins, Event::FaultBegins(index));
            world.at(ends, Event::FaultEnds(index));
        }
        world
    }

    /// Runs the script, then a quiet time, then checks that all agree and that releases release.
    pub(crate) fn run(&mut self) {
        let quiet = MonoTime::ZERO + self.script.ends + QUIET;
        self.run_until(quiet);
        self.check_agreement();
        for _ in 0..3 {
            self.release_everything();
            let until = self.now + Duration::from_secs(5);
            self.run_until(until);
        }
        for robot in 0..self.robots.len() {
            let level = self.robots[robot].authority.as_ref().map(|a| a.latches().level());
            if level != Some(Latch::Released) {
                self.fail(format!("rover-{} is {level:?} after three releases of all that was seen", robot + 1));
            }
        }
    }

    fn run_until(&mut self, until: MonoTime) {
        loop {
            let due = self.robots.iter().filter(|r| !r.hung).filter_map(|r| r.authority.as_ref());
            let due = due.map(LatchAuthority::next_deadline).chain(self.supervisor.next_deadline()).min();
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = due.into_iter().chain(event).min().unwrap_or(until).max(self.now);
            if next > until || !self.wrong.is_empty() {
                self.now = until.max(self.now);
                return;
            }
            self.now = next;
            while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
                if let Some((_, event)) = self.queue.pop_first() {
                    self.handle(event);
                }
            }
            self.tick();
            self.check();
        }
    }

    fn tick(&mut self) {
        for robot in 0..self.robots.len() {
            let due = |r: &Robot, now| r.authority.as_ref().is_some_and(|a| a.next_deadline() <= now);
            if !self.robots[robot].hung && due(&self.robots[robot], self.now) {
                self.give(robot, LatchInput::Tick);
            }
        }
        let orders = self.supervisor.tick(self.now);
        self.send_orders(orders);
    }

    pub(crate) fn at(&mut self, at: MonoTime, event: Event) {
        self.scheduled += 1;
        self.queue.insert((at, self.scheduled), event);
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.random) % bound.max(1)
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.wrong.push(format!("at {}: {what}", self.now));
    }

    pub(crate) fn is_active(&self, matches: impl Fn(&Fault) -> bool) -> bool {
        self.active.iter().any(|index| matches(&self.script.faults[*index].fault))
    }

    /// Sends something: it may be lost, doubled or late, and messages overtake each other.
    pub(crate) fn send(&mut self, is_open: bool, event: Event) {
        if !is_open {
            return;
        }
        let impaired = self.is_active(|fault| *fault == Fault::Impaired);
        if impaired && self.below(100) < 25 {
            return;
        }
        let copies = if impaired && self.below(100) < 25 { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = DELAY_MS.0 + self.below(DELAY_MS.1 - DELAY_MS.0);
            if impaired {
                delay += self.below(SLOW_MS);
            }
            self.at(self.now + Duration::from_millis(delay), event.clone());
        }
    }

    pub(crate) fn cloud_open(&self, robot: usize) -> bool {
        !self.is_active(|fault| *fault == Fault::CutCloud(robot))
    }

    pub(crate) fn mesh_open(&self, a: usize, b: usize) -> bool {
        !self.is_active(|fault| match fault {
            Fault::CutMesh(robot) => *robot == a || *robot == b,
            Fault::SplitMesh(last) => (a <= *last) != (b <= *last),
            _ => false,
        })
    }

    pub(crate) fn debug_open(&self, robot: usize) -> bool {
        !self.is_active(|fault| *fault == Fault::CutDebug(robot))
    }

    fn handle(&mut self, event: Event) {
        if let Some(robot) = receiver(&event).filter(|robot| self.robots[*robot].hung) {
            self.robots[robot].held.push(event);
            return;
        }
        match event {
            Event::Act(index) => {
                let act = self.script.acts[index].clone();
                self.act(act);
            }
            Event::FaultBegins(index) => self.begin(index),
            Event::FaultEnds(index) => self.end(index),
            Event::Debug { robot, caller, target, request } => {
                let boot = self.robots[robot].boot;
                if self.robots[robot].authority.is_some() {
                    self.robots[robot].unanswered.insert(caller);
                    self.at(self.now + ACK_WITHIN, Event::AckDue { robot, boot, caller });
                }
                let from = LatchPath::DebugApi(caller);
                self.give(robot, LatchInput::Request { from, target, request });
            }
            Event::AtSupervisor { target, request, epochs } => self.at_supervisor(target, request, &epochs),
            Event::Look { press } => self.look(press),
            Event::Release { press, seen } => self.release(&press, &seen),
            Event::Gossip { robot, gossip } => self.give(robot, LatchInput::Gossip(gossip)),
            Event::Order { robot, stream, command, order } => {
                if self.robots[robot].stream == stream {
                    self.give(robot, LatchInput::Order { command, order });
                }
            }
            Event::Report { robot, stream, report } => {
                if self.robots[robot].stream == stream && self.robots[robot].linked {
                    let orders = self.supervisor.on_report(self.now, robot, *report);
                    self.send_orders(orders);
                    self.note_supervisor();
                }
            }
            Event::Redial { robot } => self.redial(robot),
            Event::Saved { robot, boot, ticket } => self.saved(robot, boot, ticket),
            Event::AckDue { robot, boot, caller } => {
                let late = self.robots[robot].boot == boot && self.robots[robot].unanswered.contains(&caller);
                if late && self.robots[robot].authority.is_some() {
                    self.fail(format!("rover-{} has not answered a request for {ACK_WITHIN:?}", robot + 1));
                }
            }
        }
    }

    pub(crate) fn send_orders(&mut self, orders: Vec<LatchCommand>) {
        for LatchCommand { robot, command, order } in orders {
            let stream = self.robots[robot].stream;
            let open = self.cloud_open(robot) && self.robots[robot].linked;
            self.send(open, Event::Order { robot, stream, command, order });
        }
    }

    pub(crate) fn give(&mut self, robot: usize, input: LatchInput) {
        let process = Process::Robot(robot);
        let asked = requests_of(&input, robot);
        let latches = self.robots[robot].authority.as_ref().map(|a| a.latches().clone()).unwrap_or_default();
        let input = self.seam.input(&latches, input);
        let Some(authority) = self.robots[robot].authority.as_mut() else { return };
        authority.handle(self.now, input);
        self.after_give(robot, process, asked);
    }

    fn after_give(&mut self, robot: usize, process: Process, asked: Vec<LatchRequest>) {
        let Some(authority) = self.robots[robot].authority.as_ref() else { return };
        let latches = authority.latches().clone();
        for request in asked {
            self.model.on_handled(process, &request, latches.get(request.scope));
        }
        self.model.on_holds(process, Register::Robot(robot), &latches.own);
        self.model.on_holds(process, Register::Fleet, &latches.fleet);
        self.drain(robot);
    }

    pub(crate) fn drain(&mut self, robot: usize) {
        while let Some(output) = self.robots[robot].authority.as_mut().and_then(LatchAuthority::poll_output) {
            let Some(output) = self.seam.output(output) else { continue };
            match output {
                LatchOutput::Publish(view) => {
                    if view.level == Latch::Released && self.robots[robot].view.level != Latch::Released {
                        self.applied += 1;
                    }
                    self.robots[robot].view = view;
                }
                LatchOutput::Save { ticket, contents } => self.save(robot, ticket, contents),
                LatchOutput::Ack { path, outcome } => self.on_ack(robot, path, &outcome),
                LatchOutput::Inform(_) => {}
                LatchOutput::Report(report) => {
                    let stream = self.robots[robot].stream;
                    let open = self.cloud_open(robot) && self.robots[robot].linked;
                    self.send(open, Event::Report { robot, stream, report: Box::new(AgentReport::Latch(report)) });
                }
                LatchOutput::Gossip(gossip) => {
                    for to in (0..self.robots.len()).filter(|to| *to != robot) {
                        self.send(self.mesh_open(robot, to), Event::Gossip { robot: to, gossip: gossip.clone() });
                    }
                }
            }
        }
    }

    fn on_ack(&mut self, robot: usize, path: LatchPath, outcome: &LatchOutcome) {
        let refused = matches!(outcome.verdict, LatchVerdict::Refused(_) | LatchVerdict::Relayed);
        if outcome.kept && !refused {
            self.model.on_acknowledged(Process::Robot(robot), outcome.request);
            self.check_kept(robot, outcome);
        }
        match path {
            LatchPath::DebugApi(caller) => drop(self.robots[robot].unanswered.remove(&caller)),
            LatchPath::Supervisor(command) => {
                let report = AgentReport::Ack(CommandAck { command, outcome: outcome.command_outcome() });
                let stream = self.robots[robot].stream;
                let open = self.cloud_open(robot) && self.robots[robot].linked;
                self.send(open, Event::Report { robot, stream, report: Box::new(report) });
            }
            LatchPath::Mesh => {}
        }
    }

    fn save(&mut self, robot: usize, ticket: u64, contents: Box<LatchFileContents>) {
        let limit = if self.robots[robot].disk.slow { SAVE_MS.1 } else { SAVE_MS.0 };
        let takes = 1 + self.below(limit);
        let boot = self.robots[robot].boot;
        if self.seam.answers_before_saving() {
            self.give(robot, LatchInput::Saved { ticket, result: Ok(()) });
        }
        self.robots[robot].disk.under_way.insert((boot, ticket), contents);
        self.at(self.now + Duration::from_millis(takes), Event::Saved { robot, boot, ticket });
    }

    fn saved(&mut self, robot: usize, boot: u32, ticket: u64) {
        let site = &mut self.robots[robot];
        let Some(contents) = site.disk.under_way.remove(&(boot, ticket)) else { return };
        let full = site.disk.full;
        if !full && !self.seam.loses_saves() {
            site.disk.kept = Some(contents);
            site.disk.torn = false;
        }
        if site.boot == boot && site.authority.is_some() {
            let result = if full { Err("no space left on device".to_owned()) } else { Ok(()) };
            self.give(robot, LatchInput::Saved { ticket, result });
        }
    }
}

pub(crate) const fn register_of(target: Option<usize>) -> Register {
    match target {
        Some(robot) => Register::Robot(robot),
        None => Register::Fleet,
    }
}

pub(crate) fn boot_id(seed: u64, robot: usize, start: u32) -> BootId {
    BootId(Uuid::from_u128(u128::from(seed) << 80 | (robot as u128) << 32 | u128::from(start)))
}

impl Robot {
    fn new() -> Self {
        Self {
            authority: None,
            boot: 0,
            kernel: 1,
            hung: false,
            held: Vec::new(),
            disk: Disk::default(),
            view: LatchView::default(),
            stream: 0,
            linked: false,
            unanswered: BTreeSet::new(),
        }
    }
}

fn receiver(event: &Event) -> Option<usize> {
    match event {
        Event::Debug { robot, .. }
        | Event::Gossip { robot, .. }
        | Event::Order { robot, .. }
        | Event::Redial { robot }
        | Event::AckDue { robot, .. }
        | Event::Saved { robot, .. } => Some(*robot),
        _ => None,
    }
}

/// The requests in an input that are about this robot or the fleet.
fn requests_of(input: &LatchInput, robot: usize) -> Vec<LatchRequest> {
    let own = agent(robot);
    match input {
        LatchInput::Request { target, request, .. } => {
            let mine = request.scope == LatchScope::Fleet || target.as_ref().is_none_or(|target| *target == own);
            mine.then(|| request.clone()).into_iter().collect()
        }
        LatchInput::Order { order, .. } => order.request.iter().cloned().collect(),
        _ => Vec::new(),
    }
}
