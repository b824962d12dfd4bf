//! A simulated fleet as real processes: one world, one supervisor, many robots.
//!
//! They come up in that order and end in the opposite one, so that robots halt their bodies while there is a world to
//! halt them in, and the world is the last to write down what was true.

use core::time::Duration;
use std::fs;
use std::net::SocketAddr;

use serde::Deserialize;
use skein_types::fleet::RobotView;
use skein_types::ids::AgentId;

use super::directory::{Lock, RunDirectory, RunRecord};
use super::plan::{Plan, Purpose, clear};
use super::process::{Measured, Process, Start};
use super::recipes::{self, CLOUD, WORLD, is_robot};
use super::supervised::Supervised;
use crate::client::{ANSWER_WITHIN, Cloud};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::talk;

/// How long the world may take to read its map.
const WORLD_WITHIN: Duration = Duration::from_secs(60);
/// How long the supervisor may take to answer.
const SUPERVISOR_WITHIN: Duration = Duration::from_secs(60);
/// How long the robots may take to connect to the supervisor.
const ROBOTS_WITHIN: Duration = Duration::from_secs(60);
/// How long robots may take to hear each other before a note says that they do not.
const PEERS_WITHIN: Duration = Duration::from_secs(5);
/// Period of the looks at processes and robots while they come up or end.
const POLL_PERIOD: Duration = Duration::from_millis(100);
/// A process that was asked to end has this long before it is made to.
const END_WITHIN: Duration = Duration::from_secs(8);

/// The running fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    directory: RunDirectory,
    _lock: Lock,
    record: RunRecord,
    processes: Vec<Supervised>,
    restart: bool,
    restart_world: bool,
}

/// The world's first line.
#[derive(Debug, Deserialize)]
struct Ready {
    ready: bool,
    robots: Vec<ReadyRobot>,
}

#[derive(Debug, Deserialize)]
struct ReadyRobot {
    id: AgentId,
}

impl Fleet {
    /// Starts everything and waits until every robot is heard. On failure, and when interrupted, nothing is left.
    pub(crate) async fn launch(
        plan: &Plan,
        directory: RunDirectory,
        lock: Lock,
        interrupt: &mut Interrupt,
    ) -> Result<Self, Failure> {
        clear(&directory, plan)?;
        let record = RunRecord {
            pid: std::process::id(),
            started_at_unix_nanos: clock::unix_nanos(),
            cloud: plan.cloud_url(),
            fleet: plan.fleet.clone(),
            map: plan.map.clone(),
            zone: plan.zone_file.clone(),
            socket: plan.socket.clone(),
            truth: plan.truth.clone(),
            seed: plan.seed,
            robots: u16::try_from(plan.robots()).unwrap_or(u16::MAX),
            ready: false,
            by_up: plan.purpose != Purpose::Demo,
            restarts: plan.restart,
            processes: Vec::new(),
        };
        let mut fleet = Self {
            directory,
            _lock: lock,
            record,
            processes: Vec::new(),
            restart: plan.restart,
            // A new world has forgotten what was swept: that ends a demo's measurement.
            restart_world: plan.restart && plan.purpose != Purpose::Demo,
        };
        let outcome = tokio::select! {
            outcome = fleet.bring_up(plan) => outcome,
            () = interrupt.heard() => Err(Failure::new(Exit::Interrupted, "interrupted while starting")),
        };
        match outcome {
            Ok(()) => Ok(fleet),
            Err(failure) => {
                fleet.end().await;
                Err(failure)
            }
        }
    }

    pub(crate) fn record(&self) -> &RunRecord {
        &self.record
    }

    /// What each process cost so far, each run of it by itself.
    pub(crate) fn measured(&self) -> Vec<Measured> {
        self.processes.iter().flat_map(Supervised::measured).collect()
    }

