//! `ringhaul serve`: the built-in server for other machines, until a signal ends it. Owns the
//! configuration made from its options, the URL on standard output and the lines that say what was
//! served. How it is served is the server's.

use super::Failure;
use super::args::ServeArgs;
use super::signals::Watch;
use crate::base::size::{format_bytes, format_duration, format_rate};
use crate::base::{Error, ErrorKind, Result};
use crate::io::whole;
use crate::server::{
    self, CertificateFiles, Config, Numbered, Paths, Server, Shape, Stats, TlsConfig,
};
use crate::ui::printable;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Serves until a signal arrives, which is its normal end.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let watch = Watch::start()?;
    if args.until_eof {
        watch.hang_up_with_input()?;
    }
    server::raise_descriptor_limit();
    let config = config(args);
    let what = described(&config);
    let is_one = config.folder.is_none() && config.paths == Paths::Alike;
    let is_reading = is_one && !config.digests.is_empty();
    if is_reading && config.size_bytes >= SLOW_DIGEST_BYTES {
        say(args, &format!("computing the digests of {what} first"));
    }
    let rates = Rates::of(&config.shape);
    let mut server = Server::start(config)?;
    if let Some(path) = &args.cert_out {
        write_certificate(path, &server)?;
    }
    announce(&server)?;
    say(args, &format!("serving {what}; Ctrl-C ends it"));
    let report = watch_over(&server, args, &watch, rates);
    server.stop();
    let counts = server.counts();
    say(args, &report.total(&counts, Instant::now()));
    if let Some(shortfall) = rates.shortfall(&Stats::default(), &counts).filter(|_| args.until_eof)
    {
        // For the program that started it; nobody may be reading.
        let _ = writeln!(std::io::stdout(), "{shortfall}");
    }
    Ok(())
}

/// From here on the digests of made-up bytes take longer than one waits without asking why.
const SLOW_DIGEST_BYTES: u64 = 1 << 30;

/// The server that the options describe.
fn config(args: &ServeArgs) -> Config {
    let folder = match args.size {
        Some(_) => None,
        None => Some(args.dir.clone().unwrap_or_else(|| ".".into())),
    };
    Config {
        address: args.listen,
        folder,
        paths: match args.files {
            Some(count) => Paths::Numbered(count),
            None if args.by_path => Paths::Distinct,
            None => Paths::Alike,
        },
        size_bytes_max: args.size_max,
        digests: args.digests.iter().map(|digest| (*digest).into()).collect(),
        tls: tls(args),
        shape: args.shape.shape(args.seed),
        ..Config::new(args.seed, args.size.unwrap_or(0))
    }
}

fn tls(args: &ServeArgs) -> Option<TlsConfig> {
    let files = args.cert.clone().zip(args.key.clone());
    let files = files.map(|(certificate, key)| CertificateFiles { certificate, key });
    let is_made = args.tls || args.cert_out.is_some() || !args.name.is_empty();
    let mut tls = (is_made || files.is_some()).then(TlsConfig::default)?;
    if !args.listen.ip().is_unspecified() {
        tls.names.push(args.listen.ip().to_string());
    }
    tls.names.extend(args.name.iter().cloned());
    Some(TlsConfig { files, ..tls })
}

fn described(config: &Config) -> String {
    if let Some(folder) = &config.folder {
        return printable(&format!("the folder '{}'", folder.display()));
    }
    let smallest = format_bytes(config.size_bytes);
    let size = match config.size_bytes_max {
        Some(max) => format!("{smallest} to {}", format_bytes(max)),
        None => smallest,
    };
    let seed = config.seed;
    match config.paths {
        Paths::Alike => format!("{size} of seed {seed} at every path"),
        Paths::Distinct => format!("other {size} of seed {seed} at every path"),
        Paths::Numbered(count) => {
            let last = Numbered::new(count).name(count);
            format!("{count} files of {size} and seed {seed}, up to /{last}, named in /list.txt")
        }
    }
}

fn write_certificate(path: &Path, server: &Server) -> Result<()> {
    let pem = server.certificate_pem().expect("the server made its certificate itself");
    whole::replace(path, whole::FILE_MODE, pem.as_bytes(), false).map_err(|cause| {
        let context = format!("cannot write the certificate to '{}'", path.display());
        Error::new(ErrorKind::TargetUnusable, context)
            .caused_by(cause)
            .advise("choose another file with --cert-out")
    })
}

/// The URL, for people and scripts.
fn announce(server: &Server) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", server.url("/")).and_then(|()| out.flush()).map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })
}

