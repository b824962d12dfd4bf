//! The latch of one robot: its own register and the fleet's, who may change them, and what must be on disk before
//! anybody is told so.
//!
//! ```text
//!   supervisor ─┐                         ┌─► Publish(LatchView)   the cell that the reflex reads each tick
//!   debug API  ─┤                         ├─► Save{ticket}         the latch file; one at a time, the newest content
//!   mesh       ─┼──► LatchAuthority ──────┼─► Ack{path}            after Saved, or with "not kept" and why
//!   reflex     ─┤    handle/poll_output   ├─► Inform(LatchSet)     the agent
//!   clock      ─┘                         ├─► Report               the supervisor
//!                                         └─► Gossip               the peers
//! ```
//!
//! Important terms:
//!
//! - *Stamp*: counts how often this robot went from latched to released since its boot. The reflex restores power in
//!   the tick that reads a higher stamp with [`Latch::Released`].
//! - *Local stop*: a STOP that the robot raises itself (lost power, tip-over, unreadable record). Others may meanwhile
//!   have released an older stop of it, so it opens an epoch that is beyond any that they can hold: the seconds since
//!   1970, or [`LOCAL_STEP`] further where the clock is not set. Only a release that names this epoch ends it.
//! - *Kept*: what the robot obeys is on its disk (`persistence`).
//!
//! Invariants, each held by a test:
//!
//! 1. A request takes effect once, over whichever paths and however often it comes.
//! 2. A release ends the epoch that it names; a later stop stays.
//! 3. An ack says "kept" only after the content it is about was saved.
//! 4. A stop is published in the call that brought it, whatever the disk does.
//! 5. A mesh that does not authenticate its peers stops robots and releases none.
//! 6. Memory is bounded, whatever peers and callers send.

mod gossip;
mod lease;
mod messages;
mod persistence;
mod record;

pub use gossip::{KNOWN_MAX, KnownLatches, RELAY_FOR};
pub use lease::{LOCAL_LEASE, LeaseHeld};
pub use messages::{LatchInput, LatchOutcome, LatchOutput, LatchPath, LatchRefusal, LatchVerdict, level_name};
pub use record::{CRASH_WINDOW, CRASHES_MAX, Found, LatchFileContents, RECORD_VERSION, Start};

use std::collections::VecDeque;

use skein_types::authority::{
    Epoch, LatchAction, LatchGossip, LatchOrder, LatchRegister, LatchReport, LatchRequest, LatchScope, LatchSet,
    LatchView, LeaseGrant, Principal, RelayedRequest, Term,
};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, OperatorId};
use skein_types::safety::{Cause, Causes, Latch};
use skein_types::time::{MonoTime, WallTime};
use uuid::Uuid;

use gossip::{Gossip, push_bounded};
use lease::LeaseTable;
use persistence::{PendingAck, Persistence};

/// Requests that are remembered, so that each takes effect once.
const RECENT_MAX: usize = 64;
/// How far a local stop goes ahead at least.
pub const LOCAL_STEP: u64 = 1024;
/// A register from the mesh whose epoch is this far ahead is a forgery: it could never be released.
const EPOCH_JUMP_MAX: u64 = 1 << 40;

/// The latch of one robot.
#[derive(Debug)]
pub struct LatchAuthority {
    robot: AgentId,
    fleet: FleetId,
    boot: BootId,
    kernel_boot: String,
    mesh_may_release: bool,
    latches: LatchSet,
    published: LatchView,
    term: Term,
    clean: bool,
    starts: Vec<MonoTime>,
    recent: VecDeque<CommandId>,
    own_requests: u64,
    persistence: Persistence,
    lease: LeaseTable,
    manual: Option<OperatorId>,
    gossip: Gossip,
    reported: Option<LatchReport>,
    outputs: VecDeque<LatchOutput>,
}

impl LatchAuthority {
    /// The latch as a start finds it. Its first outputs say what holds; nothing may move before they are drained.
    #[must_use]
    pub fn start(now: MonoTime, start: &Start, found: Found) -> Self {
        let begun = record::begin(start, found);
        let mut authority = Self {
            robot: start.robot.clone(),
            fleet: start.fleet.clone(),
            boot: start.boot,
            kernel_boot: start.kernel_boot.clone(),
            mesh_may_release: start.mesh_may_release,
            published: LatchView { level: begun.latches.level(), stamp: 0 },
            latches: begun.latches,
            term: begun.term,
            clean: false,
            starts: begun.starts,
            recent: begun.recent.into_iter().take(RECENT_MAX).collect(),
            own_requests: 0,
            persistence: Persistence::new(),
            lease: LeaseTable::default(),
            manual: begun.manual,
            gossip: Gossip::default(),
            reported: None,
            outputs: VecDeque::new(),
        };
        if let Some(why) = begun.stop {
            authority.stop_locally(now, &why, start.wall);
        }
        authority.outputs.push_front(LatchOutput::Publish(authority.published));
        authority.outputs.push_back(LatchOutput::Inform(authority.latches.clone()));
        authority.on_time(now);
        authority
    }

