//! Where the body was a moment ago, by dead reckoning: what was seen then is moved to where it is now.

use skein_types::geometry::{Point, Pose, wrap_angle};
use skein_types::sensing::SensorFrame;
use skein_types::time::MonoTime;

use crate::config::ReflexConfig;

/// Odometry that moved farther than its own motion allows by more than this share, or these metres and radians, was
/// reset.
const RESET_SHARE: f64 = 1.5;
const RESET_METERS: f64 = 0.1;
const RESET_RADIANS: f64 = 0.2;
/// Samples kept: 0.64 s at 100 Hz, twice the age of the oldest scan that is used.
const SAMPLES: usize = 64;

/// The last odometry poses, `odom_from_body`.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    samples: [(MonoTime, Pose); SAMPLES],
    /// How many were ever written.
    written: usize,
}

impl Track {
    pub(crate) const fn new() -> Self {
        let nowhere = Pose { position: Point::new(0.0, 0.0), z: 0.0, heading: 0.0 };
        Self { samples: [(MonoTime::ZERO, nowhere); SAMPLES], written: 0 }
    }

    /// Remembers a frame that is newer than the last. When the odometry was reset in between, all that was remembered
    /// is moved to its new frame; a caller that keeps poses of the old frame moves them by what is returned.
    #[must_use]
    pub(crate) fn remember(&mut self, config: &ReflexConfig, frame: &SensorFrame) -> Option<Reset> {
        let last = self.newest();
        if last.is_some_and(|(at, _)| frame.at <= at) {
            return None;
        }
        let reset = last.and_then(|last| Reset::between(config, last, frame));
        if let Some(reset) = &reset {
            for (_, pose) in &mut self.samples {
                *pose = reset.rebased(pose);
            }
        }
        if let Some(slot) = self.samples.get_mut(self.written % SAMPLES) {
            *slot = (frame.at, frame.odometry);
            self.written = self.written.wrapping_add(1);
        }
        reset
    }

    /// The pose at a moment: between two samples, beyond the newest by the measured twist, before the oldest by the
    /// same twist backwards.
    pub(crate) fn at(&self, time: MonoTime, frame: &SensorFrame) -> Pose {
        let Some((newest_at, newest)) = self.newest() else { return frame.odometry };
        if time >= newest_at {
            return newest.moved(&frame.twist, time.secs_since(newest_at));
        }
        let (mut later_at, mut later) = (newest_at, newest);
        for (at, pose) in self.backwards().skip(1) {
            if at <= time {
                let span = later_at.secs_since(at);
                return between(&pose, &later, if span > 0.0 { time.secs_since(at) / span } else { 0.0 });
            }
            (later_at, later) = (at, pose);
        }
        later.moved(&frame.twist, -later_at.secs_since(time))
    }

    fn newest(&self) -> Option<(MonoTime, Pose)> {
        self.backwards().next()
    }

    fn backwards(&self) -> impl Iterator<Item = (MonoTime, Pose)> + '_ {
        let kept = self.written.min(SAMPLES);
        (0..kept).filter_map(move |back| {
            let index = self.written.wrapping_sub(back.wrapping_add(1)) % SAMPLES;
            self.samples.get(index).copied()
        })
    }
}

/// The odometry began anew somewhere else, as after a restart of the body's own controller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reset {
    /// Where the body is in the old frame, as it moved on since the last sample.
    old: Pose,
    /// Where it is in the new frame.
    new: Pose,
}

impl Reset {
    fn between(config: &ReflexConfig, (at, last): (MonoTime, Pose), frame: &SensorFrame) -> Option<Self> {
        let seconds = frame.at.secs_since(at);
        let body = &config.descriptor;
        let farthest = RESET_SHARE * body.speed_max.0 * seconds + RESET_METERS;
        let widest = RESET_SHARE * body.yaw_rate_max.0 * seconds + RESET_RADIANS;
        let moved = relative(&last, &frame.odometry);
        let was_reset = moved.position.norm() > farthest || moved.heading.abs() > widest;
        was_reset.then(|| Self { old: last.moved(&frame.twist, seconds), new: frame.odometry })
    }

    /// A pose of the old frame, in the new one.
    pub(crate) fn rebased(&self, pose: &Pose) -> Pose {
        let seen = relative(&self.old, pose);
        Pose {
            position: self.new.map_from_body(seen.position),
            z: self.new.z + seen.z,
            heading: wrap_angle(self.new.heading + seen.heading),
        }
    }
}

fn between(from: &Pose, to: &Pose, share: f64) -> Pose {
    Pose {
        position: from.position.lerp(to.position, share),
        z: from.z + (to.z - from.z) * share,
        heading: wrap_angle(from.heading + wrap_angle(to.heading - from.heading) * share),
    }
}

