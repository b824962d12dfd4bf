//! Principals, latches and leases.

use core::time::Duration;

use skein_types::authority::{
    Epoch, GOSSIP_REQUESTS_MAX, GOSSIP_ROBOTS_MAX, LatchAction, LatchGossip, LatchOrder, LatchRegister, LatchReport,
    LatchRequest, LatchScope, LatchSet, LeaseGrant, Principal, REASON_BYTES_MAX, RelayedRequest, Term,
};
use skein_types::ids::{AgentId, BootId, CommandId, OperatorId};
use skein_types::time::WallTime;
use uuid::Uuid;

use crate::error::{At, Fault, WireError};
use crate::read::{
    cut, list, name_option, nanos, nested, nested_option, one_of, same_variants, text, text_up_to, uuid, uuid_option,
};
use crate::v1;

same_variants!(v1::LatchScope, LatchScope: Robot, Fleet);

impl TryFrom<v1::LatchRequest> for LatchRequest {
    type Error = WireError;
    fn try_from(wire: v1::LatchRequest) -> Result<Self, WireError> {
        use v1::latch_request::Action;
        let action = match wire.action.ok_or(Fault::Missing).at("action")? {
            Action::Stop(_) => LatchAction::Stop,
            Action::Kill(_) => LatchAction::Kill,
            Action::ReleaseEpoch(epoch) => LatchAction::Release { epoch: Epoch(epoch) },
        };
        Ok(Self {
            id: CommandId(uuid(&wire.id).at("id")?),
            scope: one_of::<v1::LatchScope, _>(wire.scope).at("scope")?,
            action,
            reason: text(wire.reason).at("reason")?,
            by: wire.by.parse::<Principal>().at("by")?,
            at: WallTime::from_unix_nanos(wire.at_unix_nanos),
        })
    }
}

impl From<LatchRequest> for v1::LatchRequest {
    fn from(request: LatchRequest) -> Self {
        use v1::latch_request::Action;
        let action = match request.action {
            LatchAction::Stop => Action::Stop(true),
            LatchAction::Kill => Action::Kill(true),
            LatchAction::Release { epoch } => Action::ReleaseEpoch(epoch.0),
        };
        Self {
            id: request.id.to_string(),
            scope: v1::LatchScope::from(request.scope).into(),
            action: Some(action),
            reason: cut(request.reason),
            by: request.by.to_string(),
            at_unix_nanos: request.at.unix_nanos(),
        }
    }
}

impl TryFrom<v1::LatchRegister> for LatchRegister {
    type Error = WireError;
    fn try_from(wire: v1::LatchRegister) -> Result<Self, WireError> {
        Ok(Self {
            epoch: Epoch(wire.epoch),
            level: one_of::<v1::Latch, _>(wire.level).at("level")?,
            reason: text_up_to(wire.reason, REASON_BYTES_MAX).at("reason")?,
            by: wire.by.parse::<Principal>().at("by")?,
            at: WallTime::from_unix_nanos(wire.at_unix_nanos),
            request: CommandId(uuid_option(&wire.request).at("request")?.unwrap_or(Uuid::nil())),
        })
    }
}

impl From<LatchRegister> for v1::LatchRegister {
    fn from(register: LatchRegister) -> Self {
        let mut reason = register.reason;
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        let request = register.request;
        Self {
            epoch: register.epoch.0,
            level: v1::Latch::from(register.level).into(),
            reason,
            by: register.by.to_string(),
            at_unix_nanos: register.at.unix_nanos(),
            request: if request.0.is_nil() { String::new() } else { request.to_string() },
        }
    }
}

impl TryFrom<v1::LatchSet> for LatchSet {
    type Error = WireError;
    fn try_from(wire: v1::LatchSet) -> Result<Self, WireError> {
        Ok(Self { own: nested(wire.own, "own")?, fleet: nested(wire.fleet, "fleet")? })
    }
}

impl From<LatchSet> for v1::LatchSet {
    fn from(set: LatchSet) -> Self {
        Self { own: Some(set.own.into()), fleet: Some(set.fleet.into()) }
    }
}

