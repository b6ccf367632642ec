//! A URL after its redirects: how to connect to it and what every request to it says.
//!
//! Owns header fields and TLS settings; must not know spans or files. Who asks is `login`'s.

use super::body;
use super::connection::Connection;
use super::exchange::Opening;
use super::login::Identity;
use super::via::Via;
use crate::base::size::format_wait;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::client::Shared;
use crate::engine::client::budget::Permit;
use crate::engine::client::idle::{Link, Peer};
use crate::engine::client::shard::Shard;
use crate::engine::client::trust::Trusted;
use crate::engine::context::Context;
use crate::engine::counts::ConnectionCounts;
use crate::engine::local::Local;
use crate::http::{Head, Request, Sent, sensitive, want_digests};
use crate::io::patience::Limits;
use crate::net::callee::Callee;
use crate::net::dial::Dialer;
use crate::net::wire::Wire;
use crate::tls::TlsConfig;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most bytes of a refusal that are read to keep its connection.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// A URL that serves the file itself, with everything that is needed to ask it.
pub(in crate::engine) struct Endpoint {
    url: Url,
    headers: RequestHeaders,
    /// Who asks.
    pub(in crate::engine) identity: Identity,
    client: Arc<Shared>,
    dialer: Arc<Dialer>,
    /// The proxy on the way, if there is one.
    via: Option<Via>,
    /// What its connections count for in the budget.
    counted: Origin,
    /// Whom its connections lead to.
    peer: Peer,
    tls: Option<TlsConfig>,
    connect_timeout: Duration,
    /// How long its connections are waited for.
    limits: Limits,
    /// Redirects led here, so that the URL may expire.
    pub(in crate::engine) is_redirected: bool,
    /// Requests say which digests are welcome.
    wants_digests: bool,
    counts: Arc<ConnectionCounts>,
}

/// What requests carry besides the range: the user's header fields.
#[derive(Clone)]
pub(in crate::engine) struct RequestHeaders {
    fields: Vec<(String, String)>,
    /// What the caller has given for its own origin may go along.
    is_home: bool,
}

impl RequestHeaders {
    /// Header fields from the options. What gives rights is meant for the origin of the URL that
    /// was named first, and not for its mirrors.
    pub(in crate::engine) fn new(url: &Url, context: &Context) -> Self {
        let all = Self { fields: context.options.headers.clone(), is_home: true };
        if context.is_home(&url.origin()) { all } else { all.without_secrets() }
    }

    /// What may go to another origin: everything but what is meant for its own (RFC 9110 15.4).
    pub(in crate::engine) fn without_secrets(&self) -> Self {
        let mut fields = self.fields.clone();
        fields.retain(|(name, _)| !sensitive(name));
        Self { fields, is_home: false }
    }
}

impl Endpoint {
    /// Resolves the URL's host, or that of its proxy. No connection is made yet.
    pub(in crate::engine) async fn open(
        url: Url,
        headers: RequestHeaders,
        context: &Context,
    ) -> Result<Self> {
        let (options, client, origin) = (&context.options, &context.client, url.origin());
        let trusted = Trusted::by(options, &url)?;
        let tls = trusted.as_ref().map(|trusted| client.trust.config(trusted)).transpose()?;
        let via = Via::of(&origin, context).await?;
        let route = &options.reach.route;
        let direct = || route.redirected(Callee::server(&origin));
        let callee = via.as_ref().map_or_else(direct, Via::callee);
        let dialer = client.names.resolve(&callee, route, options.connect_timeout).await?;
        let counted = match &via {
            Some(via) if options.reach.proxy_counts_as_host => via.proxy().origin(),
            _ => origin.clone(),
        };
        if tls.is_some() && options.insecure {
            context.warn_of_insecurity();
        }
        let (counts, line) = (context.counts.clone(), context.counts.line.clone());
        let identity = Identity::new(&url, headers.is_home, context);
        let limits = Limits::new(options.stall_timeout, options.speed_limit(), line);
        Ok(Self {
            url,
            headers,
            identity,
            client: client.clone(),
            dialer,
            via,
            peer: Peer { origin, trusted, reach: options.reach.clone() },
            tls,
            connect_timeout: options.connect_timeout,
            limits: limits.below(context.throttle(&counted)),
            counted,
            is_redirected: false,
            wants_digests: options.verify,
            counts,
        })
    }

