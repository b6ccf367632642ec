//! What one run came to, and what its trace tells: latencies, losses, push-back, the verdict.
//!
//! Owns the reading of the trace, whose lines are the engine's. Unknown lines are passed over: a
//! trace is a by-product, and a run without one still counts.

use super::entry::Entry;
use crate::base::size::GIB;
use crate::engine::trace::{Line, SpanLine, TcpLine};
use crate::io::child::Usage;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest latency told apart: an hour, in microseconds.
const LATENCY_US_MAX: u64 = 3_600_000_000;
/// Two digits: a percent of a latency is less than what repeats.
const LATENCY_DIGITS: u8 = 2;

/// Samples that have to be beyond a percentile for it to be shown.
pub(in crate::bench) const SAMPLES_BEYOND_MIN: u64 = 10;

/// One run.
#[derive(Debug, Clone)]
pub struct Record {
    /// What was measured.
    pub entry: Entry,
    /// Which round, from 1.
    pub round: u32,
    /// When it began, since the first run.
    pub at: Duration,
    /// Bytes of the file, or of all files of the list.
    pub bytes: u64,
    /// How many files these are.
    pub files: u64,
    /// What it cost.
    pub usage: Usage,
    /// Why it gave no file, in one line.
    pub failure: Option<String>,
    /// What the trace told; `None` of other tools and where there was none.
    pub traced: Option<Traced>,
}

/// What is known from the inside of a run.
#[derive(Debug, Clone, Default)]
pub struct Traced {
    /// Spans that were asked for.
    pub spans: usize,
    /// From request to first byte; waiting behind the answer before it counts.
    pub first_byte: Option<Percentiles>,
    /// From request to last byte of whole spans.
    pub span: Option<Percentiles>,
    /// Answers 429 and 503.
    pub pushed_back: u32,
    /// Segments that this machine sent again.
    pub retransmits: u64,
    /// Segments received out of order: the sender's losses as seen from here.
    pub out_of_order: u64,
    /// What limited the transfer, in the engine's words; empty if it did not say.
    pub verdict: String,
}

/// What is too much for the record of a run: its latencies, to be added up, and its spans.
#[derive(Debug, Clone)]
pub struct Detail {
    /// From request to first byte, in microseconds.
    pub first_byte: Histogram<u64>,
    /// From request to last byte of whole spans, in microseconds.
    pub span: Histogram<u64>,
    /// The spans, in the order they ended.
    pub spans: Vec<SpanTimes>,
}

/// The life of one span on one connection, in seconds since the run began.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanTimes {
    /// Which connection.
    pub connection: u32,
    /// The URL of its source; empty where there is only one.
    pub source: String,
    /// When it was asked for.
    pub requested: f64,
    /// When its first byte came.
    pub first_byte: Option<f64>,
    /// When its last byte came, or it ended without.
    pub ended: f64,
    /// How it ended.
    pub outcome: SpanOutcome,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanOutcome {
    /// All of what was asked for, or up to where another connection had taken over.
    Received,
    /// Given up, because another connection was faster or it was too slow.
    Aborted,
    /// Failed, to be asked for again.
    Failed,
}

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// One in ten is slower.
    pub p90: f64,
    /// One in a hundred is slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Record {
    /// Bytes of the file per second, from the program's start to its end; `None` of a failed run.
    pub fn goodput(&self) -> Option<f64> {
        let seconds = self.usage.wall.as_secs_f64().max(1e-9);
        self.failure.is_none().then(|| self.bytes as f64 / seconds)
    }

    /// Files per second; `None` of a failed run.
    pub fn files_per_second(&self) -> Option<f64> {
        let seconds = self.usage.wall.as_secs_f64().max(1e-9);
        self.failure.is_none().then(|| self.files as f64 / seconds)
    }

    /// Processor time, user and system together.
    pub fn cpu(&self) -> Duration {
        self.usage.user + self.usage.system
    }

    /// CPU seconds per GiB; `None` of a failed run.
    pub fn cpu_seconds_per_gib(&self) -> Option<f64> {
        self.per_gib(self.cpu().as_secs_f64())
    }

    /// Context switches of both kinds per GiB; `None` of a failed run.
    pub fn switches_per_gib(&self) -> Option<f64> {
        let usage = &self.usage;
        self.per_gib((usage.voluntary_switches + usage.involuntary_switches) as f64)
    }

    fn per_gib(&self, value: f64) -> Option<f64> {
        let whole = self.failure.is_none() && self.bytes > 0;
        whole.then(|| value * GIB as f64 / self.bytes as f64)
    }
}

