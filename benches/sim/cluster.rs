//! The tables of a list that is divided over the nodes of a cluster: time of the last node over
//! that of an ideal scheduler. Owns their text and their CSV; must not know how anything is
//! simulated.

use ringhaul::internal::sim::{Nodes, Row, SLICES_PER_NODE, Sizes, judge_cluster, loses_from};
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// Nodes of the clusters, up to the largest that is thought of.
const NODE_COUNTS: [u32; 19] =
    [1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 500, 700, 1000];
/// Those that the tables show; the rest is in the CSV.
const NODE_COUNTS_SHOWN: [u32; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
/// Files of a list; the tables are of the last, the longest.
const FILES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// The same in the smallest size.
const FILES_SMALLEST: [u64; 2] = [1000, 10_000];
/// Where slices by hash take this many times as long as slices by bytes, they are said to lose.
const LOSS_MAX: f64 = 1.10;

/// All lists on all clusters, seeds 1 to `seeds` each.
pub(crate) fn rows(seeds: u64, is_smallest: bool) -> Vec<Row> {
    let files: &[u64] = if is_smallest { &FILES_SMALLEST } else { &FILES };
    let lists = Sizes::ALL.into_iter().flat_map(|sizes| files.iter().map(move |it| (sizes, *it)));
    lists.flat_map(|(sizes, files)| judge_cluster(sizes, files, &NODE_COUNTS, 1..=seeds)).collect()
}

/// The text with its tables.
pub(crate) fn text(rows: &[Row], seeds: u64) -> String {
    let files = rows.iter().map(|row| row.files).max().unwrap_or(0);
    let mut text = format!(
        "# A list over the nodes of a cluster, in the simulator\n\nTime of the last node over \
         that of an ideal scheduler, which has all nodes work to the last moment, divides no \
         file, and sees no node die: median of the seeds 1 to {seeds}. Made by `cargo bench \
         --bench sim -- --cluster --out bench-results/sim`; every figure and the worst seeds \
         are in `cluster.csv`.\n\nA slice by **hash** has the files whose names' hashes have \
         its remainder, modelled as even numbers. Slices by **bytes** are dealt out by known \
         sizes, the largest file first, each to the slice with the fewest bytes. Nodes take \
         slices from a queue in order: one for each node, or {} of them, as an array of tasks \
         does. A node fetches 1 Gbit/s, whatever the others do, and 0.2 ms are added for each \
         file; files have 10 MB in the mean, all alike, lognormal (sigma 2), or Pareto \
         (exponent 1.2, at most 50 GB). A slow node takes four times as long. A node that dies \
         does so every four hours in the mean, works again two minutes later, loses what was \
         not durable (up to a second's worth), looks at each file that is whole (20 µs) and \
         goes on with its slice.\n",
        SLICES_PER_NODE[1],
    );
    text += &losses(rows);
    for nodes in Nodes::ALL {
        let chosen: Vec<&Row> =
            rows.iter().filter(|row| row.nodes == nodes && row.files == files).collect();
        text += &table(&chosen, heading(nodes), files);
    }
    text
}

/// From how many nodes on a hash loses.
fn losses(rows: &[Row]) -> String {
    let mut text = format!(
        "\n## Where slices by hash lose\n\nThe fewest equal nodes, with one slice each, with \
         which slices by hash take more than {LOSS_MAX:.2} times as long as slices by bytes, of \
         clusters of up to {} nodes (steps as in the CSV); in brackets how many files a slice \
         has there. With more nodes they lose more, until one file alone takes all the time, \
         however the rest is divided.\n\n\
         | files |",
        thousands(NODE_COUNTS[NODE_COUNTS.len() - 1].into())
    );
    let lists: Vec<Vec<Row>> = rows
        .chunk_by(|a, b| (a.sizes, a.files) == (b.sizes, b.files))
        .map(<[Row]>::to_vec)
        .collect();
    text += &Sizes::ALL.map(|sizes| format!(" {} |", name(sizes))).concat();
    text += "\n|--:|--:|--:|--:|\n";
    let mut files: Vec<u64> = rows.iter().map(|row| row.files).collect();
    files.sort_unstable();
    files.dedup();
    for files in files {
        text += &format!("| {} |", thousands(files));
        for list in Sizes::ALL.into_iter().flat_map(|sizes| {
            lists.iter().filter(move |list| (list[0].sizes, list[0].files) == (sizes, files))
        }) {
            text += &match loses_from(list, LOSS_MAX) {
                Some(count) => {
                    let (count, each) = (u64::from(count), files / u64::from(count));
                    format!(" {} ({}) |", thousands(count), thousands(each))
                }
                None => " never |".to_owned(),
            };
        }
        text += "\n";
    }
    text
}

/// Of one kind of nodes.
fn table(rows: &[&Row], heading: &str, files: u64) -> String {
    let [one, several] = SLICES_PER_NODE;
    let mut text = format!("\n## {heading}: {} files\n\n| nodes |", thousands(files));
    for sizes in Sizes::ALL {
        let name = name(sizes);
        let columns = [
            format!(" {name}: hash |"),
            " bytes |".to_owned(),
            format!(" {several} x hash |"),
            format!(" {several} x bytes |"),
        ];
        text += &columns.concat();
    }
    text += &format!("\n|--:|{}\n", "--:|".repeat(4 * Sizes::ALL.len()));
    for count in NODE_COUNTS_SHOWN {
        text += &format!("| {} |", thousands(count.into()));
        for (sizes, slices) in Sizes::ALL.into_iter().flat_map(|it| [(it, one), (it, several)]) {
            let found = rows.iter().find(|row| {
                (row.sizes, row.slices_per_node, row.node_count) == (sizes, slices, count)
            });
            let row = found.expect("every combination was played");
            text += &format!(" {:.2} | {:.2} |", row.by_hash.median, row.by_bytes.median);
        }
        text += "\n";
    }
    text
}

/// Writes both.
pub(crate) fn write(out: &Path, rows: &[Row], text: &str) -> io::Result<()> {
    fs::create_dir_all(out)?;
    fs::write(out.join("cluster.md"), text)?;
    fs::write(out.join("cluster.csv"), csv(rows))
}

fn csv(rows: &[Row]) -> String {
    let mut csv = "sizes,files,nodes,node_count,slices_per_node,by_hash,by_hash_worst,by_bytes,\
                   by_bytes_worst\n"
        .to_owned();
    for it in rows {
        let line = writeln!(
            csv,
            "{},{},{},{},{},{:.4},{:.4},{:.4},{:.4}",
            name(it.sizes),
            it.files,
            heading(it.nodes).to_lowercase(),
            it.node_count,
            it.slices_per_node,
            it.by_hash.median,
            it.by_hash.worst,
            it.by_bytes.median,
            it.by_bytes.worst,
        );
        line.expect("a string takes everything");
    }
    csv
}

fn heading(nodes: Nodes) -> &'static str {
    match nodes {
        Nodes::Equal => "Equal nodes",
        Nodes::Stragglers => "One node in twenty is slow",
        Nodes::Dying => "Nodes that die",
    }
}

fn name(sizes: Sizes) -> &'static str {
    match sizes {
        Sizes::Equal => "equal",
        Sizes::Lognormal => "lognormal",
        Sizes::HeavyTail => "heavy tail",
    }
}

/// `10,000,000`.
fn thousands(number: u64) -> String {
    match number / 1000 {
        0 => number.to_string(),
        more => format!("{},{:03}", thousands(more), number % 1000),
    }
}
