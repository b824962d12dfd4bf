//! Bad input is normal: each kind gets an answer that names what is wrong.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use skein_e2e::fleet::Fleet;
use skein_e2e::http;
use skein_e2e::place::Place;
use skein_e2e::process::{Process, command};

const SHORT: Duration = Duration::from_secs(60);

/// Runs `skein` and answers its exit code and what it said on stderr.
fn skein(place: &Place, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let mut skein = command("skein")?;
    skein.args(arguments).current_dir(place.path("")).env("NO_COLOR", "1");
    let mut process = Process::start(skein, "skein", &place.path(""))?;
    let status = process.wait(SHORT)?;
    Ok((status.code(), process.errors()))
}

#[test]
fn a_flag_that_does_not_exist_is_a_usage_error_with_a_suggestion() -> Result<()> {
    let place = Place::two_rooms()?;
    let (code, said) = skein(&place, &["demo", "--robotz", "3"])?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--robots"), "{said}");
    Ok(())
}

#[test]
fn broken_maps_and_zones_are_refused_by_name() -> Result<()> {
    let place = Place::two_rooms()?;
    place.write("not-a-map.yaml", b"hello: world\n")?;
    place.write("broken.geojson", b"{\"type\": \"Feature\", ")?;
    place.write_zone("crossing.geojson", &[[1.0, 1.0], [5.0, 5.0], [5.0, 1.0], [1.0, 5.0], [1.0, 1.0]])?;
    place
        .write_zone("far.geojson", &[[900.0, 900.0], [910.0, 900.0], [910.0, 910.0], [900.0, 910.0], [900.0, 900.0]])?;
    let demo = |world: &str, zone: &str| {
        skein(&place, &["demo", "--map", world, "--zone", zone, "--robots", "1", "--headless"])
    };
    for (world, zone, named) in [
        ("not-a-map.yaml", "zone.geojson", "image"),
        ("missing.yaml", "zone.geojson", "missing.yaml"),
        ("rooms.yaml", "broken.geojson", "broken.geojson"),
        ("rooms.yaml", "crossing.geojson", "crosses"),
        ("rooms.yaml", "far.geojson", "outside"),
    ] {
        let (code, said) = demo(world, zone)?;
        assert!(code.is_some_and(|code| code != 0), "{world} {zone} was taken: {said}");
        assert!(said.contains(named), "{world} {zone}: nothing about '{named}' in: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    Ok(())
}

#[test]
fn the_supervisor_refuses_garbage_and_runs_on() -> Result<()> {
    let fleet = Fleet::start("e2e-garbage", 1)?;
    let cloud = fleet.cloud();
    let post = |body: &[u8]| http::request(&cloud, "POST", "/api/v1/missions", &[], body);
    let huge = post(&vec![b' '; 100_000_000])?;
    assert_eq!(huge.status, 413, "{}", huge.body);
    let crossing = json!({ "type": "Feature", "properties": { "frame": "map" }, "geometry": { "type": "Polygon",
        "coordinates": [[[1.0, 1.0], [5.0, 5.0], [5.0, 1.0], [1.0, 5.0], [1.0, 1.0]]] } });
    let body = json!({ "objective": "survey", "zone": crossing }).to_string();
    let refused = post(body.as_bytes())?;
    assert!((400..500).contains(&refused.status) && refused.body.contains("cross"), "{}", refused.body);
    for body in
        ["", "[]", "{\"idempotency_key\": 1}", "{\"objective\": \"dance\"}", "{\"priority\": NaN}", "\u{0}\u{1}"]
    {
        let answer = post(body.as_bytes())?;
        assert!((400..500).contains(&answer.status), "{body}: {}", answer.body);
        assert!(answer.json()?["hint"].is_string(), "{body}: {}", answer.body);
    }
    assert_eq!(http::get(&cloud, "/readyz")?.status, 200);
    fleet.end()
}
