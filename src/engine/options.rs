//! The resolved settings of one transfer. Plain data with its bounds; reads no environment.

pub mod login;
pub mod part;
pub mod rate;
pub mod reach;
mod tls;

pub use super::hints::SourceHints;
use crate::base::limits;
use crate::base::size::format_wait;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Slice, Url};
pub use crate::digest::{Algorithm, Checksum, PieceHashes};
use crate::disk::output::DirectPolicy;
use crate::io::patience::SpeedLimit;
pub use crate::plan::MirrorPolicy;
use login::Login;
use part::Part;
use rate::RateLimit;
use reach::Reach;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use tls::{Pins, Roots, TlsOptions, TlsVersion};

/// Whether file blocks bypass the page cache (O_DIRECT).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DirectMode {
    /// Where the file system does it well and the file is large enough to gain from it.
    #[default]
    Auto,
    /// Always; an error where the file system refuses, but for small files of a batch, which go
    /// through the cache there, and always do if they come together with their answer's head.
    On,
    /// Never.
    Off,
}

impl DirectMode {
    /// The same in the words of the disk.
    pub(crate) fn policy(self) -> DirectPolicy {
        match self {
            DirectMode::Auto => DirectPolicy::Auto,
            DirectMode::On => DirectPolicy::Always,
            DirectMode::Off => DirectPolicy::Never,
        }
    }
}

/// What moves the bytes of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Engine {
    /// io_uring, or epoll where the kernel refuses it.
    #[default]
    Auto,
    /// io_uring, or no download: [`ErrorKind::EngineUnavailable`] where it is refused.
    IoUring,
    /// epoll, and threads that write. Nothing is registered with the kernel then.
    Epoll,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Auto => "auto",
            Engine::IoUring => "io_uring",
            Engine::Epoll => "epoll",
        })
    }
}

/// What is durable when a download has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SyncMode {
    /// The file and its name.
    #[default]
    File,
    /// Nothing: the caller syncs, or does without. After a power failure any part of the file may
    /// be missing under its name.
    None,
}

/// What happens when the file on the server is no longer the one that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnChange {
    /// Start over with the new one, and say so.
    #[default]
    Restart,
    /// Fail; what was fetched of the old one stays.
    Fail,
}

