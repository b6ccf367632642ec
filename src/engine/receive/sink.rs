//! Where the blocks of one transfer go: to the output, to the hashes of the file and of its pieces
//! if there are any, and into the book of what counts as written.
//!
//! A [`Sink`] is one shard's part of it and is shared by that shard's workers; [`Destination`] is
//! what all shards have in common. What an answer withholds until its digest fits goes through
//! `quarantine`, which knows nothing of blocks.

use super::hashing::Hashing;
use super::pieces::Pieces;
use super::quarantine::Quarantine;
use crate::base::limits::READER_WAIT_MAX;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::crc::crc32c;
use crate::disk::journal::Book;
use crate::disk::output::Output;
use crate::engine::client::shard::{Allowance, Shard, Write};
use crate::engine::context::Context;
use crate::engine::ordered::Ordered;
use crate::engine::progress::Level;
use crate::engine::race::race;
use crate::engine::trace::SpanTrace;
use crate::io::buffers::{Block, Lease};
use crate::io::driver;
use crate::plan::{Outlet, Room};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Time between two looks whether an ordered output has got on.
const TURN_TICK: Duration = Duration::from_millis(10);

/// What the shards of a transfer write to.
#[derive(Clone)]
pub(in crate::engine) struct Destination {
    pub(in crate::engine) output: Arc<Output>,
    /// The digests that are computed in file order, if any.
    pub(in crate::engine) hashing: Option<Arc<Hashing>>,
    /// The pieces that are verified as they come, if their hashes are known.
    pub(in crate::engine) pieces: Option<Arc<Pieces>>,
    /// What counts as written.
    pub(in crate::engine) book: Arc<Book>,
    /// A journal is kept of the book.
    pub(in crate::engine) is_journaled: bool,
    /// The memory of an output that takes bytes in order, if it is one.
    pub(in crate::engine) ordered: Option<Ordered>,
}

/// A destination as the workers of one shard reach it.
pub(in crate::engine) struct Sink {
    context: Arc<Context>,
    shard: Rc<Shard>,
    to: Destination,
    allowance: Allowance,
    /// Blocks of this transfer on their way from this shard.
    writes: Cell<usize>,
    written: Notify,
    /// A connection had to wait for a block since this was last asked.
    is_exhausted: Cell<bool>,
    /// The same, because too many blocks waited for the hash of their pieces.
    is_held_by_hash: Cell<bool>,
}

/// A block in the file, and its CRC-32C if that was wanted.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Written {
    span: Span,
    crc32c: Option<u32>,
}

/// A block that leaves for the output.
pub(in crate::engine) struct Leaving {
    pub(in crate::engine) block: Block,
    /// Where it goes in the file, in bytes.
    pub(in crate::engine) offset: u64,
    /// Ends its line once the block is written.
    pub(in crate::engine) trace: Option<Rc<SpanTrace>>,
    /// Decides when the bytes count.
    pub(in crate::engine) quarantine: Option<Rc<Quarantine<Written>>>,
}

impl Sink {
    /// For at most this number of connections on the shard.
    pub(in crate::engine) fn new(
        context: &Arc<Context>,
        shard: &Rc<Shard>,
        to: &Destination,
        connections: u32,
    ) -> Rc<Self> {
        let is_hashed = to.hashing.is_some() || to.pieces.is_some();
        let allowance = match &to.ordered {
            Some(ordered) => Allowance::apart(ordered.blocks()),
            None => shard.allow(connections, is_hashed),
        };
        Rc::new(Self {
            context: context.clone(),
            shard: shard.clone(),
            allowance,
            to: to.clone(),
            writes: Cell::new(0),
            written: Notify::new(),
            is_exhausted: Cell::new(false),
            is_held_by_hash: Cell::new(false),
        })
    }

