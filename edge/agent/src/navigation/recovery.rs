//! Recovery behaviors for a robot that should move and does not.
//!
//! The sequence: spin towards the free side, back up along the path it came, put a keepout in front and replan, wait.
//! Each step is recorded; after the last the sequence starts again, so the robot never gives up silently.

use std::collections::VecDeque;
use std::time::Duration;

use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::sensing::{BEAMS, Scan};
use skein_types::time::MonoTime;

use crate::navigation::controller::turn_rate;

/// A robot that should move and has not for this long is stuck.
const PATIENCE: Duration = Duration::from_secs(3);
/// Progress: at least this distance, metres.
const MOVED: f64 = 0.08;
/// Progress: or at least this rotation, radians.
const TURNED: f64 = 0.2;
/// After this much progress the sequence starts at its first step again, metres.
const RESTART_AFTER: f64 = 1.0;
/// Distance of one back-up, metres.
pub(crate) const BACK_UP: f64 = 0.45;
/// Speed of a back-up, m/s.
const BACK_UP_SPEED: f64 = 0.15;
/// Time limit of a spin or a back-up.
const STEP_TIME: Duration = Duration::from_millis(2500);
/// Duration of the wait at the end of the sequence.
const WAIT: Duration = Duration::from_secs(3);
/// Bound on the trail, one point each 0.1 m.
const TRAIL_MAX: usize = 40;

/// One recovery behavior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RecoveryStep {
    /// Turn in place to this heading (map frame, radians).
    Spin { heading: f64 },
    /// Drive back along the trail.
    BackUp { from: Point },
    /// Put a keepout in front; a new plan follows.
    AddKeepout,
    /// Stand until this step's time is over.
    Wait,
}

impl RecoveryStep {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Spin { .. } => "spin_to_free_side",
            Self::BackUp { .. } => "back_up",
            Self::AddKeepout => "add_keepout_ahead",
            Self::Wait => "wait",
        }
    }
}

/// Progress checker and recovery sequence.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    moved_at: MonoTime,
    anchor: Option<Pose>,
    driven: f64,
    next_step: u8,
    step: Option<(RecoveryStep, MonoTime)>,
    trail: VecDeque<Point>,
}

impl Recovery {
    pub(crate) const fn new() -> Self {
        Self { moved_at: MonoTime::ZERO, anchor: None, driven: 0.0, next_step: 0, step: None, trail: VecDeque::new() }
    }

    /// The behavior in progress.
    pub(crate) fn step(&self) -> Option<RecoveryStep> {
        self.step.map(|(step, _)| step)
    }

    /// The robot is not supposed to move: ends the behavior in progress and restarts the progress check.
    pub(crate) const fn reset(&mut self, now: MonoTime) {
        self.step = None;
        self.moved_at = now;
    }

    /// Compares the pose with the last progress. Returns the behavior that begins now, if the robot is stuck.
    pub(crate) fn check_progress(
        &mut self,
        now: MonoTime,
        pose: &Pose,
        should_move: bool,
        scan: &Scan,
    ) -> Option<RecoveryStep> {
        self.extend_trail(pose.position);
        let anchor = *self.anchor.get_or_insert(*pose);
        let distance = anchor.position.distance(pose.position);
        let moved = distance > MOVED || wrap_angle(anchor.heading - pose.heading).abs() > TURNED;
        if moved || !should_move {
            self.moved_at = now;
            self.anchor = Some(*pose);
            self.driven += if self.step.is_none() { distance } else { 0.0 };
            if self.driven > RESTART_AFTER {
                self.next_step = 0;
            }
        }
        if self.step.is_some() || now.since(self.moved_at) < PATIENCE {
            return None;
        }
        self.moved_at = now;
        self.driven = 0.0;
        let step = match self.next_step % 4 {
            0 => RecoveryStep::Spin { heading: free_heading(pose, scan) },
            1 => RecoveryStep::BackUp { from: pose.position },
            2 => RecoveryStep::AddKeepout,
            _ => RecoveryStep::Wait,
        };
        self.next_step = self.next_step.wrapping_add(1) % 4;
        self.step = Some((step, now));
        Some(step)
    }

    /// Velocity command of the behavior in progress; `None` when it is over.
    pub(crate) fn control(&mut self, now: MonoTime, pose: &Pose, yaw_rate_max: f64) -> Option<Twist> {
        let (step, since) = self.step?;
        let over = now.since(since);
        let twist = match step {
            RecoveryStep::Spin { heading } => {
                let error = wrap_angle(heading - pose.heading);
                (error.abs() > 0.1 && over < STEP_TIME).then(|| Twist::planar(0.0, turn_rate(error, yaw_rate_max)))
            }
            RecoveryStep::BackUp { from } => {
                let far = from.distance(pose.position) >= BACK_UP || over > STEP_TIME;
                (!far).then(|| self.back_up(pose, yaw_rate_max))
            }
            RecoveryStep::AddKeepout => None,
            RecoveryStep::Wait => (over < WAIT).then_some(Twist::ZERO),
        };
        if twist.is_none() {
            self.step = None;
            self.moved_at = now;
        }
        twist
    }

