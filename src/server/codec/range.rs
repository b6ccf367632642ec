//! The `Range` field (RFC 9110 14.1.2): one range of bytes, read and applied to a size.
//!
//! Owns inclusive ends on the server's side. Must not know validators or answers.

use crate::base::Span;

/// A single range as a request asks for it; numbers too large for 64 bits are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeAsked {
    /// `bytes=first-last`, both inclusive.
    FromTo {
        /// First byte asked for.
        first: u64,
        /// Last byte asked for.
        last: u64,
    },
    /// `bytes=first-`: to the end of the file.
    From {
        /// First byte asked for.
        first: u64,
    },
    /// `bytes=-bytes`: the end of the file.
    Last {
        /// How many bytes of the end.
        bytes: u64,
    },
}

impl RangeAsked {
    /// Reads the value of a `Range` field; `None` for another unit, several ranges and bad
    /// syntax, all of which a server may ignore (RFC 9110 14.2).
    pub(in crate::server) fn parse(value: &str) -> Option<Self> {
        let (unit, set) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(Self::FromTo { first, last }),
            (Some(first), None) if last.is_empty() => Some(Self::From { first }),
            (None, Some(bytes)) if first.is_empty() => Some(Self::Last { bytes }),
            _ => None,
        }
    }

    /// The bytes of a file of `size_bytes` it means; `None` if there are none (416).
    pub(in crate::server) fn of(self, size_bytes: u64) -> Option<Span> {
        let span = match self {
            Self::FromTo { first, last } => {
                Span::checked(first, last.saturating_add(1).min(size_bytes))?
            }
            Self::From { first } => Span::checked(first, size_bytes)?,
            Self::Last { bytes } => Span::new(size_bytes.saturating_sub(bytes), size_bytes),
        };
        (!span.is_empty()).then_some(span)
    }

    /// First byte asked for; `None` where it depends on the size.
    pub fn start(self) -> Option<u64> {
        match self {
            Self::FromTo { first, .. } | Self::From { first } => Some(first),
            Self::Last { .. } => None,
        }
    }
}

/// Digits only; saturates.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str, size_bytes: u64) -> Option<Span> {
        RangeAsked::parse(value).unwrap().of(size_bytes)
    }

    #[test]
    fn ranges_of_a_file() {
        assert_eq!(of("bytes=0-0", 10), Some(Span::new(0, 1)));
        assert_eq!(of("Bytes = 5-99999999999999999999999", 10), Some(Span::new(5, 10)));
        assert_eq!(of("bytes=5-", 10), Some(Span::new(5, 10)));
        assert_eq!(of("bytes=-4", 10), Some(Span::new(6, 10)));
        assert_eq!(of("bytes=-40", 10), Some(Span::new(0, 10)));
        for none in ["bytes=10-", "bytes=10-20", "bytes=99-", "bytes=-0"] {
            assert_eq!(of(none, 10), None, "{none}");
        }
        assert_eq!(of("bytes=0-", 0), None);
        assert_eq!(of("bytes=-5", 0), None);
    }

    #[test]
    fn what_may_be_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=2-1",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(RangeAsked::parse(value), None, "{value}");
        }
    }
}
