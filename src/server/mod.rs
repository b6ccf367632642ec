//! The built-in range server: for `doctor`, tests and benches.
//!
//! Serves made-up files of any size, or those of a folder, over HTTP/1.1 and HTTPS, as well or as
//! badly as a script says.
//! Threads and blocking sockets, no code in common with the client: an independent oracle of what
//! is right on the wire. Must not know anything of the crate but `base`.
//!
//! `codec` reads and writes the words of HTTP, `files` has what is served, `faults` decides what
//! goes wrong and how fast bytes go, `wire` accepts, answers and ends connections. A room imports
//! only those before it.

mod access;
mod codec;
mod faults;
mod files;
mod stats;
mod stop;
#[cfg(test)]
mod tests;
mod wire;

pub use access::AccessLog;
pub use codec::range::RangeAsked;
pub use faults::script::{DigestGate, Fault, Gate, Rule, When};
pub use faults::shape::{
    Losses, RateStep, Refusal, RetryAfter, Shape, SlowConnections, StepAfter, Throttle,
};
pub use files::content;
pub use files::digests::DigestField;
pub use files::metalink::{LinksOn, Metalink, Mirror, PieceHash, Pieces};
pub use files::numbered::Numbered;
pub use files::site::{EntityTag, Paths, Route, Served};
pub use stats::{RequestLog, Stats};
pub use wire::patience::Patience;
pub use wire::tls::{CertificateFiles, TlsConfig, TlsVersion};

use crate::base::limits::{SERVER_BACKLOG, SERVER_CONNECTIONS_MAX};
use crate::base::{Error, ErrorKind, Result};
use faults::{flow, gates, script, signing};
use files::{digests, folder, metalink, site};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;
use wire::{listen, outage, seats, tls};

/// A running server; dropping it stops it.
///
/// # Example
///
/// A server that breaks off the first answer, and a download that survives it:
///
/// ```
/// use ringhaul::Download;
/// use ringhaul::server::{Config, Fault, Rule, Server, When};
///
/// # fn main() -> ringhaul::Result<()> {
/// let fault = Rule::once(When::All, Fault::ResetAfter(100_000));
/// let server = Server::start(Config { script: vec![fault], ..Config::new(1, 300_000) })?;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// let report =
///     Download::new(&server.url("/file"))?.output(folder.path().join("file")).run()?;
/// assert_eq!((report.bytes, report.retries > 0), (300_000, true));
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

/// What to serve, and how. [`Config::new`] gives a well-behaved plain server on loopback.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Serves the files of this folder, at the paths without a route.
    pub folder: Option<PathBuf>,
    /// Serves that folder to browsers, too: `index.html` or a list of its entries for a folder, and
    /// the media types that suffixes stand for.
    pub browsable: bool,
    /// Seed of the made-up files, which stand at the paths without a route where there is no
    /// folder.
    pub seed: u64,
    /// Which paths have a file, and whether each has its own.
    pub paths: Paths,
    /// Size of these files.
    pub size_bytes: u64,
    /// Size of the largest, where each path has its own: each file's size is one from
    /// [`Config::size_bytes`] to this, [`content::size_at`] its path.
    pub size_bytes_max: Option<u64>,
    /// The files' `ETag`.
    pub etag: EntityTag,
    /// The files' `Last-Modified`, as an HTTP date; `None` says nothing of made-up files and the
    /// truth of stored ones.
    pub last_modified: Option<String>,
    /// Paths with another file or with none.
    pub routes: Vec<Route>,
    /// Digests it says of its files by itself. All but `Content-Digest` cost one reading of each
    /// file: when the server starts, or of a stored file and of one among many when it is first
    /// asked for.
    pub digests: Vec<DigestField>,
    /// Has the server describe its files as one of several mirrors. Costs one reading of each file,
    /// when and as [`Config::digests`] does.
    pub metalink: Option<Metalink>,
    /// HTTPS instead of HTTP.
    pub tls: Option<TlsConfig>,
    /// Delay, rates and what they depend on.
    pub shape: Shape,
    /// What goes wrong.
    pub script: Vec<Rule>,
    /// Connections served at a time. For one more the one that has been idle for longest makes
    /// room; where none has been idle for [`Patience::idle_min`], the new one is closed at once.
    pub connections_max: usize,
    /// How long clients may keep it waiting.
    pub patience: Patience,
    /// Gets a line for each answered request.
    pub access_log: Option<AccessLog>,
}

