//! The way from a connected socket to an origin through a proxy: what is said to the proxy, and
//! whether requests are for it or for the origin.
//!
//! Must not know requests or spans. The proxy's credentials leave this file in its handshake only,
//! and in requests that it reads itself.

use crate::base::host::HostPort;
use crate::base::url::Origin;
use crate::base::{Result, Url};
use crate::engine::client::trust::Trusted;
use crate::engine::context::Context;
use crate::http::Request;
use crate::http::proxy::{Handshake, Proxy};
use crate::io::socket::Socket;
use crate::net::callee::Callee;
use crate::net::dial::Dialer;
use crate::net::tunnel;
use crate::net::wire::Wire;
use crate::tls::TlsConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A proxy between us and an origin.
pub(super) struct Via {
    proxy: Arc<Proxy>,
    /// How it is talked to within TLS, if it is.
    tls: Option<TlsConfig>,
    way: Way,
    /// What it is called in messages.
    name: Arc<str>,
}

/// How the proxy gets us to the origin.
enum Way {
    /// It reads the requests, and asks the origin itself.
    Forward,
    /// It connects us.
    Tunnel {
        target: HostPort,
        /// Addresses of the origin, for a proxy that wants one.
        addresses: Option<Arc<Dialer>>,
        /// Connections that could not be made: the next one is to another address.
        failures: AtomicUsize,
    },
}

impl Via {
    /// The way to `origin`, if it is one through a proxy; a socket of the file system stands for
    /// all of them. No connection is made yet.
    pub(super) async fn of(origin: &Origin, context: &Context) -> Result<Option<Self>> {
        let (options, client) = (&context.options, &context.client);
        let proxies = &options.reach.proxies;
        let route = &options.reach.route;
        let chosen = proxies.of(origin).filter(|_| route.unix_socket.is_none()).cloned();
        let Some(proxy) = chosen else { return Ok(None) };
        let tls = match proxy.is_tls() {
            true => Some(client.trust.config(&Trusted::of_proxy(options))?),
            false => None,
        };
        let way = if proxies.is_tunnel(&proxy, origin) {
            let callee = route.redirected(Callee::server(origin));
            let time_max = options.connect_timeout;
            let addresses = match proxy.wants_addresses() {
                true => Some(client.names.resolve(&callee, route, time_max).await?),
                false => None,
            };
            Way::Tunnel { target: callee.at, addresses, failures: AtomicUsize::new(0) }
        } else {
            Way::Forward
        };
        let name = format!("the proxy {proxy}").into();
        Ok(Some(Self { proxy, tls, way, name }))
    }

    /// Whom sockets connect to.
    pub(super) fn callee(&self) -> Callee {
        Callee::proxy(self.proxy.address().clone())
    }

    /// The proxy.
    pub(super) fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A wire over `socket`, which is connected to the proxy: what is sent on it reaches the
    /// origin, or is a request that the proxy reads.
    pub(super) async fn reach(&self, socket: Socket) -> Result<Wire> {
        let mut wire = match &self.tls {
            Some(config) => {
                let shaken = Wire::tls(socket, config, &self.proxy.address().host).await;
                shaken.map_err(|error| error.within(&self.name))?
            }
            None => Wire::plain(socket),
        };
        let Way::Tunnel { target, addresses, failures } = &self.way else { return Ok(wire) };
        let address = addresses.as_ref().and_then(|it| it.pick(failures.load(Ordering::Relaxed)));
        let handshake = Handshake::new(&self.proxy, target, address)?;
        tunnel::open(&mut wire, handshake).await.inspect_err(|_| {
            failures.fetch_add(1, Ordering::Relaxed);
        })?;
        Ok(wire)
    }

    /// The request for `url` as it is sent: for the proxy, if that reads it.
    pub(super) fn address(&self, request: Request, url: &Url) -> Result<Request> {
        match self.way {
            Way::Forward => request.through_proxy(url, self.proxy.credentials()),
            Way::Tunnel { .. } => Ok(request),
        }
    }
}
