//! What the robots' debug APIs show during a drill: speed and latch.

use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use skein_types::ids::AgentId;
use skein_types::safety::Latch;
use tokio::task::JoinSet;

use crate::clock;
use crate::commands::latch::DebugEndpoint;
use crate::http::Http;

/// A robot stands below this speed, m/s.
const REST_SPEED: f64 = 0.02;
/// A robot drives above this speed, m/s.
const MOVING_SPEED: f64 = 0.1;
/// Samples in a row below [`REST_SPEED`].
const REST_SAMPLES: u32 = 3;
/// Pause between two samples of one robot.
const SAMPLE_PERIOD: Duration = Duration::from_millis(20);
/// A robot on this machine answers within this time, or hangs.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// One look at a robot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// m/s, measured by the body; none while there is no body.
    pub speed: Option<f64>,
    /// None while the robot does not know.
    pub latch: Option<Latch>,
}

/// Asks the robots.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    http: Http,
    endpoints: BTreeMap<AgentId, DebugEndpoint>,
}

impl Observer {
    pub(super) fn new(endpoints: BTreeMap<AgentId, DebugEndpoint>) -> Self {
        Self { http: Http::new(), endpoints }
    }

    /// None when the robot does not answer.
    pub(super) async fn sample(&self, robot: &AgentId) -> Option<Sample> {
        let address = &self.endpoints.get(robot)?.address;
        let status = self.http.get(address, "/status", ANSWER_WITHIN).await.ok()?;
        let latch = status.body.get("latch").and_then(latch_of);
        let speed = status.body.get("speed").and_then(Value::as_f64);
        Some(Sample { speed, latch })
    }

    /// Those of the robots that drive now.
    pub(super) async fn moving(&self, robots: &[AgentId]) -> Vec<AgentId> {
        let mut moving = Vec::new();
        for robot in robots {
            let speed = self.sample(robot).await.and_then(|sample| sample.speed);
            if speed.is_some_and(|speed| speed > MOVING_SPEED) {
                moving.push(robot.clone());
            }
        }
        moving
    }

    /// When each robot stood, since `click`; robots that did not within the time are missing.
    pub(super) async fn until_rest(
        &self,
        robots: &[AgentId],
        click: Instant,
        within: Duration,
    ) -> BTreeMap<AgentId, Duration> {
        let mut waits = JoinSet::new();
        for robot in robots {
            let (observer, robot) = (self.clone(), robot.clone());
            waits.spawn(async move {
                let rest = observer.rest_of(&robot, click, within).await;
                (robot, rest)
            });
        }
        let mut rests = BTreeMap::new();
        while let Some(wait) = waits.join_next().await {
            if let Ok((robot, Some(rest))) = wait {
                rests.insert(robot, rest);
            }
        }
        rests
    }

    async fn rest_of(&self, robot: &AgentId, click: Instant, within: Duration) -> Option<Duration> {
        let mut below = 0;
        let mut first = None;
        while clock::now() - click < within {
            let at = clock::now() - click;
            let speed = self.sample(robot).await.and_then(|sample| sample.speed);
            if speed.is_some_and(|speed| speed < REST_SPEED) {
                below += 1;
                first = first.or(Some(at));
            } else {
                (below, first) = (0, None);
            }
            if below >= REST_SAMPLES {
                return first;
            }
            tokio::time::sleep(SAMPLE_PERIOD).await;
        }
        None
    }

    /// Waits until the robot's latch is as wanted; false when it is not within the time.
    pub(super) async fn until_latch(
        &self,
        robot: &AgentId,
        within: Duration,
        is_wanted: impl Fn(Latch) -> bool,
    ) -> bool {
        let deadline = clock::now() + within;
        loop {
            let latch = self.sample(robot).await.and_then(|sample| sample.latch);
            if latch.is_some_and(&is_wanted) {
                return true;
            }
            if clock::now() >= deadline {
                return false;
            }
            tokio::time::sleep(SAMPLE_PERIOD).await;
        }
    }
}

fn latch_of(value: &Value) -> Option<Latch> {
    serde_json::from_value(value.clone()).ok()
}
