//! Tests of the facade: single decisions with fixed settings here, with adaptive ones in
//! `adaptive`, how far ahead spans are assigned in `bounded`, a limit of connections that
//! changes in `limited`, what failures lead to in `failures`, whole transfers in virtual time in
//! `drive`, the same from several sources in `mirrored`, random histories against a bitmap in
//! `model`.

mod adaptive;
mod bounded;
mod drive;
mod failures;
mod limited;
mod mirrored;
mod model;

use super::*;
use crate::base::ErrorKind;
use crate::base::limits::RETRY_WAIT_MIN;
use crate::base::size::{GIB, MIB};
use crate::plan::{Fanout, RequestSize, Verdict};

const A: ConnectionId = ConnectionId(0);
const B: ConnectionId = ConnectionId(1);
const NOW: Duration = Duration::from_secs(1);

/// A fixed number of `connections` with requests of 8 MiB, none of them ahead.
fn with(connections: u32) -> Settings {
    Settings {
        request: RequestSize::Fixed(8 * MIB),
        fanout: Fanout::Fixed(connections),
        request_ahead: false,
        ..Settings::default()
    }
}

fn fetch(span: Span) -> Next {
    Next::Fetch(Fetch { span, lead_bytes: 0 })
}

fn fail(transfer: &mut Transfer, now: Duration, id: ConnectionId, kind: ErrorKind) -> Verdict {
    transfer.on_failed(now, id, kind, None, false)
}

/// A has asked for the first 8 MiB of 8 MiB; B is idle.
fn adopted() -> Transfer {
    let mut transfer = Transfer::new(8 * MIB, with(4));
    transfer.adopt(NOW, A, 0, Span::new(0, 8 * MIB));
    transfer
}

#[test]
fn an_empty_file_is_complete() {
    let mut transfer = Transfer::new(0, with(4));
    assert!(transfer.is_complete());
    assert_eq!(transfer.next(NOW, A), Next::Done);
    assert_eq!(transfer.connections_wanted(NOW), 0);
    transfer.invariants();
}

#[test]
fn the_first_answer_is_adopted_and_the_rest_handed_out_in_order() {
    let mut transfer = Transfer::new(64 * MIB + 1, with(4));
    transfer.adopt(NOW, A, 0, Span::new(0, 8 * MIB));
    assert_eq!(transfer.connections_wanted(NOW), 4);
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(8 * MIB, 16 * MIB)));
    transfer.on_delivered(NOW, A, Span::new(0, 8 * MIB));
    transfer.on_finished(NOW, A);
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(16 * MIB, 24 * MIB)));
    assert_eq!(transfer.delivered_bytes(), 8 * MIB);
    transfer.invariants();
}

/// What an earlier transfer of 1 GiB has left: all but four gaps of 1 MiB and the last 2 MiB.
fn left_behind() -> SpanSet {
    let mut delivered = SpanSet::new();
    delivered.insert(Span::new(0, GIB - 2 * MIB));
    for at in [100, 200, 300, 400] {
        delivered.remove(Span::with_len(at * MIB, MIB));
    }
    delivered
}

#[test]
fn a_resumed_transfer_fetches_the_gaps_and_shares_them_out() {
    let mut transfer = Transfer::resume(GIB, with(6), &left_behind());
    assert_eq!(transfer.remaining_bytes(), 6 * MIB);
    assert_eq!(transfer.connections_wanted(NOW), 6);
    transfer.adopt(NOW, A, 0, Span::with_len(100 * MIB, MIB));
    let spans = [200, 300, 400, 1022, 1023].map(|at| Span::with_len(at * MIB, MIB));
    for (id, span) in (1..).map(ConnectionId).zip(spans) {
        assert_eq!(transfer.next(NOW, id), fetch(span));
    }
    transfer.invariants();
    for (id, span) in (1..).map(ConnectionId).zip(spans) {
        assert_eq!(transfer.on_delivered(NOW, id, span), MIB);
        transfer.on_finished(NOW, id);
    }
    transfer.on_delivered(NOW, A, Span::with_len(100 * MIB, MIB));
    transfer.on_finished(NOW, A);
    assert!(transfer.is_complete());
    transfer.invariants();
}

