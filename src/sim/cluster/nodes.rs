//! The nodes of a cluster: each takes the next slice of the queue when it has done one, some are
//! slow, some die, are started again and go on with their slice. Owns these rates and times; must
//! not know how slices came about.

use super::files::Survey;
use super::slices::Load;
use crate::sim::Rng;

/// What a sound node fetches, in bytes per second: 1 Gbit/s.
const NODE_BYTES_PER_S: f64 = 125e6;
/// What a file costs a node beside its bytes, in seconds: 5,000 small files a second.
const FILE_S: f64 = 0.000_2;
/// Share of nodes that are slow, and how much longer they take.
const STRAGGLERS_SHARE: f64 = 0.05;
const STRAGGLER_FACTOR: f64 = 4.0;
/// Mean life of a node that dies, in seconds: four hours.
const LIFE_S: f64 = 4.0 * 3600.0;
/// From a death until the node works again, in seconds: noticed, scheduled, started.
const RESTART_S: f64 = 120.0;
/// What has arrived in this last part of a life, in seconds, may not be durable.
const NOT_DURABLE_S: f64 = 1.0;
/// What it takes to find out that a file is whole already, in seconds.
const SKIP_S: f64 = 0.000_02;
/// Deaths during one slice, at most: four years of them, where a list here takes some days.
const DEATHS_MAX: u32 = 10_000;

/// Streams of a seed, for slow nodes and for deaths.
const SLOW_STREAM: u64 = 203;
const DEATHS_STREAM: u64 = 204;

/// What befalls the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nodes {
    /// Nothing: all are alike.
    Equal,
    /// One in twenty works at a quarter of the rate of the others.
    Stragglers,
    /// Each dies every four hours in the mean, is started again after two minutes, and repeats its
    /// slice but for the files that are whole.
    Dying,
}

impl Nodes {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Equal, Self::Stragglers, Self::Dying];

    /// How many of this many nodes are slow.
    fn slow_of(self, node_count: u32) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "a twentieth of a u32")]
        match self {
            Self::Equal | Self::Dying => 0,
            Self::Stragglers => (f64::from(node_count) * STRAGGLERS_SHARE).round() as u32,
        }
    }

    /// The time each node takes over that of a sound one.
    fn factors(self, node_count: u32, seed: u64) -> Vec<f64> {
        let mut factors = vec![1.0; node_count as usize];
        let mut rng = Rng::new(seed, SLOW_STREAM);
        let mut left = self.slow_of(node_count);
        while left > 0 {
            let factor = &mut factors[rng.below(node_count) as usize];
            left -= u32::from(*factor == 1.0);
            *factor = STRAGGLER_FACTOR;
        }
        factors
    }
}

/// The time until the last node is done with the last slice, in seconds. Slices are taken in order.
pub fn makespan_s(slices: &[Load], nodes: Nodes, node_count: u32, seed: u64) -> f64 {
    let factors = nodes.factors(node_count, seed);
    let mut rng = Rng::new(seed, DEATHS_STREAM);
    let mut busy_until_s = vec![0.0_f64; node_count as usize];
    for slice in slices {
        let next = busy_until_s.iter_mut().zip(&factors).min_by(|a, b| a.0.total_cmp(b.0));
        let (free_s, factor) = next.expect("there is a node");
        let work_s = work_s(slice) * factor;
        *free_s += match nodes {
            Nodes::Equal | Nodes::Stragglers => work_s,
            Nodes::Dying => with_deaths_s(work_s, slice.files, &mut rng),
        };
    }
    busy_until_s.into_iter().fold(0.0, f64::max)
}

/// The time that all nodes together need if each of them works to the last moment and none dies; no
/// less than the largest file takes.
pub fn ideal_s(survey: &Survey, nodes: Nodes, node_count: u32) -> f64 {
    let slow = f64::from(nodes.slow_of(node_count));
    let rate = f64::from(node_count) - slow + slow / STRAGGLER_FACTOR;
    (work_s(&survey.whole()) / rate).max(work_s(&survey.largest()))
}

