//! Geometry of two conflicting paths, without any judgement.

use skein_types::geometry::Point;

use crate::planned_path::PlannedPath;

/// Distance between the samples of the own path, metres.
pub(crate) const STEP: f64 = 0.1;
/// How far ahead paths are compared, metres: enough to stop and to make way at 1 m/s each.
pub(crate) const HORIZON: f64 = 6.0;
/// A robot that waits beside a path keeps this much more than the clearance, metres.
pub(crate) const BESIDE: f64 = 0.1;
/// Smaller changes of a distance are noise, metres.
const NOISE: f64 = 1e-4;

/// How the own path conflicts with a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PathConflict {
    /// The own position is on the peer's path.
    pub(crate) on_path: bool,
    /// The part of the own path on the peer's path.
    pub(crate) interval: Option<ConflictInterval>,
    /// The peer's position is on the own path.
    pub(crate) peer_on_path: bool,
    /// Where along its path the peer comes nearest to the own position, metres.
    pub(crate) peer_to_place: f64,
    /// Length of the own path before it comes too near to where the peer is now, metres.
    pub(crate) disc: Option<f64>,
    /// Length of the own path before it comes too near to the peer's path, or nearer than it was, metres.
    pub(crate) nearing: Option<f64>,
}

/// The first part of the own path that lies on the peer's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ConflictInterval {
    /// Where it begins along the own path, metres.
    pub(crate) enters: f64,
    /// Where it ends along the own path, metres; `None` when the path ends inside.
    pub(crate) leaves: Option<f64>,
    /// Where it begins along the peer's path, metres.
    pub(crate) peer_enters: f64,
    /// How much it runs against the peer, metres of the peer's path.
    pub(crate) against: f64,
}

/// A peer as the geometry needs it.
pub(crate) struct PeerGeometry<'a> {
    pub(crate) path: &'a PlannedPath,
    pub(crate) places: [Point; 2],
    /// Centre to centre.
    pub(crate) clearance: f64,
}

impl PathConflict {
    /// `samples` are positions along the own path, the own position first. `None` when the two cannot conflict.
    pub(crate) fn of(own: &PlannedPath, samples: &[(f64, Point)], other: &PeerGeometry<'_>) -> Option<Self> {
        if own.apart(other.path, other.clearance + BESIDE) {
            return None;
        }
        let place = samples.first()?.1;
        let (distance, peer_to_place) = other.path.nearest(place, HORIZON);
        let on_path = distance < other.clearance;
        let near = |at: &Point| samples.iter().any(|(_, point)| point.distance(*at) < other.clearance);
        let (interval, nearing) = interval(samples, other, on_path);
        let conflict = Self {
            on_path,
            peer_on_path: other.places.first().is_some_and(near),
            interval,
            nearing,
            peer_to_place,
            disc: other.places.iter().filter_map(|at| before_disc(samples, *at, other.clearance)).reduce(f64::min),
        };
        (conflict.on_path || conflict.interval.is_some() || conflict.disc.is_some()).then_some(conflict)
    }
}

/// The interval on the peer's path, and where the own path begins to come nearer to it.
fn interval(
    samples: &[(f64, Point)],
    other: &PeerGeometry<'_>,
    on_path: bool,
) -> (Option<ConflictInterval>, Option<f64>) {
    let clearance = if on_path { other.clearance } else { other.clearance + BESIDE };
    let mut limit = Ratchet::new(clearance);
    let mut interval: Option<ConflictInterval> = None;
    let mut nearing = None;
    let (mut at_entry, mut before) = (0.0, 0.0);
    for &(along, point) in samples {
        let (distance, peer_along) =
            if other.path.far_from(point, clearance) { (clearance, 0.0) } else { other.path.nearest(point, HORIZON) };
        let crossed = limit.crossed(distance);
        if crossed && nearing.is_none() {
            nearing = Some(before);
        }
        let enters = std::mem::replace(&mut before, along);
        match &mut interval {
            None => {
                if crossed || (on_path && along == 0.0) {
                    at_entry = peer_along;
                    interval = Some(ConflictInterval { enters, leaves: None, peer_enters: peer_along, against: 0.0 });
                }
            }
            Some(interval) if distance < clearance && interval.leaves.is_none() => {
                interval.peer_enters = interval.peer_enters.min(peer_along);
                interval.against = interval.against.max(at_entry - peer_along);
            }
            Some(interval) => {
                interval.leaves.get_or_insert(along);
                if nearing.is_some() {
                    break;
                }
            }
        }
    }
    (interval, nearing)
}

