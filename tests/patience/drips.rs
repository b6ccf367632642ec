//! Peers that send a little now and then: no phase of a download goes on for ever because of them,
//! and none that keeps its pace is ended.

use super::{site, slow};
use crate::common::{SEED, Site, at_once, both_schemes, slowed};
use ringhaul::Engine;
use ringhaul::ErrorKind;
use ringhaul::internal::base::size::KIB;
use ringhaul::server::{Config, Fault, Rule, When};
use std::time::{Duration, Instant};

const SIZE: u64 = 200 * KIB + 7;
/// The stall limit of these tests, far more than the pause between two drips.
const LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(60);
/// What is not ended takes minutes.
const ENDED: Duration = Duration::from_secs(15);

const ENGINES: [Engine; 2] = [Engine::IoUring, Engine::Epoll];

/// Every request, or those from the third on, with this fault; plain and encrypted, on both
/// engines.
fn each(fault: &Fault, run: impl Fn(Site) + Sync) {
    let configs = [When::All, When::FromRequest(3)]
        .into_iter()
        .flat_map(|when| both_schemes(SIZE).map(|config| config.rule(when.clone(), fault.clone())));
    on_both_engines(configs, |site| {
        run(site.with(|options| options.chunk_bytes = Some(32 * KIB)));
    });
}

/// Runs at once with each of these servers, on both engines, and with the stall limit.
fn on_both_engines(configs: impl IntoIterator<Item = Config>, run: impl Fn(Site) + Sync) {
    let cases =
        configs.into_iter().flat_map(|config| ENGINES.map(|engine| (config.clone(), engine)));
    at_once(cases, |(config, engine)| {
        run(site(config).with(|options| {
            (options.engine, options.stall_timeout) = (engine, LIMIT);
        }));
    });
}

#[track_caller]
fn assert_stalls(site: &Site) {
    let began = Instant::now();
    site.fails(ErrorKind::TimedOut, 6, &["--timeout", "(network)"]);
    let took = began.elapsed();
    assert!(took >= LIMIT / 2 && took < ENDED, "{took:?}");
}

const DRIP: Fault = Fault::DripBody { bytes: 1, pause: PAUSE };

#[test]
fn a_range_that_comes_byte_by_byte_is_a_stall() {
    each(&DRIP, |site| assert_stalls(&site));
}

#[test]
fn a_whole_body_that_comes_byte_by_byte_is_a_stall_however_it_is_framed() {
    let framings = [None, Some(Fault::Chunked), Some(Fault::NoLength)];
    let configs = framings.into_iter().flat_map(|framing| {
        let faults = framing.into_iter().chain([Fault::NoRangeSupport, DRIP]);
        let script: Vec<Rule> = faults.map(|fault| Rule::new(When::All, fault)).collect();
        both_schemes(SIZE).map(|config| Config { script: script.clone(), ..config })
    });
    on_both_engines(configs, |site| assert_stalls(&site));
}

#[test]
fn a_trailer_that_comes_byte_by_byte_is_a_stall() {
    // 28 bytes of it, each of them within the limit.
    let pause = LIMIT / 4;
    let configs = both_schemes(SIZE).map(|config| {
        let config = config.rule(When::All, Fault::NoRangeSupport);
        config.rule(When::All, Fault::DripTrailer(pause))
    });
    on_both_engines(configs, |site| {
        let began = Instant::now();
        site.fails(ErrorKind::TimedOut, 6, &["--timeout", "(network)"]);
        assert!(began.elapsed() < 24 * pause, "{:?}", began.elapsed());
    });
}

#[test]
fn a_head_that_comes_byte_by_byte_has_one_limit() {
    each(&Fault::SlowHead(PAUSE), |site| {
        let began = Instant::now();
        site.fails(ErrorKind::TimedOut, 6, &["head of its answer", "--timeout"]);
        // About 15 s if it were read to its end.
        assert!(began.elapsed() < 4 * LIMIT, "{:?}", began.elapsed());
    });
}

#[test]
fn a_slow_body_that_keeps_its_pace_is_no_stall() {
    // 8 KiB ten times a second, and 4 KiB are due within the limit.
    let drip = Fault::DripBody { bytes: 8 * KIB, pause: Duration::from_millis(100) };
    each(&drip, |site| {
        let site = site.with(|options| options.connections = Some(1));
        let report = site.succeeds(SIZE);
        assert!(report.elapsed > LIMIT, "{:?}", report.elapsed);
    });
}

#[test]
fn connections_that_share_a_slow_path_are_borne() {
    // Each of them brings about 2 KiB within the limit, and all of them 16.
    on_both_engines([slowed(Config::new(SEED, 80 * KIB), 16 * KIB)], |site| {
        let site = site.with(|options| {
            (options.connections, options.chunk_bytes) = (Some(8), Some(8 * KIB));
        });
        // Without retries; that the slowest are asked for again elsewhere is another matter.
        site.succeeds(80 * KIB);
    });
}

#[test]
fn a_speed_limit_ends_what_is_slower_and_bears_what_is_faster() {
    at_once(both_schemes(SIZE), |config| {
        // 300 KiB/s for all connections, of which there is one.
        let site = site(slow(config)).with(|options| {
            options.connections = Some(1);
            options.speed_limit_bytes = Some(1024 * KIB);
            options.speed_time = Some(Duration::from_millis(300));
        });
        let line = site.fails(ErrorKind::TimedOut, 6, &["--speed-limit", "were due"]);
        assert!(line.contains("307"), "1 MiB/s for 0.3 s: {line}");
        let site = site.with(|options| options.speed_limit_bytes = Some(20 * KIB));
        site.succeeds(SIZE);
    });
}
