//! The ledger by hand: what each change of hands leaves.

use super::*;
use crate::base::size::MIB;

const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);
const NOW: Duration = Duration::ZERO;
const LATER: Duration = Duration::from_secs(1);

fn lowest(ledger: &mut Ledger, now: Duration, by: ConnectionId, bytes: u64) -> Option<Span> {
    below(ledger, now, by, bytes, u64::MAX)
}

fn below(
    ledger: &mut Ledger,
    now: Duration,
    by: ConnectionId,
    bytes: u64,
    below: u64,
) -> Option<Span> {
    ledger.wake(now);
    let hole = ledger.assign_hole(by, Slot::Now, bytes, below);
    hole.or_else(|| ledger.assign_tail(by, Slot::Now, bytes, below))
}

fn assigned(total_bytes: u64, bytes: u64) -> Ledger {
    let mut ledger = Ledger::new(total_bytes, 4, &SpanSet::new());
    assert_eq!(lowest(&mut ledger, NOW, A, bytes), Some(Span::new(0, bytes)));
    ledger
}

#[test]
fn the_lowest_ready_bytes_go_first() {
    let mut ledger = assigned(100, 16);
    assert_eq!(lowest(&mut ledger, NOW, B, 16), Some(Span::new(16, 32)));
    ledger.release(A, 1, LATER);
    ledger.release(B, 1, NOW);
    assert_eq!(lowest(&mut ledger, NOW, A, 8), Some(Span::new(16, 24)));
    assert_eq!(ledger.next_ready_at(), Some(LATER));
    assert_eq!(lowest(&mut ledger, LATER, B, 100), Some(Span::new(0, 16)));
    ledger.invariants();
}

#[test]
fn nothing_is_assigned_from_a_bound_on() {
    let mut ledger = assigned(100, 16);
    ledger.release(A, 1, LATER);
    assert_eq!(below(&mut ledger, NOW, A, 100, 16), None, "the tail begins there");
    assert_eq!(below(&mut ledger, NOW, A, 100, 20), Some(Span::new(16, 20)));
    assert_eq!(below(&mut ledger, LATER, B, 100, 8), Some(Span::new(0, 8)));
    ledger.deliver(B, Span::new(0, 8));
    ledger.finish(B);
    assert_eq!(below(&mut ledger, LATER, B, 100, 8), None, "the hole begins there");
    assert_eq!((ledger.delivered_to(), ledger.pieces(4, 24)), (8, 1 + 2 + 1));
    ledger.invariants();
}

#[test]
fn gaps_between_delivered_islands_become_holes() {
    let mut ledger = assigned(30, 30);
    ledger.deliver(A, Span::new(4, 8));
    ledger.deliver(A, Span::new(12, 16));
    ledger.release(A, 2, NOW);
    ledger.invariants();
    let gaps = [Span::new(0, 4), Span::new(8, 12), Span::new(16, 30)];
    for gap in gaps {
        assert_eq!(lowest(&mut ledger, NOW, A, 100), Some(gap));
        assert_eq!(ledger.assignment(A).map(Assignment::failures), Some(2));
        ledger.deliver(A, gap);
        ledger.finish(A);
    }
    assert_eq!((ledger.delivered_bytes(), ledger.remaining_bytes()), (30, 0));
    assert_eq!(lowest(&mut ledger, NOW, A, 100), None);
    ledger.invariants();
}

fn resumed(total_bytes: u64, delivered: &[(u64, u64)]) -> Ledger {
    let mut set = SpanSet::new();
    delivered.iter().for_each(|&(start, end)| _ = set.insert(Span::new(start, end)));
    let ledger = Ledger::new(total_bytes, 4, &set);
    ledger.invariants();
    ledger
}

#[test]
fn a_resumed_file_has_its_gaps_as_holes() {
    let mut ledger = resumed(50, &[(4, 8), (16, 24), (24, 28), (32, 36)]);
    assert_eq!((ledger.delivered_bytes(), ledger.unassigned_bytes()), (20, 30));
    assert_eq!(ledger.pieces(100, u64::MAX), 4);
    for (start, end) in [(0, 4), (8, 16), (28, 32), (36, 50)] {
        assert_eq!(lowest(&mut ledger, NOW, A, 100), Some(Span::new(start, end)));
        ledger.deliver(A, Span::new(start, end));
        ledger.finish(A);
    }
    assert_eq!(ledger.remaining_bytes(), 0);
    ledger.invariants();
    assert_eq!(lowest(&mut resumed(50, &[(0, 50)]), NOW, A, 100), None);
    assert_eq!(resumed(50, &[(0, 16), (20, 50)]).pieces(100, u64::MAX), 1);
}

