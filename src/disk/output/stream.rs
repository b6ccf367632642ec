//! An output that passes the file on in order, to a pipe, a FIFO, a socket or a file that the
//! caller has opened: the first byte of the file is written where the descriptor stands.
//!
//! Blocks come at any offset and in any order. A block that comes early waits in memory. A thread
//! of its own writes the block whose turn it is, as a reader may let it wait for any time, and a
//! shard's thread must not wait with it. Each byte is written once. There is no part file, no name
//! and no journal, and nothing can be read back, so digests are computed on the way (`writer`).
//! Must not know how blocks are received.
//!
//! States: reserved (the descriptor waits) -> open (the thread runs) -> judged (all bytes have come
//! and their digests are known) -> closed (committed: all of the file has been passed on, and the
//! descriptor is closed) or failed (a write has failed, or was cancelled; nothing more is written).
//!
//! A write ends when its block has been written to the descriptor, whole, and its memory is free;
//! or when it is the last one that came, which is held back while the file has to be proved. So a
//! slow reader slows the transfer down through the blocks that wait, each of which holds a lease.
//! The caller assigns spans only a bounded distance ahead of the oldest byte that is missing. A
//! block that comes early and is not nearly full is copied, so that the blocks of as many bytes do
//! not need more leases than there are, and one can still be had for the byte whose turn it is;
//! otherwise nothing would move any more.

mod writer;

use super::copy::Copy;
use super::file::SyncPolicy;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Error, ErrorKind, Result};
use crate::digest::{Algorithm, Digest};
use crate::io::buffers::Block;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use writer::Writer;

/// What the stream is called in messages and reports, as on command lines: it has no name.
pub(super) const NAME: &str = "-";
/// Early blocks with fewer bytes are copied: so those that are kept as they are take at most 16/15
/// of the memory that their bytes would.
const KEPT_BYTES_MIN: usize = BLOCK_BYTES / 16 * 15;

/// What the stream is to find out about the bytes that it passes on.
#[derive(Debug, Clone, Default)]
pub struct StreamProof {
    /// Digests that are computed, each once.
    pub algorithms: Vec<Algorithm>,
    /// The block that came last is held back until all have come and have been judged.
    pub holds_back: bool,
}

/// A stream that takes blocks. Shared by the attempts of a transfer, as what has been passed on
/// stays passed on. Dropping it ends the thread, once the write that it is in has ended.
pub struct StreamOutput {
    shared: Arc<Shared>,
    descriptor: Mutex<Descriptor>,
    /// The file that gets the same bytes, if one does.
    copy: Option<Arc<Copy>>,
}

/// Where the descriptor is.
enum Descriptor {
    /// Nothing is written yet.
    Reserved(File, StreamProof),
    /// The thread has it and closes it at its end.
    Open(JoinHandle<()>),
    Closed,
}

struct Shared {
    state: Mutex<State>,
    /// The thread has something to do, or has done it.
    changed: Condvar,
}

struct State {
    /// Bytes that have been written: all those before this offset of the file.
    written_bytes: u64,
    /// For how long the thread has waited for the block whose turn it was, up to `dry_since`.
    dry: Duration,
    /// Since when it waits for one, if it does.
    dry_since: Option<Instant>,
    /// Length of the block that is being written, which begins at `written_bytes`; 0 if none is.
    writing_bytes: u64,
    /// The end of the write of that block.
    writing: Option<End>,
    /// Blocks that are not being written yet, by their offset in the file; disjoint, not empty.
    waiting: BTreeMap<u64, Waiting>,
    /// Why nothing more is written.
    failed: Option<Error>,
    /// Who waits for the digests of all bytes, which have come.
    judge: Option<oneshot::Sender<Result<Vec<Digest>>>>,
    /// No more blocks come: the thread passes on what it holds back, and ends.
    is_closed: bool,
}

struct Waiting {
    bytes: Bytes,
    end: End,
}

