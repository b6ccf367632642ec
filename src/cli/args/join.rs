//! The words for slices that are joined.

use std::path::PathBuf;

/// Options of `ringhaul --join FILE`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Slices")]
pub(in crate::cli) struct JoinArgs {
    /// Join the slices of FILE that several machines have fetched with --slice into one folder, in
    /// the place of a download: all bytes are read and compared, and FILE gets its name. The last
    /// slice does so by itself. --checksum, --checksum-file and --remote-time hold for it.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_JOIN")]
    pub(in crate::cli) join: Option<PathBuf>,
}
