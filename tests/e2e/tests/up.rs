//! `skein up`, as an operator uses it: STOP with the supervisor hung, and STOP over `down` and `up`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use skein_e2e::cli::{Answer, skein};
use skein_e2e::fleet::{free_port, free_ports};
use skein_e2e::http;
use skein_e2e::motion::{speed, wait_moving};
use skein_e2e::place::Place;
use skein_e2e::process::{PATIENCE, wait_for};
use skein_e2e::thread::Hung;

const ROBOTS: u16 = 6;
/// Promised by the issue: with the supervisor hung, `skein stop --all` succeeds within this.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A hung agent is noticed within this.
const NOTICED_WITHIN: Duration = Duration::from_secs(1);
/// The body halts without a fresh setpoint, and brakes from 1 m/s.
const STANDS_WITHIN: Duration = Duration::from_millis(1200);
/// A STOP at the robot's own door.
const STOPPED_WITHIN: Duration = Duration::from_millis(500);
/// A robot below this speed stands, m/s.
const STANDS: f64 = 0.02;

/// A fleet of `skein up`; ended with the test.
struct Up {
    place: Place,
    robots: u16,
}

impl Up {
    fn start(place: Place, robots: u16) -> Result<Self> {
        let up = Self { place, robots };
        up.up()?;
        Ok(up)
    }

    fn directory(&self) -> PathBuf {
        self.place.path("run")
    }

    fn up(&self) -> Result<()> {
        let (map, zone) = (self.place.map(), self.place.zone());
        let listen = format!("127.0.0.1:{}", free_port()?);
        let debug = free_ports(self.robots)?.to_string();
        let robots = self.robots.to_string();
        let path = |path: &Path| path.display().to_string();
        let (map, zone) = (path(&map), path(&zone));
        let arguments =
            ["up", "--robots", &robots, "--map", &map, "--zone", &zone, "--listen", &listen, "--debug-port", &debug];
        succeeds(&skein(&self.directory(), &arguments)?)
    }

    /// `run.json`: processes with pid and debug address.
    fn record(&self) -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(self.directory().join("run.json"))?)?)
    }

    fn debug_addresses(&self) -> Result<Vec<String>> {
        let record = self.record()?;
        let processes = record["processes"].as_array().context("processes")?;
        Ok(processes.iter().filter_map(|process| process["debug"].as_str().map(str::to_owned)).collect())
    }

    fn pid(&self, name: &str) -> Result<i32> {
        let record = self.record()?;
        let processes = record["processes"].as_array().context("processes")?;
        let process = processes.iter().find(|process| process["name"] == name).context("no such process")?;
        process["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).context("its pid")
    }

    fn signal_supervisor(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid("cloud")?);
        Ok(kill_process(pid.context("its pid")?, signal)?)
    }

    fn wait_all(&self, latch: &str) -> Result<()> {
        let addresses = self.debug_addresses()?;
        ensure!(addresses.len() == usize::from(self.robots), "{addresses:?}");
        for address in &addresses {
            wait_for(PATIENCE, &format!("{address} to be at latch {latch}"), || {
                let status = http::get(address, "/status").and_then(|answer| answer.json());
                Ok(status.is_ok_and(|status| status["latch"] == latch).then_some(()))
            })?;
        }
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.signal_supervisor(Signal::CONT);
        let _ = skein(&self.directory(), &["down"]);
    }
}

fn succeeds(answer: &Answer) -> Result<()> {
    ensure!(answer.code == 0, "{answer:?}");
    Ok(())
}

#[test]
fn stop_all_works_with_the_supervisor_hung_and_lasts_over_down_and_up() -> Result<()> {
    let up = Up::start(Place::two_rooms()?, ROBOTS)?;
    let directory = up.directory();
    succeeds(&skein(&directory, &["mission", "submit"])?)?;
    wait_moving(up.debug_addresses()?.first().context("a robot")?, PATIENCE)?;

    up.signal_supervisor(Signal::STOP)?;
    let stop = skein(&directory, &["stop", "--all", "--reason", "hung supervisor"])?;
    succeeds(&stop)?;
    ensure!(stop.took <= STOP_WITHIN, "{:?}: {stop:?}", stop.took);
    up.wait_all("stop")?;
    up.signal_supervisor(Signal::CONT)?;

    succeeds(&skein(&directory, &["down"])?)?;
    up.up()?;
    up.wait_all("stop")?;
    succeeds(&skein(&directory, &["release", "--all", "--reason", "morning"])?)?;
    up.wait_all("released")
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a STOP takes is what is tested")]
fn a_robot_whose_agent_hangs_stands_takes_a_stop_and_comes_back_stopped() -> Result<()> {
    let up = Up::start(Place::two_rooms()?, 1)?;
    succeeds(&skein(&up.directory(), &["mission", "submit"])?)?;
    let debug = up.debug_addresses()?.first().context("a robot")?.clone();
    wait_moving(&debug, PATIENCE)?;
    let before = up.pid("rover-1")?;

    let Some(hung) = Hung::hang(u32::try_from(before)?, "skein-agent")? else {
        eprintln!("skipped: this machine does not permit to stop a thread of another process");
        return Ok(());
    };
    wait_for(STANDS_WITHIN, "the body to stand without a setpoint", || Ok((speed(&debug)? < STANDS).then_some(())))?;
    wait_for(NOTICED_WITHIN, "the hang to be noticed", || {
        Ok((http::get(&debug, "/healthz")?.status == 503).then_some(()))
    })?;
    let click = Instant::now();
    let stop = http::post(&debug, "/api/v1/stop", &[], &json!({"reason": "its agent hangs", "operator": "test"}))?;
    ensure!(stop.status == 200 && click.elapsed() < STOPPED_WITHIN, "{:?}: {stop:?}", click.elapsed());
    ensure!(http::get(&debug, "/status")?.json()?["latch"] == "stop", "the stop waits for the agent");

    wait_for(PATIENCE, "the process to be started again", || {
        hung.reap();
        Ok((up.pid("rover-1")? != before).then_some(()))
    })?;
    up.wait_all("stop")
}
