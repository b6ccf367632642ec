//! A TCP socket as a worker sees it: connect, send, fill a target; stalls are found and ended.
//!
//! Connecting goes through readiness with every driver, because racing addresses (RFC 8305) means
//! dropping attempts, and only readiness futures may simply be dropped.

use super::connect::{self, Making, Remote};
use super::descriptors;
use super::driver::Channel;
use super::patience::{Due, Limits, Patience, Stall};
use super::receive::{Receive, Target};
use super::tcp_info::TcpInfo;
use super::throttle::{Granted, Purpose, Throttled};
use crate::base::limits::DESCRIPTORS_SPARE;
use rustix::net::Shutdown;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Upper bound of SO_RCVLOWAT. Waking per 512 KiB instead of per packet burst cut the context
/// switches of a 64 MiB receive from 2024 to 121; larger values delay without saving more.
const LOW_WATER_BYTES_MAX: usize = 512 * 1024;

/// With no byte to come behind it, a receive of more than this is halved, so that all but the last
/// part can still sleep until much of it is there.
const LAST_PIECE_BYTES: usize = 128 * 1024;

#[allow(clippy::cast_possible_truncation, reason = "four bytes")]
const INT_BYTES: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// A connected socket. Dropping it shuts it down, which ends whatever the kernel still does on it.
pub struct Socket {
    channel: Channel,
    peer: Remote,
    /// Whether it is Multipath TCP; `None` if it was not to be.
    is_multipath: Option<bool>,
    patience: RefCell<Patience>,
    /// Why it was shut, if that was for want of patience.
    stall: Cell<Option<Stall>>,
    /// Bytes that receives have returned since the connection was made.
    received_bytes: Cell<u64>,
    low_water: Cell<usize>,
    /// The limit of the rate, if there is one.
    throttled: RefCell<Option<Throttled>>,
}

impl Socket {
    /// Connects to `peer`. Dropping the future gives the attempt up. Once `limits` are reached a
    /// send or receive fails with `TimedOut`, and [`Socket::stall`] says why. Beside others of the
    /// same line it is refused (EMFILE) before it takes what the rest of the transfer needs.
    pub async fn connect(peer: SocketAddr, limits: Limits) -> io::Result<Self> {
        Self::connect_by(&Remote::Ip(peer), &Making::default(), limits).await
    }

