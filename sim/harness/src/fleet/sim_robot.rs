//! A robot's process on the virtual clock: drives the robot's core as `edge/node` does, and keeps what survives the process.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use skein_body::{Fence, SafeBody};
use skein_robot::latch::{LatchFileContents, LatchInput};
use skein_robot::link::LinkInput;
use skein_robot::{Robot, RobotConfig, RobotInput, RobotOutput};
use skein_types::coord::{AgentState, Intent};
use skein_types::ids::{AgentId, BootId};
use skein_types::link::AgentReport;
use skein_types::motion::Setpoint;
use skein_types::polygon::Polygon;
use skein_types::safety::{Latch, ReflexReport};
use skein_types::telemetry::AgentTelemetry;
use skein_types::time::{MonoTime, WallTime};
use skein_world::{SimBody, World};
use uuid::Uuid;

use super::disk::SimDisk;
use super::fault::FaultKind;
use super::random::SplitMix;

/// What the wall clock says at the start: 2026-01-01.
const WALL_START_NS: i64 = 1_767_225_600_000_000_000;

/// The wall clock of all processes.
pub(crate) fn wall(now: MonoTime) -> WallTime {
    WallTime::from_unix_nanos(WALL_START_NS) + now.since(MonoTime::ZERO)
}

/// One robot: its process, its disk and its place in the world.
pub(crate) struct SimRobot {
    pub(crate) config: RobotConfig,
    world: Rc<RefCell<World>>,
    number: usize,
    fence: Polygon,
    /// None while its process is dead.
    robot: Option<Box<Robot<SimBody>>>,
    starts: u32,
    machine_starts: u32,
    disk: SimDisk,
    random: SplitMix,
    /// What is wrong with process and machine, by number of the fault.
    faults: BTreeMap<usize, FaultKind>,
    /// Number of the newest attempt to open a stream.
    pub(crate) stream: u64,
    /// That attempt has been answered.
    pub(crate) is_streaming: bool,
    /// What the process was told about its mesh; `None` before it was told anything.
    pub(crate) is_mesh_up: Option<bool>,
    pub(crate) intent: Option<Intent>,
    pub(crate) telemetry: Option<AgentTelemetry>,
}

impl SimRobot {
    pub(crate) fn new(config: RobotConfig, fence: Polygon, world: &Rc<RefCell<World>>, number: usize) -> Self {
        let seed = config.agent.seed;
        let mut robot = Self {
            config,
            world: Rc::clone(world),
            number,
            fence,
            robot: None,
            starts: 0,
            machine_starts: 1,
            disk: SimDisk::default(),
            random: SplitMix::new(seed),
            faults: BTreeMap::new(),
            stream: 0,
            is_streaming: false,
            is_mesh_up: None,
            intent: None,
            telemetry: None,
        };
        robot.start(MonoTime::ZERO);
        robot
    }

    /// The process starts, for the first time or again.
    pub(crate) fn start(&mut self, now: MonoTime) {
        self.starts += 1;
        let boot = BootId(Uuid::from_u128(u128::from(self.config.agent.seed) << 32 | u128::from(self.starts)));
        self.config.identity.boot = boot;
        self.config.agent.boot = boot;
        self.config.kernel_boot = format!("machine-{}", self.machine_starts);
        let Some(body) = SimBody::new(&self.world, self.number) else { return };
        let body = SafeBody::new(body, Fence::from(&self.fence));
        let found = self.disk.found();
        self.robot = Some(Box::new(Robot::start(now, wall(now), self.config.clone(), body, found, None)));
    }

    /// The process dies; the body is on its own.
    fn die(&mut self, with_machine: bool) {
        self.robot = None;
        let full = self.has(FaultKind::DiskFull);
        self.disk.crash(with_machine, full, &mut self.random);
        self.machine_starts += u32::from(with_machine);
        self.stream += 1;
        self.is_streaming = false;
        self.is_mesh_up = None;
        self.intent = None;
    }

    pub(crate) fn begin_fault(&mut self, fault: usize, kind: FaultKind) {
        self.faults.insert(fault, kind);
        match kind {
            FaultKind::Kill => self.die(false),
            FaultKind::PowerCut => self.die(true),
            _ => {}
        }
    }

    /// Ends a fault; a process that no fault keeps dead starts again.
    pub(crate) fn end_fault(&mut self, now: MonoTime, fault: usize) {
        self.faults.remove(&fault);
        if self.robot.is_none() && !self.has(FaultKind::Kill) && !self.has(FaultKind::PowerCut) {
            self.start(now);
        }
    }

    fn has(&self, kind: FaultKind) -> bool {
        self.faults.values().any(|active| *active == kind)
    }

    pub(crate) const fn id(&self) -> &AgentId {
        &self.config.identity.robot
    }

