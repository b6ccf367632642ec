//! What is served: made-up files, one or many, those of a folder, and what is said of them
//! (validators, digests, lists).
//!
//! Must not know requests, faults or sockets.

pub(super) mod bytes;
pub mod content;
pub(super) mod digests;
pub(super) mod folder;
pub(super) mod listing;
mod memo;
pub(super) mod metalink;
pub(super) mod numbered;
pub(super) mod site;
