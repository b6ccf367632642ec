//! Sizes × protocols × connections × settings: the same bytes from all of them.
//!
//! Small files meet every combination of size, protocol and connection count; the other settings
//! vary so that each pair of values meets in some case. Large files have a list of their own.

use super::common::process::may_pin_memory;
use super::common::{SEED, Site, checksum};
use ringhaul::Report;
use ringhaul::internal::base::limits::SPAN_ALIGN_BYTES;
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, RangeAsked, Route, Served, TlsConfig, TlsVersion};
use ringhaul::{DirectMode, Options};
use std::collections::BTreeSet;

const SIZES: [u64; 8] = [0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1];
const LARGE: u64 = 64 * MIB + 1;
const CONNECTIONS: [u32; 3] = [1, 3, 16];
/// Smallest, odd (rounded up to 8 KiB and 100 KiB), default.
const CHUNK_LARGE: u64 = 8 << 20;
const CHUNKS: [u64; 4] = [4096, 4097, 100_000, CHUNK_LARGE];
/// Smaller files are not worth registering memory for (`engine::shard`).
const REGISTER_BYTES_MIN: u64 = 16 * MIB;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Protocol {
    Http,
    Tls12,
    Tls13,
}

const PROTOCOLS: [Protocol; 3] = [Protocol::Http, Protocol::Tls12, Protocol::Tls13];

#[derive(Debug, Clone, Copy)]
struct Case {
    protocol: Protocol,
    size_bytes: u64,
    connections: u32,
    threads: u32,
    chunk_bytes: u64,
    direct: bool,
    registered: bool,
    hashed: bool,
}

#[test]
fn small_files_over_http() {
    run_all(Protocol::Http, &small_cases());
}

#[test]
fn small_files_over_tls_1_2() {
    run_all(Protocol::Tls12, &small_cases());
}

#[test]
fn small_files_over_tls_1_3() {
    run_all(Protocol::Tls13, &small_cases());
}

#[test]
fn large_files_over_http() {
    run_all(Protocol::Http, &large_cases());
}

#[test]
fn large_files_over_tls_1_2() {
    run_all(Protocol::Tls12, &large_cases());
}

#[test]
fn large_files_over_tls_1_3() {
    run_all(Protocol::Tls13, &large_cases());
}

#[test]
fn every_pair_of_settings_meets() {
    let cases = small_cases();
    let sizes = [3, SIZES.len(), CONNECTIONS.len(), 2, CHUNKS.len(), 2, 2];
    for a in 0..sizes.len() {
        for b in 0..a {
            let met: BTreeSet<_> = cases.iter().map(|c| (values(c)[a], values(c)[b])).collect();
            assert_eq!(met.len(), sizes[a] * sizes[b], "settings {a} and {b}");
        }
    }
}

/// The settings as numbers; registration does not matter to small files.
fn values(case: &Case) -> [u64; 7] {
    let Case { protocol, size_bytes, connections, threads, chunk_bytes, direct, hashed, .. } =
        *case;
    let (connections, threads) = (connections.into(), threads.into());
    [protocol as u64, size_bytes, connections, threads, chunk_bytes, direct.into(), hashed.into()]
}

fn small_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (p, protocol) in PROTOCOLS.into_iter().enumerate() {
        for (s, size_bytes) in SIZES.into_iter().enumerate() {
            for (c, connections) in CONNECTIONS.into_iter().enumerate() {
                // Shifted from row to row, as in a Latin square.
                let turn = p + s + c;
                cases.push(Case {
                    protocol,
                    size_bytes,
                    connections,
                    threads: if (turn / 2 + c) % 2 == 0 { 1 } else { 2 },
                    chunk_bytes: CHUNKS[(turn + s / 4) % CHUNKS.len()],
                    direct: (p + c + s / 2) % 2 == 0,
                    registered: true,
                    hashed: (p + s / 3 + c / 2) % 2 == 0,
                });
            }
        }
    }
    cases
}

fn large_cases() -> Vec<Case> {
    use Protocol::{Http, Tls12, Tls13};
    // Connections, threads, bytes of a request, direct, registered, hashed.
    [
        (Http, 1, 1, CHUNK_LARGE, true, true, false),
        (Http, 3, 2, 3_000_000, true, true, true),
        (Http, 16, 2, 100_000, true, false, false),
        (Http, 16, 1, MIB, false, true, false),
        (Http, 3, 1, 64 * MIB, false, false, true),
        (Tls12, 1, 1, 64 * MIB, false, true, true),
        (Tls12, 3, 2, CHUNK_LARGE, true, false, false),
        (Tls12, 16, 1, 3_000_000, true, true, false),
        (Tls13, 1, 2, 100_000, true, false, true),
        (Tls13, 3, 1, MIB, true, true, false),
        (Tls13, 16, 2, CHUNK_LARGE, false, false, false),
        (Tls13, 16, 2, 3_000_000, true, true, true),
    ]
    .map(|(protocol, connections, threads, chunk_bytes, direct, registered, hashed)| {
        let size_bytes = LARGE;
        Case { protocol, size_bytes, connections, threads, chunk_bytes, direct, registered, hashed }
    })
    .into()
}

