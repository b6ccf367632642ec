//! Pinned public keys: the digests of those that a server may have, in curl's notation.
//!
//! Owns the notation and the comparison. Must not know who checks certificates, nor when.

use crate::base::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::CertificateError;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What stands before the digest.
const PREFIX: &str = "sha256//";
/// Bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

/// SHA-256 digests of public keys (SubjectPublicKeyInfo, RFC 5280 4.1), one of which the server's
/// has to have: `sha256//BASE64`, several with `;` between them.
///
/// # Example
///
/// ```
/// use ringhaul::Pins;
///
/// let pins: Pins = "sha256//MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse()?;
/// assert!("sha1//AAAA".parse::<Pins>().is_err());
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// At least one.
    digests: Vec<[u8; DIGEST_BYTES]>,
}

impl Pins {
    /// Checks the key of `certificate`.
    pub(super) fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let digest = sha256(&key);
        if self.digests.iter().any(|pinned| pinned == digest.as_slice()) {
            return Ok(());
        }
        let other = OtherKey { digest: STANDARD.encode(digest) };
        Err(CertificateError::Other(rustls::OtherError(Arc::new(other))).into())
    }
}

impl FromStr for Pins {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digests = text.split(';').map(digest).collect::<Result<_>>()?;
        Ok(Self { digests })
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, digest) in self.digests.iter().enumerate() {
            let separator = if index == 0 { "" } else { ";" };
            write!(f, "{separator}{PREFIX}{}", STANDARD.encode(digest))?;
        }
        Ok(())
    }
}

/// The server has a key that is not pinned.
#[derive(Debug)]
pub(super) struct OtherKey {
    digest: String,
}

impl fmt::Display for OtherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its public key is {PREFIX}{}, which is not pinned", self.digest)
    }
}

impl std::error::Error for OtherKey {}

fn digest(pin: &str) -> Result<[u8; DIGEST_BYTES]> {
    let refused = |what: String| {
        Error::new(ErrorKind::Usage, what).advise(
            "make it from the certificate: openssl x509 -in cert.pem -pubkey -noout | \
             openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64",
        )
    };
    let Some(text) = pin.strip_prefix(PREFIX) else {
        return Err(refused(format!("'{pin}' does not begin with '{PREFIX}'")));
    };
    let bytes = STANDARD
        .decode(text)
        .map_err(|cause| refused(format!("'{text}' is not base64")).caused_by(cause))?;
    let count = bytes.len();
    bytes.try_into().map_err(|_| {
        refused(format!("'{pin}' has {count} bytes, and a SHA-256 digest has {DIGEST_BYTES}"))
    })
}

/// The hash of a cipher suite that is always there, so that no other code is needed for it.
fn sha256(bytes: &[u8]) -> Vec<u8> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("a suite of TLS 1.3 by its name");
    suite.common.hash_provider.hash(bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn pins_are_read_and_written() {
        let two = format!("{PIN};sha256//{}", STANDARD.encode([7; 32]));
        let pins: Pins = two.parse().unwrap();
        assert_eq!(pins.to_string(), two);
        assert_eq!(pins.digests[0], sha256(b"").as_slice());
        assert_eq!(pins.digests[1], [7; 32]);
    }

    #[test]
    fn what_is_no_pin_is_refused_with_the_way_to_one() {
        let long = format!("sha256//{}", STANDARD.encode([7; 33]));
        let two = format!("{PIN};");
        for text in
            ["", "key.pem", "sha1//AAAA", "sha256//", "sha256//!", "sha256//AAAA", &long, &two]
        {
            let error = text.parse::<Pins>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("openssl x509"), "{error}");
        }
    }
}
