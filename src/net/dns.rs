//! Names to addresses, off the ring: the system's resolver blocks, so it gets a thread of its own.

use super::callee::{Callee, Role};
use crate::base::host::HostPort;
use crate::base::limits::ADDRESSES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::io::lookup::keep_to_built_in;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::thread;
use tokio::sync::oneshot;

/// All addresses of the callee's host, families alternating (RFC 8305 section 4), at most
/// [`ADDRESSES_MAX`]. Literals need no resolver, and `localhost` is this machine also where the
/// resolver does not know it, as in a container without a hosts file (RFC 6761 6.3). The future may
/// be dropped; the thread then ends with the resolver's own time limit.
pub async fn resolve(callee: &Callee) -> Result<Vec<SocketAddr>> {
    let HostPort { host, port } = callee.at.clone();
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, receiver) = oneshot::channel();
    let look_up = move || {
        keep_to_built_in();
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        // Nobody waits any more if the transfer was stopped meanwhile.
        let _ = sender.send(found);
    };
    thread::Builder::new().name("ringhaul-dns".into()).spawn(look_up).map_err(|e| {
        Error::new(ErrorKind::ResourceLimit, "cannot start a thread for name lookup").caused_by(e)
    })?;
    let found = receiver.await.unwrap_or_else(|_| Err(io::Error::other("the resolver died")));
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(interleave(addresses)),
        _ if is_localhost(&callee.at.host) => Ok(loopback(port)),
        Ok(_) => Err(unknown_host(callee)),
        Err(cause) => Err(unknown_host(callee).caused_by(cause)),
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}

fn loopback(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

fn unknown_host(callee: &Callee) -> Error {
    let what = match callee.role {
        Role::Server => "host",
        Role::Proxy => "proxy",
    };
    let host = &callee.at.host;
    Error::new(ErrorKind::Resolve, format!("cannot find an address for the {what} '{host}'"))
}

/// First family first, then alternating; the resolver's order (RFC 6724) within each.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (leading, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(leading.len() + other.len());
    let (mut leading, mut other) = (leading.into_iter(), other.into_iter());
    loop {
        match (leading.next(), other.next()) {
            (None, None) => break,
            (a, b) => mixed.extend(a.into_iter().chain(b)),
        }
    }
    mixed.dedup();
    mixed.truncate(ADDRESSES_MAX);
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Url;
    use crate::io::driver::{Driver, DriverKind};

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate() {
        let mixed = interleave(addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1"]));
        assert_eq!(mixed, addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        assert!(interleave(Vec::new()).is_empty());
    }

    #[test]
    fn literals_and_names() {
        let driver = Driver::new(DriverKind::Epoll).unwrap();
        let find =
            |url: &str| driver.run(resolve(&Callee::server(&Url::parse(url).unwrap().origin())));
        assert_eq!(find("http://[::1]:81/").unwrap(), addresses(&["[::1]:81"]));
        for name in ["localhost", "LOCALHOST.", "such-a-name.localhost"] {
            let found = find(&format!("http://{name}:82/")).unwrap();
            assert!(found.iter().all(|a| a.ip().is_loopback() && a.port() == 82), "{found:?}");
        }
        assert!(!is_localhost("notlocalhost") && !is_localhost("localhost.example"));
        let error = find("http://no-such-host.invalid/").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Resolve);
        let at = HostPort::parse("no-such-proxy.invalid:1", None).unwrap();
        let error = driver.run(resolve(&Callee::proxy(at))).unwrap_err();
        assert!(error.to_string().contains("the proxy 'no-such-proxy.invalid'"), "{error}");
    }
}
