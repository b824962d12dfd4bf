//! The latch registers that robots should have: what operators asked for, merged with what robots report.
//!
//! A register that a robot reports differently is sent to it until it reports the same: first as the *request* that
//! has not reached it (a robot applies a request to its own register, which may be newer), then as *state* that it
//! merges. Both are safe to repeat. A STOP that a robot raised itself, or got from a peer or over its debug API, becomes
//! what the supervisor wants, too.
//!
//! ```text
//! operator --request--> apply --> register --differs from the report--> Order::Latch --> robot
//! robot ----report----> merge --^                    (until it reports the same)           |
//!                                                                    LatchReport <---------+
//! ```

use std::collections::{BTreeMap, VecDeque};

use skein_types::authority::{
    LatchAction, LatchOrder, LatchRegister, LatchRequest, LatchScope, LatchSet, ReleaseRefused,
};
use skein_types::ids::{AgentId, CommandId};
use skein_types::safety::Latch;

use crate::recent::RecentIds;
use crate::record::LatchRecord;

/// Stopping requests of one register that may wait until they reach a robot; of more, the latest are kept.
const PENDING_MAX: usize = 4;
/// Stopping requests that a register remembers to have known.
const SEEN_MAX: usize = 32;
/// Epochs are counts or unix seconds. A higher one is a forgery that would make a register unreleasable.
const EPOCH_MAX: u64 = 1 << 48;

/// A register and the stopping requests that may not have reached every robot it is for.
#[derive(Clone, Debug, Default)]
struct WantedRegister {
    register: LatchRegister,
    pending: Vec<LatchRequest>,
    /// Stopping requests that the register has known, the latest last: a release is about these and no others.
    seen: VecDeque<CommandId>,
    /// The release that led to the register, so that robots get it as it was asked. Not durable: the state does.
    release: Option<LatchRequest>,
}

impl WantedRegister {
    fn apply(&mut self, request: &LatchRequest) -> Result<(), ReleaseRefused> {
        self.register = self.register.apply(request)?;
        self.release = None;
        if request.action.is_stopping() {
            self.see(request.id);
            if self.pending.iter().all(|pending| pending.id != request.id) {
                self.pending.push(request.clone());
            }
            if self.pending.len() > PENDING_MAX {
                self.pending.remove(0);
            }
        } else {
            self.pending.clear();
            self.release = Some(request.clone());
        }
        Ok(())
    }

    fn see(&mut self, request: CommandId) {
        if self.seen.contains(&request) {
            return;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(request);
    }

    /// Merges what a robot reports. A request in `unreached` holds on the merged register, too: the robot's register
    /// may be of a later epoch than the one the request was applied to.
    fn merge(&mut self, reported: &LatchRegister, unreached: &[LatchRequest]) -> bool {
        let mut merged = self.register.merge(reported);
        if reported.is_latched() {
            // A STOP in an epoch that was released here without knowing of it: no release was about this one.
            let unseen = !self.seen.contains(&reported.request);
            if unseen
                && merged.level < reported.level
                && let Ok(latched) = merged.apply(&request_of(reported))
            {
                merged = latched;
            }
            self.see(reported.request);
        }
        for request in unreached {
            if merged.level < level_of(request.action)
                && let Ok(latched) = merged.apply(request)
            {
                merged = latched;
            }
        }
        if !merged.is_latched() {
            self.pending.clear();
        }
        let changed = merged != self.register;
        if changed {
            self.release = None;
        }
        self.register = merged;
        changed
    }
}

/// What one robot should have.
#[derive(Clone, Debug, Default)]
struct RobotWanted {
    own: WantedRegister,
    /// The fleet's request that reached this robot last.
    fleet_reached: Option<CommandId>,
}

/// The registers of the fleet and of each robot, and the requests that led to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct WantedLatches {
    /// Requests that were executed, so that the same id takes effect once.
    executed: RecentIds,
    fleet: WantedRegister,
    robots: BTreeMap<AgentId, RobotWanted>,
}

/// Which registers a report changed, and must be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) own: bool,
    pub(crate) fleet: bool,
}

impl WantedLatches {
    /// `true` when no request of this id was executed before; it counts as executed from now on.
    pub(crate) fn is_first(&mut self, request: CommandId) -> bool {
        self.executed.insert(request)
    }

    /// What a robot should obey.
    pub(crate) fn of(&self, agent: &AgentId) -> LatchSet {
        let own = self.robots.get(agent).map(|robot| robot.own.register.clone()).unwrap_or_default();
        LatchSet { own, fleet: self.fleet.register.clone() }
    }

    pub(crate) const fn fleet(&self) -> &LatchRegister {
        &self.fleet.register
    }

    /// Something holds this robot by name, or waits to.
    pub(crate) fn holds(&self, agent: &AgentId) -> bool {
        self.robots.get(agent).is_some_and(|robot| robot.own.register.is_latched())
    }

    /// Whether a release of this epoch would be accepted.
    pub(crate) fn check(&self, target: Option<&AgentId>, request: &LatchRequest) -> Result<(), ReleaseRefused> {
        match target {
            None => self.fleet.register.apply(request).map(drop),
            Some(agent) => self.of(agent).own.apply(request).map(drop),
        }
    }

    /// Applies a request to the fleet's register, or to that of one robot.
    pub(crate) fn apply(&mut self, target: Option<&AgentId>, request: &LatchRequest) -> Result<(), ReleaseRefused> {
        match target {
            None => self.fleet.apply(request),
            Some(agent) => self.robots.entry(agent.clone()).or_default().own.apply(request),
        }
    }

