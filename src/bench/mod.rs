//! Rank 6: settings of ringhaul, and other tools, measured against each other.
//!
//! [`run`] does it: `runner` makes one run and compares its file, `sweep` orders the runs and
//! leaves out the hopeless, `record` holds what a run came to, `statistics` says what may be
//! concluded, `table`, `export` and `plot` show it. Every run is a process of its own, measured by
//! the kernel's accounting of it; the built-in server is another.

mod dice;
mod entry;
mod export;
mod machine;
mod peer;
mod plot;
mod record;
mod results;
mod runner;
mod site;
pub mod statistics;
mod sweep;
mod table;

pub use entry::{Entry, short_size};
pub use peer::{PEERS, Peer};
pub use record::{Detail, Percentiles, Record, SpanOutcome, SpanTimes, Traced};
pub use results::{Conditions, Results, Row};
pub use sweep::Measured;
pub use table::{Paint, notes, table};

use crate::base::size::{MIB, format_bytes};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::options::Options;
use crate::engine::progress::Progress;
use crate::engine::shutdown::StopHandle;
use crate::engine::{Download, probe};
use export::Export;
use runner::{Content, Runner, Scratch, interrupted};
use site::Site;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;
use sweep::{Heard, Sweep};

/// What stays free beside the files: part of a nearly full disk belongs to others.
const SPARE_BYTES: u64 = 16 * MIB;
/// What a reader of a comparison has to know.
const SYNC_NOTE: &str = "ringhaul ends when its file is on the disk, and keeps a journal; the \
                         other tools leave it in the page cache";
/// The built-in server's certificate, in the scratch folder.
const CERTIFICATE: &str = "authority.pem";

/// What is to be measured, where, and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ringhaul program; every run starts it anew.
    pub program: PathBuf,
    /// The other end.
    pub source: Source,
    /// Request sizes of the grid, bytes.
    pub chunks: Vec<u64>,
    /// Connection counts of the grid; with peers, those they are told to use.
    pub connections: Vec<u32>,
    /// Shards of every ringhaul run; `None` leaves it to ringhaul.
    pub threads: Option<u32>,
    /// Runs of each entry, at least 1.
    pub runs: u32,
    /// Seed of the order and of the intervals.
    pub seed: u64,
    /// Where the files are written; its file system is part of what is measured.
    pub folder: PathBuf,
    /// Tools to compare with; none means a sweep.
    pub against: Vec<Peer>,
    /// Where to write the results.
    pub out: Option<PathBuf>,
    /// Last part of the name of the results' folder.
    pub name: String,
    /// The command line without secrets, for the report.
    pub command: String,
    /// An authority to trust besides.
    pub ca_cert: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
}

