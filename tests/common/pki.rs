//! An authority, and the certificates of clients that it signs.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::fs;
use std::path::{Path, PathBuf};

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// The files of a certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are no bad names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The authority's certificate, in `folder`.
    pub(crate) fn file(&self, folder: &Path) -> PathBuf {
        let path = folder.join("clients.pem");
        fs::write(&path, &self.pem).expect("the authority is written");
        path
    }

    /// A client's certificate, valid up to the beginning of `until`, and its key, in `folder`.
    pub(crate) fn client(&self, folder: &Path, name: &str, until: i32) -> Pair {
        let key = KeyPair::generate().expect("a key");
        self.certify(&key, folder, name, until)
    }

    /// The same with this key.
    pub(crate) fn certify(&self, key: &KeyPair, folder: &Path, name: &str, until: i32) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        let pair = Pair {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        fs::write(&pair.certificate, certificate.pem()).expect("the certificate is written");
        fs::write(&pair.key, key.serialize_pem()).expect("the key is written");
        pair
    }
}
