//! Points, poses and twists. Metres and radians in plain numbers; every name says its frame.

use core::ops::{Add, Mul, Sub};
use serde::{Deserialize, Serialize};

/// A place or a vector in the plane: metres, x east and y north in the map's frame unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Point {
    /// East, metres.
    pub x: f64,
    /// North, metres.
    pub y: f64,
}

impl Point {
    /// A point from its two coordinates in metres.
    #[must_use]
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// The unit vector at `heading` radians.
    #[must_use]
    pub fn from_heading(heading: f64) -> Self {
        Self { x: libm::cos(heading), y: libm::sin(heading) }
    }

    /// Length of the vector, metres.
    #[must_use]
    pub fn norm(self) -> f64 {
        libm::hypot(self.x, self.y)
    }

    /// Squared length, for comparisons.
    #[must_use]
    pub fn norm_squared(self) -> f64 {
        self.x * self.x + self.y * self.y
    }

    /// Distance to another point, metres.
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        (self - other).norm()
    }

    /// Scalar product, square metres.
    #[must_use]
    pub fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    /// z of the vector product: positive when `other` lies to the left.
    #[must_use]
    pub fn cross(self, other: Self) -> f64 {
        self.x * other.y - self.y * other.x
    }

    /// The direction of the vector, radians in (-π, π].
    #[must_use]
    pub fn heading(self) -> f64 {
        libm::atan2(self.y, self.x)
    }

    /// Turned counter-clockwise by `angle` radians.
    #[must_use]
    pub fn rotated(self, angle: f64) -> Self {
        let (s, c) = (libm::sin(angle), libm::cos(angle));
        Self { x: c * self.x - s * self.y, y: s * self.x + c * self.y }
    }

    /// The point a share `t` of the way to `other`.
    #[must_use]
    pub fn lerp(self, other: Self, t: f64) -> Self {
        self + (other - self) * t
    }

    /// Distance to the segment from `a` to `b`, metres.
    #[must_use]
    pub fn distance_to_segment(self, a: Self, b: Self) -> f64 {
        let along = b - a;
        let length_squared = along.norm_squared();
        if length_squared <= f64::EPSILON {
            return self.distance(a);
        }
        let t = ((self - a).dot(along) / length_squared).clamp(0.0, 1.0);
        self.distance(a + along * t)
    }

    /// Both coordinates are numbers.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y }
    }
}

impl Mul<f64> for Point {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self { x: self.x * factor, y: self.y * factor }
    }
}

/// An angle brought into (-π, π].
#[must_use]
pub fn wrap_angle(angle: f64) -> f64 {
    let turned = libm::fmod(angle + core::f64::consts::PI, core::f64::consts::TAU);
    let wrapped = if turned <= 0.0 { turned + core::f64::consts::TAU } else { turned };
    wrapped - core::f64::consts::PI
}

/// Where a body is and which way it faces: `map_from_body`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// Position in the map's frame, metres.
    pub position: Point,
    /// Height above the floor, metres; zero for what drives.
    pub z: f64,
    /// Radians counter-clockwise from east, in (-π, π].
    pub heading: f64,
}

impl Pose {
    /// A pose on the floor.
    #[must_use]
    pub fn new(x: f64, y: f64, heading: f64) -> Self {
        Self { position: Point::new(x, y), z: 0.0, heading: wrap_angle(heading) }
    }

    /// A point given in the body's frame, in the map's.
    #[must_use]
    pub fn map_from_body(&self, point: Point) -> Point {
        self.position + point.rotated(self.heading)
    }

    /// A point given in the map's frame, in the body's.
    #[must_use]
    pub fn body_from_map(&self, point: Point) -> Point {
        (point - self.position).rotated(-self.heading)
    }

    /// Where the body is after moving for `seconds` with a twist that stays the same in its own frame: an arc.
    #[must_use]
    pub fn moved(&self, twist: &Twist, seconds: f64) -> Self {
        let turn = twist.yaw_rate * seconds;
        // sin(a)/a and (1 - cos(a))/a, by their series where the division would lose digits.
        let (along, across) = if turn.abs() < 1e-4 {
            (1.0 - turn * turn / 6.0, turn / 2.0)
        } else {
            (libm::sin(turn) / turn, (1.0 - libm::cos(turn)) / turn)
        };
        let (x, y) = (twist.vx * seconds, twist.vy * seconds);
        Self {
            position: self.map_from_body(Point::new(along * x - across * y, across * x + along * y)),
            z: self.z + twist.vz * seconds,
            heading: wrap_angle(self.heading + turn),
        }
    }

    /// Every part is a number.
    #[must_use]
    pub const fn is_finite(&self) -> bool {
        self.position.is_finite() && self.z.is_finite() && self.heading.is_finite()
    }
}

/// Velocity in the body's frame: x forward, y left, z up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Twist {
    /// Forward, m/s.
    pub vx: f64,
    /// To the left, m/s; zero for differential drive.
    pub vy: f64,
    /// Up, m/s; zero for what drives.
    pub vz: f64,
    /// Counter-clockwise, rad/s.
    pub yaw_rate: f64,
}

impl Twist {
    /// No motion in any axis.
    pub const ZERO: Self = Self { vx: 0.0, vy: 0.0, vz: 0.0, yaw_rate: 0.0 };

    /// Straight and turning on the floor.
    #[must_use]
    pub const fn planar(vx: f64, yaw_rate: f64) -> Self {
        Self { vx, vy: 0.0, vz: 0.0, yaw_rate }
    }

    /// Speed over the floor, m/s.
    #[must_use]
    pub fn speed(&self) -> f64 {
        libm::hypot(self.vx, self.vy)
    }

    /// Every part is a number.
    #[must_use]
    pub const fn is_finite(&self) -> bool {
        self.vx.is_finite() && self.vy.is_finite() && self.vz.is_finite() && self.yaw_rate.is_finite()
    }

    /// The same motion at a share of its speed: the path over the floor stays the same.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self { vx: self.vx * factor, vy: self.vy * factor, vz: self.vz * factor, yaw_rate: self.yaw_rate * factor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_twist_moves_the_body_along_an_arc() {
        let start = Pose::new(1.0, 2.0, 0.7);
        for twist in [
            Twist::planar(0.8, 0.0),
            Twist::planar(0.8, 1e-5),
            Twist::planar(-0.5, 1.3),
            Twist::planar(0.0, 2.0),
            Twist { vx: 0.3, vy: -0.4, vz: 0.1, yaw_rate: -0.9 },
        ] {
            let steps = 20_000;
            let dt = 1.5 / f64::from(steps);
            let mut slow = start;
            for _ in 0..steps {
                let middle = Pose { heading: slow.heading + twist.yaw_rate * dt / 2.0, ..slow };
                slow.position = middle.map_from_body(Point::new(twist.vx * dt, twist.vy * dt));
                slow.z += twist.vz * dt;
                slow.heading = wrap_angle(slow.heading + twist.yaw_rate * dt);
            }
            let exact = start.moved(&twist, 1.5);
            assert!(exact.position.distance(slow.position) < 1e-6, "{twist:?}");
            assert!((exact.z - slow.z).abs() < 1e-9);
            assert!(wrap_angle(exact.heading - slow.heading).abs() < 1e-9);
        }
    }
}
