//! A name with three addresses, of which one is bad: the others do the work. Each download runs in
//! a process with a hosts file of its own.

use super::common::child::{Answer, Child, program};
use super::common::tools::with_three_addresses;
use super::common::{SEED, assert_content, paced, scratch, skipped};
use super::traced::Trace;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, Server, Stats};
use std::thread;
use std::time::{Duration, Instant};

const SIZE: u64 = 24 * MIB + 3;
const RATE: u64 = 4 * MIB;

/// What stands at an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    Well,
    Nobody,
    /// Its server ends when it has sent this number of bytes.
    DiesAfter(u64),
    /// Bytes per second of a connection.
    Slow(u64),
}

/// The trace, and what each server saw.
struct Outcome {
    trace: Trace,
    stats: Vec<Stats>,
}

impl Outcome {
    /// New bytes that came from 127.0.0.`last`.
    fn bytes_from(&self, last: u8) -> u64 {
        let prefix = format!("127.0.0.{last}:");
        let spans = self.trace.spans.iter().filter(|span| span.address.starts_with(&prefix));
        spans.map(|span| span.bytes).sum()
    }

    fn has_put_to_rest(&self) -> bool {
        self.trace.about("address").iter().any(|decision| decision.text.contains("rests"))
    }
}

/// Downloads over six connections from 127.0.0.1, .2 and .3, the last of which is as told. `None`:
/// this machine does not let us.
fn with_third(third: Stand) -> Option<Outcome> {
    let server = |last: u8, port: u16, stand: Stand| {
        let rate = if let Stand::Slow(rate) = stand { rate } else { RATE };
        let address = ([127, 0, 0, last], port).into();
        Server::start(Config { address, ..paced(Config::new(SEED, SIZE), rate) }).ok()
    };
    let first = server(1, 0, Stand::Well).expect("the kernel has a port for us");
    let port = first.address().port();
    let mut servers = vec![first];
    for (last, stand) in [(2, Stand::Well), (3, third)] {
        if stand != Stand::Nobody {
            let Some(server) = server(last, port, stand) else {
                skipped(&format!("port {port} is taken on 127.0.0.{last}"));
                return None;
            };
            servers.push(server);
        }
    }
    let home = scratch();
    let wrapper = with_three_addresses(home.path(), "three.test")?;
    let (target, trace) = (home.path().join("file"), home.path().join("trace"));
    let url = format!("http://three.test:{port}/f");
    let child = Child {
        program: &program(),
        url: &url,
        target: &target,
        connections: 6,
        trace: Some(&trace),
    };
    let answer = thread::scope(|scope| {
        if let Stand::DiesAfter(bytes) = third {
            let last = servers.last_mut().expect("three servers");
            scope.spawn(move || stop_after(last, bytes));
        }
        child.run(&wrapper, |_| {}).0.expect("the child comes as far as the download")
    });
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    assert_content(&target, SEED, SIZE);
    let trace = Trace::read(&trace, SIZE);
    assert_eq!(trace.addresses, 3);
    Some(Outcome { trace, stats: servers.iter().map(Server::stats).collect() })
}

fn stop_after(server: &mut Server, bytes: u64) {
    let began = Instant::now();
    while server.stats().body_bytes < bytes && began.elapsed() < Duration::from_secs(20) {
        // sleep: the bytes are sent by another thread, which rings no bell.
        thread::sleep(Duration::from_millis(5));
    }
    server.stop();
}

#[test]
fn all_three_share_the_work() {
    let Some(outcome) = with_third(Stand::Well) else { return };
    for last in 1..=3 {
        assert!(outcome.bytes_from(last) > SIZE / 6, "{last}: {:#?}", outcome.trace);
    }
    assert!(!outcome.has_put_to_rest(), "{:#?}", outcome.trace.decisions);
}

#[test]
fn one_refuses() {
    let Some(outcome) = with_third(Stand::Nobody) else { return };
    assert_eq!(outcome.bytes_from(1) + outcome.bytes_from(2), SIZE);
    for (last, stats) in (1..).zip(&outcome.stats) {
        assert!(outcome.bytes_from(last) > SIZE / 4, "{last}: {:#?}", outcome.trace);
        assert_eq!(stats.connections_refused, 0);
    }
}

#[test]
fn one_dies_midway() {
    let Some(outcome) = with_third(Stand::DiesAfter(2 * MIB)) else { return };
    let of_the_dead = outcome.bytes_from(3);
    assert!((1..SIZE / 3).contains(&of_the_dead), "{of_the_dead}: {:#?}", outcome.trace);
    assert!(outcome.has_put_to_rest(), "{:#?}", outcome.trace);
}

#[test]
fn one_is_slow() {
    let Some(outcome) = with_third(Stand::Slow(100 * KIB)) else { return };
    let (of_the_slow, of_the_first) = (outcome.bytes_from(3), outcome.bytes_from(1));
    assert!(of_the_slow < of_the_first / 4, "{of_the_slow} of {of_the_first}");
    assert!(outcome.has_put_to_rest(), "{:#?}", outcome.trace);
    // Four connections take 1.5 s; the slow one alone would take four minutes for its share.
    assert!(outcome.trace.ended_at < 6.0, "{:#?}", outcome.trace);
}