fn run_all(protocol: Protocol, cases: &[Case]) {
    let cases: Vec<&Case> = cases.iter().filter(|case| case.protocol == protocol).collect();
    let mut config = Config::new(SEED, 0);
    let versions = match protocol {
        Protocol::Http => None,
        Protocol::Tls12 => Some(vec![TlsVersion::V1_2]),
        Protocol::Tls13 => Some(vec![TlsVersion::V1_3]),
    };
    config.tls = versions.map(|versions| TlsConfig { versions, ..TlsConfig::default() });
    for (index, case) in cases.iter().enumerate() {
        let what = Served::File { seed: SEED + index as u64, size_bytes: case.size_bytes };
        config.routes.push(Route { path: format!("/{index}"), what });
    }
    let site = Site::start(config);
    for (index, case) in cases.iter().enumerate() {
        run(&site, &format!("/{index}"), SEED + index as u64, case);
    }
}

fn run(site: &Site, path: &str, seed: u64, case: &Case) {
    let expected = checksum(seed, case.size_bytes);
    let options = Options {
        connections: Some(case.connections),
        threads: Some(case.threads),
        chunk_bytes: Some(case.chunk_bytes),
        direct: if case.direct { DirectMode::On } else { DirectMode::Off },
        register_buffers: case.registered,
        checksum: case.hashed.then(|| expected.clone()),
        ..site.options.clone()
    };
    let run = site.fetch(path, options);
    assert!(run.result.is_ok(), "{case:?}: {:?}", run.result);
    let report = run.expect_file(seed, case.size_bytes);
    check_report(report, case);
    let digest = report.verified.as_ref().map(|verified| verified.digest.clone());
    assert_eq!(digest, case.hashed.then(|| expected.to_string()), "{case:?}");
    check_requests(site, path, case);
    let versions = run.events.iter().filter(|event| event.text.starts_with("connected"));
    for event in versions {
        let tls = ["TLS 1.2", "TLS 1.3"].map(|version| event.text.contains(version));
        let expected = [case.protocol == Protocol::Tls12, case.protocol == Protocol::Tls13];
        assert_eq!(tls, expected, "{case:?}: {}", event.text);
    }
}

fn check_report(report: &Report, case: &Case) {
    let chunk_bytes = case.chunk_bytes.next_multiple_of(SPAN_ALIGN_BYTES);
    let is_large = case.size_bytes >= REGISTER_BYTES_MIN;
    assert!(report.ranges, "{case:?}: {report:?}");
    assert_eq!(report.retries, 0, "{case:?}: {report:?}");
    assert_eq!(report.direct, case.direct, "{case:?}: {report:?}");
    // What is copied to the page cache gains nothing from registered memory.
    let is_registered = case.registered && is_large && case.direct;
    if !is_registered || may_pin_memory() {
        assert_eq!(report.registered, is_registered, "{case:?}: {report:?}");
    }
    let pieces = case.size_bytes.div_ceil(chunk_bytes).max(1);
    let useful = if is_large { case.connections.into() } else { pieces };
    assert!(report.connections >= 1, "{case:?}: {report:?}");
    assert!(u64::from(report.connections) <= useful.min(case.connections.into()), "{report:?}");
    assert!(report.threads >= 1 && report.threads <= case.threads, "{case:?}: {report:?}");
    if is_large {
        assert_eq!(report.threads, case.threads.min(case.connections), "{case:?}: {report:?}");
    }
}

/// Requests start where pages do, and ask for no more than the rounded chunk.
fn check_requests(site: &Site, path: &str, case: &Case) {
    let chunk_bytes = case.chunk_bytes.next_multiple_of(SPAN_ALIGN_BYTES);
    for entry in site.stats().log.iter().filter(|entry| entry.target == path) {
        let Some(RangeAsked::FromTo { first, last }) = entry.range else {
            panic!("{case:?}: {}", entry.head);
        };
        assert!(first.is_multiple_of(SPAN_ALIGN_BYTES), "{case:?}: {}", entry.head);
        assert!(last - first < chunk_bytes, "{case:?}: {}", entry.head);
    }
}
