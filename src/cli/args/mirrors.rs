//! The words for the description of several servers of one file. Owns that grammar; has no effects.

use super::sources::country;
use crate::base::size::parse_bytes;
use crate::server::{LinksOn, PieceHash};
use clap::ValueEnum;
use clap::builder::BoolishValueParser;

/// How the servers describe their files.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Metalink")]
pub(in crate::cli) struct MetalinkArgs {
    /// Serve at /X.meta4 (RFC 5854) and /X.metalink (version 3) the description of /X: size,
    /// digest, hashes of pieces, and its URL at each of --ports, of --files at /list.meta4 that of
    /// all; send Link fields (RFC 6249), and, unless --digests says which, Repr-Digest and Digest.
    #[arg(long, env = "RINGHAUL_SERVE_METALINK", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) metalink: bool,

    /// Length of the pieces that have hashes; 0 is none.
    #[arg(long, value_name = "SIZE", env = "RINGHAUL_SERVE_PIECE_LENGTH", default_value = "1M")]
    #[arg(value_parser = parse_bytes, requires = "metalink")]
    pub(in crate::cli) piece_length: u64,

    /// What the pieces are hashed with.
    #[arg(long, value_name = "HASH", env = "RINGHAUL_SERVE_PIECE_HASH", default_value = "sha-256")]
    #[arg(value_enum, requires = "metalink")]
    pub(in crate::cli) piece_hash: PieceHashName,

    /// Which answers have Link fields.
    #[arg(long, value_name = "WHERE", env = "RINGHAUL_SERVE_LINKS", default_value = "all")]
    #[arg(value_enum, requires = "metalink")]
    pub(in crate::cli) links: LinksName,
}

/// What the description says of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Metalink")]
pub(in crate::cli) struct MirrorArgs {
    /// The country it is said to be in, two letters.
    #[arg(long, value_name = "CC", env = "RINGHAUL_SERVE_GEO", value_parser = country)]
    pub(in crate::cli) geo: Option<String>,

    /// Its priority, of which 1 is the highest; default: their order.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_PRIORITY")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=999_999))]
    pub(in crate::cli) priority: Option<u32>,
}

impl MirrorArgs {
    /// These, and for what they do not say those of `others`.
    pub(super) fn or(self, others: &Self) -> Self {
        Self {
            geo: self.geo.or_else(|| others.geo.clone()),
            priority: self.priority.or(others.priority),
        }
    }
}

/// A hash of pieces; `PieceHash` of the server says what each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PieceHashName {
    #[value(name = "sha-1", alias = "sha1")]
    Sha1,
    #[value(name = "sha-256", alias = "sha256")]
    Sha256,
}

/// Answers with `Link` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LinksName {
    All,
    Files,
    Redirects,
    None,
}

impl From<PieceHashName> for PieceHash {
    fn from(name: PieceHashName) -> Self {
        match name {
            PieceHashName::Sha1 => PieceHash::Sha1,
            PieceHashName::Sha256 => PieceHash::Sha256,
        }
    }
}

impl From<LinksName> for LinksOn {
    fn from(name: LinksName) -> Self {
        LinksOn {
            files: matches!(name, LinksName::All | LinksName::Files),
            redirects: matches!(name, LinksName::All | LinksName::Redirects),
        }
    }
}
