//! The targets of the table, with fewer seeds than `cargo bench --bench sim` takes: medians only,
//! since a 95th percentile of a few seeds is their worst. Must not know the laws.

use ringhaul::internal::sim::{Half, Scenario, Split, judge, judge_split, mirrored, scenarios};

/// Seeds of each scenario.
const SEEDS: u64 = 3;
/// What a median of few seeds may be off.
const SLACK: f64 = 1.05;

/// Seeds of each scenario of several servers, which take no grid.
const SEEDS_SPLIT: u64 = 9;
/// The worst of these seeds.
const P95_MAX: f64 = 1.15;
/// Bytes in vain as a share of the file, where a server dies with an answer on its way.
const WASTED_MAX: f64 = 0.005;
/// Connections of one transfer to four servers that the client's own link limits.
const OPENED_MAX: u64 = 20;

/// What is asserted of a half.
#[derive(Clone, Copy)]
struct Held {
    /// Times, over the fluid.
    times: bool,
    /// Times, over packets.
    times_over_packets: bool,
    /// Connections, connections opened and bytes on the wire, over the fluid and over packets.
    prices: bool,
}

/// The law that reaches the rest is not there yet.
const TUNE: Held = Held { times: true, times_over_packets: false, prices: false };
const JUDGE: Held = Held { times: true, times_over_packets: false, prices: false };

#[test]
fn the_half_to_tune_on_keeps_its_targets() {
    hold(Half::Tune, TUNE);
}

#[test]
fn the_half_to_judge_by_keeps_its_targets() {
    hold(Half::Judge, JUDGE);
}

/// Several servers of one file, against the ideal split; and their price.
#[test]
fn several_servers_are_used_nearly_as_well_as_can_be() {
    let splits = judge_split(&mirrored(), SEEDS_SPLIT);
    let is_missed = |it: &&Split| it.reached.median > it.target.median || it.reached.p95 > P95_MAX;
    let missed: Vec<&Split> = splits.iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "missed: {missed:#?}");
    let wasteful: Vec<&Split> = splits.iter().filter(|it| it.wasted_share > WASTED_MAX).collect();
    assert!(wasteful.is_empty(), "in vain: {wasteful:#?}");
    let crowded = |it: &&Split| it.name == "one bottleneck" && it.opened_max > OPENED_MAX;
    assert!(!splits.iter().any(|it| crowded(&it)), "a bottleneck of the client wants no more");
}

fn hold(half: Half, held: Held) {
    let is_packets = |it: &Scenario| it.path.tcp.is_some();
    let is_held = |it: &Scenario| {
        let times = if is_packets(it) { held.times_over_packets } else { held.times };
        it.half == half && (times || held.prices)
    };
    let chosen: Vec<Scenario> = scenarios().into_iter().filter(is_held).collect();
    let mut missed = Vec::new();
    for (scenario, it) in chosen.iter().zip(judge(&chosen, SEEDS)) {
        let times = if is_packets(scenario) { held.times_over_packets } else { held.times };
        if times && it.reached.median > SLACK * it.target.median {
            missed.push(format!("{}: {:.3}, {:?}", it.name, it.reached.median, it.target));
        }
        if held.prices && !it.price.is_met() {
            missed.push(format!("{}: {:?}", it.name, it.price));
        }
    }
    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));
}
