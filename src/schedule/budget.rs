//! The connections that are granted, in total and for each origin. Owns the two bounds; must not
//! know what a connection is for.

use super::OriginId;
use std::collections::BTreeMap;

/// Granted connections and their bounds.
#[derive(Debug)]
pub(super) struct Budget {
    total_max: u32,
    per_origin_max: u32,
    /// Bounds of single origins, in the place of `per_origin_max`.
    own_max: BTreeMap<OriginId, u32>,
    total: u32,
    /// Origins with at least one.
    by_origin: BTreeMap<OriginId, u32>,
}

impl Budget {
    pub(super) fn new(total_max: u32, per_origin_max: u32) -> Self {
        let (own_max, by_origin) = (BTreeMap::new(), BTreeMap::new());
        Self { total_max, per_origin_max, own_max, total: 0, by_origin }
    }

    /// Connections that may still be granted for `origin`.
    pub(super) fn room(&self, origin: OriginId) -> u32 {
        let room = self.own_max.get(&origin).unwrap_or(&self.per_origin_max);
        (self.total_max - self.total).min(room - self.granted(origin))
    }

    /// Bounds the connections of this origin by a number of its own, at least 1.
    pub(super) fn limit(&mut self, origin: OriginId, connections_max: u32) {
        assert!(connections_max >= 1, "bounds are at least 1");
        assert_eq!(self.granted(origin), 0, "nothing is granted for it before");
        self.own_max.insert(origin, connections_max);
    }

    /// Most connections to the origin, the bound in total considered.
    pub(super) fn origin_max(&self, origin: OriginId) -> u32 {
        let own = self.own_max.get(&origin);
        own.copied().unwrap_or(self.per_origin_max).min(self.total_max)
    }

    /// Connections that are granted for `origin`.
    pub(super) fn granted(&self, origin: OriginId) -> u32 {
        self.by_origin.get(&origin).copied().unwrap_or_default()
    }

    /// Grants `connections`, for which there is room.
    pub(super) fn take(&mut self, origin: OriginId, connections: u32) {
        assert!(connections <= self.room(origin), "grants stay within both bounds");
        self.total += connections;
        *self.by_origin.entry(origin).or_default() += connections;
    }

    /// Takes `connections` that were granted for `origin` back.
    pub(super) fn give_back(&mut self, origin: OriginId, connections: u32) {
        let granted = self.by_origin.get_mut(&origin).expect("what comes back was granted");
        assert!(connections <= *granted, "no more comes back than was granted");
        *granted -= connections;
        if *granted == 0 {
            self.by_origin.remove(&origin);
        }
        self.total -= connections;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_room_counts_and_origins_without_a_grant_are_forgotten() {
        let mut budget = Budget::new(5, 3);
        let (one, other) = (OriginId(1), OriginId(2));
        budget.take(one, 3);
        assert_eq!((budget.room(one), budget.room(other)), (0, 2));
        budget.give_back(one, 1);
        budget.take(other, 3);
        assert_eq!((budget.room(one), budget.room(other)), (0, 0));
        budget.give_back(other, 3);
        assert_eq!(budget.granted(one), 2);
        assert_eq!(budget.by_origin.len(), 1);
    }

    #[test]
    fn an_origin_may_have_a_bound_of_its_own() {
        let mut budget = Budget::new(5, 3);
        let (one, other) = (OriginId(1), OriginId(2));
        budget.limit(one, 1);
        budget.limit(other, 9);
        assert_eq!((budget.origin_max(one), budget.origin_max(other)), (1, 5));
        assert_eq!(budget.origin_max(OriginId(3)), 3);
        budget.take(one, 1);
        assert_eq!((budget.room(one), budget.room(other)), (0, 4));
    }

    #[test]
    #[should_panic(expected = "within both bounds")]
    fn a_grant_beyond_a_bound_is_a_fault_of_ours() {
        Budget::new(5, 3).take(OriginId(1), 4);
    }
}
