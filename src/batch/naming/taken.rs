//! The targets of a batch that belong to an item already. Owns their compact record, which is of
//! millions of targets. Must not know what an item is.

use crate::base::{Error, ErrorKind, Result};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// Bits of a hash that choose its group.
const GROUP_BITS: u32 = 12;
/// A group that is full grows by one part in this: packed arrays are what bounds the memory.
const GROWTH_PARTS: usize = 8;

/// Which targets are taken.
///
/// Not the paths are kept but a hash of each, 8 bytes: some 86 MB for ten million targets, where
/// the paths themselves would take a gigabyte. The key of the hash is drawn anew for each batch, so
/// that no list can be written for two of its targets to have one hash; by chance two of a million
/// do in 1 of 37 million runs, two of ten million in 1 of 370,000. Then a file is refused by
/// mistake, with a message, and none is lost or overwritten.
#[derive(Debug)]
pub struct Taken {
    /// Sorted hashes, by their upper bits.
    groups: Vec<Vec<u64>>,
    key: RandomState,
}

impl Taken {
    /// Nothing is taken.
    pub fn new() -> Self {
        Self { groups: vec![Vec::new(); 1 << GROUP_BITS], key: RandomState::new() }
    }

    /// Takes `target`, a path as [`super::target`] makes it, for an item.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if an earlier item has it.
    pub fn take(&mut self, target: &Path) -> Result<()> {
        let hash = self.hash(target);
        let group = &mut self.groups[group_of(hash)];
        let Err(place) = group.binary_search(&hash) else {
            let what = format!("an earlier item has the target {}", target.display());
            return Err(Error::new(ErrorKind::Usage, what).advise("give it another name with out"));
        };
        if group.len() == group.capacity() {
            group.reserve_exact(group.len() / GROWTH_PARTS + 1);
        }
        group.insert(place, hash);
        Ok(())
    }

    /// Gives `target` back: its item has failed for good, and no file has come of it. The record of
    /// a list whose files are all missing stays small, and another item may still fill the name.
    pub fn release(&mut self, target: &Path) {
        let hash = self.hash(target);
        let group = &mut self.groups[group_of(hash)];
        if let Ok(place) = group.binary_search(&hash) {
            group.remove(place);
        }
    }

    /// Paths that are written differently are different: [`super::target`] writes one path in one
    /// way.
    fn hash(&self, target: &Path) -> u64 {
        self.key.hash_one(target.as_os_str())
    }
}

impl Default for Taken {
    fn default() -> Self {
        Self::new()
    }
}

fn group_of(hash: u64) -> usize {
    usize::try_from(hash >> (u64::BITS - GROUP_BITS)).expect("12 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_second_item_is_refused() {
        let mut taken = Taken::new();
        taken.take(Path::new("a/b")).unwrap();
        taken.take(Path::new("a/c")).unwrap();
        let error = taken.take(Path::new("a/b")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().starts_with("an earlier item has the target a/b"));
        taken.release(Path::new("a/b"));
        taken.release(Path::new("never taken"));
        taken.take(Path::new("a/b")).unwrap();
        taken.take(Path::new("a/c")).unwrap_err();
    }

    #[test]
    fn many_targets_take_little_more_than_their_hashes() {
        const TARGETS: usize = 300_000;
        let mut taken = Taken::new();
        let mut kept = HashSet::new();
        for index in 0..TARGETS {
            let target = format!("folder-{}/{index:07}.bin", index % 100);
            taken.take(Path::new(&target)).unwrap();
            if index % 1000 == 0 {
                kept.insert(target);
            }
        }
        let hashes: usize = taken.groups.iter().map(Vec::capacity).sum();
        assert!(hashes * 10 <= TARGETS * 12, "{hashes} places for {TARGETS} hashes");
        let largest = taken.groups.iter().map(Vec::len).max().unwrap();
        assert!(largest < 2 * TARGETS / taken.groups.len(), "{largest} in one group");
        for target in &kept {
            taken.take(Path::new(target)).unwrap_err();
        }
    }
}
