//! The measure of `auto`: the best of all fixed settings on the same path with the same seed. Owns
//! the grid and the statistics; must not know the laws.

use super::driver::{End, Outcome, Run, run};
use super::scenario::{Half, Scenario, Target};
use crate::base::size::{KIB, MIB};
use crate::plan::{Fanout, Limiter, RequestSize, Settings, SourceId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Request sizes of the grid; those first that are most often good, so that others are cut short.
const CHUNK_BYTES: [u64; 5] = [4 * MIB, MIB, 16 * MIB, 64 * MIB, 256 * KIB];
/// Connection counts of the grid, in an order for the same reason.
const CONNECTIONS: [u32; 6] = [8, 16, 32, 4, 2, 1];
/// The same over packets, which take longer to simulate and can want more connections.
const CHUNK_BYTES_TCP: [u64; 3] = [4 * MIB, MIB, 16 * MIB];
const CONNECTIONS_TCP: [u32; 7] = [16, 32, 8, 64, 4, 2, 1];
/// A run of virtual time that nothing is gained by going on with.
const SECONDS_MAX: f64 = 1800.0;
/// A cell this near to the best one is as good: its connections are enough.
const AS_GOOD: f64 = 1.05;
/// Mean connections of the adaptive plan over those that are enough: the most that is wanted.
const CROWD_MAX: f64 = 1.6;
/// Connections opened over those that are enough, and in all unless the server hangs up.
const OPENED_SHARE_MAX: f64 = 2.0;
const OPENED_MAX: u64 = 80;
/// Bytes on the wire over the file's size, of which 1.036 are headers: without and with losses.
const WIRE_MAX: f64 = 1.05;
const WIRE_LOSSY_MAX: f64 = 1.10;
/// The file's size over this is what hedging may cost, as the engine sets it.
const HEDGE_SHARE: u64 = 50;
/// Most bytes that hedging may cost, as the engine sets it.
const HEDGE_BYTES_MAX: u64 = 32 * MIB;

/// One fixed setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Bytes of a request.
    pub chunk_bytes: u64,
    /// Connections.
    pub connections: u32,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.chunk_bytes {
            bytes if bytes < MIB => write!(f, "{} x {}K", self.connections, bytes / KIB),
            bytes => write!(f, "{} x {}M", self.connections, bytes / MIB),
        }
    }
}

/// What the grid reaches.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// The best cell.
    pub cell: Cell,
    /// Its time, in seconds.
    pub elapsed_s: f64,
    /// The fewest connections of a cell that takes at most 5 % more time.
    pub enough: u32,
    /// Connections that this cell opened: more where the server hangs up.
    pub enough_opened: u64,
}

/// What the adaptive plan's connections cost.
#[derive(Debug, Clone, Copy)]
pub struct Price {
    /// Connections, mean over time and seeds, over those that are enough.
    pub crowd: f64,
    /// Connections opened, mean over seeds.
    pub opened: f64,
    /// The most of a seed.
    pub opened_max: u64,
    /// Connections opened over those that are enough; where the server hangs up, over those that
    /// this number of connections opened.
    pub opened_share: f64,
    /// The most that a seed should open.
    pub opened_most: u64,
    /// Connections that the cell whose connections are enough opened, over their number.
    pub fixed_share: f64,
    /// Bytes on the wire, headers included, over the file's size, mean over seeds.
    pub wire: f64,
    /// The most that is wanted of the latter.
    pub wire_max: f64,
}

impl Price {
    /// Indicates whether no more connections were open than wanted.
    pub fn is_crowd_met(&self) -> bool {
        self.crowd <= CROWD_MAX
    }

    /// Indicates whether no more connections were opened than wanted.
    pub fn is_opened_met(&self) -> bool {
        self.opened_share <= OPENED_SHARE_MAX && self.opened_max <= self.opened_most
    }

    /// Indicates whether no more bytes were on the wire than wanted.
    pub fn is_wire_met(&self) -> bool {
        self.wire <= self.wire_max
    }

    /// Indicates whether all of it is met.
    pub fn is_met(&self) -> bool {
        self.is_crowd_met() && self.is_opened_met() && self.is_wire_met()
    }

    fn new(scenario: &Scenario, duels: &[Duel]) -> Self {
        let of = |value: fn(&Duel) -> f64| mean(&duels.iter().map(value).collect::<Vec<_>>());
        let enough = of(|duel| f64::from(duel.best.enough));
        let opened = of(|duel| duel.auto.opened as f64);
        let needed = if scenario.hangs_up() {
            of(|duel| duel.best.enough_opened.max(u64::from(duel.best.enough)) as f64)
        } else {
            enough
        };
        Self {
            crowd: of(|duel| duel.auto.connections_mean) / enough,
            opened,
            opened_max: duels.iter().map(|duel| duel.auto.opened).max().unwrap_or(0),
            opened_share: opened / needed,
            fixed_share: of(|duel| duel.best.enough_opened as f64) / enough,
            opened_most: if scenario.hangs_up() { u64::MAX } else { OPENED_MAX },
            wire: of(|duel| duel.auto.wire_bytes) / scenario.file_bytes as f64,
            wire_max: if scenario.loses() { WIRE_LOSSY_MAX } else { WIRE_MAX },
        }
    }
}

