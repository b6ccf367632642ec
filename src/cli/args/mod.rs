//! The words of the command line: options, their types, bounds, defaults and environment variables.
//! Owns the grammar and its help. Has no effects and no idea of what a download is; it reads the
//! environment only through clap, for the `RINGHAUL_*` variables.

mod batch;
mod bench;
mod config;
mod copy;
mod download;
pub(super) mod faults;
pub(super) mod gates;
mod head;
mod join;
mod login;
mod manual;
pub(super) mod mirrors;
mod names;
mod part;
pub(super) mod ports;
mod rate;
mod reach;
mod serve;
pub(super) mod shape;
mod slice;
mod sources;
mod tls;
mod values;

/// What SIZE and RATE mean, for the help of commands that take both.
const UNITS: &str = "\
RATE is bytes per second, in powers of 1000 as rates are printed: 60M is 60 MB/s, and 60MiB is 62.9
MB/s. SIZE is bytes, in powers of 1024 as sizes are printed: 60M is 60 MiB.";

pub(super) use batch::{Ask, IfThere, Sync};
pub(super) use bench::{BenchArgs, SiteArgs};
pub(super) use config::ConfigArgs;
pub(super) use download::{DownloadArgs, Given};
pub(super) use login::LoginArgs;
pub(super) use manual::{CompletionsArgs, HelpArgs, ManArgs};
pub(super) use names::RemoteName;
pub(super) use reach::ReachArgs;
pub(super) use serve::ServeArgs;
pub(super) use slice::{Divisor, SliceWish};
pub(super) use sources::{MetalinkWish, Policy};
pub(super) use values::{Change, Direct, Driver, limit_rate as rate_of, within};

use super::exit_codes;
use clap::builder::Resettable;
use clap::error::ErrorKind as ClapKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Maximum-throughput HTTP downloads on Linux through io_uring.
#[derive(Debug, Parser)]
#[command(
    name = "ringhaul",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = exit_codes::after_help()
)]
pub(super) struct Args {
    /// Without a subcommand the URL is downloaded.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// `ringhaul [OPTIONS] URL`.
    #[command(flatten)]
    pub(super) download: DownloadArgs,
}

/// What else ringhaul does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what this machine grants, then prove it with two downloads from a built-in server.
    Doctor(DoctorArgs),
    /// Serve a folder, or made-up bytes, over HTTP or HTTPS: the other end of a measurement.
    Serve(Box<ServeArgs>),
    /// Measure request sizes and connection counts, or other tools, against each other.
    ///
    /// No RINGHAUL_* variable is read: the command line says it all.
    Bench(Box<BenchArgs>),
    /// Show which settings hold, and where each comes from.
    Config(ConfigArgs),
    /// Print what has a shell complete words: bash, elvish, fish, powershell or zsh.
    Completions(CompletionsArgs),
    /// Print the manual page.
    Man(ManArgs),
    /// Print help, of a command or on a topic.
    Help(HelpArgs),
}

/// The names of all of these.
const JOBS: [&str; 7] = ["doctor", "serve", "bench", "config", "completions", "man", "help"];

/// Values that hold where neither the command line nor a variable has one, by the ids of options.
pub(super) type Defaults = Vec<(String, Vec<String>)>;

/// `ringhaul doctor [OPTIONS] [DIR]`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// The folder to examine; the proof's files are written there and removed.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,

    /// Bytes to download over each of HTTP and HTTPS, 4K to 1T.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_SIZE")]
    #[arg(value_parser = values::chunk_size, default_value = "512M")]
    pub(super) size: u64,
}