#[test]
fn a_part_of_a_gap_may_be_adopted() {
    let mut transfer = Transfer::resume(GIB, with(1), &left_behind());
    let (first, rest) = Span::with_len(100 * MIB, MIB).split_at(100 * MIB + 4096);
    transfer.adopt(NOW, A, 0, first);
    transfer.on_delivered(NOW, A, first);
    transfer.on_finished(NOW, A);
    assert_eq!(transfer.next(NOW, A), fetch(rest));
    transfer.invariants();
}

#[test]
fn a_file_that_is_there_is_complete() {
    let mut delivered = SpanSet::new();
    delivered.insert(Span::new(0, MIB + 1));
    let mut transfer = Transfer::resume(MIB + 1, with(4), &delivered);
    assert!(transfer.is_complete());
    assert_eq!(transfer.next(NOW, A), Next::Done);
    assert_eq!(transfer.connections_wanted(NOW), 0);
    transfer.invariants();
}

#[test]
fn a_file_of_one_block_wants_one_connection() {
    let mut transfer = Transfer::new(MIB, with(4));
    assert_eq!(transfer.connections_wanted(NOW), 1);
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, MIB)));
    assert_eq!(transfer.connections_wanted(NOW), 1);
    assert_eq!(transfer.next(NOW, B), Next::Wait);
}

#[test]
fn an_idle_connection_steals_the_upper_half() {
    let mut transfer = adopted();
    assert_eq!(transfer.connections_wanted(NOW), 2);
    transfer.on_progress(NOW, A, 2 * MIB);
    assert_eq!(transfer.next(NOW, B), Next::Steal { victim: A, at: 5 * MIB });
    let tail = Span::new(5 * MIB, 8 * MIB);
    assert_eq!(transfer.on_steal(NOW, B, A, Ok(5 * MIB)), fetch(tail));
    transfer.on_delivered(NOW, A, Span::new(0, 5 * MIB));
    transfer.on_finished(NOW, A);
    transfer.invariants();
}

#[test]
fn a_refused_steal_is_proposed_once_more() {
    let mut transfer = adopted();
    assert_eq!(transfer.next(NOW, B), Next::Steal { victim: A, at: 4 * MIB });
    let second = transfer.on_steal(NOW, B, A, Err(5 * MIB));
    assert_eq!(second, Next::Steal { victim: A, at: 6 * MIB + MIB / 2 });
    assert_eq!(transfer.on_steal(NOW, B, A, Err(7 * MIB)), Next::Wait);
}

#[test]
fn two_thieves_do_not_ask_the_same_victim() {
    let mut transfer = adopted();
    assert_eq!(transfer.next(NOW, B), Next::Steal { victim: A, at: 4 * MIB });
    assert_eq!(transfer.next(NOW, ConnectionId(2)), Next::Wait);
}

#[test]
fn a_steal_from_a_victim_that_failed_meanwhile_finds_its_hole() {
    let mut transfer = adopted();
    assert_eq!(transfer.next(NOW, B), Next::Steal { victim: A, at: 4 * MIB });
    fail(&mut transfer, NOW, A, ErrorKind::ConnectionLost);
    // The whole file is one hole; A asks first, and B's old agreement must not cut A's new span.
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 2 * MIB)));
    let hole = Span::new(2 * MIB, 4 * MIB);
    assert_eq!(transfer.on_steal(NOW, B, A, Ok(4 * MIB)), fetch(hole));
    transfer.invariants();
}

#[test]
fn a_hole_in_backoff_rests_while_others_go_on() {
    let mut transfer = Transfer::new(64 * MIB, with(4));
    let first = Span::new(0, 8 * MIB);
    assert_eq!(transfer.next(NOW, A), fetch(first));
    let Verdict::Retry { at } = fail(&mut transfer, NOW, A, ErrorKind::Status(503)) else {
        panic!("it is retried")
    };
    assert!(NOW + RETRY_WAIT_MIN / 2 <= at && at < NOW + RETRY_WAIT_MIN, "{at:?}");
    assert_eq!(transfer.next(NOW, A), Next::WaitUntil(at));
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(8 * MIB, 16 * MIB)));
    fail(&mut transfer, at, B, ErrorKind::ConnectionLost);
    assert_eq!(transfer.next(at, B), fetch(first));
}

