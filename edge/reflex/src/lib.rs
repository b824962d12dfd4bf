//! The 100 Hz safety kernel: may this motion happen at all?
//!
//! [`Reflex::tick`] takes what the body senses, what the agent wants and what is known of the surroundings, and says
//! what the motors do. It is `no_std`, allocates nothing, takes no lock, writes no log, and has no path that panics or
//! ends early: whatever is wrong becomes a [`Cause`] on the failsafe ladder, and the worst cause wins.
//!
//! One tick, in order:
//!
//! ```text
//! frame ──► trusted? ──► track (dead reckoning) ──► lidar points, moved to now
//! setpoint ──► fresh? finite? ──► cut down to limit and body
//!   any cause that forbids every motion ──► Halt (Land, CutPower)
//!   way of the setpoint: lidar, peers, hazards, cliff, bumper
//!        blocked ──► motors to zero; standing, it may still turn in place
//!        near    ──► slower, and a little to the freer side
//!        free    ──► as asked
//! ```
//!
//! Invariants, each held by a test of the same words:
//!
//! 1. A way on which the footprint would meet something within the stop distance is never driven.
//! 2. Motion that opens the distance, and turning in place, are never forbidden by what stands near.
//! 3. Stale, missing or broken senses read as their worst case: the robot stands.
//! 4. Without a setpoint younger than its limit, it stands within one tick.
//! 5. After STOP, KILL, a power loss, a tip-over or the body's emergency stop nothing moves until a person releases it.
//! 6. What goes out is finite, within the body's limits and within the setpoint's speed limit.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::question_mark_used,
        clippy::string_slice
    )
)]

#[cfg(test)]
extern crate std;

mod charge;
mod clear;
mod config;
mod discs;
mod landing;
mod latches;
mod motion;
mod obstacles;
mod rules;
mod senses;
mod track;
mod way;

pub use config::ReflexConfig;

use skein_types::authority::LatchView;
use skein_types::geometry::{Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode, Setpoint};
use skein_types::safety::{Cause, Causes, ReflexReport, Surroundings};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond};

use charge::Charge;
use landing::Landing;
use latches::Latches;
use motion::Verdict;
use obstacles::Obstacles;
use rules::Rules;
use track::{Track, relative};

/// What the motors do, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReflexOutput {
    /// For the body.
    pub actuators: ActuatorFrame,
    /// For the agent and the record.
    pub report: ReflexReport,
    /// The motors are to get their power back now, before the actuator frame of this tick is passed on: this tick read a
    /// release, and power had been cut or lost. Never true twice for one release.
    pub restore_power: bool,
    /// What the reflex has latched by itself (power loss, tip-over, the body's emergency stop); a release ends it.
    pub latched: Causes,
}

/// The safety kernel of one robot.
#[derive(Clone, Debug)]
pub struct Reflex {
    config: ReflexConfig,
    rules: Rules,
    obstacles: Obstacles,
    track: Track,
    latches: Latches,
    charge: Charge,
    landing: Landing,
    sequence: u64,
    ticked_at: Option<MonoTime>,
    missed_ticks: u64,
    /// What went out last.
    commanded: Twist,
    /// Stopped for something on the way: it takes a little more room to go on.
    stopped: bool,
    /// The side it steered to last: 1 left, -1 right.
    side: f64,
}

impl Reflex {
    /// For a body, standing, with nothing seen yet.
    #[must_use]
    pub fn new(config: ReflexConfig) -> Self {
        Self {
            rules: Rules::of(config.descriptor.drive),
            config,
            obstacles: Obstacles::new(),
            track: Track::new(),
            latches: Latches::new(),
            charge: Charge::default(),
            landing: Landing::default(),
            sequence: 0,
            ticked_at: None,
            missed_ticks: 0,
            commanded: Twist::ZERO,
            stopped: false,
            side: 0.0,
        }
    }

    /// The figures it decides with.
    #[must_use]
    pub const fn config(&self) -> &ReflexConfig {
        &self.config
    }

