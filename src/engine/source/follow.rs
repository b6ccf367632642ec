//! From a URL to an answer that is no redirect: resolves, connects, asks, follows.

use super::connection::Connection;
use super::endpoint::{Endpoint, RequestHeaders};
use super::exchange::{Opening, ask};
use crate::base::limits::{LINKS_MAX, REDIRECTS_MAX};
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::engine::context::Context;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::http::{
    Head, Link, Offered, Request, Rules, Validator, follow, links, whole_file_digests,
};
use crate::manifest::is_metalink_type;
use std::time::Duration;

/// An answer that is no redirect, and where it came from.
pub(in crate::engine) struct Located {
    pub(in crate::engine) endpoint: Endpoint,
    pub(in crate::engine) opening: Opening,
    pub(in crate::engine) times: FirstTimes,
    /// Redirects on the way: their status, and where they led.
    pub(in crate::engine) passed: Vec<(u16, Url)>,
    /// Digests of the whole file that redirects offered on the way.
    pub(in crate::engine) offers: Vec<Offered>,
    /// What redirects and the answer name beside the file.
    pub(in crate::engine) named: Named,
}

/// What a server names beside a file (RFC 6249).
#[derive(Debug, Default)]
pub(in crate::engine) struct Named {
    /// Other servers of the file, best first.
    pub(in crate::engine) mirrors: Vec<Url>,
    /// A description of it (Metalink), of the origin that has named it.
    pub(in crate::engine) description: Option<Url>,
}

/// When the first answer's connection stood and its request went out, since the start.
#[derive(Clone, Copy)]
pub(in crate::engine) struct FirstTimes {
    pub(in crate::engine) connected: Duration,
    pub(in crate::engine) requested: Duration,
}

impl FirstTimes {
    /// Nothing was done with the answer for this time, which says nothing of the server.
    pub(in crate::engine) fn delay(&mut self, waited: Duration) {
        self.connected += waited;
        self.requested += waited;
    }
}

/// Asks `url` for this range, or for everything, and goes where it is redirected to. The range is
/// asked for on condition that the file is still the one of the strong validator `if_range`, if it
/// is one.
pub(in crate::engine) async fn locate(
    local: &Local,
    url: &Url,
    range: Option<Span>,
    if_range: &Validator,
) -> Result<Located> {
    let context = &local.context;
    let rules = Rules { allow_downgrade: context.options.allow_downgrade };
    let (mut offers, mut named, mut passed) = (Vec::new(), Named::default(), Vec::new());
    let mut headers = RequestHeaders::new(url, context);
    let mut url = url.clone();
    for redirects in 0..=REDIRECTS_MAX {
        let mut endpoint = Endpoint::open(url.clone(), headers, context).await?;
        endpoint.is_redirected = redirects > 0;
        let (opening, times) = first_answer(local, &endpoint, range, if_range).await?;
        if context.options.links {
            named.add(context, &url, opening.head(), &rules);
        }
        let Some(next) = follow(&url, opening.head(), &rules)? else {
            return Ok(Located { endpoint, opening, times, passed, offers, named });
        };
        context.tell(Level::Detail, Some(0), format!("redirected to {}", next.url));
        offers.extend(whole_file_digests(opening.head()).digests);
        passed.push((opening.head().status(), next.url.clone()));
        headers = if next.same_origin {
            endpoint.headers().clone()
        } else {
            endpoint.headers().without_secrets()
        };
        url = next.url;
    }
    let error = Error::new(ErrorKind::Redirect, format!("more than {REDIRECTS_MAX} redirects"));
    Err(error.within(url))
}

