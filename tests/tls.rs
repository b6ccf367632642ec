//! What users say of TLS, from the option to what server and client make of it: who is trusted, who
//! the client is, which keys and versions will do.

mod common;

#[path = "tls/identity.rs"]
mod identity;
#[path = "tls/trust.rs"]
mod trust;
