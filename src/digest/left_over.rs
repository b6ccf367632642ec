//! Whether a file that comes once more, in one stream, has the bytes that are here of it.
//!
//! Owns the comparison with the CRC of each run, while the file's bytes go by in order. Must not
//! know where they come from.

use super::crc::Run;
use super::{Algorithm, Hasher};
use crate::base::Span;
use std::collections::VecDeque;

/// Compares runs with the bytes of the file.
#[derive(Debug)]
pub struct LeftOver {
    /// Runs that are not compared yet, the one under way first.
    runs: VecDeque<Run>,
    /// The CRC-32C of those bytes of the first run that have gone by.
    crc: Hasher,
    /// Bytes of the file that have gone by.
    position: u64,
}

impl LeftOver {
    /// Nothing has gone by yet. The runs are sorted and disjoint.
    pub fn new(runs: Vec<Run>) -> Self {
        let disjoint = runs.windows(2).all(|two| two[0].span.end() <= two[1].span.start());
        assert!(disjoint, "runs are sorted and disjoint");
        let runs = runs.into_iter().filter(|run| !run.span.is_empty()).collect();
        Self { runs, crc: Algorithm::Crc32c.hasher(), position: 0 }
    }

    /// Takes the next bytes of the file. A run that ends within them and is not what was written
    /// is the error; nothing is to be compared after it.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), Span> {
        let here = Span::with_len(self.position, bytes.len() as u64);
        self.position = here.end();
        while let Some(&run) = self.runs.front() {
            let part = here.intersect(run.span);
            if part.is_empty() {
                break;
            }
            let index =
                |offset| usize::try_from(offset - here.start()).expect("within bytes in memory");
            self.crc.update(&bytes[index(part.start())..index(part.end())]);
            if part.end() < run.span.end() {
                break;
            }
            let crc = std::mem::replace(&mut self.crc, Algorithm::Crc32c.hasher()).finish();
            if crc.bytes != run.crc32c.to_be_bytes() {
                return Err(run.span);
            }
            self.runs.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::crc::crc32c;
    use proptest::prelude::*;

    fn run(file: &[u8], start: usize, end: usize) -> Run {
        Run { span: Span::new(start as u64, end as u64), crc32c: crc32c(&file[start..end]) }
    }

    #[test]
    fn runs_that_touch_gaps_and_empty_ones() {
        let file: Vec<u8> = (0..100).collect();
        let runs = [(0, 10), (10, 10), (10, 30), (40, 41), (90, 100)];
        let runs: Vec<Run> = runs.iter().map(|&(start, end)| run(&file, start, end)).collect();
        let mut left_over = LeftOver::new(runs.clone());
        assert_eq!(left_over.update(&file), Ok(()));
        assert!(left_over.runs.is_empty());
        let mut other = file.clone();
        other[40] = 0;
        assert_eq!(LeftOver::new(runs).update(&other), Err(Span::new(40, 41)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_run_with_the_flipped_byte_is_named(
            lens in prop::collection::vec((1usize..50, any::<bool>()), 1..20),
            cut in 1usize..70,
            flipped in any::<prop::sample::Index>(),
        ) {
            let total: usize = lens.iter().map(|(len, _)| len).sum();
            let mut file: Vec<u8> = (0..=250).cycle().take(total).collect();
            let mut start = 0;
            let mut runs = Vec::new();
            for (len, is_run) in lens {
                if is_run {
                    runs.push(run(&file, start, start + len));
                }
                start += len;
            }
            let flipped = flipped.index(total);
            file[flipped] ^= 0x10;
            let bad = runs.iter().map(|run| run.span).find(|span| span.contains(flipped as u64));
            let mut left_over = LeftOver::new(runs);
            let outcome = file.chunks(cut).try_for_each(|piece| left_over.update(piece));
            prop_assert_eq!(outcome.err(), bad);
        }
    }
}
