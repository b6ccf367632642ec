//! The results: each entry's runs summed up, the verdict over all of them, and the conditions they
//! were measured under. Their JSON form is `summary.json`; `export` documents it.

use super::comparison::{Comparison, comparisons};
use super::statistics::{self, Summary, Verdict};
use crate::base::size::format_bytes;
use crate::bench::measure::entry::Entry;
use crate::bench::measure::load::Load;
use crate::bench::measure::machine::Machine;
use crate::bench::measure::peer::Peer;
use crate::bench::measure::record::{Percentiles, Record, SpanTimes, Traced};
use crate::bench::measure::sweep::Measured;
use crate::bench::{INTERVAL_RUNS_MIN, Settings, Upstream};
use serde::Serialize;

/// Everything a bench came to.
#[derive(Debug, Clone)]
pub struct Results {
    /// What was measured where.
    pub conditions: Conditions,
    /// One row per entry, in the order of the grid.
    pub rows: Vec<Row>,
    /// ringhaul's rows beside those of other tools.
    pub comparisons: Vec<Comparison>,
    /// Who has the most goodput; its numbers are places in `rows`.
    pub verdict: Verdict,
    /// What was decided while it ran, and what a reader has to know.
    pub notes: Vec<String>,
    /// Every run, in the order they were made.
    pub records: Vec<Record>,
}

/// What was measured, where and with what.
#[derive(Debug, Clone, Serialize)]
pub struct Conditions {
    /// When it began, UTC.
    pub date: String,
    /// The command line, without secrets.
    pub command: String,
    /// The URL, without secrets.
    pub url: String,
    /// The server is ringhaul's own, on the same machine.
    pub own_server: bool,
    /// HTTP or HTTPS.
    pub protocol: String,
    /// Bytes of the file, or of all files of the list.
    pub bytes: u64,
    /// Files of the list; absent where it is one file.
    pub files: Option<u64>,
    /// Where the bytes went.
    pub sink: String,
    /// Runs asked for of each entry.
    pub runs: u32,
    /// Seed of the order of runs and of the intervals.
    pub seed: u64,
    /// The machine.
    pub machine: Machine,
    /// What else it did.
    pub load: Load,
    /// The other tools and their versions.
    pub peers: Vec<String>,
}

/// One entry, summed up.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Bytes of one request; absent where the tool chooses.
    pub chunk_bytes: Option<u64>,
    /// Connections; absent where the tool chooses.
    pub connections: Option<u32>,
    /// Runs that gave the right file.
    pub runs: usize,
    /// What went wrong in the others.
    pub failures: Vec<String>,
    /// Why it was not measured in every round.
    pub left_out: Option<String>,
    /// Bytes per second.
    pub goodput: Option<Summary>,
    /// Seconds from the start of the program to its end.
    pub wall_seconds: Option<Summary>,
    /// Files per second.
    pub files_per_second: Option<Summary>,
    /// Processor seconds, user and system.
    pub cpu_seconds: Option<Summary>,
    /// Processor seconds per GiB, user and system.
    pub cpu_seconds_per_gib: Option<Summary>,
    /// Context switches per GiB, both kinds.
    pub context_switches_per_gib: Option<Summary>,
    /// Most resident memory of any run.
    pub peak_memory_bytes: Option<u64>,
    /// From request to first byte, all runs.
    pub first_byte_ms: Option<Percentiles>,
    /// From request to last byte of a span, all runs.
    pub span_ms: Option<Percentiles>,
    /// Segments that this machine sent again, all runs.
    pub retransmits: Option<u64>,
    /// Segments that came out of order, all runs: the sender's losses as seen from here.
    pub out_of_order: Option<u64>,
    /// Answers 429 and 503, all runs.
    pub pushed_back: u32,
    /// What limited its last run, in the engine's words.
    pub verdict: Option<String>,
    /// What was measured.
    #[serde(skip)]
    pub entry: Entry,
    /// The spans of its median run.
    #[serde(skip)]
    pub spans: Vec<SpanTimes>,
}

impl Results {
    /// Sums up.
    pub(in crate::bench) fn new(
        conditions: Conditions,
        measured: &[Measured],
        notes: &[String],
        seed: u64,
    ) -> Self {
        let mut rows: Vec<Row> = measured.iter().map(|row| Row::new(row, seed)).collect();
        let beside_tools = rows.iter().any(|row| row.entry.peer().is_some());
        for row in rows.iter_mut().filter(|row| beside_tools && row.entry == Entry::Auto) {
            // Among tools it is one of them.
            row.name = "ringhaul".to_owned();
        }
        let comparisons = comparisons(measured, |place: usize| rows[place].name.clone(), seed);
        let goodputs: Vec<Vec<f64>> = measured.iter().map(Measured::goodputs).collect();
        let mut records: Vec<Record> =
            measured.iter().flat_map(|row| &row.records).cloned().collect();
        records.sort_by_key(|record| record.at);
        let verdict = statistics::verdict(&goodputs, seed);
        Self { conditions, rows, comparisons, verdict, notes: notes.to_vec(), records }
    }

