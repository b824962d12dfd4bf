//! One robot, all of it, for one thread and a virtual clock: what the node runs on its threads, driven by hand.
//!
//! ```text
//!                     RealtimeTick                         AgentRound
//!   ┌─ real-time side ────────────┐  TickRecord   ┌─ tactical side ────────┐
//!   │ RealtimeCore                ├──────────────►│ TacticalCore           │──► Outbox ──► Report
//!   │   latch cell, setpoint,     │◄──────────────┤   inbox (bounded)      │──► Intent, Hazard
//!   │   surroundings, hazards     │   Handover    └────────────────────────┘
//!   └────▲──────────▲─────────────┘                     ▲ Inform
//!        │ Publish  │ straight hazards                  │
//!   ┌────┴──────────┴───────┐                           │
//!   │ LatchAuthority        ├───────────────────────────┘──► Save, Ack, Gossip
//!   └───────────────────────┘
//! ```
//!
//! Each input is what one thread does without interruption; the driver chooses their order, and so every
//! race of the node: a release between two ticks, an agent that hangs ([`RobotInput::AgentRound`] does not come), a
//! restart between a save and its ack. [`Robot::hold_handover`] separates even the writes of one agent round.

use std::collections::VecDeque;

use skein_agent::{Agent, AgentConfig, Input, Output};
use skein_body::{Body, SafeBody};
use skein_reflex::{Reflex, ReflexConfig};
use skein_types::authority::{LatchGossip, LatchSet, LatchView};
use skein_types::coord::{Hazard, Intent, MapHazard};
use skein_types::geometry::Point;
use skein_types::ids::AgentId;
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, Order};
use skein_types::motion::Setpoint;
use skein_types::safety::{HAZARDS_MAX, ReflexReport, Surroundings};
use skein_types::time::{MonoTime, WallTime};

use crate::backoff::Backoff;
use crate::hazard::{HazardSender, HazardSlots, StraightHazards};
use crate::latch::{Found, LatchAuthority, LatchFileContents, LatchInput, LatchOutcome, LatchOutput, LatchPath, Start};
use crate::link::{
    Destination, LinkInput, LinkOutput, LinkSession, RobotIdentity, RobotKey, Standing, admitted_order, destination,
    stale_reason,
};
use crate::outbox::Outbox;
use crate::rt::{RealtimeCore, TickInputs, TickRecord};
use crate::tactical::TacticalCore;

/// Ticks on their way to the agent: more than half a second, far longer than its longest cycle.
pub const RECORDS_MAX: usize = 64;
/// Messages that wait for the agent: one second of a hundred peers, and orders.
pub const INBOX_MAX: usize = 1024;

/// What a robot is made of.
#[derive(Clone, Debug)]
pub struct RobotConfig {
    /// How it introduces itself.
    pub identity: RobotIdentity,
    /// Its tactical plane.
    pub agent: AgentConfig,
    /// Limits of the reflex.
    pub reflex: ReflexConfig,
    /// Pauses of its link; `None` runs without a supervisor.
    pub backoff: Option<Backoff>,
    /// The boot id of its machine's kernel.
    pub kernel_boot: String,
    /// The mesh authenticates its peers, so a release may come over it.
    pub mesh_may_release: bool,
}

