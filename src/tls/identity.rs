//! Who the client is: a certificate and its private key, checked before anything is connected.
//!
//! Owns what can be wrong with the pair, in words. Must not know files or the clock: content and
//! time are arguments.

use super::pem_file::{PemFile, unusable};
use crate::base::limits::CLIENT_CERTIFICATES_MAX;
use crate::base::{Error, ErrorKind, Result};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A client certificate, those that lead to its authority, and its key.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads the certificate, the client's own first, and its key: PKCS#8, PKCS#1 or SEC 1, without
    /// a password. Without `key` the key stands beside the certificate. `now` is the time since
    /// 1970.
    ///
    /// Fails with [`ErrorKind::Usage`] if one of them is missing, cannot be read or is encrypted,
    /// if they do not belong together, and if the certificate is not valid now.
    pub fn new(certificate: &PemFile, key: Option<&PemFile>, now: Duration) -> Result<Self> {
        let provider = aws_lc_rs::default_provider();
        let chain = certificate.certificates()?;
        if chain.len() > CLIENT_CERTIFICATES_MAX {
            let (name, count) = (&certificate.name, chain.len());
            let what = format!("'{name}' contains {count} certificates");
            let advice = format!(
                "keep the client's own and those that lead to its authority, \
                 {CLIENT_CERTIFICATES_MAX} at most"
            );
            return Err(Error::new(ErrorKind::Usage, what).advise(advice));
        }
        let private = private_key(certificate, key)?;
        check_validity(&chain[0], &certificate.name, now, &provider)?;
        let certified = CertifiedKey::from_der(chain, private, &provider)
            .map_err(|cause| mismatch(certificate, key.unwrap_or(certificate), cause))?;
        Ok(Self { certified: Arc::new(certified) })
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

fn private_key(certificate: &PemFile, key: Option<&PemFile>) -> Result<PrivateKeyDer<'static>> {
    let file = key.unwrap_or(certificate);
    PrivateKeyDer::from_pem_slice(&file.pem).map_err(|cause| {
        let none = matches!(cause, pem::Error::NoItemsFound);
        let name = &file.name;
        match (file.foreign(), key) {
            (Some(foreign), _) => foreign,
            (None, None) if none => {
                let what = format!("'{name}' contains a certificate and no private key");
                Error::new(ErrorKind::Usage, what).advise("name the file of the key with --key")
            }
            (None, _) if none => {
                let what = format!("'{name}' contains no private key");
                Error::new(ErrorKind::Usage, what)
                    .advise("give a PEM file with the key in it (BEGIN PRIVATE KEY)")
            }
            (None, _) => file.unreadable(cause).advise("check the file named with --key"),
        }
    })
}

/// A server may say "certificate_expired", or just close: this says it first. What else such a
/// verification finds is the server's to judge.
fn check_validity(
    certificate: &CertificateDer<'_>,
    name: &str,
    now: Duration,
    provider: &CryptoProvider,
) -> Result<()> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(|cause| {
        unusable(format!("the certificate in '{name}' cannot be read")).caused_by(cause)
    })?;
    let algorithms = provider.signature_verification_algorithms.all;
    let (roots, now) = (RootCertStore::empty(), UnixTime::since_unix_epoch(now));
    let verified = verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms);
    let Err(rustls::Error::InvalidCertificate(reason)) = verified else { return Ok(()) };
    let state = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        _ => return Ok(()),
    };
    let what = format!("the certificate in '{name}' {state}");
    let cause = rustls::Error::InvalidCertificate(reason);
    Err(Error::new(ErrorKind::Usage, what)
        .caused_by(cause)
        .advise("get another one from its authority, or check this machine's clock"))
}

fn mismatch(certificate: &PemFile, key: &PemFile, cause: rustls::Error) -> Error {
    let (certificate, key) = (&certificate.name, &key.name);
    if let rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) = cause {
        let what =
            format!("the private key in '{key}' is not that of the certificate in '{certificate}'");
        let advice = "name the pair with --cert and --key; the client's own certificate is first";
        return Error::new(ErrorKind::Usage, what).advise(advice);
    }
    Error::new(ErrorKind::Usage, format!("the private key in '{key}' cannot be used"))
        .caused_by(cause)
        .advise("it has to be an RSA key of 2048 bits or more, or on P-256, P-384, P-521, Ed25519")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    const NAME: &str = "me.pem";

    fn file(name: &str, pem: impl Into<Vec<u8>>) -> PemFile {
        PemFile { name: name.into(), pem: pem.into() }
    }

    /// A certificate valid in 2024 and 2025, and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["me".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(2024, 1, 1), date_time_ymd(2026, 1, 1));
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    const YEAR: Duration = Duration::from_secs(31_557_600);
    const IN_2025: Duration = Duration::from_secs(1_750_000_000);

    fn refused(certificate: &PemFile, key: Option<&PemFile>, now: Duration) -> String {
        let error = Identity::new(certificate, key, now).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    }

    #[test]
    fn a_pair_is_taken_from_two_files_or_from_one() {
        let (certificate, key) = pair();
        let both = file(NAME, format!("{key}\n{certificate}"));
        let (certificate, key) = (file(NAME, certificate), file("key.pem", key));
        Identity::new(&certificate, Some(&key), IN_2025).unwrap();
        let identity = Identity::new(&both, None, IN_2025).unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(..)");
    }

    #[test]
    fn what_is_missing_is_named() {
        let (certificate, key) = pair();
        let (certificate, key) = (file(NAME, certificate), file("key.pem", key));
        let line = refused(&certificate, None, IN_2025);
        assert!(line.contains("'me.pem'") && line.contains("with --key"), "{line}");
        let line = refused(&certificate, Some(&certificate), IN_2025);
        assert!(line.contains("'me.pem' contains no private key"), "{line}");
        let line = refused(&key, Some(&key), IN_2025);
        assert!(line.contains("'key.pem' contains no certificate"), "{line}");
        let garbage = file("key.pem", b"-----BEGIN PRIVATE KEY-----\n!\n".to_vec());
        let line = refused(&certificate, Some(&garbage), IN_2025);
        assert!(line.contains("'key.pem' is not a valid PEM file"), "{line}");
        let no_key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec();
        let line = refused(&certificate, Some(&file("key.pem", no_key)), IN_2025);
        assert!(line.contains("'key.pem' cannot be used"), "{line}");
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let ((certificate, _), (_, key)) = (pair(), pair());
        let line = refused(&file(NAME, certificate), Some(&file("key.pem", key)), IN_2025);
        assert!(line.contains("'key.pem' is not that of the certificate in 'me.pem'"), "{line}");
    }

    #[test]
    fn a_certificate_out_of_its_time_is_refused() {
        let (certificate, key) = pair();
        let (certificate, key) = (file(NAME, certificate), file("key.pem", key));
        let line = refused(&certificate, Some(&key), IN_2025 + YEAR);
        assert!(line.contains("'me.pem' has expired"), "{line}");
        let line = refused(&certificate, Some(&key), IN_2025 - 2 * YEAR);
        assert!(line.contains("'me.pem' is not valid yet"), "{line}");
    }

    #[test]
    fn a_bundle_of_authorities_is_no_chain() {
        let (certificate, key) = pair();
        let bundle = file(NAME, certificate.repeat(CLIENT_CERTIFICATES_MAX + 1));
        let line = refused(&bundle, Some(&file("key.pem", key)), IN_2025);
        assert!(line.contains("contains 17 certificates"), "{line}");
    }
}
