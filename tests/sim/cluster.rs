//! Many files on many nodes: what `cargo bench --bench sim -- --cluster` prints, with few of the
//! files. Slices by bytes come near the ideal, slices by hash do while each has many files, and
//! more slices than nodes even out slow nodes. Must not know how slices are made.

use ringhaul::internal::sim::{
    Nodes, Row, SLICES_PER_NODE, Sizes, Survey, cluster_ideal_s, judge_cluster, loses_from,
    makespan_s,
};

const FILES: u64 = 30_000;
const NODE_COUNTS: [u32; 4] = [1, 10, 100, 400];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

#[allow(clippy::print_stdout, reason = "a failing test shows the seeds it failed with")]
fn rows(sizes: Sizes) -> Vec<Row> {
    println!("{sizes:?}, seeds {SEEDS:?}");
    judge_cluster(sizes, FILES, &NODE_COUNTS, SEEDS)
}

fn row(rows: &[Row], nodes: Nodes, slices_per_node: u32, node_count: u32) -> &Row {
    let is_it = |row: &&Row| {
        (row.nodes, row.slices_per_node, row.node_count) == (nodes, slices_per_node, node_count)
    };
    rows.iter().find(is_it).expect("every combination has its row")
}

#[test]
fn slices_by_bytes_are_as_good_as_ideal_and_those_by_hash_need_many_files() {
    let [one, ten] = SLICES_PER_NODE;
    for (sizes, loses) in Sizes::ALL.into_iter().zip([100..=100, 10..=10, 10..=10]) {
        let rows = rows(sizes);
        assert_eq!(rows.len(), Nodes::ALL.len() * SLICES_PER_NODE.len() * NODE_COUNTS.len());
        for it in &rows {
            let best = it.by_hash.median.min(it.by_bytes.median);
            assert!(best >= 0.999, "nothing is faster than the ideal: {it:?}");
        }
        let alone = row(&rows, Nodes::Equal, one, 1);
        assert!(alone.by_hash.worst < 1.001 && alone.by_bytes.worst < 1.001, "{alone:?}");
        let many = row(&rows, Nodes::Equal, one, 400);
        assert!(many.by_bytes.worst < 1.005, "{many:?}");
        let from = loses_from(&rows, 1.1);
        assert!(from.is_some_and(|count| loses.contains(&count)), "{from:?}, {sizes:?}");
        let few = row(&rows, Nodes::Equal, ten, 10);
        assert!(few.by_bytes.worst < 1.1, "{few:?}");
    }
}

#[test]
fn a_slow_node_keeps_all_waiting_unless_there_are_more_slices_than_nodes() {
    let [one, ten] = SLICES_PER_NODE;
    let rows = rows(Sizes::Equal);
    let slow = |slices_per_node| row(&rows, Nodes::Stragglers, slices_per_node, 100);
    assert!(slow(one).by_hash.median > 3.8 && slow(one).by_bytes.median > 3.8, "{:?}", slow(one));
    assert!(slow(ten).by_hash.median < 1.5 && slow(ten).by_bytes.median < 1.2, "{:?}", slow(ten));
}

/// A hundred nodes with a day of work each: every one of them dies some times.
#[test]
fn nodes_that_die_repeat_no_file_that_is_whole() {
    let (nodes, work_s) = (100, 86_400);
    // Slices of a day on a node of 125 MB/s.
    let survey = Survey::new(Sizes::Equal, FILES, &[nodes], 1);
    let scale = work_s * 125_000_000 * u64::from(nodes) / survey.whole().bytes;
    let mut slices = survey.by_bytes(nodes);
    slices.iter_mut().for_each(|slice| slice.bytes *= scale);
    let sound_s = makespan_s(&slices, Nodes::Equal, nodes, 1);
    let dying_s = makespan_s(&slices, Nodes::Dying, nodes, 1);
    let deaths = (dying_s - sound_s) / 120.0;
    // Six deaths of two minutes in the mean, and of a hundred nodes the unluckiest counts.
    assert!((8.0..25.0).contains(&deaths), "{deaths} restarts' time in {sound_s} s");
    assert!(cluster_ideal_s(&survey, Nodes::Dying, nodes) > 0.0);
    assert_eq!(dying_s, makespan_s(&slices, Nodes::Dying, nodes, 1), "a seed repeats its run");
    assert_ne!(dying_s, makespan_s(&slices, Nodes::Dying, nodes, 2));
}
