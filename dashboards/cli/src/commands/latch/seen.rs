//! What is latched now, asked of the supervisor and of every robot: a release names it.

use core::time::Duration;
use std::collections::BTreeMap;

use skein_types::authority::LatchSet;
use skein_types::ids::AgentId;
use tokio::task::JoinSet;

use super::known::DebugEndpoint;
use crate::client::Cloud;
use crate::http::Http;

/// Longest wait for the supervisor's or a robot's answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);

/// The latches of the fleet's robots.
#[derive(Debug, Default)]
pub(super) struct Latches {
    /// By robot; merged from all who know of them.
    pub robots: BTreeMap<AgentId, LatchSet>,
    /// Debug APIs that the supervisor named.
    pub endpoints: BTreeMap<AgentId, DebugEndpoint>,
    /// At least one path answered.
    pub is_answered: bool,
}

impl Latches {
    fn learn(&mut self, robot: AgentId, latches: &LatchSet) {
        let entry = self.robots.entry(robot).or_default();
        *entry = entry.merge(latches);
        self.is_answered = true;
    }

    fn add(&mut self, other: Self) {
        for (robot, latches) in &other.robots {
            self.learn(robot.clone(), latches);
        }
        for (robot, endpoint) in other.endpoints {
            self.endpoints.entry(robot).or_insert(endpoint);
        }
        self.is_answered |= other.is_answered;
    }
}

/// Asks the supervisor and the debug APIs at the same time, then the debug APIs that the supervisor named.
pub(super) async fn ask(cloud: &str, endpoints: &BTreeMap<AgentId, DebugEndpoint>) -> Latches {
    let http = Http::new();
    let (mut latches, of_endpoints) = tokio::join!(of_supervisor(cloud.to_owned()), of_robots(&http, endpoints));
    let named: BTreeMap<_, _> = latches
        .endpoints
        .iter()
        .filter(|(robot, _)| !endpoints.contains_key(*robot))
        .map(|(r, d)| (r.clone(), d.clone()))
        .collect();
    latches.endpoints.extend(endpoints.clone());
    latches.add(of_endpoints);
    latches.add(of_robots(&http, &named).await);
    latches
}

async fn of_robots(http: &Http, endpoints: &BTreeMap<AgentId, DebugEndpoint>) -> Latches {
    let mut answers = JoinSet::new();
    for (robot, endpoint) in endpoints {
        answers.spawn(of_robot(http.clone(), robot.clone(), endpoint.clone()));
    }
    let mut latches = Latches::default();
    while let Some(answer) = answers.join_next().await {
        latches.add(answer.unwrap_or_default());
    }
    latches
}

async fn of_supervisor(url: String) -> Latches {
    let mut latches = Latches::default();
    let Ok(cloud) = Cloud::connect(&url, ANSWER_WITHIN).await else { return latches };
    let Ok(robots) = cloud.robots().await else { return latches };
    latches.is_answered = true;
    for robot in robots {
        // What it should have counts as well: a STOP that the robot has not heard yet.
        latches.learn(robot.agent.clone(), &robot.latches.merge(&robot.wanted));
        if !robot.debug_address.is_empty() {
            latches.endpoints.insert(robot.agent, DebugEndpoint { address: robot.debug_address, token_file: None });
        }
    }
    latches
}

async fn of_robot(http: Http, robot: AgentId, endpoint: DebugEndpoint) -> Latches {
    let mut latches = Latches::default();
    let answer = http.get(&endpoint.address, "/api/v1/latches", ANSWER_WITHIN).await;
    let set = answer.ok().and_then(|answer| serde_json::from_value(answer.body.get("latches")?.clone()).ok());
    if let Some(set) = set {
        latches.learn(robot, &set);
    }
    latches
}
