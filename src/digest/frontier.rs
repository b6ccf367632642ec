//! In-order hashing of blocks that arrive out of order: what to hash next, and from where.
//!
//! Owns the position of the hash and the blocks held back for it. Must not know the hash, the file
//! or the threads: the caller hashes, reads and reports.
//!
//! States: idle -> busy (a step has been handed out, [`Frontier::advance`] ends it) -> idle ...
//! -> finished. While busy, blocks may be offered and writes reported, but no second step is
//! handed out.
//!
//! A block is hashed from memory if it can be kept until its turn; otherwise its bytes are read
//! back once they are written. No held block lies within another, so each one, when its turn has
//! come, has at least one byte that is not hashed yet.

use crate::base::{Span, SpanSet};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Decides which bytes are hashed next. `B` is the handle of a block in memory; dropping it gives
/// the memory back, so the frontier hands each one to the caller to be dropped in the right place.
///
/// Offer a block before its write is reported, or its bytes may be read back for nothing.
pub struct Frontier<B> {
    /// Offset in the file of the first byte that is not hashed.
    position: u64,
    /// Blocks in memory by their offset in the file; starts and ends both increase.
    held: BTreeMap<u64, B>,
    /// Bytes of all held blocks.
    held_bytes: u64,
    /// Most bytes of blocks that may be held.
    budget_bytes: u64,
    /// Most bytes that one step reads back.
    read_back_bytes_max: u64,
    /// Bytes that are on disk and not hashed.
    written: SpanSet,
    /// Size of the file in bytes, once it is known.
    total: Option<u64>,
    /// The step that was handed out and not ended.
    busy: Option<Work>,
    stats: Stats,
}

/// What became of an offered block.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "blocks in it are to be dropped where they belong"]
pub enum Offer<B> {
    /// It is held. Those blocks, farther away or within it, had to go for it.
    Kept {
        /// Blocks that are no longer held; their bytes will be read back where necessary.
        released: Vec<B>,
    },
    /// It is not needed or there is no room for it; its bytes will be read back if necessary.
    Declined(B),
}

/// What the caller has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<B> {
    /// Hash `block[range]`, then [`advance`](Frontier::advance) by all of it and drop the block.
    Hash {
        /// The block at the frontier.
        block: B,
        /// The part of it that is not hashed yet; never empty.
        range: Range<usize>,
    },
    /// Read these bytes back and hash them, then [`advance`](Frontier::advance) by as many as were
    /// read.
    ReadBack(Span),
    /// The bytes at the frontier are neither held nor written yet.
    Wait,
    /// All bytes are hashed.
    Finished,
}

/// Where the hashed bytes came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes hashed from blocks that were held.
    pub from_memory_bytes: u64,
    /// Bytes that had to be read back.
    pub read_back_bytes: u64,
}

/// The step that is being carried out.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// The bytes of the file that are being hashed.
    span: Span,
    /// Whether they come from a held block, and not from the disk.
    from_memory: bool,
}

impl<B: AsRef<[u8]>> Frontier<B> {
    /// Nothing hashed yet. Holds at most `budget_bytes` of blocks (0: reads everything back); one
    /// read-back spans at most `read_back_bytes_max`, which is not 0.
    pub fn new(budget_bytes: u64, read_back_bytes_max: u64) -> Self {
        assert!(read_back_bytes_max > 0, "a read-back makes progress");
        Self {
            position: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
            budget_bytes,
            read_back_bytes_max,
            written: SpanSet::new(),
            total: None,
            busy: None,
            stats: Stats::default(),
        }
    }

    /// Offers the block at `offset` of the file. It is kept if any of its bytes are still to be
    /// hashed, no held block has them all, and there is room or blocks farther away to make some.
    pub fn offer(&mut self, offset: u64, block: B) -> Offer<B> {
        let span = span_of(offset, &block);
        if span.end() <= self.claimed_until() || self.is_held(span) {
            return Offer::Declined(block);
        }
        let inner = self.held_within(span);
        let inner_bytes: u64 = inner.iter().map(|s| s.len()).sum();
        let Some(farther) = self.farthest_to_free(span, inner_bytes) else {
            return Offer::Declined(block);
        };
        let released = inner.iter().chain(&farther).map(|s| self.take(s.start())).collect();
        self.held_bytes += span.len();
        self.held.insert(offset, block);
        assert!(self.held_bytes <= self.budget_bytes, "held blocks stay within the budget");
        Offer::Kept { released }
    }

    /// Reports bytes that can be read back from the file from now on.
    pub fn on_written(&mut self, span: Span) {
        let (_hashed, open) = span.split_at(self.position);
        self.written.insert(open);
    }