impl Percentiles {
    /// Samples beyond the 50th, 90th and 99th percentile.
    pub fn counts_beyond(&self) -> [u64; 3] {
        [self.count / 2, self.count / 10, self.count / 100]
    }

    /// The 50th, 90th and 99th percentile, as far as ten samples are beyond:
    /// with fewer the next run may well give another value.
    pub fn known(&self) -> [Option<f64>; 3] {
        let values = [self.p50, self.p90, self.p99].into_iter().zip(self.counts_beyond());
        let mut known =
            values.map(|(value, beyond)| (beyond >= SAMPLES_BEYOND_MIN).then_some(value));
        std::array::from_fn(|_| known.next().flatten())
    }

    /// Of a histogram in microseconds; `None` if it is empty.
    pub fn of(latencies: &Histogram<u64>) -> Option<Self> {
        let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        (!latencies.is_empty()).then(|| Self {
            count: latencies.len(),
            p50: ms(0.5),
            p90: ms(0.9),
            p99: ms(0.99),
            max: latencies.max() as f64 / 1e3,
        })
    }
}

impl Default for Detail {
    fn default() -> Self {
        Self { first_byte: histogram(), span: histogram(), spans: Vec::new() }
    }
}

impl Detail {}

/// An empty histogram of latencies in microseconds; all have the same bounds.
pub(in crate::bench) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).expect("bounds in order")
}

impl Traced {
    /// Reads a trace.
    pub fn read(text: &str) -> (Self, Detail) {
        let (mut traced, mut detail) = (Self::default(), Detail::default());
        // The kernel counts for the life of a connection: its last word is the sum.
        let mut losses: BTreeMap<u32, TcpLine> = BTreeMap::new();
        for line in text.lines() {
            match serde_json::from_str::<Line>(line) {
                Ok(Line::Span(span)) => {
                    traced.pushed_back += u32::from(is_push_back(&span));
                    detail.note(&span);
                    if let Some(tcp) = span.tcp {
                        losses.insert(span.connection, tcp);
                    }
                }
                Ok(Line::End { limiter, .. }) => traced.verdict = limiter,
                Ok(Line::Begin { .. } | Line::Decision { .. }) | Err(_) => {}
            }
        }
        traced.retransmits = losses.values().map(|tcp| u64::from(tcp.retransmits)).sum();
        traced.out_of_order = losses.values().map(|tcp| u64::from(tcp.out_of_order)).sum();
        traced.spans = detail.spans.len();
        traced.first_byte = Percentiles::of(&detail.first_byte);
        traced.span = Percentiles::of(&detail.span);
        (traced, detail)
    }
}

fn outcome(span: &SpanLine) -> SpanOutcome {
    match span.outcome.as_str() {
        "ok" | "cut" => SpanOutcome::Received,
        "aborted" => SpanOutcome::Aborted,
        _ => SpanOutcome::Failed,
    }
}

fn is_push_back(span: &SpanLine) -> bool {
    let refusals = ["answered 429", "answered 503"];
    let refused = refusals.iter().any(|refusal| span.outcome.contains(refusal));
    refused && outcome(span) == SpanOutcome::Failed
}

impl Detail {
    fn note(&mut self, line: &SpanLine) {
        let outcome = outcome(line);
        let (Some(requested), Some(ended)) = (line.requested, line.last_byte) else { return };
        if let Some(first_byte) = line.first_byte {
            self.first_byte.saturating_record(micros(first_byte - requested));
        }
        // A span that was cut was shorter than its kind.
        if line.outcome == "ok" {
            self.span.saturating_record(micros(ended - requested));
        }
        self.spans.push(SpanTimes {
            connection: line.connection,
            source: line.source.clone(),
            requested,
            first_byte: line.first_byte,
            ended,
            outcome,
        });
    }
}

