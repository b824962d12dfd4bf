//! Path following: pure pursuit with rotation in place for differential drives, a velocity vector along the path for
//! bodies that move in any direction.

use skein_types::body::Drive;
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};

use crate::navigation::trajectory::{Limits, TrackingState, Trajectory};

/// Heading error above which the robot rotates in place instead of driving a curve, radians.
const ROTATE_ABOVE: f64 = 1.0;
/// Heading error below which a rotation in place ends, radians.
const ROTATED_BELOW: f64 = 0.2;
/// A path that starts behind the robot and is shorter than this is driven in reverse, metres.
const REVERSE_MAX: f64 = 2.0;

/// Limits on the speed besides the trajectory's own profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SpeedLimits {
    /// Distance along the path at which the robot must stand, metres.
    pub(crate) stop_distance: f64,
    /// Upper bound for other reasons, m/s.
    pub(crate) speed: f64,
    /// Free distance ahead measured by the reflex, metres.
    pub(crate) clear: f64,
}

impl SpeedLimits {
    /// Nothing in front and nothing beside.
    pub(crate) const NONE: Self = Self { stop_distance: f64::INFINITY, speed: f64::INFINITY, clear: f64::INFINITY };
}

/// Output of one control step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ControlOutput {
    pub(crate) twist: Twist,
    /// Upper bound of the speed announced to the reflex, m/s.
    pub(crate) speed_limit: f64,
    /// Cross-track error, metres.
    pub(crate) cross_track: f64,
    /// Remaining length of the path, metres.
    pub(crate) remaining: f64,
}

impl ControlOutput {
    /// Stand: zero velocity.
    pub(crate) const STAND: Self = Self { twist: Twist::ZERO, speed_limit: 0.0, cross_track: 0.0, remaining: 0.0 };
}

/// Follows one trajectory after another.
#[derive(Clone, Debug)]
pub(crate) struct PathFollower {
    drive: Drive,
    limits: Limits,
    speed: f64,
    rotating: bool,
    reverse: bool,
}

impl PathFollower {
    pub(crate) const fn new(drive: Drive, limits: Limits) -> Self {
        Self { drive, limits, speed: 0.0, rotating: false, reverse: false }
    }

    /// Starts a new trajectory: decides whether to drive it in reverse.
    pub(crate) fn start(&mut self, trajectory: &Trajectory, pose: &Pose, may_reverse: bool) {
        let first = trajectory.points_within(0.5).last().map_or(pose.position, |(at, _)| at);
        let toward = first - pose.position;
        let behind = toward.norm() > 0.05 && wrap_angle(toward.heading() - pose.heading).abs() > 2.0;
        self.reverse = may_reverse && behind && trajectory.length() < REVERSE_MAX && self.drive == Drive::Differential;
        self.rotating = false;
    }

    /// The robot stands or something else moves it: the next speed ramps up from the measured velocity.
    pub(crate) fn reset_speed(&mut self, twist: &Twist) {
        self.speed = if self.reverse { -twist.vx } else { twist.speed() }.max(0.0);
        self.rotating = false;
    }

    /// One control step of `dt` seconds.
    pub(crate) fn step(
        &mut self,
        trajectory: &mut Trajectory,
        pose: &Pose,
        limits: &SpeedLimits,
        dt: f64,
    ) -> ControlOutput {
        let facing = if self.reverse { wrap_angle(pose.heading + std::f64::consts::PI) } else { pose.heading };
        let lookahead = match self.drive {
            Drive::Differential => 0.22 + 0.45 * self.speed,
            Drive::Holonomic | Drive::Multirotor => 0.15 + 0.2 * self.speed,
        };
        let Some(ahead) = trajectory.track(pose.position, lookahead) else { return ControlOutput::STAND };
        let top = self.top_speed(&ahead, limits);
        match self.drive {
            Drive::Differential => self.pursue(pose, facing, &ahead, top, dt),
            Drive::Holonomic | Drive::Multirotor => self.translate(pose, &ahead, top, dt),
        }
    }

