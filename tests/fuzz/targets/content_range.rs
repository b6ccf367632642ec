//! Content-Range against a second reader of RFC 9110 section 14.4, in wider arithmetic; printed and
//! read again the same.

use super::Target;
use ringhaul::ErrorKind;
use ringhaul::internal::base::Span;
use ringhaul::internal::http::ContentRange;

pub(super) const TARGET: Target =
    Target { name: "content_range", run, seeds, words: WORDS, smoke_runs: 20_000 };

const WORDS: &[&str] = &[
    "bytes ",
    "bytes",
    "Bytes ",
    "items ",
    "*",
    "/",
    "-",
    "/*",
    "*/",
    "0-0/1",
    " ",
    "\t",
    "+",
    ",",
    "0",
    "00",
    "9223372036854775808",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211455",
    "\u{0665}",
];

fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "bytes 42-1233/1234",
        "bytes 42-1233/*",
        "bytes */1234",
        "bytes */0",
        "BYTES 0-18446744073709551613/18446744073709551615",
        "bytes 0-18446744073709551615/*",
        "bytes 007-08/0009",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match (ContentRange::parse(&text), reference(&text)) {
        (Ok(range), expected) => {
            assert_eq!(Some(range), expected, "{text:?}");
            let printed = range.to_string();
            assert_eq!(ContentRange::parse(&printed).expect("we printed it"), range);
            assert!(printed.len() <= text.len(), "{printed:?} is not the shortest form");
        }
        (Err(error), expected) => {
            assert_eq!(expected, None, "{text:?}");
            assert_eq!(error.kind(), ErrorKind::RangeMismatch);
            assert!(error.to_string().chars().count() < 300, "a peer's words are cut");
        }
    }
}

fn reference(text: &str) -> Option<ContentRange> {
    let bytes = text.as_bytes();
    let slash = bytes.iter().position(|byte| *byte == b'/')?;
    let (unit, range, total) = (bytes.get(..6)?, bytes.get(6..slash)?, &bytes[slash + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes ") {
        return None;
    }
    let total = if total == b"*" { None } else { Some(number(total)?) };
    if range == b"*" {
        let total = u64::try_from(total?).ok()?;
        return Some(ContentRange::Unsatisfied { total });
    }
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (number(&range[..dash])?, number(&range[dash + 1..])?);
    if first > last || total.is_some_and(|total| last >= total || total > u64::MAX.into()) {
        return None;
    }
    let (start, end) = (u64::try_from(first).ok()?, u64::try_from(last + 1).ok()?);
    let total = total.map(|total| u64::try_from(total).expect("compared with u64::MAX"));
    Some(ContentRange::Satisfied { span: Span::new(start, end), total })
}

/// Decimal digits; what exceeds 64 bits by far is as good as 2^64.
fn number(digits: &[u8]) -> Option<u128> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits.iter().fold(0u128, |value, digit| {
            (value * 10 + u128::from(digit - b'0')).min(u128::from(u64::MAX) + 1)
        })
    })
}
