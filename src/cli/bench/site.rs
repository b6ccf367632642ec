//! `ringhaul bench-server`: the built-in server as a bench starts it. Prints its URL and serves
//! until its standard input ends, so that it never outlives who started it.

use crate::base::size::GIB;
use crate::base::{Error, ErrorKind, Result};
use crate::cli::Failure;
use crate::cli::args::{BenchServerArgs, SiteArgs};
use crate::server::{Config, Refusal, RetryAfter, Server, Shape, SlowConnections};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::time::Duration;

/// The seed of its content; any would do.
pub(in crate::cli) const SEED: u64 = 0x62_65_6e_63_68;
/// Bytes of its file unless told otherwise: every cell of the default grid has work in it.
const SIZE_BYTES: u64 = GIB;
/// What a refused client is told to wait.
const RETRY_AFTER: RetryAfter = RetryAfter::Seconds(1);

/// Serves until the end of standard input.
pub(in crate::cli) fn run(args: &BenchServerArgs) -> Result<(), Failure> {
    let size_bytes = args.site.size.unwrap_or(SIZE_BYTES);
    let config = match args.site.tls {
        true => Config::new_tls(SEED, size_bytes),
        false => Config::new(SEED, size_bytes),
    };
    let server = Server::start(Config { shape: args.site.shape(), ..config })?;
    if let (Some(path), Some(pem)) = (&args.cert_out, server.certificate_pem()) {
        std::fs::write(path, pem).map_err(|cause| {
            let what = format!("cannot write the certificate to '{}'", path.display());
            Error::new(ErrorKind::TargetUnusable, what).caused_by(cause)
        })?;
    }
    let mut out = std::io::stdout().lock();
    let said = writeln!(out, "{}", server.url("/bench.bin")).and_then(|()| out.flush());
    said.map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })?;
    // Nothing comes; an error is an end, too.
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    Ok(())
}

impl SiteArgs {
    /// Whether anything is asked of the built-in server.
    pub(super) fn is_used(&self) -> bool {
        self.size.is_some() || self.tls || self.is_shaped()
    }

    /// Whether the path is anything but plain.
    pub(super) fn is_shaped(&self) -> bool {
        self.shape() != Shape::default()
    }

    /// The command that serves what these options say.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["bench-server".into()];
        let mut add = |name: &str, value: Option<String>| {
            words.extend(value.map(|value| OsString::from(format!("--{name}={value}"))));
        };
        let text = |value: Option<u64>| value.map(|value| value.to_string());
        add("size", text(self.size));
        add("rate", text(self.rate));
        add("rate-per-connection", text(self.rate_per_connection));
        add("first-byte", self.first_byte.map(|time| format!("{}s", time.as_secs_f64())));
        add("slow-every", text(self.slow_every));
        add("slow-rate", text(self.slow_rate));
        add("refuse-beyond", text(self.refuse_beyond.map(u64::from)));
        if self.tls {
            words.push("--tls".into());
        }
        words
    }

    fn shape(&self) -> Shape {
        let slow = self.slow_every.zip(self.slow_rate);
        let refusal = self.refuse_beyond.map(|count| Refusal {
            answers_max: usize::try_from(count).unwrap_or(usize::MAX),
            status: 503,
            retry_after: Some(RETRY_AFTER),
        });
        Shape {
            connection_bytes_per_second: self.rate_per_connection,
            total_bytes_per_second: self.rate,
            first_byte_delay: self.first_byte.unwrap_or(Duration::ZERO),
            slow_connections: slow
                .map(|(every, bytes_per_second)| SlowConnections { every, bytes_per_second }),
            refusal,
            ..Shape::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Command, parse};

    fn bench(words: &[&str]) -> SiteArgs {
        let words = ["ringhaul", "bench"].iter().chain(words);
        match parse(words.map(OsString::from)).unwrap().command {
            Some(Command::Bench(args)) => args.site,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_server_hears_what_the_bench_was_told() {
        let words = [
            "--size=8M",
            "--tls",
            "--rate=2M",
            "--rate-per-connection=1M",
            "--first-byte=50ms",
            "--slow-every=8",
            "--slow-rate=1K",
            "--refuse-beyond=4",
        ];
        let site = bench(&words);
        assert!(site.is_used() && !bench(&[]).is_used());
        let words = [OsString::from("ringhaul")].into_iter().chain(site.arguments());
        match parse(words).unwrap().command {
            Some(Command::BenchServer(args)) => assert_eq!(args.site, site),
            other => panic!("{other:?}"),
        }
        let shape = site.shape();
        assert_eq!(shape.first_byte_delay, Duration::from_millis(50));
        assert_eq!(shape.refusal.unwrap().answers_max, 4);
    }
}
