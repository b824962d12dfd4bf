//! `skein demo` from start to report.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use skein_e2e::place::Place;
use skein_e2e::process::{Process, command};

#[test]
fn a_demo_of_three_robots_ends_done() -> Result<()> {
    let place = Place::two_rooms()?;
    let mut demo = command("skein")?;
    demo.args(["demo", "--headless", "--robots", "3", "--seed", "5"]).current_dir(place.path(""));
    demo.arg("--map").arg(place.map()).arg("--zone").arg(place.zone()).arg("--report").arg(place.path("r.json"));
    let mut demo = Process::start(demo, "demo", &place.path(""))?;
    let status = demo.wait(Duration::from_secs(200))?;
    assert!(status.success(), "{status}: {}", demo.errors());
    let report: Value = serde_json::from_str(&fs::read_to_string(place.path("r.json"))?)?;
    assert_eq!(report["mission"]["state"], "DONE");
    assert_eq!(report["robots"], 3);
    assert_eq!(report["collisions"], 0);
    assert_eq!(report["seed"], 5);
    assert!(report["coverage_ratio"].as_f64() >= Some(0.99), "{report}");
    assert!(report["min_separation_m"].as_f64() > Some(0.6), "{report}");
    for figure in ["duration_s", "distance_m"] {
        assert!(report[figure].as_f64() > Some(0.0), "{figure} in {report}");
    }
    assert!(report["reflex"]["missed_ticks"].is_u64() && report["reflex"]["lateness_us"]["p99"].is_number());
    Ok(())
}
