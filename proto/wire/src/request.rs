//! What people and programs ask of the supervisor and what they are told, checked: the messages of `MissionControl`
//! that are more than one domain type.

use core::time::Duration;

use skein_types::authority::{Epoch, LatchSet};
use skein_types::event::{Event, EventKind};
use skein_types::fleet::{FleetView, LatchDurability, RobotView};
use skein_types::ids::{AgentId, CommandId, MissionId, OperatorId};
use skein_types::mission::{Mission, MissionSpec, MissionState, Preview};
use skein_types::safety::{Cause, FailsafeLevel, Latch};
use skein_types::time::WallTime;
use uuid::Uuid;

use crate::bounds::{DECISIONS_MAX, EVENTS_MAX, MISSIONS_MAX, ROBOTS_MAX};
use crate::convert::{durability, durability_fields};
use crate::error::{At, Fault, WireError};
use crate::read::{count, cut, list, name_option, names, nanos, nested, one_of, text, uuid, uuid_option};
use crate::v1;

/// Most filters of one kind in a request: no enumeration has more values.
const FILTERS_MAX: usize = 64;

/// A mission's id out of a request.
///
/// # Errors
/// [`WireError`] naming the field `mission`.
pub fn mission_id(wire: &str) -> Result<MissionId, WireError> {
    uuid(wire).map(MissionId).at("mission")
}

/// A robot's name out of a request.
///
/// # Errors
/// [`WireError`] naming the field `robot`.
pub fn robot_id(wire: String) -> Result<AgentId, WireError> {
    AgentId::new(wire).at("robot")
}

/// The states out of a `ListMissionsRequest`; empty means all.
///
/// # Errors
/// [`WireError`] naming the entry of `states`.
pub fn mission_states(wire: &[i32]) -> Result<Vec<MissionState>, WireError> {
    count(wire.len(), FILTERS_MAX).at("states")?;
    let one = |(i, state): (usize, &i32)| one_of::<v1::MissionState, _>(*state).at_index("states", i);
    wire.iter().enumerate().map(one).collect()
}

/// A mission to commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Submit {
    /// What is wanted.
    pub spec: MissionSpec,
    /// The same key never makes a second mission; empty for none.
    pub key: String,
}

impl TryFrom<v1::SubmitMissionRequest> for Submit {
    type Error = WireError;
    fn try_from(wire: v1::SubmitMissionRequest) -> Result<Self, WireError> {
        Ok(Self { spec: nested(wire.spec, "spec")?, key: text(wire.idempotency_key).at("idempotency_key")? })
    }
}

impl From<Submit> for v1::SubmitMissionRequest {
    fn from(submit: Submit) -> Self {
        Self { spec: Some(submit.spec.into()), idempotency_key: submit.key }
    }
}

/// Whom an order is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Every robot, those unknown until now included.
    All,
    /// These; never empty.
    Robots(Vec<AgentId>),
}

fn targets(robots: Vec<String>, all: bool) -> Result<Targets, WireError> {
    let robots: Vec<AgentId> = names(robots, ROBOTS_MAX, "robots")?;
    match (all, robots.is_empty()) {
        (true, true) => Ok(Targets::All),
        (true, false) => Err(Fault::Contradiction("names robots although all are meant")).at("robots"),
        (false, true) => Err(Fault::Contradiction("names no robot and not all are meant")).at("robots"),
        (false, false) => Ok(Targets::Robots(robots)),
    }
}

fn parts(targets: Targets) -> (Vec<String>, bool) {
    match targets {
        Targets::All => (Vec::new(), true),
        Targets::Robots(robots) => (robots.into_iter().map(String::from).collect(), false),
    }
}

/// STOP: halt robots until a person releases them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopOrder {
    /// The robots to be stopped.
    pub targets: Targets,
    /// Why; may be empty.
    pub reason: String,
    /// The client's id of the request; the server makes one when there is none.
    pub request: Option<CommandId>,
    /// When, on the client's wall clock.
    pub at: Option<WallTime>,
}

