//! Every endpoint of a robot's debug API answers while it works, and a manual override is bounded.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use skein_e2e::fleet::{Fleet, TOKEN};
use skein_e2e::http;
use skein_e2e::motion::wait_standing;
use skein_e2e::process::{PATIENCE, wait_for};

const ENDPOINTS: &[&str] = &[
    "/status",
    "/healthz",
    "/metrics",
    "/docs",
    "/api/v1/telemetry",
    "/api/v1/logs",
    "/api/v1/world",
    "/api/v1/plan",
    "/api/v1/why",
    "/api/v1/peers",
    "/api/v1/models",
    "/api/v1/openapi.json",
];

#[test]
fn every_endpoint_answers_and_overrides_are_bounded() -> Result<()> {
    let fleet = Fleet::start("e2e-debug", 2)?;
    let mission = fleet.submit_survey("debug")?;
    fleet.wait_coverage(0.3, Duration::from_secs(60))?;
    let debug = fleet.debug(0).to_owned();
    for path in ENDPOINTS {
        let answer = http::get(&debug, path)?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.is_empty(), "{path} is empty");
    }
    peers_are_seen(&debug)?;
    overrides(&debug)?;
    unknown_paths_are_problems(&debug)?;
    assert_eq!(fleet.wait_end(&mission, Duration::from_secs(150))?, "DONE");
    fleet.end()
}

fn peers_are_seen(debug: &str) -> Result<()> {
    wait_for(PATIENCE, "the other robot to be heard", || {
        let status = http::get(debug, "/status")?.json()?;
        Ok((status["peers_visible"] == json!(["rover-2"])).then_some(()))
    })
}

fn overrides(debug: &str) -> Result<()> {
    let bearer = format!("Bearer {TOKEN}");
    let with_token: &[(&str, &str)] = &[("authorization", &bearer)];
    let send = |headers: &[(&str, &str)], body: Value| http::post(debug, "/api/v1/override", headers, &body);
    let twist = json!({ "vx": 0.0, "vy": 0.0, "yaw_rate": 0.3 });
    let good = json!({ "operator": "ada", "reason": "a look around", "ttl_ms": 400, "twist": twist });

    assert_eq!(send(&[], good.clone())?.status, 401);
    let outside = json!({ "operator": "ada", "reason": "away", "ttl_ms": 500, "target": { "x": 500.0, "y": 500.0 } });
    let refused = send(with_token, outside)?;
    assert_eq!((refused.status, refused.json()?["code"].clone()), (422, json!("out_of_fence")), "{}", refused.body);
    assert!(refused.head.to_ascii_lowercase().contains("application/problem+json"));
    let forever = json!({ "operator": "ada", "reason": "long", "ttl_ms": 60_000, "twist": good["twist"] });
    assert_eq!(send(with_token, forever)?.status, 422);
    let garbage = http::request(debug, "POST", "/api/v1/override", with_token, b"{\"twist\": NaN}")?;
    assert!((400..500).contains(&garbage.status), "{}", garbage.body);

    let accepted = send(with_token, good)?;
    assert!((200..300).contains(&accepted.status), "{}", accepted.body);
    wait_mode(debug, "MANUAL")?;
    // The command has expired long before this answer; the robot stands in MANUAL until control is given back.
    wait_standing(debug, PATIENCE)?;
    wait_mode(debug, "MANUAL")?;
    let given_back = http::request(debug, "DELETE", "/api/v1/override?lease=ada", with_token, b"")?;
    assert_eq!(given_back.status, 200, "{}", given_back.body);
    wait_mode(debug, "AUTOMATIC")
}

fn wait_mode(debug: &str, mode: &str) -> Result<()> {
    wait_for(PATIENCE, &format!("mode {mode}"), || {
        let status = http::get(debug, "/status")?.json()?;
        Ok((status["mode"] == mode).then_some(()))
    })
}

fn unknown_paths_are_problems(debug: &str) -> Result<()> {
    let answer = http::get(debug, "/api/v1/nothing")?;
    assert_eq!(answer.status, 404);
    assert!(answer.json()?["hint"].is_string(), "{}", answer.body);
    Ok(())
}
