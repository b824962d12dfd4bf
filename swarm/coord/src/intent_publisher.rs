//! Publication of the own intent: when it is due, its number, and its path thinned to what peers need.

use core::time::Duration;

use skein_types::coord::{INTENT_PATH_MAX, Intent};
use skein_types::geometry::Point;
use skein_types::time::MonoTime;

use crate::config::CoordConfig;
use crate::coord_state::CoordState;
use crate::own_state::OwnState;

/// Period of the own intent.
pub const INTENT_PERIOD: Duration = Duration::from_millis(100);
/// A robot that does not know its own state publishes nothing: silence is true, an old intent is not.
const OWN_FRESH: Duration = Duration::from_millis(500);
/// A bend of the published path smaller than this is left out, metres.
const BEND: f64 = 0.03;

/// The own state, while it is fresh, and the next publication.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntentPublisher {
    own: Option<(MonoTime, OwnState)>,
    publish_at: Option<MonoTime>,
    sequence: u64,
}

impl IntentPublisher {
    pub(crate) fn on_own_state(&mut self, now: MonoTime, own: OwnState) {
        self.publish_at.get_or_insert(now);
        self.own = Some((now, own));
    }

    pub(crate) fn own(&self) -> Option<&OwnState> {
        self.own.as_ref().map(|(_, own)| own)
    }

    pub(crate) fn next_publication(&self) -> Option<MonoTime> {
        self.publish_at
    }

    /// The intent that is due.
    pub(crate) fn poll(&mut self, now: MonoTime, config: &CoordConfig, state: &CoordState) -> Option<Intent> {
        if self.own.as_ref().is_some_and(|(at, _)| now.since(*at) > OWN_FRESH) {
            self.own = None;
            self.publish_at = None;
        }
        let at = self.publish_at.filter(|at| *at <= now)?;
        let (known_at, own) = self.own.as_ref()?;
        let pose_age = own.pose_age + now.since(*known_at);
        self.sequence += 1;
        let next = at + INTENT_PERIOD;
        self.publish_at = Some(if next > now { next } else { now + INTENT_PERIOD });
        Some(intent(config, state, own, (self.sequence, pose_age)))
    }
}

fn intent(config: &CoordConfig, state: &CoordState, own: &OwnState, (sequence, pose_age): (u64, Duration)) -> Intent {
    let claim = state.claim(own, config);
    Intent {
        sender: config.id.clone(),
        boot: config.boot,
        sequence,
        sent_at: own.wall,
        pose: own.pose,
        pose_age,
        velocity: own.velocity,
        radius: config.radius,
        path: thinned(state.path(own).points()),
        state: state.published_state(own),
        right_of_way: claim.right_of_way,
        cornered: claim.cornered,
        yields_to: state.yields_to().map(|(agent, _)| agent.clone()),
    }
}

/// The points after the first, without those that bend the path too little to matter.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(INTENT_PATH_MAX);
    let mut from = points.first().copied().unwrap_or_default();
    let mut skipped: Vec<Point> = Vec::new();
    for (i, &point) in points.iter().enumerate().skip(1) {
        let Some(&next) = points.get(i + 1) else {
            kept.push(point);
            break;
        };
        skipped.push(point);
        if skipped.iter().any(|between| between.distance_to_segment(from, next) > BEND) {
            kept.push(point);
            from = point;
            skipped.clear();
        }
        if kept.len() == INTENT_PATH_MAX {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_path_is_thinned_without_being_bent() {
        let dense: Vec<Point> = (0..200).map(|i| Point::new(0.05 * f64::from(i), 0.0)).collect();
        assert_eq!(thinned(&dense), [Point::new(9.950000000000001, 0.0)]);
        let round: Vec<Point> = (0..100).map(|i| Point::from_heading(0.03 * f64::from(i)) * 3.0).collect();
        let kept = thinned(&round);
        assert!(kept.len() < 20);
        let line: Vec<Point> = std::iter::once(round[0]).chain(kept).collect();
        let off = |p: &Point| line.windows(2).map(|w| p.distance_to_segment(w[0], w[1])).fold(9.0, f64::min);
        assert!(round.iter().all(|p| off(p) <= BEND + 1e-9));
    }
}