impl TryFrom<v1::StopRequest> for StopOrder {
    type Error = WireError;
    fn try_from(wire: v1::StopRequest) -> Result<Self, WireError> {
        Ok(Self {
            targets: targets(wire.robots, wire.all)?,
            reason: text(wire.reason).at("reason")?,
            request: uuid_option(&wire.request_id).at("request_id")?.map(CommandId),
            at: wall_option(wire.at_unix_nanos),
        })
    }
}

impl From<StopOrder> for v1::StopRequest {
    fn from(order: StopOrder) -> Self {
        let (robots, all) = parts(order.targets);
        Self {
            robots,
            all,
            reason: cut(order.reason),
            request_id: id_text(order.request),
            at_unix_nanos: order.at.map_or(0, WallTime::unix_nanos),
        }
    }
}

/// RELEASE of STOP or KILL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseOrder {
    /// Which robots; all means the fleet's register and those of all robots.
    pub targets: Targets,
    /// Why; may be empty.
    pub reason: String,
    /// The client's id of the request; the server makes one when there is none.
    pub request: Option<CommandId>,
    /// The epochs that the operator saw latched, by robot; the fleet's without a name.
    pub epochs: Vec<(Option<AgentId>, Epoch)>,
}

impl TryFrom<v1::ReleaseRequest> for ReleaseOrder {
    type Error = WireError;
    fn try_from(wire: v1::ReleaseRequest) -> Result<Self, WireError> {
        count(wire.epochs.len(), ROBOTS_MAX).at("epochs")?;
        let epoch = |(i, named): (usize, v1::ReleaseEpoch)| -> Result<_, WireError> {
            Ok((name_option(named.robot).at_index("epochs", i)?, Epoch(named.epoch)))
        };
        Ok(Self {
            targets: targets(wire.robots, wire.all)?,
            reason: text(wire.reason).at("reason")?,
            request: uuid_option(&wire.request_id).at("request_id")?.map(CommandId),
            epochs: wire.epochs.into_iter().enumerate().map(epoch).collect::<Result<_, _>>()?,
        })
    }
}

impl From<ReleaseOrder> for v1::ReleaseRequest {
    fn from(order: ReleaseOrder) -> Self {
        let (robots, all) = parts(order.targets);
        let epoch = |(robot, epoch): (Option<AgentId>, Epoch)| v1::ReleaseEpoch {
            robot: robot.map(String::from).unwrap_or_default(),
            epoch: epoch.0,
        };
        Self {
            robots,
            all,
            reason: cut(order.reason),
            request_id: id_text(order.request),
            epochs: order.epochs.into_iter().map(epoch).collect(),
        }
    }
}

/// KILL: cut the power of one robot. On the wire its name is there twice and a reason must be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillOrder {
    /// The robot whose motors lose their power.
    pub robot: AgentId,
    /// Why; never empty.
    pub reason: String,
    /// The client's id of the request; the server makes one when there is none.
    pub request: Option<CommandId>,
    /// When, on the client's wall clock.
    pub at: Option<WallTime>,
}

impl TryFrom<v1::KillRequest> for KillOrder {
    type Error = WireError;
    fn try_from(wire: v1::KillRequest) -> Result<Self, WireError> {
        if wire.confirm != wire.robot {
            return Err(Fault::Contradiction("does not repeat the robot's name")).at("confirm");
        }
        if wire.reason.trim().is_empty() {
            return Err(Fault::Missing).at("reason");
        }
        Ok(Self {
            robot: robot_id(wire.robot)?,
            reason: text(wire.reason).at("reason")?,
            request: uuid_option(&wire.request_id).at("request_id")?.map(CommandId),
            at: wall_option(wire.at_unix_nanos),
        })
    }
}

impl From<KillOrder> for v1::KillRequest {
    fn from(order: KillOrder) -> Self {
        let robot = String::from(order.robot);
        Self {
            confirm: robot.clone(),
            robot,
            reason: cut(order.reason),
            request_id: id_text(order.request),
            at_unix_nanos: order.at.map_or(0, WallTime::unix_nanos),
        }
    }
}

