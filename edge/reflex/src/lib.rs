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
//! 5. After STOP, KILL, a lost power or a tip-over nothing moves until a person releases it.
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

mod clear;
mod config;
mod discs;
mod latches;
mod motion;
mod obstacles;
mod senses;
mod track;
mod way;

pub use config::ReflexConfig;

use core::time::Duration;
use skein_types::body::Drive;
use skein_types::geometry::{Pose, Twist};
use skein_types::motion::{ActuatorFrame, DriveMode, Setpoint};
use skein_types::safety::{Cause, Causes, Latch, ReflexReport, Surroundings};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;
use skein_types::units::{Meters, MetersPerSecond};

use latches::Latches;
use motion::Verdict;
use obstacles::Obstacles;
use track::{Track, relative};

/// What the motors do, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReflexOutput {
    /// For the body.
    pub actuators: ActuatorFrame,
    /// For the agent and the record.
    pub report: ReflexReport,
}

/// The causes that forbid every motion, whichever way it goes.
const HALTING: Causes = Causes::NONE
    .with(Cause::DeadMan)
    .with(Cause::StaleScan)
    .with(Cause::StalePose)
    .with(Cause::StaleFrame)
    .with(Cause::Tilt)
    .with(Cause::OverSpeed)
    .with(Cause::OperatorStop)
    .with(Cause::OperatorKill)
    .with(Cause::PowerLoss)
    .with(Cause::BatteryCritical)
    .with(Cause::SensorFault);

/// The causes that others may find; the rest are the reflex's own, and hearing them back would hold it forever.
/// The fence is counted but does not halt here: the body's envelope keeps it, and lets the way back in pass.
const FROM_OTHERS: Causes = Causes::NONE
    .with(Cause::Fence)
    .with(Cause::OperatorStop)
    .with(Cause::OperatorKill)
    .with(Cause::PowerLoss)
    .with(Cause::BatteryLow)
    .with(Cause::BatteryCritical)
    .with(Cause::SensorFault)
    .with(Cause::CloudLost)
    .with(Cause::MeshLost);

/// The safety kernel of one robot.
#[derive(Clone, Debug)]
pub struct Reflex {
    config: ReflexConfig,
    obstacles: Obstacles,
    track: Track,
    latches: Latches,
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
            config,
            obstacles: Obstacles::new(),
            track: Track::new(),
            latches: Latches::new(),
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
    ) -> ReflexOutput {
        let mut causes = self.keep_pace(now);
        let faults = senses::faults(&self.config, now, frame);
        causes = causes.union(faults).union(external(surroundings.causes));
        let trusted = !faults.contains(Cause::SensorFault) && !faults.contains(Cause::StaleFrame);
        self.perceive(frame, trusted);
        let trusted_frame = trusted.then_some(frame);
        self.latches.update(&self.config, now, surroundings.latch, trusted_frame, &self.commanded);
        causes = causes.union(self.latched(surroundings.latch));
        let (wanted, told) = senses::wanted(&self.config, now, setpoint);
        causes = causes.union(told);

        let verdict = if causes.intersects(HALTING) {
            Verdict::stand(f64::INFINITY, 0.0)
        } else {
            self.judge(now, frame, &wanted, setpoint, surroundings)
        };
        causes = causes.union(verdict.causes);
        self.answer(now, causes, &verdict)
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

    fn perceive(&mut self, frame: &SensorFrame, trusted: bool) {
        if !trusted {
            return;
        }
        self.track.remember(frame);
        if self.obstacles.seen_at().is_none_or(|seen| frame.scan.at > seen) {
            let from = self.track.at(frame.scan.at, frame);
            self.obstacles.see(&self.config, &frame.scan, from);
        }
    }

    fn latched(&self, hand: Latch) -> Causes {
        let mut causes = match hand {
            Latch::Released => Causes::NONE,
            Latch::Stop => Causes::NONE.with(Cause::OperatorStop),
            Latch::Kill => Causes::NONE.with(Cause::OperatorKill),
        };
        if self.latches.lost_power() {
            causes.insert(Cause::PowerLoss);
        }
        if self.latches.tilted() {
            causes.insert(Cause::Tilt);
        }
        causes
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
            surroundings,
        };
        let verdict = scene.judge(wanted);
        self.stopped = verdict.stopped;
        self.side = verdict.side;
        verdict
    }

    fn answer(&mut self, now: MonoTime, causes: Causes, verdict: &Verdict) -> ReflexOutput {
        self.sequence = self.sequence.wrapping_add(1);
        let mode = self.mode(causes, verdict);
        let twist = if mode == DriveMode::Follow { verdict.twist } else { Twist::ZERO };
        self.commanded = twist;
        let moves = mode == DriveMode::Follow;
        ReflexOutput {
            actuators: ActuatorFrame { at: now, sequence: self.sequence, mode, twist },
            report: ReflexReport {
                at: now,
                sequence: self.sequence,
                level: causes.level(),
                causes,
                clear_distance: Meters(verdict.clear),
                stop_distance: Meters(verdict.stop),
                speed_allowed: MetersPerSecond(if moves { verdict.speed } else { 0.0 }),
                missed_ticks: self.missed_ticks,
            },
        }
    }

    fn mode(&self, causes: Causes, verdict: &Verdict) -> DriveMode {
        let flies = self.config.descriptor.drive == Drive::Multirotor;
        if causes.contains(Cause::OperatorKill) {
            DriveMode::CutPower
        } else if causes.contains(Cause::BatteryCritical) && flies {
            DriveMode::Land
        } else if causes.intersects(HALTING) || verdict.halts {
            DriveMode::Halt
        } else {
            DriveMode::Follow
        }
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

fn external(causes: Causes) -> Causes {
    let mut heard = Causes::NONE;
    for cause in causes.iter().filter(|cause| FROM_OTHERS.contains(*cause)) {
        heard.insert(cause);
    }
    heard
}

/// How far in the future a time may lie before the clock that stamped it is broken.
pub(crate) const FUTURE_MAX: Duration = Duration::from_millis(20);
