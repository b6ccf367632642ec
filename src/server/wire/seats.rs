//! The open connections: for whom the server waits and since when, who makes room for a newcomer,
//! and how stopping reaches a thread wherever it is blocked.
//!
//! States of a seat: waiting (for a request, the first one or the next), busy (with an answer),
//! displaced (it made room and only has to end). Must not know HTTP.

use crate::server::stop::lock;
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use std::{io, mem};

/// The open connections by number. A displaced one is no longer among them.
#[derive(Default)]
pub(in crate::server) struct Registry {
    seats: Mutex<HashMap<u64, Arc<Seat>>>,
}

/// One open connection.
pub(in crate::server) struct Seat {
    /// Weak: a connection ends when its thread drops the socket, not earlier.
    socket: Weak<TcpStream>,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { since: Instant },
    Busy,
    Displaced,
}

impl Registry {
    /// Adds the server's connection `number`, which has yet to send a request.
    pub(in crate::server) fn add(
        &self,
        number: u64,
        socket: &Arc<TcpStream>,
        now: Instant,
    ) -> Arc<Seat> {
        let state = Mutex::new(State::Waiting { since: now });
        let seat = Arc::new(Seat { socket: Arc::downgrade(socket), state });
        lock(&self.seats).insert(number, Arc::clone(&seat));
        seat
    }

    /// Takes the connection `number` out; `true` if it was still among the open ones.
    pub(in crate::server) fn remove(&self, number: u64) -> bool {
        lock(&self.seats).remove(&number).is_some()
    }

    /// Ends the connection that has waited longest for a request, if that is at least `wait_min`;
    /// `false` if there is none.
    pub(in crate::server) fn displace(&self, wait_min: Duration, now: Instant) -> bool {
        let mut seats = lock(&self.seats);
        loop {
            let waiting = seats.iter().filter_map(|(number, seat)| Some((seat.since()?, *number)));
            let Some((since, number)) = waiting.min() else { return false };
            if now.saturating_duration_since(since) < wait_min {
                return false;
            }
            // Its request may have come in this moment; then it is busy, and another one goes.
            if seats[&number].displace() {
                seats.remove(&number);
                return true;
            }
        }
    }

    /// Resets every connection, which also wakes every thread that reads or writes.
    pub(in crate::server) fn reset_all(&self) {
        lock(&self.seats).values().for_each(|seat| seat.reset());
    }

    /// Wakes every thread that reads or writes; both fail from now on.
    pub(in crate::server) fn shut_all(&self) {
        lock(&self.seats).values().for_each(|seat| seat.shut());
    }
}

impl Seat {
    /// The server waits for a request, from `now` on.
    pub(in crate::server) fn waits(&self, now: Instant) {
        let mut state = lock(&self.state);
        if *state != State::Displaced {
            *state = State::Waiting { since: now };
        }
    }

    /// There is something to do. An error if the connection has been displaced.
    pub(in crate::server) fn works(&self) -> io::Result<()> {
        match mem::replace(&mut *lock(&self.state), State::Busy) {
            State::Displaced => Err(io::ErrorKind::ConnectionAborted.into()),
            State::Waiting { .. } | State::Busy => Ok(()),
        }
    }

    fn since(&self) -> Option<Instant> {
        match *lock(&self.state) {
            State::Waiting { since } => Some(since),
            State::Busy | State::Displaced => None,
        }
    }

    fn displace(&self) -> bool {
        let mut state = lock(&self.state);
        let is_waiting = matches!(*state, State::Waiting { .. });
        if is_waiting {
            *state = State::Displaced;
            self.shut();
        }
        is_waiting
    }

    fn reset(&self) {
        let Some(socket) = self.socket.upgrade() else { return };
        // To connect a socket to nothing has the kernel reset it at once (Linux, tcp_disconnect).
        if rustix::net::connect_unspec(&*socket).is_err() {
            self.shut();
        }
    }

    fn shut(&self) {
        if let Some(socket) = self.socket.upgrade() {
            // Fails only if the client was quicker.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn sockets(count: usize) -> Vec<Arc<TcpStream>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = |_| Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        (0..count).map(connect).collect()
    }

    #[test]
    fn the_longest_wait_makes_room_and_work_never_does() {
        const SECOND: Duration = Duration::from_secs(1);
        let (registry, begin) = (Registry::default(), Instant::now());
        let sockets = sockets(3);
        let seats: Vec<Arc<Seat>> = (1..)
            .zip(&sockets)
            .map(|(number, socket)| registry.add(number, socket, begin))
            .collect();
        seats[0].works().unwrap();
        seats[1].waits(begin + 3 * SECOND);
        seats[2].waits(begin + 2 * SECOND);
        // None has waited for three seconds.
        assert!(!registry.displace(3 * SECOND, begin + 4 * SECOND));
        assert!(registry.displace(2 * SECOND, begin + 4 * SECOND));
        assert!(seats[2].works().is_err(), "the third made room");
        assert!(!registry.remove(3) && registry.remove(2));
        assert!(!registry.displace(Duration::ZERO, begin + 60 * SECOND), "the first is busy");
        seats[0].waits(begin + 60 * SECOND);
        assert!(registry.displace(Duration::ZERO, begin + 60 * SECOND));
    }
}