/// Settings of one download. `Options::default()` is what the command line does without options.
///
/// # Example
///
/// ```
/// use ringhaul::{Download, Options};
/// use std::time::Duration;
///
/// let options = Options {
///     connections: Some(8),
///     max_time: Some(Duration::from_secs(600)),
///     headers: vec![("Authorization".into(), "Bearer …".into())],
///     ..Options::default()
/// };
/// let download = Download::new("https://example.org/file")?.output("file").options(options);
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections at once, 1..=256; `None` for as many as measurably pay. A server without range
    /// support gets one.
    pub connections: Option<u32>,
    /// Most connections while their number is automatic, 1..=256.
    pub max_connections: u32,
    /// What moves the bytes; on a shared client, its own option does.
    pub engine: Engine,
    /// Shards: threads with a ring of their own, 1..=64; `None` chooses from cores and scheme.
    pub threads: Option<u32>,
    /// Bytes of one request, 4 KiB..=1 TiB, rounded up to 4 KiB; `None` for what the measured
    /// goodput and time to first byte ask for.
    pub chunk_bytes: Option<u64>,
    /// Send the next request before the present answer has ended, where the server takes it well.
    pub request_ahead: bool,
    /// Retries of one span without progress before the download fails, 0..=1000.
    pub retries: u32,
    /// Direct or buffered writes.
    pub direct: DirectMode,
    /// Register the block arena with the kernel where files are written past the page cache and the
    /// memlock limit allows it; on a shared client, its own option does.
    pub register_buffers: bool,
    /// Replace an existing target; and take the name of the part file from what others have there,
    /// which is not written to.
    pub force: bool,
    /// What is durable in the end. The journal is so meanwhile in any case.
    pub sync: SyncMode,
    /// Set the file's time to the server's `Last-Modified`.
    pub remote_time: bool,
    /// Additional request header fields, in order; they replace defaults of the same name.
    pub headers: Vec<(String, String)>,
    /// Credentials and cookies.
    pub login: Login,
    /// PEM files with certificates trusted beside the built-in roots.
    pub ca_certs: Vec<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
    /// Who is trusted besides, what is shown, and how old TLS may be.
    pub tls: TlsOptions,
    /// Follow redirects from https to http.
    pub allow_downgrade: bool,
    /// How servers are reached: through which proxy, and how sockets get there.
    pub reach: Arc<Reach>,
    /// A file to write one JSON line per span and decision to; see the trace's documentation.
    pub trace: Option<PathBuf>,
    /// Digest the file must have; those the server offers are not looked at then.
    pub checksum: Option<Checksum>,
    /// Digests that the pieces of the file must have. Each piece is verified as it comes, and a bad
    /// one is fetched again, from another source if there is one. The file must have the size that
    /// they are for, where they say it.
    pub pieces: Option<Arc<PieceHashes>>,
    /// Other URLs of the same file, best first.
    pub mirrors: Vec<Url>,
    /// Which of the sources are used.
    pub mirror_policy: MirrorPolicy,
    /// How sources are said to begin best.
    pub hints: SourceHints,
    /// If the file has at least 8 MiB, use what the server names with it, too (`Link`, RFC 6249):
    /// mirrors (`rel=duplicate`), and digests and mirrors of a Metalink (`rel=describedby`) of its
    /// own.
    pub links: bool,
    /// Size that the file must have, in bytes: a source with another one is left out.
    pub expected_bytes: Option<u64>,
    /// The part of the file that is fetched; `None` for all of it. One at its place in the file is
    /// not to be had with [`digests`](Self::digests) or with an output that takes bytes in order, a
    /// packed one not with [`pieces`](Self::pieces), and none with a repair.
    pub part: Option<Part>,
    /// The slice of the file that is fetched, beside others that fetch theirs into the same folder,
    /// on a file system that they share; `None` for all of it. Digests are those of the whole file,
    /// computed by whoever joins the slices: the one that is complete last, or
    /// [`Join`](crate::Join). Not to be had with a part, without a journal, or with an output that
    /// is no file.
    pub slice: Option<Slice>,
    /// Where that digest was found, for messages; `None` if the caller named it itself.
    pub checksum_source: Option<String>,
    /// Verify against a digest that the server offers.
    pub verify: bool,
    /// Digests to compute and report besides.
    pub digests: Vec<Algorithm>,
    /// Go on with what an earlier run has left.
    pub resume: bool,
    /// Records a journal, so that a later run can go on with what this one leaves.
    pub journal: bool,
    /// Time between two barriers, 10 ms..=1 h: what a crash may cost.
    pub journal_interval: Duration,
    /// What happens when the file changes on the server.
    pub on_change: OnChange,
    /// Wait before the first retry that waits, 1 ms..=1 h; doubles with each one after it.
    pub retry_wait: Duration,
    /// Time the whole download may take.
    pub max_time: Option<Duration>,
    /// Time to establish one connection, TLS included.
    pub connect_timeout: Duration,
    /// Most memory in bytes of the blocks of an ordered output, 8 MiB..=1 TiB, rounded down to
    /// 1 MiB; see [`Download::stream`](crate::Download::stream). It has at most one connection for
    /// each 4 MiB.
    pub memory_bytes: u64,
    /// Time without progress before a connection counts as stalled. Progress is 4 KiB of a body, or
    /// all of the head of an answer.
    pub stall_timeout: Duration,
    /// Bytes per second that the body of a connection has to bring on average, at least 1, in place
    /// of 4 KiB per [`stall_timeout`](Self::stall_timeout); `None` for that, or for 1 if
    /// [`speed_time`](Self::speed_time) is given. Connections that share a path too slow for all of
    /// them are borne as long as they reach it together.
    pub speed_limit_bytes: Option<u64>,
    /// The time over which that average is taken; `None` for 30 s.
    pub speed_time: Option<Duration>,
    /// Most bytes per second of this download; on a shared client, its own limits hold as well.
    pub rate: RateLimit,
}

