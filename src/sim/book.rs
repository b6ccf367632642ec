//! What a run has done so far, and whether that was legal. Owns the counts, the bytes delivered and
//! the safety checks; panics where the plan breaks its contract. Must not know how anything is
//! decided.

use crate::base::span::{Span, SpanSet};
use crate::plan::{Settings, SourceId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Questions one worker may ask in vain at one instant: a refused steal or two, and a last answer.
const VAIN_QUESTIONS_MAX: u32 = 8;

/// The independent account of a run.
#[derive(Debug)]
pub(super) struct Book {
    /// All bytes of the file.
    file: Span,
    align_bytes: u64,
    /// The plan's bound, in bytes, on how far beyond the oldest missing byte spans are assigned.
    ahead_bytes_max: Option<u64>,
    /// The end of the span that was requested before there was a plan, and so without a bound.
    adopted_to: u64,
    delivered: SpanSet,
    /// Bytes that came in vain: fetched twice, or lost with a connection.
    pub(super) wasted_bytes: u64,
    /// Requests sent.
    pub(super) requests: u64,
    /// Refused connects, and answers that say that there are too many connections.
    pub(super) push_backs: u64,
    /// Questions to the plan of what to do next.
    pub(super) questions: u64,
    /// Spans cut for another worker.
    pub(super) cuts: u64,
    /// Connections closed since the plan wanted it.
    pub(super) replaced: u64,
    /// Longest silence of a connection whose answer ran, in seconds.
    pub(super) silence_s: f64,
    /// Longest time without a packet of such a connection, in seconds.
    pub(super) no_packet_s: f64,
    /// Integral of open connections over time, in seconds.
    connection_s: f64,
    /// Time that has passed, in seconds.
    busy_s: f64,
    /// For each worker the last instant at which it asked in vain, in seconds, and how often then.
    vain: Vec<(f64, u32)>,
    /// Sources that were found to be of no use.
    useless: BTreeSet<SourceId>,
}

impl Book {
    pub(super) fn new(file_bytes: u64, settings: &Settings, workers: usize) -> Self {
        Self {
            file: Span::new(0, file_bytes),
            align_bytes: settings.align_bytes,
            ahead_bytes_max: settings.ahead_bytes_max,
            adopted_to: 0,
            delivered: SpanSet::new(),
            wasted_bytes: 0,
            requests: 0,
            push_backs: 0,
            questions: 0,
            cuts: 0,
            replaced: 0,
            silence_s: 0.0,
            no_packet_s: 0.0,
            connection_s: 0.0,
            busy_s: 0.0,
            vain: vec![(0.0, 0); workers],
            useless: BTreeSet::new(),
        }
    }

    /// The first span, of the first `bytes`, was requested before there was a plan.
    pub(super) fn adopted(&mut self, bytes: u64) {
        self.adopted_to = bytes;
    }

    /// A span was handed out to be fetched: of the file, aligned, not too far ahead, and with
    /// nothing in it that is there already.
    pub(super) fn handed_out(&self, span: Span, is_hedge: bool) {
        assert!(!span.is_empty() && self.file.covers(span), "{span} is not of the file");
        let is_aligned = |at: u64| at.is_multiple_of(self.align_bytes) || at == self.file.end();
        assert!(is_aligned(span.start()) && is_aligned(span.end()), "{span} is not aligned");
        assert!(span.end() <= self.assignable_to(), "{span} is too far ahead");
        let gap = self.delivered.first_gap(span);
        assert!(is_hedge || gap == Some(span), "{span} is handed out though it is delivered");
    }

    fn assignable_to(&self) -> u64 {
        let oldest = self.delivered.first_gap(self.file).map_or(self.file.end(), Span::start);
        let bytes_max = self.ahead_bytes_max.map_or(u64::MAX, |bytes| bytes.max(self.align_bytes));
        oldest.saturating_add(bytes_max).max(self.adopted_to)
    }

    /// Some worker delivered `span`; the plan says `new_bytes` of it were new.
    pub(super) fn delivered(&mut self, span: Span, new_bytes: u64) {
        let new_here = self.delivered.insert(span);
        assert_eq!(new_bytes, new_here, "{span} counts once");
        self.wasted_bytes += span.len() - new_here;
    }

    pub(super) fn all_delivered(&self) -> bool {
        self.delivered.covers(self.file)
    }

    /// `worker` asked what to do and got nothing, before the time `until` or another event.
    pub(super) fn asked_in_vain(&mut self, now_s: f64, worker: usize, until: Option<Duration>) {
        if let Some(until) = until {
            let now = Duration::from_secs_f64(now_s);
            assert!(until > now, "worker {worker} is to wait until {until:?}, it is {now:?}");
        }
        let (at_s, count) = &mut self.vain[worker];
        *count = if *at_s == now_s { *count + 1 } else { 1 };
        *at_s = now_s;
        assert!(*count <= VAIN_QUESTIONS_MAX, "worker {worker} asks and asks at {now_s} s");
    }

    /// A look at the source has shown that it cannot be used, be that for good.
    pub(super) fn left_out(&mut self, source: SourceId, for_good: bool) {
        assert!(!self.useless.contains(&source), "{source} is looked at though it is of no use");
        if for_good {
            self.useless.insert(source);
        }
    }

    /// A connection is sent to the source.
    pub(super) fn routed(&self, source: SourceId) {
        assert!(!self.useless.contains(&source), "{source} is asked though it is of no use");
    }

    /// A connection whose answer runs has had nothing for the client for `silence_s`, and no packet
    /// for `no_packet_s`.
    pub(super) fn silent(&mut self, silence_s: f64, no_packet_s: f64) {
        self.silence_s = self.silence_s.max(silence_s);
        self.no_packet_s = self.no_packet_s.max(no_packet_s.min(silence_s));
    }

    pub(super) fn passed(&mut self, dt_s: f64, connections: usize) {
        self.connection_s += dt_s * connections as f64;
        self.busy_s += dt_s;
    }

    /// Connections open, averaged over time.
    pub(super) fn connections_mean(&self) -> f64 {
        if self.busy_s > 0.0 { self.connection_s / self.busy_s } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let settings =
            Settings { align_bytes: 4, ahead_bytes_max: Some(60), ..Settings::default() };
        Book::new(100, &settings, 1)
    }

    #[test]
    fn a_byte_counts_once() {
        let mut book = book();
        book.delivered(Span::new(0, 60), 60);
        book.delivered(Span::new(40, 100), 40);
        assert_eq!(book.wasted_bytes, 20);
        assert!(book.all_delivered());
    }

    #[test]
    #[should_panic(expected = "counts once")]
    fn a_plan_that_counts_twice_is_found() {
        let mut book = book();
        book.delivered(Span::new(0, 60), 60);
        book.delivered(Span::new(40, 100), 60);
    }

    #[test]
    #[should_panic(expected = "8..64 is too far ahead")]
    fn a_plan_that_assigns_beyond_its_bound_is_found() {
        let book = book();
        book.handed_out(Span::new(0, 60), false);
        book.handed_out(Span::new(8, 64), false);
    }

    #[test]
    #[should_panic(expected = "asks and asks")]
    fn a_busy_loop_is_found() {
        let mut book = book();
        (0..9).for_each(|_| book.asked_in_vain(1.0, 0, None));
    }
}