/// Reads a command line, program name first, and the environment by `grammar`, which is that of
/// [`command_for`] it. `Err` is also the way out of `--help` and `--version`.
pub(super) fn parse_by(
    grammar: clap::Command,
    arguments: Vec<OsString>,
    defaults: &Defaults,
) -> std::result::Result<Args, clap::Error> {
    let matches = match with_defaults(grammar, defaults).try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ClapKind::DisplayVersion => return Err(error),
        // Who errs, or asks for help, hears of the other jobs, too.
        Err(_) => with_defaults(command(), defaults).try_get_matches_from(arguments)?,
    };
    let mut args = Args::from_arg_matches(&matches)?;
    let download = &mut args.download;
    if source_of(&matches, "header") == ValueSource::EnvVariable {
        download.header = download.header.iter().flat_map(|list| lines_of(list)).collect();
    }
    if source_of(&matches, "ca_cert") == ValueSource::EnvVariable {
        let lists = download.ca_cert.iter().map(|list| list.to_string_lossy());
        download.ca_cert = lists.flat_map(|list| lines_of(&list)).map(PathBuf::from).collect();
    }
    let is_default = |id| defaults.iter().any(|(known, _)| known == id);
    let is_given = |id| source_of(&matches, id) != ValueSource::DefaultValue || is_default(id);
    download.given = Given {
        connections: is_given("connections"),
        max_connections: is_given("max_connections"),
        chunk_size: is_given("chunk_size"),
        threads: is_given("threads"),
    };
    if args.command.is_none() {
        download.check_places()?;
    }
    settle_volume(download, &matches)?;
    settle_tokens(download, &matches)?;
    settle_digests(download, &matches)?;
    if let Some(Command::Serve(serve_args)) = &mut args.command {
        let matches = matches.subcommand_matches("serve").expect("it was asked for");
        serve::settle(serve_args, |id| source_of(matches, id))
            .map_err(|text| command().error(ClapKind::ArgumentConflict, text))?;
    }
    Ok(args)
}

/// Reads a command line as it stands.
#[cfg(test)]
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> std::result::Result<Args, clap::Error> {
    parse_by(command(), arguments.into_iter().collect(), &Defaults::new())
}

/// The grammar for a command line: of a download, unless its first word names another job. To build
/// the grammars of these takes a seventh of what is done before a download begins.
pub(super) fn command_for(arguments: &[OsString]) -> clap::Command {
    let first = arguments.get(1).and_then(|word| word.to_str());
    if first.is_some_and(|word| JOBS.contains(&word)) {
        return command();
    }
    let named = clap::Command::new("ringhaul").version(env!("CARGO_PKG_VERSION"));
    let command = DownloadArgs::augment_args(named);
    command.args(config::arguments()).mut_args(tidy)
}

/// The grammar. The help states the rule for environment variables once, not at every option;
/// their values, some of them secrets, stay out of it.
pub(super) fn command() -> clap::Command {
    let command = Args::command().args(config::arguments()).mut_args(tidy);
    let command = command.mut_subcommand("doctor", |doctor| doctor.mut_args(tidy));
    let command = command.mut_subcommand("serve", |serve| serve.mut_args(tidy));
    // What is published with a figure is its command line, and nothing else may move it.
    let deaf = |arg: clap::Arg| arg.env(Resettable::Reset);
    command.mut_subcommand("bench", |bench| bench.mut_args(deaf))
}

/// An option whose variable is not shown, and counts as absent if it is empty.
fn tidy(arg: clap::Arg) -> clap::Arg {
    let empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let unset = arg.get_env().is_some_and(empty);
    let arg = arg.hide_env(true);
    if unset { arg.env(Resettable::Reset) } else { arg }
}

/// The grammar with other defaults, which its options' parsers have read before: what stands in a
/// file is checked where it stands.
pub(super) fn with_defaults(grammar: clap::Command, defaults: &Defaults) -> clap::Command {
    if defaults.is_empty() {
        return grammar;
    }
    grammar.mut_args(|arg| match defaults.iter().find(|(id, _)| arg.get_id() == id.as_str()) {
        Some((_, values)) => arg.default_values(values.clone()),
        None => arg,
    })
}