    /// Measures every process, notices ends and starts again what is due. Returns what a person should know.
    pub(crate) fn poll(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        for process in &mut self.processes {
            let may_restart = if process.name() == WORLD { self.restart_world } else { self.restart };
            news.extend(process.poll(may_restart));
            news.extend(process.restart_if_due());
        }
        // A full disk must not end the robots: the record is then old until the next change.
        if !news.is_empty()
            && let Err(failure) = self.write_record()
        {
            news.push(failure.to_string());
        }
        news
    }

    /// Whether there is a world, or will be again: without it nothing goes on.
    pub(crate) fn has_world(&self) -> bool {
        let world = self.processes.iter().find(|process| process.name() == WORLD);
        world.is_some_and(|world| world.process().is_running() || (self.restart_world && !world.has_given_up()))
    }

    /// Ends everything: robots first, so that they halt their bodies while there is a world.
    pub(crate) async fn end(&mut self) {
        self.restart = false;
        self.restart_world = false;
        self.end_those(is_robot).await;
        self.end_those(|name| name == CLOUD).await;
        self.end_those(|name| name == WORLD).await;
        self.directory.remove_record();
        // The world removes it when it ends by itself.
        let _ = fs::remove_file(&self.record.socket);
    }

    async fn end_those(&mut self, chosen: impl Fn(&str) -> bool) {
        let chosen = self.processes.iter_mut().filter(|process| chosen(process.name()));
        let mut processes: Vec<&mut Process> = chosen.map(Supervised::process_mut).collect();
        processes.iter().for_each(|process| process.ask_to_end());
        let deadline = clock::now() + END_WITHIN;
        let mut was_forced = false;
        loop {
            processes.iter_mut().for_each(|process| process.poll());
            processes.retain(|process| process.is_running());
            if processes.is_empty() {
                return;
            }
            if clock::now() >= deadline && !was_forced {
                was_forced = true;
                for process in &processes {
                    talk(&format!("{} did not end within {} s and was killed", process.name(), END_WITHIN.as_secs()));
                    process.kill();
                }
            }
            tokio::time::sleep(POLL_PERIOD / 4).await;
        }
    }

    async fn bring_up(&mut self, plan: &Plan) -> Result<(), Failure> {
        let world = recipes::world(plan, &self.directory);
        let ready_line = world.out.clone();
        self.start(world, None)?;
        let robots = self.world_is_ready(&ready_line).await?;
        if robots.len() != plan.robots() {
            return Err(Failure::failed(format!("the world has {} robots, not {}", robots.len(), plan.robots())));
        }
        self.start(recipes::cloud(plan, &self.directory), None)?;
        self.write_record()?;
        if plan.purpose == (Purpose::Up { keep_missions: false }) {
            self.cancel_earlier_missions().await?;
        }
        for (number, (robot, debug)) in robots.iter().zip(&plan.debug).enumerate() {
            self.start(recipes::robot(plan, &self.directory, number, robot, *debug), Some(*debug))?;
        }
        self.write_record()?;
        self.robots_are_connected(plan.robots()).await?;
        self.record.ready = true;
        self.write_record()
    }

    fn start(&mut self, start: Start, debug: Option<SocketAddr>) -> Result<(), Failure> {
        self.processes.push(Supervised::start(start, debug)?);
        Ok(())
    }

    fn write_record(&mut self) -> Result<(), Failure> {
        self.record.processes = self.processes.iter().map(Supervised::record).collect();
        self.directory.write_record(&self.record)
    }

    /// The supervisor keeps the missions of the fleet that was up before; a new fleet does not begin with them.
    async fn cancel_earlier_missions(&mut self) -> Result<(), Failure> {
        let cloud = Cloud::lazy(&self.record.cloud, ANSWER_WITHIN)?;
        let deadline = clock::now() + SUPERVISOR_WITHIN;
        let missions = loop {
            self.check_processes()?;
            match cloud.missions().await {
                Ok(missions) => break missions,
                Err(failure) if clock::now() > deadline => return Err(failure),
                Err(_) => tokio::time::sleep(POLL_PERIOD).await,
            }
        };
        for mission in missions.iter().filter(|mission| !mission.state.is_terminal()) {
            let reason = "a new fleet came up without --keep-state".to_owned();
            // A lease from before may refuse it: that is no reason to stay down.
            match cloud.cancel(mission.id, reason).await {
                Ok(_) => talk(&format!("note: mission {} of the fleet before is cancelled", mission.id)),
                Err(failure) => talk(&format!("note: mission {} of the fleet before goes on: {failure}", mission.id)),
            }
        }
        Ok(())
    }

