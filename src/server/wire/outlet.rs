//! The way out of one connection: gathers bytes in one reused buffer, or lets the kernel take them
//! from a file; keeps the pace, counts, and breaks where the shape says so.
//!
//! Must not know HTTP, but for what the access log takes; body bytes are told apart only to be
//! counted.

use super::outage;
use super::transport::Transport;
use crate::base::limits::SERVER_PIECE_BYTES;
use crate::server::Shared;
use crate::server::codec::request::Request;
use crate::server::faults::effects::Ending;
use crate::server::faults::pacer::{Booking, Pacer};
use crate::server::faults::shape::Shape;
use crate::server::files::bytes::FileBytes;
use crate::server::stats::Entry;
use crate::server::stop::lock;
use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

/// A reset throws away what the kernel has not delivered yet; a quick reader gets it in this time.
const RESET_PAUSE: Duration = Duration::from_millis(20);

/// Bodies from here on are worth a system call of their own to save a copy.
const SENDFILE_BYTES_MIN: u64 = 32 * 1024;

/// What a piece waited for, which says whose fault it is if the next one is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeldBy {
    Nothing,
    /// The rate of this connection.
    OwnRate,
    /// The rate of all connections together.
    TotalRate,
    /// The client has not taken yet what it was sent before.
    Client,
}

/// Buffered, paced output over a [`Transport`].
pub(super) struct Outlet<'a> {
    shared: &'a Shared,
    transport: Transport,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes gathered before they are sent: fewer where a rate makes the flow slow.
    piece_bytes: usize,
    pacer: Pacer,
    body_bytes: u64,
    /// Bytes of the body of the present answer that have been counted.
    answer_bytes: u64,
    /// Bytes of bodies that the server had sent when this connection sent the latest.
    sent_in_all: u64,
    entry: Option<Entry>,
    /// When the next request was found to have arrived, while an answer was being sent.
    early_request_at: Option<Instant>,
    is_shaped: bool,
    /// What the latest piece waited for.
    held_by: HeldBy,
    /// Bytes left until the connection breaks; `None` if it does not.
    bytes_until_loss: Option<u64>,
}

impl<'a> Outlet<'a> {
    /// The way out of the server's connection `number`.
    pub(super) fn new(shared: &'a Shared, transport: Transport, number: u64) -> Self {
        Self {
            shared,
            transport,
            buffer: vec![0; SERVER_PIECE_BYTES],
            filled: 0,
            piece_bytes: SERVER_PIECE_BYTES,
            pacer: Pacer::new(None, Instant::now()),
            body_bytes: 0,
            answer_bytes: 0,
            sent_in_all: 0,
            entry: None,
            early_request_at: None,
            held_by: HeldBy::Nothing,
            is_shaped: shared.shape != Shape::default(),
            bytes_until_loss: shared.shape.bytes_until_loss(number),
        }
    }

    /// What follows belongs to this request and goes at this rate.
    pub(super) fn begin(&mut self, entry: Entry, bytes_per_second: Option<u64>) {
        self.entry = Some(entry);
        self.answer_bytes = 0;
        self.pacer.set_rate(bytes_per_second, Instant::now());
        let shared = lock(&self.shared.flow).piece_bytes(SERVER_PIECE_BYTES, Instant::now());
        self.piece_bytes = self.pacer.piece_bytes(1, shared);
    }

    /// The answer that was begun is out to its end.
    pub(super) fn note_whole(&self) {
        if let Some(entry) = self.entry {
            self.shared.book.ended(entry);
        }
    }

    /// Tells the access log, if there is one, of the answer that was begun.
    pub(super) fn log(&self, request: &Request, status: u16) {
        if let Some(log) = &self.shared.access_log {
            let (client, now) = (self.transport.client(), SystemTime::now());
            log.answered(client, request, status, self.answer_bytes, now);
        }
    }

    /// There was nothing to send until `now`; the rate does not make up for it.
    pub(super) fn restart(&mut self, now: Instant) {
        self.pacer.restart(now);
    }

    /// When the request to be read next arrived, if that was while an answer was being sent.
    pub(super) fn take_early_request(&mut self) -> Option<Instant> {
        self.early_request_at.take()
    }

    /// Reads fail from `until` on, as timed out; `None` is never.
    pub(super) fn read_until(&mut self, until: Option<Instant>) {
        self.transport.read_until(until);
    }

    pub(super) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.transport.read(bytes)
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.transport.is_resumed()
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