    /// The stream is given up.
    pub(crate) const fn hang_up(&mut self) {
        self.stream += 1;
        self.is_streaming = false;
    }

    pub(crate) const fn is_alive(&self) -> bool {
        self.robot.is_some()
    }

    /// Nothing in the process runs.
    pub(crate) fn is_hung(&self) -> bool {
        self.has(FaultKind::Hang)
    }

    /// When the agent's thread has something to do; while it hangs, the ticks look after latch and link.
    pub(crate) fn next_deadline(&self) -> Option<MonoTime> {
        let runs = !self.is_hung() && !self.has(FaultKind::HangAgent);
        self.robot.as_ref().filter(|_| runs).map(|robot| robot.next_deadline())
    }

    /// One tick of the real-time thread.
    pub(crate) fn tick(&mut self, now: MonoTime) {
        if self.is_hung() {
            return;
        }
        let agent_hangs = self.has(FaultKind::HangAgent);
        let Some(robot) = &mut self.robot else { return };
        robot.handle(now, wall(now), RobotInput::RealtimeTick);
        if agent_hangs {
            robot.handle(now, wall(now), RobotInput::Latch(LatchInput::Tick));
            robot.handle(now, wall(now), RobotInput::Link(LinkInput::Tick));
        }
    }

    /// The agent's thread goes round, unless it hangs.
    pub(crate) fn wake(&mut self, now: MonoTime) {
        if self.has(FaultKind::HangAgent) {
            return;
        }
        if let Some(robot) = &mut self.robot {
            robot.handle(now, wall(now), RobotInput::AgentRound);
        }
    }

    /// A message arrives; the agent's thread wakes for it.
    pub(crate) fn give(&mut self, now: MonoTime, input: RobotInput) {
        if let Some(robot) = &mut self.robot {
            robot.handle(now, wall(now), input);
        }
        self.wake(now);
    }

    pub(crate) fn poll_output(&mut self) -> Option<RobotOutput> {
        let output = self.robot.as_mut()?.poll_output()?;
        match &output {
            RobotOutput::Intent(intent) => self.intent = Some(intent.clone()),
            RobotOutput::Report(AgentReport::Telemetry(batch)) => self.telemetry = batch.samples.last().cloned(),
            _ => {}
        }
        Some(output)
    }

    /// Begins a save; returns the start of the process that it belongs to, and how long it takes.
    pub(crate) fn save(&mut self, ticket: u64, contents: Box<LatchFileContents>) -> (u32, Duration) {
        let slow = self.has(FaultKind::SlowDisk);
        (self.starts, self.disk.begin((self.starts, ticket), contents, slow, &mut self.random))
    }

    /// A save ends; returns the answer for the process that began it, if it still runs.
    pub(crate) fn end_save(&mut self, start: u32, ticket: u64) -> Option<RobotInput> {
        let full = self.has(FaultKind::DiskFull);
        let result = self.disk.end((start, ticket), full)?;
        (start == self.starts).then_some(RobotInput::Latch(LatchInput::Saved { ticket, result }))
    }

    /// The core, while the process lives.
    pub(crate) fn core(&self) -> Option<&Robot<SimBody>> {
        self.robot.as_deref()
    }

    /// Why nothing may move the robot now, if nothing may.
    pub(crate) fn must_stand(&self, now: MonoTime) -> Option<&'static str> {
        let Some(robot) = &self.robot else { return Some("its process is dead") };
        if self.is_hung() {
            return Some("its process hangs");
        }
        if robot.latch().view().level != Latch::Released {
            return Some("it is latched");
        }
        (robot.setpoint().valid_until < now).then_some("it has no fresh setpoint")
    }

    pub(crate) fn reflex_report(&self) -> ReflexReport {
        self.robot.as_ref().map_or_else(ReflexReport::none, |robot| *robot.reflex_report())
    }

    /// The setpoint that the reflex follows.
    pub(crate) fn setpoint(&self) -> Setpoint {
        self.robot.as_ref().map_or_else(Setpoint::none, |robot| *robot.setpoint())
    }

    pub(crate) fn refused_commands(&self) -> u64 {
        self.robot.as_ref().map_or(0, |robot| robot.losses().0)
    }

    /// It has nothing to do and stands.
    pub(crate) fn is_resting(&self) -> bool {
        let at_rest =
            |state| matches!(state, AgentState::Idle | AgentState::Charging | AgentState::Fault | AgentState::Stopped);
        self.intent.as_ref().is_some_and(|intent| at_rest(intent.state))
    }

    /// Everything the agent believes.
    pub(crate) fn status(&self, now: MonoTime) -> Option<skein_agent::AgentStatus> {
        self.robot.as_ref().map(|robot| robot.tactical().agent().status(now))
    }
}
