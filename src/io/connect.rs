//! How a socket is made and connected: to an IP address or to a socket of the file system, from an
//! interface or an address, as TCP or Multipath TCP.

use super::interfaces;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use tokio::net::TcpSocket;

/// What a socket is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remote {
    /// An address and a port.
    Ip(SocketAddr),
    /// A socket of the file system.
    Unix(PathBuf),
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Where connections leave this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A network interface.
    Device(String),
    /// An address of this machine.
    Address(IpAddr),
}

impl Source {
    /// Whether connections to `peer` can start there.
    pub fn suits(&self, peer: &SocketAddr) -> bool {
        match self {
            Self::Device(_) => true,
            Self::Address(address) => address.is_ipv4() == peer.is_ipv4(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// How a connection to an IP address is made.
#[derive(Debug, Clone, Default)]
pub struct Making {
    /// Where it leaves this machine; `None` for what the routes say.
    pub source: Option<Source>,
    /// It is Multipath TCP, where the kernel and the server have that.
    pub mptcp: bool,
}

/// The source cannot be used, whoever is called.
#[derive(Debug)]
pub struct SourceUnusable {
    source: Source,
    cause: io::Error,
}

impl SourceUnusable {
    /// Whether this is what the error says.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }

    fn from(source: &Source, cause: io::Error) -> io::Error {
        io::Error::other(Self { source: source.clone(), cause })
    }
}

impl fmt::Display for SourceUnusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the interface '{}' cannot be used: {}", self.source, self.cause)
    }
}

impl StdError for SourceUnusable {}

/// A connected, non-blocking stream socket.
pub(super) struct Connected {
    /// Whatever family it has.
    pub(super) stream: TcpStream,
    /// Whether it is Multipath TCP; `None` if it was not to be.
    pub(super) is_multipath: Option<bool>,
}

/// Connects to `remote`. Dropping the future gives the attempt up.
pub(super) async fn connect(remote: &Remote, how: &Making) -> io::Result<Connected> {
    let peer = match remote {
        Remote::Ip(peer) => *peer,
        Remote::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?.into_std()?;
            return Ok(Connected { stream: OwnedFd::from(stream).into(), is_multipath: None });
        }
    };
    let stream = if how.source.is_none() && !how.mptcp {
        tokio::net::TcpStream::connect(peer).await?
    } else {
        let socket = make(&peer, how.mptcp)?;
        if let Some(source) = &how.source {
            leave_from(&socket, source, &peer).map_err(|e| SourceUnusable::from(source, e))?;
        }
        socket.connect(peer).await?
    };
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let is_multipath = how.mptcp.then(|| is_multipath(&stream));
    Ok(Connected { stream, is_multipath })
}

/// A socket for `peer`; of Multipath TCP if that is wanted and to be had.
fn make(peer: &SocketAddr, mptcp: bool) -> io::Result<TcpSocket> {
    if mptcp {
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let made = socket_with(family, SocketType::STREAM, flags, Some(ipproto::MPTCP));
        // A kernel without it, or one that is told not to: the caller gets what there is.
        if let Ok(fd) = made {
            return Ok(TcpSocket::from_std_stream(fd.into()));
        }
    }
    if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

/// Binds the socket to its source. Where the kernel keeps devices to the privileged, to the
/// device's address, which routes may or may not honour.
fn leave_from(socket: &TcpSocket, source: &Source, peer: &SocketAddr) -> io::Result<()> {
    let name = match source {
        Source::Address(address) => return socket.bind(SocketAddr::new(*address, 0)),
        Source::Device(name) => name,
    };
    match socket.bind_device(Some(name.as_bytes())) {
        Err(refused) if refused.kind() == io::ErrorKind::PermissionDenied => {
            let addresses = interfaces::addresses(name)?;
            let suits = |address: &IpAddr| address.is_ipv4() == peer.is_ipv4();
            let address = addresses.into_iter().find(suits).ok_or(refused)?;
            socket.bind(SocketAddr::new(address, 0))
        }
        bound => bound,
    }
}

/// `SOL_MPTCP` and `MPTCP_INFO` of linux/mptcp.h.
const SOL_MPTCP: libc::c_int = 284;
const MPTCP_INFO: libc::c_int = 1;
/// The start of `struct mptcp_info`: six counters of one byte, two of padding, and the flags.
const INFO_BYTES: usize = 12;
const FLAGS_AT: usize = 8;
/// `MPTCP_INFO_FLAG_FALLBACK`.
const FLAG_FALLBACK: u32 = 1;

/// Whether both ends speak Multipath TCP on this connection.
fn is_multipath(stream: &TcpStream) -> bool {
    let mut info = [0; INFO_BYTES];
    #[allow(clippy::cast_possible_truncation, reason = "twelve bytes")]
    let mut len = INFO_BYTES as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `info`, which outlives the call.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            SOL_MPTCP,
            MPTCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    let flags = info[FLAGS_AT..].first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    // A connection that has fallen back knows no options of this kind, or says so.
    status == 0 && flags & FLAG_FALLBACK == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::driver::{Driver, DriverKind};
    use std::net::{Ipv4Addr, TcpListener};

    fn connect_by(how: &Making) -> (io::Result<Connected>, TcpListener) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let remote = Remote::Ip(listener.local_addr().unwrap());
        let connected = Driver::new(DriverKind::Epoll).unwrap().run(connect(&remote, how));
        (connected, listener)
    }

    #[test]
    fn sources_are_left_from() {
        let from = |source| Making { source: Some(source), mptcp: false };
        let address = IpAddr::from([127, 0, 0, 7]);
        let (connected, listener) = connect_by(&from(Source::Address(address)));
        let _connected = connected.unwrap();
        assert_eq!(listener.accept().unwrap().1.ip(), address);
        let (connected, _) = connect_by(&from(Source::Device("lo".into())));
        assert!(connected.is_ok());
        for source in
            [Source::Device("no-such-dev".into()), Source::Address(IpAddr::from([192, 0, 2, 1]))]
        {
            let shown = source.to_string();
            let error = connect_by(&from(source)).0.err().unwrap();
            assert!(SourceUnusable::is_in(&error), "{error:?}");
            assert!(error.to_string().contains(&shown), "{error}");
        }
    }

    #[test]
    fn multipath_is_tcp_where_the_server_has_none() {
        let (connected, listener) = connect_by(&Making { source: None, mptcp: true });
        let connected = connected.unwrap();
        assert_eq!(connected.is_multipath, Some(false), "the listener speaks TCP");
        listener.accept().unwrap();
    }
}
