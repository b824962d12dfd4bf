//! Strategies for latches, leases and gossip.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use skein_types::authority::{
    Epoch, LatchAction, LatchGossip, LatchRegister, LatchReport, LatchRequest, LatchScope, LatchSet, LeaseGrant,
    Principal, REASON_BYTES_MAX, RelayedRequest, Term,
};
use skein_types::ids::{BootId, CommandId};
use uuid::Uuid;

use super::{agent, latch, operator, span, text, uuid, wall};

pub(crate) fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        operator().prop_map(Principal::Operator),
        agent().prop_map(Principal::Robot),
        operator().prop_map(Principal::Service),
    ]
}

pub(crate) fn latch_request() -> impl Strategy<Value = LatchRequest> {
    let action = prop_oneof![
        Just(LatchAction::Stop),
        Just(LatchAction::Kill),
        any::<u64>().prop_map(|epoch| LatchAction::Release { epoch: Epoch(epoch) }),
    ];
    let scope = select(vec![LatchScope::Robot, LatchScope::Fleet]);
    (uuid(), scope, action, text(), principal(), wall()).prop_map(|(id, scope, action, reason, by, at)| LatchRequest {
        id: CommandId(id),
        scope,
        action,
        reason,
        by,
        at,
    })
}

pub(crate) fn register() -> impl Strategy<Value = LatchRegister> {
    let request = prop_oneof![Just(Uuid::nil()), uuid()];
    (any::<u64>(), latch(), text(), principal(), wall(), request).prop_map(
        |(epoch, level, mut reason, by, at, request)| {
            reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            LatchRegister { epoch: Epoch(epoch), level, reason, by, at, request: CommandId(request) }
        },
    )
}

pub(crate) fn latches() -> impl Strategy<Value = LatchSet> {
    (register(), register()).prop_map(|(own, fleet)| LatchSet { own, fleet })
}

pub(crate) fn grant() -> impl Strategy<Value = LeaseGrant> {
    (uuid(), operator(), span()).prop_map(|(id, operator, remaining)| LeaseGrant { id, operator, remaining })
}

pub(crate) fn latch_report() -> impl Strategy<Value = LatchReport> {
    (latches(), any::<bool>(), text(), any::<bool>(), option::of(grant()), any::<u64>()).prop_map(
        |(latches, kept, error, manual, lease, term)| LatchReport {
            latches,
            kept,
            error,
            manual,
            lease,
            term: Term(term),
        },
    )
}

pub(crate) fn gossip() -> impl Strategy<Value = LatchGossip> {
    let relayed =
        (option::of(agent()), latch_request()).prop_map(|(target, request)| RelayedRequest { target, request });
    (agent(), uuid(), any::<u64>(), register(), vec((agent(), register()), 0..4), vec(relayed, 0..3)).prop_map(
        |(sender, boot, sequence, fleet, robots, requests)| LatchGossip {
            sender,
            boot: BootId(boot),
            sequence,
            fleet,
            robots,
            requests,
        },
    )
}
