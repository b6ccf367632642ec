//! One thread's share of the machine: its blocks, its writes on their way, its idle connections.
//! Any number of transfers use it at a time. Must not know where blocks go.

use super::idle::IdleConnections;
use crate::base::limits::BLOCK_BYTES;
use crate::base::size::MIB;
use crate::base::{Error, ErrorKind, Result};
use crate::io::buffers::{Memory, Pool, Share};
use crate::io::driver;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use tokio::sync::Notify;

/// Blocks on their way to the disk, one for each connection up to this number: more are not written
/// at a time.
const BLOCKS_WRITING: u32 = 8;
/// Blocks beyond that, so that a slow write does not stop every connection.
const BLOCKS_SPARE: u32 = 4;
/// Blocks that may be on their way to the disk at once, those that wait for their write included: a
/// pool that is made for many connections must not fill up behind a slow disk.
const BLOCKS_QUEUED_MAX: usize = 16;
/// Blocks that are registered at most, as registered memory is resident whether used or not.
const BLOCKS_REGISTERED: u32 = 16;
/// Blocks that may wait in memory for the hash: four connections with 8 MiB spans run 24 MiB ahead
/// of the hash.
const BLOCKS_FOR_HASH: u32 = 24;
/// Registering pins the whole arena; below this size of file that costs more than it saves.
const REGISTER_BYTES_MIN: u64 = 16 * MIB;

/// What the transfers on one thread share.
pub(in crate::engine) struct Shard {
    pool: Pool,
    /// What all shards may use of their blocks at once.
    memory: Memory,
    pub(in crate::engine) idle: IdleConnections,
    /// Blocks on their way to a disk.
    writes: Cell<usize>,
    written: Notify,
}

/// A block on its way to a disk.
pub(in crate::engine) struct Write {
    shard: Rc<Shard>,
}

/// What a transfer may use of a shard's blocks.
pub(in crate::engine) struct Allowance {
    pub(in crate::engine) blocks: Share,
    /// Most blocks it has at once.
    blocks_max: u32,
    /// Free blocks below this number are not given to the hash, or connections could starve.
    pub(in crate::engine) reserve: usize,
}

impl Allowance {
    /// Of blocks that are no shard's, nor are they registered with one.
    pub(in crate::engine) fn apart(blocks: &Share) -> Self {
        Self { blocks: blocks.clone(), blocks_max: 0, reserve: 0 }
    }
}

/// Blocks for this number of connections.
fn blocks_for(connections: u32, is_hashed: bool) -> u32 {
    let for_hash = if is_hashed { BLOCKS_FOR_HASH } else { 0 };
    connections + connections.min(BLOCKS_WRITING) + BLOCKS_SPARE + for_hash
}

impl Shard {
    /// Blocks for this number of connections. Memory is used only as blocks are.
    pub(super) fn new(connections: u32, memory: &Memory) -> Result<Rc<Self>> {
        let blocks = blocks_for(connections, true);
        let pool = Pool::new(blocks).map_err(|e| {
            let what = format!("cannot get {blocks} MiB of memory for blocks");
            Error::new(ErrorKind::ResourceLimit, what).caused_by(e)
        })?;
        let (idle, writes, written) = (IdleConnections::default(), Cell::new(0), Notify::new());
        Ok(Rc::new(Self { pool, memory: memory.clone(), idle, writes, written }))
    }

    /// For a transfer with at most this number of connections on the shard.
    pub(in crate::engine) fn allow(&self, connections: u32, is_hashed: bool) -> Allowance {
        let blocks_max = blocks_for(connections, is_hashed);
        Allowance {
            blocks: self.pool.share(blocks_max, &self.memory),
            blocks_max,
            reserve: connections as usize + BLOCKS_SPARE as usize / 2,
        }
    }

    /// Registers the blocks that a transfer of `file_bytes` uses most with this thread's ring,
    /// unless some are or it gains nothing from that.
    pub(in crate::engine) fn register(
        &self,
        file_bytes: u64,
        allowance: &Allowance,
    ) -> io::Result<()> {
        if file_bytes < REGISTER_BYTES_MIN || self.is_registered() {
            return Ok(());
        }
        driver::register(&self.pool, allowance.blocks_max.min(BLOCKS_REGISTERED))
    }

    /// Whether fixed writes are used.
    pub(in crate::engine) fn is_registered(&self) -> bool {
        self.pool.is_registered()
    }

    /// Whether as many blocks are on their way to disks as may be.
    pub(in crate::engine) fn is_queue_full(&self) -> bool {
        self.writes.get() >= BLOCKS_QUEUED_MAX
    }

    /// Waits until fewer are.
    pub(in crate::engine) async fn room(&self) {
        loop {
            let written = self.written.notified();
            if !self.is_queue_full() {
                return;
            }
            written.await;
        }
    }

    /// A block leaves for a disk.
    pub(in crate::engine) fn begin_write(self: &Rc<Self>) -> Write {
        self.writes.set(self.writes.get() + 1);
        Write { shard: self.clone() }
    }

    /// Waits until no block is on its way.
    pub(super) async fn flushed(&self) {
        loop {
            let written = self.written.notified();
            if self.writes.get() == 0 {
                return;
            }
            written.await;
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.shard.writes.set(self.shard.writes.get() - 1);
        self.shard.written.notify_waiters();
    }
}

/// Bytes of this number of shards that may wait for the hash.
pub(in crate::engine) fn hash_budget_bytes(shards: u32) -> u64 {
    u64::from(shards) * u64::from(BLOCKS_FOR_HASH) * BLOCK_BYTES as u64
}
