//! Single decisions of the adaptive plan, with fabricated instants.

use super::*;
use crate::plan::{Action, AheadFault, Choice, Pressure, Totals};

const TICK: Duration = Duration::from_millis(50);
const C: ConnectionId = ConnectionId(2);

/// Spans of 8 MiB for two connections, 20 ms away, with everything else adaptive.
fn settings() -> Settings {
    Settings { request_ahead: true, ..with(2) }
}

struct Bench {
    transfer: Transfer,
    now: Duration,
}

impl Bench {
    fn new(total_bytes: u64, settings: Settings) -> Self {
        Self { transfer: Transfer::new(total_bytes, settings), now: NOW }
    }

    /// The worker gets a span and its first byte.
    fn fetch(&mut self, id: ConnectionId) -> Fetch {
        let Next::Fetch(fetch) = self.transfer.next(self.now, id) else {
            panic!("{id} has to get a span")
        };
        if !self.transfer.workers.get(id).is_some_and(|worker| worker.is_connected) {
            self.transfer.on_connected(self.now, id, 0, TICK);
        }
        self.start(id, fetch.span);
        fetch
    }

    fn start(&mut self, id: ConnectionId, span: Span) {
        self.transfer.on_requested(self.now, id, span.start());
        self.now += Duration::from_millis(20);
        self.transfer.on_first_byte(self.now, id, span.start());
    }

    /// Ticks; each of `flows` is an id, its position and its bytes per tick.
    fn flow(&mut self, ticks: u32, flows: &mut [(ConnectionId, u64, u64)]) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..ticks {
            self.now += TICK;
            for (id, position, bytes) in flows.iter_mut() {
                *position += *bytes;
                self.transfer.on_progress(self.now, *id, *position);
            }
            actions.extend(self.transfer.on_tick(self.now, Pressure::default()));
        }
        actions
    }

    fn deliver(&mut self, id: ConnectionId, span: Span) -> Option<Span> {
        self.transfer.on_delivered(self.now, id, span);
        self.transfer.on_finished(self.now, id)
    }

    fn noted(&mut self, what: Choice) -> bool {
        self.transfer.decisions().iter().any(|decision| decision.what == what)
    }
}

/// Two connections that have delivered 8 MiB each at 10 MiB/s and are kept alive.
fn warm(total_bytes: u64, settings: Settings) -> Bench {
    let mut bench = Bench::new(total_bytes, settings);
    let spans = [A, B].map(|id| (id, bench.fetch(id).span));
    let mut flows = spans.map(|(id, span)| (id, span.start(), MIB / 2));
    assert_eq!(bench.flow(16, &mut flows), []);
    for (id, span) in spans {
        assert_eq!(bench.deliver(id, span), None);
        bench.transfer.on_keep_alive(bench.now, id);
    }
    bench
}

/// A connection that brings little is to blame for that, unless the caller's own limit is.
#[test]
fn at_a_limit_of_the_rate_nobody_is_replaced_or_helped() {
    for is_rate_limited in [false, true] {
        let mut bench = warm(24 * MIB, settings());
        let fetch = bench.fetch(A);
        let pressure = Pressure { is_rate_limited, ..Pressure::default() };
        let mut actions = Vec::new();
        for tick in 1..=60 {
            bench.now += TICK;
            bench.transfer.on_progress(bench.now, A, fetch.span.start() + tick * 1000);
            actions.extend(bench.transfer.on_tick(bench.now, pressure));
        }
        let next = bench.transfer.next(bench.now, B);
        let is_helped = matches!(next, Next::Steal { .. } | Next::Hedge { .. });
        assert_eq!(is_helped || !actions.is_empty(), !is_rate_limited, "{next:?} {actions:?}");
    }
}

