//! How servers are reached, from options and the variables of the environment that all clients
//! share (`http_proxy` and its siblings).

use super::args::ReachArgs;
use crate::base::Result;
use crate::engine::options::reach::{Proxies, Reach, Wishes};
use std::env;

/// The engine's settings for these arguments. A variable that is no Unicode counts as absent.
pub(super) fn of(args: &ReachArgs) -> Result<Reach> {
    let wishes = Wishes {
        proxy: args.proxy.as_deref(),
        no_proxy: args.noproxy.as_deref(),
        user: args.proxy_user.as_deref(),
        tunnels: args.proxytunnel,
    };
    let mut reach = Reach::default();
    reach.proxies = Proxies::choose(&wishes, |name| env::var(name).ok())?;
    reach.proxy_counts_as_host = args.proxy_counts_as_host;
    Ok(reach)
}
