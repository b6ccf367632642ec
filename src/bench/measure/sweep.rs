//! The order of runs and what is left out of later rounds. Knows how to measure an entry only
//! through a trait, so that it can be tried without a network.
//!
//! Each round measures every entry once, in an order of its own. An entry is
//! * alive: measured in every round;
//! * hopeless: after the first round more than [`HOPELESS_FACTOR`] times slower than the best; the
//!   single stream, which the others are held against, is measured three times;
//! * pushed back: it has more connections than one to which the server said 429 or 503;
//! * failing: its first run gave no file.

use super::entry::Entry;
use super::record::{self, Detail, Record, SpanTimes};
use crate::base::Result;
use crate::base::rng::Rng;
use hdrhistogram::Histogram;
use std::time::Duration;

/// An entry slower than the best by more than this factor after one round is not measured again.
pub(in crate::bench) const HOPELESS_FACTOR: f64 = 3.0;
/// Longest time of a run, as a multiple of the best run before it.
const TIME_FACTOR: u32 = 20;
/// The same for other tools, which are measured however slow they are; it ends one that hangs.
const TIME_FACTOR_OF_TOOLS: u32 = 100;
/// Time that every run is given at least: start-up and a cold server say nothing of the entry.
const TIME_MIN: Duration = Duration::from_secs(20);
/// Time that no run is given more than, also while there is no best one.
const TIME_MAX: Duration = Duration::from_secs(3600);
/// Pause after the server has pushed back, so that the next entry is not measured against it.
const REST: Duration = Duration::from_secs(1);

/// Runs of an entry whose spans are kept, the nearest to the median: a trace may be a megabyte.
const TRACES_MAX: usize = 8;

/// How an entry is measured.
pub(in crate::bench) trait Measure {
    /// One run; an `Err` ends the sweep. A run longer than `time_max` is stopped and a failure.
    fn measure(&mut self, entry: Entry, round: u32, time_max: Duration)
    -> Result<(Record, Detail)>;

    /// Leaves the server alone for a while.
    fn rest(&mut self, time: Duration);
}

/// An entry with all of its runs.
#[derive(Debug, Clone)]
pub struct Measured {
    /// What was measured.
    pub entry: Entry,
    /// Its runs, in order.
    pub records: Vec<Record>,
    /// From request to first byte, in microseconds, of all runs.
    pub first_byte: Histogram<u64>,
    /// From request to last byte of whole spans, in microseconds, of all runs.
    pub span: Histogram<u64>,
    /// Runs around the median, with their spans.
    traces: Vec<TracedRun>,
    /// Why it was not measured in every round.
    pub left_out: Option<String>,
}

/// A run that gave its file, and its trace.
#[derive(Debug, Clone)]
struct TracedRun {
    /// Bytes per second.
    goodput: f64,
    /// In the order they ended.
    spans: Vec<SpanTimes>,
}

impl Measured {
    pub(in crate::bench) fn new(entry: Entry) -> Self {
        let (first_byte, span) = (record::histogram(), record::histogram());
        let (records, traces) = (Vec::new(), Vec::new());
        Self { entry, records, first_byte, span, traces, left_out: None }
    }

    /// Adds a run.
    pub(in crate::bench) fn add(&mut self, record: Record, detail: Detail) {
        // All histograms have the same bounds, so nothing is out of range.
        let _ = self.first_byte.add(&detail.first_byte);
        let _ = self.span.add(&detail.span);
        let goodput = record.goodput().filter(|_| !detail.spans.is_empty());
        self.records.push(record);
        let Some(goodput) = goodput else { return };
        self.traces.push(TracedRun { goodput, spans: detail.spans });
        if self.traces.len() > TRACES_MAX {
            let median = self.median();
            let distance = |trace: &TracedRun| (trace.goodput - median).abs();
            let traces = self.traces.iter().enumerate();
            let farthest = traces.max_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
            self.traces.swap_remove(farthest.expect("there is more than one").0);
        }
    }

    /// The spans of the run whose goodput is nearest to the median of all; empty without a trace.
    pub(in crate::bench) fn spans_of_median_run(&self) -> &[SpanTimes] {
        let median = self.median();
        let distance = |trace: &&TracedRun| (trace.goodput - median).abs();
        let nearest = self.traces.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.map_or(&[], |trace| &trace.spans)
    }

