//! Whom TLS trusts besides, and what the client shows.

use crate::engine::options::{Pins, Roots, TlsVersion};
use clap::{ArgAction, ValueEnum};
use std::path::PathBuf;

/// What TLS needs beside --ca-cert and --insecure.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(in crate::cli) struct TlsArgs {
    /// Trust the certificates in all PEM files of this folder, too; repeatable.
    #[arg(long, visible_alias = "capath", value_name = "DIR", env = "RINGHAUL_CA_PATH")]
    #[arg(action = ArgAction::Append)]
    pub(in crate::cli) ca_path: Vec<PathBuf>,

    /// Which roots are trusted beside those: Mozilla's, which are built in; this machine's; or
    /// none. Default: built-in, or none if SSL_CERT_FILE or SSL_CERT_DIR name some, which count
    /// where no option does.
    #[arg(long, value_name = "ROOTS", env = "RINGHAUL_CA", value_enum)]
    pub(in crate::cli) ca: Option<RootsWord>,

    /// Show servers that ask for one the client certificate in this PEM file.
    #[arg(short = 'E', long, value_name = "FILE", env = "RINGHAUL_CERT")]
    pub(in crate::cli) cert: Option<PathBuf>,

    /// The private key of --cert, as PEM without a password; default: in the same file.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_KEY")]
    pub(in crate::cli) key: Option<PathBuf>,

    /// Fail unless each server's public key has one of these SHA-256 digests, sha256//BASE64 with
    /// ';' between them; holds with --insecure, too.
    #[arg(long, visible_alias = "pinned-pubkey", value_name = "PINS")]
    #[arg(env = "RINGHAUL_PINNEDPUBKEY")]
    pub(in crate::cli) pinnedpubkey: Option<Pins>,

    /// The oldest version of TLS that is spoken.
    #[arg(long, value_name = "VERSION", env = "RINGHAUL_TLS_MIN")]
    #[arg(value_enum, default_value_t = VersionWord::V1_2)]
    pub(in crate::cli) tls_min: VersionWord,
}

/// Which certificates are trusted before any are named; `Roots` of the engine says what each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RootsWord {
    BuiltIn,
    Native,
    None,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum VersionWord {
    #[default]
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

impl From<RootsWord> for Roots {
    fn from(word: RootsWord) -> Self {
        match word {
            RootsWord::BuiltIn => Roots::BuiltIn,
            RootsWord::Native => Roots::Native,
            RootsWord::None => Roots::None,
        }
    }
}

impl From<VersionWord> for TlsVersion {
    fn from(word: VersionWord) -> Self {
        match word {
            VersionWord::V1_2 => TlsVersion::V1_2,
            VersionWord::V1_3 => TlsVersion::V1_3,
        }
    }
}
