//! A download with its trace, read back and held against everything that has to be true of every
//! trace.

use super::common::{Run, SEED, Site, scratch};
use ringhaul::Options;
use ringhaul::Report;
use ringhaul::internal::base::span::{Span, SpanSet};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::Path;

/// Every line there is, with every field that is documented and no other.
#[derive(Deserialize, Debug)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Begin { url: String, bytes: u64, addresses: u32, engine: String },
    Span(SpanLine),
    Decision { at: f64, what: String, text: String },
    End { at: f64, bytes: u64, outcome: String, limiter: String },
}

/// A line of a span.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "that a field is there and has its type is checked by reading it")]
pub(crate) struct SpanLine {
    pub(crate) connection: u32,
    pub(crate) address: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) bytes: u64,
    pub(crate) ahead: bool,
    pub(crate) hedge: bool,
    pub(crate) requested: Option<f64>,
    pub(crate) first_byte: Option<f64>,
    pub(crate) last_byte: Option<f64>,
    pub(crate) written: Option<f64>,
    pub(crate) outcome: String,
    pub(crate) tcp: Option<TcpLine>,
}

/// What the kernel knew.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "that a field is there and has its type is checked by reading it")]
pub(crate) struct TcpLine {
    rtt_us: u32,
    receiver_rtt_us: u32,
    receive_space_bytes: u32,
    send_window_segments: u32,
    retransmits: u32,
    out_of_order: u32,
}

/// A line of a decision.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) at: f64,
    pub(crate) what: String,
    pub(crate) text: String,
}

/// A trace whose lines are in order and add up to the file.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) addresses: u32,
    pub(crate) engine: String,
    pub(crate) spans: Vec<SpanLine>,
    pub(crate) decisions: Vec<Decision>,
    /// Seconds until the file stood under its name.
    pub(crate) ended_at: f64,
    pub(crate) limiter: String,
}

/// A download that came through, and its trace.
pub(crate) struct Traced {
    pub(crate) run: Run,
    pub(crate) trace: Trace,
}

impl Traced {
    pub(crate) fn report(&self) -> &Report {
        self.run.result.as_ref().expect("a traced download has come through")
    }
}

/// Downloads the site's file of `size_bytes`; file and trace are right.
#[track_caller]
pub(crate) fn fetch_traced(site: &Site, options: Options, size_bytes: u64) -> Traced {
    let folder = scratch();
    let path = folder.path().join("trace.jsonl");
    let run = site.fetch("/f", Options { trace: Some(path.clone()), ..options });
    let report = run.expect_file(SEED, size_bytes);
    let trace = Trace::read(&path, size_bytes);
    assert_eq!(trace.engine, report.engine.to_string());
    assert_eq!(Some(&trace.limiter), report.limiter.as_ref(), "the verdict is in the trace");
    Traced { run, trace }
}

impl Trace {
    /// Reads the trace of a file of `size_bytes` that was downloaded in spans.
    #[track_caller]
    pub(crate) fn read(path: &Path, size_bytes: u64) -> Self {
        let text = std::fs::read_to_string(path).expect("the trace is there");
        let read =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let mut lines: Vec<Line> = text.lines().map(read).collect();
        let Line::Begin { url, bytes, addresses, engine } = lines.remove(0) else {
            panic!("the first line is no beginning: {text}");
        };
        assert!(url.starts_with("http") && addresses > 0, "{url} {addresses}");
        assert_eq!(bytes, size_bytes);
        let Some(Line::End { at: ended_at, bytes, outcome, limiter }) = lines.pop() else {
            panic!("the last line is no end: {text}");
        };
        assert_eq!((bytes, &*outcome), (size_bytes, "ok"));
        let (spans, decisions) = (Vec::new(), Vec::new());
        let mut trace = Self { addresses, engine, spans, decisions, ended_at, limiter };
        for line in lines {
            match line {
                Line::Span(span) => trace.spans.push(span),
                Line::Decision { at, what, text } => {
                    trace.decisions.push(Decision { at, what, text });
                }
                Line::Begin { .. } | Line::End { .. } => panic!("in the middle: {line:?}"),
            }
        }
        trace.check(size_bytes);
        trace
    }

    /// Decisions about `what`.
    pub(crate) fn about(&self, what: &str) -> Vec<&Decision> {
        self.decisions.iter().filter(|decision| decision.what == what).collect()
    }

    #[track_caller]
    fn check(&self, size_bytes: u64) {
        let mut covered = SpanSet::new();
        for span in &self.spans {
            span.check(self.ended_at);
            covered.insert(Span::new(span.start, span.end));
        }
        let sum: u64 = self.spans.iter().map(|span| span.bytes).sum();
        assert_eq!(sum, size_bytes, "the bytes of the spans add up: {:#?}", self.spans);
        assert_eq!(covered.first_gap(Span::new(0, size_bytes)), None, "spans cover the file");
        for decision in &self.decisions {
            assert!(WHATS.contains(&&*decision.what), "{decision:?}");
            assert!((0.0..=self.ended_at).contains(&decision.at), "{decision:?}");
            assert!(!decision.text.is_empty() && !decision.text.contains('\n'), "{decision:?}");
        }
        assert!(self.decisions.is_sorted_by_key(|decision| decision.at), "{:?}", self.decisions);
    }
}

impl SpanLine {
    #[track_caller]
    fn check(&self, ended_at: f64) {
        let times = [self.requested, self.first_byte, self.last_byte, self.written];
        let times: Vec<f64> = times.into_iter().flatten().chain([ended_at]).collect();
        assert!(times.is_sorted() && times[0] >= 0.0, "times in order: {self:?}");
        assert!(self.bytes <= self.end - self.start, "{self:?}");
        assert!(!self.outcome.is_empty(), "{self:?}");
        assert_eq!(self.written.is_some(), self.bytes > 0, "{self:?}");
        if self.bytes > 0 {
            let all = [self.requested, self.first_byte, self.last_byte];
            assert!(all.iter().all(Option::is_some), "{self:?}");
        }
        if self.first_byte.is_some() {
            assert!(self.address.parse::<SocketAddr>().is_ok(), "{self:?}");
            assert!(self.tcp.is_some(), "{self:?}");
        }
    }
}

/// What decisions can be about.
const WHATS: [&str; 10] = [
    "request size",
    "connections",
    "request ahead off",
    "replace",
    "cut",
    "hedge",
    "take back",
    "cap",
    "collapse",
    "address",
];
