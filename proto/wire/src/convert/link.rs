//! What travels between one robot and its supervisor.

use skein_types::authority::Term;
use skein_types::ids::{AgentId, BootId, CommandId, FleetId, Generation, MissionId};
use skein_types::link::{AgentReport, CloudCommand, CommandAck, CommandOutcome, Hello, HelloProof, Order, SchemaRange};
use skein_types::time::WallTime;

use super::swarm::{map_hazards, of_map_hazards};
use crate::error::{At, Fault, WireError};
use crate::read::{cut, nested, nested_option, text, uuid, uuid_option};
use crate::v1;

impl TryFrom<v1::Hello> for Hello {
    type Error = WireError;
    fn try_from(wire: v1::Hello) -> Result<Self, WireError> {
        let working_on = wire.working_on.map(|work| -> Result<_, WireError> {
            Ok((MissionId(uuid(&work.mission).at("mission")?), Generation(work.generation)))
        });
        Ok(Self {
            agent: AgentId::new(wire.agent).at("agent")?,
            fleet: FleetId::new(wire.fleet).at("fleet")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            body: nested(wire.body, "body")?,
            home: nested(wire.home, "home")?,
            software: text(wire.software).at("software")?,
            schema: schema(wire.schema_min, wire.schema_version)?,
            last_command: uuid_option(&wire.last_command).at("last_command")?.map(CommandId),
            working_on: working_on.transpose().at("working_on")?,
            debug_address: text(wire.debug_address).at("debug_address")?,
            map_hash: text(wire.map_hash).at("map_hash")?,
            latch: nested(wire.latch, "latch")?,
            proof: proof(&wire.public_key, &wire.signature)?,
        })
    }
}

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            agent: hello.agent.into(),
            fleet: hello.fleet.into(),
            boot: hello.boot.to_string(),
            body: Some(hello.body.into()),
            home: Some(hello.home.into()),
            software: cut(hello.software),
            schema_version: hello.schema.max,
            schema_min: hello.schema.min,
            last_command: hello.last_command.map(|id| id.to_string()).unwrap_or_default(),
            working_on: hello
                .working_on
                .map(|(mission, generation)| v1::Work { mission: mission.to_string(), generation: generation.0 }),
            debug_address: cut(hello.debug_address),
            map_hash: cut(hello.map_hash),
            latch: Some(hello.latch.into()),
            public_key: hello.proof.map(|proof| proof.public_key.to_vec()).unwrap_or_default(),
            signature: hello.proof.map(|proof| proof.signature.to_vec()).unwrap_or_default(),
        }
    }
}

/// A range whose oldest version is missing is that of a robot which speaks only the newest.
fn schema(min: u32, max: u32) -> Result<SchemaRange, WireError> {
    let min = if min == 0 { max } else { min };
    if min > max {
        return Err(Fault::OutOfRange { value: min.into(), max: max.into() }).at("schema_min");
    }
    Ok(SchemaRange { min, max })
}

fn proof(public_key: &[u8], signature: &[u8]) -> Result<Option<HelloProof>, WireError> {
    if public_key.is_empty() && signature.is_empty() {
        return Ok(None);
    }
    let public_key = key_bytes(public_key).at("public_key")?;
    let signature = key_bytes(signature).at("signature")?;
    Ok(Some(HelloProof { public_key, signature }))
}

fn key_bytes<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::KeyLength { bytes: bytes.len(), expected: N })
}

impl TryFrom<v1::CommandAck> for CommandAck {
    type Error = WireError;
    fn try_from(wire: v1::CommandAck) -> Result<Self, WireError> {
        let reason = text(wire.reason).at("reason")?;
        let unknown = Fault::UnknownValue(wire.status);
        let outcome = match v1::CommandStatus::try_from(wire.status) {
            Ok(v1::CommandStatus::Accepted) => CommandOutcome::Accepted,
            Ok(v1::CommandStatus::Rejected) => CommandOutcome::Rejected(reason),
            Ok(v1::CommandStatus::Done) => CommandOutcome::Done,
            Ok(v1::CommandStatus::Failed) => CommandOutcome::Failed(reason),
            Ok(v1::CommandStatus::Unspecified) | Err(_) => return Err(unknown).at("status"),
        };
        Ok(Self { command: CommandId(uuid(&wire.command).at("command")?), outcome })
    }
}

impl From<CommandAck> for v1::CommandAck {
    fn from(ack: CommandAck) -> Self {
        let (status, reason) = match ack.outcome {
            CommandOutcome::Accepted => (v1::CommandStatus::Accepted, String::new()),
            CommandOutcome::Rejected(reason) => (v1::CommandStatus::Rejected, reason),
            CommandOutcome::Done => (v1::CommandStatus::Done, String::new()),
            CommandOutcome::Failed(reason) => (v1::CommandStatus::Failed, reason),
        };
        Self { command: ack.command.to_string(), status: status.into(), reason: cut(reason) }
    }
}

