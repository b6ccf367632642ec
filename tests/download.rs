//! The right bytes in every way a file can be had: sizes, protocols, settings, servers' habits.
//!
//! Everything here goes through the library's public face, against the built-in server, whose
//! codec and content are independent of the client's.

mod common;
#[path = "download/connections.rs"]
mod connections;
#[path = "download/matrix.rs"]
mod matrix;
#[path = "download/redirects.rs"]
mod redirects;
#[path = "download/responses.rs"]
mod responses;
#[path = "download/secrets.rs"]
mod secrets;

/// Runs a download in a process of its own, when started for that; see `common::child`.
#[test]
fn child() {
    common::child::work();
}
