//! Where else the file can be had, and which of these places are used.

use crate::base::{Error, ErrorKind, Result};
use clap::{ArgAction, ValueEnum};
use std::path::PathBuf;

/// What several sources of one file need.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct SourceArgs {
    /// Another URL of the same file, asked beside the first one; repeatable, best first. What
    /// gives rights in a header (-H) stays with the origin of the first URL.
    #[arg(long, value_name = "URL", env = "RINGHAUL_MIRROR", help_heading = "Sources")]
    #[arg(action = ArgAction::Append)]
    pub(in crate::cli) mirror: Vec<String>,

    /// Take the files and their sources from this Metalink (.meta4, .metalink), beside URL if there
    /// is one; auto: where URL ends so, or the server says that it is one, and use the mirrors that
    /// a server names; off: never.
    #[arg(long, value_name = "auto|off|FILE|URL", env = "RINGHAUL_METALINK")]
    #[arg(value_parser = metalink, default_value = "auto", help_heading = "Sources")]
    pub(in crate::cli) metalink: MetalinkWish,

    /// Of servers that a Metalink or a server names with one priority, those that are said to be in
    /// these countries come first.
    #[arg(long, value_name = "CC,..", env = "RINGHAUL_METALINK_LOCATION")]
    #[arg(value_delimiter = ',', value_parser = country, help_heading = "Sources")]
    pub(in crate::cli) metalink_location: Vec<String>,

    /// Verify each piece of the file by the digests that this list of them, or Metalink, has, and
    /// fetch bad ones again. The first line of a list is like 'sha-256 1M', each further one is the
    /// digest of a piece.
    #[arg(long, value_name = "FILE|URL", env = "RINGHAUL_PIECE_HASHES")]
    #[arg(help_heading = "Integrity")]
    pub(in crate::cli) piece_hashes: Option<PathBuf>,

    /// Which sources are used: all at once; the best after a trial of all; or one at a time, the
    /// next one if it fails.
    #[arg(long, value_name = "POLICY", env = "RINGHAUL_MIRROR_POLICY", help_heading = "Sources")]
    #[arg(value_enum, default_value_t = Policy::All)]
    pub(in crate::cli) mirror_policy: Policy,
}

/// When descriptions of files are acted on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::cli) enum MetalinkWish {
    /// Where name or content type say that there is one.
    #[default]
    Auto,
    /// Never.
    Off,
    /// This one is.
    From(PathBuf),
}

fn metalink(text: &str) -> Result<MetalinkWish> {
    match text {
        "" => Err(Error::new(ErrorKind::Usage, "neither 'auto' nor 'off' nor a file")),
        "auto" => Ok(MetalinkWish::Auto),
        "off" => Ok(MetalinkWish::Off),
        place => Ok(MetalinkWish::From(place.into())),
    }
}

/// A country code (ISO 3166-1), in lower case.
pub(super) fn country(text: &str) -> Result<String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_lowercase());
    }
    let context = format!("'{text}' is no country code");
    Err(Error::new(ErrorKind::Usage, context).advise("write two letters each, such as de"))
}

/// Which sources are used; `MirrorPolicy` of the engine says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Policy {
    #[default]
    All,
    Best,
    Failover,
}
