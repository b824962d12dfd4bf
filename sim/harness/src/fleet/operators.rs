//! Operators at work: presses become requests, releases look first, acknowledgements are written down.

use core::time::Duration;

use serde::Serialize;
use skein_robot::RobotInput;
use skein_robot::latch::{LatchInput, LatchOutcome, LatchPath};
use skein_types::authority::{LatchAction, LatchRequest, LatchScope, LatchSet, Principal};
use skein_types::ids::{AgentId, CommandId, OperatorId};
use skein_types::time::MonoTime;
use uuid::Uuid;

use super::event_queue::SimEvent;
use super::network::Link;
use super::operator::{Access, Press, PressAction};
use super::run::Fleet;
use super::sim_robot::{SimRobot, wall};

/// An operator looks for up to this long before a release.
const THINK_MS: u64 = 1_500;
/// A request takes this long to the supervisor.
const CONSOLE_DELAY: Duration = Duration::from_millis(3);
/// Bytes of a request to a debug API.
const REQUEST_BYTES: usize = 256;

/// A robot has acknowledged a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acknowledgement {
    /// Id of the request.
    pub request: CommandId,
    /// Number of the robot, from 0.
    pub robot: usize,
    /// It is on the robot's disk.
    pub kept: bool,
    /// Since the operator pressed.
    pub after: Duration,
    /// It came over the supervisor.
    pub by_supervisor: bool,
}

/// What operators have asked and what they were answered.
#[derive(Debug, Default)]
pub(crate) struct Operators {
    requests: Vec<(CommandId, MonoTime)>,
    /// The request of each caller of a debug API.
    callers: Vec<CommandId>,
    pub(crate) acknowledgements: Vec<Acknowledgement>,
}

impl Operators {
    fn new_request(&mut self, now: MonoTime, seed: u64, press: &Press, action: LatchAction) -> Option<LatchRequest> {
        let id = CommandId(Uuid::from_u128(u128::from(seed) << 64 | (self.requests.len() as u128 + 1)));
        self.requests.push((id, now));
        let scope = if press.target.is_some() { LatchScope::Robot } else { LatchScope::Fleet };
        let by = Principal::Operator(OperatorId::new("ada").ok()?);
        Some(LatchRequest { id, scope, action, reason: "pressed".to_owned(), by, at: wall(now) })
    }

    fn new_caller(&mut self, request: CommandId) -> u64 {
        self.callers.push(request);
        self.callers.len() as u64
    }

    pub(crate) fn acknowledge(
        &mut self,
        now: MonoTime,
        robot: usize,
        request: CommandId,
        kept: bool,
        by_supervisor: bool,
    ) {
        let Some((_, pressed)) = self.requests.iter().find(|(id, _)| *id == request) else { return };
        let after = now.since(*pressed);
        self.acknowledgements.push(Acknowledgement { request, robot, kept, after, by_supervisor });
    }
}

impl Fleet {
    /// What robots have acknowledged, oldest first.
    #[must_use]
    pub fn acknowledgements(&self) -> &[Acknowledgement] {
        &self.operators.acknowledgements
    }

    pub(super) fn press(&mut self, number: usize) {
        let Some(press) = self.config.presses.get(number).cloned() else { return };
        let action = match press.action {
            PressAction::Stop => LatchAction::Stop,
            PressAction::Kill => LatchAction::Kill,
            PressAction::Release => return self.look(number, &press),
        };
        self.send_request(&press, action);
    }

    /// The operator reads the register at the first access and decides a little later.
    fn look(&mut self, number: usize, press: &Press) {
        let Some(seen) = press.accesses.first().and_then(|access| self.registers_at(*access, press.target)) else {
            return;
        };
        let think = Duration::from_millis(self.transport.network_mut().random().below(THINK_MS));
        self.transport.schedule(self.now + think, SimEvent::Decide { press: number, seen: Box::new(seen) });
    }

    pub(super) fn decide(&mut self, number: usize, seen: &LatchSet) {
        let Some(press) = self.config.presses.get(number).cloned() else { return };
        let register = if press.target.is_some() { &seen.own } else { &seen.fleet };
        if register.is_latched() {
            self.send_request(&press, LatchAction::Release { epoch: register.epoch });
        }
    }

    fn registers_at(&self, access: Access, target: Option<usize>) -> Option<LatchSet> {
        match access {
            Access::Supervisor => {
                let agent = target.and_then(|robot| self.robots.get(robot)).map(SimRobot::id);
                self.supervisor.wanted(self.now, agent)
            }
            Access::Debug(robot) => {
                let open = self.transport.network().is_open(Link::debug(robot));
                let there =
                    self.robots.get(robot).filter(|r| open && !r.is_hung() && target.is_none_or(|t| t == robot));
                there.and_then(|r| r.core()).map(|core| core.latch().latches().clone())
            }
        }
    }

    fn send_request(&mut self, press: &Press, action: LatchAction) {
        let Some(request) = self.operators.new_request(self.now, self.config.seed, press, action) else { return };
        let target = press.target.and_then(|robot| self.robots.get(robot)).map(|robot| robot.id().clone());
        for access in &press.accesses {
            let (target, request) = (target.clone(), request.clone());
            match access {
                Access::Supervisor => {
                    let event = SimEvent::RequestAtSupervisor { target, request: Box::new(request) };
                    self.transport.schedule(self.now + CONSOLE_DELAY, event);
                }
                Access::Debug(robot) => {
                    let caller = self.operators.new_caller(request.id);
                    let event = SimEvent::RequestAtRobot { robot: *robot, caller, target, request: Box::new(request) };
                    self.transport.send(self.now, Link::debug(*robot), REQUEST_BYTES, &event);
                }
            }
        }
    }

    pub(super) fn on_request(&mut self, robot: usize, caller: u64, target: Option<AgentId>, request: LatchRequest) {
        let from = LatchPath::DebugApi(caller);
        self.give(robot, RobotInput::Latch(LatchInput::Request { from, target, request }));
    }

    /// A robot answers a caller of its debug API.
    pub(super) fn on_answer(&mut self, robot: usize, outcome: &LatchOutcome) {
        self.operators.acknowledge(self.now, robot, outcome.request, outcome.kept, false);
    }
}