    /// The URL that is asked.
    pub(in crate::engine) fn url(&self) -> &Url {
        &self.url
    }

    /// What requests to it carry.
    pub(in crate::engine) fn headers(&self) -> &RequestHeaders {
        &self.headers
    }

    /// What it belongs to.
    pub(in crate::engine) fn origin(&self) -> &Origin {
        &self.peer.origin
    }

    /// What its connections count for in the budget.
    pub(in crate::engine) fn counted(&self) -> &Origin {
        &self.counted
    }

    /// A request for the file without a range.
    pub(in crate::engine) fn request(&self) -> Result<Request> {
        self.identity.sign(self.bare_request(&self.url, &self.headers.fields)?, &self.url)
    }

    /// The same for another file of the origin, with the credentials of its own URL, and with its
    /// `own` header fields instead of those of the same name. If another origin's redirect led
    /// there, it gets nothing that gives rights but what that has named.
    pub(in crate::engine) fn request_for(
        &self,
        url: &Url,
        own: &[(String, String)],
        is_redirected: bool,
    ) -> Result<Request> {
        let mut fields = self.headers.fields.clone();
        fields.retain(|(name, _)| !own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        fields.extend_from_slice(own);
        let mut headers = RequestHeaders { fields, is_home: self.headers.is_home };
        if is_redirected {
            headers = headers.without_secrets();
        }
        let request = self.bare_request(url, &headers.fields)?;
        self.identity.sign_for(request, url, headers.is_home)
    }

    /// Takes what an answer says for later requests.
    pub(in crate::engine) fn hear(&self, head: &Head) {
        self.identity.hear(&self.url, self.headers.is_home, head);
    }

    /// The same of an answer to a request of [`Self::request_for`].
    pub(in crate::engine) fn hear_for(&self, url: &Url, is_redirected: bool, head: &Head) {
        self.identity.hear(url, self.headers.is_home && !is_redirected, head);
    }

    /// Takes the challenge of an answer; `true` if it is one, and to ask again makes sense.
    pub(in crate::engine) fn learns(&self, opening: &Opening) -> bool {
        let head = opening.head();
        head.status() == 401 && self.identity.learns(&self.url, head, opening.sent)
    }

    /// Receives what is left of an answer that is of no use, and keeps its connection if that can
    /// be used again.
    pub(in crate::engine) async fn put_aside(&self, mut opening: Opening, shard: &Shard) {
        let received = body::receive(&mut opening, REFUSAL_BYTES_MAX).await;
        if matches!(received, Ok(Some(_)))
            && let Some(connection) = opening.reuse()
        {
            self.park(shard, connection);
        }
    }

    /// Says whether credentials were what an answer to a request of [`Self::request_for`] refuses.
    pub(in crate::engine) fn explain_for(
        &self,
        url: &Url,
        is_redirected: bool,
        error: Error,
    ) -> Error {
        self.identity.explain_for(url, self.headers.is_home && !is_redirected, error)
    }

    /// Takes the challenge of an answer to a request of [`Self::request_for`]; `true` if it is one,
    /// and to ask again makes sense.
    pub(in crate::engine) fn learns_for(
        &self,
        url: &Url,
        is_redirected: bool,
        head: &Head,
        sent: Sent,
    ) -> bool {
        self.identity.learns_for(url, self.headers.is_home && !is_redirected, head, sent)
    }

    fn bare_request(&self, url: &Url, fields: &[(String, String)]) -> Result<Request> {
        let mut request = Request::get(url);
        if self.wants_digests {
            for (name, value) in want_digests() {
                request = request.header(name, value)?;
            }
        }
        for (name, value) in fields {
            request = request.header(name, value)?;
        }
        match &self.via {
            Some(via) => via.address(request, url),
            None => Ok(request),
        }
    }

    /// How many addresses its host has, or its proxy; they are numbered from 0.
    pub(in crate::engine) fn addresses(&self) -> u32 {
        self.dialer.addresses()
    }

    /// A connection that is idle on the shard and leads here. The server may have closed it.
    pub(in crate::engine) fn idle(&self, shard: &Shard) -> Option<Connection> {
        let mut link = shard.idle.take(&self.peer)?;
        link.wire.set_limits(&self.limits);
        Some(Connection::new(link, self.counts.count_kept()))
    }

    /// Leaves a connection that may carry another request to the next transfer on the shard, unless
    /// there is none or somebody waits for its permit.
    pub(in crate::engine) fn keep_idle(&self, shard: &Shard, connection: Connection) {
        if self.client.is_shared {
            self.park(shard, connection);
        }
    }

    /// The same within a transfer, which may want the connection again soon.
    pub(in crate::engine) fn park(&self, shard: &Shard, connection: Connection) {
        if !self.client.budget.is_wanted() {
            shard.idle.put(self.peer.clone(), connection.into_link());
        }
    }

    /// A permit for a new connection, which an idle one may be closed for; `None` if there is none
    /// to be had now.
    pub(in crate::engine) fn try_permit(&self, shard: &Shard) -> Option<Permit> {
        loop {
            if let Some(permit) = self.client.budget.try_acquire(&self.counted) {
                return Some(permit);
            }
            if !shard.idle.close_oldest() {
                return None;
            }
        }
    }

    /// A permit for a new connection, waited for; or beyond the budget, for who keeps a connection
    /// beside it.
    pub(in crate::engine) async fn permit(&self, local: &Local) -> Permit {
        let budget = &self.client.budget;
        match self.try_permit(&local.shard) {
            Some(permit) => permit,
            None if local.holds_connection => budget.acquire_over(&self.counted),
            None => budget.acquire(&self.counted).await,
        }
    }

    /// A new connection to one of the addresses, tried in this order, ready for a request.
    /// Dropping the future gives it up.
    pub(in crate::engine) async fn connect(
        &self,
        order: &[u32],
        permit: Permit,
    ) -> Result<Connection> {
        let began = Instant::now();
        let connecting = tokio::time::timeout(self.connect_timeout, self.dial(order));
        let connected = connecting.await.unwrap_or_else(|_| {
            let (host, time) = (self.origin().host_header(), format_wait(self.connect_timeout));
            let through = self.via.as_ref().map(|via| format!(" through {}", via.name()));
            let through = through.unwrap_or_default();
            let what = format!("{host}{through} could not be connected to within {time}");
            Err(Error::new(ErrorKind::TimedOut, what)
                .advise("check the network path, or allow more time with --connect-timeout"))
        });
        let (wire, address) = connected.inspect_err(|_| {
            self.client.names.forget(self.dialer.callee(), &self.peer.reach.route);
        })?;
        let via = self.via.as_ref().map(|via| via.name().clone());
        let link = Link { wire, setup: began.elapsed(), address, permit, via };
        Ok(Connection::new(link, self.counts.count_new()))
    }

    async fn dial(&self, order: &[u32]) -> Result<(Wire, u32)> {
        let (socket, address) = self.dialer.dial(order, &self.limits).await?;
        let host = &self.origin().host;
        let wire = match (&self.via, &self.tls) {
            (None, Some(config)) => Wire::tls(socket, config, host).await?,
            (None, None) => Wire::plain(socket),
            // On the heap: who goes directly does not carry the future's memory along.
            (Some(via), Some(config)) => {
                let wire = Box::pin(via.reach(socket)).await?;
                Box::pin(wire.tls_inside(config, host)).await?
            }
            (Some(via), None) => Box::pin(via.reach(socket)).await?,
        };
        Ok((wire, address))
    }
}