/// What one of its threads does next.
#[derive(Clone, Debug)]
pub enum RobotInput {
    /// The real-time thread ticks.
    RealtimeTick,
    /// The agent's thread goes round: takes what waits for it and does what is due.
    AgentRound,
    /// Something for the agent.
    Agent(Input),
    /// Something for the latch.
    Latch(LatchInput),
    /// Something about the connection to the supervisor.
    Link(LinkInput),
    /// The supervisor orders.
    Command(CloudCommand),
    /// A peer said what it means to do.
    Intent(Intent),
    /// A peer reports a danger: into the reflex at once, and to the agent.
    Hazard(Hazard),
    /// An entry of the shared hazard map, from the mesh.
    MapHazard {
        /// The peer that sent it.
        from: AgentId,
        /// What it says.
        entry: MapHazard,
    },
    /// The mesh saw a peer appear or vanish.
    PeerAlive {
        /// Name of the peer.
        agent: AgentId,
        /// True when its liveliness token appeared.
        alive: bool,
    },
    /// The mesh is up, or not.
    MeshUp(bool),
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum RobotOutput {
    /// Onto the disk; [`LatchInput::Saved`] answers.
    Save {
        /// Names the save.
        ticket: u64,
        /// All of it.
        contents: Box<LatchFileContents>,
    },
    /// To a caller of the debug API.
    Ack {
        /// The caller's number.
        caller: u64,
        /// How the request fared.
        outcome: LatchOutcome,
    },
    /// Connect to the supervisor.
    Dial,
    /// Give the attempt up.
    HangUp,
    /// To the supervisor, while the link is up; Hello comes first.
    Report(AgentReport),
    /// To all peers.
    Intent(Intent),
    /// To all peers, before anything else.
    Hazard(Hazard),
    /// To all peers: an entry of the shared hazard map.
    MapHazard(MapHazard),
    /// To all peers.
    Gossip(Box<LatchGossip>),
}

/// What the agent's thread writes for the real-time thread.
#[derive(Clone, Debug, PartialEq)]
enum Handover {
    Setpoint(Setpoint),
    Surroundings(Box<Surroundings>),
}

/// What the real-time thread reads.
struct Slots {
    latch: LatchView,
    setpoint: Setpoint,
    surroundings: Box<Surroundings>,
    hazards: StraightHazards,
}

/// What waits for the agent.
#[derive(Clone, Debug)]
enum Message {
    Input(Box<Input>),
    Latch(Box<LatchSet>),
    Cloud(bool),
    Mesh(bool),
}

/// One boot of one robot.
pub struct Robot<B> {
    config: RobotConfig,
    key: Option<Box<dyn RobotKey>>,
    realtime: RealtimeCore<B>,
    slots: Slots,
    records: VecDeque<TickRecord>,
    handover: VecDeque<Handover>,
    holds_handover: bool,
    inbox: VecDeque<Message>,
    tactical: TacticalCore,
    latch: LatchAuthority,
    link: Option<LinkSession>,
    outbox: Outbox,
    sender: HazardSender,
    straight: HazardSlots,
    here: Point,
    report: ReflexReport,
    outputs: VecDeque<RobotOutput>,
    /// Commands that the body did not take.
    refused: u64,
    /// Messages and records that found no place.
    dropped: u64,
}

impl<B: Body> Robot<B> {
    /// A robot at its start, standing, with what its disk holds.
    #[must_use]
    pub fn start(
        now: MonoTime,
        wall: WallTime,
        config: RobotConfig,
        body: SafeBody<B>,
        found: Found,
        key: Option<Box<dyn RobotKey>>,
    ) -> Self {
        let RobotIdentity { robot, fleet, boot, .. } = config.identity.clone();
        let (kernel_boot, mesh_may_release) = (config.kernel_boot.clone(), config.mesh_may_release);
        let start = Start { robot: robot.clone(), fleet, boot, kernel_boot, now, wall, mesh_may_release };
        let latch = LatchAuthority::start(now, &start, found);
        let manual = latch.manual().cloned();
        let mut tactical = TacticalCore::new(Agent::new(AgentConfig { manual, ..config.agent.clone() }));
        tactical.on_wall(now, wall);
        let mut this = Self {
            key,
            realtime: RealtimeCore::new(Box::new(body), Reflex::new(config.reflex)),
            slots: Slots {
                latch: latch.view(),
                setpoint: Setpoint::none(),
                surroundings: Box::new(Surroundings::empty()),
                hazards: [None; HAZARDS_MAX],
            },
            records: VecDeque::new(),
            handover: VecDeque::new(),
            holds_handover: false,
            inbox: VecDeque::new(),
            tactical,
            latch,
            link: config.backoff.clone().map(|backoff| LinkSession::new(now, backoff)),
            outbox: Outbox::default(),
            sender: HazardSender::new(robot, boot),
            straight: HazardSlots::default(),
            here: config.identity.home.position,
            report: ReflexReport::none(),
            outputs: VecDeque::new(),
            refused: 0,
            dropped: 0,
            config,
        };
        this.drain_latch();
        this.drain_agent(now);
        this
    }

