//! TLS 1.2 and 1.3 without I/O: whom to trust, and one session over the caller's bytes.
//!
//! The only client code that names rustls. Must not know sockets, HTTP or the runtime.

mod fault;
pub mod session;
pub mod trust;

pub use session::{Pump, Session, SessionInfo};
pub use trust::{PemFile, TlsConfig, TrustOptions};
