//! The wire: generated messages of `proto/schema/skein/v1`, their conversions to and from the domain types, and the
//! names of keys.
//!
//! The way in is [`Wire::from_bytes`] or `TryFrom` on a generated message (a gRPC stub hands those out): everything is
//! checked once, here, and what comes out is a domain type that cannot be wrong. A refusal is a [`WireError`] that
//! names the field, as in `assignment.task.survey.region.runs[3]`. The way out is [`Wire::to_bytes`] or `From`.
//!
//! Fields that this build does not know are no reason to refuse a message, so that an older reader understands a newer
//! writer. Generated messages do not carry them further, though: who stores or forwards a message keeps the bytes as
//! they came ([`Kept`]).
//!
//! Nothing in this crate opens a socket: clients are made from a channel, servers are routes.

pub mod bounds;
pub mod check;
mod convert;
mod error;
mod kept;
pub mod names;
mod read;
pub mod request;

use prost::Message;
use skein_types::{authority, coord, event, fleet, link, mission, telemetry};

pub use bounds::MESSAGE_BYTES_MAX;
pub use error::{Fault, WireError};
pub use kept::Kept;

/// Generated messages, clients and servers of `skein.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("skein.v1");
}

/// The schema's file descriptors, for gRPC reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/skein_v1.bin"));

/// A domain type that has a message of its own.
pub trait Wire: Sized + Into<Self::Message> + TryFrom<Self::Message, Error = WireError> {
    /// The generated message.
    type Message: Message + Default;

    /// Largest encoding that is looked at.
    const BYTES_MAX: usize = MESSAGE_BYTES_MAX;

    /// Encodes the message.
    fn to_bytes(self) -> Vec<u8> {
        self.into().encode_to_vec()
    }

    /// Decodes and checks it.
    ///
    /// # Errors
    /// [`WireError`] names the field and what is wrong with it.
    fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(Fault::TooLarge { bytes: bytes.len(), max: Self::BYTES_MAX }.into());
        }
        Self::try_from(Self::Message::decode(bytes)?)
    }
}

macro_rules! wire {
    ($($domain:ty => $message:ty $(, at most $max:expr)?;)*) => {
        $(impl Wire for $domain {
            type Message = $message;
            $(const BYTES_MAX: usize = $max;)?
        })*
    };
}

wire! {
    coord::Intent => v1::Intent, at most bounds::SWARM_MESSAGE_BYTES_MAX;
    coord::Hazard => v1::Hazard, at most bounds::SWARM_MESSAGE_BYTES_MAX;
    coord::MapHazard => v1::MapHazard, at most bounds::SWARM_MESSAGE_BYTES_MAX;
    authority::LatchGossip => v1::LatchGossip, at most bounds::GOSSIP_BYTES_MAX;
    authority::LatchRequest => v1::LatchRequest;
    authority::LatchSet => v1::LatchSet;
    event::Event => v1::Event;
    event::EventBatch => v1::EventBatch;
    fleet::FleetView => v1::FleetView;
    fleet::RobotView => v1::RobotView;
    link::AgentReport => v1::AgentReport;
    link::CloudCommand => v1::CloudCommand;
    link::CommandAck => v1::CommandAck;
    link::Hello => v1::Hello;
    mission::Assignment => v1::Assignment;
    mission::Mission => v1::Mission;
    mission::MissionSpec => v1::MissionSpec;
    mission::Preview => v1::Preview;
    mission::SliceProgress => v1::MissionProgress;
    telemetry::AgentTelemetry => v1::AgentTelemetry;
    telemetry::TelemetryBatch => v1::TelemetryBatch;
}