    /// The same, made in this way.
    pub async fn connect_by(remote: &Remote, how: &Making, limits: Limits) -> io::Result<Self> {
        if limits.has_connections() && descriptors::left().is_some_and(|it| it <= DESCRIPTORS_SPARE)
        {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let connected = connect::connect(remote, how).await?;
        let throttled = RefCell::new(limits.throttle().cloned().map(Throttled::new));
        Ok(Self {
            channel: Channel::new(connected.stream)?,
            peer: remote.clone(),
            is_multipath: connected.is_multipath,
            patience: RefCell::new(Patience::new(limits)),
            stall: Cell::new(None),
            received_bytes: Cell::new(0),
            low_water: Cell::new(1),
            throttled,
        })
    }

    /// From here on the waits of another transfer hold.
    pub fn set_limits(&mut self, limits: Limits) {
        self.throttled.replace(limits.throttle().cloned().map(Throttled::new));
        self.patience.replace(Patience::new(limits));
    }

    /// From here on this is waited for.
    pub fn expect(&self, due: Due) {
        self.patience.borrow_mut().expect(due);
    }

    /// Counts `bytes` more bytes of what was received as payload.
    pub fn pay(&self, bytes: u64) {
        if let Some(throttled) = self.throttled.borrow_mut().as_mut() {
            throttled.pay(bytes);
        }
        self.patience.borrow_mut().pay(bytes);
    }

    /// Sets how many `bytes` of what was received wait to be decrypted.
    pub fn stage(&self, bytes: usize) {
        self.patience.borrow_mut().stage(bytes as u64);
    }

    /// Why the connection counts as stalled, if it does.
    pub fn stall(&self) -> Option<Stall> {
        self.stall.get()
    }

    /// The address at the other end.
    pub fn peer(&self) -> &Remote {
        &self.peer
    }

    /// Whether it is Multipath TCP; `None` if it was not to be.
    pub fn is_multipath(&self) -> Option<bool> {
        self.is_multipath
    }

    /// Sends all of `bytes`.
    pub async fn send(&self, mut bytes: Vec<u8>) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            let (result, returned) = self.watch(self.channel.send(bytes, sent)).await;
            bytes = returned;
            sent += self.explain(result)?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Receives whatever has arrived, at most `len` bytes, once there is something; 0 is the end
    /// of the stream.
    pub async fn receive_some<T: Target>(&self, target: T, len: usize) -> (io::Result<usize>, T) {
        let (len, grant) = self.granted(len).await;
        let (result, target) = self.receive(target, len, Receive::Some, 1).await;
        self.use_up(grant, &result);
        (result, target)
    }

    /// Receives up to `len` bytes in as few wakeups as possible; 0 is the end of the stream. The
    /// caller promises that `len` bytes will come unless the peer fails, and `more` behind them.
    /// Fewer are returned at the end of the stream, when the peer stalls, and near the end.
    pub async fn receive_all<T: Target>(
        &self,
        target: T,
        len: usize,
        more: u64,
    ) -> (io::Result<usize>, T) {
        if !self.is_plain_tcp() {
            return self.receive_some(target, len).await;
        }
        let all = len;
        let (len, grant) = self.granted(all).await;
        let more = more.saturating_add((all - len) as u64);
        let halve = more == 0 && len > LAST_PIECE_BYTES;
        let now = if halve { len / 2 } else { len };
        // The kernel looks at the mark again after each partial copy, when up to `now - 1` bytes
        // are already taken: a mark above what comes behind them would sleep for ever.
        let behind = usize::try_from(more).unwrap_or(usize::MAX).saturating_add(len - now);
        let low_water = (now / 2).min(behind).clamp(1, LOW_WATER_BYTES_MAX);
        let (result, target) = self.receive(target, now, Receive::All, low_water).await;
        self.use_up(grant, &result);
        (result, target)
    }

    /// How many of `len` bytes may be received at once, waited for as long as the limit of the rate
    /// asks; all of them without one. A wait for that is not the peer's.
    async fn granted(&self, len: usize) -> (usize, Option<Granted>) {
        let (grant, at, waiting) = {
            let throttled = self.throttled.borrow();
            let Some(throttled) = throttled.as_ref() else { return (len, None) };
            let purpose = match self.patience.borrow().due() {
                Due::Anything => return (len, None),
                Due::Whole => Purpose::Head,
                Due::Body => Purpose::Body,
            };
            let (grant, at) = throttled.grant(purpose, len);
            (grant, at, (at > Instant::now()).then(|| throttled.wait()))
        };
        if waiting.is_some() {
            tokio::time::sleep_until(at.into()).await;
        }
        (grant.bytes, Some(grant))
    }

    /// A receive by this grant has ended.
    fn use_up(&self, grant: Option<Granted>, result: &io::Result<usize>) {
        let (Some(grant), Ok(received)) = (grant, result) else { return };
        if let Some(throttled) = self.throttled.borrow_mut().as_mut() {
            throttled.use_up(grant, *received);
        }
    }

    async fn receive<T: Target>(
        &self,
        target: T,
        len: usize,
        mode: Receive,
        low_water: usize,
    ) -> (io::Result<usize>, T) {
        self.set_low_water(low_water);
        let (result, target) = self.watch(self.channel.receive(target, len, mode)).await;
        let received = *result.as_ref().unwrap_or(&0) as u64;
        self.received_bytes.set(self.received_bytes.get() + received);
        (self.explain(result), target)
    }

    /// A handle for others, also on other threads.
    pub fn handle(&self) -> SocketHandle {
        let throttled = self.throttled.borrow();
        let is_waiting = throttled.as_ref().map(|throttled| throttled.waiting().clone());
        SocketHandle { fd: self.channel.fd().clone(), is_waiting }
    }

    /// Whether TCP_INFO tells all that arrives while a receive sleeps in the kernel, so that it may
    /// sleep long without being taken for stalled.
    fn is_plain_tcp(&self) -> bool {
        matches!(self.peer, Remote::Ip(_)) && self.is_multipath.is_none()
    }

    fn shutdown(&self) {
        self.handle().shutdown();
    }

    /// Waits for `operation`, but ends the socket once patience is over. A wait counts as no longer
    /// than it was meant to be: a process that was stopped meanwhile has not waited.
    async fn watch<F: Future>(&self, operation: F) -> F::Output {
        let mut operation = pin!(operation);
        loop {
            let Some(wait) = self.patience.borrow_mut().next_look() else { break };
            let began = Instant::now();
            let ended = tokio::time::timeout(wait, operation.as_mut()).await;
            if let Ok(output) = ended {
                self.patience.borrow_mut().ended(began.elapsed().min(wait));
                return output;
            }
            let info = self.handle().tcp_info();
            let received = info.map_or(0, |info| info.received_bytes);
            let unread = received.saturating_sub(self.received_bytes.get());
            let traffic = info.map(|info| info.received_bytes + info.sent_bytes);
            self.patience.borrow_mut().look(wait, unread, traffic);
        }
        self.stall.set(self.patience.borrow().stall());
        self.shutdown();
        operation.await
    }

    /// A socket we shut down as it was stalled reads as ended; say why.
    fn explain(&self, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Ok(0) | Err(_) if self.stall().is_some() => Err(io::ErrorKind::TimedOut.into()),
            other => other,
        }
    }

