//! What is served: made-up files, those of a folder, and what is said of them (validators,
//! digests).
//!
//! Must not know requests, faults or sockets.

pub(super) mod bytes;
pub mod content;
pub(super) mod digests;
pub(super) mod folder;
pub(super) mod site;
