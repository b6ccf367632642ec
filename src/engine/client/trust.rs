//! TLS settings by what is trusted, made once for each: the connections that share one resume each
//! other's sessions.

use crate::base::limits::TRUSTS_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::Options;
use crate::tls::{PemFile, TlsConfig, TrustOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The TLS settings a client has made.
#[derive(Default)]
pub(in crate::engine) struct Trust {
    made: Mutex<Vec<(Trusted, TlsConfig)>>,
}

/// What is trusted: connections that trust differently are not each other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct Trusted {
    insecure: bool,
    ca_certs: Vec<PathBuf>,
}

impl Trusted {
    /// What these options trust.
    pub(in crate::engine) fn by(options: &Options) -> Self {
        Self { insecure: options.insecure, ca_certs: options.ca_certs.clone() }
    }
}

impl Trust {
    /// TLS settings that trust the built-in roots and these certificates.
    pub(in crate::engine) fn config(&self, trusted: &Trusted) -> Result<TlsConfig> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = made.iter().find(|(other, _)| other == trusted) {
            return Ok(config.clone());
        }
        let mut options = TrustOptions { insecure: trusted.insecure, ..TrustOptions::default() };
        for path in &trusted.ca_certs {
            options.extra_roots.push(read(path)?);
        }
        let config = TlsConfig::new(&options)?;
        if made.len() == TRUSTS_MAX {
            made.remove(0);
        }
        made.push((trusted.clone(), config.clone()));
        Ok(config)
    }
}

fn read(path: &Path) -> Result<PemFile> {
    let pem = std::fs::read(path).map_err(|e| {
        let what = format!("cannot read the certificates in {}", path.display());
        Error::new(ErrorKind::Usage, what)
            .caused_by(e)
            .advise("check the file named with --ca-cert")
    })?;
    Ok(PemFile { name: path.display().to_string(), pem })
}
