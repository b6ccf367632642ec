//! One aligned arena per shard, cut into blocks; leases; back-pressure when none is left.
//!
//! A lease is exclusive and fillable. Frozen, it becomes a [`Block`]: shared and read-only, so that
//! the writer and the hasher can both look at it; the last holder sends it home. Nothing grows:
//! who finds no block waits, and the socket's window closes meanwhile.

use crate::base::limits::BLOCK_BYTES;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Huge pages of x86-64 and arm64 with 4 KiB base pages.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// The blocks of one shard. Cheap to clone; leases may go home from any thread.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<PoolInner>,
}

struct PoolInner {
    arena: Arena,
    /// Last in, first out: the block used last is the one still in cache.
    free: Mutex<Vec<u32>>,
    available: Semaphore,
    /// Number of blocks, counted from the first, that are registered with the shard's ring.
    registered_blocks: AtomicU32,
}

/// A part of a pool's blocks, for one of those who share them: it takes no more than that at once,
/// whoever holds the blocks then. Nothing is set aside for it.
#[derive(Clone)]
pub struct Share {
    pool: Pool,
    allowed: Arc<Semaphore>,
    memory: Memory,
}

/// Blocks that may be in use at once, over any number of pools.
#[derive(Clone)]
pub struct Memory {
    blocks: Arc<Semaphore>,
}

/// What a block of a share is taken on; given back when it goes home.
type Permits = [OwnedSemaphorePermit; 2];

/// The right to fill one block.
pub struct Lease {
    pool: Arc<PoolInner>,
    /// Number of the block in the arena, from 0.
    index: u32,
    /// Bytes filled so far, from the start of the block.
    filled: usize,
    /// Of the share that the block was taken from, if there is one.
    _permits: Option<Permits>,
}

/// A filled block or a part of one, read-only and shared between writer and hasher.
#[derive(Clone)]
pub struct Block {
    lease: Arc<Lease>,
    /// Index of the first of the filled bytes that this handle stands for.
    from: usize,
    /// Index behind the last of these bytes.
    to: usize,
}

