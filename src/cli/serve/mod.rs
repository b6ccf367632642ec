//! `ringhaul serve`: the built-in server, or several, for other machines, until a signal ends it.
//! Owns the URLs on standard output and the way from start to end; `config` makes servers from
//! options, `report` the lines that say what was served. How it is served is the server's.

mod config;
mod report;

use super::Failure;
use super::args::ServeArgs;
use super::signals::Watch;
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result};
use crate::io::whole;
use crate::server::{self, Config, Numbered, Paths, Server, Stats};
use crate::ui::printable;
use report::{Rates, Report};

use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Serves until a signal arrives, which is its normal end.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let watch = Watch::start()?;
    if args.until_eof {
        watch.hang_up_with_input()?;
    }
    server::raise_descriptor_limit();
    let configs = config::each(args);
    let what = described(&configs);
    let reads = |config: &&Config| {
        let is_one = config.folder.is_none() && config.paths == Paths::Alike;
        is_one && (!config.digests.is_empty() || args.metalink.metalink)
    };
    if configs.iter().filter(reads).any(|config| config.size_bytes >= SLOW_DIGEST_BYTES) {
        say(args, &format!("computing the digests of {what} first"));
    }
    let rates: Vec<Rates> = configs.iter().map(|config| Rates::of(&config.shape)).collect();
    let servers = config::start(args, configs)?;
    if let Some(path) = &args.cert_out {
        write_certificates(path, &servers)?;
    }
    announce(&servers)?;
    say(args, &format!("serving {what}; Ctrl-C ends it"));
    say_what_is_own(args, &servers);
    let mut watched = Watched::all(servers, rates);
    while !watch.wait(args.report_every) {
        for line in watched.iter_mut().filter_map(Watched::next) {
            say(args, &line);
        }
    }
    watched.iter_mut().for_each(|watched| watched.server.stop());
    watched.iter().for_each(|watched| watched.conclude(args));
    Ok(())
}

/// From here on the digests of made-up bytes take longer than one waits without asking why.
const SLOW_DIGEST_BYTES: u64 = 1 << 30;

fn described(configs: &[Config]) -> String {
    let config = configs.first().expect("there is one server at least");
    let ports = match configs.len() {
        1 => String::new(),
        count => format!(", at {count} ports"),
    };
    if let Some(folder) = &config.folder {
        return printable(&format!("the folder '{}'{ports}", folder.display()));
    }
    let smallest = format_bytes(config.size_bytes);
    let size = match config.size_bytes_max {
        Some(max) => format!("{smallest} to {}", format_bytes(max)),
        None => smallest,
    };
    let seed = config.seed;
    match config.paths {
        Paths::Alike => format!("{size} of seed {seed} at every path{ports}"),
        Paths::Distinct => format!("other {size} of seed {seed} at every path{ports}"),
        Paths::Numbered(count) => {
            let last = Numbered::new(count).name(count);
            let files = format!("{count} files of {size} and seed {seed}");
            format!("{files}, up to /{last}, named in /list.txt{ports}")
        }
    }
}

fn write_certificates(path: &Path, servers: &[Server]) -> Result<()> {
    let pem = servers
        .iter()
        .map(|server| server.certificate_pem().expect("the server made its certificate itself"));
    let pem: String = pem.collect();
    whole::replace(path, whole::FILE_MODE, pem.as_bytes(), false).map_err(|cause| {
        let context = format!("cannot write the certificate to '{}'", path.display());
        Error::new(ErrorKind::TargetUnusable, context)
            .caused_by(cause)
            .advise("choose another file with --cert-out")
    })
}

/// The URLs, one a line, for people and scripts.
fn announce(servers: &[Server]) -> Result<()> {
    let urls: String = servers.iter().map(|server| server.url("/") + "\n").collect();
    let mut out = std::io::stdout().lock();
    out.write_all(urls.as_bytes()).and_then(|()| out.flush()).map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })
}

/// Which server differs from the others, and how.
fn say_what_is_own(args: &ServeArgs, servers: &[Server]) {
    for (server, port) in servers.iter().zip(&args.each).filter(|(_, port)| !port.own.is_empty()) {
        let words = port.own.join(", ");
        say(args, &printable(&format!("{} has {words}", server.url("/"))));
    }
}

fn say(args: &ServeArgs, line: &str) {
    if !args.quiet {
        // Nobody may be reading, and the clients do not care.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// A server, and what has been said of it.
struct Watched {
    server: Server,
    rates: Rates,
    report: Report,
    /// Before its lines: which of several servers it is.
    label: String,
}

impl Watched {
    fn all(servers: Vec<Server>, rates: Vec<Rates>) -> Vec<Self> {
        let is_one = servers.len() == 1;
        let watched = servers.into_iter().zip(rates).map(|(server, rates)| {
            let label =
                if is_one { String::new() } else { format!(":{} ", server.address().port()) };
            Self { report: Report::new(Instant::now(), rates), server, rates, label }
        });
        watched.collect()
    }

    /// What was served since the line before; `None` if nothing was.
    fn next(&mut self) -> Option<String> {
        let line = self.report.next(&self.server.counts(), Instant::now())?;
        Some(format!("{}{line}", self.label))
    }

    /// The last words, when it has been stopped.
    fn conclude(&self, args: &ServeArgs) {
        let counts = self.server.counts();
        say(args, &format!("{}{}", self.label, self.report.total(&counts, Instant::now())));
        let shortfall = self.rates.shortfall(&Stats::default(), &counts);
        if let Some(shortfall) = shortfall.filter(|_| args.until_eof) {
            // For the program that started it; nobody may be reading.
            let _ = writeln!(std::io::stdout(), "{}{shortfall}", self.label);
        }
    }
}
