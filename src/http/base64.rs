//! Base64 as HTTP fields use it (RFC 4648 section 4): the standard alphabet, padded.
//!
//! Must not know what the bytes are.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Symbols that stand for up to three bytes.
const GROUP: usize = 4;

/// Writes `bytes` with padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_bytes(bytes.len()));
    for group in bytes.chunks(3) {
        let mut word = [0u8; 3];
        word[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for digit in 0..GROUP {
            // n bytes fill n + 1 digits; the rest of the four is padding.
            let symbol = match digit <= group.len() {
                true => ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize],
                false => b'=',
            };
            text.push(char::from(symbol));
        }
    }
    text
}

/// Reads what [`encode`] writes, and nothing else: no missing or excess padding, no stray bits
/// behind the last byte, no other alphabet, no white space. So no two texts mean the same bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(GROUP) {
        return None;
    }
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut bytes = Vec::with_capacity(digits.len());
    for group in digits.chunks(GROUP) {
        let mut bits = 0;
        for &symbol in group {
            bits = bits << 6 | value(symbol)?;
        }
        bits <<= 6 * (GROUP - group.len());
        // Three bytes behind an empty one; n digits hold n - 1 of them.
        let word = u32::to_be_bytes(bits);
        let (held, stray) = word[1..].split_at(group.len() - 1);
        if stray.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(held);
    }
    Some(bytes)
}

/// Length of the text that stands for so many bytes.
pub(super) fn encoded_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * GROUP
}

fn value(symbol: u8) -> Option<u32> {
    (0..).zip(ALPHABET).find(|(_, known)| **known == symbol).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors_of_rfc_4648_section_10() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(encode(&[0xff, 0xfe, 0xfb]), "//77");
    }

    #[test]
    fn what_is_not_written_so_is_not_read() {
        for text in [
            "Z", "Zg", "Zg=", "Zg===", "Zm9v=", "Zm9v====", "=", "==", "===", "====", "Zh==",
            "Zm9=", "Zm8 ", " Zm8=", "Zm-_", "Zg==Zg==", "Z=g=", "Zm\u{e4}", "Zm8=\n", "Zm9vYg=",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(256)
        })]

        #[test]
        fn what_is_written_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), encoded_bytes(bytes.len()));
            prop_assert_eq!(decode(&text), Some(bytes));
        }

        #[test]
        fn what_is_read_is_written_so(text in "[A-Da-d+/0-3]{0,12}={0,3}|\\PC{0,16}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