/// The adaptive plan and the best fixed cell on one scenario with one seed.
#[derive(Debug, Clone)]
pub struct Duel {
    /// The seed.
    pub seed: u64,
    /// The adaptive plan's run.
    pub auto: Outcome,
    /// The grid.
    pub best: Best,
}

impl Duel {
    /// Time of the adaptive plan over that of the best cell; infinite if it did not finish.
    pub fn ratio(&self) -> f64 {
        match self.auto.end {
            End::Complete => self.auto.elapsed_s / self.best.elapsed_s,
            End::GaveUp | End::OutOfTime => f64::INFINITY,
        }
    }
}

/// One scenario over all seeds.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The scenario's name.
    pub name: &'static str,
    /// To tune on or to judge by.
    pub half: Half,
    /// What had to be reached.
    pub target: Target,
    /// Median and 95th percentile of the ratio.
    pub reached: Target,
    /// The worst seed and its ratio.
    pub worst: (u64, f64),
    /// The cell that was best most often.
    pub best: Cell,
    /// Median time of the adaptive plan, in seconds.
    pub auto_s: f64,
    /// Median time of the best cell, in seconds.
    pub best_s: f64,
    /// Connections of the adaptive plan, mean over time and seeds.
    pub connections: f64,
    /// Connections of the grid that would have been enough, mean over seeds.
    pub enough: f64,
    /// What its connections cost.
    pub price: Price,
    /// Push-backs the adaptive plan met, mean.
    pub push_backs: f64,
    /// Requests it sent, mean.
    pub requests: f64,
    /// Bytes fetched in vain, as a share of the file, mean.
    pub wasted_share: f64,
    /// What the plan most often says limited the transfer, in a word.
    pub limiter: &'static str,
}

impl Verdict {
    /// Indicates whether the target is met.
    pub fn is_met(&self) -> bool {
        self.reached.median <= self.target.median && self.reached.p95 <= self.target.p95
    }

    fn new(scenario: &Scenario, duels: &[Duel]) -> Self {
        let of = |value: fn(&Duel) -> f64| duels.iter().map(value).collect::<Vec<_>>();
        let worst = duels.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let worst = worst.expect("at least one duel");
        let ratios = of(Duel::ratio);
        let file_bytes = scenario.file_bytes as f64;
        Self {
            name: scenario.name,
            half: scenario.half,
            target: scenario.target,
            reached: Target { median: quantile(&ratios, 0.5), p95: quantile(&ratios, 0.95) },
            worst: (worst.seed, worst.ratio()),
            best: most_frequent(duels.iter().map(|duel| duel.best.cell)),
            auto_s: quantile(&of(|duel| duel.auto.elapsed_s), 0.5),
            best_s: quantile(&of(|duel| duel.best.elapsed_s), 0.5),
            connections: mean(&of(|duel| duel.auto.connections_mean)),
            enough: mean(&of(|duel| f64::from(duel.best.enough))),
            price: Price::new(scenario, duels),
            push_backs: mean(&of(|duel| duel.auto.push_backs as f64)),
            requests: mean(&of(|duel| duel.auto.requests as f64)),
            wasted_share: mean(&of(|duel| duel.auto.wasted_bytes as f64)) / file_bytes,
            limiter: most_frequent(duels.iter().map(|duel| word(&duel.auto.limiter))),
        }
    }
}

/// The settings of the engine with everything automatic.
pub fn auto_settings(scenario: &Scenario) -> Settings {
    let count = |number| u32::try_from(number).expect("a few servers and addresses");
    let first = scenario.first_source();
    Settings {
        addresses: count(scenario.source(first).addresses.len()),
        sources: count(scenario.sources().count()),
        first_source: SourceId(count(first)),
        hedge_bytes_max: (scenario.file_bytes / HEDGE_SHARE).min(HEDGE_BYTES_MAX),
        ..Settings::default()
    }
}

/// The adaptive plan on one scenario with one seed.
pub fn run_auto(scenario: &Scenario, seed: u64, keep_decisions: bool) -> Outcome {
    let settings = auto_settings(scenario);
    run(scenario, &Run { settings, seed, seconds_max: SECONDS_MAX, audit: false, keep_decisions })
}

