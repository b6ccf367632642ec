//! Digests of whole files: the algorithms, what is expected, and the comparison.
//!
//! Owns the table of algorithms. Must not know files, threads, or where the bytes come from; the
//! order in which they are hashed is the business of [`frontier`].

pub mod crc;
pub mod frontier;

pub use frontier::{Frontier, Offer, Step};

use crate::base::{Error, ErrorKind, Result};
use sha2::Digest as _;
use std::fmt;
use std::str::FromStr;

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4), written `sha256`.
    Sha256,
}

/// One line for each algorithm. A new one needs its variant, its line here, and a variant of
/// [`Hasher`]; parsing, printing and messages follow.
const ALGORITHMS: &[Row] = &[Row {
    algorithm: Algorithm::Sha256,
    name: "sha256",
    digest_bytes: 32,
    start: || Hasher::Sha256(sha2::Sha256::new()),
}];

struct Row {
    algorithm: Algorithm,
    name: &'static str,
    digest_bytes: usize,
    start: fn() -> Hasher,
}

impl Algorithm {
    /// As the user writes it: `sha256`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Length of the digest.
    pub fn digest_bytes(self) -> usize {
        self.row().digest_bytes
    }

    /// A hasher that has seen nothing yet.
    pub fn hasher(self) -> Hasher {
        (self.row().start)()
    }

    fn row(self) -> &'static Row {
        let row = ALGORITHMS.iter().find(|row| row.algorithm == self);
        row.expect("every algorithm has its line in the table")
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    /// Case does not matter; an unknown name is [`ErrorKind::Usage`] and lists the known ones.
    fn from_str(name: &str) -> Result<Self> {
        let row = ALGORITHMS.iter().find(|row| row.name.eq_ignore_ascii_case(name));
        row.map(|row| row.algorithm).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("'{name}' is no known digest algorithm"))
                .advise(how_to_write())
        })
    }
}

/// What the digest of the file should be: `sha256:HEX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How to hash.
    pub algorithm: Algorithm,
    /// What must come out: as many bytes as the algorithm makes.
    pub expected: Vec<u8>,
}

impl Checksum {
    /// Compares; a difference is [`ErrorKind::ChecksumMismatch`] with both values.
    pub fn verify(&self, actual: &Digest) -> Result<()> {
        assert_eq!(self.algorithm, actual.algorithm, "hashed as the checksum asks");
        if self.expected == actual.bytes {
            return Ok(());
        }
        let (name, expected) = (self.algorithm, hex(&self.expected));
        Err(Error::new(
            ErrorKind::ChecksumMismatch,
            format!("the {name} of what arrived is {actual}, not {expected}"),
        ))
    }
}

impl FromStr for Checksum {
    type Err = Error;

    /// Reads `ALGORITHM:HEX`. Anything else is [`ErrorKind::Usage`].
    fn from_str(text: &str) -> Result<Self> {
        let (name, digits) = text.trim().split_once(':').ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("the checksum '{text}' names no algorithm"))
                .advise(how_to_write())
        })?;
        let algorithm: Algorithm = name.parse()?;
        let expected = unhex(digits).filter(|bytes| bytes.len() == algorithm.digest_bytes());
        let expected = expected.ok_or_else(|| {
            let digits_wanted = 2 * algorithm.digest_bytes();
            let context = format!("'{digits}' is not {digits_wanted} hexadecimal digits");
            Error::new(ErrorKind::Usage, context).advise(how_to_write())
        })?;
        Ok(Self { algorithm, expected })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, hex(&self.expected))
    }
}

/// The state of one hash over bytes given in order.
#[derive(Clone)]
pub enum Hasher {
    /// See [`Algorithm::Sha256`].
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes given.
    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(state) => {
                Digest { algorithm: Algorithm::Sha256, bytes: state.finalize().to_vec() }
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hasher::Sha256(_) => f.write_str("Hasher::Sha256(..)"),
        }
    }
}

/// A finished digest. Displays as lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// How it was made.
    pub algorithm: Algorithm,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.bytes))
    }
}

fn how_to_write() -> String {
    let forms: Vec<_> = ALGORITHMS.iter().map(|row| format!("{}:HEX", row.name)).collect();
    format!("write it as {}", forms.join(" or "))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 example: SHA-256 of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_answer_in_pieces() {
        let mut hasher = Algorithm::Sha256.hasher();
        hasher.update(b"a");
        hasher.update(b"");
        hasher.update(b"bc");
        assert_eq!(hasher.finish().to_string(), ABC);
    }

    #[test]
    fn every_algorithm_agrees_with_its_line() {
        for row in ALGORITHMS {
            let digest = row.algorithm.hasher().finish();
            assert_eq!(digest.algorithm, row.algorithm);
            assert_eq!(digest.bytes.len(), row.digest_bytes);
            assert_eq!(row.name.parse::<Algorithm>().unwrap(), row.algorithm);
        }
    }

    #[test]
    fn checksums_parse_in_any_case_and_print_in_one() {
        let upper = format!("SHA256:{}", ABC.to_uppercase());
        let checksum: Checksum = upper.parse().unwrap();
        assert_eq!(checksum.to_string(), format!("sha256:{ABC}"));
        assert_eq!(checksum, format!(" sha256:{ABC}\n").parse().unwrap());
    }

    #[test]
    fn what_is_no_checksum_is_refused_with_the_supported_forms() {
        let odd = format!("sha256:{}", &ABC[1..]);
        let long = format!("sha256:{ABC}00");
        let not_hex = format!("sha256:{}g", &ABC[1..]);
        let wide = format!("sha256:{}é", &ABC[2..]);
        for text in ["", ABC, "sha256", "sha256:", "md5:00", ":", &odd, &long, &not_hex, &wide] {
            let error = text.parse::<Checksum>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(error.advice().contains("sha256:HEX"), "{error}");
        }
    }

    #[test]
    fn a_mismatch_names_both_values() {
        let checksum: Checksum = format!("sha256:{ABC}").parse().unwrap();
        let mut hasher = checksum.algorithm.hasher();
        hasher.update(b"abd");
        let digest = hasher.finish();
        let error = checksum.verify(&digest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChecksumMismatch);
        assert!(error.to_string().contains(ABC) && error.to_string().contains(&digest.to_string()));
        let same = Digest { algorithm: checksum.algorithm, bytes: checksum.expected.clone() };
        checksum.verify(&same).unwrap();
    }
}
