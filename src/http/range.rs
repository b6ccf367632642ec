//! Byte ranges as HTTP writes them (RFC 9110 section 14): the only place with inclusive ends.
//!
//! Owns the two syntaxes, `Range` and `Content-Range`. Must not know which range is the right one.

use super::body::decimal;
use super::head::quoted;
use crate::base::limits::RANGES_MAX;
use crate::base::{Error, ErrorKind, Result, Span};
use std::fmt;
use std::str::FromStr;

/// A range of a file whose size need not be known (RFC 9110 section 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, or `first-`: from this byte on.
    From {
        /// Offset of its first byte.
        first: u64,
        /// One past its last byte, more than `first`; `None` for the end of the file.
        end: Option<u64>,
    },
    /// `-bytes`: the end of the file, this number of bytes, at least 1.
    Last(u64),
}

/// Ranges as users write them, and `Range` fields: `A-B`, `A-` or `-N`, one or several with commas
/// between them. They keep their order and may overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRanges(Vec<ByteRange>);

impl ByteRange {
    /// The bytes that it names of a file of `total` bytes; what lies behind the end is cut off.
    ///
    /// # Errors
    /// Usage, if it names none.
    pub fn resolve(self, total: u64) -> Result<Span> {
        let span = match self {
            Self::From { first, end } => {
                Span::checked(first, end.unwrap_or(total).min(total)).unwrap_or(Span::new(0, 0))
            }
            Self::Last(bytes) => Span::new(total.saturating_sub(bytes), total),
        };
        if span.is_empty() {
            let what = format!("the file has {total} bytes, and none of the range {self}");
            return Err(Error::new(ErrorKind::Usage, what)
                .advise("the first byte has the number 0; -N means the last N bytes"));
        }
        Ok(span)
    }

    /// Its first byte, if that can be told without the size of the file.
    pub fn known_start(self) -> Option<u64> {
        match self {
            Self::From { first, .. } => Some(first),
            Self::Last(_) => None,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        match (first, last) {
            ("", bytes) => decimal(bytes).filter(|bytes| *bytes > 0).map(Self::Last),
            (first, "") => Some(Self::From { first: decimal(first)?, end: None }),
            (first, last) => {
                let (first, end) = (decimal(first)?, decimal(last)?.saturating_add(1));
                (first < end).then_some(Self::From { first, end: Some(end) })
            }
        }
    }
}

impl ByteRanges {
    /// Each of them, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.0.iter().copied()
    }
}

/// A span of at least one byte, an invariant of the caller's.
impl From<Span> for ByteRanges {
    fn from(span: Span) -> Self {
        assert!(!span.is_empty(), "a range names at least one byte");
        Self(vec![ByteRange::From { first: span.start(), end: Some(span.end()) }])
    }
}

impl FromStr for ByteRanges {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Usage, what)
                .advise("write A-B for the bytes A to B, A- for all from A on, -N for the last N")
        };
        let read = |one: &str| {
            let one = one.trim_matches([' ', '\t']);
            let refused = || wrong(format!("'{}' is no range of bytes", quoted(one)));
            ByteRange::read(one).ok_or_else(refused)
        };
        let ranges: Vec<ByteRange> =
            text.split(',').take(RANGES_MAX + 1).map(read).collect::<Result<_>>()?;
        if ranges.len() > RANGES_MAX {
            return Err(wrong(format!("there are more than {RANGES_MAX} ranges")));
        }
        Ok(Self(ranges))
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From { first, end: None } => write!(f, "{first}-"),
            Self::From { first, end: Some(end) } => {
                f.write_str(&inclusive(Span::new(*first, *end)))
            }
            Self::Last(bytes) => write!(f, "-{bytes}"),
        }
    }
}

impl fmt::Display for ByteRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

/// What a `Content-Range` field says (RFC 9110 section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes first-last/total`, or `/*` for a total nobody knows yet.
    Satisfied {
        /// The bytes enclosed, at least one.
        span: Span,
        /// The whole file's bytes, at least `span.end()`.
        total: Option<u64>,
    },
    /// `bytes */total`: the answer to a range that lies outside.
    Unsatisfied {
        /// The whole file's bytes.
        total: u64,
    },
}

impl ContentRange {
    /// Reads the field's value by the letter of section 14.4; the unit's case does not matter
    /// (section 14.1).
    ///
    /// Numbers that contradict each other, do not fit, or are none make the field invalid, and
    /// a client MUST NOT combine what it describes: [`ErrorKind::RangeMismatch`].
    pub fn parse(value: &str) -> Result<Self> {
        Self::read(value).ok_or_else(|| {
            let shown = quoted(value);
            Error::new(
                ErrorKind::RangeMismatch,
                format!("the Content-Range '{shown}' of the answer is invalid"),
            )
        })
    }

    fn read(value: &str) -> Option<Self> {
        let (unit, rest) = value.split_once(' ')?;
        let (range, total) = rest.split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        if range == "*" {
            return Some(ContentRange::Unsatisfied { total: decimal(total)? });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (decimal(first)?, decimal(last)?);
        let total = if total == "*" { None } else { Some(decimal(total)?) };
        if first > last || total.is_some_and(|total| last >= total) {
            return None;
        }
        let span = Span::checked(first, last.checked_add(1)?)?;
        Some(ContentRange::Satisfied { span, total })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentRange::Satisfied { span, total } => {
                let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
                write!(f, "bytes {}/{total}", inclusive(*span))
            }
            ContentRange::Unsatisfied { total } => write!(f, "bytes */{total}"),
        }
    }
}

