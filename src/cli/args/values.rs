//! What stands behind an option: choices, numbers within bounds, sizes and times.

use crate::base::limits;
use crate::base::size::{format_bytes, parse_bytes, parse_duration, parse_rate};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::Engine;
use clap::ValueEnum;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The port that is listened at where none is given.
const PORT: u16 = 8080;

/// A number the user fixes, or leaves to measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Automatic<T> {
    /// Measured.
    Auto,
    /// This value.
    Fixed(T),
}

impl<T> Automatic<T> {
    /// The fixed number, if there is one.
    pub(in crate::cli) fn fixed(self) -> Option<T> {
        match self {
            Automatic::Auto => None,
            Automatic::Fixed(value) => Some(value),
        }
    }
}

/// When blocks bypass the page cache; `DirectMode` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Direct {
    Auto,
    On,
    Off,
}

/// What moves the bytes; `Engine` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Driver {
    Auto,
    #[value(name = "io_uring", alias = "io-uring")]
    IoUring,
    Epoll,
}

impl From<Driver> for Engine {
    fn from(word: Driver) -> Self {
        match word {
            Driver::Auto => Engine::Auto,
            Driver::IoUring => Engine::IoUring,
            Driver::Epoll => Engine::Epoll,
        }
    }
}

/// What a changed file leads to; `OnChange` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Change {
    Restart,
    Fail,
}

pub(super) fn up_to(min: u32, max: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(min)..=i64::from(max))
}

pub(super) fn connections(text: &str) -> Result<Automatic<u32>> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Automatic::Auto);
    }
    let max = limits::CONNECTIONS_MAX;
    let count = text.parse().ok().filter(|count| (1..=max).contains(count));
    count.map(Automatic::Fixed).ok_or_else(|| {
        // What was written there may be a URL with secrets, and is not repeated.
        Error::new(ErrorKind::Usage, format!("neither 'auto' nor a number within 1 to {max}"))
    })
}

pub(super) fn chunk_size_or_auto(text: &str) -> Result<Automatic<u64>> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Automatic::Auto);
    }
    chunk_size(text).map(Automatic::Fixed)
}

pub(super) fn chunk_size(text: &str) -> Result<u64> {
    bytes_within(text, limits::CHUNK_BYTES_MIN, limits::CHUNK_BYTES_MAX)
}

pub(super) fn memory(text: &str) -> Result<u64> {
    bytes_within(text, limits::ORDERED_MEMORY_BYTES_MIN, limits::CLIENT_MEMORY_BYTES_MAX)
}

fn bytes_within(text: &str, min: u64, max: u64) -> Result<u64> {
    let bytes = parse_bytes(text)?;
    if (min..=max).contains(&bytes) {
        return Ok(bytes);
    }
    let bounds = format!("{} to {}", format_bytes(min), format_bytes(max));
    Err(Error::new(ErrorKind::Usage, format!("'{text}' is not within {bounds}")))
}

pub(super) fn journal_interval(text: &str) -> Result<Duration> {
    within(text, limits::BARRIER_INTERVAL_MIN, limits::BARRIER_INTERVAL_MAX)
}

pub(super) fn retry_wait(text: &str) -> Result<Duration> {
    within(text, limits::RETRY_WAIT_ASKED_MIN, limits::RETRY_WAIT_ASKED_MAX)
}

pub(in crate::cli) fn within(text: &str, min: Duration, max: Duration) -> Result<Duration> {
    let time = parse_duration(text)?;
    if (min..=max).contains(&time) {
        return Ok(time);
    }
    Err(Error::new(ErrorKind::Usage, format!("'{text}' is not within {min:?} to {max:?}")))
}

pub(super) fn speed_limit(text: &str) -> Result<u64> {
    let bytes_per_second = parse_rate(text)?;
    if bytes_per_second == 0 {
        return Err(Error::new(ErrorKind::Usage, "a speed limit cannot be zero"));
    }
    Ok(bytes_per_second)
}

/// Bytes per second; 0 is any rate, as curl has it.
pub(in crate::cli) fn limit_rate(text: &str) -> Result<u64> {
    parse_rate(text)
}

pub(super) fn timeout(text: &str) -> Result<Duration> {
    let time = parse_duration(text)?;
    if time.is_zero() {
        return Err(Error::new(ErrorKind::Usage, "a time limit cannot be zero"));
    }
    Ok(time)
}

/// `ADDR:PORT`, or one of them with the default for the other.
pub(super) fn address(text: &str) -> Result<SocketAddr> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let port = text.strip_prefix(':').unwrap_or(text).parse().ok();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let whole = text.parse().ok();
    whole
        .or_else(|| port.map(|port| SocketAddr::new(local, port)))
        .or_else(|| bare.parse().ok().map(|address| SocketAddr::new(address, PORT)))
        .ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("'{text}' is no address to listen at"))
                .advise("write ADDR:PORT, such as 0.0.0.0:8080 or [::1]:0")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_whole_and_in_part() {
        for (text, expected) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:90", "[::1]:90"),
            ("9000", "127.0.0.1:9000"),
            (":0", "127.0.0.1:0"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("::", "[::]:8080"),
            ("[::1]", "[::1]:8080"),
        ] {
            assert_eq!(address(text).unwrap(), expected.parse().unwrap(), "{text}");
        }
        for text in ["", "localhost:80", "1.2.3:4", "127.0.0.1:65536", "65536", "-1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
