//! The end of a whole server in the middle of its life, as its script has it.
//!
//! States: none (the script may have an outage that is not due yet), gone, silent, unreachable; the
//! last three are for good. Owns what an outage does to the listener and to open connections. Must
//! not know when one is due.

use crate::server::Shared;
use crate::server::faults::script::Outage;
use crate::server::stop::lock;
use rustix::io::Errno;
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
    if outage == Outage::Silent {
        return;
    }
    let address = shared.close_listener();
    let reserved = address.and_then(|address| match outage {
        Outage::Unreachable => drop_requests(address).ok(),
        Outage::Gone | Outage::Silent => Some(vec![reserve(address).ok()?]),
    });
    *lock(&shared.reserved) = reserved.unwrap_or_default();
    if outage == Outage::Gone {
        shared.registry.reset_all();
    }
}

/// Keeps the port of a server that is unreachable, with a queue of connections that is full: the
/// kernel drops what asks for one more (Linux, `sk_acceptq_is_full`).
fn drop_requests(address: SocketAddr) -> rustix::io::Result<Vec<OwnedFd>> {
    let listener = reserve(address)?;
    rustix::net::listen(&listener, 0)?;
    let filler = socket(address, SocketFlags::NONBLOCK)?;
    match rustix::net::connect(&filler, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(vec![listener, filler]),
        Err(refused) => Err(refused),
    }
}

/// Keeps the port of a server that is gone: connections to it are refused, and nobody else gets
/// it.
fn reserve(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let socket = socket(address, SocketFlags::empty())?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn socket(address: SocketAddr, flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = flags | SocketFlags::CLOEXEC;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None)
}

/// An error where no byte may be sent any more because the whole server is gone.
pub(super) fn check_present(shared: &Shared) -> io::Result<()> {
    match shared.outage.get() {
        Some(Outage::Gone) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Outage::Silent | Outage::Unreachable) | None => Ok(()),
    }
}

/// Indicates whether the whole server has fallen silent, reachable or not.
pub(super) fn is_silent(shared: &Shared) -> bool {
    matches!(shared.outage.get(), Some(Outage::Silent | Outage::Unreachable))
}

/// Indicates whether the listener has been closed for good.
pub(super) fn is_closed(shared: &Shared) -> bool {
    matches!(shared.outage.get(), Some(Outage::Gone | Outage::Unreachable))
}