/// The value of a `Range` field that asks for `span` (RFC 9110 section 14.2). Panics if it is
/// empty, which no range can express: the caller's invariant.
pub(super) fn range_value(span: Span) -> String {
    format!("bytes={}", inclusive(span))
}

fn inclusive(span: Span) -> String {
    assert!(!span.is_empty(), "a range names at least one byte");
    format!("{}-{}", span.start(), span.end() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn range_values_rfc_9110_section_14_1_2() {
        assert_eq!(range_value(Span::new(0, 500)), "bytes=0-499");
        assert_eq!(range_value(Span::new(9500, 9501)), "bytes=9500-9500");
    }

    #[test]
    fn ranges_of_users_rfc_9110_section_14_1_2() {
        let read = |text: &str| text.parse::<ByteRanges>();
        let resolve = |text: &str, total| -> Result<Vec<(u64, u64)>> {
            let spans = read(text)?.iter().map(|range| range.resolve(total)).collect::<Vec<_>>();
            spans.into_iter().map(|span| span.map(|span| (span.start(), span.end()))).collect()
        };
        for (text, spans) in [
            ("0-499", vec![(0, 500)]),
            ("500-", vec![(500, 1000)]),
            ("0-", vec![(0, 1000)]),
            ("-500", vec![(500, 1000)]),
            ("-5000", vec![(0, 1000)]),
            ("990-5000", vec![(990, 1000)]),
            ("999-18446744073709551615", vec![(999, 1000)]),
            ("7-7, 0-1,-1", vec![(7, 8), (0, 2), (999, 1000)]),
            ("5-9,5-9", vec![(5, 10), (5, 10)]),
        ] {
            assert_eq!(resolve(text, 1000).unwrap(), spans, "{text}");
            let shown = text.replace(' ', "").replace("551615", "551614");
            assert_eq!(read(text).unwrap().to_string(), shown);
        }
        let many = vec!["1-2"; RANGES_MAX + 1].join(",");
        let long = format!("{}-", "9".repeat(21));
        for text in
            ["", "-", "5", "5-3", "-0", "a-b", "1-2,", ",", "1--2", "+1-2", "1-2-3", &many, &long]
        {
            assert_eq!(read(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
        for (text, total) in [("1000-", 1000), ("0-0", 0), ("-1", 0), ("0-1,1000-1001", 1000)] {
            let error = resolve(text, total).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(error.to_string().contains(&format!("has {total} bytes")), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "a range names at least one byte")]
    fn an_empty_span_is_our_bug() {
        range_value(Span::new(5, 5));
    }

    #[test]
    fn examples_of_rfc_9110_section_14_4() {
        let satisfied =
            |start, end, total| ContentRange::Satisfied { span: Span::new(start, end), total };
        for (value, expected) in [
            ("bytes 42-1233/1234", satisfied(42, 1234, Some(1234))),
            ("bytes 42-1233/*", satisfied(42, 1234, None)),
            ("bytes */1234", ContentRange::Unsatisfied { total: 1234 }),
            ("bytes */0", ContentRange::Unsatisfied { total: 0 }),
            ("bytes 0-0/1", satisfied(0, 1, Some(1))),
            ("Bytes 0-0/1", satisfied(0, 1, Some(1))),
            (
                "bytes 0-18446744073709551613/18446744073709551615",
                satisfied(0, u64::MAX - 1, Some(u64::MAX)),
            ),
        ] {
            assert_eq!(ContentRange::parse(value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn invalid_values_are_mismatches() {
        for value in [
            "",
            "bytes",
            "bytes ",
            "bytes 0-1",
            "bytes 0-1/",
            "bytes /2",
            "bytes -/2",
            "bytes 0-/2",
            "bytes -1/2",
            "bytes 1/2",
            "bytes */*",
            "bytes */",
            "bytes=0-1/2",
            "bytes  0-1/2",
            "bytes 0 - 1/2",
            "bytes 0-1 /2",
            "bytes 0-1/2 ",
            "items 0-1/2",
            "bytes 1-0/2",
            "bytes 0-2/2",
            "bytes 0-1/1",
            "bytes +0-1/2",
            "bytes 0x0-1/2",
            "bytes 0-1/2/3",
            "bytes 0-1-2/3",
            "bytes 0-1, 3-4/9",
            "bytes 0-18446744073709551615/*",
            "bytes 0-18446744073709551616/*",
            "bytes 18446744073709551616-18446744073709551617/*",
            "bytes 0-1/18446744073709551616",
        ] {
            let error = ContentRange::parse(value).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::RangeMismatch, "{value}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, ..ProptestConfig::with_cases(256)
        })]

        #[test]
        fn what_is_printed_is_read_back(
            start in any::<u64>(), len in 1..u64::MAX, beyond in any::<Option<u64>>(),
        ) {
            let span = Span::with_len(start.min(u64::MAX - 1), len);
            let total = beyond.map(|beyond| span.end().saturating_add(beyond));
            let range = ContentRange::Satisfied { span, total };
            prop_assert_eq!(ContentRange::parse(&range.to_string()).unwrap(), range);
        }

        #[test]
        fn random_text_never_panics(value in "(bytes )?[0-9*/ -]{0,24}|\\PC{0,24}") {
            if let Ok(ContentRange::Satisfied { span, total }) = ContentRange::parse(&value) {
                prop_assert!(!span.is_empty() && total.is_none_or(|total| span.end() <= total));
            }
        }
    }
}
