//! How far a peer's promises are believed.

use core::time::Duration;

use skein_types::geometry::Point;
use skein_types::time::MonoTime;

/// Below this a promise counts for nothing.
const BELIEVED_FROM: f64 = 0.6;
/// Widest extra berth for a peer that is not believed at all, metres.
const BERTH_EXTRA: f64 = 0.4;
/// What is regained in a second without a broken promise.
const REGAIN_PER_SECOND: f64 = 0.01;
/// A promise is broken by coming this much nearer to the way it was made for, metres.
const ADVANCE: f64 = 0.3;
/// A peer is reported at most this often.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What is kept of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    share: f64,
    since: MonoTime,
    /// Where it stood when it began to say that it yields.
    promised_at: Option<Point>,
    reported_at: Option<MonoTime>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { share: 1.0, since: MonoTime::ZERO, promised_at: None, reported_at: None }
    }
}

impl Trust {
    /// Whether its promise to yield decides an encounter.
    pub(crate) fn believed(&self, now: MonoTime) -> bool {
        self.share(now) >= BELIEVED_FROM
    }

    /// 0 to 1.
    pub(crate) fn share(&self, now: MonoTime) -> f64 {
        (self.share + now.secs_since(self.since) * REGAIN_PER_SECOND).min(1.0)
    }

    /// What it is kept away from beyond the usual, metres.
    pub(crate) fn berth_extra(&self, now: MonoTime) -> f64 {
        (1.0 - self.share(now)) * BERTH_EXTRA
    }

    /// It does not promise anything now.
    pub(crate) fn no_promise(&mut self) {
        self.promised_at = None;
    }

    /// It promises to yield. `distance` measures from a place to the way it keeps free for us, `berth` is what it
    /// has to keep; `leads_out` says that it means to leave that way: one that was on it when it promised may have to
    /// come nearer first. Returns how far it advanced when that breaks the promise and was not said a moment ago.
    pub(crate) fn promise(
        &mut self,
        now: MonoTime,
        place: Point,
        berth: f64,
        leads_out: bool,
        distance: impl Fn(Point) -> f64,
    ) -> Option<f64> {
        let from = *self.promised_at.get_or_insert(place);
        let (before, after) = (distance(from), distance(place));
        let leaving = leads_out && before < berth;
        if after >= berth || before - after < ADVANCE || leaving {
            return None;
        }
        self.promised_at = Some(place);
        self.share = self.share(now) / 2.0;
        self.since = now;
        if self.reported_at.is_some_and(|at| now.since(at) < REPORT_EVERY) {
            return None;
        }
        self.reported_at = Some(now);
        Some(before - after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    /// The way is the x axis.
    fn advance(trust: &mut Trust, ms: u64, y: f64) -> Option<f64> {
        trust.promise(at(ms), Point::new(0.0, y), 0.75, false, |place| place.y.abs())
    }

    #[test]
    fn who_keeps_off_keeps_its_promise_however_it_moves() {
        let mut trust = Trust::default();
        assert!([2.0, 1.0, 0.8, 0.76].iter().all(|y| advance(&mut trust, 0, *y).is_none()));
        let mut near = Trust::default();
        assert!([0.5, 0.4, 0.3, 0.6].iter().all(|y| advance(&mut near, 0, *y).is_none()), "a little is noise");
        assert_eq!(trust.share(at(0)), 1.0);
    }

    #[test]
    fn who_advances_is_reported_once_in_a_while_believed_less_and_given_more_room() {
        let mut trust = Trust::default();
        advance(&mut trust, 0, 1.0);
        assert!(advance(&mut trust, 100, 0.5).is_some_and(|by| (by - 0.5).abs() < 1e-9));
        assert!(!trust.believed(at(100)) && trust.berth_extra(at(100)) > 0.15);
        assert_eq!(advance(&mut trust, 200, 0.1), None, "it has just been said");
        assert!(trust.share(at(200)) < 0.3, "but it counts");
        assert!(trust.share(at(60_200)) > 0.8 && trust.share(at(600_000)) == 1.0, "and is forgiven in time");
    }
}