impl Config {
    /// Plain HTTP on 127.0.0.1, one file at every path, no faults, no limits of rate.
    pub fn new(seed: u64, size_bytes: u64) -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            folder: None,
            browsable: false,
            seed,
            paths: Paths::default(),
            size_bytes,
            size_bytes_max: None,
            etag: EntityTag::default(),
            last_modified: None,
            routes: Vec::new(),
            digests: Vec::new(),
            metalink: None,
            tls: None,
            shape: Shape::default(),
            script: Vec::new(),
            connections_max: SERVER_CONNECTIONS_MAX,
            patience: Patience::default(),
            access_log: None,
        }
    }

    /// The same over HTTPS, TLS 1.2 and 1.3.
    pub fn new_tls(seed: u64, size_bytes: u64) -> Self {
        Self { tls: Some(TlsConfig::default()), ..Self::new(seed, size_bytes) }
    }

    /// The root of the server's URLs where it listens at `address`: scheme and authority.
    pub fn root(&self, address: SocketAddr) -> String {
        root(self.tls.is_some(), address)
    }

    /// Seed and size of the files whose digests are computed at the start.
    fn files(&self) -> Vec<(u64, u64)> {
        let routes = self.routes.iter().filter_map(|route| match route.what {
            Served::File { seed, size_bytes } => Some((seed, size_bytes)),
            Served::Missing => None,
        });
        let replacements = self.script.iter().filter_map(|rule| match rule.what {
            Fault::Replaced { seed, size_bytes } => Some((seed, size_bytes)),
            _ => None,
        });
        let everywhere = self.is_one().then_some((self.seed, self.size_bytes));
        everywhere.into_iter().chain(routes).chain(replacements).collect()
    }

    /// Indicates whether there is one made-up file, at every path.
    fn is_one(&self) -> bool {
        self.folder.is_none() && self.paths == Paths::Alike
    }

    /// Adds a rule that applies every time.
    pub fn rule(mut self, when: When, what: Fault) -> Self {
        self.script.push(Rule::new(when, what));
        self
    }
}

/// Lets this process open as many files as it may: a connection takes two descriptors, and 1024 is
/// what a shell usually grants before one asks.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Refused it is as before, and then fewer connections are served at a time.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// What all threads of a server share.
struct Shared {
    site: site::Site,
    shape: Shape,
    script: script::Script,
    signer: signing::Signer,
    gates: gates::Gates,
    tls: Option<tls::ServerTls>,
    connections_max: usize,
    patience: Patience,
    access_log: Option<AccessLog>,
    flow: Mutex<flow::Flow>,
    stop: stop::StopSignal,
    book: stats::Book,
    registry: seats::Registry,
    started_at: Instant,
    /// `None` when it is closed.
    listener: Mutex<Option<Arc<TcpListener>>>,
    /// The end of the whole server, if it has come.
    outage: OnceLock<script::Outage>,
    /// Have the address of a server that is gone or unreachable.
    reserved: Mutex<Vec<OwnedFd>>,
}

impl Server {
    /// Starts to listen and to serve.
    ///
    /// # Errors
    /// `Usage` if the address cannot be bound, the folder cannot be read, a rule could never apply
    /// or the TLS settings make no certificate; `ResourceLimit` if there is no thread to be had.
    pub fn start(config: Config) -> Result<Self> {
        let address = config.address;
        let shared = Shared::new(config)?;
        Self::start_shared(shared, bind(address)?)
    }

    /// Starts to serve on `listener`, whose address takes the place of [`Config::address`]: for
    /// servers that know each other's URLs, as mirrors do, before any of them answers.
    ///
    /// # Errors
    /// As of [`Server::start`].
    pub fn start_on(listener: TcpListener, config: Config) -> Result<Self> {
        Self::start_shared(Shared::new(config)?, listener)
    }

