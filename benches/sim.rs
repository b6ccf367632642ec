//! The adaptive plan against the best fixed setting, in virtual time: every scenario of `sim`, 100
//! seeds and a grid of 30 cells each, or over packets, which take longer, 25 seeds and 21 cells.
//! Prints a table of times, one of what the connections cost, one of several servers of one file
//! against the ideal split, one of the packets' form of the network beside what was measured, and
//! those of a list that is divided over the nodes of a cluster; `--out DIR` also writes them there
//! as `README.md`, `table.csv` and `split.csv`, those of the cluster as `cluster.md` and
//! `cluster.csv`.
//!
//! `cargo bench --bench sim` is the full size (some minutes), `-- --test` the smallest one
//! (seconds). Behind `--`:
//!
//! - `--seeds N`: fewer or more runs of each scenario;
//! - `--half tune|judge`, `--form fluid|tcp`, `--only TEXT`: some of the scenarios, the last by a
//!   part of the name, or by all of it; a single one shows every cell of its grid too;
//! - `--explain SEED`: decisions of one run each instead of the tables;
//! - `--calibrate`: nothing but the measured paths;
//! - `--cluster`: nothing but the list over a cluster, up to 10,000,000 files (two minutes).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the product")]

#[path = "sim/cluster.rs"]
mod cluster;
#[path = "sim/split.rs"]
mod split;

use ringhaul::internal::sim::{
    Half, MBIT, MS, Outcome, Scenario, Split, Verdict, best_cell, cells, ideal_s, judge,
    judge_split, measured, mirrored, run_auto, run_cell, scenarios,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io, process};

const SEEDS: u64 = 100;
const SEEDS_TCP: u64 = 25;
const SEEDS_SMALLEST: u64 = 1;
/// Runs of each list on each cluster.
const SEEDS_CLUSTER: u64 = 5;
/// Runs of each measured path.
const SEEDS_MEASURED: u64 = 20;
/// No cell is waited for longer, in seconds of virtual time.
const CELL_S_MAX: f64 = 1800.0;

const USAGE: &str = "options: --seeds N, --half tune|judge, --form fluid|tcp, --only TEXT, \
                     --out DIR, --explain SEED, --calibrate, --cluster, --test";

struct Args {
    /// Over the fluid and over packets.
    seeds: u64,
    seeds_tcp: u64,
    half: Option<Half>,
    /// Indicates whether packets or the fluid are chosen.
    is_tcp: Option<bool>,
    only: String,
    out: Option<PathBuf>,
    explain: Option<u64>,
    calibrates_only: bool,
    is_cluster_only: bool,
    is_smallest: bool,
}

fn main() {
    let args = Args::parse(env::args().skip(1)).unwrap_or_else(|what| {
        eprintln!("sim: {what}\n{USAGE}");
        process::exit(2);
    });
    let chosen = args.chosen();
    if let Some(seed) = args.explain {
        chosen.iter().for_each(|scenario| explain(scenario, seed));
        return;
    }
    let began = Instant::now();
    if args.calibrates_only {
        println!("{}", calibration(args.seeds_measured()));
    } else if !args.is_cluster_only {
        transfers(&args, chosen);
    }
    if args.is_cluster_only || args.is_all() {
        let seeds = args.seeds.min(SEEDS_CLUSTER);
        let rows = cluster::rows(seeds, args.is_smallest);
        let text = cluster::text(&rows, seeds);
        println!("{text}");
        args.write(|out| cluster::write(out, &rows, &text));
    }
    println!("Took {:.1} s.", began.elapsed().as_secs_f64());
}