    /// Bytes of a body that are those of a file. Made-up ones are made in place: a piece that is
    /// still in the second-level cache reaches a client on this machine in a third less CPU time,
    /// of both together, than the same bytes sent by reference from memory (2 GiB, 4 connections).
    pub(super) fn put_content(
        &mut self,
        file: &FileBytes,
        mut offset: u64,
        mut bytes: u64,
        flips: &[Range<u64>],
    ) -> io::Result<()> {
        if let FileBytes::Stored(stored) = file
            && flips.is_empty()
            && bytes >= SENDFILE_BYTES_MIN
            && self.transport.is_plain()
        {
            return self.send_file(&stored.file, offset, bytes);
        }
        while bytes > 0 {
            let room = self.room()?;
            let now = usize::try_from(bytes).unwrap_or(room).min(room);
            let piece = &mut self.buffer[self.filled..self.filled + now];
            file.read(offset, piece)?;
            flips.iter().for_each(|flip| flip_in(piece, offset, flip));
            self.filled += now;
            self.body_bytes += now as u64;
            offset = offset.wrapping_add(now as u64);
            bytes -= now as u64;
        }
        Ok(())
    }

    /// Bytes of a file that the kernel sends by itself.
    fn send_file(&mut self, file: &File, mut offset: u64, mut bytes: u64) -> io::Result<()> {
        self.flush_start()?;
        while bytes > 0 {
            let piece = usize::try_from(bytes).unwrap_or(self.piece_bytes).min(self.piece_bytes);
            self.body_bytes += piece as u64;
            let allowed = self.admit(piece)?;
            self.transport.send_file(file, offset, allowed)?;
            self.spend(allowed)?;
            offset += piece as u64;
            bytes -= piece as u64;
        }
        Ok(())
    }

