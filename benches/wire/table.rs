//! Medians, markdown and CSV.

use super::run::{Sample, Setting, short_size};
use std::fmt::Write as _;

/// Median goodput of a setting among `samples`, in bytes per second. `None` if most runs failed:
/// a failed run is slower than any other.
pub(crate) fn median_rate(samples: &[&Sample], setting: Setting) -> Option<f64> {
    let of_it = samples.iter().filter(|sample| sample.setting == setting);
    let rates: Vec<f64> = of_it.map(|sample| sample.rate().unwrap_or(0.0)).collect();
    median(rates).filter(|rate| *rate > 0.0)
}

/// The middle, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

/// Goodput in MB/s for each cell of the grid; a failed one is a dash.
pub(crate) fn grid(samples: &[&Sample], chunks: &[u64], connections: &[u32]) -> String {
    let mut table = String::from("| chunk \\ connections |");
    for count in connections {
        push(&mut table, format_args!(" {count} |"));
    }
    push(&mut table, format_args!("\n|---|{}\n", "--:|".repeat(connections.len())));
    for &chunk in chunks {
        push(&mut table, format_args!("| {} |", short_size(chunk)));
        for &count in connections {
            let rate = median_rate(samples, Setting::cell(chunk, count));
            push(&mut table, format_args!(" {} |", megabytes(rate)));
        }
        table.push('\n');
    }
    table
}

/// `123.4`, or a dash for what failed.
pub(crate) fn megabytes(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", rate / 1e6))
}

/// `0.973`, or a dash where one side is missing.
pub(crate) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// Whether a target is met; `None` is no target.
pub(crate) fn met(is_met: Option<bool>) -> &'static str {
    match is_met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "-",
    }
}

/// Every run, one line each.
pub(crate) fn csv(samples: &[Sample]) -> String {
    let mut text = String::from(
        "path,part,round,chunk_bytes,connections,request_ahead,size_bytes,seconds,mb_per_second,\
         cpu_seconds,connections_peak,connects,requests,requests_refused,connections_refused,\
         sent_bytes,retries,error\n",
    );
    for sample in samples {
        let setting = sample.setting;
        let or_auto = |value: Option<u64>| value.map_or("auto".to_owned(), |v| v.to_string());
        push(
            &mut text,
            format_args!(
                "{},{},{},{},{},{},{},",
                sample.path,
                sample.part,
                sample.round,
                or_auto(setting.chunk_bytes),
                or_auto(setting.connections.map(u64::from)),
                setting.request_ahead,
                sample.size_bytes
            ),
        );
        let (seconds, cpu, retries, error) = match &sample.outcome {
            Ok(report) => (
                format!("{:.4}", report.elapsed.as_secs_f64()),
                format!("{:.3}", report.cpu.as_secs_f64()),
                report.retries.to_string(),
                String::new(),
            ),
            // Quoted as RFC 4180 wants it: advice has commas.
            Err(error) => {
                let quoted = format!("\"{}\"", error.replace('"', "\"\""));
                (String::new(), String::new(), String::new(), quoted)
            }
        };
        let server = &sample.server;
        let rate = sample.rate().map_or(String::new(), |rate| format!("{:.2}", rate / 1e6));
        push(
            &mut text,
            format_args!(
                "{seconds},{rate},{cpu},{},{},{},{},{},{},{retries},{error}\n",
                server.connections_peak,
                server.connections,
                server.requests,
                server.requests_refused,
                server.connections_refused,
                server.body_bytes,
            ),
        );
    }
    text
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes everything");
}
