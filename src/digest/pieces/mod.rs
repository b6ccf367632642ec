//! Digests of a file's pieces: what they should be, and the verdict on each piece while its bytes
//! arrive in any order.
//!
//! Must not know who lists the digests, where bytes come from, or what is done about a bad piece.
//!
//! Intended use, with one [`PieceCheck`] behind a lock for each transfer:
//!
//! 1. A shard's thread has a full block that is about to go to the output, where its CRC is made,
//!    too: it takes the work on it under the lock ([`PieceCheck::take`]), hashes without the lock
//!    ([`PieceWork::hash`]) while the block is in the processor's cache, and puts the work back
//!    under the lock ([`PieceCheck::put_back`]). Threads hash different pieces at the same time.
//! 2. Once a block is in the file, [`PieceCheck::on_written`]. Bytes that could not be hashed when
//!    they came, because those in front of them in their piece were missing, are read back from
//!    there: [`PieceCheck::unhashed`] names them as soon as a piece is whole, and what was read is
//!    handed in as any other bytes. What an earlier run left in the file is reported and read back
//!    in the same way.
//! 3. [`PieceCheck::next_verdict`] after each of both. A good piece counts; a bad one is fetched
//!    again, from another source, after [`PieceCheck::forget`].
//!
//! A span that begins and ends where pieces do never needs reading back; another one costs a part
//! of a piece at its start.

mod check;
mod hashes;

pub use check::{PieceCheck, PieceWork, Verdict};
pub use hashes::PieceHashes;
