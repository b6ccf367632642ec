//! One accepted socket, plain or TLS, and the ways it can end.
//!
//! Owns what happens when a time is up. Must not know HTTP, the script or how long is too long.

use super::patience::Patience;
use crate::base::limits::{SERVER_LINGER, SERVER_PIECE_BYTES, SERVER_UNREAD_TRIES};
use crate::server::faults::effects::Ending;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::sendfile;
use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_linger;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes in, bytes out.
pub(super) struct Transport {
    socket: Arc<TcpStream>,
    /// Reads fail from then on; `None` is never.
    read_until: Option<Instant>,
    tls: Option<Box<ServerConnection>>,
}

/// The socket for reads and writes that end in time.
struct Timed<'a> {
    socket: &'a TcpStream,
    read_until: Option<Instant>,
}

impl Transport {
    /// Over `socket`; the handshake happens with the first read.
    pub(super) fn new(
        socket: Arc<TcpStream>,
        tls: Option<&Arc<ServerConfig>>,
        patience: &Patience,
    ) -> io::Result<Self> {
        // Zero would be no limit.
        let try_max = (patience.unread_max / SERVER_UNREAD_TRIES).max(Duration::from_millis(1));
        socket.set_write_timeout(Some(try_max))?;
        let tls = match tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config));
                let mut connection = Box::new(connection.map_err(io::Error::other)?);
                connection.set_buffer_limit(Some(SERVER_PIECE_BYTES));
                Some(connection)
            }
            None => None,
        };
        Ok(Self { socket, read_until: None, tls })
    }

    /// Where the client is.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.socket.peer_addr().map(|address| address.ip()).ok()
    }

    /// Reads fail from `until` on, as timed out; `None` is never.
    pub(super) fn read_until(&mut self, until: Option<Instant>) {
        self.read_until = until;
    }

    /// Some bytes; 0 when the client has closed its side.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut timed = Timed { socket: &self.socket, read_until: self.read_until };
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut timed)
                .read(bytes)
                .inspect_err(|e| self.tell_why(e)),
            None => timed.read(bytes),
        }
    }

    /// Where TLS has refused the client, it is to get the alert: closing over unread bytes, such as
    /// a request that was sent meanwhile, would be a reset.
    fn tell_why(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::InvalidData
            && self.socket.shutdown(Shutdown::Write).is_ok()
        {
            // The client may leave as it likes.
            let _ = self.drain(Some(Instant::now() + SERVER_LINGER));
        }
    }

    /// Indicates whether there is no TLS, so that the kernel can send a file by itself.
    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// All of `bytes`, handed to the kernel before this returns, over a plain connection; they may
    /// wait there for what follows.
    pub(super) fn write_start(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            let send = |socket: &_| Ok(rustix::net::send(socket, bytes, flags)?);
            let sent = self.timed().send(send)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// `[offset, offset + bytes)` of `file`, handed to the kernel by reference before this
    /// returns, over a plain connection.
    pub(super) fn send_file(&self, file: &File, mut offset: u64, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let send = |socket: &_| Ok(sendfile(socket, file, Some(&mut offset), left)?);
            match self.timed().send(send)? {
                // It has become shorter than it was.
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                sent => left -= sent,
            }
        }
        Ok(())
    }

    /// All of `bytes`, handed to the kernel before this returns.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut timed = Timed { socket: &self.socket, read_until: None };
        let Some(tls) = &mut self.tls else {
            return timed.write_all(bytes);
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = tls.writer().write(rest)?;
            rest = &rest[taken..];
            send_records(tls, &mut timed)?;
        }
        Ok(())
    }

    /// Indicates whether the client has sent bytes that are not read yet.
    pub(super) fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&*self.socket).is_ok_and(|bytes| bytes > 0)
    }

    /// Indicates whether the kernel has room for more bytes, as it has if the client keeps up.
    pub(super) fn has_room(&self) -> bool {
        let mut polled = [PollFd::new(&*self.socket, PollFlags::OUT)];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Indicates whether the TLS handshake resumed an earlier session.
    pub(super) fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    /// Ends the connection in the given way.
    pub(super) fn end(mut self, ending: Ending) -> io::Result<()> {
        match ending {
            Ending::Reset => self.reset_when_closed(),
            Ending::Close { close_notify } => {
                if let Some(tls) = self.tls.as_mut().filter(|_| close_notify) {
                    tls.send_close_notify();
                    send_records(tls, &mut Timed { socket: &self.socket, read_until: None })?;
                }
                self.socket.shutdown(Shutdown::Write)?;
                self.drain(Some(Instant::now() + SERVER_LINGER))
            }
            Ending::Stall => self.stall(),
        }
    }

    /// Silence until the client leaves or the server stops.
    pub(super) fn stall(&self) -> io::Result<()> {
        self.drain(None)
    }

    /// The close that follows is a reset.
    pub(super) fn reset_when_closed(&self) -> io::Result<()> {
        reset_when_closed(&self.socket)
    }

    /// Reads and drops until the client leaves: closing over unread bytes would be a reset.
    fn drain(&self, until: Option<Instant>) -> io::Result<()> {
        let mut dropped = [0; 4096];
        let mut timed = Timed { socket: &self.socket, read_until: until };
        loop {
            match timed.read(&mut dropped) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    fn timed(&self) -> Timed<'_> {
        Timed { socket: &self.socket, read_until: self.read_until }
    }
}

impl Timed<'_> {
    /// Has `send` hand bytes to the kernel. If not one byte found room in all the time there is,
    /// what the client has not got is thrown away when the connection closes.
    fn send(&self, mut send: impl FnMut(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        let mut tries_left = SERVER_UNREAD_TRIES;
        while tries_left > 0 {
            match send(self.socket) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => tries_left -= 1,
                sent => return sent,
            }
        }
        reset_when_closed(self.socket)?;
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let now = Instant::now();
        let left = self.read_until.map(|until| until.saturating_duration_since(now));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(left)?;
        let mut socket = self.socket;
        socket.read(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => e,
        })
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(|mut socket| socket.write(bytes))
    }

    /// All records that TLS has ready go with one call.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(|mut socket| socket.write_vectored(pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send_records(tls: &mut ServerConnection, socket: &mut Timed<'_>) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(socket)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

/// With a linger time of zero the close that follows is a reset.
pub(super) fn reset_when_closed(socket: &TcpStream) -> io::Result<()> {
    Ok(set_socket_linger(socket, Some(Duration::ZERO))?)
}
