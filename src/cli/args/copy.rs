//! Where else the bytes go.

use std::path::PathBuf;

/// Options of a second output.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CopyArgs {
    /// Write what is passed on in order (-o -) to FILE, too, relative to --dir; it has its name
    /// when it is whole and its digest fits.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_TEE", help_heading = "Output")]
    pub(in crate::cli) tee: Option<PathBuf>,
}
