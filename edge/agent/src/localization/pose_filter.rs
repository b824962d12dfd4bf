//! State estimation: where the robot is now, from odometry and the localizer's estimates.
//!
//! The localizer's estimates are late and can jump; the odometry is prompt and drifts. The pose is the odometry in a
//! slowly corrected `map_from_odom`. An estimate that disagrees by more than a gate is ignored until it has been
//! repeated for [`JUMP_ACCEPTED_AFTER`].

use std::collections::VecDeque;
use std::time::Duration;

use skein_types::geometry::{Pose, wrap_angle};
use skein_types::sensing::{Battery, PoseEstimate, SensorFrame};
use skein_types::time::MonoTime;
use skein_types::units::Percent;

/// Odometry is kept this long, to look up the pose at the time of a late measurement.
const HISTORY: Duration = Duration::from_millis(1500);
/// Bound on the odometry history (100 Hz for [`HISTORY`]).
const HISTORY_MAX: usize = 160;
/// Time constant of the correction, seconds.
const CORRECTION_TIME: f64 = 0.25;
/// An estimate that differs by more than this is a jump, metres.
const GATE_POSITION: f64 = 0.30;
/// An estimate that differs by more than this is a jump, radians.
const GATE_HEADING: f64 = 0.35;
/// A jump repeated for this long is accepted; until then the pose follows the odometry alone.
const JUMP_ACCEPTED_AFTER: Duration = Duration::from_secs(6);
/// Standard deviation at which an estimate has half the weight of an exact one, metres.
const HALF_WEIGHT_STD: f64 = 0.08;
/// A step of the odometry between two frames beyond this means that it was reset, metres.
const ODOMETRY_RESET: f64 = 0.5;

/// `a_from_c` from `a_from_b` and `b_from_c`.
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

/// What a frame changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FrameEffect {
    /// The frame carries a lidar revolution that is new.
    pub(crate) new_scan: bool,
    /// A jump was accepted: how far the pose moved, metres.
    pub(crate) relocalized: Option<f64>,
}

/// Fuses odometry (100 Hz) with the localizer's late estimates.
#[derive(Clone, Debug)]
pub(crate) struct PoseFilter {
    frame: Option<Box<SensorFrame>>,
    history: VecDeque<(MonoTime, Pose)>,
    map_from_odom: Option<Pose>,
    estimate_at: MonoTime,
    contradicted_since: Option<MonoTime>,
    scan_at: MonoTime,
}

impl PoseFilter {
    pub(crate) fn new() -> Self {
        Self {
            frame: None,
            history: VecDeque::with_capacity(HISTORY_MAX),
            map_from_odom: None,
            estimate_at: MonoTime::ZERO,
            contradicted_since: None,
            scan_at: MonoTime::ZERO,
        }
    }

    /// The last accepted frame, unchanged.
    pub(crate) fn frame(&self) -> Option<&SensorFrame> {
        self.frame.as_deref()
    }

    /// `map_from_body` at the time of the last frame. `None` before the first estimate.
    pub(crate) fn pose(&self) -> Option<Pose> {
        let frame = self.frame.as_ref()?;
        Some(compose(&self.map_from_odom?, &frame.odometry))
    }

    /// `map_from_body` at a time within the last [`HISTORY`].
    pub(crate) fn pose_at(&self, at: MonoTime) -> Option<Pose> {
        Some(compose(&self.map_from_odom?, &self.odometry_at(at)?))
    }

