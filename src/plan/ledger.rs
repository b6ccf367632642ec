//! Who owns which byte of the file. Owns the partition; must not know why a span changes hands.
//!
//! States of a byte:
//! * unassigned: a *hole* (came back from a connection), ready or resting until a time; or in the
//!   *tail*, which nobody was ever given; gaps that an earlier run has left below its last byte
//!   are holes. The tail is one number, so that a file of a pebibyte
//!   costs as little as a small one.
//! * assigned: one connection fetches it, now or as its next span (*ahead*). A second connection
//!   may have a *shadow* of an assignment: it fetches the same bytes without owning them.
//! * delivered: handed to the disk, for good. Islands of delivered bytes may lie inside an
//!   assignment.
//!
//! unassigned -> assigned -> delivered, and back from assigned to unassigned when a connection
//! fails. When the owner of a shadowed assignment fails, the shadow becomes an assignment.

mod assignment;
mod audit;
#[cfg(test)]
mod tests;

pub(super) use assignment::{Assignment, Proposal};
#[cfg(test)]
pub(super) use audit::Owner;

use super::ConnectionId;
use crate::base::span::{Span, SpanSet};
use assignment::Shadow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The partition of one file.
#[derive(Debug)]
pub(super) struct Ledger {
    total_bytes: u64,
    align_bytes: u64,
    /// `[tail, total_bytes)` was never handed out.
    tail: u64,
    /// Holes that may be handed out, by their first byte.
    ready: BTreeMap<u64, Hole>,
    /// Holes in backoff, by the time they become ready and their first byte.
    resting: BTreeMap<(Duration, u64), Hole>,
    /// Bytes in `ready` and `resting`.
    hole_bytes: u64,
    /// What connections receive.
    assignments: BTreeMap<ConnectionId, Assignment>,
    /// What they have asked for beyond that, and not started to receive.
    aheads: BTreeMap<ConnectionId, Assignment>,
    /// What connections fetch a second time.
    shadows: BTreeMap<ConnectionId, Shadow>,
    /// What has been handed to the disk.
    delivered: SpanSet,
}

/// Which of a connection's two places an assignment takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Now,
    Ahead,
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    /// One past its last byte.
    end: u64,
    /// Consecutive failures of this stretch without a delivered byte.
    failures: u32,
}

impl Ledger {
    /// `delivered` needs no fetching, and all else of the file is unassigned: each gap is a hole
    /// that is ready, what lies behind the last delivered byte is the tail.
    pub(super) fn new(total_bytes: u64, align_bytes: u64, delivered: &SpanSet) -> Self {
        assert!(align_bytes > 0, "alignment is at least 1");
        let mut ledger = Self {
            total_bytes,
            align_bytes,
            tail: 0,
            ready: BTreeMap::new(),
            resting: BTreeMap::new(),
            hole_bytes: 0,
            assignments: BTreeMap::new(),
            aheads: BTreeMap::new(),
            shadows: BTreeMap::new(),
            delivered: delivered.clone(),
        };
        for span in delivered.iter() {
            assert!(span.end() <= total_bytes, "{span} is not of this file");
            assert!(ledger.is_aligned(span), "{span} is not aligned to {align_bytes}");
            let gap = Span::new(ledger.tail, span.start());
            if !gap.is_empty() {
                ledger.hole_bytes += gap.len();
                ledger.ready.insert(gap.start(), Hole { end: gap.end(), failures: 0 });
            }
            ledger.tail = span.end();
        }
        ledger
    }

    pub(super) fn delivered_bytes(&self) -> u64 {
        self.delivered.covered()
    }

    pub(super) fn remaining_bytes(&self) -> u64 {
        self.total_bytes - self.delivered.covered()
    }

    /// The offset below which every byte is delivered.
    pub(super) fn delivered_to(&self) -> u64 {
        let all = Span::new(0, self.total_bytes);
        self.delivered.first_gap(all).map_or(self.total_bytes, Span::start)
    }

    /// Assignments, and the spans that what is unassigned makes, of the tail only what lies below
    /// the offset `below`: a lower bound.
    pub(super) fn pieces(&self, request_bytes: u64, below: u64) -> u64 {
        let holes = (self.ready.len() + self.resting.len()) as u64;
        let holes = holes.max(self.hole_bytes.div_ceil(request_bytes));
        let tail = self.total_bytes.min(below).saturating_sub(self.tail).div_ceil(request_bytes);
        (self.assignments.len() + self.aheads.len() + self.shadows.len()) as u64 + holes + tail
    }