/// As many as the limit feeds, where many would begin.
#[test]
fn a_limit_of_the_rate_bounds_the_connections_to_begin_with() {
    let far = Duration::from_millis(150);
    for (rate_limit_bytes, wanted) in [(None, 16), (Some(3_500_000), 3), (Some(1), 1)] {
        let fanout = Fanout::Auto { max: 64 };
        let mut bench = Bench::new(1 << 30, Settings { rate_limit_bytes, fanout, ..settings() });
        bench.transfer.on_connected(NOW, A, 0, far);
        bench.transfer.on_requested(NOW, A, 0);
        bench.transfer.adopt(NOW + far, A, 0, Span::new(0, MIB));
        assert_eq!(bench.transfer.connections_wanted(NOW + far), wanted);
    }
}

#[test]
fn the_first_answer_on_a_connection_is_not_followed_ahead() {
    let mut bench = Bench::new(64 * MIB, settings());
    assert_eq!(bench.fetch(A).lead_bytes, 0);
    assert_eq!(bench.transfer.ahead(bench.now, A), None);
}

#[test]
fn the_next_span_is_asked_for_when_its_lead_is_left() {
    let mut bench = warm(64 * MIB, settings());
    let fetch = bench.fetch(A);
    // 20 ms to the first byte and as much slack, at 10 MiB/s, half as much again.
    assert!((400 * 1024..900 * 1024).contains(&fetch.lead_bytes), "{}", fetch.lead_bytes);
    let ahead = bench.transfer.ahead(bench.now, A).expect("it is kept alive");
    assert_eq!(ahead.span.start(), fetch.span.end());
    bench.transfer.invariants();
    assert_eq!(bench.deliver(A, fetch.span), Some(ahead.span), "it is the present one now");
    bench.start(A, ahead.span);
    assert_eq!(bench.deliver(A, ahead.span), None);
}

#[test]
fn a_first_byte_may_come_before_the_end_is_reported() {
    let mut bench = warm(64 * MIB, settings());
    let fetch = bench.fetch(A);
    let ahead = bench.transfer.ahead(bench.now, A).expect("it is kept alive").span;
    bench.start(A, ahead);
    bench.transfer.on_progress(bench.now, A, ahead.start() + MIB);
    assert_eq!(bench.deliver(A, fetch.span), Some(ahead));
    assert_eq!(bench.deliver(A, ahead), None);
    bench.transfer.invariants();
}

#[test]
fn a_refusal_ends_requests_ahead_for_the_origin_and_costs_nothing() {
    let mut bench = warm(64 * MIB, Settings { retries: 0, ..settings() });
    let fetch = bench.fetch(A);
    let ahead = bench.transfer.ahead(bench.now, A).expect("it is kept alive");
    bench.deliver(A, fetch.span);
    let why = AheadFault::WrongAnswer(ErrorKind::RangeMismatch);
    bench.transfer.on_ahead_refused(bench.now, A, why);
    assert!(bench.noted(Choice::AheadOff));
    assert_eq!(bench.fetch(A).span, ahead.span, "it is free, without a failure");
    let other = bench.fetch(B);
    assert_eq!(other.lead_bytes, 0);
    assert_eq!(bench.transfer.ahead(bench.now, B), None);
}

/// The span ahead is taken back, and then the connection turns out to end behind the present one.
#[test]
fn a_closed_connection_keeps_its_present_span_though_the_one_ahead_was_taken_back() {
    let mut bench = warm(32 * MIB, settings());
    let fetch = bench.fetch(A);
    bench.transfer.ahead(bench.now, A).expect("it is kept alive");
    assert_eq!(bench.transfer.next(bench.now, B), Next::Wait);
    assert_eq!(bench.flow(1, &mut [(A, fetch.span.start(), 1000)]), [Action::TakeBack(A)]);
    bench.transfer.on_ahead_lost(bench.now, A, AheadFault::Closed);
    assert_eq!(bench.deliver(A, fetch.span), None, "all of it is told afterwards");
    bench.transfer.invariants();
}

