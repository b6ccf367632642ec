//! Medians and ratios of interleaved rounds, as markdown and as lines of a file.

use crate::load::Cost;
use std::fmt::Write as _;

const GIB: f64 = (1u64 << 30) as f64;
const MEGABYTE: f64 = 1e6;

/// One variant of a part: its cost in each round; empty if this kernel lacks something.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) costs: Vec<Cost>,
}

/// The table of one part. The first row is what the others are compared with, round by round.
pub(crate) fn table(part: &str, bytes: usize, requests: usize, rows: &[Row]) -> String {
    let gib = bytes as f64 / GIB;
    let mut text = format!(
        "\n## {part}\n\n{} MiB in {requests} requests.\n\n\
         | variant | CPU s/GiB | ratio | of all rounds | µs/request | switches/GiB | ratio \
         | MB/s |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
        bytes >> 20
    );
    for row in rows.iter().filter(|row| !row.costs.is_empty()) {
        let cpu_s = median(row.costs.iter().map(|cost| cost.cpu_s).collect());
        let switches = median(row.costs.iter().map(|cost| cost.switches).collect());
        let wall_s = median(row.costs.iter().map(|cost| cost.wall_s).collect());
        let cpu = ratios(row, &rows[0], |cost| cost.cpu_s);
        let switch_ratios = ratios(row, &rows[0], |cost| cost.switches);
        let (least, most) = (cpu[0], cpu[cpu.len() - 1]);
        writeln!(
            text,
            "| {} | {:.3} | {:.2} | {least:.2} to {most:.2} | {:.1} | {:.0} | {:.2} | {:.0} |",
            row.name,
            cpu_s / gib,
            median(cpu),
            cpu_s * 1e6 / requests as f64,
            switches / gib,
            median(switch_ratios),
            bytes as f64 / MEGABYTE / wall_s,
        )
        .expect("a string takes everything");
    }
    text
}

/// Every measurement of a part, one a line.
pub(crate) fn lines(part: &str, bytes: usize, requests: usize, rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        for (round, cost) in row.costs.iter().enumerate() {
            let Cost { wall_s, cpu_s, switches } = cost;
            writeln!(
                text,
                "{part},{},{round},{bytes},{requests},{wall_s:.6},{cpu_s:.6},{switches}",
                row.name
            )
            .expect("a string takes everything");
        }
    }
    text
}

/// The middle of them; of an even number the upper one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ratios(row: &Row, first: &Row, what: impl Fn(&Cost) -> f64) -> Vec<f64> {
    let pairs = row.costs.iter().zip(&first.costs);
    let mut ratios: Vec<f64> = pairs.map(|(cost, base)| what(cost) / what(base)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}
