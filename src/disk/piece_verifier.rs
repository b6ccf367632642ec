//! The digests of a file's pieces, verified on a thread of its own while blocks arrive in any
//! order.
//!
//! Blocks are hashed from memory in the order in which they come, as far as their pieces can be
//! hashed on with them. Everything else (blocks that came before others of their piece, that nobody
//! offered, or that an earlier run has left) is read back from the file once its piece is whole
//! there. Must not know what follows from a bad piece.
//!
//! The queue takes every block, but says when it is full: whoever receives then waits until half of
//! it is hashed. That costs no time, as the file is not whole before the thread is done, and saves
//! reading back. A short queue keeps blocks in the processor's cache.
//!
//! States: verifying -> over (a read failed, [`PieceVerifier::end`], or dropped). Once it is over
//! no block is held any more, and further ones are let go at once.

use super::output::Output;
use super::read_back::Reader;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::digest::{PieceCheck, Verdict};
use crate::io::buffers::Block;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Blocks that wait before the queue counts as full: some milliseconds of hashing, which is more
/// than it takes to receive the next ones.
const WAITING_MAX: usize = 8;

/// A running verification. Dropping it ends the thread.
pub struct PieceVerifier {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    /// Locked inside of the queue's lock, or without it; never the other way round.
    check: Arc<Mutex<PieceCheck>>,
    queue: Mutex<Queue>,
    /// Rings when the thread may have something to do.
    bell: Condvar,
    read_back_bytes: AtomicU64,
}

/// Blocks that wait to be hashed.
struct Queue {
    /// Each with its offset in the file.
    blocks: VecDeque<(u64, Block)>,
    /// No block is taken any more.
    is_over: bool,
}

/// What the thread does next.
enum Step {
    /// And whether there is room again behind the block.
    Hash(u64, Block, bool),
    ReadBack(Span),
}

