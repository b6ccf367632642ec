//! The words that only many files need.

use super::values::{Automatic, connections, up_to};
use crate::base::limits;
use clap::ArgAction;
use clap::builder::BoolishValueParser;
use std::path::PathBuf;

/// Options of `ringhaul URL URL…` and `ringhaul -i LIST`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BatchArgs {
    /// Download what this list names, - for standard input; repeatable. One URL per line, aria2's
    /// format, JSON Lines or checksum lines: told apart by the content.
    #[arg(short, long, value_name = "FILE", env = "RINGHAUL_INPUT_FILE", help_heading = "Lists")]
    #[arg(action = ArgAction::Append)]
    pub(in crate::cli) input_file: Vec<PathBuf>,

    /// The URL that names in a list of checksums are relative to.
    #[arg(long, value_name = "URL", env = "RINGHAUL_BASE_URL", help_heading = "Lists")]
    pub(in crate::cli) base_url: Option<String>,

    /// Files at once, 1 to 256; auto: as many as pay.
    #[arg(short = 'j', long, value_name = "N|auto", env = "RINGHAUL_PARALLEL")]
    #[arg(value_parser = connections, default_value = "auto", help_heading = "Lists")]
    pub(in crate::cli) parallel: Automatic<u32>,

    /// Most connections to one scheme, host and port, 1 to 256; default: --max-connections.
    #[arg(long, value_name = "N", env = "RINGHAUL_MAX_CONNECTIONS_PER_HOST")]
    #[arg(value_parser = up_to(1, limits::CONNECTIONS_MAX), help_heading = "Lists")]
    pub(in crate::cli) max_connections_per_host: Option<u32>,

    /// What to do with a target that is there: fail, skip it, replace it, or check: keep it if size
    /// and digest, or the server, say that it is the same. Default: fail for one URL, else check.
    #[arg(long, value_name = "WHAT", env = "RINGHAUL_IF_EXISTS", help_heading = "Lists")]
    #[arg(value_enum)]
    pub(in crate::cli) if_exists: Option<IfThere>,

    /// Make the folders that a list names below --dir, which is the default for lists.
    #[arg(long, overrides_with = "no_create_dirs", env = "RINGHAUL_CREATE_DIRS")]
    #[arg(value_parser = BoolishValueParser::new(), help_heading = "Lists")]
    pub(in crate::cli) create_dirs: bool,

    /// Refuse files whose folder is missing.
    #[arg(long, env = "RINGHAUL_NO_CREATE_DIRS", help_heading = "Lists")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_create_dirs: bool,

    /// When files are durable: each by itself, many together (at most 1,000 files or a second
    /// behind), or none.
    #[arg(long, value_name = "WHEN", env = "RINGHAUL_SYNC", help_heading = "Lists")]
    #[arg(value_enum, default_value_t = Sync::Batch)]
    pub(in crate::cli) sync: Sync,

    /// Keep what is done in FILE, so that the same command fetches only what is missing. Default:
    /// the list's name and .ringhaul-state; in --dir for three URLs or more.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_STATE", help_heading = "Lists")]
    pub(in crate::cli) state: Option<PathBuf>,

    /// Keep no such file.
    #[arg(long, env = "RINGHAUL_NO_STATE", help_heading = "Lists", conflicts_with = "state")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) no_state: bool,

    /// End with the first file that fails.
    #[arg(long, env = "RINGHAUL_FAIL_FAST", help_heading = "Lists")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) fail_fast: bool,

    /// Whether to ask, when files failed, if they are to be tried again; auto: on a terminal.
    #[arg(long, value_name = "WHEN", env = "RINGHAUL_ASK", help_heading = "Lists")]
    #[arg(value_enum, default_value_t = Ask::Auto)]
    pub(in crate::cli) ask: Ask,

    /// Write a line for each start, retry and end of a file to FILE, behind what is there.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_LOG_FILE", help_heading = "Messages")]
    pub(in crate::cli) log_file: Option<PathBuf>,

    /// Write what became of each file to FILE, - for standard output, as JSON Lines. Lines of
    /// failed files are a list for -i.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_RESULTS", help_heading = "Messages")]
    pub(in crate::cli) results: Option<PathBuf>,

    /// Write progress and results to standard output as JSON Lines.
    #[arg(long, env = "RINGHAUL_JSON", help_heading = "Messages", conflicts_with = "results")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) json: bool,
}

/// `--if-exists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum IfThere {
    Fail,
    Skip,
    Replace,
    Check,
}

/// `--sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Sync {
    File,
    Batch,
    None,
}

/// `--ask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Ask {
    Auto,
    Never,
}

impl BatchArgs {
    /// Whether one URL is a batch too, as it asks for what only batches do.
    pub(in crate::cli) fn is_asked_for(&self) -> bool {
        !self.input_file.is_empty()
            || self.if_exists.is_some()
            || self.state.is_some()
            || self.log_file.is_some()
            || self.results.is_some()
            || self.json
    }
}
