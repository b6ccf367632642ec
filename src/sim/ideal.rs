//! The measure where there are several servers: the time that all of them together would take, each
//! sending at its full rate for as long as it does, if that were known in advance. Owns that time
//! and the statistics over seeds; must not know the laws.

use super::driver::{End, Outcome};
use super::grid::{mean, play_all, quantile, run_auto};
use super::scenario::{Health, Scenario, Server, Target};

/// One scenario of several servers over all seeds.
#[derive(Debug, Clone)]
pub struct Split {
    /// The scenario's name.
    pub name: &'static str,
    /// Servers of the file, those of no use included.
    pub sources: usize,
    /// What had to be reached.
    pub target: Target,
    /// Median and 95th percentile of the time over the ideal one.
    pub reached: Target,
    /// The worst seed and its ratio.
    pub worst: (u64, f64),
    /// The time that the servers' rates together would take, in seconds.
    pub ideal_s: f64,
    /// Median time of the adaptive plan, in seconds.
    pub auto_s: f64,
    /// Connections, mean over time and seeds.
    pub connections: f64,
    /// Connections opened, mean over seeds.
    pub opened: f64,
    /// The most of a seed.
    pub opened_max: u64,
    /// Requests sent, mean.
    pub requests: f64,
    /// Refused connects, and answers that say that there are too many connections, mean.
    pub push_backs: f64,
    /// Bytes fetched in vain, as a share of the file, mean.
    pub wasted_share: f64,
}

impl Split {
    /// Indicates whether the target is met.
    pub fn is_met(&self) -> bool {
        self.reached.median <= self.target.median && self.reached.p95 <= self.target.p95
    }

    fn new(scenario: &Scenario, runs: &[(u64, Outcome)]) -> Self {
        let ideal_s = ideal_s(scenario);
        let of = |value: fn(&Outcome) -> f64| -> Vec<f64> {
            runs.iter().map(|(_, outcome)| value(outcome)).collect()
        };
        let ratio = |outcome: &Outcome| match outcome.end {
            End::Complete => outcome.elapsed_s / ideal_s,
            End::GaveUp | End::OutOfTime => f64::INFINITY,
        };
        let ratios: Vec<f64> = runs.iter().map(|(_, outcome)| ratio(outcome)).collect();
        let worst = runs.iter().map(|(seed, outcome)| (*seed, ratio(outcome)));
        let worst = worst.max_by(|a, b| a.1.total_cmp(&b.1)).expect("at least one seed");
        Self {
            name: scenario.name,
            sources: scenario.sources().count(),
            target: scenario.target,
            reached: Target { median: quantile(&ratios, 0.5), p95: quantile(&ratios, 0.95) },
            worst,
            ideal_s,
            auto_s: quantile(&of(|it| it.elapsed_s), 0.5),
            connections: mean(&of(|it| it.connections_mean)),
            opened: mean(&of(|it| it.opened as f64)),
            opened_max: runs.iter().map(|(_, it)| it.opened).max().unwrap_or(0),
            requests: mean(&of(|it| it.requests as f64)),
            push_backs: mean(&of(|it| it.push_backs as f64)),
            wasted_share: mean(&of(|it| it.wasted_bytes as f64)) / scenario.file_bytes as f64,
        }
    }
}

/// The adaptive plan on each scenario with seeds 1 to `seeds`, against the ideal.
pub fn judge_split(scenarios: &[Scenario], seeds: u64) -> Vec<Split> {
    let runs = play_all(scenarios, seeds, |it, seed| (seed, run_auto(it, seed, false)));
    scenarios.iter().zip(&runs).map(|(scenario, runs)| Split::new(scenario, runs)).collect()
}

/// The time, in seconds, within which the servers together can have sent the file: no handshakes,
/// no slow start, no noise, and each server works to its last byte or to its end.
pub fn ideal_s(scenario: &Scenario) -> f64 {
    let ends = scenario.sources().filter_map(|server| server.end.map(|end| end.at_s));
    let of_servers = scenario.sources().flat_map(|server| &server.total_steps);
    let steps = of_servers.chain(&scenario.path.steps).map(|(from_s, _)| *from_s);
    let mut changes: Vec<f64> = ends.chain(steps).chain([f64::INFINITY]).collect();
    changes.sort_by(f64::total_cmp);
    let (mut from_s, mut rest_bytes) = (0.0, scenario.file_bytes as f64);
    for to_s in changes {
        let rate = rate_at(scenario, from_s);
        if rest_bytes <= rate * (to_s - from_s) {
            return from_s + rest_bytes / rate;
        }
        rest_bytes -= rate * (to_s - from_s);
        from_s = to_s;
    }
    f64::INFINITY
}

/// What the servers together can send from then on, in bytes per second.
fn rate_at(scenario: &Scenario, at_s: f64) -> f64 {
    let factor = |steps: &[(f64, f64)]| {
        steps.iter().rev().find(|(from_s, _)| *from_s <= at_s).map_or(1.0, |(_, factor)| *factor)
    };
    let of = |server: &Server| {
        let limit = server.limit.map_or(f64::INFINITY, |limit| f64::from(limit.connections));
        let total = server.total_bytes_per_s * factor(&server.total_steps);
        total.min(limit * server.connection_bytes_per_s)
    };
    let serves = |server: &&Server| {
        let is_up = server.addresses.iter().any(|address| address.health == Health::Up);
        let has_ended = server.end.is_some_and(|end| end.at_s <= at_s);
        is_up && !server.lies && !has_ended
    };
    let path = &scenario.path;
    let link = path.link_bytes_per_s * factor(&path.steps);
    scenario.sources().filter(serves).map(of).sum::<f64>().min(link).min(path.disk_bytes_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::table::mirrored;

    fn ideal_of(name: &str) -> f64 {
        ideal_s(&mirrored().into_iter().find(|it| it.name == name).expect("it is in the table"))
    }

    #[test]
    fn the_ideal_knows_rates_limits_and_ends() {
        assert_eq!(ideal_of("four equal"), 400.0 / 80.0);
        assert_eq!(ideal_of("unequal"), 400.0 / 75.0);
        assert_eq!(ideal_of("one is reset"), 2.0 + (400.0 - 160.0) / 60.0);
        assert_eq!(ideal_of("one is throttled"), 2.0 + (400.0 - 160.0) / 62.0);
        assert_eq!(ideal_of("one takes two"), 400.0 / 70.0);
        assert_eq!(ideal_of("three of eight dead"), 400.0 / 100.0);
        assert_eq!(ideal_of("one bottleneck"), 400.0 / 80.0);
    }
}
