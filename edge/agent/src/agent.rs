//! The core: what it keeps, and which part of it takes which input.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use skein_coord::{Coord, CoordConfig};
use skein_types::event::EventKind;
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{CommandId, Generation, MissionId};
use skein_types::link::{AgentReport, CommandAck, CommandOutcome};
use skein_types::safety::{Latch, ReflexReport};
use skein_types::sensing::SensorFrame;
use skein_types::telemetry::{LinkState, ReflexStats};
use skein_types::time::MonoTime;

use crate::course::Course;
use crate::evidence::{Evidence, Mask};
use crate::follow::Follower;
use crate::io::{AgentConfig, CYCLE, Input, Output, OverrideCommand, Why};
use crate::manual::Manual;
use crate::mission::{Task, Work};
use crate::navigate::Navigator;
use crate::orders::Orders;
use crate::record::Record;
use crate::recover::Recovery;

use crate::sensed::Sensed;
use crate::status::Counters;
use crate::survey::Memory;
use crate::tell::{Narrator, Progress, Sampler};

/// Evidence is looked through for what has faded this often.
const FADE_EVERY: Duration = Duration::from_secs(1);
/// Fewer beams than this share as expected: something is wrong with the place or the belief.
const INCONSISTENT: f64 = 0.35;
/// More than this: all is well again.
const CONSISTENT: f64 = 0.5;
/// A peer's hits are not evidence within its footprint and this much more, metres.
const PEER_MASK: f64 = 0.30;

/// The tactical plane of one robot.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: AgentConfig,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) cycle_at: Option<MonoTime>,
    pub(crate) sensed: Sensed,
    pub(crate) evidence: Evidence,
    /// Too few beams see what the map promises: it drives slowly.
    pub(crate) map_disagrees: bool,
    faded_at: MonoTime,
    pub(crate) navigator: Navigator,
    pub(crate) follower: Follower,
    pub(crate) recovery: Recovery,
    pub(crate) course: Course,
    pub(crate) coord: Coord,
    pub(crate) record: Record,
    pub(crate) orders: Orders,
    pub(crate) work: Option<Work>,
    /// Of the survey worked on last.
    pub(crate) memory: Option<(MissionId, Memory)>,
    /// The work is over and the robot goes home.
    pub(crate) going_home: bool,
    /// Charge fell below the limit and has not yet risen above the other.
    pub(crate) needs_charge: bool,
    pub(crate) latch: Latch,
    pub(crate) latch_reason: String,
    /// When a person last released it.
    pub(crate) released_at: MonoTime,
    /// When the reflex first said that it is tilted, while it says so.
    pub(crate) tilted_since: Option<MonoTime>,
    pub(crate) manual: Option<Manual>,
    pub(crate) link: LinkState,
    /// Connections that were there once, so that their loss is one.
    pub(crate) link_seen: LinkState,
    pub(crate) reflex: ReflexReport,
    pub(crate) reflex_stats: ReflexStats,
    pub(crate) narrator: Narrator,
    pub(crate) sampler: Sampler,
    pub(crate) progress: Progress,
    pub(crate) setpoints: u64,
    pub(crate) counters: Counters,
}

impl Agent {
    /// A robot that has sensed nothing yet.
    #[must_use]
    pub fn new(config: AgentConfig) -> Self {
        let navigator = Navigator::new(config.map.clone(), &config.descriptor);
        let coord =
            Coord::new(CoordConfig { id: config.id.clone(), boot: config.boot, radius: config.descriptor.radius });
        Self {
            outputs: VecDeque::new(),
            cycle_at: None,
            sensed: Sensed::new(),
            evidence: Evidence::new(),
            map_disagrees: false,
            faded_at: MonoTime::ZERO,
            follower: Follower::new(config.descriptor.drive, *navigator.limits()),
            navigator,
            recovery: Recovery::new(),
            course: Course::default(),
            coord,
            record: Record::new(config.id.clone(), config.boot, config.seed),
            orders: Orders::default(),
            work: None,
            memory: None,
            going_home: false,
            needs_charge: false,
            latch: Latch::Released,
            latch_reason: String::new(),
            released_at: MonoTime::ZERO,
            tilted_since: None,
            manual: None,
            link: LinkState::default(),
            link_seen: LinkState::default(),
            reflex: ReflexReport::none(),
            reflex_stats: ReflexStats::default(),
            narrator: Narrator::new(),
            sampler: Sampler::new(),
            progress: Progress::new(),
            setpoints: 0,
            counters: Counters::default(),
            config,
        }
    }

