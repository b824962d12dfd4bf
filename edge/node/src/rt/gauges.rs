//! What the reflex thread publishes about itself: single numbers that any thread may read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use skein_types::geometry::Point;
use skein_types::telemetry::ReflexStats;
use skein_types::time::MonoTime;

use super::PERIOD;
use super::latency_histogram::LatencyHistogram;

/// A loop that has not begun a tick for this long is called late.
pub const STALLED_AFTER: Duration = Duration::from_millis(100);

/// Written by the reflex thread only.
#[derive(Debug, Default)]
pub struct Gauges {
    /// How late each tick began.
    pub lateness: LatencyHistogram,
    /// How long each tick took.
    pub duration: LatencyHistogram,
    /// Ticks that did not begin within their period.
    pub missed: AtomicU64,
    /// Ticks whose record was dropped because the agent's ring was full.
    pub dropped: AtomicU64,
    /// Commands the body did not take.
    pub refused: AtomicU64,
    /// There is a body.
    pub body: AtomicBool,
    begun: AtomicU64,
    /// Where the robot believes it is: x and y as `f32`, high and low half.
    position: AtomicU64,
    /// Measured speed, m/s, as bits of an `f64`.
    speed: AtomicU64,
}

impl Gauges {
    /// A tick begins, this late.
    pub fn begin(&self, now: MonoTime, late: Duration) {
        self.begun.store(now.as_nanos(), Ordering::Relaxed);
        self.lateness.record(late);
        let missed = late.as_nanos() / PERIOD.as_nanos();
        self.missed.fetch_add(u64::try_from(missed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long ago the last tick began; `None` before the first.
    #[must_use]
    pub fn since_tick(&self, now: MonoTime) -> Option<Duration> {
        match self.begun.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(now.since(MonoTime::from_nanos(nanos))),
        }
    }

    /// Where the robot is, metres in the map's frame, to the precision of `f32`: hazards are ranked by it.
    #[must_use]
    pub fn position(&self) -> Point {
        let packed = self.position.load(Ordering::Relaxed);
        let half = |shift: u32| f64::from(f32::from_bits(u32::try_from(packed >> shift & 0xffff_ffff).unwrap_or(0)));
        Point::new(half(32), half(0))
    }

    /// See [`Self::position`].
    pub(super) fn set_position(&self, at: Point) {
        let half = |value: f64| u64::from((value as f32).to_bits());
        self.position.store(half(at.x) << 32 | half(at.y), Ordering::Relaxed);
    }

    /// How fast the robot moves by its own wheels or inertial unit at the last tick, m/s: true whether the agent
    /// answers or not.
    #[must_use]
    pub fn speed(&self) -> f64 {
        f64::from_bits(self.speed.load(Ordering::Relaxed))
    }

    /// See [`Self::speed`].
    pub(super) fn set_speed(&self, speed: f64) {
        self.speed.store(speed.to_bits(), Ordering::Relaxed);
    }

    /// There is a body.
    #[must_use]
    pub fn has_body(&self) -> bool {
        self.body.load(Ordering::Acquire)
    }

    /// Ticks since the boot.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.lateness.count()
    }

    /// The loop has begun and does not run on time.
    #[must_use]
    pub fn is_stalled(&self, now: MonoTime) -> bool {
        self.since_tick(now).is_some_and(|age| age > STALLED_AFTER)
    }

    /// How the loop has been keeping time.
    #[must_use]
    pub fn stats(&self) -> ReflexStats {
        ReflexStats {
            ticks: self.ticks(),
            missed_ticks: self.missed.load(Ordering::Relaxed),
            lateness_us_p50: self.lateness.quantile_us(0.5),
            lateness_us_p99: self.lateness.quantile_us(0.99),
            lateness_us_p999: self.lateness.quantile_us(0.999),
            lateness_us_max: self.lateness.max_us(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_missed_when_it_did_not_begin_within_its_period() {
        let gauges = Gauges::default();
        let late = |millis| gauges.begin(MonoTime::from_millis(1_000 + millis), Duration::from_millis(millis));
        late(0);
        late(9);
        assert_eq!(gauges.stats().missed_ticks, 0);
        late(10);
        late(35);
        assert_eq!(gauges.stats().missed_ticks, 4);
        assert_eq!(gauges.ticks(), 4);
    }

    #[test]
    fn a_position_reads_back() {
        let gauges = Gauges::default();
        for at in [Point::new(0.0, 0.0), Point::new(-12.5, 3.25), Point::new(1e4, -1e-3)] {
            gauges.set_position(at);
            assert!(gauges.position().distance(at) < 1e-3);
        }
    }

    #[test]
    fn a_loop_that_stands_still_is_stalled_and_one_that_has_not_begun_is_not() {
        let gauges = Gauges::default();
        assert!(!gauges.is_stalled(MonoTime::from_millis(5)) && gauges.since_tick(MonoTime::ZERO).is_none());
        gauges.begin(MonoTime::from_millis(1_000), Duration::ZERO);
        assert!(!gauges.is_stalled(MonoTime::from_millis(1_050)));
        assert!(gauges.is_stalled(MonoTime::from_millis(1_101)));
    }
}
