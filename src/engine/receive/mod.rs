//! The inner loop of every download: bodies into blocks, blocks to the output.

pub(super) mod claim;
pub(super) mod hashing;
pub(super) mod intake;
pub(super) mod pieces;
pub(super) mod quarantine;
pub(super) mod sink;