/// Settings of a client; `ClientOptions::default()` is what a single download gets.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// What moves the bytes of all its downloads.
    pub engine: Engine,
    /// Shards: threads with a ring of their own, 1..=64; `None` for as many as there are cores, up
    /// to 8. Each starts when it is first needed.
    pub threads: Option<u32>,
    /// Register the block arenas with the kernel where files are written past the page cache and
    /// the memlock limit allows it.
    pub register_buffers: bool,
    /// Most connections of all downloads at once, at least 1; `None` for what each asks for.
    pub max_connections: Option<u32>,
    /// Most connections to one origin at once, at least 1; `None` for any number.
    pub max_connections_per_host: Option<u32>,
    /// The same for single origins, in its place.
    pub max_connections_by_origin: Vec<(Origin, u32)>,
    /// Most bytes of all downloads' blocks at once, 4 MiB..=1 TiB, rounded down to 1 MiB; `None`
    /// for what each asks for: about 1 MiB per connection and 12 more, 36 if it is hashed.
    pub memory_bytes: Option<u64>,
    /// Most bytes per second of all downloads together.
    pub rate: RateLimit,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            engine: Engine::Auto,
            threads: None,
            register_buffers: true,
            max_connections: None,
            max_connections_per_host: None,
            max_connections_by_origin: Vec::new(),
            memory_bytes: None,
            rate: RateLimit::default(),
        }
    }
}

impl ClientOptions {
    /// Checks every bound; what is out of range is the caller's mistake.
    pub(super) fn validate(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            in_range("threads", threads.into(), 1, limits::THREADS_MAX.into())?;
        }
        let bounds = [self.max_connections, self.max_connections_per_host].into_iter().flatten();
        for connections in bounds.chain(self.max_connections_by_origin.iter().map(|own| own.1)) {
            in_range("connections of a client", connections.into(), 1, u32::MAX.into())?;
        }
        self.rate.validate()?;
        let memory_bytes = self.memory_bytes.unwrap_or(limits::CLIENT_MEMORY_BYTES_MAX);
        let (min, max) = (limits::CLIENT_MEMORY_BYTES_MIN, limits::CLIENT_MEMORY_BYTES_MAX);
        in_range("memory of a client in bytes", memory_bytes, min, max)
    }

    /// The memory in blocks.
    pub(super) fn memory_blocks(&self) -> Option<u32> {
        let blocks = self.memory_bytes? / limits::BLOCK_BYTES as u64;
        Some(u32::try_from(blocks).expect("the memory is in its bounds"))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: None,
            max_connections: limits::CONNECTIONS_AUTO_MAX,
            engine: Engine::Auto,
            threads: None,
            chunk_bytes: None,
            request_ahead: true,
            retries: limits::RETRIES_DEFAULT,
            direct: DirectMode::Auto,
            register_buffers: true,
            force: false,
            sync: SyncMode::File,
            remote_time: false,
            headers: Vec::new(),
            login: Login::default(),
            ca_certs: Vec::new(),
            insecure: false,
            tls: TlsOptions::default(),
            allow_downgrade: false,
            reach: Arc::default(),
            trace: None,
            checksum: None,
            pieces: None,
            mirrors: Vec::new(),
            mirror_policy: MirrorPolicy::All,
            hints: SourceHints::default(),
            links: true,
            expected_bytes: None,
            part: None,
            slice: None,
            checksum_source: None,
            verify: true,
            digests: Vec::new(),
            resume: true,
            journal: true,
            journal_interval: limits::BARRIER_INTERVAL,
            on_change: OnChange::Restart,
            retry_wait: limits::RETRY_WAIT_MIN,
            max_time: None,
            connect_timeout: limits::CONNECT_TIMEOUT,
            memory_bytes: limits::ORDERED_MEMORY_BYTES_DEFAULT,
            stall_timeout: limits::STALL_TIMEOUT,
            speed_limit_bytes: None,
            speed_time: None,
            rate: RateLimit::default(),
        }
    }
}

