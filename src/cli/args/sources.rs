//! Where else the file can be had, and which of these places are used.

use clap::{ArgAction, ValueEnum};

/// What several sources of one file need.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct SourceArgs {
    /// Another URL of the same file, asked beside the first one; repeatable, best first. What
    /// gives rights in a header (-H) stays with the origin of the first URL.
    #[arg(long, value_name = "URL", env = "RINGHAUL_MIRROR", help_heading = "Sources")]
    #[arg(action = ArgAction::Append)]
    pub(in crate::cli) mirror: Vec<String>,

    /// Which sources are used: all at once; the best after a trial of all; or one at a time, the
    /// next one if it fails.
    #[arg(long, value_name = "POLICY", env = "RINGHAUL_MIRROR_POLICY", help_heading = "Sources")]
    #[arg(value_enum, default_value_t = Policy::All)]
    pub(in crate::cli) mirror_policy: Policy,
}

/// Which sources are used; `MirrorPolicy` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Policy {
    #[default]
    All,
    Best,
    Failover,
}
