//! The io_uring driver: one ring per shard through tokio-uring, which nobody else names.
//!
//! tokio-uring frees the memory of abandoned operations before it cancels them when its runtime is
//! dropped. So [`Ring::run`] returns only after the last completion has arrived: every operation
//! carries a ticket, and `run` waits until all tickets are back, behind a panic too.

pub mod opcodes;
pub mod ops;

use super::buffers::Pool;
use super::unwinding;
use crate::base::limits::BLOCK_BYTES;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio_uring::buf::fixed::FixedBufRegistry;
use tokio_uring::buf::{IoBuf, IoBufMut};

/// Submission queue entries; the completion queue is twice that. Far above what the connections of
/// one shard usually have in flight; beyond it the driver submits early and the kernel keeps
/// completions back, so nothing is lost. Not more, as rings count as locked memory (16 KiB each,
/// measured on 6.18, and given back up to 20 ms after the process has ended): the two of an HTTPS
/// download and those of the one just before it fit into 64 KiB, a common limit.
const RING_ENTRIES: u32 = 128;

/// One ring with the runtime that drives it. Belongs to the thread that made it.
pub struct Ring {
    runtime: tokio_uring::Runtime,
}

/// A runtime whose ring interrupts this thread for no completion (IORING_SETUP_COOP_TASKRUN, Linux
/// 5.19), which it looks for anyway, or an ordinary one. Small files one after another take 0.7 to
/// 0.8 of the processor time so.
fn with_setup(is_cooperative: bool) -> io::Result<tokio_uring::Runtime> {
    let mut setup = tokio_uring::uring_builder();
    if is_cooperative {
        setup.setup_coop_taskrun();
    }
    let mut builder = tokio_uring::builder();
    builder.entries(RING_ENTRIES).uring_builder(&setup);
    tokio_uring::Runtime::new(&builder)
}

impl Ring {
    /// Sets the ring up; the error is the kernel's.
    pub fn new() -> io::Result<Self> {
        check_permission()?;
        let runtime = with_setup(true).or_else(|_| with_setup(false));
        Ok(Self { runtime: runtime? })
    }

    /// Runs `future` to its end, then waits until nothing is in flight any more. Sockets whose
    /// operations are abandoned must be dropped by then, which shuts them down. A panic drops them
    /// and waits as well.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let work = || {
            self.runtime.block_on(async {
                let output = future.await;
                ops::drained().await;
                output
            })
        };
        unwinding::drained(work, |time_max| self.drain(time_max))
    }

    /// Waits until nothing is in flight any more; `false` if the time was over before.
    fn drain(&self, time_max: Duration) -> bool {
        let drained = async { tokio::time::timeout(time_max, ops::drained()).await.is_ok() };
        self.runtime.block_on(drained)
    }
}

/// An error if nobody gets a ring here. tokio-uring loses the descriptors of its runtime where a
/// ring is refused, so it is not asked in vain.
fn check_permission() -> io::Result<()> {
    let entries = 0;
    let no_parameters = std::ptr::null::<libc::c_void>();
    // SAFETY: the kernel looks at the permission first and then refuses the null pointer, or no
    // entries at all; no memory is read or written, and no ring comes of it.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, no_parameters) };
    debug_assert!(result < 0, "a ring without parameters");
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => Err(error),
        _ => Ok(()),
    }
}

/// Registers the first `blocks` blocks of the pool, the ones that are used most, with the ring of
/// this thread, if the memlock limit allows it; call inside [`Ring::run`]. Registered memory is
/// resident at once. Without it everything works the same.
pub fn register(pool: &Pool, blocks: u32) -> io::Result<()> {
    raise_memlock_limit();
    let blocks = blocks.min(pool.blocks());
    let registry = FixedBufRegistry::new([ArenaMemory { pool: pool.clone(), blocks }]);
    // The driver keeps the registry, and with it the arena, until the ring is gone.
    registry.register()?;
    pool.set_registered(blocks);
    Ok(())
}

/// Takes the hard limit where the soft one is lower; registered memory counts against it
/// (`io_account_mem`, checked on 6.18) unless the process has CAP_IPC_LOCK.
fn raise_memlock_limit() {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        // A refusal leaves the limit as it is, and registration finds out.
        let _ =
            setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The first blocks of the arena as one registered buffer: index 0 of the ring.
struct ArenaMemory {
    pool: Pool,
    blocks: u32,
}

// SAFETY: the mapping is stable and lives as long as the pool, which `self` holds.
unsafe impl IoBuf for ArenaMemory {
    fn stable_ptr(&self) -> *const u8 {
        self.pool.memory().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.bytes_total()
    }

    fn bytes_total(&self) -> usize {
        self.blocks as usize * BLOCK_BYTES
    }
}

// SAFETY: as above; nothing is written through this handle, the blocks' leases do that.
unsafe impl IoBufMut for ArenaMemory {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.pool.memory().as_ptr()
    }

    // SAFETY: the whole arena counts as initialised from the start, so there is nothing to record.
    unsafe fn set_init(&mut self, _initialised: usize) {}
}
