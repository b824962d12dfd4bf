//! `robot why`: what a robot does, why, and its last decisions, as sentences.

use serde_json::{Map, Value, json};
use skein_types::event::Event;
use skein_types::ids::AgentId;

use super::show;
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{self, Table};

/// Characters of an id that a person needs to tell two apart.
const ID_CHARACTERS: usize = 13;

pub(super) async fn why(context: &Context, robot: &AgentId) -> Result<(), Failure> {
    let explanation = context.cloud().await?.why(robot).await?;
    let value = json!({
        "robot": robot,
        "why": explanation.why,
        "failsafe": explanation.failsafe,
        "causes": explanation.causes,
        "decisions": explanation.decisions,
    });
    output::show(context.format(), &value, || {
        let mut table = Table::new(&["WHEN", "WHAT", "DETAILS"], 3);
        table.row(["now".to_owned(), robot.to_string(), explanation.why.clone()]);
        if !explanation.causes.is_empty() {
            let causes: Vec<String> = explanation.causes.iter().map(|cause| words(cause.name())).collect();
            let level = show::word(&explanation.failsafe);
            table.row(["now".to_owned(), "failsafe".to_owned(), format!("{level}: {}", causes.join(", "))]);
        }
        for decision in &explanation.decisions {
            let age = show::span(clock::seconds_since_unix(decision.at.unix_nanos()));
            table.row([format!("{age} ago"), words(&decision.name), details(decision)]);
        }
        table
    })
}

/// The payload of an event as `name value` pairs. A payload that is not JSON is shown as it is.
fn details(event: &Event) -> String {
    match serde_json::from_str::<Value>(&event.payload) {
        Ok(Value::Object(fields)) => pairs(&fields),
        Ok(value) => text(&value),
        Err(_) => event.payload.clone(),
    }
}

fn pairs(fields: &Map<String, Value>) -> String {
    let shown = fields.iter().filter(|(_, value)| !is_empty(value));
    shown.map(|(name, value)| pair(name, value)).collect::<Vec<_>>().join(", ")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A number's unit stands at the end of its field's name: `length_m`, `area_m2`, `tried_again_in_s`.
fn pair(name: &str, value: &Value) -> String {
    let unit = [("_m2", "m²"), ("_m", "m"), ("_s", "s"), ("_ms", "ms"), ("_bytes", "bytes")];
    let found = unit.iter().find_map(|(suffix, unit)| Some((name.strip_suffix(suffix)?, unit)));
    match (found, value) {
        (Some((stem, unit)), Value::Number(_)) => format!("{} {} {unit}", words(stem), text(value)),
        (_, Value::Bool(true)) => words(name),
        (_, Value::Bool(false)) => format!("not {}", words(name)),
        _ => format!("{} {}", words(name), text(value)),
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => text.chars().take(ID_CHARACTERS).collect(),
        Value::String(text) => words(text),
        Value::Number(number) => number.as_f64().filter(|_| !number.is_u64() && !number.is_i64()).map_or_else(
            || number.to_string(),
            |number| format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        ),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => match (fields.get("x"), fields.get("y")) {
            (Some(x), Some(y)) => format!("({}, {})", text(x), text(y)),
            _ => format!("({})", pairs(fields)),
        },
        Value::Bool(_) | Value::Null => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(payload: &str) -> String {
        match serde_json::from_str(payload) {
            Ok(Value::Object(fields)) => pairs(&fields),
            _ => "not an object".to_owned(),
        }
    }

    #[test]
    fn a_payload_reads_as_text() {
        assert_eq!(readable(r#"{"length_m": 12.5, "reason": "goal_moved"}"#), "length 12.5 m, reason goal moved");
        assert_eq!(
            readable(r#"{"ahead_m": 1.25, "at": {"x": 3.0, "y": -1.504}, "on_map": false, "tried_again_in_s": 60}"#),
            "ahead 1.25 m, at (3, -1.5), not on map, tried again in 60 s"
        );
        assert_eq!(
            readable(
                r#"{"mission": "0190b2f0-7b1a-7000-8000-000000000001", "robots": ["rover-1", "rover-2"], "why": ""}"#
            ),
            "mission 0190b2f0-7b1a, robots rover-1 rover-2"
        );
        assert_eq!(
            readable(r#"{"because": {"priority": {"mine": 5, "theirs": 8}}}"#),
            "because (priority (mine 5, theirs 8))"
        );
    }
}
