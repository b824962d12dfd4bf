//! What the latch authority is told, what it wants done, and how a request fares.

use skein_types::authority::{
    LatchGossip, LatchOrder, LatchReport, LatchRequest, LatchSet, LatchView, LeaseGrant, Principal, ReleaseRefused,
    Term,
};
use skein_types::ids::{AgentId, CommandId, OperatorId};
use skein_types::link::CommandOutcome;
use skein_types::safety::{Causes, Latch};
use skein_types::time::WallTime;
use thiserror::Error;

use super::lease::LeaseHeld;
use super::record::LatchFileContents;

/// How a request came in, and where its ack goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LatchPath {
    /// Over the supervisor's stream, in this command.
    Supervisor(CommandId),
    /// Over the debug API, from the caller of this number.
    DebugApi(u64),
    /// From a peer; nobody waits for an ack.
    Mesh,
}

/// What happened outside.
#[derive(Clone, Debug)]
pub enum LatchInput {
    /// A person asks, at the robot itself or over a peer.
    Request {
        /// How it came.
        from: LatchPath,
        /// Another robot that is to get it over the mesh; `None` is this one (or the fleet, as the scope says).
        target: Option<AgentId>,
        /// As it was asked.
        request: LatchRequest,
    },
    /// The supervisor orders: merge, then apply.
    Order {
        /// The command that carries it.
        command: CommandId,
        /// State and request.
        order: LatchOrder,
    },
    /// A peer passes on what it knows.
    Gossip(Box<LatchGossip>),
    /// The reflex latched by itself.
    ReflexLatched {
        /// Every cause that it holds.
        causes: Causes,
        /// The stamp that it had read by then: one that has not seen the last release says nothing new.
        stamp: u64,
        /// For the record.
        at: WallTime,
    },
    /// The disk has answered.
    Saved {
        /// Of [`LatchOutput::Save`].
        ticket: u64,
        /// Kept, or why not.
        result: Result<(), String>,
    },
    /// The supervisor says who holds the lease.
    Lease(Option<LeaseGrant>),
    /// The operator who drives or has not given control back.
    Manual(Option<OperatorId>),
    /// A command carried this term.
    Term(Term),
    /// The process ends in order and the body stands.
    CleanShutdown,
    /// Time has passed.
    Tick,
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum LatchOutput {
    /// Into the cell of the reflex, before anything else.
    Publish(LatchView),
    /// Onto the disk: file, then folder. One is under way at a time.
    Save {
        /// Comes back with [`LatchInput::Saved`].
        ticket: u64,
        /// All of it.
        contents: Box<LatchFileContents>,
    },
    /// The answer to a request.
    Ack {
        /// How the request came.
        path: LatchPath,
        /// How it fared.
        outcome: LatchOutcome,
    },
    /// To the agent.
    Inform(LatchSet),
    /// To the supervisor.
    Report(LatchReport),
    /// To the peers.
    Gossip(Box<LatchGossip>),
}

/// How a request fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatchOutcome {
    /// The request; nil for an order without one.
    pub request: CommandId,
    /// What came of it.
    pub verdict: LatchVerdict,
    /// What the robot obeyed after it.
    pub latches: LatchSet,
    /// That is on the disk.
    pub kept: bool,
    /// Why it is not; empty when it is.
    pub error: String,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LatchVerdict {
    /// It changed the register.
    Applied,
    /// It had taken effect before, or there was nothing to do.
    AlreadyDone,
    /// It is being passed on to the robot it is for.
    Relayed,
    /// It has no effect.
    Refused(LatchRefusal),
}

/// Why a request has no effect. STOP and KILL are never refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LatchRefusal {
    /// It is not about the stop that holds.
    #[error(transparent)]
    Release(#[from] ReleaseRefused),
    /// Somebody else is in control.
    #[error(transparent)]
    Lease(#[from] LeaseHeld),
    /// The mesh does not authenticate its peers.
    #[error(
        "a release does not travel over a mesh that does not authenticate its peers: ask that robot or the supervisor"
    )]
    MeshUnauthenticated,
    /// Only a person releases.
    #[error("{0} cannot release: only an operator can")]
    NoOperator(Principal),
}

impl LatchOutcome {
    /// As the answer to a command of the supervisor.
    #[must_use]
    pub fn command_outcome(&self) -> CommandOutcome {
        match &self.verdict {
            LatchVerdict::Refused(refusal) => CommandOutcome::Rejected(refusal.to_string()),
            LatchVerdict::Applied | LatchVerdict::AlreadyDone | LatchVerdict::Relayed if self.kept => {
                CommandOutcome::Done
            }
            LatchVerdict::Applied | LatchVerdict::AlreadyDone | LatchVerdict::Relayed => {
                CommandOutcome::Failed(format!("{}, not kept: {}", level_name(self.latches.level()), self.error))
            }
        }
    }
}

/// As people say it.
#[must_use]
pub const fn level_name(level: Latch) -> &'static str {
    match level {
        Latch::Released => "released",
        Latch::Stop => "stopped",
        Latch::Kill => "power cut",
    }
}
