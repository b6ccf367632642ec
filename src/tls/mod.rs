//! TLS 1.2 and 1.3 without I/O: whom to trust, who the client is, and one session over the caller's
//! bytes.
//!
//! The only client code that names rustls. Must not know sockets, HTTP or the runtime.

mod fault;
mod identity;
mod pem_file;
mod pin;
pub mod session;
pub mod trust;
mod verifier;

pub use identity::Identity;
pub use pem_file::PemFile;
pub use pin::Pins;
pub use session::{Pump, Session, SessionInfo};
pub use trust::{TlsConfig, TlsVersion, TrustOptions};