#[test]
fn an_unproven_connection_leaves_holes_and_thefts_to_others() {
    let mut transfer = Transfer::new(16 * MIB, with(2));
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 8 * MIB)));
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(8 * MIB, 16 * MIB)));
    fail(&mut transfer, NOW, B, ErrorKind::Connect);
    let later = NOW + RETRY_WAIT_MIN;
    assert_eq!(transfer.next(later, B), Next::Wait, "A is at work and will take the hole");
    fail(&mut transfer, later, A, ErrorKind::ConnectionLost);
    assert_eq!(transfer.next(later, B), fetch(Span::new(0, 8 * MIB)), "nobody is proven");
}

#[test]
fn a_connection_that_broke_after_delivering_goes_on_at_once() {
    let mut transfer = Transfer::new(16 * MIB, with(2));
    assert_eq!(transfer.next(NOW, A), fetch(Span::new(0, 8 * MIB)));
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(8 * MIB, 16 * MIB)));
    transfer.on_delivered(NOW, B, Span::new(8 * MIB, 9 * MIB));
    fail(&mut transfer, NOW, B, ErrorKind::ConnectionLost);
    assert_eq!(transfer.next(NOW, B), fetch(Span::new(9 * MIB, 16 * MIB)));
}

#[test]
fn a_victim_finishes_at_its_cut_though_the_transfer_failed() {
    let mut transfer = Transfer::new(12 * MIB, with(2));
    transfer.adopt(NOW, A, 0, Span::new(0, 8 * MIB));
    let third = ConnectionId(2);
    assert_eq!(transfer.next(NOW, third), fetch(Span::new(8 * MIB, 12 * MIB)));
    assert_eq!(transfer.next(NOW, B), Next::Steal { victim: A, at: 4 * MIB });
    assert_eq!(fail(&mut transfer, NOW, third, ErrorKind::Status(404)), Verdict::GiveUp);
    assert_eq!(transfer.on_steal(NOW, B, A, Ok(4 * MIB)), Next::Failed);
    transfer.on_delivered(NOW, A, Span::new(0, 4 * MIB));
    transfer.on_finished(NOW, A);
    transfer.invariants();
}

#[test]
fn the_budget_counts_failures_without_a_delivered_byte() {
    let settings = Settings { retries: 1, ..with(1) };
    let mut transfer = Transfer::new(8 * MIB, settings);
    let mut now = NOW;
    for delivered in 0..4 {
        now += Duration::from_secs(20);
        let rest = Span::new(delivered * MIB, 8 * MIB);
        assert_eq!(transfer.next(now, A), fetch(rest));
        transfer.on_delivered(now, A, Span::with_len(rest.start(), MIB));
        let verdict = fail(&mut transfer, now, A, ErrorKind::ConnectionLost);
        assert_eq!(verdict, Verdict::Retry { at: now }, "a byte was delivered before it");
    }
    assert_eq!(transfer.next(now, A), fetch(Span::new(4 * MIB, 8 * MIB)));
    assert_eq!(fail(&mut transfer, now, A, ErrorKind::ConnectionLost), Verdict::GiveUp);
    assert_eq!(transfer.next(now, A), Next::Failed);
    assert_eq!(transfer.connections_wanted(now), 0);
    transfer.invariants();
}

#[test]
fn time_does_not_run_backwards() {
    let mut transfer = Transfer::new(8 * MIB, with(4));
    transfer.connections_wanted(NOW);
    let early = Duration::ZERO;
    assert_eq!(transfer.next(early, A), fetch(Span::new(0, 2 * MIB)));
    let verdict = fail(&mut transfer, early, A, ErrorKind::Connect);
    assert!(matches!(verdict, Verdict::Retry { at } if at > NOW), "{verdict:?}");
}

#[test]
#[should_panic(expected = "holds a span already")]
fn asking_with_a_span_in_hand_is_our_bug() {
    let mut transfer = adopted();
    transfer.next(NOW, A);
}