#[test]
fn a_failure_frees_what_was_asked_for_ahead() {
    let mut bench = warm(64 * MIB, settings());
    let fetch = bench.fetch(A);
    let ahead = bench.transfer.ahead(bench.now, A).expect("it is kept alive");
    bench.transfer.on_delivered(bench.now, A, Span::with_len(fetch.span.start(), MIB));
    fail(&mut bench.transfer, bench.now, A, ErrorKind::ConnectionLost);
    let rest = Span::new(fetch.span.start() + MIB, fetch.span.end());
    assert_eq!([bench.fetch(A).span, bench.fetch(B).span], [rest, ahead.span]);
    bench.transfer.invariants();
}

#[test]
fn an_idle_worker_gets_a_span_that_nobody_has_started() {
    let mut bench = warm(32 * MIB, settings());
    let fetch = bench.fetch(A);
    let ahead = bench.transfer.ahead(bench.now, A).expect("it is kept alive").span;
    assert_eq!(bench.transfer.next(bench.now, B), Next::Wait);
    assert_eq!(bench.flow(1, &mut [(A, fetch.span.start(), 1000)]), [Action::TakeBack(A)]);
    assert_eq!(bench.fetch(B).span, ahead);
    assert_eq!(bench.deliver(A, fetch.span), None, "it is not there any more");
    bench.transfer.invariants();
}

/// B has stopped after 1 MiB of the last 8 MiB; A is done.
fn stuck() -> (Bench, Span) {
    let mut bench = warm(32 * MIB, settings());
    let (mine, stuck) = (bench.fetch(A).span, bench.fetch(B).span);
    let mut flows = [(A, mine.start(), MIB / 2), (B, stuck.start(), MIB / 16)];
    bench.flow(16, &mut flows);
    bench.transfer.on_delivered(bench.now, B, Span::with_len(stuck.start(), MIB));
    bench.deliver(A, mine);
    (bench, Span::new(stuck.start() + MIB, stuck.end()))
}

#[test]
fn a_slow_victim_gives_up_what_it_cannot_do_in_time() {
    let (mut bench, rest) = stuck();
    let Next::Steal { victim: B, at } = bench.transfer.next(bench.now, A) else {
        panic!("A has to help")
    };
    let kept = at - rest.start();
    assert!(kept * 3 < rest.len(), "{kept} of {rest:?}, though its rate is still falling");
}

#[test]
fn claimed_bytes_of_a_stuck_connection_are_fetched_twice() {
    let (mut bench, rest) = stuck();
    bench.transfer.next(bench.now, A);
    let next = bench.transfer.on_steal(bench.now, A, B, Err(rest.end()));
    assert_eq!(next, Next::Hedge { victim: B, span: rest });
    assert!(bench.noted(Choice::Hedge));
    let (low, high) = rest.split_at(rest.start() + MIB);
    assert_eq!(bench.transfer.on_delivered(bench.now, B, low), MIB);
    assert_eq!(bench.transfer.on_delivered(bench.now, A, rest), high.len(), "once per byte");
    assert_eq!(bench.transfer.on_finished(bench.now, A), None);
    bench.transfer.invariants();
    assert_eq!(bench.flow(1, &mut []), [Action::Abort(B)]);
    assert_eq!(bench.transfer.on_finished(bench.now, B), None);
    assert!(bench.transfer.is_complete());
}

#[test]
fn a_hedger_inherits_what_its_victim_loses() {
    let (mut bench, rest) = stuck();
    bench.transfer.next(bench.now, A);
    bench.transfer.on_steal(bench.now, A, B, Err(rest.end()));
    fail(&mut bench.transfer, bench.now, B, ErrorKind::ConnectionLost);
    bench.transfer.invariants();
    assert!(!matches!(bench.transfer.next(bench.now, B), Next::Fetch(_)), "A has it");
    bench.deliver(A, rest);
    assert!(bench.transfer.is_complete());
}

