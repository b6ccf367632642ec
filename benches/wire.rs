//! ringhaul without options against the best fixed setting, over shaped paths of the built-in
//! server.
//!
//! For each path a grid of request sizes and connection counts, `auto` and the single stream are
//! measured in shuffled rounds. The best cell then meets `auto` again in rounds of their own,
//! because the best of thirty noisy medians flatters itself; the ratio comes from these. At the end
//! stand the rows that compare a path with itself: request ahead, and one bad connection.
//!
//! `cargo bench --bench wire -- --out bench-results/wire`; `--help` for the rest. Two hours, twelve
//! minutes with `--quick`, seconds with `--test`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tables and progress are for people")]

#[path = "wire/args.rs"]
mod args;
#[path = "wire/paths.rs"]
mod paths;
#[path = "wire/run.rs"]
mod run;
#[path = "wire/table.rs"]
mod table;

use args::Args;
use paths::Path;
use ringhaul::internal::base::rng::Rng;
use run::{Runner, Sample, Setting};
use std::fs;
use std::process::ExitCode;
use table::{median_rate, megabytes, met, ratio};

/// `auto` reaches this part of the best cell's goodput.
const TARGET_OF_BEST: f64 = 0.95;
/// And this part of the single stream's, where that one fills the path.
const TARGET_OF_SINGLE: f64 = 0.97;
/// A single stream that reaches this part of the best cell fills the path.
const FILLS_THE_PATH: f64 = 0.95;
/// One connection with request ahead reaches this part of its rate.
const TARGET_AHEAD: f64 = 0.97;
/// One bad connection costs at most this factor of time.
const TARGET_BAD: f64 = 1.15;

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)) {
        Ok(args) => measure(args),
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn measure(args: Args) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let target = folder.path().join("file");
    let Args { shrink, stall_timeout, .. } = args;
    let runner = Runner { target: &target, shrink, stall_timeout };
    let mut bench = Bench { rng: Rng::new(args.seed), args, runner, samples: Vec::new() };
    let mut text = bench.preface();
    print!("{text}");
    let mut summary = String::from(SUMMARY_HEAD);
    for path in paths::ALL {
        if bench.args.has(path.name) {
            let (section, row) = bench.grid(path);
            print!("\n{section}");
            text += &format!("\n{section}");
            summary += &row;
            bench.write(&format!("{text}\n{summary}"));
        }
    }
    summary += &bench.request_ahead();
    summary += &bench.bad_connections();
    println!("\n{summary}");
    bench.write(&format!("{text}\n{summary}"));
}

const SUMMARY_HEAD: &str = "## Summary\n\n| what | measured | against | ratio | target | met |\n\
                            |---|--:|--:|--:|--:|---|\n";

/// The measurements so far, and what more are made with.
struct Bench<'a> {
    args: Args,
    runner: Runner<'a>,
    rng: Rng,
    samples: Vec<Sample>,
}

