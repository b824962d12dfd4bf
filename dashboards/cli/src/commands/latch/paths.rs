//! The paths of a request: the supervisor, each robot's debug API and the mesh, at the same time.
//!
//! ```text
//!   skein ──► supervisor ──► robots            (gRPC, then the robots' reports)
//!         ──► debug API of each robot          (HTTP)
//!         ──► debug APIs of other robots ──► mesh ──► robot
//! ```
//!
//! No path waits for another. Each sends what it finds to the tally, which decides when the wait is over.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use skein_types::authority::LatchSet;
use skein_types::ids::AgentId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::known::DebugEndpoint;
use super::tally::{Ack, Finding, Path, Tally};
use crate::client::Cloud;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::http::{Answer, Credentials, Http, HttpError};
use crate::latch_request::{Ask, Caller, Request};

/// Pause between two questions whether a robot has done it.
const POLL_PERIOD: Duration = Duration::from_millis(40);
/// Pause before a robot that refuses the connection is tried again: it may be starting.
const RETRY_AFTER: Duration = Duration::from_millis(150);
/// Robots that are asked to pass a request on to one other robot.
const RELAYS_MAX: usize = 3;
/// Findings that wait for the tally: a few of each path of a few hundred robots.
const FINDINGS_MAX: usize = 1024;

/// How long to wait for acknowledgements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// For the whole request.
    pub longest: Duration,
    /// For slower paths after every robot has acknowledged over its fastest one.
    pub linger: Duration,
}

/// What a path sends.
enum Message {
    Finding(Finding),
    /// A robot whose debug API was not known.
    DebugEndpoint(AgentId, DebugEndpoint),
}

/// What every path needs.
#[derive(Clone)]
struct Courier {
    request: Arc<Request>,
    http: Http,
    messages: mpsc::Sender<Message>,
    deadline: Instant,
}

/// Sends the request over every path and waits until the tally is complete or the time is over.
pub(super) async fn send(
    request: Request,
    cloud: &str,
    caller: Caller,
    endpoints: BTreeMap<AgentId, DebugEndpoint>,
    wait: Wait,
) -> Tally {
    let start = clock::now();
    let (messages, mut inbox) = mpsc::channel(FINDINGS_MAX);
    let mut tally = Tally::new(request.named());
    let courier = Courier { request: Arc::new(request), http: Http::new(), messages, deadline: start + wait.longest };
    let mut paths = JoinSet::new();
    paths.spawn(courier.clone().through_supervisor(cloud.to_owned(), caller));
    for (robot, endpoint) in &endpoints {
        tally.on_finding(Duration::ZERO, Finding::Known(robot.clone()));
        courier.clone().open_paths(&mut paths, robot, endpoint, &endpoints);
    }
    let mut endpoints = endpoints;
    let mut over_since = None;
    while clock::now() < courier.deadline {
        if tally.is_over(clock::now() - start) {
            let since: Instant = *over_since.get_or_insert_with(clock::now);
            if clock::now() - since >= wait.linger {
                break;
            }
        }
        let Ok(message) = tokio::time::timeout(POLL_PERIOD / 4, inbox.recv()).await else { continue };
        match message {
            Some(Message::Finding(finding)) => tally.on_finding(clock::now() - start, finding),
            Some(Message::DebugEndpoint(robot, endpoint)) if !endpoints.contains_key(&robot) => {
                endpoints.insert(robot.clone(), endpoint.clone());
                courier.clone().open_paths(&mut paths, &robot, &endpoint, &endpoints);
            }
            Some(Message::DebugEndpoint(..)) => {}
            None => break,
        }
    }
    paths.abort_all();
    tally
}

