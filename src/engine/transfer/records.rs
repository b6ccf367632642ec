//! What of an attempt outlives it: the book of written bytes, and the journal that makes them
//! durable for a later run.

use super::expected_digest::Wanted;
use super::on_disk::OnDisk;
use crate::base::limits::BARRIER_BYTES;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::Algorithm;
use crate::digest::crc::Run;
use crate::disk::journal::{BarrierPace, Book, Identity, Journal};
use crate::disk::output::Output;
use crate::engine::context::Context;
use crate::engine::progress::Level;
use std::sync::Arc;

/// The book of one attempt, and its journal.
pub(super) struct Records {
    context: Arc<Context>,
    output: Arc<Output>,
    identity: Identity,
    book: Arc<Book>,
    /// The digests of the file's pieces are known.
    has_pieces: bool,
    is_journaled: bool,
    journal: Option<Journal>,
    /// The bytes are not those of the file, by its digest.
    is_disowned: bool,
}

impl Records {
    /// Begins with `runs`. A journal is kept if it is wanted and a later run could prove that the
    /// server's file is still the same.
    pub(super) fn start(
        context: &Arc<Context>,
        output: &Arc<Output>,
        identity: Identity,
        runs: Vec<Run>,
        wanted: &Wanted,
        has_pieces: bool,
    ) -> Result<Self> {
        let is_provable = identity.validator.is_some() || identity.digest.is_some();
        let is_journaled = context.options.journal && is_provable && output.is_readable();
        if !output.is_readable() {
            // Nobody expects that anything is kept.
        } else if !context.options.journal {
            context.cannot_keep(Some(identity.total), "no journal is kept (--no-journal)");
        } else if !is_provable {
            let why = "the server's answers have no validator that tells versions apart";
            context.cannot_keep(Some(identity.total), why);
        }
        let book = Arc::new(Book::new(identity.total, runs));
        // Without a journal no barrier makes the CRCs that keep good pieces for another attempt.
        let is_kept_by_sums = has_pieces && !is_journaled;
        // In one stream, what was passed on comes again, to be compared.
        let is_kept_by_sums = is_kept_by_sums || output.is_ordered();
        // All of a slice is recorded in any case.
        let is_kept_by_sums = is_kept_by_sums || context.options.slice.is_some();
        book.want_sums(wanted.algorithms.contains(&Algorithm::Crc32c) || is_kept_by_sums);
        let (context, output) = (context.clone(), output.clone());
        let (journal, is_disowned) = (None, false);
        let mut records = Self {
            context,
            output,
            identity,
            book,
            has_pieces,
            is_journaled,
            journal,
            is_disowned,
        };
        records.journal = records.new_journal()?;
        Ok(records)
    }

    fn new_journal(&self) -> Result<Option<Journal>> {
        if !self.is_journaled {
            return Ok(None);
        }
        let pace =
            BarrierPace { interval: self.context.options.journal_interval, bytes: BARRIER_BYTES };
        let context = self.context.clone();
        let on_failed = move |error| context.fail(error);
        let identity = self.identity.clone();
        self.output.start_journal(identity, &self.book, pace, on_failed).map(Some)
    }

    /// The book, for those who write.
    pub(super) fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Whether a journal is kept.
    pub(super) fn is_journaled(&self) -> bool {
        self.is_journaled
    }

    /// Takes note that these bytes on the disk are not what was written, or not those of the file.
    /// What was written with them is proved by the digests of pieces where they are known, and is
    /// no longer known otherwise.
    pub(super) fn forget(&self, span: Span) {
        if self.has_pieces {
            self.book.forget_only(span);
        } else {
            self.book.forget(span);
        }
    }

    /// All `bytes` of a slice have come: makes them durable and records them, which is the mark
    /// that it is complete.
    pub(super) fn complete(&mut self, bytes: u64) -> Result<()> {
        let journal = match self.journal.take() {
            Some(journal) => Some(journal),
            None => self.new_journal()?,
        };
        let durable_bytes = journal.map_or(Ok(0), |journal| journal.barrier())?;
        if durable_bytes < bytes {
            let what = format!("{durable_bytes} of the {bytes} bytes of the slice were recorded");
            return Err(Error::new(ErrorKind::DiskIo, what).advise("run it again"));
        }
        Ok(())
    }

    /// Everything has come, and may have to be verified still. If no barrier was near until now,
    /// none is made: it would read all of the file back while the digest does, for what was quick
    /// to fetch.
    pub(super) fn received(&mut self) {
        if !self.book.wants_sums() {
            self.journal = None;
        }
    }

    /// No more barriers: the file is about to get its name.
    pub(super) fn stop(&mut self) {
        self.journal = None;
    }

    /// All of the file is here, and it is not what it has to be. The part file stays for whoever
    /// wants to look at it; a later run does not go on from it.
    pub(super) fn disown(&mut self) {
        (self.journal, self.is_journaled, self.is_disowned) = (None, false, true);
        self.output.disown();
    }

    /// After a failure: one more barrier, so that a later run loses nothing; and what is here for
    /// another attempt of this run.
    pub(super) fn end(mut self) -> OnDisk {
        if let Err(error) = self.last_barrier() {
            let text = format!("what came since the last barrier is not recorded: {error}");
            self.context.tell(Level::Detail, None, text);
        }
        let runs = if self.is_disowned { Vec::new() } else { self.book.runs() };
        OnDisk::new(self.identity, runs, self.context.unchecked_bytes() == 0)
    }

    fn last_barrier(&mut self) -> Result<()> {
        let journal = match self.journal.take() {
            Some(journal) => Some(journal),
            None => self.new_journal()?,
        };
        journal.map_or(Ok(()), |journal| journal.barrier().map(drop))
    }
}
