//! Who is to blame for bad pieces, and what follows: a source that brought a bad piece alone is
//! left out if there is another one; where several brought parts of it, more bad pieces or an
//! attempt without them tell who is wrong; what remains is fetched again.
//!
//! Each of these ends the attempt. Verified pieces stay.

use super::Ranged;
use crate::base::{Span, SpanSet};
use crate::digest::Verdict;
use crate::engine::context::{Again, Context};
use crate::engine::receive::pieces::Pieces;
use crate::engine::source::Source;
use crate::plan::SourceId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bad pieces of one attempt, of which nobody is to blame, or nobody else could bring them: more
/// end it before its last byte has come, as the whole file may be another one.
const BAD_PIECES_MAX: usize = 16;
/// Bytes of such pieces.
const BAD_BYTES_MAX: u64 = 64 << 20;
/// Bad pieces of which several sources have brought parts: more would hardly tell who is wrong.
const SHARED_PIECES_MAX: usize = 4;

/// Whose bytes may be in a bad piece; `None` stands for what was here when the attempt began.
type Suspects = BTreeSet<Option<SourceId>>;

/// What follows from the bad pieces.
#[derive(Debug, PartialEq, Eq)]
enum Blame {
    /// Nothing yet.
    Wait,
    /// This source is wrong.
    On(SourceId),
    /// One of these is wrong.
    Among(BTreeSet<SourceId>),
    /// The pieces are fetched again.
    Nobody,
}

impl Ranged {
    /// Looks at the pieces that were found bad so far, once more when all have been judged, as
    /// `is_last` says. Ends the attempt, by failing the context, if something follows.
    pub(in crate::engine) fn judge_pieces(&self, is_last: bool) {
        let Some(pieces) = &self.to.pieces else { return };
        let bad = pieces.bad();
        if bad.is_empty() || self.context.has_failed() {
            return;
        }
        // What has come since the last tick counts for those who brought it.
        self.report_positions(&mut self.plan());
        let suspects: Vec<Suspects> =
            bad.iter().map(|bad| self.suspects(pieces, bad.span)).collect();
        let can_leave_out = |id| pieces.is_trial() || self.has_another(id);
        match blame(&bad, &suspects, is_last, can_leave_out) {
            Blame::Wait => {}
            Blame::On(id) => self.leave_out_for(id, &bad),
            Blame::Among(ids) => {
                let urls = ids.iter().map(|id| self.source(*id).url().clone()).collect();
                let error = pieces.ledger().mismatch(&bad[0]);
                let again = Some(Again::Without(urls));
                self.context.fail_pieces(error, spans_of(&bad), again);
            }
            Blame::Nobody => {
                let sole = bad.iter().zip(&suspects).find_map(|(bad, suspects)| {
                    let sole = sole(suspects).flatten().filter(|_| !self.is_single())?;
                    (!pieces.ledger().is_refetchable(bad.piece)).then_some(sole)
                });
                match sole {
                    Some(id) => self.leave_out_for(id, &bad),
                    None => refetch(&self.context, pieces, &bad),
                }
            }
        }
    }

    /// What a source has brought that is to be left out, now that nothing more comes of it: all of
    /// that is fetched again.
    pub(in crate::engine) fn settle_liar(&self) {
        let (Some(pieces), Some(url)) = (&self.to.pieces, self.context.liar()) else { return };
        if let Some(source) = self.sources.iter().find(|source| *source.url() == url) {
            self.report_positions(&mut self.plan());
            let mut wrong = spans_of(&pieces.bad());
            self.brought(pieces, source).iter().for_each(|span| _ = wrong.insert(span));
            self.context.set_liar(url, wrong);
        }
    }

    /// The source has brought bad pieces alone, and the next attempt does without.
    fn leave_out_for(&self, id: SourceId, bad: &[Verdict]) {
        let Some(pieces) = &self.to.pieces else { return };
        let source = self.source(id);
        let error = pieces.ledger().mismatch(&bad[0]).within(source.url());
        source.tally.failed(&error);
        self.context.set_liar(source.url().clone(), spans_of(bad));
        self.context.fail(error);
    }

    /// Whose bytes are in the piece.
    fn suspects(&self, pieces: &Pieces, piece: Span) -> Suspects {
        let brought = |(id, source): (SourceId, &Source)| {
            has_some(&self.brought(pieces, source), piece).then_some(Some(id))
        };
        let was_here = has_some(pieces.here(), piece).then_some(None);
        self.numbered().filter_map(brought).chain(was_here).collect()
    }

    /// The bytes that the source has brought.
    fn brought(&self, pieces: &Pieces, source: &Source) -> SpanSet {
        if !self.is_single() {
            return source.tally.spans();
        }
        let all = Span::new(0, self.file.total_bytes);
        let mut brought = SpanSet::new();
        pieces.here().gaps(all).into_iter().for_each(|gap| _ = brought.insert(gap));
        brought
    }

    /// Whether another source serves the file, or may do so.
    fn has_another(&self, than: SourceId) -> bool {
        let plan = self.plan();
        self.numbered().any(|(id, source)| {
            let is_untried = source.opened().is_none() && source.tally.failures() == 0;
            id != than && (is_untried || plan.is_source_open(id))
        })
    }
}