    /// One tick of the loop.
    #[must_use]
    pub fn tick(
        &mut self,
        now: MonoTime,
        frame: &SensorFrame,
        setpoint: &Setpoint,
        surroundings: &Surroundings,
        latch: LatchView,
    ) -> ReflexOutput {
        let faults = senses::faults(&self.config, now, frame);
        let trusted = (!faults.contains(Cause::SensorFault) && !faults.contains(Cause::StaleFrame)).then_some(frame);
        let restore_power = self.latches.update(&self.config, now, latch, trusted, &self.commanded);
        if let Some(frame) = trusted {
            self.perceive(frame);
        }
        let (wanted, of_setpoint) = senses::wanted(&self.config, now, setpoint);
        let found = [
            self.keep_pace(now),
            faults,
            self.rules.heard(surroundings.causes),
            self.latches.causes(),
            self.charge.causes(),
            of_setpoint,
        ];
        let mut causes = found.into_iter().fold(Causes::NONE, Causes::union);
        self.land(causes, trusted);
        causes = causes.union(self.landing.causes());

        let verdict = if causes.intersects(self.rules.halting) {
            Verdict::stand(f64::INFINITY, 0.0)
        } else {
            self.judge(now, frame, &wanted, setpoint, surroundings)
        };
        let (actuators, report) = self.answer(now, causes.union(verdict.causes), &verdict);
        ReflexOutput { actuators, report, restore_power, latched: self.latches.latched() }
    }

    fn keep_pace(&mut self, now: MonoTime) -> Causes {
        let period = self.config.period.as_nanos().max(1);
        let elapsed = self.ticked_at.map_or(period, |before| now.since(before).as_nanos());
        self.ticked_at = Some(now);
        // Half a period late is late; each whole period without a tick is one that was missed.
        let half = period / 2;
        let whole = elapsed.saturating_add(half).checked_div(period).unwrap_or(0);
        let missed = u64::try_from(whole.saturating_sub(1)).unwrap_or(u64::MAX);
        self.missed_ticks = self.missed_ticks.saturating_add(missed);
        if missed > 0 { Causes::NONE.with(Cause::LateTick) } else { Causes::NONE }
    }

    fn perceive(&mut self, frame: &SensorFrame) {
        self.charge.update(&self.config, &frame.battery);
        if let Some(reset) = self.track.remember(&self.config, frame) {
            self.obstacles.rebase(&reset);
        }
        if self.obstacles.seen_at().is_none_or(|seen| frame.scan.at > seen) {
            let from = self.track.at(frame.scan.at, frame);
            self.obstacles.see(&self.config, &frame.scan, from);
        }
    }

    /// A tilt that has not lasted long enough to latch halts, and does not land yet.
    fn land(&mut self, causes: Causes, trusted: Option<&SensorFrame>) {
        let mut asking = causes.intersection(self.rules.landing);
        if !self.latches.latched().contains(Cause::Tilt) {
            asking.remove(Cause::Tilt);
        }
        self.landing.update(asking, trusted.is_some_and(|frame| frame.on_ground));
    }

    fn judge(
        &mut self,
        now: MonoTime,
        frame: &SensorFrame,
        wanted: &Twist,
        setpoint: &Setpoint,
        surroundings: &Surroundings,
    ) -> Verdict {
        let odometry = self.track.at(now, frame);
        let scene = motion::Scene {
            config: &self.config,
            now,
            near: self.obstacles.near(&odometry, self.config.reach()),
            pose: pose_now(&self.track, &odometry, frame),
            measured: frame.twist,
            cliff: frame.cliff,
            touched: self.latches.touched(),
            limit: senses::speed_limit(&self.config, setpoint),
            stopped: self.stopped,
            side: self.side,
            blocking: self.rules.blocking,
            surroundings,
        };
        let verdict = scene.judge(wanted);
        self.stopped = verdict.stopped;
        self.side = verdict.side;
        verdict
    }

    fn answer(&mut self, now: MonoTime, causes: Causes, verdict: &Verdict) -> (ActuatorFrame, ReflexReport) {
        self.sequence = self.sequence.wrapping_add(1);
        let lands = !self.landing.causes().is_empty();
        let mode = self.rules.mode(causes, lands, verdict.halts);
        let moves = mode == DriveMode::Follow;
        self.commanded = if moves { verdict.twist } else { Twist::ZERO };
        let actuators = ActuatorFrame { at: now, sequence: self.sequence, mode, twist: self.commanded };
        let report = ReflexReport {
            at: now,
            sequence: self.sequence,
            level: causes.level_on(self.config.descriptor.drive),
            causes,
            clear_distance: Meters(verdict.clear),
            stop_distance: Meters(verdict.stop),
            speed_allowed: MetersPerSecond(if moves { verdict.speed } else { 0.0 }),
            missed_ticks: self.missed_ticks,
        };
        (actuators, report)
    }
}

/// Where the body is on the map now: the localiser's word, carried on by dead reckoning since.
fn pose_now(track: &Track, odometry: &Pose, frame: &SensorFrame) -> Pose {
    let then = track.at(frame.estimate.at, frame);
    let moved = relative(&then, odometry);
    let pose = frame.estimate.pose;
    Pose {
        position: pose.map_from_body(moved.position),
        z: pose.z,
        heading: skein_types::geometry::wrap_angle(pose.heading + moved.heading),
    }
}
