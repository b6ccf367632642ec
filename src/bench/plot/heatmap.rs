//! The heat map: goodput of every cell, request size by connections.

use super::Plot;
use super::scale::{ink_on, tick_text, ticks, viridis};
use super::svg::{Anchor, FAINT, GREY, INK, Sheet};
use crate::bench::conclude::figures::megabytes;
use crate::bench::conclude::heat_map::HeatMap;
use crate::bench::conclude::results::Results;
use crate::bench::conclude::statistics::Verdict;
use crate::bench::measure::entry::{Entry, short_size};

const CELL_WIDTH: f64 = 84.0;
const CELL_HEIGHT: f64 = 44.0;
const LEFT: f64 = 92.0;
const TOP: f64 = 88.0;
/// Steps of the legend: a gradient to the eye.
const LEGEND_STEPS: u32 = 48;
const LEGEND_WIDTH: f64 = 110.0;

/// `None` without a grid.
pub(super) fn plot(results: &Results) -> Option<Plot> {
    let map = HeatMap::of(results);
    if !map.is_worth_showing() {
        return None;
    }
    let best = map.best();
    let (columns, rows) = (map.connections.len() as f64, map.chunks.len() as f64);
    let (right, bottom) = (LEFT + columns * CELL_WIDTH, TOP + rows * CELL_HEIGHT);
    let title = "Goodput by request size and connections, MB/s".to_owned();
    let width = (right + LEGEND_WIDTH).max(620.0);
    let subtitle = [&*results.conditions_line(), &*references(results)];
    let mut sheet = Sheet::new(width, bottom + 58.0, &title, subtitle);
    for (row, &chunk) in map.chunks.iter().enumerate() {
        let y = TOP + row as f64 * CELL_HEIGHT;
        let middle = y + CELL_HEIGHT / 2.0 + 4.5;
        sheet.label(LEFT - 8.0, middle, Anchor::End, 12.0, INK, &short_size(chunk));
        for (column, &count) in map.connections.iter().enumerate() {
            let x = LEFT + column as f64 * CELL_WIDTH;
            let rate = map.rate(chunk, count);
            let (fill, ink) = rate.map_or((FAINT.to_owned(), GREY), |rate| {
                (viridis(rate / best), ink_on(rate / best))
            });
            sheet.rect(x, y, CELL_WIDTH - 1.0, CELL_HEIGHT - 1.0, &fill);
            let text = megabytes(rate);
            sheet.label(x + CELL_WIDTH / 2.0, middle, Anchor::Middle, 13.0, ink, &text);
            if results.is_level(Entry::Cell { chunk_bytes: chunk, connections: count }) {
                sheet.frame(x + 1.0, y + 1.0, CELL_WIDTH - 3.0, CELL_HEIGHT - 3.0, 2.5);
            }
        }
    }
    for (column, count) in map.connections.iter().enumerate() {
        let x = LEFT + (column as f64 + 0.5) * CELL_WIDTH;
        sheet.label(x, bottom + 18.0, Anchor::Middle, 12.0, INK, &count.to_string());
    }
    let middle = (LEFT + right) / 2.0;
    sheet.label(middle, bottom + 40.0, Anchor::Middle, 12.0, INK, "connections");
    sheet.upright(28.0, f64::midpoint(TOP, bottom), "request size");
    legend(&mut sheet, right + 22.0, bottom, best);
    Some(Plot { file: "heatmap.svg", title, svg: sheet.finish() })
}

/// What stands beside the grid, in one line.
fn references(results: &Results) -> String {
    let beside = results.rows.iter().filter(|row| !matches!(row.entry, Entry::Cell { .. }));
    let rates = beside
        .filter_map(|row| Some(format!("{} {}", row.name, megabytes(Some(row.goodput?.median)))));
    let rates = rates.collect::<Vec<_>>().join(", ");
    let framed = match results.verdict {
        Verdict::Tie(_) => "framed cells are one tie",
        Verdict::Winner(_) => "a framed cell is the winner",
        Verdict::Unclaimed(_) | Verdict::Nothing => "a framed cell is ahead",
    };
    format!("medians; {framed}; beside the grid: {rates}")
}

fn legend(sheet: &mut Sheet, x: f64, bottom: f64, best: f64) {
    let height = bottom - TOP - 1.0;
    let step = height / f64::from(LEGEND_STEPS);
    for number in 0..LEGEND_STEPS {
        let part = (f64::from(number) + 0.5) / f64::from(LEGEND_STEPS);
        // A little over the next one, or hairlines show.
        let y = bottom - 1.0 - f64::from(number + 1) * step;
        sheet.rect(x, y, 16.0, step + 0.4, &viridis(part));
    }
    for value in ticks(best / 1e6) {
        let part = value * 1e6 / best;
        if part <= 1.0 {
            let y = bottom - 1.0 - part * height;
            sheet.line([x + 16.0, y], [x + 20.0, y], (INK, 1.0, ""));
            sheet.label(x + 24.0, y + 4.0, Anchor::Start, 11.0, INK, &tick_text(value));
        }
    }
    sheet.label(x, TOP - 8.0, Anchor::Start, 11.0, INK, "MB/s");
}
