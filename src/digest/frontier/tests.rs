//! The frontier against a model: a file in memory, and a ledger of where every block went.

#![allow(clippy::cast_possible_truncation, reason = "test data is small, or cut on purpose")]

use super::*;
use crate::digest::{Algorithm, Digest};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A block that knows its number, so that none can get lost unseen.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Block {
    number: usize,
    bytes: Vec<u8>,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn block(number: usize, len: usize) -> Block {
    Block { number, bytes: vec![b'0'; len] }
}

/// Offers; returns the numbers of the released blocks, or the block itself if declined.
fn offer(frontier: &mut Frontier<Block>, at: u64, block: Block) -> Result<Vec<usize>, usize> {
    match frontier.offer(at, block) {
        Offer::Kept { released } => Ok(released.iter().map(|b| b.number).collect()),
        Offer::Declined(block) => Err(block.number),
    }
}

#[test]
fn held_blocks_are_hashed_in_order_and_gaps_wait() {
    let mut frontier = Frontier::new(100, 10);
    assert_eq!(offer(&mut frontier, 4, block(1, 4)), Ok(vec![]));
    assert_eq!(frontier.next_step(), Step::Wait);
    assert_eq!(offer(&mut frontier, 0, block(0, 4)), Ok(vec![]));
    assert_eq!(frontier.next_step(), Step::Hash { block: block(0, 4), range: 0..4 });
    frontier.advance(4);
    assert_eq!(frontier.next_step(), Step::Hash { block: block(1, 4), range: 0..4 });
    frontier.advance(4);
    assert_eq!(frontier.next_step(), Step::Wait);
    frontier.set_total(8);
    assert_eq!(frontier.next_step(), Step::Finished);
    assert_eq!(frontier.stats(), Stats { from_memory_bytes: 8, read_back_bytes: 0 });
}

#[test]
fn nearer_blocks_evict_the_farthest_and_no_others() {
    let mut frontier = Frontier::new(12, 10);
    for (number, at) in [(1, 10), (2, 20), (3, 30)] {
        assert_eq!(offer(&mut frontier, at, block(number, 4)), Ok(vec![]));
    }
    assert_eq!(offer(&mut frontier, 40, block(4, 1)), Err(4), "no room, and it is the farthest");
    assert_eq!(offer(&mut frontier, 5, block(5, 5)), Ok(vec![3, 2]));
    assert_eq!(offer(&mut frontier, 0, block(6, 13)), Err(6), "it never fits");
    assert_eq!(frontier.held_bytes(), 9);
    assert_eq!(frontier.release_all().len(), 2);
    assert_eq!(frontier.held_bytes(), 0);
}

#[test]
fn what_is_held_is_not_read_back() {
    let mut frontier = Frontier::new(100, 10);
    assert_eq!(offer(&mut frontier, 6, block(1, 4)), Ok(vec![]));
    frontier.on_written(Span::new(0, 40));
    assert_eq!(frontier.next_step(), Step::ReadBack(Span::new(0, 6)));
    assert_eq!(offer(&mut frontier, 2, block(2, 4)), Err(2), "these bytes are being read back");
    frontier.advance(5);
    assert_eq!(frontier.next_step(), Step::ReadBack(Span::new(5, 6)), "a short read");
    frontier.advance(1);
    assert_eq!(frontier.next_step(), Step::Hash { block: block(1, 4), range: 0..4 });
    frontier.advance(4);
    assert_eq!(frontier.next_step(), Step::ReadBack(Span::new(10, 20)), "one block at most");
    frontier.advance(10);
    frontier.set_total(25);
    assert_eq!(frontier.next_step(), Step::ReadBack(Span::new(20, 25)), "never past the end");
    frontier.advance(5);
    assert_eq!(frontier.next_step(), Step::Finished);
    assert_eq!(frontier.stats(), Stats { from_memory_bytes: 4, read_back_bytes: 21 });
}

#[test]
fn overlapping_blocks_are_hashed_from_where_the_others_ended() {
    let mut frontier = Frontier::new(100, 10);
    assert_eq!(offer(&mut frontier, 0, block(0, 6)), Ok(vec![]));
    assert_eq!(offer(&mut frontier, 4, block(1, 6)), Ok(vec![]));
    assert_eq!(offer(&mut frontier, 1, block(2, 5)), Err(2), "all of it is held");
    assert_eq!(offer(&mut frontier, 4, block(3, 8)), Ok(vec![1]), "it has all of the other");
    assert_eq!(frontier.next_step(), Step::Hash { block: block(0, 6), range: 0..6 });
    assert_eq!(offer(&mut frontier, 0, block(4, 6)), Err(4), "these bytes are being hashed");
    assert_eq!(offer(&mut frontier, 0, block(5, 0)), Err(5));
    frontier.advance(6);
    assert_eq!(frontier.next_step(), Step::Hash { block: block(3, 8), range: 2..8 });
    frontier.advance(6);
    assert_eq!(frontier.position(), 12);
}

#[test]
fn an_empty_file_is_finished_once_that_is_known() {
    let mut frontier: Frontier<Block> = Frontier::new(0, 1);
    assert_eq!(frontier.next_step(), Step::Wait);
    frontier.set_total(0);
    assert_eq!(frontier.next_step(), Step::Finished);
}

/// What is done to the frontier, in order.
#[derive(Debug, Clone)]
enum Event {
    Offer(usize, Span),
    Written(Span),
    Work,
}

/// A file cut into blocks; each is offered (some twice, some as overlapping ones) and then, at any
/// later time, written; steps are carried out in between.
#[derive(Debug, Clone)]
struct Script {
    file: Vec<u8>,
    events: Vec<Event>,
    budget_bytes: u64,
    total_known_at: usize,
}

fn scripts() -> impl Strategy<Value = Script> {
    let lens = prop::collection::vec((1usize..40, any::<u32>(), any::<u32>(), 0u8..8), 1..40);
    let work = prop::collection::vec(any::<u32>(), 0..60);
    (lens, work, prop_oneof![Just(0), 1u64..400], any::<prop::sample::Index>()).prop_map(
        |(lens, work, budget_bytes, known_at)| {
            let mut timed: Vec<(u32, Event)> = Vec::new();
            let mut start = 0;
            for (number, &(len, t1, t2, twist)) in lens.iter().enumerate() {
                let span = Span::with_len(start, len as u64);
                start = span.end();
                let offered = match twist {
                    // Reaches into the block before it, as after a hedged request.
                    0 => Span::new(span.start().saturating_sub(7), span.end()),
                    _ => span,
                };
                if twist != 1 {
                    timed.push((t1.min(t2), Event::Offer(number, offered)));
                }
                if twist == 2 {
                    timed.push((t1.max(t2), Event::Offer(number + 1000, span)));
                }
                timed.push((t1.max(t2), Event::Written(span)));
            }
            timed.extend(work.iter().map(|&t| (t, Event::Work)));
            timed.sort_by_key(|(time, _)| *time);
            let file = (0..start).map(|i| (i * 31 % 251) as u8).collect();
            let total_known_at = known_at.index(timed.len() + 1);
            let events = timed.into_iter().map(|(_, event)| event).collect();
            Script { file, events, budget_bytes, total_known_at }
        },
    )
}

/// Carries a script out and keeps the ledger.
struct Run {
    frontier: Frontier<Block>,
    file: Vec<u8>,
    hasher: crate::digest::Hasher,
    on_disk: SpanSet,
    held: BTreeSet<usize>,
    busy: Option<(Span, Option<Block>)>,
}

impl Run {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Offer(number, span) => self.offer(*number, *span),
            Event::Written(span) => {
                self.on_disk.insert(*span);
                self.frontier.on_written(*span);
            }
            Event::Work => {
                self.work();
            }
        }
        let held: u64 = self.frontier.held.values().map(|b| b.bytes.len() as u64).sum();
        assert_eq!(held, self.frontier.held_bytes());
        assert!(held <= self.frontier.budget_bytes);
        let numbers: BTreeSet<usize> = self.frontier.held.values().map(|b| b.number).collect();
        assert_eq!(numbers, self.held, "every block is where the ledger says");
    }

    fn offer(&mut self, number: usize, span: Span) {
        let bytes = self.file[span.start() as usize..span.end() as usize].to_vec();
        match offer(&mut self.frontier, span.start(), Block { number, bytes }) {
            Ok(released) => {
                assert!(self.held.insert(number));
                assert!(released.iter().all(|n| self.held.remove(n)));
            }
            Err(declined) => assert_eq!(declined, number),
        }
    }

    /// Begins a step, or ends the one begun: offers and writes may happen between the two. False
    /// if there is nothing to do.
    fn work(&mut self) -> bool {
        if let Some((span, block)) = self.busy.take() {
            self.end(span, block);
            return true;
        }
        match self.frontier.next_step() {
            Step::Hash { block, range } => {
                assert!(self.held.remove(&block.number) && !range.is_empty());
                let span = Span::with_len(self.frontier.position(), range.len() as u64);
                let bytes = block.bytes[range].to_vec();
                self.busy = Some((span, Some(Block { bytes, ..block })));
            }
            Step::ReadBack(span) => {
                assert!(self.on_disk.covers(span) && !span.is_empty() && span.len() <= 16);
                let mut held = self.frontier.held.iter().map(|(&at, b)| span_of(at, b));
                assert!(held.all(|h| h.intersect(span).is_empty()), "held bytes are not read back");
                self.busy = Some((span, None));
            }
            Step::Wait | Step::Finished => return false,
        }
        true
    }

    fn end(&mut self, span: Span, block: Option<Block>) {
        assert_eq!(span.start(), self.frontier.position());
        match block {
            Some(block) => {
                self.hasher.update(&block.bytes);
                self.frontier.advance(span.len());
            }
            None => {
                // Every second read is short.
                let len = if span.start().is_multiple_of(2) {
                    span.len()
                } else {
                    span.len().div_ceil(2)
                };
                let start = span.start() as usize;
                self.hasher.update(&self.file[start..start + len as usize]);
                self.frontier.advance(len);
            }
        }
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(bytes);
    hasher.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_hashed_once_and_in_order(script in scripts()) {
        let total = script.file.len() as u64;
        let mut run = Run {
            frontier: Frontier::new(script.budget_bytes, 16),
            file: script.file.clone(),
            hasher: Algorithm::Sha256.hasher(),
            on_disk: SpanSet::new(),
            held: BTreeSet::new(),
            busy: None,
        };
        for (i, event) in script.events.iter().enumerate() {
            if i == script.total_known_at {
                run.frontier.set_total(total);
            }
            run.event(event);
        }
        while run.work() {}
        run.frontier.set_total(total);
        prop_assert_eq!(run.frontier.next_step(), Step::Finished);
        prop_assert!(run.held.is_empty(), "nothing is left behind");
        prop_assert!(run.frontier.written.is_empty());
        let stats = run.frontier.stats();
        prop_assert_eq!(stats.from_memory_bytes + stats.read_back_bytes, total);
        prop_assert_eq!(run.hasher.finish(), digest_of(&script.file));
    }
}
