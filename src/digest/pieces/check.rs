//! The verdict on each piece of a file whose bytes arrive in any order.
//!
//! States of a piece: untouched -> under way (its first bytes are hashed) <-> busy (more of them
//! are being hashed) -> good or bad. [`PieceCheck::forget`] leads back to untouched.
//!
//! Only bytes at the end of what is hashed of a piece can be hashed; others have to be read back
//! once they are written. Memory: a hasher for each piece under way, of which there are
//! [`PIECES_UNDER_WAY_MAX`], and the spans of what is written and not judged.

use super::hashes::PieceHashes;
use crate::base::limits::PIECES_UNDER_WAY_MAX;
use crate::base::{Span, SpanSet};
use crate::digest::Hasher;
use std::collections::{BTreeMap, VecDeque};

/// Judges the pieces of one file.
///
/// Bytes that are handed in have to be those that get written. Bytes of a piece that is judged, or
/// that were hashed before, do not count again.
#[derive(Debug)]
pub struct PieceCheck {
    hashes: PieceHashes,
    /// Pieces of which the first bytes are hashed, by their number.
    under_way: BTreeMap<u64, UnderWay>,
    /// Bytes in the file of pieces that are not judged.
    written: SpanSet,
    /// Good pieces.
    good: SpanSet,
    /// Bad pieces.
    bad: SpanSet,
    /// Verdicts that nobody has taken.
    verdicts: VecDeque<Verdict>,
    /// The next ticket of a piece under way.
    next_ticket: u64,
}

/// A piece of which the first bytes are hashed.
#[derive(Debug)]
struct UnderWay {
    /// Every byte of the piece in front of this offset in the file is hashed, or being hashed.
    hashed_to: u64,
    /// `None` while it is being used.
    hasher: Option<Hasher>,
    /// Tells it from an earlier attempt at the same piece.
    ticket: u64,
}

/// Bytes of one piece to be hashed. Has to be hashed and put back.
#[derive(Debug)]
#[must_use = "the piece stays busy until the work is put back"]
pub struct PieceWork {
    piece: u64,
    span: Span,
    hasher: Hasher,
    ticket: u64,
    is_hashed: bool,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Its number, from 0.
    pub piece: u64,
    /// Where it lies in the file.
    pub span: Span,
    /// Whether its digest is the expected one.
    pub is_good: bool,
}

impl PieceCheck {
    /// No byte has come yet.
    pub fn new(hashes: PieceHashes) -> Self {
        Self {
            hashes,
            under_way: BTreeMap::new(),
            written: SpanSet::new(),
            good: SpanSet::new(),
            bad: SpanSet::new(),
            verdicts: VecDeque::new(),
            next_ticket: 0,
        }
    }

    /// What the digests should be.
    pub fn hashes(&self) -> &PieceHashes {
        &self.hashes
    }

    /// Takes the work on bytes that have arrived, or were read back: one part for each piece that
    /// can be hashed on with them, in the order of the file.
    pub fn take(&mut self, span: Span) -> Vec<PieceWork> {
        let pieces = self.hashes.touched(span);
        pieces.filter_map(|piece| self.take_part(piece, span)).collect()
    }

    /// Ends a work that was hashed. Its piece is judged if these were its last bytes.
    pub fn put_back(&mut self, work: PieceWork) {
        assert!(work.is_hashed, "work is put back when it is done");
        let under_way = self.under_way.get_mut(&work.piece);
        let Some(under_way) = under_way.filter(|under_way| under_way.ticket == work.ticket) else {
            // Forgotten meanwhile.
            return;
        };
        let span = self.hashes.span(work.piece);
        if under_way.hashed_to < span.end() {
            under_way.hasher = Some(work.hasher);
            return;
        }
        self.under_way.remove(&work.piece);
        let is_good = self.hashes.is_good(work.piece, &work.hasher.finish());
        if is_good { &mut self.good } else { &mut self.bad }.insert(span);
        self.written.remove(span);
        self.verdicts.push_back(Verdict { piece: work.piece, span, is_good });
    }

    /// Hashes what can be hashed of `bytes`, which lie at `offset` of the file: all three steps at
    /// once, for a caller that shares this value with nobody.
    pub fn on_bytes(&mut self, offset: u64, bytes: &[u8]) {
        for mut work in self.take(Span::with_len(offset, bytes.len() as u64)) {
            work.hash(offset, bytes);
            self.put_back(work);
        }
    }

    /// These bytes can be read back from the file from now on.
    pub fn on_written(&mut self, span: Span) {
        let within = Span::new(0, self.hashes.total_bytes()).intersect(span);
        for open in self.good.gaps(within) {
            for open in self.bad.gaps(open) {
                self.written.insert(open);
            }
        }
    }

