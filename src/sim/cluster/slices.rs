//! Slices of a list as sums: what one holds, and how files of known sizes are dealt out so that all
//! hold about the same. Must not know how sizes come about.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What one slice holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Bytes of its files.
    pub bytes: u64,
    /// Its files.
    pub files: u64,
}

impl Load {
    /// Adds a file.
    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.files += 1;
    }
}

/// Deals files out, each to the slice with the fewest bytes until then. They come by size, the
/// largest first.
pub(super) struct Greedy {
    /// What each slice has beyond `each`, and its index; the fewest bytes on top.
    loads: BinaryHeap<Reverse<(Load, u32)>>,
    /// What all slices have.
    each: Load,
    /// The most bytes of a slice, beyond `each`.
    most_bytes: u64,
}

impl Greedy {
    pub(super) fn new(slices: u32) -> Self {
        let loads = (0..slices).map(|index| Reverse((Load::default(), index))).collect();
        Self { loads, each: Load::default(), most_bytes: 0 }
    }

    /// Deals out this many files of one size.
    pub(super) fn add(&mut self, bytes: u64, mut files: u64) {
        while files > 0 && self.difference_bytes() > bytes {
            self.add_one(bytes);
            files -= 1;
        }
        // No slice is ahead by more than a file: each one gets one before another gets its second.
        let slices = self.loads.len() as u64;
        self.each.bytes += files / slices * bytes;
        self.each.files += files / slices;
        for _ in 0..files % slices {
            self.add_one(bytes);
        }
    }

    /// The slices in order. The first one has the largest file.
    pub(super) fn into_loads(self) -> Vec<Load> {
        let mut loads: Vec<(Load, u32)> = self.loads.into_iter().map(|Reverse(it)| it).collect();
        loads.sort_unstable_by_key(|&(_, index)| index);
        let whole = |(load, _): (Load, u32)| Load {
            bytes: load.bytes + self.each.bytes,
            files: load.files + self.each.files,
        };
        loads.into_iter().map(whole).collect()
    }

    /// Bytes between the slice with the most and that with the fewest.
    fn difference_bytes(&self) -> u64 {
        let Reverse((least, _)) = self.loads.peek().expect("there is a slice");
        self.most_bytes - least.bytes
    }

    fn add_one(&mut self, bytes: u64) {
        let mut least = self.loads.peek_mut().expect("there is a slice");
        least.0.0.add(bytes);
        self.most_bytes = self.most_bytes.max(least.0.0.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Rng;

    /// One file after another.
    fn plainly(sizes: &[(u64, u64)], slices: usize) -> Vec<u64> {
        let mut loads = vec![0; slices];
        for &(bytes, files) in sizes {
            for _ in 0..files {
                *loads.iter_mut().min().expect("there is a slice") += bytes;
            }
        }
        loads.sort_unstable();
        loads
    }

    #[test]
    fn many_files_at_once_end_where_single_ones_do() {
        for seed in 1..=200 {
            let mut rng = Rng::new(seed, 0);
            let slices = 1 + rng.below(9);
            let mut sizes: Vec<(u64, u64)> =
                (0..12).map(|_| (1 + rng.next_u64() % 5000, rng.next_u64() % 40)).collect();
            sizes.sort_unstable_by_key(|&(bytes, _)| Reverse(bytes));
            let mut greedy = Greedy::new(slices);
            sizes.iter().for_each(|&(bytes, files)| greedy.add(bytes, files));
            let loads = greedy.into_loads();
            let files: u64 = loads.iter().map(|load| load.files).sum();
            assert_eq!(files, sizes.iter().map(|(_, files)| files).sum::<u64>(), "seed {seed}");
            let mut bytes: Vec<u64> = loads.iter().map(|load| load.bytes).collect();
            bytes.sort_unstable();
            assert_eq!(bytes, plainly(&sizes, slices as usize), "seed {seed}");
        }
    }
}
