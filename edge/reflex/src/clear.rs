//! How far the way is clear, and how fast it may be taken.

use skein_types::geometry::Twist;

use crate::config::ReflexConfig;
use crate::obstacles::Near;
use crate::way::Way;

/// Nearer beside the footprint than this, metres, is as good as touching.
const BARE: f64 = 0.01;
/// Being closer than the side margin already, the way may come nearer by this much, metres: noise of the lidar.
const NO_NEARER: f64 = 0.01;

/// What the lidar says about a way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clearance {
    /// Free way of the footprint, metres, within the strip it would sweep as fast as it wants to go.
    pub(crate) swept: f64,
    /// Free way, metres, even as slowly as can be.
    pub(crate) blocked: f64,
    /// Fastest it may be.
    pub(crate) speed: f64,
}

impl Clearance {
    pub(crate) const FREE: Self = Self { swept: f64::INFINITY, blocked: f64::INFINITY, speed: f64::INFINITY };
}

/// Looks along the way of a twist. Each point either lies beside a strip that is swept slowly enough to pass it, or
/// must leave room to slow down before it, until `stop` is left; whichever is faster.
pub(crate) fn look(config: &ReflexConfig, near: &Near, twist: &Twist, stop: f64) -> Clearance {
    let way = Way::of(twist);
    let mut clearance = Clearance::FREE;
    if way == Way::Still {
        return clearance;
    }
    let radius = config.descriptor.radius.0;
    let wanted = twist.speed();
    let widest = config.half_width(wanted);
    let narrowest = narrowest(config, near.nearest);
    for point in near.iter() {
        let Some(passing) = way.passes(point, widest) else { continue };
        let free = way.contact(&passing, radius);
        clearance.swept = clearance.swept.min(free);
        let by_distance = config.speed_to_stop_in(free - stop);
        let allowed = if passing.beside < narrowest {
            clearance.blocked = clearance.blocked.min(free);
            by_distance
        } else {
            by_distance.max(speed_beside(config, passing.beside))
        };
        clearance.speed = clearance.speed.min(allowed);
    }
    clearance
}

/// Free way, metres, of the bare footprint, to whatever it is coming nearer to: what braking must fit into.
pub(crate) fn bare(config: &ReflexConfig, near: &Near, twist: &Twist) -> f64 {
    let way = Way::of(twist);
    let reach = config.descriptor.radius.0 + BARE;
    let passings = near.iter().filter_map(|point| way.passes(point, reach));
    passings.map(|passing| way.contact(&passing, reach)).fold(f64::INFINITY, f64::min)
}

/// Half the width of the strip when it creeps. Something that is closer beside it already is no obstacle as long as
/// the way does not come nearer to it, so that a robot that stands close to a wall can still leave along it.
fn narrowest(config: &ReflexConfig, nearest: f64) -> f64 {
    let radius = config.descriptor.radius.0;
    let full = radius + config.side_margin.0;
    (nearest - NO_NEARER).clamp(radius + BARE, full)
}

/// Fastest past something at this distance from the centre's way.
fn speed_beside(config: &ReflexConfig, beside: f64) -> f64 {
    let spare = beside - config.half_width(0.0);
    (spare / config.side_margin_per_speed.0).max(config.creep.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::obstacles::Obstacles;
    use skein_types::body::BodyDescriptor;
    use skein_types::geometry::Pose;
    use skein_types::sensing::{BEAMS, Scan};
    use skein_types::time::MonoTime;
    use skein_types::units::Meters;

    fn config() -> ReflexConfig {
        ReflexConfig::new(BodyDescriptor::rover())
    }

    /// What a lidar sees of a small thing ahead and so far to the left.
    fn near(beside: f64) -> Near {
        let beam = 15;
        let mut ranges = [f32::INFINITY; BEAMS];
        ranges[beam] = (beside / Scan::angle_of(beam).sin()) as f32;
        let scan = Scan { at: MonoTime::from_millis(1), ranges, range_max: Meters(10.0) };
        let mut obstacles = Obstacles::new();
        obstacles.see(&config(), &scan, Pose::default());
        obstacles.near(&Pose::default(), 4.0)
    }

    #[test]
    fn the_bare_footprint_touches_up_to_a_centimetre_beside_it() {
        for (beside, touches) in [(0.235, true), (0.255, true), (0.265, false)] {
            let free = bare(&config(), &near(beside), &Twist::planar(0.5, 0.0));
            assert_eq!(free.is_finite(), touches, "{beside}: {free}");
        }
    }

    #[test]
    fn the_narrowest_strip_lies_between_the_bare_footprint_and_its_full_margin() {
        for (nearest, half_width) in [(0.10, 0.26), (0.26, 0.26), (0.275, 0.265), (0.29, 0.28), (5.0, 0.28)] {
            assert!((narrowest(&config(), nearest) - half_width).abs() < 1e-12, "{nearest}");
        }
    }

    #[test]
    fn the_speed_past_something_grows_with_the_distance_beside_it() {
        for (beside, speed) in [(0.20, 0.1), (0.28, 0.1), (0.30, 0.2), (0.33, 0.5), (0.38, 1.0)] {
            assert!((speed_beside(&config(), beside) - speed).abs() < 1e-9, "{beside}");
        }
    }
}