    /// Registers the shard's blocks with the kernel where that is wanted and pays for a file of
    /// `file_bytes`: not if bytes are copied to the page cache, which costs the same from any
    /// memory.
    pub(in crate::engine) fn register(&self, file_bytes: u64) {
        let drivers = &self.context.client.threads.drivers;
        if !drivers.registers_buffers || !self.to.output.is_direct() {
            return;
        }
        if let Err(e) = self.shard.register(file_bytes, &self.allowance) {
            if matches!(e.raw_os_error(), Some(libc::ENOMEM | libc::EPERM)) {
                self.context.set_lacks_locked_memory();
            }
            self.context.tell(Level::Detail, None, format!("blocks are not registered: {e}"));
        }
    }

    /// Whether fixed writes are used.
    pub(in crate::engine) fn is_registered(&self) -> bool {
        self.shard.is_registered()
    }

    /// Whether a journal is kept.
    pub(in crate::engine) fn is_journaled(&self) -> bool {
        self.to.is_journaled
    }

    /// Whether blocks are passed on in order, and can be taken back no more.
    pub(in crate::engine) fn is_ordered(&self) -> bool {
        self.to.ordered.is_some()
    }

    /// Whether the bytes from `offset` on are the next ones that an ordered output passes on.
    pub(in crate::engine) fn is_its_turn(&self, offset: u64) -> bool {
        self.to.output.passed_on() == Some(offset)
    }

    /// What counts as written.
    pub(in crate::engine) fn book(&self) -> &Book {
        &self.to.book
    }

    /// The digests that are computed in file order, if any.
    pub(in crate::engine) fn hashing(&self) -> Option<&Arc<Hashing>> {
        self.to.hashing.as_ref()
    }

    /// The pieces that are verified as they come, if their hashes are known.
    pub(in crate::engine) fn pieces(&self) -> Option<&Arc<Pieces>> {
        self.to.pieces.as_ref()
    }

    /// Whether a connection had to wait for a block since the last call.
    pub(in crate::engine) fn was_exhausted(&self) -> bool {
        self.is_exhausted.replace(false)
    }

    /// Whether that was because blocks waited for the hash of their pieces.
    pub(in crate::engine) fn was_held_by_hash(&self) -> bool {
        self.is_held_by_hash.replace(false)
    }

    /// Waits until an ordered output has passed on what is before `offset`, but for the bytes that
    /// may be ahead: otherwise what waits behind a reader that takes nothing would grow.
    pub(in crate::engine) async fn turn(&self, offset: u64) {
        let Some(ordered) = &self.to.ordered else { return };
        loop {
            let written = self.written.notified();
            let Some((taken_to, dry)) = self.to.output.outlet() else { return };
            let wait = match ordered.room(self.context.now(), offset, Outlet { taken_to, dry }) {
                Room::Free => return,
                Room::Unclear(time) => time,
                Room::Full => {
                    self.is_exhausted.set(true);
                    TURN_TICK
                }
            };
            // Another shard may have written it.
            race(written, tokio::time::sleep(wait)).await;
        }
    }

    /// A block to fill; waits for one, and while too many wait for the hash of pieces or the disk.
    pub(in crate::engine) async fn lease(&self) -> Lease {
        if let Some(pieces) = self.to.pieces.as_ref().filter(|pieces| pieces.is_full()) {
            self.is_exhausted.set(true);
            self.is_held_by_hash.set(true);
            pieces.room().await;
        }
        // An ordered output has bounds of its own, and these blocks may wait for this one.
        if !self.is_ordered() && self.shard.is_queue_full() {
            self.is_exhausted.set(true);
            self.shard.room().await;
        }
        if let Some(lease) = self.allowance.blocks.try_lease() {
            return lease;
        }
        self.is_exhausted.set(true);
        self.allowance.blocks.lease().await
    }

