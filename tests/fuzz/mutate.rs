//! Inputs for the fuzz targets without a coverage tool: seeds, changed a few times over, some of
//! them kept as further seeds.
//!
//! Owns the mutations. Must not know what an input means.

use super::targets::Target;
use ringhaul::internal::sim::Rng;

/// Longest input made: above every limit a target can reach but those of single lines, which have
/// seeds of their own.
const INPUT_BYTES_MAX: usize = 24 * 1024;
/// Mutants kept beside the seeds; each may be one step further away from them than the last.
const KEPT_MAX: usize = 200;
/// Numbers at which arithmetic goes wrong.
const NUMBERS: [&str; 11] = [
    "0",
    "1",
    "007",
    "255",
    "4097",
    "65536",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
];

/// An endless, seeded sequence of inputs.
pub(crate) struct Mutator {
    rng: Rng,
    pool: Vec<Vec<u8>>,
    seeds: usize,
    words: &'static [&'static str],
}

impl Mutator {
    pub(crate) fn new(target: &Target, seed: u64) -> Self {
        let pool = (target.seeds)();
        Self { rng: Rng::new(seed, 0), seeds: pool.len(), pool, words: target.words }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        // Mostly seeds: mutants of mutants soon end at the first byte a target looks at.
        let start = match self.below(4) {
            0 => self.below(self.pool.len()),
            _ => self.below(self.seeds),
        };
        let mut input = self.pool[start].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        if self.below(16) == 0 {
            if self.pool.len() < self.seeds + KEPT_MAX {
                self.pool.push(input.clone());
            } else {
                let replaced = self.seeds + self.below(KEPT_MAX);
                self.pool[replaced].clone_from(&input);
            }
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let (start, end) = self.range(input.len());
        match self.below(10) {
            0 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] ^= 1 << self.below(8);
            }
            1 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] = self.byte();
            }
            2 => drop(input.drain(start..end)),
            3 => input.truncate(end),
            4 => {
                let repeated = input[start..end].to_vec();
                input.splice(start..start, repeated);
            }
            5 => {
                let noise: Vec<u8> = (0..=self.below(6)).map(|_| self.byte()).collect();
                input.splice(start..start, noise);
            }
            6 => {
                let other = self.below(self.pool.len());
                let (from, to) = self.range(self.pool[other].len());
                let part = self.pool[other][from..to].to_vec();
                input.splice(start..end, part);
            }
            7 => self.change_number(input),
            op if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                let end = if op == 8 { start } else { (start + word.len()).min(input.len()) };
                input.splice(start..end, word.bytes());
            }
            _ => input.insert(start, 0),
        }
    }

    /// Puts one of [`NUMBERS`] in the place of a number.
    fn change_number(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len() + 1);
        let Some(start) = input[from..].iter().position(u8::is_ascii_digit) else { return };
        let start = from + start;
        let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = NUMBERS[self.below(NUMBERS.len())];
        input.splice(start..start + digits, number.bytes());
    }

    /// A range below `len`, short ones more often.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let start = self.below(len + 1);
        let longest = if self.below(4) == 0 { len - start } else { (len - start).min(12) };
        (start, start + self.below(longest + 1))
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.rng.below(256)).expect("below 256")
    }

    fn below(&mut self, count: usize) -> usize {
        self.rng.below(u32::try_from(count).expect("inputs are short")) as usize
    }
}
