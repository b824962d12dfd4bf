//! The report of a demo. Coverage, contacts and distances are the world's, which knows the truth; lateness is the
//! robots' own measure of their loops; CPU and memory are the kernel's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use skein_types::fleet::RobotView;
use skein_types::ids::{AgentId, MissionId};
use skein_types::mission::{Mission, MissionState};
use skein_types::telemetry::ReflexStats;

use crate::run::Measured;

/// What a demo came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub mission: MissionPart,
    /// Swept of the reachable free area, 0 to 1.
    pub coverage_ratio: Option<f64>,
    /// Contacts of robots with robots, walls and people.
    pub collisions: Option<u64>,
    /// Smallest distance there was between two robots' centres.
    pub min_separation_m: Option<f64>,
    /// How many robots, each a process of its own.
    pub robots: u16,
    pub reflex: ReflexPart,
    /// From the submission to the end.
    pub duration_s: f64,
    /// Driven by all robots together.
    pub distance_m: Option<f64>,
    pub seed: u64,
    pub map: PathBuf,
    pub zone_area_m2: f64,
    pub processes: Vec<Measured>,
    pub footprint: Footprint,
    /// Everything the world says.
    pub world: Value,
    /// Repeats this run.
    pub command: String,
    pub software: &'static str,
}

/// How the mission stood at the end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct MissionPart {
    pub id: Option<MissionId>,
    pub state: Option<MissionState>,
    pub reason: String,
    /// Swept by the robots' own measure, percent.
    pub covered_percent: f64,
}

/// How the reflex loops kept time.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ReflexPart {
    pub ticks: u64,
    pub missed_ticks: u64,
    pub lateness_us: Lateness,
    pub robots: BTreeMap<AgentId, ReflexStats>,
}

/// Over all robots: the middle of their medians, the worst of their high quantiles, the latest tick of all.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Lateness {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// The most that any robot and the supervisor took, against what they may take.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Footprint {
    pub robot_cpu_share_max: f64,
    pub robot_cpu_share_goal: f64,
    pub robot_rss_peak_mib_max: f64,
    pub robot_rss_peak_mib_goal: f64,
    pub supervisor_cpu_share: f64,
    pub supervisor_cpu_share_goal: f64,
    pub supervisor_rss_peak_mib: f64,
    pub supervisor_rss_peak_mib_goal: f64,
}

impl From<Option<&Mission>> for MissionPart {
    fn from(mission: Option<&Mission>) -> Self {
        Self {
            id: mission.map(|mission| mission.id),
            state: mission.map(|mission| mission.state),
            reason: mission.map(|mission| mission.reason.clone()).unwrap_or_default(),
            covered_percent: mission.map_or(0.0, |mission| mission.covered.0),
        }
    }
}

impl ReflexPart {
    /// Takes what robots say of themselves; a robot that is gone keeps its last word.
    pub(super) fn hear(&mut self, robots: &[RobotView]) {
        let said = robots.iter().filter_map(|robot| Some((&robot.agent, robot.telemetry.as_ref()?.reflex)));
        for (agent, stats) in said {
            self.robots.insert(agent.clone(), stats);
        }
        let sum = |of: fn(&ReflexStats) -> u64| self.robots.values().map(of).sum();
        let worst = |of: fn(&ReflexStats) -> f64| self.robots.values().map(of).fold(0.0, f64::max);
        let mut medians: Vec<f64> = self.robots.values().map(|stats| stats.lateness_us_p50).collect();
        medians.sort_by(f64::total_cmp);
        self.ticks = sum(|stats| stats.ticks);
        self.missed_ticks = sum(|stats| stats.missed_ticks);
        self.lateness_us = Lateness {
            p50: medians.get(medians.len() / 2).copied().unwrap_or(0.0),
            p99: worst(|stats| stats.lateness_us_p99),
            p999: worst(|stats| stats.lateness_us_p999),
            max: worst(|stats| stats.lateness_us_max),
        };
    }
}

impl Footprint {
    pub(super) fn of(processes: &[Measured]) -> Self {
        let is_robot = |name: &str| name != "world" && name != "cloud";
        let worst = |of: fn(&Measured) -> f64, chosen: &dyn Fn(&str) -> bool| {
            processes.iter().filter(|process| chosen(&process.name)).map(of).fold(0.0, f64::max)
        };
        Self {
            robot_cpu_share_max: worst(|process| process.cpu_share, &is_robot),
            robot_cpu_share_goal: 0.08,
            robot_rss_peak_mib_max: worst(|process| process.rss_peak_mib, &is_robot),
            robot_rss_peak_mib_goal: 64.0,
            supervisor_cpu_share: worst(|process| process.cpu_share, &|name| name == "cloud"),
            supervisor_cpu_share_goal: 0.05,
            supervisor_rss_peak_mib: worst(|process| process.rss_peak_mib, &|name| name == "cloud"),
            supervisor_rss_peak_mib_goal: 96.0,
        }
    }
}