    /// The median goodput so far, bytes per second.
    fn median(&self) -> f64 {
        let mut goodputs = self.goodputs();
        goodputs.sort_by(f64::total_cmp);
        let (below, above) = (goodputs.len().saturating_sub(1) / 2, goodputs.len() / 2);
        let at = |place: usize| goodputs.get(place).copied().unwrap_or_default();
        f64::midpoint(at(below), at(above))
    }

    /// Runs that are ahead of it, of `runs` in all.
    pub(in crate::bench) fn runs_left(&self, runs: usize) -> usize {
        if self.left_out.is_some() { 0 } else { runs.saturating_sub(self.records.len()) }
    }

    /// Measured in this round, or never to be.
    fn is_through(&self, round: u32) -> bool {
        self.left_out.is_some() || self.records.last().is_some_and(|run| run.round == round)
    }

    /// The goodput of the runs that gave a file.
    pub fn goodputs(&self) -> Vec<f64> {
        self.records.iter().filter_map(Record::goodput).collect()
    }
}

/// What a sweep is made of.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Sweep {
    pub(in crate::bench) rows: Vec<Measured>,
    runs: u32,
    rng: Rng,
    /// Indicates whether slow entries are given up; peers are measured however slow they are.
    gives_up: bool,
    /// Time from the first run's beginning to the latest run's end, with what lies between runs.
    elapsed: Duration,
}

impl Sweep {
    pub(in crate::bench) fn new(entries: Vec<Entry>, runs: u32, seed: u64, gives_up: bool) -> Self {
        let rows = entries.into_iter().map(Measured::new).collect();
        Self { rows, runs, rng: Rng::new(seed), gives_up, elapsed: Duration::ZERO }
    }

