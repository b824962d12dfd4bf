//! `skein up`, as an operator uses it: STOP with the supervisor hung, and STOP over `down` and `up`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use skein_e2e::cli::{Answer, skein};
use skein_e2e::fleet::{free_port, free_ports};
use skein_e2e::http;
use skein_e2e::motion::wait_moving;
use skein_e2e::place::Place;
use skein_e2e::process::{PATIENCE, wait_for};

const ROBOTS: u16 = 6;
/// Promised by the issue: with the supervisor hung, `skein stop --all` succeeds within this.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A fleet of `skein up`; ended with the test.
struct Up {
    place: Place,
}

impl Up {
    fn start(place: Place) -> Result<Self> {
        let up = Self { place };
        up.up()?;
        Ok(up)
    }

    fn directory(&self) -> PathBuf {
        self.place.path("run")
    }

    fn up(&self) -> Result<()> {
        let (map, zone) = (self.place.map(), self.place.zone());
        let listen = format!("127.0.0.1:{}", free_port()?);
        let debug = free_ports(ROBOTS)?.to_string();
        let robots = ROBOTS.to_string();
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

    fn signal_supervisor(&self, signal: Signal) -> Result<()> {
        let record = self.record()?;
        let processes = record["processes"].as_array().context("processes")?;
        let cloud = processes.iter().find(|process| process["name"] == "cloud").context("the supervisor")?;
        let pid = cloud["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        Ok(kill_process(pid.context("its pid")?, signal)?)
    }

    fn wait_all(&self, latch: &str) -> Result<()> {
        let addresses = self.debug_addresses()?;
        ensure!(addresses.len() == usize::from(ROBOTS), "{addresses:?}");
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
    let up = Up::start(Place::two_rooms()?)?;
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
