//! The tactical step of one robot: the agent, with what it has to be told about links, clock and real-time ticks.

use skein_agent::{Agent, Input, Output, TimerKind};
use skein_types::authority::LatchSet;
use skein_types::ids::OperatorId;
use skein_types::telemetry::LinkState;
use skein_types::time::{MonoTime, WallTime};

use crate::rt::TickRecord;

/// A wall clock that differs this much from what the agent reckons was set.
const WALL_SLACK_NANOS: i64 = 20_000_000;

/// The agent and what its surroundings last told it.
#[derive(Debug)]
pub struct TacticalCore {
    agent: Agent,
    link: LinkState,
    /// Wall clock less monotonic clock, as the agent reckons it; `None` before it was told.
    wall_offset: Option<i64>,
}

impl TacticalCore {
    /// Around an agent that has sensed nothing yet.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        Self { agent, link: LinkState::default(), wall_offset: None }
    }

    /// Applies one input; its outputs are drained with [`Self::poll_output`].
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        self.agent.handle(now, input);
    }

    /// A tick of the real-time loop.
    pub fn on_tick(&mut self, now: MonoTime, record: &TickRecord) {
        self.agent.handle(now, Input::Sensors(Box::new(record.frame)));
        self.agent.handle(now, Input::Reflex(record.report));
    }

    /// The latches changed.
    pub fn on_latch(&mut self, now: MonoTime, latches: &LatchSet) {
        self.agent.handle(now, Input::Latch(latches.clone()));
    }

    /// The supervisor answers, or no longer.
    pub fn on_cloud(&mut self, now: MonoTime, cloud: bool) {
        self.on_link(now, LinkState { cloud, ..self.link });
    }

    /// The mesh is up, or not.
    pub fn on_mesh(&mut self, now: MonoTime, mesh: bool) {
        self.on_link(now, LinkState { mesh, ..self.link });
    }

    /// What the wall clock says; passed on at the start and when the clock was set.
    pub fn on_wall(&mut self, now: MonoTime, wall: WallTime) {
        let offset = wall.unix_nanos().saturating_sub(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
        let is_set = |known: i64| offset.saturating_sub(known).saturating_abs() > WALL_SLACK_NANOS;
        if self.wall_offset.is_none_or(is_set) {
            self.wall_offset = Some(offset);
            self.agent.handle(now, Input::Wall(wall));
        }
    }

    /// Does what is due by now.
    pub fn catch_up(&mut self, now: MonoTime) {
        if self.agent.next_deadline().is_some_and(|(deadline, _)| deadline <= now) {
            self.agent.handle(now, Input::Cycle);
        }
    }

    /// What is to be done, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.agent.poll_output()
    }

    /// When [`Self::catch_up`] is due, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(MonoTime, TimerKind)> {
        self.agent.next_deadline()
    }

    /// The operator who drives or has not given control back.
    #[must_use]
    pub const fn manual(&self) -> Option<&OperatorId> {
        self.agent.manual_operator()
    }

    /// Connections as the agent knows them.
    #[must_use]
    pub const fn link(&self) -> LinkState {
        self.link
    }

    /// The agent, to look at.
    #[must_use]
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    fn on_link(&mut self, now: MonoTime, link: LinkState) {
        self.link = link;
        self.agent.handle(now, Input::Link(link));
    }
}
