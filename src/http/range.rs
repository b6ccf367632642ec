//! Byte ranges as HTTP writes them (RFC 9110 section 14): the only place with inclusive ends.
//!
//! Owns the two syntaxes, `Range` and `Content-Range`. Must not know which range is the right one.

use super::body::decimal;
use super::head::quoted;
use crate::base::{Error, ErrorKind, Result, Span};
use std::fmt;

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
