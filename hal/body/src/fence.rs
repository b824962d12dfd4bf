//! The area a robot may never leave.

use core::time::Duration;
use serde::{Deserialize, Serialize};
use skein_types::body::BodyDescriptor;
use skein_types::geometry::{Point, Pose, Twist};
use skein_types::polygon::Polygon;

/// Smallest step along a way, metres: what lies between two looks is shorter than this.
const STEP_MIN: f64 = 0.01;
/// Of each metre driven too near to the border, at most this much may lead towards it: along the fence is not out.
const SLACK_SHARE: f64 = 0.02;
/// Of each metre driven outside the fence, at least this much must lead back in.
const BACK_IN_SHARE: f64 = 0.1;

/// What the fence had to say about the last command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceVerdict {
    /// There is no fence, or the way stays inside.
    #[default]
    Clear,
    /// The way was taken at this share of the wanted speed, so that it ends inside.
    Slowed(f64),
    /// No share of it stays inside: halted.
    Refused,
    /// Where the body is is not known well enough: halted.
    PoseUnknown,
}

/// A polygon that the whole footprint stays inside of, or no bound at all. Cheap to ask: one pass over the edges, and
/// a walk along the way only near the border.
#[derive(Clone, Debug, PartialEq)]
pub struct Fence {
    edges: Option<Vec<Edge>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    from: Point,
    along: Point,
    inverse_length_squared: f64,
}

impl From<&Polygon> for Fence {
    fn from(polygon: &Polygon) -> Self {
        let edges = polygon.rings().flat_map(|ring| ring.iter().zip(ring.iter().cycle().skip(1)));
        Self { edges: Some(edges.map(|(a, b)| Edge::new(*a, *b)).collect()) }
    }
}

impl From<Polygon> for Fence {
    fn from(polygon: Polygon) -> Self {
        Self::from(&polygon)
    }
}

impl Fence {
    /// No bound: for benches and tests, and for places that are themselves closed.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self { edges: None }
    }

    /// Whether there is a bound at all.
    #[must_use]
    pub const fn is_bounded(&self) -> bool {
        self.edges.is_some()
    }

    /// Distance to the border, metres: positive inside, negative outside, infinite without a bound.
    #[must_use]
    pub fn clearance(&self, point: Point) -> f64 {
        let Some(edges) = &self.edges else { return f64::INFINITY };
        let mut nearest = f64::INFINITY;
        let mut inside = false;
        for edge in edges {
            nearest = nearest.min(edge.distance_squared(point));
            inside ^= edge.is_right_of(point);
        }
        if inside { nearest.sqrt() } else { -nearest.sqrt() }
    }

    /// Whether a body that moves with `twist` for `span` and then brakes as its descriptor says would have its
    /// footprint outside at any moment of it (or, being outside already, would not come back in).
    #[must_use]
    pub fn would_leave(&self, body: &BodyDescriptor, pose: &Pose, twist: &Twist, span: Duration) -> bool {
        if !pose.is_finite() || !twist.is_finite() {
            return true;
        }
        let braking = twist.speed() / (2.0 * body.braking_max.0);
        !self.admits(body.radius.0, 0.0, pose, twist, span.as_secs_f64() + braking)
    }

    /// Whether a disc may move along the arc of `twist` for `seconds`. All inside by `margin`: it must stay so. Nearer
    /// to the border: it gets no worse. Outside: it gets better.
    pub(crate) fn admits(&self, radius: f64, margin: f64, start: &Pose, twist: &Twist, seconds: f64) -> bool {
        let length = twist.speed() * seconds;
        if self.edges.is_none() || length <= 0.0 {
            return true;
        }
        let first = self.clearance(start.position);
        if first - length >= radius + margin {
            return true;
        }
        let no_nearer = (radius + margin).min(first - SLACK_SHARE * length);
        let floor = if first >= radius { no_nearer.max(radius) } else { no_nearer };
        let mut done = 0.0;
        let mut here = first;
        while done < length {
            // Nothing within a step of the spare clearance can be below the floor.
            done = (done + (here - floor).max(STEP_MIN)).min(length);
            let at = start.moved(twist, seconds * done / length);
            here = self.clearance(at.position);
            if here < floor {
                return false;
            }
        }
        first >= radius || here >= first + BACK_IN_SHARE * length.min(radius - first)
    }
}

impl Edge {
    fn new(a: Point, b: Point) -> Self {
        let along = b - a;
        Self { from: a, along, inverse_length_squared: along.norm_squared().max(f64::MIN_POSITIVE).recip() }
    }

    fn distance_squared(&self, p: Point) -> f64 {
        let to = p - self.from;
        let share = (to.dot(self.along) * self.inverse_length_squared).clamp(0.0, 1.0);
        (to - self.along * share).norm_squared()
    }

    /// A ray from the point to the east crosses the edge.
    fn is_right_of(&self, p: Point) -> bool {
        let to = p - self.from;
        let spans = (to.y < 0.0) != (to.y < self.along.y);
        spans && to.x < self.along.x * to.y / self.along.y
    }
}
