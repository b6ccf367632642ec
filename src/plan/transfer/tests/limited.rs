//! The most connections may change while a transfer runs.

use super::*;

const C: ConnectionId = ConnectionId(2);

/// The connection delivers the span it has got.
fn deliver(transfer: &mut Transfer, id: ConnectionId, next: Next) {
    let Next::Fetch(Fetch { span, .. }) = next else { panic!("{id} has no span: {next:?}") };
    transfer.on_connected(NOW, id, 0, Duration::from_millis(1));
    transfer.on_first_byte(NOW, id, span.start());
    transfer.on_delivered(NOW, id, span);
    transfer.on_finished(NOW, id);
}

#[test]
fn a_lower_limit_retires_those_too_many_once_they_have_ended_their_spans() {
    let mut transfer = Transfer::new(GIB, with(3));
    let spans = [A, B, C].map(|id| (id, transfer.next(NOW, id)));
    transfer.set_connections_max(NOW, 1);
    assert_eq!(transfer.connections_wanted(NOW), 1);
    for (id, span) in spans {
        deliver(&mut transfer, id, span);
    }
    assert_eq!(transfer.next(NOW, A), Next::Retire);
    assert_eq!(transfer.next(NOW, B), Next::Retire);
    assert!(matches!(transfer.next(NOW, C), Next::Fetch(_)), "one is allowed");
    transfer.invariants();
}

#[test]
fn a_fixed_count_comes_back_when_the_limit_is_raised_and_grows_no_further() {
    let mut transfer = Transfer::new(GIB, with(3));
    for (max, wanted) in [(8, 3), (2, 2), (1, 1), (2, 2), (u32::MAX, 3)] {
        transfer.set_connections_max(NOW, max);
        assert_eq!(transfer.connections_wanted(NOW), wanted, "at most {max}");
    }
    let fetches = |transfer: &mut Transfer, id| matches!(transfer.next(NOW, id), Next::Fetch(_));
    assert!([A, B, C].into_iter().all(|id| fetches(&mut transfer, id)));
}

#[test]
fn a_limit_that_stands_before_the_first_answer_bounds_the_start() {
    let settings = Settings { fanout: Fanout::Auto { max: 32 }, ..with(1) };
    let start = |max| {
        let mut transfer = Transfer::new(GIB, settings);
        transfer.set_connections_max(Duration::ZERO, max);
        transfer.on_connected(Duration::ZERO, A, 0, Duration::from_millis(100));
        transfer.on_requested(Duration::ZERO, A, 0);
        transfer.adopt(Duration::from_millis(200), A, 0, Span::new(0, 8 * MIB));
        transfer.connections_wanted(Duration::from_millis(200))
    };
    assert_eq!(start(3), 3);
    assert!(start(32) > 3, "a distant server gets more");
}
