//! An output that passes the file on in order, to a pipe, a FIFO, a socket or a file that the
//! caller has opened: the first byte of the file is written where the descriptor stands.
//!
//! Blocks come at any offset and in any order. A block that comes early waits in memory. A thread
//! of its own writes the block whose turn it is, as a reader may let it wait for any time, and a
//! shard's thread must not wait with it. Each byte is written once. There is no part file, no name
//! and no journal, and nothing can be read back. Must not know how blocks are received or hashed.
//!
//! States: reserved (the descriptor waits) -> open (the thread runs) -> closed (committed: all of
//! the file has been passed on, and the descriptor is closed) or failed (a write has failed, or was
//! cancelled; nothing more is written).
//!
//! A write ends when its block has been written to the descriptor, whole, and its memory is free.
//! So a slow reader slows the transfer down through the blocks that wait, each of which holds a
//! lease. The caller assigns spans only a bounded distance ahead of the bytes that are written, so
//! that a block can still be leased for the byte whose turn it is; otherwise nothing would move any
//! more.

use crate::base::{Error, ErrorKind, Result};
use crate::disk::place::disk_error;
use crate::io::buffers::Block;
use crate::io::stream;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// What the stream is called in messages and reports, as on command lines: it has no name.
pub(super) const NAME: &str = "-";

/// A stream that takes blocks. Shared by the attempts of a transfer, as what has been passed on
/// stays passed on. Dropping it ends the thread, once the write that it is in has ended.
pub struct StreamOutput {
    shared: Arc<Shared>,
    descriptor: Mutex<Descriptor>,
}

/// Where the descriptor is.
enum Descriptor {
    /// Nothing is written yet.
    Reserved(File),
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
    /// Length of the block that is being written, which begins at `written_bytes`; 0 if none is.
    writing_bytes: u64,
    /// The end of the write of that block.
    writing: Option<End>,
    /// Blocks that are not being written yet, by their offset in the file; disjoint, not empty.
    waiting: BTreeMap<u64, Waiting>,
    /// Why nothing more is written.
    failed: Option<Error>,
    /// No more blocks come: the thread ends.
    is_closed: bool,
}

struct Waiting {
    block: Block,
    end: End,
}

/// Tells the one who waits for a write how it has ended.
type End = oneshot::Sender<Result<()>>;

impl StreamOutput {
    /// For `file`, whose descriptor is at the place where the first byte goes.
    pub(super) fn new(file: File) -> Self {
        let state = State {
            written_bytes: 0,
            writing_bytes: 0,
            writing: None,
            waiting: BTreeMap::new(),
            failed: None,
            is_closed: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        Self { shared, descriptor: Mutex::new(Descriptor::Reserved(file)) }
    }

    /// Starts the thread. Asked again, the stream goes on behind what it has written.
    ///
    /// # Errors
    /// ResourceLimit, if there is no thread.
    pub(super) fn open(&self) -> Result<()> {
        let mut descriptor = lock(&self.descriptor);
        let Descriptor::Reserved(file) = &*descriptor else { return Ok(()) };
        let refused = |e: io::Error| {
            Error::new(ErrorKind::ResourceLimit, "cannot start the thread that writes the stream")
                .caused_by(e)
        };
        // A copy, so that the descriptor stays here if there is no thread.
        let file = file.try_clone().map_err(refused)?;
        let writer = Writer { shared: self.shared.clone() };
        let spawned = thread::Builder::new()
            .name("ringhaul-stream".into())
            .spawn(move || writer.write_in_order(&file));
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

    /// Whether the reader takes less than comes: a block whose turn it is waits for the one that is
    /// being written.
    pub(super) fn is_saturated(&self) -> bool {
        let state = self.shared.lock();
        state.writing_bytes > 0 && state.waiting.contains_key(&state.front())
    }

    /// Ends, with `error`, the writes of all blocks that are not being written yet. Their bytes may
    /// come again. The block that is being written is written to its end.
    pub(super) fn cancel_waiting(&self, error: &Error) {
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        end_all(waiting, error);
    }

    /// Ends all writes with `error`, and all that come later. Does not wait for the reader: the
    /// block that is being written may yet go out, whole or in part.
    pub(super) fn cancel(&self, error: Error) {
        self.shared.fail(error);
    }

    /// Waits until everything is written (blocking), and closes the descriptor. Nothing is synced:
    /// whoever has opened the descriptor knows whether what is behind it has to be durable.
    ///
    /// # Errors
    /// What a write has failed with. Internal, unless exactly `bytes` bytes have been taken.
    pub(super) fn commit(&self, bytes: u64) -> Result<()> {
        self.shared.close(bytes)?;
        let open = std::mem::replace(&mut *lock(&self.descriptor), Descriptor::Closed);
        if let Descriptor::Open(thread) = open {
            // Its panic would have been a failure before.
            let _ = thread.join();
        }
        Ok(())
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
        let mut state = self.lock();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        assert!(!state.is_closed, "nothing is written behind the end of the file");
        state.check_free(offset, block.as_ref().len() as u64);
        state.waiting.insert(offset, Waiting { block, end });
        let is_its_turn = offset == state.front();
        drop(state);
        if is_its_turn {
            self.changed.notify_all();
        }
        Ok(ended)
    }

    /// The block whose turn it is; waits for it. `None` when nothing more is to be written.
    fn next(&self) -> Option<Block> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            let front = state.front();
            if let Some(Waiting { block, end }) = state.waiting.remove(&front) {
                state.writing_bytes = block.as_ref().len() as u64;
                state.writing = Some(end);
                return Some(block);
            }
            if state.is_closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// The block that `next` has handed out is written.
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
        let writing = state.writing.take();
        drop(state);
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

    /// Asserts that no byte of the block has come before.
    fn check_free(&self, offset: u64, bytes: u64) {
        let before = self.waiting.range(..=offset).next_back();
        let end_before = before.map_or(0, |(start, it)| start + it.block.as_ref().len() as u64);
        let start_behind =
            self.waiting.range(offset..).next().map_or(u64::MAX, |(start, _)| *start);
        let is_free = offset >= self.front().max(end_before) && offset + bytes <= start_behind;
        assert!(is_free, "each byte is written once, and some of {bytes} at {offset} came before");
    }
}

/// The thread that writes.
struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    fn write_in_order(self, file: &File) {
        while let Some(block) = self.shared.next() {
            let written = stream::write_all(file, block.as_ref());
            // The block goes home before anybody hears of the end.
            drop(block);
            match written {
                Ok(()) => self.shared.on_written(),
                Err(error) => return self.shared.fail(write_error(error)),
            }
        }
    }
}

impl Drop for Writer {
    /// Whoever waits for a write, or for all of them, waits no longer after a panic.
    fn drop(&mut self) {
        if thread::panicking() {
            let what = "the thread that writes the stream has panicked";
            self.shared.fail(Error::new(ErrorKind::Internal, what));
        }
    }
}

fn end_all(waiting: BTreeMap<u64, Waiting>, error: &Error) {
    for Waiting { block, end } in waiting.into_values() {
        drop(block);
        // Nobody listens any more if the write was given up.
        let _ = end.send(Err(error.clone()));
    }
}

fn write_error(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        let what = "the reader of the output has closed its end";
        return Error::new(ErrorKind::DiskIo, what)
            .caused_by(error)
            .advise("see why the program that reads the output has ended");
    }
    disk_error(error, "cannot write to the output", Path::new(NAME))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
