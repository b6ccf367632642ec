//! How many connections there are, what becomes of them, and where they lead.

use super::common::child::{Answer, Child, program};
use super::common::tools::with_three_addresses;
use super::common::{SEED, Site, assert_content, both_schemes, fetch, paced, scratch, skipped};
use ringhaul::Options;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Server, Shape, TlsConfig, TlsVersion, When};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

const SIZE: u64 = 4 * MIB;
/// Below what is worth stealing, so that each span is requested once.
const CHUNK: u64 = 128 * KIB;
const CHUNKS: u64 = SIZE / CHUNK;
/// A span takes 60 ms or more: connections work at the same time on a busy machine too.
const RATE: u64 = 2 * MIB;

fn in_chunks(site: &Site, connections: u32) -> Options {
    Options { connections: Some(connections), chunk_bytes: Some(CHUNK), ..site.options.clone() }
}

#[test]
fn as_many_connections_as_asked_for_and_all_are_kept() {
    for (connections, threads, tls) in [(1, 1, false), (4, 1, false), (4, 2, true), (9, 2, false)] {
        let config = if tls { Config::new_tls(SEED, SIZE) } else { Config::new(SEED, SIZE) };
        let config = if connections == 1 { config } else { paced(config, RATE) };
        let site = Site::start(config);
        let options = Options { threads: Some(threads), ..in_chunks(&site, connections) };
        let run = site.fetch("/f", options);
        let report = run.expect_file(SEED, SIZE);
        assert_eq!(report.connections, connections);
        // At the end some are cut short for others to help, and may have to connect again.
        assert!((connections..=2 * connections).contains(&report.connects), "{report:?}");
        assert_eq!((report.threads, report.retries), (threads, 0));
        let stats = site.stats();
        assert_eq!(stats.connections, u64::from(report.connects));
        assert_eq!(stats.connections_peak, connections as usize);
        let requests = CHUNKS..=CHUNKS + 2 * u64::from(connections);
        assert!(requests.contains(&stats.requests), "only the end is asked for twice: {stats:?}");
    }
}

/// More receives on their way than a ring has entries.
#[test]
fn more_connections_than_a_ring_has_entries() {
    let config = Config::new(SEED, SIZE);
    let shape = Shape { first_byte_delay: Duration::from_millis(300), ..Shape::default() };
    let site = Site::start(Config { shape, ..config });
    let (connections, chunk_bytes) = (150, 4 * KIB);
    let options = Options {
        connections: Some(connections),
        chunk_bytes: Some(chunk_bytes),
        threads: Some(1),
        ..site.options.clone()
    };
    let report = site.fetch("/f", options);
    let report = report.expect_file(SEED, SIZE);
    assert_eq!((report.connections, report.retries), (connections, 0), "{report:?}");
}

#[test]
fn a_server_that_closes_behind_each_answer_is_no_failure() {
    for announce in [true, false] {
        for tls in [false, true] {
            let config = if tls { Config::new_tls(SEED, SIZE) } else { Config::new(SEED, SIZE) };
            let site = Site::start(config.rule(When::All, Fault::CloseAfterReply { announce }));
            let run = site.fetch("/f", in_chunks(&site, 3));
            let report = run.expect_file(SEED, SIZE);
            assert_eq!(report.retries, 0, "announce {announce}, tls {tls}: {report:?}");
            assert!(report.connections <= 3, "{report:?}");
            let stats = site.stats();
            assert_eq!(stats.requests, CHUNKS, "announce {announce}, tls {tls}");
            assert_eq!(stats.connections, CHUNKS, "announce {announce}, tls {tls}");
        }
    }
}

#[test]
fn later_connections_resume_the_first_ones_session() {
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let tls = TlsConfig { versions: vec![version], ..TlsConfig::default() };
        let config = Config { tls: Some(tls), ..Config::new(SEED, SIZE) };
        let site = Site::start(paced(config, RATE));
        let run = site.fetch("/f", in_chunks(&site, 4));
        assert_eq!(run.expect_file(SEED, SIZE).connects, 4);
        assert!(site.stats().tls_resumed > 0, "{version:?}: {:?}", run.texts());
        assert!(run.texts().iter().any(|text| text.ends_with(", resumed")), "{version:?}");
    }
}

#[test]
fn ipv6_literals() {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    for config in both_schemes(SIZE) {
        let config = Config { address, ..config };
        if let Err(error) = Server::start(config.clone()) {
            skipped(&format!("no IPv6 loopback here: {error}"));
            return;
        }
        let site = Site::start(config);
        let run = site.fetch("/f", in_chunks(&site, 2));
        run.expect_file(SEED, SIZE);
        let host = format!("\r\nHost: [::1]:{}\r\n", site.port());
        assert!(site.heads().iter().all(|head| head.to_lowercase().contains(&host.to_lowercase())));
    }
}

/// A child with a hosts file of its own, in which one name has four addresses; nobody listens on
/// the last of them.
#[test]
fn connections_spread_over_the_addresses_of_a_name() {
    let first = Site::start(paced(Config::new(SEED, SIZE), RATE));
    let port = first.port();
    let at = |last: u8| Config {
        address: SocketAddr::from(([127, 0, 0, last], port)),
        ..paced(Config::new(SEED, SIZE), RATE)
    };
    let Ok(second) = Server::start(at(2)) else {
        skipped(&format!("port {port} is taken on 127.0.0.2"));
        return;
    };
    let home = scratch();
    let target = home.path().join("file");
    let url = format!("http://many.test:{port}/f");
    let program = &program();
    let child = Child { program, url: &url, target: &target, connections: 4, trace: None };
    let Some(wrapper) = with_three_addresses(home.path(), "many.test") else { return };
    let answer = child.run(&wrapper, |_| {}).0.expect("the child comes as far as the download");
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    assert_content(&target, SEED, SIZE);
    let (first, second) = (first.stats().connections, second.stats().connections);
    assert!(first > 0 && second > 0 && first + second >= 2, "{first} and {second}");
}

#[test]
fn a_name_is_looked_up() {
    let site = Site::start(Config::new_tls(SEED, SIZE));
    // The certificate is for this name too; where it has an IPv6 address, nobody listens there.
    let url = format!("https://localhost:{}/f", site.port());
    fetch(&url, in_chunks(&site, 3)).expect_file(SEED, SIZE);
}