    /// Measures; `tell` hears of each row's new run, and of rows that are left out, when the rows
    /// are up to date.
    pub(in crate::bench) fn run(
        &mut self,
        measure: &mut impl Measure,
        mut tell: impl FnMut(&[Measured], Heard<'_>) -> Result<()>,
    ) -> Result<()> {
        for round in 1..=self.runs {
            let mut order: Vec<usize> = (0..self.rows.len()).collect();
            self.rng.shuffle(&mut order);
            for index in order {
                if self.rows[index].left_out.is_some() {
                    continue;
                }
                let entry = self.rows[index].entry;
                let time_max = self.time_max();
                tell(&self.rows, Heard::Begins { entry, round, left: self.time_left() })?;
                let (record, detail) = measure.measure(entry, round, time_max)?;
                let pushed_back = record.traced.as_ref().is_some_and(|t| t.pushed_back > 0);
                self.elapsed = record.at + record.usage.wall;
                self.rows[index].add(record, detail);
                let mut notes = self.look_at(index, pushed_back);
                let is_last = self.rows.iter().all(|row| row.is_through(round));
                if is_last {
                    notes.extend(self.give_up(round));
                }
                tell(&self.rows, Heard::Ended { index, left: self.time_left() })?;
                for note in notes {
                    tell(&self.rows, Heard::Note(&note))?;
                }
                if pushed_back {
                    measure.rest(REST);
                }
            }
        }
        Ok(())
    }

    /// Time that the runs ahead will take: each as long as its entry's runs did on average, or as
    /// all did where it has none, and as much between them as so far; `None` before the first.
    fn time_left(&self) -> Option<Duration> {
        let walls = |row: &Measured| row.records.iter().map(|run| run.usage.wall).sum::<Duration>();
        let measured: Duration = self.rows.iter().map(walls).sum();
        let count: usize = self.rows.iter().map(|row| row.records.len()).sum();
        if measured.is_zero() {
            return None;
        }
        let mean_of_all = measured.div_f64(count as f64);
        let runs = usize::try_from(self.runs).unwrap_or(usize::MAX);
        let ahead = self.rows.iter().map(|row| {
            let count = row.records.len();
            let mean = if count == 0 { mean_of_all } else { walls(row).div_f64(count as f64) };
            mean.mul_f64(row.runs_left(runs) as f64)
        });
        let between = self.elapsed.max(measured).div_duration_f64(measured);
        Some(ahead.sum::<Duration>().mul_f64(between))
    }

    /// Far more than the best run so far.
    fn time_max(&self) -> Duration {
        let records = self.rows.iter().flat_map(|row| &row.records);
        let good = records.filter(|record| record.failure.is_none());
        let Some(best) = good.map(|record| record.usage.wall).min() else { return TIME_MAX };
        let factor = if self.gives_up { TIME_FACTOR } else { TIME_FACTOR_OF_TOOLS };
        (best * factor).clamp(TIME_MIN, TIME_MAX)
    }

    /// What follows from the latest run of a row.
    fn look_at(&mut self, index: usize, pushed_back: bool) -> Vec<String> {
        let row = &mut self.rows[index];
        let entry = row.entry;
        let mut notes = Vec::new();
        let all_failed = row.records.iter().all(|record| record.failure.is_some());
        if all_failed && self.gives_up && !entry.is_reference() {
            row.left_out = Some("its first run failed".to_owned());
            notes.push(format!("{entry} is left out from now on: its first run failed"));
        }
        let limit = entry.connections().filter(|_| pushed_back);
        if let Some(limit) = limit.filter(|_| self.gives_up) {
            let reason = format!("the server pushed back at {limit} connections");
            let more = self.rows.iter_mut().filter(|row| row.left_out.is_none());
            let more = more.filter(|row| row.entry.connections().is_some_and(|n| n > limit));
            let mut left_out: u32 = 0;
            for row in more {
                row.left_out = Some(reason.clone());
                left_out += 1;
            }
            if left_out > 0 {
                notes.push(format!("{reason}: {left_out} cells with more are left out"));
            }
        }
        notes
    }

    /// After a round: what is clearly hopeless.
    fn give_up(&mut self, round: u32) -> Vec<String> {
        let rates = self.rows.iter().flat_map(Measured::goodputs);
        let best = rates.fold(0.0, f64::max);
        if !self.gives_up || self.runs == round {
            return Vec::new();
        }
        let alive = self.rows.iter_mut().filter(|row| row.left_out.is_none());
        let mut notes = Vec::new();
        for row in alive.filter(|row| row.entry.rounds_min().is_some_and(|min| round == min)) {
            let rate = row.goodputs().into_iter().fold(0.0, f64::max);
            if rate > 0.0 && rate * HOPELESS_FACTOR < best {
                let times = best / rate;
                let reason = format!("{times:.1} times slower than the best so far");
                notes.push(format!("{} is left out from now on: {reason}", row.entry));
                row.left_out = Some(reason);
            }
        }
        notes
    }
}

/// What a sweep tells while it runs.
#[derive(Debug)]
pub(in crate::bench) enum Heard<'a> {
    /// A run begins; `left` is the time that it and those behind it will take.
    Begins { entry: Entry, round: u32, left: Option<Duration> },
    /// The row has a new run; `left` is the time that the others will take.
    Ended { index: usize, left: Option<Duration> },
    /// Something was decided.
    Note(&'a str),
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{TRACE, record};
    use super::super::record::{SpanOutcome, Traced};
    use super::*;
    use crate::base::{Error, ErrorKind};

    /// Entries take as long as their connections say; some servers push back.
    #[derive(Default)]
    struct Pretence {
        order: Vec<(u32, Entry)>,
        refused_beyond: Option<u32>,
        rests: u32,
        time_max: Duration,
    }

    impl Measure for Pretence {
        fn measure(
            &mut self,
            entry: Entry,
            round: u32,
            time_max: Duration,
        ) -> Result<(Record, Detail)> {
            self.order.push((round, entry));
            self.time_max = time_max;
            let connections = entry.connections().unwrap_or(8);
            if connections == 99 {
                return Err(Error::new(ErrorKind::Interrupted, "stopped"));
            }
            let mut record = record(entry, round, 8.0 / f64::from(connections));
            if self.refused_beyond.is_some_and(|limit| connections > limit) {
                record.traced = Some(Traced::read(TRACE).0);
            }
            Ok((record, Detail::default()))
        }

        fn rest(&mut self, _: Duration) {
            self.rests += 1;
        }
    }

    fn cells(connections: &[u32]) -> Vec<Entry> {
        let cells = connections.iter().map(|&n| Entry::Cell { chunk_bytes: 4096, connections: n });
        [Entry::Auto, Entry::Single { bytes: 1 << 20 }].into_iter().chain(cells).collect()
    }

    fn sweep(entries: &[u32], runs: u32, seed: u64, world: &mut Pretence) -> (Sweep, Vec<String>) {
        let mut sweep = Sweep::new(cells(entries), runs, seed, true);
        let mut notes = Vec::new();
        let told = |_: &[Measured], heard: Heard<'_>| {
            if let Heard::Note(note) = heard {
                notes.push(note.to_owned());
            }
            Ok(())
        };
        sweep.run(world, told).unwrap();
        (sweep, notes)
    }

