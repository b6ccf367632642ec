//! One accepted socket, plain or TLS, and the ways it can end.
//!
//! Must not know HTTP, time or the script.

use super::effects::Ending;
use crate::base::limits::{SERVER_LINGER, SERVER_PIECE_BYTES};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::net::sockopt::set_socket_linger;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes in, bytes out.
pub(super) struct Wire {
    socket: Arc<TcpStream>,
    tls: Option<Box<ServerConnection>>,
}

impl Wire {
    /// Over `socket`; the handshake happens with the first read.
    pub(super) fn new(socket: Arc<TcpStream>, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = match tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config));
                let mut connection = Box::new(connection.map_err(io::Error::other)?);
                connection.set_buffer_limit(Some(SERVER_PIECE_BYTES));
                Some(connection)
            }
            None => None,
        };
        Ok(Self { socket, tls })
    }

    /// Some bytes; 0 when the client has closed its side.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut &*self.socket).read(bytes),
            None => (&*self.socket).read(bytes),
        }
    }

    /// Whether bytes go as they are, so that the kernel can send them from a file by itself.
    pub(super) fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// All of `bytes`, handed to the kernel before this returns, over a plain connection; they may
    /// wait there for what follows.
    pub(super) fn write_start(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            match rustix::net::send(&*self.socket, bytes, flags) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// `[offset, offset + bytes)` of `file`, handed to the kernel by reference before this
    /// returns, over a plain connection.
    pub(super) fn send_file(&self, file: &File, mut offset: u64, bytes: usize) -> io::Result<()> {
        let mut left = bytes;
        while left > 0 {
            match sendfile(&*self.socket, file, Some(&mut offset), left) {
                // It has become shorter than it was.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(sent) => left -= sent,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// All of `bytes`, handed to the kernel before this returns.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return (&*self.socket).write_all(bytes);
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = tls.writer().write(rest)?;
            rest = &rest[taken..];
            send_records(tls, &self.socket)?;
        }
        Ok(())
    }

    /// Whether the client has sent bytes that nobody has read yet.
    pub(super) fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(&*self.socket).is_ok_and(|bytes| bytes > 0)
    }

    /// Whether the TLS handshake resumed an earlier session.
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
                    send_records(tls, &self.socket)?;
                }
                self.socket.shutdown(Shutdown::Write)?;
                self.drain(Some(Instant::now() + SERVER_LINGER))
            }
            Ending::Stall => self.drain(None),
        }
    }

    /// With a linger time of zero the close that follows is a reset.
    pub(super) fn reset_when_closed(&self) -> io::Result<()> {
        Ok(set_socket_linger(&*self.socket, Some(Duration::ZERO))?)
    }

    /// Reads and drops until the client leaves: closing over unread bytes would be a reset.
    fn drain(&self, until: Option<Instant>) -> io::Result<()> {
        let mut dropped = [0; 4096];
        loop {
            if let Some(until) = until {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(());
                }
                self.socket.set_read_timeout(Some(left))?;
            }
            if (&*self.socket).read(&mut dropped)? == 0 {
                return Ok(());
            }
        }
    }
}

fn send_records(tls: &mut ServerConnection, mut socket: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(&mut socket)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}
