//! What failures lead to: budgets that end, other addresses, new URLs, ignored ranges, refusals
//! that mean the others.

use super::*;
use crate::base::limits::{RANGES_IGNORED_MAX, RETRY_WAIT_MAX};

const C: ConnectionId = ConnectionId(2);

fn start(transfer: &mut Transfer, now: Duration, id: ConnectionId) -> Span {
    let next = transfer.next(now, id);
    let Next::Fetch(Fetch { span, .. }) = next else { panic!("{id} has to get a span: {next:?}") };
    let address = transfer.address_order(now, id)[0];
    transfer.on_connected(now, id, address, Duration::ZERO);
    span
}

#[test]
fn a_span_goes_to_another_address_at_once_and_waits_after_that() {
    let mut transfer = Transfer::new(8 * MIB, Settings { addresses: 2, ..with(1) });
    start(&mut transfer, NOW, A);
    assert_eq!(fail(&mut transfer, NOW, A, ErrorKind::TimedOut), Verdict::Retry { at: NOW });
    assert!(matches!(transfer.next(NOW, A), Next::Fetch(_)));
    assert_eq!(transfer.address_order(NOW, A), [1, 0]);
    transfer.on_connected(NOW, A, 1, Duration::ZERO);
    let verdict = fail(&mut transfer, NOW, A, ErrorKind::TimedOut);
    assert!(matches!(verdict, Verdict::Retry { at } if at > NOW), "{verdict:?}");
}

#[test]
fn a_single_address_is_given_time() {
    let mut transfer = Transfer::new(8 * MIB, with(1));
    start(&mut transfer, NOW, A);
    let verdict = fail(&mut transfer, NOW, A, ErrorKind::TimedOut);
    assert!(matches!(verdict, Verdict::Retry { at } if at > NOW), "{verdict:?}");
}

#[test]
fn the_wait_is_never_shorter_than_the_server_asks() {
    let asked = Duration::from_secs(9);
    let mut transfer = Transfer::new(8 * MIB, with(1));
    start(&mut transfer, NOW, A);
    let verdict = transfer.on_failed(NOW, A, ErrorKind::Status(503), Some(asked), false);
    assert_eq!(verdict, Verdict::Retry { at: NOW + asked });
    assert_eq!(transfer.next(NOW, A), Next::WaitUntil(NOW + asked));
    assert_eq!(transfer.next(NOW, B), Next::WaitUntil(NOW + asked), "all of the origin");
}

#[test]
fn one_seed_is_one_history_and_seeds_differ() {
    let first_wait = |jitter_seed| {
        let mut transfer = Transfer::new(8 * MIB, Settings { jitter_seed, ..with(1) });
        start(&mut transfer, NOW, A);
        fail(&mut transfer, NOW, A, ErrorKind::Status(500))
    };
    assert_eq!(first_wait(1), first_wait(1));
    assert_ne!(first_wait(1), first_wait(2));
}

/// Each connection breaks while the other one stands, so each looks like the server's choice.
#[test]
fn connections_that_break_in_turn_do_not_go_on_for_ever() {
    let fanout = Fanout::Auto { max: 2 };
    let mut transfer = Transfer::new(16 * MIB, Settings { fanout, retries: 2, ..with(2) });
    let (mut now, mut failures) = (NOW, 0);
    // Nobody is proven once both have failed, so that both go on trying.
    for id in [A, B] {
        start(&mut transfer, now, id);
    }
    for id in [A, B] {
        fail(&mut transfer, now, id, ErrorKind::ConnectionLost);
    }
    for id in [A, B] {
        start(&mut transfer, now + RETRY_WAIT_MIN, id);
    }
    for id in [A, B].into_iter().cycle() {
        now += Duration::from_secs(31);
        failures += 1;
        if fail(&mut transfer, now, id, ErrorKind::ConnectionLost) == Verdict::GiveUp {
            break;
        }
        assert!(failures < 12, "at most three forgiven and three charged, each");
        now += Duration::from_secs(31);
        start(&mut transfer, now, id);
    }
    assert!(failures > 4, "most are forgiven: {failures}");
    transfer.invariants();
}

#[test]
fn a_server_that_stops_serving_ranges_is_believed_soon() {
    let settings = Settings { retries: 1000, ..with(3) };
    let mut transfer = Transfer::new(64 * MIB, settings);
    let mut now = NOW;
    let mut ignore = |transfer: &mut Transfer, id| {
        now += Duration::from_secs(60);
        start(transfer, now, id);
        fail(transfer, now, id, ErrorKind::RangesIgnored)
    };
    for _ in 1..RANGES_IGNORED_MAX {
        assert!(matches!(ignore(&mut transfer, A), Verdict::Retry { .. }), "a confused node");
    }
    // A byte by anybody says that ranges are served still.
    let span = start(&mut transfer, NOW, C);
    transfer.on_delivered(NOW, C, Span::with_len(span.start(), MIB));
    for id in [A, B].into_iter().cycle().take(RANGES_IGNORED_MAX as usize - 1) {
        assert!(matches!(ignore(&mut transfer, id), Verdict::Retry { .. }));
    }
    assert_eq!(ignore(&mut transfer, B), Verdict::GiveUp);
    assert_eq!(transfer.next(NOW, A), Next::Failed);
    transfer.invariants();
}