impl PieceVerifier {
    /// Starts the thread, which goes on with `check`.
    ///
    /// `on_disk` is what is in the file: pieces with other bytes, and those that were bad, are
    /// judged anew.
    ///
    /// The thread calls `on_verdict` for each piece that is judged, `on_room` when the queue was
    /// full and is so no more, and `on_failed` if bytes could not be read back. It drops
    /// `on_verdict` when it ends, however it does, and calls `on_room` then.
    ///
    /// # Errors
    /// ResourceLimit, if there is no thread.
    pub fn start(
        check: &Arc<Mutex<PieceCheck>>,
        output: &Output,
        on_disk: &SpanSet,
        mut on_verdict: impl FnMut(Verdict) + Send + 'static,
        on_room: impl Fn() + Send + 'static,
        on_failed: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Self> {
        begin(&mut lock(check), on_disk);
        let queue = Queue { blocks: VecDeque::new(), is_over: false };
        let shared = Arc::new(Shared {
            check: check.clone(),
            queue: Mutex::new(queue),
            bell: Condvar::new(),
            read_back_bytes: AtomicU64::new(0),
        });
        let (own, reader) = (shared.clone(), Reader::new(output));
        let ending = Ending { shared: shared.clone(), on_room };
        let work = move || {
            let outcome = own.verify_all(reader, &mut on_verdict, &ending.on_room);
            drop(ending);
            if let Err(error) = outcome {
                on_failed(error);
            }
        };
        let spawned = thread::Builder::new().name("ringhaul-pieces".into()).spawn(work);
        let thread = spawned.map_err(|e| {
            let what = "cannot start the thread that verifies pieces";
            Error::new(ErrorKind::ResourceLimit, what).caused_by(e)
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Offers the block at `offset`, before it is written.
    pub fn offer(&self, offset: u64, block: Block) {
        let mut queue = lock(&self.shared.queue);
        if queue.is_over {
            // It goes home here, outside of the lock.
            drop(queue);
            return drop(block);
        }
        queue.blocks.push_back((offset, block));
        drop(queue);
        self.shared.bell.notify_one();
    }

    /// Whether as many blocks wait to be hashed as should; there is a call once that is over.
    pub fn is_full(&self) -> bool {
        lock(&self.shared.queue).blocks.len() >= WAITING_MAX
    }

    /// These bytes can be read back from now on.
    pub fn on_written(&self, span: Span) {
        lock(&self.shared.check).on_written(span);
        // Whoever found nothing to read back waits by now.
        drop(lock(&self.shared.queue));
        self.shared.bell.notify_one();
    }

    /// Bytes that were read back from the file since this was last asked.
    pub fn take_read_back_bytes(&self) -> u64 {
        self.shared.read_back_bytes.swap(0, Ordering::Relaxed)
    }

    /// Ends the thread; pieces are judged no more. Takes as long as one block.
    pub fn end(&self) {
        self.shared.end();
        if let Some(thread) = lock(&self.thread).take() {
            // Its panic has been reported as pieces that nobody judges.
            let _ = thread.join();
        }
    }
}

impl Drop for PieceVerifier {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// The thread's life.
    fn verify_all(
        &self,
        mut reader: Reader,
        on_verdict: &mut impl FnMut(Verdict),
        on_room: &impl Fn(),
    ) -> Result<()> {
        while let Some(step) = self.next_step() {
            match step {
                Step::Hash(offset, block, has_room_again) => {
                    if has_room_again {
                        on_room();
                    }
                    self.hash(offset, block.as_ref());
                }
                Step::ReadBack(span) => {
                    let bytes = reader.read(span)?;
                    let hashed_bytes = self.hash(span.start(), bytes);
                    assert!(hashed_bytes > 0, "what is read back is hashed");
                    self.read_back_bytes.fetch_add(hashed_bytes, Ordering::Relaxed);
                }
            }
            self.take_verdicts().into_iter().for_each(&mut *on_verdict);
        }
        Ok(())
    }

    /// Sleeps until there is something to do; `None` once it is over.
    fn next_step(&self) -> Option<Step> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.is_over {
                return None;
            }
            if let Some((offset, block)) = queue.blocks.pop_front() {
                let has_room_again = queue.blocks.len() == WAITING_MAX / 2;
                return Some(Step::Hash(offset, block, has_room_again));
            }
            let unhashed = to_read_back(&lock(&self.check));
            if let Some(span) = unhashed {
                return Some(Step::ReadBack(span));
            }
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hashes what can be hashed of bytes at `offset` of the file, without a lock; returns how many
    /// these were.
    fn hash(&self, offset: u64, bytes: &[u8]) -> u64 {
        let span = Span::with_len(offset, bytes.len() as u64);
        let parts = lock(&self.check).take(span);
        let mut hashed_bytes = 0;
        for mut part in parts {
            part.hash(offset, bytes);
            hashed_bytes += part.span().len();
            lock(&self.check).put_back(part);
        }
        hashed_bytes
    }

    fn take_verdicts(&self) -> Vec<Verdict> {
        let mut check = lock(&self.check);
        std::iter::from_fn(|| check.next_verdict()).collect()
    }

    /// Gives all blocks back and takes no more.
    fn end(&self) {
        let mut queue = lock(&self.queue);
        queue.is_over = true;
        let blocks = std::mem::take(&mut queue.blocks);
        drop(queue);
        drop(blocks);
        self.bell.notify_one();
    }
}

/// Held by the thread until its end, be that a panic: nobody waits for room any more.
struct Ending<F: Fn()> {
    shared: Arc<Shared>,
    on_room: F,
}

impl<F: Fn()> Drop for Ending<F> {
    fn drop(&mut self) {
        self.shared.end();
        (self.on_room)();
    }
}

/// The first bytes to be read back, of as many pieces as one read brings.
fn to_read_back(check: &PieceCheck) -> Option<Span> {
    let mut unhashed = check.unhashed();
    let mut span = unhashed.next()?;
    for next in unhashed {
        if next.start() != span.end() || span.len() >= BLOCK_BYTES as u64 {
            break;
        }
        span = Span::new(span.start(), next.end());
    }
    Some(span)
}

/// What is not in the file, or is not right there, will come anew.
fn begin(check: &mut PieceCheck, on_disk: &SpanSet) {
    let bad: Vec<Span> = check.bad().iter().collect();
    bad.into_iter().for_each(|span| check.forget(span));
    let all = Span::new(0, check.hashes().total_bytes());
    on_disk.gaps(all).into_iter().for_each(|gap| check.forget(gap));
    on_disk.iter().for_each(|span| check.on_written(span));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
