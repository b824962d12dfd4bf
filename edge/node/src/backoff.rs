//! How long to wait before connecting again: doubling, bounded, and different for every robot of a fleet.

use std::time::Duration;

/// Doublings after which the pause no longer grows, whatever the bounds.
const DOUBLINGS_MAX: u32 = 16;

/// A pause that grows with each failure. Each is drawn evenly from the upper half of what has been reached, so that a
/// fleet that lost its supervisor at one moment does not come back at one moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    state: u64,
}

impl Backoff {
    /// Pauses between `min` / 2 and `max`; `seed` differs from robot to robot.
    #[must_use]
    pub const fn new(min: Duration, max: Duration, seed: u64) -> Self {
        Self { min, max, failures: 0, state: seed }
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let reached = self.min.saturating_mul(1 << self.failures.min(DOUBLINGS_MAX)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        reached.mul_f64(0.5 + 0.5 * self.draw())
    }

    /// It worked: begin anew.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Evenly from [0, 1): the generator splitmix64 of Steele, Lea and Flood.
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pauses_double_from_the_least_to_the_most_and_are_never_outside(
            min_ms in 10_u64..1_000,
            factor in 1_u64..100,
            seed: u64,
        ) {
            let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(min_ms * factor));
            let mut backoff = Backoff::new(min, max, seed);
            for failure in 0..40_u32 {
                let reached = min.saturating_mul(1 << failure.min(DOUBLINGS_MAX)).min(max);
                let pause = backoff.next_pause();
                prop_assert!(pause >= reached / 2 && pause <= reached, "{pause:?} of {reached:?}");
            }
            backoff.reset();
            prop_assert!(backoff.next_pause() <= min);
        }
    }

    #[test]
    fn robots_do_not_come_back_at_the_same_moment() {
        let first = |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(1), seed).next_pause();
        let pauses: std::collections::BTreeSet<Duration> = (0..100).map(first).collect();
        assert_eq!(pauses.len(), 100);
    }
}
