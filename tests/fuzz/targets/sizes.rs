//! Sizes and durations as users write them: never a panic, and whole numbers mean what they say.

use super::Target;
use ringhaul::internal::base::size::{format_bytes, format_duration, parse_bytes, parse_duration};

pub(super) const TARGET: Target =
    Target { name: "sizes", run, seeds, words: WORDS, smoke_runs: 20_000 };

const WORDS: &[&str] = &[
    "K",
    "MiB",
    "gb",
    "T",
    "ms",
    "s",
    "m",
    "min",
    "h",
    ".",
    "0.",
    "e9",
    "-",
    "+",
    " ",
    "\u{a0}",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "nan",
    "inf",
];

fn seeds() -> Vec<Vec<u8>> {
    ["8M", "0.5G", "4096", "16777215.999t", "30s", "500ms", "1.5 h"].map(Vec::from).to_vec()
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let exact = wide(text.trim());
    match parse_bytes(&text) {
        Ok(bytes) => {
            assert!(exact.is_none_or(|exact| exact == bytes.into()), "{text:?}: {bytes}");
            assert_eq!(parse_bytes(&bytes.to_string()).expect("a number"), bytes);
            assert!(format_bytes(bytes).len() <= "1023.99 MiB".len());
        }
        Err(_) => {
            let taken = exact.is_none_or(|exact| exact > u64::MAX.into());
            assert!(taken, "{text:?} is a size");
        }
    }
    if let Ok(duration) = parse_duration(&text) {
        assert!(!format_duration(duration).is_empty());
    }
}

/// Digits and a binary unit, in wide arithmetic; nothing else.
fn wide(text: &str) -> Option<u128> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    // Beyond 38 digits nothing fits into 64 bits that does not begin with zeros.
    let number: u128 = number.parse().ok()?;
    number.checked_mul(1 << shift)
}
