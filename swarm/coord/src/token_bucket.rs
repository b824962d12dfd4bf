//! Rate limit of one kind of event.

use skein_types::time::MonoTime;

/// Admits `burst` events at once and `per_second` in the long run.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    at: MonoTime,
}

impl TokenBucket {
    pub(crate) const fn new(burst: f64, per_second: f64) -> Self {
        Self { burst, per_second, tokens: burst, at: MonoTime::ZERO }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: MonoTime) -> bool {
        self.tokens = (self.tokens + now.secs_since(self.at) * self.per_second).min(self.burst);
        self.at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = TokenBucket::new(5.0, 2.0);
        assert_eq!((0..100).filter(|_| bucket.take(at(1000))).count(), 5);
        assert_eq!((0..100).filter(|i| bucket.take(at(1000 + i * 100))).count(), 19);
    }
}