    /// The highest speed that the profile, the stop ahead and the reflex allow, m/s.
    fn top_speed(&self, ahead: &TrackingState, limits: &SpeedLimits) -> f64 {
        let stop = (2.0 * self.limits.braking * (limits.stop_distance - 0.02).max(0.0)).sqrt();
        let clear = (2.0 * self.limits.braking * (limits.clear - 0.12).max(0.0)).sqrt().max(self.limits.speed_min);
        let top = ahead.speed.min(limits.speed).min(clear);
        if limits.stop_distance < 0.05 { 0.0 } else { top.min(stop) }
    }

    fn pursue(&mut self, pose: &Pose, facing: f64, ahead: &TrackingState, top: f64, dt: f64) -> ControlOutput {
        let toward = ahead.target - pose.position;
        let error = if toward.norm() < 0.03 { 0.0 } else { wrap_angle(toward.heading() - facing) };
        let stands = self.speed < 0.25;
        if self.rotating && error.abs() < ROTATED_BELOW {
            self.rotating = false;
        } else if error.abs() > ROTATE_ABOVE || (stands && error.abs() > 0.6) {
            self.rotating = true;
        }
        if self.rotating {
            self.speed = (self.speed - 1.5 * self.limits.braking * dt).max(0.0);
            let yaw_rate = if top <= 0.0 && stands { 0.0 } else { turn_rate(error, self.limits.yaw_rate) };
            return self.output(yaw_rate, top, ahead);
        }
        let distance = toward.norm().max(0.12);
        let curvature = 2.0 * error.sin() / distance;
        let bend = self.limits.yaw_rate * 0.8 / curvature.abs().max(1e-6);
        self.ramp(top.min(bend.max(self.limits.speed_min)) * error.cos().max(0.2), dt);
        let yaw_rate = (self.speed * curvature).clamp(-self.limits.yaw_rate, self.limits.yaw_rate);
        self.output(yaw_rate, top, ahead)
    }

    fn output(&self, yaw_rate: f64, top: f64, ahead: &TrackingState) -> ControlOutput {
        let forward = if self.reverse { -self.speed } else { self.speed };
        ControlOutput {
            twist: Twist::planar(forward, yaw_rate),
            speed_limit: top.max(self.speed).max(self.limits.speed_min),
            cross_track: ahead.cross_track,
            remaining: ahead.remaining,
        }
    }

    /// For bodies that move in any direction: a vector to the target; the heading slowly follows the path.
    fn translate(&mut self, pose: &Pose, ahead: &TrackingState, top: f64, dt: f64) -> ControlOutput {
        let toward = ahead.target - pose.position;
        let distance = toward.norm();
        self.ramp(top.min(distance * 3.0), dt);
        let direction = if distance > 1e-6 { toward * (1.0 / distance) } else { Point::default() };
        let body = (direction * self.speed).rotated(-pose.heading);
        let turn = if self.speed > 0.1 { wrap_angle(ahead.heading - pose.heading) } else { 0.0 };
        let twist = Twist { vx: body.x, vy: body.y, vz: 0.0, yaw_rate: turn_rate(turn, self.limits.yaw_rate) * 0.5 };
        let speed_limit = top.max(self.speed).max(self.limits.speed_min);
        ControlOutput { twist, speed_limit, cross_track: ahead.cross_track, remaining: ahead.remaining }
    }

    fn ramp(&mut self, wanted: f64, dt: f64) {
        let up = self.speed + self.limits.acceleration * dt;
        let down = self.speed - 2.0 * self.limits.braking * dt;
        self.speed = wanted.clamp(down.min(up), up).max(0.0);
    }
}

