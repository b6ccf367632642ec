//! Whom to trust: the Mozilla roots, the caller's own, or anybody; and who the client is.
//!
//! Owns the one rustls configuration of a transfer and with it the tickets its connections share.
//! Must not know where certificates come from, nor the clock: rustls asks the system for the time.

use super::identity::Identity;
use super::pem_file::{PemFile, unusable};
use super::pin::Pins;
use super::verifier::{Anybody, Pinned};
use crate::base::limits::TLS_SESSIONS_MAX;
use crate::base::{Error, ErrorKind, Result};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, RootCertStore, SupportedProtocolVersion};
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
    /// The Mozilla roots are not trusted.
    pub without_built_in: bool,
    /// PEM files whose certificates are trusted beside them.
    pub extra_roots: Vec<PemFile>,
    /// More trusted certificates, in DER. Those that cannot be read are left out.
    pub extra_ders: Vec<Vec<u8>>,
    /// Accept any certificate for any name. The handshake is still verified against the key of
    /// that certificate, but who holds the key is unknown.
    pub insecure: bool,
    /// The keys that servers may have, whatever else is trusted.
    pub pins: Option<Pins>,
    /// What is shown to servers that ask for a certificate.
    pub identity: Option<Identity>,
    /// The oldest version spoken.
    pub version_min: TlsVersion,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsConfig {
    /// TLS 1.2 and 1.3, or the latter alone, ALPN `http/1.1` only, resumption without early data (a
    /// replayed request could be answered twice).
    ///
    /// Fails with [`ErrorKind::Usage`] if a PEM file holds no usable certificate, or nobody is
    /// trusted.
    pub fn new(options: &TrustOptions) -> Result<Self> {
        let provider = Arc::new(fast_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(options.version_min))
            .expect("aws-lc-rs has suites for TLS 1.2 and 1.3");
        let verifier = verifier(options, provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut rustls = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let shown = SingleCertAndKey::from(identity.certified());
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
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

type Version = &'static SupportedProtocolVersion;

fn versions(min: TlsVersion) -> &'static [Version] {
    static FROM_1_2: [Version; 2] = [&TLS13, &TLS12];
    static FROM_1_3: [Version; 1] = [&TLS13];
    match min {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_3,
    }
}

/// What decides whether a server is trusted.
fn verifier(
    options: &TrustOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>> {
    // The roots are read in either case: a broken --ca-cert is an error beside --insecure too.
    let roots = collect_roots(options)?;
    let inner: Arc<dyn ServerCertVerifier> = if options.insecure {
        Arc::new(Anybody { provider })
    } else {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(
            |cause| {
                Error::new(ErrorKind::Usage, "no certificate is trusted")
                    .caused_by(cause)
                    .advise("name some with --ca-cert or --ca-path, or leave out '--ca none'")
            },
        )?
    };
    Ok(match &options.pins {
        Some(pins) => Arc::new(Pinned { inner, pins: pins.clone() }),
        None => inner,
    })
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

fn collect_roots(options: &TrustOptions) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if !options.without_built_in {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for file in &options.extra_roots {
        add_file(&mut roots, file)?;
    }
    let ders = options.extra_ders.iter().map(|der| CertificateDer::from(der.as_slice()));
    roots.add_parsable_certificates(ders);
    Ok(roots)
}

/// A bundle may contain certificates webpki cannot read (old ones, as a system's bundle has), but
/// one that gives nothing at all is a mistake the user wants to hear of.
fn add_file(roots: &mut RootCertStore, file: &PemFile) -> Result<()> {
    match roots.add_parsable_certificates(file.certificates()?) {
        (0, _) => {
            Err(unusable(format!("'{}' contains no certificate that can be read", file.name)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pem(pem: &[u8]) -> Result<TlsConfig> {
        let file = PemFile { name: "ca.pem".into(), pem: pem.to_vec() };
        TlsConfig::new(&TrustOptions { extra_roots: vec![file], ..TrustOptions::default() })
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
    fn somebody_has_to_be_trusted() {
        let nobody = TrustOptions { without_built_in: true, ..TrustOptions::default() };
        let error = TlsConfig::new(&nobody).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("--ca none"), "{error}");
        TlsConfig::new(&TrustOptions { insecure: true, ..nobody }).unwrap();
    }

    #[test]
    fn a_bundle_counts_if_one_of_its_certificates_does() {
        let good = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap().cert.pem();
        let bundle =
            format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{good}");
        with_pem(bundle.as_bytes()).unwrap();
    }
}
