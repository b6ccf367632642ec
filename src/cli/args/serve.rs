//! The words of `ringhaul serve`: options, their types and bounds, and the server they describe.
//! Owns that grammar; has no effects.

use super::faults::{FaultArgs, FaultKind, Redirect};
use super::gates::GateArgs;
use super::mirrors::{MetalinkArgs, MirrorArgs};
use super::ports::{self, PortArgs};
use super::shape::{DELAY_MAX, ShapeArgs};
use super::values::address;
use super::{UNITS, within};
use crate::base::Result;
use crate::base::limits;
use crate::base::size::parse_bytes;
use crate::server::DigestField;
use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The theme of options for more than one server.
const SEVERAL: &str = "Several servers";

/// `ringhaul serve [OPTIONS] [DIR]`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{UNITS}\n\n{AFTER_HELP}"))]
pub(in crate::cli) struct ServeArgs {
    /// The folder to serve, links out of it excepted; default: the current one. Browsers see its
    /// index.html, or a list of its files, of which none is hidden.
    #[arg(value_name = "DIR")]
    pub(in crate::cli) dir: Option<PathBuf>,

    /// Serve SIZE made-up bytes at every path instead: no disk is read.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_SERVE_SIZE", value_parser = parse_bytes)]
    pub(in crate::cli) size: Option<u64>,

    /// With --size: serve N made-up files instead, /0001.bin and on, each with bytes of its own.
    /// Their URLs are in /list.txt, and up to 1 GiB in all their checksums in /SHA256SUMS.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_FILES")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=limits::SERVER_FILES_MAX))]
    pub(in crate::cli) files: Option<u64>,

    /// With --size: serve at every path a file with bytes of its own.
    #[arg(long, env = "RINGHAUL_SERVE_BY_PATH", conflicts_with = "files")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) by_path: bool,

    /// With --files or --by-path: make each file's size one between --size and SIZE.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_SERVE_SIZE_MAX", value_parser = parse_bytes)]
    pub(in crate::cli) size_max: Option<u64>,

    /// What the made-up bytes and all random choices follow from.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_SEED", default_value_t = 1)]
    pub(in crate::cli) seed: u64,

    /// Where to listen; port 0 lets the system choose. The URL is printed.
    #[arg(long, value_name = "ADDR:PORT", env = "RINGHAUL_SERVE_LISTEN")]
    #[arg(value_parser = address, default_value = "127.0.0.1:8080")]
    pub(in crate::cli) listen: SocketAddr,

    /// Send these digests of the files, with commas between them.
    #[arg(long, value_name = "FIELD", env = "RINGHAUL_SERVE_DIGESTS")]
    #[arg(value_enum, action = ArgAction::Append, value_delimiter = ',')]
    pub(in crate::cli) digests: Vec<FieldName>,

    /// Print errors only, and the URL.
    #[arg(short, long, env = "RINGHAUL_SERVE_QUIET", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) quiet: bool,

    /// Print a line for each answered request, in the Common Log Format.
    #[arg(short, long, env = "RINGHAUL_SERVE_VERBOSE", value_parser = BoolishValueParser::new())]
    #[arg(conflicts_with = "quiet")]
    pub(in crate::cli) verbose: bool,

    /// Time between two lines that say what was served, 1s to 1h; there is none while nothing is.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_SERVE_REPORT_EVERY")]
    #[arg(value_parser = interval, default_value = "10s")]
    pub(in crate::cli) report_every: Duration,

    /// HTTPS, with a certificate made now.
    #[arg(long, env = "RINGHAUL_SERVE_TLS", help_heading = "TLS")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) tls: bool,

    /// Write the authority of that certificate to FILE, for a client's --ca-cert; implies --tls.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_CERT_OUT", help_heading = "TLS")]
    pub(in crate::cli) cert_out: Option<PathBuf>,

    /// One more name or address that certificate is for; repeatable.
    #[arg(long, value_name = "NAME", env = "RINGHAUL_SERVE_NAME", help_heading = "TLS")]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(in crate::cli) name: Vec<String>,

    /// HTTPS with the certificate in this PEM file instead.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_CERT", help_heading = "TLS")]
    #[arg(requires = "key", conflicts_with_all = ["cert_out", "name"])]
    pub(in crate::cli) cert: Option<PathBuf>,

    /// The private key of --cert, as PEM.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_KEY", help_heading = "TLS")]
    #[arg(requires = "cert")]
    pub(in crate::cli) key: Option<PathBuf>,

    /// Demand a certificate of each client, signed by an authority in this PEM file; implies --tls.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_SERVE_CLIENT_CA", help_heading = "TLS")]
    pub(in crate::cli) client_ca: Option<PathBuf>,

    /// Run N servers at once, at the port of --listen and those behind it; without --listen at free
    /// ports. All other options are for each of them. The URLs are printed, one a line.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_PORTS", help_heading = SEVERAL)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=limits::SERVER_PORTS_MAX))]
    pub(in crate::cli) ports: Option<u16>,

    /// Tell the Nth of --ports something else, 2:rate=5M say; repeatable. OPTION is one of Shaping
    /// and Faults, or listen, seed, size, geo or priority.
    #[arg(long, value_name = "N:OPTION=VALUE", env = "RINGHAUL_SERVE_ON", help_heading = SEVERAL)]
    pub(in crate::cli) on: Vec<String>,

    /// End at the end of standard input, too: no longer than the program that started it.
    #[arg(long, hide = true)]
    pub(in crate::cli) until_eof: bool,

