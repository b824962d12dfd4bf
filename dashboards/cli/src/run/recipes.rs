//! How each process of a fleet is started.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use skein_types::ids::AgentId;

use super::directory::RunDirectory;
use super::plan::Plan;
use super::process::Start;

/// Name of the world's process.
pub(super) const WORLD: &str = "world";
/// Name of the supervisor's process.
pub(super) const CLOUD: &str = "cloud";

/// A robot's process has the robot's name.
pub(super) fn is_robot(name: &str) -> bool {
    name != WORLD && name != CLOUD
}

pub(super) fn world(plan: &Plan, directory: &RunDirectory) -> Start {
    let mut arguments: Vec<OsString> = vec![
        "world".into(),
        "--map".into(),
        plan.map.clone().into(),
        "--zone".into(),
        plan.zone_file.clone().into(),
        "--robots".into(),
        plan.robots().to_string().into(),
        "--seed".into(),
        plan.seed.to_string().into(),
        "--socket".into(),
        plan.socket.clone().into(),
        "--report".into(),
        plan.truth.clone().into(),
    ];
    if plan.people > 0 {
        arguments.extend(["--people".into(), plan.people.to_string().into()]);
    }
    recipe(directory, WORLD, &plan.sim, arguments)
}

pub(super) fn cloud(plan: &Plan, directory: &RunDirectory) -> Start {
    let arguments: Vec<OsString> = vec![
        "--listen".into(),
        plan.listen.to_string().into(),
        "--map".into(),
        plan.map.clone().into(),
        "--fleet".into(),
        plan.fleet.clone().into(),
        "--state".into(),
        plan.state.join(CLOUD).into(),
    ];
    recipe(directory, CLOUD, &plan.cloud, arguments)
}

pub(super) fn robot(plan: &Plan, directory: &RunDirectory, number: usize, robot: &AgentId, debug: SocketAddr) -> Start {
    let mut body = OsString::from("unix:");
    body.push(&plan.socket);
    let seed = plan.seed.wrapping_mul(1000).wrapping_add(number as u64 + 1);
    let arguments: Vec<OsString> = vec![
        "--id".into(),
        robot.as_str().into(),
        "--fleet".into(),
        plan.fleet.clone().into(),
        "--map".into(),
        plan.map.clone().into(),
        "--body".into(),
        body,
        "--cloud".into(),
        plan.cloud_url().into(),
        "--debug".into(),
        debug.to_string().into(),
        "--state".into(),
        plan.state.join(robot.as_str()).into(),
        "--seed".into(),
        seed.to_string().into(),
    ];
    recipe(directory, robot.as_str(), &plan.edge, arguments)
}

/// The first line on stdout says that the process is ready; everything else goes to the log.
fn recipe(directory: &RunDirectory, name: &str, program: &Path, arguments: Vec<OsString>) -> Start {
    let logs = directory.file("logs");
    Start {
        name: name.to_owned(),
        program: program.to_owned(),
        arguments,
        out: logs.join(format!("{name}.ready.json")),
        log: logs.join(format!("{name}.log")),
    }
}
