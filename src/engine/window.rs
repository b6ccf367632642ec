//! Ranges of the file that a server has, put together as a file of their own: which bytes of the
//! one are which of the other. The engine counts in bytes of the file that it makes; only requests,
//! and answers to them, are about the one that is served. Plain arithmetic.

use crate::base::{Error, ErrorKind, Result, Span};

/// What the file that is made is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Window {
    /// All of the file that is served: the two are the same.
    #[default]
    All,
    /// Ranges of it, none of them empty, one after the other.
    Ranges(Vec<Piece>),
}

/// One of the ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it lies in the file that is served.
    pub(super) there: Span,
    /// Where it begins in the file that is made, in bytes.
    pub(super) start: u64,
}

impl Window {
    /// Of these spans of the file that is served, at least one.
    ///
    /// # Errors
    /// Usage, if no file can be so large.
    pub(super) fn of(spans: impl IntoIterator<Item = Span>) -> Result<Self> {
        let (mut pieces, mut start) = (Vec::new(), 0u64);
        for there in spans {
            pieces.push(Piece { there, start });
            start = start.checked_add(there.len()).ok_or_else(|| {
                Error::new(ErrorKind::Usage, "the ranges together are larger than any file")
            })?;
        }
        Ok(Self::Ranges(pieces))
    }

    /// Size of the file that is made of one of `served` bytes.
    pub(super) fn bytes(&self, served: u64) -> u64 {
        match self {
            Self::All => served,
            Self::Ranges(pieces) => pieces.last().map_or(0, |piece| piece.end()),
        }
    }

    /// What there is of `span`, as far as the size of the file that is served says so by itself.
    pub(super) fn within(&self, span: Span, served: u64) -> Span {
        match self {
            Self::All => span.split_at(served).0,
            // Only with all of the ranges can be told how long they are together.
            Self::Ranges(_) => span,
        }
    }

    /// The bytes that a request for `span`, of the file that is made, asks for: its start, up to
    /// where the range ends that it lies in.
    pub(super) fn there(&self, span: Span) -> Span {
        let Self::Ranges(pieces) = self else { return span };
        let behind = pieces.partition_point(|piece| piece.start <= span.start());
        let piece = pieces[behind.checked_sub(1).expect("the first range begins at 0")];
        let skipped = span.start() - piece.start;
        let start = piece.there.start() + skipped;
        Span::with_len(start, span.len()).intersect(piece.there)
    }
}

impl Piece {
    /// Where it ends in the file that is made, in bytes.
    pub(super) fn end(self) -> u64 {
        self.start + self.there.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_place_in_both_files() {
        let spans = [(100, 110), (5, 10), (100, 103)].map(|(start, end)| Span::new(start, end));
        let window = Window::of(spans).unwrap();
        assert_eq!(window.bytes(1000), 18);
        for (here, there) in [
            ((0, 4), (100, 104)),
            ((8, 18), (108, 110)),
            ((10, 11), (5, 6)),
            ((12, 18), (7, 10)),
            ((15, 4096), (100, 103)),
            ((17, 18), (102, 103)),
        ] {
            let here = Span::new(here.0, here.1);
            assert_eq!(window.there(here), Span::new(there.0, there.1), "{here}");
        }
        assert_eq!(Window::All.there(Span::new(3, 9)), Span::new(3, 9));
        assert_eq!(Window::All.bytes(7), 7);
        let large = Span::new(0, u64::MAX);
        assert_eq!(Window::of([large, large]).unwrap_err().kind(), ErrorKind::Usage);
    }
}
