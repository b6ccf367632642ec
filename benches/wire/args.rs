//! The command line of the bench.

use super::paths;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MIB: u64 = 1 << 20;

const HELP: &str = "\
Usage: cargo bench --bench wire -- [options]
  --runs N       rounds of each part (3)
  --paths a,b    only these paths and comparisons
  --seed N       order of the runs (from the clock)
  --out DIR      write README.md and raw.csv there
  --quick        6 cells of the grid's 30, 1 round
  --test         1 cell, 1 round, small files: to see that it works";

/// Comparisons that are selected like paths.
const COMPARISONS: [&str; 2] = ["request-ahead", "bad-connection"];

/// What the bench is asked for.
pub(crate) struct Args {
    /// As it was given, for the report.
    pub(crate) line: String,
    /// Rounds, from 1.
    pub(crate) runs: u32,
    /// Names of paths and comparisons; empty is all.
    names: Vec<String>,
    /// Not 0.
    pub(crate) seed: u64,
    /// Where the report goes.
    pub(crate) out: Option<PathBuf>,
    /// Request sizes of the grid.
    pub(crate) chunks: &'static [u64],
    /// Connection counts of the grid.
    pub(crate) connections: &'static [u32],
    /// Divides the size of every file.
    pub(crate) shrink: u64,
    /// In place of every other stall timeout.
    pub(crate) stall_timeout: Option<Duration>,
}

impl Args {
    /// Reads the arguments; the error is text for the user.
    pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        // Cargo adds it.
        let words: Vec<String> = args.filter(|word| word != "--bench").collect();
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut args = Self {
            line: words.join(" "),
            runs: 3,
            names: Vec::new(),
            seed: clock.as_secs(),
            out: None,
            chunks: &[MIB / 4, MIB, 4 * MIB, 16 * MIB, 64 * MIB],
            connections: &[1, 2, 4, 8, 16, 32],
            shrink: 1,
            stall_timeout: None,
        };
        let mut runs: Option<u32> = None;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{HELP}"));
            match word.as_str() {
                "--runs" => runs = Some(number(&value()?)?),
                "--seed" => args.seed = number(&value()?)?,
                "--paths" => args.names = names(&value()?)?,
                "--out" => args.out = Some(value()?.into()),
                "--quick" => args.thin(&[MIB, 16 * MIB], &[1, 4, 16], 1),
                "--test" => {
                    args.thin(&[MIB], &[4], 50);
                    args.stall_timeout = Some(Duration::from_millis(200));
                }
                "--help" => return Err(HELP.to_owned()),
                other => return Err(format!("unknown argument {other}\n{HELP}")),
            }
        }
        args.runs = runs.unwrap_or(args.runs).max(1);
        args.seed = args.seed.max(1);
        Ok(args)
    }

    /// Whether this path or comparison is wanted.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    fn thin(&mut self, chunks: &'static [u64], connections: &'static [u32], shrink: u64) {
        (self.chunks, self.connections, self.shrink, self.runs) = (chunks, connections, shrink, 1);
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("'{text}' is no number\n{HELP}"))
}

fn names(text: &str) -> Result<Vec<String>, String> {
    let known: Vec<&str> = paths::ALL.iter().map(|path| path.name).chain(COMPARISONS).collect();
    let names: Vec<String> = text.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("no path '{name}'; there are {}", known.join(", "))),
        None => Ok(names),
    }
}
