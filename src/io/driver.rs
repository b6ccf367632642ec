//! What drives the I/O of a thread: a ring, or epoll where the kernel refuses one. Both have this
//! one face; who uses it need not know which of them it is.
//!
//! A thread runs one driver at a time, and what is awaited inside [`Driver::run`] belongs to it.

use super::buffers::{Block, Pool};
use super::epoll::{Reactor, Ready, Writers};
use super::receive::{Receive, Target};
use super::uring::{self, Ring};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

/// Which driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverKind {
    /// One io_uring: the kernel fills and writes blocks by itself.
    IoUring,
    /// Readiness through epoll, and threads that write; runs on any Linux from 4.18 on.
    Epoll,
}

#[cfg(test)]
impl DriverKind {
    /// What both can do is tested with both.
    pub(crate) const BOTH: [Self; 2] = [Self::IoUring, Self::Epoll];
}

/// One thread's driver. Belongs to the thread that made it.
pub struct Driver {
    inner: Inner,
}

enum Inner {
    IoUring(Ring),
    Epoll(Reactor),
}

/// What runs on this thread.
#[derive(Clone)]
enum Running {
    IoUring,
    Epoll(Rc<Writers>),
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

impl Driver {
    /// Sets it up; the error is the kernel's.
    pub fn new(kind: DriverKind) -> io::Result<Self> {
        let inner = match kind {
            DriverKind::IoUring => Inner::IoUring(Ring::new()?),
            DriverKind::Epoll => Inner::Epoll(Reactor::new()?),
        };
        Ok(Self { inner })
    }

    /// Which one it is.
    pub fn kind(&self) -> DriverKind {
        match &self.inner {
            Inner::IoUring(_) => DriverKind::IoUring,
            Inner::Epoll(_) => DriverKind::Epoll,
        }
    }

    /// Runs `future` to its end, then waits until nothing is in flight any more. Sockets whose
    /// operations are abandoned must be dropped by then, which shuts them down.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        match &self.inner {
            Inner::IoUring(ring) => {
                let _entered = Entered::new(Running::IoUring);
                ring.run(future)
            }
            Inner::Epoll(reactor) => {
                let _entered = Entered::new(Running::Epoll(reactor.writers().clone()));
                reactor.run(future)
            }
        }
    }
}

/// Starts `future` beside the caller on this thread's driver.
pub fn spawn<F: Future<Output = ()> + 'static>(future: F) {
    // The handle is not needed: completion is counted by whoever spawns. Both drivers run tokio's
    // local tasks.
    drop(tokio::task::spawn_local(future));
}

/// Registers the first `blocks` blocks of the pool, the ones that are used most, with the ring of
/// this thread, if the memlock limit allows it; call inside [`Driver::run`]. Registered memory is
/// resident at once. Without it everything works the same; with epoll there is nothing to register
/// with, and nothing happens.
pub fn register(pool: &Pool, blocks: u32) -> io::Result<()> {
    match running() {
        Running::IoUring => uring::register(pool, blocks),
        Running::Epoll(_) => Ok(()),
    }
}

/// Writes bytes of `block[from..to]` at `offset` and returns how many, as a write may end early.
/// The operation owns block and descriptor until it has ended, even if its future is dropped
/// before.
pub async fn write(
    fd: &Arc<OwnedFd>,
    block: Block,
    from: usize,
    to: usize,
    offset: u64,
) -> io::Result<usize> {
    match running() {
        Running::IoUring => uring::ops::write(fd, block, from, to, offset).await,
        Running::Epoll(writers) => writers.write(fd, block, from, to, offset).await,
    }
}

/// Operations of this thread that have not ended; call inside [`Driver::run`].
pub fn in_flight() -> usize {
    match running() {
        Running::IoUring => uring::ops::in_flight(),
        Running::Epoll(writers) => writers.in_flight(),
    }
}

/// A connected socket as this thread's driver holds it.
pub enum Channel {
    /// Blocking, so that the kernel waits instead of answering EAGAIN.
    IoUring(Arc<OwnedFd>),
    /// Non-blocking, and known to epoll.
    Epoll(Ready),
}

impl Channel {
    /// Takes a connected, non-blocking socket over; call inside [`Driver::run`].
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        match running() {
            Running::IoUring => {
                stream.set_nonblocking(false)?;
                Ok(Channel::IoUring(Arc::new(stream.into())))
            }
            Running::Epoll(_) => Ok(Channel::Epoll(Ready::new(Arc::new(stream.into()))?)),
        }
    }

    /// The socket's descriptor.
    pub fn fd(&self) -> &Arc<OwnedFd> {
        match self {
            Channel::IoUring(fd) => fd,
            Channel::Epoll(ready) => ready.fd(),
        }
    }

    /// Receives up to `len` bytes into the target's room; 0 is the end of the stream.
    pub async fn receive<T: Target>(
        &self,
        target: T,
        len: usize,
        mode: Receive,
    ) -> (io::Result<usize>, T) {
        match self {
            Channel::IoUring(fd) => uring::ops::receive(fd, target, len, mode).await,
            Channel::Epoll(ready) => ready.receive(target, len, mode).await,
        }
    }

    /// Sends some of `bytes[from..]`; a closed peer is an error, not a signal.
    pub async fn send(&self, bytes: Vec<u8>, from: usize) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Channel::IoUring(fd) => uring::ops::send(fd, bytes, from).await,
            Channel::Epoll(ready) => (ready.send(&bytes[from..]).await, bytes),
        }
    }
}

fn running() -> Running {
    RUNNING.with_borrow(|running| running.clone().expect("called inside Driver::run"))
}

/// Names what runs on this thread until it is dropped.
struct Entered {
    before: Option<Running>,
}

impl Entered {
    fn new(running: Running) -> Self {
        Self { before: RUNNING.replace(Some(running)) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        RUNNING.set(self.before.take());
    }
}
