//! What holds of the ledger at all times, and what a byte is: for tests and for the end of a
//! transfer. Must not change anything.

use super::Ledger;
use crate::base::span::{Span, SpanSet};
#[cfg(test)]
use crate::plan::ConnectionId;

impl Ledger {
    /// Panics unless every byte is exactly one of delivered, assigned or unassigned. Looks at
    /// everything, so it is for tests and for the end of a transfer.
    pub(in crate::plan) fn invariants(&self) {
        let holes = || {
            let ready = self.ready.iter().map(|(&start, hole)| Span::new(start, hole.end));
            let resting = self.resting.iter().map(|(&(_, start), hole)| (start, hole.end));
            ready.chain(resting.map(|(start, end)| Span::new(start, end)))
        };
        let tail = Span::new(self.tail, self.total_bytes);
        let mut owned = SpanSet::new();
        for undelivered in holes().chain([tail]) {
            let gap = self.delivered.first_gap(undelivered);
            let is_free = undelivered.is_empty() || gap == Some(undelivered);
            assert!(is_free, "delivered bytes of {undelivered} are handed out");
            assert_eq!(
                owned.insert(undelivered),
                undelivered.len(),
                "{undelivered} is owned twice"
            );
        }
        assert!(holes().all(|hole| !hole.is_empty() && self.is_aligned(hole)), "holes align");
        assert_eq!(holes().map(Span::len).sum::<u64>(), self.hole_bytes, "hole bytes add up");
        for assignment in self.assignments.values().chain(self.aheads.values()) {
            assert_eq!(
                owned.insert(assignment.span),
                assignment.span.len(),
                "{assignment:?} is owned twice"
            );
            assert!(self.is_aligned(assignment.span), "{assignment:?} is not aligned");
            assert!(
                assignment.span.start() <= assignment.claimed_to
                    && assignment.claimed_to <= assignment.span.end()
            );
        }
        for (hedger, shadow) in &self.shadows {
            assert!(!self.assignments.contains_key(hedger), "{hedger} holds two spans");
            let victim = shadow.victim.map(|victim| &self.assignments[&victim]);
            assert!(victim.is_none_or(
                |assignment| assignment.is_hedged && assignment.span.covers(shadow.span)
            ));
            assert!(victim.is_some() || self.delivered.covers(shadow.span), "an orphan with gaps");
        }
        for delivered in self.delivered.iter() {
            owned.insert(delivered);
        }
        let all = Span::new(0, self.total_bytes);
        assert_eq!(owned.first_gap(all), None, "a byte is lost");
        assert_eq!(owned.covered(), self.total_bytes, "a byte lies outside of the file");
    }
}

/// What a byte is, for comparison with a model.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) enum Owner {
    Unassigned,
    Assigned(ConnectionId),
    Delivered,
}

#[cfg(test)]
impl Ledger {
    pub(in crate::plan) fn owner(&self, offset: u64) -> Owner {
        if self.delivered.span_at(offset).is_some() {
            return Owner::Delivered;
        }
        let mut assignments = self.assignments.iter().chain(&self.aheads);
        let assignment = assignments.find(|(_, assignment)| assignment.span.contains(offset));
        assignment.map_or(Owner::Unassigned, |(&connection, _)| Owner::Assigned(connection))
    }
}
