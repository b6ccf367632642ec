//! The pieces of a transfer's file: hands blocks to the thread that verifies them, and keeps what
//! is known of the pieces. Must not know where bytes come from, nor what follows from a bad piece.

use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::digest::{PieceCheck, PieceHashes, Verdict};
use crate::disk::output::Output;
use crate::disk::piece_verifier::PieceVerifier;
use crate::engine::context::Context;
use crate::io::buffers::Block;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Times that a bad piece is fetched again from whoever brought it.
const REFETCHES_MAX: u32 = 2;

/// What is known of the pieces over all attempts at a transfer.
pub(in crate::engine) struct PieceLedger {
    hashes: PieceHashes,
    /// The pieces that have to be judged: all that are fetched whole.
    wanted: SpanSet,
    check: Arc<Mutex<PieceCheck>>,
    /// How often each piece was fetched again, by its number.
    refetches: Mutex<BTreeMap<u64, u32>>,
    /// What is in the file from an earlier run, as far as it is not known to be wrong.
    resumed: Mutex<SpanSet>,
    /// Bytes that were read back from the file in attempts that have ended.
    read_back_bytes: AtomicU64,
}

/// Pieces that are verified during one attempt.
pub(in crate::engine) struct Pieces {
    ledger: Arc<PieceLedger>,
    verifier: PieceVerifier,
    found: Arc<Found>,
    /// Rings when there is room again in the queue of the thread.
    room: Arc<Notify>,
    /// What was in the file when the attempt began.
    here: SpanSet,
    /// The only source of the attempt is one of several, and may be left out.
    is_trial: bool,
}

/// What the verifying thread has found.
#[derive(Default)]
struct Found {
    bad: Mutex<Vec<Verdict>>,
    /// The thread has ended.
    is_over: AtomicBool,
    /// Rings with each verdict, and when the thread ends.
    bell: Notify,
}

/// Held by the thread until its end, be that a panic.
struct Finder(Arc<Found>);

impl PieceLedger {
    /// Nothing is known but what the digests should be; an earlier run has left what is `on_disk`,
    /// and what is `unwanted` will not be fetched.
    pub(in crate::engine) fn new(
        hashes: PieceHashes,
        on_disk: SpanSet,
        unwanted: &SpanSet,
    ) -> Arc<Self> {
        let wanted = without(&hashes, unwanted);
        let check = Arc::new(Mutex::new(PieceCheck::new(hashes.clone())));
        Arc::new(Self {
            hashes,
            wanted,
            check,
            refetches: Mutex::default(),
            resumed: Mutex::new(on_disk),
            read_back_bytes: AtomicU64::new(0),
        })
    }

    /// What the digests should be.
    pub(in crate::engine) fn hashes(&self) -> &PieceHashes {
        &self.hashes
    }

    /// The number of pieces that have to be judged.
    pub(in crate::engine) fn count(&self) -> u64 {
        let count = |span| self.hashes.touched(span).count() as u64;
        self.wanted.iter().map(count).sum()
    }

    /// The good pieces.
    pub(in crate::engine) fn good(&self) -> SpanSet {
        lock(&self.check).good().clone()
    }

    /// Whether the bad piece may be fetched again.
    pub(in crate::engine) fn is_refetchable(&self, piece: u64) -> bool {
        lock(&self.refetches).get(&piece).is_none_or(|count| *count < REFETCHES_MAX)
    }

    /// The bad piece is fetched again; `false` if that was done as often as it may be.
    pub(in crate::engine) fn count_refetch(&self, piece: u64) -> bool {
        let mut refetches = lock(&self.refetches);
        let count = refetches.entry(piece).or_default();
        *count += 1;
        *count <= REFETCHES_MAX
    }

    /// These bytes are wrong; returns how many of an earlier run's are left.
    pub(in crate::engine) fn forget_resumed(&self, wrong: &SpanSet) -> u64 {
        let mut resumed = lock(&self.resumed);
        wrong.iter().for_each(|span| _ = resumed.remove(span));
        resumed.covered()
    }

    /// Nothing of an earlier run is left.
    pub(in crate::engine) fn start_over(&self) {
        *lock(&self.resumed) = SpanSet::new();
    }

    /// Bytes that were read back from the file in attempts that have ended.
    pub(in crate::engine) fn read_back_bytes(&self) -> u64 {
        self.read_back_bytes.load(Ordering::Relaxed)
    }

    /// The error that says that a piece is bad.
    pub(in crate::engine) fn mismatch(&self, bad: &Verdict) -> Error {
        mismatch(&self.hashes, bad)
    }
}