/// Ends the attempt, whose bad pieces the next one fetches again, unless that has been done too
/// often: then with the error of the transfer.
pub(in crate::engine) fn refetch(context: &Context, pieces: &Arc<Pieces>, bad: &[Verdict]) {
    let ledger = pieces.ledger();
    let last: Vec<&Verdict> = bad.iter().filter(|bad| !ledger.count_refetch(bad.piece)).collect();
    let error = ledger.mismatch(last.first().copied().unwrap_or(&bad[0]));
    let again = last.is_empty().then_some(Again::Same);
    context.fail_pieces(error, spans_of(bad), again);
}

/// What follows from bad pieces with these suspects each.
fn blame(
    bad: &[Verdict],
    suspects: &[Suspects],
    is_last: bool,
    can_leave_out: impl Fn(SourceId) -> bool,
) -> Blame {
    let alone = suspects.iter().find_map(|suspects| sole(suspects).flatten());
    if let Some(id) = alone.filter(|id| can_leave_out(*id)) {
        return Blame::On(id);
    }
    let is_shared = |suspects: &&Suspects| suspects.iter().flatten().count() > 1;
    let shared: Vec<&Suspects> = suspects.iter().filter(is_shared).collect();
    if let [first, others @ ..] = &shared[..]
        && first.iter().flatten().any(|id| can_leave_out(*id))
    {
        let in_all = first.iter().filter(|id| others.iter().all(|other| other.contains(id)));
        let in_all: Suspects = in_all.copied().collect();
        return match sole(&in_all).flatten() {
            Some(id) if can_leave_out(id) => Blame::On(id),
            _ if is_last || shared.len() >= SHARED_PIECES_MAX => {
                Blame::Among(first.iter().copied().flatten().collect())
            }
            _ => Blame::Wait,
        };
    }
    // What was here is read back beside the download, and is fetched again at its end.
    let is_new = |(_, suspects): &(&Verdict, &Suspects)| suspects.iter().any(Option::is_some);
    let new: Vec<u64> =
        bad.iter().zip(suspects).filter(is_new).map(|(bad, _)| bad.span.len()).collect();
    let is_much = new.len() >= BAD_PIECES_MAX || new.iter().sum::<u64>() >= BAD_BYTES_MAX;
    if is_last || is_much { Blame::Nobody } else { Blame::Wait }
}

/// The only suspect.
fn sole(suspects: &Suspects) -> Option<Option<SourceId>> {
    suspects.first().copied().filter(|_| suspects.len() == 1)
}

/// Whether a byte of `span` is in the set.
fn has_some(set: &SpanSet, span: Span) -> bool {
    set.gaps(span) != [span]
}

fn spans_of(bad: &[Verdict]) -> SpanSet {
    let mut spans = SpanSet::new();
    bad.iter().for_each(|bad| _ = spans.insert(bad.span));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<SourceId> = Some(SourceId(0));
    const B: Option<SourceId> = Some(SourceId(1));
    const C: Option<SourceId> = Some(SourceId(2));
    const HERE: Option<SourceId> = None;

    fn judge(suspects: &[&[Option<SourceId>]], is_last: bool, can_leave_out: bool) -> Blame {
        let suspects: Vec<Suspects> =
            suspects.iter().map(|suspects| suspects.iter().copied().collect()).collect();
        let bad = |piece: usize| Verdict {
            piece: piece as u64,
            span: Span::with_len(piece as u64 * 1024, 1024),
            is_good: false,
        };
        let bad: Vec<Verdict> = (0..suspects.len()).map(bad).collect();
        blame(&bad, &suspects, is_last, |_| can_leave_out)
    }

    fn on(source: Option<SourceId>) -> Blame {
        Blame::On(source.unwrap())
    }

    #[test]
    fn who_brought_a_bad_piece_alone_is_wrong() {
        assert_eq!(judge(&[&[B]], false, true), on(B));
        assert_eq!(judge(&[&[A, B], &[HERE], &[C]], false, true), on(C));
    }

    #[test]
    fn who_brought_parts_of_all_shared_ones_is_wrong() {
        assert_eq!(judge(&[&[A, B]], false, true), Blame::Wait);
        assert_eq!(judge(&[&[A, B], &[B, C]], false, true), on(B));
        assert_eq!(judge(&[&[A, B], &[A, B]], false, true), Blame::Wait);
        let among = Blame::Among(BTreeSet::from([SourceId(0), SourceId(1)]));
        assert_eq!(judge(&[&[A, B], &[A, B]], true, true), among);
        assert_eq!(judge(&[&[A, B][..]; SHARED_PIECES_MAX], false, true), among);
    }

    #[test]
    fn without_another_source_pieces_are_fetched_again_together() {
        assert_eq!(judge(&[&[A]], false, false), Blame::Wait);
        assert_eq!(judge(&[&[A]], true, false), Blame::Nobody);
        assert_eq!(judge(&[&[A][..]; BAD_PIECES_MAX], false, false), Blame::Nobody);
        assert_eq!(judge(&[&[A, B]], true, false), Blame::Nobody);
    }

    #[test]
    fn what_was_here_is_fetched_again_at_the_end() {
        assert_eq!(judge(&[&[HERE][..]; 99], false, true), Blame::Wait);
        assert_eq!(judge(&[&[HERE], &[HERE, A]], true, true), Blame::Nobody);
    }
}