/// The time that a sound node takes, in seconds.
fn work_s(load: &Load) -> f64 {
    load.bytes as f64 / NODE_BYTES_PER_S + load.files as f64 * FILE_S
}

/// The time of a slice on a node that dies now and then.
fn with_deaths_s(work_s: f64, files: u64, rng: &mut Rng) -> f64 {
    let (mut elapsed_s, mut done_s) = (0.0, 0.0);
    for _ in 0..DEATHS_MAX {
        let life_s = rng.exponential(LIFE_S);
        if life_s >= work_s - done_s {
            return elapsed_s + work_s - done_s;
        }
        done_s += (life_s - rng.between(0.0, NOT_DURABLE_S)).max(0.0);
        let whole_files = files as f64 * done_s / work_s;
        elapsed_s += life_s + RESTART_S + whole_files * SKIP_S;
    }
    panic!("a slice of {work_s} s is never done");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cluster::Sizes;

    /// Takes this many seconds on a sound node.
    fn slice(seconds: u64) -> Load {
        Load { files: 0, bytes: seconds * 125_000_000 }
    }

    #[test]
    fn the_next_slice_goes_to_the_node_that_is_free_first() {
        let slices = [4, 1, 1, 1, 3].map(slice);
        assert_eq!(makespan_s(&slices, Nodes::Equal, 2, 1), 6.0);
        assert_eq!(makespan_s(&slices, Nodes::Equal, 1, 1), 10.0);
        assert_eq!(makespan_s(&slices, Nodes::Equal, 9, 1), 4.0);
    }

    #[test]
    fn one_in_twenty_is_slow_whatever_the_seed() {
        for seed in 1..=20 {
            for (count, slow) in [(1, 0), (20, 1), (100, 5), (1000, 50)] {
                let factors = Nodes::Stragglers.factors(count, seed);
                assert_eq!(factors.iter().filter(|&&it| it == 4.0).count(), slow, "seed {seed}");
                assert_eq!(factors.len(), count as usize);
            }
        }
        assert_eq!(makespan_s(&[slice(10); 20], Nodes::Stragglers, 20, 1), 40.0);
    }

    /// A slice of four hours is interrupted once in the mean, and what was whole stays whole.
    #[test]
    fn a_death_costs_a_restart_and_not_the_slice() {
        let (work_s, files, runs) = (LIFE_S, 1_000_000, 2000);
        let mut rng = Rng::new(5, 0);
        let total_s: f64 = (0..runs).map(|_| with_deaths_s(work_s, files, &mut rng)).sum();
        let mean_s = total_s / f64::from(runs) - work_s;
        // Half a second not durable, and half of the files to be looked at.
        let expected_s = RESTART_S + 0.5 + 0.5 * files as f64 * SKIP_S;
        assert!((mean_s / expected_s - 1.0).abs() < 0.1, "{mean_s} s, expected {expected_s} s");
    }

    #[test]
    fn the_ideal_divides_the_work_but_no_file() {
        let survey = Survey::new(Sizes::Equal, 1000, &[1], 1);
        let whole_s = work_s(&survey.whole());
        assert_eq!(ideal_s(&survey, Nodes::Equal, 1), whole_s);
        assert_eq!(ideal_s(&survey, Nodes::Dying, 2), whole_s / 2.0);
        assert_eq!(ideal_s(&survey, Nodes::Stragglers, 20), whole_s / 19.25);
        let survey = Survey::new(Sizes::HeavyTail, 1000, &[1], 1);
        let largest_s = work_s(&survey.largest());
        assert!(work_s(&survey.whole()) < 1000.0 * largest_s);
        assert_eq!(ideal_s(&survey, Nodes::Equal, 1000), largest_s);
    }
}
