//! The simulator's randomness: seeded streams that do not disturb each other, and the distributions
//! that scenarios need. Must not know what is drawn.

use crate::base::rng;

/// A seeded stream of numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    source: rng::Rng,
}

impl Rng {
    /// The stream `stream` of a seed. What one stream draws changes nothing in another, so that
    /// two runs of one seed meet the same noise though they act differently.
    pub fn new(seed: u64, stream: u64) -> Self {
        let seed = seed ^ stream.wrapping_mul(0x9E6C_63D0_876A_68EF);
        let mut source = rng::Rng::new(seed);
        source.next_u64();
        Self { source }
    }

    /// 64 even bits.
    pub fn next_u64(&mut self) -> u64 {
        self.source.next_u64()
    }

    /// Even in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.source.unit()
    }

    /// Even in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Even in `[0, count)`; `count` is at least 1. The bias of the remainder is below 2^-32.
    pub fn below(&mut self, count: u32) -> u32 {
        u32::try_from(self.next_u64() % u64::from(count)).expect("below a u32")
    }

    /// True in `probability` of all draws.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_repeat_and_differ() {
        let draw = |seed, stream| Rng::new(seed, stream).next_u64();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn moments_are_right() {
        let mut rng = Rng::new(7, 0);
        let count = 20_000;
        let mean = |draw: &mut dyn FnMut() -> f64| {
            (0..count).map(|_| draw()).sum::<f64>() / f64::from(count)
        };
        assert!((mean(&mut || rng.unit()) - 0.5).abs() < 0.01);
        assert!((mean(&mut || rng.exponential(3.0)) - 3.0).abs() < 0.1);
        assert!(mean(&mut || rng.normal()).abs() < 0.03);
        assert!((mean(&mut || rng.normal().powi(2)) - 1.0).abs() < 0.05);
        assert!((0..100).all(|_| rng.below(3) < 3));
    }
}