#[test]
fn without_a_budget_nothing_is_fetched_twice() {
    let (mut bench, rest) = stuck();
    bench.transfer.hedge_bytes_left = rest.len() - 1;
    bench.transfer.next(bench.now, A);
    assert_eq!(bench.transfer.on_steal(bench.now, A, B, Err(rest.end())), Next::Wait);
}

#[test]
fn a_silent_connection_is_replaced_without_a_penalty() {
    let mut bench = warm(320 * MIB, Settings { retries: 0, ..settings() });
    let (mine, silent) = (bench.fetch(A).span, bench.fetch(B).span);
    let mut flows = [(A, mine.start(), 4096), (B, silent.start(), 0)];
    assert_eq!(bench.flow(39, &mut flows), []);
    assert_eq!(bench.flow(2, &mut flows), [Action::Replace(B)]);
    assert!(bench.noted(Choice::Replace));
    let verdict = fail(&mut bench.transfer, bench.now, B, ErrorKind::TimedOut);
    assert_eq!(verdict, Verdict::Retry { at: bench.now });
    assert_eq!(bench.fetch(B).span, silent);
}

#[test]
fn whom_we_give_up_before_its_first_answer_the_server_has_not_refused() {
    for (replaces, refusals) in [(false, 1), (true, 0)] {
        let mut bench = warm(320 * MIB, settings());
        let mine = bench.fetch(A).span;
        let Next::Fetch(fetch) = bench.transfer.next(bench.now, C) else { panic!() };
        bench.transfer.on_connected(bench.now, C, 0, TICK);
        bench.transfer.on_requested(bench.now, C, fetch.span.start());
        if replaces {
            let mut flows = [(A, mine.start(), 4096), (C, 0, 0)];
            assert_eq!(bench.flow(41, &mut flows), [Action::Replace(C)]);
        }
        fail(&mut bench.transfer, bench.now, C, ErrorKind::ConnectionLost);
        assert_eq!(bench.transfer.count.tolerance().refusals(), refusals);
    }
}

#[test]
fn the_patience_with_the_silent_doubles_from_the_first_one_on() {
    let mut bench = Bench::new(320 * MIB, with(4));
    bench.now = Duration::ZERO;
    let mut flows = vec![(A, bench.fetch(A).span.start(), 4096)];
    for id in [B, C] {
        let Next::Fetch(fetch) = bench.transfer.next(bench.now, id) else { panic!() };
        bench.transfer.on_connected(bench.now, id, 0, TICK);
        bench.transfer.on_requested(bench.now, id, fetch.span.start());
        flows.push((id, fetch.span.start(), 0));
    }
    let mut after = |bench: &mut Bench, ticks| bench.flow(ticks, &mut flows);
    assert_eq!(after(&mut bench, 41), [Action::Replace(B)], "two seconds");
    assert_eq!(after(&mut bench, 37), []);
    assert_eq!(after(&mut bench, 4), [Action::Replace(C)], "four seconds");
    assert_eq!(after(&mut bench, 60), []);
}

#[test]
fn a_connection_is_not_replaced_for_ever_while_nothing_comes() {
    for (has_progress, is_over) in [(true, false), (false, true)] {
        let mut bench = warm(320 * MIB, Settings { retries: 0, ..settings() });
        let mut mine = Span::new(bench.fetch(A).span.start(), u64::MAX);
        let mut verdict = Verdict::GiveUp;
        for _ in 0..2 {
            let silent = bench.fetch(B).span;
            let mut flows = [(A, mine.start(), 4096), (B, silent.start(), 0)];
            while bench.flow(1, &mut flows).is_empty() {}
            let received = Span::new(mine.start(), flows[0].1);
            if has_progress {
                bench.transfer.on_delivered(bench.now, A, received);
            }
            mine = Span::new(received.end(), u64::MAX);
            verdict = fail(&mut bench.transfer, bench.now, B, ErrorKind::TimedOut);
        }
        assert_eq!(verdict == Verdict::GiveUp, is_over, "progress: {has_progress}");
    }
}

