//! The words of `ringhaul URL`.

use super::batch::BatchArgs;
use super::command;
use super::copy::CopyArgs;
use super::head::HeadArgs;
use super::join::JoinArgs;
use super::login::LoginArgs;
use super::names::NameArgs;
use super::part::PartArgs;
use super::rate::RateArgs;
use super::reach::ReachArgs;
use super::slice::SliceArgs;
use super::sources::{MetalinkWish, SourceArgs};
use super::tls::TlsArgs;
use super::values::{
    Automatic, Change, Direct, Driver, chunk_size_or_auto, connections, journal_interval, memory,
    retry_wait, speed_limit, timeout, up_to,
};
use crate::base::limits;
use crate::base::url::Origin;
use crate::engine::options::login::{Login, OriginLogin};
use crate::engine::options::{Algorithm, Checksum};
use clap::ArgAction;
use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// `ringhaul [OPTIONS] URL`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DownloadArgs {
    /// What to download: http:// or https://; several are fetched together.
    #[arg(value_name = "URL")]
    pub(in crate::cli) urls: Vec<String>,

    /// Save as FILE, relative to --dir, or into the folder FILE; default: the name in the URL. -, a
    /// FIFO or a device: pass the bytes on in order. /dev/null: check every byte and keep none.
    #[arg(short, long, value_name = "FILE", env = "RINGHAUL_OUTPUT", help_heading = "Output")]
    pub(in crate::cli) output: Option<PathBuf>,

    /// Most memory of the blocks while bytes are passed on in order (-o -), 8M to 1T; connections
    /// run ahead of the reader in it.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_MEMORY", help_heading = "Output")]
    #[arg(value_parser = memory, default_value = "256M")]
    pub(in crate::cli) memory: u64,

    /// Save into the existing folder DIR; default: the current one.
    #[arg(short, long, value_name = "DIR", env = "RINGHAUL_DIR", help_heading = "Output")]
    pub(in crate::cli) dir: Option<PathBuf>,

    /// Replace the target if it exists, and a NAME.part that ringhaul has not made.
    #[arg(long, env = "RINGHAUL_FORCE", help_heading = "Output")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) force: bool,

    /// Set the file's time to the one that the server says it was changed at (Last-Modified).
    #[arg(short = 'R', long, env = "RINGHAUL_REMOTE_TIME", help_heading = "Output")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) remote_time: bool,

    /// Bypass the page cache when writing (O_DIRECT); auto: where the file gains from it.
    #[arg(long, value_name = "WHEN", env = "RINGHAUL_DIRECT", help_heading = "Output")]
    #[arg(value_enum, default_value_t = Direct::Auto)]
    pub(in crate::cli) direct: Direct,

    /// Fail unless the file has this digest: sha256, sha512, sha1, md5, crc32c or blake3.
    #[arg(long, value_name = "ALGO:HEX", env = "RINGHAUL_CHECKSUM", help_heading = "Integrity")]
    pub(in crate::cli) checksum: Option<Checksum>,

    /// Fail unless the file has the digest that this file, such as SHA256SUMS, lists for it.
    #[arg(long, value_name = "FILE|URL", env = "RINGHAUL_CHECKSUM_FILE")]
    #[arg(help_heading = "Integrity")]
    pub(in crate::cli) checksum_file: Option<PathBuf>,

    /// Do not verify the file against digests that the server offers.
    #[arg(long, env = "RINGHAUL_NO_VERIFY", help_heading = "Integrity")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_verify: bool,

    /// Print the file's digest to standard output, as sha256sum does, other ones with their
    /// algorithm's name as with --tag; repeatable, or with commas, and printed in this order.
    #[arg(long, value_name = "ALGO", env = "RINGHAUL_PRINT_DIGEST", help_heading = "Integrity")]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(in crate::cli) print_digest: Vec<Algorithm>,

    /// Start from the first byte, whatever an earlier run has left.
    #[arg(long, env = "RINGHAUL_NO_RESUME", help_heading = "Resume")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_resume: bool,

    /// Keep no journal, so that no later run can go on; implies --no-resume.
    #[arg(long, env = "RINGHAUL_NO_JOURNAL", help_heading = "Resume")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_journal: bool,

    /// Repair the existing FILE, in the place of -o: find what differs, by the hashes of its pieces
    /// (--metalink, --piece-hashes) or a journal, and fetch only that. FILE is replaced when the
    /// repaired one is complete. Several URLs are mirrors.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_REPAIR", help_heading = "Resume")]
    pub(in crate::cli) repair: Option<PathBuf>,

    /// Time between two updates of the journal, 10ms to 1h: what a crash may cost.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_JOURNAL_INTERVAL")]
    #[arg(value_parser = journal_interval, default_value = "2s", help_heading = "Resume")]
    pub(in crate::cli) journal_interval: Duration,

    /// What to do when the file on the server is another one by now.
    #[arg(long, value_name = "WHAT", env = "RINGHAUL_ON_CHANGE", help_heading = "Resume")]
    #[arg(value_enum, default_value_t = Change::Restart)]
    pub(in crate::cli) on_change: Change,

    /// Connections at once, 1 to 256; auto: as many as measurably pay.
    #[arg(short, long, value_name = "N|auto", env = "RINGHAUL_CONNECTIONS")]
    #[arg(value_parser = connections, default_value = "auto", help_heading = "Transfer")]
    pub(in crate::cli) connections: Automatic<u32>,

    /// Most connections while their number is automatic, 1 to 256.
    #[arg(long, value_name = "N", env = "RINGHAUL_MAX_CONNECTIONS", help_heading = "Transfer")]
    #[arg(value_parser = up_to(1, limits::CONNECTIONS_MAX))]
    #[arg(default_value_t = limits::CONNECTIONS_AUTO_MAX)]
    pub(in crate::cli) max_connections: u32,

    /// What moves the bytes; auto: io_uring, or epoll where the kernel refuses it.
    #[arg(long, value_name = "ENGINE", env = "RINGHAUL_ENGINE", help_heading = "Transfer")]
    #[arg(value_enum, default_value_t = Driver::Auto)]
    pub(in crate::cli) engine: Driver,

    /// Threads, each with a ring of its own, 1 to 64; default: from cores and scheme.
    #[arg(long, value_name = "N", env = "RINGHAUL_THREADS", help_heading = "Transfer")]
    #[arg(value_parser = up_to(1, limits::THREADS_MAX))]
    pub(in crate::cli) threads: Option<u32>,

    /// Bytes of one request, 4K to 1T, rounded up to 4K; auto: by measured goodput and delay.
    #[arg(long, value_name = "SIZE|auto", env = "RINGHAUL_CHUNK_SIZE", help_heading = "Transfer")]
    #[arg(value_parser = chunk_size_or_auto, default_value = "auto")]
    pub(in crate::cli) chunk_size: Automatic<u64>,

    /// Use the setting that 'ringhaul bench --profile' saved for the origin of URL (not of what it
    /// redirects to); what is given besides wins. Default FILE: ~/.config/ringhaul/profiles.json.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_PROFILE", help_heading = "Transfer")]
    #[arg(require_equals = true)]
    pub(in crate::cli) profile: Option<Option<PathBuf>>,

    /// Never send the next request before the present answer has ended.
    #[arg(long, env = "RINGHAUL_NO_REQUEST_AHEAD", help_heading = "Transfer")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_request_ahead: bool,

    /// Retries of one range without progress before giving up, 0 to 1000.
    #[arg(short, long, value_name = "N", env = "RINGHAUL_RETRIES", help_heading = "Transfer")]
    #[arg(value_parser = up_to(0, limits::RETRIES_MAX))]
    #[arg(default_value_t = limits::RETRIES_DEFAULT)]
    pub(in crate::cli) retries: u32,

    /// Wait before the first retry that waits, 1ms to 1h; doubles with each one after it.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_RETRY_WAIT", help_heading = "Transfer")]
    #[arg(value_parser = retry_wait, default_value = "500ms")]
    pub(in crate::cli) retry_wait: Duration,

    /// Time to establish one connection, TLS included.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_CONNECT_TIMEOUT")]
    #[arg(value_parser = timeout, default_value = "20s", help_heading = "Transfer")]
    pub(in crate::cli) connect_timeout: Duration,

    /// Time without progress before a connection counts as stalled: without 4 KiB of the file (see
    /// --speed-limit), or without the whole head of an answer.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_TIMEOUT", help_heading = "Transfer")]
    #[arg(value_parser = timeout, default_value = "30s")]
    pub(in crate::cli) timeout: Duration,

    /// Bytes per second of the file that a connection has to bring on average, instead of 4 KiB per
    /// --timeout; 60K is 60 kB/s. Connections that share a slow path are borne while they reach it
    /// together.
    #[arg(short = 'Y', long, value_name = "RATE", env = "RINGHAUL_SPEED_LIMIT")]
    #[arg(value_parser = speed_limit, help_heading = "Transfer")]
    pub(in crate::cli) speed_limit: Option<u64>,

    /// Time over which --speed-limit is averaged, which is 1 if only this is given; default: 30s.
    #[arg(short = 'y', long, value_name = "DURATION", env = "RINGHAUL_SPEED_TIME")]
    #[arg(value_parser = timeout, help_heading = "Transfer")]
    pub(in crate::cli) speed_time: Option<Duration>,

    /// Time the whole download may take; default: any.
    #[arg(long, value_name = "DURATION", env = "RINGHAUL_MAX_TIME", help_heading = "Transfer")]
    #[arg(value_parser = timeout)]
    pub(in crate::cli) max_time: Option<Duration>,

    /// How fast it may be.
    #[command(flatten)]
    pub(in crate::cli) rate: RateArgs,

    /// Do not register buffers with the kernel, even where the memlock limit allows it.
    #[arg(long, env = "RINGHAUL_NO_REGISTER", help_heading = "Transfer")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_register: bool,

    /// Send this request header, as 'Name: value', or those in FILE (@-: standard input), one a
    /// line; repeatable. Host, Authorization, Cookie and names with key, token or session in them
    /// go to the origin of URL only.
    #[arg(short = 'H', long, value_name = "HEADER|@FILE", env = "RINGHAUL_HEADER")]
    #[arg(action = ArgAction::Append, help_heading = "Request")]
    pub(in crate::cli) header: Vec<String>,

    /// Name of the client; a User-Agent given with --header wins.
    #[arg(short = 'A', long, value_name = "NAME", env = "RINGHAUL_USER_AGENT")]
    #[arg(help_heading = "Request")]
    pub(in crate::cli) user_agent: Option<String>,

    /// The URL of the page that links to the file (Referer), for servers that ask for it.
    #[arg(short = 'e', long, value_name = "URL", env = "RINGHAUL_REFERER")]
    #[arg(help_heading = "Request")]
    pub(in crate::cli) referer: Option<String>,

    /// Follow redirects from https to http.
    #[arg(long, env = "RINGHAUL_ALLOW_DOWNGRADE", help_heading = "Request")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) allow_downgrade: bool,

    /// Trust the certificates in this PEM file beside the built-in roots; repeatable.
    #[arg(long, visible_alias = "cacert", value_name = "FILE", env = "RINGHAUL_CA_CERT")]
    #[arg(action = ArgAction::Append, help_heading = "Trust")]
    pub(in crate::cli) ca_cert: Vec<PathBuf>,

    /// Accept any certificate: anyone on the way can read and change the file.
    #[arg(short = 'k', long, env = "RINGHAUL_INSECURE", help_heading = "Trust")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) insecure: bool,

    /// Whom else TLS trusts, and what it shows.
    #[command(flatten)]
    pub(in crate::cli) tls: TlsArgs,

    /// Say what the server answers, per connection; -vv says every request.
    #[arg(short, long, action = ArgAction::Count, env = "RINGHAUL_VERBOSE")]
    #[arg(help_heading = "Messages")]
    pub(in crate::cli) verbose: u8,

    /// Write one JSON line per request and decision to FILE, which is replaced.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_TRACE", help_heading = "Messages")]
    pub(in crate::cli) trace: Option<PathBuf>,

    /// Print errors only.
    #[arg(short, long, env = "RINGHAUL_QUIET", help_heading = "Messages")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) quiet: bool,

    /// Whether anything is fetched.
    #[command(flatten)]
    pub(in crate::cli) head: HeadArgs,

    /// Where else it goes.
    #[command(flatten)]
    pub(in crate::cli) copy: CopyArgs,

    /// Which part of it is fetched.
    #[command(flatten)]
    pub(in crate::cli) part: PartArgs,

    /// Who names the file.
    #[command(flatten)]
    pub(in crate::cli) names: NameArgs,

    /// Where else the file can be had.
    #[command(flatten)]
    pub(in crate::cli) sources: SourceArgs,

    /// The way to servers.
    #[command(flatten)]
    pub(in crate::cli) reach: ReachArgs,

    /// What lets it in.
    #[command(flatten)]
    pub(in crate::cli) login: LoginArgs,

    /// The same, with all that it names read and asked for.
    #[arg(skip)]
    pub(in crate::cli) settled_login: Login,

    /// What only many files need.
    #[command(flatten)]
    pub(in crate::cli) batch: BatchArgs,

    /// Which part of the work is done here.
    #[command(flatten)]
    pub(in crate::cli) slices: SliceArgs,

    /// The end of such work.
    #[command(flatten)]
    pub(in crate::cli) join: JoinArgs,

    /// Header fields for the files of these origins.
    #[arg(skip)]
    pub(in crate::cli) headers_by_origin: Vec<(Origin, Vec<(String, String)>)>,

    /// What lets in there.
    #[arg(skip)]
    pub(in crate::cli) logins_by_origin: Vec<(Origin, OriginLogin)>,

    /// Most connections to each of them.
    #[arg(skip)]
    pub(in crate::cli) connections_by_origin: Vec<(Origin, u32)>,

    /// What is to be said about the command line before anything is fetched.
    #[arg(skip)]
    pub(in crate::cli) notes: Vec<String>,

    /// Which of the settings that a profile may choose are the user's own.
    #[arg(skip)]
    pub(in crate::cli) given: Given,
}

impl DownloadArgs {
    /// An error unless something is named to be fetched.
    pub(super) fn check_places(&self) -> std::result::Result<(), clap::Error> {
        let has_list = !self.batch.input_file.is_empty();
        let has_metalink = matches!(self.sources.metalink, MetalinkWish::From(_));
        if has_list || has_metalink || self.join.join.is_some() || !self.urls.is_empty() {
            return Ok(());
        }
        let text = "the following required arguments were not provided: <URL>";
        Err(command().error(ErrorKind::MissingRequiredArgument, text))
    }

    /// Whether there are many files, or what is asked for is only told of many.
    pub(in crate::cli) fn is_batch(&self) -> bool {
        (self.urls.len() != 1 && self.repair.is_none()) || self.is_batch_asked()
    }

    /// Whether what is asked for is only told of many files.
    pub(in crate::cli) fn is_batch_asked(&self) -> bool {
        self.batch.is_asked_for()
    }
}

/// On the command line or by a variable, be it as `auto`.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Given {
    pub(in crate::cli) connections: bool,
    pub(in crate::cli) max_connections: bool,
    pub(in crate::cli) chunk_size: bool,
    pub(in crate::cli) threads: bool,
}
