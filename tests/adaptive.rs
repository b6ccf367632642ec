//! The adaptive engine on the wire: requests ahead, push-back, several addresses, laggards, the
//! trace, and the whole of it with no options at all.
//!
//! Against the built-in server, whose book says when each request came. Times are compared within
//! a run, or with bounds that a loaded machine keeps too.

#[path = "adaptive/addresses.rs"]
mod addresses;
#[path = "adaptive/ahead.rs"]
mod ahead;
#[path = "adaptive/auto.rs"]
mod auto;
mod common;
#[path = "adaptive/laggards.rs"]
mod laggards;
#[path = "adaptive/push_back.rs"]
mod push_back;
#[path = "adaptive/trace.rs"]
mod trace;
#[path = "adaptive/traced.rs"]
mod traced;

/// Runs a download in a process of its own, when started for that; see `common::child`.
#[test]
fn child() {
    common::child::work();
}
