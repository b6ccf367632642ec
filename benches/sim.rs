//! The adaptive plan against the best fixed setting, in virtual time: every scenario of `sim`, 100
//! seeds, a grid of 30 cells each. Prints one table; `--out DIR` also writes it there as
//! `README.md` and `table.csv`.
//!
//! `cargo bench --bench sim` is the full size (some minutes), `-- --test` the smallest one
//! (seconds). `--seeds N`, `--half tune|judge` and `--only TEXT` make it smaller; `--explain SEED`
//! with `--only TEXT` prints one run's decisions instead.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the product")]

use ringhaul::internal::sim::{Half, Scenario, Verdict, best_cell, judge, run_auto, scenarios};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io, process};

const SEEDS: u64 = 100;
const SEEDS_SMALLEST: u64 = 1;

struct Args {
    seeds: u64,
    half: Option<Half>,
    only: String,
    out: Option<PathBuf>,
    explain: Option<u64>,
}

fn main() {
    let args = Args::parse(env::args().skip(1)).unwrap_or_else(|what| {
        eprintln!("sim: {what}");
        process::exit(2);
    });
    let chosen: Vec<Scenario> = scenarios()
        .into_iter()
        .filter(|it| it.name.contains(&args.only) && args.half.is_none_or(|half| half == it.half))
        .collect();
    if let Some(seed) = args.explain {
        chosen.iter().for_each(|scenario| explain(scenario, seed));
        return;
    }
    let began = Instant::now();
    let verdicts = judge(&chosen, args.seeds);
    let text = markdown(&verdicts, args.seeds);
    println!("{text}");
    println!("Took {:.1} s.", began.elapsed().as_secs_f64());
    if let Some(out) = &args.out {
        write(out, &verdicts, &text).unwrap_or_else(|error| {
            eprintln!("sim: cannot write to {}: {error}", out.display());
            process::exit(1);
        });
    }
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Args {
            seeds: SEEDS_SMALLEST,
            half: None,
            only: String::new(),
            out: None,
            explain: None,
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
                "--only" => args.only = value()?,
                "--out" => args.out = Some(value()?.into()),
                "--explain" => args.explain = Some(number(&value()?)?),
                _ => return Err(format!("{word} is not known")),
            }
        }
        // `cargo bench` says --bench, `cargo test --benches` nothing, as to criterion's programs.
        let usual = if is_bench && !is_test { SEEDS } else { SEEDS_SMALLEST };
        args.seeds = seeds.unwrap_or(usual);
        Ok(args)
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

fn explain(scenario: &Scenario, seed: u64) {
    let outcome = run_auto(scenario, seed, true);
    outcome.decisions.iter().for_each(|line| println!("{line}"));
    let best = best_cell(scenario, seed);
    println!(
        "{}, seed {seed}: {:?} in {:.2} s, {:.3} of the best cell ({}, {:.2} s, {} connections \
         are enough)\n{:.1} connections, {} requests, {} push-backs, {} bytes in vain\nlimited \
         by {}\n",
        scenario.name,
        outcome.end,
        outcome.elapsed_s,
        outcome.elapsed_s / best.elapsed_s,
        best.cell,
        best.elapsed_s,
        best.enough,
        outcome.connections_mean,
        outcome.requests,
        outcome.push_backs,
        outcome.wasted_bytes,
        outcome.limiter,
    );
}

fn markdown(verdicts: &[Verdict], seeds: u64) -> String {
    let mut text = format!(
        "# The adaptive plan in the simulator\n\n\
         Time of a transfer with everything automatic over the time of the best fixed cell \
         (connections {{1, 2, 4, 8, 16, 32}} x request size {{256K, 1M, 4M, 16M, 64M}}) of the \
         same scenario and seed; {seeds} seeds. The laws were tuned on \
         one half. The other one was to judge them, but was in sight meanwhile and exposed \
         faults that were then mended: read both as mostly in-sample. \
         Made by `cargo bench --bench sim -- --out bench-results/sim`.\n\n\
         `auto` stands for the adaptive plan: its time, connections (mean over time), refusals \
         met, requests, bytes fetched in vain, and its verdict; `enough` is the fewest connections \
         of a cell within 2 % of the best one.\n\n\
         | scenario | half | median | p95 | target | met | worst (seed) | best cell | best s \
         | auto s | connections | enough | push-backs | requests | in vain | limited by |\n\
         |---|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n"
    );
    for it in verdicts {
        let (median, p95) = (it.reached.median, it.reached.p95);
        let target = format!("{:.2} / {:.2}", it.target.median, it.target.p95);
        let met = if it.is_met() { "yes" } else { "**no**" };
        let line = writeln!(
            text,
            "| {} | {} | {median:.3} | {p95:.3} | {target} | {met} | {:.2} ({}) | {} | {:.2} \
             | {:.2} | {:.1} | {:.1} | {:.1} | {:.0} | {:.2} % | {} |",
            it.name,
            half_name(it.half),
            it.worst.1,
            it.worst.0,
            it.best,
            it.best_s,
            it.auto_s,
            it.connections,
            it.enough,
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

fn write(out: &Path, verdicts: &[Verdict], text: &str) -> io::Result<()> {
    let mut csv = "scenario,half,median,p95,target_median,target_p95,met,worst,worst_seed,\
                   best_cell,best_s,auto_s,connections,enough,push_backs,requests,wasted_share,\
                   limited_by\n"
        .to_owned();
    for it in verdicts {
        let line = writeln!(
            csv,
            "{},{},{:.4},{:.4},{},{},{},{:.4},{},{},{:.3},{:.3},{:.2},{:.2},{:.2},{:.1},{:.5},{}",
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
            it.push_backs,
            it.requests,
            it.wasted_share,
            it.limiter,
        );
        line.expect("a string takes everything");
    }
    fs::create_dir_all(out)?;
    fs::write(out.join("README.md"), text)?;
    fs::write(out.join("table.csv"), csv)
}

fn half_name(half: Half) -> &'static str {
    match half {
        Half::Tune => "tune",
        Half::Judge => "judge",
    }
}