/// The other end of the bench.
#[derive(Debug, Clone)]
pub enum Source {
    /// Some server.
    Url(String),
    /// The built-in one.
    Own {
        /// Arguments that make [`Settings::program`] serve a seeded file at every path, print the
        /// URL of the root as the first line, and end with its standard input.
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
    },
    /// A run has ended.
    Ended(&'a Record),
    /// One line that a reader must see.
    Note(&'a str),
}

/// Measures. Results are written to the folder after every run, so that an interrupted bench keeps
/// what it has.
///
/// # Errors
/// `Usage` for a URL without ranges or a file too small for the grid; `TargetUnusable` and
/// `DiskFull` for the folders; `ChecksumMismatch` if a run gave wrong bytes; `Interrupted` when
/// stopped; and what the first download fails with.
pub fn run(
    settings: &Settings,
    stop: &StopHandle,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Results> {
    let export = settings.out.as_deref().map(|out| Export::create(out, &settings.name));
    let mut export = export.transpose()?;
    let scratch = Scratch::create(&settings.folder)?;
    let (site, url) = match &settings.source {
        Source::Url(url) => (None, url.clone()),
        Source::Own { arguments, tls, .. } => {
            let certificate = tls.then(|| scratch.path(CERTIFICATE));
            let site = Site::start(&settings.program, arguments, certificate.as_deref())?;
            let url = site.url.clone();
            (Some(site), url)
        }
    };
    let mut runner = warm_up(settings, scratch, &url, stop, tell)?;
    let entries = entries(settings, runner.bytes, tell)?;
    let shown = Url::parse(&url)?.to_string();
    let conditions = Conditions::observe(settings, &shown, site.is_some(), runner.bytes);
    let remembers = matches!(settings.source, Source::Own { remembers: true, .. });
    // Otherwise it lives to the end of this function.
    let (renewed, _site) = if remembers { (site, None) } else { (None, site) };
    runner.renewed = renewed;
    let sweep = Sweep::new(entries, settings.runs, settings.seed, settings.against.is_empty());
    let results = measure(settings, conditions, sweep, runner, &mut export, tell)?;
    if let Some(export) = &export {
        tell(News::Note(&format!("results are in {}", export.folder().display())));
    }
    Ok(results)
}

/// Runs the sweep and keeps the folder up to date.
fn measure(
    settings: &Settings,
    conditions: Conditions,
    mut sweep: Sweep,
    mut runner: Runner,
    export: &mut Option<Export>,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Results> {
    let mut notes: Vec<String> = Vec::new();
    if !settings.against.is_empty() {
        notes.push(SYNC_NOTE.to_owned());
    }
    let runs = usize::try_from(settings.runs).unwrap_or(usize::MAX);
    sweep.run(&mut runner, |rows, heard| {
        match heard {
            Heard::Begins { entry, round } => {
                let done = rows.iter().map(|row| row.records.len()).sum();
                let left = rows.iter().filter(|row| row.left_out.is_none());
                let left: usize = left.map(|row| runs - row.records.len().min(runs)).sum();
                tell(News::Begins { entry, round, done, total: done + left });
            }
            Heard::Ended { index } => {
                let record = rows[index].records.last().expect("a run has just ended");
                tell(News::Ended(record));
                if let Some(export) = export {
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
    })?;
    let results = Results::new(conditions, &sweep.rows, &notes, settings.seed);
    if let Some(export) = export {
        export.write(&results)?;
    }
    Ok(results)
}

/// The first download: it warms the server, says how large the file is, and of a URL it stays as
/// what every later file is compared with. It is not measured.
fn warm_up(
    settings: &Settings,
    scratch: Scratch,
    url: &str,
    stop: &StopHandle,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Runner> {
    let reference = scratch.path("reference");
    let certificate = match &settings.source {
        Source::Own { tls, .. } => tls.then(|| scratch.path(CERTIFICATE)),
        Source::Url(_) => None,
    };
    let ca_cert = certificate.or_else(|| settings.ca_cert.clone());
    let ca_cert = ca_cert.map(std::path::absolute).transpose().map_err(|cause| {
        Error::new(ErrorKind::Usage, "the path of the certificate is no path").caused_by(cause)
    })?;
    let options = Options {
        ca_certs: ca_cert.iter().cloned().collect(),
        insecure: settings.insecure,
        ..Options::default()
    };
    let report = fetch(url, &reference, options, stop, tell)?;
    if !report.ranges && settings.against.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the server offers no ranges of this file")
            .advise(
                "nothing can be swept; another server or file, or --against to compare tools",
            ));
    }
    let content = match &settings.source {
        Source::Url(_) => Content::Reference(reference),
        Source::Own { content_seed, .. } => {
            // Its content is known; the space is not needed twice. Gone already is as good.
            let _ = std::fs::remove_file(&reference);
            Content::Seed(*content_seed)
        }
    };
    must_have_room(&settings.folder, report.bytes)?;
    Ok(Runner {
        scratch,
        program: settings.program.clone(),
        url: url.to_owned(),
        renewed: None,
        bytes: report.bytes,
        content,
        ca_cert,
        insecure: settings.insecure,
        threads: settings.threads,
        stop: stop.clone(),
        started: Instant::now(),
    })
}

/// What the first download said.
struct Fetched {
    bytes: u64,
    ranges: bool,
}

fn fetch(
    url: &str,
    target: &Path,
    options: Options,
    stop: &StopHandle,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Fetched> {
    let download = Download::new(url)?;
    let own_stop = download.stop_handle();
    let asked = stop.clone();
    let (sender, receiver) = mpsc::channel::<Progress>();
    let download = download.output(target).options(options).on_progress(move |progress| {
        if asked.is_stopped() {
            own_stop.stop();
        }
        // Nobody listens once the download has ended.
        let _ = sender.send(progress.clone());
    });
    let result = thread::scope(|scope| {
        let running = scope.spawn(|| download.run());
        for progress in receiver {
            tell(News::WarmUp(&progress));
        }
        running.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the thread of the first download panicked"))
        })
    });
    match result {
        Ok(report) => Ok(Fetched { bytes: report.bytes, ranges: report.ranges }),
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(interrupted()),
        Err(error) => Err(error.within("the first download")),
    }
}

/// Room for one more file of the size. Parts of it need names of their own beside it.
fn must_have_room(folder: &Path, bytes: u64) -> Result<()> {
    let (free, wanted) = (probe::free_bytes(folder)?, bytes.saturating_add(SPARE_BYTES));
    if free >= wanted {
        return Ok(());
    }
    let (free, wanted) = (format_bytes(free), format_bytes(wanted));
    let what = format!("'{}' has {free} free, each run needs {wanted}", folder.display());
    Err(Error::new(ErrorKind::DiskFull, what).advise("choose another --dir or a smaller file"))
}

/// What is measured: the grid, or ringhaul and the peers that are installed.
fn entries(settings: &Settings, bytes: u64, tell: &mut dyn FnMut(News<'_>)) -> Result<Vec<Entry>> {
    if settings.against.is_empty() {
        let (entries, too_large) = entry::grid(&settings.chunks, &settings.connections, bytes);
        let names = too_large.iter().map(Entry::to_string).collect::<Vec<_>>().join(", ");
        let size = format_bytes(bytes);
        if entries.is_empty() {
            let what = format!("a file of {size} is too small for the grid: {names}");
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("take a larger file, or smaller --chunks and fewer --connections"));
        }
        if !too_large.is_empty() {
            let what = "too small a file to give every connection a request";
            tell(News::Note(&format!("left out, {size} is {what}: {names}")));
        }
        return Ok(entries);
    }
    let counts = settings.connections.iter().copied();
    let mut entries = vec![Entry::Auto];
    entries.extend(counts.map(Entry::Connections));
    for &peer in &settings.against {
        if peer.find().is_none() {
            tell(News::Note(&format!("{} is not installed and left out", peer.name())));
            continue;
        }
        // One stream is one stream.
        let counts = if peer == Peer::Curl { &[1][..] } else { &settings.connections };
        entries.extend(counts.iter().map(|&count| Entry::Peer(peer, count)));
    }
    Ok(entries)
}
