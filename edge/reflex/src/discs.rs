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
