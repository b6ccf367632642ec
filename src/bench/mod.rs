//! Rank 6: settings of ringhaul, and other tools, measured against each other.
//!
//! [`run`] does it. `measure` says who is measured, makes the runs and records what each came to;
//! `conclude` says what the records allow to be said; `export` and `plot` show it as tables, files
//! and drawings. Each imports only those before it. Every run is a process of its own, measured by
//! the kernel's accounting of it; the built-in server is another.

mod conclude;
mod export;
mod measure;
mod plot;

pub use conclude::comparison::Comparison;
pub use conclude::profile::{Finding, Profile, Profiles};
pub use conclude::results::{Conditions, Results, Row};
pub use conclude::statistics;
pub use export::table::{Paint, notes, table};
pub use measure::entry::{Entry, short_size};
pub use measure::file_list::FileList;
pub use measure::peer::{PEERS, Peer};
pub use measure::record::{Detail, Percentiles, Record, SpanOutcome, SpanTimes, Traced};
pub use measure::sink::{SINKS, Sink};
pub use measure::sweep::Measured;

use crate::base::{Result, Url};
use crate::engine::options::Engine;
use crate::engine::progress::Progress;
use crate::engine::stop::StopHandle;
use export::Export;
use measure::lineup::lineup;
use measure::machine;
use measure::runner::Runner;
use measure::scratch::Scratch;
use measure::server_process::ServerProcess;
use measure::sweep::{Heard, Sweep};
use measure::warm_up::warm_up;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What a reader of a comparison has to know.
const SYNC_NOTE: &str = "ringhaul ends when what it fetched is on the disk, and keeps a journal; \
                         the other tools leave it in the page cache";
/// What a reader of a run without files has to know.
const NULL_NOTE: &str = "nothing was written and compared: a run counts if every byte came and \
                         the program ended well";
/// Runs of an entry from which its median has an interval at 95 %: the range of n values misses the
/// median once in 2^(n - 1), which is less than once in twenty from six on.
pub const INTERVAL_RUNS_MIN: u32 = 6;
/// The built-in server's certificate, in the scratch folder.
const CERTIFICATE: &str = "authority.pem";

/// What is to be measured, where, and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ringhaul program; every run starts it anew.
    pub program: PathBuf,
    /// The server to measure against.
    pub upstream: Upstream,
    /// Fetch these files, which the server has below the folder of its URL, in place of one.
    pub files: Option<FileList>,
    /// Request sizes of the grid, bytes.
    pub chunks: Vec<u64>,
    /// Connection counts of the grid; with peers, those they are told to use; with a list of files
    /// the numbers that peers fetch at a time, and none leaves them what suits each.
    pub connections: Vec<u32>,
    /// What moves the bytes: the first one in all of ringhaul's rows, each other one in rows of its
    /// own; none leaves it to ringhaul.
    pub engines: Vec<Engine>,
    /// Shards of every ringhaul run; `None` leaves it to ringhaul.
    pub threads: Option<u32>,
    /// Runs of each entry, at least 1.
    pub runs: u32,
    /// Seed of the order and of the intervals.
    pub seed: u64,
    /// Where the files are written; its file system is part of what is measured.
    pub folder: PathBuf,
    /// How they are written, or that they are not.
    pub sink: Sink,
    /// Tools to compare with; none means a sweep.
    pub against: Vec<Peer>,
    /// Where to write the results.
    pub out: Option<PathBuf>,
    /// Last part of the name of the results' folder.
    pub name: String,
    /// Allows results of a tree with uncommitted changes; their folder's name says so.
    pub unpublished: bool,
    /// The command line without secrets, for the report.
    pub command: String,
    /// An authority to trust besides.
    pub ca_cert: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// The server that the bench measures against.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// Any server, by the URL of a file; of a list of files, by that of their folder.
    Url(String),
    /// The built-in server, as a process of its own.
    BuiltIn {
        /// Arguments that make [`Settings::program`] serve a seeded file at every path, or the
        /// files of the list, print the URL of the root as the first line, and end with its
        /// standard input.
        arguments: Vec<OsString>,
        /// The seed of its content.
        content_seed: u64,
        /// It serves HTTPS, and writes its certificate to where `--cert-out` says.
        tls: bool,
        /// It remembers: which connection is the slow one, what was used up. Each run gets a
        /// server of its own then.
        remembers: bool,
    },
}

