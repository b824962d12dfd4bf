//! What every message must survive, whatever the bytes: used by the tests and by the fuzz targets in `tests/fuzz`.

use core::fmt::Debug;

use prost::Message;
use skein_types::{authority, coord, event, fleet, link, mission, telemetry};

use crate::{WireError, bounds, request, v1};

/// What became of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They were refused with a reason.
    Refused,
    /// They were understood, and understood the same after going out and coming in again.
    Same,
}

/// One message of the wire and its check.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of the message in the schema.
    pub name: &'static str,
    /// The check; what it returns as an error is a bug in this crate.
    pub run: fn(&[u8]) -> Result<Outcome, String>,
}

macro_rules! targets {
    ($($message:ident <=> $domain:ty,)*) => {
        /// Every message that has a domain type.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($message), run: there_and_back::<v1::$message, $domain> },)*
        ];
    };
}

targets! {
    AgentReport <=> link::AgentReport,
    AgentTelemetry <=> telemetry::AgentTelemetry,
    Assignment <=> mission::Assignment,
    CancelMissionResponse <=> mission::Mission,
    CloudCommand <=> link::CloudCommand,
    CommandAck <=> link::CommandAck,
    Event <=> event::Event,
    EventBatch <=> event::EventBatch,
    EventFilter <=> request::EventFilter,
    FleetView <=> fleet::FleetView,
    GetMissionResponse <=> mission::Mission,
    GetRobotResponse <=> fleet::RobotView,
    Hazard <=> coord::Hazard,
    Hello <=> link::Hello,
    Intent <=> coord::Intent,
    LatchGossip <=> authority::LatchGossip,
    LatchRequest <=> authority::LatchRequest,
    LatchSet <=> authority::LatchSet,
    ListLeasesResponse <=> request::Leases,
    RenewLeaseRequest <=> request::RenewLease,
    RenewLeaseResponse <=> request::Lease,
    KillRequest <=> request::KillOrder,
    KillResponse <=> request::RobotOutcome,
    Lease <=> request::Lease,
    ListMissionsResponse <=> request::Missions,
    ListRobotsResponse <=> request::Robots,
    Mission <=> mission::Mission,
    MissionProgress <=> mission::SliceProgress,
    MissionSpec <=> mission::MissionSpec,
    PauseMissionResponse <=> mission::Mission,
    Preview <=> mission::Preview,
    PreviewMissionRequest <=> mission::MissionSpec,
    PreviewMissionResponse <=> mission::Preview,
    QueryEventsResponse <=> request::EventPage,
    ResumeMissionResponse <=> mission::Mission,
    ReleaseRequest <=> request::ReleaseOrder,
    ReleaseResponse <=> request::ReleaseOutcomes,
    RobotOutcome <=> request::RobotOutcome,
    RobotView <=> fleet::RobotView,
    StateAtResponse <=> fleet::FleetView,
    StopRequest <=> request::StopOrder,
    StopResponse <=> request::StopOutcomes,
    SubmitMissionRequest <=> request::Submit,
    SubmitMissionResponse <=> mission::Mission,
    TakeLeaseRequest <=> request::TakeLease,
    TakeLeaseResponse <=> request::Lease,
    TelemetryBatch <=> telemetry::TelemetryBatch,
    WhyResponse <=> request::Explanation,
}

/// Bytes to message to domain type, and from there out and in again: the same or refused, never a panic.
///
/// # Errors
/// A sentence that names what differed.
pub fn there_and_back<M, D>(bytes: &[u8]) -> Result<Outcome, String>
where
    M: Message + Default + From<D>,
    D: TryFrom<M, Error = WireError> + Clone + PartialEq + Debug,
{
    if bytes.len() > bounds::MESSAGE_BYTES_MAX {
        return Ok(Outcome::Refused);
    }
    let Ok(message) = M::decode(bytes) else { return Ok(Outcome::Refused) };
    let Ok(value) = D::try_from(message) else { return Ok(Outcome::Refused) };
    let encoded = M::from(value.clone()).encode_to_vec();
    let again = M::decode(encoded.as_slice()).map_err(WireError::from).and_then(D::try_from);
    match again {
        Ok(same) if same == value => Ok(Outcome::Same),
        Ok(other) => Err(format!("{value:?} became {other:?}")),
        Err(error) => Err(format!("{value:?} was refused after encoding: {error}")),
    }
}
