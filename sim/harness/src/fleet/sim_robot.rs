//! One robot as its process drives it: body in its envelope, reflex, agent, and the two links.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use skein_agent::{Agent, AgentConfig, Input, Output};
use skein_body::{Body, Fence, SafeBody};
use skein_reflex::{Reflex, ReflexConfig};
use skein_types::authority::{LatchReport, LatchView};
use skein_types::coord::{AgentState, Hazard, Intent, MapHazard};
use skein_types::event::{Event, EventBatch};
use skein_types::ids::BootId;
use skein_types::link::{AgentReport, CloudCommand, Hello, Order, SCHEMA};
use skein_types::motion::Setpoint;
use skein_types::safety::{Latch, ReflexReport, Surroundings};
use skein_types::telemetry::{AgentTelemetry, LinkState};
use skein_types::time::{MonoTime, WallTime};
use skein_world::{SimBody, World};
use uuid::Uuid;

use super::random::mixed;

/// Events in one batch.
const EVENTS_PER_BATCH: usize = 64;
/// Period of batches.
const EVENTS_PERIOD: Duration = Duration::from_secs(1);
/// Messages that wait for a hung agent.
const INBOX_MAX: usize = 1_024;
/// A sound disk keeps something within this.
const SAVE_TIME: Duration = Duration::from_millis(4);
/// A slow disk keeps something within this.
const SLOW_SAVE_MS: u64 = 2_000;
/// What the wall clock says at the start: 2026-01-01.
const WALL_START_NS: i64 = 1_767_225_600_000_000_000;

/// The wall clock of all processes.
pub(crate) fn wall(now: MonoTime) -> WallTime {
    WallTime::from_unix_nanos(WALL_START_NS) + now.since(MonoTime::ZERO)
}

/// What leaves a robot's cores.
pub(crate) enum RobotOutput {
    Report(AgentReport),
    Intent(Intent),
    Hazard(Hazard),
    MapHazard(MapHazard),
    /// The disk keeps a latch after a while.
    SaveLatch {
        boot: BootId,
        latch: Latch,
        takes: Duration,
    },
}

/// How a robot's disk fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Sound,
    Slow,
    Full,
}

/// One robot.
pub(crate) struct SimRobot {
    pub(crate) config: AgentConfig,
    map_hash: String,
    body: SafeBody<SimBody>,
    reflex: Reflex,
    /// None while its process is dead.
    agent: Option<Agent>,
    hung: bool,
    agent_hung: bool,
    /// What waits for a hung agent.
    inbox: VecDeque<Input>,
    disk: Disk,
    starts: u32,
    setpoint: Setpoint,
    surroundings: Box<Surroundings>,
    latch: LatchView,
    /// What is on the disk.
    kept_latch: Latch,
    link: LinkState,
    /// Counts the streams, so that late bytes of a broken one are known.
    pub(crate) stream: u64,
    outbox: VecDeque<Event>,
    uploaded_at: MonoTime,
    pub(crate) intent: Option<Intent>,
    pub(crate) telemetry: Option<AgentTelemetry>,
    pub(crate) reflex_report: ReflexReport,
    pub(crate) actuate_errors: u64,
}

impl SimRobot {
    pub(crate) fn new(
        config: AgentConfig,
        map_hash: String,
        world: &Rc<RefCell<World>>,
        number: usize,
    ) -> Option<Self> {
        let body = SafeBody::new(SimBody::new(world, number)?, Fence::unbounded());
        let mut robot = Self {
            reflex: Reflex::new(ReflexConfig::new(config.descriptor)),
            config,
            map_hash,
            body,
            agent: None,
            hung: false,
            agent_hung: false,
            inbox: VecDeque::new(),
            disk: Disk::Sound,
            starts: 0,
            setpoint: Setpoint::none(),
            surroundings: Box::new(Surroundings::empty()),
            latch: LatchView::default(),
            kept_latch: Latch::Released,
            link: LinkState::default(),
            stream: 0,
            outbox: VecDeque::new(),
            uploaded_at: MonoTime::ZERO,
            intent: None,
            telemetry: None,
            reflex_report: ReflexReport::none(),
            actuate_errors: 0,
        };
        robot.start(MonoTime::ZERO);
        Some(robot)
    }

