//! What a robot tells its supervisor about itself.
//!
//! In a batch, a sample leaves out what is as in the sample before it and says so in `unchanged`: that is half
//! of its size at 100 Hz.

use skein_types::coord::AgentState;
use skein_types::ids::{AgentId, MissionId};
use skein_types::safety::{Causes, FailsafeLevel};
use skein_types::telemetry::{AgentTelemetry, LinkState, OperatingMode, ReflexStats, TelemetryBatch};
use skein_types::time::WallTime;
use skein_types::units::{Meters, Percent};

use crate::bounds::TELEMETRY_SAMPLES_MAX;
use crate::error::{At, Fault, WireError};
use crate::read::{count, cut, finite, nested, not_negative, one_of, same_variants, text, uuid_option};
use crate::v1;

same_variants!(
    v1::OperatingMode, OperatingMode: Startup, Automatic, SemiAutomatic, Intervened, Manual, Service, TeachIn
);
same_variants!(
    v1::AgentState, AgentState:
    Idle, MovingToStart, Executing, CarryingPayload, Yielding, Waiting, Returning, Charging, Stopped, Fault
);

const SAME_AGENT: u32 = 1;
const SAME_MISSION: u32 = 1 << 1;
const SAME_REFLEX: u32 = 1 << 2;
const SAME_WHY: u32 = 1 << 3;
const SAME_ALL: u32 = SAME_AGENT | SAME_MISSION | SAME_REFLEX | SAME_WHY;

impl From<v1::LinkState> for LinkState {
    fn from(wire: v1::LinkState) -> Self {
        Self { cloud: wire.cloud, mesh: wire.mesh }
    }
}

impl From<LinkState> for v1::LinkState {
    fn from(link: LinkState) -> Self {
        Self { cloud: link.cloud, mesh: link.mesh }
    }
}

impl TryFrom<v1::ReflexStats> for ReflexStats {
    type Error = WireError;
    fn try_from(wire: v1::ReflexStats) -> Result<Self, WireError> {
        Ok(Self {
            ticks: wire.ticks,
            missed_ticks: wire.missed_ticks,
            lateness_us_p50: finite(wire.lateness_us_p50).at("lateness_us_p50")?,
            lateness_us_p99: finite(wire.lateness_us_p99).at("lateness_us_p99")?,
            lateness_us_p999: finite(wire.lateness_us_p999).at("lateness_us_p999")?,
            lateness_us_max: finite(wire.lateness_us_max).at("lateness_us_max")?,
        })
    }
}

impl From<ReflexStats> for v1::ReflexStats {
    fn from(stats: ReflexStats) -> Self {
        Self {
            ticks: stats.ticks,
            missed_ticks: stats.missed_ticks,
            lateness_us_p50: stats.lateness_us_p50,
            lateness_us_p99: stats.lateness_us_p99,
            lateness_us_p999: stats.lateness_us_p999,
            lateness_us_max: stats.lateness_us_max,
        }
    }
}

impl TryFrom<v1::AgentTelemetry> for AgentTelemetry {
    type Error = WireError;
    fn try_from(wire: v1::AgentTelemetry) -> Result<Self, WireError> {
        sample_after(None, wire)
    }
}

impl From<AgentTelemetry> for v1::AgentTelemetry {
    fn from(sample: AgentTelemetry) -> Self {
        Self {
            agent: sample.agent.into(),
            at_unix_nanos: sample.at.unix_nanos(),
            sequence: sample.sequence,
            pose: Some(sample.pose.into()),
            position_std: sample.position_std.0,
            twist: Some(sample.twist.into()),
            battery_percent: sample.battery.0,
            mode: v1::OperatingMode::from(sample.mode).into(),
            state: v1::AgentState::from(sample.state).into(),
            failsafe: v1::FailsafeLevel::from(sample.failsafe).into(),
            causes: sample.causes.bits(),
            mission: sample.mission.map(|id| id.to_string()).unwrap_or_default(),
            link: Some(sample.link.into()),
            peers_visible: sample.peers_visible,
            reflex: Some(sample.reflex.into()),
            why: cut(sample.why),
            unchanged: 0,
        }
    }
}

