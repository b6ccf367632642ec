//! The digests of a file's pieces, as Metalinks and lists of piece hashes give them.
//!
//! Owns the bounds of lengths and counts. Must not know how a digest is computed, or how large the
//! file is.

use super::line::Algorithm;
use crate::base::hex;
use crate::base::limits::{PIECE_BYTES_MAX, PIECE_BYTES_MIN, PIECES_MAX};
use crate::base::size::format_bytes;

/// The digests of all pieces of a file. All pieces have the same length, but for the last one,
/// which may be shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// `sha512`, `blake3`, `sha256`, `sha1`, `md5`, `crc64nvme`, `crc32c` or `crc32`.
    pub algorithm: &'static str,
    /// Bytes of a piece: from [`PIECE_BYTES_MIN`] to [`PIECE_BYTES_MAX`].
    pub length_bytes: u64,
    /// One digest for each piece, in the order of the file; as many bytes as the algorithm makes.
    pub hashes: Vec<Vec<u8>>,
}

impl Pieces {
    /// Pieces yet without digests; the error says what is wrong with their length.
    pub(super) fn new(algorithm: &'static Algorithm, length_bytes: u64) -> Result<Self, String> {
        if !(PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(&length_bytes) {
            let (least, most) = (format_bytes(PIECE_BYTES_MIN), format_bytes(PIECE_BYTES_MAX));
            let what = format!("a piece of {length_bytes} bytes is not within {least} and {most}");
            return Err(what);
        }
        Ok(Self { algorithm: algorithm.name, length_bytes, hashes: Vec::new() })
    }

    /// Adds the digest of the next piece; the error says why it is none.
    pub(super) fn add(&mut self, digits: &str) -> Result<(), String> {
        let (number, kind) = (self.hashes.len() + 1, self.algorithm);
        if number > PIECES_MAX {
            return Err(format!("more than {PIECES_MAX} pieces"));
        }
        let algorithm = Algorithm::named(kind).expect("it was made from an algorithm");
        let bytes = hex::decode(digits).filter(|_| algorithm.fits(digits));
        let wanted = algorithm.digits;
        let wrong = || format!("the {kind} of piece {number} is not {wanted} hexadecimal digits");
        self.hashes.push(bytes.ok_or_else(wrong)?);
        Ok(())
    }

    /// Checks that a file of `size_bytes` has this number of pieces; the error says which number
    /// it has.
    pub(super) fn fit(&self, size_bytes: u64) -> Result<(), String> {
        let (count, wanted) = (self.hashes.len(), size_bytes.div_ceil(self.length_bytes));
        if count as u64 == wanted {
            return Ok(());
        }
        let length = self.length_bytes;
        Err(format!(
            "{count} pieces of {length} bytes do not make the file of {size_bytes} bytes, which \
             has {wanted}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(length_bytes: u64) -> Result<Pieces, String> {
        Pieces::new(Algorithm::named("crc32").unwrap(), length_bytes)
    }

    #[test]
    fn lengths_and_digests_are_bounded() {
        for length_bytes in [0, PIECE_BYTES_MIN - 1, PIECE_BYTES_MAX + 1, u64::MAX] {
            assert!(pieces(length_bytes).unwrap_err().contains("1.00 KiB"), "{length_bytes}");
        }
        let mut pieces = pieces(PIECE_BYTES_MIN).unwrap();
        assert_eq!(pieces.add("E3069283"), Ok(()));
        for digits in ["", "e306928", "e3069283e3069283", "e306928g", "+3069283"] {
            let error = pieces.add(digits).unwrap_err();
            assert_eq!(error, "the crc32 of piece 2 is not 8 hexadecimal digits", "{digits}");
        }
        assert_eq!(pieces.hashes, [[0xe3, 0x06, 0x92, 0x83]]);
    }

    #[test]
    fn the_count_follows_from_the_size() {
        let mut pieces = pieces(1024).unwrap();
        assert_eq!(pieces.fit(0), Ok(()));
        assert!(pieces.fit(1).is_err());
        pieces.add("00000000").unwrap();
        pieces.add("00000000").unwrap();
        for (size, fits) in [(1024, false), (1025, true), (2048, true), (2049, false)] {
            assert_eq!(pieces.fit(size).is_ok(), fits, "{size}");
        }
        assert!(pieces.fit(u64::MAX).unwrap_err().contains("2 pieces of 1024 bytes do not"));
    }
}
