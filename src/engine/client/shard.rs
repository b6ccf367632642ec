//! One thread's share of the machine: its ring, its blocks, its writes on their way.

use crate::base::limits::BLOCK_BYTES;
use crate::base::size::MIB;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::crc::crc32c;
use crate::disk::journal::Book;
use crate::disk::output::Output;
use crate::engine::context::Job;
use crate::engine::progress::Level;
use crate::engine::receive::hashing::Hashing;
use crate::engine::receive::quarantine::Gate;
use crate::engine::trace::SpanTrace;
use crate::io::buffers::{Block, Lease, Pool};
use crate::io::driver;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// Blocks on their way to the disk, one for each connection up to so many: more are not written at
/// a time.
const BLOCKS_WRITING: u32 = 8;
/// Blocks beyond that, so that a slow write does not stop every connection.
const BLOCKS_SPARE: u32 = 4;
/// Blocks that may be on their way to the disk at once, those that wait for their write included.
const BLOCKS_QUEUED_MAX: usize = 16;
/// Blocks that are registered at most, as registered memory is resident whether used or not.
const BLOCKS_REGISTERED: u32 = 16;
/// Blocks that may wait in memory for the hash, per shard: four connections with 8 MiB spans run
/// 24 MiB ahead of the hash.
pub(in crate::engine) const BLOCKS_FOR_HASH: u32 = 24;
/// Registering pins the whole arena; below this size of file that costs more than it saves.
const REGISTER_BYTES_MIN: u64 = 16 * MIB;

/// What the workers of one thread share.
pub(in crate::engine) struct Shard {
    pool: Pool,
    /// Free blocks below this are not given to the hash, or the connections could starve.
    reserve: usize,
    writes: Cell<usize>,
    written: Notify,
    /// A connection had to wait for a block since this was last asked.
    exhausted: Cell<bool>,
}

impl Shard {
    /// Blocks for so many connections at most, more of them if the file is hashed. Memory is used
    /// only as blocks are.
    pub(in crate::engine) fn new(connections: u32, is_hashed: bool) -> Result<Rc<Self>> {
        let for_hash = if is_hashed { BLOCKS_FOR_HASH } else { 0 };
        let writing = connections.min(BLOCKS_WRITING);
        let blocks = connections + writing + BLOCKS_SPARE + for_hash;
        let pool = Pool::new(blocks).map_err(|e| {
            let what = format!("cannot get {} MiB of memory for blocks", blocks);
            Error::new(ErrorKind::ResourceLimit, what).caused_by(e)
        })?;
        let reserve = connections as usize + BLOCKS_SPARE as usize / 2;
        let (writes, written, exhausted) = (Cell::new(0), Notify::new(), Cell::new(false));
        Ok(Rc::new(Self { pool, reserve, writes, written, exhausted }))
    }

    /// Registers the arena with this thread's ring where it is wanted and pays.
    pub(in crate::engine) fn register(&self, job: &Job, output: &Output, total: u64) {
        let pays = total >= REGISTER_BYTES_MIN && !output.is_nowhere();
        if !job.options.register_buffers || !pays {
            return;
        }
        if let Err(e) = driver::register(&self.pool, BLOCKS_REGISTERED) {
            job.tell(Level::Detail, None, format!("blocks are not registered: {e}"));
        }
    }

    /// Whether fixed writes are used.
    pub(in crate::engine) fn is_registered(&self) -> bool {
        self.pool.is_registered()
    }

    /// A block to fill; waits for one, and while too many wait for the disk: a pool that is made
    /// for many connections must not fill up behind a slow disk.
    pub(in crate::engine) async fn lease(&self) -> Lease {
        loop {
            let written = self.written.notified();
            if self.writes.get() < BLOCKS_QUEUED_MAX {
                break;
            }
            self.exhausted.set(true);
            written.await;
        }
        if let Some(lease) = self.pool.try_lease() {
            return lease;
        }
        self.exhausted.set(true);
        self.pool.lease().await
    }

    /// Whether a connection had to wait for a block since the last call.
    pub(in crate::engine) fn was_exhausted(&self) -> bool {
        self.exhausted.replace(false)
    }

