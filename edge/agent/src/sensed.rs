//! What the body senses, made into a belief: where the robot is now.
//!
//! The localiser's word is late and can jump; the odometry is prompt and drifts. The belief is the odometry carried by
//! a slowly corrected `map_from_odom`. A word that disagrees by more than a gate is not followed until it has been
//! repeated for a while.

use std::collections::VecDeque;
use std::time::Duration;

use skein_types::geometry::{Pose, wrap_angle};
use skein_types::sensing::{Battery, PoseEstimate, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::Percent;

/// How long odometry is kept to look up where the robot was when the localiser measured.
const HISTORY: Duration = Duration::from_millis(1500);
/// Most kept odometry poses (100 Hz for [`HISTORY`]).
const HISTORY_MAX: usize = 160;
/// Corrections are followed with this time constant, seconds.
const CORRECTION_TIME: f64 = 0.25;
/// A word that disagrees by more than this is a jump, metres.
const GATE_POSITION: f64 = 0.30;
/// A word that disagrees by more than this is a jump, radians.
const GATE_HEADING: f64 = 0.35;
/// A jump that is repeated for this long is believed; until then the odometry carries the belief.
const JUMP_BELIEVED_AFTER: Duration = Duration::from_secs(6);
/// A localiser that is this unsure is followed at half weight, metres; one much less sure hardly at all.
const UNSURE: f64 = 0.08;
/// Odometry that moves farther than this between two frames was reset, metres.
const ODOMETRY_RESET: f64 = 0.5;

/// `a` then `b`: the pose of `c` in `a`'s frame, from `a_from_b` and `b_from_c`.
pub(crate) fn compose(a_from_b: &Pose, b_from_c: &Pose) -> Pose {
    Pose {
        position: a_from_b.map_from_body(b_from_c.position),
        z: a_from_b.z + b_from_c.z,
        heading: wrap_angle(a_from_b.heading + b_from_c.heading),
    }
}

/// `b_from_a` from `a_from_b`.
pub(crate) fn inverse(a_from_b: &Pose) -> Pose {
    Pose {
        position: (a_from_b.position * -1.0).rotated(-a_from_b.heading),
        z: -a_from_b.z,
        heading: wrap_angle(-a_from_b.heading),
    }
}

/// What came of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Heard {
    /// A lidar revolution that was not seen before.
    pub(crate) new_scan: bool,
    /// The belief was moved to a far place, by so many metres.
    pub(crate) relocalised: Option<f64>,
}

/// The belief.
#[derive(Clone, Debug)]
pub(crate) struct Sensed {
    frame: Option<Box<SensorFrame>>,
    history: VecDeque<(MonoTime, Pose)>,
    map_from_odom: Option<Pose>,
    estimate_at: MonoTime,
    doubted_since: Option<MonoTime>,
    scan_at: MonoTime,
}

impl Sensed {
    pub(crate) fn new() -> Self {
        Self {
            frame: None,
            history: VecDeque::with_capacity(HISTORY_MAX),
            map_from_odom: None,
            estimate_at: MonoTime::ZERO,
            doubted_since: None,
            scan_at: MonoTime::ZERO,
        }
    }

    /// The last frame, as it came.
    pub(crate) fn frame(&self) -> Option<&SensorFrame> {
        self.frame.as_deref()
    }

    /// Where the robot believes it is, at the time of the last frame. `None` until the localiser has spoken.
    pub(crate) fn pose(&self) -> Option<Pose> {
        let frame = self.frame.as_ref()?;
        Some(compose(&self.map_from_odom?, &frame.odometry))
    }

    /// Where it believes it was at a moment of the recent past.
    pub(crate) fn pose_at(&self, at: MonoTime) -> Option<Pose> {
        Some(compose(&self.map_from_odom?, &self.odometry_at(at)?))
    }

    /// The localiser contradicts the belief.
    pub(crate) fn doubts(&self) -> bool {
        self.doubted_since.is_some()
    }

    /// The energy on board; full when nothing is known.
    pub(crate) fn battery(&self) -> Battery {
        self.frame.as_ref().map_or(Battery { charge: Percent(100.0), charging: false }, |frame| frame.battery)
    }

    /// Takes a frame. Frames with numbers that are no numbers are not believed.
    pub(crate) fn hear(&mut self, frame: Box<SensorFrame>) -> Heard {
        let sound = frame.odometry.is_finite() && frame.twist.is_finite() && frame.estimate.pose.is_finite();
        let older = self.frame.as_ref().is_some_and(|last| frame.at < last.at);
        if !sound || older {
            return Heard::default();
        }
        if self.history.back().is_some_and(|(_, last)| last.position.distance(frame.odometry.position) > ODOMETRY_RESET)
        {
            self.history.clear();
        }
        self.history.push_back((frame.at, frame.odometry));
        while self.history.len() > HISTORY_MAX
            || self.history.front().is_some_and(|(at, _)| frame.at.since(*at) > HISTORY)
        {
            self.history.pop_front();
        }
        let new_scan = frame.scan.at > self.scan_at;
        self.scan_at = self.scan_at.max(frame.scan.at);
        let relocalised = self.correct(frame.at, &frame.estimate, &frame.odometry);
        self.frame = Some(frame);
        Heard { new_scan, relocalised }
    }

