//! A connection of a transfer: an open link, and what the transfer's report says of it.

use crate::engine::client::budget::Permit;
use crate::engine::client::idle::Link;
use crate::engine::counts::Counted;
use crate::net::wire::Wire;
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
    _counted: Counted,
}

impl Connection {
    /// The transfer has this link from here on.
    pub(in crate::engine) fn new(link: Link, counted: Counted) -> Self {
        let Link { wire, setup, address, permit } = link;
        Self { wire, setup, address, permit, _counted: counted }
    }

    /// The transfer is done with it.
    pub(in crate::engine) fn into_link(self) -> Link {
        let Self { wire, setup, address, permit, .. } = self;
        Link { wire, setup, address, permit }
    }
}
