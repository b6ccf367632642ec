//! Plots of the results as SVG, written by hand: rectangles, lines and text need no library.
//!
//! Colours are of viridis, which grey print and every kind of colour vision tell apart; where lines
//! cross, marks and dashes tell them apart as well. Everything is on white, axes begin at zero
//! unless they are logarithmic and say so.

mod goodput;
mod heatmap;
mod latency;
mod scale;
mod svg;
mod timeline;
mod tools;

use crate::bench::conclude::results::Results;

/// One plot.
pub(super) struct Plot {
    /// Its file name.
    pub(super) file: &'static str,
    /// What it shows, in one line.
    pub(super) title: String,
    /// The SVG document.
    pub(super) svg: String,
}

/// Every plot these results have the figures for.
pub(super) fn all(results: &Results) -> Vec<Plot> {
    let plots = [
        heatmap::plot(results),
        goodput::plot(results),
        tools::plot(results),
        latency::plot(results),
        timeline::plot(results),
    ];
    plots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
