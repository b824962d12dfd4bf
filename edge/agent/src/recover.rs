//! Getting out of where the robot is stuck: it wants to move and does not.
//!
//! The ladder: turn towards the free side, back up along the way it came, take the place in front for blocked and plan
//! anew, wait. Each step is recorded; after the last the ladder begins again, so the robot never gives up silently.

use std::collections::VecDeque;
use std::time::Duration;

use skein_types::geometry::{Point, Pose, Twist, wrap_angle};
use skein_types::sensing::{BEAMS, Scan};
use skein_types::time::MonoTime;

use crate::follow::turn_rate;

/// Wanting to move without moving for this long is being stuck.
const PATIENCE: Duration = Duration::from_secs(3);
/// Moving this far is moving, metres.
const MOVED: f64 = 0.08;
/// Turning this far is moving, radians.
const TURNED: f64 = 0.2;
/// After this much way the ladder begins at its first step again, metres.
const FORGIVEN_AFTER: f64 = 1.0;
/// How far it backs up, metres.
pub(crate) const BACK_UP: f64 = 0.45;
/// How fast it backs up, m/s.
const BACK_UP_SPEED: f64 = 0.15;
/// Longest time for turning or backing up.
const STEP_TIME: Duration = Duration::from_millis(2500);
/// How long it waits at the end of the ladder.
const WAIT: Duration = Duration::from_secs(3);
/// Places remembered of the way it came, one each 0.1 m.
const TRAIL_MAX: usize = 40;

/// A step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Turn to this heading in the map's frame.
    Turn { heading: f64 },
    /// Drive backwards or forwards to where it came from.
    BackUp { from: Point },
    /// Take the place in front for blocked; a new plan follows.
    Block,
    /// Stand.
    Wait,
}

impl Step {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Turn { .. } => "turn_to_free_side",
            Self::BackUp { .. } => "back_up",
            Self::Block => "block_place_ahead",
            Self::Wait => "wait",
        }
    }
}

/// Watches for being stuck and leads out of it.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    moved_at: MonoTime,
    anchor: Option<Pose>,
    driven: f64,
    rung: u8,
    step: Option<(Step, MonoTime)>,
    trail: VecDeque<Point>,
}

impl Recovery {
    pub(crate) const fn new() -> Self {
        Self { moved_at: MonoTime::ZERO, anchor: None, driven: 0.0, rung: 0, step: None, trail: VecDeque::new() }
    }

    /// The step in progress.
    pub(crate) fn step(&self) -> Option<Step> {
        self.step.map(|(step, _)| step)
    }

    /// The robot does not want to move now: ends whatever it was doing, and patience begins anew.
    pub(crate) const fn rest(&mut self, now: MonoTime) {
        self.step = None;
        self.moved_at = now;
    }

    /// Notes where the robot is and whether it wants to move; says which step begins now, if one does.
    pub(crate) fn watch(&mut self, now: MonoTime, pose: &Pose, wants: bool, scan: &Scan) -> Option<Step> {
        self.follow_trail(pose.position);
        let anchor = *self.anchor.get_or_insert(*pose);
        let way = anchor.position.distance(pose.position);
        let moved = way > MOVED || wrap_angle(anchor.heading - pose.heading).abs() > TURNED;
        if moved || !wants {
            self.moved_at = now;
            self.anchor = Some(*pose);
            self.driven += if self.step.is_none() { way } else { 0.0 };
            if self.driven > FORGIVEN_AFTER {
                self.rung = 0;
            }
        }
        if self.step.is_some() || now.since(self.moved_at) < PATIENCE {
            return None;
        }
        self.moved_at = now;
        self.driven = 0.0;
        let step = match self.rung % 4 {
            0 => Step::Turn { heading: free_heading(pose, scan) },
            1 => Step::BackUp { from: pose.position },
            2 => Step::Block,
            _ => Step::Wait,
        };
        self.rung = self.rung.wrapping_add(1) % 4;
        self.step = Some((step, now));
        Some(step)
    }

    /// How to move during the step; `None` when it is over.
    pub(crate) fn drive(&mut self, now: MonoTime, pose: &Pose, yaw_rate_max: f64) -> Option<Twist> {
        let (step, since) = self.step?;
        let over = now.since(since);
        let twist = match step {
            Step::Turn { heading } => {
                let error = wrap_angle(heading - pose.heading);
                (error.abs() > 0.1 && over < STEP_TIME).then(|| Twist::planar(0.0, turn_rate(error, yaw_rate_max)))
            }
            Step::BackUp { from } => {
                let far = from.distance(pose.position) >= BACK_UP || over > STEP_TIME;
                (!far).then(|| self.back(pose, yaw_rate_max))
            }
            Step::Block => None,
            Step::Wait => (over < WAIT).then_some(Twist::ZERO),
        };
        if twist.is_none() {
            self.step = None;
            self.moved_at = now;
        }
        twist
    }

