//! What outlives a transfer: threads with their drivers and blocks.

pub(super) mod driver;
pub(super) mod shard;