impl TryFrom<v1::AgentReport> for AgentReport {
    type Error = WireError;
    fn try_from(wire: v1::AgentReport) -> Result<Self, WireError> {
        use v1::agent_report::Report;
        match wire.report.ok_or(Fault::Missing).at("report")? {
            Report::Hello(hello) => hello.try_into().map(Self::Hello).at("hello"),
            Report::Telemetry(batch) => batch.try_into().map(Self::Telemetry).at("telemetry"),
            Report::Ack(ack) => ack.try_into().map(Self::Ack).at("ack"),
            Report::Progress(progress) => progress.try_into().map(Self::Progress).at("progress"),
            Report::Events(batch) => batch.try_into().map(Self::Events).at("events"),
            Report::Latch(report) => report.try_into().map(Self::Latch).at("latch"),
            Report::Hazards(hazards) => map_hazards(hazards).map(Self::Hazards).at("hazards"),
        }
    }
}

impl From<AgentReport> for v1::AgentReport {
    fn from(report: AgentReport) -> Self {
        use v1::agent_report::Report;
        let report = match report {
            AgentReport::Hello(hello) => Report::Hello(hello.into()),
            AgentReport::Telemetry(batch) => Report::Telemetry(batch.into()),
            AgentReport::Ack(ack) => Report::Ack(ack.into()),
            AgentReport::Progress(progress) => Report::Progress(progress.into()),
            AgentReport::Events(batch) => Report::Events(batch.into()),
            AgentReport::Latch(report) => Report::Latch(report.into()),
            AgentReport::Hazards(hazards) => Report::Hazards(of_map_hazards(hazards)),
        };
        Self { report: Some(report) }
    }
}

impl TryFrom<v1::cloud_command::Order> for Order {
    type Error = WireError;
    fn try_from(wire: v1::cloud_command::Order) -> Result<Self, WireError> {
        use v1::cloud_command::Order as Wire;
        match wire {
            Wire::Assignment(assignment) => assignment.try_into().map(Self::Assign).at("assignment"),
            Wire::Pause(mission) => uuid(&mission).map(|id| Self::Pause(MissionId(id))).at("pause"),
            Wire::Resume(mission) => uuid(&mission).map(|id| Self::Resume(MissionId(id))).at("resume"),
            Wire::Cancel(mission) => uuid(&mission).map(|id| Self::Cancel(MissionId(id))).at("cancel"),
            Wire::EventsKept(kept) => {
                let boot = BootId(uuid(&kept.boot).at("events_kept.boot")?);
                Ok(Self::EventsKept { boot, sequence: kept.sequence })
            }
            Wire::Latch(order) => order.try_into().map(Self::Latch).at("latch"),
            Wire::Lease(order) => nested_option(order.grant, "grant").map(Self::Lease).at("lease"),
            Wire::Hazards(hazards) => map_hazards(hazards).map(Self::Hazards).at("hazards"),
        }
    }
}

impl From<Order> for v1::cloud_command::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Assign(assignment) => Self::Assignment(assignment.into()),
            Order::Pause(mission) => Self::Pause(mission.to_string()),
            Order::Resume(mission) => Self::Resume(mission.to_string()),
            Order::Cancel(mission) => Self::Cancel(mission.to_string()),
            Order::EventsKept { boot, sequence } => {
                Self::EventsKept(v1::EventsKept { boot: boot.to_string(), sequence })
            }
            Order::Latch(order) => Self::Latch(order.into()),
            Order::Lease(grant) => Self::Lease(v1::LeaseOrder { grant: grant.map(Into::into) }),
            Order::Hazards(hazards) => Self::Hazards(of_map_hazards(hazards)),
        }
    }
}

impl TryFrom<v1::CloudCommand> for CloudCommand {
    type Error = WireError;
    fn try_from(wire: v1::CloudCommand) -> Result<Self, WireError> {
        Ok(Self {
            id: CommandId(uuid(&wire.id).at("id")?),
            generation: Generation(wire.generation),
            term: Term(wire.term),
            expires_at: wire.expires_at_unix_nanos.map(WallTime::from_unix_nanos),
            order: wire.order.ok_or(Fault::Missing).at("order")?.try_into()?,
        })
    }
}

impl From<CloudCommand> for v1::CloudCommand {
    fn from(command: CloudCommand) -> Self {
        Self {
            id: command.id.to_string(),
            generation: command.generation.0,
            term: command.term.0,
            expires_at_unix_nanos: command.expires_at.map(WallTime::unix_nanos),
            order: Some(command.order.into()),
        }
    }
}
