//! A list of files divided over the nodes of a cluster, in virtual time: how much longer the last
//! node takes than an ideal scheduler, with slices by a hash of the names and with slices that are
//! balanced by bytes. Owns the comparison; must not know the plan, nor any transfer.
//!
//! Each node takes slices from a queue, as an array of tasks does: one for each node, or several
//! smaller ones, so that slow nodes take fewer of them. `files` draws the sizes and keeps nothing
//! of a file but its counts, `slices` divides, and `nodes` works, breaks and begins again.
//!
//! The hash of a name is modelled as a number that is even over all of `u64`, of which a slice has
//! those with its remainder; a real one is the first eight bytes of a SHA-256.

mod files;
mod nodes;
mod slices;

pub use files::{Sizes, Survey};
pub use nodes::{Nodes, ideal_s, makespan_s};
pub use slices::Load;

use super::grid::quantile;
use std::ops::RangeInclusive;

/// Slices for each node: one, and as many as an array of tasks can have for each of a hundred nodes
/// where Slurm is configured as it comes.
pub const SLICES_PER_NODE: [u32; 2] = [1, 10];

/// A cluster of some size with one list, over all seeds.
#[derive(Debug, Clone)]
pub struct Row {
    /// How the sizes of the files are distributed.
    pub sizes: Sizes,
    /// Files of the list.
    pub files: u64,
    /// What befalls the nodes.
    pub nodes: Nodes,
    /// How many nodes there are.
    pub node_count: u32,
    /// Slices in the queue for each node.
    pub slices_per_node: u32,
    /// With slices by hash.
    pub by_hash: Spread,
    /// With slices by bytes.
    pub by_bytes: Spread,
}

/// Time of the last node over that of the ideal scheduler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Median of the seeds.
    pub median: f64,
    /// Worst of the seeds.
    pub worst: f64,
}

impl Row {
    /// Time with slices by hash over time with slices by bytes, medians.
    pub fn loss(&self) -> f64 {
        self.by_hash.median / self.by_bytes.median
    }
}

impl Spread {
    fn of(ratios: &[f64]) -> Self {
        Self { median: quantile(ratios, 0.5), worst: quantile(ratios, 1.0) }
    }
}

/// Plays a list of `files` files on clusters of each of these sizes, with each kind of nodes and
/// each number of slices. The rows stand in the order of kinds, numbers of slices, and sizes.
pub fn judge_cluster(
    sizes: Sizes,
    files: u64,
    node_counts: &[u32],
    seeds: RangeInclusive<u64>,
) -> Vec<Row> {
    let slice_counts = node_counts.iter().flat_map(|n| SLICES_PER_NODE.map(|each| n * each));
    let slice_counts: Vec<u32> = slice_counts.collect();
    let surveys = seeds.map(|seed| (seed, Survey::new(sizes, files, &slice_counts, seed)));
    let played: Vec<Vec<Play>> =
        surveys.map(|(seed, survey)| play(&survey, node_counts, seed)).collect();
    let first = played.first().expect("there is a seed").iter().enumerate();
    let row = |(index, it): (usize, &Play)| {
        let of = |value: fn(&Play) -> f64| -> Vec<f64> {
            played.iter().map(|plays| value(&plays[index])).collect()
        };
        Row {
            sizes,
            files,
            nodes: it.nodes,
            node_count: it.node_count,
            slices_per_node: it.slices_per_node,
            by_hash: Spread::of(&of(|play| play.by_hash)),
            by_bytes: Spread::of(&of(|play| play.by_bytes)),
        }
    };
    first.map(row).collect()
}

/// One row of one seed.
struct Play {
    nodes: Nodes,
    node_count: u32,
    slices_per_node: u32,
    by_hash: f64,
    by_bytes: f64,
}

fn play(survey: &Survey, node_counts: &[u32], seed: u64) -> Vec<Play> {
    let mut plays = Vec::new();
    for &node_count in node_counts {
        for slices_per_node in SLICES_PER_NODE {
            let slice_count = node_count * slices_per_node;
            let (by_hash, by_bytes) = (survey.by_hash(slice_count), survey.by_bytes(slice_count));
            for nodes in Nodes::ALL {
                let ideal_s = ideal_s(survey, nodes, node_count);
                let ratio = |loads: &[Load]| makespan_s(loads, nodes, node_count, seed) / ideal_s;
                let (by_hash, by_bytes) = (ratio(by_hash), ratio(&by_bytes));
                plays.push(Play { nodes, node_count, slices_per_node, by_hash, by_bytes });
            }
        }
    }
    plays.sort_by_key(|it| (it.nodes, it.slices_per_node, it.node_count));
    plays
}

/// The fewest nodes with which slices by hash take more than `loss_max` times as long as slices by
/// bytes, where nodes are equal and each has one slice; `None` if no cluster loses that much.
pub fn loses_from(rows: &[Row], loss_max: f64) -> Option<u32> {
    let is_plain = |row: &&Row| row.nodes == Nodes::Equal && row.slices_per_node == 1;
    let losing = rows.iter().filter(is_plain).filter(|row| row.loss() > loss_max);
    losing.map(|row| row.node_count).min()
}
