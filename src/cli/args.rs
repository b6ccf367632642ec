//! The words of the command line: options, their types, bounds, defaults and environment variables.
//! Owns the grammar and its help. Has no effects and no idea of what a download is; it reads the
//! environment only through clap, for the `RINGHAUL_*` variables.

mod bench;
pub(super) mod shape;

pub(super) use bench::{BenchArgs, SiteArgs};

use super::exit_codes;
use super::serve::options::{self, ServeArgs};
use crate::base::limits;
use crate::base::size::{format_bytes, parse_bytes, parse_duration};
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::{Algorithm, Checksum};
use clap::builder::{BoolishValueParser, Resettable};
use clap::error::ErrorKind as ClapKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Maximum-throughput HTTP downloads on Linux through io_uring.
#[derive(Debug, Parser)]
#[command(
    name = "ringhaul",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
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
    Bench(BenchArgs),
}

/// `ringhaul [OPTIONS] URL`.
#[derive(Debug, clap::Args)]
pub(super) struct DownloadArgs {
    /// What to download: http:// or https://.
    #[arg(value_name = "URL", required = true)]
    pub(super) url: Option<String>,

    /// Save as FILE, relative to --dir, or into the folder FILE; default: the name in the URL.
    /// /dev/null: check every byte and keep none.
    #[arg(short, long, value_name = "FILE", env = "RINGHAUL_OUTPUT", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,

    /// Save into the existing folder DIR; default: the current one.
    #[arg(short, long, value_name = "DIR", env = "RINGHAUL_DIR", help_heading = "Output")]
    pub(super) dir: Option<PathBuf>,

    /// Replace the target if it exists.
    #[arg(long, env = "RINGHAUL_FORCE", help_heading = "Output")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) force: bool,

    /// Bypass the page cache when writing (O_DIRECT); auto: where the file gains from it.
    #[arg(long, value_name = "WHEN", env = "RINGHAUL_DIRECT", help_heading = "Output")]
    #[arg(value_enum, default_value_t = Direct::Auto)]
    pub(super) direct: Direct,

    /// Fail unless the file has this digest: sha256, sha512, sha1, md5, crc32c or blake3.
    #[arg(long, value_name = "ALGO:HEX", env = "RINGHAUL_CHECKSUM", help_heading = "Integrity")]
    pub(super) checksum: Option<Checksum>,

    /// Fail unless the file has the digest that this file, such as SHA256SUMS, lists for it.
    #[arg(long, value_name = "FILE|URL", env = "RINGHAUL_CHECKSUM_FILE")]
    #[arg(help_heading = "Integrity")]
    pub(super) checksum_file: Option<PathBuf>,

    /// Do not verify the file against digests that the server offers.
    #[arg(long, env = "RINGHAUL_NO_VERIFY", help_heading = "Integrity")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) no_verify: bool,

    /// Print the file's digest to standard output, as sha256sum does; repeatable, or with commas.
    #[arg(long, value_name = "ALGO", env = "RINGHAUL_PRINT_DIGEST", help_heading = "Integrity")]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(super) print_digest: Vec<Algorithm>,

    /// Start from the first byte, whatever an earlier run has left.
    #[arg(long, env = "RINGHAUL_NO_RESUME", help_heading = "Resume")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) no_resume: bool,

    /// Keep no journal, so that no later run can go on; implies --no-resume.
    #[arg(long, env = "RINGHAUL_NO_JOURNAL", help_heading = "Resume")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) no_journal: bool,

    /// Time between two updates of the journal, 10ms to 1h: what a crash may cost.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_JOURNAL_INTERVAL")]
    #[arg(value_parser = journal_interval, default_value = "2s", help_heading = "Resume")]
    pub(super) journal_interval: Duration,

    /// What to do when the file on the server is another one by now.
    #[arg(long, value_name = "WHAT", env = "RINGHAUL_ON_CHANGE", help_heading = "Resume")]
    #[arg(value_enum, default_value_t = Change::Restart)]
    pub(super) on_change: Change,

    /// Connections at once, 1 to 256; auto: as many as measurably pay.
    #[arg(short, long, value_name = "N|auto", env = "RINGHAUL_CONNECTIONS")]
    #[arg(value_parser = connections, default_value = "auto", help_heading = "Transfer")]
    pub(super) connections: Automatic<u32>,

