//! From a way to a velocity: pure pursuit with turning on the spot for what has to face where it goes, and a vector
//! along the way for what does not.

use skein_types::body::Drive;
use skein_types::geometry::{Point, Pose, Twist, wrap_angle};

use crate::route::{Ahead, Limits, Route};

/// Where the follower turns on the spot instead of driving a curve, radians.
const TURN_ON_SPOT: f64 = 1.0;
/// Where it drives on after turning on the spot, radians.
const TURNED: f64 = 0.2;
/// A way that starts behind the robot and is shorter than this is driven backwards, metres.
const BACKWARDS_MAX: f64 = 2.0;

/// What holds the robot back besides its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Brake {
    /// Metres along the way at which it must stand.
    pub(crate) stop_in: f64,
    /// Fastest allowed for other reasons, m/s.
    pub(crate) speed: f64,
    /// Free distance ahead as the reflex measured it, metres.
    pub(crate) clear: f64,
}

impl Brake {
    /// Nothing holds it back.
    pub(crate) const NONE: Self = Self { stop_in: f64::INFINITY, speed: f64::INFINITY, clear: f64::INFINITY };
}

/// What the follower wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) twist: Twist,
    /// The speed it promises not to exceed here.
    pub(crate) speed_limit: f64,
    /// Metres off the way.
    pub(crate) off: f64,
    /// Metres left.
    pub(crate) left: f64,
}

impl Wish {
    /// Stand.
    pub(crate) const STAND: Self = Self { twist: Twist::ZERO, speed_limit: 0.0, off: 0.0, left: 0.0 };
}

/// Follows one way after another.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    drive: Drive,
    limits: Limits,
    speed: f64,
    turning: bool,
    backwards: bool,
}

impl Follower {
    pub(crate) const fn new(drive: Drive, limits: Limits) -> Self {
        Self { drive, limits, speed: 0.0, turning: false, backwards: false }
    }

    /// A new way: decides whether to drive it backwards.
    pub(crate) fn begin(&mut self, route: &Route, pose: &Pose, may_reverse: bool) {
        let first = route.walk(0.5).last().map_or(pose.position, |(at, _)| at);
        let toward = first - pose.position;
        let behind = toward.norm() > 0.05 && wrap_angle(toward.heading() - pose.heading).abs() > 2.0;
        self.backwards = may_reverse && behind && route.length() < BACKWARDS_MAX && self.drive == Drive::Differential;
        self.turning = false;
    }

    /// The robot stands or is moved by something else: the next speed ramps up from what it really has.
    pub(crate) fn forget_speed(&mut self, twist: &Twist) {
        self.speed = if self.backwards { -twist.vx } else { twist.speed() }.max(0.0);
        self.turning = false;
    }

    /// One step of `dt` seconds.
    pub(crate) fn step(&mut self, route: &mut Route, pose: &Pose, brake: &Brake, dt: f64) -> Wish {
        let facing = if self.backwards { wrap_angle(pose.heading + std::f64::consts::PI) } else { pose.heading };
        let lookahead = match self.drive {
            Drive::Differential => 0.22 + 0.45 * self.speed,
            Drive::Holonomic | Drive::Multirotor => 0.15 + 0.2 * self.speed,
        };
        let Some(ahead) = route.follow(pose.position, lookahead) else { return Wish::STAND };
        let top = self.top_speed(&ahead, brake);
        match self.drive {
            Drive::Differential => self.pursue(pose, facing, &ahead, top, dt),
            Drive::Holonomic | Drive::Multirotor => self.glide(pose, &ahead, top, dt),
        }
    }

    /// The fastest speed that the way, the stop ahead and the reflex allow.
    fn top_speed(&self, ahead: &Ahead, brake: &Brake) -> f64 {
        let stop = (2.0 * self.limits.braking * (brake.stop_in - 0.02).max(0.0)).sqrt();
        let clear = (2.0 * self.limits.braking * (brake.clear - 0.12).max(0.0)).sqrt().max(self.limits.speed_min);
        let top = ahead.speed.min(brake.speed).min(clear);
        if brake.stop_in < 0.05 { 0.0 } else { top.min(stop) }
    }

    fn pursue(&mut self, pose: &Pose, facing: f64, ahead: &Ahead, top: f64, dt: f64) -> Wish {
        let toward = ahead.target - pose.position;
        let error = if toward.norm() < 0.03 { 0.0 } else { wrap_angle(toward.heading() - facing) };
        let stands = self.speed < 0.25;
        if self.turning && error.abs() < TURNED {
            self.turning = false;
        } else if error.abs() > TURN_ON_SPOT || (stands && error.abs() > 0.6) {
            self.turning = true;
        }
        if self.turning {
            self.speed = (self.speed - 1.5 * self.limits.braking * dt).max(0.0);
            let yaw_rate = if top <= 0.0 && stands { 0.0 } else { turn_rate(error, self.limits.yaw_rate) };
            return self.wish(yaw_rate, top, ahead);
        }
        let distance = toward.norm().max(0.12);
        let curvature = 2.0 * error.sin() / distance;
        let bend = self.limits.yaw_rate * 0.8 / curvature.abs().max(1e-6);
        self.ramp(top.min(bend.max(self.limits.speed_min)) * error.cos().max(0.2), dt);
        let yaw_rate = (self.speed * curvature).clamp(-self.limits.yaw_rate, self.limits.yaw_rate);
        self.wish(yaw_rate, top, ahead)
    }

