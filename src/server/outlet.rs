//! The way out of one connection: gathers bytes in one reused buffer, keeps the pace, counts.
//!
//! Must not know HTTP; body bytes are told apart only to be counted.

use super::Shared;
use super::content;
use super::effects::Ending;
use super::gate::lock;
use super::pacer::Pacer;
use super::shape::Shape;
use super::stats::Entry;
use super::wire::Wire;
use crate::base::limits::SERVER_PIECE_BYTES;
use std::io;
use std::time::{Duration, Instant};

/// A reset throws away what the kernel has not delivered yet; a quick reader gets it in this time.
const RESET_PAUSE: Duration = Duration::from_millis(20);

/// Buffered, paced output over a [`Wire`].
pub(super) struct Outlet<'a> {
    shared: &'a Shared,
    wire: Wire,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes gathered before they are sent: fewer where a rate makes the flow slow.
    piece_bytes: usize,
    pacer: Pacer,
    body_bytes: u64,
    entry: Option<Entry>,
    /// When the next request was found to have arrived, while an answer was being sent.
    early_request_at: Option<Instant>,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(shared: &'a Shared, wire: Wire) -> Self {
        Self {
            shared,
            wire,
            buffer: vec![0; SERVER_PIECE_BYTES],
            filled: 0,
            piece_bytes: SERVER_PIECE_BYTES,
            pacer: Pacer::new(None, Instant::now()),
            body_bytes: 0,
            entry: None,
            early_request_at: None,
        }
    }

    /// What follows belongs to this request and goes at this rate.
    pub(super) fn begin(&mut self, entry: Entry, bytes_per_second: Option<u64>) {
        self.entry = Some(entry);
        self.pacer.set_rate(bytes_per_second);
        let shared = lock(&self.shared.flow).piece_bytes(SERVER_PIECE_BYTES, Instant::now());
        self.piece_bytes = self.pacer.piece_bytes(1, shared);
    }

    /// There was nothing to send until `now`; the rate does not make up for it.
    pub(super) fn restart(&mut self, now: Instant) {
        self.pacer.restart(now);
    }

    /// When the request to be read next arrived, if that was while an answer was being sent.
    pub(super) fn take_early_request(&mut self) -> Option<Instant> {
        self.early_request_at.take()
    }

    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.wire.read(bytes)
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.wire.is_resumed()
    }

    /// Bytes of a head or of framing.
    pub(super) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.room()?));
            self.buffer[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Bytes of a body.
    pub(super) fn put_body(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.room()?));
            self.put(now)?;
            self.body_bytes += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Bytes of a body that is the content of a file, made in place.
    pub(super) fn put_content(
        &mut self,
        seed: u64,
        mut offset: u64,
        mut bytes: u64,
        flips: &[u64],
    ) -> io::Result<()> {
        while bytes > 0 {
            let room = self.room()?;
            let now = usize::try_from(bytes).unwrap_or(room).min(room);
            let piece = &mut self.buffer[self.filled..self.filled + now];
            content::fill(seed, offset, piece);
            for flip in flips {
                let at = flip.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
                if let Some(byte) = at.and_then(|at| piece.get_mut(at)) {
                    *byte ^= 0xff;
                }
            }
            self.filled += now;
            self.body_bytes += now as u64;
            offset = offset.wrapping_add(now as u64);
            bytes -= now as u64;
        }
        Ok(())
    }

    /// Sends what is gathered, when the rates allow it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let own = self.pacer.book(self.filled, now);
        let total = {
            let mut flow = lock(&self.shared.flow);
            let wait = flow.book(self.filled, self.body_bytes, now);
            let shared = flow.piece_bytes(SERVER_PIECE_BYTES, now);
            self.piece_bytes = self.pacer.piece_bytes(1, shared);
            wait
        };
        self.pause(own.max(total))?;
        // Before the write, so that a client that has the bytes finds them in the book.
        if let Some(entry) = self.entry.filter(|_| self.body_bytes > 0) {
            self.shared.book.sent(entry, self.body_bytes);
            self.body_bytes = 0;
        }
        // Before the write, as its last bytes let a client go on to its next request.
        self.look_for_request();
        self.wire.write_all(&self.buffer[..self.filled])?;
        self.filled = 0;
        Ok(())
    }

    /// Waits; an error as soon as the server stops.
    pub(super) fn pause(&self, pause: Duration) -> io::Result<()> {
        self.shared.gate.wait(pause)
    }

    /// Sends what is gathered and ends the connection.
    pub(super) fn end(mut self, ending: Ending) -> io::Result<()> {
        self.flush()?;
        if ending == Ending::Reset {
            self.pause(RESET_PAUSE)?;
        }
        self.wire.end(ending)
    }

    /// Free bytes of the piece, after a flush if there were none.
    fn room(&mut self) -> io::Result<usize> {
        if self.filled >= self.piece_bytes {
            self.flush()?;
        }
        Ok(self.piece_bytes - self.filled)
    }

    /// Notes when a request arrives ahead of its time. A server without shape need not know.
    fn look_for_request(&mut self) {
        let is_shaped = self.shared.shape != Shape::default();
        if is_shaped && self.early_request_at.is_none() && self.wire.has_unread() {
            self.early_request_at = Some(Instant::now());
        }
    }
}