impl Courier {
    async fn report(&self, finding: Finding) {
        // The tally has gone when the wait is over.
        let _ = self.messages.send(Message::Finding(finding)).await;
    }

    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(clock::now())
    }

    /// STOP and KILL need neither token nor lease.
    fn credentials(&self, endpoint: &DebugEndpoint) -> Credentials {
        match self.request.ask {
            Ask::Raise { .. } => Credentials::default(),
            Ask::Release(_) => Credentials { token: endpoint.token(), lease: self.request.lease },
        }
    }

    /// Starts the paths that lead through one robot's debug API: to itself, and to others over the mesh.
    fn open_paths(
        self,
        paths: &mut JoinSet<()>,
        robot: &AgentId,
        endpoint: &DebugEndpoint,
        endpoints: &BTreeMap<AgentId, DebugEndpoint>,
    ) {
        let named = self.request.named();
        if named.as_ref().is_none_or(|named| named.contains(robot)) {
            paths.spawn(self.clone().directly(robot.clone(), endpoint.clone()));
        }
        let is_raise = matches!(self.request.ask, Ask::Raise { .. });
        for target in named.iter().flatten().filter(|target| *target != robot && is_raise) {
            let before = endpoints.keys().filter(|relay| *relay != target).position(|relay| relay == robot);
            if before.is_some_and(|position| position < RELAYS_MAX) {
                paths.spawn(self.clone().over_mesh(robot.clone(), endpoint.clone(), target.clone()));
            }
        }
        if named.is_none() {
            paths.spawn(self.listen_to_mesh(robot.clone(), endpoint.clone()));
        }
    }

    async fn directly(self, robot: AgentId, endpoint: DebugEndpoint) {
        let credentials = self.credentials(&endpoint);
        let requests = self.request.to_robot(&robot);
        loop {
            let mut finding = None;
            for (path, body) in &requests {
                let answer = self.http.post(&endpoint.address, path, &credentials, body, self.remaining()).await;
                finding = Some(self.finding(&robot, answer));
                if !matches!(finding, Some(Finding::Acknowledged(..))) {
                    break;
                }
            }
            let Some(finding) = finding else { return };
            let is_unreached = matches!(finding, Finding::Unreached(..));
            self.report(finding).await;
            if !is_unreached {
                return;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    fn finding(&self, robot: &AgentId, answer: Result<Answer, HttpError>) -> Finding {
        let robot = robot.clone();
        match answer {
            Ok(answer) if answer.is_success() => Finding::Acknowledged(robot, Path::Direct, ack_of(&answer)),
            Ok(answer) => Finding::Refused(robot, Path::Direct, answer.problem()),
            Err(error) => Finding::Unreached(robot, Path::Direct, error.to_string()),
        }
    }

    /// Asks `relay` to pass the request on, and reads from it what it hears of the target afterwards.
    async fn over_mesh(self, relay: AgentId, endpoint: DebugEndpoint, target: AgentId) {
        let (path, body) = self.request.to_relay(&target);
        let answer = self.http.post(&endpoint.address, path, &Credentials::default(), &body, self.remaining()).await;
        if answer.is_ok_and(|answer| answer.is_success()) {
            self.listen_to_mesh(relay, endpoint).await;
        }
    }

    /// Reads what a robot hears of the latches of others until all have done what was asked.
    async fn listen_to_mesh(self, relay: AgentId, endpoint: DebugEndpoint) {
        loop {
            let answer = self.http.get(&endpoint.address, "/api/v1/latches", self.remaining()).await;
            for (robot, latches) in answer.iter().flat_map(known_of) {
                if self.request.is_done(&robot, &latches) {
                    let ack = Ack { latches, kept: None, text: String::new() };
                    self.report(Finding::Acknowledged(robot, Path::Mesh(relay.clone()), ack)).await;
                }
            }
            tokio::time::sleep(POLL_PERIOD).await;
        }
    }

    async fn through_supervisor(self, url: String, caller: Caller) {
        let failed = |failure: &Failure| match failure.exit() {
            Exit::Unreachable => Finding::SupervisorFailed(failure.to_string()),
            _ => Finding::SupervisorRefused(failure.to_string()),
        };
        let cloud = match Cloud::connect(&url, self.remaining()).await {
            Ok(cloud) => cloud.called_by(caller),
            Err(failure) => return self.report(failed(&failure)).await,
        };
        // The list does not wait for the answer to the request: it names robots with their debug APIs.
        let names = self.clone().follow_reports(cloud.clone());
        let order = async {
            if let Err(failure) = self.order(&cloud).await {
                self.report(failed(&failure)).await;
            }
        };
        tokio::join!(names, order);
    }

    async fn order(&self, cloud: &Cloud) -> Result<(), Failure> {
        let outcomes = cloud.latch(&self.request).await?;
        self.report(Finding::SupervisorAnswered).await;
        for outcome in outcomes {
            let (robot, path) = (outcome.robot, Path::Supervisor);
            self.report(Finding::Known(robot.clone())).await;
            // A robot whose disk is full obeys and does not acknowledge.
            let obeys = outcome.acknowledged || self.request.is_done(&robot, &outcome.latches);
            if let Some(ack) = Ack::reported(outcome.latches, outcome.durability).filter(|_| obeys) {
                self.report(Finding::Acknowledged(robot, path, ack)).await;
            }
        }
        Ok(())
    }

    async fn follow_reports(self, cloud: Cloud) {
        let mut is_first = true;
        loop {
            let robots = match cloud.robots().await {
                Ok(robots) => robots,
                Err(failure) => return self.report(Finding::SupervisorFailed(failure.to_string())).await,
            };
            for robot in robots {
                let agent = robot.agent.clone();
                self.report(Finding::Known(agent.clone())).await;
                let is_done = self.request.is_done(&agent, &robot.latches);
                let finding = match Ack::reported(robot.latches, robot.durability) {
                    _ if !robot.connected => {
                        Finding::Unreached(agent.clone(), Path::Supervisor, "not connected".to_owned())
                    }
                    Some(ack) if is_done => Finding::Acknowledged(agent.clone(), Path::Supervisor, ack),
                    Some(_) | None => Finding::Reached(agent.clone()),
                };
                self.report(finding).await;
                if is_first && robot.debug_address.is_empty() {
                    self.report(Finding::Unreached(agent, Path::Direct, "no debug API".to_owned())).await;
                } else if is_first {
                    let endpoint = DebugEndpoint { address: robot.debug_address, token_file: None };
                    let _ = self.messages.send(Message::DebugEndpoint(agent, endpoint)).await;
                }
            }
            if is_first {
                self.report(Finding::SupervisorNamedAll).await;
            }
            is_first = false;
            tokio::time::sleep(POLL_PERIOD).await;
        }
    }
}

/// A robot's answer for itself.
fn ack_of(answer: &Answer) -> Ack {
    let latches = answer.body.get("latches").cloned().and_then(|latches| serde_json::from_value(latches).ok());
    let kept = answer.body.get("kept").and_then(Value::as_bool);
    Ack { latches: latches.unwrap_or_default(), kept, text: answer.text("error").to_owned() }
}

/// What a robot heard of others. The fleet's register of another robot is known only where the answer has it.
fn known_of(answer: &Answer) -> Vec<(AgentId, LatchSet)> {
    let known = answer.body.get("known").and_then(Value::as_array);
    let entry = |heard: &Value| {
        let robot = AgentId::new(heard.get("robot")?.as_str()?).ok()?;
        let register = |name: &str| serde_json::from_value(heard.get(name)?.clone()).ok();
        Some((robot, LatchSet { own: register("register")?, fleet: register("fleet").unwrap_or_default() }))
    };
    known.into_iter().flatten().filter_map(entry).collect()
}
