//! Which digests the pieces of a file should have, by what a list of piece hashes or a Metalink
//! says. Must not know how the list was read.

use crate::base::Result;
use crate::engine::description;
use crate::engine::options::PieceHashes;
use crate::manifest;

/// The piece hashes that `text`, a list of them or a Metalink, has for the file called `name`.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::base::ErrorKind::Usage) if it is neither, or has none of this file.
/// The context leaves the list's name to the caller.
///
/// ```
/// use ringhaul::internal::batch::piece_lookup::piece_hashes;
///
/// let pieces = piece_hashes(b"crc32c 64K\n00000000\nE3069283\n", "model.bin")?;
/// assert_eq!((pieces.count(), pieces.length_bytes()), (2, 65_536));
/// # Ok::<(), ringhaul::Error>(())
/// ```
pub fn piece_hashes(text: &[u8], name: &str) -> Result<PieceHashes> {
    description::piece_hashes(&manifest::piece_hashes(text, name)?)
}
