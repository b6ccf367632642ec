//! From a URL to an answer that is no redirect: resolves, connects, asks, follows, and repeats what
//! may pass.

use crate::base::limits::{REDIRECTS_MAX, RETRY_AFTER_MAX};
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::engine::context::Job;
use crate::engine::progress::Level;
use crate::engine::source::exchange::{Opening, ask};
use crate::engine::source::{Connection, Identity, Source, tls_config};
use crate::http::{Head, Offered, Rules, Validator, follow, retry_after, whole_file_digests};
use crate::tls::TlsConfig;
use std::time::Duration;

/// An answer that is no redirect, and where it came from.
pub(in crate::engine) struct Located {
    pub(in crate::engine) source: Source,
    pub(in crate::engine) opening: Opening,
    pub(in crate::engine) times: FirstTimes,
    /// Digests of the whole file that redirects offered on the way.
    pub(in crate::engine) offers: Vec<Offered>,
}

/// When the first answer's connection stood and its request went out, since the start.
#[derive(Clone, Copy)]
pub(in crate::engine) struct FirstTimes {
    pub(in crate::engine) connected: Duration,
    pub(in crate::engine) requested: Duration,
}

/// No answer to work with, and how long the server wants to be left alone.
pub(in crate::engine) struct Refused {
    pub(in crate::engine) error: Error,
    pub(in crate::engine) retry_after: Option<Duration>,
}

impl Refused {
    /// What is wrong with the answer that has this head, which may say when to come back.
    pub(in crate::engine) fn by(head: &Head, error: Error) -> Self {
        Self { error, retry_after: retry_after(head) }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None }
    }
}

/// Repeats `attempt` until it succeeds; failures that may pass are retried.
pub(in crate::engine) async fn retrying<T>(
    job: &Job,
    attempt: impl AsyncFn() -> Result<T, Refused>,
) -> Result<T> {
    let mut backoff = job.backoff();
    loop {
        let Refused { error, retry_after } = match attempt().await {
            Ok(value) => return Ok(value),
            Err(refused) => refused,
        };
        let Some(wait) = backoff.next(error.kind()) else { return Err(error) };
        let wait = wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        job.retried();
        job.tell(Level::Detail, Some(0), format!("{error}; trying again in {wait:.1?}"));
        tokio::time::sleep(wait).await;
    }
}

/// Asks `url` for this range, or for everything, and goes where it is redirected to. The range is
/// asked for on condition that the file is still the one of the strong validator `if_range`, if it
/// is one.
pub(in crate::engine) async fn locate(
    job: &Job,
    url: &Url,
    range: Option<Span>,
    if_range: &Validator,
) -> Result<Located> {
    let rules = Rules { allow_downgrade: job.options.allow_downgrade };
    let (mut tls, mut offers) = (None, Vec::new());
    let mut identity = Identity::new(url, &job.options);
    let mut url = url.clone();
    for redirects in 0..=REDIRECTS_MAX {
        let tls = tls_for(&url, &mut tls, job)?;
        let counts = job.counts.clone();
        let mut source = Source::open(url.clone(), identity, tls, &job.options, counts).await?;
        source.is_redirected = redirects > 0;
        let (opening, times) = first_answer(job, &source, range, if_range).await?;
        let Some(next) = follow(&url, opening.head(), &rules)? else {
            return Ok(Located { source, opening, times, offers });
        };
        job.tell(Level::Detail, Some(0), format!("redirected to {}", next.url));
        offers.extend(whole_file_digests(opening.head()).digests);
        identity = match next.same_origin {
            true => source.identity().clone(),
            false => source.identity().without_secrets(),
        };
        url = next.url;
    }
    let error = Error::new(ErrorKind::Redirect, format!("more than {REDIRECTS_MAX} redirects"));
    Err(error.within(url))
}

/// Asks for the range, on that condition, or for everything.
async fn first_answer(
    job: &Job,
    source: &Source,
    range: Option<Span>,
    if_range: &Validator,
) -> Result<(Opening, FirstTimes)> {
    let order: Vec<u32> = (0..source.addresses()).collect();
    let connection = source.connect(&order).await?;
    let connected = job.now();
    describe_connection(job, 0, &connection);
    let mut request = source.request()?;
    if let Some(range) = range {
        request = request.range(range).if_range(if_range);
    }
    let times = FirstTimes { connected, requested: job.now() };
    let opening = ask(connection, &request).await.map_err(|e| e.within(source.url()))?;
    describe_answer(job, 0, &opening);
    Ok((opening, times))
}

/// One TLS configuration for all https URLs on the way, made when the first one comes up.
fn tls_for(url: &Url, made: &mut Option<TlsConfig>, job: &Job) -> Result<Option<TlsConfig>> {
    if url.scheme() == Scheme::Https && made.is_none() {
        *made = tls_config(Scheme::Https, &job.options)?;
    }
    Ok(made.clone().filter(|_| url.scheme() == Scheme::Https))
}

/// Says (`-v`) what a new connection is.
pub(in crate::engine) fn describe_connection(job: &Job, connection: u32, opened: &Connection) {
    if !job.is_heard() {
        return;
    }
    let mut text = format!("connected to {} in {:.1?}", opened.wire.peer(), opened.setup);
    if let Some(tls) = opened.wire.tls_info() {
        let resumed = if tls.resumed { ", resumed" } else { "" };
        text += &format!(", {} {}{resumed}", tls.version, tls.cipher);
    }
    job.tell(Level::Detail, Some(connection), text);
}

/// Says (`-v`) what the server answered first on a connection.
pub(in crate::engine) fn describe_answer(job: &Job, connection: u32, opening: &Opening) {
    if !job.is_heard() {
        return;
    }
    let head = opening.head();
    let mut text = format!("HTTP/1.{} {} {}", head.version_minor(), head.status(), head.reason());
    for name in ["Server", "Content-Length", "Content-Range", "ETag", "Last-Modified", "Via"] {
        if let Some(value) = head.get(name) {
            text += &format!(", {name}: {value}");
        }
    }
    job.tell(Level::Detail, Some(connection), text);
}