    /// One change. What it brought about is drained with [`Self::poll_output`].
    pub fn handle(&mut self, now: MonoTime, input: Input) {
        match input {
            Input::Sensors(frame) => self.sense(now, frame),
            Input::Reflex(report) => self.hear_reflex(now, report),
            Input::Intent(intent) => self.tell_coord(now, skein_coord::Input::Intent(intent)),
            Input::Hazard(hazard) => {
                self.tell_coord(now, skein_coord::Input::Hazard(hazard));
                self.say_surroundings(now);
            }
            Input::PeerAlive { agent, alive } => {
                self.tell_coord(now, skein_coord::Input::PeerAlive { agent, alive });
            }
            Input::Command(command) => self.obey(now, command),
            Input::Link(link) => self.relink(now, link),
            Input::Override(command) => self.take_over(now, command),
            Input::ReflexStats(stats) => self.reflex_stats = stats,
            Input::Wall(wall) => self.record.set_wall(now, wall),
            Input::Cycle => {}
        }
        self.catch_up(now);
    }

    /// What is to be done, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::handle`] with [`Input::Cycle`] at the latest. `None` before the first input.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(MonoTime, Why)> {
        let cycle = self.cycle_at.map(|at| (at, Why::Cycle));
        let coord = self.coord.next_deadline().map(|(at, _)| (at, Why::Coord));
        [cycle, coord].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The order it works on, for the first words on a new stream.
    #[must_use]
    pub fn working_on(&self) -> Option<(MissionId, Generation)> {
        self.work.as_ref().filter(|work| !work.state().is_terminal()).map(|work| (work.mission, work.generation))
    }

    /// The last command that took effect, for the first words on a new stream.
    #[must_use]
    pub const fn last_command(&self) -> Option<CommandId> {
        self.orders.last()
    }

    /// Puts a latch back that the shell kept over a restart. Nothing moves until a person releases it.
    pub fn restore_latch(&mut self, now: MonoTime, latch: Latch) {
        self.set_latch(now, latch, "kept over a restart");
    }

    /// Does what time alone makes due.
    fn catch_up(&mut self, now: MonoTime) {
        if self.coord.next_deadline().is_some_and(|(at, _)| at <= now) {
            self.tell_coord(now, skein_coord::Input::Wake);
        }
        let due = *self.cycle_at.get_or_insert(now);
        if due <= now {
            let next = due + CYCLE;
            self.cycle_at = Some(if next > now { next } else { now + CYCLE });
            self.counters.cycles += 1;
            self.cycle(now);
        }
    }

    fn sense(&mut self, now: MonoTime, frame: Box<SensorFrame>) {
        let heard = self.sensed.hear(frame);
        if let Some(jump) = heard.relocalised {
            self.note(now, EventKind::System, "relocalised", &json!({ "by_m": jump }));
            self.navigator.forget();
        }
        if heard.new_scan {
            self.look_around(now);
        }
        self.sweep_here();
        self.sample(now);
    }

    /// Takes the newest revolution of the lidar.
    fn look_around(&mut self, now: MonoTime) {
        let Some(frame) = self.sensed.frame() else { return };
        let Some(pose) = self.sensed.pose_at(frame.scan.at) else { return };
        if self.sensed.doubts() {
            return;
        }
        let masks: Vec<Mask> = self
            .coord
            .peers(now)
            .map(|peer| {
                let ahead = peer.age.as_secs_f64().min(0.5);
                let at = peer.intent.pose.position + peer.intent.velocity * ahead;
                Mask { at, radius: peer.intent.radius.get() + PEER_MASK }
            })
            .filter(|mask| mask.at.distance(pose.position) < 8.0)
            .collect();
        self.evidence.integrate(now, &self.config.map, &pose, &frame.scan, &masks);
        self.compare_with_map(now);
        if now.since(self.faded_at) >= FADE_EVERY {
            self.faded_at = now;
            self.evidence.fade(now);
        }
    }

    /// Notes when the lidar and the map no longer tell the same story, and when they do again.
    fn compare_with_map(&mut self, now: MonoTime) {
        let share = self.evidence.consistency();
        let disagrees = if self.map_disagrees { share < CONSISTENT } else { share < INCONSISTENT };
        if disagrees != self.map_disagrees {
            self.map_disagrees = disagrees;
            let name = if disagrees { "map_disagrees" } else { "map_agrees" };
            self.note(now, EventKind::Decision, name, &json!({ "share_as_expected": share }));
        }
    }