/// At least one: the histogram has no zero.
fn micros(seconds: f64) -> u64 {
    let micros = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_micros();
    u64::try_from(micros).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
pub(in crate::bench) mod tests {
    use super::*;

    /// A run of a 1 GiB file that took `seconds`.
    pub(in crate::bench) fn record(entry: Entry, round: u32, seconds: f64) -> Record {
        let wall = Duration::from_secs_f64(seconds);
        let usage = Usage {
            wall,
            user: wall / 4,
            system: wall / 4,
            voluntary_switches: 100,
            involuntary_switches: 11,
            peak_memory_bytes: Some(40 << 20),
        };
        let at = wall * round;
        Record { entry, round, at, bytes: GIB, files: 1, usage, failure: None, traced: None }
    }

    /// Lines as the engine writes them.
    pub(in crate::bench) const TRACE: &str = concat!(
        r#"{"event":"begin","url":"http://h/f","bytes":30,"addresses":1,"engine":"epoll"}"#,
        "\n",
        r#"{"event":"span","connection":0,"address":"127.0.0.1:1","start":0,"end":10,"#,
        r#""bytes":10,"ahead":false,"hedge":false,"requested":0.001,"first_byte":0.003,"#,
        r#""last_byte":0.011,"written":0.012,"outcome":"ok","tcp":{"rtt_us":30,"#,
        r#""receiver_rtt_us":40,"receive_space_bytes":1,"send_window_segments":10,"#,
        r#""retransmits":1,"out_of_order":2}}"#,
        "\n",
        r#"{"event":"span","connection":1,"address":"127.0.0.1:1","start":10,"end":10,"#,
        r#""bytes":0,"ahead":false,"hedge":false,"requested":0.002,"first_byte":null,"#,
        r#""last_byte":0.004,"written":null,"outcome":"the server answered 503 (server side); "#,
        r#"wait","tcp":null}"#,
        "\n",
        r#"{"event":"decision","at":0.5,"what":"cap","text":"at most 1"}"#,
        "\nno json\n",
        r#"{"event":"end","at":0.02,"bytes":30,"outcome":"ok","limiter":"path: full"}"#,
        "\n",
    );

    #[test]
    fn a_trace_becomes_latencies_losses_and_a_verdict() {
        let (traced, detail) = Traced::read(TRACE);
        assert_eq!((traced.spans, traced.pushed_back), (2, 1));
        assert_eq!((traced.retransmits, traced.out_of_order), (1, 2));
        assert_eq!(traced.verdict, "path: full");
        let first = traced.first_byte.unwrap();
        assert!((1.98..=2.02).contains(&first.p50) && first.count == 1, "{first:?}");
        let span = traced.span.unwrap();
        assert!((9.9..=10.1).contains(&span.max), "{span:?}");
        assert_eq!(detail.spans[1].outcome, SpanOutcome::Failed);
        assert_eq!(Percentiles::of(&histogram()), None);
    }

    #[test]
    fn percentiles_without_ten_samples_beyond_are_not_known() {
        let of = |count| Percentiles { count, p50: 1.0, p90: 2.0, p99: 3.0, max: 4.0 };
        assert_eq!(of(19).known(), [None, None, None]);
        assert_eq!(of(20).known(), [Some(1.0), None, None]);
        assert_eq!(of(100).known(), [Some(1.0), Some(2.0), None]);
        assert_eq!(of(999).known(), [Some(1.0), Some(2.0), None]);
        assert_eq!(of(1000).known(), [Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(of(1000).counts_beyond(), [500, 100, 10]);
    }

    #[test]
    fn rates_are_those_of_good_bytes() {
        let mut run = record(Entry::Auto, 1, 2.0);
        assert_eq!(run.goodput(), Some(GIB as f64 / 2.0));
        assert_eq!(run.cpu_seconds_per_gib(), Some(1.0));
        assert_eq!(run.switches_per_gib(), Some(111.0));
        run.failure = Some("no".into());
        assert_eq!((run.goodput(), run.cpu_seconds_per_gib()), (None, None));
    }
}
