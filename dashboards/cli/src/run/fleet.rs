//! A simulated fleet as real processes: one world, one supervisor, many robots.
//!
//! They come up in that order and end in the opposite one, so that robots halt their bodies while there is a world to
//! halt them in, and the world is the last to write down what was true.

use core::time::Duration;
use std::ffi::OsString;
use std::fs;
use std::time::Instant;

use serde::Deserialize;
use skein_types::ids::AgentId;

use super::directory::{Lock, Record, RunDirectory};
use super::plan::{Plan, clear};
use super::process::{Measured, Process, Start};
use crate::client::{ANSWER_WITHIN, Cloud};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::talk;

/// How long the world may take to read its map.
const WORLD_WITHIN: Duration = Duration::from_secs(60);
/// How long the robots may take to be heard by the supervisor.
const ROBOTS_WITHIN: Duration = Duration::from_secs(60);
/// How long robots may take to hear each other before it is said that they do not.
const PEERS_WITHIN: Duration = Duration::from_secs(5);
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A process that was asked to end has this long before it is made to.
const END_WITHIN: Duration = Duration::from_secs(8);
/// A supervisor that ended is started again after this.
const RESTART_AFTER: Duration = Duration::from_secs(2);

const WORLD: &str = "world";
const CLOUD: &str = "cloud";

/// The running fleet.
#[derive(Debug)]
pub(crate) struct Fleet {
    directory: RunDirectory,
    _lock: Lock,
    record: Record,
    processes: Vec<Process>,
    restart: bool,
    cloud_ended: Option<Instant>,
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
        let record = Record {
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
            processes: Vec::new(),
        };
        let mut fleet =
            Self { directory, _lock: lock, record, processes: Vec::new(), restart: plan.restart, cloud_ended: None };
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

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// What each process cost so far.
    pub(crate) fn measured(&self) -> Vec<Measured> {
        self.processes.iter().map(Process::measured).collect()
    }

    /// Takes every process's measure; starts the supervisor again if it ended. Returns what is worth telling.
    pub(crate) fn poll(&mut self) -> Result<Vec<String>, Failure> {
        let mut news = Vec::new();
        for process in &mut self.processes {
            let was_running = process.is_running();
            process.poll();
            if was_running && !process.is_running() {
                let how = process.measured().ended.unwrap_or_default();
                news.push(format!("{} ended ({how})", process.name()));
                if process.name() == CLOUD {
                    self.cloud_ended = Some(clock::now());
                }
            }
        }
        let is_due = self.cloud_ended.is_some_and(|since| clock::now() - since >= RESTART_AFTER);
        if self.restart && is_due {
            self.cloud_ended = None;
            let recipe = self.processes.iter().rfind(|process| process.name() == CLOUD).map(|p| p.recipe().clone());
            if let Some(recipe) = recipe {
                news.push("the supervisor is started again".to_owned());
                self.start(recipe)?;
                self.write_record()?;
            }
        }
        Ok(news)
    }

    /// Whether the world still runs: without it nothing goes on.
    pub(crate) fn has_world(&self) -> bool {
        self.processes.iter().any(|process| process.name() == WORLD && process.is_running())
    }

    /// Ends everything, robots first. Says which had to be forced.
    pub(crate) async fn end(&mut self) {
        self.restart = false;
        let is_robot = |name: &str| name != WORLD && name != CLOUD;
        self.end_those(is_robot).await;
        self.end_those(|name| name == CLOUD).await;
        self.end_those(|name| name == WORLD).await;
        self.directory.remove_record();
        // The world removes it when it ends by itself.
        let _ = fs::remove_file(&self.record.socket);
    }

