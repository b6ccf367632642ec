//! How servers are reached: through which proxy, and how sockets get to them.

use clap::ArgAction;
use clap::builder::BoolishValueParser;
use std::path::PathBuf;

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

    /// Use IPv4 addresses only.
    #[arg(short = '4', long, env = "RINGHAUL_IPV4", conflicts_with = "ipv6")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) ipv4: bool,

    /// Use IPv6 addresses only.
    #[arg(short = '6', long, env = "RINGHAUL_IPV6")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(in crate::cli) ipv6: bool,

    /// Connect from this network interface or address of this machine; repeatable, or with commas:
    /// connections are spread over them.
    #[arg(long, value_name = "NAME|ADDR", env = "RINGHAUL_INTERFACE")]
    #[arg(action = ArgAction::Append, value_delimiter = ',')]
    pub(in crate::cli) interface: Vec<String>,

    /// Use these addresses for a host and port, or for a port of any host (*); repeatable.
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", env = "RINGHAUL_RESOLVE")]
    #[arg(action = ArgAction::Append)]
    pub(in crate::cli) resolve: Vec<String>,

    /// Connect to HOST2:PORT2 in the place of HOST1:PORT1, whose name and certificate still count;
    /// empty: any on the left, the same on the right; repeatable.
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", env = "RINGHAUL_CONNECT_TO")]
    #[arg(action = ArgAction::Append)]
    pub(in crate::cli) connect_to: Vec<String>,

    /// Connect to this socket of the file system in the place of all hosts, and without a proxy.
    #[arg(long, value_name = "PATH", env = "RINGHAUL_UNIX_SOCKET")]
    pub(in crate::cli) unix_socket: Option<PathBuf>,

    /// Use Multipath TCP where the kernel and the server have it; -v says whether they do.
    #[arg(long, env = "RINGHAUL_MPTCP", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) mptcp: bool,
}