    /// Starts a server for each of `configs`. Those with a [`Config::metalink`] that names no
    /// mirrors get all of these servers as mirrors, in their order, which is that of priority.
    ///
    /// # Errors
    /// As of [`Server::start`].
    ///
    /// # Example
    ///
    /// Two mirrors of one file, of which the second dies when it has sent 1 MiB:
    ///
    /// ```
    /// use ringhaul::server::{Config, Fault, Metalink, Server, When};
    ///
    /// # fn main() -> ringhaul::Result<()> {
    /// let metalink = Some(Metalink::new(Vec::new()));
    /// let mirror = Config { metalink, ..Config::new(1, 4 << 20) };
    /// let dying = mirror.clone().rule(When::FromBodyBytes(1 << 20), Fault::ServerGone);
    /// let servers = Server::start_mirrors(vec![mirror, dying])?;
    /// let description = servers[0].url("/file.meta4");
    /// # assert!(description.ends_with("/file.meta4"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_mirrors(configs: Vec<Config>) -> Result<Vec<Self>> {
        let bound = configs.into_iter().map(|config| Ok((bind(config.address)?, config)));
        let mut bound = bound.collect::<Result<Vec<_>>>()?;
        let mirrors = (1..).zip(&bound).map(|(priority, (listener, config))| {
            let address = listener.local_addr().map_err(unknown_address)?;
            Ok(Mirror { root: config.root(address), priority, location: None })
        });
        let mirrors = mirrors.collect::<Result<Vec<_>>>()?;
        for (_, config) in &mut bound {
            if let Some(metalink) = config.metalink.as_mut().filter(|m| m.mirrors.is_empty()) {
                metalink.mirrors.clone_from(&mirrors);
            }
        }
        bound.into_iter().map(|(listener, config)| Self::start_on(listener, config)).collect()
    }

    fn start_shared(mut shared: Shared, listener: TcpListener) -> Result<Self> {
        // Once more, because 128 clients at once, the library's choice, are not many.
        rustix::net::listen(&listener, SERVER_BACKLOG).map_err(|e| unknown_address(e.into()))?;
        let address = listener.local_addr().map_err(unknown_address)?;
        if let Some(describer) = &mut shared.site.describer {
            describer.is_at(root(shared.tls.is_some(), address));
        }
        let (shared, listener) = (Arc::new(shared), Arc::new(listener));
        *stop::lock(&shared.listener) = Some(Arc::clone(&listener));
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("range-server-listen".to_owned())
                .spawn(move || listen::run(&shared, &listener))
                .map_err(|e| {
                    Error::new(ErrorKind::ResourceLimit, "the server gets no thread").caused_by(e)
                })?
        };
        outage::begin_if_due(&shared, 0);
        Ok(Self { shared, thread: Some(thread), address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path` (with its leading slash) on this server.
    pub fn url(&self, path: &str) -> String {
        root(self.shared.tls.is_some(), self.address) + path
    }

    /// The authority behind the server's certificate, for a client's `--ca-cert`; `None` without
    /// TLS and where the certificate came from files.
    pub fn certificate_pem(&self) -> Option<String> {
        self.shared.tls.as_ref()?.authority_pem.clone()
    }

    /// What it saw and did so far.
    pub fn stats(&self) -> Stats {
        self.shared.book.snapshot()
    }

    /// [`Stats::body_bytes`] alone, for who looks often.
    pub fn body_bytes(&self) -> u64 {
        self.counts().body_bytes
    }

    /// [`Server::stats`] without the log, for who looks often.
    pub fn counts(&self) -> Stats {
        self.shared.book.counts()
    }

    /// Closes the listener and every connection and waits until all threads have ended. Harmless
    /// when repeated.
    pub fn stop(&mut self) {
        self.shared.stop.raise();
        self.shared.close_listener();
        stop::lock(&self.shared.reserved).clear();
        self.shared.registry.shut_all();
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by its own thread, and Drop must not add another.
            let _ = thread.join();
        }
    }
}

fn unknown_address(e: std::io::Error) -> Error {
    Error::new(ErrorKind::Usage, "the server cannot listen").caused_by(e)
}

/// The start of all URLs of a server that listens at `address`; one that does so at every address
/// of the machine is reached at the machine's own.
fn root(is_tls: bool, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// Listens at `address`, where port 0 lets the kernel choose.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|e| {
        Error::new(ErrorKind::Usage, format!("the server cannot listen on {address}"))
            .caused_by(e)
            .advise("choose a free port, such as 0, and an address of this machine")
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn new(config: Config) -> Result<Self> {
        let script = script::Script::new(config.script.clone())?;
        let folder = config.folder.as_deref().map(folder::Folder::open).transpose()?;
        let digests = digests::Digests::new(config.digests.clone(), config.files());
        let describer = config.metalink.clone().map(metalink::Describer::new);
        if let Some(describer) = describer.as_ref().filter(|_| config.is_one()) {
            describer.prepare(config.seed, config.size_bytes);
        }
        Ok(Self {
            signer: signing::Signer::default(),
            gates: gates::Gates::default(),
            tls: config.tls.as_ref().map(tls::ServerTls::new).transpose()?,
            connections_max: config.connections_max,
            patience: config.patience,
            access_log: config.access_log,
            flow: Mutex::new(flow::Flow::new(&config.shape, Instant::now())),
            shape: config.shape,
            site: site::Site {
                seed: config.seed,
                sizes: config.size_bytes..=config.size_bytes_max.unwrap_or(config.size_bytes),
                paths: config.paths,
                scheme: if config.tls.is_some() { "https" } else { "http" },
                folder,
                is_browsable: config.browsable,
                etag: config.etag,
                last_modified: config.last_modified,
                routes: config.routes,
                signs: script.signs(),
                digests,
                describer,
            },
            script,
            stop: stop::StopSignal::default(),
            book: stats::Book::new(config.script.len()),
            registry: seats::Registry::default(),
            started_at: Instant::now(),
            listener: Mutex::default(),
            outage: OnceLock::new(),
            reserved: Mutex::default(),
        })
    }

    /// Stops to listen; the address where the server has listened until now, if it did.
    fn close_listener(&self) -> Option<SocketAddr> {
        let listener = stop::lock(&self.listener).take()?;
        let address = listener.local_addr().ok();
        // Wakes the blocked accept; on Linux this is what shutdown does to a listener.
        let _ = rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both);
        address
    }
}
