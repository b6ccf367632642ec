//! Connecting to one of a host's addresses: attempts are raced (RFC 8305 section 5). Which address
//! is preferred for which connection is the plan's decision.

use super::callee::Callee;
use super::route::Route;
use crate::base::limits::CONNECTION_ATTEMPT_DELAY;
use crate::base::{Error, ErrorKind, Result};
use crate::io::connect::{Making, Remote, SourceUnusable};
use crate::io::patience::Limits;
use crate::io::socket::Socket;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// The number of an address and how the attempt went.
type Attempt = (u32, io::Result<Socket>);

/// The addresses of one host and which of them failed last. Shared by all shards.
#[derive(Debug)]
pub struct Dialer {
    callee: Callee,
    addresses: Vec<Address>,
    route: Arc<Route>,
    /// Connections dialled so far, which the sources of the route are shared out among.
    dialled: AtomicUsize,
}

#[derive(Debug)]
struct Address {
    socket: Remote,
    /// The last attempt failed: others are tried first.
    failed: AtomicBool,
}

impl Dialer {
    /// Knows the addresses, which are not empty, in order of preference.
    pub fn new(callee: Callee, addresses: Vec<Remote>, route: Arc<Route>) -> Self {
        assert!(!addresses.is_empty(), "the resolver answers an error for no address");
        let addresses = addresses
            .into_iter()
            .map(|socket| Address { socket, failed: AtomicBool::new(false) })
            .collect();
        Self { callee, addresses, route, dialled: AtomicUsize::new(0) }
    }

    /// Who is called.
    pub fn callee(&self) -> &Callee {
        &self.callee
    }

    /// How many addresses there are; they are numbered from 0.
    pub fn addresses(&self) -> u32 {
        u32::try_from(self.addresses.len()).expect("the resolver's answer is bounded")
    }

    /// One of the addresses; another one with each `turn`.
    pub fn pick(&self, turn: usize) -> Option<IpAddr> {
        match &self.addresses[turn % self.addresses.len()].socket {
            Remote::Ip(address) => Some(address.ip()),
            Remote::Unix(_) => None,
        }
    }

    /// A connection to one of the addresses, and its number. They are tried in this `order`, those
    /// whose last attempt failed behind the others; an attempt that takes longer than 250 ms gets
    /// company by the next one, and the first to succeed wins. Dropping the future gives all
    /// attempts up.
    pub async fn dial(&self, order: &[u32], limits: &Limits) -> Result<(Socket, u32)> {
        let number = self.dialled.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.sorted(order).into_iter();
        let mut attempts = JoinSet::new();
        // What this machine lacks says more than that another address does not answer.
        let mut shortage = None;
        loop {
            if let Some(index) = waiting.next() {
                let peer = self.address(index).socket.clone();
                let (limits, how) = (limits.clone(), self.making(number, &peer));
                attempts.spawn_local(async move {
                    (index, Socket::connect_by(&peer, &how, limits).await)
                });
            }
            let Some(joined) = self.next_outcome(&mut attempts, waiting.len()).await else {
                continue;
            };
            let (index, outcome) = joined?;
            let is_at_fault = outcome.as_ref().is_err_and(|e| !is_shortage(e));
            self.address(index).failed.store(is_at_fault, Ordering::Relaxed);
            match outcome {
                Ok(socket) => return Ok((socket, index)),
                Err(e) if attempts.is_empty() && waiting.len() == 0 => {
                    let (index, e) = shortage.unwrap_or((index, e));
                    return Err(self.failure(&self.address(index).socket, e));
                }
                Err(e) if is_shortage(&e) => shortage = Some((index, e)),
                Err(_) => {}
            }
        }
    }

    /// The next attempt to end; `None` when it is time to start another one.
    async fn next_outcome(
        &self,
        attempts: &mut JoinSet<Attempt>,
        waiting: usize,
    ) -> Option<Result<Attempt>> {
        let joined = if waiting == 0 {
            attempts.join_next().await
        } else {
            tokio::time::timeout(CONNECTION_ATTEMPT_DELAY, attempts.join_next()).await.ok()?
        };
        let joined = joined?;
        Some(joined.map_err(|e| {
            Error::new(ErrorKind::Internal, "a connection attempt panicked").caused_by(e)
        }))
    }

