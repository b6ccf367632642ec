//! The journal: which bytes of the part file survive a crash, beside it as `NAME.ringhaul`.
//!
//! A [`Book`] holds what has been written, in memory. A [`Journal`] is a thread that makes it
//! durable now and then, in barriers: a snapshot of the book, a sync of the data, and only then the
//! record. So a run that the journal names was durable before it was named. The file is made at the
//! first barrier: short downloads pay nothing.
//!
//! States of the journal: waiting -> in a barrier -> waiting, or failed for good.
//!
//! `format` is the codec, `barrier` the order of writes and syncs, `files` the system calls behind
//! it, `pace` decides when, `load` reads what an earlier run left. None of them knows the network,
//! or whether the server's file is still the same.

mod barrier;
mod book;
#[cfg(test)]
mod crash;
mod files;
pub mod format;
mod load;
mod pace;

pub use book::Book;
pub(super) use load::{recorded, recorded_of, vouches};
pub use pace::BarrierPace;

use super::place::{Place, disk_error};
use crate::base::{Error, ErrorKind, Result, Slice, Span};
use crate::digest::crc::Run;
use barrier::{Barrier, Layer};
use files::Files;
use format::{Header, PartId};
use load::Part;
use pace::Pacer;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// What is being downloaded: a later run may go on only if it is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Where it comes from; without user name, password and query. A fragment names a part of what
    /// is there.
    pub url: String,
    /// Its size in bytes.
    pub total: u64,
    /// A strong validator of the server, in its own words.
    pub validator: Option<String>,
    /// The digest that was expected of it.
    pub digest: Option<String>,
    /// Which slice of it; `None`: all of it.
    pub cut: Option<Cut>,
}

/// A slice of a file that several machines fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which one, and of how many.
    pub slice: Slice,
    /// Its bytes.
    pub span: Span,
    /// When the file was last changed on the server, in seconds since 1970; `None`: not known.
    pub modified_s: Option<u64>,
}

/// What an earlier run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The transfer it was.
    pub identity: Identity,
    /// What of the part file can be kept: sorted, disjoint, within the file. Starts are multiples
    /// of 4 KiB, ends too, or the end of the file.
    pub runs: Vec<Run>,
    /// What the user should know about it, one line.
    pub note: Option<String>,
}

/// What was found under the journal's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No journal.
    Nothing,
    /// A journal that nothing can be made of, and why: one line for the user.
    Useless(String),
    /// Bytes to go on from.
    Resumable(Saved),
}

