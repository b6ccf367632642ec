//! The words for the path that the built-in server plays: for `serve`, and for a bench that starts
//! one. Owns that grammar; has no effects.

use super::within;
use crate::base::limits::SERVER_LOSS_BYTES_MAX;
use crate::base::size::{parse_bytes, parse_rate};
use crate::base::{Error, ErrorKind, Result};
use crate::server::{Losses, RateStep, Refusal, Shape, SlowConnections, StepAfter};
use std::ffi::OsString;
use std::time::Duration;

/// Longest delay that may be asked for: no client waits longer.
pub(in crate::cli) const DELAY_MAX: Duration = Duration::from_secs(3600);

/// Delays, rates and faults. The variables are those of `serve`; a bench reads none.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Shaping")]
pub(in crate::cli) struct ShapeArgs {
    /// Bytes per second of all connections together.
    #[arg(long, value_name = "RATE", env = "RINGHAUL_SERVE_RATE", value_parser = rate)]
    rate: Option<u64>,

    /// Bytes per second of each connection.
    #[arg(long, value_name = "RATE", env = "RINGHAUL_SERVE_RATE_PER_CONNECTION")]
    #[arg(value_parser = rate)]
    rate_per_connection: Option<u64>,

    /// Wait between a request and the first byte of its answer, up to 1h.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_SERVE_FIRST_BYTE")]
    #[arg(value_parser = delay, default_value = "0")]
    first_byte: Duration,

    /// Up to this much more, another wait for each request.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_SERVE_JITTER")]
    #[arg(value_parser = delay, default_value = "0")]
    jitter: Duration,

    /// Reset every Kth connection after 1 byte to 64 MiB, every order of size as likely.
    #[arg(long, value_name = "K", env = "RINGHAUL_SERVE_LOSE_CONNECTIONS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    lose_connections: Option<u64>,

    /// Answer --refuse-status to requests while N others are being answered.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_REFUSE_BEYOND")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    refuse_beyond: Option<u32>,

    /// The status of --refuse-beyond, 429 or 403, say; default: 503.
    #[arg(long, value_name = "CODE", env = "RINGHAUL_SERVE_REFUSE_STATUS")]
    #[arg(value_parser = clap::value_parser!(u16).range(400..=599), requires = "refuse_beyond")]
    refuse_status: Option<u16>,

    /// From then on the total rate is --throttle-rate: SIZE, or a DURATION that ends in s.
    #[arg(long, value_name = "SIZE|DURATION", env = "RINGHAUL_SERVE_THROTTLE_AFTER")]
    #[arg(value_parser = moment, requires = "throttle_rate")]
    throttle_after: Option<StepAfter>,

    /// Bytes per second behind --throttle-after.
    #[arg(long, value_name = "RATE", env = "RINGHAUL_SERVE_THROTTLE_RATE")]
    #[arg(value_parser = rate, requires = "throttle_after")]
    throttle_rate: Option<u64>,

    /// Every Kth connection goes at --slow-rate.
    #[arg(long, value_name = "K", env = "RINGHAUL_SERVE_SLOW_EVERY", requires = "slow_rate")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    slow_every: Option<u64>,

    /// Bytes per second of the connections that --slow-every chooses.
    #[arg(long, value_name = "RATE", env = "RINGHAUL_SERVE_SLOW_RATE", requires = "slow_every")]
    #[arg(value_parser = rate)]
    slow_rate: Option<u64>,
}

impl ShapeArgs {
    /// What the server is told, with its random choices from `seed`.
    pub(in crate::cli) fn shape(&self, seed: u64) -> Shape {
        let refusal = |answers: u32| Refusal {
            answers_max: usize::try_from(answers).unwrap_or(usize::MAX),
            status: self.refuse_status.unwrap_or(503),
            // Most servers that are full do not say until when; a client has to find out.
            retry_after: None,
        };
        Shape {
            connection_bytes_per_second: self.rate_per_connection,
            total_bytes_per_second: self.rate,
            first_byte_delay: self.first_byte,
            first_byte_jitter: self.jitter,
            slow_connections: self
                .slow_every
                .zip(self.slow_rate)
                .map(|(every, bytes_per_second)| SlowConnections { every, bytes_per_second }),
            losses: self
                .lose_connections
                .map(|every| Losses { every, bytes_max: SERVER_LOSS_BYTES_MAX }),
            step: self
                .throttle_after
                .zip(self.throttle_rate)
                .map(|(after, total_bytes_per_second)| RateStep { after, total_bytes_per_second }),
            refusal: self.refuse_beyond.map(refusal),
            // Without random choices nothing follows from it, and an unshaped server is faster.
            seed: if self.jitter.is_zero() && self.lose_connections.is_none() { 0 } else { seed },
            ..Shape::default()
        }
    }

    /// Whether the server treats the first download unlike the next one: it counts connections, or
    /// what was sent, or has answers under way that nobody waits for any more.
    pub(in crate::cli) fn remembers(&self) -> bool {
        self.lose_connections.is_some()
            || self.slow_every.is_some()
            || self.throttle_after.is_some()
            || self.refuse_beyond.is_some()
    }

    /// The same as a command line.
    pub(in crate::cli) fn words(&self) -> Vec<OsString> {
        let count = |value: Option<u64>| value.map(|value| value.to_string());
        let wait = |time: Duration| (!time.is_zero()).then(|| seconds(time));
        let moment = |after: StepAfter| match after {
            StepAfter::Time(time) => seconds(time),
            StepAfter::Bytes(bytes) => bytes.to_string(),
        };
        let words = [
            ("rate", count(self.rate)),
            ("rate-per-connection", count(self.rate_per_connection)),
            ("first-byte", wait(self.first_byte)),
            ("jitter", wait(self.jitter)),
            ("lose-connections", count(self.lose_connections)),
            ("refuse-beyond", count(self.refuse_beyond.map(u64::from))),
            ("refuse-status", count(self.refuse_status.map(u64::from))),
            ("throttle-after", self.throttle_after.map(moment)),
            ("throttle-rate", count(self.throttle_rate)),
            ("slow-every", count(self.slow_every)),
            ("slow-rate", count(self.slow_rate)),
        ];
        let given = words.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| format!("--{name}={value}").into()).collect()
    }
}

fn rate(text: &str) -> Result<u64> {
    let bytes_per_second = parse_rate(text)?;
    if bytes_per_second == 0 {
        return Err(Error::new(ErrorKind::Usage, "a rate cannot be zero"));
    }
    Ok(bytes_per_second)
}

fn delay(text: &str) -> Result<Duration> {
    within(text, Duration::ZERO, DELAY_MAX)
}

/// Bytes, or a time with its `s`; `5m` is a size.
fn moment(text: &str) -> Result<StepAfter> {
    if text.trim().ends_with('s') {
        return delay(text).map(StepAfter::Time);
    }
    parse_bytes(text).map(StepAfter::Bytes)
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_moments() {
        assert_eq!(rate("10M").unwrap(), 10_000_000);
        assert_eq!(rate("1.5K/s").unwrap(), 1500);
        assert_eq!(rate("10MiB/s").unwrap(), 10 << 20);
        assert!(rate("0").is_err() && rate("/s").is_err() && rate("fast").is_err());
        assert_eq!(moment("64M").unwrap(), StepAfter::Bytes(64 << 20));
        assert_eq!(moment("5m").unwrap(), StepAfter::Bytes(5 << 20));
        assert_eq!(moment("250ms").unwrap(), StepAfter::Time(Duration::from_millis(250)));
        assert!(moment("2h").is_err() && moment("7200s").is_err());
    }
}