/// Bytes that wait.
enum Bytes {
    Block(Block),
    /// Of a block that was not nearly full.
    Copied(Vec<u8>),
}

/// What the thread does next.
enum Turn {
    /// Passes these bytes on.
    Write(Bytes),
    /// Tells the digests of all bytes.
    Judge(oneshot::Sender<Result<Vec<Digest>>>),
    /// Passes on what it holds back, and ends.
    Close,
}

/// Tells the one who waits for a write how it has ended.
type End = oneshot::Sender<Result<()>>;

impl StreamOutput {
    /// For `file`, whose descriptor is at the place where the first byte goes.
    pub(super) fn new(file: File) -> Self {
        let state = State {
            written_bytes: 0,
            dry: Duration::ZERO,
            dry_since: Some(Instant::now()),
            writing_bytes: 0,
            writing: None,
            waiting: BTreeMap::new(),
            failed: None,
            judge: None,
            is_closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let descriptor = Mutex::new(Descriptor::Reserved(file, StreamProof::default()));
        Self { shared, descriptor, copy: None }
    }

    /// The same, with a copy of all bytes.
    pub(super) fn with_copy(file: File, copy: Copy) -> Self {
        let mut stream = Self::new(file);
        stream.copy = Some(Arc::new(copy));
        stream
    }

    /// Makes room for the copy, if there is one, of `total` bytes.
    pub(super) fn make_room(&self, total: Option<u64>) -> Result<()> {
        self.copy.as_ref().zip(total).map_or(Ok(()), |(copy, total)| copy.make_room(total))
    }

    /// Says what is to be found out about the bytes, before the stream is opened.
    pub(super) fn prove(&self, proof: StreamProof) {
        if let Descriptor::Reserved(_, wanted) = &mut *lock(&self.descriptor) {
            *wanted = proof;
        }
    }

    /// Starts the thread. Asked again, the stream goes on behind what it has written.
    ///
    /// # Errors
    /// ResourceLimit, if there is no thread.
    pub(super) fn open(&self) -> Result<()> {
        let mut descriptor = lock(&self.descriptor);
        let Descriptor::Reserved(file, proof) = &*descriptor else { return Ok(()) };
        let refused = |e: io::Error| {
            Error::new(ErrorKind::ResourceLimit, "cannot start the thread that writes the stream")
                .caused_by(e)
        };
        // A copy, so that the descriptor stays here if there is no thread.
        let file = file.try_clone().map_err(refused)?;
        let copy = self.copy.as_ref().map(Arc::downgrade);
        let writer = Writer::new(self.shared.clone(), file, copy, proof);
        let spawned = thread::Builder::new()
            .name("ringhaul-stream".into())
            .spawn(move || writer.write_in_order());
        *descriptor = Descriptor::Open(spawned.map_err(refused)?);
        Ok(())
    }

    /// Begins anew, at the first byte of the file.
    ///
    /// # Errors
    /// TargetUnusable, if bytes have been written: nobody can take them back.
    pub(super) fn discard(&self) -> Result<()> {
        let state = self.shared.lock();
        let begun_bytes = state.front();
        if begun_bytes == 0 {
            return Ok(());
        }
        let what = format!("{begun_bytes} bytes have gone out in order and cannot be taken back");
        Err(Error::new(ErrorKind::TargetUnusable, what)
            .advise("start again; a file (-o) can be begun anew in the middle of a download"))
    }

    /// Writes the block when all bytes before `offset` have been written; ends when it is written
    /// too, whole. If this future is dropped, the block is written all the same.
    ///
    /// # Errors
    /// What the first write that failed has failed with, or was cancelled with, at once as well
    /// after it. DiskIo, if the reader has closed its end.
    ///
    /// # Panics
    /// If any byte of it has been written or waits to be.
    pub(super) async fn write(&self, block: Block, offset: u64) -> Result<()> {
        if block.as_ref().is_empty() {
            return Ok(());
        }
        let ended = self.shared.take(block, offset)?;
        let lost = || Error::new(ErrorKind::Internal, "a write ended without an outcome");
        ended.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Bytes that have been passed on, or are about to be: all those before this offset.
    pub(super) fn passed_on(&self) -> u64 {
        self.shared.lock().front()
    }

    /// The same, and for how long the next bytes have been waited for so far.
    pub(super) fn outlet(&self) -> (u64, Duration) {
        let state = self.shared.lock();
        (state.front(), state.dry + state.dry_since.map_or(Duration::ZERO, |it| it.elapsed()))
    }

    /// The digests that were asked for, of all bytes of the file, which have come.
    ///
    /// # Errors
    /// What a write has failed with.
    pub(super) async fn digests(&self) -> Result<Vec<Digest>> {
        let (sender, digests) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            state.judge = Some(sender);
        }
        self.shared.changed.notify_all();
        let lost = || Error::new(ErrorKind::Internal, "the stream ended without its digests");
        digests.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Whether the reader takes less than comes: a block whose turn it is waits for the one that is
    /// being written.
    pub(super) fn is_saturated(&self) -> bool {
        let state = self.shared.lock();
        state.writing_bytes > 0 && state.waiting.contains_key(&state.front())
    }

    /// Ends, with `error`, the writes of all blocks that wait for bytes which have not come. Theirs
    /// may come again. Those whose turn comes without that are written.
    pub(super) fn cancel_waiting(&self, error: &Error) {
        let early = self.shared.lock().take_early();
        end_all(early, error);
    }

    /// Ends all writes with `error`, and all that come later. Does not wait for the reader: the
    /// block that is being written may yet go out, whole or in part.
    pub(super) fn cancel(&self, error: Error) {
        self.shared.fail(error);
    }

    /// Waits until everything is written (blocking), and closes the descriptor. Nothing of it is
    /// synced: whoever has opened the descriptor knows whether what is behind it has to be durable.
    /// The copy gets its name then, by `sync` like any file.
    ///
    /// # Errors
    /// What a write has failed with. Internal, unless exactly `bytes` bytes have been taken.
    pub(super) fn commit(&self, bytes: u64, sync: SyncPolicy) -> Result<()> {
        self.shared.close(bytes)?;
        let open = std::mem::replace(&mut *lock(&self.descriptor), Descriptor::Closed);
        if let Descriptor::Open(thread) = open {
            // Its panic would have been a failure before.
            let _ = thread.join();
        }
        // What was held back may have failed.
        self.shared.lock().failed.clone().map_or(Ok(()), Err)?;
        self.copy.as_ref().map_or(Ok(()), |copy| copy.commit(bytes, sync))
    }
}

impl Drop for StreamOutput {
    fn drop(&mut self) {
        // The thread is not waited for: its reader may never read again.
        self.shared.fail(Error::new(ErrorKind::Internal, "the stream has been dropped"));
    }
}

impl fmt::Debug for StreamOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written_bytes = self.shared.lock().written_bytes;
        f.debug_struct("StreamOutput")
            .field("written_bytes", &written_bytes)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Takes a block over; what is returned hears of the end of its write.
    fn take(&self, block: Block, offset: u64) -> Result<oneshot::Receiver<Result<()>>> {
        let (end, ended) = oneshot::channel();
        let is_early = offset > self.lock().front();
        let bytes = match block {
            // Outside of the lock, as it takes a while.
            block if is_early && block.as_ref().len() < KEPT_BYTES_MIN => {
                Bytes::Copied(block.as_ref().to_vec())
            }
            block => Bytes::Block(block),
        };
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        assert!(!state.is_closed, "nothing is written behind the end of the file");
        state.check_free(offset, bytes.as_ref().len() as u64);
        state.waiting.insert(offset, Waiting { bytes, end });
        let is_its_turn = offset == state.front();
        drop(state);
        if is_its_turn {
            self.changed.notify_all();
        }
        Ok(ended)
    }

    /// What the thread does next; waits for it. `None` after a failure.
    fn next(&self) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            let front = state.front();
            if let Some(Waiting { bytes, end }) = state.waiting.remove(&front) {
                state.writing_bytes = bytes.as_ref().len() as u64;
                state.writing = Some(end);
                let dry = state.dry_since.take().map_or(Duration::ZERO, |it| it.elapsed());
                state.dry += dry;
                return Some(Turn::Write(bytes));
            }
            state.dry_since.get_or_insert_with(Instant::now);
            if let Some(judge) = state.judge.take() {
                return Some(Turn::Judge(judge));
            }
            if state.is_closed {
                return Some(Turn::Close);
            }
            state = self.wait(state);
        }
    }

    /// The bytes that `next` has handed out are written, or are the last ones and held back.
    fn on_written(&self) {
        let mut state = self.lock();
        state.written_bytes = state.front();
        state.writing_bytes = 0;
        let end = state.writing.take();
        drop(state);
        // Nobody listens any more if the write was given up or cancelled.
        end.into_iter().for_each(|end| _ = end.send(Ok(())));
        self.changed.notify_all();
    }

    /// Nothing more is written; only the first reason counts.
    fn fail(&self, error: Error) {
        let mut state = self.lock();
        let error = state.failed.get_or_insert(error).clone();
        let waiting = std::mem::take(&mut state.waiting);
        let (writing, judge) = (state.writing.take(), state.judge.take());
        drop(state);
        judge.into_iter().for_each(|judge| _ = judge.send(Err(error.clone())));
        writing.into_iter().for_each(|end| _ = end.send(Err(error.clone())));
        end_all(waiting, &error);
        self.changed.notify_all();
    }

    /// Waits until all that can be written is written, and ends the thread if these are `bytes`
    /// bytes, and all that came.
    fn close(&self, bytes: u64) -> Result<()> {
        let mut state = self.lock();
        loop {
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            if state.writing_bytes == 0 && !state.waiting.contains_key(&state.written_bytes) {
                break;
            }
            state = self.wait(state);
        }
        let written_bytes = state.written_bytes;
        if written_bytes != bytes || !state.waiting.is_empty() {
            let early = state.waiting.len();
            let what = format!(
                "{written_bytes} bytes of {bytes} have been written in order, and {early} blocks \
                 wait for those before them"
            );
            return Err(Error::new(ErrorKind::Internal, what));
        }
        state.is_closed = true;
        self.changed.notify_all();
        Ok(())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// The first byte that neither has been written nor is being written.
    fn front(&self) -> u64 {
        self.written_bytes + self.writing_bytes
    }

    /// The blocks that are behind a byte which has not come.
    fn take_early(&mut self) -> BTreeMap<u64, Waiting> {
        let mut end = self.front();
        while let Some(Waiting { bytes, .. }) = self.waiting.get(&end) {
            end += bytes.as_ref().len() as u64;
        }
        self.waiting.split_off(&end)
    }

    /// Asserts that no byte of the block has come before.
    fn check_free(&self, offset: u64, bytes: u64) {
        let before = self.waiting.range(..=offset).next_back();
        let end_before = before.map_or(0, |(start, it)| start + it.bytes.as_ref().len() as u64);
        let start_behind =
            self.waiting.range(offset..).next().map_or(u64::MAX, |(start, _)| *start);
        let is_free = offset >= self.front().max(end_before) && offset + bytes <= start_behind;
        assert!(is_free, "each byte is written once, and some of {bytes} at {offset} came before");
    }
}

fn end_all(waiting: BTreeMap<u64, Waiting>, error: &Error) {
    for Waiting { bytes, end } in waiting.into_values() {
        drop(bytes);
        // Nobody listens any more if the write was given up.
        let _ = end.send(Err(error.clone()));
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Block(block) => block.as_ref(),
            Self::Copied(bytes) => bytes,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