    /// Bytes to be read back and handed in, in the order of the file: for each piece whose bytes
    /// are all hashed or in the file, and which is not busy, those that are not hashed. Long ones
    /// may be handed in in parts.
    pub fn unhashed(&self) -> impl Iterator<Item = Span> + '_ {
        self.written.iter().flat_map(|written| {
            let pieces = self.hashes.touched(written);
            let open = pieces.filter_map(|piece| self.open_part(piece));
            open.filter(move |open| written.covers(*open))
        })
    }

    /// The first bytes of [`PieceCheck::unhashed`].
    pub fn next_unhashed(&self) -> Option<Span> {
        self.unhashed().next()
    }

    /// The next verdict, in the order in which they were found; each comes once.
    pub fn next_verdict(&mut self) -> Option<Verdict> {
        self.verdicts.pop_front()
    }

    /// These bytes will come anew. The rest of the pieces that they lie in counts as written.
    ///
    /// No write of them may be on its way any more: it could end behind the new one.
    pub fn forget(&mut self, span: Span) {
        for piece in self.hashes.touched(span) {
            let whole = self.hashes.span(piece);
            if self.is_judged(piece) {
                self.good.remove(whole);
                self.bad.remove(whole);
                self.written.insert(whole);
            }
            let hashed_to = self.under_way.get(&piece).map(|under_way| under_way.hashed_to);
            if hashed_to.is_some_and(|hashed_to| span.start() < hashed_to) {
                self.under_way.remove(&piece);
            }
        }
        self.verdicts.retain(|verdict| verdict.span.intersect(span).is_empty());
        self.written.remove(span);
    }

    /// The good pieces.
    pub fn good(&self) -> &SpanSet {
        &self.good
    }

    /// The bad pieces.
    pub fn bad(&self) -> &SpanSet {
        &self.bad
    }

    /// Bytes of the pieces that are judged.
    pub fn judged_bytes(&self) -> u64 {
        self.good.covered() + self.bad.covered()
    }

    /// Indicates whether all pieces in these bytes, which are whole pieces, are judged.
    pub fn has_judged(&self, pieces: &SpanSet) -> bool {
        let is_judged = |span| self.good.gaps(span).into_iter().all(|gap| self.bad.covers(gap));
        self.judged_bytes() >= pieces.covered() && pieces.iter().all(is_judged)
    }

    /// Indicates whether every piece is good.
    pub fn is_complete(&self) -> bool {
        self.good.covered() == self.hashes.total_bytes()
    }

    /// The bytes of `span` that the piece can be hashed on with.
    fn take_part(&mut self, piece: u64, span: Span) -> Option<PieceWork> {
        if self.is_judged(piece) {
            return None;
        }
        let whole = self.hashes.span(piece);
        let under_way = self.under_way.get(&piece);
        let hashed_to = under_way.map_or(whole.start(), |under_way| under_way.hashed_to);
        let open = Span::new(hashed_to, whole.end());
        let part = span.intersect(open);
        if part.is_empty() || part.start() != hashed_to {
            return None;
        }
        // A piece that is whole in the file is being read back; then it has to get a hasher.
        let has_room = part == open
            || under_way.is_some()
            || self.under_way.len() < PIECES_UNDER_WAY_MAX
            || self.written.covers(open);
        if !has_room {
            return None;
        }
        let (hasher, ticket) = match self.under_way.get_mut(&piece) {
            Some(under_way) => {
                let hasher = under_way.hasher.take()?;
                under_way.hashed_to = part.end();
                (hasher, under_way.ticket)
            }
            None => (self.hashes.algorithm().hasher(), self.begin(piece, part.end())),
        };
        Some(PieceWork { piece, span: part, hasher, ticket, is_hashed: false })
    }

    /// Puts a piece under way, busy; returns its ticket.
    fn begin(&mut self, piece: u64, hashed_to: u64) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.under_way.insert(piece, UnderWay { hashed_to, hasher: None, ticket });
        ticket
    }

    /// What is not hashed of a piece that is neither judged nor busy.
    fn open_part(&self, piece: u64) -> Option<Span> {
        let whole = self.hashes.span(piece);
        match self.under_way.get(&piece) {
            None => (!self.is_judged(piece)).then_some(whole),
            Some(UnderWay { hasher: None, .. }) => None,
            Some(under_way) => Some(Span::new(under_way.hashed_to, whole.end())),
        }
    }

    fn is_judged(&self, piece: u64) -> bool {
        let start = self.hashes.span(piece).start();
        self.good.span_at(start).is_some() || self.bad.span_at(start).is_some()
    }
}

impl PieceWork {
    /// Where its bytes lie in the file.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Hashes its bytes, which are among `bytes`, which lie at `offset` of the file.
    pub fn hash(&mut self, offset: u64, bytes: &[u8]) {
        assert!(!self.is_hashed, "work is done once");
        let there = Span::with_len(offset, bytes.len() as u64);
        assert!(there.covers(self.span), "these are the bytes it was taken for");
        let index = |at: u64| usize::try_from(at - offset).expect("within bytes in memory");
        self.hasher.update(&bytes[index(self.span.start())..index(self.span.end())]);
        self.is_hashed = true;
    }
}

#[cfg(test)]
mod tests;
