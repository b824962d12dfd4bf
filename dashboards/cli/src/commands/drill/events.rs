//! The events of a drill and the promises that each of them tries.

use core::time::Duration;

use rustix::process::Signal;
use skein_types::ids::AgentId;
use skein_types::safety::Latch;

use super::observe::Observer;
use super::plan::Event;
use super::processes;
use super::report::Round;
use super::truth::Truth;
use crate::args::DrillKind;
use crate::clock;
use crate::commands::latch::{self, of_record};
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::latch_request::Level;

/// Reason of every STOP of a drill: it is released by it.
pub(super) const REASON: &str = "drill";
/// A robot that drives gets this long to stand after a STOP.
const REST_WITHIN: Duration = Duration::from_secs(5);
/// A robot that should drive is waited for this long before a STOP, so that there is something to measure.
const MOTION_WITHIN: Duration = Duration::from_secs(8);
/// A process that was killed is back within this time.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// A robot that is back knows its latch within this time.
const LATCH_WITHIN: Duration = Duration::from_secs(5);
/// A release is in force everywhere within this time.
const RELEASED_WITHIN: Duration = Duration::from_secs(5);
/// The world writes the truth once a second; twice that and some.
const TRUTH_WITHIN: Duration = Duration::from_secs(4);
/// A robot whose process hangs stands within this time: the body's own silence limit, and braking.
const SILENCE_STOPS_WITHIN: Duration = Duration::from_millis(1200);
/// Farther than this no robot moves that must stand, metres: rounding of the world's figures.
const DRIFT_MAX: f64 = 0.02;
/// Pause between two looks at a latch that must hold.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After a supervisor is back, it must not undo what was done without it.
const SETTLE: Duration = Duration::from_millis(1500);

const CLOUD: &str = "cloud";

/// One event under way.
pub(super) struct Trial<'a> {
    pub context: &'a Context,
    pub target: &'a Target,
    pub observer: &'a Observer,
    pub robots: &'a [AgentId],
    pub round: &'a mut Round,
    /// How long things hang or hold.
    pub span: Duration,
}