    /// Most connections while their number is automatic, 1 to 256.
    #[arg(long, value_name = "N", env = "RINGHAUL_MAX_CONNECTIONS", help_heading = "Transfer")]
    #[arg(value_parser = up_to(1, limits::CONNECTIONS_MAX))]
    #[arg(default_value_t = limits::CONNECTIONS_AUTO_MAX)]
    pub(super) max_connections: u32,

    /// Threads, each with a ring of its own, 1 to 64; default: from cores and scheme.
    #[arg(long, value_name = "N", env = "RINGHAUL_THREADS", help_heading = "Transfer")]
    #[arg(value_parser = up_to(1, limits::THREADS_MAX))]
    pub(super) threads: Option<u32>,

    /// Bytes of one request, 4K to 1T, rounded up to 4K; auto: by measured goodput and delay.
    #[arg(long, value_name = "SIZE|auto", env = "RINGHAUL_CHUNK_SIZE", help_heading = "Transfer")]
    #[arg(value_parser = chunk_size_or_auto, default_value = "auto")]
    pub(super) chunk_size: Automatic<u64>,

    /// Never send the next request before the present answer has ended.
    #[arg(long, env = "RINGHAUL_NO_REQUEST_AHEAD", help_heading = "Transfer")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) no_request_ahead: bool,

    /// Retries of one range without progress before giving up, 0 to 1000.
    #[arg(short, long, value_name = "N", env = "RINGHAUL_RETRIES", help_heading = "Transfer")]
    #[arg(value_parser = up_to(0, limits::RETRIES_MAX))]
    #[arg(default_value_t = limits::RETRIES_DEFAULT)]
    pub(super) retries: u32,

    /// Wait before the first retry that waits, 1ms to 1h; doubles with each one after it.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_RETRY_WAIT", help_heading = "Transfer")]
    #[arg(value_parser = retry_wait, default_value = "500ms")]
    pub(super) retry_wait: Duration,

    /// Time to establish one connection, TLS included.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_CONNECT_TIMEOUT")]
    #[arg(value_parser = timeout, default_value = "20s", help_heading = "Transfer")]
    pub(super) connect_timeout: Duration,

    /// Time without a byte before a connection counts as stalled.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_TIMEOUT", help_heading = "Transfer")]
    #[arg(value_parser = timeout, default_value = "30s")]
    pub(super) timeout: Duration,

    /// Time the whole download may take; default: any.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_MAX_TIME", help_heading = "Transfer")]
    #[arg(value_parser = timeout)]
    pub(super) max_time: Option<Duration>,

    /// Do not register buffers with the kernel, even where the memlock limit allows it.
    #[arg(long, env = "RINGHAUL_NO_REGISTER", help_heading = "Transfer")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) no_register: bool,

    /// Send this request header, as 'Name: value'; repeatable.
    #[arg(short = 'H', long, value_name = "HEADER", env = "RINGHAUL_HEADER")]
    #[arg(action = ArgAction::Append, help_heading = "Request")]
    pub(super) header: Vec<String>,

    /// Name of the client; a User-Agent given with --header wins.
    #[arg(short = 'A', long, value_name = "NAME", env = "RINGHAUL_USER_AGENT")]
    #[arg(help_heading = "Request")]
    pub(super) user_agent: Option<String>,

    /// Follow redirects from https to http.
    #[arg(long, env = "RINGHAUL_ALLOW_DOWNGRADE", help_heading = "Request")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) allow_downgrade: bool,

    /// Trust the certificates in this PEM file beside the built-in roots; repeatable.
    #[arg(long, visible_alias = "cacert", value_name = "FILE", env = "RINGHAUL_CA_CERT")]
    #[arg(action = ArgAction::Append, help_heading = "Trust")]
    pub(super) ca_cert: Vec<PathBuf>,

    /// Accept any certificate: anyone on the way can read and change the file.
    #[arg(short = 'k', long, env = "RINGHAUL_INSECURE", help_heading = "Trust")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) insecure: bool,

    /// Say what the server answers, per connection; -vv says every request.
    #[arg(short, long, action = ArgAction::Count, env = "RINGHAUL_VERBOSE")]
    #[arg(help_heading = "Messages")]
    pub(super) verbose: u8,

    /// Write one JSON line per request and decision to FILE, which is replaced.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_TRACE", help_heading = "Messages")]
    pub(super) trace: Option<PathBuf>,

    /// Print errors only.
    #[arg(short, long, env = "RINGHAUL_QUIET", help_heading = "Messages")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(super) quiet: bool,
}

