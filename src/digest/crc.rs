//! CRC-32C of blocks, and of what several neighbouring blocks make together. Owns the choice of
//! the polynomial (Castagnoli, RFC 3385 section 4: iSCSI's); must not know where blocks lie.

use crate::base::Span;
use crc_fast::{CrcAlgorithm, checksum};

/// The polynomial with its bits reflected, as all below: the highest bit stands for x^0.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0.
const ONE: u32 = 1 << 31;
/// x^(8 * 2^i): a CRC times entry `i` is that of its bytes with 2^i zeros behind them.
const SHIFTS: [u32; u64::BITS as usize] = shifts();

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
/// second in bytes. Takes a multiplication for each bit that is set in the length, and one more: 20
/// ns for a block. With squared matrices it were 12 us, half the time of the block's CRC itself.
pub fn crc32c_joined(first: u32, second: u32, second_bytes: u64) -> u32 {
    let mut shift = ONE;
    let mut left = second_bytes;
    while left != 0 {
        shift = product(shift, SHIFTS[left.trailing_zeros() as usize]);
        left &= left - 1;
    }
    product(shift, first) ^ second
}

const fn shifts() -> [u32; u64::BITS as usize] {
    let mut shifts = [ONE >> 8; u64::BITS as usize];
    let mut index = 1;
    while index < shifts.len() {
        shifts[index] = product(shifts[index - 1], shifts[index - 1]);
        index += 1;
    }
    shifts
}

/// The product of two polynomials, modulo [`POLYNOMIAL`].
const fn product(first: u32, mut second: u32) -> u32 {
    let mut sum = 0;
    let mut power = ONE;
    while power != 0 {
        if first & power != 0 {
            sum ^= second;
        }
        second = if second & 1 == 0 { second >> 1 } else { second >> 1 ^ POLYNOMIAL };
        power >>= 1;
    }
    sum
}

fn narrow(crc: u64) -> u32 {
    u32::try_from(crc).expect("a 32-bit CRC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crc_fast::checksum_combine;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn joining_agrees_with_the_library(first: u32, second: u32, second_bytes: u64) {
            let algorithm = CrcAlgorithm::Crc32Iscsi;
            let joined = checksum_combine(algorithm, first.into(), second.into(), second_bytes);
            prop_assert_eq!(u64::from(crc32c_joined(first, second, second_bytes)), joined);
        }
    }
}
