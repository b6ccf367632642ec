//! What an output that takes bytes in order means for a transfer: memory of its own, and how far
//! ahead of the oldest missing byte it may fetch in that, at most and at the moment. Must not know
//! what takes the bytes.

use super::options::Options;
use crate::base::limits::BLOCK_BYTES;
use crate::base::{Error, ErrorKind, Result};
use crate::io::buffers::{Memory, Pool, Share};
use crate::plan::{Ahead, Outlet, Room};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Blocks that neither are filled nor wait: one is being written, one is held back.
const BLOCKS_PASSING: u32 = 2;
/// At most one block in this number is being filled, or little would be left to run ahead in.
const BLOCKS_PER_CONNECTION: u32 = 4;
/// Blocks that wait for their turn take up to 16/15 of the memory of their bytes.
const KEPT_SHARE: (u64, u64) = (15, 16);

/// The memory of one ordered transfer, whatever shards it uses.
#[derive(Clone)]
pub(super) struct Ordered {
    blocks: Share,
    ahead_bytes: u64,
    /// How much of that is used.
    ahead: Arc<Mutex<Ahead>>,
}

impl Ordered {
    /// As much memory as the options allow. Pages are touched only as blocks are used.
    ///
    /// # Errors
    /// ResourceLimit, if there is no address space for it.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let blocks = blocks(options);
        let pool = Pool::new(blocks).map_err(|e| {
            let what = format!("cannot get {blocks} MiB of memory for blocks");
            Error::new(ErrorKind::ResourceLimit, what).caused_by(e).advise("lower it by --memory")
        })?;
        let blocks = pool.share(blocks, &Memory::new(None));
        let ahead_bytes = ahead_bytes(options);
        Ok(Self { blocks, ahead_bytes, ahead: Arc::new(Mutex::new(Ahead::new(ahead_bytes))) })
    }

    /// Blocks to fill.
    pub(super) fn blocks(&self) -> &Share {
        &self.blocks
    }

    /// How far ahead of the oldest missing byte spans may be fetched. A block is left for each
    /// connection then, the one that fetches this byte among them.
    pub(super) fn ahead_bytes(&self) -> u64 {
        self.ahead_bytes
    }

    /// Whether a block that begins at `offset` may be received at the time `now`, at which the
    /// output has got as far as `outlet` says.
    pub(super) fn room(&self, now: Duration, offset: u64, outlet: Outlet) -> Room {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).ask(now, offset, outlet)
    }
}

/// Most connections in the memory that the options allow.
pub(super) fn connections_max(options: &Options) -> u32 {
    (blocks(options) / BLOCKS_PER_CONNECTION).max(1)
}

fn blocks(options: &Options) -> u32 {
    let blocks = options.memory_bytes / BLOCK_BYTES as u64;
    u32::try_from(blocks).expect("the memory is in its bounds")
}

fn ahead_bytes(options: &Options) -> u64 {
    let connections = options.connections.unwrap_or(options.max_connections);
    let connections = connections.min(connections_max(options));
    let waiting = u64::from(blocks(options) - connections - BLOCKS_PASSING);
    waiting * BLOCK_BYTES as u64 / KEPT_SHARE.1 * KEPT_SHARE.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;
    use crate::base::size::MIB;

    #[test]
    fn connections_blocks_that_pass_and_those_that_wait_fit_the_memory() {
        let (min, default) =
            (limits::ORDERED_MEMORY_BYTES_MIN, limits::ORDERED_MEMORY_BYTES_DEFAULT);
        for memory_bytes in [min, min + MIB - 1, 64 * MIB, default, limits::CLIENT_MEMORY_BYTES_MAX]
        {
            for connections in [None, Some(1), Some(8), Some(256)] {
                let options = Options { memory_bytes, connections, ..Options::default() };
                let asked = connections.unwrap_or(options.max_connections);
                let connections = u64::from(asked.min(connections_max(&options)));
                let waiting = ahead_bytes(&options) / KEPT_SHARE.0 * KEPT_SHARE.1;
                let used = waiting + (connections + u64::from(BLOCKS_PASSING)) * MIB;
                assert!(used <= memory_bytes, "{used} of {memory_bytes}, {connections}");
                assert!(waiting >= memory_bytes / 4, "{waiting} of {memory_bytes}");
            }
        }
    }
}