    /// One step of one thread; what it brought about is drained with [`Self::poll_output`].
    pub fn handle(&mut self, now: MonoTime, wall: WallTime, input: RobotInput) {
        match input {
            RobotInput::RealtimeTick => self.on_realtime_tick(now, wall),
            RobotInput::AgentRound => self.on_agent_round(now, wall),
            RobotInput::Agent(input) => self.post(Message::Input(Box::new(input))),
            RobotInput::Latch(input) => self.on_latch(now, input),
            RobotInput::Link(input) => self.on_link(now, Some(input)),
            RobotInput::Command(command) => self.on_command(now, command),
            RobotInput::Intent(intent) => self.post(Message::Input(Box::new(Input::Intent(intent)))),
            RobotInput::MapHazard { from, entry } => {
                self.post(Message::Input(Box::new(Input::MapHazard { from, entry })));
            }
            RobotInput::Hazard(hazard) => {
                self.slots.hazards = self.straight.put(now, self.here, &hazard);
                self.post(Message::Input(Box::new(Input::Hazard(hazard))));
            }
            RobotInput::PeerAlive { agent, alive } => {
                self.post(Message::Input(Box::new(Input::PeerAlive { agent, alive })));
            }
            RobotInput::MeshUp(mesh) => self.post(Message::Mesh(mesh)),
        }
    }

    /// What is to be done, in this order.
    pub fn poll_output(&mut self) -> Option<RobotOutput> {
        let reports = self.link.as_ref().is_some_and(LinkSession::is_up);
        let next = self.outputs.pop_front();
        next.or_else(|| self.outbox_next(reports))
    }

    /// When the robot wants [`RobotInput::AgentRound`] at the latest; latch and link are looked after in it.
    #[must_use]
    pub fn next_deadline(&self) -> MonoTime {
        let agent = self.tactical.next_deadline().map(|(at, _)| at);
        let link = self.link.as_ref().and_then(LinkSession::next_deadline);
        [agent, link].into_iter().flatten().fold(self.latch.next_deadline(), MonoTime::min)
    }

    /// Keeps what the agent writes for the real-time side until [`Self::deliver_handover`].
    pub const fn hold_handover(&mut self, hold: bool) {
        self.holds_handover = hold;
    }

    /// Lets the real-time side see the next thing that the agent wrote; `false` when there is none.
    pub fn deliver_handover(&mut self) -> bool {
        let next = self.handover.pop_front();
        let any = next.is_some();
        match next {
            Some(Handover::Setpoint(setpoint)) => self.slots.setpoint = setpoint,
            Some(Handover::Surroundings(surroundings)) => self.slots.surroundings = surroundings,
            None => {}
        }
        any
    }

    /// What it was started with.
    #[must_use]
    pub const fn config(&self) -> &RobotConfig {
        &self.config
    }

    /// The latch, to look at.
    #[must_use]
    pub const fn latch(&self) -> &LatchAuthority {
        &self.latch
    }

    /// The tactical side, to look at.
    #[must_use]
    pub const fn tactical(&self) -> &TacticalCore {
        &self.tactical
    }

    /// The outbox, to look at.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The real-time side, to look at.
    #[must_use]
    pub const fn realtime(&self) -> &RealtimeCore<B> {
        &self.realtime
    }

    /// The setpoint that the real-time side follows.
    #[must_use]
    pub const fn setpoint(&self) -> &Setpoint {
        &self.slots.setpoint
    }

    /// The hazards that the real-time side reads straight from the mesh.
    #[must_use]
    pub const fn straight_hazards(&self) -> &StraightHazards {
        &self.slots.hazards
    }

    /// What the last tick found and did.
    #[must_use]
    pub const fn reflex_report(&self) -> &ReflexReport {
        &self.report
    }

    /// The supervisor answers.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.link.as_ref().is_some_and(LinkSession::is_up)
    }

