//! What several tests need.

use core::time::Duration;

use skein_types::coord::{AgentState, Intent, RightOfWay};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId};
use skein_types::mission::Priority;
use skein_types::time::{MonoTime, WallTime};
use skein_types::units::Meters;

use crate::config::CoordConfig;

pub(crate) fn at(ms: u64) -> MonoTime {
    MonoTime::from_millis(ms)
}

pub(crate) fn intent(name: &str, boot: u128, sequence: u64) -> Intent {
    let sender = AgentId::new(name).unwrap();
    Intent {
        sender: sender.clone(),
        boot: BootId(uuid::Uuid::from_u128(boot)),
        sequence,
        sent_at: WallTime::default(),
        pose: Pose::default(),
        pose_age: Duration::ZERO,
        velocity: Point::default(),
        radius: Meters(0.25),
        path: Vec::new(),
        state: AgentState::Executing,
        right_of_way: RightOfWay {
            emergency: false,
            carrying: false,
            priority: Priority::NORMAL,
            waited_steps: 0,
            claimant: sender,
        },
        cornered: false,
        yields_to: None,
    }
}

pub(crate) fn config(name: &str) -> CoordConfig {
    CoordConfig { id: AgentId::new(name).unwrap(), boot: BootId(uuid::Uuid::from_u128(9)), radius: Meters(0.25) }
}
