//! Which part of a file is fetched.

use crate::engine::options::part::{ByteRanges, Part};
use clap::builder::BoolishValueParser;

/// Options of a part of a file.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PartArgs {
    /// Fetch these bytes only, into a file of that length: A-B, A- (from A on) or '-N' (the last
    /// N), several with commas between them, one after the other. The first byte is 0.
    #[arg(long, value_name = "RANGES", env = "RINGHAUL_RANGE", help_heading = "Output")]
    #[arg(allow_hyphen_values = true)]
    pub(in crate::cli) range: Option<ByteRanges>,

    /// Write the bytes of --range at their places, rounded outwards to 4K, in a file of the full
    /// size: into the one that is there, if it has that size, or a new one with holes. --checksum
    /// is that of the bytes of --range.
    #[arg(long, env = "RINGHAUL_IN_PLACE", requires = "range", help_heading = "Output")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) in_place: bool,
}

impl PartArgs {
    /// What is fetched, unless that is the whole file.
    pub(in crate::cli) fn part(&self) -> Option<Part> {
        let ranges = self.range.clone()?;
        Some(if self.in_place { Part::of(ranges) } else { Part::packed(ranges) })
    }
}
