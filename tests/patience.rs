//! The options that say how long to wait and how often to try, end to end. The cases of a test do
//! little but wait, so they run at once.

mod common;
#[path = "patience/drips.rs"]
mod drips;
#[path = "patience/tickets.rs"]
mod tickets;

use common::{SEED, Site, at_once, both_schemes, expect_error, slowed, status};
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, RequestLog, Rule, When};
use std::time::{Duration, Instant};

const SIZE: u64 = 3 * MIB + 7;
/// Far more than any limit of these tests, far less than what it cuts short.
const PROMPT: Duration = Duration::from_secs(3);
const NEVER: Duration = Duration::from_secs(60);

fn site(config: Config) -> Site {
    Site::strict(config).with(|options| {
        options.connections = Some(2);
        options.chunk_bytes = Some(256 * KIB);
        (options.connect_timeout, options.stall_timeout) = (NEVER, NEVER);
    })
}

/// Ten seconds and more for the file.
fn slow(config: Config) -> Config {
    slowed(config, 300 * KIB)
}

/// The time between each request and the next one.
fn pauses(log: &[RequestLog]) -> Vec<Duration> {
    log.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[test]
fn the_whole_download_may_take_so_long_and_the_next_run_goes_on() {
    at_once(both_schemes(SIZE), |config| {
        let site = site(slow(config.clone()));
        let site = site.with(|options| {
            options.max_time = Some(Duration::from_millis(700));
            options.journal_interval = Duration::from_millis(100);
        });
        let began = Instant::now();
        site.fails(ErrorKind::TimedOut, 6, &["not complete after 0.7 s", "--max-time", "kept"]);
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        let site = site.moved(config).with(|options| options.max_time = None);
        let report = site.succeeds(SIZE);
        assert!((64 * KIB..MIB).contains(&report.resumed_bytes), "{}", report.resumed_bytes);
    });
}

#[test]
fn time_is_up_in_whatever_the_download_is_doing() {
    let stalled = |when, fault| Config::new(SEED, SIZE).rule(when, fault);
    let configs = [
        stalled(When::All, Fault::StallBeforeHead),
        Config::new_tls(SEED, SIZE).rule(When::All, Fault::StallOnAccept),
        stalled(When::All, Fault::NoRangeSupport).rule(When::All, Fault::StallAfter(MIB)),
        stalled(When::FromRequest(2), Fault::StallBeforeHead),
        stalled(When::All, status(503, "")),
    ];
    at_once(configs, |config| {
        let site = site(config).with(|options| {
            options.max_time = Some(Duration::from_millis(300));
            (options.retries, options.retry_wait) = (3, NEVER);
        });
        let began = Instant::now();
        site.fails(ErrorKind::TimedOut, 6, &["not complete after", "--max-time"]);
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    });
}

#[test]
fn waits_grow_from_the_one_that_was_asked_for() {
    at_once([When::All, When::FromRequest(3)], |when| {
        let site = site(Config::new(SEED, SIZE).rule(when.clone(), status(503, "")));
        let site = site.with(|options| {
            (options.connections, options.retries) = (Some(1), 3);
            options.retry_wait = Duration::from_millis(80);
            options.request_ahead = false;
        });
        site.fails(ErrorKind::Status(503), 22, &[]);
        let log = site.server.stats().log;
        let tries: Vec<RequestLog> =
            log.into_iter().filter(|request| request.status == Some(503)).collect();
        assert_eq!(tries.len(), 4, "the first try and three more");
        for (pause, whole_ms) in pauses(&tries).into_iter().zip([80, 160, 320]) {
            let whole = Duration::from_millis(whole_ms);
            // Half to all of it, and what a loaded machine adds.
            assert!(pause >= whole / 2 && pause < whole + PROMPT, "{pause:?} of {whole:?}");
        }
    });
}

#[test]
fn so_many_retries_and_no_more() {
    at_once([0, 1, 4], |retries| {
        let site = site(Config::new(SEED, SIZE).rule(When::All, Fault::Garbage(b"?".to_vec())));
        let site = site.with(|options| {
            (options.retries, options.retry_wait) = (retries, Duration::from_millis(1));
        });
        site.fails(ErrorKind::Protocol, 9, &[]);
        assert_eq!(site.server.stats().requests, u64::from(retries) + 1);
    });
}

#[test]
fn silence_is_a_stall_after_its_time() {
    let stalls = [
        Rule::new(When::All, Fault::StallBeforeHead),
        Rule::new(When::FromRequest(3), Fault::StallBeforeHead),
        Rule::new(When::FromRequest(3), Fault::StallAfter(100_000)),
    ];
    at_once(stalls, |rule| {
        at_once(both_schemes(SIZE), |config| {
            let site = site(Config { script: vec![rule.clone()], ..config });
            let site = site.with(|options| options.stall_timeout = Duration::from_millis(250));
            let began = Instant::now();
            site.fails(ErrorKind::TimedOut, 6, &["--timeout"]);
            let took = began.elapsed();
            assert!(took >= Duration::from_millis(250) && took < PROMPT, "{took:?}");
        });
    });
}

#[test]
fn slow_is_no_stall() {
    // Its pieces come more often than the limit, and all of it takes far longer.
    at_once(both_schemes(300 * KIB), |config| {
        let site = site(slowed(config, 400 * KIB));
        let site = site.with(|options| {
            (options.connections, options.stall_timeout) = (Some(1), Duration::from_millis(400));
        });
        site.succeeds(300 * KIB);
    });
}

#[test]
fn a_connection_is_to_be_made_within_its_time() {
    let site = site(Config::new_tls(SEED, SIZE).rule(When::All, Fault::StallOnAccept));
    let site = site.with(|options| options.connect_timeout = Duration::from_millis(250));
    let began = Instant::now();
    expect_error(
        site.run(),
        ErrorKind::TimedOut,
        6,
        &["connected to within 0.3 s", "--connect-timeout"],
    );
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(250) && took < PROMPT, "{took:?}");
    site.assert_nothing_left();
}
