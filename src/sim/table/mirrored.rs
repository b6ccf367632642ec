//! Several servers of one file: equal, unequal, dying, throttled, refusing, dead, lying, near and
//! far. Owns this part of the table; must not know how it is simulated.

use super::{MB, scenario};
use crate::sim::scenario::{
    Address, Ending, GBIT, Half, Health, Limit, MS, Path, Refusal, Scenario, Server, ServerEnd,
    Target,
};

/// The 95th percentile is printed and not bound.
const SPLIT: Target = Target { median: 1.10, p95: f64::INFINITY };
const FILE_BYTES: u64 = 400_000_000;
/// When something happens: well after the start and well before the end, in seconds.
const MIDDLE_S: f64 = 2.0;

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let mut all = steady();
    all.extend(ending());
    all.extend(hindered());
    all
}

/// The link is no limit.
fn of(name: &'static str, servers: Vec<Server>) -> Scenario {
    let path = Path { link_bytes_per_s: 10.0 * GBIT, ..Path::default() };
    let mut servers = servers.into_iter();
    let first = servers.next().expect("a file has a server");
    let one = scenario(Half::Judge, name, FILE_BYTES, path, first);
    Scenario { target: SPLIT, mirrors: servers.collect(), ..one }
}

/// Sends this in all, in MB/s.
fn sends(megabytes_per_s: f64) -> Server {
    let total_bytes_per_s = megabytes_per_s * MB;
    Server { total_bytes_per_s, total_noise: 0.05, ..Server::default() }
}

fn equal(servers: usize) -> Vec<Server> {
    vec![sends(20.0); servers]
}

/// Four equal servers; `change` makes another one of the third, which is not the first to answer.
fn with_one(name: &'static str, change: impl FnOnce(Server) -> Server) -> Scenario {
    let mut servers = equal(4);
    servers[2] = change(sends(20.0));
    of(name, servers)
}

fn far(server: Server, extra_rtt_s: f64) -> Server {
    Server { addresses: vec![Address { extra_rtt_s, ..Address::default() }], ..server }
}

fn dead(health: Health) -> Server {
    Server { addresses: vec![Address { health, ..Address::default() }], ..sends(20.0) }
}

fn steady() -> Vec<Scenario> {
    let unequal = [40.0, 20.0, 10.0, 5.0].map(sends).to_vec();
    let far_away = [0.0, 30.0, 80.0, 150.0].map(|ms| far(sends(20.0), ms * MS)).to_vec();
    let each = Server { connection_bytes_per_s: 5.0 * MB, ..sends(20.0) };
    let wide = of("one bottleneck", vec![sends(50.0); 4]);
    let link_bytes_per_s = 80.0 * MB;
    vec![
        of("two equal", equal(2)),
        of("four equal", equal(4)),
        of("eight equal", equal(8)),
        of("unequal", unequal),
        of("one crawls", vec![sends(40.0), sends(1.0)]),
        // Far away slow start takes seconds.
        Scenario { file_bytes: 1_000_000_000, ..of("near and far", far_away) },
        of("four capped", vec![each; 4]),
        Scenario { path: Path { link_bytes_per_s, ..wide.path.clone() }, ..wide },
    ]
}

fn ending() -> Vec<Scenario> {
    let ends =
        |how, at_s| move |server: Server| Server { end: Some(ServerEnd { at_s, how }), ..server };
    let mut first_ends = equal(4);
    first_ends[0] = ends(Ending::Silence, MIDDLE_S)(sends(20.0));
    let mut one_is_left = equal(4);
    for (server, at_s) in one_is_left.iter_mut().zip([1.0, 2.0, 3.0]) {
        *server = ends(Ending::Reset, at_s)(sends(20.0));
    }
    vec![
        with_one("one is reset", ends(Ending::Reset, MIDDLE_S)),
        with_one("one falls silent", ends(Ending::Silence, MIDDLE_S)),
        with_one("one loses the file", ends(Ending::Status(404), MIDDLE_S)),
        with_one("one changes the file", ends(Ending::Changed, MIDDLE_S)),
        of("the first falls silent", first_ends),
        of("one is left", one_is_left),
    ]
}

fn hindered() -> Vec<Scenario> {
    let steps = |total_steps| move |server: Server| Server { total_steps, ..server };
    let busy = Refusal::Status { code: 503, retry_after_s: None };
    let two = Limit { connections: 2, refusal: busy };
    let each = Server { connection_bytes_per_s: 5.0 * MB, ..sends(20.0) };
    let strict = Server { limit: Some(two), ..each.clone() };
    let mut some_dead = equal(8);
    some_dead[1] = dead(Health::Silent);
    some_dead[3] = dead(Health::Refuses);
    some_dead[4] = dead(Health::Silent);
    vec![
        with_one("one is throttled", steps(vec![(MIDDLE_S, 0.1)])),
        with_one("one pauses", steps(vec![(1.0, 0.001), (3.0, 1.0)])),
        of("one takes two", vec![each.clone(), each.clone(), strict, each]),
        of("three of eight dead", some_dead),
        with_one("one lies", |server| Server { lies: true, ..server }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::table;
    use std::collections::BTreeSet;

    #[test]
    fn names_differ_and_every_scenario_has_several_servers() {
        let (all, others) = (scenarios(), table::scenarios());
        let names: BTreeSet<&str> = all.iter().chain(&others).map(|it| it.name).collect();
        assert_eq!(names.len(), all.len() + others.len(), "names seed the randomness");
        assert!(all.iter().all(|it| (2..=8).contains(&it.sources().count())));
        assert!(others.iter().all(|it| it.mirrors.is_empty()));
    }
}
