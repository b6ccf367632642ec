//! One URL that serves the file: how to connect to it and what every request to it says.
//!
//! Owns header fields, credentials and TLS settings; must not know spans or files.

pub(super) mod body;
pub(super) mod discover;
pub(super) mod exchange;
pub(super) mod expiry;
pub(super) mod follow;
pub(super) mod twin;

use crate::base::url::{Credentials, Origin, Scheme};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::options::Options;
use crate::http::{Request, sensitive, want_digests};
use crate::io::patience::{Limits, Line};
use crate::net::dial::Dialer;
use crate::net::dns;
use crate::net::wire::Wire;
use crate::tls::{PemFile, TlsConfig, TrustOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A URL after its redirects, with everything that is needed to ask it again.
pub(in crate::engine) struct Source {
    url: Url,
    dialer: Dialer,
    identity: Identity,
    tls: Option<TlsConfig>,
    connect_timeout: Duration,
    /// How long its connections are waited for.
    limits: Limits,
    /// Redirects led here, so that the URL may expire.
    pub(in crate::engine) is_redirected: bool,
    /// Requests say which digests are welcome.
    wants_digests: bool,
    counts: Arc<ConnectionCounts>,
}

/// What requests carry besides the range: the user's header fields and credentials.
#[derive(Clone)]
pub(in crate::engine) struct Identity {
    headers: Vec<(String, String)>,
    credentials: Option<Credentials>,
}

/// Connections of one transfer, over all its sources.
#[derive(Default)]
pub(in crate::engine) struct ConnectionCounts {
    open: AtomicU32,
    open_max: AtomicU32,
    established: AtomicU32,
    /// What they bring together.
    line: Arc<Line>,
}

/// A connected wire, counted as open until dropped.
pub(in crate::engine) struct Connection {
    /// What carries the bytes.
    pub(in crate::engine) wire: Wire,
    /// Time it took to connect, TLS included.
    pub(in crate::engine) setup: Duration,
    /// The number of the address it leads to.
    pub(in crate::engine) address: u32,
    counts: Arc<ConnectionCounts>,
}

impl Identity {
    /// Header fields from the options, credentials from the URL.
    pub(in crate::engine) fn new(url: &Url, options: &Options) -> Self {
        Self { headers: options.headers.clone(), credentials: url.credentials() }
    }

    /// What may go to another origin: everything but what is meant for its own (RFC 9110 15.4).
    pub(in crate::engine) fn without_secrets(&self) -> Self {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| !sensitive(name));
        Self { headers, credentials: None }
    }
}

impl Source {
    /// Resolves the URL's host. No connection is made yet.
    pub(in crate::engine) async fn open(
        url: Url,
        identity: Identity,
        tls: Option<TlsConfig>,
        options: &Options,
        counts: Arc<ConnectionCounts>,
    ) -> Result<Self> {
        let origin = url.origin();
        let resolving = tokio::time::timeout(options.connect_timeout, dns::resolve(&origin));
        let addresses = resolving.await.map_err(|_| {
            Error::new(ErrorKind::Resolve, format!("looking up '{}' took too long", origin.host))
        })??;
        Ok(Self {
            dialer: Dialer::new(origin, addresses),
            url,
            identity,
            tls,
            connect_timeout: options.connect_timeout,
            limits: Limits::new(options.stall_timeout, options.speed_limit(), counts.line.clone()),
            is_redirected: false,
            wants_digests: options.verify,
            counts,
        })
    }

    /// The URL that is asked.
    pub(in crate::engine) fn url(&self) -> &Url {
        &self.url
    }

    /// What requests to it carry.
    pub(in crate::engine) fn identity(&self) -> &Identity {
        &self.identity
    }

    fn origin(&self) -> &Origin {
        self.dialer.origin()
    }

    /// A request for the file without a range.
    pub(in crate::engine) fn request(&self) -> Result<Request> {
        let mut request = Request::get(&self.url);
        if let Some(credentials) = &self.identity.credentials {
            request = request.basic_auth(credentials)?;
        }
        if self.wants_digests {
            for (name, value) in want_digests() {
                request = request.header(name, value)?;
            }
        }
        for (name, value) in &self.identity.headers {
            request = request.header(name, value)?;
        }
        Ok(request)
    }

    /// How many addresses its host has; they are numbered from 0.
    pub(in crate::engine) fn addresses(&self) -> u32 {
        self.dialer.addresses()
    }

    /// A new connection to one of the addresses, tried in this order, ready for a request.
    /// Dropping the future gives it up.
    pub(in crate::engine) async fn connect(&self, order: &[u32]) -> Result<Connection> {
        let began = Instant::now();
        let connecting = tokio::time::timeout(self.connect_timeout, self.dial(order));
        let (wire, address) = connecting.await.map_err(|_| {
            let host = self.origin().host_header();
            Error::new(ErrorKind::TimedOut, format!("connecting to {host} took too long"))
                .advise("check the network path, or allow more time with --connect-timeout")
        })??;
        self.counts.add();
        let (setup, counts) = (began.elapsed(), self.counts.clone());
        Ok(Connection { wire, setup, address, counts })
    }

    async fn dial(&self, order: &[u32]) -> Result<(Wire, u32)> {
        let (socket, address) = self.dialer.dial(order, &self.limits).await?;
        let wire = match &self.tls {
            Some(config) => Wire::tls(socket, config, &self.origin().host).await?,
            None => Wire::plain(socket),
        };
        Ok((wire, address))
    }
}

impl ConnectionCounts {
    /// Connections that are open now.
    pub(in crate::engine) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Most that were open at once.
    pub(in crate::engine) fn open_max(&self) -> u32 {
        self.open_max.load(Ordering::Relaxed)
    }

    /// How many were established in all.
    pub(in crate::engine) fn established(&self) -> u32 {
        self.established.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.established.fetch_add(1, Ordering::Relaxed);
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.open_max.fetch_max(open, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// TLS settings for a URL of this scheme: none for http; for https the built-in roots and the
/// certificates of the named files.
pub(in crate::engine) fn tls_config(
    scheme: Scheme,
    options: &Options,
) -> Result<Option<TlsConfig>> {
    if scheme == Scheme::Http {
        return Ok(None);
    }
    let mut trust = TrustOptions { insecure: options.insecure, ..TrustOptions::default() };
    for path in &options.ca_certs {
        let pem = std::fs::read(path).map_err(|e| {
            Error::new(
                ErrorKind::Usage,
                format!("cannot read the certificates in {}", path.display()),
            )
            .caused_by(e)
            .advise("check the file named with --ca-cert")
        })?;
        let name = path.display().to_string();
        trust.extra_roots.push(PemFile { name, pem });
    }
    TlsConfig::new(&trust).map(Some)
}
