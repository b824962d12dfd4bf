//! Watches a run: samples for the trace, and what led up to each incident, as text.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use serde::Serialize;
use skein_body::Fence;
use skein_types::coord::AgentState;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::AgentId;
use skein_types::polygon::Polygon;
use skein_types::safety::{Cause, FailsafeLevel};
use skein_types::time::MonoTime;
use skein_world::{ContactKind, World};

use super::sim_robot::SimRobot;

/// Between two samples.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Samples kept for the story of an incident: 8 s.
const KEPT: usize = 40;
/// Lines of the story are this many samples apart.
const STORY_STEP: usize = 4;
/// No cell swept for this long while there is work is a stall.
const STALL: Duration = Duration::from_secs(60);
/// A robot that must stand does so after this: the body's silence limit, and 1 m/s at 2 m/s².
const BRAKING: Duration = Duration::from_millis(1_200);
/// Slower than this counts as standing, m/s.
const STANDING: f64 = 0.02;
/// Most incidents recorded.
pub(crate) const INCIDENTS_MAX: usize = 20;
/// Two robots nearer than their radii and this are an incident, metres.
pub const SEPARATION_MARGIN: f64 = 0.1;
/// Points of the announced path in a sample.
const PATH_SHOWN: usize = 6;

/// One robot at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RobotSample {
    /// Name of the robot.
    pub robot: AgentId,
    /// Its process runs.
    pub alive: bool,
    /// True pose, `map_from_body`.
    pub pose: Pose,
    /// True speed over the floor, m/s.
    pub speed: f64,
    /// The state it announces.
    pub state: Option<AgentState>,
    /// The reason it reports.
    pub why: String,
    /// The peer it announces to yield to.
    pub yields_to: Option<AgentId>,
    /// It announces that it cannot make room.
    pub cornered: bool,
    /// The robot whose claim it makes: itself, or a peer it moves for.
    pub claimant: Option<AgentId>,
    /// The first points of the path it announces.
    pub path: Vec<Point>,
    /// Level of the reflex's failsafe.
    pub reflex: FailsafeLevel,
    /// Causes of that level.
    pub causes: Vec<Cause>,
    /// Wanted forward speed, m/s, and turn, rad/s.
    pub setpoint: (f64, f64),
}

/// All robots at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds from the start.
    pub t: f64,
    /// Share of the zone that is truly swept.
    pub coverage: f64,
    /// One for each robot.
    pub robots: Vec<RobotSample>,
}

/// Something that should not have happened, and what came before it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    /// Seconds from the start.
    pub at_s: f64,
    /// What happened, as a sentence.
    pub what: String,
    /// The seconds before: a line for each moment and robot.
    pub story: Vec<String>,
}

/// Keeps the last seconds and finds incidents.
pub(crate) struct Monitor {
    ring: VecDeque<Sample>,
    contacts_seen: usize,
    close: BTreeMap<(usize, usize), MonoTime>,
    progressed: (f64, MonoTime),
    /// Since when each robot has had to stand.
    standing: BTreeMap<usize, MonoTime>,
    fence: Fence,
    outside: BTreeSet<usize>,
    pub(crate) violations: u64,
    pub(crate) incidents: Vec<Incident>,
}

impl Monitor {
    pub(crate) fn new(fence: &Polygon) -> Self {
        Self {
            ring: VecDeque::new(),
            contacts_seen: 0,
            close: BTreeMap::new(),
            progressed: (-1.0, MonoTime::ZERO),
            standing: BTreeMap::new(),
            fence: Fence::from(fence),
            outside: BTreeSet::new(),
            violations: 0,
            incidents: Vec::new(),
        }
    }

    pub(crate) fn sample(&mut self, now: MonoTime, world: &World, robots: &[SimRobot]) -> &Sample {
        let coverage = world.coverage().map_or(0.0, |coverage| coverage.ratio);
        let robots = robots.iter().enumerate().map(|(number, robot)| sample_of(world, number, robot)).collect();
        if self.ring.len() == KEPT {
            self.ring.pop_front();
        }
        let index = self.ring.len();
        self.ring.push_back(Sample { t: now.as_secs_f64(), coverage, robots });
        &self.ring[index]
    }

    /// Everything that must hold in each tick.
    pub(crate) fn check(&mut self, now: MonoTime, world: &World, robots: &[SimRobot]) {
        self.check_contacts(now, world);
        for (number, robot) in robots.iter().enumerate() {
            self.check_standing(now, world, number, robot);
            self.check_fence(now, world, number);
        }
    }

    /// A robot that is latched, or that nothing drives, stands after its braking time.
    fn check_standing(&mut self, now: MonoTime, world: &World, number: usize, robot: &SimRobot) {
        let Some(why) = robot.must_stand(now) else {
            self.standing.remove(&number);
            return;
        };
        let since = *self.standing.entry(number).or_insert(now);
        let speed = world.twist(number).unwrap_or_default().speed();
        if now.since(since) > BRAKING && speed > STANDING {
            self.standing.insert(number, now);
            self.violations += 1;
            self.record(now, format!("robot {} moves at {speed:.2} m/s though {why}", number + 1), &[number]);
        }
    }

    fn check_fence(&mut self, now: MonoTime, world: &World, number: usize) {
        let at = world.pose(number).unwrap_or_default().position;
        if self.fence.clearance(at) < 0.0 && self.outside.insert(number) {
            self.violations += 1;
            self.record(now, format!("robot {} is outside its fence", number + 1), &[number]);
        }
    }