    /// The process starts, for the first time or again.
    pub(crate) fn start(&mut self, now: MonoTime) {
        self.starts += 1;
        let number = u128::from(self.config.seed) << 32 | u128::from(self.starts);
        self.config.boot = BootId(Uuid::from_u128(number));
        let mut agent = Agent::new(self.config.clone());
        agent.handle(now, Input::Wall(wall(now)));
        self.latch = LatchView { level: self.kept_latch, ..self.latch };
        if self.kept_latch != Latch::Released {
            agent.restore_latch(now, self.kept_latch);
        }
        self.agent = Some(agent);
        self.reflex = Reflex::new(ReflexConfig::new(self.config.descriptor));
        self.setpoint = Setpoint::none();
        *self.surroundings = Surroundings::empty();
        self.link = LinkState::default();
    }

    /// The process dies; the body is on its own.
    pub(crate) fn die(&mut self) {
        self.agent = None;
        self.inbox.clear();
        self.intent = None;
        self.link = LinkState::default();
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.agent.is_some()
    }

    /// Nothing in the process runs.
    pub(crate) const fn is_hung(&self) -> bool {
        self.hung
    }

    pub(crate) const fn set_hung(&mut self, hung: bool) {
        self.hung = hung;
    }

    pub(crate) const fn set_agent_hung(&mut self, hung: bool) {
        self.agent_hung = hung;
    }

    pub(crate) const fn set_disk(&mut self, disk: Disk) {
        self.disk = disk;
    }

    pub(crate) const fn is_linked(&self) -> bool {
        self.link.cloud
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        if self.hung || self.agent_hung {
            return None;
        }
        self.agent.as_ref().and_then(Agent::next_deadline).map(|(at, _)| at)
    }

    /// One tick of 100 Hz.
    pub(crate) fn tick(&mut self, now: MonoTime) {
        if self.agent.is_none() || self.hung {
            return;
        }
        let Ok(frame) = self.body.sense(now) else { return };
        let output = self.reflex.tick(now, &frame, &self.setpoint, &self.surroundings, self.latch);
        if output.restore_power && self.body.restore_power(now).is_err() {
            self.actuate_errors += 1;
        }
        if self.body.actuate(now, &output.actuators).is_err() {
            self.actuate_errors += 1;
        }
        self.reflex_report = output.report;
        self.give(now, Input::Sensors(Box::new(frame)));
        self.give(now, Input::Reflex(output.report));
    }

    pub(crate) fn wake(&mut self, now: MonoTime) {
        self.give(now, Input::Cycle);
    }

    pub(crate) fn give(&mut self, now: MonoTime, input: Input) {
        if self.agent_hung {
            if self.inbox.len() < INBOX_MAX {
                self.inbox.push_back(input);
            }
            return;
        }
        if let Some(agent) = &mut self.agent {
            while let Some(waiting) = self.inbox.pop_front() {
                agent.handle(now, waiting);
            }
            agent.handle(now, input);
        }
    }

    pub(crate) fn set_link(&mut self, now: MonoTime, link: LinkState) {
        self.link = link;
        self.give(now, Input::Link(link));
    }

    pub(crate) const fn link(&self) -> LinkState {
        self.link
    }

    pub(crate) fn on_command(&mut self, now: MonoTime, command: CloudCommand) {
        if let Order::EventsKept { boot, sequence } = command.order {
            self.outbox.retain(|event| event.boot != boot || event.sequence > sequence);
            return;
        }
        self.give(now, Input::Command(command));
    }