/// How much to say: nothing or more.
fn settle_volume(
    args: &mut DownloadArgs,
    matches: &ArgMatches,
) -> std::result::Result<(), clap::Error> {
    let wishes = [("quiet", args.quiet), ("verbose", args.verbose > 0)];
    let kept = settle(matches, &wishes)?;
    args.quiet &= kept == Some("quiet");
    args.verbose = if kept == Some("verbose") { args.verbose } else { 0 };
    Ok(())
}

/// One token.
fn settle_tokens(
    args: &mut DownloadArgs,
    matches: &ArgMatches,
) -> std::result::Result<(), clap::Error> {
    let login = &mut args.login;
    let wishes = [
        ("oauth2_bearer", login.oauth2_bearer.is_some()),
        ("bearer_file", login.bearer_file.is_some()),
    ];
    let kept = settle(matches, &wishes)?;
    login.oauth2_bearer = login.oauth2_bearer.take().filter(|_| kept == Some("oauth2_bearer"));
    login.bearer_file = login.bearer_file.take().filter(|_| kept == Some("bearer_file"));
    Ok(())
}

/// What to verify against: one digest, the one in a file, or none.
fn settle_digests(
    args: &mut DownloadArgs,
    matches: &ArgMatches,
) -> std::result::Result<(), clap::Error> {
    let wishes = [
        ("checksum", args.checksum.is_some()),
        ("checksum_file", args.checksum_file.is_some()),
        ("no_verify", args.no_verify),
    ];
    let kept = settle(matches, &wishes)?;
    args.checksum = args.checksum.take().filter(|_| kept == Some("checksum"));
    args.checksum_file = args.checksum_file.take().filter(|_| kept == Some("checksum_file"));
    args.no_verify &= kept == Some("no_verify");
    Ok(())
}

/// Settles options that contradict each other: the command line counts before the environment, and
/// that before the config file. Returns which of them stays.
fn settle<'a>(
    matches: &ArgMatches,
    wishes: &[(&'a str, bool)],
) -> std::result::Result<Option<&'a str>, clap::Error> {
    let from = |source: ValueSource| {
        let wished = wishes.iter().filter(|(_, is_wished)| *is_wished).map(|(id, _)| *id);
        wished.filter(|id| source_of(matches, id) == source).collect::<Vec<_>>()
    };
    let mut stay = from(ValueSource::CommandLine);
    if stay.is_empty() {
        stay = from(ValueSource::EnvVariable);
    }
    if stay.is_empty() {
        stay = from(ValueSource::DefaultValue);
    }
    if let [first, second, ..] = stay[..] {
        let (first, second) = (first.replace('_', "-"), second.replace('_', "-"));
        let text = format!("'--{first}' and '--{second}' cannot be used together");
        return Err(command().error(ClapKind::ArgumentConflict, text));
    }
    Ok(stay.first().copied())
}

fn source_of(matches: &ArgMatches, id: &str) -> ValueSource {
    matches.value_source(id).unwrap_or(ValueSource::DefaultValue)
}

fn lines_of(list: &str) -> Vec<String> {
    list.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_has_the_options_of_the_whole_grammar_and_jobs_have_their_names() {
        let whole = command();
        let names = || whole.get_subcommands().map(clap::Command::get_name);
        assert!(names().all(|name| JOBS.contains(&name)) && names().count() == JOBS.len());
        let of = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            command_for(&words)
        };
        let ids = |command: &clap::Command| -> Vec<String> {
            let shown = |arg: &clap::Arg| {
                let parts = (arg.get_id(), arg.get_long(), arg.get_short(), arg.get_env());
                format!("{parts:?} {:?} {:?}", arg.get_action(), arg.get_default_values())
            };
            command.get_arguments().map(shown).collect()
        };
        for download in [&["ringhaul"][..], &["ringhaul", "-v", "doctor"], &["ringhaul", "u"]] {
            let command = of(download);
            assert_eq!(command.get_subcommands().count(), 0, "{download:?}");
            assert_eq!(ids(&command), ids(&whole), "{download:?}");
        }
        assert_eq!(of(&["ringhaul", "man"]).get_subcommands().count(), JOBS.len());
    }
}
