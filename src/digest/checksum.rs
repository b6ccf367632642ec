//! What the digest of the file should be, and the comparison with what it is.
//!
//! Owns the written form `ALGORITHM:HEX`. Must not know who named the checksum.

use super::algorithm::known_names;
use super::{Algorithm, Digest};
use crate::base::{Error, ErrorKind, Result, hex};
use std::fmt;
use std::str::FromStr;

/// What the digest of the file should be: `sha256:HEX`.
///
/// # Example
///
/// ```
/// use ringhaul::{Algorithm, Checksum, Options};
///
/// let checksum: Checksum = "md5:d41d8cd98f00b204e9800998ecf8427e".parse()?;
/// assert_eq!(checksum.algorithm, Algorithm::Md5);
/// let options = Options { checksum: Some(checksum), ..Options::default() };
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How to hash.
    pub algorithm: Algorithm,
    /// What must come out: as many bytes as the algorithm makes.
    pub expected: Vec<u8>,
}

impl Checksum {
    /// A digest that a server has sent; one of another length than the algorithm makes is
    /// [`ErrorKind::Protocol`].
    pub fn new(algorithm: Algorithm, expected: Vec<u8>) -> Result<Self> {
        let bytes = expected.len();
        let wanted = algorithm.digest_bytes();
        if bytes != wanted {
            let what = format!("a {algorithm} of {bytes} bytes instead of {wanted}");
            return Err(Error::new(ErrorKind::Protocol, what)
                .advise("leave the server's digests alone with --no-verify"));
        }
        Ok(Self { algorithm, expected })
    }

    /// Compares; a difference is [`ErrorKind::ChecksumMismatch`] with both values.
    pub fn verify(&self, actual: &Digest) -> Result<()> {
        assert_eq!(self.algorithm, actual.algorithm, "hashed as the checksum asks");
        if self.expected == actual.bytes {
            return Ok(());
        }
        let name = self.algorithm;
        let expected = hex::encode(&self.expected);
        Err(Error::new(
            ErrorKind::ChecksumMismatch,
            format!("the {name} of what arrived is {actual}, not {expected}"),
        ))
    }
}

impl FromStr for Checksum {
    type Err = Error;

    /// Reads `ALGORITHM:HEX`. Anything else, base64 too, is [`ErrorKind::Usage`].
    fn from_str(text: &str) -> Result<Self> {
        let refused =
            |what: String, advice: String| Err(Error::new(ErrorKind::Usage, what).advise(advice));
        let Some((name, digits)) = text.trim().split_once(':') else {
            let advice = format!("write it as ALGORITHM:HEX, with one of {}", known_names());
            return refused(format!("the checksum '{text}' names no algorithm"), advice);
        };
        let algorithm: Algorithm = name.parse()?;
        let digits_wanted = 2 * algorithm.digest_bytes();
        let advice = format!("write it as {algorithm}:HEX, with {digits_wanted} digits");
        if let Some(odd) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return refused(format!("'{odd}' in the {algorithm} is no hexadecimal digit"), advice);
        }
        match hex::decode(digits).filter(|bytes| bytes.len() == algorithm.digest_bytes()) {
            Some(expected) => Ok(Self { algorithm, expected }),
            None => {
                let count = digits.len();
                let what = format!(
                    "a {algorithm} has {digits_wanted} hexadecimal digits, and this has {count}"
                );
                refused(what, advice)
            }
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, hex::encode(&self.expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 example: SHA-256 of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn checksums_parse_in_any_case_and_print_in_one() {
        let upper = format!("SHA-256:{}", ABC.to_uppercase());
        let checksum: Checksum = upper.parse().unwrap();
        assert_eq!(checksum.to_string(), format!("sha256:{ABC}"));
        assert_eq!(checksum, format!(" sha256:{ABC}\n").parse().unwrap());
        let crc: Checksum = "crc32c:E3069283".parse().unwrap();
        assert_eq!(crc.expected, [0xe3, 0x06, 0x92, 0x83]);
    }

    #[test]
    fn what_is_no_checksum_is_refused_with_the_reason() {
        let odd = format!("sha256:{}", &ABC[1..]);
        let long = format!("sha256:{ABC}00");
        let not_hex = format!("sha256:{}g", &ABC[1..]);
        let wide = format!("sha256:{}é", &ABC[2..]);
        let base64 = "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        for (text, reason) in [
            ("", "names no algorithm"),
            (ABC, "names no algorithm"),
            ("sha256", "names no algorithm"),
            (":", "'' is no known digest algorithm"),
            ("sha256:", "64 hexadecimal digits, and this has 0"),
            ("md5:00", "32 hexadecimal digits, and this has 2"),
            (&odd, "64 hexadecimal digits, and this has 63"),
            (&long, "64 hexadecimal digits, and this has 66"),
            (&not_hex, "'g' in the sha256 is no hexadecimal digit"),
            (&wide, "'é' in the sha256"),
            (base64, "'u' in the sha256"),
            ("sha:00", "'sha' is no known digest algorithm"),
        ] {
            let error = text.parse::<Checksum>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(
                error.advice().contains(":HEX") || error.advice().contains("sha256"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_servers_digest_has_its_length() {
        assert_eq!(
            Checksum::new(Algorithm::Crc32c, vec![0xe3, 6, 0x92, 0x83]).unwrap().to_string(),
            "crc32c:e3069283"
        );
        for bytes in [0, 3, 5, 8] {
            let error = Checksum::new(Algorithm::Crc32c, vec![0; bytes]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains("instead of 4"), "{error}");
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
