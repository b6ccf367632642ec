//! No options at all: the right bytes of every size, bounds that are kept, and a verdict that
//! names what the server does.

use super::common::{SEED, Site, at_once, both_schemes, checksum, paced, slowed};
use super::traced::fetch_traced;
use ringhaul::Options;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::Config;
use std::time::Duration;

const SIZES: [u64; 7] = [0, 1, 4095, MIB, MIB + 1, 5 * MIB + 77, 64 * MIB + 1];

#[test]
fn the_right_bytes_of_every_size() {
    for size_bytes in SIZES {
        at_once(both_schemes(size_bytes), |config| {
            let site = Site::start(config);
            site.fetch("/f", site.options.clone()).expect_file(SEED, size_bytes);
            for threads in [1, 2] {
                let checksum = Some(checksum(SEED, size_bytes));
                let options = Options { checksum, threads: Some(threads), ..site.options.clone() };
                let run = site.fetch("/f", options);
                let report = run.expect_file(SEED, size_bytes);
                assert!(report.verified.is_some() && report.threads <= threads, "{report:?}");
                assert_eq!(report.retries, 0, "{:?}", run.texts());
            }
        });
    }
}

fn per_connection(rate: u64, size_bytes: u64) -> Site {
    Site::start(paced(Config::new(SEED, size_bytes), rate))
}

#[test]
fn the_count_grows_to_its_bound_and_the_verdict_names_the_cap_per_connection() {
    let size_bytes = 48 * MIB;
    let site = per_connection(2 * MIB, size_bytes);
    let options = Options { max_connections: 12, ..site.options.clone() };
    let traced = fetch_traced(&site, options, size_bytes);
    let (report, stats) = (traced.report(), site.stats());
    assert_eq!(report.connections, 12, "{:#?}", traced.trace.decisions);
    // A server notices late that a connection was closed which a new one takes the place of.
    let reconnects = (report.connects - report.connections) as usize;
    assert!(stats.connections_peak <= 12 + reconnects, "{stats:#?}");
    assert!(!traced.trace.about("connections").is_empty(), "growth is a decision");
    let limiter = &traced.trace.limiter;
    assert!(limiter.contains("limit per connection"), "{limiter}: {:#?}", traced.trace.decisions);
}

#[test]
fn one_connection_is_never_more() {
    let size_bytes = 6 * MIB;
    let site = per_connection(8 * MIB, size_bytes);
    let options = Options { max_connections: 1, ..site.options.clone() };
    assert_eq!(fetch_traced(&site, options, size_bytes).report().connections, 1);
    assert_eq!(site.stats().connections_peak, 1);
}

#[test]
fn a_fixed_count_is_exact() {
    let size_bytes = 16 * MIB;
    at_once([2, 7], |connections| {
        let site = per_connection(4 * MIB, size_bytes);
        let options = Options { connections: Some(connections), ..site.options.clone() };
        let traced = fetch_traced(&site, options, size_bytes);
        assert_eq!(traced.report().connections, connections);
        assert!(traced.trace.about("connections").is_empty(), "{:?}", traced.trace.decisions);
    });
}

#[test]
fn a_tiny_file_says_nothing() {
    let site = Site::start(Config::new(SEED, 1000));
    let traced = fetch_traced(&site, site.options.clone(), 1000);
    assert!(traced.trace.limiter.starts_with("too short"), "{}", traced.trace.limiter);
}

/// Long enough for a probe: the first windows of 150 ms can make steps of the ramp look paid, the
/// more so on a busy machine. How few are enough is asked in virtual time (`plan::fanout`).
#[test]
fn the_verdict_names_the_path_where_more_connections_bring_nothing() {
    let size_bytes = 84 * MIB;
    let mut config = slowed(Config::new(SEED, size_bytes), 12 * MIB);
    config.shape.first_byte_delay = Duration::from_millis(2);
    let site = Site::start(config);
    let traced = fetch_traced(&site, site.options.clone(), size_bytes);
    let limiter = &traced.trace.limiter;
    // Where this machine's noise looked like a gain, that is said, and nothing is claimed of it.
    let is_named = limiter.contains("network path") || limiter.starts_with("not enough was tried");
    assert!(is_named, "{limiter}: {:#?}", traced.trace.decisions);
}
