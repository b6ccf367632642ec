//! What a transfer tells while it runs and when it ends: snapshots, events, the report. Plain data;
//! knows nothing of terminals.

mod slices;

use crate::base::limits::SILENCE_WITHOUT_ETA;
use crate::base::size::{GIB, MIB};
use crate::base::{Error, ErrorKind, Url};
pub use crate::engine::options::{Algorithm, Engine};
pub use slices::{JoinReport, OtherSlices, SliceReport};
use std::path::PathBuf;
use std::time::Duration;

/// Bytes from which on CPU time per byte says more of the transfer than of the program's start,
/// which takes some 10 ms: less than 0.2 s per GiB.
const CPU_BYTES_MIN: u64 = 64 * MIB;

/// What the transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving, connecting, asking for the first span.
    #[default]
    Connecting,
    /// Body bytes flow.
    Downloading,
    /// All bytes are there; the digest is still being computed.
    Verifying,
    /// Syncing and renaming.
    Finishing,
}

/// A snapshot of a running transfer.
///
/// # Example
///
/// ```
/// let download = ringhaul::Download::new("https://example.org/file")?.on_progress(|progress| {
///     let percent = progress.bytes_total.map(|total| 100 * progress.bytes_done / total.max(1));
///     println!("{percent:?} %, {:?} left", progress.eta());
/// });
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of the file that are here: received and not lost to a failure, or left by an earlier
    /// run.
    pub bytes_done: u64,
    /// Those of them that an earlier run has left.
    pub resumed_bytes: u64,
    /// Those of these that are still to be read back and compared with what was written; it happens
    /// beside the download.
    pub unchecked_bytes: u64,
    /// Size of the file, or of the part of it that is fetched, once the server has said it.
    pub bytes_total: Option<u64>,
    /// Time since the transfer began.
    pub elapsed: Duration,
    /// Bytes per second over the last seconds.
    pub rate_bytes_per_second: f64,
    /// Bytes per second since the first byte, of which recent ones count more; `None` in the first
    /// second, in which it says little.
    pub steady_rate_bytes_per_second: Option<f64>,
    /// Connections that are open now.
    pub connections: u32,
    /// What is waited for before the next try, if nothing else goes on.
    pub waiting: Option<Waiting>,
    /// Time in which nothing has come.
    pub silence: Duration,
}

impl Progress {
    /// Time left at the steady rate, if size and rate are known and something comes.
    pub fn eta(&self) -> Option<Duration> {
        if self.silence >= SILENCE_WITHOUT_ETA {
            return None;
        }
        let left = self.bytes_total?.saturating_sub(self.bytes_done);
        let rate = self.steady_rate_bytes_per_second.filter(|rate| *rate >= 1.0)?;
        Duration::try_from_secs_f64(left as f64 / rate).ok()
    }
}

/// A wait before something that has failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// How it has failed.
    pub kind: ErrorKind,
    /// Time until it is tried again.
    pub left: Duration,
    /// The number of that try, from 1.
    pub retry: u32,
    /// Retries in a row before the transfer fails.
    pub retries_max: u32,
    /// The server has said how long to wait (Retry-After).
    pub is_asked: bool,
}

/// How much a reader must want to know to see an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Shown unless quiet: the user's request is carried out in another way than asked.
    Warning,
    /// Shown unless quiet: worth a line.
    Note,
    /// Shown with `-v`: what the server said, per connection; retries.
    Detail,
    /// Shown with `-vv`: every request and span.
    Trace,
}

/// The warning where certificates are not checked.
pub const INSECURE_WARNING: &str =
    "--insecure: certificates are not checked; anyone on the way can change the file";

/// Something that happened.
///
/// # Example
///
/// Shows what a user should see without asking for more:
///
/// ```
/// use ringhaul::{Download, Level};
///
/// let download = Download::new("https://example.org/file")?.on_event(|event| {
///     if event.level <= Level::Note {
///         eprintln!("{}", event.text);
///     }
/// });
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event {
    /// Who wants to see it.
    pub level: Level,
    /// The connection it happened on.
    pub connection: Option<u32>,
    /// One line without secrets.
    pub text: String,
}

/// What was verified against what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verified {
    /// `sha256:HEX`, computed from the bytes and equal to what was expected.
    pub digest: String,
    /// Where the expected digest came from, in words for the closing line: `given with --checksum`,
    /// `from SHA256SUMS`, `server's Repr-Digest`.
    pub against: String,
    /// Bytes that had left memory and were read back from the file for hashing.
    pub read_back_bytes: u64,
}

/// Which pieces were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedPieces {
    /// Their number: that of all pieces of the file, or of those that lie in the part of it that
    /// was fetched.
    pub count: u64,
    /// How they are hashed.
    pub algorithm: Algorithm,
    /// Bytes that had left memory, or that an earlier run had left, and were read back from the
    /// file for hashing.
    pub read_back_bytes: u64,
}

/// What was found in a file that is repaired, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// The number of its pieces, if their digests are known.
    pub pieces: Option<u64>,
    /// The number of those that were bad or missing.
    pub bad_pieces: u64,
    /// Bytes of the file that were fetched by this run.
    pub fetched_bytes: u64,
    /// Nothing was wrong with it, so that it is the very file that it was.
    pub is_untouched: bool,
}

