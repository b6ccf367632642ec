//! Rank 3: getting connected. Names to addresses, addresses to sockets, sockets to wires that
//! carry plain or encrypted bytes. Knows neither the plan nor the disk.

pub mod dial;
pub mod dns;
pub mod wire;
