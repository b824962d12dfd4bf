//! A supervisor, a world and some robots, each a process of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http;
use crate::place::Place;
use crate::process::{Process, command, wait_for};

/// The processes of one small fleet.
pub struct Fleet {
    place: Place,
    name: String,
    cloud_port: u16,
    world: Process,
    cloud: Process,
    robots: Vec<(String, Process, String)>,
}

impl Fleet {
    /// Starts all of them in a place of their own and waits until every robot is connected.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub fn start(name: &str, robots: usize) -> Result<Self> {
        let place = Place::two_rooms()?;
        let folder = place.path("");
        let socket = place.path("world.sock");
        let mut world = command("skein-sim")?;
        world.arg("world").arg("--map").arg(place.map()).arg("--zone").arg(place.zone());
        world.args(["--robots", &robots.to_string(), "--seed", "3"]).arg("--socket").arg(&socket);
        world.arg("--report").arg(place.path("truth.json"));
        let mut world = Process::start(world, "world", &folder)?;
        world.ready()?;
        let cloud_port = free_port()?;
        let mut cloud = start_cloud(&place, cloud_port, name)?;
        wait_healthy(&mut cloud, cloud_port)?;
        let mut fleet = Self { place, name: name.to_owned(), cloud_port, world, cloud, robots: Vec::new() };
        for index in 1..=robots {
            fleet.start_robot(&format!("rover-{index}"))?;
        }
        fleet.wait_connected(robots)?;
        Ok(fleet)
    }

    fn start_robot(&mut self, id: &str) -> Result<()> {
        let mut edge = command("skein-edge")?;
        edge.args(["--id", id, "--fleet", &self.name]).arg("--map").arg(self.place.map());
        edge.arg("--body").arg(format!("unix:{}", self.place.path("world.sock").display()));
        edge.args(["--cloud", &format!("http://127.0.0.1:{}", self.cloud_port), "--debug", "127.0.0.1:0"]);
        edge.env("SKEIN_OVERRIDE_TOKEN", TOKEN);
        let mut process = Process::start(edge, id, &self.place.path(""))?;
        let ready = process.ready()?;
        let debug = ready["debug"].as_str().with_context(|| format!("a debug address in {ready}"))?.to_owned();
        self.robots.push((id.to_owned(), process, debug));
        Ok(())
    }

    fn wait_connected(&self, count: usize) -> Result<()> {
        wait_for(Duration::from_secs(30), "all robots to be connected", || {
            let robots = http::get(&self.cloud(), "/api/v1/robots")?.json()?;
            let connected = list(&robots, "robots").iter().filter(|robot| robot["connected"] == json!(true)).count();
            Ok((connected >= count).then_some(()))
        })
    }

    /// `host:port` of the supervisor.
    #[must_use]
    pub fn cloud(&self) -> String {
        format!("127.0.0.1:{}", self.cloud_port)
    }

    /// `host:port` of a robot's debug API; robots count from 0.
    #[must_use]
    pub fn debug(&self, robot: usize) -> &str {
        self.robots.get(robot).map_or("", |(_, _, debug)| debug)
    }

    /// The folder with the map, the zone and everybody's output.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What the world measured so far.
    ///
    /// # Errors
    /// When it wrote nothing yet.
    pub fn truth(&self) -> Result<Value> {
        let path = self.place.path("truth.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Coverage by the world's measure.
    ///
    /// # Errors
    /// When the world wrote nothing yet.
    pub fn coverage(&self) -> Result<f64> {
        self.truth()?["coverage_ratio"].as_f64().context("coverage_ratio in the world's report")
    }

    /// Submits a survey of the whole place; answers its id.
    ///
    /// # Errors
    /// When it is refused.
    pub fn submit_survey(&self, key: &str) -> Result<String> {
        let zone: Value = serde_json::from_slice(&fs::read(self.place.zone())?)?;
        let body =
            json!({ "idempotency_key": key, "name": "both rooms", "objective": "survey", "priority": 5, "zone": zone });
        let answer = http::post(&self.cloud(), "/api/v1/missions", &[], &body)?;
        let mission = answer.json()?;
        let id = mission["id"].as_str().or_else(|| mission["mission"]["id"].as_str());
        Ok(id.with_context(|| format!("an id in {} {}", answer.status, answer.body))?.to_owned())
    }

    /// The mission as the supervisor tells it.
    ///
    /// # Errors
    /// When it does not know it.
    pub fn mission(&self, id: &str) -> Result<Value> {
        let answer = http::get(&self.cloud(), &format!("/api/v1/missions/{id}"))?.json()?;
        Ok(if answer["mission"].is_object() { answer["mission"].clone() } else { answer })
    }

    /// Waits until the world has seen this share of the zone swept.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_coverage(&self, share: f64, patience: Duration) -> Result<()> {
        wait_for(patience, &format!("{:.0} % of coverage", share * 100.0), || {
            Ok((self.coverage().unwrap_or_default() >= share).then_some(()))
        })
    }

    /// Waits until the mission is in one of its last states; answers which.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_end(&self, id: &str, patience: Duration) -> Result<String> {
        wait_for(patience, "the mission to end", || {
            let state = self.mission(id)?["state"].as_str().unwrap_or_default().to_owned();
            Ok(["DONE", "FAILED", "CANCELLED"].contains(&state.as_str()).then_some(state))
        })
    }

    /// SIGKILL to a robot.
    ///
    /// # Errors
    /// When there is no such robot.
    pub fn kill_robot(&mut self, robot: usize) -> Result<()> {
        self.robots.get_mut(robot).context("a robot of this number")?.1.kill()
    }

    /// SIGKILL to the supervisor.
    ///
    /// # Errors
    /// When it cannot be reaped.
    pub fn kill_cloud(&mut self) -> Result<()> {
        self.cloud.kill()
    }

    /// Starts the supervisor again on the same state.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart_cloud(&mut self) -> Result<()> {
        self.cloud = start_cloud(&self.place, self.cloud_port, &self.name)?;
        wait_healthy(&mut self.cloud, self.cloud_port)
    }

    /// Ends everybody in order; every one must end well.
    ///
    /// # Errors
    /// When one does not end in time or with another code than 0.
    pub fn end(mut self) -> Result<()> {
        for (id, process, _) in &mut self.robots {
            let status = process.end()?;
            anyhow::ensure!(status.success(), "{id} ended with {status}: {}", process.errors());
        }
        for (name, process) in [("cloud", &mut self.cloud), ("world", &mut self.world)] {
            let status = process.end()?;
            anyhow::ensure!(status.success(), "{name} ended with {status}: {}", process.errors());
        }
        Ok(())
    }
}

/// The token of the robots' debug APIs in these tests.
pub const TOKEN: &str = "e2e-token-that-is-long-enough";

/// The items of an answer that is a list, or holds one under a name.
#[must_use]
pub fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.as_array().or_else(|| answer[name].as_array()).map_or(&[], Vec::as_slice)
}

fn start_cloud(place: &Place, port: u16, fleet: &str) -> Result<Process> {
    let mut cloud = command("skein-cloud")?;
    cloud.args(["--listen", &format!("127.0.0.1:{port}"), "--fleet", fleet]);
    cloud.arg("--map").arg(place.map()).arg("--state").arg(place.path("state"));
    Process::start(cloud, "cloud", Path::new(&place.path("")))
}

fn wait_healthy(cloud: &mut Process, port: u16) -> Result<()> {
    wait_for(Duration::from_secs(30), "the supervisor to be ready", || {
        if let Ok(status) = cloud.wait(Duration::ZERO) {
            anyhow::bail!("the supervisor ended with {status}: {}", cloud.errors());
        }
        let answer = http::get(&format!("127.0.0.1:{port}"), "/readyz");
        Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
    })
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
