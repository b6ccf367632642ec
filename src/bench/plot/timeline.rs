//! The timeline of one download: which connection waited for and received which span when, and from
//! which source where there are several.

use super::Plot;
use super::scale::{tick_text, ticks, viridis};
use super::svg::{Anchor, FAINT, INK, Sheet};
use crate::bench::conclude::results::Results;
use crate::bench::measure::record::{SpanOutcome, SpanTimes};
use std::collections::BTreeMap;

const LEFT: f64 = 70.0;
const WIDTH: f64 = 900.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 112.0;
const LANES_HEIGHT_MAX: f64 = 480.0;
const LANE_MAX: f64 = 30.0;
/// More would be megabytes of rectangles thinner than a pixel.
const SPANS_MAX: usize = 4000;
/// Sources that have a colour of their own; more cannot be told apart.
const SOURCES_MAX: usize = 8;
/// Height of a source's line below the axis.
const SOURCE_HEIGHT: f64 = 18.0;
/// Every other span of a connection has the other colour, so that they are told apart.
const RECEIVED: [f64; 2] = [0.25, 0.55];
/// Orange is not in viridis, and darker than the bright end of it in print.
const LOST: &str = "#d55e00";
const WAITING: &str = "#9a9a9a";

/// `None` where no run had a trace with spans.
pub(super) fn plot(results: &Results) -> Option<Plot> {
    let leader = results.leader().filter(|row| !row.spans.is_empty());
    let row = leader.or_else(|| results.rows.iter().find(|row| !row.spans.is_empty()))?;
    let mut lanes: BTreeMap<u32, Vec<&SpanTimes>> = BTreeMap::new();
    for span in row.spans.iter().take(SPANS_MAX) {
        lanes.entry(span.connection).or_default().push(span);
    }
    let end = row.spans.iter().take(SPANS_MAX).map(|span| span.ended).fold(0.0, f64::max);
    let title = format!("One download: {}", row.name);
    let all = row.spans.len();
    let shown =
        if all > SPANS_MAX { format!("first {SPANS_MAX} of {all}") } else { all.to_string() };
    let what = format!("its median run; {shown} spans on {} connections", lanes.len());
    let subtitle = [&*results.conditions_line(), &*what];
    let lane_height = (LANES_HEIGHT_MAX / lanes.len() as f64).min(LANE_MAX);
    let bottom = TOP + lane_height * lanes.len() as f64;
    let sources = sources(&row.spans);
    let height = bottom + 52.0 + SOURCE_HEIGHT * sources.len() as f64;
    let mut sheet = Sheet::new(WIDTH, height, &title, subtitle);
    legend(&mut sheet);
    for (place, source) in sources.iter().enumerate() {
        let y = bottom + 52.0 + SOURCE_HEIGHT * place as f64;
        sheet.rect(LEFT, y, 14.0, 12.0, &colour_of(place, sources.len()));
        sheet.label(LEFT + 20.0, y + 10.0, Anchor::Start, 12.0, INK, source);
    }
    let ticks = ticks(end);
    let last = ticks.last().copied().unwrap_or(1.0);
    let x = |time: f64| LEFT + time / last * (RIGHT - LEFT);
    for &tick in &ticks {
        sheet.line([x(tick), TOP], [x(tick), bottom], (FAINT, 1.0, ""));
        let text = tick_text(tick);
        sheet.label(x(tick), bottom + 18.0, Anchor::Middle, 11.0, INK, &text);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    sheet.label(middle, bottom + 40.0, Anchor::Middle, 12.0, INK, "seconds since the start");
    sheet.upright(22.0, f64::midpoint(TOP, bottom), "connection");
    // Numbers that do not touch each other.
    let every = if lane_height >= 12.0 { 1 } else { 8 };
    for (place, (connection, spans)) in lanes.iter().enumerate() {
        let y = TOP + place as f64 * lane_height;
        if place % every == 0 {
            let text = (connection + 1).to_string();
            sheet.label(LEFT - 8.0, y + lane_height / 2.0 + 4.0, Anchor::End, 11.0, INK, &text);
        }
        lane(&mut sheet, spans, &sources, [y, lane_height], x);
    }
    sheet.line([LEFT, TOP], [LEFT, bottom], (INK, 1.0, ""));
    Some(Plot { file: "timeline.svg", title, svg: sheet.finish() })
}

/// The sources in the order of their first spans, no more than [`SOURCES_MAX`];
/// none if there is only one.
fn sources(spans: &[SpanTimes]) -> Vec<&str> {
    let mut sources: Vec<&str> = Vec::new();
    for span in spans.iter().filter(|span| !span.source.is_empty()) {
        if sources.len() < SOURCES_MAX && !sources.contains(&&*span.source) {
            sources.push(&span.source);
        }
    }
    sources
}

/// The colour of a source among `count`.
fn colour_of(place: usize, count: usize) -> String {
    viridis(0.05 + 0.85 * place as f64 / count as f64)
}

/// Waiting is a thin bar: a span asked for ahead waits while the one before it is received.
fn lane(
    sheet: &mut Sheet,
    spans: &[&SpanTimes],
    sources: &[&str],
    [y, height]: [f64; 2],
    x: impl Fn(f64) -> f64,
) {
    for span in spans {
        let until = span.first_byte.unwrap_or(span.ended);
        let width = (x(until) - x(span.requested)).max(0.0);
        sheet.rect(x(span.requested), y + height * 0.42, width, height * 0.16, WAITING);
    }
    for (number, span) in spans.iter().enumerate() {
        let source = sources.iter().position(|source| *source == span.source);
        let colour = match span.outcome {
            SpanOutcome::Received => source.map_or_else(
                || viridis(RECEIVED[number % RECEIVED.len()]),
                |place| colour_of(place, sources.len()),
            ),
            SpanOutcome::Aborted | SpanOutcome::Failed => LOST.to_owned(),
        };
        let from = match (span.first_byte, span.outcome) {
            (Some(from), _) => from,
            // It never had a byte; what is seen of it is its end.
            (None, SpanOutcome::Aborted | SpanOutcome::Failed) => span.ended,
            (None, SpanOutcome::Received) => continue,
        };
        let width = (x(span.ended) - x(from)).max(1.0);
        sheet.rect(x(from), y + height * 0.12, width, height * 0.76, &colour);
    }
}

fn legend(sheet: &mut Sheet) {
    let [even, odd] = RECEIVED.map(viridis);
    sheet.rect(LEFT, 76.0, 14.0, 12.0, &even);
    sheet.rect(LEFT + 15.0, 76.0, 14.0, 12.0, &odd);
    sheet.label(LEFT + 35.0, 86.0, Anchor::Start, 12.0, INK, "receiving a span, in turn");
    sheet.rect(LEFT + 225.0, 80.0, 28.0, 4.0, WAITING);
    sheet.label(LEFT + 259.0, 86.0, Anchor::Start, 12.0, INK, "requested, nothing yet");
    sheet.rect(LEFT + 435.0, 76.0, 14.0, 12.0, LOST);
    sheet.label(LEFT + 455.0, 86.0, Anchor::Start, 12.0, INK, "given up or failed");
}
