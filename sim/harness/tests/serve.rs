//! The world process serves real robot processes' ends: it says when it is ready, gives a body to who says its name,
//! turns strangers away, and ends with a last report when told to.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use skein_body::Body;
use skein_body_remote::{Options, RemoteBody};
use skein_sim::clock;
use skein_types::geometry::Twist;
use skein_types::ids::AgentId;
use skein_types::motion::{ActuatorFrame, DriveMode};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../maps").join(path)
}

fn world(socket: &Path, report: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skein-sim"));
    command.arg("world").arg("--map").arg(repository("warehouse.yaml"));
    command.arg("--zone").arg(repository("warehouse.zone.geojson"));
    command.args(["--robots", "2", "--seed", "4"]).arg("--socket").arg(socket).arg("--report").arg(report);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(report: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap()
}

#[test]
fn a_robot_drives_its_body_over_the_socket_and_the_truth_is_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, report) = (folder.path().join("world.sock"), folder.path().join("truth.json"));
    let mut running = Running(world(&socket, &report).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["robots"][1]["id"], "rover-2");
    assert_eq!(read(&report)["is_final"], false);

    let stranger = AgentId::new("stranger").unwrap();
    let refusal = RemoteBody::connect(&socket, &stranger, Options::default()).err().map(|e| e.to_string());
    assert!(refusal.as_ref().is_some_and(|why| why.contains("rover-1")), "{refusal:?}");

    let rover = AgentId::new("rover-1").unwrap();
    let (mut body, welcome) = RemoteBody::connect(&socket, &rover, Options::default()).unwrap();
    assert!(RemoteBody::connect(&socket, &rover, Options::default()).is_err(), "one driver for one body");
    let heading = welcome.home.heading;
    let mut wake = clock::now();
    for sequence in 0..150 {
        wake = wake + Duration::from_millis(10);
        clock::sleep_until(wake);
        let now = clock::now();
        let _not_yet = body.sense(now);
        let turn = ActuatorFrame { at: now, sequence, mode: DriveMode::Follow, twist: Twist::planar(0.0, 1.0) };
        body.actuate(now, &turn).unwrap();
    }
    let frame = body.sense(clock::now()).unwrap();
    let turned = skein_types::geometry::wrap_angle(frame.estimate.pose.heading - heading);
    assert!(turned > 0.5, "it turned by {turned}");
    assert!(frame.scan.ranges.iter().any(|range| range.is_finite()));

    let pid = rustix::process::Pid::from_raw(running.0.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(running.0.wait().unwrap().success());
    let truth = read(&report);
    assert_eq!(truth["is_final"], true);
    assert_eq!(truth["collisions_total"], 0);
    assert!(truth["min_separation_m"].as_f64() >= Some(1.0), "{truth}");
    assert!(truth["coverage_ratio"].as_f64() > Some(0.01), "{truth}");
    assert!(truth["distance_by_robot_m"]["rover-1"].is_number());
    assert!(!socket.exists());
}

#[test]
fn what_is_wrong_with_the_files_is_said_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let far = r#"{"type":"Feature","properties":{"frame":"map"},"geometry":{"type":"Polygon",
        "coordinates":[[[900,900],[910,900],[910,910]]]}}"#;
    std::fs::write(path("far.geojson"), far).unwrap();
    std::fs::write(path("garbage"), [0xff_u8; 300]).unwrap();
    let (map, zone) = (repository("warehouse.yaml"), repository("warehouse.zone.geojson"));
    let cases = [
        (path("none.yaml"), zone.clone(), "none.yaml"),
        (path("garbage"), zone.clone(), "garbage"),
        (zone.clone(), zone, "map"),
        (map.clone(), path("garbage"), "garbage"),
        (map.clone(), map.clone(), "JSON"),
        (map, path("far.geojson"), "outside the map"),
    ];
    for (map, zone, reason) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skein-sim"));
        command.arg("world").arg("--map").arg(&map).arg("--zone").arg(&zone);
        command.arg("--socket").arg(path("w.sock")).arg("--report").arg(path("r.json"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(2) || !said.contains(reason) {
            panic!("{} with {}: {:?} {said}", map.display(), zone.display(), output.status);
        }
    }
}