/// Zero means that the client gave no time.
fn wall_option(unix_nanos: i64) -> Option<WallTime> {
    (unix_nanos != 0).then(|| WallTime::from_unix_nanos(unix_nanos))
}

fn id_text(id: Option<CommandId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// How an order went with one robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotOutcome {
    /// Name of the robot, unique in its fleet.
    pub robot: AgentId,
    /// The robot itself said that it is done.
    pub acknowledged: bool,
    /// Operator latch, as last confirmed by the robot.
    pub latch: Latch,
    /// Why it is not acknowledged; may be empty.
    pub text: String,
    /// The registers that it last reported.
    pub latches: LatchSet,
    /// Whether what it obeys is on its disk.
    pub durability: LatchDurability,
}

impl TryFrom<v1::RobotOutcome> for RobotOutcome {
    type Error = WireError;
    fn try_from(wire: v1::RobotOutcome) -> Result<Self, WireError> {
        Ok(Self {
            robot: robot_id(wire.robot)?,
            acknowledged: wire.acknowledged,
            latch: one_of::<v1::Latch, _>(wire.latch).at("latch")?,
            text: text(wire.text).at("text")?,
            latches: nested(wire.latches, "latches")?,
            durability: durability(wire.latch_saving, wire.latch_error)?,
        })
    }
}

impl From<RobotOutcome> for v1::RobotOutcome {
    fn from(outcome: RobotOutcome) -> Self {
        let (latch_saving, latch_error) = durability_fields(outcome.durability);
        Self {
            latch_saving,
            latch_error,
            robot: outcome.robot.into(),
            acknowledged: outcome.acknowledged,
            latch: v1::Latch::from(outcome.latch).into(),
            text: cut(outcome.text),
            latches: Some(outcome.latches.into()),
        }
    }
}

/// Sole control of some robots, asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeLease {
    /// The operator who will hold it.
    pub operator: OperatorId,
    /// Over which robots; none named means all.
    pub robots: Vec<AgentId>,
    /// For how long.
    pub time_to_live: Duration,
}

impl TryFrom<v1::TakeLeaseRequest> for TakeLease {
    type Error = WireError;
    fn try_from(wire: v1::TakeLeaseRequest) -> Result<Self, WireError> {
        Ok(Self {
            operator: OperatorId::new(wire.operator).at("operator")?,
            robots: names(wire.robots, ROBOTS_MAX, "robots")?,
            time_to_live: Duration::from_nanos(wire.time_to_live_nanos),
        })
    }
}

impl From<TakeLease> for v1::TakeLeaseRequest {
    fn from(lease: TakeLease) -> Self {
        Self {
            operator: lease.operator.into(),
            robots: lease.robots.into_iter().map(String::from).collect(),
            time_to_live_nanos: nanos(lease.time_to_live),
        }
    }
}

/// Sole control of some robots, given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Needed to release it.
    pub id: Uuid,
    /// Who holds it.
    pub operator: OperatorId,
    /// Over which robots; none named means all.
    pub robots: Vec<AgentId>,
    /// End of the lease on the supervisor's wall clock.
    pub expires_at: WallTime,
}

impl TryFrom<v1::Lease> for Lease {
    type Error = WireError;
    fn try_from(wire: v1::Lease) -> Result<Self, WireError> {
        Ok(Self {
            id: uuid(&wire.id).at("id")?,
            operator: OperatorId::new(wire.operator).at("operator")?,
            robots: names(wire.robots, ROBOTS_MAX, "robots")?,
            expires_at: WallTime::from_unix_nanos(wire.expires_at_unix_nanos),
        })
    }
}

impl From<Lease> for v1::Lease {
    fn from(lease: Lease) -> Self {
        Self {
            id: lease.id.to_string(),
            operator: lease.operator.into(),
            robots: lease.robots.into_iter().map(String::from).collect(),
            expires_at_unix_nanos: lease.expires_at.unix_nanos(),
        }
    }
}

/// Public view of a lease: without its id, which only the holder knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// Who holds it.
    pub operator: OperatorId,
    /// Over which robots; none named means all.
    pub robots: Vec<AgentId>,
    /// End of the lease on the supervisor's wall clock.
    pub expires_at: WallTime,
}