    /// One change; its outputs are drained with [`Self::poll_output`].
    pub fn handle(&mut self, now: MonoTime, input: LatchInput) {
        match input {
            LatchInput::Request { from, target, request } => self.on_request(now, from, target, &request),
            LatchInput::Order { command, order } => self.on_order(now, command, &order),
            LatchInput::Gossip(gossip) => self.on_gossip(now, *gossip),
            LatchInput::ReflexLatched { causes, stamp, at } => self.on_reflex(now, causes, stamp, at),
            LatchInput::Saved { ticket, result } => self.outputs.extend(self.persistence.on_saved(now, ticket, result)),
            LatchInput::Lease(grant) => self.lease.set(now, grant),
            LatchInput::Manual(manual) => self.on_manual(now, manual),
            LatchInput::Term(term) => self.on_term(term),
            LatchInput::CleanShutdown => {
                self.clean = true;
                self.persistence.on_change(now);
            }
            LatchInput::Tick => {}
        }
        self.on_time(now);
    }

    /// What is to be done, in this order.
    pub fn poll_output(&mut self) -> Option<LatchOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle`] with [`LatchInput::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> MonoTime {
        let others = [self.persistence.next_deadline(), self.lease.ends_at()].into_iter().flatten().min();
        others.map_or(self.gossip.due(), |at| at.min(self.gossip.due()))
    }

    /// What the robot obeys.
    #[must_use]
    pub const fn latches(&self) -> &LatchSet {
        &self.latches
    }

    /// What the cell of the reflex holds.
    #[must_use]
    pub const fn view(&self) -> LatchView {
        self.published
    }

    /// The operator who has control, for the agent at its start.
    #[must_use]
    pub const fn manual(&self) -> Option<&OperatorId> {
        self.manual.as_ref()
    }

    /// The highest term seen.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }

    /// Whether a command of this term may be obeyed. STOP and KILL are not asked.
    #[must_use]
    pub fn admits(&self, term: Term) -> bool {
        term >= self.term
    }

    /// State for Hello, for the supervisor and for the debug API.
    #[must_use]
    pub fn report(&self, now: MonoTime) -> LatchReport {
        LatchReport {
            latches: self.latches.clone(),
            kept: self.persistence.is_kept(),
            error: self.persistence.error().to_owned(),
            manual: self.manual.is_some(),
            lease: self.lease.view(now),
            term: self.term,
        }
    }

    /// The latches of other robots as they and their peers pass them on.
    pub fn known(&self) -> impl Iterator<Item = (&AgentId, &KnownLatches)> {
        self.gossip.known()
    }

    /// Takes or renews the lease at the robot itself.
    ///
    /// # Errors
    /// [`LeaseHeld`] names the holder.
    pub fn take_lease(&mut self, now: MonoTime, operator: &OperatorId) -> Result<LeaseGrant, LeaseHeld> {
        let id = self.next_id();
        let taken = self.lease.take(now, operator, id.0);
        self.on_time(now);
        taken
    }

    /// Ends the lease; `false` when this operator does not hold it.
    pub fn give_back_lease(&mut self, now: MonoTime, operator: &OperatorId) -> bool {
        let ended = self.lease.give_back(operator);
        self.on_time(now);
        ended
    }

    fn on_request(&mut self, now: MonoTime, from: LatchPath, target: Option<AgentId>, request: &LatchRequest) {
        let elsewhere = target.as_ref().is_some_and(|robot| *robot != self.robot);
        let travels = request.action.is_stopping() || self.mesh_may_release;
        if request.scope == LatchScope::Robot && elsewhere {
            let verdict = if travels {
                self.gossip.relay(now, RelayedRequest { target, request: request.clone() });
                LatchVerdict::Relayed
            } else {
                LatchVerdict::Refused(LatchRefusal::MeshUnauthenticated)
            };
            return self.ack(from, request.id, verdict);
        }
        let verdict = self.apply(now, request, true);
        if travels && request.scope == LatchScope::Fleet && !matches!(verdict, LatchVerdict::Refused(_)) {
            self.gossip.relay(now, RelayedRequest { target: None, request: request.clone() });
        }
        self.ack(from, request.id, verdict);
    }