    /// Bytes that nobody fetches.
    pub(super) fn unassigned_bytes(&self) -> u64 {
        self.hole_bytes + (self.total_bytes - self.tail)
    }

    /// Bytes that have not come yet, as far as is known. Looks at each assignment.
    pub(super) fn unreceived_bytes(&self) -> u64 {
        let assigned: u64 =
            self.assignments.values().map(|assignment| assignment.unclaimed().len()).sum();
        let ahead: u64 = self.aheads.values().map(|assignment| assignment.span.len()).sum();
        self.unassigned_bytes() + assigned + ahead
    }

    pub(super) fn assignment(&self, connection: ConnectionId) -> Option<&Assignment> {
        self.assignments.get(&connection)
    }

    pub(super) fn assignment_count(&self) -> usize {
        self.assignments.len()
    }

    /// What of the connection's span has not been delivered, from its first gap on.
    pub(super) fn undelivered(&self, assignment: &Assignment) -> Span {
        let end = assignment.span.end();
        let start = self.delivered.first_gap(assignment.span).map_or(end, Span::start);
        Span::new(start, end)
    }

    /// The bytes of `span` that are not delivered, in order.
    pub(super) fn gaps(&self, span: Span) -> Vec<Span> {
        self.delivered.gaps(span)
    }

    pub(super) fn ahead(&self, connection: ConnectionId) -> Option<&Assignment> {
        self.aheads.get(&connection)
    }

    /// What the connection receives, its own or a shadow.
    pub(super) fn receiving(&self, connection: ConnectionId) -> Option<Span> {
        let own = self.assignments.get(&connection).map(|assignment| assignment.span);
        own.or_else(|| self.shadows.get(&connection).map(|shadow| shadow.span))
    }

    /// The spans ahead, which nobody has started on.
    pub(super) fn aheads(&self) -> impl Iterator<Item = (ConnectionId, &Assignment)> {
        self.aheads.iter().map(|(&connection, assignment)| (connection, assignment))
    }

    pub(super) fn assignments(&self) -> impl Iterator<Item = (ConnectionId, &Assignment)> {
        self.assignments.iter().map(|(&connection, assignment)| (connection, assignment))
    }

