//! Rows of robots and missions.

use serde::Serialize;
use skein_types::fleet::RobotView;
use skein_types::mission::Mission;

use crate::clock;
use crate::output::Table;

/// A value's name as it is in JSON: `MOVING_TO_START`, `hold`.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// A span as people say it.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.0 => "0 s".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { text.to_owned() }
}

/// Missions as rows.
pub(super) fn missions(missions: &[Mission]) -> Table {
    let headings = &["MISSION", "NAME", "STATE", "COVERED", "ROBOTS", "AGE", "OBJECTIVE", "PRIORITY", "AREA", "WHY"];
    let mut table = Table::new(headings, 6);
    for mission in missions {
        table.row([
            mission.id.to_string(),
            dash(&mission.spec.name),
            word(&mission.state),
            format!("{:.1} %", mission.covered.0),
            mission.slices.len().to_string(),
            span(clock::seconds_since_unix(mission.submitted_at.unix_nanos())),
            word(&mission.spec.objective),
            mission.spec.priority.get().to_string(),
            format!("{:.1} m²", mission.area),
            dash(&mission.reason),
        ]);
    }
    table
}

/// A mission's parts as rows.
pub(super) fn slices(mission: &Mission) -> Table {
    let mut table = Table::new(&["ROBOT", "STATE", "COVERED", "AREA", "WHY", "ORDER"], 5);
    for slice in &mission.slices {
        table.row([
            slice.agent.to_string(),
            word(&slice.state),
            format!("{:.1} %", slice.covered.0),
            format!("{:.1} m²", slice.area),
            dash(&slice.reason),
            slice.generation.to_string(),
        ]);
    }
    table
}

/// Robots as rows.
pub(super) fn robots(robots: &[RobotView]) -> Table {
    let headings = &["ROBOT", "STATE", "MODE", "BATTERY", "FAILSAFE", "LATCH", "AGE", "PLACE", "PEERS", "DEBUG", "WHY"];
    let mut table = Table::new(headings, 7);
    for robot in robots {
        let sample = robot.telemetry.as_ref();
        let of = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let state = if robot.connected { of(sample.map(|s| word(&s.state))) } else { "GONE".to_owned() };
        table.row([
            robot.agent.to_string(),
            state,
            of(sample.map(|s| word(&s.mode))),
            of(sample.map(|s| format!("{:.0} %", s.battery.0))),
            of(sample.map(|s| word(&s.failsafe))),
            word(&robot.latch),
            span(robot.age.0),
            of(sample.map(|s| format!("{:.2} {:.2}", s.pose.position.x, s.pose.position.y))),
            of(sample.map(|s| s.peers_visible.to_string())),
            dash(&robot.debug_address),
            of(sample.map(|s| dash(&s.why))),
        ]);
    }
    table
}