/// The tables of single transfers.
fn transfers(args: &Args, chosen: Vec<Scenario>) {
    let (alone, several): (Vec<Scenario>, Vec<Scenario>) =
        chosen.into_iter().partition(|it| it.mirrors.is_empty());
    if let ([scenario], []) = (alone.as_slice(), several.as_slice()) {
        println!("{}", grid(scenario, args.seeds_of(scenario)));
    }
    let (packets, fluid): (Vec<Scenario>, Vec<Scenario>) =
        alone.into_iter().partition(|it| it.path.tcp.is_some());
    let mut verdicts = judge(&fluid, args.seeds);
    verdicts.extend(judge(&packets, args.seeds_tcp));
    let splits = judge_split(&several, args.seeds);
    let mut text = String::new();
    if !verdicts.is_empty() {
        text += &(times(&verdicts, args) + &prices(&verdicts));
    }
    if !splits.is_empty() {
        text += &split::table(&splits, args.seeds);
    }
    if args.only.is_empty() {
        text += &calibration(args.seeds_measured());
    }
    println!("{text}");
    args.write(|out| write(out, &verdicts, &splits, &text));
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Args {
            seeds: SEEDS_SMALLEST,
            seeds_tcp: SEEDS_SMALLEST,
            half: None,
            is_tcp: None,
            only: String::new(),
            out: None,
            explain: None,
            calibrates_only: false,
            is_cluster_only: false,
            is_smallest: true,
        };
        let (mut is_bench, mut is_test) = (false, false);
        let mut seeds = None;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => is_bench = true,
                "--test" => is_test = true,
                "--seeds" => seeds = Some(number(&value()?)?.max(1)),
                "--half" => args.half = Some(half_of(&value()?)?),
                "--form" => args.is_tcp = Some(is_tcp(&value()?)?),
                "--only" => args.only = value()?,
                "--out" => args.out = Some(value()?.into()),
                "--explain" => args.explain = Some(number(&value()?)?),
                "--calibrate" => args.calibrates_only = true,
                "--cluster" => args.is_cluster_only = true,
                _ => return Err(format!("{word} is not known")),
            }
        }
        // `cargo bench` says --bench, `cargo test --benches` nothing, as to criterion's programs.
        if is_bench && !is_test {
            (args.seeds, args.seeds_tcp) = (SEEDS, SEEDS_TCP);
            args.is_smallest = false;
        }
        if let Some(seeds) = seeds {
            (args.seeds, args.seeds_tcp) = (seeds, seeds);
        }
        Ok(args)
    }

    fn seeds_of(&self, scenario: &Scenario) -> u64 {
        if scenario.path.tcp.is_some() { self.seeds_tcp } else { self.seeds }
    }

    fn seeds_measured(&self) -> u64 {
        self.seeds_tcp.min(SEEDS_MEASURED)
    }

    /// Whether nothing is left out.
    fn is_all(&self) -> bool {
        let is_chosen = self.half.is_some() || self.is_tcp.is_some() || !self.only.is_empty();
        !is_chosen && !self.calibrates_only
    }

    /// Writes tables where they are wanted.
    fn write(&self, write: impl FnOnce(&Path) -> io::Result<()>) {
        if let Some(out) = &self.out
            && let Err(error) = write(out)
        {
            eprintln!("sim: cannot write to {}: {error}", out.display());
            process::exit(1);
        }
    }

    fn chosen(&self) -> Vec<Scenario> {
        let all: Vec<Scenario> = scenarios().into_iter().chain(mirrored()).collect();
        let is_whole_name = all.iter().any(|it| it.name == self.only);
        let is_named = |it: &Scenario| match is_whole_name {
            true => it.name == self.only,
            false => it.name.contains(&self.only),
        };
        let is_chosen = |it: &Scenario| {
            is_named(it)
                && self.half.is_none_or(|half| half == it.half)
                && self.is_tcp.is_none_or(|is_tcp| is_tcp == it.path.tcp.is_some())
        };
        all.into_iter().filter(is_chosen).collect()
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn half_of(text: &str) -> Result<Half, String> {
    match text {
        "tune" => Ok(Half::Tune),
        "judge" => Ok(Half::Judge),
        _ => Err(format!("{text} is neither tune nor judge")),
    }
}

fn is_tcp(text: &str) -> Result<bool, String> {
    match text {
        "tcp" => Ok(true),
        "fluid" => Ok(false),
        _ => Err(format!("{text} is neither fluid nor tcp")),
    }
}

fn explain(scenario: &Scenario, seed: u64) {
    let outcome = run_auto(scenario, seed, true);
    outcome.decisions.iter().for_each(|line| println!("{line}"));
    let best = if scenario.mirrors.is_empty() {
        let best = best_cell(scenario, seed);
        let ratio = outcome.elapsed_s / best.elapsed_s;
        let (s, cell, enough) = (best.elapsed_s, best.cell, best.enough);
        format!("{ratio:.3} of the best cell ({cell}, {s:.2} s, {enough} connections are enough)")
    } else {
        let ideal_s = ideal_s(scenario);
        format!("{:.3} of the ideal split ({ideal_s:.2} s)", outcome.elapsed_s / ideal_s)
    };
    println!(
        "{}, seed {seed}: {:?} in {:.2} s, {best}\n{:.1} connections, {} opened, {} replaced, {} \
         spans cut, {} requests, {} push-backs, {} bytes in vain, {:.3} of the file's size on the \
         wire\nlongest silence of a connection: {:.2} s, {:.2} s without a packet\nlimited by \
         {}\n",
        scenario.name,
        outcome.end,
        outcome.elapsed_s,
        outcome.connections_mean,
        outcome.opened,
        outcome.replaced,
        outcome.cuts,
        outcome.requests,
        outcome.push_backs,
        outcome.wasted_bytes,
        outcome.wire_bytes / scenario.file_bytes as f64,
        outcome.silence_s,
        outcome.no_packet_s,
        outcome.limiter,
    );
}

/// Every cell of one scenario, and the adaptive plan, means over the seeds.
fn grid(scenario: &Scenario, seeds: u64) -> String {
    let mut text = format!(
        "{}: seconds, share of the link, connections opened, bytes on the wire over the file's \
         size\n\n",
        scenario.name
    );
    let mut line = |what: &str, outcomes: &[Outcome]| {
        let mean = |value: &dyn Fn(&Outcome) -> f64| {
            outcomes.iter().map(value).sum::<f64>() / seeds as f64
        };
        let file_bytes = scenario.file_bytes as f64;
        let rate = scenario.path.link_bytes_per_s;
        let line = writeln!(
            text,
            "{what:>9} {:8.2} {:6.3} {:6.1} {:6.3}",
            mean(&|it| it.elapsed_s),
            mean(&|it| file_bytes / it.elapsed_s / rate),
            mean(&|it| it.opened as f64),
            mean(&|it| it.wire_bytes / file_bytes),
        );
        line.expect("a string takes everything");
    };
    let mut cells: Vec<_> = cells(scenario).collect();
    cells.sort_by_key(|cell| (cell.connections, cell.chunk_bytes));
    for cell in cells {
        let outcomes: Vec<_> =
            (1..=seeds).map(|seed| run_cell(scenario, seed, cell, CELL_S_MAX)).collect();
        line(&cell.to_string(), &outcomes);
    }
    let outcomes: Vec<_> = (1..=seeds).map(|seed| run_auto(scenario, seed, false)).collect();
    line("auto", &outcomes);
    text
}

fn times(verdicts: &[Verdict], args: &Args) -> String {
    let Args { seeds, seeds_tcp, .. } = args;
    let mut text = format!(
        "# The adaptive plan in the simulator\n\n\
         Time of a transfer with everything automatic over the time of the best fixed cell \
         (connections {{1, 2, 4, 8, 16, 32}} x request size {{256K, 1M, 4M, 16M, 64M}}; over \
         packets {{1, 2, 4, 8, 16, 32, 64}} x {{1M, 4M, 16M}}) of the \
         same scenario and seed; {seeds} seeds, {seeds_tcp} over packets. The laws were tuned on \
         one half. The other one was to judge them, but was in sight meanwhile and exposed \
         faults that were then mended: read both as mostly in-sample. \
         Made by `cargo bench --bench sim -- --out bench-results/sim`.\n\n\
         `auto` stands for the adaptive plan: its time, refusals \
         met, requests, bytes fetched in vain, and its verdict.\n\n\
         | scenario | half | median | p95 | target | met | worst (seed) | best cell | best s \
         | auto s | push-backs | requests | in vain | limited by |\n\
         |---|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|---|\n"
    );
    for it in verdicts {
        let (median, p95) = (it.reached.median, it.reached.p95);
        let target = format!("{:.2} / {:.2}", it.target.median, it.target.p95);
        let met = if it.is_met() { "yes" } else { "**no**" };
        let line = writeln!(
            text,
            "| {} | {} | {median:.3} | {p95:.3} | {target} | {met} | {:.2} ({}) | {} | {:.2} \
             | {:.2} | {:.1} | {:.0} | {:.2} % | {} |",
            it.name,
            half_name(it.half),
            it.worst.1,
            it.worst.0,
            it.best,
            it.best_s,
            it.auto_s,
            it.push_backs,
            it.requests,
            100.0 * it.wasted_share,
            it.limiter,
        );
        line.expect("a string takes everything");
    }
    let met = verdicts.iter().filter(|it| it.is_met()).count();
    text + &format!("\n{met} of {} targets met.\n", verdicts.len())
}

fn prices(verdicts: &[Verdict]) -> String {
    let mut text = "\n## What the connections cost\n\n\
        `enough` is the fewest connections of a cell within 5 % of the best one, mean over seeds. \
        Connections are the mean over time and seeds, at most 1.6 times `enough`; opened are those \
        that the server accepted, at most twice `enough` and never more than 80, or, where the \
        server hangs up, at most twice as many as `enough` connections opened; `fixed` is what \
        those opened over `enough`; bytes on the wire are over the file's size, headers (1.036) \
        and what came after a hang-up included, at most 1.05, where packets or connections are \
        lost 1.10. A star marks what is missed.\n\n\
        | scenario | half | enough | connections | / enough | opened | / enough | most opened \
        | fixed | wire / size |\n\
        |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for it in verdicts {
        let price = &it.price;
        let star = |is_met: bool| if is_met { "" } else { " \\*" };
        let line = writeln!(
            text,
            "| {} | {} | {:.1} | {:.1} | {:.2}{} | {:.1} | {:.2}{} | {} | {:.2} | {:.3}{} |",
            it.name,
            half_name(it.half),
            it.enough,
            it.connections,
            price.crowd,
            star(price.is_crowd_met()),
            price.opened,
            price.opened_share,
            star(price.is_opened_met()),
            price.opened_max,
            price.fixed_share,
            price.wire,
            star(price.is_wire_met()),
        );
        line.expect("a string takes everything");
    }
    let count = |is_met: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|it| is_met(it)).count();
    text + &format!(
        "\nOf {}, {} have few enough connections, {} opened few enough, {} had few enough bytes on \
         the wire; all three: {}.\n",
        verdicts.len(),
        count(&|it| it.price.is_crowd_met()),
        count(&|it| it.price.is_opened_met()),
        count(&|it| it.price.is_wire_met()),
        count(&|it| it.price.is_met()),
    )
}

