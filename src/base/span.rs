//! Byte ranges of the file: `Span` (half-open) and `SpanSet` (sorted, disjoint, merged).
//!
//! Inclusive ends exist only in `http/range.rs`.

use std::collections::BTreeMap;
use std::fmt;

/// A half-open byte range `[start, end)` of the file; `start <= end` always holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    start: u64,
    end: u64,
}

impl Span {
    /// `[start, end)`. Panics if `start > end`: an invariant of ours, never a peer's number.
    pub fn new(start: u64, end: u64) -> Self {
        assert!(start <= end, "span ends before it starts: {start}..{end}");
        Self { start, end }
    }

    /// `[start, end)`, or `None` if the numbers, from outside, do not make a span.
    pub fn checked(start: u64, end: u64) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// `len` bytes from `start` on, cut at `u64::MAX`.
    pub fn with_len(start: u64, len: u64) -> Self {
        Self { start, end: start.saturating_add(len) }
    }

    /// First byte.
    pub fn start(self) -> u64 {
        self.start
    }

    /// One past the last byte.
    pub fn end(self) -> u64 {
        self.end
    }

    /// Bytes in the span.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// No byte at all.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `offset` lies inside.
    pub fn contains(self, offset: u64) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Whether all of `other` lies inside.
    pub fn covers(self, other: Span) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// The common part, possibly empty.
    pub fn intersect(self, other: Span) -> Span {
        let start = self.start.max(other.start);
        Span { start, end: self.end.min(other.end).max(start) }
    }

    /// `[start, at)` and `[at, end)`; `at` is clamped into the span.
    pub fn split_at(self, at: u64) -> (Span, Span) {
        let at = at.clamp(self.start, self.end);
        (Span { start: self.start, end: at }, Span { start: at, end: self.end })
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A set of bytes kept as sorted, disjoint, non-touching spans. All operations are O(log n) plus
/// the spans they remove.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SpanSet {
    spans: BTreeMap<u64, u64>,
    covered: u64,
}

impl SpanSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a span; returns how many of its bytes were new.
    pub fn insert(&mut self, span: Span) -> u64 {
        if span.is_empty() {
            return 0;
        }
        let before = self.covered;
        let (mut start, mut end) = (span.start, span.end);
        while let Some((&s, &e)) = self.spans.range(..=end).next_back() {
            if e < start {
                break;
            }
            start = start.min(s);
            end = end.max(e);
            self.spans.remove(&s);
            self.covered -= e - s;
        }
        self.spans.insert(start, end);
        self.covered += end - start;
        self.covered - before
    }

    /// Takes a span out; returns how many of its bytes were in the set.
    pub fn remove(&mut self, span: Span) -> u64 {
        if span.is_empty() {
            return 0;
        }
        let before = self.covered;
        while let Some((&s, &e)) = self.spans.range(..span.end).next_back() {
            if e <= span.start {
                break;
            }
            self.spans.remove(&s);
            self.covered -= e - s;
            if e > span.end {
                self.spans.insert(span.end, e);
                self.covered += e - span.end;
            }
            if s < span.start {
                self.spans.insert(s, span.start);
                self.covered += span.start - s;
            }
        }
        before - self.covered
    }

    /// Whether every byte of `span` is in the set.
    pub fn covers(&self, span: Span) -> bool {
        span.is_empty() || self.span_at(span.start).is_some_and(|s| s.covers(span))
    }

    /// The span of the set that holds `offset`.
    pub fn span_at(&self, offset: u64) -> Option<Span> {
        let (&start, &end) = self.spans.range(..=offset).next_back()?;
        let span = Span { start, end };
        span.contains(offset).then_some(span)
    }

    /// The first span of the set, the lowest one.
    pub fn first(&self) -> Option<Span> {
        self.spans.first_key_value().map(|(&start, &end)| Span { start, end })
    }

    /// The first bytes of `within` that are not in the set.
    pub fn first_gap(&self, within: Span) -> Option<Span> {
        let start = self.span_at(within.start).map_or(within.start, Span::end);
        if start >= within.end {
            return None;
        }
        let end = self.spans.range(start..within.end).next().map_or(within.end, |(&s, _)| s);
        Some(Span { start, end })
    }