/// No budget, so that nothing but the others can excuse a failure.
fn without_retries(fanout: Fanout) -> Settings {
    Settings { fanout, retries: 0, ..with(1) }
}

const FORBIDDEN: ErrorKind = ErrorKind::Status(403);

#[test]
fn forbidden_means_the_others_while_they_are_served() {
    for fanout in [Fanout::Fixed(3), Fanout::Auto { max: 3 }] {
        let mut transfer = Transfer::new(64 * MIB, without_retries(fanout));
        transfer.adopt(NOW, A, 0, Span::new(0, 8 * MIB));
        let mut now = NOW;
        for id in [B, C, B, C, B] {
            if let Next::Retire = transfer.next(now, id) {
                assert!(matches!(fanout, Fanout::Auto { .. }), "fewer are wanted");
                continue;
            }
            transfer.on_connected(now, id, 0, Duration::ZERO);
            let verdict = fail(&mut transfer, now, id, FORBIDDEN);
            assert_eq!(verdict, Verdict::Retry { at: now }, "of the bytes nothing is held");
            let next = transfer.next(now, id);
            assert!(matches!(next, Next::WaitUntil(at) if at > now) || next == Next::Retire);
            now += RETRY_WAIT_MAX;
        }
        transfer.invariants();
    }
}

#[test]
fn forbidden_again_with_nothing_delivered_since_is_the_end() {
    let mut transfer = Transfer::new(64 * MIB, without_retries(Fanout::Fixed(2)));
    transfer.adopt(NOW, A, 0, Span::new(0, 8 * MIB));
    let mut now = NOW;
    let mut forbid = |transfer: &mut Transfer, id| {
        now += RETRY_WAIT_MAX;
        start(transfer, now, id);
        fail(transfer, now, id, FORBIDDEN)
    };
    assert!(matches!(forbid(&mut transfer, B), Verdict::Retry { .. }), "A is being served");
    transfer.on_delivered(NOW, A, Span::new(0, 8 * MIB));
    assert_eq!(transfer.on_finished(NOW, A), None);
    assert!(matches!(forbid(&mut transfer, B), Verdict::Retry { .. }), "A has been served since");
    assert_eq!(forbid(&mut transfer, B), Verdict::GiveUp);
    transfer.invariants();
}

#[test]
fn forbidden_with_nobody_served_is_the_end() {
    let mut transfer = Transfer::new(64 * MIB, with(2));
    let span = start(&mut transfer, NOW, A);
    transfer.on_delivered(NOW, A, span);
    transfer.on_finished(NOW, A);
    start(&mut transfer, NOW, A);
    assert_eq!(fail(&mut transfer, NOW, A, FORBIDDEN), Verdict::GiveUp);
}

#[test]
fn as_many_connections_as_this_machine_grants() {
    let lacks = |transfer: &mut Transfer, id| {
        transfer.on_failed(NOW, ConnectionId(id), ErrorKind::ResourceLimit, None, true)
    };
    for fanout in [Fanout::Fixed(16), Fanout::Auto { max: 16 }] {
        let mut transfer = Transfer::new(640 * MIB, without_retries(fanout));
        transfer.adopt(NOW, A, 0, Span::new(0, 8 * MIB));
        let wanted = transfer.connections_wanted(NOW);
        for id in 1..wanted {
            start(&mut transfer, NOW, ConnectionId(id));
        }
        let few = wanted.saturating_sub(3).max(1);
        for left in (few..wanted).rev() {
            assert_eq!(lacks(&mut transfer, left), Verdict::Retry { at: NOW });
            assert_eq!(transfer.connections_wanted(NOW), left);
            assert_eq!(transfer.next(NOW, ConnectionId(left)), Next::Retire);
        }
        for id in (1..few).rev() {
            lacks(&mut transfer, id);
        }
        assert_eq!(transfer.connections_wanted(NOW), 1);
        assert_eq!(lacks(&mut transfer, 0), Verdict::GiveUp, "not even one");
        transfer.invariants();
    }
}

#[test]
fn nothing_is_known_of_new_addresses() {
    let mut transfer = Transfer::new(64 * MIB, Settings { addresses: 2, ..with(3) });
    for _ in 0..2 {
        start(&mut transfer, NOW, A);
        fail(&mut transfer, NOW, A, ErrorKind::ConnectionLost);
    }
    start(&mut transfer, NOW + RETRY_WAIT_MIN, B);
    let now = NOW + RETRY_WAIT_MIN;
    assert_eq!(transfer.address_order(now, A), [1, 0], "the first one rests");
    transfer.on_new_addresses(now, A, 3);
    assert_eq!(transfer.address_order(now, A), [0, 1, 2]);
    // B is where it was, and what it reports counts for no new address.
    fail(&mut transfer, now, B, ErrorKind::ConnectionLost);
    assert_eq!(transfer.address_order(now, C), [1, 2, 0], "A tries the first one");
}
