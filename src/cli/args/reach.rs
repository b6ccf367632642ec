//! How servers are reached: through which proxy.

use clap::builder::BoolishValueParser;

/// Options of the way to servers.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Reaching servers")]
pub(in crate::cli) struct ReachArgs {
    /// Use this proxy for all URLs: http, https, socks4a, socks5 (names are resolved here) or
    /// socks5h (by the proxy); '' for none. Default: what http_proxy, https_proxy and all_proxy
    /// name; no_proxy exempts hosts.
    #[arg(short = 'x', long, value_name = "[PROTOCOL://]HOST[:PORT]", env = "RINGHAUL_PROXY")]
    pub(in crate::cli) proxy: Option<String>,

    /// Credentials for the proxy, in the place of those in its URL.
    #[arg(long, value_name = "USER[:PASSWORD]", env = "RINGHAUL_PROXY_USER")]
    pub(in crate::cli) proxy_user: Option<String>,

    /// Reach these directly: names, with all that is below them, addresses, networks such as
    /// 10.0.0.0/8, or * for everything; in the place of the variable no_proxy.
    #[arg(long, value_name = "LIST", env = "RINGHAUL_NOPROXY")]
    pub(in crate::cli) noproxy: Option<String>,

    /// Have an HTTP proxy connect to servers of http URLs too (CONNECT), instead of asking them.
    #[arg(short = 'p', long, env = "RINGHAUL_PROXYTUNNEL")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) proxytunnel: bool,

    /// Count connections through a proxy for the proxy, not for the host of the URL, where
    /// --max-connections-per-host bounds them.
    #[arg(long, env = "RINGHAUL_PROXY_COUNTS_AS_HOST")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) proxy_counts_as_host: bool,
}