impl TryFrom<v1::TelemetryBatch> for TelemetryBatch {
    type Error = WireError;
    fn try_from(wire: v1::TelemetryBatch) -> Result<Self, WireError> {
        count(wire.samples.len(), TELEMETRY_SAMPLES_MAX).at("samples")?;
        let mut samples: Vec<AgentTelemetry> = Vec::with_capacity(wire.samples.len());
        for (i, sample) in wire.samples.into_iter().enumerate() {
            let sample = sample_after(samples.last(), sample).at_index("samples", i)?;
            samples.push(sample);
        }
        Ok(Self { samples })
    }
}

impl From<TelemetryBatch> for v1::TelemetryBatch {
    fn from(batch: TelemetryBatch) -> Self {
        let unchanged: Vec<u32> = core::iter::once(0)
            .chain(batch.samples.iter().zip(batch.samples.iter().skip(1)).map(|(before, after)| same(before, after)))
            .collect();
        let samples = batch.samples.into_iter().zip(unchanged).map(|(s, unchanged)| without(s.into(), unchanged));
        Self { samples: samples.collect() }
    }
}

/// Which parts of a sample are as in the one before.
fn same(before: &AgentTelemetry, after: &AgentTelemetry) -> u32 {
    [
        (before.agent == after.agent, SAME_AGENT),
        (before.mission == after.mission, SAME_MISSION),
        (before.reflex == after.reflex, SAME_REFLEX),
        (before.why == after.why, SAME_WHY),
    ]
    .iter()
    .filter(|(same, _)| *same)
    .fold(0, |all, (_, bit)| all | bit)
}

fn without(mut sample: v1::AgentTelemetry, unchanged: u32) -> v1::AgentTelemetry {
    sample.unchanged = unchanged;
    if unchanged & SAME_AGENT != 0 {
        sample.agent.clear();
    }
    if unchanged & SAME_MISSION != 0 {
        sample.mission.clear();
    }
    if unchanged & SAME_REFLEX != 0 {
        sample.reflex = None;
    }
    if unchanged & SAME_WHY != 0 {
        sample.why.clear();
    }
    sample
}

/// Reads a sample; what it leaves out comes from the one before it in the batch.
fn sample_after(before: Option<&AgentTelemetry>, wire: v1::AgentTelemetry) -> Result<AgentTelemetry, WireError> {
    let known = if before.is_some() { SAME_ALL } else { 0 };
    if wire.unchanged & !known != 0 {
        return Err(Fault::UnknownBits(wire.unchanged)).at("unchanged");
    }
    let kept = |bit: u32| before.filter(|_| wire.unchanged & bit != 0);
    Ok(AgentTelemetry {
        agent: kept(SAME_AGENT).map_or_else(|| AgentId::new(wire.agent).at("agent"), |b| Ok(b.agent.clone()))?,
        at: WallTime::from_unix_nanos(wire.at_unix_nanos),
        sequence: wire.sequence,
        pose: nested(wire.pose, "pose")?,
        position_std: Meters(not_negative(wire.position_std).at("position_std")?),
        twist: nested(wire.twist, "twist")?,
        battery: Percent(finite(wire.battery_percent).at("battery_percent")?),
        mode: one_of::<v1::OperatingMode, _>(wire.mode).at("mode")?,
        state: one_of::<v1::AgentState, _>(wire.state).at("state")?,
        failsafe: one_of::<v1::FailsafeLevel, FailsafeLevel>(wire.failsafe).at("failsafe")?,
        causes: Causes::from_bits(wire.causes).ok_or(Fault::UnknownBits(wire.causes)).at("causes")?,
        mission: match kept(SAME_MISSION) {
            Some(before) => before.mission,
            None => uuid_option(&wire.mission).at("mission")?.map(MissionId),
        },
        link: wire.link.unwrap_or_default().into(),
        peers_visible: wire.peers_visible,
        reflex: kept(SAME_REFLEX).map_or_else(|| nested(wire.reflex, "reflex"), |b| Ok(b.reflex))?,
        why: kept(SAME_WHY).map_or_else(|| text(wire.why).at("why"), |b| Ok(b.why.clone()))?,
    })
}