/// The packets' form of the network beside what was measured.
fn calibration(seeds: u64) -> String {
    let mut text = format!(
        "\n## The packets' network beside what was measured\n\n\
         Share of the link that the file's bytes take, mean of {seeds} seeds. `tests/sim.rs` holds \
         it.\n\n\
         | link | round trip | loss | senders | connections | measured | simulated |\n\
         |--:|--:|--:|---|--:|--:|--:|\n"
    );
    for it in measured() {
        let (path, tcp) = (&it.path, it.path.tcp.expect("measured in packets"));
        let line = writeln!(
            text,
            "| {:.0} Mbit/s | {:.0} ms | {:.2} % | {:?} | {} | {:.1} % | {:.1} % |",
            path.link_bytes_per_s / MBIT,
            path.rtt_s / MS,
            100.0 * path.loss,
            tcp.control,
            it.connections,
            100.0 * it.share,
            100.0 * it.simulated(seeds),
        );
        line.expect("a string takes everything");
    }
    text
}

fn write(out: &Path, verdicts: &[Verdict], splits: &[Split], text: &str) -> io::Result<()> {
    let mut csv = "scenario,half,median,p95,target_median,target_p95,met,worst,worst_seed,\
                   best_cell,best_s,auto_s,connections,enough,opened,opened_max,wire,wire_max,\
                   push_backs,requests,wasted_share,limited_by\n"
        .to_owned();
    for it in verdicts {
        let line = writeln!(
            csv,
            "{},{},{:.4},{:.4},{},{},{},{:.4},{},{},{:.3},{:.3},{:.2},{:.2},{:.1},{},{:.4},{},\
             {:.2},{:.1},{:.5},{}",
            it.name,
            half_name(it.half),
            it.reached.median,
            it.reached.p95,
            it.target.median,
            it.target.p95,
            it.is_met(),
            it.worst.1,
            it.worst.0,
            it.best,
            it.best_s,
            it.auto_s,
            it.connections,
            it.enough,
            it.price.opened,
            it.price.opened_max,
            it.price.wire,
            it.price.wire_max,
            it.push_backs,
            it.requests,
            it.wasted_share,
            it.limiter,
        );
        line.expect("a string takes everything");
    }
    fs::create_dir_all(out)?;
    fs::write(out.join("README.md"), text)?;
    fs::write(out.join("table.csv"), csv)?;
    fs::write(out.join("split.csv"), split::csv(splits))
}

fn half_name(half: Half) -> &'static str {
    match half {
        Half::Tune => "tune",
        Half::Judge => "judge",
    }
}