impl Options {
    /// Checks every bound; what is out of range is the caller's mistake.
    pub fn validate(&self) -> Result<()> {
        let connections_max = limits::CONNECTIONS_MAX.into();
        in_range("max connections", self.max_connections.into(), 1, connections_max)?;
        if let Some(connections) = self.connections {
            in_range("connections", connections.into(), 1, connections_max)?;
        }
        if let Some(threads) = self.threads {
            in_range("threads", threads.into(), 1, limits::THREADS_MAX.into())?;
        }
        let (chunk_min, chunk_max) = (limits::CHUNK_BYTES_MIN, limits::CHUNK_BYTES_MAX);
        if let Some(chunk_bytes) = self.chunk_bytes {
            in_range("chunk size", chunk_bytes, chunk_min, chunk_max)?;
        }
        let memory_min = limits::ORDERED_MEMORY_BYTES_MIN;
        let memory_max = limits::CLIENT_MEMORY_BYTES_MAX;
        in_range("memory in bytes", self.memory_bytes, memory_min, memory_max)?;
        in_range("retries", self.retries.into(), 0, limits::RETRIES_MAX.into())?;
        for (name, time) in [
            ("connect timeout", self.connect_timeout),
            ("stall timeout", self.stall_timeout),
            ("time of the whole download", self.max_time.unwrap_or(Duration::MAX)),
        ] {
            if time.is_zero() {
                return Err(Error::new(ErrorKind::Usage, format!("the {name} is zero")));
            }
        }
        if self.speed_limit_bytes == Some(0) || self.speed_time == Some(Duration::ZERO) {
            return Err(Error::new(ErrorKind::Usage, "the speed limit or its time is zero"));
        }
        self.check_part()?;
        self.rate.validate()?;
        self.tls.validate()?;
        for (name, time, min, max) in [
            (
                "journal interval",
                self.journal_interval,
                limits::BARRIER_INTERVAL_MIN,
                limits::BARRIER_INTERVAL_MAX,
            ),
            (
                "retry wait",
                self.retry_wait,
                limits::RETRY_WAIT_ASKED_MIN,
                limits::RETRY_WAIT_ASKED_MAX,
            ),
        ] {
            if !(min..=max).contains(&time) {
                let [min, max, time] = [min, max, time].map(format_wait);
                let context = format!("the {name} must be {min} to {max}, not {time}");
                return Err(Error::new(ErrorKind::Usage, context));
            }
        }
        Ok(())
    }
}

impl Options {
    /// Whether the caller wants a digest of the whole file.
    pub(super) fn wants_digest(&self) -> bool {
        self.checksum.is_some() || !self.digests.is_empty()
    }

