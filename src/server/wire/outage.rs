//! The end of a whole server in the middle of its life, as its script has it.
//!
//! States: none (the script may have an outage that is not due yet), gone, silent; the last two
//! are for good. Owns what an outage does to the listener and to open connections. Must not know
//! when one is due.

use crate::server::Shared;
use crate::server::faults::script::Outage;
use crate::server::stop::lock;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Begins the outage that is due when `body_bytes` have been sent, unless one has begun.
pub(in crate::server) fn begin_if_due(shared: &Shared, body_bytes: u64) {
    let Some((outage, rule)) = shared.script.outage(body_bytes) else { return };
    if shared.outage.set(outage).is_err() {
        return;
    }
    shared.book.fired_without_request(rule);
    if outage == Outage::Gone {
        let address = shared.close_listener();
        *lock(&shared.reserved) = address.and_then(|address| reserve(address).ok());
        shared.registry.reset_all();
    }
}

/// Keeps the port of a server that is gone: connections to it are refused, and nobody else gets
/// it.
fn reserve(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// An error where no byte may be sent any more because the whole server is gone.
pub(super) fn check_present(shared: &Shared) -> io::Result<()> {
    match shared.outage.get() {
        Some(Outage::Gone) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Outage::Silent) | None => Ok(()),
    }
}

/// Indicates whether the whole server has fallen silent.
pub(super) fn is_silent(shared: &Shared) -> bool {
    shared.outage.get() == Some(&Outage::Silent)
}