impl Pieces {
    /// Starts to verify the pieces of the file in `output`, in which `here` is written. A failure
    /// is the context's at once.
    pub(in crate::engine) fn start(
        context: &Arc<Context>,
        ledger: &Arc<PieceLedger>,
        is_trial: bool,
        output: &Output,
        here: &SpanSet,
    ) -> Result<Arc<Self>> {
        let found = Arc::new(Found::default());
        let (own_context, finder) = (context.clone(), Finder(found.clone()));
        let mut unchecked = SpanSet::new();
        if context.unchecked_bytes() > 0 {
            unchecked = here.clone();
            ledger.good().iter().for_each(|span| _ = unchecked.remove(span));
            context.set_unchecked(unchecked.covered());
        }
        let on_verdict = move |verdict: Verdict| {
            if unchecked.remove(verdict.span) > 0 {
                own_context.set_unchecked(unchecked.covered());
            }
            finder.0.add(verdict);
        };
        let failing = context.clone();
        let on_failed = move |error| failing.fail(error);
        let check = &ledger.check;
        let room = Arc::new(Notify::new());
        let bell = room.clone();
        let on_room = move || bell.notify_waiters();
        let verifier = PieceVerifier::start(check, output, here, on_verdict, on_room, on_failed)?;
        let (ledger, here) = (ledger.clone(), here.clone());
        Ok(Arc::new(Self { ledger, verifier, found, room, here, is_trial }))
    }

    /// Offers the block at `offset`, before it is written.
    pub(in crate::engine) fn offer(&self, offset: u64, block: Block) {
        self.verifier.offer(offset, block);
    }

    /// Whether as many blocks wait to be hashed as should.
    pub(in crate::engine) fn is_full(&self) -> bool {
        self.verifier.is_full()
    }

    /// Waits while as many blocks wait to be hashed as should.
    pub(in crate::engine) async fn room(&self) {
        loop {
            let rung = self.room.notified();
            if !self.is_full() {
                return;
            }
            rung.await;
        }
    }

    /// These bytes can be read back from now on.
    pub(in crate::engine) fn on_written(&self, span: Span) {
        self.verifier.on_written(span);
    }

    /// Waits until every piece that was fetched whole, and is written, is judged. To be given up
    /// when the context fails.
    pub(in crate::engine) async fn finished(&self) -> Result<()> {
        loop {
            let is_over = self.found.is_over.load(Ordering::Acquire);
            if lock(&self.ledger.check).has_judged(&self.ledger.wanted) {
                return Ok(());
            }
            if is_over {
                let what = "the thread that verifies pieces ended before its work";
                return Err(Error::new(ErrorKind::Internal, what));
            }
            self.found.bell.notified().await;
        }
    }

    /// Ends the verification, whatever is judged by now.
    pub(in crate::engine) fn end(&self) {
        self.verifier.end();
        let read_back_bytes = self.verifier.take_read_back_bytes();
        self.ledger.read_back_bytes.fetch_add(read_back_bytes, Ordering::Relaxed);
    }

    /// What is known of the pieces over all attempts.
    pub(in crate::engine) fn ledger(&self) -> &PieceLedger {
        &self.ledger
    }

    /// The bad pieces of this attempt.
    pub(in crate::engine) fn bad(&self) -> Vec<Verdict> {
        lock(&self.found.bad).clone()
    }

    /// What was in the file when the attempt began.
    pub(in crate::engine) fn here(&self) -> &SpanSet {
        &self.here
    }

    /// Whether the only source of the attempt is one of several, and may be left out.
    pub(in crate::engine) fn is_trial(&self) -> bool {
        self.is_trial
    }
}

impl Found {
    fn add(&self, verdict: Verdict) {
        if !verdict.is_good {
            lock(&self.bad).push(verdict);
        }
        // One task waits, or will.
        self.bell.notify_one();
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
        self.0.bell.notify_one();
    }
}

/// The pieces that have no byte of `unwanted`.
fn without(hashes: &PieceHashes, unwanted: &SpanSet) -> SpanSet {
    let mut wanted = SpanSet::new();
    wanted.insert(Span::new(0, hashes.total_bytes()));
    for piece in unwanted.iter().flat_map(|span| hashes.touched(span)) {
        wanted.remove(hashes.span(piece));
    }
    wanted
}

/// The error that says that a piece of the file with these `hashes` is bad.
pub(in crate::engine) fn mismatch(hashes: &PieceHashes, bad: &Verdict) -> Error {
    let (number, span) = (bad.piece + 1, bad.span);
    let (count, algorithm) = (hashes.count(), hashes.algorithm());
    let what = format!("piece {number} of {count} (bytes {span}) has not the {algorithm} given");
    Error::new(ErrorKind::ChecksumMismatch, what)
        .advise("compare the piece hashes with their source, or name another mirror")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