impl TryFrom<v1::HeldLease> for HeldLease {
    type Error = WireError;
    fn try_from(wire: v1::HeldLease) -> Result<Self, WireError> {
        Ok(Self {
            operator: OperatorId::new(wire.operator).at("operator")?,
            robots: names(wire.robots, ROBOTS_MAX, "robots")?,
            expires_at: WallTime::from_unix_nanos(wire.expires_at_unix_nanos),
        })
    }
}

impl From<HeldLease> for v1::HeldLease {
    fn from(lease: HeldLease) -> Self {
        Self {
            operator: lease.operator.into(),
            robots: lease.robots.into_iter().map(String::from).collect(),
            expires_at_unix_nanos: lease.expires_at.unix_nanos(),
        }
    }
}

/// A lease to keep for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewLease {
    /// Which one; only its holder knows the id.
    pub id: Uuid,
    /// From now on.
    pub time_to_live: Duration,
}

impl TryFrom<v1::RenewLeaseRequest> for RenewLease {
    type Error = WireError;
    fn try_from(wire: v1::RenewLeaseRequest) -> Result<Self, WireError> {
        Ok(Self { id: uuid(&wire.lease).at("lease")?, time_to_live: Duration::from_nanos(wire.time_to_live_nanos) })
    }
}

impl From<RenewLease> for v1::RenewLeaseRequest {
    fn from(renew: RenewLease) -> Self {
        Self { lease: renew.id.to_string(), time_to_live_nanos: nanos(renew.time_to_live) }
    }
}

/// Why a robot does what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the robot does and why, one sentence.
    pub why: String,
    /// Where on the ladder.
    pub failsafe: FailsafeLevel,
    /// Why it is there.
    pub causes: Vec<Cause>,
    /// Its last decisions, newest first.
    pub decisions: Vec<Event>,
}

impl TryFrom<v1::WhyResponse> for Explanation {
    type Error = WireError;
    fn try_from(wire: v1::WhyResponse) -> Result<Self, WireError> {
        count(wire.causes.len(), FILTERS_MAX).at("causes")?;
        let cause = |(i, name): (usize, String)| {
            let known = Cause::ALL.iter().copied().find(|cause| cause.name() == name);
            known.ok_or(Fault::UnknownWord(name)).at_index("causes", i)
        };
        Ok(Self {
            why: text(wire.why).at("why")?,
            failsafe: one_of::<v1::FailsafeLevel, _>(wire.failsafe).at("failsafe")?,
            causes: wire.causes.into_iter().enumerate().map(cause).collect::<Result<_, _>>()?,
            decisions: list(wire.decisions, DECISIONS_MAX, "decisions")?,
        })
    }
}

impl From<Explanation> for v1::WhyResponse {
    fn from(explanation: Explanation) -> Self {
        Self {
            why: cut(explanation.why),
            failsafe: v1::FailsafeLevel::from(explanation.failsafe).into(),
            causes: explanation.causes.iter().map(|cause| cause.name().to_owned()).collect(),
            decisions: explanation.decisions.into_iter().map(Into::into).collect(),
        }
    }
}

/// Which entries of the record; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this robot.
    pub agent: Option<AgentId>,
    /// Only these kinds; all when empty.
    pub kinds: Vec<EventKind>,
    /// Not before this.
    pub since: Option<WallTime>,
    /// Not after this.
    pub until: Option<WallTime>,
}

impl EventFilter {
    /// Whether an event is one of those meant.
    #[must_use]
    pub fn admits(&self, event: &Event) -> bool {
        self.agent.as_ref().is_none_or(|agent| *agent == event.agent)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at <= until)
    }
}

