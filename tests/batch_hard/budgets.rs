//! Budgets of connections hold at every instant, small and large files and redirects together.

use crate::common::scene::wait;
use crate::common::{SEED, paced, serve, slowed};
use crate::ground::{FILE_BYTES, Ground};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault, Paths, Rule, Server, When};
use std::fs;
use std::thread;
use std::time::Duration;

const SMALL: u64 = 600;
const LARGE_BYTES: u64 = 10 * MIB;
const TOTAL_MAX: usize = 3;
const PER_HOST_MAX: usize = 2;
/// States of `/proc/net/tcp` in which a client has a connection, or is about to.
const OPEN: [&str; 2] = ["01", "02"];

#[test]
fn budgets_hold_at_every_instant_and_for_the_targets_of_redirects() {
    let distinct = |bytes| Config { paths: Paths::Distinct, ..Config::new(SEED, bytes) };
    let second = serve(slowed(distinct(FILE_BYTES), 3 * MIB));
    let large = serve(paced(distinct(LARGE_BYTES), 4 * MIB));
    let moved = |prefix: &str, to: &Server| {
        let location = to.url("/target");
        let redirect = Fault::Redirect { status: 302, location };
        Rule::new(When::PathPrefix(prefix.to_owned()), redirect)
    };
    let script = vec![moved("/moved", &second), moved("/large", &large)];
    let first = serve(slowed(Config { script, ..distinct(FILE_BYTES) }, 3 * MIB));
    let servers = [&first, &second, &large];

    let ground = Ground::new();
    let small = (0..SMALL).map(|number| match number % 3 {
        0 => first.url(&format!("/{number}")),
        1 => first.url(&format!("/moved/{number}")),
        _ => second.url(&format!("/{number}")),
    });
    let large = [first.url("/large/a"), large.url("/b"), first.url("/large/c")];
    ground.list(large.into_iter().chain(small));
    let (total, per_host) = (TOTAL_MAX.to_string(), PER_HOST_MAX.to_string());
    let budgets = ["--max-connections", &total, "--max-connections-per-host", &per_host];
    let mut child = ground.command(&budgets).spawn().expect("the binary runs");
    let mut most = [0; 3];
    let mut most_in_all = 0;
    while child.try_wait().expect("the child can be asked").is_none() {
        let (open, again) = (connections(servers), connections(servers));
        // The kernel does not write its table at one instant.
        let open: [usize; 3] = std::array::from_fn(|index| open[index].min(again[index]));
        most = std::array::from_fn(|index| open[index].max(most[index]));
        most_in_all = most_in_all.max(open.iter().sum());
        // sleep: connections are sampled.
        thread::sleep(Duration::from_micros(500));
    }
    let ended = wait(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(most_in_all <= TOTAL_MAX, "{most_in_all} connections at once");
    assert!(most.iter().all(|most| (1..=PER_HOST_MAX).contains(most)), "{most:?} connections");
    assert_eq!(fs::read_dir(ground.folder()).expect("it is there").count() as u64, SMALL + 3);
}

/// Connections that clients have to each of the servers, or are about to.
fn connections(servers: [&Server; 3]) -> [usize; 3] {
    let ports = servers.map(|server| format!(":{:04X}", server.address().port()));
    let table = fs::read_to_string("/proc/net/tcp").expect("procfs is mounted");
    let mut open = [0; 3];
    for line in table.lines() {
        let mut columns = line.split_whitespace().skip(2);
        let (remote, state) = (columns.next().unwrap_or_default(), columns.next());
        let to = ports.iter().position(|port| remote.ends_with(port));
        if let Some(to) = to.filter(|_| state.is_some_and(|state| OPEN.contains(&state))) {
            open[to] += 1;
        }
    }
    open
}