impl Pool {
    /// An arena of `blocks` blocks of [`BLOCK_BYTES`]; pages are touched only as blocks are used.
    pub fn new(blocks: u32) -> io::Result<Self> {
        assert!(blocks > 0, "a pool has at least one block");
        let arena = Arena::map(blocks as usize)?;
        let inner = PoolInner {
            arena,
            free: Mutex::new((0..blocks).rev().collect()),
            available: Semaphore::new(blocks as usize),
            registered_blocks: AtomicU32::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A block to fill; waits until one is free.
    pub async fn lease(&self) -> Lease {
        let permit = self.inner.available.acquire().await.expect("the semaphore is never closed");
        permit.forget();
        self.take_free()
    }

    /// A block to fill, if one is free.
    pub fn try_lease(&self) -> Option<Lease> {
        self.inner.available.try_acquire().ok()?.forget();
        Some(self.take_free())
    }

    fn take_free(&self) -> Lease {
        let index = self.inner.free_list().pop().expect("a permit stands for a free block");
        Lease { pool: self.inner.clone(), index, filled: 0, _permits: None }
    }

    /// A part of at most `blocks` blocks, as far as there is `memory`.
    pub fn share(&self, blocks: u32, memory: &Memory) -> Share {
        let allowed = Arc::new(Semaphore::new(blocks as usize));
        Share { pool: self.clone(), allowed, memory: memory.clone() }
    }

    /// Blocks nobody holds.
    pub fn free_blocks(&self) -> usize {
        self.inner.available.available_permits()
    }

    /// Whether blocks, the first ones at least, are registered with the shard's ring.
    pub fn is_registered(&self) -> bool {
        self.inner.registered_blocks.load(Ordering::Relaxed) > 0
    }

    pub(super) fn set_registered(&self, blocks: u32) {
        self.inner.registered_blocks.store(blocks, Ordering::Relaxed);
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> u32 {
        u32::try_from(self.inner.arena.blocks).expect("made from a u32")
    }

    /// Where the arena starts, for registration.
    pub(super) fn memory(&self) -> NonNull<u8> {
        self.inner.arena.base
    }
}

impl Memory {
    /// At most this number of blocks; `None` for any number.
    pub fn new(blocks: Option<u32>) -> Self {
        let blocks = blocks.map_or(Semaphore::MAX_PERMITS, |blocks| blocks as usize);
        Self { blocks: Arc::new(Semaphore::new(blocks)) }
    }
}

impl Share {
    /// A block to fill; waits until one is free.
    pub async fn lease(&self) -> Lease {
        const NEVER: &str = "the semaphores are never closed";
        let allowed = self.allowed.clone().acquire_owned().await.expect(NEVER);
        // Last, as others wait for it, too: whoever has it waits for nothing any more but a block
        // of the pool, and those who have these wait for nobody.
        let memory = self.memory.blocks.clone().acquire_owned().await.expect(NEVER);
        let mut lease = self.pool.lease().await;
        lease._permits = Some([allowed, memory]);
        lease
    }

    /// A block to fill, if one is free.
    pub fn try_lease(&self) -> Option<Lease> {
        let allowed = self.allowed.clone().try_acquire_owned().ok()?;
        let memory = self.memory.blocks.clone().try_acquire_owned().ok()?;
        let mut lease = self.pool.try_lease()?;
        lease._permits = Some([allowed, memory]);
        Some(lease)
    }

    /// Blocks that could be had now.
    pub fn free_blocks(&self) -> usize {
        let permits = [&self.allowed, &self.memory.blocks].map(|it| it.available_permits());
        permits.into_iter().fold(self.pool.free_blocks(), usize::min)
    }
}

impl PoolInner {
    fn free_list(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Bytes filled so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes that still fit.
    pub fn spare(&self) -> usize {
        BLOCK_BYTES - self.filled
    }

    /// The part behind the filled bytes, to be written to; see [`Lease::advance`].
    pub fn spare_mut(&mut self) -> &mut [u8] {
        let filled = self.filled;
        let spare = self.spare();
        // SAFETY: the lease is the only holder of its block and is borrowed mutably; the range
        // lies inside the block; the mapping starts out zeroed, so every byte is initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start().add(filled).as_ptr(), spare) }
    }

    /// Counts `bytes` behind the filled part as filled.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.spare(), "a block holds {BLOCK_BYTES} bytes");
        self.filled += bytes;
    }

    /// Copies as many of `bytes` as fit; returns how many bytes that were.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.spare());
        self.spare_mut()[..taken].copy_from_slice(&bytes[..taken]);
        self.advance(taken);
        taken
    }

    /// Forgets what lies behind the first `bytes` filled bytes.
    pub fn truncate(&mut self, bytes: usize) {
        self.filled = self.filled.min(bytes);
    }

    /// Ends filling; from here on the block is read-only.
    pub fn freeze(self) -> Block {
        let to = self.filled;
        Block { lease: Arc::new(self), from: 0, to }
    }

    fn start(&self) -> NonNull<u8> {
        // SAFETY: the index is below the number of blocks, so the offset stays in the arena.
        unsafe { self.pool.arena.base.add(self.index as usize * BLOCK_BYTES) }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the lease is the only holder of its block; the filled bytes lie inside it.
        unsafe { std::slice::from_raw_parts(self.start().as_ptr(), self.filled) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.free_list().push(self.index);
        self.pool.available.add_permits(1);
    }
}

impl Block {
    /// The bytes `from..to` of these, as a block of their own. The memory goes home with the last
    /// part.
    pub fn part(&self, from: usize, to: usize) -> Self {
        assert!(from <= to && self.from + to <= self.to, "a part lies within its block");
        Self { lease: self.lease.clone(), from: self.from + from, to: self.from + to }
    }

    /// Whether a fixed write may name this memory.
    pub(super) fn is_registered(&self) -> bool {
        self.lease.index < self.lease.pool.registered_blocks.load(Ordering::Relaxed)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.lease.as_ref().as_ref()[self.from..self.to]
    }
}

/// An anonymous mapping on a huge-page boundary.
struct Arena {
    /// Start of the first block, on a huge-page boundary.
    base: NonNull<u8>,
    /// Number of blocks of [`BLOCK_BYTES`].
    blocks: usize,
    /// Start of the mapping, before the boundary.
    map_base: NonNull<u8>,
    /// Length of the mapping in bytes.
    map_len: usize,
}

// SAFETY: the arena is plain memory; who may touch which block is decided by the leases.
unsafe impl Send for Arena {}
// SAFETY: as above; shared access goes through frozen blocks only.
unsafe impl Sync for Arena {}

impl Arena {
    fn map(blocks: usize) -> io::Result<Self> {
        let len = (blocks * BLOCK_BYTES).next_multiple_of(HUGE_PAGE_BYTES);
        let map_len = len + HUGE_PAGE_BYTES;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh anonymous mapping aliases nothing.
        let mapped = unsafe {
            mmap_anonymous(std::ptr::null_mut(), map_len, protection, MapFlags::PRIVATE)
        }?;
        let map_base = NonNull::new(mapped.cast::<u8>()).expect("mmap never answers null");
        let padding = map_base.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // SAFETY: the mapping is one huge page longer than the arena, so the padding fits.
        let base = unsafe { map_base.add(padding) };
        // A kernel without huge pages refuses; the arena then works with small ones.
        // SAFETY: the range lies inside our mapping; the advice changes no content.
        let _ = unsafe { madvise(base.as_ptr().cast(), len, Advice::LinuxHugepage) };
        Ok(Self { base, blocks, map_base, map_len })
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the last lease and the ring's registration, which both
        // hold the pool, are gone. A failure leaves the mapping in place, which harms nobody.
        let _ = unsafe { munmap(self.map_base.as_ptr().cast(), self.map_len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll_once<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_share_takes_no_more_than_its_part_and_no_more_than_there_is() {
        let pool = Pool::new(3).unwrap();
        let unlimited = Memory::new(None);
        let (share, other) = (pool.share(2, &unlimited), pool.share(2, &unlimited));
        let first = share.try_lease().unwrap();
        let second = poll_once(share.lease()).unwrap();
        assert!(share.try_lease().is_none() && poll_once(share.lease()).is_none());
        assert_eq!((share.free_blocks(), other.free_blocks()), (0, 1));
        let third = other.try_lease().unwrap();
        assert!(other.try_lease().is_none(), "the pool is empty");
        // A block goes home with its last holder, and the share hears of it then.
        let block = first.freeze();
        let copy = block.clone();
        drop(block);
        assert_eq!(share.free_blocks(), 0);
        drop((copy, third));
        assert_eq!((share.free_blocks(), other.free_blocks()), (1, 2));
        drop(second);
        assert_eq!((share.free_blocks(), pool.free_blocks()), (2, 3));
    }

    #[test]
    fn shares_of_several_pools_keep_within_one_memory() {
        let memory = Memory::new(Some(2));
        let shares = [(); 2].map(|()| Pool::new(4).unwrap().share(4, &memory));
        let first = shares[0].try_lease().unwrap();
        let second = poll_once(shares[1].lease()).unwrap();
        for share in &shares {
            assert_eq!(share.free_blocks(), 0);
            assert!(share.try_lease().is_none() && poll_once(share.lease()).is_none());
        }
        drop(first);
        assert_eq!(shares[1].free_blocks(), 1);
        drop((second, shares[1].try_lease().unwrap()));
        assert_eq!(shares[0].free_blocks(), 2);
    }

    #[test]
    fn arena_is_aligned_and_blocks_are_disjoint() {
        let pool = Pool::new(3).unwrap();
        assert_eq!(pool.memory().as_ptr().align_offset(HUGE_PAGE_BYTES), 0);
        let mut leases: Vec<Lease> = (0..3).map(|_| poll_once(pool.lease()).unwrap()).collect();
        for (mark, lease) in (1u8..).zip(&mut leases) {
            lease.spare_mut().fill(mark);
            lease.advance(BLOCK_BYTES);
        }
        for (mark, lease) in (1u8..).zip(leases) {
            assert!(lease.freeze().as_ref().iter().all(|b| *b == mark));
        }
    }

    #[test]
    fn an_empty_pool_makes_wait_and_a_returned_block_wakes() {
        let pool = Pool::new(1).unwrap();
        let first = poll_once(pool.lease()).unwrap();
        assert!(poll_once(pool.lease()).is_none());
        let shared = first.freeze();
        let other = shared.clone();
        drop(shared);
        assert!(poll_once(pool.lease()).is_none(), "the hasher still holds it");
        std::thread::spawn(move || drop(other)).join().unwrap();
        assert!(poll_once(pool.lease()).is_some());
        assert_eq!(pool.free_blocks(), 1);
    }

    #[test]
    fn append_and_truncate_count_bytes() {
        let pool = Pool::new(1).unwrap();
        let mut lease = poll_once(pool.lease()).unwrap();
        assert_eq!(lease.append(b"hello"), 5);
        lease.truncate(4);
        assert_eq!(lease.append(&vec![7; BLOCK_BYTES]), BLOCK_BYTES - 4);
        assert_eq!(lease.spare(), 0);
        let block = lease.freeze();
        assert_eq!(&block.as_ref()[..5], b"hell\x07");
        let part = block.part(1, 6).part(1, 4);
        drop(block);
        assert_eq!((part.as_ref(), pool.free_blocks()), (&b"ll\x07"[..], 0));
        drop(part);
        assert_eq!(pool.free_blocks(), 1);
    }
}
