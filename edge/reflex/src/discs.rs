//! Peers and hazards as discs: what lies on the way besides what the lidar saw.

use skein_types::geometry::{Point, Pose, Twist};
use skein_types::safety::{HazardDisc, PeerDisc, Surroundings};
use skein_types::time::MonoTime;

use crate::config::ReflexConfig;
use crate::way::Way;

/// Moments at which peers are thought ahead, the present one included.
const LOOKS: usize = 16;
/// Closer than this to the radii alone, metres, nothing may bring it any nearer.
const BARE: f64 = 0.03;
/// Being within the margin already, it may not come nearer by more than this, metres.
const NO_NEARER: f64 = 0.02;

/// How far the body gets along its way, metres, until its footprint and a peer's would be within the margin.
/// Infinite when they will not be.
pub(crate) fn clear_of_peers(
    config: &ReflexConfig,
    now: MonoTime,
    pose: &Pose,
    twist: &Twist,
    surroundings: &Surroundings,
) -> f64 {
    let speed = twist.speed();
    if speed <= 0.0 || surroundings.peers.iter().all(Option::is_none) {
        return f64::INFINITY;
    }
    let step = config.peer_horizon.as_secs_f64() / (LOOKS - 1) as f64;
    let own: [Point; LOOKS] = core::array::from_fn(|look| Pose::default().moved(twist, step * look as f64).position);
    let mut clear = f64::INFINITY;
    for peer in surroundings.peers.iter().flatten() {
        if is_sound(peer) && now.since(peer.at) <= config.peer_age_max {
            let velocity = peer.velocity.rotated(-pose.heading);
            let start = pose.body_from_map(peer.position) + velocity * now.secs_since(peer.at);
            let towards = start.x * twist.vx + start.y * twist.vy;
            let bare = config.descriptor.radius.0 + peer.radius.0;
            if towards > 0.0 {
                let keep = keep_from(config, bare, start.norm());
                clear = clear.min(speed * first_within(&own, start, velocity, step, keep));
            }
        }
    }
    clear
}

fn is_sound(peer: &PeerDisc) -> bool {
    peer.position.is_finite() && peer.velocity.is_finite() && peer.radius.is_finite()
}

/// The distance between centres that is kept: both radii and the margin; from within the margin, no nearer than now.
fn keep_from(config: &ReflexConfig, bare: f64, distance: f64) -> f64 {
    let full = bare + config.peer_margin.0;
    if distance >= full { full } else { (distance - NO_NEARER).max(bare + BARE) }
}

/// Seconds until the two are within `keep`; infinite when they never are within the horizon.
fn first_within(own: &[Point; LOOKS], start: Point, velocity: Point, step: f64, keep: f64) -> f64 {
    let mut before = f64::INFINITY;
    for (look, own) in own.iter().enumerate() {
        let theirs = start + velocity * (step * look as f64);
        let apart = libm::sqrt((theirs - *own).norm_squared());
        if apart < keep {
            let share = if before.is_finite() { (apart - keep) / (apart - before) } else { 0.0 };
            return step * (look as f64 - share).max(0.0);
        }
        before = apart;
    }
    f64::INFINITY
}

/// How far the body gets along its way, metres, until it enters a hazard. From inside one, only the way out is free.
pub(crate) fn clear_of_hazards(
    config: &ReflexConfig,
    now: MonoTime,
    pose: &Pose,
    way: &Way,
    surroundings: &Surroundings,
) -> f64 {
    let mut clear = f64::INFINITY;
    for hazard in surroundings.hazards.iter().flatten() {
        let sound = hazard.position.is_finite() && hazard.radius.is_finite();
        if sound && now <= hazard.valid_until {
            clear = clear.min(clear_of_hazard(config, pose, way, hazard));
        }
    }
    clear
}