    fn set_low_water(&self, bytes: usize) {
        if self.low_water.replace(bytes) == bytes {
            return;
        }
        let value = libc::c_int::try_from(bytes).expect("clamped to 512 KiB");
        // SAFETY: the option takes one int, which outlives the call. A failure only costs wakeups.
        unsafe {
            libc::setsockopt(
                self.channel.fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVLOWAT,
                std::ptr::from_ref(&value).cast(),
                INT_BYTES,
            );
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A socket seen from outside: it can be looked at and ended, not read. Keeps the descriptor open.
#[derive(Clone)]
pub struct SocketHandle {
    fd: Arc<OwnedFd>,
    /// Indicates whether it waits for the limit of the rate, if there is one.
    is_waiting: Option<Arc<AtomicBool>>,
}

impl SocketHandle {
    /// Ends both directions: whatever waits on this socket completes.
    pub fn shutdown(&self) {
        // The peer may have closed already; then there is nothing to end.
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
    }

    /// Whether it is not read now, as a limit of the rate holds that back.
    pub fn is_throttled(&self) -> bool {
        self.is_waiting.as_ref().is_some_and(|waits| waits.load(Ordering::Relaxed))
    }

    /// What the kernel knows of the connection.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        TcpInfo::of(self.fd.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::buffers::Pool;
    use crate::io::driver::{self, Driver, DriverKind};
    use crate::io::receive::Staging;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Runs `test` with a connection of each driver.
    fn with_each(limit: Duration, test: impl Fn(&Driver, Socket, TcpStream)) {
        for kind in DriverKind::BOTH {
            let driver = Driver::new(kind).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let socket = driver.run(Socket::connect(address, Limits::alone(limit))).unwrap();
            test(&driver, socket, listener.accept().unwrap().0);
        }
    }

    /// Receives until `bytes` are there, and checks that all of them are `value`.
    async fn expect_bytes(socket: &Socket, bytes: usize, value: u8) {
        let pool = Pool::new(1).unwrap();
        let mut lease = pool.lease().await;
        while lease.filled() < bytes {
            let missing = bytes - lease.filled();
            let (result, returned) = socket.receive_all(lease, missing, 0).await;
            lease = returned;
            let received = result.unwrap();
            assert_ne!(received, 0, "ended after {} bytes", lease.filled());
            lease.advance(received);
        }
        assert!(lease.freeze().as_ref().iter().all(|b| *b == value));
    }

    #[test]
    fn bytes_go_both_ways() {
        with_each(LIMIT, |driver, socket, mut peer| {
            peer.write_all(&vec![9; 300_000]).unwrap();
            driver.run(async {
                socket.send(b"hello".to_vec()).await.unwrap();
                expect_bytes(&socket, 300_000, 9).await;
            });
            let mut hello = [0; 5];
            peer.read_exact(&mut hello).unwrap();
            assert_eq!(&hello, b"hello");
        });
    }

    /// Marks of wakeups that are set above what comes would sleep until the limit.
    #[test]
    fn pieces_of_any_size_arrive() {
        with_each(LIMIT, |driver, socket, mut peer| {
            let sender = std::thread::spawn(move || {
                for piece in [1, 70_000, 13, 400_000, 4096, 250_000, 7] {
                    peer.write_all(&vec![3; piece]).unwrap();
                }
                peer
            });
            driver.run(async {
                expect_bytes(&socket, 70_001, 3).await;
                expect_bytes(&socket, 654_109, 3).await;
                expect_bytes(&socket, 7, 3).await;
            });
            sender.join().unwrap();
        });
    }

    #[test]
    fn more_than_the_kernel_takes_at_once_is_sent() {
        const BYTES: usize = 16 << 20;
        with_each(LIMIT, |driver, socket, mut peer| {
            let reader = std::thread::spawn(move || {
                let mut received = vec![0; BYTES];
                peer.read_exact(&mut received).unwrap();
                received
            });
            driver.run(socket.send(vec![7; BYTES])).unwrap();
            assert!(reader.join().unwrap().iter().all(|b| *b == 7));
        });
    }

    #[test]
    fn a_silent_peer_times_out_and_partial_bytes_are_kept() {
        with_each(Duration::from_millis(80), |driver, socket, mut peer| {
            peer.write_all(b"abc").unwrap();
            driver.run(async {
                let staging = Staging::new(100);
                let (result, staging) = socket.receive_all(staging, 100, 0).await;
                assert_eq!(result.unwrap(), 3, "what came before the silence");
                let (result, _) = socket.receive_all(staging, 97, 0).await;
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
            });
        });
    }

    #[test]
    fn a_reset_behind_bytes_is_told_after_them() {
        with_each(LIMIT, |driver, socket, mut peer| {
            peer.write_all(b"abc").unwrap();
            rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
            drop(peer);
            driver.run(async {
                let staging = Staging::new(100);
                // On a ring, MSG_WAITALL loses the error behind bytes; where the end of the stream
                // is the end of the body, and so the error matters, it is not asked for.
                let (result, staging) = match driver.kind() {
                    DriverKind::IoUring => socket.receive_some(staging, 100).await,
                    DriverKind::Epoll => socket.receive_all(staging, 100, 1000).await,
                };
                assert_eq!(result.unwrap(), 3, "what came before the reset");
                let (result, _) = socket.receive_some(staging, 97).await;
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            });
        });
    }

    #[test]
    fn a_shutdown_from_elsewhere_ends_a_receive() {
        with_each(LIMIT, |driver, socket, _peer| {
            let handle = socket.handle();
            driver.run(async {
                driver::spawn(async move { handle.shutdown() });
                let (result, _) = socket.receive_all(Staging::new(100), 100, 0).await;
                assert_eq!(result.unwrap(), 0);
            });
        });
    }

    #[test]
    fn dropping_future_and_socket_frees_the_operation() {
        with_each(LIMIT, |driver, socket, _peer| {
            let pool = Pool::new(1).unwrap();
            // `run` returns only once nothing is in flight, so it would hang if drop did not
            // cancel.
            driver.run(async {
                let lease = pool.lease().await;
                let receive = socket.receive_all(lease, 100, 0);
                let waited = tokio::time::timeout(Duration::from_millis(5), receive).await;
                assert!(waited.is_err());
                let is_kernels = driver.kind() == DriverKind::IoUring;
                assert_eq!(driver::in_flight(), usize::from(is_kernels), "who owns the block");
                assert_eq!(pool.free_blocks() == 0, is_kernels);
                drop(socket);
            });
            assert_eq!(pool.free_blocks(), 1);
        });
    }

    #[test]
    fn a_panic_frees_nothing_that_is_in_flight() {
        with_each(LIMIT, |driver, socket, _peer| {
            let pool = Pool::new(1).unwrap();
            let panics = async {
                let receive = socket.receive_all(pool.lease().await, 100, 0);
                let waited = tokio::time::timeout(Duration::from_millis(5), receive).await;
                let is_kernels = driver.kind() == DriverKind::IoUring;
                assert_eq!(driver::in_flight(), usize::from(is_kernels), "who owns the block");
                drop(socket);
                assert!(waited.is_ok(), "this is the panic");
            };
            let panicked = catch_unwind(AssertUnwindSafe(|| driver.run(panics)));
            assert!(panicked.is_err());
            // The first thing that runs then; memory goes with the driver.
            assert_eq!(driver.run(async { driver::in_flight() }), 0, "the kernel has answered");
            assert_eq!(pool.free_blocks(), 1);
        });
    }

    #[test]
    fn the_end_of_the_stream_is_zero() {
        with_each(LIMIT, |driver, socket, peer| {
            drop(peer);
            driver.run(async {
                let (result, _) = socket.receive_some(Staging::new(8), 8).await;
                assert_eq!(result.unwrap(), 0);
            });
        });
    }
}
