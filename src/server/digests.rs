//! Digests the server says of its files by itself: which fields, how they are written, and what
//! they are computed with.
//!
//! Owns a CRC-32C of its own, no kin of the client's. Digests of whole files are computed when the
//! server starts, never for a request. Must not know requests or sockets.

use super::base64::base64;
use super::content;
use crate::base::Span;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A header field with a digest, on every answer that has bytes of a file. It is that of the true
/// bytes, also where a fault makes others of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestField {
    /// `Repr-Digest` with `sha-256`: of the whole file, on partial answers too (RFC 9530 3).
    ReprDigestSha256,
    /// `Content-Digest` with `sha-256`: of this answer's body, so of a part on 206 (RFC 9530 2).
    ContentDigestSha256,
    /// `Digest` with `SHA-256`: of the whole file (RFC 3230 4.3.2, RFC 5843).
    DigestSha256,
    /// `x-goog-hash` with `crc32c`: of the whole file, big-endian.
    XGoogCrc32c,
    /// `x-amz-checksum-sha256` of the whole file, with its type `FULL_OBJECT`.
    XAmzSha256FullObject,
}

/// The digests of one whole file.
#[derive(Debug, Clone, Copy)]
struct Whole {
    sha256: [u8; 32],
    crc32c: u32,
}

/// The fields the server sends, and the digests of its files.
#[derive(Debug)]
pub(super) struct Digests {
    fields: Vec<DigestField>,
    /// By seed and size.
    wholes: BTreeMap<(u64, u64), Whole>,
}

impl Digests {
    /// Reads each of `files` (seed and size) once, if `fields` need that.
    pub(super) fn new(
        fields: Vec<DigestField>,
        files: impl IntoIterator<Item = (u64, u64)>,
    ) -> Self {
        let mut wholes = BTreeMap::new();
        if fields.iter().any(|field| *field != DigestField::ContentDigestSha256) {
            for (seed, size_bytes) in files {
                wholes.entry((seed, size_bytes)).or_insert_with(|| Whole::of(seed, size_bytes));
            }
        }
        Self { fields, wholes }
    }

    /// The fields of an answer that carries `span` of a file. A wrong digest differs in one bit.
    pub(super) fn of(
        &self,
        (seed, size_bytes): (u64, u64),
        span: Span,
        is_wrong: bool,
    ) -> Vec<(&'static str, String)> {
        let whole = self.wholes.get(&(seed, size_bytes));
        let of_whole = || whole.expect("read when the server started");
        let of_part = || match whole.filter(|_| span == Span::new(0, size_bytes)) {
            Some(whole) => whole.sha256,
            None => sha256(seed, span),
        };
        let text = |digest: &[u8]| {
            let mut digest = digest.to_vec();
            digest[0] ^= u8::from(is_wrong);
            base64(&digest)
        };
        let field = |field: &DigestField| match field {
            DigestField::ReprDigestSha256 => {
                vec![("Repr-Digest", format!("sha-256=:{}:", text(&of_whole().sha256)))]
            }
            DigestField::ContentDigestSha256 => {
                vec![("Content-Digest", format!("sha-256=:{}:", text(&of_part())))]
            }
            DigestField::DigestSha256 => {
                vec![("Digest", format!("SHA-256={}", text(&of_whole().sha256)))]
            }
            DigestField::XGoogCrc32c => {
                let crc = of_whole().crc32c.to_be_bytes();
                vec![("x-goog-hash", format!("crc32c={}", text(&crc)))]
            }
            DigestField::XAmzSha256FullObject => vec![
                ("x-amz-checksum-sha256", text(&of_whole().sha256)),
                ("x-amz-checksum-type", "FULL_OBJECT".to_owned()),
            ],
        };
        self.fields.iter().flat_map(field).collect()
    }
}

impl Whole {
    fn of(seed: u64, size_bytes: u64) -> Self {
        let (mut sha256, mut crc) = (Sha256::new(), !0);
        content::walk(seed, Span::new(0, size_bytes), |piece| {
            sha256.update(piece);
            crc = crc32c_more(crc, piece);
        });
        Self { sha256: sha256.finalize().into(), crc32c: !crc }
    }
}

fn sha256(seed: u64, span: Span) -> [u8; 32] {
    let mut hash = Sha256::new();
    content::walk(seed, span, |piece| hash.update(piece));
    hash.finalize().into()
}

/// The remainders of all bytes, for the reflected Castagnoli polynomial.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        // `as`: there is no other conversion in a constant, and it is below 256.
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Takes `bytes` into a running CRC-32C, which begins as all ones and is inverted at the end.
fn crc32c_more(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc = CRC_TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_of_rfc_3720_appendix_b_4() {
        let crc32c = |bytes: &[u8]| !crc32c_more(!0, bytes);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(!crc32c_more(crc32c_more(!0, b"1234"), b"56789"), 0xe306_9283);
    }

    #[test]
    fn nothing_is_read_that_no_field_needs() {
        let endless = || [(1, 1 << 50)];
        assert!(Digests::new(Vec::new(), endless()).wholes.is_empty());
        let of_parts = Digests::new(vec![DigestField::ContentDigestSha256], endless());
        assert_eq!(of_parts.of((1, 1 << 50), Span::new(0, 9), false).len(), 1);
    }
}
