//! Whom to trust: the Mozilla roots, the caller's own, or anybody.
//!
//! Owns the one rustls configuration of a transfer and with it the tickets its connections share.
//! Must not know where PEM bytes come from, nor the clock: rustls asks the system for the time.

use crate::base::limits::TLS_SESSIONS_MAX;
use crate::base::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CipherSuite, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// What one transfer needs to speak TLS: roots, cipher suites, ALPN and the session tickets.
///
/// Build it once, and only when the first `https` URL is met; clones share everything.
#[derive(Clone)]
pub struct TlsConfig {
    rustls: Arc<ClientConfig>,
}

/// The choices the caller has about trust.
#[derive(Debug, Clone, Default)]
pub struct TrustOptions {
    /// PEM files whose certificates are trusted beside the Mozilla roots.
    pub extra_roots: Vec<PemFile>,
    /// Accept any certificate for any name. The handshake is still verified against the key of
    /// that certificate, but who holds the key is unknown.
    pub insecure: bool,
}

/// The content of a PEM file, and the name to use for it in messages.
#[derive(Debug, Clone)]
pub struct PemFile {
    /// How the user knows the file.
    pub name: String,
    /// What is in it: one or more certificates; other sections are ignored.
    pub pem: Vec<u8>,
}

impl TlsConfig {
    /// TLS 1.2 and 1.3, ALPN `http/1.1` only, resumption without early data (a replayed request
    /// could be answered twice).
    ///
    /// Fails with [`ErrorKind::Usage`] if a PEM file holds no usable certificate.
    pub fn new(options: &TrustOptions) -> Result<Self> {
        let provider = Arc::new(fast_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs has suites for TLS 1.2 and 1.3");
        // The roots are read in either case: a broken --ca-cert is an error beside --insecure too.
        let roots = collect_roots(&options.extra_roots)?;
        let builder = if options.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody { provider }))
        } else {
            builder.with_root_certificates(roots)
        };
        let mut rustls = builder.with_no_client_auth();
        rustls.alpn_protocols = vec![b"http/1.1".to_vec()];
        rustls.resumption = Resumption::in_memory_sessions(TLS_SESSIONS_MAX);
        Ok(Self { rustls: Arc::new(rustls) })
    }

    pub(super) fn rustls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.rustls)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig(..)")
    }
}

/// aws-lc-rs, named here so that no process-wide default decides. AES-128-GCM stands first: it
/// decrypts 6 % to 15 % faster than AES-256-GCM, and most servers follow the client's order.
fn fast_provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| !is_aes128_gcm(suite.suite()));
    provider
}

fn is_aes128_gcm(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

fn collect_roots(extra: &[PemFile]) -> Result<RootCertStore> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for file in extra {
        add_file(&mut roots, file)?;
    }
    Ok(roots)
}

/// A bundle may contain certificates webpki cannot read (old ones, as a system's bundle has), but
/// one that gives nothing at all is a mistake the user wants to hear of.
fn add_file(roots: &mut RootCertStore, file: &PemFile) -> Result<()> {
    let name = &file.name;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&file.pem)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(format!("'{name}' is not a valid PEM file")).caused_by(e))?;
    if certificates.is_empty() {
        return Err(unusable(format!("'{name}' contains no certificate")));
    }
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err(unusable(format!("'{name}' contains no certificate that can be read"))),
        _ => Ok(()),
    }
}

fn unusable(context: String) -> Error {
    Error::new(ErrorKind::Usage, context)
        .advise("give a PEM file with the authority's certificate (BEGIN CERTIFICATE)")
}

/// The verifier behind `insecure`: any certificate will do, a wrong handshake signature will not.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pem(pem: &[u8]) -> Result<TlsConfig> {
        let file = PemFile { name: "ca.pem".into(), pem: pem.to_vec() };
        TlsConfig::new(&TrustOptions { extra_roots: vec![file], insecure: false })
    }

    #[test]
    fn fastest_suite_is_offered_first_in_each_version() {
        let suites: Vec<_> = fast_provider()
            .cipher_suites
            .iter()
            .map(|s| (s.version().version, s.suite()))
            .collect();
        for version in [rustls::ProtocolVersion::TLSv1_3, rustls::ProtocolVersion::TLSv1_2] {
            let first = suites.iter().find(|(v, _)| *v == version).unwrap();
            assert!(is_aes128_gcm(first.1), "{first:?}");
        }
        assert_eq!(suites.len(), aws_lc_rs::DEFAULT_CIPHER_SUITES.len());
    }

    #[test]
    fn pem_files_without_a_usable_certificate_are_refused_by_name() {
        let key_only = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let bad_base64 = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        let no_der = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        for pem in [b"" as &[u8], b"\xff\x00garbage", key_only, bad_base64, no_der, cut] {
            let error = with_pem(pem).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains("'ca.pem'"), "{error}");
        }
    }

    #[test]
    fn a_bundle_counts_if_one_of_its_certificates_does() {
        let good = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap().cert.pem();
        let bundle =
            format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{good}");
        with_pem(bundle.as_bytes()).unwrap();
    }
}
