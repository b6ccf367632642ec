//! The words of `ringhaul bench`. They have no environment variables: what is published with a
//! figure is its command line, and nothing else may move it.

use super::UNITS;
use super::shape::ShapeArgs;
use super::values::{Driver, chunk_size, up_to};
use crate::base::limits;
use crate::bench::{Peer, Sink};
use std::path::PathBuf;

/// `ringhaul bench [OPTIONS] [URL]`.
#[derive(Debug, clap::Args)]
#[command(after_help = UNITS)]
pub(in crate::cli) struct BenchArgs {
    /// What to download again and again; default: a file of the built-in server.
    #[arg(value_name = "URL")]
    pub(in crate::cli) url: Option<String>,

    /// Fetch a list of N files of --size each, 0001.bin and on, in place of one file; URL is that
    /// of their folder.
    #[arg(long, value_name = "N", requires = "size", conflicts_with = "profile")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=limits::BENCH_FILES_MAX))]
    #[arg(help_heading = "Measurement")]
    pub(in crate::cli) files: Option<u64>,

    /// Request sizes of the grid.
    #[arg(long, value_name = "SIZE,..", value_delimiter = ',', value_parser = chunk_size)]
    #[arg(default_value = "1M,4M,16M,64M", help_heading = "Measurement")]
    pub(in crate::cli) chunks: Vec<u64>,

    /// Connection counts of the grid; default: 1,2,4,8,16, and 4 with --against. With --files:
    /// how many files the other tools fetch at a time; default: what suits each of them.
    #[arg(long, short, value_name = "N,..", value_delimiter = ',', help_heading = "Measurement")]
    #[arg(value_parser = up_to(1, limits::CONNECTIONS_MAX))]
    pub(in crate::cli) connections: Option<Vec<u32>>,

    /// What moves ringhaul's bytes; of several the first one in all of its rows, each other one in
    /// rows of its own.
    #[arg(long, value_name = "ENGINE,..", value_delimiter = ',', help_heading = "Measurement")]
    #[arg(value_enum)]
    pub(in crate::cli) engine: Vec<Driver>,

    /// Threads of ringhaul, 1 to 64; default: from cores and scheme.
    #[arg(long, value_name = "N", value_parser = up_to(1, limits::THREADS_MAX))]
    #[arg(help_heading = "Measurement")]
    pub(in crate::cli) threads: Option<u32>,

    /// Runs of each entry, 1 to 1000; fewer than 6 claim no interval (95 %) and no winner.
    #[arg(long, value_name = "N", default_value = "6", help_heading = "Measurement")]
    #[arg(value_parser = up_to(1, limits::BENCH_RUNS_MAX))]
    pub(in crate::cli) runs: u32,

    /// Seed of the order of runs; default: another one each time, printed.
    #[arg(long, value_name = "N", help_heading = "Measurement")]
    pub(in crate::cli) seed: Option<u64>,

    /// Instead of the grid, these tools beside ringhaul: curl, curl-null (which keeps nothing),
    /// aria2c, axel, wget2, rclone.
    #[arg(long, value_name = "TOOL,..", value_delimiter = ',', help_heading = "Measurement")]
    pub(in crate::cli) against: Vec<Peer>,

    /// Write the files below the existing folder DIR, and remove them.
    #[arg(long, short, value_name = "DIR", default_value = ".", help_heading = "Measurement")]
    pub(in crate::cli) dir: PathBuf,

    /// Where the bytes go: a file written as ringhaul chooses, nowhere, memory, or a file through
    /// the page cache or past it.
    #[arg(long, value_name = "auto|null|memory|buffered|direct", default_value = "auto")]
    #[arg(help_heading = "Measurement")]
    pub(in crate::cli) sink: Sink,

    /// Write tables, figures and plots into a new folder below DIR, after every run. A ringhaul in
    /// a source tree with uncommitted changes refuses that: nobody could repeat it.
    #[arg(long, short, value_name = "DIR", help_heading = "Results")]
    pub(in crate::cli) out: Option<PathBuf>,

    /// Last part of that folder's name.
    #[arg(long, value_name = "NAME", default_value = "bench", help_heading = "Results")]
    pub(in crate::cli) name: String,

    /// Write that folder also from a tree with uncommitted changes; its name then ends in
    /// -unpublished.
    #[arg(long, requires = "out", help_heading = "Results")]
    pub(in crate::cli) unpublished: bool,

    /// Save what came out best for the origin of URL, for 'ringhaul --profile URL'; auto needs no
    /// saving. Default FILE: ~/.config/ringhaul/profiles.json.
    #[arg(long, value_name = "FILE", require_equals = true, help_heading = "Results")]
    pub(in crate::cli) profile: Option<Option<PathBuf>>,

    /// Trust the certificates in this PEM file beside the built-in roots.
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    pub(in crate::cli) ca_cert: Option<PathBuf>,

    /// Accept any certificate.
    #[arg(long, short = 'k', help_heading = "Trust")]
    pub(in crate::cli) insecure: bool,

    /// What the built-in server is told.
    #[command(flatten)]
    pub(in crate::cli) site: SiteArgs,
}

/// The built-in server's part of a bench.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Built-in server")]
pub(in crate::cli) struct SiteArgs {
    /// Bytes of its file, 4K to 1T; default: 1G.
    #[arg(long, value_name = "SIZE", value_parser = chunk_size)]
    pub(in crate::cli) size: Option<u64>,

    /// HTTPS instead of HTTP.
    #[arg(long)]
    pub(in crate::cli) tls: bool,

    /// The path that it plays.
    #[command(flatten)]
    pub(in crate::cli) shape: ShapeArgs,
}