    /// Towards where it was about [`BACK_UP`] ago, backwards or forwards, whichever way it faces.
    fn back(&self, pose: &Pose, yaw_rate_max: f64) -> Twist {
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

    fn follow_trail(&mut self, at: Point) {
        if self.trail.back().is_none_or(|last| last.distance(at) >= 0.1) {
            if self.trail.len() >= TRAIL_MAX {
                self.trail.pop_front();
            }
            self.trail.push_back(at);
        }
    }
}

/// The heading (map frame) with the most room: the middle of the beams around it, each capped, so that one far beam
/// through a gap does not win.
fn free_heading(pose: &Pose, scan: &Scan) -> f64 {
    let room = |beam: usize| {
        scan.ranges.get(beam % BEAMS).map_or(0.0, |range| if range.is_nan() { 0.5 } else { f64::from(range.min(3.0)) })
    };
    let sum = |beam: usize| (BEAMS + beam - 15..=BEAMS + beam + 15).map(room).sum::<f64>();
    let best = (0..BEAMS).step_by(10).max_by(|a, b| sum(*a).total_cmp(&sum(*b))).unwrap_or(0);
    wrap_angle(pose.heading + Scan::angle_of(best))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::units::Meters;

    fn run(recovery: &mut Recovery, from_ms: u64, until_ms: u64, pose: &Pose) -> Vec<Step> {
        let scan = Scan::nothing(Meters(10.0));
        let mut steps = Vec::new();
        for ms in (from_ms..until_ms).step_by(50) {
            let now = MonoTime::from_millis(ms);
            steps.extend(recovery.watch(now, pose, true, &scan));
            let _ = recovery.drive(now, pose, 2.0);
        }
        steps
    }

    #[test]
    fn the_ladder_is_climbed_step_by_step_and_begins_again() {
        let mut recovery = Recovery::new();
        let steps = run(&mut recovery, 0, 60_000, &Pose::new(1.0, 1.0, 0.0));
        let names: Vec<_> = steps.iter().map(Step::name).collect();
        assert_eq!(names[..5], ["turn_to_free_side", "back_up", "block_place_ahead", "wait", "turn_to_free_side"]);
    }

    #[test]
    fn a_robot_that_moves_or_wants_to_stand_is_not_stuck() {
        let mut recovery = Recovery::new();
        let scan = Scan::nothing(Meters(10.0));
        for i in 0..400_u32 {
            let now = MonoTime::from_millis(u64::from(i) * 50);
            let moving = Pose::new(f64::from(i) * 0.02, 0.0, 0.0);
            assert_eq!(recovery.watch(now, &moving, true, &scan), None);
        }
        let stands = Pose::new(8.0, 0.0, 0.0);
        for i in 400..800_u32 {
            assert_eq!(recovery.watch(MonoTime::from_millis(u64::from(i) * 50), &stands, false, &scan), None);
        }
    }

    #[test]
    fn a_robot_that_rested_has_all_its_patience() {
        let mut recovery = Recovery::new();
        let pose = Pose::new(1.0, 1.0, 0.0);
        assert!(run(&mut recovery, 0, 1000, &pose).is_empty());
        recovery.rest(MonoTime::from_millis(60_000));
        assert!(run(&mut recovery, 60_050, 62_500, &pose).is_empty());
        assert_eq!(run(&mut recovery, 62_500, 63_500, &pose).len(), 1);
    }

    #[test]
    fn it_turns_to_where_there_is_room() {
        let mut scan = Scan::nothing(Meters(10.0));
        scan.ranges = [0.4; BEAMS];
        for beam in 60..120 {
            scan.ranges[beam] = 5.0;
        }
        let heading = free_heading(&Pose::new(0.0, 0.0, 0.0), &scan);
        assert!((heading - std::f64::consts::FRAC_PI_2).abs() < 0.3, "{heading}");
    }

    #[test]
    fn it_backs_up_the_way_it_came() {
        let mut recovery = Recovery::new();
        let scan = Scan::nothing(Meters(10.0));
        for i in 0..20_u32 {
            let pose = Pose::new(f64::from(i) * 0.1, 0.0, 0.0);
            let _ = recovery.watch(MonoTime::from_millis(u64::from(i) * 100), &pose, true, &scan);
        }
        let twist = recovery.back(&Pose::new(1.9, 0.0, 0.0), 2.0);
        assert!(twist.vx < 0.0 && twist.yaw_rate.abs() < 0.2, "{twist:?}");
    }
}
