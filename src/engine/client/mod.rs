//! What outlives a transfer, so that the next one begins where others have got to: threads with
//! their drivers and blocks, idle connections, resolved names, what origins bear, TLS settings with
//! their sessions, the budget that all connections share and the limits of their rate.
//!
//! Must not know transfers, plans or files: work comes as tasks for the shards.
//!
//! States: open (shards start when they are first needed) -> closed (no more tasks; each shard
//! ends once its tasks have).

pub(super) mod budget;
mod driver;
pub(super) mod idle;
pub(super) mod learned;
pub(super) mod logins;
mod names;
pub(super) mod rates;
pub(super) mod shard;
pub(super) mod threads;
pub(super) mod trust;

use super::jar::CookieJar;
use super::options::{ClientOptions, Options};
use crate::base::Result;
use crate::base::limits::CONNECTIONS_AUTO_MAX;
use budget::Budget;
use learned::Learned;
use logins::Logins;
use names::Names;
use rates::Rates;
use std::sync::Arc;
use threads::Threads;
use trust::Trust;

/// What downloads have in common. Clones are the same client; when the last one and the last
/// [`Running`](super::Running) download are gone, its threads end.
///
/// # Example
///
/// Two files at once, over four connections in all:
///
/// ```
/// use ringhaul::{Client, ClientOptions, Download};
///
/// # fn main() -> ringhaul::Result<()> {
/// # let server = ringhaul::server::Server::start(ringhaul::server::Config::new(1, 300_000))?;
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// let options = ClientOptions { max_connections: Some(4), ..ClientOptions::default() };
/// let client = Client::new(&options)?;
/// let start = |name: &str| {
///     let download = Download::new(&server.url(&format!("/{name}")))?;
///     download.output(folder.path().join(name)).start(&client)
/// };
/// let running = [start("a")?, start("b")?];
/// for download in running {
///     assert_eq!(download.wait()?.bytes, 300_000);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    open: Arc<Open>,
}

/// Closes the threads when the last handle is gone. Tasks hold [`Shared`] only, or a thread would
/// have to wait for itself.
struct Open {
    shared: Arc<Shared>,
}

/// What tasks use of a client.
pub(super) struct Shared {
    /// Where tasks run.
    pub(super) threads: Threads,
    /// More than one transfer is to come: what one leaves may be of use.
    pub(super) is_shared: bool,
    /// Permits for connections.
    pub(super) budget: Arc<Budget>,
    /// Limits of the rate.
    pub(super) rates: Rates,
    /// Addresses of origins.
    pub(super) names: Names,
    /// What origins bear.
    pub(super) learned: Learned,
    /// TLS settings and their sessions.
    pub(super) trust: Trust,
    /// Digest challenges.
    pub(super) logins: Logins,
    /// Cookies of transfers that have no jar of their own.
    pub(super) jar: CookieJar,
}

impl Client {
    /// A client without a thread; the first download starts one.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if an option is out of its bounds.
    pub fn new(options: &ClientOptions) -> Result<Self> {
        let connections = options.max_connections.unwrap_or(CONNECTIONS_AUTO_MAX);
        Self::build(options, connections, true)
    }

    /// For a single download, whose own options bound its connections.
    pub(super) fn for_one(options: &Options) -> Result<Self> {
        let own = ClientOptions {
            engine: options.engine,
            threads: options.threads,
            register_buffers: options.register_buffers,
            ..ClientOptions::default()
        };
        Self::build(&own, options.connections.unwrap_or(options.max_connections), false)
    }

    /// Each shard gets blocks for this many connections.
    fn build(options: &ClientOptions, connections_per_shard: u32, is_shared: bool) -> Result<Self> {
        options.validate()?;
        let (total, per_origin) = (options.max_connections, options.max_connections_per_host);
        let budget =
            Arc::new(Budget::new(total, per_origin, options.max_connections_by_origin.clone()));
        let shared = Shared {
            threads: Threads::new(options, &budget, connections_per_shard),
            is_shared,
            budget,
            rates: Rates::new(&options.rate),
            names: Names::default(),
            learned: Learned::default(),
            trust: Trust::default(),
            logins: Logins::default(),
            jar: CookieJar::default(),
        };
        Ok(Self { open: Arc::new(Open { shared: Arc::new(shared) }) })
    }

    /// What tasks use of it.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.open.shared
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.threads.close();
    }
}
