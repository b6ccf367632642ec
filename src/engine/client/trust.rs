//! TLS settings by what is trusted and shown, made once for each: the connections that share one
//! resume each other's sessions.

mod read;

use crate::base::limits::TRUSTS_MAX;
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::options::{Options, Roots, TlsOptions};
use crate::tls::{TlsConfig, TrustOptions};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The TLS settings a client has made.
#[derive(Default)]
pub(in crate::engine) struct Trust {
    made: Mutex<Vec<(Trusted, TlsConfig)>>,
}

/// What is trusted, and what is shown: connections that differ in it are not each other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Trusted {
    insecure: bool,
    ca_certs: Vec<PathBuf>,
    tls: TlsOptions,
}

impl Trusted {
    /// What these options trust where `url` leads; `None` without TLS, which nothing can be pinned
    /// to.
    pub(in crate::engine) fn by(options: &Options, url: &Url) -> Result<Option<Self>> {
        let (insecure, ca_certs) = (options.insecure, options.ca_certs.clone());
        match (url.scheme(), &options.tls.pins) {
            (Scheme::Https, _) => Ok(Some(Self { insecure, ca_certs, tls: options.tls.clone() })),
            (Scheme::Http, None) => Ok(None),
            (Scheme::Http, Some(_)) => {
                let what = format!("{} has no key that could be a pinned one", url.origin());
                Err(Error::new(ErrorKind::Certificate, what)
                    .advise("use an https URL, or leave out --pinnedpubkey"))
            }
        }
    }
}

impl Trusted {
    /// What these options trust in a proxy: what is shown to servers, and the keys they may have,
    /// are not its own.
    pub(in crate::engine) fn of_proxy(options: &Options) -> Self {
        let (insecure, ca_certs) = (options.insecure, options.ca_certs.clone());
        let (certificate, key, pins) = (None, None, None);
        Self {
            insecure,
            ca_certs,
            tls: TlsOptions { certificate, key, pins, ..options.tls.clone() },
        }
    }
}

impl Trust {
    /// TLS settings that trust and show this.
    pub(in crate::engine) fn config(&self, trusted: &Trusted) -> Result<TlsConfig> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = made.iter().find(|(other, _)| other == trusted) {
            return Ok(config.clone());
        }
        let config = TlsConfig::new(&trust_options(trusted)?)?;
        if made.len() == TRUSTS_MAX {
            made.remove(0);
        }
        made.push((trusted.clone(), config.clone()));
        Ok(config)
    }
}

/// Reads all that the settings name.
fn trust_options(trusted: &Trusted) -> Result<TrustOptions> {
    let Trusted { insecure, ca_certs, tls } = trusted;
    let files = ca_certs.iter().map(|path| read::trusted_file(path));
    let mut extra_ders = match tls.roots {
        Roots::Native => read::native_roots()?,
        Roots::BuiltIn | Roots::None => Vec::new(),
    };
    for path in &tls.ca_paths {
        extra_ders.extend(read::trusted_folder(path)?);
    }
    let identity = tls.certificate.as_deref();
    let identity = identity.map(|path| read::identity(path, tls.key.as_deref())).transpose()?;
    Ok(TrustOptions {
        without_built_in: tls.roots != Roots::BuiltIn,
        extra_roots: files.collect::<Result<_>>()?,
        extra_ders,
        insecure: *insecure,
        pins: tls.pins.clone(),
        identity,
        version_min: tls.version_min,
    })
}