    #[test]
    fn rounds_are_whole_shuffled_and_repeatable() {
        let order = |seed| {
            let mut world = Pretence::default();
            sweep(&[4, 5, 6, 7, 8], 3, seed, &mut world);
            world.order
        };
        let (first, again, other) = (order(1), order(1), order(2));
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(first.len(), 3 * 7);
        for round in 1..=3u32 {
            let of_round: Vec<_> = first.iter().filter(|(r, _)| *r == round).collect();
            assert_eq!(of_round.len(), 7, "every entry once in round {round}");
        }
        let entries = |part: &[(u32, Entry)]| part.iter().map(|(_, e)| *e).collect::<Vec<_>>();
        assert_ne!(entries(&first[..7]), entries(&first[7..14]), "each round has its own order");
    }

    #[test]
    fn the_hopeless_are_measured_once_and_the_baseline_three_times() {
        let mut world = Pretence::default();
        let (sweep, notes) = sweep(&[2, 4, 8], 4, 1, &mut world);
        let runs: Vec<usize> = sweep.rows.iter().map(|row| row.records.len()).collect();
        assert_eq!(runs, [4, 3, 1, 4, 4], "auto, single stream, 2, 4 and 8 connections");
        assert_eq!(notes.len(), 2);
        assert!(notes[1].contains("single stream is left out"), "{notes:?}");
        assert!(notes[0].contains("4K x 2") && notes[0].contains("4.0 times slower"), "{notes:?}");
        assert_eq!(world.time_max, Duration::from_secs(20));
    }

    #[test]
    fn the_time_left_is_that_of_the_runs_ahead() {
        // 8 connections take 1 s, 4 take 2 s; the clock of a run says when it began.
        let mut sweep = Sweep::new(cells(&[4]), 3, 1, true);
        assert_eq!(sweep.time_left(), None);
        sweep.rows[0].add(record(Entry::Auto, 1, 1.0), Detail::default());
        assert_eq!(sweep.time_left(), Some(Duration::from_secs(2 + 3 + 3)));
        sweep.rows[0].add(record(Entry::Auto, 2, 1.0), Detail::default());
        let cell = sweep.rows[2].entry;
        sweep.rows[2].add(record(cell, 1, 2.0), Detail::default());
        sweep.rows[1].left_out = Some("hopeless".to_owned());
        assert_eq!(sweep.time_left(), Some(Duration::from_secs(1 + 4)), "each at its own pace");
        sweep.elapsed = Duration::from_secs(8);
        assert_eq!(sweep.time_left(), Some(Duration::from_secs(10)), "half of it between runs");
    }

    #[test]
    fn the_spans_are_those_of_the_median_run() {
        let mut row = Measured::new(Entry::Auto);
        // In an order in which the median wanders; each run's one span is as long as the run.
        for (round, seconds) in [9u32, 1, 8, 2, 7, 3, 6, 4, 5, 12, 11].iter().enumerate() {
            let seconds = f64::from(*seconds);
            let mut detail = Detail::default();
            detail.spans.push(SpanTimes {
                connection: 0,
                source: String::new(),
                requested: 0.0,
                first_byte: None,
                ended: seconds,
                outcome: SpanOutcome::Received,
            });
            let round = u32::try_from(round).unwrap() + 1;
            row.add(record(Entry::Auto, round, seconds), detail);
        }
        assert_eq!(row.spans_of_median_run()[0].ended, 6.0);
        assert_eq!(row.traces.len(), TRACES_MAX);
    }

    #[test]
    fn push_back_ends_larger_counts_and_earns_a_rest() {
        let mut world = Pretence { refused_beyond: Some(6), ..Pretence::default() };
        let (sweep, notes) = sweep(&[4, 7, 9, 12], 5, 3, &mut world);
        let left: Vec<bool> = sweep.rows.iter().map(|row| row.left_out.is_some()).collect();
        assert_eq!(left, [false, true, false, false, true, true], "one stream is hopeless");
        assert!(
            notes.iter().any(|note| note.contains("pushed back at 7 connections")),
            "{notes:?}"
        );
        assert!(world.rests >= 5);
    }

    #[test]
    fn an_error_ends_the_sweep_and_keeps_what_there_is() {
        let mut sweep = Sweep::new(cells(&[4, 99]), 9, 1, true);
        let error = sweep.run(&mut Pretence::default(), |_, _| Ok(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        let kept: usize = sweep.rows.iter().map(|row| row.records.len()).sum();
        assert!(kept < 4);
    }
}
