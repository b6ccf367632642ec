//! Lanes: connections that carry small files, one after another, with requests ahead across files.
//! A file costs its request, its answer and its system calls, and nothing of the machinery of a
//! transfer. What does not fit (a large file, a server that takes no ranges) is handed back.
//!
//! `work` is the loop of one connection, `answer` receives one answer, `silence` says when one has
//! brought nothing for too long. Which file is next, and what
//! becomes of what went wrong, is the [`Desk`]'s to say. Must not know lists or names.

mod answer;
mod silence;
mod work;

use super::client::Client;
use super::context::{Context, EventListener};
use super::landing::Landing;
use super::local::Local;
use super::options::Options;
use super::stop::StopHandle;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::digest::{Checksum, PieceHashes};
use crate::disk::staging::Staged;
use crate::io::clock::process_cpu_time;
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use work::Lane;

/// A small file to fetch.
#[derive(Debug)]
pub struct Wanted {
    /// The number of its item.
    pub id: u64,
    /// Where it is.
    pub url: Url,
    /// Header fields of its own, beside those of the batch.
    pub headers: Vec<(String, String)>,
    /// The field that asks for it unless it is still the same, for a file that is there.
    pub condition: Option<(String, String)>,
    /// The size it must have, in bytes.
    pub bytes: Option<u64>,
    /// The digest it must have.
    pub checksum: Option<Checksum>,
    /// The digests its pieces must have.
    pub pieces: Option<Arc<PieceHashes>>,
    /// What followed redirects were told by the server that led here.
    pub is_redirected: bool,
}

/// What a lane does next.
#[derive(Debug)]
pub enum Step {
    /// Asks for this file, behind those that it holds.
    Take(Box<Wanted>),
    /// Waits for the bell, or for the end of a file that it holds.
    Wait,
    /// Closes its connection.
    Close,
}

/// A file that has come whole, and is in the staging folder.
#[derive(Debug)]
pub struct Fetched {
    /// Its bytes, written or on their way.
    pub staged: Staged,
    /// How many there are.
    pub bytes: u64,
    /// Its `ETag`, as sent.
    pub etag: Option<String>,
    /// Its `Last-Modified`, as sent.
    pub last_modified: Option<String>,
    /// The digest it was compared with, which is its own.
    pub digest: Option<Checksum>,
}

/// How a file ended in a lane.
#[derive(Debug)]
pub enum End {
    /// It is whole.
    Fetched(Fetched),
    /// It is still what is there (304).
    Unchanged,
    /// It is not for a lane; it has this size, if that is known.
    Large(Option<u64>),
    /// It is elsewhere.
    Moved {
        /// Where.
        url: Url,
        /// Indicates whether scheme, host and port stay the same.
        is_same_origin: bool,
    },
    /// It could not be had.
    Failed {
        /// Why.
        error: Error,
        /// The wait that the server asks for.
        retry_after: Option<Duration>,
    },
}

/// Rings for lanes that wait.
#[derive(Debug, Default)]
pub struct Bell(Notify);

impl Bell {
    /// Whoever waits looks for work again.
    pub fn ring(&self) {
        self.0.notify_waiters();
    }

    /// Completes when the bell rings after this call.
    fn rung(&self) -> impl Future<Output = ()> {
        self.0.notified()
    }
}

/// Who has work for lanes. Called on their threads; must not block for long.
pub trait Desk: Send + Sync + 'static {
    /// What the lane does next.
    fn next(&self, lane: u64) -> Step;

    /// A file of the lane has ended.
    fn ended(&self, lane: u64, id: u64, end: End);

    /// The answer that the lane waits for brings nothing. Takes back the files that it holds behind
    /// that one, all of them or none; their number.
    fn stuck(&self, lane: u64) -> usize;

    /// The lane's connection is closed, for this reason if it is a failure; nothing of what it
    /// still held has come.
    fn closed(&self, lane: u64, failure: Option<Error>);

    /// Rings when lanes that wait may find something to do.
    fn bell(&self) -> &Bell;
}

/// What all lanes of a batch have in common.
pub struct Lanes {
    client: Client,
    context: Arc<Context>,
    common: Arc<Common>,
}

/// What their tasks use of it.
struct Common {
    desk: Arc<dyn Desk>,
    landing: Arc<Landing>,
    /// Most files that one lane holds.
    items_max: usize,
}

/// Whether the bytes of the file `path` have this digest (blocking, as long as reading takes).
///
/// # Errors
/// [`ErrorKind::DiskIo`](crate::ErrorKind::DiskIo) if it cannot be read.
pub fn has_digest(path: &Path, expected: &Checksum) -> Result<bool> {
    let failed = |e| {
        let what = format!("cannot read {}", path.display());
        Error::new(ErrorKind::DiskIo, what).caused_by(e)
    };
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut block) = (expected.algorithm.hasher(), vec![0; BLOCK_BYTES]);
    loop {
        match file.read(&mut block).map_err(failed)? {
            0 => return Ok(hasher.finish().bytes == expected.expected),
            read => hasher.update(&block[..read]),
        }
    }
}

/// Counts of all lanes.
#[derive(Debug, Clone, Copy)]
pub struct LaneCounts {
    /// Connections open now.
    pub open: u32,
    /// Most connections that were open at once so far.
    pub open_max: u32,
    /// Body bytes that have arrived.
    pub bytes: u64,
    /// Processor time of this process so far.
    pub cpu: Duration,
}

impl Lanes {
    /// Lanes on `client`, whose requests follow `options`.
    pub fn new(
        client: &Client,
        options: Options,
        stop: StopHandle,
        on_event: Option<EventListener>,
        desk: Arc<dyn Desk>,
        landing: Arc<Landing>,
        items_max: usize,
    ) -> Self {
        let context = Context::new(options, stop, on_event, client.shared());
        let common = Arc::new(Common { desk, landing, items_max });
        Self { client: client.clone(), context, common }
    }

    /// Opens a lane to the origin of `to`. The desk hears of its end.
    pub fn open(&self, lane: u64, to: &Url) {
        let (context, common, to) = (self.context.clone(), self.common.clone(), to.clone());
        let threads = &self.client.shared().threads;
        let closing = Closing { desk: self.common.desk.clone(), lane, outcome: None };
        let work = async move |shard: Rc<_>| {
            Lane::new(lane, Local::new(&context, &shard), common, to).run().await
        };
        threads.spawn(threads.next_lead(), work, move |outcome| {
            let mut closing = closing;
            closing.outcome = Some(outcome.err());
        });
    }

    /// Whether a limit of the rate has kept a lane waiting since the last call.
    pub fn were_rate_limited(&self) -> bool {
        self.context.rate_waits.take()
    }

    /// Counts so far.
    pub fn counts(&self) -> LaneCounts {
        let counts = &self.context.counts;
        let bytes = self.context.new_bytes();
        let (open, open_max) = (counts.open(), counts.open_max());
        LaneCounts { open, open_max, bytes, cpu: process_cpu_time() }
    }
}

/// Tells the desk that a lane is closed, also if its task has panicked.
struct Closing {
    desk: Arc<dyn Desk>,
    lane: u64,
    outcome: Option<Option<Error>>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let panicked = || Some(Error::new(ErrorKind::Internal, "a lane panicked"));
        self.desk.closed(self.lane, self.outcome.take().unwrap_or_else(panicked));
    }
}
