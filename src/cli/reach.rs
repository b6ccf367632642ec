//! How servers are reached, from options and the variables of the environment that all clients
//! share (`http_proxy` and its siblings).

use super::args::ReachArgs;
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::reach::{Family, Proxies, Reach, Route, Wishes};
use std::env;
use std::sync::Arc;

/// The engine's settings for these arguments. A variable that is no Unicode counts as absent.
pub(super) fn of(args: &ReachArgs) -> Result<Reach> {
    let wishes = Wishes {
        proxy: args.proxy.as_deref(),
        no_proxy: args.noproxy.as_deref(),
        user: args.proxy_user.as_deref(),
        tunnels: args.proxytunnel,
    };
    if args.unix_socket.is_some() && wishes.proxy.is_some_and(|proxy| !proxy.is_empty()) {
        let what = "'--unix-socket' and '--proxy' cannot be used together";
        return Err(Error::new(ErrorKind::Usage, what));
    }
    let proxies = Proxies::choose(&wishes, |name| env::var(name).ok())?;
    let (proxy_counts_as_host, route) = (args.proxy_counts_as_host, Arc::new(route(args)?));
    Ok(Reach { proxies, proxy_counts_as_host, route })
}

fn route(args: &ReachArgs) -> Result<Route> {
    let family = match (args.ipv4, args.ipv6) {
        (true, _) => Some(Family::V4),
        (false, true) => Some(Family::V6),
        (false, false) => None,
    };
    Ok(Route {
        family,
        sources: each("--interface", &args.interface, str::parse)?,
        resolve: each("--resolve", &args.resolve, str::parse)?,
        connect_to: each("--connect-to", &args.connect_to, str::parse)?,
        unix_socket: args.unix_socket.clone(),
        mptcp: args.mptcp,
    })
}

/// Reads each value of a repeatable option; a variable has one on each line.
fn each<T>(option: &str, values: &[String], parse: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
    let lines = values.iter().flat_map(|value| value.lines());
    let lines = lines.filter(|line| !line.trim().is_empty());
    lines.map(|line| parse(line).map_err(|error| error.within(option))).collect()
}