    /// What the survey sensor sees from here.
    fn sweep_here(&mut self) {
        let Some(pose) = self.sensed.pose() else { return };
        let trusted = !self.sensed.doubts();
        if let Some(Work { task: Task::Survey(survey), .. }) = &mut self.work
            && trusted
        {
            let _ = survey.look(&self.config.map, pose.position);
        }
    }

    /// Tells the coordination and takes what it says.
    pub(crate) fn tell_coord(&mut self, now: MonoTime, input: skein_coord::Input) {
        self.coord.handle(now, input);
        self.drain_coord(now);
    }

    pub(crate) fn drain_coord(&mut self, now: MonoTime) {
        while let Some(output) = self.coord.poll_output() {
            match output {
                skein_coord::Output::PublishIntent(intent) => self.outputs.push_back(Output::Say(intent)),
                skein_coord::Output::PublishHazard(hazard) => {
                    let payload = json!({ "kind": hazard.kind, "position": hazard.position });
                    self.note(now, EventKind::Safety, "hazard_reported", &payload);
                    self.outputs.push_back(Output::Warn(hazard));
                }
                skein_coord::Output::PeerSeen(peer) => {
                    self.note(now, EventKind::System, "peer_seen", &json!({ "peer": peer }));
                }
                skein_coord::Output::PeerLost(peer) => {
                    self.note(now, EventKind::System, "peer_lost", &json!({ "peer": peer }));
                }
                skein_coord::Output::TrustViolation { agent, advanced, trust } => {
                    let payload = json!({ "peer": agent, "advanced_m": advanced, "trust": trust });
                    self.note(now, EventKind::Safety, "trust_violation", &payload);
                }
                skein_coord::Output::Yielding { to, reason } => {
                    self.counters.yields += 1;
                    self.note(now, EventKind::Decision, "yields", &json!({ "to": to, "because": reason }));
                }
                skein_coord::Output::Proceeding { after } => {
                    self.note(now, EventKind::Decision, "proceeds", &json!({ "after": after }));
                }
            }
        }
    }

    fn relink(&mut self, now: MonoTime, link: LinkState) {
        if link == self.link {
            return;
        }
        let returned = link.cloud && !self.link.cloud;
        self.link_seen =
            LinkState { cloud: self.link_seen.cloud || link.cloud, mesh: self.link_seen.mesh || link.mesh };
        self.link = link;
        self.note(now, EventKind::System, "link", &json!({ "cloud": link.cloud, "mesh": link.mesh }));
        if returned {
            self.progress.tell_all();
        }
    }

    fn take_over(&mut self, now: MonoTime, command: OverrideCommand) {
        if self.latch != Latch::Released {
            self.counters.refused += 1;
            self.note(now, EventKind::Command, "override_refused", &json!({ "reason": "a person stopped the robot" }));
            return;
        }
        let fresh = self.manual.is_none();
        let Some(manual) = Manual::new(now, command) else {
            self.counters.refused += 1;
            self.note(now, EventKind::Command, "override_refused", &json!({ "reason": "a number in it is no number" }));
            return;
        };
        if fresh {
            let payload = json!({ "operator": manual.operator, "reason": manual.reason });
            self.note(now, EventKind::Command, "override_begins", &payload);
        }
        self.manual = Some(manual);
    }

    /// Writes an event.
    pub(crate) fn note(&mut self, now: MonoTime, kind: EventKind, name: &str, payload: &Value) {
        let event = self.record.event(now, kind, name, payload);
        self.outputs.push_back(Output::Event(event));
    }

    /// Answers a command.
    pub(crate) fn answer(&mut self, command: CommandId, outcome: CommandOutcome) {
        self.outputs.push_back(Output::Report(AgentReport::Ack(CommandAck { command, outcome })));
    }

    /// Where the robot believes it is.
    pub(crate) fn pose(&self) -> Option<Pose> {
        self.sensed.pose()
    }

    /// Velocity in the map's frame.
    pub(crate) fn velocity(&self) -> Point {
        let twist = self.sensed.frame().map(|frame| frame.twist).unwrap_or_default();
        Point::new(twist.vx, twist.vy).rotated(self.pose().map_or(0.0, |pose| pose.heading))
    }
}
