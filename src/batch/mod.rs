//! Rank 5: what lies around one transfer when files are many or have no name yet. Knows no sockets,
//! no disk and no terminal.

pub mod checksum_lookup;
pub mod failure;
pub mod naming;
pub mod progress;
pub mod result;
pub mod state;
pub mod validator;