    /// Sets the length of the file, as soon as it is known.
    pub fn set_total(&mut self, total: u64) {
        assert!(self.claimed_until() <= total, "nothing is hashed beyond the end of the file");
        self.total = Some(total);
    }

    /// What to do next. Every `Hash` and `ReadBack` is ended by [`advance`](Self::advance) before
    /// the next call.
    pub fn next_step(&mut self) -> Step<B> {
        assert!(self.busy.is_none(), "one step at a time");
        if self.total == Some(self.position) {
            return Step::Finished;
        }
        let next_held = self.held.first_key_value().map_or(u64::MAX, |(&start, _)| start);
        if next_held <= self.position {
            return self.hash(next_held);
        }
        let Some(on_disk) = self.written.span_at(self.position) else { return Step::Wait };
        let end = on_disk.end().min(next_held).min(self.total.unwrap_or(u64::MAX));
        let len = (end - self.position).min(self.read_back_bytes_max);
        let span = Span::with_len(self.position, len);
        self.busy = Some(Work { span, from_memory: false });
        Step::ReadBack(span)
    }

    /// Ends the step: `len` bytes at the frontier are hashed. All of a `Hash`; as many as were read
    /// of a `ReadBack`.
    pub fn advance(&mut self, len: u64) {
        let work = self.busy.take().expect("a step was handed out");
        assert!(len <= work.span.len(), "no more is hashed than was handed out");
        if work.from_memory {
            assert_eq!(len, work.span.len(), "a block in memory is hashed whole");
            self.stats.from_memory_bytes += len;
        } else {
            self.stats.read_back_bytes += len;
        }
        self.position += len;
        self.written.remove(Span::new(0, self.position));
    }

    /// Bytes hashed so far: everything before this offset, and nothing behind it.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the blocks held, at most the budget.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Where the hashed bytes came from.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Gives all held blocks back, for a transfer that ends before its time.
    pub fn release_all(&mut self) -> Vec<B> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held).into_values().collect()
    }

    fn hash(&mut self, start: u64) -> Step<B> {
        let block = self.take(start);
        let span = span_of(start, &block);
        let (done, open) = span.split_at(self.position);
        assert!(!open.is_empty(), "no held block lies behind the frontier");
        self.busy = Some(Work { span: open, from_memory: true });
        let skip = usize::try_from(done.len()).expect("within a block in memory");
        let range = skip..block.as_ref().len();
        Step::Hash { block, range }
    }

    /// Everything before is hashed or being hashed right now.
    fn claimed_until(&self) -> u64 {
        self.busy.map_or(self.position, |work| work.span.end())
    }

    /// Whether one held block has all bytes of `span`. The last one that starts at or before it
    /// reaches farthest.
    fn is_held(&self, span: Span) -> bool {
        let before = self.held.range(..=span.start()).next_back();
        before.is_some_and(|(&start, block)| span_of(start, block).covers(span))
    }

    /// Held blocks that lie within `span`.
    fn held_within(&self, span: Span) -> Vec<Span> {
        let inside = self.held.range(span.start()..span.end());
        let spans = inside.map(|(&start, block)| span_of(start, block));
        spans.take_while(|&held| span.covers(held)).collect()
    }

    /// The farthest blocks behind `span` that have to go, so that it fits once `freed_bytes` are
    /// free besides; `None` if even all of them are not enough.
    fn farthest_to_free(&self, span: Span, freed_bytes: u64) -> Option<Vec<Span>> {
        let room = self.budget_bytes.checked_sub(span.len())?;
        let mut kept_bytes = self.held_bytes - freed_bytes;
        let mut farthest = Vec::new();
        for (&start, block) in self.held.range(span.start()..).rev() {
            if kept_bytes <= room {
                break;
            }
            let held = span_of(start, block);
            if span.covers(held) {
                break;
            }
            kept_bytes -= held.len();
            farthest.push(held);
        }
        (kept_bytes <= room).then_some(farthest)
    }

    fn take(&mut self, start: u64) -> B {
        let block = self.held.remove(&start).expect("the block is held");
        self.held_bytes -= span_of(start, &block).len();
        block
    }
}

impl<B> fmt::Debug for Frontier<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frontier")
            .field("position", &self.position)
            .field("held", &self.held.keys())
            .field("held_bytes", &self.held_bytes)
            .field("written", &self.written)
            .field("total", &self.total)
            .field("busy", &self.busy)
            .finish_non_exhaustive()
    }
}

fn span_of<B: AsRef<[u8]>>(offset: u64, block: &B) -> Span {
    Span::with_len(offset, block.as_ref().len() as u64)
}

#[cfg(test)]
mod tests;
