//! What TLS settings need of the file system: certificates, keys, and what this machine trusts.
//! Owns the bounds of such files; what they contain is `tls`'s to judge.

use crate::base::limits::PEM_FILE_BYTES_MAX;
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result};
use crate::tls::{Identity, PemFile};
use rustls_native_certs::CertificateResult;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

/// The certificates in a file that is trusted.
pub(super) fn trusted_file(path: &Path) -> Result<PemFile> {
    read(path, "the certificates", "--ca-cert")
}

/// The certificates in all files of a folder, in DER. Links that `openssl rehash` made are followed
/// once, and files without certificates do no harm.
pub(super) fn trusted_folder(path: &Path) -> Result<Vec<Vec<u8>>> {
    found(rustls_native_certs::load_certs_from_paths(None, Some(path)), || {
        Error::new(ErrorKind::Usage, format!("the folder '{}' has no certificate", path.display()))
            .advise("check the folder named with --ca-path")
    })
}

/// The certificates that this machine trusts, in DER: those of SSL_CERT_FILE and SSL_CERT_DIR where
/// they are set, as OpenSSL has it.
pub(super) fn native_roots() -> Result<Vec<Vec<u8>>> {
    found(rustls_native_certs::load_native_certs(), || {
        let what = "this machine has no trusted certificates where OpenSSL looks for them";
        Error::new(ErrorKind::Usage, what)
            .advise("install ca-certificates, or leave out '--ca native'")
    })
}

/// What the client shows.
pub(super) fn identity(certificate: &Path, key: Option<&Path>) -> Result<Identity> {
    let certificate = read(certificate, "the client certificate", "--cert")?;
    let key = key.map(|path| read(path, "the private key", "--key")).transpose()?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Identity::new(&certificate, key.as_ref(), now)
}

/// Something that cannot be read among certificates that can is no error: a system's folder has
/// files of all sorts.
fn found(result: CertificateResult, none: impl FnOnce() -> Error) -> Result<Vec<Vec<u8>>> {
    if result.certs.is_empty() {
        let cause = result.errors.into_iter().next();
        return Err(match cause {
            Some(cause) => none().caused_by(cause),
            None => none(),
        });
    }
    Ok(result.certs.iter().map(|certificate| certificate.to_vec()).collect())
}

fn read(path: &Path, what: &str, option: &str) -> Result<PemFile> {
    let failed = |cause: io::Error| {
        Error::new(ErrorKind::Usage, format!("cannot read {what} in {}", path.display()))
            .caused_by(cause)
            .advise(format!("check the file named with {option}"))
    };
    let mut pem = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(PEM_FILE_BYTES_MAX + 1).read_to_end(&mut pem).map_err(failed)?;
    if pem.len() as u64 > PEM_FILE_BYTES_MAX {
        let max = format_bytes(PEM_FILE_BYTES_MAX);
        return Err(failed(io::Error::other(format!("it has more than {max}"))));
    }
    Ok(PemFile { name: path.display().to_string(), pem })
}