    /// The disk has kept a latch, unless the process that wanted it died before.
    pub(crate) fn on_latch_kept(&mut self, boot: BootId, latch: Latch) {
        if self.is_alive() && self.config.boot == boot {
            self.kept_latch = latch;
        }
    }

    pub(crate) fn hello(&self) -> Option<Hello> {
        let agent = self.agent.as_ref()?;
        Some(Hello {
            agent: self.config.id.clone(),
            fleet: self.config.fleet.clone(),
            boot: self.config.boot,
            body: self.config.descriptor,
            home: self.config.home,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            schema: SCHEMA,
            last_command: agent.last_command(),
            working_on: agent.working_on(),
            debug_address: String::new(),
            map_hash: self.map_hash.clone(),
            latch: LatchReport::default(),
            proof: None,
        })
    }

    /// Takes what the agent wants done: keeps what is for the reflex and the body, hands on what is for others.
    pub(crate) fn drain(&mut self, now: MonoTime, mut send: impl FnMut(RobotOutput)) {
        if self.hung || self.agent_hung {
            return;
        }
        while let Some(output) = self.agent.as_mut().and_then(Agent::poll_output) {
            match output {
                Output::Setpoint(setpoint) => self.setpoint = setpoint,
                Output::Surroundings(surroundings) => *self.surroundings = *surroundings,
                Output::PublishIntent(intent) => {
                    self.intent = Some(intent.clone());
                    send(RobotOutput::Intent(intent));
                }
                Output::PublishHazard(hazard) => send(RobotOutput::Hazard(hazard)),
                Output::MapHazard(entry) => send(RobotOutput::Report(AgentReport::Hazards(vec![entry]))),
                Output::PublishMapHazard(entry) => send(RobotOutput::MapHazard(entry)),
                Output::Report(report) => {
                    if let AgentReport::Telemetry(batch) = &report {
                        self.telemetry = batch.samples.last().cloned();
                    }
                    send(RobotOutput::Report(report));
                }
                Output::Event(event) => self.outbox.push_back(event),
                // The reflex restores it in the tick that reads the release.
                Output::RestorePower => {}
                Output::LatchChanged(level) => {
                    let stamp = self.latch.stamp.saturating_add(u64::from(level == Latch::Released));
                    self.latch = LatchView { level, stamp };
                    if let Some(takes) = self.save_time(now) {
                        send(RobotOutput::SaveLatch { boot: self.config.boot, latch: level, takes });
                    }
                }
            }
        }
        if self.link.cloud && !self.outbox.is_empty() && now.since(self.uploaded_at) >= EVENTS_PERIOD {
            self.uploaded_at = now;
            let boot = self.outbox.front().map(|event| event.boot);
            let batch = self.outbox.iter().take(EVENTS_PER_BATCH).take_while(|event| Some(event.boot) == boot);
            send(RobotOutput::Report(AgentReport::Events(EventBatch { events: batch.cloned().collect() })));
        }
    }

    /// How long the disk takes to keep something; `None` when it cannot.
    fn save_time(&self, now: MonoTime) -> Option<Duration> {
        match self.disk {
            Disk::Sound => Some(SAVE_TIME),
            Disk::Slow => Some(Duration::from_millis(mixed(self.config.seed ^ now.as_nanos()) % SLOW_SAVE_MS)),
            Disk::Full => None,
        }
    }

    /// The setpoint that the reflex was given last.
    pub(crate) const fn setpoint(&self) -> &Setpoint {
        &self.setpoint
    }

    /// It has nothing to do and stands.
    pub(crate) fn is_resting(&self) -> bool {
        let at_rest =
            |state| matches!(state, AgentState::Idle | AgentState::Charging | AgentState::Fault | AgentState::Stopped);
        self.intent.as_ref().is_some_and(|intent| at_rest(intent.state))
    }

    /// Everything it believes.
    pub(crate) fn status(&self, now: MonoTime) -> Option<skein_agent::AgentStatus> {
        self.agent.as_ref().map(|agent| agent.status(now))
    }
}