    /// When the first resting hole becomes ready.
    pub(super) fn next_ready_at(&self) -> Option<Duration> {
        self.resting.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Assigns `span`, which the connection has asked for already: the start of a ready hole or of
    /// the tail.
    pub(super) fn adopt(&mut self, connection: ConnectionId, span: Span) {
        assert!(!span.is_empty() && span.end() <= self.total_bytes, "{span} is not of this file");
        if span.start() == self.tail {
            self.tail = span.end();
            return self.assign(connection, Slot::Now, span, 0);
        }
        let hole = self.ready.remove(&span.start());
        let hole = hole.expect("an adopted span starts where unassigned bytes do");
        assert!(span.end() <= hole.end, "{span} does not end within its hole, at {}", hole.end);
        if span.end() < hole.end {
            self.ready.insert(span.end(), hole);
        }
        self.hole_bytes -= span.len();
        self.assign(connection, Slot::Now, span, hole.failures);
    }

    /// Holes whose time has come become ready; each one moves once, so this is amortised.
    pub(super) fn wake(&mut self, now: Duration) {
        while let Some(entry) = self.resting.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, start), hole) = entry.remove_entry();
            self.ready.insert(start, hole);
        }
    }

    /// Assigns the lowest ready hole, `bytes_max` of it at most, and no byte from the offset
    /// `below` on.
    pub(super) fn assign_hole(
        &mut self,
        connection: ConnectionId,
        slot: Slot,
        bytes_max: u64,
        below: u64,
    ) -> Option<Span> {
        let lowest = self.ready.first_entry().filter(|entry| *entry.key() < below)?;
        let (start, hole) = lowest.remove_entry();
        let end_max = start.saturating_add(bytes_max).min(below);
        let (span, rest) = Span::new(start, hole.end).split_at(end_max);
        if !rest.is_empty() {
            self.ready.insert(rest.start(), hole);
        }
        self.hole_bytes -= span.len();
        self.assign(connection, slot, span, hole.failures);
        Some(span)
    }

    /// Assigns the start of the tail, `bytes_max` of it at most, and no byte from the offset
    /// `below` on. Every hole lies below the tail, so holes go first wherever the lowest bytes are
    /// wanted.
    pub(super) fn assign_tail(
        &mut self,
        connection: ConnectionId,
        slot: Slot,
        bytes_max: u64,
        below: u64,
    ) -> Option<Span> {
        let tail = Span::new(self.tail, self.total_bytes);
        let (span, rest) = tail.split_at(self.tail.saturating_add(bytes_max).min(below));
        if span.is_empty() {
            return None;
        }
        self.tail = rest.start();
        self.assign(connection, slot, span, 0);
        Some(span)
    }

    /// The connection has taken everything of its span below `to` into buffers. Stale samples are
    /// ignored: positions are read beside the lock.
    pub(super) fn claim(&mut self, connection: ConnectionId, to: u64) {
        if let Some(assignment) = self.assignments.get_mut(&connection) {
            assignment.claim(to);
        }
    }

    /// `span`, of the connection's assignment or shadow, is delivered; returns how many of its
    /// bytes were not before. Bytes of an assignment that never had a shadow are all new.
    pub(super) fn deliver(&mut self, connection: ConnectionId, span: Span) -> u64 {
        assert!(self.is_aligned(span), "{span} is not aligned to {}", self.align_bytes);
        let holder = self.receiving(connection).expect("who delivers has an assignment");
        assert!(holder.covers(span), "{span} is delivered outside of the assignment {holder}");
        let new_bytes = self.delivered.insert(span);
        let owner = self.shadows.get(&connection).map_or(Some(connection), |shadow| shadow.victim);
        if let Some(assignment) = owner.and_then(|owner| self.assignments.get_mut(&owner)) {
            let is_shared = assignment.is_hedged;
            assert!(is_shared || new_bytes == span.len(), "{span} is delivered a second time");
            assignment.failures = if new_bytes > 0 { 0 } else { assignment.failures };
            if owner == Some(connection) {
                assignment.claim(span.end());
                assignment.has_delivered |= !span.is_empty();
            }
        }
        new_bytes
    }

    /// The connection has delivered all of its span; or all below a cut it has agreed to and that
    /// the thief has not reported yet, and then the rest is a hole, ready at once. Returns the span
    /// ahead, which takes its place.
    pub(super) fn finish(&mut self, connection: ConnectionId) -> Option<Span> {
        if let Some(shadow) = self.shadows.remove(&connection) {
            let gap = self.delivered.first_gap(shadow.span);
            assert_eq!(gap, None, "{connection} finished its hedge with a gap");
            return None;
        }
        let assignment =
            self.assignments.remove(&connection).expect("who finishes has an assignment");
        if let Some(gap) = self.delivered.first_gap(assignment.span) {
            let cut = assignment.proposal.is_some() && gap.end() == assignment.span.end();
            assert!(cut, "{connection} finished {} without delivering {gap}", assignment.span);
            self.dig(gap, assignment.failures, Duration::ZERO);
        }
        if let Some((_, shadow)) = self.shadow_of(connection) {
            shadow.victim = None;
        }
        let ahead = self.aheads.remove(&connection)?;
        let span = ahead.span;
        self.assignments.insert(connection, ahead);
        Some(span)
    }

    /// Takes the connection's assignment away; each gap in it becomes a hole that rests until
    /// `ready_at`, unless another connection has a shadow of it and now owns it. What it had asked
    /// for ahead is free at once, without a penalty.
    pub(super) fn release(&mut self, connection: ConnectionId, failures: u32, ready_at: Duration) {
        self.release_ahead(connection);
        if self.shadows.remove(&connection).is_some() {
            return;
        }
        let mut assignment =
            self.assignments.remove(&connection).expect("who fails has an assignment");
        let heir = self.shadow_of(connection).map(|(heir, shadow)| (heir, shadow.span));
        let inherited =
            heir.map_or(Span::new(assignment.span.end(), assignment.span.end()), |(_, span)| span);
        let mut rest = Span::new(assignment.span.start(), inherited.start());
        while let Some(gap) = self.delivered.first_gap(rest) {
            self.dig(gap, failures, ready_at);
            rest = Span::new(gap.end(), rest.end());
        }
        if let Some((heir, span)) = heir {
            let shadow = self.shadows.remove(&heir).expect("found above");
            (assignment.span, assignment.claimed_to) = (span, span.start());
            (assignment.proposal, assignment.is_aborted) = (None, shadow.is_aborted);
            assignment.has_delivered = false;
            self.assignments.insert(heir, assignment);
        }
    }

    /// Takes back what the connection has asked for ahead; `false` if there was nothing.
    pub(super) fn release_ahead(&mut self, connection: ConnectionId) -> bool {
        let Some(ahead) = self.aheads.remove(&connection) else { return false };
        self.dig(ahead.span, ahead.failures, Duration::ZERO);
        true
    }

    /// The connection fetches the undelivered end of the victim's assignment too. `None` if there
    /// is none.
    pub(super) fn shadow(&mut self, victim: ConnectionId, hedger: ConnectionId) -> Option<Span> {
        assert_eq!(self.receiving(hedger), None, "{hedger} holds a span already");
        let assignment = self.assignments.get_mut(&victim).expect("a victim has an assignment");
        assert!(assignment.is_divisible(), "one hedge or steal at a time");
        let start = self.delivered.first_gap(assignment.span)?.start();
        let span = Span::new(start, assignment.span.end());
        assignment.is_hedged = true;
        self.shadows.insert(hedger, Shadow { victim: Some(victim), span, is_aborted: false });
        Some(span)
    }

    /// Connections whose bytes others have delivered; each is named once.
    pub(super) fn delivered_by_others(&mut self) -> Vec<ConnectionId> {
        let delivered = &self.delivered;
        let shadows = self.shadows.iter_mut();
        let shadows = shadows.map(|(&id, shadow)| (id, shadow.span, &mut shadow.is_aborted));
        let assignments =
            self.assignments.iter_mut().filter(|(_, assignment)| assignment.is_hedged);
        let assignments =
            assignments.map(|(&id, assignment)| (id, assignment.span, &mut assignment.is_aborted));
        let mut over = Vec::new();
        for (connection, span, is_aborted) in shadows.chain(assignments) {
            if !*is_aborted && delivered.covers(span) {
                *is_aborted = true;
                over.push(connection);
            }
        }
        over
    }

    /// Notes who negotiates for the upper part of the victim's span, or that nobody does any more.
    pub(super) fn set_proposal(&mut self, victim: ConnectionId, proposal: Option<Proposal>) {
        self.assignments.get_mut(&victim).expect("a victim has an assignment").proposal = proposal;
    }

    /// The victim ends at `new_end`, and the thief takes over what was above.
    pub(super) fn split(
        &mut self,
        victim: ConnectionId,
        new_end: u64,
        thief: ConnectionId,
    ) -> Span {
        let assignment = self.assignments.get_mut(&victim).expect("a victim has an assignment");
        let (kept, taken) = assignment.span.split_at(new_end);
        assert!(
            !kept.is_empty() && !taken.is_empty(),
            "{new_end} does not cut {}",
            assignment.span
        );
        assert_eq!(
            self.delivered.first_gap(taken),
            Some(taken),
            "{victim} delivered what it gave up"
        );
        (assignment.span, assignment.is_cut) = (kept, true);
        assignment.claimed_to = assignment.claimed_to.min(new_end);
        let failures = assignment.failures;
        self.assign(thief, Slot::Now, taken, failures);
        taken
    }

    fn assign(&mut self, connection: ConnectionId, slot: Slot, span: Span, failures: u32) {
        assert!(self.is_aligned(span), "{span} is not aligned to {}", self.align_bytes);
        let assignment = Assignment {
            span,
            claimed_to: span.start(),
            failures,
            has_delivered: false,
            proposal: None,
            is_cut: false,
            is_hedged: false,
            is_aborted: false,
        };
        let assignments = match slot {
            Slot::Now => &mut self.assignments,
            Slot::Ahead => &mut self.aheads,
        };
        let earlier = assignments.insert(connection, assignment);
        assert!(earlier.is_none(), "{connection} holds a span already: {earlier:?}");
    }

    /// At most a few shadows exist at a time: they cost bytes twice.
    fn shadow_of(&mut self, victim: ConnectionId) -> Option<(ConnectionId, &mut Shadow)> {
        let mut shadows = self.shadows.iter_mut();
        let found = shadows.find(|(_, shadow)| shadow.victim == Some(victim));
        found.map(|(&hedger, shadow)| (hedger, shadow))
    }

    fn dig(&mut self, gap: Span, failures: u32, ready_at: Duration) {
        self.hole_bytes += gap.len();
        self.resting.insert((ready_at, gap.start()), Hole { end: gap.end(), failures });
    }

    fn is_aligned(&self, span: Span) -> bool {
        span.start().is_multiple_of(self.align_bytes)
            && (span.end().is_multiple_of(self.align_bytes) || span.end() == self.total_bytes)
    }
}
