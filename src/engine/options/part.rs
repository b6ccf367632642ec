//! A part of a file: which of its bytes are wanted, before and after its size is known. Plain data.

use crate::base::limits::{BLOCK_BYTES, SPAN_ALIGN_BYTES};
use crate::base::{Error, ErrorKind, Result, Span, SpanSet};
use crate::engine::window::Window;
pub use crate::http::{ByteRange, ByteRanges};

/// The bytes of a file that a download is restricted to; all others count as not to be fetched.
/// Sizes, progress and time left are those of what is fetched.
///
/// Either the file gets its full size, and each byte its place; what is not wanted is a hole there,
/// or stays what it was. What is fetched begins and ends at multiples of 4 KiB or with the file
/// then: ranges are rounded outwards to these. [`Options::checksum`](super::Options::checksum) is
/// of the bytes asked for alone, in the order given, as if they were packed; they are read back for
/// it in the end. Pieces that lie in the part are verified, if their digests are known.
///
/// Or the ranges are [packed](Self::packed): one after the other they make a file of their own.
///
/// # Example
///
/// ```
/// use ringhaul::{Options, Part};
///
/// let part = Part::packed("0-499,-500".parse()?);
/// let options = Options { part: Some(part), ..Options::default() };
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part(Which);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Ranges(ByteRanges),
    Packed(ByteRanges),
    Share { number: u32, of: u32 },
}

impl Part {
    /// The bytes of these ranges. Each has to name a byte of the file, or the download fails, with
    /// [`ErrorKind::Usage`], once the size is known; what lies behind the end is cut off.
    pub fn of(ranges: ByteRanges) -> Self {
        Self(Which::Ranges(ranges))
    }

    /// The bytes of these ranges, by the same rules, as a file of exactly that length: range after
    /// range in the order given, be it that some overlap. Digests are those of this file.
    pub fn packed(ranges: ByteRanges) -> Self {
        Self(Which::Packed(ranges))
    }

    /// Share `number`, from 0, of `of` shares of the file, which differ by 1 MiB at most, and
    /// together are all of it. Those of a file with fewer MiB than shares may have no byte.
    ///
    /// # Errors
    /// Usage, unless `number` is less than `of`.
    pub fn share(number: u32, of: u32) -> Result<Self> {
        if number >= of {
            let what = format!("there is no share {number} of {of}, as they are counted from 0");
            return Err(Error::new(ErrorKind::Usage, what));
        }
        Ok(Self(Which::Share { number, of }))
    }

    /// Whether it is a file of its own.
    pub(in crate::engine) fn is_packed(&self) -> bool {
        matches!(self.0, Which::Packed(_))
    }

    /// What tells the file that it makes from those of other parts; `None` if all these are the
    /// same one.
    pub(in crate::engine) fn name(&self) -> Option<String> {
        match &self.0 {
            Which::Packed(ranges) => Some(format!("bytes={ranges}")),
            Which::Ranges(_) | Which::Share { .. } => None,
        }
    }

    /// What a packed one of a file of `total` bytes is made of.
    pub(in crate::engine) fn window(&self, total: u64) -> Result<Window> {
        if self.is_packed() { Window::of(self.digested(total)?) } else { Ok(Window::All) }
    }

    /// What the start of a packed one is made of, if that is known without the size of the file.
    pub(in crate::engine) fn first_window(&self) -> Option<Window> {
        let Which::Packed(ranges) = &self.0 else { return None };
        let first = ranges.iter().next().filter(|range| range.known_start().is_some())?;
        Window::of([first.resolve(TOTAL_MAX).ok()?]).ok()
    }

    /// What is fetched of a file of `total` bytes, in bytes of the file that is made: aligned.
    pub(in crate::engine) fn spans(&self, total: u64) -> Result<SpanSet> {
        let mut spans = SpanSet::new();
        match &self.0 {
            Which::Ranges(ranges) => {
                for range in ranges.iter() {
                    spans.insert(rounded(range.resolve(total)?, total));
                }
            }
            Which::Packed(_) => _ = spans.insert(Span::new(0, total)),
            Which::Share { number, of } => _ = spans.insert(share(*number, *of, total)),
        }
        Ok(spans)
    }

    /// The bytes of a file of `total` bytes whose digest is that of the part, in its order: those
    /// that were asked for, without what rounding adds.
    pub(in crate::engine) fn digested(&self, total: u64) -> Result<Vec<Span>> {
        match &self.0 {
            Which::Ranges(ranges) | Which::Packed(ranges) => {
                ranges.iter().map(|range| range.resolve(total)).collect()
            }
            Which::Share { number, of } => Ok(vec![share(*number, *of, total)]),
        }
    }

