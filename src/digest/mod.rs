//! Digests of whole files and of their pieces: the algorithms, what is expected, and the
//! comparison.
//!
//! Must not know files, threads, or where the bytes come from; the order in which they are hashed
//! is the business of [`frontier`] for whole files, and of [`PieceCheck`] for pieces.

mod algorithm;
mod checksum;
pub mod crc;
pub mod frontier;
mod hasher;
mod left_over;
mod pieces;

pub use algorithm::Algorithm;
pub use checksum::Checksum;
pub use frontier::{Frontier, Offer, Step};
pub use hasher::{Digest, Hasher};
pub use left_over::LeftOver;
pub use pieces::{PieceCheck, PieceHashes, PieceWork, Verdict};