/// The world's figures that the report names, out of its file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Truth {
    pub coverage_ratio: Option<f64>,
    pub collisions: Option<u64>,
    pub min_separation_m: Option<f64>,
    pub distance_m: Option<f64>,
}

impl Truth {
    /// Figures may stand at the top, or in the parts of which they are the sum.
    pub(super) fn of(world: &Value) -> Self {
        let number = |pointer: &str| world.pointer(pointer).and_then(Value::as_f64);
        let sum = |value: &Value| -> Option<f64> {
            match value {
                Value::Array(parts) => Some(parts.iter().filter_map(Value::as_f64).sum()),
                Value::Object(parts) => Some(parts.values().filter_map(Value::as_f64).sum()),
                other => other.as_f64(),
            }
        };
        Self {
            coverage_ratio: number("/coverage_ratio").or_else(|| number("/coverage/ratio")),
            collisions: world.get("collisions").and_then(sum).map(|total| total as u64),
            min_separation_m: number("/min_separation_m"),
            distance_m: world.get("distance_m").and_then(sum),
        }
    }
}

impl Report {
    /// The report in a few lines.
    pub(super) fn summary(&self) -> String {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
        let state = self.mission.state.as_ref().map(super::show::word);
        let lines = [
            ("mission", format!("{} {}", or_dash(state), self.mission.reason)),
            (
                "coverage",
                or_dash(self.coverage_ratio.map(|ratio| format!("{:.2} % of the reachable floor", ratio * 100.0))),
            ),
            ("time", super::show::span(self.duration_s)),
            (
                "distance",
                or_dash(self.distance_m.map(|meters| format!("{meters:.0} m, {} robots together", self.robots))),
            ),
            ("contacts", or_dash(self.collisions.map(|count| count.to_string()))),
            ("closest", or_dash(self.min_separation_m.map(|meters| format!("{meters:.2} m between two centres")))),
            (
                "reflex",
                format!(
                    "{} ticks, {} missed; late by {:.0} µs at the median, {:.0} at p99, {:.0} at p99.9, {:.0} at most",
                    self.reflex.ticks,
                    self.reflex.missed_ticks,
                    self.reflex.lateness_us.p50,
                    self.reflex.lateness_us.p99,
                    self.reflex.lateness_us.p999,
                    self.reflex.lateness_us.max
                ),
            ),
            (
                "footprint",
                format!(
                    "a robot at most {:.1} % of a core and {:.0} MiB, the supervisor {:.1} % and {:.0} MiB",
                    self.footprint.robot_cpu_share_max * 100.0,
                    self.footprint.robot_rss_peak_mib_max,
                    self.footprint.supervisor_cpu_share * 100.0,
                    self.footprint.supervisor_rss_peak_mib
                ),
            ),
            ("again", self.command.clone()),
        ];
        lines.iter().map(|(name, text)| format!("{name:<10} {}\n", text.trim_end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worlds_figures_are_found_flat_or_in_parts() {
        let flat = json!({"coverage_ratio": 0.995, "collisions": 0, "min_separation_m": 0.7, "distance_m": 120.5});
        let parts = json!({
            "coverage": {"ratio": 0.995},
            "collisions": {"robot_robot": 0, "robot_wall": 0, "robot_person": 0},
            "min_separation_m": 0.7,
            "distance_m": [100.0, 20.5],
        });
        let truth = Truth {
            coverage_ratio: Some(0.995),
            collisions: Some(0),
            min_separation_m: Some(0.7),
            distance_m: Some(120.5),
        };
        assert_eq!(Truth::of(&flat), truth);
        assert_eq!(Truth::of(&parts), truth);
        assert_eq!(Truth::of(&Value::Null), Truth::default());
    }

    #[test]
    fn lateness_over_all_robots_is_the_worst_of_them() {
        let mut reflex = ReflexPart::default();
        for (name, p50, p99, max, missed) in
            [("a", 5.0, 50.0, 400.0, 0), ("b", 7.0, 40.0, 900.0, 2), ("c", 6.0, 60.0, 1.0, 1)]
        {
            let stats = ReflexStats {
                ticks: 100,
                missed_ticks: missed,
                lateness_us_p50: p50,
                lateness_us_p99: p99,
                lateness_us_p999: 2.0 * p99,
                lateness_us_max: max,
            };
            reflex.robots.insert(AgentId::new(name).unwrap(), stats);
        }
        reflex.hear(&[]);
        assert_eq!((reflex.ticks, reflex.missed_ticks), (300, 3));
        let late = &reflex.lateness_us;
        assert_eq!((late.p50, late.p99, late.p999, late.max), (6.0, 60.0, 120.0, 900.0));
    }
}