/// One cell, given up after `seconds_max` of virtual time.
pub fn run_cell(scenario: &Scenario, seed: u64, cell: Cell, seconds_max: f64) -> Outcome {
    let settings = Settings {
        request: RequestSize::Fixed(cell.chunk_bytes),
        fanout: Fanout::Fixed(cell.connections),
        ..auto_settings(scenario)
    };
    run(scenario, &Run { settings, seed, seconds_max, audit: false, keep_decisions: false })
}

/// The cells of the scenario's grid.
pub fn cells(scenario: &Scenario) -> impl Iterator<Item = Cell> {
    let (connections, chunk_bytes): (&[u32], &[u64]) = match scenario.path.tcp {
        None => (&CONNECTIONS, &CHUNK_BYTES),
        Some(_) => (&CONNECTIONS_TCP, &CHUNK_BYTES_TCP),
    };
    connections.iter().flat_map(|&connections| {
        chunk_bytes.iter().map(move |&chunk_bytes| Cell { chunk_bytes, connections })
    })
}

/// The best cell of the grid; one is given up once it is clearly slower than the best so far.
pub fn best_cell(scenario: &Scenario, seed: u64) -> Best {
    let mut times: Vec<(f64, Cell, u64)> = Vec::new();
    let mut best_s = SECONDS_MAX;
    for cell in cells(scenario) {
        let outcome = run_cell(scenario, seed, cell, best_s * AS_GOOD);
        if outcome.end == End::Complete {
            best_s = best_s.min(outcome.elapsed_s);
            times.push((outcome.elapsed_s, cell, outcome.opened));
        }
    }
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let &(elapsed_s, cell, _) = times.first().expect("some fixed setting fetches the file");
    let good = times.iter().take_while(|(time_s, ..)| *time_s <= elapsed_s * AS_GOOD);
    let fewest = good.min_by_key(|(_, cell, opened)| (cell.connections, *opened));
    let &(_, Cell { connections: enough, .. }, enough_opened) =
        fewest.expect("the best is good enough");
    Best { cell, elapsed_s, enough, enough_opened }
}

/// Lets the adaptive plan run against the grid: every scenario with seeds 1 to `seeds`, on as many
/// threads as there are processors.
pub fn judge(scenarios: &[Scenario], seeds: u64) -> Vec<Verdict> {
    let duels = play_all(scenarios, seeds, fight);
    scenarios.iter().zip(&duels).map(|(scenario, duels)| Verdict::new(scenario, duels)).collect()
}

/// Plays every scenario with seeds 1 to `seeds`, on as many threads as there are processors. What
/// came of each scenario, by seed.
pub(super) fn play_all<T: Clone + Send>(
    scenarios: &[Scenario],
    seeds: u64,
    play: impl Fn(&Scenario, u64) -> T + Sync,
) -> Vec<Vec<T>> {
    let tasks: Vec<(usize, u64)> =
        (0..scenarios.len()).flat_map(|it| (1..=seeds).map(move |seed| (it, seed))).collect();
    let next = AtomicUsize::new(0);
    let played = Mutex::new(vec![Vec::new(); scenarios.len()]);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(&(index, seed)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = play(&scenarios[index], seed);
                    played.lock().expect("no thread panicked")[index].push((seed, outcome));
                }
            });
        }
    });
    let mut played = played.into_inner().expect("no thread panicked");
    played.iter_mut().for_each(|of| of.sort_by_key(|(seed, _)| *seed));
    let outcomes = |of: Vec<(u64, T)>| of.into_iter().map(|(_, outcome)| outcome).collect();
    played.into_iter().map(outcomes).collect()
}

fn fight(scenario: &Scenario, seed: u64) -> Duel {
    let auto = run_auto(scenario, seed, false);
    Duel { seed, auto, best: best_cell(scenario, seed) }
}

fn word(limiter: &Limiter) -> &'static str {
    match limiter {
        Limiter::TooShort { .. } => "too short",
        Limiter::Path { .. } => "path",
        Limiter::Untried { .. } => "untried",
        Limiter::Waits { .. } => "waits",
        Limiter::ServerPerConnection { .. } => "per connection",
        Limiter::ServerPushBack { .. } => "push-back",
        Limiter::Cpu { .. } => "processor",
        Limiter::Disk { .. } => "disk",
        Limiter::OwnLimit { .. } => "own limit",
    }
}

fn most_frequent<T: Ord + Copy>(of: impl Iterator<Item = T>) -> T {
    let mut counts: BTreeMap<T, u32> = BTreeMap::new();
    of.for_each(|it| *counts.entry(it).or_default() += 1);
    *counts.iter().max_by_key(|(_, count)| **count).expect("at least one seed").0
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// By nearest rank.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, reason = "an index of the list")]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_nearest_rank() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.95)), (50.0, 95.0));
        assert_eq!(quantile(&[3.0], 0.95), 3.0);
    }
}