impl Trial<'_> {
    pub(super) async fn run(&mut self, event: &Event) -> Result<(), Failure> {
        let robot = &event.robot;
        match event.kind {
            DrillKind::Stop => {
                self.wait_for_motion(robot).await;
                self.stop(Some(robot)).await?;
                self.hold(core::slice::from_ref(robot)).await;
            }
            DrillKind::StopAll => {
                self.wait_for_motion(robot).await;
                self.stop(None).await?;
                self.hold(self.robots).await;
            }
            DrillKind::Hang => self.hang(robot).await?,
            DrillKind::HangSupervisor => self.hang_supervisor(robot).await?,
            DrillKind::Kill => drop(self.kill(robot.as_str()).await?),
            DrillKind::KillStopped => {
                self.wait_for_motion(robot).await;
                self.stop(Some(robot)).await?;
                let before = self.kill(robot.as_str()).await?;
                self.comes_back_stopped(robot, before).await?;
            }
            DrillKind::StopDead => {
                let before = self.kill(robot.as_str()).await?;
                let tally = latch::raise(self.context, self.target, Level::Stop, Some(vec![robot.clone()]), REASON);
                self.round.take_tally(&tally.await?);
                self.comes_back_stopped(robot, before).await?;
            }
            DrillKind::KillSupervisor => self.kill_supervisor(robot).await?,
        }
        self.comes_back(event).await?;
        self.release().await
    }

    async fn wait_for_motion(&self, robot: &AgentId) {
        let deadline = clock::now() + MOTION_WITHIN;
        while self.observer.moving(core::slice::from_ref(robot)).await.is_empty() && clock::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// STOP of one robot or of all: acknowledged by every robot, and those that drive stand.
    async fn stop(&mut self, robot: Option<&AgentId>) -> Result<(), Failure> {
        let meant = robot.map_or_else(|| self.robots.to_vec(), |robot| vec![robot.clone()]);
        let moving = self.observer.moving(&meant).await;
        let named = robot.map(|_| meant.clone());
        let click = clock::now();
        let (tally, rests) = tokio::join!(
            latch::raise(self.context, self.target, Level::Stop, named, REASON),
            self.observer.until_rest(&moving, click, REST_WITHIN)
        );
        let tally = tally?;
        self.round.take_tally(&tally);
        for robot in &meant {
            if tally.robots.get(robot).is_none_or(|entry| entry.arrivals.is_empty()) {
                self.round.broken.push(format!("{robot} did not acknowledge the STOP"));
            }
        }
        for robot in moving.iter().filter(|robot| !rests.contains_key(*robot)) {
            self.round.broken.push(format!("{robot} did not stand within {} s", REST_WITHIN.as_secs()));
        }
        let rests = rests.into_iter().map(|(robot, rest)| (robot, rest.as_secs_f64() * 1000.0));
        self.round.click_to_rest_ms.extend(rests);
        Ok(())
    }

    /// Stopped robots stay stopped and do not move, by the world's measure.
    async fn hold(&mut self, robots: &[AgentId]) {
        let first = self.fresh_truth().await;
        let end = clock::now() + self.span;
        while clock::now() < end {
            for robot in robots {
                let latch = self.observer.sample(robot).await.and_then(|sample| sample.latch);
                if latch == Some(Latch::Released) {
                    self.round.broken.push(format!("the STOP of {robot} was lost"));
                    return;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let last = self.fresh_truth().await;
        self.compare(first, last, robots, "while it was stopped");
    }

    fn compare(&mut self, first: Option<Truth>, last: Option<Truth>, robots: &[AgentId], when: &str) {
        let (Some(first), Some(last)) = (first, last) else {
            self.round.notes.push("the world did not write the truth in time".to_owned());
            return;
        };
        for robot in robots {
            let driven = last.driven_since(&first, robot);
            if driven > DRIFT_MAX {
                self.round.broken.push(format!("{robot} drove {driven:.2} m {when}"));
            }
        }
    }

    /// A truth that the world wrote after this call.
    async fn fresh_truth(&self) -> Option<Truth> {
        let path = &self.target.record.as_ref()?.truth;
        let before = Truth::read(path).map_or(0.0, |truth| truth.duration_s);
        let deadline = clock::now() + TRUTH_WITHIN;
        while clock::now() < deadline {
            if let Some(truth) = Truth::read(path).filter(|truth| truth.duration_s > before) {
                return Some(truth);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }

    /// A robot whose process hangs stands by its body's own limit.
    async fn hang(&mut self, robot: &AgentId) -> Result<(), Failure> {
        self.wait_for_motion(robot).await;
        processes::signal(self.context, robot.as_str(), Signal::STOP)?;
        tokio::time::sleep(SILENCE_STOPS_WITHIN).await;
        let first = self.fresh_truth().await;
        tokio::time::sleep(self.span).await;
        let last = self.fresh_truth().await;
        processes::signal(self.context, robot.as_str(), Signal::CONT)?;
        self.compare(first, last, core::slice::from_ref(robot), "without a fresh setpoint");
        Ok(())
    }

    async fn hang_supervisor(&mut self, robot: &AgentId) -> Result<(), Failure> {
        self.wait_for_motion(robot).await;
        processes::signal(self.context, CLOUD, Signal::STOP)?;
        self.stop(None).await?;
        self.hold(self.robots).await;
        self.release().await?;
        processes::signal(self.context, CLOUD, Signal::CONT)?;
        tokio::time::sleep(SETTLE).await;
        for robot in self.robots {
            if !self.observer.until_latch(robot, RELEASED_WITHIN, |latch| latch == Latch::Released).await {
                self.round.broken.push(format!("the supervisor undid the release of {robot}"));
            }
        }
        Ok(())
    }

    async fn kill_supervisor(&mut self, robot: &AgentId) -> Result<(), Failure> {
        self.wait_for_motion(robot).await;
        let before = self.kill(CLOUD).await?;
        self.stop(Some(robot)).await?;
        self.is_back(CLOUD, before).await?;
        tokio::time::sleep(SETTLE).await;
        self.hold(core::slice::from_ref(robot)).await;
        Ok(())
    }

    /// Kills a process; answers the pid that it had.
    async fn kill(&mut self, name: &str) -> Result<u32, Failure> {
        let before = processes::find(self.context, name)?.pid;
        if !processes::signal(self.context, name, Signal::KILL)? {
            self.round.notes.push(format!("{name} was not running"));
        }
        Ok(before)
    }

    async fn is_back(&mut self, name: &str, before: u32) -> Result<(), Failure> {
        if !processes::until_restarted(self.context, name, before, BACK_WITHIN).await? {
            self.round.broken.push(format!("{name} was not started again within {} s", BACK_WITHIN.as_secs()));
        }
        Ok(())
    }

    async fn comes_back_stopped(&mut self, robot: &AgentId, before: u32) -> Result<(), Failure> {
        self.is_back(robot.as_str(), before).await?;
        if !self.observer.until_latch(robot, BACK_WITHIN, |latch| latch >= Latch::Stop).await {
            self.round.broken.push(format!("{robot} came back without its STOP"));
            return Ok(());
        }
        self.hold(core::slice::from_ref(robot)).await;
        Ok(())
    }

    /// After the event every robot answers again.
    async fn comes_back(&mut self, event: &Event) -> Result<(), Failure> {
        let within = if event.kind.kills() { BACK_WITHIN } else { LATCH_WITHIN };
        for robot in self.robots {
            if !self.observer.until_latch(robot, within, |_| true).await {
                self.round.broken.push(format!("{robot} does not answer {} s after the event", within.as_secs()));
            }
        }
        Ok(())
    }

    /// Ends what the drill latched; every robot must be released.
    async fn release(&mut self) -> Result<(), Failure> {
        latch::release_all(self.context, self.target, REASON).await?;
        for robot in self.robots {
            if !self.observer.until_latch(robot, RELEASED_WITHIN, |latch| latch == Latch::Released).await {
                self.round.broken.push(format!("{robot} is still stopped after the release"));
            }
        }
        Ok(())
    }
}

/// The robots of the fleet with their debug APIs.
pub(super) fn robots_of(target: &Target) -> (Vec<AgentId>, Observer) {
    let endpoints = of_record(target.record.as_ref());
    (endpoints.keys().cloned().collect(), Observer::new(endpoints))
}