    /// Hands a filled block to the disk, and to the hash if there is room; returns at once.
    /// Failures end up in the job.
    pub(in crate::engine) fn write(self: &Rc<Self>, job: &Arc<Job>, to: &Sink, leaving: Leaving) {
        let Leaving { block, offset, trace, gate } = leaving;
        let span = Span::with_len(offset, block.as_ref().len() as u64);
        // While the block is in the processor's cache.
        let crc32c = to.book.wants_sums().then(|| crc32c(block.as_ref()));
        match (&gate, &to.hashing) {
            (Some(gate), _) => gate.leaves(),
            (None, Some(hashing)) if self.pool.free_blocks() >= self.reserve => {
                hashing.offer(offset, block.clone());
            }
            (None, _) => {}
        }
        if to.output.is_nowhere() {
            // The block goes home at once, so that nothing waits for a disk that is not there.
            drop(block);
            return to.arrived(Some(Written { span, crc32c }), gate);
        }
        to.book.on_writing(span);
        let write = Write::new(self, job);
        let to = to.clone();
        driver::spawn(async move {
            let result = to.output.write(block, offset).await;
            to.arrived(result.is_ok().then_some(Written { span, crc32c }), gate);
            // The last write of a span ends its line in the trace.
            drop(trace);
            write.end(result);
        });
    }

    /// Waits until every block handed to the disk has been written or has failed.
    pub(in crate::engine) async fn flushed(&self) {
        loop {
            let written = self.written.notified();
            if self.writes.get() == 0 {
                return;
            }
            written.await;
        }
    }
}

/// A write on its way. Its end counts, also if it is a panic.
struct Write {
    shard: Rc<Shard>,
    job: Arc<Job>,
    outcome: Option<Result<()>>,
}

impl Write {
    fn new(shard: &Rc<Shard>, job: &Arc<Job>) -> Self {
        shard.writes.set(shard.writes.get() + 1);
        Self { shard: shard.clone(), job: job.clone(), outcome: None }
    }

    fn end(mut self, outcome: Result<()>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let lost = || Error::new(ErrorKind::Internal, "a write ended without an outcome");
        if let Err(error) = self.outcome.take().unwrap_or_else(|| Err(lost())) {
            self.job.fail(error);
        }
        self.shard.writes.set(self.shard.writes.get() - 1);
        self.shard.written.notify_waiters();
    }
}

/// Where blocks go: the file, the hash if one was asked for, and the book.
#[derive(Clone)]
pub(in crate::engine) struct Sink {
    pub(in crate::engine) output: Arc<Output>,
    pub(in crate::engine) hashing: Option<Arc<Hashing>>,
    /// What counts as written.
    pub(in crate::engine) book: Arc<Book>,
    /// A journal is kept of the book.
    pub(in crate::engine) is_journaled: bool,
}

impl Sink {
    /// A block has been written, or not. Behind a gate it has to wait before it counts.
    fn arrived(&self, written: Option<Written>, gate: Option<Rc<Gate>>) {
        match gate {
            Some(gate) => gate.arrived(written, self),
            None => written.into_iter().for_each(|written| self.report(written)),
        }
    }

    /// The bytes are in the file, and they count.
    pub(in crate::engine) fn report(&self, written: Written) {
        if let Some(hashing) = &self.hashing {
            hashing.on_written(written.span);
        }
        self.book.on_written(written.span, written.crc32c);
    }
}

/// A block in the file, and its CRC-32C if that was wanted.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Written {
    span: Span,
    crc32c: Option<u32>,
}

/// A block on its way to the disk.
pub(in crate::engine) struct Leaving {
    pub(in crate::engine) block: Block,
    pub(in crate::engine) offset: u64,
    /// Ends its line once the block is written.
    pub(in crate::engine) trace: Option<Rc<SpanTrace>>,
    /// Decides when the bytes count.
    pub(in crate::engine) gate: Option<Rc<Gate>>,
}

/// Bytes of all shards that may wait for the hash.
pub(in crate::engine) fn hash_budget_bytes(threads: u32) -> u64 {
    u64::from(threads) * u64::from(BLOCKS_FOR_HASH) * BLOCK_BYTES as u64
}
