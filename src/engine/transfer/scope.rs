//! How much of the file that is made is fetched: all of it, or the part that the caller wants at
//! its place. Must not know how.

use super::on_disk::OnDisk;
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::{Result, Span, SpanSet};
use crate::engine::options::Options;

/// The bytes of a file that are to be fetched.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Size of the file in bytes.
    total: u64,
    /// What is fetched of it, aligned; `None` for everything.
    wanted: Option<SpanSet>,
}

impl Scope {
    /// What the options want of a file of `total` bytes.
    ///
    /// # Errors
    /// Usage, if a range that is asked for names no byte of the file.
    pub(super) fn new(options: &Options, total: u64) -> Result<Self> {
        let part = options.part.as_ref().filter(|part| !part.is_packed());
        let wanted = part.map(|part| part.spans(total)).transpose()?;
        Ok(Self { total, wanted })
    }

    /// Size of the file in bytes.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes that are fetched, or would be if none were here.
    pub(super) fn bytes(&self) -> u64 {
        self.wanted.as_ref().map_or(self.total, SpanSet::covered)
    }

    /// Whether not all of the file is fetched.
    pub(super) fn is_partial(&self) -> bool {
        self.wanted.is_some()
    }

    /// The first bytes that are fetched together, or would be; none if there are none.
    pub(super) fn first(&self) -> Span {
        let all = Some(self.all());
        let first = self.wanted.as_ref().map_or(all, SpanSet::first);
        first.unwrap_or(Span::new(0, 0))
    }

    /// What need not be fetched: bytes that are `here`, and all that are not wanted.
    pub(super) fn settled(&self, here: &SpanSet) -> SpanSet {
        let mut settled = here.clone();
        if let Some(wanted) = &self.wanted {
            wanted.gaps(self.all()).into_iter().for_each(|span| _ = settled.insert(span));
        }
        settled
    }

    /// How many of the bytes that are `here` are wanted.
    pub(super) fn bytes_of(&self, here: &SpanSet) -> u64 {
        let missing: u64 = self.missing(here).iter().map(|gap| gap.len()).sum();
        self.bytes() - missing
    }

    /// Where the last byte ends that is to be fetched.
    pub(super) fn end_of_missing(&self, here: &SpanSet) -> u64 {
        self.missing(here).last().map_or(0, |gap| gap.end())
    }

    /// What to ask the server first: the start of what is missing, at most `bytes_max` of it; a
    /// little of the file if nothing is missing, as an answer is needed all the same.
    pub(super) fn first_request(&self, on_disk: &OnDisk, bytes_max: u64) -> Span {
        match self.settled(&on_disk.spans()).first_gap(self.all()) {
            Some(gap) => gap.split_at(gap.start().saturating_add(bytes_max)).0,
            None => self.all().split_at(SPAN_ALIGN_BYTES).0,
        }
    }

    fn missing(&self, here: &SpanSet) -> Vec<Span> {
        self.settled(here).gaps(self.all())
    }

    fn all(&self) -> Span {
        Span::new(0, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::crc::Run;
    use crate::disk::journal::Identity;
    use crate::engine::options::part::Part;

    fn scope(ranges: Option<&str>) -> Scope {
        let part = ranges.map(|ranges| Part::of(ranges.parse().unwrap()));
        Scope::new(&Options { part, ..Options::default() }, 100_000).unwrap()
    }

    fn set(spans: &[(u64, u64)]) -> SpanSet {
        let mut set = SpanSet::new();
        spans.iter().for_each(|&(start, end)| _ = set.insert(Span::new(start, end)));
        set
    }

    #[test]
    fn what_is_not_wanted_needs_no_fetching() {
        let part = scope(Some("8192-16383,90000-"));
        let here = set(&[(0, 4096), (8192, 12_288)]);
        assert_eq!((part.bytes(), part.bytes_of(&here)), (8192 + 100_000 - 86_016, 4096));
        let settled = part.settled(&here);
        assert_eq!(settled, set(&[(0, 12_288), (16_384, 86_016)]));
        assert_eq!(part.end_of_missing(&here), 100_000);
        assert_eq!(part.end_of_missing(&set(&[(86_016, 100_000)])), 16_384);
        assert_eq!(part.end_of_missing(&set(&[(0, 100_000)])), 0);
        assert!(part.is_partial() && part.total() == 100_000);
        let first = part.first_request(&OnDisk::default(), 4096);
        assert_eq!(first, Span::new(8192, 12_288));
    }

    #[test]
    fn the_first_request_is_for_what_is_missing() {
        let first = |runs: &[(u64, u64)]| {
            let identity = Identity {
                url: "http://h/f".into(),
                total: 100_000,
                validator: None,
                digest: None,
                cut: None,
            };
            let runs =
                runs.iter().map(|&(start, end)| Run { span: Span::new(start, end), crc32c: 0 });
            scope(None).first_request(&OnDisk::new(identity, runs.collect(), true), 16_384)
        };
        assert_eq!(first(&[]), Span::new(0, 16_384));
        assert_eq!(first(&[(0, 8192)]), Span::new(8192, 24_576));
        assert_eq!(first(&[(0, 8192), (12_288, 100_000)]), Span::new(8192, 12_288));
        assert_eq!(first(&[(4096, 100_000)]), Span::new(0, 4096));
        assert_eq!(first(&[(0, 98_304)]), Span::new(98_304, 100_000));
        assert_eq!(first(&[(0, 100_000)]), Span::new(0, 4096));
    }

    #[test]
    fn without_a_part_it_is_the_whole_file() {
        let whole = scope(None);
        let here = set(&[(0, 4096)]);
        assert_eq!((whole.bytes(), whole.bytes_of(&here)), (100_000, 4096));
        assert_eq!(whole.settled(&here), here);
        assert_eq!(whole.end_of_missing(&here), 100_000);
        assert!(!whole.is_partial());
    }
}