    /// The row that is ahead, whether or not it is the winner.
    pub fn leader(&self) -> Option<&Row> {
        match &self.verdict {
            Verdict::Nothing => None,
            Verdict::Unclaimed(place) | Verdict::Winner(place) => self.rows.get(*place),
            Verdict::Tie(places) => self.rows.get(*places.first()?),
        }
    }

    /// Indicates whether any row has runs enough for an interval.
    pub(in crate::bench) fn has_intervals(&self) -> bool {
        self.rows.iter().any(|row| row.goodput.is_some_and(|goodput| goodput.interval.is_some()))
    }

    /// Protocol, size, sink, runs and level in one line, for everything that is shown alone.
    pub(in crate::bench) fn conditions_line(&self) -> String {
        let conditions = &self.conditions;
        let level = if self.has_intervals() {
            "intervals at 95 %"
        } else {
            "too few for intervals at 95 %"
        };
        format!(
            "{}, {}, sink {}, {} runs of each, {level}",
            conditions.protocol,
            conditions.what(),
            conditions.sink,
            conditions.runs,
        )
    }

    /// Indicates whether the entry is among those that the verdict does not tell apart.
    pub(in crate::bench) fn is_level(&self, entry: Entry) -> bool {
        let is_it = |place: &usize| self.rows[*place].entry == entry;
        match &self.verdict {
            Verdict::Nothing => false,
            Verdict::Unclaimed(place) | Verdict::Winner(place) => is_it(place),
            Verdict::Tie(places) => places.iter().any(is_it),
        }
    }

    /// The verdict in one line.
    pub fn verdict_line(&self) -> String {
        let name = |place: &usize| self.rows[*place].name.clone();
        match &self.verdict {
            Verdict::Nothing => "no run gave a file".to_owned(),
            Verdict::Unclaimed(place) => format!(
                "ahead: {}; with fewer than {INTERVAL_RUNS_MIN} runs there is no interval at 95 %, \
                 and no winner",
                name(place)
            ),
            Verdict::Winner(place) => format!(
                "winner: {}; its lead over each other is more than chance, at 95 % confidence",
                name(place)
            ),
            Verdict::Tie(places) => {
                let others: Vec<String> = places.iter().skip(1).map(name).collect();
                let first = places.first().map(name).unwrap_or_default();
                format!(
                    "tie: {first} is ahead, but at 95 % confidence not apart from {}",
                    others.join(", ")
                )
            }
        }
    }
}

impl Conditions {
    /// What is fetched: the size of the file, or number and size of the files.
    pub(in crate::bench) fn what(&self) -> String {
        match self.files {
            None => format_bytes(self.bytes),
            Some(count) => {
                format!("{count} files of {}", format_bytes(self.bytes / count.max(1)))
            }
        }
    }

    pub(in crate::bench) fn observe(
        settings: &Settings,
        url: &str,
        own_server: bool,
        bytes: u64,
    ) -> Self {
        let place = settings.sink.folder(&settings.folder).unwrap_or_default();
        let machine = Machine::observe(&place, url);
        // It is curl, which is named once.
        let installed = settings.against.iter().filter(|peer| **peer != Peer::CurlNull);
        let installed = installed.filter(|peer| peer.find().is_some());
        Self {
            date: machine.date.clone(),
            command: settings.command.clone(),
            url: match &settings.upstream {
                Upstream::Url(_) => url.to_owned(),
                // The port is a matter of chance.
                Upstream::BuiltIn { .. } => "the built-in server".to_owned(),
            },
            own_server,
            protocol: if url.starts_with("https:") { "HTTPS" } else { "HTTP" }.to_owned(),
            bytes,
            files: settings.files.map(|files| files.count),
            sink: settings.sink.to_string(),
            runs: settings.runs,
            seed: settings.seed,
            machine,
            load: Load::before(),
            peers: installed.map(|peer: &Peer| peer.version()).collect(),
        }
    }
}

