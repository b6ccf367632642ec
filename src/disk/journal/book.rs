//! What has been written, in memory: runs of bytes and their CRCs, put together with their
//! neighbours as far as the journal wants them. Whether it is durable is the journal's business.
//!
//! Each byte is written once. What counts as written is hashed, recorded and told to the plan; if
//! it were written again, all of these would speak of other bytes than the file has. So the book
//! asserts before each write that none of its bytes counts.
//!
//! A CRC of every byte costs a tenth of the CPU time of a fast download, and most fast downloads
//! end before a barrier needs it. So while it is not clear that this one will outlast the first
//! barrier, blocks may come without; that barrier reads them back.

use super::format::run_bytes_max;
use super::pace::Pacer;
use crate::base::{Span, SpanSet};
use crate::digest::crc::{Run, crc32c_joined};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The written bytes of one file, shared by all who write. One short lock for each call.
pub struct Book {
    /// Size of the file in bytes.
    total: u64,
    /// Longest run in bytes that neighbours are put together to.
    run_bytes_max: u64,
    /// Whether blocks are to come with their CRC.
    wants_sums: AtomicBool,
    state: Mutex<State>,
}

/// What had been written at one moment.
pub(super) struct Snapshot {
    total: u64,
    runs: Vec<Run>,
    /// Bytes whose CRC is not known, in pieces that make one run each.
    pub(super) unsummed: Vec<Span>,
}

struct State {
    /// Written runs whose CRC is known, by the offset of their first byte; disjoint.
    runs: BTreeMap<u64, Run>,
    /// Bytes that are written and whose CRC is not known; none of them is in a run.
    unsummed: SpanSet,
    /// Hears of each change; `None` while no journal runs.
    pacer: Option<Arc<Pacer>>,
}

impl Book {
    /// The book of a file of `total` bytes, of which `runs` are there already.
    pub fn new(total: u64, runs: Vec<Run>) -> Self {
        let mut state = State { runs: BTreeMap::new(), unsummed: SpanSet::new(), pacer: None };
        let run_bytes_max = run_bytes_max(total);
        for run in runs {
            assert!(run.span.end() <= total, "a run within the file");
            state.insert(run, run_bytes_max);
        }
        Self { total, run_bytes_max, wants_sums: AtomicBool::new(true), state: Mutex::new(state) }
    }

    /// Whether blocks are to come with their CRC from now on; at first they are.
    pub fn want_sums(&self, wanted: bool) {
        self.wants_sums.store(wanted, Ordering::Relaxed);
    }

    /// Whether blocks are to come with their CRC.
    pub fn wants_sums(&self) -> bool {
        self.wants_sums.load(Ordering::Relaxed)
    }

    /// A write of these bytes begins.
    ///
    /// # Panics
    /// If any of them counts as written already.
    pub fn on_writing(&self, span: Span) {
        assert!(self.lock().is_free(span), "{span} counts as written and is to be written again");
    }

    /// These bytes have been written, all of them, and this is their CRC-32C, if it is known.
    ///
    /// # Panics
    /// If any of them counts as written already.
    pub fn on_written(&self, span: Span, crc32c: Option<u32>) {
        assert!(span.end() <= self.total, "written within the file");
        if span.is_empty() {
            return;
        }
        let mut state = self.lock();
        assert!(state.is_free(span), "{span} counts as written and was written again");
        match crc32c {
            Some(crc32c) => state.insert(Run { span, crc32c }, self.run_bytes_max),
            None => _ = state.unsummed.insert(span),
        }
        if let Some(pacer) = &state.pacer {
            pacer.on_change(span.len());
        }
    }

    /// The CRC of bytes that came without one, read back; nothing if they were forgotten meanwhile.
    pub(super) fn on_summed(&self, run: Run) {
        let mut state = self.lock();
        if state.unsummed.covers(run.span) {
            state.unsummed.remove(run.span);
            state.insert(run, self.run_bytes_max);
        }
    }

    /// Bytes of `span` are not what they should be. A run is forgotten whole, as the CRC of a part
    /// of it is not known; returns what is forgotten. Before it is written again, the journal needs
    /// a barrier, or after a crash it vouches for bytes that are half one and half the other.
    pub fn forget(&self, span: Span) -> SpanSet {
        let mut state = self.lock();
        let mut forgotten = SpanSet::new();
        for run in state.overlapping(span) {
            state.runs.remove(&run.span.start());
            forgotten.insert(run.span);
        }
        for unsummed in state.unsummed_within(span) {
            state.unsummed.remove(unsummed);
            forgotten.insert(unsummed);
        }
        if !forgotten.is_empty()
            && let Some(pacer) = &state.pacer
        {
            pacer.on_change(0);
        }
        forgotten
    }