#[test]
fn nobody_is_replaced_when_all_are_silent() {
    let mut bench = warm(320 * MIB, settings());
    let flows = [A, B].map(|id| (id, bench.fetch(id).span.start(), 0));
    assert_eq!(bench.flow(60, &mut flows.clone()), []);
}

#[test]
fn retry_after_brakes_new_connections_and_429_all() {
    let wait = Duration::from_secs(3);
    for (code, next_of_a) in [(503, None), (429, Some(wait))] {
        let mut bench = warm(320 * MIB, Settings { retries: 1, ..settings() });
        bench.fetch(B);
        let kind = ErrorKind::Status(code);
        bench.transfer.on_failed(bench.now, B, kind, Some(wait), false);
        let until = bench.now + wait;
        assert_eq!(bench.transfer.next(bench.now, B), Next::WaitUntil(until), "{code}");
        assert_eq!(bench.transfer.next(bench.now, C), Next::WaitUntil(until), "{code}");
        let next = bench.transfer.next(bench.now, A);
        let expected = next_of_a.map(|wait| Next::WaitUntil(bench.now + wait));
        assert!(
            expected.map_or(matches!(next, Next::Fetch(_)), |it| it == next),
            "{code} {next:?}"
        );
    }
}

#[test]
fn what_the_server_refuses_retires_and_the_others_go_on() {
    let settings = Settings { fanout: Fanout::Auto { max: 8 }, retries: 0, ..settings() };
    let mut bench = Bench::new(320 * MIB, settings);
    bench.fetch(A);
    let refused = B;
    let Next::Fetch(fetch) = bench.transfer.next(bench.now, refused) else { panic!() };
    let verdict = fail(&mut bench.transfer, bench.now, refused, ErrorKind::Status(503));
    assert_eq!(verdict, Verdict::Retry { at: bench.now }, "the bytes have not failed");
    assert!(bench.noted(Choice::Cap));
    assert_eq!(bench.transfer.connections_wanted(bench.now), 1);
    assert_eq!(bench.transfer.next(bench.now, refused), Next::Retire);
    bench.deliver(A, Span::new(0, 8 * MIB));
    assert_eq!(bench.fetch(A).span, fetch.span);
}

#[test]
fn a_slow_address_is_left_by_everybody() {
    let mut bench = Bench::new(320 * MIB, Settings { addresses: 2, ..settings() });
    let mut flows = [(A, 0, MIB), (B, 0, MIB / 16)];
    for (flow, address) in flows.iter_mut().zip([0, 1]) {
        let Next::Fetch(fetch) = bench.transfer.next(bench.now, flow.0) else { panic!() };
        assert_eq!(bench.transfer.address_order(bench.now, flow.0)[0], address);
        bench.transfer.on_connected(bench.now, flow.0, address, TICK);
        bench.start(flow.0, fetch.span);
        flow.1 = fetch.span.start();
    }
    flows[0].2 = MIB / 4;
    flows[1].2 = MIB / 32;
    assert_eq!(bench.flow(30, &mut flows), [Action::Replace(B)]);
    assert!(bench.noted(Choice::Address));
    fail(&mut bench.transfer, bench.now, B, ErrorKind::TimedOut);
    assert_eq!(bench.transfer.address_order(bench.now, B), [0, 1]);
}

#[test]
fn the_verdict_speaks_of_what_was_seen() {
    let bench = warm(320 * MIB, settings());
    let elapsed = Duration::from_secs(2);
    let totals = Totals { elapsed, bytes: 16 * MIB, cpu_busy: 0.1, ..Totals::default() };
    let line = bench.transfer.limiter(totals).to_string();
    assert!(
        line.starts_with("not enough was tried to say: ") && line.contains("2 connections"),
        "{line}"
    );
}
