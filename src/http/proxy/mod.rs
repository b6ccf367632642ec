//! Proxies without I/O: what a URL of one means, which one a URL is fetched through, and what is
//! said to it until the way to the origin is open: CONNECT (RFC 9110 section 9.3.6), SOCKS4a and
//! SOCKS5 (RFC 1928, RFC 1929).
//!
//! Owns the words on the wire and what a refusal means. Must not know sockets, TLS, or who reads
//! the environment.

mod address;
mod choice;
mod connect;
mod handshake;
mod socks4;
mod socks5;
mod step;

pub use address::{Protocol, Proxy};
pub use choice::{NoProxy, Proxies, Wishes};
pub use handshake::Handshake;
pub use step::Step;

#[cfg(test)]
mod tests;
