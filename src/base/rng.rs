//! Random numbers that one seed makes again (splitmix64): for waits, samples and tests. Not for
//! secrets.

/// A sequence of random numbers. The seed is the caller's, so that a run can be repeated.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, even over all of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number below `bound`, which is not 0; even up to one part in 2^64 / `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is a number below the bound");
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("below the bound")
    }

    /// The next number, even in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `length`, to index a list by; `length` is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// Puts `items` into a random order, each as likely as any other (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        let known = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([rng.next_u64(), rng.next_u64()], known);
    }

    #[test]
    fn bounds_hold_and_are_reached() {
        let mut rng = Rng::new(1);
        let drawn: Vec<u64> = (0..200).map(|_| rng.below(3)).collect();
        assert!(drawn.iter().all(|&it| it < 3) && (0..3).all(|it| drawn.contains(&it)));
        assert!((0..200).map(|_| rng.unit()).all(|it| (0.0..1.0).contains(&it)));
    }

    #[test]
    fn a_seed_repeats_its_order_and_every_item_comes_first() {
        let shuffled = |seed| {
            let mut items = [0, 1, 2, 3];
            Rng::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(shuffled(5), shuffled(5));
        let first: std::collections::BTreeSet<i32> = (0..64).map(|s| shuffled(s)[0]).collect();
        assert_eq!(first.len(), 4);
    }
}