    fn on_order(&mut self, now: MonoTime, command: CommandId, order: &LatchOrder) {
        self.set(now, self.latches.merge(&order.state));
        let path = LatchPath::Supervisor(command);
        match &order.request {
            // The supervisor has looked at the lease, and its picture of it is the newer one.
            Some(request) => {
                let verdict = self.apply(now, request, false);
                self.ack(path, request.id, verdict);
            }
            None => self.ack(path, CommandId(Uuid::nil()), LatchVerdict::AlreadyDone),
        }
    }

    fn on_gossip(&mut self, now: MonoTime, gossip: LatchGossip) {
        if gossip.sender == self.robot {
            return;
        }
        let mut merged = self.latches.clone();
        if plausible(&merged.fleet, &gossip.fleet) && (gossip.fleet.is_latched() || self.mesh_may_release) {
            merged.fleet = merged.fleet.merge(&gossip.fleet);
        }
        for (robot, register) in gossip.robots {
            if robot != self.robot {
                self.gossip.learn(now, robot, &register);
            } else if plausible(&merged.own, &register) && register.is_latched() {
                // No peer knows better than this robot that it is free.
                merged.own = merged.own.merge(&register);
            }
        }
        self.gossip.learn_fleet(&gossip.sender, &gossip.fleet);
        self.set(now, merged);
        for relayed in gossip.requests {
            self.on_relayed(now, relayed);
        }
    }

    fn on_relayed(&mut self, now: MonoTime, relayed: RelayedRequest) {
        let RelayedRequest { target, request } = &relayed;
        // One request may name several robots: that this one has executed it says nothing of the others.
        let is_meant = request.scope == LatchScope::Fleet || target.as_ref() == Some(&self.robot);
        let is_done = is_meant && self.recent.contains(&request.id);
        if is_done || !(request.action.is_stopping() || self.mesh_may_release) {
            return;
        }
        let urgent = request.action.is_stopping() && self.latches.level() == Latch::Released;
        if !self.gossip.admit(now) && !urgent {
            return;
        }
        match request.scope {
            LatchScope::Fleet => {
                if self.gossip.relay(now, RelayedRequest { target: None, request: request.clone() }) {
                    self.apply(now, request, true);
                }
            }
            LatchScope::Robot if target.as_ref() == Some(&self.robot) => drop(self.apply(now, request, true)),
            LatchScope::Robot if target.is_some() => drop(self.gossip.relay(now, relayed)),
            LatchScope::Robot => {}
        }
    }

    fn on_reflex(&mut self, now: MonoTime, causes: Causes, stamp: u64, at: WallTime) {
        if self.latches.level() != Latch::Released || stamp < self.published.stamp || causes.is_empty() {
            return;
        }
        let why: Vec<&str> = causes.iter().map(reason_of).collect();
        self.stop_locally(now, &why.join(", "), at);
    }

    fn stop_locally(&mut self, now: MonoTime, why: &str, at: WallTime) {
        let own = self.latches.own.clone();
        let request = LatchRequest {
            id: self.next_id(),
            scope: LatchScope::Robot,
            action: LatchAction::Stop,
            reason: why.to_owned(),
            by: Principal::Robot(self.robot.clone()),
            at,
        };
        // The stop lifts the epoch further, to the second in which it is made, where the clock is set.
        let epoch = Epoch(own.epoch.0.saturating_add(LOCAL_STEP));
        let ahead = LatchRegister { epoch, level: Latch::Released, ..own.clone() };
        // A stop is never refused.
        let Ok(stopped) = ahead.apply(&request) else { return };
        let stopped = LatchRegister { level: stopped.level.max(own.level), ..stopped };
        self.set(now, LatchSet { own: stopped, fleet: self.latches.fleet.clone() });
    }

    /// Ids of this robot's own requests: the random boot id, counted on.
    fn next_id(&mut self) -> CommandId {
        self.own_requests += 1;
        CommandId(Uuid::from_u128(self.boot.0.as_u128().wrapping_add(u128::from(self.own_requests))))
    }

    /// Autonomy resumes neither by a timeout nor by a restart: who has control is kept like the registers.
    fn on_manual(&mut self, now: MonoTime, manual: Option<OperatorId>) {
        if manual != self.manual {
            self.manual = manual;
            self.persistence.on_change(now);
        }
    }

    fn on_term(&mut self, term: Term) {
        if term > self.term {
            self.term = term;
            self.persistence.on_minor_change();
        }
    }

    fn apply(&mut self, now: MonoTime, request: &LatchRequest, ask_lease: bool) -> LatchVerdict {
        if self.recent.contains(&request.id) {
            return LatchVerdict::AlreadyDone;
        }
        if let Err(refusal) = self.permit(now, request, ask_lease) {
            return LatchVerdict::Refused(refusal);
        }
        match self.latches.apply(request) {
            Err(refused) => LatchVerdict::Refused(refused.into()),
            Ok(changed) => {
                let verdict = if changed == self.latches { LatchVerdict::AlreadyDone } else { LatchVerdict::Applied };
                self.remember(request.id);
                self.set(now, changed);
                verdict
            }
        }
    }