    /// Records contacts and pairs that came too close since the last call.
    fn check_contacts(&mut self, now: MonoTime, world: &World) {
        while let Some(contact) = world.contacts().get(self.contacts_seen).copied() {
            self.contacts_seen += 1;
            let (robot, other) = (contact.robot + 1, contact.other.map_or(0, |o| o + 1));
            let place = format!("at ({:.2}, {:.2})", contact.place.x, contact.place.y);
            let (what, who) = match contact.kind {
                ContactKind::RobotRobot => {
                    (format!("robots {robot} and {other} touch {place}"), vec![contact.robot, other - 1])
                }
                ContactKind::RobotWall => (format!("robot {robot} touches a wall {place}"), vec![contact.robot]),
                ContactKind::RobotPerson => {
                    (format!("robot {robot} and person {other} touch {place}"), vec![contact.robot])
                }
            };
            self.record(now, what, &who);
        }
        for (pair, distance) in too_close(world) {
            let before = self.close.insert(pair, now);
            if before.is_none_or(|last| now.since(last) > Duration::from_secs(2)) {
                let what = format!("robots {} and {} are {distance:.3} m apart", pair.0 + 1, pair.1 + 1);
                self.record(now, what, &[pair.0, pair.1]);
            }
        }
    }

    /// Records a stall, as long as there is work.
    pub(crate) fn check_progress(&mut self, now: MonoTime, coverage: f64, at_work: bool) {
        if !at_work || coverage > self.progressed.0 {
            self.progressed = (coverage, now);
        } else if now.since(self.progressed.1) >= STALL {
            self.progressed.1 = now;
            let what = format!("nothing was swept for {} s, {:.1} % done", STALL.as_secs(), coverage * 100.0);
            let all: Vec<usize> = (0..self.ring.back().map_or(0, |sample| sample.robots.len())).collect();
            self.record(now, what, &all);
        }
    }

    fn record(&mut self, now: MonoTime, what: String, who: &[usize]) {
        if self.incidents.len() < INCIDENTS_MAX {
            self.incidents.push(Incident { at_s: now.as_secs_f64(), what, story: self.story(who) });
        }
    }

    fn story(&self, who: &[usize]) -> Vec<String> {
        let moments = self.ring.iter().rev().step_by(STORY_STEP).collect::<Vec<_>>();
        let lines = |sample: &&Sample| -> Vec<String> {
            let shown = who.iter().filter_map(|&number| sample.robots.get(number));
            shown.map(|robot| line(sample.t, robot)).collect()
        };
        moments.iter().rev().flat_map(lines).collect()
    }
}

fn sample_of(world: &World, number: usize, robot: &SimRobot) -> RobotSample {
    let intent = robot.intent.as_ref();
    let setpoint = robot.setpoint().twist;
    RobotSample {
        robot: robot.id().clone(),
        alive: robot.is_alive(),
        pose: world.pose(number).unwrap_or_default(),
        speed: world.twist(number).unwrap_or_default().speed(),
        state: intent.map(|intent| intent.state),
        why: robot.telemetry.as_ref().map(|sample| sample.why.clone()).unwrap_or_default(),
        yields_to: intent.and_then(|intent| intent.yields_to.clone()),
        cornered: intent.is_some_and(|intent| intent.cornered),
        claimant: intent.map(|intent| intent.right_of_way.claimant.clone()),
        path: intent.map(|intent| intent.path.iter().take(PATH_SHOWN).copied().collect()).unwrap_or_default(),
        reflex: robot.reflex_report().level,
        causes: robot.reflex_report().causes.iter().collect(),
        setpoint: (setpoint.vx, setpoint.yaw_rate),
    }
}

fn too_close(world: &World) -> impl Iterator<Item = ((usize, usize), f64)> {
    let place = |number| world.pose(number).unwrap_or_default().position;
    let radius = |number| world.descriptor(number).map_or(0.0, |body| body.radius.0);
    let count = world.robots();
    (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b))).filter_map(move |(a, b)| {
        let limit = radius(a) + radius(b) + SEPARATION_MARGIN;
        let apart = (place(a) - place(b)).norm_squared();
        (apart < limit * limit).then(|| ((a, b), apart.sqrt()))
    })
}

/// One robot at one moment, for people.
fn line(t: f64, robot: &RobotSample) -> String {
    let mut text = String::new();
    let RobotSample { pose, speed, setpoint, .. } = robot;
    let state = robot.state.map_or("-".to_owned(), |state| format!("{state:?}"));
    let degrees = pose.heading.to_degrees();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{t:8.1} {:9} ({:6.2}, {:6.2}) {degrees:4.0}° {speed:4.2} m/s wants ({:5.2}, {:5.2}) {state}: {}",
        robot.robot, pose.position.x, pose.position.y, setpoint.0, setpoint.1, robot.why
    );
    if !robot.alive {
        text.push_str(" [dead]");
    }
    if let Some(peer) = &robot.yields_to {
        let _ = write!(text, " [yields to {peer}]");
    }
    if let Some(claimant) = robot.claimant.as_ref().filter(|claimant| **claimant != robot.robot) {
        let _ = write!(text, " [for {claimant}]");
    }
    if robot.cornered {
        text.push_str(" [cornered]");
    }
    if robot.reflex != FailsafeLevel::None {
        let _ = write!(text, " [reflex {:?}: {:?}]", robot.reflex, robot.causes);
    }
    if !robot.path.is_empty() {
        text.push_str(" →");
        for p in &robot.path {
            let _ = write!(text, " ({:.1},{:.1})", p.x, p.y);
        }
    }
    text
}