    /// Follows the localiser. Returns how far the belief jumped, if it did.
    fn correct(&mut self, now: MonoTime, estimate: &PoseEstimate, odometry: &Pose) -> Option<f64> {
        if estimate.at <= self.estimate_at {
            return None;
        }
        let since_last = estimate.at.secs_since(self.estimate_at).min(0.2);
        self.estimate_at = estimate.at;
        let then = self.odometry_at(estimate.at)?;
        let word = compose(&compose(&estimate.pose, &inverse(&then)), odometry);
        let Some(map_from_odom) = self.map_from_odom else {
            self.map_from_odom = Some(compose(&word, &inverse(odometry)));
            return None;
        };
        let belief = compose(&map_from_odom, odometry);
        let error = word.position - belief.position;
        let turn = wrap_angle(word.heading - belief.heading);
        if error.norm() > GATE_POSITION || turn.abs() > GATE_HEADING {
            let since = *self.doubted_since.get_or_insert(now);
            if now.since(since) < JUMP_BELIEVED_AFTER {
                return None;
            }
            self.doubted_since = None;
            self.map_from_odom = Some(compose(&word, &inverse(odometry)));
            return Some(error.norm());
        }
        self.doubted_since = None;
        let unsure = estimate.position_std.get().max(0.0) / UNSURE;
        let share = since_last / (CORRECTION_TIME + since_last) / (1.0 + unsure * unsure);
        let corrected = Pose {
            position: belief.position + error * share,
            z: word.z,
            heading: wrap_angle(belief.heading + turn * share),
        };
        self.map_from_odom = Some(compose(&corrected, &inverse(odometry)));
        None
    }

    /// Odometry at a moment, between the two frames around it; the nearest one at the ends.
    fn odometry_at(&self, at: MonoTime) -> Option<Pose> {
        let after = self.history.partition_point(|(t, _)| *t < at);
        let Some((t1, p1)) = self.history.get(after) else { return self.history.back().map(|(_, pose)| *pose) };
        let Some((t0, p0)) = after.checked_sub(1).and_then(|i| self.history.get(i)) else { return Some(*p1) };
        let span = t1.secs_since(*t0);
        let share = if span > 0.0 { at.secs_since(*t0) / span } else { 1.0 };
        Some(Pose {
            position: p0.position.lerp(p1.position, share),
            z: p0.z + (p1.z - p0.z) * share,
            heading: wrap_angle(p0.heading + wrap_angle(p1.heading - p0.heading) * share),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::geometry::{Point, Twist};
    use skein_types::units::{Meters, Radians};

    fn frame(at_ms: u64, odometry: Pose, estimate: Pose, lag_ms: u64) -> Box<SensorFrame> {
        let mut frame = SensorFrame::unknown(Meters(10.0));
        frame.at = MonoTime::from_millis(at_ms);
        frame.odometry = odometry;
        frame.twist = Twist::planar(1.0, 0.0);
        frame.estimate = PoseEstimate {
            pose: estimate,
            position_std: Meters(0.02),
            heading_std: Radians(0.01),
            at: MonoTime::from_millis(at_ms.saturating_sub(lag_ms)),
        };
        Box::new(frame)
    }

    /// Drives east at 1 m/s from (5, 5) while the odometry believes it goes north from its own zero.
    fn drive(sensed: &mut Sensed, until_ms: u64, lag_ms: u64, jump: impl Fn(u64) -> f64) {
        for ms in (200..=until_ms).step_by(10) {
            let t = ms as f64 / 1000.0;
            let late = (ms - lag_ms) as f64 / 1000.0;
            let odometry = Pose::new(0.0, t, std::f64::consts::FRAC_PI_2);
            let _ = sensed.hear(frame(ms, odometry, Pose::new(5.0 + late + jump(ms), 5.0, 0.0), lag_ms));
        }
    }

    #[test]
    fn a_late_word_of_the_localiser_is_carried_forward_by_the_odometry() {
        let mut sensed = Sensed::new();
        drive(&mut sensed, 2000, 100, |_| 0.0);
        let pose = sensed.pose().unwrap();
        assert!(pose.position.distance(Point::new(7.0, 5.0)) < 0.02, "{pose:?}");
        assert!(pose.heading.abs() < 1e-6);
        let before = sensed.pose_at(MonoTime::from_millis(1500)).unwrap();
        assert!(before.position.distance(Point::new(6.5, 5.0)) < 0.02, "{before:?}");
    }

    #[test]
    fn a_short_jump_is_not_followed_and_a_lasting_one_is() {
        let mut sensed = Sensed::new();
        drive(&mut sensed, 2000, 50, |ms| if (1000..1300).contains(&ms) { 2.0 } else { 0.0 });
        assert!(sensed.pose().unwrap().position.distance(Point::new(7.0, 5.0)) < 0.05);
        assert!(!sensed.doubts());
        let mut moved = Sensed::new();
        drive(&mut moved, 9000, 50, |ms| if ms >= 1000 { 2.0 } else { 0.0 });
        assert!(moved.pose().unwrap().position.distance(Point::new(16.0, 5.0)) < 0.05);
    }

    #[test]
    fn numbers_that_are_no_numbers_are_not_believed() {
        let mut sensed = Sensed::new();
        drive(&mut sensed, 1000, 0, |_| 0.0);
        let before = sensed.pose();
        let _ = sensed.hear(frame(1010, Pose::new(f64::NAN, 0.0, 0.0), Pose::default(), 0));
        assert_eq!(sensed.pose(), before);
    }

    #[test]
    fn a_pose_and_its_inverse_cancel() {
        let pose = Pose::new(3.0, -2.0, 2.5);
        let none = compose(&pose, &inverse(&pose));
        assert!(none.position.norm() < 1e-12 && none.heading.abs() < 1e-12);
    }
}
