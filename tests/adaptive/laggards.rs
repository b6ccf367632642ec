//! Connections that fall behind or say nothing any more: nobody waits for them, and what is
//! fetched twice is committed once.

use super::common::{SEED, Site, at_once, paced};
use super::traced::{Traced, fetch_traced};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Fault, Rule, SlowConnections, When};
use ringhaul::{Engine, Options};
use std::thread;
use std::time::Duration;

const RATE: u64 = 4 * MIB;
/// Far longer than any of these downloads takes.
const STALL_TIMEOUT: Duration = Duration::from_secs(20);

fn with_rules(size_bytes: u64, script: Vec<Rule>) -> Config {
    Config { script, ..paced(Config::new(SEED, size_bytes), RATE) }
}

fn fetch(config: Config, connections: Option<u32>, engine: Engine) -> Traced {
    let size_bytes = config.size_bytes;
    let site = Site::start(config);
    let stall_timeout = STALL_TIMEOUT;
    let options = Options { connections, engine, stall_timeout, ..site.options.clone() };
    fetch_traced(&site, options, size_bytes)
}

#[test]
fn a_connection_that_stalls_for_ever_costs_a_fraction_of_the_limit() {
    let faults = [Fault::StallAfter(100 * KIB), Fault::StallBeforeHead, Fault::StallAfter(0)];
    thread::scope(|scope| {
        for fault in faults {
            for size_bytes in [3 * MIB + 1, 24 * MIB] {
                for (connections, engine) in
                    [(None, Engine::Auto), (Some(4), Engine::Auto), (Some(4), Engine::Epoll)]
                {
                    let rule = Rule::new(When::Connection(2), fault.clone());
                    scope.spawn(move || {
                        let what = format!("{rule:?} {size_bytes} {connections:?} {engine}");
                        let traced = fetch(with_rules(size_bytes, vec![rule]), connections, engine);
                        let elapsed = traced.report().elapsed;
                        assert!(elapsed < STALL_TIMEOUT / 3, "{what}: {:#?}", traced.trace);
                    });
                }
            }
        }
    });
}

#[test]
fn one_slow_connection_of_eight() {
    let slow = SlowConnections { every: 8, bytes_per_second: RATE / 20 };
    let times = thread::scope(|scope| {
        let run = |slow_connections| {
            scope.spawn(move || {
                let mut config = with_rules(40 * MIB, Vec::new());
                config.shape.slow_connections = slow_connections;
                let traced = fetch(config, Some(8), Engine::Auto);
                (traced.report().elapsed.as_secs_f64(), traced)
            })
        };
        [run(None), run(Some(slow))].map(|thread| thread.join().expect("it comes through"))
    });
    let [(without, _), (with, traced)] = times;
    let text = format!("{with:.2} s with, {without:.2} s without: {:#?}", traced.trace);
    assert!(with < 1.3 * without + 0.2, "{text}");
}

/// One connection crawls through a span that is small enough to be fetched twice.
#[test]
fn what_is_fetched_twice_counts_once() {
    let size_bytes = 32 * MIB;
    // The last spans are asked for when little else is left to do.
    let late = When::RangeStartFrom(size_bytes - 512 * KIB);
    let (crawl, stall) = (Fault::Rate(64 * KIB), Fault::StallAfter(70 * KIB));
    let cases = [(crawl.clone(), Engine::Auto), (crawl, Engine::Epoll), (stall, Engine::Auto)];
    at_once(cases, |(fault, engine)| {
        let rule = Rule::once(late.clone(), fault);
        let what = format!("{rule:?} {engine}");
        let is_crawl = matches!(rule.what, Fault::Rate(_));
        let site = Site::start(with_rules(size_bytes, vec![rule]));
        let (connections, chunk_bytes) = (Some(4), Some(512 * KIB));
        let stall_timeout = STALL_TIMEOUT;
        let options =
            Options { connections, chunk_bytes, engine, stall_timeout, ..site.options.clone() };
        let traced = fetch_traced(&site, options, size_bytes);
        let hedges = traced.trace.about("hedge").len();
        let lines = traced.trace.spans.iter().filter(|span| span.hedge).count();
        // On a busy machine silence may have lasted long enough for a new connection instead.
        let is_replaced = !is_crawl && !traced.trace.about("replace").is_empty();
        // What crawls may also lose the end of its span to somebody else, and come to the cut.
        let is_cut = is_crawl && traced.trace.spans.iter().any(|span| span.outcome == "cut");
        let is_hedged = hedges > 0 && lines > 0;
        assert!(is_hedged || is_replaced || is_cut, "{what}: {:#?}", traced.trace);
        assert!(traced.report().elapsed < STALL_TIMEOUT / 3, "{what}: {:#?}", traced.trace);
        assert_eq!(traced.run.progress.last().map(|last| last.bytes_done), Some(size_bytes));
    });
}