    async fn end_those(&mut self, chosen: impl Fn(&str) -> bool) {
        let mut processes: Vec<&mut Process> = self.processes.iter_mut().filter(|p| chosen(p.name())).collect();
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
            tokio::time::sleep(LOOK_EVERY / 4).await;
        }
    }

    async fn bring_up(&mut self, plan: &Plan) -> Result<(), Failure> {
        let world = self.world(plan);
        let ready_line = world.out.clone();
        self.start(world)?;
        let robots = self.world_is_ready(&ready_line).await?;
        if robots.len() != plan.robots() {
            return Err(Failure::failed(format!("the world has {} robots, not {}", robots.len(), plan.robots())));
        }
        let cloud = self.cloud(plan);
        self.start(cloud)?;
        self.write_record()?;
        for (number, (robot, debug)) in robots.iter().zip(&plan.debug).enumerate() {
            let robot = self.robot(plan, number, robot, debug);
            self.start(robot)?;
        }
        self.write_record()?;
        self.robots_are_heard(plan.robots()).await?;
        self.record.ready = true;
        self.write_record()
    }

    fn start(&mut self, start: Start) -> Result<(), Failure> {
        let process = Process::start(start)?;
        self.record.processes.push(process.record());
        self.processes.push(process);
        Ok(())
    }

    fn write_record(&self) -> Result<(), Failure> {
        self.directory.write_record(&self.record)
    }

    fn recipe(&self, name: &str, program: &std::path::Path, arguments: Vec<OsString>) -> Start {
        let log = self.directory.file("logs").join(format!("{name}.log"));
        Start { name: name.to_owned(), program: program.to_owned(), arguments, out: log.clone(), log }
    }

    fn world(&self, plan: &Plan) -> Start {
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
        let out = self.directory.file("logs").join("world.ready.json");
        Start { out, ..self.recipe(WORLD, &plan.sim, arguments) }
    }

    fn cloud(&self, plan: &Plan) -> Start {
        let arguments: Vec<OsString> = vec![
            "--listen".into(),
            plan.listen.to_string().into(),
            "--map".into(),
            plan.map.clone().into(),
            "--fleet".into(),
            plan.fleet.clone().into(),
            "--state".into(),
            self.directory.file("state").join(CLOUD).into(),
        ];
        self.recipe(CLOUD, &plan.cloud, arguments)
    }

    fn robot(&self, plan: &Plan, number: usize, robot: &AgentId, debug: &std::net::SocketAddr) -> Start {
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
            self.directory.file("state").join(robot.as_str()).into(),
            "--seed".into(),
            seed.to_string().into(),
        ];
        self.recipe(robot.as_str(), &plan.edge, arguments)
    }

    async fn world_is_ready(&mut self, ready_line: &std::path::Path) -> Result<Vec<AgentId>, Failure> {
        let deadline = clock::now() + WORLD_WITHIN;
        loop {
            self.nobody_ended()?;
            let text = fs::read_to_string(ready_line).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n') {
                let ready: Ready = serde_json::from_str(line)
                    .map_err(|error| Failure::failed(format!("the world's first line makes no sense: {error}")))?;
                if ready.ready {
                    return Ok(ready.robots.into_iter().map(|robot| robot.id).collect());
                }
            }
            if clock::now() > deadline {
                return Err(self.too_slow("the world is not ready", WORLD_WITHIN));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn robots_are_heard(&mut self, robots: usize) -> Result<(), Failure> {
        let cloud = Cloud::lazy(&self.record.cloud, ANSWER_WITHIN)?;
        let deadline = clock::now() + ROBOTS_WITHIN;
        let mut all_heard_at = None;
        loop {
            self.nobody_ended()?;
            let views = cloud.robots().await.unwrap_or_default();
            let samples: Vec<_> = views.iter().filter(|v| v.connected).filter_map(|v| v.telemetry.as_ref()).collect();
            let heard = samples.len();
            if heard >= robots {
                let deaf = samples.iter().filter(|sample| robots > 1 && sample.peers_visible == 0).count();
                let since = *all_heard_at.get_or_insert_with(clock::now);
                if deaf > 0 && clock::now() - since < PEERS_WITHIN {
                    tokio::time::sleep(LOOK_EVERY).await;
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
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn too_slow(&self, what: &str, after: Duration) -> Failure {
        Failure::failed(format!("{what} after {} s", after.as_secs()))
            .help(format!("look into {}; `skein doctor` checks this machine", self.directory.file("logs").display()))
    }

    /// While starting, a process that ends is the reason for everything else that will not work.
    fn nobody_ended(&mut self) -> Result<(), Failure> {
        self.processes.iter_mut().for_each(Process::poll);
        let Some(process) = self.processes.iter().find(|process| !process.is_running()) else { return Ok(()) };
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
