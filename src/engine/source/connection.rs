//! A connection of a transfer: an open link, and what the transfer's report says of it.

use crate::engine::client::budget::Permit;
use crate::engine::client::idle::Link;
use crate::engine::counts::Counted;
use crate::net::wire::Wire;
use std::sync::Arc;
use std::time::Duration;

/// A connected wire that a transfer uses.
pub(in crate::engine) struct Connection {
    /// What carries the bytes.
    pub(in crate::engine) wire: Wire,
    /// Time it took to connect, TLS included.
    pub(in crate::engine) setup: Duration,
    /// The number of the address it leads to.
    pub(in crate::engine) address: u32,
    permit: Permit,
    /// The proxy it leads through, as it is called in messages.
    pub(in crate::engine) via: Option<Arc<str>>,
    _counted: Counted,
}

impl Connection {
    /// The transfer has this link from here on.
    pub(in crate::engine) fn new(link: Link, counted: Counted) -> Self {
        let Link { wire, setup, address, permit, via } = link;
        Self { wire, setup, address, permit, via, _counted: counted }
    }

    /// The transfer is done with it.
    pub(in crate::engine) fn into_link(self) -> Link {
        let Self { wire, setup, address, permit, via, .. } = self;
        Link { wire, setup, address, permit, via }
    }
}
