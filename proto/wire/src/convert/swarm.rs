//! What robots say to each other.

use core::time::Duration;

use skein_types::coord::{
    HAZARD_RADIUS_MAX, Hazard, HazardKind, INTENT_PATH_MAX, INTENT_RADIUS_MAX, Intent, MAP_HAZARDS_MAX, MapHazard,
    RightOfWay,
};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::Priority;
use skein_types::time::WallTime;
use skein_types::units::Meters;

use crate::error::{At, Fault, WireError};
use crate::read::{at_most, list, name_option, nanos, nested, one_of, points, same_variants, uuid, xy};
use crate::v1;

same_variants!(v1::HazardKind, HazardKind: Cliff, Person, Obstacle, Breakdown);

impl TryFrom<v1::RightOfWay> for RightOfWay {
    type Error = WireError;
    fn try_from(wire: v1::RightOfWay) -> Result<Self, WireError> {
        let too_many = Fault::OutOfRange { value: wire.waited_steps.into(), max: u16::MAX.into() };
        Ok(Self {
            emergency: wire.emergency,
            carrying: wire.carrying,
            priority: Priority::new(wire.priority).at("priority")?,
            waited_steps: u16::try_from(wire.waited_steps).map_err(|_| too_many).at("waited_steps")?,
            claimant: AgentId::new(wire.claimant).at("claimant")?,
        })
    }
}

impl From<RightOfWay> for v1::RightOfWay {
    fn from(right: RightOfWay) -> Self {
        Self {
            emergency: right.emergency,
            carrying: right.carrying,
            priority: right.priority.get().into(),
            waited_steps: right.waited_steps.into(),
            claimant: right.claimant.into(),
        }
    }
}

impl TryFrom<v1::Intent> for Intent {
    type Error = WireError;
    fn try_from(wire: v1::Intent) -> Result<Self, WireError> {
        Ok(Self {
            sender: AgentId::new(wire.sender).at("sender")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            sequence: wire.sequence,
            sent_at: WallTime::from_unix_nanos(wire.sent_at_unix_nanos),
            pose: nested(wire.pose, "pose")?,
            pose_age: Duration::from_nanos(wire.pose_age_nanos),
            velocity: nested(wire.velocity, "velocity")?,
            radius: Meters(at_most(wire.radius, INTENT_RADIUS_MAX.0).at("radius")?),
            path: points(&wire.path_xy, INTENT_PATH_MAX, "path_xy")?,
            state: one_of::<v1::AgentState, _>(wire.state).at("state")?,
            right_of_way: nested(wire.right_of_way, "right_of_way")?,
            cornered: wire.cornered,
            yields_to: name_option(wire.yields_to).at("yields_to")?,
        })
    }
}

/// Of a path longer than [`INTENT_PATH_MAX`] the nearest points are told.
impl From<Intent> for v1::Intent {
    fn from(mut intent: Intent) -> Self {
        intent.path.truncate(INTENT_PATH_MAX);
        Self {
            sender: intent.sender.into(),
            boot: intent.boot.to_string(),
            sequence: intent.sequence,
            sent_at_unix_nanos: intent.sent_at.unix_nanos(),
            pose: Some(intent.pose.into()),
            pose_age_nanos: nanos(intent.pose_age),
            velocity: Some(intent.velocity.into()),
            radius: intent.radius.0,
            path_xy: xy(&intent.path),
            state: v1::AgentState::from(intent.state).into(),
            right_of_way: Some(intent.right_of_way.into()),
            cornered: intent.cornered,
            yields_to: intent.yields_to.map(String::from).unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Hazard> for Hazard {
    type Error = WireError;
    fn try_from(wire: v1::Hazard) -> Result<Self, WireError> {
        Ok(Self {
            reporter: AgentId::new(wire.reporter).at("reporter")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            sequence: wire.sequence,
            kind: one_of::<v1::HazardKind, _>(wire.kind).at("kind")?,
            position: nested(wire.position, "position")?,
            radius: Meters(at_most(wire.radius, HAZARD_RADIUS_MAX.0).at("radius")?),
            time_to_live: Duration::from_nanos(wire.time_to_live_nanos),
            age: Duration::from_nanos(wire.age_nanos),
            seen_at: WallTime::from_unix_nanos(wire.seen_at_unix_nanos),
        })
    }
}

impl From<Hazard> for v1::Hazard {
    fn from(hazard: Hazard) -> Self {
        Self {
            reporter: hazard.reporter.into(),
            sequence: hazard.sequence,
            kind: v1::HazardKind::from(hazard.kind).into(),
            position: Some(hazard.position.into()),
            radius: hazard.radius.0,
            time_to_live_nanos: nanos(hazard.time_to_live),
            seen_at_unix_nanos: hazard.seen_at.unix_nanos(),
            boot: hazard.boot.to_string(),
            age_nanos: nanos(hazard.age),
        }
    }
}

impl TryFrom<v1::MapHazard> for MapHazard {
    type Error = WireError;
    fn try_from(wire: v1::MapHazard) -> Result<Self, WireError> {
        let kind: HazardKind = one_of::<v1::HazardKind, _>(wire.kind).at("kind")?;
        if !kind.is_static() {
            return Err(Fault::Contradiction("moves, and only what stays belongs to the map")).at("kind");
        }
        Ok(Self {
            kind,
            position: nested(wire.position, "position")?,
            radius: Meters(at_most(wire.radius, HAZARD_RADIUS_MAX.0).at("radius")?),
            reporter: AgentId::new(wire.reporter).at("reporter")?,
            boot: BootId(uuid(&wire.boot).at("boot")?),
            sequence: wire.sequence,
            seen_at: WallTime::from_unix_nanos(wire.seen_at_unix_nanos),
            cleared: wire.cleared,
        })
    }
}

impl From<MapHazard> for v1::MapHazard {
    fn from(hazard: MapHazard) -> Self {
        Self {
            kind: v1::HazardKind::from(hazard.kind).into(),
            position: Some(hazard.position.into()),
            radius: hazard.radius.0,
            reporter: hazard.reporter.into(),
            boot: hazard.boot.to_string(),
            sequence: hazard.sequence,
            seen_at_unix_nanos: hazard.seen_at.unix_nanos(),
            cleared: hazard.cleared,
        }
    }
}

/// The static hazards of a message.
pub(crate) fn map_hazards(wire: v1::MapHazards) -> Result<Vec<MapHazard>, WireError> {
    list(wire.hazards, MAP_HAZARDS_MAX, "hazards")
}

/// The message of static hazards.
pub(crate) fn of_map_hazards(mut hazards: Vec<MapHazard>) -> v1::MapHazards {
    hazards.truncate(MAP_HAZARDS_MAX);
    v1::MapHazards { hazards: hazards.into_iter().map(Into::into).collect() }
}
