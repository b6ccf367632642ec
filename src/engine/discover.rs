//! The first ranged GET of the real URL: redirects, size, validator, range support. Its body is
//! already data.

use super::ask::{Opening, ask};
use super::job::Job;
use super::options::Options;
use super::progress::Level;
use super::source::{Identity, Source, tls_config};
use crate::base::limits::{REDIRECTS_MAX, RETRY_AFTER_MAX, SPAN_ALIGN_BYTES};
use crate::base::url::Scheme;
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::http::{Discovery, Known, Rules, discover, follow, retry_after, status_error};
use crate::plan::retry::wait_before_retry;
use crate::plan::{RequestSize, first_request_bytes};
use crate::tls::TlsConfig;
use std::time::Duration;

/// What the first answer taught.
pub(super) struct Discovered {
    /// Where the file is, redirects followed.
    pub(super) source: Source,
    pub(super) found: Found,
}

/// How the file can be had.
pub(super) enum Found {
    /// In spans; the opening answers the request for the first one, maybe with less of it.
    Ranged { known: Known, opening: Opening, span: Span, times: FirstTimes },
    /// In one stream from the start, which is the body of the opening.
    Whole { total: Option<u64>, opening: Opening },
    /// It has no bytes.
    Empty,
}

/// When the first answer's connection stood and its request went out, since the start.
#[derive(Clone, Copy)]
pub(super) struct FirstTimes {
    pub(super) connected: Duration,
    pub(super) requested: Duration,
}

/// The first request and what came of it.
struct First {
    opening: Opening,
    asked: Span,
    times: FirstTimes,
}

/// No answer to work with, and how long the server wants to be left alone.
struct Refused {
    error: Error,
    retry_after: Option<Duration>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None }
    }
}

/// Asks until there is an answer to work with; failures that may pass are retried.
pub(super) async fn find(job: &Job, url: &Url) -> Result<Discovered> {
    let mut failures = 0;
    loop {
        let Refused { error, retry_after } = match follow_redirects(job, url).await {
            Ok(discovered) => return Ok(discovered),
            Err(refused) => refused,
        };
        failures += 1;
        let Some(wait) = wait_before_retry(error.kind(), failures, job.options.retries) else {
            return Err(error);
        };
        let wait = wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        job.retried();
        job.tell(Level::Detail, Some(0), format!("{error}; trying again in {wait:.1?}"));
        tokio::time::sleep(wait).await;
    }
}

async fn follow_redirects(job: &Job, url: &Url) -> Result<Discovered, Refused> {
    let rules = Rules { allow_downgrade: job.options.allow_downgrade };
    let mut tls = None;
    let mut url = url.clone();
    let mut identity = Identity::new(&url, &job.options);
    for _ in 0..=REDIRECTS_MAX {
        let tls = tls_for(&url, &mut tls, job)?;
        let counts = job.counts.clone();
        let source = Source::open(url.clone(), identity, tls, &job.options, counts).await?;
        let first = first_answer(job, &source, true).await?;
        let Some(next) = follow(&url, first.opening.head(), &rules)? else {
            let retry_after = retry_after(first.opening.head());
            let found = judge(job, &source, first).await;
            return match found.map_err(|e| e.within(source.url())) {
                Ok(found) => Ok(Discovered { source, found }),
                Err(error) => Err(Refused { error, retry_after }),
            };
        };
        job.tell(Level::Detail, Some(0), format!("redirected to {}", next.url));
        identity = match next.same_origin {
            true => source.identity().clone(),
            false => source.identity().without_secrets(),
        };
        url = next.url;
    }
    let error = Error::new(ErrorKind::Redirect, format!("more than {REDIRECTS_MAX} redirects"));
    Err(error.within(url).into())
}

/// One TLS configuration for all https URLs on the way, made when the first one comes up.
fn tls_for(url: &Url, made: &mut Option<TlsConfig>, job: &Job) -> Result<Option<TlsConfig>> {
    if url.scheme() == Scheme::Https && made.is_none() {
        *made = tls_config(Scheme::Https, &job.options)?;
    }
    Ok(made.clone().filter(|_| url.scheme() == Scheme::Https))
}

/// Asks for the first span, or for everything.
async fn first_answer(job: &Job, source: &Source, ranged: bool) -> Result<First> {
    let bytes = first_request_bytes(request_size(&job.options));
    let asked = Span::new(0, bytes.next_multiple_of(SPAN_ALIGN_BYTES));
    let order: Vec<u32> = (0..source.addresses()).collect();
    let connection = source.connect(&order).await?;
    let connected = job.now();
    describe_connection(job, 0, &connection);
    let mut request = source.request()?;
    if ranged {
        request = request.range(asked);
    }
    let times = FirstTimes { connected, requested: job.now() };
    let opening = ask(connection, &request).await.map_err(|e| e.within(source.url()))?;
    describe_answer(job, 0, &opening);
    Ok(First { opening, asked, times })
}

/// The request size the options ask for.
pub(super) fn request_size(options: &Options) -> RequestSize {
    options.chunk_bytes.map_or(RequestSize::Auto, RequestSize::Fixed)
}

async fn judge(job: &Job, source: &Source, first: First) -> Result<Found> {
    let First { opening, asked, times } = first;
    match discover(opening.head(), asked)? {
        Discovery::Ranged { total, validator, .. } => {
            // What the body lacks of it is the worker's to ask for, as with every later answer: a
            // server may cut ranges short anywhere (RFC 9110 15.3.7), spans end aligned.
            let span = Span::new(0, asked.end().min(total));
            Ok(Found::Ranged { known: Known { total, validator }, opening, span, times })
        }
        Discovery::Whole { total, .. } => Ok(Found::Whole { total, opening }),
        Discovery::Empty { .. } => Ok(Found::Empty),
        Discovery::AskWhole => {
            drop(opening);
            let First { opening, asked, .. } = first_answer(job, source, false).await?;
            match discover(opening.head(), asked)? {
                Discovery::Whole { total, .. } => Ok(Found::Whole { total, opening }),
                // Without a range asked for, 416 is a refusal like any other.
                Discovery::AskWhole if opening.head().status() == 416 => {
                    Err(status_error(opening.head()))
                }
                _ => Err(Error::new(
                    ErrorKind::Protocol,
                    "the server answers a request for the whole file with a part of it",
                )),
            }
        }
    }
}

/// Says (`-v`) what a new connection is.
pub(super) fn describe_connection(job: &Job, connection: u32, opened: &super::source::Connection) {
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
pub(super) fn describe_answer(job: &Job, connection: u32, opening: &Opening) {
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
