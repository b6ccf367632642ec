//! `ringhaul serve`: the built-in server for other machines, until a signal ends it. Owns the
//! configuration made from its options, the URL on standard output and the lines that say what was
//! served. How it is served is the server's.

use super::Failure;
use super::args::ServeArgs;
use super::signals::Watch;
use crate::base::size::{format_bytes, format_duration, format_rate};
use crate::base::{Error, ErrorKind, Result};
use crate::io::whole;
use crate::server::{self, CertificateFiles, Config, Server, Stats, TlsConfig};
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
    let is_reading = config.folder.is_none() && !config.digests.is_empty();
    if is_reading && config.size_bytes >= SLOW_DIGEST_BYTES {
        say(args, &format!("computing the digests of {what} first"));
    }
    let mut server = Server::start(config)?;
    if let Some(path) = &args.cert_out {
        write_certificate(path, &server)?;
    }
    announce(&server)?;
    say(args, &format!("serving {what}; Ctrl-C ends it"));
    let report = watch_over(&server, args, &watch);
    server.stop();
    say(args, &report.total(&server.counts(), Instant::now()));
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
    match &config.folder {
        Some(folder) => printable(&format!("the folder '{}'", folder.display())),
        None => {
            format!("{} of seed {} at every path", format_bytes(config.size_bytes), config.seed)
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
fn watch_over(server: &Server, args: &ServeArgs, watch: &Watch) -> Report {
    let mut report = Report::new(Instant::now());
    while !watch.wait(args.report_every) {
        if let Some(line) = report.next(&server.counts(), Instant::now()) {
            say(args, &line);
        }
    }
    report
}

/// The lines, and what the last one said.
struct Report {
    begin: Instant,
    last: Stats,
    last_at: Instant,
}

impl Report {
    fn new(now: Instant) -> Self {
        Self { begin: now, last: Stats::default(), last_at: now }
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
        Some(format!(
            "{}: {requests} requests, {}, {}, {} connections open",
            format_duration(now - self.begin),
            format_bytes(bytes),
            rate(bytes, now - last_at),
            stats.connections_live,
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
        let mut report = Report::new(begin);
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
}
