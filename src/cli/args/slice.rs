//! The words for work that several machines share.

use crate::base::Result;
use crate::base::slice::{Slice, decimal};
use std::str::FromStr;

/// Options of slices.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Slices")]
pub(in crate::cli) struct SliceArgs {
    /// Do only slice I of N, as one of N machines that have the same list. auto: as the variables
    /// of Slurm, Kubernetes or Open MPI say; auto/N: the same where they do not say how many there
    /// are. See 'ringhaul help clusters'.
    #[arg(long, value_name = "I/N|auto[/N]", env = "RINGHAUL_SLICE")]
    pub(in crate::cli) slice: Option<SliceWish>,

    /// What divides a list: a hash of the name, or the sizes that the list says, so that slices
    /// have about as many bytes; files without one go by name.
    #[arg(long, value_name = "WHAT", env = "RINGHAUL_SLICE_BY")]
    #[arg(value_enum, default_value_t = Divisor::Name)]
    pub(in crate::cli) slice_by: Divisor,

    /// The slice that is meant.
    #[arg(skip)]
    pub(in crate::cli) settled: Option<Slice>,
}

/// `--slice-by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(in crate::cli) enum Divisor {
    #[default]
    Name,
    Bytes,
}

/// `--slice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum SliceWish {
    /// This one.
    Of(Slice),
    /// What the variables say.
    Auto,
    /// The same, of this many.
    AutoOf(u32),
}

impl FromStr for SliceWish {
    type Err = crate::base::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match text.strip_prefix("auto/").and_then(decimal) {
            // The last of as many: an error says the bound.
            Some(count) => Ok(Self::AutoOf(Slice::new(count, count)?.count())),
            None => text.parse().map(Self::Of),
        }
    }
}