impl Row {
    fn new(measured: &Measured, seed: u64) -> Self {
        let records = &measured.records;
        let summed = |value: fn(&Record) -> Option<f64>| {
            let values: Vec<f64> = records.iter().filter_map(value).collect();
            statistics::summarize(&values, seed)
        };
        let traced: Vec<&Traced> = records.iter().filter_map(|r| r.traced.as_ref()).collect();
        let total = |count: fn(&Traced) -> u64| {
            (!traced.is_empty()).then(|| traced.iter().map(|run| count(run)).sum())
        };
        let verdict = traced.last().map(|run| run.verdict.clone()).filter(|v| !v.is_empty());
        Self {
            name: measured.entry.to_string(),
            chunk_bytes: measured.entry.chunk_bytes(),
            connections: measured.entry.connections(),
            runs: measured.goodputs().len(),
            failures: records.iter().filter_map(|record| record.failure.clone()).collect(),
            left_out: measured.left_out.clone(),
            goodput: summed(Record::goodput),
            wall_seconds: summed(|record| {
                record.failure.is_none().then_some(record.usage.wall.as_secs_f64())
            }),
            files_per_second: summed(Record::files_per_second),
            cpu_seconds: summed(|record| {
                record.failure.is_none().then_some(record.cpu().as_secs_f64())
            }),
            cpu_seconds_per_gib: summed(Record::cpu_seconds_per_gib),
            context_switches_per_gib: summed(Record::switches_per_gib),
            peak_memory_bytes: records.iter().filter_map(|r| r.usage.peak_memory_bytes).max(),
            first_byte_ms: Percentiles::of(&measured.first_byte),
            span_ms: Percentiles::of(&measured.span),
            retransmits: total(|run| run.retransmits),
            out_of_order: total(|run| run.out_of_order),
            pushed_back: traced.iter().map(|run| run.pushed_back).sum(),
            verdict,
            entry: measured.entry,
            spans: measured.spans_of_median_run().to_vec(),
        }
    }
}

#[cfg(test)]
pub(in crate::bench) mod tests {
    use super::*;
    use crate::bench::measure::record::tests::{TRACE, record};

    /// A small grid as it would be measured on a machine that does not change.
    pub(in crate::bench) fn results() -> Results {
        let cell =
            |chunk_mib: u64, connections| Entry::Cell { chunk_bytes: chunk_mib << 20, connections };
        let entries = [
            (Entry::Auto, 2.0),
            (Entry::Single { bytes: 1 << 30 }, 8.0),
            (cell(1, 1), 9.0),
            (cell(1, 4), 2.5),
            (cell(16, 1), 8.1),
            (cell(16, 4), 2.01),
        ];
        let mut measured: Vec<Measured> = Vec::new();
        for (entry, seconds) in entries {
            let mut row = Measured::new(entry);
            for round in 1..=6u32 {
                let noise = 1.0 + f64::from(round % 3) * 0.01;
                let mut record = record(entry, round, seconds * noise);
                let (traced, detail) = Traced::read(TRACE);
                record.traced = Some(traced);
                row.add(record, detail);
            }
            measured.push(row);
        }
        measured[2].records.truncate(1);
        measured[2].left_out = Some("4.5 times slower than the best".to_owned());
        measured[4].records[1].failure = Some("exit \"code\", 5".to_owned());
        let conditions = Conditions {
            date: "2026-01-02 03:04 UTC".to_owned(),
            command: "ringhaul bench".to_owned(),
            url: "the built-in server".to_owned(),
            own_server: true,
            protocol: "HTTP".to_owned(),
            bytes: 1 << 30,
            files: None,
            sink: "auto".to_owned(),
            runs: 6,
            seed: 1,
            machine: Machine::example(),
            load: Load::example(),
            peers: vec!["curl 7.88.1".to_owned()],
        };
        Results::new(conditions, &measured, &["1M x 1 is left out".to_owned()], 1)
    }

    #[test]
    fn rows_sum_up_and_the_verdict_is_honest() {
        let results = results();
        assert_eq!(results.verdict, Verdict::Tie(vec![0, 5]));
        let line = "tie: auto is ahead, but at 95 % confidence not apart from 16M x 4";
        assert_eq!(results.verdict_line(), line);
        assert_eq!(results.leader().unwrap().name, "auto");
        let row = &results.rows[4];
        assert_eq!((row.runs, row.failures.len(), row.pushed_back), (5, 1, 6));
        assert_eq!(row.first_byte_ms.unwrap().count, 6);
        assert_eq!(row.verdict.as_deref(), Some("path: full"));
        assert_eq!(results.records.len(), 31);
        assert!(results.records.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }
}