    /// Digests and pieces are of the file that is made, and a part is another one.
    fn check_part(&self) -> Result<()> {
        let Some(part) = &self.part else { return Ok(()) };
        if part.is_packed() && self.pieces.is_some() {
            let what = "the pieces of a file are none of a part of it that is a file of its own";
            return Err(Error::new(ErrorKind::Usage, what).advise("leave their digests out"));
        }
        if !part.is_packed() && !self.digests.is_empty() {
            let what = "a digest of a part at its place would be told as that of the file there";
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("leave the digest out, or fetch the part into a file of its own"));
        }
        Ok(())
    }

    /// The average speed that is asked of each connection.
    pub(super) fn speed_limit(&self) -> Option<SpeedLimit> {
        let is_asked = self.speed_limit_bytes.is_some() || self.speed_time.is_some();
        is_asked.then(|| SpeedLimit {
            bytes_per_second: self.speed_limit_bytes.unwrap_or(1),
            time: self.speed_time.unwrap_or(limits::SPEED_TIME),
        })
    }

    /// A file whose pieces are known has their size.
    pub(super) fn settle_size(&mut self) -> Result<()> {
        let Some(pieces) = &self.pieces else { return Ok(()) };
        let bytes = self.expected_bytes.or(pieces.size_bytes());
        if let Some(bytes) = bytes {
            self.pieces = Some(Arc::new((**pieces).clone().of_size(bytes)?));
        }
        self.expected_bytes = bytes;
        Ok(())
    }

    /// What a server names beside a file is about the whole of it.
    pub(super) fn settle_part(&mut self) {
        self.links &= !self.part.as_ref().is_some_and(Part::is_packed);
    }

    /// Only a part that has a place in the file is written there.
    pub(super) fn write_inside(&self) -> Result<()> {
        if self.part.as_ref().is_some_and(|part| !part.is_packed()) {
            return Ok(());
        }
        let what = "only a part of a file, at its place in it, is written in place";
        Err(Error::new(ErrorKind::Usage, what).advise("say which one, or leave that out"))
    }

    /// A slice is a part that is fetched beside the others; its journal is what tells that it is
    /// complete.
    pub(super) fn settle_slice(&mut self, slice: Slice) -> Result<()> {
        let refused = |what: &str| Err(Error::new(ErrorKind::Usage, what));
        if self.part.is_some() {
            return refused("a slice of a file and a part of it cannot be had together");
        }
        if !self.journal {
            return refused("a slice of a file cannot do without a journal (--no-journal)");
        }
        self.part = Some(Part::share(slice.index() - 1, slice.count())?);
        Ok(())
    }

    /// What differs is found out of a whole file.
    pub(super) fn repair(&self) -> Result<()> {
        match self.part {
            Some(_) => {
                let what = "a file is repaired as a whole, and a part of one is asked for";
                Err(Error::new(ErrorKind::Usage, what))
            }
            None => Ok(()),
        }
    }

    /// Without a file there is nothing to go on from later, and nothing to read back for a piece.
    pub(super) fn keep_nothing(&mut self) -> Result<()> {
        if self.pieces.is_some() {
            let what = "pieces of bytes that are kept nowhere cannot be verified";
            return Err(Error::new(ErrorKind::Usage, what).advise("name a file as the output"));
        }
        let is_at_place = self.part.as_ref().is_some_and(|part| !part.is_packed());
        if is_at_place && self.checksum.is_some() {
            let what = "bytes that are kept nowhere cannot be read back for the digest of a part";
            let advice = "name a file as the output, or fetch the part as a file of its own";
            return Err(Error::new(ErrorKind::Usage, what).advise(advice));
        }
        (self.verify, self.resume, self.journal) = (false, false, false);
        Ok(())
    }

    /// Bytes that are passed on cannot be gone on from later, nor compared with those of another
    /// source: without a digest of the whole only one is asked.
    pub(super) fn pass_on(&mut self) -> Result<()> {
        if self.part.as_ref().is_some_and(|part| !part.is_packed()) {
            let what = "bytes that are passed on in order have no other place in a file";
            return Err(Error::new(ErrorKind::Usage, what).advise("name a file as the output"));
        }
        if self.checksum.is_some() {
            self.pieces = None;
        } else if self.pieces.is_some() {
            let what = "bytes that are passed on in order cannot be compared piece by piece";
            let advice = "name a file as the output, or a digest of the whole with --checksum";
            return Err(Error::new(ErrorKind::Usage, what).advise(advice));
        }
        (self.resume, self.journal) = (false, false);
        self.links = false;
        if self.checksum.is_none() {
            self.mirrors.clear();
        }
        Ok(())
    }
}

fn in_range(name: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Usage, format!("{name} must be {min} to {max}, not {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_bounds_are_checked() {
        Options::default().validate().unwrap();
        let bad = [
            Options { connections: Some(0), ..Options::default() },
            Options { connections: Some(257), ..Options::default() },
            Options { threads: Some(0), ..Options::default() },
            Options { chunk_bytes: Some(4095), ..Options::default() },
            Options { retries: 1001, ..Options::default() },
            Options { stall_timeout: Duration::ZERO, ..Options::default() },
            Options { speed_limit_bytes: Some(0), ..Options::default() },
            Options { speed_time: Some(Duration::ZERO), ..Options::default() },
            Options {
                rate: RateLimit { per_host_bytes: Some(0), ..RateLimit::default() },
                ..Options::default()
            },
            Options { journal_interval: Duration::ZERO, ..Options::default() },
            Options { retry_wait: Duration::MAX, ..Options::default() },
            Options { max_time: Some(Duration::ZERO), ..Options::default() },
            Options {
                part: Part::share(0, 1).ok(),
                digests: vec![Algorithm::Md5],
                ..Options::default()
            },
        ];
        for options in bad {
            assert_eq!(options.validate().unwrap_err().kind(), ErrorKind::Usage);
        }
    }
}
