//! Parsing and printing of sizes, rates and durations.
//!
//! Sizes are binary: `60M` is read as 60 MiB and printed so. Rates are decimal, as those of links
//! are: `60M` is read as 60 MB/s and printed so. Must not know what is measured.

use super::error::{Error, ErrorKind, Result};
use std::time::Duration;

/// One binary kilobyte.
pub const KIB: u64 = 1 << 10;
/// One binary megabyte.
pub const MIB: u64 = 1 << 20;
/// One binary gigabyte.
pub const GIB: u64 = 1 << 30;

/// Reads a size in bytes: `8M`, `8MiB`, `0.5G`, `4096`. Units are powers of 1024; case does not
/// matter.
pub fn parse_bytes(text: &str) -> Result<u64> {
    parse_number(text, 1024).map_err(|why| {
        Error::new(ErrorKind::Usage, format!("'{text}' is not a size: {why}"))
            .advise("write bytes, or a number with K, M, G or T, such as 8M")
    })
}

/// Reads a rate in bytes per second: `60M`, `60MB/s`, `1.5K`, `4096`. Units are powers of 1000,
/// but `KiB`, `MiB`, `GiB` and `TiB` powers of 1024; case does not matter.
pub fn parse_rate(text: &str) -> Result<u64> {
    let bare = text.trim();
    parse_number(bare.strip_suffix("/s").unwrap_or(bare), 1000).map_err(|why| {
        Error::new(ErrorKind::Usage, format!("'{text}' is not a rate: {why}"))
            .advise("write bytes per second, or a number with K, M, G or T, such as 60M")
    })
}

/// Reads `30`, `30s`, `500ms`, `2m`, `1h`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = || {
        Error::new(ErrorKind::Usage, format!("'{text}' is not a duration"))
            .advise("write seconds, or a number with ms, s, m or h, such as 30s")
    };
    let trimmed = text.trim();
    let digits_end =
        trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits_end);
    let scale = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let value: f64 = number.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(value * scale).map_err(|_| bad())
}

/// `512 B`, `1.50 MiB`, `2.00 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < KIB {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / KIB as f64;
    let mut unit = 0;
    // 1023.995 would print as 1024.00 of the smaller unit.
    while value >= 1023.995 && unit + 1 < UNITS.len() {
        value /= KIB as f64;
        unit += 1;
    }
    format!("{value:.2} {}", UNITS[unit])
}

/// Bytes per second as `812.30 MB/s`, in powers of 1000.
pub fn format_rate(bytes_per_second: f64) -> String {
    const UNITS: [&str; 5] = ["kB/s", "MB/s", "GB/s", "TB/s", "PB/s"];
    if !bytes_per_second.is_finite() || bytes_per_second < 0.0 {
        return "- B/s".into();
    }
    if bytes_per_second < 999.5 {
        return format!("{bytes_per_second:.0} B/s");
    }
    let mut value = bytes_per_second / 1e3;
    let mut unit = 0;
    // 999.995 would print as 1000.00 of the smaller unit.
    while value >= 999.995 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.2} {}", UNITS[unit])
}

/// `0.42 s`, `12.3 s`, `3:07`, `2:03:07`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.995 {
        return format!("{seconds:.2} s");
    }
    if seconds < 99.95 {
        return format!("{seconds:.1} s");
    }
    let whole = duration.as_secs();
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    }
}

/// A wait or a time limit: `50 ms`, `0.3 s`, `4 s`, `2:05`. Rounded up, so that a countdown does
/// not show 0 before its end.
pub fn format_wait(wait: Duration) -> String {
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    match milliseconds {
        0 => "0 s".to_owned(),
        1..100 => format!("{milliseconds} ms"),
        100..=900 => format!("0.{} s", milliseconds.div_ceil(100)),
        901..=99_000 => format!("{} s", milliseconds.div_ceil(1000)),
        _ => {
            let seconds = u64::try_from(milliseconds.div_ceil(1000)).unwrap_or(u64::MAX);
            format_duration(Duration::from_secs(seconds))
        }
    }
}

