//! Goodput by connections, one line per request size, with the intervals of the medians.

use super::Plot;
use super::scale::{line_colour, tick_text, ticks};
use super::svg::{Anchor, FAINT, GREY, INK, Mark, Sheet};
use crate::bench::conclude::figures::megabytes;
use crate::bench::conclude::heat_map::HeatMap;
use crate::bench::conclude::results::{Results, Row};
use crate::bench::measure::entry::{Entry, short_size};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 456.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 590.0;
const TOP: f64 = 88.0;
const BOTTOM: f64 = 396.0;
/// Lines of several sizes stand this far beside each other, so that their intervals do.
const DODGE: f64 = 7.0;
const MARKS: [Mark; 4] = [Mark::Circle, Mark::Square, Mark::Diamond, Mark::Triangle];
/// Dashes of auto and of the baseline.
const AUTO_DASH: &str = "9 4";
const SINGLE_DASH: &str = "2 4";

/// `None` without a grid.
pub(super) fn plot(results: &Results) -> Option<Plot> {
    let map = HeatMap::of(results);
    if !map.is_worth_showing() {
        return None;
    }
    let title = "Goodput by connections, MB/s".to_owned();
    let conditions = results.conditions_line();
    let what = "medians, and bars for their intervals; one line per request size";
    let mut sheet = Sheet::new(WIDTH, HEIGHT, &title, [&conditions, what]);
    let tops = results.rows.iter().filter_map(|row| row.goodput).map(|goodput| {
        goodput.interval.map_or(goodput.median, |interval| interval.high.max(goodput.median))
    });
    let ticks = ticks(tops.fold(0.0, f64::max) / 1e6);
    let axis = Axis { max: ticks.last().copied().unwrap_or(1.0), count: map.connections.len() };
    for &value in &ticks {
        let y = axis.y(value * 1e6);
        sheet.line([LEFT, y], [RIGHT, y], (FAINT, 1.0, ""));
        sheet.label(LEFT - 8.0, y + 4.0, Anchor::End, 12.0, INK, &tick_text(value));
    }
    for (column, count) in map.connections.iter().enumerate() {
        let x = axis.x(column);
        let text = count.to_string();
        sheet.line([x, BOTTOM], [x, BOTTOM + 5.0], (INK, 1.0, ""));
        sheet.label(x, BOTTOM + 20.0, Anchor::Middle, 12.0, INK, &text);
    }
    sheet.line([LEFT, BOTTOM], [RIGHT, BOTTOM], (INK, 1.0, ""));
    let middle = f64::midpoint(LEFT, RIGHT);
    sheet.label(middle, BOTTOM + 42.0, Anchor::Middle, 12.0, INK, "connections");
    sheet.upright(24.0, f64::midpoint(TOP, BOTTOM), "goodput, MB/s");
    let mut legend = TOP + 4.0;
    for (entry_is, dash) in [(is_auto as fn(&Row) -> bool, AUTO_DASH), (is_single, SINGLE_DASH)] {
        if let Some(row) = results.rows.iter().find(|row| entry_is(row)) {
            reference(&mut sheet, &axis, row, dash, legend);
            legend += 22.0;
        }
    }
    for (index, &chunk) in map.chunks.iter().enumerate() {
        let style = (line_colour(index, map.chunks.len()), MARKS[index % MARKS.len()]);
        let dodge = (index as f64 - (map.chunks.len() - 1) as f64 / 2.0) * DODGE;
        series(&mut sheet, &axis, &map, results, chunk, (&style.0, style.1, dodge));
        sheet.line([RIGHT + 16.0, legend], [RIGHT + 44.0, legend], (&style.0, 2.0, ""));
        sheet.mark([RIGHT + 30.0, legend], style.1, 4.0, &style.0);
        let text = short_size(chunk);
        sheet.label(RIGHT + 50.0, legend + 4.0, Anchor::Start, 12.0, INK, &text);
        legend += 22.0;
    }
    Some(Plot { file: "goodput.svg", title, svg: sheet.finish() })
}

/// The place of a value on the sheet.
struct Axis {
    /// MB/s at the top.
    max: f64,
    count: usize,
}

impl Axis {
    fn x(&self, column: usize) -> f64 {
        LEFT + (column as f64 + 0.5) * (RIGHT - LEFT) / self.count as f64
    }

    fn y(&self, rate: f64) -> f64 {
        BOTTOM - (rate / 1e6 / self.max) * (BOTTOM - TOP)
    }
}

fn is_auto(row: &Row) -> bool {
    row.entry == Entry::Auto
}

fn is_single(row: &Row) -> bool {
    matches!(row.entry, Entry::Single { .. })
}

/// A level that has no place on the axis of connections.
fn reference(sheet: &mut Sheet, axis: &Axis, row: &Row, dash: &str, legend: f64) {
    let Some(goodput) = row.goodput else { return };
    let y = axis.y(goodput.median);
    sheet.line([LEFT, y], [RIGHT, y], (GREY, 2.0, dash));
    sheet.line([RIGHT + 16.0, legend], [RIGHT + 44.0, legend], (GREY, 2.0, dash));
    let text = format!("{}, {}", row.name, megabytes(Some(goodput.median)));
    sheet.label(RIGHT + 50.0, legend + 4.0, Anchor::Start, 12.0, INK, &text);
}

fn series(
    sheet: &mut Sheet,
    axis: &Axis,
    map: &HeatMap,
    results: &Results,
    chunk: u64,
    (colour, mark, dodge): (&str, Mark, f64),
) {
    let mut points = Vec::new();
    for (column, &connections) in map.connections.iter().enumerate() {
        let cell = Entry::Cell { chunk_bytes: chunk, connections };
        let row = results.rows.iter().find(|row| row.entry == cell);
        let Some(goodput) = row.and_then(|row| row.goodput) else { continue };
        let x = axis.x(column) + dodge;
        points.push([x, axis.y(goodput.median)]);
        if let Some(interval) = goodput.interval {
            let (low, high) = (axis.y(interval.low), axis.y(interval.high));
            sheet.line([x, low], [x, high], (colour, 1.5, ""));
            for y in [low, high] {
                sheet.line([x - 3.0, y], [x + 3.0, y], (colour, 1.5, ""));
            }
        }
    }
    sheet.path(&points, (colour, 1.5, ""));
    for point in points {
        sheet.mark(point, mark, 4.0, colour);
    }
}
