//! From a URL to an answer that is no redirect: resolves, connects, asks, follows.

use super::connection::Connection;
use super::endpoint::{Endpoint, RequestHeaders};
use super::exchange::{Opening, ask};
use crate::base::limits::{LINKS_MAX, REDIRECTS_MAX};
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::engine::context::Context;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::http::{Head, Offered, Request, Rules, Validator, follow, links, whole_file_digests};
use std::time::Duration;

/// An answer that is no redirect, and where it came from.
pub(in crate::engine) struct Located {
    pub(in crate::engine) endpoint: Endpoint,
    pub(in crate::engine) opening: Opening,
    pub(in crate::engine) times: FirstTimes,
    /// Digests of the whole file that redirects offered on the way.
    pub(in crate::engine) offers: Vec<Offered>,
    /// Other servers of the file that redirects and the answer name, best first.
    pub(in crate::engine) mirrors: Vec<Url>,
}

/// When the first answer's connection stood and its request went out, since the start.
#[derive(Clone, Copy)]
pub(in crate::engine) struct FirstTimes {
    pub(in crate::engine) connected: Duration,
    pub(in crate::engine) requested: Duration,
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
    let (mut offers, mut mirrors) = (Vec::new(), Vec::new());
    let mut headers = RequestHeaders::new(url, context);
    let mut url = url.clone();
    for redirects in 0..=REDIRECTS_MAX {
        let mut endpoint = Endpoint::open(url.clone(), headers, context).await?;
        endpoint.is_redirected = redirects > 0;
        let (opening, times) = first_answer(local, &endpoint, range, if_range).await?;
        if context.options.links {
            add_mirrors(&mut mirrors, context, &url, opening.head(), &rules);
        }
        let Some(next) = follow(&url, opening.head(), &rules)? else {
            return Ok(Located { endpoint, opening, times, offers, mirrors });
        };
        context.tell(Level::Detail, Some(0), format!("redirected to {}", next.url));
        offers.extend(whole_file_digests(opening.head()).digests);
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

/// Adds the mirrors that an answer of `url` names (RFC 6249 section 3).
fn add_mirrors(mirrors: &mut Vec<Url>, context: &Context, url: &Url, head: &Head, rules: &Rules) {
    let links = links(head);
    for link in &links.duplicates {
        match link.resolve(url, rules) {
            Ok(mirror) if mirror != *url && !mirrors.contains(&mirror) => {
                if mirrors.len() < LINKS_MAX {
                    mirrors.push(mirror);
                }
            }
            Ok(_) => {}
            Err(error) => context.tell(Level::Detail, Some(0), error.to_string()),
        }
    }
}

/// Asks for the range, on that condition, or for everything.
async fn first_answer(
    local: &Local,
    endpoint: &Endpoint,
    range: Option<Span>,
    if_range: &Validator,
) -> Result<(Opening, FirstTimes)> {
    let context = &local.context;
    let mut request = endpoint.request()?;
    if let Some(range) = range {
        request = request.range(range).if_range(if_range);
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
    let mut text = format!("connected to {} in {:.1?}", opened.wire.peer(), opened.setup);
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
