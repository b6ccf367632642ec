//! Downloads through proxies: real ones (squid, tinyproxy, microsocks, Dante), and one that says
//! what a test tells it to. A proxy that is not installed is skipped loudly.

mod common;
#[path = "proxies/hostile.rs"]
mod hostile;
#[allow(dead_code, reason = "the servers' tests use more of it")]
#[path = "real_servers/launch.rs"]
mod launch;
#[path = "proxies/programs.rs"]
mod programs;
#[path = "proxies/real.rs"]
mod real;
#[path = "proxies/scripted.rs"]
mod scripted;
#[path = "proxies/variables.rs"]
mod variables;

use ringhaul::{NoProxy, Options, Proxies, Proxy, Reach};
use std::sync::Arc;

/// `options` with everything through the proxy at this URL.
fn through(proxy: &str, options: &Options) -> Options {
    reached(Proxies::all(Proxy::parse(proxy).expect("a proxy"), NoProxy::default(), false), options)
}

fn reached(proxies: Proxies, options: &Options) -> Options {
    let mut reach = Reach::default();
    reach.proxies = proxies;
    Options { reach: Arc::new(reach), ..options.clone() }
}