    /// The localizer contradicts the pose at the moment.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.contradicted_since.is_some()
    }

    /// Full before the first frame.
    pub(crate) fn battery(&self) -> Battery {
        self.frame.as_ref().map_or(Battery { charge: Percent(100.0), charging: false }, |frame| frame.battery)
    }

    /// Takes a frame. Frames that are not finite or older than the last are ignored.
    pub(crate) fn on_frame(&mut self, frame: Box<SensorFrame>) -> FrameEffect {
        let finite = frame.odometry.is_finite() && frame.twist.is_finite() && frame.estimate.pose.is_finite();
        let older = self.frame.as_ref().is_some_and(|last| frame.at < last.at);
        if !finite || older {
            return FrameEffect::default();
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
        let relocalized = self.apply_estimate(frame.at, &frame.estimate, &frame.odometry);
        self.frame = Some(frame);
        FrameEffect { new_scan, relocalized }
    }

    /// Corrects the pose by an estimate. Returns the distance of an accepted jump, metres.
    fn apply_estimate(&mut self, now: MonoTime, estimate: &PoseEstimate, odometry: &Pose) -> Option<f64> {
        if estimate.at <= self.estimate_at {
            return None;
        }
        let since_last = estimate.at.secs_since(self.estimate_at).min(0.2);
        self.estimate_at = estimate.at;
        let then = self.odometry_at(estimate.at)?;
        let measured = compose(&compose(&estimate.pose, &inverse(&then)), odometry);
        let Some(map_from_odom) = self.map_from_odom else {
            self.map_from_odom = Some(compose(&measured, &inverse(odometry)));
            return None;
        };
        let predicted = compose(&map_from_odom, odometry);
        let error = measured.position - predicted.position;
        let turn = wrap_angle(measured.heading - predicted.heading);
        if error.norm() > GATE_POSITION || turn.abs() > GATE_HEADING {
            let since = *self.contradicted_since.get_or_insert(now);
            if now.since(since) < JUMP_ACCEPTED_AFTER {
                return None;
            }
            self.contradicted_since = None;
            self.map_from_odom = Some(compose(&measured, &inverse(odometry)));
            return Some(error.norm());
        }
        self.contradicted_since = None;
        let spread = estimate.position_std.get().max(0.0) / HALF_WEIGHT_STD;
        let share = since_last / (CORRECTION_TIME + since_last) / (1.0 + spread * spread);
        let corrected = Pose {
            position: predicted.position + error * share,
            z: measured.z,
            heading: wrap_angle(predicted.heading + turn * share),
        };
        self.map_from_odom = Some(compose(&corrected, &inverse(odometry)));
        None
    }

    /// Odometry at a time, interpolated; the nearest frame beyond the ends of the history.
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

    /// Drives east at 1 m/s from (5, 5) while the odometry counts north from its own zero.
    fn drive(filter: &mut PoseFilter, until_ms: u64, lag_ms: u64, jump: impl Fn(u64) -> f64) {
        for ms in (200..=until_ms).step_by(10) {
            let t = ms as f64 / 1000.0;
            let late = (ms - lag_ms) as f64 / 1000.0;
            let odometry = Pose::new(0.0, t, std::f64::consts::FRAC_PI_2);
            let _ = filter.on_frame(frame(ms, odometry, Pose::new(5.0 + late + jump(ms), 5.0, 0.0), lag_ms));
        }
    }

    #[test]
    fn a_late_estimate_is_carried_forward_by_odometry() {
        let mut filter = PoseFilter::new();
        drive(&mut filter, 2000, 100, |_| 0.0);
        let pose = filter.pose().unwrap();
        assert!(pose.position.distance(Point::new(7.0, 5.0)) < 0.02, "{pose:?}");
        assert!(pose.heading.abs() < 1e-6);
        let before = filter.pose_at(MonoTime::from_millis(1500)).unwrap();
        assert!(before.position.distance(Point::new(6.5, 5.0)) < 0.02, "{before:?}");
    }

    #[test]
    fn a_short_jump_is_not_followed_and_a_lasting_one_is() {
        let mut filter = PoseFilter::new();
        drive(&mut filter, 2000, 50, |ms| if (1000..1300).contains(&ms) { 2.0 } else { 0.0 });
        assert!(filter.pose().unwrap().position.distance(Point::new(7.0, 5.0)) < 0.05);
        assert!(!filter.is_contradicted());
        let mut moved = PoseFilter::new();
        drive(&mut moved, 9000, 50, |ms| if ms >= 1000 { 2.0 } else { 0.0 });
        assert!(moved.pose().unwrap().position.distance(Point::new(16.0, 5.0)) < 0.05);
    }

    #[test]
    fn frames_with_nan_are_ignored() {
        let mut filter = PoseFilter::new();
        drive(&mut filter, 1000, 0, |_| 0.0);
        let before = filter.pose();
        let _ = filter.on_frame(frame(1010, Pose::new(f64::NAN, 0.0, 0.0), Pose::default(), 0));
        assert_eq!(filter.pose(), before);
    }

    #[test]
    fn a_pose_and_its_inverse_cancel() {
        let pose = Pose::new(3.0, -2.0, 2.5);
        let none = compose(&pose, &inverse(&pose));
        assert!(none.position.norm() < 1e-12 && none.heading.abs() < 1e-12);
    }
}
