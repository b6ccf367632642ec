//! Hexadecimal text of digests.

use std::fmt::Write;

/// Two lower-case digits for each of `bytes`.
pub(in crate::server) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(super::hex(&[0, 9, 0xa0, 0xff]), "0009a0ff");
    }
}
