//! The listener's thread: accepts, starts one thread per connection, and joins them all.
//!
//! Owns who is let in, and at whose cost. Must not know HTTP.

use super::connection;
use super::outage;
use super::seats::Seat;
use crate::server::Shared;
use crate::server::stop::lock;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of stack of a connection's thread: a TLS handshake without optimisation takes a quarter.
const STACK_BYTES: usize = 512 * 1024;

/// Pause after a failed accept: most often file descriptors have run out and others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Accepts until the server stops, then waits for every connection's thread.
pub(in crate::server) fn run(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let accepted = listener.accept();
        if shared.stop.is_stopped() || outage::is_closed(shared) {
            break;
        }
        match accepted {
            Ok((socket, _)) => threads.extend(admit(shared, socket)),
            Err(e) => {
                if is_out_of_descriptors(&e) {
                    make_room(shared);
                }
                if shared.stop.wait(ACCEPT_PAUSE).is_err() {
                    break;
                }
            }
        }
        threads.retain(|thread| !thread.is_finished());
    }
    // A socket admitted while the server was being stopped, or went away, has been missed there.
    // One that is unreachable keeps its connections.
    if shared.stop.is_stopped() {
        shared.registry.shut_all();
    } else if outage::check_present(shared).is_err() {
        shared.registry.reset_all();
    }
    for thread in threads {
        // A panic has been reported by its own thread; here it only must not stop the others.
        let _ = thread.join();
    }
}

/// Starts the thread of one connection, unless there are too many.
fn admit(shared: &Arc<Shared>, socket: TcpStream) -> Option<JoinHandle<()>> {
    let guest = Guest::arrive(shared, socket)?;
    let serve = move || {
        let socket = Arc::clone(&guest.socket);
        // A client that leaves in the middle is no event.
        let end = connection::serve(&guest.shared, socket, &guest.seat, guest.number);
        if end.is_err_and(|e| e.kind() == io::ErrorKind::TimedOut) {
            guest.shared.book.timed_out();
        }
    };
    // If no thread can be had the guest leaves here, with the closure.
    let thread = thread::Builder::new().name("range-server".to_owned());
    thread.stack_size(STACK_BYTES).spawn(serve).ok()
}

/// Ends the connection that has been idle for longest; `true` if its place is free now.
fn make_room(shared: &Shared) -> bool {
    let now = Instant::now();
    let has_room = shared.registry.displace(shared.patience.idle_min, now);
    if has_room {
        shared.book.displaced();
        leave(shared, now);
    }
    has_room
}

/// One connection fewer is open.
fn leave(shared: &Shared, now: Instant) {
    lock(&shared.flow).left(now);
    shared.book.leave();
}

/// Indicates whether another connection has to end before one can be accepted.
fn is_out_of_descriptors(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::MFILE | Errno::NFILE))
}

/// One connection's place in the book and the registry, given back when it is dropped.
struct Guest {
    shared: Arc<Shared>,
    socket: Arc<TcpStream>,
    seat: Arc<Seat>,
    number: u64,
}

impl Guest {
    fn arrive(shared: &Arc<Shared>, socket: TcpStream) -> Option<Self> {
        let resets_beyond = shared.shape.resets_beyond.unwrap_or(usize::MAX);
        let limit = shared.connections_max.min(resets_beyond);
        // A server that plays one which resets makes no room.
        let is_limited_here = shared.connections_max < resets_beyond;
        let arrived = shared.book.arrive(limit).or_else(|| {
            let has_room = is_limited_here && make_room(shared);
            has_room.then(|| shared.book.arrive(limit)).flatten()
        });
        let Some(number) = arrived else {
            shared.book.refused();
            if !is_limited_here {
                // With a linger time of zero the close that follows is a reset.
                let _ = set_socket_linger(&socket, Some(Duration::ZERO));
            }
            return None;
        };
        let now = Instant::now();
        lock(&shared.flow).joined(now);
        let socket = Arc::new(socket);
        let seat = shared.registry.add(number, &socket, now);
        Some(Self { shared: Arc::clone(shared), socket, seat, number })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // A displaced one has left already.
        if self.shared.registry.remove(self.number) {
            leave(&self.shared, Instant::now());
        }
    }
}
