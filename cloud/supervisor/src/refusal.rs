//! Why a request was refused.

use skein_types::authority::{Principal, ReleaseRefused};
use skein_types::ids::{AgentId, FleetId, MissionId, OperatorId};
use skein_types::link::{SCHEMA, SchemaRange};
use skein_types::mission::{MissionState, Objective, TEXT_BYTES_MAX};
use skein_types::time::WallTime;
use thiserror::Error;

/// Why a request was refused, with a code for programs and a hint for people.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    /// The zone and the map have no cell in common.
    #[error(
        "the zone lies outside the map: it spans x {zone_x:.1?}, y {zone_y:.1?}; the map spans x {map_x:.1?}, y {map_y:.1?} (metres)"
    )]
    ZoneOutsideMap {
        /// West and east end of the zone, metres.
        zone_x: (f64, f64),
        /// South and north end.
        zone_y: (f64, f64),
        /// West and east end of the map.
        map_x: (f64, f64),
        /// South and north end.
        map_y: (f64, f64),
    },
    /// No robot could cover any of it.
    #[error("no part of the zone can be reached: {free:.1} m² of it are free and none of that is connected to a robot")]
    NothingReachable {
        /// Free area of the zone, m².
        free: f64,
    },
    /// The objective is in the protocol and not implemented.
    #[error("the objective {0:?} is not supported")]
    Objective(Objective),
    /// No robot of that name is known.
    #[error("there is no robot {0}")]
    UnknownRobot(AgentId),
    /// No such mission.
    #[error("there is no mission {0}")]
    UnknownMission(MissionId),
    /// No such lease.
    #[error("there is no such lease, or it has run out")]
    UnknownLease,
    /// The mission's state does not allow it.
    #[error("mission {mission} is {state:?} and cannot be {attempt}")]
    State {
        /// The mission meant.
        mission: MissionId,
        /// Where it is.
        state: MissionState,
        /// What was wanted of it.
        attempt: &'static str,
    },
    /// Another operator has sole control.
    #[error("{operator} has control of {what} until {until} (unix ms)", until = until.unix_millis())]
    LeaseHeld {
        /// The operator who holds it.
        operator: OperatorId,
        /// The robots that it covers, as text.
        what: String,
        /// When it ends unless it is renewed.
        until: WallTime,
    },
    /// The same key for another request.
    #[error("the idempotency key {key:?} was used for another mission, {mission}")]
    KeyReused {
        /// The idempotency key.
        key: String,
        /// By which mission.
        mission: MissionId,
    },
    /// Too many missions that are not at their end.
    #[error("{0} missions are not at their end yet")]
    TooManyMissions(usize),
    /// A text is too long.
    #[error("{field} has {bytes} bytes, more than {TEXT_BYTES_MAX}")]
    TextTooLong {
        /// The name of the field.
        field: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// A text that must say something says nothing.
    #[error("{0} is empty")]
    Missing(&'static str),
    /// A robot of another fleet.
    #[error("it belongs to the fleet {0}")]
    WrongFleet(FleetId),
    /// A robot that speaks another version of the schema.
    #[error("it speaks {0} of the schema; this supervisor speaks {SCHEMA}")]
    WrongSchema(SchemaRange),
    /// Too many robots.
    #[error("{0} robots are known already")]
    TooManyRobots(usize),
    /// A robot whose body's figures make no sense.
    #[error("a figure of its body is not finite or not positive")]
    UnsoundBody,
    /// Too many leases.
    #[error("{0} leases are in force")]
    TooManyLeases(usize),
    /// A name that stands for something else.
    #[error("no robot may have the name {0}")]
    ReservedName(AgentId),
    /// The name proved a key before, and this Hello proves none.
    #[error("it proves no key, but its name is bound to one")]
    KeyMissing,
    /// The name is bound to another key.
    #[error("its key is not the one its name is bound to")]
    WrongKey,
    /// A second Hello that differs from the stream's first.
    #[error("a Hello as {said} came on the stream of {stream}")]
    SecondHello {
        /// Whose stream it is.
        stream: AgentId,
        /// The name that was said.
        said: AgentId,
    },
    /// A release without the name of an operator.
    #[error("a release needs the name of the operator")]
    OperatorMissing,
    /// A robot cannot be released by name while the fleet is stopped.
    #[error("the whole fleet is stopped by {by}")]
    FleetStopped {
        /// Who stopped it.
        by: Principal,
    },
    /// A release names an epoch that is not the latched one.
    #[error("{}: {refused}", robot.as_ref().map_or("the fleet", AgentId::as_str))]
    Release {
        /// The robot; `None` for the fleet's register.
        robot: Option<AgentId>,
        /// What is wrong with the epoch.
        refused: ReleaseRefused,
    },
    /// Records do not become durable.
    #[error("the supervisor's ledger cannot be written: {0}")]
    StorageFailing(String),
    /// A lease of no or endless length.
    #[error("a lease lasts between 1 s and 1 h")]
    LeaseLength,
}

impl Refusal {
    /// For programs, `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ZoneOutsideMap { .. } => "zone_outside_map",
            Self::NothingReachable { .. } => "nothing_reachable",
            Self::Objective(_) => "objective_unsupported",
            Self::UnknownRobot(_) => "unknown_robot",
            Self::UnknownMission(_) => "unknown_mission",
            Self::UnknownLease => "unknown_lease",
            Self::State { .. } => "wrong_state",
            Self::LeaseHeld { .. } => "lease_held",
            Self::KeyReused { .. } => "key_reused",
            Self::TooManyMissions(_) => "too_many_missions",
            Self::TextTooLong { .. } => "text_too_long",
            Self::Missing(_) => "missing",
            Self::WrongFleet(_) => "wrong_fleet",
            Self::WrongSchema(_) => "wrong_schema",
            Self::TooManyRobots(_) => "too_many_robots",
            Self::UnsoundBody => "unsound_body",
            Self::LeaseLength => "lease_length",
            Self::TooManyLeases(_) => "too_many_leases",
            Self::ReservedName(_) => "reserved_name",
            Self::KeyMissing => "key_missing",
            Self::WrongKey => "wrong_key",
            Self::SecondHello { .. } => "second_hello",
            Self::OperatorMissing => "operator_missing",
            Self::FleetStopped { .. } => "fleet_stopped",
            Self::Release { refused: ReleaseRefused::LatchedAgain { .. }, .. } => "latched_again",
            Self::Release { refused: ReleaseRefused::UnknownEpoch { .. }, .. } => "unknown_epoch",
            Self::StorageFailing(_) => "storage_failing",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::ZoneOutsideMap { .. } => {
                "check the zone's frame: GeoJSON is lon,lat unless its properties say frame: \"map\""
            }
            Self::NothingReachable { .. } => {
                "draw the zone over free floor that is connected to where the robots stand"
            }
            Self::Objective(_) => "this version supports survey and guard",
            Self::UnknownRobot(_) => "list the robots to see their names; a robot is known once it has connected",
            Self::UnknownMission(_) => "list the missions to see their ids",
            Self::UnknownLease => "take a new lease",
            Self::State { .. } => "look at the mission's state first",
            Self::LeaseHeld { .. } => "ask them to release it, or wait until it runs out; STOP needs no lease",
            Self::KeyReused { .. } => "choose a new key for a new mission",
            Self::TooManyMissions(_) => "cancel some of them",
            Self::TextTooLong { .. } => "shorten the text",
            Self::Missing(_) => "fill it in",
            Self::WrongFleet(_) => "start the robot with this supervisor's fleet name",
            Self::WrongSchema(_) => "run robot and supervisor of releases that have a schema version in common",
            Self::TooManyRobots(_) => "run another supervisor for another fleet",
            Self::UnsoundBody => "check the body's descriptor",
            Self::LeaseLength => "ask for a time to live within these bounds; renew the lease before it ends",
            Self::TooManyLeases(_) => "release some of them",
            Self::ReservedName(_) => "give the robot another name",
            Self::KeyMissing | Self::WrongKey => "start the robot with the state folder that holds its key",
            Self::SecondHello { .. } => "open a stream for each robot",
            Self::OperatorMissing => "give the operator's name: metadata or header skein-operator",
            Self::FleetStopped { .. } => "release the fleet (skein release --all), or leave the robot stopped",
            Self::Release { .. } => "look at the latch again, then release the epoch it shows",
            Self::StorageFailing(_) => "free disk space where the supervisor keeps its state; STOP works meanwhile",
        }
    }
}
