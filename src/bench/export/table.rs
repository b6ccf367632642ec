//! Results as text: an aligned table and a heat map for a terminal, the same as Markdown. Knows no
//! terminal; the caller says whether colour is welcome.

use crate::base::size::MIB;
use crate::bench::conclude::comparison::Comparison;
use crate::bench::conclude::figures::{dash, megabytes, number};
use crate::bench::conclude::heat_map::HeatMap;
use crate::bench::conclude::results::{Results, Row};
use crate::bench::conclude::statistics::Summary;
use crate::bench::measure::entry::short_size;
use crate::bench::measure::record::Percentiles;

/// Whether text may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Characters only.
    Plain,
    /// Background colours of the 256 that terminals share.
    Colour,
}

/// Viridis among the 256 colours of terminals, dark to bright; told apart in grey, too.
const SHADES: [u8; 9] = [54, 60, 61, 31, 30, 36, 72, 113, 184];
/// From this shade on, black is read better than white.
const FIRST_BRIGHT_SHADE: usize = 5;

const HEADINGS: [&str; 10] = [
    "setting",
    "MB/s",
    "interval",
    "of best",
    "time s",
    "CPU s/GiB",
    "switches/GiB",
    "peak MiB",
    "first byte ms, p50 p99",
    "runs",
];

const COMPARISON_HEADINGS: [&str; 5] = ["ratio", "wall", "interval", "CPU", "interval"];

/// For a terminal: the heat map, if there is a grid, then the table, then the verdict and notes.
pub fn table(results: &Results, paint: Paint) -> String {
    let mut text = String::new();
    let map = HeatMap::of(results);
    if map.is_worth_showing() {
        text += "goodput in MB/s, request size (down) by connections (across)\n";
        text += &terminal(&map, paint);
        text.push('\n');
    }
    text += &aligned(&lines(results));
    text.push('\n');
    if !results.comparisons.is_empty() {
        text += &aligned(&comparison_lines(results));
        text.push('\n');
    }
    text += &results.verdict_line();
    text.push('\n');
    for note in notes(results) {
        text += &format!("note: {note}\n");
    }
    text
}

/// What a reader of the table has to know besides.
pub fn notes(results: &Results) -> Vec<String> {
    let mut notes: Vec<String> = results.conditions.load.complaint().into_iter().collect();
    notes.extend(results.notes.iter().cloned());
    let pushed_back: Vec<String> = results
        .rows
        .iter()
        .filter(|row| row.pushed_back > 0)
        .map(|row| format!("{} ({} times)", row.name, row.pushed_back))
        .collect();
    if !pushed_back.is_empty() {
        notes.push(format!("the server answered 429 or 503 to {}", pushed_back.join(", ")));
    }
    for row in results.rows.iter().filter(|row| !row.failures.is_empty()) {
        let count = row.failures.len();
        let last = row.failures.last().cloned().unwrap_or_default();
        notes.push(format!("{}: failed runs: {count}, the last one: {last}", row.name));
    }
    if results.has_intervals() {
        notes.push("intervals are of the median, at 95 % confidence (bootstrap)".to_owned());
    }
    notes
}

/// The table as Markdown.
pub(in crate::bench) fn markdown(results: &Results) -> String {
    markdown_lines(&lines(results))
}

/// ringhaul beside the other tools as Markdown; empty without one.
pub(in crate::bench) fn markdown_comparisons(results: &Results) -> String {
    if results.comparisons.is_empty() {
        String::new()
    } else {
        markdown_lines(&comparison_lines(results))
    }
}

fn markdown_lines(lines: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        text += &format!("| {} |\n", line.join(" | "));
        if number == 0 {
            text += &format!("|---|{}\n", "--:|".repeat(line.len() - 1));
        }
    }
    text
}

/// The grid as Markdown; empty without one.
pub(in crate::bench) fn markdown_grid(results: &Results) -> String {
    let map = HeatMap::of(results);
    if !map.is_worth_showing() {
        return String::new();
    }
    let counts: Vec<String> = map.connections.iter().map(u32::to_string).collect();
    let mut text = format!("| request size | {} |\n", counts.join(" | "));
    text += &format!("|---|{}\n", "--:|".repeat(counts.len()));
    for &chunk in &map.chunks {
        let cells = map.connections.iter().map(|&n| megabytes(map.rate(chunk, n)));
        text += &format!("| {} | {} |\n", short_size(chunk), cells.collect::<Vec<_>>().join(" | "));
    }
    text
}

/// The map for a terminal, each cell on the colour of its rate.
fn terminal(map: &HeatMap, paint: Paint) -> String {
    let best = map.best();
    let width = map.rates().map(|rate| megabytes(Some(rate)).len()).max().unwrap_or(0);
    let mut text = format!("{:>6} ", "");
    for count in &map.connections {
        text += &format!(" {count:>width$} ");
    }
    text.push('\n');
    for &chunk in &map.chunks {
        text += &format!("{:>6} ", short_size(chunk));
        for &count in &map.connections {
            let rate = map.rate(chunk, count);
            let cell = format!(" {:>width$} ", megabytes(rate));
            text += &match rate {
                Some(rate) if paint == Paint::Colour => painted(&cell, rate / best),
                Some(_) | None => cell,
            };
        }
        text.push('\n');
    }
    text
}

/// On the shade of a part from 0 to 1.
fn painted(text: &str, part: f64) -> String {
    let last = SHADES.len() - 1;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to places")]
    let place = (part * last as f64).round().clamp(0.0, last as f64) as usize;
    let ink = if place < FIRST_BRIGHT_SHADE { 231 } else { 16 };
    format!("\x1b[48;5;{}m\x1b[38;5;{ink}m{text}\x1b[0m", SHADES[place])
}