    /// Merges what a robot reports.
    pub(crate) fn on_report(&mut self, agent: &AgentId, reported: &LatchSet) -> Merged {
        if !is_plausible(reported) {
            return Merged::default();
        }
        let robot = self.robots.entry(agent.clone()).or_default();
        let unreached = robot.own.pending.clone();
        let mut merged = Merged { own: robot.own.merge(&reported.own, &unreached), fleet: false };
        if !robot.own.pending.is_empty() && robot.own.register == reported.own {
            robot.own.pending.clear();
            merged.own = true;
        }
        let unreached = unreached_by(robot, &self.fleet.pending);
        merged.fleet = self.fleet.merge(&reported.fleet, &unreached);
        let latest = self.fleet.pending.last().map(|request| request.id);
        if latest.is_some() && self.fleet.register == reported.fleet && robot.fleet_reached != latest {
            robot.fleet_reached = latest;
            merged.own = true;
        }
        merged
    }

    /// A robot confirmed a request. `true` when its record changed.
    pub(crate) fn on_ack(&mut self, agent: &AgentId, request: CommandId) -> bool {
        let Some(robot) = self.robots.get_mut(agent) else { return false };
        let before = robot.own.pending.len();
        robot.own.pending.retain(|pending| pending.id != request);
        let fleet = self.fleet.pending.iter().any(|pending| pending.id == request);
        if fleet {
            robot.fleet_reached = Some(request);
        }
        fleet || robot.own.pending.len() != before
    }

    /// What must be sent to a robot that reports these registers; nothing when it has what it should.
    pub(crate) fn order_for(&self, agent: &AgentId, reported: Option<&LatchSet>) -> Option<LatchOrder> {
        let state = self.of(agent);
        let robot = self.robots.get(agent);
        let own = robot.and_then(|robot| robot.own.pending.last());
        let fleet =
            robot.map_or(self.fleet.pending.as_slice(), |robot| match unreached_from(robot, &self.fleet.pending) {
                Some(from) => self.fleet.pending.get(from..).unwrap_or_default(),
                None => &[],
            });
        if let Some(request) = own.or_else(|| fleet.last()).cloned() {
            return Some(LatchOrder { request: Some(request), state });
        }
        if reported == Some(&state) {
            return None;
        }
        let fleet = self.fleet.release.as_ref().filter(|_| reported.is_none_or(|set| set.fleet != state.fleet));
        let own = robot.and_then(|robot| robot.own.release.as_ref());
        let own = own.filter(|_| reported.is_none_or(|set| set.own != state.own));
        Some(LatchOrder { request: fleet.or(own).cloned(), state })
    }

    /// The record of the fleet's register, or of one robot's.
    pub(crate) fn record(&self, target: Option<&AgentId>) -> LatchRecord {
        let robot = target.and_then(|agent| self.robots.get(agent)).cloned().unwrap_or_default();
        let wanted = if target.is_none() { self.fleet.clone() } else { robot.own };
        LatchRecord {
            target: target.cloned(),
            register: wanted.register,
            pending: wanted.pending,
            seen: wanted.seen.into(),
            fleet_reached: robot.fleet_reached,
        }
    }

    pub(crate) fn restore(&mut self, record: LatchRecord) {
        let wanted = WantedRegister {
            register: record.register,
            pending: record.pending,
            seen: record.seen.into(),
            release: None,
        };
        match record.target {
            None => self.fleet = wanted,
            Some(agent) => {
                let robot = RobotWanted { own: wanted, fleet_reached: record.fleet_reached };
                self.robots.insert(agent, robot);
            }
        }
    }

    pub(crate) fn forget(&mut self, agent: &AgentId) {
        self.robots.remove(agent);
    }
}

/// Requests of the fleet that have not reached this robot: those after the last that did.
fn unreached_by(robot: &RobotWanted, pending: &[LatchRequest]) -> Vec<LatchRequest> {
    unreached_from(robot, pending).and_then(|from| pending.get(from..)).unwrap_or_default().to_vec()
}

fn unreached_from(robot: &RobotWanted, pending: &[LatchRequest]) -> Option<usize> {
    let reached = pending.iter().position(|request| Some(request.id) == robot.fleet_reached);
    let from = reached.map_or(0, |index| index + 1);
    (from < pending.len()).then_some(from)
}

/// The request that a latched register stands for.
fn request_of(register: &LatchRegister) -> LatchRequest {
    LatchRequest {
        id: register.request,
        scope: LatchScope::Robot,
        action: if register.level == Latch::Kill { LatchAction::Kill } else { LatchAction::Stop },
        reason: register.reason.clone(),
        by: register.by.clone(),
        at: register.at,
    }
}

/// The level a request asks for.
const fn level_of(action: LatchAction) -> Latch {
    match action {
        LatchAction::Stop => Latch::Stop,
        LatchAction::Kill => Latch::Kill,
        LatchAction::Release { .. } => Latch::Released,
    }
}

/// Both epochs can be those of real requests.
pub(crate) const fn is_plausible(latches: &LatchSet) -> bool {
    latches.own.epoch.0 <= EPOCH_MAX && latches.fleet.epoch.0 <= EPOCH_MAX
}

/// The scope of a request for the fleet, or for one robot.
pub(crate) const fn scope_of(target: Option<&AgentId>) -> LatchScope {
    if target.is_some() { LatchScope::Robot } else { LatchScope::Fleet }
}
