//! What is computed once, when it is first asked for.
//!
//! Must not know what that is.

use crate::server::stop::lock;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

/// One value; whoever comes first computes it, and the others wait.
type Slot<T> = Arc<Mutex<Option<T>>>;

/// Values by key.
#[derive(Debug)]
pub(super) struct Memo<K, T> {
    slots: Mutex<BTreeMap<K, Slot<T>>>,
    entries_max: usize,
}

impl<K: Ord, T: Clone> Memo<K, T> {
    /// Remembers `entries_max` values; one more has it forget all of them.
    pub(super) const fn new(entries_max: usize) -> Self {
        Self { slots: Mutex::new(BTreeMap::new()), entries_max }
    }

    /// The value of `key`, from `compute` if it is not there yet.
    pub(super) fn get_or(&self, key: K, compute: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let slot = self.slot(key);
        let mut slot = lock(&slot);
        if let Some(value) = &*slot {
            return Ok(value.clone());
        }
        let value = compute()?;
        *slot = Some(value.clone());
        Ok(value)
    }

    fn slot(&self, key: K) -> Slot<T> {
        let mut slots = lock(&self.slots);
        if slots.len() >= self.entries_max && !slots.contains_key(&key) {
            slots.clear();
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_computed_once_unless_that_failed_or_there_were_too_many() {
        let memo = Memo::new(2);
        let failed = memo.get_or(1, || Err(io::ErrorKind::NotFound.into()));
        assert!(failed.is_err());
        assert_eq!(memo.get_or(1, || Ok(10)).unwrap(), 10);
        assert_eq!(memo.get_or(1, || unreachable!("it is there")).unwrap(), 10);
        assert_eq!(memo.get_or(2, || Ok(20)).unwrap(), 20);
        assert_eq!(memo.get_or(3, || Ok(30)).unwrap(), 30);
        assert_eq!(memo.get_or(1, || Ok(11)).unwrap(), 11);
    }
}
