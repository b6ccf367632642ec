//! CRC-32C of blocks, and of what several neighbouring blocks make together. Owns the choice of
//! the polynomial (Castagnoli, RFC 3385 section 4: iSCSI's); must not know where blocks lie.

use crate::base::Span;
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};

/// Bytes of the file that were written, and what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Where they are.
    pub span: Span,
    /// Their CRC-32C.
    pub crc32c: u32,
}

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    narrow(checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// The CRC-32C of two neighbours: that of the first, that of the second, and the length of the
/// second in bytes. Takes O(log n).
pub fn crc32c_joined(first: u32, second: u32, second_bytes: u64) -> u32 {
    let joined =
        checksum_combine(CrcAlgorithm::Crc32Iscsi, first.into(), second.into(), second_bytes);
    narrow(joined)
}

fn narrow(crc: u64) -> u32 {
    u32::try_from(crc).expect("a 32-bit CRC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_rfc_3720_appendix_b_4() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xff; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn neighbours_join_to_the_whole() {
        let bytes: Vec<u8> = (0..=250).cycle().take(100_003).collect();
        for cut in [0, 1, 4096, 99_999, bytes.len()] {
            let (first, second) = bytes.split_at(cut);
            let joined = crc32c_joined(crc32c(first), crc32c(second), second.len() as u64);
            assert_eq!(joined, crc32c(&bytes), "{cut}");
        }
    }
}