    /// Hands a filled block to the output, and to the hash if there is room; returns at once. A
    /// failure is the transfer's.
    pub(in crate::engine) fn write(self: &Rc<Self>, leaving: Leaving) {
        let Leaving { block, offset, trace, quarantine } = leaving;
        let span = Span::with_len(offset, block.as_ref().len() as u64);
        // While the block is in the processor's cache.
        let crc32c = self.to.book.wants_sums().then(|| crc32c(block.as_ref()));
        let written = Written { span, crc32c };
        match &quarantine {
            Some(quarantine) => quarantine.leaves(),
            None => self.offer(&block, offset),
        }
        if self.to.output.is_nowhere() {
            // The block goes home at once, so that nothing waits for a disk that is not there.
            drop(block);
            return self.arrived(Some(written), quarantine);
        }
        self.to.book.on_writing(span);
        let write = PendingWrite::new(self);
        driver::spawn(async move {
            let sink = &write.sink;
            let result = sink.to.output.write(block, offset).await;
            sink.arrived(result.is_ok().then_some(written), quarantine);
            // The last write of a span ends its line in the trace.
            drop(trace);
            write.end(result);
        });
    }

    /// Hands a block to the hash of its pieces, and to that of the file if there is room.
    fn offer(&self, block: &Block, offset: u64) {
        if let Some(pieces) = &self.to.pieces {
            // Whatever room there is: it keeps no block, and connections wait for it.
            pieces.offer(offset, block.clone());
        }
        let is_spare = self.allowance.blocks.free_blocks() >= self.allowance.reserve;
        if !is_spare && !self.to.output.is_nowhere() {
            return;
        }
        if let Some(hashing) = &self.to.hashing {
            hashing.offer(offset, block.clone());
        }
    }

    /// Waits until every block of the transfer that left this shard has been written or has failed.
    pub(in crate::engine) async fn flushed(&self) {
        loop {
            let written = self.written.notified();
            if self.writes.get() == 0 {
                return;
            }
            written.await;
        }
    }

    /// The same after a failure, with `error`, of an output that takes bytes in order, too: those
    /// that wait for bytes before theirs wait no longer, and a reader that takes nothing is not
    /// waited for.
    pub(in crate::engine) async fn abandoned(&self, error: &Error) {
        self.to.output.cancel_waiting(error);
        if self.is_ordered() {
            race(self.flushed(), tokio::time::sleep(READER_WAIT_MAX)).await;
            if self.writes.get() > 0 {
                self.to.output.cancel(error.clone());
            }
        }
        self.flushed().await;
    }

    /// The bytes are in the file, and they count.
    pub(in crate::engine) fn report(&self, written: Written) {
        if let Some(hashing) = &self.to.hashing {
            hashing.on_written(written.span);
        }
        if let Some(pieces) = &self.to.pieces {
            pieces.on_written(written.span);
        }
        self.to.book.on_written(written.span, written.crc32c);
    }

    /// A block has been written, or not. In quarantine it has to wait before it counts.
    fn arrived(&self, written: Option<Written>, quarantine: Option<Rc<Quarantine<Written>>>) {
        let counts = match quarantine {
            Some(quarantine) => quarantine.arrived(written),
            None => written,
        };
        counts.into_iter().for_each(|written| self.report(written));
    }
}

/// A write on its way. Its end counts, also if it is a panic.
struct PendingWrite {
    sink: Rc<Sink>,
    outcome: Option<Result<()>>,
    /// Its place in the shard's queue, unless it has to wait for others.
    _place: Option<Write>,
}

impl PendingWrite {
    fn new(sink: &Rc<Sink>) -> Self {
        sink.writes.set(sink.writes.get() + 1);
        let place = (!sink.is_ordered()).then(|| sink.shard.begin_write());
        Self { sink: sink.clone(), outcome: None, _place: place }
    }

    fn end(mut self, outcome: Result<()>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for PendingWrite {
    fn drop(&mut self) {
        let lost = || Error::new(ErrorKind::Internal, "a write ended without an outcome");
        if let Err(error) = self.outcome.take().unwrap_or_else(|| Err(lost())) {
            self.sink.context.fail(error);
        }
        self.sink.writes.set(self.sink.writes.get() - 1);
        self.sink.written.notify_waiters();
    }
}