    async fn world_is_ready(&mut self, ready_line: &std::path::Path) -> Result<Vec<AgentId>, Failure> {
        let deadline = clock::now() + WORLD_WITHIN;
        loop {
            self.check_processes()?;
            let text = fs::read_to_string(ready_line).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                let ready: Ready = serde_json::from_str(line)
                    .map_err(|error| Failure::failed(format!("the world's first line cannot be read: {error}")))?;
                if ready.ready {
                    return Ok(ready.robots.into_iter().map(|robot| robot.id).collect());
                }
            }
            if clock::now() > deadline {
                return Err(self.too_slow("the world is not ready", WORLD_WITHIN));
            }
            tokio::time::sleep(POLL_PERIOD).await;
        }
    }

    async fn robots_are_connected(&mut self, robots: usize) -> Result<(), Failure> {
        let cloud = Cloud::lazy(&self.record.cloud, ANSWER_WITHIN)?;
        let deadline = clock::now() + ROBOTS_WITHIN;
        let mut all_heard_at = None;
        loop {
            self.check_processes()?;
            let views = cloud.robots().await.unwrap_or_default();
            let samples: Vec<_> = views.iter().filter(|v| v.connected).filter_map(|v| v.telemetry.as_ref()).collect();
            let heard = samples.len();
            if heard >= robots {
                note_latches(&views);
                let deaf = samples.iter().filter(|sample| robots > 1 && sample.peers_visible == 0).count();
                let since = *all_heard_at.get_or_insert_with(clock::now);
                if deaf > 0 && clock::now() - since < PEERS_WITHIN {
                    tokio::time::sleep(POLL_PERIOD).await;
                    continue;
                }
                if deaf > 0 {
                    talk(&format!(
                        "note: {deaf} of {robots} robots hear no other robot; `skein doctor` checks multicast"
                    ));
                }
                return Ok(());
            }
            if clock::now() > deadline {
                return Err(self.too_slow(&format!("only {heard} of {robots} robots are heard"), ROBOTS_WITHIN));
            }
            tokio::time::sleep(POLL_PERIOD).await;
        }
    }

    fn too_slow(&self, what: &str, after: Duration) -> Failure {
        Failure::failed(format!("{what} after {} s", after.as_secs()))
            .help(format!("look into {}; `skein doctor` checks this machine", self.directory.file("logs").display()))
    }

    /// While starting, a process that ends is the reason for everything else that will not work.
    fn check_processes(&mut self) -> Result<(), Failure> {
        self.processes.iter_mut().for_each(|process| process.process_mut().poll());
        let ended = self.processes.iter().map(Supervised::process).find(|process| !process.is_running());
        let Some(process) = ended else { return Ok(()) };
        let exit = match process.exit_code() {
            Some(2) => Exit::Usage,
            Some(3) => Exit::NotFound,
            Some(4) => Exit::Refused,
            _ => Exit::Failed,
        };
        let how = process.measured().ended.unwrap_or_default();
        let failure =
            Failure::new(exit, format!("{} ended while starting ({how}):\n  {}", process.name(), process.last_words()));
        Err(failure.help(format!("its log is {}", process.record().log.display())))
    }
}

/// Operator latches outlive `down` and `up`; a person who wonders why nothing moves reads it here.
fn note_latches(robots: &[RobotView]) {
    for robot in robots.iter().filter(|robot| robot.connected && robot.latches.holding().is_latched()) {
        let held = robot.latches.holding();
        talk(&format!("note: {} is still stopped, by {}: `skein release` ends that", robot.agent, held.by));
    }
}