/// Yaw rate against a heading error, rad/s: proportional, with a lower bound so that the rotation ends.
pub(crate) fn turn_rate(error: f64, rate_max: f64) -> f64 {
    let rate = (2.5 * error.abs()).clamp(0.0, rate_max * 0.9);
    rate.max(if error.abs() > 0.05 { 0.15 } else { 0.0 }).copysign(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::navigation::trajectory::tests::LIMITS;

    const DT: f64 = 0.05;

    /// A kinematic point without delay.
    fn drive_to_end(drive: Drive, corners: &[Point], start: Pose) -> (Vec<Pose>, f64) {
        let mut trajectory = Trajectory::new(corners, &LIMITS, |_| 2.0);
        let mut follower = PathFollower::new(drive, LIMITS);
        follower.start(&trajectory, &start, true);
        let (mut pose, mut trace, mut worst) = (start, Vec::new(), 0.0_f64);
        for _ in 0..2000 {
            let output = follower.step(&mut trajectory, &pose, &SpeedLimits::NONE, DT);
            if output.remaining < 0.06 {
                break;
            }
            worst = worst.max(output.cross_track);
            let heading = wrap_angle(pose.heading + output.twist.yaw_rate * DT);
            let velocity = Point::new(output.twist.vx, output.twist.vy).rotated(pose.heading);
            pose = Pose { position: pose.position + velocity * DT, z: 0.0, heading };
            trace.push(pose);
        }
        (trace, worst)
    }

    #[test]
    fn it_follows_a_path_with_corners_to_its_end() {
        let corners = [Point::new(0.0, 0.0), Point::new(4.0, 0.0), Point::new(4.0, 3.0), Point::new(1.0, 3.5)];
        for drive in [Drive::Differential, Drive::Holonomic] {
            let (trace, worst) = drive_to_end(drive, &corners, Pose::new(0.0, 0.0, 2.0));
            let end = trace.last().unwrap().position;
            assert!(end.distance(corners[3]) < 0.1, "{drive:?} ends at {end:?}");
            assert!(worst < 0.12, "{drive:?} strays {worst} m");
            let seconds = trace.len() as f64 * DT;
            assert!(seconds < 15.0, "{drive:?} takes {seconds} s");
        }
    }

    #[test]
    fn a_hairpin_is_rotated_in_place() {
        let corners = [Point::new(0.0, 0.0), Point::new(3.0, 0.0), Point::new(0.0, 0.2)];
        let (trace, worst) = drive_to_end(Drive::Differential, &corners, Pose::new(0.0, 0.0, 0.0));
        assert!(trace.last().unwrap().position.distance(corners[2]) < 0.1);
        assert!(worst < 0.12, "strays {worst} m");
    }

    #[test]
    fn a_short_path_behind_is_driven_in_reverse() {
        let corners = [Point::new(0.0, 0.0), Point::new(-1.0, 0.0)];
        let (trace, _) = drive_to_end(Drive::Differential, &corners, Pose::new(0.0, 0.0, 0.0));
        assert!(trace.last().unwrap().position.distance(corners[1]) < 0.1);
        assert!(trace.iter().all(|pose| pose.heading.abs() < 0.3), "it turned");
    }

    #[test]
    fn it_stands_before_the_stop_distance() {
        let corners = [Point::new(0.0, 0.0), Point::new(10.0, 0.0)];
        let mut trajectory = Trajectory::new(&corners, &LIMITS, |_| 2.0);
        let mut follower = PathFollower::new(Drive::Differential, LIMITS);
        let mut pose = Pose::new(0.0, 0.0, 0.0);
        for _ in 0..400 {
            let limits = SpeedLimits { stop_distance: 4.0 - pose.position.x, ..SpeedLimits::NONE };
            let output = follower.step(&mut trajectory, &pose, &limits, DT);
            pose.position.x += output.twist.vx * DT;
        }
        assert!((3.8..=4.0).contains(&pose.position.x), "stands at {}", pose.position.x);
    }

    #[test]
    fn speed_rises_within_the_acceleration_limit() {
        let mut trajectory = Trajectory::new(&[Point::new(0.0, 0.0), Point::new(10.0, 0.0)], &LIMITS, |_| 2.0);
        let mut follower = PathFollower::new(Drive::Differential, LIMITS);
        let mut last = 0.0;
        for _ in 0..40 {
            let output = follower.step(&mut trajectory, &Pose::new(last, 0.0, 0.0), &SpeedLimits::NONE, DT);
            assert!(output.twist.vx - last <= LIMITS.acceleration * DT + 1e-9);
            assert!(output.twist.vx <= output.speed_limit + 1e-9);
            last = output.twist.vx;
        }
        assert!((last - 1.0).abs() < 1e-6);
    }
}
