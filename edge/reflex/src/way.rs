//! The way a body sweeps with a twist that stays the same: nothing, a straight strip, or a ring around a centre.

use skein_types::geometry::{Point, Twist};

/// Slower than this, m/s, it stays where it is.
const STILL: f64 = 1e-3;
/// Turns of a larger radius than this, metres, are straight.
const STRAIGHT_RADIUS: f64 = 1e3;

/// The way of the body's centre, in the body's frame, from the origin on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// It stays: a round footprint that turns sweeps nothing new.
    Still,
    /// Straight on in this direction (a unit vector).
    Straight(Point),
    /// Around `centre`, at `radius` from it; `start` is the unit vector from the centre to the body and `spin` is 1
    /// counter-clockwise and -1 clockwise.
    Arc { centre: Point, radius: f64, start: Point, spin: f64 },
}

/// How the way comes by a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Passing {
    /// Smallest distance between the body's centre and the point, metres.
    pub(crate) beside: f64,
    /// Where along the way that is (half a turn at most), metres.
    pub(crate) abeam: f64,
    /// The point's distance from the centre of the turn, for [`Way::contact`].
    from_centre: f64,
}

impl Way {
    pub(crate) fn of(twist: &Twist) -> Self {
        let speed = twist.speed();
        if speed < STILL {
            return Self::Still;
        }
        if twist.yaw_rate.abs() * STRAIGHT_RADIUS < speed {
            return Self::Straight(Point::new(twist.vx / speed, twist.vy / speed));
        }
        let centre = Point::new(-twist.vy / twist.yaw_rate, twist.vx / twist.yaw_rate);
        let radius = speed / twist.yaw_rate.abs();
        Self::Arc { centre, radius, start: centre * (-1.0 / radius), spin: 1.0_f64.copysign(twist.yaw_rate) }
    }

    /// How the way comes by a point nearer than `limit`; `None` if it does not, or moves away from the point at first.
    /// (On a circle it comes back to that point after more than half a turn; long before, the point lies ahead.)
    pub(crate) fn passes(&self, point: Point, limit: f64) -> Option<Passing> {
        match *self {
            Self::Still => None,
            Self::Straight(direction) => {
                let abeam = point.dot(direction);
                let beside = point.cross(direction).abs();
                (abeam > 0.0 && beside < limit).then_some(Passing { beside, abeam, from_centre: 0.0 })
            }
            Self::Arc { centre, radius, start, spin } => {
                let out = point - centre;
                let ahead = spin * start.cross(out);
                let from_centre = libm::sqrt(out.norm_squared());
                let beside = (from_centre - radius).abs();
                (ahead > 0.0 && beside < limit).then(|| Passing {
                    beside,
                    abeam: radius * libm::atan2(ahead, start.dot(out)),
                    from_centre,
                })
            }
        }
    }

    /// How far the body gets, metres, until the point is `reach` from its centre: zero when it is so already.
    /// With `reach` no larger than the passing distance, that is where it is abeam.
    pub(crate) fn contact(&self, passing: &Passing, reach: f64) -> f64 {
        if reach <= passing.beside {
            return passing.abeam;
        }
        let before = match *self {
            Self::Still => 0.0,
            Self::Straight(_) => libm::sqrt(reach * reach - passing.beside * passing.beside),
            Self::Arc { radius, .. } => {
                let both = 2.0 * radius * passing.from_centre;
                let squares = radius * radius + passing.from_centre * passing.from_centre - reach * reach;
                radius * libm::acos((squares / both).clamp(-1.0, 1.0))
            }
        };
        (passing.abeam - before).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skein_types::geometry::Pose;

    /// The smallest distance and the first contact, by walking the way in small steps.
    fn walked(twist: &Twist, point: Point, reach: f64, length: f64) -> (f64, Option<f64>) {
        let speed = twist.speed();
        let steps = 20_000;
        let mut nearest = f64::INFINITY;
        let mut contact = None;
        for i in 0..=steps {
            let done = length * f64::from(i) / f64::from(steps);
            let distance = Pose::default().moved(twist, done / speed).position.distance(point);
            nearest = nearest.min(distance);
            if contact.is_none() && distance <= reach {
                contact = Some(done);
            }
        }
        (nearest, contact)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn the_formula_agrees_with_a_walk_along_the_way(
            vx in -1.0_f64..1.0, vy in -1.0_f64..1.0, yaw_rate in -2.0_f64..2.0,
            x in -2.0_f64..2.0, y in -2.0_f64..2.0, reach in 0.2_f64..0.5,
        ) {
            let twist = Twist { vx, vy, vz: 0.0, yaw_rate };
            prop_assume!(twist.speed() > 0.05);
            let point = Point::new(x, y);
            let half_turn = core::f64::consts::PI * twist.speed() / yaw_rate.abs().max(1e-9);
            let (nearest, contact) = walked(&twist, point, reach, half_turn.min(6.0));
            match Way::of(&twist).passes(point, f64::INFINITY) {
                None => {
                    let soon = Pose::default().moved(&twist, 1e-4 / twist.speed()).position;
                    prop_assert!(soon.distance(point) >= point.norm() - 1e-6);
                }
                Some(passing) if passing.abeam < 5.9 => {
                    prop_assert!((passing.beside - nearest).abs() < 2e-3, "{passing:?} {nearest}");
                    if passing.beside < reach - 1e-3 {
                        let formula = Way::of(&twist).contact(&passing, reach);
                        prop_assert!((formula - contact.unwrap()).abs() < 2e-2, "{formula} {contact:?}");
                    }
                }
                Some(_) => {}
            }
        }
    }

    #[test]
    fn turning_in_place_sweeps_nothing() {
        assert_eq!(Way::of(&Twist::planar(0.0, 1.5)), Way::Still);
        assert_eq!(Way::Still.passes(Point::new(0.1, 0.0), 1.0), None);
    }

    #[test]
    fn a_very_wide_turn_is_straight() {
        assert!(matches!(Way::of(&Twist::planar(1.0, 1e-4)), Way::Straight(_)));
        assert!(matches!(Way::of(&Twist::planar(1.0, -1e-2)), Way::Arc { spin, .. } if spin < 0.0));
    }

    #[test]
    fn a_point_as_far_as_the_limit_is_not_on_the_way() {
        let ahead = Way::of(&Twist::planar(1.0, 0.0));
        assert!(ahead.passes(Point::new(1.0, 0.3), 0.3).is_none());
        assert!(ahead.passes(Point::new(1.0, 0.3), 0.31).is_some());
        assert!(ahead.passes(Point::new(0.0, 0.1), 0.31).is_none());
        assert!(ahead.passes(Point::new(-0.1, 0.0), 0.31).is_none());
    }

    #[test]
    fn what_touches_already_is_met_at_once_and_what_it_clears_where_it_is_abeam() {
        for twist in [Twist::planar(1.0, 0.0), Twist::planar(1.0, 1.0)] {
            let way = Way::of(&twist);
            let touching = way.passes(Point::new(0.2, 0.0), 1.0).unwrap();
            assert_eq!(way.contact(&touching, 0.25), 0.0);
            let clear = way.passes(Point::new(0.5, -0.3), 2.0).unwrap();
            assert_eq!(way.contact(&clear, clear.beside), clear.abeam);
        }
    }
}
