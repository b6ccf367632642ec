//! The digests of the file, computed on a thread of its own while blocks arrive.
//!
//! Blocks at or near the front are hashed from memory; what had to leave memory, or was there
//! before this run, is read back. What comes next is the frontier's decision, this module only
//! carries it out. Must not know what the digests should be.
//!
//! States: hashing -> over (all bytes hashed, a read failed, or dropped). Once it is over no block
//! is held any more, and further ones are let go at once.

use super::output::Output;
use super::read_back::Reader;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::digest::{Algorithm, Digest, Frontier, Hasher, Offer, Step};
use crate::io::buffers::Block;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What one hash after the other gets to see of a block, so that the later ones find it in the
/// second-level cache of any processor.
const PIECE_BYTES: usize = 64 * 1024;

/// A running hash. Dropping it ends the thread.
pub struct Verifier {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The result of hashing the whole file.
#[derive(Debug)]
pub struct Hashed {
    /// The digests, in the order in which they were asked for.
    pub digests: Vec<Digest>,
    /// Bytes that were read back from the file for them.
    pub read_back_bytes: u64,
}

struct Shared {
    state: Mutex<State>,
    /// Rings when the thread may have something to do.
    bell: Condvar,
}

struct State {
    frontier: Frontier<Block>,
    /// Whether no block is taken any more.
    is_over: bool,
}

impl Verifier {
    /// Starts the thread, which computes all of `algorithms` (at least one, each once). At most
    /// `budget_bytes` of blocks wait in memory for their turn.
    ///
    /// `written` is what an earlier run left behind.
    ///
    /// The thread calls `on_end` once, with the digests or why bytes could not be read back; not at
    /// all if this value is dropped before. By then no block is held any more.
    pub fn start(
        algorithms: &[Algorithm],
        budget_bytes: u64,
        output: &Output,
        written: &SpanSet,
        on_end: impl FnOnce(Result<Hashed>) + Send + 'static,
    ) -> Result<Self> {
        assert!(!algorithms.is_empty(), "there is something to hash for");
        let mut frontier = Frontier::new(budget_bytes, BLOCK_BYTES as u64);
        written.iter().for_each(|span| frontier.on_written(span));
        let state = Mutex::new(State { frontier, is_over: false });
        let shared = Arc::new(Shared { state, bell: Condvar::new() });
        let hashers = algorithms.iter().map(|algorithm| algorithm.hasher()).collect();
        let mill = Mill { hashers };
        let reader = Reader::new(output);
        let own = shared.clone();
        let work = move || {
            let outcome = own.hash_all(mill, reader);
            own.end();
            if let Some(outcome) = outcome {
                on_end(outcome);
            }
        };
        let spawned = thread::Builder::new().name("ringhaul-hash".into()).spawn(work);
        let thread = spawned.map_err(|e| {
            Error::new(ErrorKind::ResourceLimit, "cannot start the hash thread").caused_by(e)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Offers the block at `offset`, before it is written.
    pub fn offer(&self, offset: u64, block: Block) {
        let mut state = self.shared.lock();
        if state.is_over {
            return;
        }
        let offer = state.frontier.offer(offset, block);
        drop(state);
        if matches!(offer, Offer::Kept { .. }) {
            self.shared.bell.notify_one();
        }
        // Blocks that are not kept go home here, outside of the lock.
        drop(offer);
    }

    /// These bytes can be read back from now on.
    pub fn on_written(&self, span: Span) {
        self.shared.lock().frontier.on_written(span);
        self.shared.bell.notify_one();
    }

    /// The file has `total` bytes, and no run lies beyond them: once they are hashed, the digests
    /// are complete.
    pub fn set_total(&self, total: u64) {
        self.shared.lock().frontier.set_total(total);
        self.shared.bell.notify_one();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            // At most one block is still being hashed. Its panic has been reported as no outcome.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The thread's life; `None` if it was ended from outside.
    fn hash_all(&self, mut mill: Mill, mut reader: Reader) -> Option<Result<Hashed>> {
        while let Some(step) = self.next_step() {
            let hashed = match step {
                Step::Hash { block, range } => Ok(mill.hash(&block.as_ref()[range])),
                Step::ReadBack(span) => reader.read(span).map(|bytes| mill.hash(bytes)),
                Step::Finished => {
                    let read_back_bytes = self.lock().frontier.stats().read_back_bytes;
                    return Some(Ok(Hashed { digests: mill.finish(), read_back_bytes }));
                }
                Step::Wait => unreachable!("next_step waits"),
            };
            match hashed {
                Ok(bytes) => self.lock().frontier.advance(bytes),
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// Sleeps until there is something to do; `None` once it is over.
    fn next_step(&self) -> Option<Step<Block>> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return None;
            }
            match state.frontier.next_step() {
                Step::Wait => {
                    state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                step => return Some(step),
            }
        }
    }

    /// Gives all blocks back and takes no more.
    fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let blocks = state.frontier.release_all();
        drop(state);
        drop(blocks);
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sees every byte of the file once and in order.
struct Mill {
    hashers: Vec<Hasher>,
}

impl Mill {
    /// Hashes the next bytes of the file; returns how many these were.
    fn hash(&mut self, bytes: &[u8]) -> u64 {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.hashers.iter_mut().for_each(|hasher| hasher.update(piece));
        }
        bytes.len() as u64
    }

    fn finish(self) -> Vec<Digest> {
        self.hashers.into_iter().map(Hasher::finish).collect()
    }
}

#[cfg(test)]
mod tests;