/// How far along the samples one may go before coming nearer than `clearance` to a disc, or, where that is already so,
/// nearer than one has been on the way.
fn before_disc(samples: &[(f64, Point)], disc: Point, clearance: f64) -> Option<f64> {
    let mut limit = Ratchet::new(clearance);
    let mut before = 0.0;
    for &(along, point) in samples {
        if limit.crossed(point.distance(disc)) {
            return Some(before);
        }
        before = along;
    }
    None
}

/// A distance that must not be undercut; where the start already does, what has been gained must not be lost.
struct Ratchet {
    clearance: f64,
    limit: f64,
}

impl Ratchet {
    fn new(clearance: f64) -> Self {
        Self { clearance, limit: f64::NEG_INFINITY }
    }

    fn crossed(&mut self, distance: f64) -> bool {
        if distance < self.limit {
            return true;
        }
        self.limit = self.limit.max(self.clearance.min(distance) - NOISE);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER_CLEARANCE: f64 = 0.75;

    fn p(x: f64, y: f64) -> Point {
        Point::new(x, y)
    }

    fn meet(own: &[Point], peer: &[Point]) -> Option<PathConflict> {
        let (own, peer) = (PlannedPath::new(own[0], &own[1..]), PlannedPath::new(peer[0], &peer[1..]));
        let places = [peer.points()[0]; 2];
        PathConflict::of(
            &own,
            &own.samples(STEP, HORIZON),
            &PeerGeometry { path: &peer, places, clearance: PEER_CLEARANCE },
        )
    }

    #[test]
    fn a_crossing_starts_and_ends_a_clearance_away() {
        let conflict = meet(&[p(0.0, 0.0), p(6.0, 0.0)], &[p(3.0, -3.0), p(3.0, 3.0)]).unwrap();
        let interval = conflict.interval.unwrap();
        assert!(!conflict.on_path && conflict.disc.is_none());
        assert!((2.1..2.3).contains(&interval.enters) && (3.7..4.0).contains(&interval.leaves.unwrap()));
        assert!(interval.against < 0.1 && (2.9..3.1).contains(&interval.peer_enters));
    }

    #[test]
    fn two_head_on_stand_on_each_others_paths() {
        let conflict = meet(&[p(0.0, 0.0), p(4.5, 0.0)], &[p(4.0, 0.0), p(-2.0, 0.0)]).unwrap();
        assert!(conflict.on_path);
        assert!((conflict.peer_to_place - 4.0).abs() < 1e-9);
        assert!(conflict.interval.unwrap().against > 3.5 && conflict.interval.unwrap().leaves.is_none());
        assert!((3.1..3.3).contains(&conflict.disc.unwrap()));
    }

    #[test]
    fn a_follower_runs_along_and_is_held_behind_the_leader() {
        let conflict = meet(&[p(0.0, 0.0), p(6.0, 0.0)], &[p(2.0, 0.0), p(6.0, 0.0)]).unwrap();
        assert!(!conflict.on_path);
        assert!((1.1..1.3).contains(&conflict.disc.unwrap()));
        let leader = meet(&[p(2.0, 0.0), p(6.0, 0.0)], &[p(0.0, 0.0), p(6.0, 0.0)]).unwrap();
        assert!(leader.on_path && leader.disc.is_none() && leader.interval.unwrap().against < 0.1);
    }

    #[test]
    fn paths_that_stay_apart_do_not_conflict() {
        assert_eq!(meet(&[p(0.0, 0.0), p(5.0, 0.0)], &[p(0.0, 1.0), p(5.0, 1.0)]), None);
    }

    proptest! {
        #[test]
        fn a_motion_that_opens_the_distance_is_never_held_back(x in -0.7_f64..0.7, y in -0.7_f64..0.7) {
            prop_assume!(x.hypot(y) > 0.05);
            let own = [p(x, y), p(x, y) * 8.0];
            let held = meet(&own, &[p(0.0, 0.0)]).and_then(|conflict| conflict.disc);
            prop_assert_eq!(held, None);
        }

        #[test]
        fn no_position_before_the_hold_is_within_the_clearance(y in -2.0_f64..2.0, start in 1.0_f64..5.0) {
            let own = PlannedPath::new(p(-start, 0.0), &[p(3.0, 0.0)]);
            let samples = own.samples(STEP, HORIZON);
            if let Some(hold) = before_disc(&samples, p(0.0, y), PEER_CLEARANCE) {
                let near = samples.iter().filter(|(s, _)| *s <= hold).map(|(_, q)| q.distance(p(0.0, y))).fold(9.0, f64::min);
                prop_assert!(near >= PEER_CLEARANCE - 2.0 * NOISE);
            } else {
                prop_assert!(y.hypot(STEP / 2.0) >= PEER_CLEARANCE - NOISE || start < PEER_CLEARANCE + STEP);
            }
        }
    }
}
