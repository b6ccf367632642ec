//! How servers are reached: directly or through proxies, and how sockets get to either. Plain data;
//! reads no environment.

pub use crate::http::proxy::{NoProxy, Protocol, Proxies, Proxy, Wishes};
pub use crate::net::route::{ConnectTo, Family, Resolve, Route, Source};
use std::sync::Arc;

/// How servers are reached. Connections that are reached in different ways are not each other's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// Which proxy each URL goes through, mirrors and redirects among them.
    pub proxies: Proxies,
    /// Connections through a proxy count as connections to its host, and not to that of the URL,
    /// where their number for one host is bounded.
    pub proxy_counts_as_host: bool,
    /// How sockets get to hosts.
    pub route: Arc<Route>,
}
