//! What the simulated world knows to be true: contacts and the distance that each robot drove.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use skein_types::ids::AgentId;

/// The world's file, which it writes once a second.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Truth {
    /// Since the start of the world, seconds.
    pub duration_s: f64,
    pub collisions_total: u64,
    #[serde(default)]
    pub falls: u64,
    pub distance_by_robot_m: BTreeMap<AgentId, f64>,
}

impl Truth {
    /// None when the world has not written it, or cannot (a full disk).
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// How far a robot drove since an earlier truth, metres.
    pub(super) fn driven_since(&self, earlier: &Self, robot: &AgentId) -> f64 {
        let of = |truth: &Self| truth.distance_by_robot_m.get(robot).copied().unwrap_or(0.0);
        of(self) - of(earlier)
    }
}
