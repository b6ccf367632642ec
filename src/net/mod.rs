//! Rank 3: getting connected. Names to addresses, addresses to sockets, sockets through proxies,
//! and to wires that carry plain or encrypted bytes. Knows neither the plan nor the disk.

pub mod callee;
pub mod dial;
pub mod dns;
pub mod route;
pub mod tunnel;
pub mod wire;