impl TryFrom<v1::LeaseGrant> for LeaseGrant {
    type Error = WireError;
    fn try_from(wire: v1::LeaseGrant) -> Result<Self, WireError> {
        Ok(Self {
            id: uuid(&wire.id).at("id")?,
            operator: OperatorId::new(wire.operator).at("operator")?,
            remaining: Duration::from_nanos(wire.remaining_nanos),
        })
    }
}

impl From<LeaseGrant> for v1::LeaseGrant {
    fn from(grant: LeaseGrant) -> Self {
        Self { id: grant.id.to_string(), operator: grant.operator.into(), remaining_nanos: nanos(grant.remaining) }
    }
}

impl TryFrom<v1::LatchReport> for LatchReport {
    type Error = WireError;
    fn try_from(wire: v1::LatchReport) -> Result<Self, WireError> {
        Ok(Self {
            latches: nested(wire.latches, "latches")?,
            kept: wire.kept,
            error: text(wire.error).at("error")?,
            manual: wire.manual,
            lease: nested_option(wire.lease, "lease")?,
            term: Term(wire.term),
        })
    }
}

impl From<LatchReport> for v1::LatchReport {
    fn from(report: LatchReport) -> Self {
        Self {
            latches: Some(report.latches.into()),
            kept: report.kept,
            error: cut(report.error),
            manual: report.manual,
            lease: report.lease.map(Into::into),
            term: report.term.0,
        }
    }
}

impl TryFrom<v1::LatchOrder> for LatchOrder {
    type Error = WireError;
    fn try_from(wire: v1::LatchOrder) -> Result<Self, WireError> {
        Ok(Self { request: nested_option(wire.request, "request")?, state: nested(wire.state, "state")? })
    }
}

impl From<LatchOrder> for v1::LatchOrder {
    fn from(order: LatchOrder) -> Self {
        Self { request: order.request.map(Into::into), state: Some(order.state.into()) }
    }
}

impl TryFrom<v1::RelayedRequest> for RelayedRequest {
    type Error = WireError;
    fn try_from(wire: v1::RelayedRequest) -> Result<Self, WireError> {
        Ok(Self { target: name_option(wire.target).at("target")?, request: nested(wire.request, "request")? })
    }
}

impl From<RelayedRequest> for v1::RelayedRequest {
    fn from(relayed: RelayedRequest) -> Self {
        Self { target: relayed.target.map(String::from).unwrap_or_default(), request: Some(relayed.request.into()) }
    }
}

struct RobotLatch((AgentId, LatchRegister));

impl TryFrom<v1::RobotLatch> for RobotLatch {
    type Error = WireError;
    fn try_from(wire: v1::RobotLatch) -> Result<Self, WireError> {
        Ok(Self((AgentId::new(wire.agent).at("agent")?, nested(wire.register, "register")?)))
    }
}

impl TryFrom<v1::LatchGossip> for LatchGossip {
    type Error = WireError;
    fn try_from(wire: v1::LatchGossip) -> Result<Self, WireError> {
        let robots: Vec<RobotLatch> = list(wire.robots, GOSSIP_ROBOTS_MAX, "robots")?;
        Ok(Self {
            sender: AgentId::new(wire.sender).at("sender")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            sequence: wire.sequence,
            fleet: nested(wire.fleet, "fleet")?,
            robots: robots.into_iter().map(|RobotLatch(pair)| pair).collect(),
            requests: list(wire.requests, GOSSIP_REQUESTS_MAX, "requests")?,
        })
    }
}

impl From<LatchGossip> for v1::LatchGossip {
    fn from(gossip: LatchGossip) -> Self {
        let robot = |(agent, register): (AgentId, LatchRegister)| v1::RobotLatch {
            agent: agent.into(),
            register: Some(register.into()),
        };
        Self {
            sender: gossip.sender.into(),
            boot: gossip.boot.to_string(),
            sequence: gossip.sequence,
            fleet: Some(gossip.fleet.into()),
            robots: gossip.robots.into_iter().take(GOSSIP_ROBOTS_MAX).map(robot).collect(),
            requests: gossip.requests.into_iter().take(GOSSIP_REQUESTS_MAX).map(Into::into).collect(),
        }
    }
}
