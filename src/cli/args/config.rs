//! The words that choose the config file, and those of `ringhaul config`. What the file says takes
//! part in reading all other words, so it is found before clap reads them.

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, value_parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// The theme of these options.
const SETTINGS: &str = "Settings";

/// `ringhaul config [WORDS]...`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ConfigArgs {
    /// Options and URLs of a download, for which it is shown what holds.
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(in crate::cli) words: Vec<OsString>,
}

/// The options that choose the config file.
pub(super) fn arguments() -> [Arg; 2] {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE|-")
        .env("RINGHAUL_CONFIG")
        .value_parser(value_parser!(PathBuf))
        .help_heading(SETTINGS)
        .help(
            "Take settings from FILE, - for standard input; default: ringhaul/config.toml in \
             $XDG_CONFIG_HOME or ~/.config. See 'ringhaul help config'",
        );
    let no_config = Arg::new("no_config")
        .long("no-config")
        .env("RINGHAUL_NO_CONFIG")
        .action(ArgAction::SetTrue)
        .value_parser(BoolishValueParser::new())
        .help_heading(SETTINGS)
        .help("Read no config file");
    [config, no_config]
}
