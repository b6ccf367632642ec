//! Tools beside each other: goodput and processor time, a bar each.

use super::Plot;
use super::scale::{tick_text, ticks, viridis};
use super::svg::{Anchor, FAINT, INK, Sheet};
use crate::bench::conclude::results::{Results, Row};
use crate::bench::conclude::statistics::Summary;

const LEFT: f64 = 170.0;
const PANEL: f64 = 300.0;
const GAP: f64 = 70.0;
const TOP: f64 = 108.0;
const LANE: f64 = 34.0;
/// Of ringhaul and of the others.
const OWN_COLOUR: f64 = 0.45;
const OTHER_COLOUR: f64 = 0.8;

/// `None` where no other tool was measured.
pub(super) fn plot(results: &Results) -> Option<Plot> {
    if !results.rows.iter().any(|row| row.entry.peer().is_some()) {
        return None;
    }
    let bottom = TOP + results.rows.len() as f64 * LANE;
    let what = if results.conditions.files.is_some() { "files" } else { "file" };
    let title = format!("Tools on the same {what}");
    let conditions = results.conditions_line();
    let what = "medians, and whiskers for their intervals; ringhaul is darker";
    let width = LEFT + 2.0 * PANEL + GAP + 50.0;
    let mut sheet = Sheet::new(width, bottom + 52.0, &title, [&conditions, what]);
    for (lane, row) in results.rows.iter().enumerate() {
        let y = TOP + (lane as f64 + 0.5) * LANE + 4.0;
        sheet.label(LEFT - 10.0, y, Anchor::End, 12.0, INK, &row.name);
    }
    panel(&mut sheet, results, LEFT, "goodput, MB/s (more is better)", |row| {
        row.goodput.map(|goodput| scaled(goodput, 1e-6))
    });
    let second = LEFT + PANEL + GAP;
    let cpu = |row: &Row| row.cpu_seconds_per_gib;
    panel(&mut sheet, results, second, "processor seconds per GiB (less is better)", cpu);
    Some(Plot { file: "tools.svg", title, svg: sheet.finish() })
}

fn scaled(summary: Summary, factor: f64) -> Summary {
    let mut scaled = summary;
    scaled.median *= factor;
    if let Some(interval) = &mut scaled.interval {
        interval.low *= factor;
        interval.high *= factor;
    }
    scaled
}

fn panel(
    sheet: &mut Sheet,
    results: &Results,
    left: f64,
    heading: &str,
    value: impl Fn(&Row) -> Option<Summary>,
) {
    let bottom = TOP + results.rows.len() as f64 * LANE;
    let high = |summary: Summary| summary.interval.map_or(summary.median, |i| i.high);
    let max = results.rows.iter().filter_map(&value).map(high).fold(0.0, f64::max);
    let ticks = ticks(max);
    let end = ticks.last().copied().unwrap_or(1.0);
    let x = |value: f64| left + value / end * PANEL;
    sheet.label(left, TOP - 12.0, Anchor::Start, 12.0, INK, heading);
    for &tick in &ticks {
        sheet.line([x(tick), TOP], [x(tick), bottom], (FAINT, 1.0, ""));
        let text = tick_text(tick);
        sheet.label(x(tick), bottom + 18.0, Anchor::Middle, 11.0, INK, &text);
    }
    for (lane, row) in results.rows.iter().enumerate() {
        let Some(summary) = value(row) else { continue };
        let y = TOP + lane as f64 * LANE;
        let own = row.entry.peer().is_none();
        let colour = viridis(if own { OWN_COLOUR } else { OTHER_COLOUR });
        sheet.rect(left, y + 7.0, x(summary.median) - left, LANE - 14.0, &colour);
        let middle = y + LANE / 2.0;
        if let Some(interval) = summary.interval {
            let (low, high) = (x(interval.low), x(interval.high));
            sheet.line([low, middle], [high, middle], (INK, 1.5, ""));
            for end in [low, high] {
                sheet.line([end, middle - 4.0], [end, middle + 4.0], (INK, 1.5, ""));
            }
        }
        let text = if summary.median >= 10.0 {
            format!("{:.0}", summary.median)
        } else {
            format!("{:.2}", summary.median)
        };
        let end = x(high(summary)) + 6.0;
        sheet.label(end, middle + 4.0, Anchor::Start, 11.0, INK, &text);
    }
    sheet.line([left, TOP], [left, bottom], (INK, 1.0, ""));
}