/// What is told while it runs.
#[derive(Debug)]
pub enum News<'a> {
    /// The first download, which is not measured.
    WarmUp(&'a Progress),
    /// A run begins.
    Begins {
        /// What is measured.
        entry: Entry,
        /// Which round, from 1.
        round: u32,
        /// Runs made so far.
        done: usize,
        /// Runs there will be, as far as is known now.
        total: usize,
        /// Time they will take; `None` before the first run has ended.
        left: Option<Duration>,
    },
    /// A run has ended.
    Ended {
        /// What it came to.
        record: &'a Record,
        /// Time the other runs will take.
        left: Option<Duration>,
    },
    /// One line that a reader must see.
    Note(&'a str),
    /// It ends early, with an error that follows; this is what it has.
    Cut(&'a Results),
}

/// Measures. Results are written to the folder after every run, so that an interrupted bench keeps
/// what it has.
///
/// # Errors
/// `Usage` for a URL without ranges or a file too small for the grid; `TargetUnusable` and
/// `DiskFull` for the folders; `ChecksumMismatch` if a run gave wrong bytes; `Connect` if the
/// server is gone; `Interrupted` when stopped; and what the first download fails with. What was
/// measured until then is told as [`News::Cut`].
pub fn run(
    settings: &Settings,
    stop: &StopHandle,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Results> {
    let export = settings.out.as_deref().map(|out| {
        let commit = machine::commit();
        Export::create(out, &settings.name, commit.as_deref(), settings.unpublished)
    });
    let mut export = export.transpose()?;
    let scratch = Scratch::create(&settings.sink.folder(&settings.folder)?)?;
    let (server, url) = match &settings.upstream {
        Upstream::Url(url) => (None, url.clone()),
        Upstream::BuiltIn { arguments, tls, .. } => {
            let certificate = tls.then(|| scratch.path(CERTIFICATE));
            let server =
                ServerProcess::start(&settings.program, arguments, certificate.as_deref())?;
            let url = server.url.clone();
            (Some(server), url)
        }
    };
    let mut runner = warm_up(settings, scratch, &url, stop, tell)?;
    let entries = lineup(settings, runner.bytes, tell)?;
    let shown = Url::parse(&url)?.to_string();
    let conditions = Conditions::observe(settings, &shown, server.is_some(), runner.bytes);
    let remembers = matches!(settings.upstream, Upstream::BuiltIn { remembers: true, .. });
    let (renewed, server) = if remembers { (server, None) } else { (None, server) };
    runner.renewed = renewed;
    let sweep = Sweep::new(entries, settings.runs, settings.seed, settings.against.is_empty());
    let results = measure(settings, conditions, sweep, (runner, server), &mut export, tell)?;
    if let Some(export) = &export {
        tell(News::Note(&format!("results are in {}", export.folder().display())));
    }
    Ok(results)
}

/// Runs the sweep and keeps the folder up to date. `server` lives as long as the runs do, unless
/// the runner has one for each of them.
fn measure(
    settings: &Settings,
    mut conditions: Conditions,
    mut sweep: Sweep,
    (mut runner, server): (Runner, Option<ServerProcess>),
    export: &mut Option<Export>,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Results> {
    let mut notes: Vec<String> = Vec::new();
    if !settings.against.is_empty() && settings.sink != Sink::Null {
        notes.push(SYNC_NOTE.to_owned());
    }
    if settings.sink == Sink::Null {
        notes.push(NULL_NOTE.to_owned());
    }
    let runs = usize::try_from(settings.runs).unwrap_or(usize::MAX);
    let ended = sweep.run(&mut runner, |rows, heard| {
        match heard {
            Heard::Begins { entry, round, left } => {
                let done = rows.iter().map(|row| row.records.len()).sum();
                let ahead: usize = rows.iter().map(|row| row.runs_left(runs)).sum();
                tell(News::Begins { entry, round, done, total: done + ahead, left });
            }
            Heard::Ended { index, left } => {
                let record = rows[index].records.last().expect("a run has just ended");
                tell(News::Ended { record, left });
                if let Some(export) = export {
                    conditions.load.update();
                    let so_far = Results::new(conditions.clone(), rows, &notes, settings.seed);
                    export.write(&so_far)?;
                }
            }
            Heard::Note(note) => {
                notes.push(note.to_owned());
                tell(News::Note(note));
            }
        }
        Ok(())
    });
    conditions.load.end();
    if let Some(shortfall) = server.or(runner.renewed.take()).and_then(ServerProcess::end) {
        let note = format!("the built-in server was {shortfall}");
        tell(News::Note(&note));
        notes.push(note);
    }
    if let Err(error) = &ended {
        notes.push(format!("the bench ended early: {}", error.context()));
    }
    let results = Results::new(conditions, &sweep.rows, &notes, settings.seed);
    if results.records.is_empty() {
        return ended.map(|()| results);
    }
    let written = export.as_ref().map_or(Ok(()), |export| export.write(&results));
    if let Err(error) = ended.and(written) {
        tell(News::Cut(&results));
        return Err(error);
    }
    Ok(results)
}