fn clear_of_hazard(config: &ReflexConfig, pose: &Pose, way: &Way, hazard: &HazardDisc) -> f64 {
    let centre = pose.body_from_map(hazard.position);
    let full = config.descriptor.radius.0 + config.side_margin.0 + hazard.radius.0.max(0.0);
    let distance = centre.norm();
    let keep = if distance >= full { full } else { (distance - NO_NEARER).max(0.0) };
    way.passes(centre, keep).map_or(f64::INFINITY, |passing| way.contact(&passing, keep))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use proptest::prelude::*;
    use skein_types::body::BodyDescriptor;
    use skein_types::units::Meters;

    const NOW: MonoTime = MonoTime::from_millis(60_000);
    const HORIZON: f64 = 1.5;

    fn config() -> ReflexConfig {
        ReflexConfig::new(BodyDescriptor::rover())
    }

    fn with_peer(position: Point, velocity: Point, radius: f64, age_ms: u64) -> Surroundings {
        let mut surroundings = Surroundings::empty();
        let at = NOW - Duration::from_millis(age_ms);
        surroundings.peers[5] = Some(PeerDisc { position, velocity, radius: Meters(radius), at });
        surroundings
    }

    fn with_hazard(position: Point, radius: f64) -> Surroundings {
        let mut surroundings = Surroundings::empty();
        surroundings.hazards[5] = Some(HazardDisc { position, radius: Meters(radius), valid_until: NOW });
        surroundings
    }

    /// Seconds until both are within the distance that is kept, and how near they come, by walking both on the map.
    fn walked(pose: &Pose, twist: &Twist, peer: &PeerDisc) -> (Option<f64>, f64, f64) {
        let apart = |seconds: f64| {
            let age = NOW.secs_since(peer.at);
            (peer.position + peer.velocity * (age + seconds)).distance(pose.moved(twist, seconds).position)
        };
        let (bare, distance) = (0.25 + peer.radius.0, apart(0.0));
        let keep = if distance >= bare + 0.15 { bare + 0.15 } else { (distance - 0.02).max(bare + 0.03) };
        let moments = (0..=3_000).map(|i| HORIZON * f64::from(i) / 3_000.0);
        let nearest = moments.clone().map(apart).fold(f64::INFINITY, f64::min);
        (moments.clone().find(|seconds| apart(*seconds) < keep), nearest, keep)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_peer_is_met_where_a_walk_of_both_meets_it(
            (x, y, heading) in (-5.0_f64..5.0, -5.0_f64..5.0, -3.0_f64..3.0),
            (vx, vy, yaw_rate) in (-1.0_f64..1.0, -1.0_f64..1.0, -1.0_f64..1.0),
            (bearing, distance) in (-3.0_f64..3.0, 0.4_f64..3.0),
            (peer_vx, peer_vy, radius, age_ms) in (-1.0_f64..1.0, -1.0_f64..1.0, 0.1_f64..0.5, 0_u64..1_300),
        ) {
            let (pose, twist) = (Pose::new(x, y, heading), Twist { vx, vy, vz: 0.0, yaw_rate });
            let velocity = Point::new(peer_vx, peer_vy);
            let here = pose.map_from_body(Point::from_heading(bearing) * distance);
            let position = here - velocity * (age_ms as f64 / 1e3);
            let surroundings = with_peer(position, velocity, radius, age_ms);
            let clear = clear_of_peers(&config(), NOW, &pose, &twist, &surroundings);
            let towards = (here - pose.position).dot(Point::new(vx, vy).rotated(heading));
            let (met, nearest, keep) = walked(&pose, &twist, &surroundings.peers[5].unwrap());
            // A path that only grazes the distance may be seen or missed between two looks.
            prop_assume!(towards.abs() > 1e-6 && (nearest - keep).abs() > 0.03);
            match met {
                Some(seconds) if towards > 0.0 && age_ms <= 1_200 => {
                    prop_assert!((clear - twist.speed() * seconds).abs() < 0.04, "{clear} {seconds}");
                }
                _ => prop_assert_eq!(clear, f64::INFINITY),
            }
        }
    }

    #[test]
    fn a_peer_is_looked_for_up_to_the_horizon() {
        // Head on at 1.3 m/s, kept 0.65 m apart: met after 1.45 s.
        let surroundings = with_peer(Point::new(0.65 + 1.3 * 1.45, 0.0), Point::new(-1.0, 0.0), 0.25, 0);
        let clear = clear_of_peers(&config(), NOW, &Pose::default(), &Twist::planar(0.3, 0.0), &surroundings);
        assert!((clear - 0.3 * 1.45).abs() < 1e-9, "{clear}");
    }

    #[test]
    fn a_peer_within_the_margin_may_be_two_centimetres_nearer_and_none_as_good_as_touching() {
        for (distance, expected) in [(0.60, 0.02), (0.54, 0.01), (0.52, 0.0)] {
            let surroundings = with_peer(Point::new(distance, 0.0), Point::default(), 0.25, 0);
            let clear = clear_of_peers(&config(), NOW, &Pose::default(), &Twist::planar(0.3, 0.0), &surroundings);
            assert!((clear - expected).abs() < 1e-9, "{distance}: {clear}");
        }
    }

    #[test]
    fn a_peer_or_hazard_that_is_no_number_is_not_believed() {
        let (pose, twist) = (Pose::default(), Twist::planar(0.3, 0.0));
        let (near, still) = (Point::new(0.66, 0.0), Point::default());
        assert!(clear_of_peers(&config(), NOW, &pose, &twist, &with_peer(near, still, 0.25, 0)) < 0.1);
        for (position, velocity, radius) in [
            (Point::new(0.66, f64::NAN), still, 0.25),
            (near, Point::new(f64::INFINITY, 0.0), 0.25),
            (near, still, f64::NAN),
        ] {
            let surroundings = with_peer(position, velocity, radius, 0);
            assert_eq!(clear_of_peers(&config(), NOW, &pose, &twist, &surroundings), f64::INFINITY);
        }
        for (position, radius) in [(Point::new(f64::NAN, 0.0), 0.3), (near, f64::INFINITY)] {
            let surroundings = with_hazard(position, radius);
            let way = Way::of(&twist);
            assert_eq!(clear_of_hazards(&config(), NOW, &pose, &way, &surroundings), f64::INFINITY);
        }
    }

    #[test]
    fn a_hazard_is_entered_at_its_radius_with_footprint_and_margin() {
        let pose = Pose::new(3.0, -2.0, 0.7);
        let way = Way::of(&Twist::planar(0.3, 0.0));
        let chord = |keep: f64, beside: f64| (keep * keep - beside * beside).sqrt();
        for (ahead, beside, radius, clear) in [
            (1.0, 0.0, 0.3, 1.0 - 0.58),
            (1.0, 0.1, 0.3, 1.0 - chord(0.58, 0.1)),
            (1.0, 0.1, -0.3, 1.0 - chord(0.28, 0.1)),
            (0.59, 0.0, 0.3, 0.01),
            // Within it already: a little nearer, and no more.
            (0.5, 0.0, 0.3, 0.02),
            (0.01, 0.0, 0.3, f64::INFINITY),
            (-0.5, 0.0, 0.3, f64::INFINITY),
            (1.0, 0.59, 0.3, f64::INFINITY),
        ] {
            let surroundings = with_hazard(pose.map_from_body(Point::new(ahead, beside)), radius);
            let found = clear_of_hazards(&config(), NOW, &pose, &way, &surroundings);
            assert!(found == clear || (found - clear).abs() < 1e-9, "{ahead} {beside}: {found} is not {clear}");
        }
    }

    #[test]
    fn a_hazard_counts_until_its_time_and_no_longer() {
        let surroundings = with_hazard(Point::new(0.6, 0.0), 0.3);
        let way = Way::of(&Twist::planar(0.3, 0.0));
        let at = |now: MonoTime| clear_of_hazards(&config(), now, &Pose::default(), &way, &surroundings);
        assert!(at(NOW).is_finite());
        assert_eq!(at(NOW + Duration::from_nanos(1)), f64::INFINITY);
    }
}
