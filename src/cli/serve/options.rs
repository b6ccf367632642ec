//! The words of `ringhaul serve`: options, their types and bounds, and the server they describe.
//! Owns that grammar; has no effects.

use crate::base::limits::SERVER_LOSS_BYTES_MAX;
use crate::base::size::{parse_bytes, parse_duration};
use crate::base::{Error, ErrorKind, Result};
use crate::server::{DigestField, Losses, RateStep, Refusal, Shape, SlowConnections, StepAfter};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The port where none is given.
const PORT: u16 = 8080;
/// Longest delay that may be asked for: no client waits longer.
const DELAY_MAX: Duration = Duration::from_secs(3600);

/// `ringhaul serve [OPTIONS] [DIR]`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct ServeArgs {
    /// The folder to serve, links out of it excepted; default: the current one.
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,

    /// Serve SIZE made-up bytes at every path instead: no disk is read.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_SERVE_SIZE", value_parser = parse_bytes)]
    pub(super) size: Option<u64>,

    /// What the made-up bytes and all random choices follow from.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_SEED", default_value_t = 1)]
    pub(super) seed: u64,

    /// Where to listen; port 0 lets the system choose. The URL is printed.
    #[arg(long, value_name = "ADDR:PORT", env = "RINGHAUL_SERVE_LISTEN")]
    #[arg(value_parser = address, default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,

    /// Send these digests of the files, with commas between them.
    #[arg(long, value_name = "FIELD", env = "RINGHAUL_SERVE_DIGESTS")]
    #[arg(value_enum, action = ArgAction::Append, value_delimiter = ',')]
    pub(super) digests: Vec<FieldName>,

    /// Print errors only, and the URL.
    #[arg(short, long, env = "RINGHAUL_SERVE_QUIET", value_parser = BoolishValueParser::new())]
    pub(super) quiet: bool,

    /// Time between two lines that say what was served, 1s to 1h; there is none while nothing is.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_SERVE_REPORT_EVERY")]
    #[arg(value_parser = interval, default_value = "10s")]
    pub(super) report_every: Duration,

    /// HTTPS, with a certificate made now.
    #[arg(long, env = "RINGHAUL_SERVE_TLS", help_heading = "TLS")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) tls: bool,

    /// Write the authority of that certificate to FILE, for a client's --ca-cert; implies --tls.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_CERT_OUT", help_heading = "TLS")]
    pub(super) cert_out: Option<PathBuf>,

    /// One more name or address that certificate is for; repeatable.
    #[arg(long, value_name = "NAME", env = "RINGHAUL_SERVE_NAME", help_heading = "TLS")]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(super) name: Vec<String>,

    /// HTTPS with the certificate in this PEM file instead.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_CERT", help_heading = "TLS")]
    #[arg(requires = "key", conflicts_with_all = ["cert_out", "name"])]
    pub(super) cert: Option<PathBuf>,

    /// The private key of --cert, as PEM.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_KEY", help_heading = "TLS")]
    #[arg(requires = "cert")]
    pub(super) key: Option<PathBuf>,

    /// The path that the server plays.
    #[command(flatten)]
    pub(super) shape: ShapeArgs,
}

/// Delays, rates and faults.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shaping")]
pub(super) struct ShapeArgs {
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

    /// Answer 503 to requests while N others are being answered.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_REFUSE_BEYOND")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    refuse_beyond: Option<u32>,

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

/// A header field with a digest; `DigestField` of the server says what each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FieldName {
    ReprDigest,
    ContentDigest,
    Digest,
    XGoogHash,
    XAmzChecksum,
}

const AFTER_HELP: &str = "\
RATE is SIZE per second. Every option is also a variable, here with SERVE in its name: --listen is
RINGHAUL_SERVE_LISTEN.

The URL goes to standard output, all else to standard error. The server runs until SIGINT (Ctrl-C),
SIGTERM or SIGHUP; that is its normal end, with exit code 0.";

/// DIR and `--size` exclude each other, unless the size is only the environment's wish. An error is
/// the text to show.
pub(in crate::cli) fn settle(
    args: &mut ServeArgs,
    is_size_on_line: bool,
) -> std::result::Result<(), &'static str> {
    match (&args.dir, args.size) {
        (Some(_), Some(_)) if is_size_on_line => Err("DIR and '--size' cannot be used together"),
        (Some(_), _) => {
            args.size = None;
            Ok(())
        }
        (None, _) => Ok(()),
    }
}

impl ShapeArgs {
    /// What the server is told, with its random choices from `seed`.
    pub(super) fn shape(&self, seed: u64) -> Shape {
        let refusal = |answers: u32| Refusal {
            answers_max: usize::try_from(answers).unwrap_or(usize::MAX),
            status: 503,
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
}

impl From<FieldName> for DigestField {
    fn from(field: FieldName) -> Self {
        match field {
            FieldName::ReprDigest => DigestField::ReprDigestSha256,
            FieldName::ContentDigest => DigestField::ContentDigestSha256,
            FieldName::Digest => DigestField::DigestSha256,
            FieldName::XGoogHash => DigestField::XGoogCrc32c,
            FieldName::XAmzChecksum => DigestField::XAmzSha256FullObject,
        }
    }
}

/// `ADDR:PORT`, or one of them with the default for the other.
fn address(text: &str) -> Result<SocketAddr> {
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

fn rate(text: &str) -> Result<u64> {
    let text = text.trim();
    let bytes = parse_bytes(text.strip_suffix("/s").unwrap_or(text))?;
    if bytes == 0 {
        return Err(Error::new(ErrorKind::Usage, "a rate cannot be zero"));
    }
    Ok(bytes)
}

fn delay(text: &str) -> Result<Duration> {
    within(text, Duration::ZERO, DELAY_MAX)
}

fn interval(text: &str) -> Result<Duration> {
    within(text, Duration::from_secs(1), DELAY_MAX)
}

fn within(text: &str, min: Duration, max: Duration) -> Result<Duration> {
    let time = parse_duration(text)?;
    if (min..=max).contains(&time) {
        return Ok(time);
    }
    Err(Error::new(ErrorKind::Usage, format!("'{text}' is not within {min:?} to {max:?}")))
}

/// Bytes, or a time with its `s`; `5m` is a size.
fn moment(text: &str) -> Result<StepAfter> {
    if text.trim().ends_with('s') {
        return delay(text).map(StepAfter::Time);
    }
    parse_bytes(text).map(StepAfter::Bytes)
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

    #[test]
    fn rates_and_moments() {
        assert_eq!(rate("10M").unwrap(), 10 << 20);
        assert_eq!(rate("1.5K/s").unwrap(), 1536);
        assert!(rate("0").is_err() && rate("/s").is_err() && rate("fast").is_err());
        assert_eq!(moment("64M").unwrap(), StepAfter::Bytes(64 << 20));
        assert_eq!(moment("5m").unwrap(), StepAfter::Bytes(5 << 20));
        assert_eq!(moment("250ms").unwrap(), StepAfter::Time(Duration::from_millis(250)));
        assert!(moment("2h").is_err() && moment("7200s").is_err());
    }
}
