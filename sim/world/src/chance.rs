//! Chance, split by seed, stream and tick: what happens to one robot never depends on how many others there are or
//! how often they asked.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Words of the stream that belong to one tick; a tick uses fewer than 1,000.
const WORDS_PER_TICK: u128 = 2_048;

/// Streams of what is not a robot lie far above the robots' own.
pub(crate) const PEOPLE_STREAM: u64 = 1 << 32;
/// Where robots start.
pub(crate) const PLACEMENT_STREAM: u64 = 1 << 33;
/// Added to a robot's stream for what is drawn once in its life.
pub(crate) const LIFE_STREAM: u64 = 1 << 34;

/// One stream of chance.
#[derive(Clone, Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0_u8; 32];
        for (place, byte) in key.iter_mut().zip(seed.to_le_bytes()) {
            *place = byte;
        }
        let mut source = ChaCha8Rng::from_seed(key);
        source.set_stream(stream);
        Self(source)
    }

    /// From here on, what belongs to this tick.
    pub(crate) fn at_tick(&mut self, tick: u64) {
        self.0.set_word_pos(u128::from(tick) * WORDS_PER_TICK);
    }

    /// 64 fair bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Even in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Even in [-1, 1).
    pub(crate) fn either_way(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// Bell-shaped with mean 0 and standard deviation 1: the sum of four even numbers, so it never exceeds 2√3.
    pub(crate) fn normal(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f64 / 65_536.0 - (2.0 - 2.0 / 65_536.0)) * 1.732_050_807_568_877_2
    }

    /// One of `count`, evenly; 0 when there are none.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_has_its_own_numbers_whatever_was_drawn_before() {
        let mut steady = Chance::new(7, 3);
        let mut busy = Chance::new(7, 3);
        busy.at_tick(4);
        assert!((0..500).any(|_| busy.bits() > u64::MAX / 2));
        steady.at_tick(5);
        busy.at_tick(5);
        let numbers = |chance: &mut Chance| -> Vec<u64> { (0..300).map(|_| chance.bits()).collect() };
        let first = numbers(&mut steady);
        assert_eq!(first, numbers(&mut busy));
        let mut other = Chance::new(7, 4);
        other.at_tick(5);
        assert_ne!(first, numbers(&mut other));
    }

    #[test]
    fn the_bell_has_mean_zero_and_deviation_one() {
        let mut chance = Chance::new(1, 1);
        let draws: Vec<f64> = (0..40_000).map(|_| chance.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 40_000.0;
        let variance = draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / 40_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "mean {mean}, variance {variance}");
        assert!(draws.iter().all(|d| d.abs() <= 3.47));
    }
}