    fn permit(&self, now: MonoTime, request: &LatchRequest, ask_lease: bool) -> Result<(), LatchRefusal> {
        match (&request.by, request.action.is_stopping()) {
            (_, true) => Ok(()),
            (Principal::Operator(operator), false) if ask_lease => Ok(self.lease.permit(now, operator)?),
            (Principal::Operator(_), false) => Ok(()),
            (by @ (Principal::Robot(_) | Principal::Service(_)), false) => Err(LatchRefusal::NoOperator(by.clone())),
        }
    }

    fn remember(&mut self, id: CommandId) {
        if !id.0.is_nil() && !self.recent.contains(&id) {
            push_bounded(&mut self.recent, id, RECENT_MAX);
        }
    }

    /// The one place where the registers change.
    fn set(&mut self, now: MonoTime, latches: LatchSet) {
        if latches == self.latches {
            return;
        }
        let before = self.latches.level();
        // What set a register has taken effect here, whether it came as a request or as state.
        self.remember(latches.own.request);
        self.remember(latches.fleet.request);
        self.latches = latches;
        let level = self.latches.level();
        let released = before != Latch::Released && level == Latch::Released;
        let view = LatchView { level, stamp: self.published.stamp + u64::from(released) };
        if view != self.published {
            self.published = view;
            self.outputs.push_back(LatchOutput::Publish(view));
        }
        self.persistence.on_change(now);
        self.outputs.push_back(LatchOutput::Inform(self.latches.clone()));
        self.gossip.hurry(now);
    }

    /// Acks at once where nothing is to be kept, otherwise after the disk.
    fn ack(&mut self, path: LatchPath, request: CommandId, verdict: LatchVerdict) {
        if path != LatchPath::Mesh {
            let ack = PendingAck { path, request, verdict, latches: self.latches.clone() };
            self.outputs.extend(self.persistence.ack(ack));
        }
    }

    /// What each change, and time alone, makes due.
    fn on_time(&mut self, now: MonoTime) {
        self.lease.expire(now);
        self.save_changes(now);
        self.report_changes(now);
        if self.gossip.due() <= now {
            let (sequence, mut robots, requests) = self.gossip.next(now);
            robots.insert(0, (self.robot.clone(), self.latches.own.clone()));
            self.outputs.push_back(LatchOutput::Gossip(Box::new(LatchGossip {
                sender: self.robot.clone(),
                boot: self.boot,
                sequence,
                fleet: self.latches.fleet.clone(),
                robots,
                requests,
            })));
        }
    }

    fn save_changes(&mut self, now: MonoTime) {
        self.outputs.extend(self.persistence.check_overdue(now));
        if let Some(ticket) = self.persistence.next_save(now) {
            self.outputs.push_back(LatchOutput::Save { ticket, contents: Box::new(self.contents()) });
        }
    }

    fn contents(&self) -> LatchFileContents {
        LatchFileContents {
            version: RECORD_VERSION,
            fleet: self.fleet.clone(),
            robot: self.robot.clone(),
            latches: self.latches.clone(),
            term: self.term,
            manual: self.manual.clone(),
            kernel_boot: self.kernel_boot.clone(),
            clean: self.clean,
            starts: self.starts.clone(),
            recent: self.recent.iter().copied().collect(),
        }
    }

    /// A lease that only gets older is no change.
    fn report_changes(&mut self, now: MonoTime) {
        let report = self.report(now);
        let lease = report.lease.as_ref().map(|lease| (lease.id, &lease.operator));
        let same = self.reported.as_ref().is_some_and(|before| {
            let lease_before = before.lease.as_ref().map(|lease| (lease.id, &lease.operator));
            before.latches == report.latches
                && (before.kept, &before.error, before.manual) == (report.kept, &report.error, report.manual)
                && before.term == report.term
                && lease_before == lease
        });
        if !same {
            self.reported = Some(report.clone());
            self.outputs.push_back(LatchOutput::Report(report));
        }
    }
}

fn reason_of(cause: Cause) -> &'static str {
    match cause {
        Cause::PowerLoss => "the motors lost their power",
        Cause::Tilt => "it tipped over",
        Cause::EmergencyStop => "its emergency-stop button was pressed",
        other => other.name(),
    }
}

/// Not so far ahead that it could only be a forgery.
fn plausible(own: &LatchRegister, other: &LatchRegister) -> bool {
    other.epoch.0.saturating_sub(own.epoch.0) <= EPOCH_JUMP_MAX
}

#[cfg(test)]
mod tests;
