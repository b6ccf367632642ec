//! `raw.csv`: every run, as RFC 4180 wants it. A column keeps its name and place; new ones are
//! added at the end.

use crate::bench::measure::peer::Peer;
use crate::bench::measure::record::Record;

const HEADINGS: &str = "at_seconds,round,setting,tool,chunk_bytes,connections,bytes,wall_seconds,\
                        user_seconds,system_seconds,voluntary_switches,involuntary_switches,\
                        peak_memory_bytes,first_byte_p50_ms,first_byte_p90_ms,first_byte_p99_ms,\
                        first_byte_max_ms,span_p50_ms,span_p90_ms,span_p99_ms,span_max_ms,spans,\
                        pushed_back,retransmits,out_of_order,failure,verdict,files\n";

/// All runs.
pub(super) fn csv(records: &[Record]) -> String {
    let mut text = HEADINGS.to_owned();
    for record in records {
        text += &fields(record).join(",");
        text.push('\n');
    }
    text
}

fn fields(record: &Record) -> Vec<String> {
    let usage = &record.usage;
    let traced = record.traced.as_ref();
    let tool = record.entry.peer().map_or("ringhaul", Peer::name);
    let mut fields = vec![
        format!("{:.3}", record.at.as_secs_f64()),
        record.round.to_string(),
        quoted(&record.entry.to_string()),
        tool.to_owned(),
        maybe(record.entry.chunk_bytes()),
        maybe(record.entry.connections()),
        record.bytes.to_string(),
        format!("{:.6}", usage.wall.as_secs_f64()),
        format!("{:.6}", usage.user.as_secs_f64()),
        format!("{:.6}", usage.system.as_secs_f64()),
        usage.voluntary_switches.to_string(),
        usage.involuntary_switches.to_string(),
        maybe(usage.peak_memory_bytes),
    ];
    for latencies in [traced.and_then(|run| run.first_byte), traced.and_then(|run| run.span)] {
        let values = latencies.map(|p| [p.p50, p.p90, p.p99, p.max]);
        let values = values.map(|values| values.map(|value| format!("{value:.3}")));
        fields.extend(values.unwrap_or_default());
    }
    fields.extend([
        maybe(traced.map(|run| run.spans)),
        maybe(traced.map(|run| run.pushed_back)),
        maybe(traced.map(|run| run.retransmits)),
        maybe(traced.map(|run| run.out_of_order)),
        quoted(record.failure.as_deref().unwrap_or_default()),
        quoted(traced.map_or("", |run| &run.verdict)),
        record.files.to_string(),
    ]);
    fields
}

/// Empty for what there is not.
fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// In quotes where the text needs them.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}
