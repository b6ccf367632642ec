//! Items that failed and are tried once more when all others are done. Owns their list and its
//! bound; must not know why they failed.

use super::Item;
use std::collections::VecDeque;

/// Failed items.
#[derive(Debug)]
pub(super) struct Failed {
    items_max: usize,
    /// For the next round.
    kept: VecDeque<Item>,
    /// Of the round that runs, not yet waiting again.
    again: VecDeque<Item>,
    /// Items that found no room.
    lost: u64,
}

impl Failed {
    pub(super) fn new(items_max: usize) -> Self {
        Self { items_max, kept: VecDeque::new(), again: VecDeque::new(), lost: 0 }
    }

    /// Keeps `item` for the next round, if there is room.
    pub(super) fn keep(&mut self, item: Item) {
        if self.kept.len() + self.again.len() < self.items_max {
            self.kept.push_back(item);
        } else {
            self.lost += 1;
        }
    }

    /// Begins a round of all that are kept; returns their number.
    pub(super) fn start_round(&mut self) -> usize {
        assert!(self.again.is_empty(), "the round before has ended");
        std::mem::swap(&mut self.kept, &mut self.again);
        self.again.len()
    }

    /// The next item of the round.
    pub(super) fn next(&mut self) -> Option<Item> {
        self.again.pop_front()
    }

    /// Indicates whether the round has items left.
    pub(super) fn is_in_round(&self) -> bool {
        !self.again.is_empty()
    }

    /// Items kept for the next round.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Items that failed and found no room.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{ItemId, OriginId};

    #[test]
    fn a_round_takes_what_was_kept_and_the_bound_holds() {
        let item = |id| Item { id: ItemId(id), origin: OriginId(0), size_hint: None };
        let mut failed = Failed::new(2);
        (1..=3).for_each(|id| failed.keep(item(id)));
        assert_eq!((failed.kept(), failed.lost()), (2, 1));
        assert_eq!(failed.start_round(), 2);
        assert_eq!(failed.next(), Some(item(1)));
        failed.keep(item(1));
        assert_eq!(failed.next(), Some(item(2)));
        assert!(!failed.is_in_round(), "what failed again is of the round after");
        assert_eq!(failed.kept(), 1);
    }
}