/// `ringhaul doctor [OPTIONS] [DIR]`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// The folder to examine; the proof's files are written there and removed.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,

    /// Bytes to download over each of HTTP and HTTPS, 4K to 1T.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_SIZE")]
    #[arg(value_parser = chunk_size, default_value = "512M")]
    pub(super) size: u64,
}

/// A number the user fixes, or leaves to measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Automatic<T> {
    /// Measured.
    Auto,
    /// So much.
    Fixed(T),
}

impl<T> Automatic<T> {
    /// The fixed number, if there is one.
    pub(super) fn fixed(self) -> Option<T> {
        match self {
            Automatic::Auto => None,
            Automatic::Fixed(value) => Some(value),
        }
    }
}

/// When blocks bypass the page cache; `DirectMode` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Direct {
    Auto,
    On,
    Off,
}

/// What a changed file leads to; `OnChange` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Change {
    Restart,
    Fail,
}

/// Reads a command line, program name first, and the environment. `Err` is also the way out of
/// `--help` and `--version`.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> std::result::Result<Args, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let mut args = Args::from_arg_matches(&matches)?;
    let download = &mut args.download;
    if source_of(&matches, "header") == ValueSource::EnvVariable {
        download.header = download.header.iter().flat_map(|list| lines_of(list)).collect();
    }
    if source_of(&matches, "ca_cert") == ValueSource::EnvVariable {
        let lists = download.ca_cert.iter().map(|list| list.to_string_lossy());
        download.ca_cert = lists.flat_map(|list| lines_of(&list)).map(PathBuf::from).collect();
    }
    settle_volume(download, &matches)?;
    settle_digests(download, &matches)?;
    if let Some(Command::Serve(serve)) = &mut args.command {
        let matches = matches.subcommand_matches("serve").expect("it was asked for");
        options::settle(serve, source_of(matches, "size") == ValueSource::CommandLine)
            .map_err(|text| command().error(ClapKind::ArgumentConflict, text))?;
    }
    Ok(args)
}

/// The grammar. The help states the rule for environment variables once, not at every option;
/// their values, some of them secrets, stay out of it.
pub(super) fn command() -> clap::Command {
    let tidy = |arg: clap::Arg| {
        let empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let unset = arg.get_env().is_some_and(empty);
        let arg = arg.hide_env(true);
        if unset { arg.env(Resettable::Reset) } else { arg }
    };
    let command = Args::command().mut_args(tidy);
    let command = command.mut_subcommand("doctor", |doctor| doctor.mut_args(tidy));
    let command = command.mut_subcommand("serve", |serve| serve.mut_args(tidy));
    // What is published with a figure is its command line, and nothing else may move it.
    let deaf = |arg: clap::Arg| arg.env(Resettable::Reset);
    command.mut_subcommand("bench", |bench| bench.mut_args(deaf))
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

/// Options that contradict each other, unless all but one are only the environment's wish. Answers
/// which of them stays.
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

fn up_to(min: u32, max: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(min)..=i64::from(max))
}

fn connections(text: &str) -> Result<Automatic<u32>> {
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

fn chunk_size_or_auto(text: &str) -> Result<Automatic<u64>> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Automatic::Auto);
    }
    chunk_size(text).map(Automatic::Fixed)
}

fn chunk_size(text: &str) -> Result<u64> {
    let bytes = parse_bytes(text)?;
    let (min, max) = (limits::CHUNK_BYTES_MIN, limits::CHUNK_BYTES_MAX);
    if (min..=max).contains(&bytes) {
        return Ok(bytes);
    }
    let bounds = format!("{} to {}", format_bytes(min), format_bytes(max));
    Err(Error::new(ErrorKind::Usage, format!("'{text}' is not within {bounds}")))
}

fn journal_interval(text: &str) -> Result<Duration> {
    within(text, limits::BARRIER_INTERVAL_MIN, limits::BARRIER_INTERVAL_MAX)
}

fn retry_wait(text: &str) -> Result<Duration> {
    within(text, limits::RETRY_WAIT_ASKED_MIN, limits::RETRY_WAIT_ASKED_MAX)
}

pub(super) fn within(text: &str, min: Duration, max: Duration) -> Result<Duration> {
    let time = parse_duration(text)?;
    if (min..=max).contains(&time) {
        return Ok(time);
    }
    Err(Error::new(ErrorKind::Usage, format!("'{text}' is not within {min:?} to {max:?}")))
}

fn timeout(text: &str) -> Result<Duration> {
    let time = parse_duration(text)?;
    if time.is_zero() {
        return Err(Error::new(ErrorKind::Usage, "a time limit cannot be zero"));
    }
    Ok(time)
}
