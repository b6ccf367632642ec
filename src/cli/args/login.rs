//! The words for what lets a download in: credentials and cookies.

use clap::ArgAction;
use clap::builder::BoolishValueParser;
use std::fmt;
use std::path::PathBuf;

/// Credentials and cookies.
#[derive(Default, clap::Args)]
pub(in crate::cli) struct LoginArgs {
    /// Name and password for the origin of URL. Other users of this machine can read the command
    /// line: without a password it is asked for on the terminal; --netrc needs none.
    #[arg(short, long, value_name = "NAME[:PASSWORD]", env = "RINGHAUL_USER")]
    #[arg(help_heading = "Login")]
    pub(in crate::cli) user: Option<String>,

    /// Take names and passwords of hosts, also of mirrors and of where redirects lead, from
    /// ~/.netrc or the file that NETRC names; its 'default' is for the origin of URL.
    #[arg(short, long, env = "RINGHAUL_NETRC", help_heading = "Login")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) netrc: bool,

    /// The same, if there is such a file.
    #[arg(long, env = "RINGHAUL_NETRC_OPTIONAL", help_heading = "Login")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) netrc_optional: bool,

    /// The same from FILE.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_NETRC_FILE", help_heading = "Login")]
    pub(in crate::cli) netrc_file: Option<PathBuf>,

    /// Use a netrc file that other users of this machine can read.
    #[arg(long, env = "RINGHAUL_ALLOW_READABLE_NETRC", help_heading = "Login")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) allow_readable_netrc: bool,

    /// Send the token in the first line of FILE (-: standard input) to the origin of URL, as
    /// 'Authorization: Bearer TOKEN'.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_BEARER_FILE", help_heading = "Login")]
    pub(in crate::cli) bearer_file: Option<PathBuf>,

    /// The same with TOKEN, which other users of this machine can read.
    #[arg(long, value_name = "TOKEN", env = "RINGHAUL_OAUTH2_BEARER", help_heading = "Login")]
    pub(in crate::cli) oauth2_bearer: Option<String>,

    /// Never send a password itself (Basic): answer Digest challenges only.
    #[arg(long, env = "RINGHAUL_DIGEST", help_heading = "Login")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) digest: bool,

    /// Send these cookies to the origin of URL, or what fits of those in FILE, which is in
    /// Netscape's format; repeatable. Cookies that servers set on the way are sent back anyway.
    #[arg(short = 'b', long, value_name = "NAME=VALUE|FILE", env = "RINGHAUL_COOKIE")]
    #[arg(action = ArgAction::Append, help_heading = "Login")]
    pub(in crate::cli) cookie: Vec<String>,

    /// Write all cookies to FILE at the end, in the same format and readable for you alone.
    #[arg(long, value_name = "FILE", env = "RINGHAUL_COOKIE_JAR", help_heading = "Login")]
    pub(in crate::cli) cookie_jar: Option<PathBuf>,
}

impl fmt::Debug for LoginArgs {
    /// Nothing: nearly all of it is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginArgs(..)")
    }
}
