//! Requests sent ahead: that they are, that they may be forbidden, and all the ways in which a
//! server can take them badly. None of these may cost a byte or count as a failure.

use super::common::{SEED, Site, status};
use super::traced::{Traced, fetch_traced};
use ringhaul::Options;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::RequestLog;
use ringhaul::server::{Config, Fault, Rule, Shape, When};
use std::thread;
use std::time::Duration;

const SIZE: u64 = 6 * MIB + 5;
const CHUNK: u64 = 512 * KIB;
/// A span takes 63 ms, so that the first few of them are measured.
const RATE: u64 = 8 * MIB;
/// The request that meets the fault. Those before it have shown what the path is like.
const WRONG: u64 = 7;

fn site(first_byte_delay: Duration, script: Vec<Rule>) -> Site {
    let connection_bytes_per_second = Some(RATE);
    let shape = Shape { connection_bytes_per_second, first_byte_delay, ..Shape::default() };
    Site::start(Config { shape, script, ..Config::new(SEED, SIZE) })
}

fn one_connection(site: &Site, request_ahead: bool) -> Traced {
    let (connections, chunk_bytes) = (Some(1), Some(CHUNK));
    let options = Options { connections, chunk_bytes, request_ahead, ..site.options.clone() };
    fetch_traced(site, options, SIZE)
}

fn early(log: &[RequestLog]) -> usize {
    log.iter().filter(|request| request.is_early).count()
}

#[test]
fn the_wait_for_the_next_answer_is_hidden() {
    let delay = Duration::from_millis(50);
    let [with, without] = thread::scope(|scope| {
        let run = |request_ahead| {
            scope.spawn(move || {
                let site = site(delay, Vec::new());
                let traced = one_connection(&site, request_ahead);
                (traced, site.stats().log)
            })
        };
        [run(true), run(false)].map(|thread| thread.join().expect("the download comes through"))
    });
    let (requests, early_with) = (with.1.len(), early(&with.1));
    assert!(early_with >= requests / 2, "{early_with} of {requests} came ahead");
    let ahead = with.0.trace.spans.iter().filter(|span| span.ahead).count();
    assert!(ahead >= early_with, "the trace names {ahead}, the server saw {early_with}");
    assert_eq!(early(&without.1), 0, "no request may overlap");
    assert!(without.0.trace.spans.iter().all(|span| !span.ahead));
    let [with, without] = [&with, &without].map(|run| run.0.report().elapsed.as_secs_f64());
    // Each of twelve spans takes 63 ms, and 50 more unless they are hidden.
    assert!(with < 0.85 * without, "{with:.2} s with, {without:.2} s without");
}

/// The server takes the fault's request badly; everything else it does well.
fn goes_wrong(rule: Rule) {
    let what = format!("{rule:?}");
    let site = site(Duration::from_millis(10), vec![rule]);
    let traced = one_connection(&site, true);
    assert_eq!(traced.report().retries, 0, "{what}: no failure of a span");
    let off = traced.trace.about("request ahead off");
    assert_eq!(off.len(), 1, "{what}: {:?}", traced.trace.decisions);
    let is_told = |text: &String| text.contains(&off[0].text);
    assert!(traced.run.texts().iter().any(is_told), "{what}: {:?}", traced.run.texts());
    let log = site.stats().log;
    let (before, after) = log.split_at(usize::try_from(WRONG).expect("a small number"));
    assert!(early(before) > 0, "{what}: requests were sent ahead before: {log:?}");
    assert_eq!(early(after), 0, "{what}: none is sent ahead after it: {log:?}");
    let is_later = |start: Option<f64>| start.is_some_and(|start| start > off[0].at);
    let mut spans = traced.trace.spans.iter();
    assert!(spans.all(|span| !(span.ahead && is_later(span.requested))), "{what}");
    // The span that met the fault is asked for again, and no other.
    let spans = SIZE.div_ceil(CHUNK);
    assert!((spans..=spans + 1).contains(&(log.len() as u64)), "{what}: {}", log.len());
}

fn all_go_wrong(rules: impl IntoIterator<Item = Rule>) {
    thread::scope(|scope| {
        for rule in rules {
            scope.spawn(|| goes_wrong(rule));
        }
    });
}

#[test]
fn a_server_that_closes_behind_each_answer_loses_nothing() {
    let closing = Fault::CloseAfterReply { announce: false };
    goes_wrong(Rule::new(When::FromRequest(WRONG), closing));
}

/// A server that closes with a request unread resets the connection: the end of the answer that it
/// has sent may be lost with it.
#[test]
fn nothing_is_asked_behind_an_answer_that_is_said_to_be_the_last() {
    let closing = Fault::CloseAfterReply { announce: true };
    let site = site(Duration::from_millis(10), vec![Rule::once(When::Request(WRONG), closing)]);
    let traced = one_connection(&site, true);
    assert_eq!(traced.report().retries, 0);
    let off = traced.trace.about("request ahead off");
    assert!(off.is_empty(), "an answer that ends its connection says nothing of the next: {off:?}");
    let log = site.stats().log;
    let connections = site.stats().connections;
    assert_eq!(log.len() as u64, SIZE.div_ceil(CHUNK), "no span is asked for twice: {log:?}");
    let (before, after) = log.split_at(usize::try_from(WRONG).expect("a small number"));
    assert!(early(before) > 0 && early(after) > 0, "{connections} connections: {log:?}");
    assert!(!after[0].is_early, "{log:?}");
}

#[test]
fn a_wrong_answer_to_a_request_ahead_is_not_taken() {
    let faults = [
        Fault::WrongRange { shift: 4096 },
        Fault::WrongRange { shift: -4096 },
        Fault::WrongTotal(SIZE - 1),
        Fault::IgnoreRange,
        Fault::ETag("\"another\"".into()),
        Fault::ContentEncoding("gzip".into()),
        status(400, "no\n"),
        status(404, "no\n"),
        status(500, "no\n"),
    ];
    all_go_wrong(faults.map(|fault| Rule::once(When::Request(WRONG), fault)));
}

#[test]
fn no_answer_to_a_request_ahead_is_not_missed() {
    let faults = [
        Fault::Garbage(b"\x00garbage\r\n\r\n".to_vec()),
        Fault::Garbage(Vec::new()),
        Fault::Garbage(b"HTTP/1.1 206 Partial Content\r\nContent-Le".to_vec()),
        Fault::HugeHead(100_000),
    ];
    all_go_wrong(faults.map(|fault| Rule::once(When::Request(WRONG), fault)));
}

#[test]
fn what_breaks_in_the_middle_of_an_answer_is_a_failure_like_any_other() {
    let script = vec![Rule::once(When::Request(WRONG), Fault::ResetAfter(100_000))];
    let site = site(Duration::from_millis(10), script);
    let traced = one_connection(&site, true);
    assert_eq!(traced.report().retries, 1);
    assert!(traced.trace.about("request ahead off").is_empty(), "{:?}", traced.trace.decisions);
    let later = site.stats().log.split_off(usize::try_from(WRONG).expect("a small number"));
    assert!(early(&later) > 0, "requests go ahead again on the next connection: {later:?}");
}