    /// The first bytes to be fetched, as far as they are known without the size of the file:
    /// aligned, and all of them wanted, unless the file ends before.
    pub(in crate::engine) fn first(&self) -> Option<Span> {
        let Which::Ranges(ranges) = &self.0 else { return None };
        let is_known = ranges.iter().all(|range| range.known_start().is_some());
        self.spans(TOTAL_MAX).ok().filter(|_| is_known)?.first()
    }
}

/// The size of a file that no range reaches beyond, as far as it has a beginning.
const TOTAL_MAX: u64 = u64::MAX - (SPAN_ALIGN_BYTES - 1);

/// The smallest aligned span around `span`.
fn rounded(span: Span, total: u64) -> Span {
    let start = span.start() / SPAN_ALIGN_BYTES * SPAN_ALIGN_BYTES;
    let end = span.end().checked_next_multiple_of(SPAN_ALIGN_BYTES);
    Span::new(start, end.map_or(total, |end| end.min(total)))
}

/// Blocks are shared out, so that no two shares have bytes of one page of any kind.
fn share(number: u32, of: u32, total: u64) -> Span {
    let block_bytes = BLOCK_BYTES as u64;
    let blocks = u128::from(total.div_ceil(block_bytes));
    let border = |number: u32| {
        let block = blocks * u128::from(number) / u128::from(of);
        u64::try_from(block).expect("at most all blocks").saturating_mul(block_bytes).min(total)
    };
    Span::new(border(number), border(number + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(ranges: &str, total: u64) -> Vec<Span> {
        Part::of(ranges.parse().unwrap()).spans(total).unwrap().iter().collect()
    }

    #[test]
    fn ranges_are_rounded_outwards() {
        assert_eq!(spans("5000-5000", 10_000), [Span::new(4096, 8192)]);
        assert_eq!(spans("-1", 10_000), [Span::new(8192, 10_000)]);
        assert_eq!(spans("9000-,0-0", 10_000), [Span::new(0, 4096), Span::new(8192, 10_000)]);
        assert_eq!(spans("0-4095,4096-5000", 10_000), [Span::new(0, 8192)]);
        let unsatisfied = Part::of("0-1,10000-".parse().unwrap()).spans(10_000);
        assert_eq!(unsatisfied.unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn a_digest_is_of_what_was_asked_for_in_its_order() {
        let part = Part::of("9000-,0-9,5-6".parse().unwrap());
        let spans = [(9000, 10_000), (0, 10), (5, 7)].map(|(start, end)| Span::new(start, end));
        assert_eq!(part.digested(10_000).unwrap(), spans);
        assert_eq!(part.digested(9000).unwrap_err().kind(), ErrorKind::Usage);
        let share = Part::share(1, 2).unwrap();
        assert_eq!(share.digested(3 << 20).unwrap(), [Span::new(1 << 20, 3 << 20)]);
        assert_eq!(Part::share(0, 2).unwrap().digested(0).unwrap(), [Span::new(0, 0)]);
    }

    #[test]
    fn the_first_bytes_may_be_known_without_the_size() {
        let first = |ranges: &str| Part::of(ranges.parse().unwrap()).first();
        assert_eq!(first("5000-9000,100000-"), Some(Span::new(4096, 12_288)));
        assert_eq!(first("100000-,8192-8200"), Some(Span::new(8192, 12_288)));
        assert_eq!(first("5-,-5"), None);
        assert_eq!(first("18446744073709551614-"), None);
        assert_eq!(first("5-").map(Span::start), Some(0));
        assert_eq!(Part::share(0, 1).unwrap().first(), None);
    }

    #[test]
    fn shares_are_the_whole_file_each_byte_once() {
        assert_eq!(Part::share(3, 3).unwrap_err().kind(), ErrorKind::Usage);
        for (of, total) in [(1, 0), (3, 1), (7, 100 << 20), (8, (1 << 32) + 5), (3, u64::MAX)] {
            let mut end = 0;
            for number in 0..of {
                let share = share(number, of, total);
                assert_eq!(share.start(), end);
                assert!(share.len() <= total / u64::from(of) + (2 << 20));
                end = share.end();
            }
            assert_eq!(end, total);
        }
    }
}