    /// Sends what is gathered, when the rates allow it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        let allowed = self.admit(self.filled)?;
        self.transport.write_all(&self.buffer[..allowed])?;
        self.filled = 0;
        self.spend(allowed)
    }

    /// The same for what stands before bytes from a file. Where these follow at once, both go
    /// together.
    fn flush_start(&mut self) -> io::Result<()> {
        if self.filled == 0 || self.is_shaped || !self.pacer.is_unlimited() {
            return self.flush();
        }
        let allowed = self.admit(self.filled)?;
        self.transport.write_start(&self.buffer[..allowed])?;
        self.filled = 0;
        self.spend(allowed)
    }

    /// Waits until the rates let `bytes` go, and counts those of them that belong to a body.
    /// Returns how many of them go before the connection breaks.
    fn admit(&mut self, bytes: usize) -> io::Result<usize> {
        let now = Instant::now();
        let own = self.pacer.book(bytes, now);
        let (total, is_paced) = {
            let mut flow = lock(&self.shared.flow);
            let booking = flow.book(bytes, self.body_bytes, now);
            let shared = flow.piece_bytes(SERVER_PIECE_BYTES, now);
            self.piece_bytes = self.pacer.piece_bytes(1, shared);
            (booking, !flow.is_unlimited() || !self.pacer.is_unlimited())
        };
        let [own_missed, total_missed] = self.held_by.attribute(&own, &total);
        self.shared.book.missed(own_missed, total_missed);
        if is_paced {
            self.keep_pace(&own, &total, now)?;
        }
        outage::check_present(self.shared).or_else(|gone| {
            // This thread may be quicker than the one that resets all connections.
            self.transport.reset_when_closed()?;
            Err(gone)
        })?;
        if outage::is_silent(self.shared) {
            self.stall()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        // Before the write, so that a client that has the bytes finds them in the book.
        if let Some(entry) = self.entry.filter(|_| self.body_bytes > 0) {
            self.sent_in_all = self.shared.book.sent(entry, self.body_bytes);
            self.answer_bytes += self.body_bytes;
            self.body_bytes = 0;
        }
        // Before the write, as its last bytes let a client go on to its next request.
        self.look_for_request();
        let left = self.bytes_until_loss.and_then(|left| usize::try_from(left).ok());
        Ok(bytes.min(left.unwrap_or(bytes)))
    }

    /// Waits from `now` on, and takes down how late it woke up and what held the piece up.
    fn keep_pace(&mut self, own: &Booking, total: &Booking, now: Instant) -> io::Result<()> {
        let wait = own.wait.max(total.wait);
        if !wait.is_zero() {
            self.pause(wait)?;
            let late = now.elapsed().saturating_sub(wait);
            self.pacer.overslept(late);
            lock(&self.shared.flow).overslept(late);
        }
        self.held_by = HeldBy::of(own, total, self.transport.has_room());
        Ok(())
    }

    /// Counts `bytes` that have been sent; an error if they were the connection's last.
    fn spend(&mut self, bytes: usize) -> io::Result<()> {
        self.end_server_if_due()?;
        let Some(left) = &mut self.bytes_until_loss else { return Ok(()) };
        *left -= bytes as u64;
        if *left > 0 {
            return Ok(());
        }
        self.pause(RESET_PAUSE)?;
        self.shared.book.lost();
        self.transport.reset_when_closed()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// The script may have the whole server end with the bytes that have been sent.
    fn end_server_if_due(&self) -> io::Result<()> {
        if self.shared.outage.get().is_none()
            && self.shared.script.outage(self.sent_in_all).is_some()
        {
            self.pause(RESET_PAUSE)?;
            outage::begin_if_due(self.shared, self.sent_in_all);
        }
        Ok(())
    }

    /// Silence until the client leaves or the server stops.
    pub(super) fn stall(&self) -> io::Result<()> {
        self.transport.stall()
    }

    /// Waits; an error as soon as the server stops.
    pub(super) fn pause(&self, pause: Duration) -> io::Result<()> {
        self.shared.stop.wait(pause)
    }

    /// Sends what is gathered and ends the connection.
    pub(super) fn end(mut self, ending: Ending) -> io::Result<()> {
        self.flush()?;
        if ending == Ending::Reset {
            self.pause(RESET_PAUSE)?;
        }
        self.transport.end(ending)
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
        if self.is_shaped && self.early_request_at.is_none() && self.transport.has_unread() {
            self.early_request_at = Some(Instant::now());
        }
    }
}

/// Inverts the bytes of `flip` in `piece`, which begins at `offset` of the file.
fn flip_in(piece: &mut [u8], offset: u64, flip: &Range<u64>) {
    let index = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
    let (start, end) = (index(flip.start), index(flip.end).min(piece.len()));
    if let Some(part) = piece.get_mut(start..end) {
        part.iter_mut().for_each(|byte| *byte ^= 0xff);
    }
}

impl HeldBy {
    fn of(own: &Booking, total: &Booking, has_room: bool) -> Self {
        match own.wait.cmp(&total.wait) {
            _ if !has_room => HeldBy::Client,
            Ordering::Greater => HeldBy::OwnRate,
            Ordering::Less => HeldBy::TotalRate,
            Ordering::Equal => HeldBy::Nothing,
        }
    }

    /// The bytes that the own and the total rate missed since a piece that was held by this, and
    /// that this machine is to blame for: a rate that waits for the other one, or for the client,
    /// misses nothing.
    fn attribute(self, own: &Booking, total: &Booking) -> [u64; 2] {
        match self {
            HeldBy::Nothing => [own.missed_bytes, total.missed_bytes],
            HeldBy::OwnRate => [own.missed_bytes, 0],
            HeldBy::TotalRate => [0, total.missed_bytes],
            HeldBy::Client => [0, 0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flip_hits_its_own_bytes_in_any_piece() {
        for (flip, expected) in [
            (8..10, [0, 0, 0, 0]),
            (8..11, [255, 0, 0, 0]),
            (11..13, [0, 255, 255, 0]),
            (13..99, [0, 0, 0, 255]),
            (0..u64::MAX, [255; 4]),
            (14..15, [0; 4]),
            (12..12, [0; 4]),
        ] {
            let mut piece = [0; 4];
            flip_in(&mut piece, 10, &flip);
            assert_eq!(piece, expected, "{flip:?}");
        }
    }

    #[test]
    fn only_what_this_machine_missed_is_counted() {
        let booking =
            |wait_ms, missed_bytes| Booking { wait: Duration::from_millis(wait_ms), missed_bytes };
        let missed = (booking(0, 3), booking(0, 5));
        for (own, total, has_room, expected) in [
            (0, 0, true, [3, 5]),
            (7, 0, true, [3, 0]),
            (7, 9, true, [0, 5]),
            (7, 9, false, [0, 0]),
        ] {
            let held_by = HeldBy::of(&booking(own, 0), &booking(total, 0), has_room);
            assert_eq!(held_by.attribute(&missed.0, &missed.1), expected, "{held_by:?}");
        }
    }
}
