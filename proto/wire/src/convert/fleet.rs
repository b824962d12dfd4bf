//! The fleet as its commanders see it.

use skein_types::coord::MAP_HAZARDS_MAX;
use skein_types::fleet::{ALARMS_MAX, Alarm, AlarmSeverity, FleetView, LatchDurability, RobotView};
use skein_types::ids::{AgentId, BootId};
use skein_types::time::WallTime;
use skein_types::units::Seconds;

use crate::bounds::{MISSIONS_MAX, ROBOTS_MAX};
use crate::error::{At, WireError};
use crate::read::{cut, list, name_option, nested, nested_option, not_negative, one_of, same_variants, text, uuid};
use crate::v1;

same_variants!(v1::AlarmSeverity, AlarmSeverity: Warning, Critical);

impl TryFrom<v1::Alarm> for Alarm {
    type Error = WireError;
    fn try_from(wire: v1::Alarm) -> Result<Self, WireError> {
        Ok(Self {
            id: text(wire.id).at("id")?,
            severity: one_of::<v1::AlarmSeverity, _>(wire.severity).at("severity")?,
            code: text(wire.code).at("code")?,
            robot: name_option(wire.robot).at("robot")?,
            text: text(wire.text).at("text")?,
            raised_at: WallTime::from_unix_nanos(wire.raised_at_unix_nanos),
        })
    }
}

impl From<Alarm> for v1::Alarm {
    fn from(alarm: Alarm) -> Self {
        Self {
            id: cut(alarm.id),
            severity: v1::AlarmSeverity::from(alarm.severity).into(),
            code: cut(alarm.code),
            robot: alarm.robot.map(String::from).unwrap_or_default(),
            text: cut(alarm.text),
            raised_at_unix_nanos: alarm.raised_at.unix_nanos(),
        }
    }
}

impl TryFrom<v1::RobotView> for RobotView {
    type Error = WireError;
    fn try_from(wire: v1::RobotView) -> Result<Self, WireError> {
        Ok(Self {
            agent: AgentId::new(wire.agent).at("agent")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            body: nested(wire.body, "body")?,
            home: nested(wire.home, "home")?,
            connected: wire.connected,
            latch: one_of::<v1::Latch, _>(wire.latch).at("latch")?,
            latches: nested(wire.latches, "latches")?,
            durability: durability(wire.latch_saving, wire.latch_error)?,
            wanted: nested(wire.wanted, "wanted")?,
            telemetry: nested_option(wire.telemetry, "telemetry")?,
            age: Seconds(not_negative(wire.age_seconds).at("age_seconds")?),
            debug_address: text(wire.debug_address).at("debug_address")?,
            software: text(wire.software).at("software")?,
        })
    }
}

/// What is on the disk, from the two fields that say so. A sender that knows neither field says that it is kept.
pub(crate) fn durability(saving: bool, error: String) -> Result<LatchDurability, WireError> {
    let error = text(error).at("latch_error")?;
    Ok(match (saving, error.is_empty()) {
        (_, false) => LatchDurability::NotKept(error),
        (true, true) => LatchDurability::Saving,
        (false, true) => LatchDurability::Kept,
    })
}

/// The reverse of [`durability`].
pub(crate) fn durability_fields(durability: LatchDurability) -> (bool, String) {
    match durability {
        LatchDurability::Kept => (false, String::new()),
        LatchDurability::Saving => (true, String::new()),
        LatchDurability::NotKept(why) => (false, cut(why)),
    }
}

impl From<RobotView> for v1::RobotView {
    fn from(robot: RobotView) -> Self {
        let (latch_saving, latch_error) = durability_fields(robot.durability);
        Self {
            latch_saving,
            latch_error,
            agent: robot.agent.into(),
            boot: robot.boot.to_string(),
            body: Some(robot.body.into()),
            home: Some(robot.home.into()),
            connected: robot.connected,
            latch: v1::Latch::from(robot.latch).into(),
            latches: Some(robot.latches.into()),
            wanted: Some(robot.wanted.into()),
            telemetry: robot.telemetry.map(Into::into),
            age_seconds: robot.age.0,
            debug_address: cut(robot.debug_address),
            software: cut(robot.software),
        }
    }
}

impl TryFrom<v1::FleetView> for FleetView {
    type Error = WireError;
    fn try_from(wire: v1::FleetView) -> Result<Self, WireError> {
        Ok(Self {
            sequence: wire.sequence,
            at: WallTime::from_unix_nanos(wire.at_unix_nanos),
            robots: list(wire.robots, ROBOTS_MAX, "robots")?,
            missions: list(wire.missions, MISSIONS_MAX, "missions")?,
            alarms: list(wire.alarms, ALARMS_MAX, "alarms")?,
            hazards: list(wire.hazards, MAP_HAZARDS_MAX, "hazards")?,
        })
    }
}

impl From<FleetView> for v1::FleetView {
    fn from(view: FleetView) -> Self {
        Self {
            sequence: view.sequence,
            at_unix_nanos: view.at.unix_nanos(),
            robots: view.robots.into_iter().map(Into::into).collect(),
            missions: view.missions.into_iter().map(Into::into).collect(),
            alarms: view.alarms.into_iter().take(ALARMS_MAX).map(Into::into).collect(),
            hazards: view.hazards.into_iter().take(MAP_HAZARDS_MAX).map(Into::into).collect(),
        }
    }
}