    fn wish(&self, yaw_rate: f64, top: f64, ahead: &Ahead) -> Wish {
        let forward = if self.backwards { -self.speed } else { self.speed };
        Wish {
            twist: Twist::planar(forward, yaw_rate),
            speed_limit: top.max(self.speed).max(self.limits.speed_min),
            off: ahead.off,
            left: ahead.left,
        }
    }

    /// For bodies that move in any direction: a vector to the target; the front slowly follows the way.
    fn glide(&mut self, pose: &Pose, ahead: &Ahead, top: f64, dt: f64) -> Wish {
        let toward = ahead.target - pose.position;
        let distance = toward.norm();
        self.ramp(top.min(distance * 3.0), dt);
        let direction = if distance > 1e-6 { toward * (1.0 / distance) } else { Point::default() };
        let body = (direction * self.speed).rotated(-pose.heading);
        let turn = if self.speed > 0.1 { wrap_angle(ahead.heading - pose.heading) } else { 0.0 };
        let twist = Twist { vx: body.x, vy: body.y, vz: 0.0, yaw_rate: turn_rate(turn, self.limits.yaw_rate) * 0.5 };
        let speed_limit = top.max(self.speed).max(self.limits.speed_min);
        Wish { twist, speed_limit, off: ahead.off, left: ahead.left }
    }

    fn ramp(&mut self, wanted: f64, dt: f64) {
        let up = self.speed + self.limits.acceleration * dt;
        let down = self.speed - 2.0 * self.limits.braking * dt;
        self.speed = wanted.clamp(down.min(up), up).max(0.0);
    }
}

/// How fast to turn to lose a heading error: proportional, with a least rate so that it ends.
pub(crate) fn turn_rate(error: f64, rate_max: f64) -> f64 {
    let rate = (2.5 * error.abs()).clamp(0.0, rate_max * 0.9);
    rate.max(if error.abs() > 0.05 { 0.15 } else { 0.0 }).copysign(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::LIMITS;

    const DT: f64 = 0.05;

    /// A point with wheels and no delay.
    fn drive_to_end(drive: Drive, corners: &[Point], start: Pose) -> (Vec<Pose>, f64) {
        let mut route = Route::new(corners, &LIMITS, |_| 2.0);
        let mut follower = Follower::new(drive, LIMITS);
        follower.begin(&route, &start, true);
        let (mut pose, mut trace, mut worst) = (start, Vec::new(), 0.0_f64);
        for _ in 0..2000 {
            let wish = follower.step(&mut route, &pose, &Brake::NONE, DT);
            if wish.left < 0.06 {
                break;
            }
            worst = worst.max(wish.off);
            let heading = wrap_angle(pose.heading + wish.twist.yaw_rate * DT);
            let velocity = Point::new(wish.twist.vx, wish.twist.vy).rotated(pose.heading);
            pose = Pose { position: pose.position + velocity * DT, z: 0.0, heading };
            trace.push(pose);
        }
        (trace, worst)
    }

    #[test]
    fn it_reaches_the_end_of_a_way_with_corners_and_stays_near_it() {
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
    fn a_hairpin_is_turned_on_the_spot() {
        let corners = [Point::new(0.0, 0.0), Point::new(3.0, 0.0), Point::new(0.0, 0.2)];
        let (trace, worst) = drive_to_end(Drive::Differential, &corners, Pose::new(0.0, 0.0, 0.0));
        assert!(trace.last().unwrap().position.distance(corners[2]) < 0.1);
        assert!(worst < 0.12, "strays {worst} m");
    }

    #[test]
    fn a_short_way_behind_is_driven_backwards() {
        let corners = [Point::new(0.0, 0.0), Point::new(-1.0, 0.0)];
        let (trace, _) = drive_to_end(Drive::Differential, &corners, Pose::new(0.0, 0.0, 0.0));
        assert!(trace.last().unwrap().position.distance(corners[1]) < 0.1);
        assert!(trace.iter().all(|pose| pose.heading.abs() < 0.3), "it turned");
    }

    #[test]
    fn it_stands_before_the_place_where_it_must_stop() {
        let corners = [Point::new(0.0, 0.0), Point::new(10.0, 0.0)];
        let mut route = Route::new(&corners, &LIMITS, |_| 2.0);
        let mut follower = Follower::new(Drive::Differential, LIMITS);
        let mut pose = Pose::new(0.0, 0.0, 0.0);
        for _ in 0..400 {
            let brake = Brake { stop_in: 4.0 - pose.position.x, ..Brake::NONE };
            let wish = follower.step(&mut route, &pose, &brake, DT);
            pose.position.x += wish.twist.vx * DT;
        }
        assert!((3.8..=4.0).contains(&pose.position.x), "stands at {}", pose.position.x);
    }

    #[test]
    fn speed_never_rises_faster_than_the_body_can() {
        let mut route = Route::new(&[Point::new(0.0, 0.0), Point::new(10.0, 0.0)], &LIMITS, |_| 2.0);
        let mut follower = Follower::new(Drive::Differential, LIMITS);
        let mut last = 0.0;
        for _ in 0..40 {
            let wish = follower.step(&mut route, &Pose::new(last, 0.0, 0.0), &Brake::NONE, DT);
            assert!(wish.twist.vx - last <= LIMITS.acceleration * DT + 1e-9);
            assert!(wish.twist.vx <= wish.speed_limit + 1e-9);
            last = wish.twist.vx;
        }
        assert!((last - 1.0).abs() < 1e-6);
    }
}
