//! The words for what a server asks of its clients before they get a file. Owns that grammar; has
//! no effects.

use crate::base::{Error, ErrorKind, Result};
use crate::server::{DigestGate, Fault, Gate};
use clap::builder::BoolishValueParser;
use std::fmt;

/// Gates in front of all files.
#[derive(Default, clap::Args)]
#[command(next_help_heading = "Gates")]
pub(in crate::cli) struct GateArgs {
    /// Ask for this name and password (Basic).
    #[arg(long, value_name = "NAME:PASSWORD", env = "RINGHAUL_SERVE_REQUIRE_USER")]
    #[arg(value_parser = name_and_password)]
    pub(in crate::cli) require_user: Option<(String, String)>,

    /// Ask for this name and password with Digest authentication (SHA-256).
    #[arg(long, value_name = "NAME:PASSWORD", env = "RINGHAUL_SERVE_REQUIRE_DIGEST")]
    #[arg(value_parser = name_and_password)]
    pub(in crate::cli) require_digest: Option<(String, String)>,

    /// With --require-digest: take each nonce for N requests, then ask anew.
    #[arg(long, value_name = "N", env = "RINGHAUL_SERVE_NONCE_REQUESTS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..), requires = "require_digest")]
    pub(in crate::cli) nonce_requests: Option<u32>,

    /// Ask for this token (Bearer).
    #[arg(long, value_name = "TOKEN", env = "RINGHAUL_SERVE_REQUIRE_BEARER")]
    pub(in crate::cli) require_bearer: Option<String>,

    /// Redirect who comes without a cookie to the same URL, and set it on the way.
    #[arg(long, env = "RINGHAUL_SERVE_COOKIE_GATE", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) cookie_gate: bool,
}

impl GateArgs {
    /// The gates, in the order in which they are passed.
    pub(in crate::cli) fn faults(&self) -> Vec<Fault> {
        let basic = self.require_user.clone();
        let basic = basic.map(|(user, password)| Fault::RequireBasicAuth { user, password });
        let digest = self.require_digest.clone().map(|(user, password)| {
            let nonce_requests = self.nonce_requests;
            Gate::Digest(DigestGate { nonce_requests, ..DigestGate::new(user, password) })
        });
        let bearer = self.require_bearer.clone().map(Gate::Bearer);
        let cookie = self.cookie_gate.then_some(Gate::Cookie);
        let gates = [digest, bearer, cookie].into_iter().flatten().map(Fault::Gate);
        basic.into_iter().chain(gates).collect()
    }
}

impl fmt::Debug for GateArgs {
    /// Nothing: most of it is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GateArgs(..)")
    }
}

fn name_and_password(text: &str) -> Result<(String, String)> {
    let pair = text.split_once(':').filter(|(name, _)| !name.is_empty());
    let pair = pair.map(|(name, password)| (name.to_owned(), password.to_owned()));
    pair.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "no name with a password").advise("write NAME:PASSWORD")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_passwords() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(name_and_password("a:b:c").ok(), pair("a", "b:c"));
        assert_eq!(name_and_password("a:").ok(), pair("a", ""));
        for text in ["", "a", ":b"] {
            assert!(name_and_password(text).is_err(), "{text}");
        }
    }
}
