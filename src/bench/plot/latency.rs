//! Latency percentiles of the best settings: time to first byte, and time of whole spans. Beside
//! each stands the number of samples; a percentile with too few of them beyond it is not drawn.

use super::Plot;
use super::scale::{decades, tick_text, viridis};
use super::svg::{Anchor, FAINT, GREY, INK, Mark, Sheet};
use crate::bench::conclude::results::{Results, Row};
use crate::bench::measure::record::{Percentiles, SAMPLES_BEYOND_MIN};

const LEFT: f64 = 130.0;
const PANEL: f64 = 330.0;
/// Beside each panel: samples in all, and beyond the percentiles.
const COUNTS: f64 = 150.0;
const GAP: f64 = 30.0;
const TOP: f64 = 124.0;
const LANE: f64 = 24.0;
/// More would not be read.
const ROWS_MAX: usize = 16;
/// Name, mark and colour of each percentile.
const POINTS: [(&str, Mark, f64); 4] = [
    ("median", Mark::Circle, 0.05),
    ("90 %", Mark::Square, 0.35),
    ("99 %", Mark::Diamond, 0.65),
    ("slowest", Mark::Bar, 0.85),
];

/// `None` where no run had a trace.
pub(super) fn plot(results: &Results) -> Option<Plot> {
    let known = results.rows.iter().filter(|row| row.first_byte_ms.is_some());
    let mut rows: Vec<&Row> = known.collect();
    let rate = |row: &Row| row.goodput.map_or(0.0, |goodput| goodput.median);
    rows.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
    let all = rows.len();
    rows.truncate(ROWS_MAX);
    if rows.is_empty() {
        return None;
    }
    let title = "Latencies, milliseconds (logarithmic)".to_owned();
    let shown = if all > rows.len() { format!(" {} of {all}", rows.len()) } else { String::new() };
    let what = format!(
        "all runs together; the best{shown} settings first, by goodput; a percentile needs \
         {SAMPLES_BEYOND_MIN} samples beyond it"
    );
    let subtitle = [&*results.conditions_line(), &*what];
    let bottom = TOP + rows.len() as f64 * LANE;
    let width = LEFT + 2.0 * (PANEL + COUNTS) + GAP + 10.0;
    let mut sheet = Sheet::new(width, bottom + 48.0, &title, subtitle);
    for (lane, row) in rows.iter().enumerate() {
        let y = TOP + (lane as f64 + 0.5) * LANE + 4.0;
        sheet.label(LEFT - 10.0, y, Anchor::End, 12.0, INK, &row.name);
    }
    panel(&mut sheet, &rows, LEFT, "request to first byte", |row| row.first_byte_ms);
    let second = LEFT + PANEL + COUNTS + GAP;
    panel(&mut sheet, &rows, second, "request to last byte of a span", |row| row.span_ms);
    let mut x = LEFT;
    for (name, mark, part) in POINTS {
        sheet.mark([x + 6.0, 82.0], mark, 4.5, &viridis(part));
        sheet.label(x + 16.0, 86.0, Anchor::Start, 12.0, INK, name);
        x += 90.0;
    }
    Some(Plot { file: "latency.svg", title, svg: sheet.finish() })
}

fn panel(
    sheet: &mut Sheet,
    rows: &[&Row],
    left: f64,
    heading: &str,
    value: impl Fn(&Row) -> Option<Percentiles>,
) {
    let bottom = TOP + rows.len() as f64 * LANE;
    let values: Vec<Percentiles> = rows.iter().filter_map(|row| value(row)).collect();
    let shown = values.iter().flat_map(|p| p.known().into_iter().flatten().chain([p.max]));
    let min = shown.fold(f64::INFINITY, f64::min);
    let max = values.iter().map(|p| p.max).fold(0.0, f64::max);
    sheet.label(left, TOP - 10.0, Anchor::Start, 12.0, INK, heading);
    if values.is_empty() {
        sheet.label(left + 8.0, TOP + 20.0, Anchor::Start, 12.0, GREY, "no whole span was seen");
        return;
    }
    let decades = decades(min, max);
    let (first, last) = (decades[0].log10(), decades[decades.len() - 1].log10());
    let x = |value: f64| left + (value.max(1e-6).log10() - first) / (last - first) * PANEL;
    for &decade in &decades {
        sheet.line([x(decade), TOP], [x(decade), bottom], (FAINT, 1.0, ""));
        let text = tick_text(decade);
        sheet.label(x(decade), bottom + 18.0, Anchor::Middle, 11.0, INK, &text);
    }
    let middle = left + PANEL / 2.0;
    sheet.label(middle, bottom + 38.0, Anchor::Middle, 12.0, INK, "ms");
    let counts = left + PANEL + COUNTS;
    sheet.label(counts, TOP - 10.0, Anchor::End, 11.0, GREY, "samples; beyond 90 %, 99 %");
    for (lane, row) in rows.iter().enumerate() {
        let Some(p) = value(row) else { continue };
        let y = TOP + (lane as f64 + 0.5) * LANE;
        let [p50, p90, p99] = p.known();
        let lowest = p50.or(p90).or(p99).unwrap_or(p.max);
        sheet.line([x(lowest), y], [x(p.max), y], (FAINT, 3.0, ""));
        // The median last: of equal values it is the one to be seen.
        for ((_, mark, part), value) in POINTS.iter().zip([p50, p90, p99, Some(p.max)]).rev() {
            let Some(value) = value else { continue };
            sheet.mark([x(value), y], *mark, 4.5, &viridis(*part));
        }
        let [_, beyond_90, beyond_99] = p.counts_beyond();
        let text = format!("{}; {beyond_90}, {beyond_99}", p.count);
        sheet.label(counts, y + 4.0, Anchor::End, 11.0, GREY, &text);
    }
    sheet.line([left, TOP], [left, bottom], (INK, 1.0, ""));
}