    /// The path that the server plays.
    #[command(flatten)]
    pub(in crate::cli) shape: ShapeArgs,

    /// What is wrong with it.
    #[command(flatten)]
    pub(in crate::cli) faults: FaultArgs,

    /// Whom it lets in.
    #[command(flatten)]
    pub(in crate::cli) gates: GateArgs,

    /// How files are described.
    #[command(flatten)]
    pub(in crate::cli) metalink: MetalinkArgs,

    /// What the description says of it.
    #[command(flatten)]
    pub(in crate::cli) mirror: MirrorArgs,

    /// What each of the servers is told.
    #[arg(skip)]
    pub(in crate::cli) each: Vec<PortArgs>,
}

/// A header field with a digest; `DigestField` of the server says what each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FieldName {
    ReprDigest,
    ContentDigest,
    Digest,
    XGoogHash,
    XAmzChecksum,
}

const AFTER_HELP: &str = "\
Every option is also a variable, here with SERVE in its name: --listen is RINGHAUL_SERVE_LISTEN.

    ringhaul serve --size 1G --ports 4 --metalink --rate 20M --on 2:rate=5M \\
        --on 3:fault=reset@100M --on 4:corrupt=100M-101M

is four servers of one file: a slow one, one that dies, and one that lies about a part of it.

URLs go to standard output, all else to standard error. The server runs until SIGINT (Ctrl-C),
SIGTERM or SIGHUP; that is its normal end, with exit code 0.";

/// Settles what options mean for each other. `source` tells where the value of one came from. An
/// error is the text to show.
pub(super) fn settle(
    args: &mut ServeArgs,
    source: impl Fn(&str) -> ValueSource,
) -> std::result::Result<(), String> {
    settle_files(args, |id| source(id) == ValueSource::CommandLine)?;
    if args.ports.is_some() && source("listen") == ValueSource::DefaultValue {
        args.listen.set_port(0);
    }
    settle_servers(args)
}

/// DIR and made-up files exclude each other, unless the latter are only the environment's wish;
/// what is said of many files needs them.
fn settle_files(
    args: &mut ServeArgs,
    is_on_line: impl Fn(&str) -> bool,
) -> std::result::Result<(), &'static str> {
    if args.dir.is_some() {
        if is_on_line("size") {
            return Err("DIR and '--size' cannot be used together");
        }
        args.size = None;
        args.files = args.files.filter(|_| is_on_line("files"));
        args.by_path &= is_on_line("by_path");
        args.size_max = args.size_max.filter(|_| is_on_line("size_max"));
    }
    let is_many = args.files.is_some() || args.by_path;
    match (args.size, args.size_max) {
        (None, _) if is_many => Err("'--files' and '--by-path' make up files: add '--size'"),
        (_, Some(_)) if !is_many => Err("'--size-max' needs '--files' or '--by-path'"),
        (Some(min), Some(max)) if max < min => Err("'--size-max' is less than '--size'"),
        (_, _) => Ok(()),
    }
}

/// What each server is told, and whether all of that is possible.
fn settle_servers(args: &mut ServeArgs) -> std::result::Result<(), String> {
    let count = args.ports.unwrap_or(1);
    let port = args.listen.port();
    if port > 0 && port.checked_add(count - 1).is_none() {
        return Err(format!("there are no {count} ports from {port} on"));
    }
    let all = PortArgs {
        seed: args.seed,
        size: args.size,
        shape: args.shape.clone(),
        faults: args.faults.clone(),
        mirror: args.mirror.clone(),
        ..PortArgs::default()
    };
    args.each = ports::each(&all, &args.on, usize::from(count))?;
    args.each.iter().try_for_each(|port| check(args, port))
}

fn check(args: &ServeArgs, port: &PortArgs) -> std::result::Result<(), String> {
    let is_one = args.size.is_some() && args.files.is_none() && !args.by_path;
    let has_no_metalink = !args.metalink.metalink;
    let faults = &port.faults;
    let other_file = |kind| matches!(kind, FaultKind::Size | FaultKind::Content);
    if port.size.is_some() != args.size.is_some() {
        return Err("a server has a 'size' of its own only where all have '--size'".into());
    }
    if !is_one && faults.fault.iter().any(|fault| other_file(fault.what)) {
        return Err("the faults size and content need the one file of '--size'".into());
    }
    let end = port.size.filter(|_| is_one).unwrap_or(u64::MAX);
    if let Some(part) = faults.corrupt.iter().find(|part| part.end > end) {
        return Err(format!("'corrupt' up to {} is more than the file's {end} bytes", part.end));
    }
    if let Some(Redirect::Port(to)) = faults.redirect
        && !(1..=args.each.len()).contains(&to)
    {
        return Err(format!("no server to redirect to has the number {to} (--ports)"));
    }
    if has_no_metalink && port.mirror != MirrorArgs::default() {
        return Err("'geo' and 'priority' need '--metalink'".into());
    }
    let pieces = port.size.unwrap_or(0).checked_div(args.metalink.piece_length).unwrap_or(0);
    if !has_no_metalink && pieces > limits::SERVER_PIECES_MAX {
        let max = limits::SERVER_PIECES_MAX;
        return Err(format!("more than {max} pieces; give a longer '--piece-length'"));
    }
    Ok(())
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

fn interval(text: &str) -> Result<Duration> {
    within(text, Duration::from_secs(1), DELAY_MAX)
}
