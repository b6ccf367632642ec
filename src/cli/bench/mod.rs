//! `ringhaul bench`: settings from words, progress on standard error, the table on standard output.
//! What is measured and concluded is the bench's own.

mod keeping;
mod screen;
mod site;

use super::Failure;
use super::args::{BenchArgs, Driver};
use super::download::failure;
use super::resolve::must_be_folder;
use super::signals::Watch;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::bench::{self, FileList, Paint, Results, Settings, Sink, Upstream};
use crate::engine::options::Engine;
use crate::engine::stop::StopHandle;
use crate::ui::colours_allowed;
use keeping::Keeping;
use screen::Screen;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// The grid's connection counts.
const CONNECTIONS: [u32; 5] = [1, 2, 4, 8, 16];
/// What peers are told to use: as many as the speed table compares.
const CONNECTIONS_AGAINST: [u32; 1] = [4];

/// Measures, and prints what came out of it.
pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    let watch = Watch::start()?;
    let stop = StopHandle::new();
    watch.guard(stop.clone());
    let settings = settings(args)?;
    let keeping = Keeping::new(args)?;
    let mut screen = Screen::new();
    screen.say(&format!("order and intervals by seed {}", settings.seed));
    let results = bench::run(&settings, &stop, &mut |news| screen.show(&news));
    screen.clear();
    let results = results.map_err(|error| failure(error, &watch))?;
    print(&results)?;
    if let Some(keeping) = keeping {
        screen.say(&keeping.keep(&results, args.threads)?);
    }
    Ok(())
}

/// The table, on standard output.
fn print(results: &Results) -> Result<()> {
    let text = bench::table(results, paint());
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })
}

fn paint() -> Paint {
    let has_colours = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    if has_colours && colours_allowed() && std::io::stdout().is_terminal() {
        return Paint::Colour;
    }
    Paint::Plain
}

fn settings(args: &BenchArgs) -> Result<Settings> {
    must_be_folder(&args.dir)?;
    let program = std::env::current_exe().map_err(|cause| {
        Error::new(ErrorKind::EngineUnavailable, "cannot find the own program").caused_by(cause)
    })?;
    let url = args.url.as_deref().map(Url::parse).transpose()?;
    let upstream = match &args.url {
        Some(_) if args.site.is_used(args.files.is_some()) => {
            let what = "options of the built-in server make no sense with a URL";
            return Err(Error::new(ErrorKind::Usage, what).advise("leave out one of both"));
        }
        // The files are in this folder, with a slash or without.
        Some(url) if args.files.is_some() && !url.ends_with('/') => {
            Upstream::Url(format!("{url}/"))
        }
        Some(url) => Upstream::Url(url.clone()),
        None => args.site.upstream(args.files),
    };
    let files = args.files.zip(args.site.size);
    let files = files.map(|(count, size_bytes)| FileList { count, size_bytes });
    if files.is_some() && args.sink == Sink::Null {
        let what = "a list of files needs a folder to go to";
        return Err(
            Error::new(ErrorKind::Usage, what).advise("choose --sink memory to leave the disk out")
        );
    }
    let mut against = Vec::new();
    for &peer in &args.against {
        if !against.contains(&peer) {
            against.push(peer);
        }
    }
    let default: &[u32] = match (files, against.is_empty()) {
        // Each tool has its own.
        (Some(_), _) => &[],
        (None, true) => &CONNECTIONS,
        (None, false) => &CONNECTIONS_AGAINST,
    };
    Ok(Settings {
        program,
        upstream,
        files,
        chunks: distinct(&args.chunks),
        connections: distinct(args.connections.as_deref().unwrap_or(default)),
        engines: engines(&args.engine),
        threads: args.threads,
        runs: args.runs,
        seed: args.seed.unwrap_or_else(fresh_seed),
        folder: args.dir.clone(),
        sink: args.sink,
        against,
        out: args.out.clone(),
        name: args.name.clone(),
        unpublished: args.unpublished,
        command: command_line(std::env::args_os(), args.url.as_deref(), url.as_ref()),
        ca_cert: args.ca_cert.clone(),
        insecure: args.insecure,
    })
}

/// Each engine once, in the order given.
fn engines(words: &[Driver]) -> Vec<Engine> {
    let mut engines: Vec<Engine> = Vec::new();
    for engine in words.iter().map(|&word| Engine::from(word)) {
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    engines
}

fn distinct<T: Ord + Copy>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The clock's last digits: short enough to type again.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) % 1_000_000
}

/// What others have to type, the URL without its secrets.
fn command_line(
    words: impl Iterator<Item = OsString>,
    url: Option<&str>,
    shown: Option<&Url>,
) -> String {
    let mut line = String::from("ringhaul");
    for word in words.skip(1) {
        let word = word.to_string_lossy();
        line.push(' ');
        match shown.filter(|_| url == Some(word.as_ref())) {
            Some(shown) => line += &shown.to_string(),
            None => line += &word,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_repeated_without_secrets() {
        let text = "http://u:secret@h/f?token=secret";
        let url = Url::parse(text).unwrap();
        let words = ["/usr/bin/ringhaul", "bench", "--runs", "3", text].map(OsString::from);
        let line = command_line(words.into_iter(), Some(text), Some(&url));
        assert_eq!(line, "ringhaul bench --runs 3 http://h/f?…");
    }
}