    /// How the connection with this number is made.
    fn making(&self, number: usize, peer: &Remote) -> Making {
        let source = match peer {
            Remote::Ip(address) => self.route.source(number, address),
            Remote::Unix(_) => None,
        };
        Making { source, mptcp: self.route.mptcp }
    }

    fn sorted(&self, order: &[u32]) -> Vec<u32> {
        let mut order = order.to_vec();
        order.sort_by_key(|&index| self.address(index).failed.load(Ordering::Relaxed));
        order
    }

    fn address(&self, index: u32) -> &Address {
        &self.addresses[index as usize]
    }

    fn failure(&self, peer: &Remote, error: io::Error) -> Error {
        let callee = &self.callee;
        let kind = match error.raw_os_error() {
            _ if is_shortage(&error) => ErrorKind::ResourceLimit,
            _ if SourceUnusable::is_in(&error) => ErrorKind::Usage,
            Some(libc::ETIMEDOUT) => ErrorKind::TimedOut,
            _ => ErrorKind::Connect,
        };
        let failed = Error::new(kind, format!("cannot connect to {callee} at {peer}"));
        let failed = match kind {
            ErrorKind::ResourceLimit => {
                failed.advise("raise 'ulimit -n' or use fewer connections with -c")
            }
            ErrorKind::Usage => failed.advise("'ip address' lists interfaces and addresses"),
            _ => failed,
        };
        failed.caused_by(error)
    }
}

/// Whether this machine lacks descriptors or memory.
fn is_shortage(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Url;
    use crate::io::driver::{Driver, DriverKind};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    fn limits() -> Limits {
        Limits::alone(Duration::from_secs(5))
    }

    fn driver() -> Driver {
        Driver::new(DriverKind::IoUring).unwrap()
    }

    fn dialer(addresses: Vec<SocketAddr>) -> Dialer {
        let callee = Callee::server(&Url::parse("http://host/").unwrap().origin());
        let addresses = addresses.into_iter().map(Remote::Ip).collect();
        Dialer::new(callee, addresses, Arc::default())
    }

    fn refused() -> SocketAddr {
        // Bound, never listening: connecting is refused, and nobody else gets the port.
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        address
    }

    #[test]
    fn the_order_is_kept_where_all_work() {
        let listeners: Vec<TcpListener> =
            (1..=3).map(|i| TcpListener::bind((format!("127.0.0.{i}"), 0)).unwrap()).collect();
        let dialer = dialer(listeners.iter().map(|l| l.local_addr().unwrap()).collect());
        assert_eq!(dialer.addresses(), 3);
        let driver = driver();
        for first in 0..3u32 {
            let order = [first, (first + 1) % 3];
            let (socket, index) = driver.run(dialer.dial(&order, &limits())).unwrap();
            assert_eq!(index, first);
            let expected = listeners[first as usize].local_addr().unwrap();
            assert_eq!(*socket.peer(), Remote::Ip(expected));
        }
    }

    #[test]
    fn a_refused_address_is_skipped_and_remembered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let dialer = dialer(vec![refused(), good]);
        let driver = driver();
        for _ in 0..4 {
            let (socket, index) = driver.run(dialer.dial(&[0, 1], &limits())).unwrap();
            assert_eq!((socket.peer(), index), (&Remote::Ip(good), 1));
        }
        assert_eq!(dialer.sorted(&[0, 1]), [1, 0], "the refused one comes last");
    }

    #[test]
    fn all_refused_is_one_error_that_names_the_address() {
        let bad = refused();
        let error = driver().run(dialer(vec![bad]).dial(&[0], &limits())).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains(&bad.to_string()), "{error}");
    }

    #[test]
    fn a_silent_address_gets_company() {
        // A full accept queue drops further SYNs: the attempt hangs as on a dead route.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let silent = listener.local_addr().unwrap();
        let fill: Vec<_> = (0..4)
            .map(|_| std::net::TcpStream::connect_timeout(&silent, Duration::from_millis(50)))
            .collect();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialer = dialer(vec![silent, good.local_addr().unwrap()]);
        let (socket, _) = driver().run(dialer.dial(&[0, 1], &limits())).unwrap();
        assert_eq!(*socket.peer(), Remote::Ip(good.local_addr().unwrap()));
        drop(fill);
    }
}
