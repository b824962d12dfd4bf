//! One robot as its process drives it: body in its envelope, reflex, agent, and the two links.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use skein_agent::{Agent, AgentConfig, Input, Output};
use skein_body::{Body, Fence, SafeBody};
use skein_reflex::{Reflex, ReflexConfig};
use skein_types::authority::{LatchReport, LatchView};
use skein_types::coord::{AgentState, Hazard, Intent};
use skein_types::event::{Event, EventBatch};
use skein_types::ids::BootId;
use skein_types::link::{AgentReport, CloudCommand, Hello, Order, SCHEMA};
use skein_types::motion::Setpoint;
use skein_types::safety::{Latch, ReflexReport, Surroundings};
use skein_types::telemetry::{AgentTelemetry, LinkState};
use skein_types::time::{MonoTime, WallTime};
use skein_world::{SimBody, World};
use uuid::Uuid;

/// Events in one batch.
const EVENTS_AT_ONCE: usize = 64;
/// Between two batches.
const EVENTS_EVERY: Duration = Duration::from_secs(1);
/// What the wall clock says at the start: 2026-01-01.
const WALL_START_NS: i64 = 1_767_225_600_000_000_000;

/// The wall clock of everybody.
pub(crate) fn wall(now: MonoTime) -> WallTime {
    WallTime::from_unix_nanos(WALL_START_NS) + now.since(MonoTime::ZERO)
}

/// What a robot wants to say.
pub(crate) enum Said {
    ToCloud(AgentReport),
    Intent(Intent),
    Hazard(Hazard),
}

/// One robot.
pub(crate) struct Robot {
    pub(crate) config: AgentConfig,
    map_hash: String,
    body: SafeBody<SimBody>,
    reflex: Reflex,
    /// None while its process is dead.
    agent: Option<Agent>,
    lives: u32,
    setpoint: Setpoint,
    surroundings: Box<Surroundings>,
    latch: LatchView,
    link: LinkState,
    /// Counts the streams, so that late bytes of a dead one are known.
    pub(crate) stream: u64,
    outbox: VecDeque<Event>,
    uploaded_at: MonoTime,
    pub(crate) intent: Option<Intent>,
    pub(crate) sample: Option<AgentTelemetry>,
    pub(crate) reflexed: ReflexReport,
    pub(crate) actuate_errors: u64,
}

impl Robot {
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
            lives: 0,
            setpoint: Setpoint::none(),
            surroundings: Box::new(Surroundings::empty()),
            latch: LatchView::default(),
            link: LinkState::default(),
            stream: 0,
            outbox: VecDeque::new(),
            uploaded_at: MonoTime::ZERO,
            intent: None,
            sample: None,
            reflexed: ReflexReport::none(),
            actuate_errors: 0,
        };
        robot.start(MonoTime::ZERO);
        Some(robot)
    }

    /// The process starts, for the first time or again.
    pub(crate) fn start(&mut self, now: MonoTime) {
        self.lives += 1;
        let number = u128::from(self.config.seed) << 32 | u128::from(self.lives);
        self.config.boot = BootId(Uuid::from_u128(number));
        let mut agent = Agent::new(self.config.clone());
        agent.handle(now, Input::Wall(wall(now)));
        if self.latch.level != Latch::Released {
            agent.restore_latch(now, self.latch.level);
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
        self.intent = None;
        self.link = LinkState::default();
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.agent.is_some()
    }

    pub(crate) const fn linked(&self) -> bool {
        self.link.cloud
    }

    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        self.agent.as_ref().and_then(Agent::next_deadline).map(|(at, _)| at)
    }

    /// One tick of 100 Hz.
    pub(crate) fn tick(&mut self, now: MonoTime) {
        let Some(agent) = &mut self.agent else { return };
        let Ok(frame) = self.body.sense(now) else { return };
        let output = self.reflex.tick(now, &frame, &self.setpoint, &self.surroundings, self.latch);
        if output.restore_power && self.body.restore_power(now).is_err() {
            self.actuate_errors += 1;
        }
        if self.body.actuate(now, &output.actuators).is_err() {
            self.actuate_errors += 1;
        }
        self.reflexed = output.report;
        agent.handle(now, Input::Sensors(Box::new(frame)));
        agent.handle(now, Input::Reflex(output.report));
    }

    pub(crate) fn wake(&mut self, now: MonoTime) {
        self.give(now, Input::Cycle);
    }

    pub(crate) fn give(&mut self, now: MonoTime, input: Input) {
        if let Some(agent) = &mut self.agent {
            agent.handle(now, input);
        }
    }

    pub(crate) fn relink(&mut self, now: MonoTime, link: LinkState) {
        self.link = link;
        self.give(now, Input::Link(link));
    }

    pub(crate) const fn link(&self) -> LinkState {
        self.link
    }

    pub(crate) fn obey(&mut self, now: MonoTime, command: CloudCommand) {
        if let Order::EventsKept { boot, sequence } = command.order {
            self.outbox.retain(|event| event.boot != boot || event.sequence > sequence);
            return;
        }
        self.give(now, Input::Command(command));
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
    pub(crate) fn drain(&mut self, now: MonoTime, mut say: impl FnMut(Said)) {
        while let Some(output) = self.agent.as_mut().and_then(Agent::poll_output) {
            match output {
                Output::Setpoint(setpoint) => self.setpoint = setpoint,
                Output::Surroundings(surroundings) => *self.surroundings = *surroundings,
                Output::PublishIntent(intent) => {
                    self.intent = Some(intent.clone());
                    say(Said::Intent(intent));
                }
                Output::PublishHazard(hazard) => say(Said::Hazard(hazard)),
                Output::Report(report) => {
                    if let AgentReport::Telemetry(batch) = &report {
                        self.sample = batch.samples.last().cloned();
                    }
                    say(Said::ToCloud(report));
                }
                Output::Event(event) => self.outbox.push_back(event),
                // The reflex restores it in the tick that reads the release.
                Output::RestorePower => {}
                Output::LatchChanged(level) => {
                    let stamp = self.latch.stamp.saturating_add(u64::from(level == Latch::Released));
                    self.latch = LatchView { level, stamp };
                }
            }
        }
        if self.link.cloud && !self.outbox.is_empty() && now.since(self.uploaded_at) >= EVENTS_EVERY {
            self.uploaded_at = now;
            let boot = self.outbox.front().map(|event| event.boot);
            let batch = self.outbox.iter().take(EVENTS_AT_ONCE).take_while(|event| Some(event.boot) == boot);
            say(Said::ToCloud(AgentReport::Events(EventBatch { events: batch.cloned().collect() })));
        }
    }

    /// The wish it gave the reflex last.
    pub(crate) const fn setpoint(&self) -> &Setpoint {
        &self.setpoint
    }

    /// It has nothing to do and stands.
    pub(crate) fn is_resting(&self) -> bool {
        let at_rest =
            |state| matches!(state, AgentState::Idle | AgentState::Charging | AgentState::Fault | AgentState::Stopped);
        self.intent.as_ref().is_some_and(|intent| at_rest(intent.state))
    }

    /// Everything it believes, for whoever looks for a fault.
    pub(crate) fn status(&self, now: MonoTime) -> Option<skein_agent::AgentStatus> {
        self.agent.as_ref().map(|agent| agent.status(now))
    }
}