    /// Commands that the body did not take, and messages or records that found no place.
    #[must_use]
    pub const fn losses(&self) -> (u64, u64) {
        (self.refused, self.dropped)
    }

    /// The process ends, in whatever state it is: what remains is the body.
    #[must_use]
    pub fn into_body(self) -> Option<Box<SafeBody<B>>> {
        self.realtime.into_body()
    }

    /// Takes a body in the place of a lost one.
    pub fn attach(&mut self, body: SafeBody<B>) {
        drop(self.realtime.attach(Box::new(body)));
    }

    fn on_realtime_tick(&mut self, now: MonoTime, wall: WallTime) {
        let inputs = TickInputs {
            latch: self.slots.latch,
            setpoint: &self.slots.setpoint,
            surroundings: &self.slots.surroundings,
            hazards: &self.slots.hazards,
        };
        let outcome = self.realtime.tick(now, &inputs);
        self.refused += u64::from(outcome.refused);
        self.here = outcome.record.frame.estimate.pose.position;
        self.report = outcome.record.report;
        for sensed in outcome.hazards.iter().flatten() {
            self.sender.on_sensed(now, wall, sensed);
        }
        self.drain_hazards(now);
        if !outcome.record.latched.is_empty() {
            let (causes, stamp) = (outcome.record.latched, outcome.record.latch.stamp);
            self.on_latch(now, LatchInput::ReflexLatched { causes, stamp, at: wall });
        }
        if self.records.len() < RECORDS_MAX {
            self.records.push_back(outcome.record);
        } else {
            self.dropped += 1;
        }
    }

    fn on_agent_round(&mut self, now: MonoTime, wall: WallTime) {
        self.tactical.on_wall(now, wall);
        while let Some(record) = self.records.pop_front() {
            self.tactical.on_tick(now, &record);
            self.drain_agent(now);
        }
        while let Some(message) = self.inbox.pop_front() {
            match message {
                Message::Input(input) => self.tactical.handle(now, *input),
                Message::Latch(latches) => self.tactical.on_latch(now, &latches),
                Message::Cloud(cloud) => self.tactical.on_cloud(now, cloud),
                Message::Mesh(mesh) => self.tactical.on_mesh(now, mesh),
            }
            self.drain_agent(now);
        }
        self.tactical.catch_up(now);
        self.drain_agent(now);
        self.on_latch(now, LatchInput::Manual(self.tactical.manual().cloned()));
        self.on_link(now, None);
    }

    fn on_latch(&mut self, now: MonoTime, input: LatchInput) {
        self.latch.handle(now, input);
        self.drain_latch();
    }

    fn drain_latch(&mut self) {
        while let Some(output) = self.latch.poll_output() {
            match output {
                LatchOutput::Publish(view) => self.slots.latch = view,
                LatchOutput::Save { ticket, contents } => {
                    self.outputs.push_back(RobotOutput::Save { ticket, contents })
                }
                LatchOutput::Ack { path, outcome } => self.on_ack(path, outcome),
                LatchOutput::Inform(latches) => self.post(Message::Latch(Box::new(latches))),
                LatchOutput::Report(report) => self.outbox.report(AgentReport::Latch(report)),
                LatchOutput::Gossip(gossip) => self.outputs.push_back(RobotOutput::Gossip(gossip)),
            }
        }
    }

    fn on_ack(&mut self, path: LatchPath, outcome: LatchOutcome) {
        match path {
            LatchPath::Supervisor(command) => {
                let outcome = outcome.command_outcome();
                self.outbox.report(AgentReport::Ack(CommandAck { command, outcome }));
            }
            LatchPath::DebugApi(caller) => self.outputs.push_back(RobotOutput::Ack { caller, outcome }),
            LatchPath::Mesh => {}
        }
    }

