//! The listener's thread: accepts, starts one thread per connection, and joins them all.
//!
//! Owns which sockets are open, so that stopping reaches a thread wherever it is blocked. Must not
//! know HTTP.

use super::Shared;
use super::connection;
use super::gate::lock;
use rustix::net::sockopt::set_socket_linger;
use std::collections::HashMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of stack of a connection's thread: a TLS handshake without optimisation takes a quarter.
const STACK_BYTES: usize = 512 * 1024;

/// Pause after a failed accept: most often file descriptors have run out and others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The open sockets. Weak: a connection ends when its thread drops the socket, not earlier.
#[derive(Default)]
pub(super) struct Registry {
    sockets: Mutex<HashMap<u64, Weak<TcpStream>>>,
}

impl Registry {
    /// Wakes every thread that reads or writes; both fail from now on.
    pub(super) fn shut_all(&self) {
        for socket in lock(&self.sockets).values().filter_map(Weak::upgrade) {
            // Fails only if the client was quicker.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Accepts until the server stops, then waits for every connection's thread.
pub(super) fn run(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let accepted = listener.accept();
        if shared.gate.is_stopped() {
            break;
        }
        match accepted {
            Ok((socket, _)) => threads.extend(admit(shared, socket)),
            Err(_) if shared.gate.wait(ACCEPT_PAUSE).is_err() => break,
            Err(_) => {}
        }
        threads.retain(|thread| !thread.is_finished());
    }
    // A socket admitted while the server was being stopped has been missed there.
    shared.registry.shut_all();
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
        let _ = connection::serve(&guest.shared, socket, guest.number);
    };
    // If no thread can be had the guest leaves here, with the closure.
    let thread = thread::Builder::new().name("range-server".to_owned());
    thread.stack_size(STACK_BYTES).spawn(serve).ok()
}

/// One connection's place in the book and the registry, given back when it is dropped.
struct Guest {
    shared: Arc<Shared>,
    socket: Arc<TcpStream>,
    number: u64,
}

impl Guest {
    fn arrive(shared: &Arc<Shared>, socket: TcpStream) -> Option<Self> {
        let resets_beyond = shared.shape.resets_beyond.unwrap_or(usize::MAX);
        let Some(number) = shared.book.arrive(shared.connections_max.min(resets_beyond)) else {
            if resets_beyond <= shared.connections_max {
                // With a linger time of zero the close that follows is a reset.
                let _ = set_socket_linger(&socket, Some(Duration::ZERO));
            }
            return None;
        };
        lock(&shared.flow).joined(Instant::now());
        let socket = Arc::new(socket);
        lock(&shared.registry.sockets).insert(number, Arc::downgrade(&socket));
        Some(Self { shared: Arc::clone(shared), socket, number })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        lock(&self.shared.registry.sockets).remove(&self.number);
        lock(&self.shared.flow).left(Instant::now());
        self.shared.book.leave();
    }
}
