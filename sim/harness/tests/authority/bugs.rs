//! Bugs that are planted between a core and what drives it, to show that the checks find them.

use skein_types::authority::{LatchAction, LatchRegister, LatchRequest, LatchScope, LatchSet};
use skein_types::safety::Latch;

use skein_robot::latch::{Found, LatchInput, LatchOutput, LatchPath};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The disk's answer is given before the disk has kept anything.
    AcksBeforeSaving,
    /// A save is answered and lost: a file without fsync.
    LosesSaves,
    /// A failed save is answered as if it had worked.
    HidesFullDisk,
    /// An ack claims to be kept whatever the disk said.
    ClaimsKept,
    /// A record that cannot be read counts as none.
    UnreadableIsReleased,
    /// A restart reads back the robot's own register and not the fleet's.
    ForgetsFleetRegister,
    /// The robot does not notice that its machine lost its power.
    HidesLostPower,
    /// A release ends whatever epoch holds.
    ReleasesAnyEpoch,
    /// A register that comes as state replaces the robot's own although it is older.
    TakesOlderState,
    /// KILL arrives as STOP.
    KillBecomesStop,
    /// A STOP of the fleet stops only where it arrives.
    FleetStopStaysLocal,
    /// The cell of the reflex misses a change.
    DropsPublish,
    /// Every second STOP at the debug API is taken for a repetition.
    TakesStopForRepetition,
    /// The supervisor starts without the registers that it kept.
    SupervisorForgetsWanted,
    /// Nothing is passed on to the peers.
    KeepsGossip,
    /// A request that waits for the disk is never answered.
    DropsAcks,
}

impl Bug {
    pub(crate) const ALL: [Self; 16] = [
        Self::AcksBeforeSaving,
        Self::LosesSaves,
        Self::HidesFullDisk,
        Self::ClaimsKept,
        Self::UnreadableIsReleased,
        Self::ForgetsFleetRegister,
        Self::HidesLostPower,
        Self::ReleasesAnyEpoch,
        Self::TakesOlderState,
        Self::KillBecomesStop,
        Self::FleetStopStaysLocal,
        Self::DropsPublish,
        Self::TakesStopForRepetition,
        Self::SupervisorForgetsWanted,
        Self::KeepsGossip,
        Self::DropsAcks,
    ];
}

/// Where bugs are planted: every input and output of the cores passes here.
pub(crate) struct Seam {
    bug: Option<Bug>,
    count: u64,
}

impl Seam {
    pub(crate) const fn new(bug: Option<Bug>) -> Self {
        Self { bug, count: 0 }
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn answers_before_saving(&self) -> bool {
        self.is(Bug::AcksBeforeSaving)
    }

    pub(crate) fn loses_saves(&self) -> bool {
        self.is(Bug::LosesSaves)
    }

    pub(crate) fn hides_lost_power(&self) -> bool {
        self.is(Bug::HidesLostPower)
    }

    pub(crate) fn forgets_wanted(&self) -> bool {
        self.is(Bug::SupervisorForgetsWanted)
    }

    pub(crate) fn found(&self, found: Found) -> Found {
        match (self.bug, found) {
            (Some(Bug::UnreadableIsReleased), Found::Unreadable { .. }) => Found::Nothing,
            (Some(Bug::ForgetsFleetRegister), Found::Contents(mut record)) => {
                record.latches.fleet = LatchRegister::released();
                Found::Contents(record)
            }
            (_, found) => found,
        }
    }

    pub(crate) fn input(&self, latches: &LatchSet, input: LatchInput) -> LatchInput {
        match (self.bug, input) {
            (Some(Bug::HidesFullDisk), LatchInput::Saved { ticket, result: Err(_) }) => {
                LatchInput::Saved { ticket, result: Ok(()) }
            }
            (Some(Bug::ReleasesAnyEpoch), LatchInput::Request { from, target, request }) => {
                LatchInput::Request { from, target, request: with_epoch_of(latches, request) }
            }
            (Some(Bug::TakesOlderState), LatchInput::Order { command, mut order }) => {
                let pairs = [(&mut order.state.own, &latches.own), (&mut order.state.fleet, &latches.fleet)];
                for (state, own) in pairs {
                    if state.epoch < own.epoch && own.is_latched() && !state.is_latched() {
                        state.epoch = own.epoch.next();
                    }
                }
                LatchInput::Order { command, order }
            }
            (Some(Bug::KillBecomesStop), LatchInput::Request { from, target, request }) => {
                let action = if request.action == LatchAction::Kill { LatchAction::Stop } else { request.action };
                LatchInput::Request { from, target, request: LatchRequest { action, ..request } }
            }
            (Some(Bug::FleetStopStaysLocal), LatchInput::Request { from, target, request }) => {
                let scope = if request.action.is_stopping() { LatchScope::Robot } else { request.scope };
                LatchInput::Request { from, target, request: LatchRequest { scope, ..request } }
            }
            (Some(Bug::TakesStopForRepetition), LatchInput::Request { from, target, request })
                if request.action.is_stopping() && latches.level() == Latch::Stop =>
            {
                drop((from, target, request));
                LatchInput::Tick
            }
            (_, input) => input,
        }
    }

    pub(crate) fn output(&mut self, output: LatchOutput) -> Option<LatchOutput> {
        match (self.bug, output) {
            (Some(Bug::ClaimsKept), LatchOutput::Ack { path, mut outcome }) => {
                outcome.kept = true;
                Some(LatchOutput::Ack { path, outcome })
            }
            (Some(Bug::DropsPublish), LatchOutput::Publish(view)) => {
                self.count += 1;
                (!self.count.is_multiple_of(3)).then_some(LatchOutput::Publish(view))
            }
            (Some(Bug::KeepsGossip), LatchOutput::Gossip(_)) => None,
            (Some(Bug::DropsAcks), LatchOutput::Ack { path: LatchPath::DebugApi(_), outcome }) if outcome.kept => None,
            (_, output) => Some(output),
        }
    }
}

fn with_epoch_of(latches: &LatchSet, request: LatchRequest) -> LatchRequest {
    match request.action {
        LatchAction::Release { .. } => {
            let action = LatchAction::Release { epoch: latches.get(request.scope).epoch };
            LatchRequest { action, ..request }
        }
        LatchAction::Stop | LatchAction::Kill => request,
    }
}