/// `a_from_b` of two poses in the same frame: where `b` is, seen from `a`.
pub(crate) fn relative(a: &Pose, b: &Pose) -> Pose {
    Pose { position: a.body_from_map(b.position), z: b.z - a.z, heading: wrap_angle(b.heading - a.heading) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use skein_types::body::BodyDescriptor;
    use skein_types::geometry::Twist;
    use skein_types::units::Meters;

    fn config() -> ReflexConfig {
        ReflexConfig::new(BodyDescriptor::rover())
    }

    fn frame(at_ms: u64, odometry: Pose, twist: Twist) -> SensorFrame {
        SensorFrame { at: MonoTime::from_millis(at_ms), odometry, twist, ..SensorFrame::unknown(Meters(10.0)) }
    }

    fn drive(track: &mut Track, from_ms: u64, to_ms: u64, twist: Twist) -> SensorFrame {
        let mut last = frame(from_ms, Pose::default(), twist);
        for ms in (from_ms..=to_ms).step_by(10) {
            let pose = Pose::new(1.0, 2.0, 0.5).moved(&twist, ms as f64 / 1e3);
            last = frame(ms, pose, twist);
            assert_eq!(track.remember(&config(), &last), None);
        }
        last
    }

    #[test]
    fn a_pose_of_any_moment_is_found_between_beyond_and_before_the_samples() {
        let twist = Twist::planar(0.9, 1.1);
        let mut track = Track::new();
        let last = drive(&mut track, 100, 2_000, twist);
        for ms in [1_380, 1_500, 1_503, 1_999, 2_000, 2_030] {
            let truth = Pose::new(1.0, 2.0, 0.5).moved(&twist, f64::from(ms) / 1e3);
            let found = track.at(MonoTime::from_millis(ms as u64), &last);
            assert!(found.position.distance(truth.position) < 1e-4, "{ms}");
            assert!(wrap_angle(found.heading - truth.heading).abs() < 1e-6, "{ms}");
        }
        let long_ago = track.at(MonoTime::from_millis(1_200), &last);
        let truth = Pose::new(1.0, 2.0, 0.5).moved(&twist, 1.2);
        assert!(long_ago.position.distance(truth.position) < 1e-3);
    }

    #[test]
    fn an_empty_track_answers_with_the_frame_itself() {
        let only = frame(50, Pose::new(3.0, 4.0, 1.0), Twist::ZERO);
        assert_eq!(Track::new().at(MonoTime::from_millis(10), &only), only.odometry);
    }

    #[test]
    fn a_frame_that_is_not_newer_is_not_remembered() {
        let mut track = Track::new();
        assert_eq!(track.remember(&config(), &frame(50, Pose::new(1.0, 0.0, 0.0), Twist::ZERO)), None);
        assert_eq!(track.remember(&config(), &frame(50, Pose::new(9.0, 0.0, 0.0), Twist::ZERO)), None);
        assert_eq!(track.remember(&config(), &frame(40, Pose::new(9.0, 0.0, 0.0), Twist::ZERO)), None);
        let still = frame(50, Pose::default(), Twist::ZERO);
        assert_eq!(track.at(MonoTime::from_millis(50) + Duration::from_millis(5), &still).position.x, 1.0);
        assert_eq!(track.written, 1);
    }

    #[test]
    fn after_a_reset_of_the_odometry_what_was_seen_stays_where_it_is() {
        let twist = Twist::planar(0.9, 1.1);
        let mut track = Track::new();
        let last = drive(&mut track, 100, 2_000, twist);
        let seen_from = track.at(MonoTime::from_millis(1_900), &last);
        let before = relative(&track.at(MonoTime::from_millis(2_010), &last), &seen_from);
        // The next frame counts from an origin of its own.
        let anew = frame(2_010, Pose::new(0.0, 0.0, 0.0), twist);
        let reset = track.remember(&config(), &anew).unwrap();
        let after = relative(&anew.odometry, &reset.rebased(&seen_from));
        assert!(after.position.distance(before.position) < 1e-9 && (after.heading - before.heading).abs() < 1e-9);
        let rebased = relative(&anew.odometry, &track.at(MonoTime::from_millis(1_900), &anew));
        assert!(rebased.position.distance(before.position) < 1e-9);
        assert_eq!(track.remember(&config(), &frame(2_020, anew.odometry.moved(&twist, 0.01), twist)), None);
    }

    #[test]
    fn only_motion_that_the_body_cannot_make_is_a_reset() {
        // A rover at 1 m/s and 2 rad/s may move by 0.115 m and turn by 0.23 rad in 10 ms.
        for (pose, was_reset) in [
            (Pose::new(0.11, 0.0, 0.0), false),
            (Pose::new(0.0, -0.12, 0.0), true),
            (Pose::new(0.0, 0.0, -0.22), false),
            (Pose::new(0.0, 0.0, 0.24), true),
            (Pose::new(0.0, 0.0, -0.24), true),
        ] {
            let mut track = Track::new();
            assert_eq!(track.remember(&config(), &frame(50, Pose::default(), Twist::ZERO)), None);
            let reset = track.remember(&config(), &frame(60, pose, Twist::ZERO));
            assert_eq!(reset.is_some(), was_reset, "{pose:?}");
        }
    }

    #[test]
    fn a_heading_between_two_samples_takes_the_short_way_round() {
        let middle = between(&Pose::new(0.0, 0.0, 3.1), &Pose::new(0.0, 0.0, -3.1), 0.5);
        assert!((middle.heading.abs() - core::f64::consts::PI).abs() < 1e-9);
    }

    #[test]
    fn one_pose_seen_from_another_composes_back() {
        let (a, b) = (Pose::new(1.0, 2.0, 2.0), Pose::new(-3.0, 0.5, -2.5));
        let seen = relative(&a, &b);
        assert!(a.map_from_body(seen.position).distance(b.position) < 1e-12);
        assert!((wrap_angle(a.heading + seen.heading) - b.heading).abs() < 1e-12);
    }
}
