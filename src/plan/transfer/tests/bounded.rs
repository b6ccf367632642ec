//! How far ahead of the oldest missing byte spans are assigned.

use super::*;
use crate::plan::AheadFault;

const C: ConnectionId = ConnectionId(2);

/// A file of 64 MiB for four connections, of which no more than `ahead_bytes_max` beyond the oldest
/// missing byte is assigned, in requests of 8 MiB as long as that leaves one for each connection.
fn bounded(ahead_bytes_max: u64) -> Transfer {
    let settings = Settings { ahead_bytes_max: Some(ahead_bytes_max), ..with(4) };
    Transfer::new(64 * MIB, settings)
}

#[test]
fn spans_end_at_the_bound_and_go_on_with_the_oldest_missing_byte() {
    let mut transfer = bounded(20 * MIB);
    let spans = [0, 5, 10, 15].map(|at| Span::with_len(at * MIB, 5 * MIB));
    for (id, span) in (0..).map(ConnectionId).zip(spans) {
        assert_eq!(transfer.next(NOW, id), fetch(span), "each gets a share of what is allowed");
    }
    transfer.on_delivered(NOW, B, spans[1]);
    transfer.on_finished(NOW, B);
    transfer.on_progress(NOW, A, 5 * MIB);
    assert_eq!(transfer.delivered_to(), 0);
    assert!(!matches!(transfer.next(NOW, B), Next::Fetch(_)), "A has the oldest byte");
}

#[test]
fn who_gets_nothing_because_of_the_bound_waits_for_the_oldest_byte() {
    let mut transfer = bounded(MIB);
    let first = Span::new(0, MIB);
    assert_eq!(transfer.next(NOW, A), fetch(first));
    assert_eq!(transfer.next(NOW, B), Next::Wait);
    transfer.on_delivered(NOW, A, Span::new(0, MIB / 2));
    assert_eq!(transfer.delivered_to(), MIB / 2);
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(MIB, MIB + MIB / 2)));
    transfer.on_delivered(NOW, B, Span::new(MIB, MIB + MIB / 2));
    transfer.on_finished(NOW, B);
    assert_eq!(transfer.delivered_to(), MIB / 2, "what comes early does not count");
    assert_eq!(transfer.next(NOW, B), Next::Wait);
    transfer.on_delivered(NOW, A, Span::new(MIB / 2, MIB));
    assert_eq!(transfer.delivered_to(), MIB + MIB / 2);
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(MIB + MIB / 2, 2 * MIB + MIB / 2)));
    transfer.invariants();
}

#[test]
fn the_oldest_missing_unit_may_always_be_assigned() {
    for bytes in [0, 1, 4096, 8191] {
        let mut transfer = bounded(bytes);
        assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 4096)), "{bytes}");
        assert_eq!(transfer.next(NOW, B), Next::Wait);
        fail(&mut transfer, NOW, A, ErrorKind::ConnectionLost);
        assert_eq!(transfer.next(NOW, B), fetch(Span::new(0, 4096)), "{bytes}");
    }
    let mut transfer = bounded(8192);
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 8192)));
}

#[test]
fn gaps_beyond_the_bound_wait_too() {
    let mut delivered = SpanSet::new();
    delivered.insert(Span::new(MIB, 2 * MIB));
    delivered.insert(Span::new(3 * MIB, 4 * MIB));
    let settings = Settings { ahead_bytes_max: Some(2 * MIB), ..with(4) };
    let mut transfer = Transfer::resume(8 * MIB, settings, &delivered);
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, MIB)));
    assert_eq!(transfer.next(NOW, B), Next::Wait, "the second gap begins at the bound");
    transfer.on_delivered(NOW, A, Span::new(0, MIB));
    transfer.on_finished(NOW, A);
    assert_eq!(transfer.delivered_to(), 2 * MIB);
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(2 * MIB, 3 * MIB)));
    assert_eq!(transfer.next(NOW, A), Next::Wait, "all below the bound is there or on its way");
}

#[test]
fn requests_ahead_keep_to_the_bound() {
    let settings = Settings { ahead_bytes_max: Some(3 * MIB), request_ahead: true, ..with(1) };
    let mut transfer = Transfer::new(64 * MIB, Settings { request: SMALL, ..settings });
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 2 * MIB)));
    transfer.on_keep_alive(NOW, A);
    let ahead = transfer.ahead(NOW, A).map(|fetch| fetch.span);
    assert_eq!(ahead, Some(Span::new(2 * MIB, 3 * MIB)));
    transfer.on_ahead_lost(NOW, A, AheadFault::Closed);
    transfer.invariants();

    let settings = Settings { ahead_bytes_max: Some(2 * MIB), ..settings };
    let mut transfer = Transfer::new(64 * MIB, Settings { request: SMALL, ..settings });
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 2 * MIB)));
    transfer.on_keep_alive(NOW, A);
    assert_eq!(transfer.ahead(NOW, A), None);
}

const SMALL: RequestSize = RequestSize::Fixed(2 * MIB);

#[test]
fn no_workers_are_wanted_for_what_lies_beyond_the_bound() {
    let mut transfer = Transfer::new(GIB, Settings { ahead_bytes_max: Some(2 * MIB), ..with(16) });
    assert_eq!(transfer.connections_wanted(NOW), 2);
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, MIB)));
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(MIB, 2 * MIB)));
    assert_eq!(transfer.connections_wanted(NOW), 2);
    assert_eq!(transfer.next(NOW, C), Next::Wait);
    transfer.on_delivered(NOW, A, Span::new(0, MIB));
    transfer.on_finished(NOW, A);
    assert_eq!(transfer.connections_wanted(NOW), 2);
}

#[test]
fn the_bound_is_shared_by_automatic_requests() {
    let request = RequestSize::Auto;
    let settings = Settings { request, ahead_bytes_max: Some(8 * MIB), ..with(4) };
    let mut transfer = Transfer::new(GIB, settings);
    for at in [0, 2, 4, 6] {
        let id = ConnectionId(u32::try_from(at / 2).expect("small"));
        let span = Span::with_len(at * MIB, 2 * MIB);
        assert_eq!(transfer.next(NOW, id), fetch(span));
    }
}