/// The running journal of one transfer.
pub struct Journal {
    pacer: Arc<Pacer>,
    book: Arc<Book>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Journal {
    /// Starts the thread. The book has what the standing journal vouches for, or what came after,
    /// or less of it: in both of these there is something new for a barrier.
    /// `on_failed` is called once, on that thread, when a barrier fails: the journal then stays as
    /// the last good barrier left it. It must not drop the journal.
    ///
    /// # Errors
    /// Usage, if a text of the identity is too long (64 KiB); ResourceLimit, if there is no thread.
    pub(super) fn start(
        place: &Arc<Place>,
        identity: Identity,
        book: &Arc<Book>,
        pace: BarrierPace,
        on_failed: impl FnOnce(Error) + Send + 'static,
    ) -> Result<Self> {
        assert_eq!(identity.total, book.total(), "the book is that of the file");
        let part = part_id(place)?;
        let header = Header::new(RandomState::new().hash_one(Instant::now()), identity, part)?;
        let durable_bytes = place.recorded_bytes();
        let changed = book.written().covered() != durable_bytes;
        let pacer = Arc::new(Pacer::new(pace, Instant::now(), durable_bytes, changed));
        let journals_ended = *place.journals_ended();
        let barrier = Barrier::new(Files::new(place.clone()), header);
        let scribe = Scribe {
            book: book.clone(),
            pacer: pacer.clone(),
            place: place.clone(),
            journals_ended,
        };
        let spawned = thread::Builder::new()
            .name("ringhaul-journal".into())
            .spawn(move || scribe.work(barrier, on_failed));
        let thread = spawned.map_err(|e| {
            Error::new(ErrorKind::ResourceLimit, "cannot start the journal's thread").caused_by(e)
        })?;
        book.watch(Some(pacer.clone()));
        Ok(Self { pacer, book: book.clone(), thread: Some(thread) })
    }

    /// Makes one barrier now, unless nothing is new, and blocks until it is through. Returns how
    /// many bytes of the file are durable and recorded by then.
    ///
    /// # Errors
    /// The failure of this barrier, or of the one with which the journal has ended.
    pub fn barrier(&self) -> Result<u64> {
        self.pacer.ask()
    }
}

impl Drop for Journal {
    /// Ends the thread, after the barrier it is in, if any, and without another one.
    fn drop(&mut self) {
        self.book.watch(None);
        self.pacer.end(Ok(()));
        if let Some(thread) = self.thread.take() {
            // Its panic was an error to everybody who asked for a barrier.
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Scribe {
    book: Arc<Book>,
    pacer: Arc<Pacer>,
    place: Arc<Place>,
    /// As it was when this journal began.
    journals_ended: u64,
}

impl Scribe {
    fn work(self, mut barrier: Barrier<Files>, on_failed: impl FnOnce(Error)) {
        while let Some(demand) = self.pacer.next() {
            match self.barrier(&mut barrier) {
                Ok(durable_bytes) => self.pacer.on_done(demand, durable_bytes),
                // Connections have all descriptors. What is recorded stays so, and the next
                // barrier makes the journal anew: its name may not be durable.
                Err(error) if error.kind() == ErrorKind::ResourceLimit => {
                    self.pacer.on_done(demand, self.place.recorded_bytes());
                }
                Err(error) => {
                    self.pacer.end(Err(error.clone()));
                    return on_failed(error);
                }
            }
        }
    }

    fn barrier(&self, barrier: &mut Barrier<Files>) -> Result<u64> {
        let journals_ended = self.place.journals_ended();
        if *journals_ended != self.journals_ended {
            // Committed or discarded meanwhile: there is nothing any more to keep a record of.
            return Ok(0);
        }
        // What comes from now on is to be in a later barrier, without being read back.
        self.book.want_sums(true);
        let recorded = barrier.run(self.book.snapshot())?;
        recorded.summed.iter().for_each(|&run| self.book.on_summed(run));
        self.place.set_recorded_bytes(recorded.durable_bytes);
        Ok(recorded.durable_bytes)
    }
}

impl Drop for Scribe {
    /// Whoever waits for a barrier waits no longer, even after a panic.
    fn drop(&mut self) {
        self.pacer.end(Ok(()));
    }
}

/// Reads the journal of a place, and judges the part file by it.
pub(super) fn find(place: &Place) -> Result<Found> {
    let found = load::find(place)?;
    if let Found::Resumable(saved) = &found {
        place.set_recorded_bytes(saved.runs.iter().map(|run| run.span.len()).sum());
    }
    Ok(found)
}

/// Removes the journal of a place whose part file has become the target, or is not to be gone on
/// from. One that stays does no harm, so failing is no error; what is none of ours is left alone.
pub(super) fn remove(place: &Place) {
    let is_ours = || place.is_journal_of_this_run() || load::check_ours(&place.journal).is_ok();
    if place.journal_stands() && is_ours() {
        let _ = files::remove_journal(place);
    }
    place.set_recorded_bytes(0);
}

/// Removes the journal of a place, durably, and empties the part file then.
pub(super) fn discard(place: &Arc<Place>) -> Result<()> {
    load::check_ours(&place.journal)?;
    let mut journals_ended = place.journals_ended();
    *journals_ended += 1;
    let mut files = Files::new(place.clone());
    // The usual case costs no sync.
    if place.journal_stands() { barrier::discard(&mut files) } else { files.empty_part() }
}

fn part_id(place: &Place) -> Result<PartId> {
    let identified = place.file.identify();
    let (part, _) = identified.map_err(|e| disk_error(e, "cannot look at", &place.part))?;
    Ok(part)
}

#[cfg(test)]
mod tests;