impl TryFrom<v1::EventFilter> for EventFilter {
    type Error = WireError;
    fn try_from(wire: v1::EventFilter) -> Result<Self, WireError> {
        count(wire.kinds.len(), FILTERS_MAX).at("kinds")?;
        let kind = |(i, kind): (usize, &i32)| one_of::<v1::EventKind, _>(*kind).at_index("kinds", i);
        Ok(Self {
            agent: name_option(wire.agent).at("agent")?,
            kinds: wire.kinds.iter().enumerate().map(kind).collect::<Result<_, _>>()?,
            since: wire.since_unix_nanos.map(WallTime::from_unix_nanos),
            until: wire.until_unix_nanos.map(WallTime::from_unix_nanos),
        })
    }
}

impl From<EventFilter> for v1::EventFilter {
    fn from(filter: EventFilter) -> Self {
        Self {
            agent: filter.agent.map(String::from).unwrap_or_default(),
            kinds: filter.kinds.into_iter().map(|kind| v1::EventKind::from(kind).into()).collect(),
            since_unix_nanos: filter.since.map(WallTime::unix_nanos),
            until_unix_nanos: filter.until.map(WallTime::unix_nanos),
        }
    }
}

/// Declares a response that is one domain type, or a list of them.
macro_rules! single {
    ($($wire:ident { $field:ident } <=> $domain:ty;)*) => {
        $(impl TryFrom<v1::$wire> for $domain {
            type Error = WireError;
            fn try_from(wire: v1::$wire) -> Result<Self, WireError> {
                nested(wire.$field, stringify!($field))
            }
        }

        impl From<$domain> for v1::$wire {
            fn from(value: $domain) -> Self {
                Self { $field: Some(value.into()) }
            }
        })*
    };
}

single! {
    PreviewMissionRequest { spec } <=> MissionSpec;
    PreviewMissionResponse { preview } <=> Preview;
    SubmitMissionResponse { mission } <=> Mission;
    PauseMissionResponse { mission } <=> Mission;
    ResumeMissionResponse { mission } <=> Mission;
    CancelMissionResponse { mission } <=> Mission;
    GetMissionResponse { mission } <=> Mission;
    KillResponse { outcome } <=> RobotOutcome;
    TakeLeaseResponse { lease } <=> Lease;
    RenewLeaseResponse { lease } <=> Lease;
    GetRobotResponse { robot } <=> RobotView;
    StateAtResponse { view } <=> FleetView;
}

macro_rules! several {
    ($($wire:ident { $field:ident } <=> $all:ident($domain:ty), at most $max:expr;)*) => {
        $(#[doc = concat!("What a `", stringify!($wire), "` holds.")]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $all(pub Vec<$domain>);

        impl TryFrom<v1::$wire> for $all {
            type Error = WireError;
            fn try_from(wire: v1::$wire) -> Result<Self, WireError> {
                list(wire.$field, $max, stringify!($field)).map(Self)
            }
        }

        impl From<$all> for v1::$wire {
            fn from(all: $all) -> Self {
                Self { $field: all.0.into_iter().map(Into::into).collect() }
            }
        })*
    };
}

several! {
    ListMissionsResponse { missions } <=> Missions(Mission), at most MISSIONS_MAX;
    ListRobotsResponse { robots } <=> Robots(RobotView), at most ROBOTS_MAX;
    StopResponse { outcomes } <=> StopOutcomes(RobotOutcome), at most ROBOTS_MAX;
    ReleaseResponse { outcomes } <=> ReleaseOutcomes(RobotOutcome), at most ROBOTS_MAX;
    ListLeasesResponse { leases } <=> Leases(HeldLease), at most ROBOTS_MAX;
}

/// One page of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// In the order in which the ledger got them.
    pub events: Vec<Event>,
    /// For the next page; empty after the last.
    pub next_page_token: String,
}

impl TryFrom<v1::QueryEventsResponse> for EventPage {
    type Error = WireError;
    fn try_from(wire: v1::QueryEventsResponse) -> Result<Self, WireError> {
        Ok(Self {
            events: list(wire.events, EVENTS_MAX, "events")?,
            next_page_token: text(wire.next_page_token).at("next_page_token")?,
        })
    }
}

impl From<EventPage> for v1::QueryEventsResponse {
    fn from(page: EventPage) -> Self {
        Self { events: page.events.into_iter().map(Into::into).collect(), next_page_token: cut(page.next_page_token) }
    }
}
