//! Who is called: the host that names are looked up of and sockets connect to. It is the origin's,
//! or that of a proxy.

use crate::base::host::HostPort;
use crate::base::url::Origin;
use std::fmt;

/// A host and a port that connections lead to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Callee {
    /// Where it is.
    pub at: HostPort,
    /// What it is for us.
    pub role: Role,
}

/// What a host is for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It has the file.
    Server,
    /// It connects us to who has it.
    Proxy,
}

impl Callee {
    /// The host of an origin.
    pub fn server(origin: &Origin) -> Self {
        let at = HostPort { host: origin.host.clone(), port: origin.port };
        Self { at, role: Role::Server }
    }

    /// A proxy.
    pub fn proxy(at: HostPort) -> Self {
        Self { at, role: Role::Proxy }
    }
}

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Server => self.at.fmt(f),
            Role::Proxy => write!(f, "the proxy {}", self.at),
        }
    }
}
