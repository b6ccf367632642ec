//! The settings of TLS: who is trusted besides, what the client shows, and how old TLS may be.

use crate::base::{Error, ErrorKind, Result};
pub use crate::tls::{Pins, TlsVersion};
use std::path::PathBuf;

/// Which certificates are trusted before any are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Roots {
    /// Mozilla's roots, which are built in.
    #[default]
    BuiltIn,
    /// Those of this machine, where OpenSSL looks for them.
    Native,
    /// None.
    None,
}

/// Settings of TLS, beside [`Options::ca_certs`](super::Options::ca_certs) and
/// [`Options::insecure`](super::Options::insecure).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Which certificates are trusted before any are named.
    pub roots: Roots,
    /// Folders with PEM files whose certificates are trusted besides.
    pub ca_paths: Vec<PathBuf>,
    /// A PEM file with the certificate that is shown to servers that ask for one, those that lead
    /// to its authority behind it.
    pub certificate: Option<PathBuf>,
    /// A PEM file with its private key; `None` if the certificate's file has it.
    pub key: Option<PathBuf>,
    /// The keys that servers may have, each of them: also those that redirects lead to, and
    /// mirrors. Holds with [`Options::insecure`](super::Options::insecure) as well. URLs without
    /// TLS are refused.
    pub pins: Option<Pins>,
    /// The oldest version of TLS that is spoken.
    pub version_min: TlsVersion,
}

impl TlsOptions {
    /// Checks what does not go together.
    pub(super) fn validate(&self) -> Result<()> {
        if self.key.is_some() && self.certificate.is_none() {
            let what = "a private key (--key) is given without its certificate";
            return Err(Error::new(ErrorKind::Usage, what).advise("name it with --cert"));
        }
        Ok(())
    }
}
