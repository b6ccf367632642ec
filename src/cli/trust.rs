//! TLS settings from options and from the variables of OpenSSL, SSL_CERT_FILE and SSL_CERT_DIR.
//!
//! They count as they do for curl: where no option says what is trusted, and in place of the
//! built-in roots. Looks whether a file is there, and reads none.

use super::args::DownloadArgs;
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::{Options, Roots, TlsOptions};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Names a file with trusted certificates.
const CERT_FILE: &str = "SSL_CERT_FILE";
/// Names folders with trusted certificates, with colons between them.
const CERT_DIR: &str = "SSL_CERT_DIR";

/// Puts what the arguments and the environment, by `variable`, say of TLS into `options`.
pub(super) fn apply(
    options: &mut Options,
    args: &DownloadArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<()> {
    let tls = &args.tls;
    options.ca_certs.clone_from(&args.ca_cert);
    options.insecure = args.insecure;
    options.tls = TlsOptions {
        roots: tls.ca.map(Roots::from).unwrap_or_default(),
        ca_paths: tls.ca_path.clone(),
        certificate: tls.cert.as_deref().map(without_password).transpose()?,
        key: tls.key.clone(),
        pins: tls.pinnedpubkey.clone(),
        version_min: tls.tls_min.into(),
    };
    if let Some(openssl) = OpenSsl::read(args, variable) {
        openssl.check()?;
        options.tls.roots = Roots::None;
        options.ca_certs.extend(openssl.file);
        options.tls.ca_paths = openssl.folders;
    }
    Ok(())
}

/// Whose roots are trusted because of the environment, for `-v`.
pub(super) fn note(args: &DownloadArgs) -> Option<String> {
    let openssl = OpenSsl::read(args, |name| std::env::var_os(name))?;
    let names = match (&openssl.file, openssl.folders.is_empty()) {
        (Some(_), true) => CERT_FILE.to_owned(),
        (Some(_), false) => format!("{CERT_FILE} and {CERT_DIR}"),
        (None, _) => CERT_DIR.to_owned(),
    };
    Some(format!("trusting the certificates that {names} names instead of the built-in ones"))
}

/// What the environment says.
struct OpenSsl {
    file: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl OpenSsl {
    /// `None` where it says nothing, or an option does.
    fn read(args: &DownloadArgs, variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let tls = &args.tls;
        let is_said = args.insecure
            || !args.ca_cert.is_empty()
            || !tls.ca_path.is_empty()
            || tls.ca.is_some();
        let set = |name| variable(name).filter(|value| !value.is_empty() && !is_said);
        let file = set(CERT_FILE).map(PathBuf::from);
        let folders = set(CERT_DIR).unwrap_or_default();
        let folders = std::env::split_paths(&folders).filter(|path| !path.as_os_str().is_empty());
        let folders: Vec<PathBuf> = folders.collect();
        (file.is_some() || !folders.is_empty()).then_some(Self { file, folders })
    }

    /// A variable that an old installation has left may name what is gone.
    fn check(&self) -> Result<()> {
        let file = self.file.iter().map(|path| (CERT_FILE, path));
        let folders = self.folders.iter().map(|path| (CERT_DIR, path));
        for (name, path) in file.chain(folders) {
            path.metadata().map_err(|cause| {
                let what = format!("'{}', which {name} names, cannot be used", path.display());
                Error::new(ErrorKind::Usage, what)
                    .caused_by(cause)
                    .advise(format!("correct or unset {name}, or say '--ca built-in'"))
            })?;
        }
        Ok(())
    }
}

/// curl takes `FILE:PASSWORD`. Here it is refused before it can get into a message.
fn without_password(path: &Path) -> Result<PathBuf> {
    let text = path.to_string_lossy();
    let Some((file, _)) = text.split_once(':').filter(|_| !path.exists()) else {
        return Ok(path.to_owned());
    };
    let what = format!("there is no such file, or a password stands behind '--cert {file}:'");
    Err(Error::new(ErrorKind::Usage, what)
        .advise("decrypt the key with 'openssl pkey' and name it with --key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;

    fn parsed(arguments: &[&str]) -> DownloadArgs {
        let arguments = ["ringhaul"].iter().chain(arguments).map(Into::into);
        args::parse(arguments).expect("a good command line").download
    }

    fn read(arguments: &[&str]) -> Option<(Option<PathBuf>, Vec<PathBuf>)> {
        let variables = |name: &str| match name {
            CERT_FILE => Some("/bundle.pem".into()),
            CERT_DIR => Some("/certs::/more".into()),
            _ => None,
        };
        let openssl = OpenSsl::read(&parsed(arguments), variables)?;
        Some((openssl.file, openssl.folders))
    }

    #[test]
    fn openssls_variables_count_where_no_option_does() {
        let expected = (Some("/bundle.pem".into()), vec!["/certs".into(), "/more".into()]);
        assert_eq!(read(&["https://h/"]), Some(expected));
        for option in ["--ca=native", "--ca-cert=x", "--ca-path=x", "-k"] {
            assert_eq!(read(&[option, "https://h/"]), None, "{option}");
        }
        assert!(OpenSsl::read(&parsed(&["https://h/"]), |_| Some("".into())).is_none());
    }

    #[test]
    fn every_option_arrives() {
        let pin = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let mut options = Options::default();
        let arguments = [
            "--ca=none",
            "--ca-path=a",
            "--capath=b",
            "-Ec.pem",
            "--key=k.pem",
            "--pinned-pubkey",
            pin,
            "--tls-min=1.3",
            "https://h/",
        ];
        apply(&mut options, &parsed(&arguments), |_| None).unwrap();
        let expected = TlsOptions {
            roots: Roots::None,
            ca_paths: vec!["a".into(), "b".into()],
            certificate: Some("c.pem".into()),
            key: Some("k.pem".into()),
            pins: Some(pin.parse().unwrap()),
            version_min: crate::engine::options::TlsVersion::V1_3,
        };
        assert_eq!(options.tls, expected);
    }

    #[test]
    fn a_password_behind_the_file_is_not_repeated() {
        let error = without_password(Path::new("me.pem:hunter2")).unwrap_err().to_string();
        assert!(error.contains("me.pem:") && !error.contains("hunter2"), "{error}");
    }
}