impl Bench<'_> {
    fn preface(&self) -> String {
        let line = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or("unknown");
            line.trim_start_matches(key).trim_start_matches([' ', '\t', ':']).to_owned()
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        format!(
            "# Auto against the best fixed setting, on the wire\n\n\
             `cargo bench --bench wire -- {}`\n\n\
             {cores} cores, {}, Linux {}. Client and server share them. Seed {}, {} rounds, \
             medians. Goodput in MB/s (10^6 bytes), from the call to the synced and renamed file; \
             a dash is a setting with which the download failed or took over a minute.\n",
            self.args.line,
            line("/proc/cpuinfo", "model name"),
            line("/proc/sys/kernel/osrelease", ""),
            self.args.seed,
            self.args.runs,
        )
    }

    /// Runs every setting once per round, each round in another order.
    fn rounds(&mut self, part: &'static str, runs: &[(&'static Path, Setting)]) -> usize {
        let first = self.samples.len();
        for round in 1..=self.args.runs {
            let mut order = runs.to_vec();
            self.rng.shuffle(&mut order);
            for (path, setting) in order {
                self.samples.push(self.runner.run(path, part, setting, round));
            }
        }
        first
    }

    /// The section of one path and its rows of the summary.
    fn grid(&mut self, path: &'static Path) -> (String, String) {
        let single = Setting::cell(path.size_bytes, 1);
        let (chunks, connections) = (self.args.chunks, self.args.connections);
        let cells: Vec<Setting> = chunks
            .iter()
            .flat_map(|&chunk| connections.iter().map(move |&count| Setting::cell(chunk, count)))
            .collect();
        let mut runs = vec![(path, Setting::AUTO), (path, single)];
        runs.extend(cells.iter().map(|&cell| (path, cell)));
        let first = self.rounds("grid", &runs);
        let samples: Vec<&Sample> = self.samples[first..].iter().collect();
        let rate = |setting| median_rate(&samples, setting);
        let rates = cells.iter().filter_map(|&cell| Some((rate(cell)?, cell)));
        let best = rates.max_by(|a, b| a.0.total_cmp(&b.0));
        let mut section = format!("## {}\n\n{}; ", path.name, path.what);
        section += &format!("{:.0} MB.", (path.size_bytes / self.runner.shrink) as f64 / 1e6);
        if let Some(time) = path.fixed_stall_timeout {
            section += &format!(" Fixed settings with a stall timeout of {} s.", time.as_secs());
        }
        section += &format!("\n\n{}\n", table::grid(&samples, chunks, connections));
        let in_grid = (rate(Setting::AUTO), rate(single));
        section += &format!(
            "In these rounds auto reached {}, the single stream {}.\n",
            megabytes(in_grid.0),
            megabytes(in_grid.1)
        );
        let Some((best_rate, best)) = best else {
            return (section, row(path.name, None, "no cell worked", None, "-", Some(false)));
        };
        let fills = in_grid.1.is_some_and(|single| single >= FILLS_THE_PATH * best_rate);
        (section, self.duel(path, best, fills.then_some(single)))
    }

    /// `auto` against the best cell, and against the single stream if that one fills the path.
    fn duel(&mut self, path: &'static Path, best: Setting, single: Option<Setting>) -> String {
        let mut runs = vec![(path, Setting::AUTO), (path, best)];
        runs.extend(single.map(|single| (path, single)));
        let first = self.rounds("duel", &runs);
        let samples: Vec<&Sample> = self.samples[first..].iter().collect();
        let auto = median_rate(&samples, Setting::AUTO);
        let mut rows = String::new();
        let mut against = |name: String, setting, target: f64| {
            let other = median_rate(&samples, setting);
            let ratio = auto.zip(other).map(|(auto, other)| auto / other);
            let other = format!("{name} {}", megabytes(other));
            let is_met = ratio.is_some_and(|ratio| ratio >= target);
            rows += &row(path.name, auto, &other, ratio, &format!(">= {target}"), Some(is_met));
        };
        against(format!("best cell {best}:"), best, TARGET_OF_BEST);
        if let Some(single) = single {
            against("single stream:".to_owned(), single, TARGET_OF_SINGLE);
        }
        rows
    }

    /// One connection over a slow first byte, with and without asking ahead.
    fn request_ahead(&mut self) -> String {
        const NAME: &str = "request-ahead";
        if !self.args.has(NAME) {
            return String::new();
        }
        let ahead = Setting { connections: Some(1), ..Setting::AUTO };
        let plain = Setting { request_ahead: false, ..ahead };
        let path = &paths::ONE_SLOW_TO_START;
        let first = self.rounds(NAME, &[(path, ahead), (path, plain)]);
        let samples: Vec<&Sample> = self.samples[first..].iter().collect();
        let line = |what: &str, setting, target: Option<f64>| {
            let rate = median_rate(&samples, setting);
            let ratio = rate.map(|rate| rate / paths::CONNECTION_RATE as f64);
            let against = format!("rate {}", megabytes(Some(paths::CONNECTION_RATE as f64)));
            let shown = target.map_or_else(|| "-".to_owned(), |target| format!(">= {target}"));
            let is_met = target.map(|target| ratio.is_some_and(|ratio| ratio >= target));
            row(what, rate, &against, ratio, &shown, is_met)
        };
        let with = line("1 connection, 50 ms to the first byte, ahead", ahead, Some(TARGET_AHEAD));
        with + &line("the same, not ahead", plain, None)
    }

    /// Paths with one bad connection against the same path without it.
    fn bad_connections(&mut self) -> String {
        const NAME: &str = "bad-connection";
        if !self.args.has(NAME) {
            return String::new();
        }
        let auto = |path| (path, Setting::AUTO);
        let runs = [&paths::CAPPED, &paths::STALL, &paths::SLOW].map(auto);
        let first = self.rounds(NAME, &runs);
        let rate = |path: &Path| {
            let of_it = self.samples[first..].iter().filter(|sample| sample.path == path.name);
            median_rate(&of_it.collect::<Vec<_>>(), Setting::AUTO)
        };
        let without = rate(&paths::CAPPED);
        let mut rows = String::new();
        for (what, path) in [
            ("time with one that stalls for ever", &paths::STALL),
            ("time with every eighth at 5 %", &paths::SLOW),
        ] {
            let with = rate(path);
            // The size is the same, so the times are as the rates, upside down.
            let ratio = with.zip(without).map(|(with, without)| without / with);
            let against = format!("without: {}", megabytes(without));
            let is_met = ratio.is_some_and(|ratio| ratio <= TARGET_BAD);
            let target = format!("<= {TARGET_BAD}");
            rows += &row(what, with, &against, ratio, &target, Some(is_met));
        }
        rows
    }

    /// Writes what is known so far; a long bench may be stopped.
    fn write(&self, text: &str) {
        let Some(folder) = &self.args.out else { return };
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(folder.join("README.md"), text))
            .and_then(|()| fs::write(folder.join("raw.csv"), table::csv(&self.samples)));
        if let Err(error) = written {
            eprintln!("cannot write to {}: {error}", folder.display());
        }
    }
}

/// One row of the summary.
fn row(
    what: &str,
    measured: Option<f64>,
    against: &str,
    ratio_value: Option<f64>,
    target: &str,
    is_met: Option<bool>,
) -> String {
    let measured = megabytes(measured);
    let ratio = ratio(ratio_value);
    let met = met(is_met);
    format!("| {what} | {measured} | {against} | {ratio} | {target} | {met} |\n")
}