/// Columns that only lists of files have, and the one they stand behind.
const LIST_HEADINGS: [&str; 2] = ["files/s", "CPU s"];
const LIST_COLUMN: usize = 5;

/// Headings, then one line per row.
fn lines(results: &Results) -> Vec<Vec<String>> {
    let mut lines = common_lines(results);
    if results.conditions.files.is_none() {
        return lines;
    }
    let figures = results.rows.iter().map(|row| {
        let rate = row.files_per_second.map_or_else(dash, |rate| format!("{:.0}", rate.median));
        let cpu = row.cpu_seconds.map_or_else(dash, |cpu| format!("{:.2}", cpu.median));
        [rate, cpu]
    });
    let columns = std::iter::once(LIST_HEADINGS.map(str::to_owned)).chain(figures);
    for (line, more) in lines.iter_mut().zip(columns) {
        line.splice(LIST_COLUMN..LIST_COLUMN, more);
    }
    lines
}

/// The columns that every table has.
fn common_lines(results: &Results) -> Vec<Vec<String>> {
    let best = results.rows.iter().filter_map(|row| Some(row.goodput?.median)).fold(0.0, f64::max);
    let headings = HEADINGS.iter().map(|&heading| heading.to_owned()).collect();
    std::iter::once(headings).chain(results.rows.iter().map(|row| line(row, best))).collect()
}

fn line(row: &Row, best: f64) -> Vec<String> {
    let rate = row.goodput.map(|goodput| goodput.median);
    let interval = row.goodput.and_then(|goodput| goodput.interval);
    let ends =
        interval.map(|i| format!("{} to {}", megabytes(Some(i.low)), megabytes(Some(i.high))));
    let of_best = rate.map(|rate| rate / best);
    let latency = |p: Percentiles| {
        let [p50, _, p99] = p.known();
        format!("{} {}", number(p50), number(p99))
    };
    let memory = row.peak_memory_bytes.map(|bytes| bytes as f64 / MIB as f64);
    vec![
        row.name.clone(),
        megabytes(rate),
        ends.unwrap_or_else(dash),
        of_best.map_or_else(dash, |part| format!("{part:.2}")),
        row.wall_seconds.map_or_else(dash, |wall| format!("{:.2}", wall.median)),
        row.cpu_seconds_per_gib.map_or_else(dash, |cpu| format!("{:.2}", cpu.median)),
        row.context_switches_per_gib.map_or_else(dash, |count| format!("{:.0}", count.median)),
        number(memory),
        row.first_byte_ms.map_or_else(dash, latency),
        row.runs.to_string(),
    ]
}

/// Headings, then one line per pair of rows.
fn comparison_lines(results: &Results) -> Vec<Vec<String>> {
    let headings = COMPARISON_HEADINGS.iter().map(|&heading| heading.to_owned()).collect();
    let ratio = |ratio: &Summary| format!("{:.3}", ratio.median);
    let ends = |ratio: &Summary| match ratio.interval {
        Some(interval) => format!("{:.3} to {:.3}", interval.low, interval.high),
        None => dash(),
    };
    let line = |pair: &Comparison| {
        let name = format!("{} / {}", pair.ours, pair.theirs);
        vec![name, ratio(&pair.wall), ends(&pair.wall), ratio(&pair.cpu), ends(&pair.cpu)]
    };
    std::iter::once(headings).chain(results.comparisons.iter().map(line)).collect()
}

/// Names to the left, numbers to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::conclude::results::tests::results;

    #[test]
    fn the_terminal_sees_map_table_verdict_and_notes() {
        let text = table(&results(), Paint::Plain);
        let expected = "\
goodput in MB/s, request size (down) by connections (across)
          1    4 
    1M  118  425 
   16M  131  529 

setting        MB/s    interval  of best  time s  CPU s/GiB  switches/GiB  peak MiB  \
first byte ms, p50 p99  runs
";
        assert!(text.starts_with(expected), "{text}");
        for words in [
            "\nauto            532  526 to 537     1.00    2.02       1.01           111      40.0",
            "\n1M x 1          118           -     0.22    9.09       4.54           111      40.0",
            "\ntie: auto is ahead, but at 95 % confidence not apart from 16M x 4\n",
            "\nnote: 1M x 1 is left out\n",
            "\nnote: 16M x 1: failed runs: 1, the last one: exit \"code\", 5\n",
            "\nnote: the server answered 429 or 503 to auto (6 times), ",
            "\nnote: intervals are of the median, at 95 % confidence (bootstrap)\n",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn colour_is_put_on_cells_and_taken_off_again() {
        let text = table(&results(), Paint::Colour);
        assert!(text.contains("\x1b[48;5;184m\x1b[38;5;16m 529 \x1b[0m"), "{text:?}");
        assert_eq!(text.matches("\x1b[0m").count(), 4);
    }

    #[test]
    fn lists_have_columns_of_their_own() {
        let mut results = results();
        results.conditions.files = Some(1);
        let text = table(&results, Paint::Plain);
        let headings = "  time s  files/s  CPU s  CPU s/GiB  ";
        assert!(text.contains(headings) && text.contains("    2.02        0   1.01  "), "{text}");
    }

    #[test]
    fn markdown_has_as_many_columns_as_headings() {
        let text = markdown(&results());
        let bars: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
        assert!(bars.iter().all(|&count| count == HEADINGS.len() + 1), "{text}");
        assert!(markdown_grid(&results()).contains("| 16M | 131 | 529 |"));
    }
}
