//! The digest algorithms: their names, their lengths, and which one of several to compute.
//!
//! Owns the table. Must not know how a digest is computed; that is `hasher`'s business.

use crate::base::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4), written `sha256`.
    Sha256,
    /// SHA-512 (FIPS 180-4), written `sha512`.
    Sha512,
    /// BLAKE3 with its default length of 32 bytes, written `blake3`.
    Blake3,
    /// CRC-64/NVME, written `crc64nvme`.
    Crc64Nvme,
    /// CRC-32C (Castagnoli), written `crc32c`.
    Crc32c,
    /// CRC-32 as in IEEE 802.3, zip and gzip, written `crc32`.
    Crc32,
    /// SHA-1 (FIPS 180-4), written `sha1`.
    Sha1,
    /// MD5 (RFC 1321), written `md5`.
    Md5,
}

/// One line for each algorithm; parsing, messages and [`Algorithm::choose`] follow from it.
///
/// From the one to be computed first to the last resort. What cannot be forged stands before what
/// can. Among the first kind SHA-256 leads: servers and checksum files name it most, and with the
/// processor's instructions it runs at 2 GB/s, SHA-512 at less than half of that. As for the
/// others, a digest that came with the file does not tell an attacker from the server anyway; it
/// finds accidents. A CRC does that at memory speed, the longer the better, and object stores send
/// one beside their MD5. SHA-1 and MD5 add nothing but cost (MD5 runs at a third of SHA-256 and
/// would hold a fast download back), so they are for when there is nothing else.
const ALGORITHMS: &[Row] = &[
    row(Algorithm::Sha256, "sha256", Some("sha-256"), 32),
    row(Algorithm::Sha512, "sha512", Some("sha-512"), 64),
    row(Algorithm::Blake3, "blake3", None, 32),
    row(Algorithm::Crc64Nvme, "crc64nvme", None, 8),
    row(Algorithm::Crc32c, "crc32c", None, 4),
    row(Algorithm::Crc32, "crc32", None, 4),
    row(Algorithm::Sha1, "sha1", Some("sha-1"), 20),
    row(Algorithm::Md5, "md5", None, 16),
];

struct Row {
    algorithm: Algorithm,
    name: &'static str,
    /// A second spelling: as in the registry of RFC 9530.
    alias: Option<&'static str>,
    digest_bytes: usize,
}

const fn row(
    algorithm: Algorithm,
    name: &'static str,
    alias: Option<&'static str>,
    digest_bytes: usize,
) -> Row {
    Row { algorithm, name, alias, digest_bytes }
}

impl Algorithm {
    /// As the user writes it: `sha256`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// As registries and Metalinks write it: `sha-256`.
    pub fn registered_name(self) -> &'static str {
        self.row().alias.unwrap_or(self.name())
    }

    /// Length of the digest.
    pub fn digest_bytes(self) -> usize {
        self.row().digest_bytes
    }

    /// Which one of several offers for the same bytes to compute, where one is enough: the
    /// cheapest one to be trusted, or else the cheapest one. `None` if there is no offer.
    ///
    /// In order: sha256, sha512, blake3; then crc64nvme, crc32c, crc32; then sha1, md5.
    pub fn choose(offers: &[Algorithm]) -> Option<Algorithm> {
        ALGORITHMS.iter().map(|row| row.algorithm).find(|algorithm| offers.contains(algorithm))
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

    /// Case does not matter, and `sha-256`, `sha-512` and `sha-1` will do. An unknown name is
    /// [`ErrorKind::Usage`] and lists the known ones.
    fn from_str(name: &str) -> Result<Self> {
        let is_named = |row: &&Row| {
            row.name.eq_ignore_ascii_case(name)
                || row.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name))
        };
        ALGORITHMS.iter().find(is_named).map(|row| row.algorithm).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("'{name}' is no known digest algorithm"))
                .advise(format!("the known ones are {}", known_names()))
        })
    }
}

/// All names, for messages.
pub(super) fn known_names() -> String {
    let names: Vec<_> = ALGORITHMS.iter().map(|row| row.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_agrees_with_its_line() {
        for row in ALGORITHMS {
            let digest = row.algorithm.hasher().finish();
            assert_eq!(digest.algorithm, row.algorithm);
            assert_eq!(digest.bytes.len(), row.digest_bytes);
            for name in [row.name, &row.name.to_uppercase(), row.alias.unwrap_or(row.name)] {
                assert_eq!(name.parse::<Algorithm>().unwrap(), row.algorithm);
            }
            assert_eq!(row.algorithm.to_string(), row.name);
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for name in ["", "sha", "sha-", "sha3", "sha 256", "md-5", "crc"] {
            let error = name.parse::<Algorithm>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
            assert!(ALGORITHMS.iter().all(|row| error.advice().contains(row.name)), "{error}");
        }
    }

    #[test]
    fn the_cheapest_trustworthy_offer_is_chosen() {
        use Algorithm::{Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256, Sha512};
        assert_eq!(Algorithm::choose(&[]), None);
        assert_eq!(Algorithm::choose(&[Sha512, Md5, Crc32c, Sha256]), Some(Sha256));
        assert_eq!(Algorithm::choose(&[Crc32c, Sha512]), Some(Sha512));
        assert_eq!(Algorithm::choose(&[Md5, Crc32c]), Some(Crc32c), "as Google's object store");
        assert_eq!(Algorithm::choose(&[Crc32, Crc32c, Crc64Nvme, Sha1]), Some(Crc64Nvme));
        assert_eq!(Algorithm::choose(&[Md5, Sha1]), Some(Sha1));
        assert_eq!(Algorithm::choose(&[Md5]), Some(Md5));
    }
}
