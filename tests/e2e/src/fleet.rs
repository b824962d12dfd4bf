//! A supervisor, a world and some robots, each a process of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::disk::SmallDisk;
use crate::http;
use crate::place::Place;
use crate::process::{PATIENCE, Process, command, wait_for};

/// The processes of one small fleet.
pub struct Fleet {
    // Dropped in this order: the processes first, then the disk they write to, then the folder.
    robots: Vec<Robot>,
    cloud: Process,
    world: Process,
    disk: Option<SmallDisk>,
    _lock: File,
    place: Place,
    name: String,
    cloud_port: u16,
}

struct Robot {
    id: String,
    process: Process,
    /// `host:port` of the debug API.
    debug: String,
}

/// Folder of the supervisor's state in the place of a fleet.
const CLOUD_STATE: &str = "state";
/// Folder that `skein --dir` is given.
const RUN: &str = "run";

impl Fleet {
    /// Starts all of them in a folder of their own and waits until every robot is connected.
    ///
    /// # Errors
    /// When one of them does not come up.
    pub fn start(name: &str, robots: usize) -> Result<Self> {
        Self::start_in(Place::two_rooms()?, None, name, robots)
    }

    /// As [`Self::start`], with the state of the supervisor on a disk that can be filled. `None` where no disk can be
    /// mounted, which needs root.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on_small_disk(name: &str, robots: usize) -> Result<Option<Self>> {
        let place = Place::two_rooms()?;
        let Some(disk) = SmallDisk::mount(&place.path(CLOUD_STATE))? else { return Ok(None) };
        Self::start_in(place, Some(disk), name, robots).map(Some)
    }

    fn start_in(place: Place, disk: Option<SmallDisk>, name: &str, robots: usize) -> Result<Self> {
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
        let lock = locked(&place)?;
        let name = name.to_owned();
        let mut fleet = Self { robots: Vec::new(), cloud, world, disk, _lock: lock, place, name, cloud_port };
        for index in 1..=robots {
            let robot = fleet.new_robot(&format!("rover-{index}"))?;
            fleet.robots.push(robot);
        }
        fleet.wait_connected(robots)?;
        fleet.write_record()?;
        Ok(fleet)
    }

    fn new_robot(&self, id: &str) -> Result<Robot> {
        let mut edge = command("skein-edge")?;
        edge.args(["--id", id, "--fleet", &self.name]).arg("--map").arg(self.place.map());
        edge.arg("--body").arg(format!("unix:{}", self.place.path("world.sock").display()));
        edge.args(["--cloud", &format!("http://127.0.0.1:{}", self.cloud_port), "--debug", "127.0.0.1:0"]);
        edge.arg("--state").arg(self.place.path("robots")).env("SKEIN_OVERRIDE_TOKEN", TOKEN);
        let mut process = Process::start(edge, id, &self.place.path(""))?;
        let ready = process.ready()?;
        let debug = ready["debug"].as_str().with_context(|| format!("a debug address in {ready}"))?.to_owned();
        Ok(Robot { id: id.to_owned(), process, debug })
    }

    /// Writes what `skein up` would have written, so that `skein --dir` finds this fleet.
    fn write_record(&self) -> Result<()> {
        let cloud = format!("http://{}", self.cloud());
        let mut processes = vec![record("world", &self.world, None)?, record("cloud", &self.cloud, None)?];
        for robot in &self.robots {
            processes.push(record(&robot.id, &robot.process, Some(&robot.debug))?);
        }
        let value = json!({
            "pid": std::process::id(), "started_at_unix_nanos": 0, "cloud": cloud, "fleet": self.name,
            "map": self.place.map(), "zone": self.place.zone(), "socket": self.place.path("world.sock"),
            "truth": self.place.path("truth.json"), "seed": 3, "robots": self.robots.len(), "ready": true,
            "by_up": true, "processes": processes,
        });
        Ok(fs::write(self.directory().join("run.json"), value.to_string())?)
    }

    /// The folder for `skein --dir`.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.place.path(RUN)
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
        self.robots.get(robot).map_or("", |robot| &robot.debug)
    }

    /// The folder with the map, the zone and the output of all processes.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What the world measured so far.
    ///
    /// # Errors
    /// When it has written nothing yet.
    pub fn truth(&self) -> Result<Value> {
        let path = self.place.path("truth.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Coverage by the world's measure.
    ///
    /// # Errors
    /// When the world has written nothing yet.
    pub fn coverage(&self) -> Result<f64> {
        self.truth()?["coverage_ratio"].as_f64().context("coverage_ratio in the world's report")
    }

    /// Submits a survey of the whole building; returns its id.
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

    /// The mission as the supervisor reports it.
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

    /// Waits until the mission is in one of its last states; returns that state.
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
        self.robot(robot)?.process.kill()
    }

    /// SIGSTOP to a robot.
    ///
    /// # Errors
    /// When there is no such robot.
    pub fn hang_robot(&mut self, robot: usize) -> Result<()> {
        self.robot(robot)?.process.hang()
    }

    /// SIGCONT to a robot. A robot whose watchdog ends the process for having hung is started again, as `skein up` does.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn wake_robot(&mut self, robot: usize) -> Result<()> {
        self.robot(robot)?.process.wake()?;
        let debug = self.debug(robot).to_owned();
        let ended = wait_for(PATIENCE, "a robot to answer after it hung, or to end", || {
            let process = &mut self.robots.get_mut(robot).context("a robot of this number")?.process;
            if process.has_ended()? {
                return Ok(Some(true));
            }
            let answer = http::get(&debug, "/healthz");
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(false))
        })?;
        if ended { self.restart_robot(robot) } else { Ok(()) }
    }

    /// Starts a robot again that was killed, on the state it left.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn restart_robot(&mut self, robot: usize) -> Result<()> {
        let id = self.robot(robot)?.id.clone();
        let again = self.new_robot(&id)?;
        *self.robot(robot)? = again;
        self.write_record()
    }

    /// Waits until a robot says of itself that it is latched at this level: `released`, `stop` or `kill`.
    ///
    /// # Errors
    /// When it does not within `patience`.
    pub fn wait_latch(&self, robot: usize, level: &str, patience: Duration) -> Result<()> {
        let debug = self.debug(robot);
        wait_for(patience, &format!("robot {} to be at latch {level}", robot + 1), || {
            let status = http::get(debug, "/status").and_then(|answer| answer.json());
            Ok(status.is_ok_and(|status| status["latch"] == level).then_some(()))
        })
    }

    /// SIGSTOP to the supervisor.
    ///
    /// # Errors
    /// When it is gone.
    pub fn hang_cloud(&self) -> Result<()> {
        self.cloud.hang()
    }

    /// Fills the disk of the supervisor's state.
    ///
    /// # Errors
    /// When the fleet has no disk of its own.
    pub fn fill_disk(&self) -> Result<()> {
        self.disk.as_ref().context("a fleet on a small disk")?.fill()
    }

    /// Whether the supervisor's process runs.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn is_cloud_running(&mut self) -> Result<bool> {
        Ok(!self.cloud.has_ended()?)
    }

    fn robot(&mut self, robot: usize) -> Result<&mut Robot> {
        self.robots.get_mut(robot).context("a robot of this number")
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

    /// Ends all processes in order; each must end with 0.
    ///
    /// # Errors
    /// When one does not end in time or with another code than 0.
    pub fn end(mut self) -> Result<()> {
        for Robot { id, process, .. } in &mut self.robots {
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
    cloud.arg("--map").arg(place.map()).arg("--state").arg(place.path(CLOUD_STATE));
    Process::start(cloud, "cloud", Path::new(&place.path("")))
}

/// The folder for `skein --dir`, with the lock that says that a fleet is up there.
fn locked(place: &Place) -> Result<File> {
    fs::create_dir_all(place.path(RUN))?;
    let lock = File::create(place.path(RUN).join("lock"))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}

fn record(name: &str, process: &Process, debug: Option<&str>) -> Result<Value> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    // After the name in brackets, the start time is the 20th field.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let start_ticks: u64 = after_name.split(' ').nth(19).and_then(|ticks| ticks.parse().ok()).unwrap_or_default();
    Ok(json!({
        "name": name, "pid": process.pid(), "start_ticks": start_ticks, "log": process.stdout(),
        "out": process.stdout(), "debug": debug,
    }))
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
///
/// # Errors
/// When the system has none.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The first of several ports in a row that were free a moment ago.
///
/// # Errors
/// When no such row is found.
pub fn free_ports(count: u16) -> Result<u16> {
    for _ in 0..20 {
        let first = free_port()?;
        let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (0..count).all(|i| first.checked_add(i).is_some_and(is_free)) {
            return Ok(first);
        }
    }
    anyhow::bail!("no {count} free ports in a row")
}
