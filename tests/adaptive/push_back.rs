//! Servers that have enough: the download ends well, with the connections they tolerate, and
//! whoever was told to wait does.

use super::common::{SEED, Site};
use super::traced::fetch_traced;
use ringhaul::Options;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Refusal, RequestLog, RetryAfter, Rule, Shape, Stats, When};
use std::thread;
use std::time::Duration;

const RATE: u64 = 4 * MIB;
const SIZE: u64 = 12 * MIB + 7;
/// Answers the server gives at a time.
const TOLERATED: usize = 2;
/// A wait that begins at a request's arrival and ends at the next one's, less what clocks and
/// rounding take.
const WAIT: Duration = Duration::from_millis(950);

fn shaped(shape: Shape) -> Site {
    let shape = Shape { connection_bytes_per_second: Some(RATE), ..shape };
    Site::start(Config { shape, ..Config::new(SEED, SIZE) })
}

fn refusing(status: u16, retry_after: Option<RetryAfter>) -> Site {
    let refusal = Some(Refusal { answers_max: TOLERATED, status, retry_after });
    shaped(Shape { refusal, ..Shape::default() })
}

#[test]
fn too_many_requests_at_a_time() {
    let cases =
        [(503, None), (503, Some(RetryAfter::Seconds(1))), (429, Some(RetryAfter::DateIn(1)))];
    thread::scope(|scope| {
        for (status, retry_after) in cases {
            scope.spawn(move || {
                let site = refusing(status, retry_after);
                let traced = fetch_traced(&site, site.options.clone(), SIZE);
                let stats = site.stats();
                let what = format!("{status} {retry_after:?}: {stats:#?} {:#?}", traced.trace);
                let caps = traced.trace.about("cap");
                assert!(!caps.is_empty() && caps[0].text.contains("refuses"), "{what}");
                assert!(traced.trace.limiter.contains("push-back"), "{what}");
                assert!(traced.report().retries > 0, "{what}");
                // Those that had started, and perhaps one that looks again: nobody hammers.
                assert!((1..=8).contains(&stats.requests_refused), "{what}");
                assert_settles(&stats, &what);
                if retry_after.is_some() {
                    assert_newcomers_wait(&stats.log, &what);
                }
            });
        }
    });
}

/// As servers do that serve one transfer at a time and have no better word for it.
#[test]
fn forbidden_while_another_connection_is_served() {
    thread::scope(|scope| {
        for connections in [None, Some(4)] {
            scope.spawn(move || {
                let refusal = Some(Refusal { answers_max: 1, status: 403, retry_after: None });
                let site = shaped(Shape { refusal, ..Shape::default() });
                let traced =
                    fetch_traced(&site, Options { connections, ..site.options.clone() }, SIZE);
                let stats = site.stats();
                let what = format!("{connections:?}: {stats:#?} {:#?}", traced.trace);
                assert!(stats.requests_refused > 0, "{what}");
                assert!(traced.report().retries > 0, "{what}");
            });
        }
    });
}

/// In its second half the download is at work on as many connections as are tolerated.
#[track_caller]
fn assert_settles(stats: &Stats, what: &str) {
    let last = stats.log.last().expect("there were requests").at;
    let is_late = |request: &&RequestLog| request.at > last / 2;
    let refused = stats.log.iter().filter(is_late).filter(|late| late.status != Some(206)).count();
    assert_eq!(refused, 0, "refused in the second half: {what}");
}

/// Nobody whom the server has not served yet asks before the time that a refusal has named. Who is
/// being served goes on.
#[track_caller]
fn assert_newcomers_wait(log: &[RequestLog], what: &str) {
    // Requests that were on their way when the refusal was.
    const CROSSING: Duration = Duration::from_millis(200);
    for refused in log.iter().filter(|request| request.status != Some(206)) {
        let window = refused.at + CROSSING..refused.at + WAIT;
        let is_served = |connection| {
            let mut earlier = log.iter().filter(|it| it.at < window.start);
            earlier.any(|it| it.connection == connection && it.status == Some(206))
        };
        let early = log.iter().find(|it| window.contains(&it.at) && !is_served(it.connection));
        assert_eq!(early, None, "it was told to wait: {what}");
    }
}

#[test]
fn a_fixed_count_gets_through_too() {
    let site = refusing(503, Some(RetryAfter::Seconds(1)));
    let options = Options { connections: Some(4), ..site.options.clone() };
    let traced = fetch_traced(&site, options, SIZE);
    let stats = site.stats();
    assert!(stats.requests_refused > 0, "{stats:#?}");
    assert_newcomers_wait(&stats.log, &format!("{:#?}", traced.trace));
}

#[test]
fn resets_beyond_some_connections() {
    let site = shaped(Shape { resets_beyond: Some(3), ..Shape::default() });
    let traced = fetch_traced(&site, site.options.clone(), SIZE);
    let stats = site.stats();
    let what = format!("{stats:#?} {:#?}", traced.trace);
    assert!((1..=12).contains(&stats.connections_refused), "{what}");
    assert!(!traced.trace.about("cap").is_empty(), "{what}");
    assert!(traced.trace.limiter.contains("push-back"), "{what}");
}

/// Both forms of the wait; the date is read against the server's own clock.
fn one_second() -> [Vec<(String, String)>; 2] {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let seconds = vec![field("Retry-After", "1")];
    let date = vec![
        field("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        field("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT"),
    ];
    [seconds, date]
}

/// One connection, whose `nth` request is refused for a second; returns when the requests came.
fn refused_once(nth: u64, headers: Vec<(String, String)>) -> Vec<RequestLog> {
    let fault = Fault::Status { code: 503, headers, body: b"later\n".to_vec() };
    // Far enough for requests to be sent ahead.
    let first_byte_delay = Duration::from_millis(10);
    let connection_bytes_per_second = Some(2 * RATE);
    let shape = Shape { connection_bytes_per_second, first_byte_delay, ..Shape::default() };
    let script = vec![Rule::once(When::Request(nth), fault)];
    let size_bytes = 6 * MIB;
    let site = Site::start(Config { shape, script, ..Config::new(SEED, size_bytes) });
    let (connections, chunk_bytes) = (Some(1), Some(512 * KIB));
    let options = Options { connections, chunk_bytes, ..site.options.clone() };
    let traced = fetch_traced(&site, options, size_bytes);
    assert_eq!(traced.report().retries, 1, "{:#?}", traced.trace);
    site.stats().log
}

#[test]
fn the_only_connection_waits_as_long_as_it_is_told() {
    thread::scope(|scope| {
        // The very first request of all, one in the middle; the latter is sent ahead.
        for nth in [1, 7] {
            for headers in one_second() {
                scope.spawn(move || {
                    let log = refused_once(nth, headers);
                    let at = usize::try_from(nth).expect("a small number");
                    let waited = log[at].at.saturating_sub(log[at - 1].at);
                    assert!(waited >= WAIT, "request {nth}: {waited:?} {log:#?}");
                    assert_eq!(nth > 1, log[at - 1].is_early, "{log:#?}");
                });
            }
        }
    });
}
