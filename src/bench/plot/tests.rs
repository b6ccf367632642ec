//! Plots are well-formed, have their words, and keep within their sheet.

use super::*;
use crate::bench::conclude::results::tests::results;
use crate::bench::measure::entry::Entry;
use crate::bench::measure::peer::Peer;

/// Every element of the document, with its attributes; panics where it is not well-formed.
fn elements(svg: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        let ends = ["&amp;", "&lt;", "&gt;", "&quot;"];
        let ampersands = text.match_indices('&').map(|(at, _)| &text[at..]);
        assert!(
            !text.contains('>')
                && ampersands.into_iter().all(|t| ends.iter().any(|e| t.starts_with(e)))
        );
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order");
            continue;
        }
        let inner = tag.strip_suffix('/');
        let (name, attributes) = inner.unwrap_or(tag).split_once(' ').unwrap_or((tag, ""));
        let mut values = attributes.split('"');
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            let key = key.trim().strip_suffix('=').expect("name=value");
            pairs.push((key.to_owned(), value.to_owned()));
        }
        if inner.is_none() {
            open.push(name.to_owned());
        }
        found.push((name.to_owned(), pairs));
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
    found
}

fn number(attributes: &[(String, String)], name: &str) -> Option<f64> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.parse().unwrap())
}

#[test]
fn plots_are_well_formed_and_stay_on_their_sheet() {
    let plots = all(&results());
    let files: Vec<&str> = plots.iter().map(|plot| plot.file).collect();
    assert_eq!(files, ["heatmap.svg", "goodput.svg", "latency.svg", "timeline.svg"]);
    for plot in plots {
        let elements = elements(&plot.svg);
        let (name, sheet) = &elements[0];
        assert_eq!(name, "svg");
        let [width, height] = ["width", "height"].map(|name| number(sheet, name).unwrap());
        for (name, attributes) in &elements[1..] {
            for (place, size, end) in [("x", "width", width), ("y", "height", height)] {
                let from = number(attributes, place).unwrap_or(0.0);
                let to = from + number(attributes, size).unwrap_or(0.0);
                let inside = from >= 0.0 && to <= end + 0.5;
                assert!(inside, "{}: {name} {attributes:?}", plot.file);
            }
        }
        let count = |what: &str| elements.iter().filter(|(name, _)| name == what).count();
        assert!(count("text") > 8 && count("rect") + count("polyline") > 4, "{}", plot.file);
    }
}

#[test]
fn the_sizes_of_known_plots_do_not_change_unseen() {
    let sizes: Vec<usize> = all(&results()).iter().map(|plot| plot.svg.lines().count()).collect();
    assert_eq!(sizes, [77, 46, 73, 35], "look at the plots, then change these numbers");
}

#[test]
fn every_plot_names_its_conditions() {
    let mut results = results();
    let line = "HTTP, 1.00 GiB, sink auto, 6 runs of each, intervals at 95 %";
    for plot in all(&results) {
        assert!(plot.svg.contains(line), "{}", plot.file);
    }
    results.rows[1].entry = Entry::Peer(Peer::Curl, 1);
    assert!(tools::plot(&results).unwrap().svg.contains(line));
    results.rows.iter_mut().filter_map(|row| row.goodput.as_mut()).for_each(|g| g.interval = None);
    assert!(all(&results)[0].svg.contains("6 runs of each, too few for intervals at 95 %"));
}

#[test]
fn the_latency_plot_counts_samples_and_omits_what_they_do_not_carry() {
    let mut results = results();
    let marks = |results: &Results| {
        let svg = latency::plot(results).unwrap().svg;
        // One circle is the legend's.
        (svg.contains(">6; 0, 0<"), svg.matches("<circle").count() - 1)
    };
    // Six samples per row: no median is shown, the slowest is.
    assert_eq!(marks(&results), (true, 0));
    let percentiles = results.rows[0].first_byte_ms.as_mut().unwrap();
    percentiles.count = 1000;
    assert_eq!(marks(&results), (true, 1));
    assert!(latency::plot(&results).unwrap().svg.contains(">1000; 100, 10<"));
}

#[test]
fn tools_get_bars_and_a_grid_none() {
    let mut results = results();
    assert!(tools::plot(&results).is_none());
    results.rows.truncate(2);
    results.rows[1].entry = Entry::Peer(Peer::Curl, 1);
    assert!(heatmap::plot(&results).is_none() && goodput::plot(&results).is_none());
    let plot = tools::plot(&results).unwrap();
    elements(&plot.svg);
    assert!(plot.svg.contains("processor seconds per GiB"));
}

#[test]
fn results_without_runs_have_no_plots() {
    let mut results = results();
    results.rows.clear();
    results.verdict = crate::bench::conclude::statistics::Verdict::Nothing;
    assert!(all(&results).is_empty());
}

#[test]
fn the_timeline_names_the_sources_where_there_are_several() {
    let mut results = results();
    let row = results.rows.iter_mut().find(|row| !row.spans.is_empty()).expect("a traced row");
    let timeline = |results: &Results| {
        let plots = all(results);
        plots.into_iter().find(|plot| plot.file == "timeline.svg").expect("a timeline").svg
    };
    for (number, span) in row.spans.iter_mut().enumerate() {
        span.source = format!("http://mirror-{}/file", number % 2);
    }
    let svg = timeline(&results);
    elements(&svg);
    assert!(svg.contains("http://mirror-0/file") && svg.contains("http://mirror-1/file"), "{svg}");
}
