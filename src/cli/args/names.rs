//! Who names the file.

use clap::ValueEnum;

/// Whether the server may name it.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct NameArgs {
    /// Save under the name that the server proposes (Content-Disposition), made safe and never over
    /// an existing file; auto: only where the URL names nothing; final: and where it proposes none,
    /// under that in the URL which redirects lead to. Asks once more, for the name.
    #[arg(short = 'J', long, visible_alias = "remote-header-name", value_name = "WHEN")]
    #[arg(env = "RINGHAUL_REMOTE_NAME", value_enum, default_value_t = RemoteName::Off)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    #[arg(help_heading = "Output")]
    pub(in crate::cli) remote_name: RemoteName,
}

/// When the server names the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum RemoteName {
    Always,
    Auto,
    Final,
    #[default]
    Off,
}
