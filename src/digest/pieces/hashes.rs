//! What the digests of all pieces of a file should be, and where the pieces lie.

use crate::base::limits::{PIECE_BYTES_MAX, PIECE_BYTES_MIN, PIECES_MAX};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::{Algorithm, Digest};
use std::fmt;

/// The digests of all pieces of a file. All pieces have the same length, but for the last one,
/// which may be shorter.
///
/// # Example
///
/// ```
/// use ringhaul::{Algorithm, Download, Options, PieceHashes};
/// use std::sync::Arc;
///
/// // Of a file of 300 KB in pieces of 256 KiB, as a Metalink or a torrent lists them.
/// let hashes = [vec![0x5a; 20], vec![0xa5; 20]];
/// let pieces = PieceHashes::new(Algorithm::Sha1, 256 * 1024, 300_000, &hashes)?;
/// let options = Options { pieces: Some(Arc::new(pieces)), ..Options::default() };
/// let download = Download::new("https://example.org/file")?.output("file").options(options);
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PieceHashes {
    algorithm: Algorithm,
    length_bytes: u64,
    /// Of the file; the most that it may have while its size is not known.
    total_bytes: u64,
    has_size: bool,
    /// The digests one behind the other.
    digests: Vec<u8>,
}

impl PieceHashes {
    /// The digests of the pieces, in their order, of a file of `total_bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the length of a piece is out of bounds, if the pieces do not make a
    /// file of this size, or if one of them has not as many bytes as the algorithm makes.
    pub fn new(
        algorithm: Algorithm,
        length_bytes: u64,
        total_bytes: u64,
        hashes: &[Vec<u8>],
    ) -> Result<Self> {
        Self::of_any_size(algorithm, length_bytes, hashes)?.of_size(total_bytes)
    }

    /// The digests of the pieces, in their order, of a file whose size is not known; a server will
    /// say it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the length of a piece is out of bounds, or if one of them has not as
    /// many bytes as the algorithm makes.
    pub fn of_any_size(
        algorithm: Algorithm,
        length_bytes: u64,
        hashes: &[Vec<u8>],
    ) -> Result<Self> {
        if !(PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(&length_bytes) {
            return Err(unusable(format!(
                "pieces of {length_bytes} bytes, not within {PIECE_BYTES_MIN} and {PIECE_BYTES_MAX}"
            )));
        }
        let count = hashes.len();
        if count > PIECES_MAX {
            return Err(unusable(format!("{count} piece hashes, more than {PIECES_MAX}")));
        }
        let digest_bytes = algorithm.digest_bytes();
        let odd = (1..).zip(hashes).find(|(_, hash)| hash.len() != digest_bytes);
        if let Some((number, hash)) = odd {
            let bytes = hash.len();
            return Err(unusable(format!(
                "the {algorithm} of piece {number} has {bytes} bytes instead of {digest_bytes}"
            )));
        }
        let total_bytes = (count as u64).saturating_mul(length_bytes);
        let digests = hashes.concat();
        Ok(Self { algorithm, length_bytes, total_bytes, has_size: false, digests })
    }

    /// The same of a file of `total_bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if the pieces do not make a file of this size, or are of one with
    /// another size.
    pub fn of_size(mut self, total_bytes: u64) -> Result<Self> {
        let (count, length_bytes) = (self.count(), self.length_bytes);
        let wanted = total_bytes.div_ceil(length_bytes);
        if count != wanted {
            return Err(unusable(format!(
                "{count} piece hashes for the {wanted} pieces of {length_bytes} bytes of a file of \
                 {total_bytes}"
            )));
        }
        if let Some(known_bytes) = self.size_bytes().filter(|bytes| *bytes != total_bytes) {
            let what =
                format!("piece hashes of a file of {known_bytes} bytes, not of {total_bytes}");
            return Err(unusable(what));
        }
        (self.total_bytes, self.has_size) = (total_bytes, true);
        Ok(self)
    }

    /// How pieces are hashed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Bytes of each piece but the last one.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// Bytes of the file, if that is known.
    pub fn size_bytes(&self) -> Option<u64> {
        self.has_size.then_some(self.total_bytes)
    }

    /// Bytes of the file; the most that it may have while its size is not known.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Number of pieces.
    pub fn count(&self) -> u64 {
        self.total_bytes.div_ceil(self.length_bytes)
    }

    /// Where the piece lies in the file; its number, from 0, is below the count.
    pub fn span(&self, piece: u64) -> Span {
        assert!(piece < self.count(), "the file has this piece");
        let start = piece * self.length_bytes;
        Span::new(start, self.total_bytes.min(start.saturating_add(self.length_bytes)))
    }

    /// The numbers of the pieces that have bytes of `span`, which may go beyond the file.
    pub fn touched(&self, span: Span) -> std::ops::Range<u64> {
        let within = Span::new(0, self.total_bytes).intersect(span);
        if within.is_empty() {
            return 0..0;
        }
        within.start() / self.length_bytes..within.end().div_ceil(self.length_bytes)
    }

    /// Tells these hashes from those of another file: for a journal, where they stand in the place
    /// of a digest of the whole file.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(&self.digests);
        format!("pieces:{}:{}:{}", self.algorithm, self.length_bytes, hasher.finish())
    }

    /// Indicates whether the digest of a piece is the expected one.
    pub(super) fn is_good(&self, piece: u64, digest: &Digest) -> bool {
        assert_eq!(digest.algorithm, self.algorithm, "hashed as the pieces ask");
        let bytes = self.algorithm.digest_bytes();
        let start = usize::try_from(piece).expect("the digests are in memory") * bytes;
        self.digests[start..start + bytes] == digest.bytes
    }
}

impl fmt::Debug for PieceHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PieceHashes")
            .field("algorithm", &self.algorithm)
            .field("length_bytes", &self.length_bytes)
            .field("total_bytes", &self.total_bytes)
            .finish_non_exhaustive()
    }
}

fn unusable(what: String) -> Error {
    Error::new(ErrorKind::Usage, what).advise("give the piece hashes of this very file, or none")
}