    fn on_command(&mut self, now: MonoTime, command: CloudCommand) {
        let known = self.latch.term();
        let to = destination(&command, known);
        let (id, term) = (command.id, command.term);
        if to != Destination::Stale {
            self.on_latch(now, LatchInput::Term(term));
        }
        match (to, command.order) {
            (Destination::Latch, Order::Latch(order)) => {
                let order = admitted_order(order, term, known);
                self.on_latch(now, LatchInput::Order { command: id, order });
            }
            (Destination::Lease, Order::Lease(grant)) => {
                self.on_latch(now, LatchInput::Lease(grant));
                self.ack(id, CommandOutcome::Done);
            }
            (Destination::Agent, Order::Hazards(hazards)) => {
                self.post(Message::Input(Box::new(Input::Hazards(hazards))));
                self.ack(id, CommandOutcome::Done);
            }
            (Destination::Outbox, Order::EventsKept { boot, sequence }) => self.outbox.kept(boot, sequence),
            (Destination::Stale, order) => {
                let command = CloudCommand { order, ..command };
                self.ack(id, CommandOutcome::Rejected(stale_reason(&command, known)));
            }
            (_, order) => self.post(Message::Input(Box::new(Input::Command(CloudCommand { order, ..command })))),
        }
    }

    fn ack(&mut self, command: skein_types::ids::CommandId, outcome: CommandOutcome) {
        self.outbox.report(AgentReport::Ack(CommandAck { command, outcome }));
    }

    fn on_link(&mut self, now: MonoTime, input: Option<LinkInput>) {
        let Some(link) = &mut self.link else { return };
        link.handle(now, input.unwrap_or(LinkInput::Tick));
        let outputs: Vec<LinkOutput> = std::iter::from_fn(|| link.poll_output()).collect();
        for output in outputs {
            match output {
                LinkOutput::Dial => self.outputs.push_back(RobotOutput::Dial),
                LinkOutput::HangUp => self.outputs.push_back(RobotOutput::HangUp),
                LinkOutput::Greet { challenge } => {
                    let hello = self.hello(now, challenge);
                    self.outbox.begin_stream();
                    self.outputs.push_back(RobotOutput::Report(AgentReport::Hello(hello)));
                }
                LinkOutput::Up => self.post(Message::Cloud(true)),
                LinkOutput::Down { .. } => self.post(Message::Cloud(false)),
            }
        }
    }

    fn hello(&self, now: MonoTime, challenge: Option<[u8; 32]>) -> Hello {
        let standing = Standing {
            last_command: self.outbox.last_command(),
            working_on: self.outbox.working_on(),
            latch: self.latch.report(now),
        };
        self.config.identity.hello(standing, challenge, self.key.as_deref())
    }

    fn drain_agent(&mut self, now: MonoTime) {
        while let Some(output) = self.tactical.poll_output() {
            match output {
                Output::Setpoint(setpoint) => self.hand_over(Handover::Setpoint(setpoint)),
                Output::Surroundings(surroundings) => self.hand_over(Handover::Surroundings(surroundings)),
                Output::PublishIntent(intent) => self.outputs.push_back(RobotOutput::Intent(intent)),
                Output::PublishHazard(hazard) => {
                    self.sender.on_reported(now, hazard);
                    self.drain_hazards(now);
                }
                Output::PublishMapHazard(entry) => self.outputs.push_back(RobotOutput::MapHazard(entry)),
                Output::MapHazard(entry) => self.outbox.report(AgentReport::Hazards(vec![entry])),
                Output::Report(report) => self.outbox.report(report),
                Output::Event(event) => self.outbox.event(event),
            }
        }
    }

    fn drain_hazards(&mut self, now: MonoTime) {
        while let Some(hazard) = self.sender.next(now) {
            self.outputs.push_back(RobotOutput::Hazard(hazard));
        }
    }

    fn hand_over(&mut self, written: Handover) {
        self.handover.push_back(written);
        while !self.holds_handover && self.deliver_handover() {}
    }

    fn outbox_next(&mut self, linked: bool) -> Option<RobotOutput> {
        linked.then(|| self.outbox.next_report()).flatten().map(RobotOutput::Report)
    }

    fn post(&mut self, message: Message) {
        if self.inbox.len() < INBOX_MAX {
            self.inbox.push_back(message);
        } else {
            self.dropped += 1;
        }
    }
}