    /// The bytes of `within` that are not in the set, in order.
    pub fn gaps(&self, within: Span) -> Vec<Span> {
        let mut gaps = Vec::new();
        let mut rest = within;
        while let Some(gap) = self.first_gap(rest) {
            gaps.push(gap);
            rest = Span { start: gap.end, end: rest.end };
        }
        gaps
    }

    /// Bytes in the set.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// No byte at all.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Number of separate spans.
    pub fn count(&self) -> usize {
        self.spans.len()
    }

    /// The spans in order.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.spans.iter().map(|(&start, &end)| Span { start, end })
    }
}

impl fmt::Debug for SpanSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn span_arithmetic() {
        let span = Span::new(10, 20);
        assert_eq!(span.len(), 10);
        assert!(span.contains(10) && !span.contains(20));
        assert_eq!(span.intersect(Span::new(15, 30)), Span::new(15, 20));
        assert!(span.intersect(Span::new(25, 30)).is_empty());
        assert_eq!(span.split_at(12), (Span::new(10, 12), Span::new(12, 20)));
        assert_eq!(span.split_at(99), (span, Span::new(20, 20)));
        assert_eq!(Span::checked(2, 1), None);
        assert_eq!(Span::with_len(u64::MAX, 5).len(), 0);
    }

    #[test]
    #[should_panic(expected = "span ends before it starts")]
    fn reversed_span_is_our_bug() {
        Span::new(2, 1);
    }

    #[test]
    fn touching_spans_merge() {
        let mut set = SpanSet::new();
        assert_eq!(set.insert(Span::new(0, 4)), 4);
        assert_eq!(set.insert(Span::new(8, 12)), 4);
        assert_eq!(set.insert(Span::new(4, 8)), 4);
        assert_eq!(set.count(), 1);
        assert_eq!(set.first_gap(Span::new(0, 20)), Some(Span::new(12, 20)));
        assert_eq!(set.remove(Span::new(2, 3)), 1);
        assert_eq!(set.first_gap(Span::new(0, 20)), Some(Span::new(2, 3)));
        assert!(set.covers(Span::new(3, 12)) && !set.covers(Span::new(2, 12)));
    }

    const UNIVERSE: u8 = 96;

    fn bits(set: &SpanSet) -> Vec<bool> {
        (0..u64::from(UNIVERSE)).map(|i| set.span_at(i).is_some()).collect()
    }

    proptest! {
        #[test]
        fn behaves_like_a_bitmap(ops in proptest::collection::vec(
            (any::<bool>(), 0..u64::from(UNIVERSE), 0..24u64), 1..60)) {
            let mut set = SpanSet::new();
            let mut model = [false; UNIVERSE as usize];
            for (add, start, len) in ops {
                let span = Span::new(start, (start + len).min(UNIVERSE.into()));
                let mut changed = 0;
                for (offset, bit) in (0..).zip(&mut model) {
                    if span.contains(offset) {
                        changed += u64::from(*bit != add);
                        *bit = add;
                    }
                }
                let answered = if add { set.insert(span) } else { set.remove(span) };
                prop_assert_eq!(answered, changed);
                prop_assert_eq!(&bits(&set)[..], &model);
                prop_assert_eq!(set.covered(), model.iter().filter(|b| **b).count() as u64);
                let mut gaps = SpanSet::new();
                for gap in set.gaps(span) {
                    prop_assert_eq!(gaps.insert(gap), gap.len());
                }
                let missing = |i: &u64| span.contains(*i) && set.span_at(*i).is_none();
                prop_assert_eq!(
                    bits(&gaps),
                    (0..u64::from(UNIVERSE)).map(|i| missing(&i)).collect::<Vec<bool>>()
                );
                let spans: Vec<Span> = set.iter().collect();
                prop_assert!(spans.windows(2).all(|w| w[0].end < w[1].start));
            }
        }
    }
}