/// A number of bytes with its unit, where `K` stands for `thousand`; an error says what is wrong.
fn parse_number(text: &str, thousand: u64) -> std::result::Result<u64, &'static str> {
    let trimmed = text.trim();
    let digits_end =
        trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits_end);
    let (thousand, power) = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => (thousand, 0),
        "k" | "kb" => (thousand, 1),
        "m" | "mb" => (thousand, 2),
        "g" | "gb" => (thousand, 3),
        "t" | "tb" => (thousand, 4),
        "kib" => (KIB, 1),
        "mib" => (KIB, 2),
        "gib" => (KIB, 3),
        "tib" => (KIB, 4),
        _ => return Err("unknown unit"),
    };
    let factor = thousand.pow(power);
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or("too large");
    }
    let value: f64 = number.parse().map_err(|_| "no number")?;
    let bytes = value * factor as f64;
    // 2^53: beyond it a float no longer names a byte.
    if bytes.is_finite() && (0.0..9.0e15).contains(&bytes) {
        #[allow(clippy::cast_possible_truncation, reason = "range checked on the line above")]
        return Ok(bytes.round() as u64);
    }
    Err("too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("8M", 8 * MIB),
            ("8MiB", 8 * MIB),
            ("8 mb", 8 * MIB),
            ("0.5G", GIB / 2),
            ("1t", 1024 * GIB),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "M", "-1", "8X", "1e9", "99999999999T", "1.2.3", "0.1Z", "20000000.5T"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_decimal_as_they_are_printed() {
        for (text, rate, printed) in [
            ("4096", 4096, "4.10 kB/s"),
            ("60M", 60_000_000, "60.00 MB/s"),
            ("60MB/s", 60_000_000, "60.00 MB/s"),
            ("60MiB", 60 * MIB, "62.91 MB/s"),
            (" 1.5k/s ", 1500, "1.50 kB/s"),
            ("999", 999, "999 B/s"),
            ("2g", 2_000_000_000, "2.00 GB/s"),
        ] {
            assert_eq!(parse_rate(text).unwrap(), rate, "{text}");
            assert_eq!(format_rate(rate as f64), printed, "{text}");
        }
        assert_eq!(format_rate(999_999.0), "1.00 MB/s");
        assert_eq!(format_rate(999.7), "1.00 kB/s");
        for text in ["", "/s", "fast", "1M/h", "99999999999T"] {
            let error = parse_rate(text).unwrap_err().to_string();
            assert!(error.contains("is not a rate"), "{error}");
        }
    }

    #[test]
    fn durations_parse() {
        assert_eq!(parse_duration("30").unwrap(), Duration::from_secs(30));
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(parse_duration("1.5m").unwrap(), Duration::from_secs(90));
        for text in ["", "s", "-3s", "3 weeks", "nan", "1e400s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn waits_are_rounded_up() {
        for (milliseconds, text) in [
            (0, "0 s"),
            (1, "1 ms"),
            (99, "99 ms"),
            (100, "0.1 s"),
            (101, "0.2 s"),
            (900, "0.9 s"),
            (901, "1 s"),
            (1001, "2 s"),
            (27_000, "27 s"),
            (99_000, "99 s"),
            (99_001, "1:40"),
            (600_000, "10:00"),
            (u64::MAX, "5124095576030:25:52"),
        ] {
            assert_eq!(format_wait(Duration::from_millis(milliseconds)), text, "{milliseconds}");
        }
        assert_eq!(format_wait(Duration::from_nanos(1)), "1 ms");
    }

    #[test]
    fn printing_rounds_into_the_next_unit() {
        assert_eq!(format_bytes(1023), "1023 B");
        assert_eq!(format_bytes(1536), "1.50 KiB");
        assert_eq!(format_bytes(MIB - 1), "1.00 MiB");
        assert_eq!(format_bytes(u64::MAX), "16.00 EiB");
        assert_eq!(format_rate(f64::NAN), "- B/s");
        assert_eq!(format_duration(Duration::from_millis(420)), "0.42 s");
        assert_eq!(format_duration(Duration::from_secs(187)), "3:07");
        assert_eq!(format_duration(Duration::from_secs(7387)), "2:03:07");
    }
}