    /// The bytes of `span` are not what they should be. What else was in their runs stays, and has
    /// no known CRC: it has to be proved by other means, as the digests of pieces do.
    pub fn forget_only(&self, span: Span) {
        for run in self.forget(span).iter() {
            for kept in [run.split_at(span.start()).0, run.split_at(span.end()).1] {
                self.on_written(kept, None);
            }
        }
    }

    /// What has been written.
    pub fn written(&self) -> SpanSet {
        let state = self.lock();
        let mut written = state.unsummed.clone();
        for run in state.runs.values() {
            written.insert(run.span);
        }
        written
    }

    /// What has been written so far.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let runs = state.runs.values().copied().collect();
        let unsummed = state.unsummed.iter().flat_map(|span| pieces(span, self.run_bytes_max));
        Snapshot { total: self.total, runs, unsummed: unsummed.collect() }
    }

    /// The runs whose CRC is known, in order.
    pub fn runs(&self) -> Vec<Run> {
        self.lock().runs.values().copied().collect()
    }

    /// The CRC-32C of the whole file, once that of each part is known.
    pub fn crc32c(&self) -> Option<u32> {
        let mut crc = 0;
        let mut end = 0;
        for run in self.lock().runs.values() {
            if run.span.start() != end {
                return None;
            }
            crc = crc32c_joined(crc, run.crc32c, run.span.len());
            end = run.span.end();
        }
        (end == self.total).then_some(crc)
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// `pacer` hears of every change from now on.
    pub(super) fn watch(&self, pacer: Option<Arc<Pacer>>) {
        self.lock().pacer = pacer;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// All runs in order, once the CRCs of the others are known.
    pub(super) fn with(self, summed: &[Run]) -> Vec<Run> {
        if summed.is_empty() {
            return self.runs;
        }
        Book::new(self.total, [&self.runs, summed].concat()).runs()
    }
}

impl State {
    /// Whether no byte of `span` is known.
    fn is_free(&self, span: Span) -> bool {
        self.overlapping(span).is_empty() && self.unsummed_within(span).is_empty()
    }

    /// The parts of `span` without a CRC.
    fn unsummed_within(&self, span: Span) -> Vec<Span> {
        let parts = self.unsummed.iter().map(|unsummed| unsummed.intersect(span));
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// Adds a run, none of whose bytes is known.
    fn insert(&mut self, run: Run, run_bytes_max: u64) {
        assert!(self.is_free(run.span), "runs are disjoint");
        let mut run = run;
        if let Some((_, &left)) = self.runs.range(..run.span.start()).next_back()
            && let Some(joined) = joined(left, run, run_bytes_max)
        {
            run = joined;
        }
        if let Some(&right) = self.runs.get(&run.span.end())
            && let Some(joined) = joined(run, right, run_bytes_max)
        {
            self.runs.remove(&right.span.start());
            run = joined;
        }
        // In the place of the left neighbour, if it was joined.
        self.runs.insert(run.span.start(), run);
    }

    fn overlapping(&self, span: Span) -> Vec<Run> {
        if span.is_empty() {
            return Vec::new();
        }
        let before = self.runs.range(..span.end()).rev();
        before.map(|(_, run)| *run).take_while(|run| run.span.end() > span.start()).collect()
    }
}

/// `span`, cut where runs end.
fn pieces(span: Span, run_bytes_max: u64) -> Vec<Span> {
    let mut pieces = Vec::new();
    let mut rest = span;
    while !rest.is_empty() {
        let border = (rest.start() / run_bytes_max + 1).saturating_mul(run_bytes_max);
        let (piece, later) = rest.split_at(border);
        pieces.push(piece);
        rest = later;
    }
    pieces
}

/// Two neighbours as one run, if they touch and it is not too long.
fn joined(left: Run, right: Run, run_bytes_max: u64) -> Option<Run> {
    let span = Span::new(left.span.start(), right.span.end());
    let fits = left.span.end() == right.span.start() && span.len() <= run_bytes_max;
    let crc32c = || crc32c_joined(left.crc32c, right.crc32c, right.span.len());
    fits.then(|| Run { span, crc32c: crc32c() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::crc::crc32c;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn content(span: Span) -> Vec<u8> {
        (span.start()..span.end()).map(|at| ((at * 31) >> 3).to_le_bytes()[0]).collect()
    }

    fn write(book: &Book, start: u64, end: u64) {
        let span = Span::new(start, end);
        book.on_written(span, Some(crc32c(&content(span))));
    }

    #[test]
    fn neighbours_become_one_run_up_to_a_bound() {
        let book = Book::new(3 * MIB, Vec::new());
        for start in [0, MIB / 2, MIB, 2 * MIB, MIB + MIB / 2] {
            book.on_writing(Span::with_len(start, MIB / 2));
            write(&book, start, start + MIB / 2);
        }
        let spans: Vec<Span> = book.runs().iter().map(|run| run.span).collect();
        assert_eq!(spans[..2], [Span::new(0, MIB), Span::new(MIB, 2 * MIB)]);
        assert_eq!(book.written().first(), Some(Span::new(0, 2 * MIB + MIB / 2)));
        assert_eq!(book.crc32c(), None);
        write(&book, 2 * MIB + MIB / 2, 3 * MIB);
        assert_eq!(book.crc32c(), Some(crc32c(&content(Span::new(0, 3 * MIB)))));
        // What a later run loads is the same book.
        assert_eq!(Book::new(3 * MIB, book.runs()).crc32c(), book.crc32c());
    }

    #[test]
    fn a_run_is_forgotten_whole() {
        let book = Book::new(4 * MIB, Vec::new());
        for start in 0..4 {
            write(&book, start * MIB, (start + 1) * MIB);
        }
        let forgotten = book.forget(Span::new(MIB + 5, 2 * MIB + 5));
        assert_eq!(forgotten.iter().collect::<Vec<_>>(), [Span::new(MIB, 3 * MIB)]);
        assert_eq!(book.written().covered(), 2 * MIB);
        assert!(book.forget(Span::new(MIB, 3 * MIB)).is_empty());
    }

    #[test]
    fn what_else_was_in_a_run_may_stay() {
        let book = Book::new(4 * MIB, Vec::new());
        (0..3).for_each(|start| write(&book, start * MIB, (start + 1) * MIB));
        book.forget_only(Span::new(MIB + 5, 2 * MIB + 5));
        let kept: Vec<Span> = book.written().iter().collect();
        assert_eq!(kept, [Span::new(0, MIB + 5), Span::new(2 * MIB + 5, 3 * MIB)]);
        assert_eq!(book.runs().len(), 1, "the CRCs of the others are not known");
        book.on_writing(Span::new(MIB + 5, 2 * MIB + 5));
    }

    #[test]
    #[should_panic(expected = "1048575..1048577 counts as written and is to be written again")]
    fn what_counts_is_never_written_again() {
        let book = Book::new(4 * MIB, Vec::new());
        write(&book, 0, MIB);
        book.on_writing(Span::new(MIB, 2 * MIB));
        book.on_writing(Span::new(MIB - 1, MIB + 1));
    }

    #[test]
    #[should_panic(expected = "was written again")]
    fn what_came_without_a_sum_is_not_written_again_either() {
        let book = Book::new(MIB, Vec::new());
        book.on_written(Span::new(0, 10), None);
        book.on_written(Span::new(9, 20), Some(0));
    }

    #[test]
    fn an_empty_file_is_complete() {
        assert_eq!(Book::new(0, Vec::new()).crc32c(), Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Against a set, which is tested against a bitmap: the book knows what was written, its
        /// CRCs are right, and nothing known is lost but by `forget`.
        #[test]
        fn knows_only_what_was_written(
            ops in proptest::collection::vec((0..12u8, 0..120u64, 1..20u64), 1..60),
        ) {
            const UNIVERSE: u64 = 128;
            let book = Book::new(UNIVERSE, Vec::new());
            let mut written = SpanSet::new();
            for (op, start, len) in ops {
                let span = Span::new(start, (start + len).min(UNIVERSE));
                let before = book.written();
                if op == 0 {
                    let forgotten = book.forget(span);
                    let after = book.written();
                    prop_assert_eq!(after.covered() + forgotten.covered(), before.covered());
                    prop_assert!(span.start() == span.end() || after.first_gap(span) == Some(span));
                    forgotten.iter().for_each(|span| _ = written.remove(span));
                } else if op == 1 {
                    for piece in book.snapshot().unsummed {
                        book.on_summed(Run { span: piece, crc32c: crc32c(&content(piece)) });
                    }
                    prop_assert!(book.snapshot().unsummed.is_empty());
                    prop_assert_eq!(book.written(), before);
                } else {
                    for new in before.gaps(span) {
                        book.on_writing(new);
                        book.on_written(new, (op < 8).then(|| crc32c(&content(new))));
                        written.insert(new);
                    }
                    prop_assert_eq!(book.written(), written.clone());
                }
                let mut apart = SpanSet::new();
                for span in book.snapshot().unsummed {
                    prop_assert_eq!(apart.insert(span), span.len());
                    prop_assert!(written.covers(span));
                }
                let mut end = 0;
                for run in book.runs() {
                    prop_assert_eq!(apart.insert(run.span), run.span.len());
                    prop_assert!(run.span.start() >= end && !run.span.is_empty());
                    end = run.span.end();
                    prop_assert!(written.covers(run.span));
                    prop_assert_eq!(run.crc32c, crc32c(&content(run.span)));
                }
            }
        }
    }
}
