//! How late things were, counted in fixed buckets: one writer that never allocates or waits, any number of readers.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Finest difference that is told apart: 256 ns.
const UNIT_SHIFT: u32 = 8;
/// Buckets per doubling: a quantile is told to within 1/32 of itself.
const STEPS: u64 = 32;
const STEPS_SHIFT: u32 = STEPS.trailing_zeros();
/// 256 ns × 2^26: more than 17 s; what is later counts as that.
const DOUBLINGS: usize = 22;
const BUCKETS: usize = STEPS as usize * DOUBLINGS;

/// A histogram with buckets that grow with the value.
#[derive(Debug)]
pub struct Lateness {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
    max_nanos: AtomicU64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            buckets: array::from_fn(|_| AtomicU64::new(0)),
            sum_nanos: AtomicU64::new(0),
            max_nanos: AtomicU64::new(0),
        }
    }
}

/// Linear below [`STEPS`] units, then [`STEPS`] buckets for each doubling.
fn bucket_of(nanos: u64) -> usize {
    let units = nanos >> UNIT_SHIFT;
    let doubling = (u64::BITS - units.leading_zeros()).saturating_sub(STEPS_SHIFT + 1);
    let bucket = u64::from(doubling) * STEPS + (units >> doubling);
    // Below the first doubling the bucket is the value itself; above, the top bit of the share is counted already.
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The largest value that falls into a bucket, nanoseconds.
fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doubling = (bucket / STEPS).saturating_sub(1);
    let share = bucket - doubling * STEPS;
    ((share + 1) << (doubling + u64::from(UNIT_SHIFT))) - 1
}

impl Lateness {
    /// Counts one. Only one thread may do this.
    pub fn record(&self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.store(bucket.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        self.sum_nanos.store(self.sum_nanos.load(Ordering::Relaxed).saturating_add(nanos), Ordering::Relaxed);
        if nanos > self.max_nanos.load(Ordering::Relaxed) {
            self.max_nanos.store(nanos, Ordering::Relaxed);
        }
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// All of it together, seconds.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanos.load(Ordering::Relaxed) as f64 / 1e9
    }

    /// The latest, microseconds.
    #[must_use]
    pub fn max_us(&self) -> f64 {
        self.max_nanos.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// The value that this share (0 to 1) of all did not exceed, microseconds; at most 1/32 too large.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> f64 {
        let wanted = (share.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            if seen >= wanted {
                return (upper_edge(index) as f64 / 1e3).min(self.max_us());
            }
        }
        0.0
    }

    /// How many were at most this late (to the resolution of the buckets), for a histogram that others draw.
    #[must_use]
    pub fn at_most(&self, limit: Duration) -> u64 {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let within = self.buckets.iter().enumerate().take_while(|(index, _)| upper_edge(*index) <= nanos);
        within.map(|(_, bucket)| bucket.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for bucket in 0..BUCKETS - 1 {
            assert_eq!(bucket_of(upper_edge(bucket)), bucket);
            assert_eq!(bucket_of(upper_edge(bucket) + 1), bucket + 1);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert!(upper_edge(BUCKETS - 2) > 10_000_000_000);
    }

    #[test]
    fn nothing_counted_is_nothing_late() {
        let none = Lateness::default();
        assert_eq!((none.count(), none.quantile_us(0.99), none.max_us()), (0, 0.0, 0.0));
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values_to_one_part_in_32(
            mut values in proptest::collection::vec(0_u64..50_000_000, 1..300),
            share in 0.0..1.0_f64,
        ) {
            let histogram = Lateness::default();
            for value in &values {
                histogram.record(Duration::from_nanos(*value));
            }
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil().max(1.0) as usize) - 1;
            let exact = values[rank] as f64 / 1e3;
            let told = histogram.quantile_us(share);
            prop_assert!(told >= exact - 1e-9 && told <= exact * (1.0 + 1.0 / 32.0) + 0.257, "{told} for {exact}");
            prop_assert_eq!(histogram.count(), values.len() as u64);
            prop_assert_eq!(histogram.max_us(), *values.last().unwrap() as f64 / 1e3);
            prop_assert_eq!(histogram.at_most(Duration::from_secs(3)), values.len() as u64);
        }
    }
}
