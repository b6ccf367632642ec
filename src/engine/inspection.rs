//! What a server says of a file before any of it is fetched: one request for its first byte, and
//! one without a range if that is refused. Of the answers only the heads count; their connections
//! are closed. Must not know who reads it.

mod json;

use super::context::EventListener;
use super::failure::Failure;
use super::local::Local;
use super::options::Options;
use super::progress::{Event, FileValidator};
use super::question::Question;
use super::source::facts::Facts;
use super::source::follow::{Located, locate};
use super::stop::StopHandle;
use crate::base::{Error, Result, Span, Url, hex};
use crate::http::{
    Discovery, Head, Offered, Validator, discover, proposed_name, status_error, whole_file_digests,
};
pub use json::failure_line;
use std::time::Duration;

/// What a server says of a file. Texts are a stranger's.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// What was asked for.
    pub asked: Url,
    /// The status of each redirect, and where it led.
    pub redirects: Vec<(u16, Url)>,
    /// Where the answer came from, redirects followed.
    pub url: Url,
    /// Its status.
    pub status: u16,
    /// Size of the file in bytes, if the server says it.
    pub bytes: Option<u64>,
    /// Indicates whether the server serves ranges of it.
    pub has_ranges: bool,
    /// `ETag` as sent.
    pub etag: Option<String>,
    /// `Last-Modified` as sent.
    pub last_modified: Option<String>,
    /// Indicates whether these prove two answers to be parts of one version of the file.
    pub is_strong: bool,
    /// `Content-Type` as sent.
    pub content_type: Option<String>,
    /// The name that `Content-Disposition` proposes.
    pub proposed_name: Option<String>,
    /// Digests of the whole file: the field they stand in, and `ALGORITHM:HEX`.
    pub digests: Vec<(&'static str, String)>,
    /// Further servers of it, by `Link` (RFC 6249).
    pub mirrors: Vec<Url>,
    /// A Metalink that describes it, by `Link`.
    pub description: Option<Url>,
    /// `Server` as sent.
    pub server: Option<String>,
    /// The address that has answered, of the server or its proxy.
    pub address: String,
    /// The number of addresses of that host.
    pub addresses: u32,
    /// The proxy on the way.
    pub proxy: Option<String>,
    /// The version of HTTP, as in `HTTP/1.1`.
    pub protocol: String,
    /// Version and cipher of TLS.
    pub tls: Option<(&'static str, String)>,
    /// Time that it took to connect, TLS included.
    pub connected_in: Duration,
}

/// Asks the server of `url`; blocks until it has answered. Of the options those count that concern
/// connections, requests, trust, retries and time.
///
/// # Errors
/// As for [`Download::run`](super::Download::run), but for those of the output.
pub fn inspect(
    url: &Url,
    options: &Options,
    stop: &StopHandle,
    on_event: impl Fn(&Event) + Send + Sync + 'static,
) -> Result<Inspection> {
    let on_event: EventListener = Box::new(on_event);
    let question = Question { url, options, stop, on_event: Some(on_event) };
    question.answer(ask_once, |_| ())
}

async fn ask_once(url: &Url, local: &Local) -> Result<Inspection, Failure> {
    // An answer of one byte, from whoever knows ranges.
    let byte = Span::new(0, 1);
    let located = locate(local, url, Some(byte), &Validator::None).await?;
    let found = judge(&located, byte)?;
    if found != Discovery::AskWhole {
        return Ok(inspection(url, located, &found));
    }
    let located = locate(local, url, None, &Validator::None).await?;
    match judge(&located, Span::new(0, u64::MAX))? {
        // Not even without a range: this is what the server means.
        Discovery::AskWhole => Err(refused(&located, status_error(located.opening.head()))),
        found => Ok(inspection(url, located, &found)),
    }
}

fn judge(located: &Located, asked: Span) -> Result<Discovery, Failure> {
    discover(located.opening.head(), asked).map_err(|error| refused(located, error))
}

fn refused(located: &Located, error: Error) -> Failure {
    let error = located.endpoint.identity.explain(error).within(located.endpoint.url());
    Failure::of_answer(located.opening.head(), error)
}

/// The connection is dropped with the body that may follow the head.
fn inspection(asked: &Url, located: Located, found: &Discovery) -> Inspection {
    let Located { endpoint, opening, passed, mut offers, named, .. } = located;
    let (head, connection) = (opening.head(), &opening.connection);
    let facts = Facts::of(&endpoint, head);
    let (bytes, has_ranges) = match found {
        Discovery::Ranged { known, .. } => (Some(known.total), true),
        Discovery::Whole { total, .. } => (*total, false),
        // A range that is not satisfiable was understood.
        Discovery::Empty { .. } => (Some(0), true),
        Discovery::AskWhole => (None, false),
    };
    offers.extend(whole_file_digests(head).digests);
    let validator = Validator::of(head).unwrap_or(Validator::None);
    let tls = connection.wire.tls_info();
    Inspection {
        asked: asked.clone(),
        redirects: passed,
        url: facts.url,
        status: head.status(),
        bytes,
        has_ranges,
        etag: match facts.validator {
            Some(FileValidator::Etag(tag)) => Some(tag),
            Some(FileValidator::LastModified(_)) | None => None,
        },
        last_modified: facts.last_modified,
        is_strong: validator.strong().is_some(),
        content_type: facts.content_type,
        proposed_name: proposed_name(head),
        digests: offers.iter().map(digest).collect(),
        mirrors: named.mirrors,
        description: named.description,
        server: field(head, "Server"),
        address: connection.wire.peer().to_string(),
        addresses: endpoint.addresses(),
        proxy: connection.via.as_deref().map(str::to_owned),
        protocol: format!("HTTP/1.{}", head.version_minor()),
        tls: tls.map(|tls| (tls.version, tls.cipher)),
        connected_in: connection.setup,
    }
}

fn field(head: &Head, name: &str) -> Option<String> {
    head.single(name).ok().flatten().map(str::to_owned)
}

fn digest(offered: &Offered) -> (&'static str, String) {
    (offered.field, format!("{}:{}", offered.algorithm, hex::encode(&offered.value)))
}
