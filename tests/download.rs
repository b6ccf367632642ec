//! The right bytes in every way a file can be had: sizes, protocols, settings, servers' habits.
//!
//! Everything here goes through the library's public face, against the built-in server, whose
//! codec and content are independent of the client's.

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
#[allow(dead_code, reason = "each test binary uses its own part")]
mod support;

/// Runs a download in a process of its own, when started for that; see `support::child`.
#[test]
fn child() {
    support::child::work();
}
