//! Trust in a peer's commitments to yield.

use core::time::Duration;

use skein_types::time::MonoTime;

/// Below this share a promise to yield does not decide a conflict.
const BELIEVED_FROM: f64 = 0.6;
/// Extra clearance for a peer without any trust, metres: while it moves, and while it stands. The latter is less than
/// a robot that waits beside a path keeps anyhow, else both robots could wait for each other.
const EXTRA_CLEARANCE: (f64, f64) = (0.4, 0.05);
/// Share regained in a second without a breach.
const REGAIN_PER_SECOND: f64 = 0.01;
/// Advance that breaks a promise, metres: more than a robot rolls on before it has received the path to keep free.
const ADVANCE: f64 = 0.5;
/// A peer is reported at most this often.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// Trust in one peer.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    share: f64,
    since: MonoTime,
    /// Distance it has advanced since it began to promise, metres.
    advanced: f64,
    reported_at: Option<MonoTime>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { share: 1.0, since: MonoTime::ZERO, advanced: 0.0, reported_at: None }
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

    /// Distance kept from it beyond the usual, metres.
    pub(crate) fn extra_clearance(&self, now: MonoTime, moves: bool) -> f64 {
        (1.0 - self.share(now)) * if moves { EXTRA_CLEARANCE.0 } else { EXTRA_CLEARANCE.1 }
    }

    /// Another sender contradicts it under the same name.
    pub(crate) fn contradicted(&mut self, now: MonoTime) {
        self.share = self.share(now) / 2.0;
        self.since = now;
    }

    /// It promises nothing now.
    pub(crate) fn no_promise(&mut self) {
        self.advanced = 0.0;
    }

    /// It promises to yield and advanced by `step` since its last message (negative: it went back). Returns how far it
    /// advanced in all, when that breaks the promise and was not reported within [`REPORT_EVERY`].
    pub(crate) fn step(&mut self, now: MonoTime, step: f64) -> Option<f64> {
        self.advanced = (self.advanced + step).max(0.0);
        if self.advanced < ADVANCE {
            return None;
        }
        let advanced = std::mem::take(&mut self.advanced);
        self.share = self.share(now) / 2.0;
        self.since = now;
        if self.reported_at.is_some_and(|at| now.since(at) < REPORT_EVERY) {
            return None;
        }
        self.reported_at = Some(now);
        Some(advanced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn a_peer_that_does_not_advance_keeps_its_promise() {
        let mut trust = Trust::default();
        assert!((0..1000).all(|i| trust.step(at(i), if i % 2 == 0 { 0.4 } else { -0.4 }).is_none()));
        assert!(trust.step(at(1000), 0.4).is_none());
        trust.no_promise();
        assert!(trust.step(at(1001), 0.4).is_none(), "a new promise starts anew");
        assert_eq!(trust.share(at(1001)), 1.0);
    }

    #[test]
    fn a_peer_that_advances_is_reported_and_trusted_less() {
        let mut trust = Trust::default();
        let reports =
            |trust: &mut Trust, from: u64| (0..10).filter_map(|i| trust.step(at(from + i * 100), 0.1)).count();
        assert_eq!(reports(&mut trust, 0), 1);
        assert!(!trust.believed(at(900)) && trust.extra_clearance(at(900), true) > 0.15);
        assert_eq!(reports(&mut trust, 1000), 0, "it has just been said");
        assert!(trust.share(at(2000)) < 0.3, "but it counts");
        assert!(trust.share(at(60_000)) > 0.6 && trust.share(at(600_000)) == 1.0, "and is forgiven in time");
    }
}