/// What a server says by which a version of its file can be told from others (RFC 9110 8.8), in
/// its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileValidator {
    /// `ETag` with its quotes, weak ones with their `W/`.
    Etag(String),
    /// `Last-Modified`, where there is no entity tag.
    LastModified(String),
}

/// The result of a finished transfer.
///
/// # Example
///
/// ```
/// # fn main() -> ringhaul::Result<()> {
/// # let server = ringhaul::server::Server::start(ringhaul::server::Config::new(1, 300_000))?;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// let download = ringhaul::Download::new(&server.url("/file"))?;
/// let report = download.output(folder.path().join("file")).run()?;
/// println!(
///     "{} at {:.0} MB/s over {} connections; limited by {}",
///     report.path.display(),
///     report.rate_bytes_per_second() / 1e6,
///     report.connections,
///     report.limiter.as_deref().unwrap_or("one stream"),
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Where the file is.
    pub path: PathBuf,
    /// Where the server's last answers came from, redirects followed.
    pub url: Url,
    /// What a later run can tell this version of the file by.
    pub validator: Option<FileValidator>,
    /// `Last-Modified`, as the server sent it.
    pub last_modified: Option<String>,
    /// `Content-Type`, as the server sent it.
    pub content_type: Option<String>,
    /// Its size, or that of the part of it that was fetched.
    pub bytes: u64,
    /// Those of its bytes that an earlier run had left.
    pub resumed_bytes: u64,
    /// From the call to the synced and renamed file.
    pub elapsed: Duration,
    /// Most connections that were open at once.
    pub connections: u32,
    /// Connections established in all, replacements included.
    pub connects: u32,
    /// What moved the bytes: [`Engine::Epoll`] if any shard went through it, else
    /// [`Engine::IoUring`].
    pub engine: Engine,
    /// Shards that worked.
    pub threads: u32,
    /// User and system time of this process during the transfer.
    pub cpu: Duration,
    /// Nothing was kept.
    pub discarded: bool,
    /// The bytes were passed on in order.
    pub is_ordered: bool,
    /// Blocks bypassed the page cache.
    pub direct: bool,
    /// The arena was registered with the kernel.
    pub registered: bool,
    /// It was not, as this machine does not let this user lock that much memory.
    pub lacks_locked_memory: bool,
    /// The server answers ranges; otherwise it was one stream.
    pub ranges: bool,
    /// Failures that were retried.
    pub retries: u32,
    /// What limited the transfer, in one line with the evidence; `None` for one stream.
    pub limiter: Option<String>,
    /// The check of the digest, if one was known.
    pub verified: Option<Verified>,
    /// The check of the pieces, if their hashes were known.
    pub pieces: Option<VerifiedPieces>,
    /// The digests asked for, as `sha256:HEX`.
    pub digests: Vec<String>,
    /// What was repaired, if that was asked for.
    pub repaired: Option<Repaired>,
    /// Which slice of the file it is, if one was asked for, and how the others are. The file has
    /// its name only once all are joined.
    pub slice: Option<SliceReport>,
    /// What each source brought, where there were several; empty otherwise.
    pub sources: Vec<SourceReport>,
    /// Several sources brought parts of the file, and samples of each were compared with another
    /// one's, as no digest proves the whole.
    pub is_compared: bool,
}

/// What one of several sources brought.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SourceReport {
    /// What the caller named.
    pub url: Url,
    /// Bytes of the file that came from it.
    pub bytes: u64,
    /// Connections made to it.
    pub connects: u32,
    /// How often it failed.
    pub failures: u32,
    /// How it failed last, if it did.
    pub error: Option<Error>,
}

impl Report {
    /// Mean goodput of this run in bytes per second.
    pub fn rate_bytes_per_second(&self) -> f64 {
        self.new_bytes() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// CPU seconds per GiB that this run has fetched; `None` below 64 MiB, where start-up is most
    /// of it.
    pub fn cpu_seconds_per_gib(&self) -> Option<f64> {
        let new_bytes = self.new_bytes();
        (new_bytes >= CPU_BYTES_MIN).then(|| self.cpu.as_secs_f64() * GIB as f64 / new_bytes as f64)
    }

    /// Bytes of the file that no earlier run had left.
    pub fn new_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.resumed_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eta_needs_size_and_rate() {
        let mut progress = Progress {
            bytes_done: 100,
            bytes_total: Some(300),
            steady_rate_bytes_per_second: Some(100.0),
            ..Progress::default()
        };
        assert_eq!(progress.eta(), Some(Duration::from_secs(2)));
        let silent = Progress { silence: Duration::from_secs(2), ..progress.clone() };
        assert_eq!(silent.eta(), None);
        for unknown in [Some(0.0), None] {
            progress.steady_rate_bytes_per_second = unknown;
            assert_eq!(progress.eta(), None);
        }
        (progress.bytes_total, progress.steady_rate_bytes_per_second) = (None, Some(100.0));
        assert_eq!(progress.eta(), None);
    }
}