#[test]
fn the_start_of_any_gap_can_be_adopted() {
    let mut ledger = resumed(50, &[(0, 8), (24, 32)]);
    ledger.adopt(A, Span::new(8, 16));
    ledger.adopt(B, Span::new(32, 36));
    ledger.invariants();
    ledger.deliver(A, Span::new(8, 16));
    ledger.finish(A);
    assert_eq!(lowest(&mut ledger, NOW, A, 100), Some(Span::new(16, 24)));
    ledger.deliver(B, Span::new(32, 36));
    ledger.finish(B);
    assert_eq!(lowest(&mut ledger, NOW, B, 100), Some(Span::new(36, 50)));
    ledger.invariants();
}

#[test]
#[should_panic(expected = "does not end within its hole")]
fn adopting_delivered_bytes_is_our_bug() {
    resumed(50, &[(8, 16)]).adopt(A, Span::new(0, 12));
}

#[test]
#[should_panic(expected = "is not aligned")]
fn resuming_with_torn_units_is_our_bug() {
    resumed(50, &[(0, 6)]);
}

#[test]
fn a_delivered_byte_forgives_the_failures_before_it() {
    let mut ledger = assigned(100, 16);
    ledger.release(A, 3, NOW);
    lowest(&mut ledger, NOW, A, 16);
    ledger.deliver(A, Span::new(12, 16));
    assert_eq!(ledger.assignment(A).map(Assignment::failures), Some(0));
}

#[test]
fn failures_go_with_the_bytes_when_a_hole_or_a_lease_is_cut() {
    let mut ledger = assigned(100, 32);
    ledger.release(A, 2, NOW);
    assert_eq!(lowest(&mut ledger, NOW, A, 16), Some(Span::new(0, 16)));
    assert_eq!(ledger.split(A, 8, B), Span::new(8, 16));
    assert_eq!(ledger.assignment(B).map(Assignment::failures), Some(2));
    ledger.deliver(B, Span::new(8, 16));
    ledger.finish(B);
    assert_eq!(lowest(&mut ledger, NOW, B, 16), Some(Span::new(16, 32)));
    assert_eq!(ledger.assignment(B).map(Assignment::failures), Some(2));
    ledger.invariants();
}

#[test]
fn a_victim_may_finish_before_its_thief_reports() {
    let mut ledger = assigned(32, 32);
    ledger.set_proposal(A, Some(Proposal { thief: B, tries: 1 }));
    ledger.deliver(A, Span::new(0, 16));
    ledger.finish(A);
    ledger.invariants();
    assert_eq!(lowest(&mut ledger, NOW, B, 100), Some(Span::new(16, 32)));
}

#[test]
fn stale_samples_change_nothing() {
    let mut ledger = assigned(100, 16);
    ledger.claim(A, 8);
    for stale in [0, 4, 17, u64::MAX] {
        ledger.claim(A, stale);
    }
    ledger.claim(B, 4);
    assert_eq!(ledger.assignment(A).map(Assignment::unclaimed), Some(Span::new(8, 16)));
}

#[test]
#[should_panic(expected = "without delivering 8..16")]
fn finishing_with_a_gap_is_our_bug() {
    let mut ledger = assigned(100, 16);
    ledger.deliver(A, Span::new(0, 8));
    ledger.finish(A);
}

#[test]
#[should_panic(expected = "is delivered a second time")]
fn writing_twice_is_our_bug() {
    let mut ledger = assigned(100, 16);
    ledger.deliver(A, Span::new(0, 8));
    ledger.deliver(A, Span::new(4, 12));
}

#[test]
#[should_panic(expected = "delivered what it gave up")]
fn giving_up_delivered_bytes_is_our_bug() {
    let mut ledger = assigned(100, 16);
    ledger.deliver(A, Span::new(12, 16));
    ledger.split(A, 8, B);
}

#[test]
fn ten_thousand_open_spans_of_a_pebibyte() {
    let mut ledger = Ledger::new(1 << 50, 4096, &SpanSet::new());
    let connections = || (0..10_000).map(ConnectionId);
    for connection in connections() {
        lowest(&mut ledger, NOW, connection, MIB);
    }
    connections().for_each(|connection| ledger.release(connection, 1, LATER));
    ledger.invariants();
    assert_eq!(ledger.pieces(MIB, u64::MAX), 1 << 30);
    for connection in connections() {
        let span = lowest(&mut ledger, LATER, connection, MIB).expect("a hole is ready");
        assert_eq!(span, Span::with_len(u64::from(connection.0) * MIB, MIB));
        ledger.deliver(connection, span);
        ledger.finish(connection);
    }
    ledger.invariants();
    assert_eq!(ledger.delivered_bytes(), 10_000 * MIB);
}