    /// Towards the trail point about [`BACK_UP`] behind, in reverse or forward, whichever the robot faces.
    fn back_up(&self, pose: &Pose, yaw_rate_max: f64) -> Twist {
        let goal = self.trail.iter().rev().find(|at| at.distance(pose.position) > BACK_UP * 0.9);
        let goal = goal.copied().unwrap_or_else(|| pose.map_from_body(Point::new(-BACK_UP, 0.0)));
        let toward = (goal - pose.position).heading();
        let ahead = wrap_angle(toward - pose.heading);
        if ahead.abs() < std::f64::consts::FRAC_PI_2 {
            Twist::planar(BACK_UP_SPEED, (1.5 * ahead).clamp(-yaw_rate_max, yaw_rate_max))
        } else {
            let behind = wrap_angle(ahead + std::f64::consts::PI);
            Twist::planar(-BACK_UP_SPEED, (1.5 * behind).clamp(-yaw_rate_max, yaw_rate_max))
        }
    }

    fn extend_trail(&mut self, at: Point) {
        if self.trail.back().is_none_or(|last| last.distance(at) >= 0.1) {
            if self.trail.len() >= TRAIL_MAX {
                self.trail.pop_front();
            }
            self.trail.push_back(at);
        }
    }
}

/// The heading (map frame) with the largest sum of ranges around it. Ranges are capped so that one long beam through a
/// gap does not win.
fn free_heading(pose: &Pose, scan: &Scan) -> f64 {
    let range_of = |beam: usize| {
        scan.ranges.get(beam % BEAMS).map_or(0.0, |range| if range.is_nan() { 0.5 } else { f64::from(range.min(3.0)) })
    };
    let sum = |beam: usize| (BEAMS + beam - 15..=BEAMS + beam + 15).map(range_of).sum::<f64>();
    let best = (0..BEAMS).step_by(10).max_by(|a, b| sum(*a).total_cmp(&sum(*b))).unwrap_or(0);
    wrap_angle(pose.heading + Scan::angle_of(best))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::units::Meters;

    fn run(recovery: &mut Recovery, from_ms: u64, until_ms: u64, pose: &Pose) -> Vec<RecoveryStep> {
        let scan = Scan::nothing(Meters(10.0));
        let mut steps = Vec::new();
        for ms in (from_ms..until_ms).step_by(50) {
            let now = MonoTime::from_millis(ms);
            steps.extend(recovery.check_progress(now, pose, true, &scan));
            let _ = recovery.control(now, pose, 2.0);
        }
        steps
    }

    #[test]
    fn the_steps_follow_one_another_and_start_again() {
        let mut recovery = Recovery::new();
        let steps = run(&mut recovery, 0, 60_000, &Pose::new(1.0, 1.0, 0.0));
        let names: Vec<_> = steps.iter().map(RecoveryStep::name).collect();
        assert_eq!(names[..5], ["spin_to_free_side", "back_up", "add_keepout_ahead", "wait", "spin_to_free_side"]);
    }

    #[test]
    fn a_robot_that_moves_or_wants_to_stand_is_not_stuck() {
        let mut recovery = Recovery::new();
        let scan = Scan::nothing(Meters(10.0));
        for i in 0..400_u32 {
            let now = MonoTime::from_millis(u64::from(i) * 50);
            let moving = Pose::new(f64::from(i) * 0.02, 0.0, 0.0);
            assert_eq!(recovery.check_progress(now, &moving, true, &scan), None);
        }
        let stands = Pose::new(8.0, 0.0, 0.0);
        for i in 400..800_u32 {
            assert_eq!(recovery.check_progress(MonoTime::from_millis(u64::from(i) * 50), &stands, false, &scan), None);
        }
    }

    #[test]
    fn a_robot_that_rested_has_all_its_patience() {
        let mut recovery = Recovery::new();
        let pose = Pose::new(1.0, 1.0, 0.0);
        assert!(run(&mut recovery, 0, 1000, &pose).is_empty());
        recovery.reset(MonoTime::from_millis(60_000));
        assert!(run(&mut recovery, 60_050, 62_500, &pose).is_empty());
        assert_eq!(run(&mut recovery, 62_500, 63_500, &pose).len(), 1);
    }

    #[test]
    fn it_spins_to_the_free_side() {
        let mut scan = Scan::nothing(Meters(10.0));
        scan.ranges = [0.4; BEAMS];
        for beam in 60..120 {
            scan.ranges[beam] = 5.0;
        }
        let heading = free_heading(&Pose::new(0.0, 0.0, 0.0), &scan);
        assert!((heading - std::f64::consts::FRAC_PI_2).abs() < 0.3, "{heading}");
    }

    #[test]
    fn it_backs_up_along_its_trail() {
        let mut recovery = Recovery::new();
        let scan = Scan::nothing(Meters(10.0));
        for i in 0..20_u32 {
            let pose = Pose::new(f64::from(i) * 0.1, 0.0, 0.0);
            let _ = recovery.check_progress(MonoTime::from_millis(u64::from(i) * 100), &pose, true, &scan);
        }
        let twist = recovery.back_up(&Pose::new(1.9, 0.0, 0.0), 2.0);
        assert!(twist.vx < 0.0 && twist.yaw_rate.abs() < 0.2, "{twist:?}");
    }
}
