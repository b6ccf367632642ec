//! A socket by readiness: wait until the kernel says that something can be moved, then move it
//! without waiting. SO_RCVLOWAT holds for readiness as well (Linux 4.18), so a receive wakes as
//! seldom as on a ring.

use super::super::receive::{Receive, Target};
use rustix::net::{SendFlags, send};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A connected, non-blocking socket that epoll knows.
pub struct Ready {
    socket: AsyncFd<Arc<OwnedFd>>,
    /// An error that came behind bytes. The kernel tells it once, and the bytes go first.
    error: Cell<Option<io::Error>>,
}

impl Ready {
    /// Tells epoll of the socket; call inside the runtime.
    pub fn new(fd: Arc<OwnedFd>) -> io::Result<Self> {
        // SAFETY: the socket is open for as long as the value holds a share of it.
        let socket = unsafe { AsyncFd::register(fd) }?;
        Ok(Self { socket, error: Cell::new(None) })
    }

    /// The socket's descriptor.
    pub fn fd(&self) -> &Arc<OwnedFd> {
        self.socket.get_ref()
    }

    /// Receives up to `len` bytes into the target's room; 0 is the end of the stream.
    pub async fn receive<T: Target>(
        &self,
        mut target: T,
        len: usize,
        mode: Receive,
    ) -> (io::Result<usize>, T) {
        if let Some(error) = self.error.take() {
            return (Err(error), target);
        }
        let len = len.min(target.room());
        let mut filled = 0;
        while filled < len {
            let wanted = len - filled;
            let received = self.when(Interest::READABLE, wanted, || {
                // SAFETY: `filled` is below `len`, which the room holds.
                let start = unsafe { target.start().add(filled) };
                // SAFETY: the target owns `wanted` writable bytes from there on, and the call ends
                // before it is used otherwise.
                let result = unsafe {
                    libc::recv(self.fd().as_raw_fd(), start.cast(), wanted, libc::MSG_DONTWAIT)
                };
                usize::try_from(result).map_err(|_| io::Error::last_os_error())
            });
            match received.await {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if filled == 0 => return (Err(error), target),
                Err(error) => {
                    self.error.set(Some(error));
                    break;
                }
            }
            if mode == Receive::Some {
                break;
            }
        }
        (Ok(filled), target)
    }

    /// Sends some of `bytes`; a closed peer is an error, not a signal.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        self.when(Interest::WRITABLE, bytes.len(), || Ok(send(self.fd(), bytes, flags)?)).await
    }

    /// Tries `operation`, which moves at most `wanted` bytes, whenever the socket is ready for it,
    /// until it has an outcome.
    async fn when(
        &self,
        interest: Interest,
        wanted: usize,
        mut operation: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let mut ready = self.socket.ready(interest).await?;
            match operation() {
                Ok(moved) => {
                    if (1..wanted).contains(&moved) {
                        // No more was there: whatever comes, epoll says so again.
                        ready.clear_ready();
                    }
                    return Ok(moved);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
