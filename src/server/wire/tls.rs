//! The server's half of TLS: versions, tickets and a certificate made at the start.
//!
//! Owns what rustls and rcgen need to know. Must not know HTTP or sockets.

use crate::base::{Error, ErrorKind, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A version of TLS the server may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// How the server speaks TLS. Session tickets are on, ALPN offers `http/1.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The versions it accepts; at least one.
    pub versions: Vec<TlsVersion>,
    /// The names and IP addresses its self-made certificate is for.
    pub names: Vec<String>,
    /// A certificate from files instead.
    pub files: Option<CertificateFiles>,
    /// Demands a certificate of each client, signed by an authority in this PEM file.
    pub client_authority: Option<PathBuf>,
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and behind it those that lead to the authority, if there are any.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for TlsConfig {
    /// Both versions; `localhost`, `127.0.0.1` and `::1`.
    fn default() -> Self {
        Self {
            versions: vec![TlsVersion::V1_2, TlsVersion::V1_3],
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            files: None,
            client_authority: None,
        }
    }
}

/// What every TLS connection of one server shares.
pub(in crate::server) struct ServerTls {
    pub(in crate::server) config: Arc<ServerConfig>,
    /// The authority to trust, as PEM, if it was made here.
    pub(in crate::server) authority_pem: Option<String>,
}

impl ServerTls {
    /// Reads the certificate, or makes an authority and a certificate signed by it.
    pub(in crate::server) fn new(tls: &TlsConfig) -> Result<Self> {
        let versions: Vec<&'static SupportedProtocolVersion> = tls
            .versions
            .iter()
            .map(|version| match version {
                TlsVersion::V1_2 => &rustls::version::TLS12,
                TlsVersion::V1_3 => &rustls::version::TLS13,
            })
            .collect();
        if versions.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the server is given no TLS version"));
        }
        let certified = match &tls.files {
            Some(files) => read(files)?,
            None => make(&tls.names)?,
        };
        let failed =
            |e: rustls::Error| Error::new(ErrorKind::Internal, "cannot set up TLS").caused_by(e);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(failed)?;
        let builder = match &tls.client_authority {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
        };
        let mut config = builder.with_single_cert(certified.chain, certified.key).map_err(|e| {
            Error::new(ErrorKind::Usage, "the server cannot use its certificate")
                .caused_by(e)
                .advise("check that the key belongs to the certificate")
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(failed)?;
        Ok(Self { config: Arc::new(config), authority_pem: certified.authority_pem })
    }
}

struct Certified {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority_pem: Option<String>,
}

fn read(files: &CertificateFiles) -> Result<Certified> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| refused("private key", &files.key, e))?;
    Ok(Certified { chain, key, authority_pem: None })
}

fn client_verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(path)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
    verifier.map_err(|e| {
        let context = format!("'{}' holds no authority for clients", path.display());
        Error::new(ErrorKind::Usage, context)
            .caused_by(e)
            .advise("name a file with the certificate of an authority")
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<std::result::Result<Vec<_>, _>>())
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|e| refused("certificate", path, e))
}

fn refused(what: &str, path: &Path, e: pem::Error) -> Error {
    let context = format!("cannot read the {what} in '{}'", path.display());
    Error::new(ErrorKind::Usage, context)
        .caused_by(e)
        .advise("name a file in PEM format that you may read")
}

fn make(names: &[String]) -> Result<Certified> {
    let refused =
        |context: String| Error::new(ErrorKind::Usage, context).advise("check the names it is for");
    for name in names {
        ServerName::try_from(name.as_str())
            .map_err(|e| refused(format!("no certificate can be for '{name}'")).caused_by(e))?;
    }
    let failed = "cannot make the server's certificate".to_owned();
    certify(names).map_err(|e| refused(failed).caused_by(e))
}

/// An authority of its own rather than one self-signed certificate, because clients rightly
/// refuse an authority's certificate as a server's.
fn certify(names: &[String]) -> std::result::Result<Certified, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(rcgen::DnType::CommonName, "ringhaul test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::new(names.to_vec())?;
    server.distinguished_name.push(rcgen::DnType::CommonName, "ringhaul test server");
    server.use_authority_key_identifier_extension = true;
    let server_key = KeyPair::generate()?;
    let certificate = server.signed_by(&server_key, &issuer)?;
    Ok(Certified {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::Pkcs8(server_key.serialize_der().into()),
        authority_pem: Some(authority_pem),
    })
}
