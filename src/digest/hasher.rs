//! Digests as they are computed: bytes in order go in, a digest comes out.
//!
//! Owns the way to the implementations, each of which takes the processor's instructions for it
//! where they exist. Must not know where the bytes come from.

use super::Algorithm;
use crate::base::hex;
use crc_fast::CrcAlgorithm;
use sha2::Digest as _;
use std::fmt;

/// The state of one hash over bytes given in order.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    /// In a box, as its tree of 2 KiB dwarfs the others.
    Blake3(Box<blake3::Hasher>),
    Crc(crc_fast::Digest),
    Sha1(sha1::Sha1),
    Md5(md5::Md5),
}

impl Algorithm {
    /// A hasher that has seen nothing yet.
    pub fn hasher(self) -> Hasher {
        Hasher::new(self)
    }
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        let crc = |polynomial| State::Crc(crc_fast::Digest::new(polynomial));
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
            Algorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            Algorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
        };
        Self { algorithm, state }
    }

    /// Hashes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
            State::Crc(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Md5(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes given.
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm;
        let bytes = match self.state {
            State::Sha256(state) => state.finalize().to_vec(),
            State::Sha512(state) => state.finalize().to_vec(),
            State::Blake3(state) => state.finalize().as_bytes().to_vec(),
            State::Crc(state) => {
                let wide = state.finalize().to_be_bytes();
                wide[wide.len() - algorithm.digest_bytes()..].to_vec()
            }
            State::Sha1(state) => state.finalize().to_vec(),
            State::Md5(state) => state.finalize().to_vec(),
        };
        Digest { algorithm, bytes }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A finished digest. Displays as lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// How it was made.
    pub algorithm: Algorithm,
    /// Its bytes; a CRC's most significant byte first, as object stores write it.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "abc" (FIPS 180-4 examples, RFC 1321 A.5, b3sum) and of "123456789" (the check value by
    /// which CRCs are catalogued).
    const KNOWN_ANSWERS: &[(Algorithm, &str, &str)] = &[
        (
            Algorithm::Sha256,
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            Algorithm::Sha512,
            "abc",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            Algorithm::Blake3,
            "abc",
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ),
        (Algorithm::Crc64Nvme, "123456789", "ae8b14860a799888"),
        (Algorithm::Crc32c, "123456789", "e3069283"),
        (Algorithm::Crc32, "123456789", "cbf43926"),
        (Algorithm::Sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Algorithm::Md5, "abc", "900150983cd24fb0d6963f7d28e17f72"),
    ];

    #[test]
    fn known_answers_whole_and_in_pieces() {
        for (algorithm, text, expected) in KNOWN_ANSWERS {
            let (first, second) = text.as_bytes().split_at(1);
            for pieces in [[text.as_bytes(), b"", b""], [first, b"", second]] {
                let mut hasher = algorithm.hasher();
                pieces.iter().for_each(|piece| hasher.update(piece));
                assert_eq!(hasher.finish().to_string(), *expected, "{algorithm}");
            }
        }
    }

    #[test]
    fn long_input_does_not_depend_on_the_cuts() {
        let bytes: Vec<u8> = (0..=250).cycle().take(300_001).collect();
        for (algorithm, ..) in KNOWN_ANSWERS {
            let mut whole = algorithm.hasher();
            whole.update(&bytes);
            let mut pieces = algorithm.hasher();
            bytes.chunks(4099).for_each(|piece| pieces.update(piece));
            assert_eq!(whole.finish(), pieces.finish(), "{algorithm}");
        }
    }
}
