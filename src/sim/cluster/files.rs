//! The files of a list: their sizes drawn and counted, none of them kept. Owns the distributions;
//! must not know nodes.
//!
//! Sizes are rounded to classes of a sixteenth of an octave, so that ten million files are a few
//! hundred counts, from which they can be handed out by size as well.

use super::slices::{Greedy, Load};
use crate::sim::Rng;
use std::collections::BTreeMap;
use std::f64::consts::LN_2;

/// Mean size of a file, in bytes, in every distribution.
const MEAN_BYTES: f64 = 10e6;
/// Deviation of the natural logarithm of a lognormal size: five files in six are smaller than the
/// mean, and one in a hundred is so large that these have 37 % of all bytes.
const SIGMA: f64 = 2.0;
/// Exponent of the heavy tail: as with web files, the variance grows with every larger file.
const TAIL_EXPONENT: f64 = 1.2;
/// Smallest file of the heavy tail, in bytes; with this the mean is what it is elsewhere.
const TAIL_BYTES_MIN: f64 = 1.91e6;
/// Largest file of the heavy tail, in bytes: about as large as what is published in one piece.
const TAIL_BYTES_MAX: f64 = 50e9;

/// Classes of sizes for each doubling.
const CLASSES_PER_OCTAVE: f64 = 16.0;
/// Up to 2^48 bytes, which is more than any file here.
const CLASSES: usize = 48 * 16;

/// Streams of a seed, for sizes and for hashes of names.
const SIZES_STREAM: u64 = 201;
const NAMES_STREAM: u64 = 202;

/// How the sizes of files are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sizes {
    /// All alike: shards of a data set.
    Equal,
    /// The logarithm is normal: pictures, documents, a file system.
    Lognormal,
    /// Pareto, cut off: a few files are thousands of times the mean.
    HeavyTail,
}

impl Sizes {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Equal, Self::Lognormal, Self::HeavyTail];

    /// The binary logarithm of a size in bytes.
    fn draw_log2(self, rng: &mut Rng) -> f64 {
        match self {
            Self::Equal => MEAN_BYTES.log2(),
            Self::Lognormal => {
                let median_log2 = MEAN_BYTES.log2() - SIGMA * SIGMA / 2.0 / LN_2;
                median_log2 + SIGMA / LN_2 * rng.normal()
            }
            Self::HeavyTail => {
                let beyond = (TAIL_BYTES_MIN / TAIL_BYTES_MAX).powf(TAIL_EXPONENT);
                let rest = 1.0 - rng.unit() * (1.0 - beyond);
                TAIL_BYTES_MIN.log2() - rest.log2() / TAIL_EXPONENT
            }
        }
    }
}

/// A list of files as counts: how many of each size, and what each slice by hash has of them.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Files of each class.
    classes: Vec<u64>,
    /// What each slice has, by the number of slices.
    by_hash: BTreeMap<u32, Vec<Load>>,
}

impl Survey {
    /// Draws the files once, and divides them by hash into each of these numbers of slices.
    pub fn new(sizes: Sizes, files: u64, slice_counts: &[u32], seed: u64) -> Self {
        let (mut size_rng, mut name_rng) =
            (Rng::new(seed, SIZES_STREAM), Rng::new(seed, NAMES_STREAM));
        let bytes_of: Vec<u64> = (0..CLASSES).map(class_bytes).collect();
        let mut classes = vec![0; CLASSES];
        let none = |&count: &u32| (count, vec![Load::default(); count as usize]);
        let mut by_hash: BTreeMap<u32, Vec<Load>> = slice_counts.iter().map(none).collect();
        for _ in 0..files {
            let class = class_of(sizes.draw_log2(&mut size_rng));
            classes[class] += 1;
            let hash = name_rng.next_u64();
            for loads in by_hash.values_mut() {
                #[allow(clippy::cast_possible_truncation, reason = "below the length of a list")]
                let index = (hash % loads.len() as u64) as usize;
                loads[index].add(bytes_of[class]);
            }
        }
        Self { classes, by_hash }
    }

    /// What each of this many slices has by hash; one of the numbers that were surveyed.
    pub fn by_hash(&self, slice_count: u32) -> &[Load] {
        self.by_hash.get(&slice_count).expect("this number was surveyed")
    }

    /// What each of this many slices has if the largest file goes first, and each to the slice with
    /// the fewest bytes.
    pub fn by_bytes(&self, slice_count: u32) -> Vec<Load> {
        let mut greedy = Greedy::new(slice_count);
        for (class, &files) in self.classes.iter().enumerate().rev() {
            greedy.add(class_bytes(class), files);
        }
        greedy.into_loads()
    }

    /// All files together.
    pub fn whole(&self) -> Load {
        let mut whole = Load::default();
        for (class, &files) in self.classes.iter().enumerate() {
            whole.files += files;
            whole.bytes += files * class_bytes(class);
        }
        whole
    }

    /// The largest file alone.
    pub fn largest(&self) -> Load {
        let class = self.classes.iter().rposition(|&files| files > 0);
        class.map_or_else(Load::default, |class| Load { files: 1, bytes: class_bytes(class) })
    }
}

#[allow(clippy::cast_possible_truncation, reason = "clamped to the length of a list")]
fn class_of(bytes_log2: f64) -> usize {
    ((bytes_log2 * CLASSES_PER_OCTAVE).max(0.0) as usize).min(CLASSES - 1)
}

/// The size of all files of a class, in bytes.
#[allow(clippy::cast_possible_truncation, reason = "below 2^48")]
fn class_bytes(class: usize) -> u64 {
    ((class as f64 + 0.5) / CLASSES_PER_OCTAVE).exp2() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_size_is_the_same_in_all_distributions() {
        // The mean of a heavy tail needs many files, and many seeds to be near.
        for (sizes, tolerance) in Sizes::ALL.into_iter().zip([0.03, 0.10, 0.20]) {
            let means = (1..=4).map(|seed| {
                let whole = Survey::new(sizes, 50_000, &[1], seed).whole();
                whole.bytes as f64 / whole.files as f64
            });
            let share = means.sum::<f64>() / 4.0 / MEAN_BYTES;
            assert!((share - 1.0).abs() < tolerance, "{sizes:?}: {share}");
        }
    }

    #[test]
    fn no_file_is_lost_or_counted_twice() {
        for sizes in Sizes::ALL {
            let survey = Survey::new(sizes, 20_000, &[1, 7, 64], 3);
            for count in [1, 7, 64] {
                for loads in [survey.by_hash(count), &survey.by_bytes(count)] {
                    let files: u64 = loads.iter().map(|load| load.files).sum();
                    let bytes: u64 = loads.iter().map(|load| load.bytes).sum();
                    assert_eq!(Load { files, bytes }, survey.whole(), "{sizes:?} {count}");
                    assert_eq!(loads.len(), count as usize);
                }
            }
            assert_eq!(survey.whole().files, 20_000);
            assert!(survey.largest().bytes >= survey.whole().bytes / 20_000);
        }
    }
}
