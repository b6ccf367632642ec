//! Digests the server says of its files by itself: which fields, how they are written, and what
//! they are computed with.
//!
//! Owns a CRC-32C of its own, no kin of the client's. Digests of the one made-up file and those of
//! routes are computed when the server starts, never for a request; those of stored files, and of
//! made-up ones of which there are many, when one is first asked for. Lists and descriptions of
//! files have none. Must not know requests or sockets.

use super::bytes::FileBytes;
use super::folder::FileVersion;
use super::memo::Memo;
use crate::base::Span;
use crate::base::limits::SERVER_DIGESTS_MAX;
use crate::server::codec::base64::base64;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;

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
    /// Only where a field has it.
    crc32c: Option<u32>,
}

/// Seed and size of a made-up file, and whether its CRC-32C is wanted.
type Made = (u64, u64, bool);

/// What all servers of this process know of made-up files, which never change.
static MADE: Memo<Made, Whole> = Memo::new(SERVER_DIGESTS_MAX);

/// The fields the server sends, and the digests of its files.
#[derive(Debug)]
pub(in crate::server) struct Digests {
    fields: Vec<DigestField>,
    /// By seed and size.
    wholes: BTreeMap<(u64, u64), Whole>,
    stored: Memo<FileVersion, Whole>,
}

impl Digests {
    /// Reads each of `files` (seed and size) once, if `fields` need that.
    pub(in crate::server) fn new(
        fields: Vec<DigestField>,
        files: impl IntoIterator<Item = (u64, u64)>,
    ) -> Self {
        let stored = Memo::new(SERVER_DIGESTS_MAX);
        let mut digests = Self { fields, wholes: BTreeMap::new(), stored };
        if digests.need_wholes() {
            for (seed, size_bytes) in files {
                let whole = digests.of_made(seed, size_bytes);
                let whole = whole.expect("nothing is read of a made-up file");
                digests.wholes.insert((seed, size_bytes), whole);
            }
        }
        digests
    }

    /// The fields of an answer that carries `span` of a file of `size_bytes`. A wrong digest
    /// differs in one bit.
    ///
    /// # Errors
    /// What reading a stored file gives.
    pub(in crate::server) fn of(
        &self,
        bytes: &FileBytes,
        size_bytes: u64,
        span: Span,
        is_wrong: bool,
    ) -> io::Result<Vec<(&'static str, String)>> {
        if self.fields.is_empty() || matches!(bytes, FileBytes::List(_) | FileBytes::Text(_)) {
            return Ok(Vec::new());
        }
        let whole = self.whole(bytes, size_bytes)?;
        let of_part = match whole.filter(|_| span == Span::new(0, size_bytes)) {
            Some(whole) => whole.sha256,
            None if self.fields.contains(&DigestField::ContentDigestSha256) => sha256(bytes, span)?,
            None => [0; 32],
        };
        let of_whole = || whole.expect("computed where a field has it");
        let crc32c = || of_whole().crc32c.expect("computed where a field has it");
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
                vec![("Content-Digest", format!("sha-256=:{}:", text(&of_part)))]
            }
            DigestField::DigestSha256 => {
                vec![("Digest", format!("SHA-256={}", text(&of_whole().sha256)))]
            }
            DigestField::XGoogCrc32c => {
                let crc = text(&crc32c().to_be_bytes());
                vec![("x-goog-hash", format!("crc32c={crc}"))]
            }
            DigestField::XAmzSha256FullObject => vec![
                ("x-amz-checksum-sha256", text(&of_whole().sha256)),
                ("x-amz-checksum-type", "FULL_OBJECT".to_owned()),
            ],
        };
        Ok(self.fields.iter().flat_map(field).collect())
    }

    fn need_wholes(&self) -> bool {
        self.fields.iter().any(|field| *field != DigestField::ContentDigestSha256)
    }

    /// The digests of the whole file, if a field has one.
    fn whole(&self, bytes: &FileBytes, size_bytes: u64) -> io::Result<Option<Whole>> {
        if !self.need_wholes() {
            return Ok(None);
        }
        let whole = match bytes {
            FileBytes::Made { seed } => match self.wholes.get(&(*seed, size_bytes)) {
                Some(whole) => *whole,
                None => self.of_made(*seed, size_bytes)?,
            },
            FileBytes::Stored(stored) => {
                let compute = || compute(bytes, size_bytes, self.wants_crc());
                self.stored.get_or(stored.version, compute)?
            }
            FileBytes::List(_) | FileBytes::Text(_) => return Ok(None),
        };
        Ok(Some(whole))
    }

    fn of_made(&self, seed: u64, size_bytes: u64) -> io::Result<Whole> {
        of_made((seed, size_bytes, self.wants_crc()))
    }

    fn wants_crc(&self) -> bool {
        self.fields.contains(&DigestField::XGoogCrc32c)
    }
}

/// The SHA-256 of a made-up file.
///
/// # Errors
/// None; nothing is read of it.
pub(super) fn sha256_of_made(seed: u64, size_bytes: u64) -> io::Result<[u8; 32]> {
    of_made((seed, size_bytes, false)).map(|whole| whole.sha256)
}

fn of_made(file: Made) -> io::Result<Whole> {
    let (seed, size_bytes, wants_crc) = file;
    MADE.get_or(file, || compute(&FileBytes::Made { seed }, size_bytes, wants_crc))
}

fn compute(bytes: &FileBytes, size_bytes: u64, wants_crc: bool) -> io::Result<Whole> {
    let (mut sha256, mut crc) = (Sha256::new(), !0);
    bytes.walk(Span::new(0, size_bytes), |piece| {
        sha256.update(piece);
        if wants_crc {
            crc = crc32c_more(crc, piece);
        }
    })?;
    Ok(Whole { sha256: sha256.finalize().into(), crc32c: wants_crc.then_some(!crc) })
}

fn sha256(bytes: &FileBytes, span: Span) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    bytes.walk(span, |piece| hash.update(piece))?;
    Ok(hash.finalize().into())
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
        assert_eq!(
            of_parts
                .of(&FileBytes::Made { seed: 1 }, 1 << 50, Span::new(0, 9), false)
                .unwrap()
                .len(),
            1
        );
    }
}
