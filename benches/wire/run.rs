//! One run: a setting on a path, against a server of its own.

use super::paths::Path;
use ringhaul::server::{Server, Stats};
use ringhaul::{Download, Options, Report};
use std::fmt;
use std::path::Path as FilePath;
use std::time::Duration;

/// A run that takes longer is stopped and counts as failed.
const RUN_TIME_MAX: Duration = Duration::from_secs(60);

/// What is chosen for a run; `None` leaves it to ringhaul.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Bytes of one request.
    pub(crate) chunk_bytes: Option<u64>,
    /// Connections at once.
    pub(crate) connections: Option<u32>,
    /// Whether the next request may go out early.
    pub(crate) request_ahead: bool,
}

impl Setting {
    /// ringhaul without options.
    pub(crate) const AUTO: Self =
        Self { chunk_bytes: None, connections: None, request_ahead: true };

    /// A cell of the grid.
    pub(crate) fn cell(chunk_bytes: u64, connections: u32) -> Self {
        Self { chunk_bytes: Some(chunk_bytes), connections: Some(connections), ..Self::AUTO }
    }

    /// Whether ringhaul chooses both.
    fn is_auto(self) -> bool {
        self.chunk_bytes.is_none() && self.connections.is_none()
    }

    /// The only place that knows how a setting becomes options.
    fn options(self, stall_timeout: Option<Duration>) -> Options {
        let defaults = Options::default();
        Options {
            chunk_bytes: self.chunk_bytes,
            connections: self.connections,
            request_ahead: self.request_ahead,
            stall_timeout: stall_timeout.unwrap_or(defaults.stall_timeout),
            force: true,
            ..defaults
        }
    }
}

impl fmt::Display for Setting {
    /// `auto`, or `1M x 4`; what is left to ringhaul stands as `auto` in its place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.chunk_bytes, self.connections) {
            (None, None) => f.write_str("auto")?,
            (None, Some(connections)) => write!(f, "auto x {connections}")?,
            (Some(bytes), None) => write!(f, "{} x auto", short_size(bytes))?,
            (Some(bytes), Some(connections)) => {
                write!(f, "{} x {connections}", short_size(bytes))?;
            }
        }
        if self.request_ahead { Ok(()) } else { f.write_str(", no request ahead") }
    }
}

/// `256K`, `4M`, or the plain number.
pub(crate) fn short_size(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    match bytes {
        _ if bytes.is_multiple_of(MIB) => format!("{}M", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{}K", bytes / KIB),
        _ => bytes.to_string(),
    }
}

/// What one run came to.
pub(crate) struct Sample {
    /// Name of its path.
    pub(crate) path: &'static str,
    /// What it was for: `grid`, `duel` or the name of a comparison.
    pub(crate) part: &'static str,
    /// Its setting.
    pub(crate) setting: Setting,
    /// Which round, from 1.
    pub(crate) round: u32,
    /// Size of the file.
    pub(crate) size_bytes: u64,
    /// What the client reported, or one line of why it failed.
    pub(crate) outcome: Result<Report, String>,
    /// What the server saw.
    pub(crate) server: Stats,
}

impl Sample {
    /// Goodput in bytes per second; `None` of a run that failed.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.outcome.as_ref().ok().map(Report::rate_bytes_per_second)
    }
}

/// What is measured, for what, and where.
pub(crate) struct Runner<'a> {
    /// The file that every run writes.
    pub(crate) target: &'a FilePath,
    /// Divides the size of every file.
    pub(crate) shrink: u64,
    /// In place of every other stall timeout, where only the bench itself is tried.
    pub(crate) stall_timeout: Option<Duration>,
}

impl Runner<'_> {
    /// One run.
    pub(crate) fn run(
        &self,
        path: &Path,
        part: &'static str,
        setting: Setting,
        round: u32,
    ) -> Sample {
        let size_bytes = path.size_bytes / self.shrink;
        let mut server = Server::start(path.config(size_bytes)).expect("a free port on loopback");
        let download = Download::new(&server.url("/file")).expect("the server's URL");
        let stop = download.stop_handle();
        let fixed = path.fixed_stall_timeout.filter(|_| !setting.is_auto());
        let options = setting.options(self.stall_timeout.or(fixed));
        let download = download.output(self.target).options(options).on_progress(move |now| {
            if now.elapsed > RUN_TIME_MAX {
                stop.stop();
            }
        });
        let outcome = download.run().map_err(|error| error.to_string());
        if let Ok(report) = &outcome {
            assert_eq!(report.bytes, size_bytes, "a file is whole");
        }
        server.stop();
        let mut seen = server.stats();
        // Thousands of heads that nobody reads.
        seen.log.clear();
        let sample =
            Sample { path: path.name, part, setting, round, size_bytes, outcome, server: seen };
        match &sample.outcome {
            Ok(report) => eprintln!(
                "{part} {round} | {} | {setting}: {:.2} s, {:.1} MB/s",
                path.name,
                report.elapsed.as_secs_f64(),
                report.rate_bytes_per_second() / 1e6
            ),
            Err(error) => eprintln!("{part} {round} | {} | {setting}: {error}", path.name),
        }
        sample
    }
}