impl Named {
    /// Adds what an answer of `url` names.
    fn add(&mut self, context: &Context, url: &Url, head: &Head, rules: &Rules) {
        let mut links = links(head);
        let hints = &context.options.hints;
        links.duplicates.sort_by_key(|it| {
            (it.priority.unwrap_or(u32::MAX), hints.rank(it.location.as_deref()))
        });
        for link in &links.duplicates {
            match link.resolve(url, rules) {
                Ok(mirror) if mirror != *url && !self.mirrors.contains(&mirror) => {
                    if self.mirrors.len() < LINKS_MAX {
                        self.mirrors.push(mirror);
                    }
                }
                Ok(_) => {}
                Err(error) => context.tell(Level::Detail, Some(0), error.to_string()),
            }
        }
        let is_metalink = |link: &&Link| link.media_type.as_deref().is_some_and(is_metalink_type);
        for link in links.descriptions.iter().filter(is_metalink) {
            match link.resolve(url, rules) {
                // Whoever serves the file has a word in what it is, and nobody else.
                Ok(description) if description.origin() == url.origin() => {
                    self.description.get_or_insert(description);
                }
                Ok(description) => {
                    let text = format!("not used, as another server has it: {description}");
                    context.tell(Level::Detail, Some(0), text);
                }
                Err(error) => context.tell(Level::Detail, Some(0), error.to_string()),
            }
        }
    }
}

/// Asks for the range, on that condition, or for everything; again, where the server wants to know
/// who asks.
async fn first_answer(
    local: &Local,
    endpoint: &Endpoint,
    range: Option<Span>,
    if_range: &Validator,
) -> Result<(Opening, FirstTimes)> {
    loop {
        let (opening, times) = one_answer(local, endpoint, range, if_range).await?;
        endpoint.hear(opening.head());
        if !endpoint.learns(&opening) {
            return Ok((opening, times));
        }
        let text = "the server asks for Digest authentication: answering its challenge";
        local.context.tell(Level::Detail, Some(0), text);
        endpoint.put_aside(opening, &local.shard).await;
    }
}

async fn one_answer(
    local: &Local,
    endpoint: &Endpoint,
    range: Option<Span>,
    if_range: &Validator,
) -> Result<(Opening, FirstTimes)> {
    let context = &local.context;
    let mut request = endpoint.request()?;
    if let Some(range) = range {
        request = request.range(context.there(range)).if_range(if_range);
    }
    if let Some(connection) = endpoint.idle(&local.shard) {
        match ask_on(context, connection, &request).await {
            // The server has closed it meanwhile.
            Err(error) if error.kind() == ErrorKind::ConnectionLost => {}
            other => return other.map_err(|error| error.within(endpoint.url())),
        }
    }
    let order: Vec<u32> = (0..endpoint.addresses()).collect();
    let permit = endpoint.permit(local).await;
    let connection = endpoint.connect(&order, permit).await?;
    describe_connection(context, 0, &connection);
    ask_on(context, connection, &request).await.map_err(|error| error.within(endpoint.url()))
}

async fn ask_on(
    context: &Context,
    connection: Connection,
    request: &Request,
) -> Result<(Opening, FirstTimes)> {
    let now = context.now();
    let times = FirstTimes { connected: now, requested: now };
    let opening = ask(connection, request).await?;
    describe_answer(context, 0, &opening);
    Ok((opening, times))
}

/// Says (`-v`) what a new connection is.
pub(in crate::engine) fn describe_connection(
    context: &Context,
    connection: u32,
    opened: &Connection,
) {
    if !context.is_heard() {
        return;
    }
    let through = opened.via.as_ref().map(|via| format!(" through {via}"));
    let (peer, through) = (opened.wire.peer(), through.unwrap_or_default());
    let mut text = format!("connected to {peer}{through} in {:.1?}", opened.setup);
    match opened.wire.is_multipath() {
        Some(true) => text += ", Multipath TCP",
        Some(false) => text += ", plain TCP, as Multipath TCP is not to be had",
        None => {}
    }
    if let Some(tls) = opened.wire.tls_info() {
        let resumed = if tls.resumed { ", resumed" } else { "" };
        text += &format!(", {} {}{resumed}", tls.version, tls.cipher);
    }
    context.tell(Level::Detail, Some(connection), text);
}

/// Says (`-v`) what the server answered first on a connection.
pub(in crate::engine) fn describe_answer(context: &Context, connection: u32, opening: &Opening) {
    if !context.is_heard() {
        return;
    }
    let head = opening.head();
    let mut text = format!("HTTP/1.{} {} {}", head.version_minor(), head.status(), head.reason());
    for name in ["Server", "Content-Length", "Content-Range", "ETag", "Last-Modified", "Via"] {
        if let Some(value) = head.get(name) {
            text += &format!(", {name}: {value}");
        }
    }
    context.tell(Level::Detail, Some(connection), text);
}
