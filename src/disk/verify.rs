//! The digest of the file, computed on a thread of its own while blocks arrive.
//!
//! Blocks at or near the front are hashed from memory; what had to leave memory is read back. What
//! comes next is the frontier's decision, this module only carries it out.

use super::output::Output;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::{Algorithm, Digest, Frontier, Hasher, Offer, Step};
use crate::io::buffers::{Block, Lease, Pool};
use crate::io::file;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A running hash. Dropping it ends the thread.
pub struct Verifier {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

/// The result of hashing the whole file.
#[derive(Debug)]
pub struct Hashed {
    /// The digest.
    pub digest: Digest,
    /// Bytes that were read back from the file for it.
    pub read_back_bytes: u64,
}

struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    frontier: Frontier<Block>,
    cancelled: bool,
}

impl Verifier {
    /// Starts the thread. At most `budget_bytes` of blocks wait in memory for their turn. The
    /// thread calls `on_hashed` once, with the digest or with why there is none; not at all if
    /// this value is dropped before.
    pub fn start(
        algorithm: Algorithm,
        budget_bytes: u64,
        output: &Output,
        on_hashed: impl FnOnce(Result<Hashed>) + Send + 'static,
    ) -> Result<Self> {
        let frontier = Frontier::new(budget_bytes, BLOCK_BYTES as u64);
        let state = Mutex::new(State { frontier, cancelled: false });
        let shared = Arc::new(Shared { state, bell: Condvar::new() });
        let mut reader = Reader::new(output);
        let own = shared.clone();
        let work = move || {
            if let Some(outcome) = own.hash_all(algorithm.hasher(), &mut reader).transpose() {
                on_hashed(outcome);
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
        let offer = self.shared.lock().frontier.offer(offset, block);
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

    /// The file has `total` bytes: once they are hashed, the digest is complete.
    pub fn set_total(&self, total: u64) {
        self.shared.lock().frontier.set_total(total);
        self.shared.bell.notify_one();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.cancelled = true;
        let blocks = state.frontier.release_all();
        drop(state);
        drop(blocks);
        self.shared.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // At most one block is still being hashed. Its panic has been reported as no digest.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The thread's life; `None` if it was cancelled.
    fn hash_all(&self, mut hasher: Hasher, reader: &mut Reader) -> Result<Option<Hashed>> {
        while let Some(step) = self.next_step() {
            let hashed_bytes = match step {
                Step::Hash { block, range } => {
                    let bytes = &block.as_ref()[range];
                    hasher.update(bytes);
                    bytes.len() as u64
                }
                Step::ReadBack(span) => {
                    hasher.update(reader.read(span)?);
                    span.len()
                }
                Step::Finished => {
                    let read_back_bytes = self.lock().frontier.stats().read_back_bytes;
                    return Ok(Some(Hashed { digest: hasher.finish(), read_back_bytes }));
                }
                Step::Wait => unreachable!("next_step waits"),
            };
            self.lock().frontier.advance(hashed_bytes);
        }
        Ok(None)
    }

    /// Sleeps until there is something to do; `None` once cancelled.
    fn next_step(&self) -> Option<Step<Block>> {
        let mut state = self.lock();
        loop {
            if state.cancelled {
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads written bytes back; file and memory are had only once they are needed.
struct Reader {
    path: PathBuf,
    direct: bool,
    open: Option<(File, Lease)>,
}

impl Reader {
    fn new(output: &Output) -> Self {
        Self { path: output.part_path().to_owned(), direct: output.is_direct(), open: None }
    }

    fn read(&mut self, span: Span) -> Result<&[u8]> {
        let failed = |path: &PathBuf, e: std::io::Error| {
            let what = format!("cannot read back {}", path.display());
            Error::new(ErrorKind::DiskIo, what).caused_by(e)
        };
        if self.open.is_none() {
            let pool = Pool::new(1).map_err(|e| failed(&self.path, e))?;
            let lease = pool.try_lease().expect("a fresh pool has its block");
            let file = file::open_for_read_back(&self.path, self.direct);
            self.open = Some((file.map_err(|e| failed(&self.path, e))?, lease));
        }
        let (file, lease) = self.open.as_mut().expect("opened above");
        let len = usize::try_from(span.len()).expect("one block at most");
        file::read_span(file, span, lease.spare_mut()).map_err(|e| failed(&self.path, e))?;
        Ok(&lease.spare_mut()[..len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::output::{DirectPolicy, Reserved};
    use crate::io::uring::Ring;
    use std::sync::mpsc;

    /// Writes `blocks` blocks in the given order and answers the digest and what was read back.
    fn hash(order: &[u64], budget_blocks: u64, tail: usize) -> (Hashed, Digest) {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let block = BLOCK_BYTES as u64;
        let total = (order.len() as u64 - 1) * block + tail as u64;
        let content: Vec<u8> = (0..=250u8).cycle().take(usize::try_from(total).unwrap()).collect();
        let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
        let output = reserved.allocate(Some(total), DirectPolicy::Always).unwrap();
        let (sender, receiver) = mpsc::channel();
        let on_hashed = move |hashed| sender.send(hashed).unwrap();
        let budget_bytes = budget_blocks * block;
        let verifier =
            Verifier::start(Algorithm::Sha256, budget_bytes, &output, on_hashed).unwrap();
        let pool = Pool::new(u32::try_from(order.len()).unwrap() + 1).unwrap();
        Ring::new().unwrap().run(async {
            for index in order {
                let start = usize::try_from(index * block).unwrap();
                let mut lease = pool.lease().await;
                lease.append(&content[start..(start + BLOCK_BYTES).min(content.len())]);
                let filled = lease.freeze();
                verifier.offer(index * block, filled.clone());
                let span = Span::with_len(index * block, filled.as_ref().len() as u64);
                output.write(filled, index * block).await.unwrap();
                verifier.on_written(span);
            }
        });
        verifier.set_total(total);
        let hashed = receiver.recv().unwrap().unwrap();
        assert_eq!(pool.free_blocks(), order.len() + 1, "every block went home");
        let mut whole = Algorithm::Sha256.hasher();
        whole.update(&content);
        (hashed, whole.finish())
    }

    #[test]
    fn in_order_nothing_is_read_back() {
        let (hashed, expected) = hash(&[0, 1, 2, 3], 4, 100);
        assert_eq!(hashed.digest, expected);
        assert_eq!(hashed.read_back_bytes, 0);
    }

    #[test]
    fn out_of_order_beyond_the_budget_is_read_back() {
        let (hashed, expected) = hash(&[5, 4, 3, 2, 1, 0], 2, 4097);
        assert_eq!(hashed.digest, expected);
        assert!(hashed.read_back_bytes > 0);
        let (hashed, expected) = hash(&[2, 0, 1], 0, 1);
        assert_eq!(hashed.digest, expected);
    }

    #[test]
    fn dropping_it_gives_blocks_back() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let reserved = Reserved::new(&folder.path().join("f"), false).unwrap();
        let output = reserved.allocate(Some(1 << 22), DirectPolicy::Never).unwrap();
        let verifier = Verifier::start(Algorithm::Sha256, 1 << 22, &output, |_| ()).unwrap();
        let pool = Pool::new(1).unwrap();
        let mut lease = pool.try_lease().unwrap();
        lease.append(b"later");
        verifier.offer(1 << 20, lease.freeze());
        assert!(pool.try_lease().is_none());
        drop(verifier);
        assert!(pool.try_lease().is_some());
    }
}
