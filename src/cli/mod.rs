//! The command line: which job was asked for, and how its end becomes one line and an exit code.
//! Each job has a file of its own. Knows the engine's face but neither sockets nor disk.

mod args;
mod batch;
mod bench;
mod brought;
mod checksum_file;
mod complaint;
mod config;
mod doctor;
mod download;
mod exit_codes;
mod habits;
mod head;
mod join;
mod login;
mod manual;
mod metalink;
mod nearest;
mod one_file;
mod ordered_output;
mod piece_hashes;
mod print;
mod profile;
mod reach;
mod remote_name;
mod resolve;
mod serve;
mod settings_folder;
mod signals;
mod slices;
mod tables;
mod trust;
mod variables;

use crate::base::{Error, ErrorKind, url};
use crate::ui;
use std::ffi::OsString;

/// Why the program does not end with exit code 0. `main` prints the line and exits with the code.
#[derive(Debug)]
pub struct Failure {
    /// One line without line break, `ringhaul: error: ...`; empty where nobody needs to be told.
    pub line: String,
    /// The exit code, as listed by `ringhaul --help`.
    pub exit_code: u8,
}

impl Failure {
    /// Prints the line, if there is one, to standard error. Nobody may be reading; the exit code
    /// still tells.
    pub fn print(&self) {
        if !self.line.is_empty() {
            ui::write_line(&self.line);
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { line: format!("ringhaul: error: {error}"), exit_code: error.exit_code() }
    }
}

/// Does what the command line says, program name first. Help and version go to standard output,
/// everything about a transfer to standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let grammar = args::command_for(&arguments);
    let words = habits::translate(arguments, &grammar)?;
    let holding = config::holding(&words, &grammar)?;
    let misspelt = if words.is_job { Vec::new() } else { variables::unknown() };
    let mut args = match args::parse_by(grammar, words.all, &holding.defaults()) {
        Ok(args) => args,
        Err(error) => return complaint::answer(&error),
    };
    tables::settle(&mut args.download, &holding.by_origin)?;
    args.download.notes.extend(holding.notes.into_iter().chain(misspelt));
    complete_urls(&mut args.download)?;
    match &args.command {
        Some(args::Command::Doctor(doctor_args)) => doctor::run(doctor_args),
        Some(args::Command::Serve(serve_args)) => serve::run(serve_args),
        Some(args::Command::Bench(bench_args)) => bench::run(bench_args),
        Some(args::Command::Config(config_args)) => config::run(config_args),
        Some(args::Command::Completions(completions_args)) => manual::completions(completions_args),
        Some(args::Command::Man(man_args)) => manual::man(man_args),
        Some(args::Command::Help(help_args)) => manual::help(help_args),
        None => fetch_logged_in(args.download),
    }
}

/// Brings in credentials and cookies first, and writes cookies down in the end.
fn fetch_logged_in(mut args: args::DownloadArgs) -> Result<(), Failure> {
    if let Some(name) = &args.join.join {
        return join::run(&args, name);
    }
    slices::settle(&mut args)?;
    login::settle(&mut args)?;
    let fetched = fetch(&args);
    let kept = login::keep_cookies(&args);
    fetched.and(kept.map_err(Failure::from))
}

/// A URL without a scheme means https; a Metalink may be a file here.
fn complete_urls(args: &mut args::DownloadArgs) -> Result<(), Failure> {
    let mut completed = None;
    for place in args.urls.iter_mut().filter(|place| !metalink::is_metalink_place(place)) {
        if let Some(url) = habits::with_scheme(place)? {
            let shown = url::without_secrets(place);
            completed.get_or_insert(shown);
            *place = url;
        }
    }
    let note = |shown| format!("'{shown}' has no scheme: https:// is meant, http:// is not tried");
    args.notes.extend(completed.map(note));
    Ok(())
}

/// One file or many, named by URLs, lists or a Metalink.
fn fetch(args: &args::DownloadArgs) -> Result<(), Failure> {
    if args.head.head {
        return head::run(args);
    }
    if args.repair.is_some() && args.is_batch_asked() {
        let what = "'--repair' is for one file, and what is asked for besides is for many";
        return Err(Error::new(ErrorKind::Usage, what).advise("repair one after the other").into());
    }
    check_part(args, args.is_batch_asked() || args.urls.len() > 1)?;
    if args.copy.tee.is_some() && (args.is_batch_asked() || args.urls.len() > 1) {
        let what = "'--tee' is for one file, and what is asked for besides is for many";
        return Err(Error::new(ErrorKind::Usage, what).into());
    }
    match metalink::look(args)? {
        Some(read) => fetch_described(args, read),
        None if one_file::is_meant(args)? => match one_file::is_skipped(args)? {
            true => Ok(()),
            false => download::run(args, None).map(drop),
        },
        None if args.is_batch() => batch::run(args, None),
        None if args.slices.settled.is_some() => Err(slices::one_file().into()),
        None => match download::run(args, None)? {
            Some(read) => fetch_described(args, read),
            None => Ok(()),
        },
    }
}

fn fetch_described(args: &args::DownloadArgs, read: metalink::Read) -> Result<(), Failure> {
    if read.one(args)?.is_some() && !args.is_batch_asked() {
        if args.slices.settled.is_some() {
            return Err(slices::one_file().into());
        }
        return download::run(args, Some(read)).map(drop);
    }
    check_part(args, true)?;
    batch::run(args, Some(read))
}

/// A part is of one file. What stands in the journal of a list is proved whole, and that some of it
/// may be parts would have to be told of each for ever after.
fn check_part(args: &args::DownloadArgs, is_many: bool) -> Result<(), Error> {
    let is_sliced = args.slices.settled.is_some();
    if args.part.range.is_none() || !(is_many || is_sliced) {
        return Ok(());
    }
    if is_sliced && !is_many {
        let what = "'--slice' and '--range' each say which part of the file is fetched";
        let advice = "leave one of them out: ranges can be fetched on any machine, each into a \
                      file of its own";
        return Err(Error::new(ErrorKind::Usage, what).advise(advice));
    }
    let what = "'--range' is for one file, and what is asked for besides is for many";
    let advice = "fetch one after the other, as 'xargs -n 1 ringhaul --range RANGES' does with a \
                  list of URLs; further servers of a file are named by --mirror";
    Err(Error::new(ErrorKind::Usage, what).advise(advice))
}
