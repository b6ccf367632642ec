//! Connections: accepted, read, answered and ended, over TCP and TLS.
//!
//! Owns sockets, threads and waiting. What is served is `files`'s, what goes wrong is `faults`'s.

mod connection;
mod deliver;
mod fired;
pub(super) mod listen;
pub(super) mod outage;
mod outlet;
pub(super) mod patience;
mod respond;
pub(super) mod seats;
pub(super) mod tls;
mod transport;
