//! How far ahead of the oldest missing byte spans are assigned.

use super::*;
use crate::plan::{AheadFault, Pressure, Totals};

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

/// Connections of 30 MB/s each from a server next door, for three seconds in which the reader of
/// the output is busy for this share: how many are wanted then, and the verdict.
fn read_by(reader_busy: f64) -> (u32, String) {
    let tick = Duration::from_millis(50);
    let (fanout, request) = (Fanout::Auto { max: 16 }, RequestSize::Auto);
    let settings = Settings { fanout, request, ahead_bytes_max: Some(64 * MIB), ..with(1) };
    let mut transfer = Transfer::new(4 * GIB, settings);
    transfer.on_connected(NOW, A, 0, Duration::from_millis(1));
    transfer.on_requested(NOW, A, 0);
    transfer.adopt(NOW, A, 0, Span::new(0, MIB));
    let mut now = NOW;
    let mut spans = vec![Some((Span::new(0, MIB), 0))];
    for _ in 0..60 {
        now += tick;
        spans.resize(spans.len().max(transfer.connections_wanted(now) as usize), None);
        for (id, slot) in (0..).map(ConnectionId).zip(&mut spans) {
            let Some((span, position)) = slot else {
                if let Next::Fetch(fetch) = transfer.next(now, id) {
                    transfer.on_connected(now, id, 0, Duration::from_millis(1));
                    transfer.on_requested(now, id, fetch.span.start());
                    transfer.on_first_byte(now, id, fetch.span.start());
                    *slot = Some((fetch.span, fetch.span.start()));
                }
                continue;
            };
            *position = span.end().min(*position + 1_500_000);
            transfer.on_progress(now, id, *position);
            if *position == span.end() {
                transfer.on_delivered(now, id, *span);
                transfer.on_finished(now, id);
                *slot = None;
            }
        }
        let pressure = Pressure { reader_busy: Some(reader_busy), ..Pressure::default() };
        // Connections whose blocks wait for bytes before them are no sign of a reader.
        transfer.on_tick(now, Pressure { blocks_exhausted: true, ..pressure });
    }
    let totals = Totals { elapsed: now - NOW, bytes: GIB, ..Totals::default() };
    (transfer.connections_wanted(now), transfer.limiter(totals).to_string())
}

#[test]
fn beside_a_busy_reader_no_connections_are_added() {
    let (connections, verdict) = read_by(0.97);
    assert_eq!((connections, verdict.starts_with("writing")), (2, true), "{verdict}");
}

#[test]
fn a_reader_that_is_busy_in_bursts_keeps_nothing_down() {
    let (connections, verdict) = read_by(0.4);
    assert!(connections > 2 && !verdict.starts_with("writing"), "{connections}: {verdict}");
}