fn say(args: &ServeArgs, line: &str) {
    if !args.quiet {
        // Nobody may be reading, and the clients do not care.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// Says what is served, now and then, until a signal arrives.
fn watch_over(server: &Server, args: &ServeArgs, watch: &Watch, rates: Rates) -> Report {
    let mut report = Report::new(Instant::now(), rates);
    while !watch.wait(args.report_every) {
        if let Some(line) = report.next(&server.counts(), Instant::now()) {
            say(args, &line);
        }
    }
    report
}

/// A path that gave less than this part of what it was asked for is not the one that was wanted.
const GIVEN_PART_MIN: f64 = 0.95;

/// The rates that were asked for, bytes per second.
#[derive(Debug, Clone, Copy)]
struct Rates {
    of_each: Option<u64>,
    in_all: Option<u64>,
}

impl Rates {
    fn of(shape: &Shape) -> Self {
        Self { of_each: shape.connection_bytes_per_second, in_all: shape.total_bytes_per_second }
    }

    /// What was asked for and not given between two moments; `None` where this machine kept up.
    fn shortfall(self, before: &Stats, after: &Stats) -> Option<String> {
        let given = after.body_bytes - before.body_bytes;
        let line = |rate: Option<u64>, missed: u64, whose: &str| {
            let part = given as f64 / (given + missed).max(1) as f64;
            let rate = rate.filter(|_| missed > 0 && part < GIVEN_PART_MIN)? as f64;
            let (asked, gave) = (format_rate(rate), format_rate(rate * part));
            Some(format!("asked for {asked}{whose}, gave {gave}: this machine is too slow or busy"))
        };
        let in_all = after.missed_bytes_in_all - before.missed_bytes_in_all;
        let of_each = after.missed_bytes_of_connections - before.missed_bytes_of_connections;
        line(self.in_all, in_all, "").or_else(|| line(self.of_each, of_each, " per connection"))
    }
}

/// The lines, and what the last one said.
struct Report {
    rates: Rates,
    begin: Instant,
    last: Stats,
    last_at: Instant,
}

impl Report {
    fn new(now: Instant, rates: Rates) -> Self {
        Self { rates, begin: now, last: Stats::default(), last_at: now }
    }

    /// What was served since the line before; `None` if nothing was.
    fn next(&mut self, stats: &Stats, now: Instant) -> Option<String> {
        let last = std::mem::replace(&mut self.last, stats.clone());
        let last_at = self.last_at;
        self.last_at = now;
        let bytes = stats.body_bytes - last.body_bytes;
        let requests = stats.requests - last.requests;
        let connections = stats.connections - last.connections;
        if bytes == 0 && requests == 0 && connections == 0 {
            return None;
        }
        let shortfall = self.rates.shortfall(&last, stats);
        Some(format!(
            "{}: {requests} requests, {}, {}, {} connections open{}",
            format_duration(now - self.begin),
            format_bytes(bytes),
            rate(bytes, now - last_at),
            stats.connections_live,
            shortfall.map_or_else(String::new, |line| format!("; {line}")),
        ))
    }

    /// What was served in all.
    fn total(&self, stats: &Stats, now: Instant) -> String {
        let mut line = format!(
            "served {} requests, {}, over {} connections, {} at a time, in {}",
            stats.requests,
            format_bytes(stats.body_bytes),
            stats.connections,
            stats.connections_peak,
            format_duration(now - self.begin),
        );
        for (count, what) in [
            (stats.requests_refused, "requests refused"),
            (stats.connections_refused, "connections refused"),
            (stats.connections_displaced, "idle connections made room for new ones"),
            (stats.connections_timed_out, "connections ended as idle, slow or unread"),
        ] {
            if count > 0 {
                line.push_str(&format!("; {count} {what}"));
            }
        }
        if let Some(shortfall) = self.rates.shortfall(&Stats::default(), stats) {
            line.push_str(&format!("; {shortfall}"));
        }
        line
    }
}

fn rate(bytes: u64, time: Duration) -> String {
    format_rate(bytes as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_what_is_new() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut report = Report::new(begin, Rates { of_each: None, in_all: None });
        let mut stats = Stats::default();
        assert_eq!(report.next(&stats, after(10)), None);
        stats.requests = 3;
        stats.body_bytes = 4096;
        stats.connections = 2;
        stats.connections_live = 1;
        stats.connections_peak = 2;
        let line = report.next(&stats, after(14));
        let expected = "14.0 s: 3 requests, 4.00 KiB, 1.02 kB/s, 1 connections open";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(report.next(&stats, after(24)), None);
        let total = "served 3 requests, 4.00 KiB, over 2 connections, 2 at a time, in 25.0 s";
        assert_eq!(report.total(&stats, after(25)), total);
        stats.requests_refused = 4;
        assert!(report.total(&stats, after(25)).ends_with("; 4 requests refused"));
    }

    #[test]
    fn a_rate_that_was_not_reached_is_said() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let rates = Rates { of_each: Some(2_000_000), in_all: Some(5_000_000) };
        let mut report = Report::new(begin, rates);
        let mut stats = Stats { body_bytes: 18_000_000, ..Stats::default() };
        stats.missed_bytes_in_all = 32_000_000;
        let line = report.next(&stats, after(10)).unwrap();
        assert!(line.contains("; asked for 5.00 MB/s, gave 1.80 MB/s: this machine"), "{line}");
        // The next interval is another one.
        stats.body_bytes += 49_000_000;
        stats.missed_bytes_in_all += 1_000_000;
        let line = report.next(&stats, after(20)).unwrap();
        assert!(!line.contains("asked"), "{line}");
        let total = report.total(&stats, after(20));
        assert!(total.contains("; asked for 5.00 MB/s, gave 3.35 MB/s"), "{total}");
        let stats = Stats { body_bytes: 1, missed_bytes_of_connections: 3, ..Stats::default() };
        let line = rates.shortfall(&Stats::default(), &stats).unwrap();
        assert!(line.starts_with("asked for 2.00 MB/s per connection, gave 500.00 kB/s"), "{line}");
    }
}
