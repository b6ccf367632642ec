//! The first ranged GET of the real URL: size, validator, range support, digests on offer. Its body
//! is already data.

use super::endpoint::Endpoint;
use super::exchange::Opening;
use super::facts::Facts;
use super::follow::{FirstTimes, Located, Named, locate};
use super::retry::retrying;
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::digest::{Algorithm, Checksum};
use crate::engine::context::Context;
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::http::{
    Discovery, Known, Offered, Validator, discover, retry_after, status_error, whole_file_digests,
};

/// What the first answer taught.
pub(in crate::engine) struct Discovered {
    /// Where the file is, redirects followed.
    pub(in crate::engine) endpoint: Endpoint,
    pub(in crate::engine) found: Found,
    pub(in crate::engine) facts: Facts,
    /// Digests of the whole file that the server offers, those of redirects included.
    pub(in crate::engine) offers: Vec<Offered>,
    /// What the answer and redirects to it name beside the file.
    pub(in crate::engine) named: Named,
}

impl Discovered {
    /// An error if the file has another size than the one that is expected.
    pub(in crate::engine) fn check_size(&self, expected: Option<u64>) -> Result<()> {
        let total = match &self.found {
            Found::Ranged { known, .. } => Some(known.total),
            Found::Whole { total, .. } => *total,
            Found::Empty => Some(0),
        };
        let checked = total.map_or(Ok(()), |total| check_size(total, expected));
        checked.map_err(|error| error.within(self.endpoint.url()))
    }

    /// An error if a digest that is offered is not the one that is expected.
    pub(in crate::engine) fn check_offers(&self, expected: Option<&Checksum>) -> Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        let known = self.offers.iter().filter_map(|offered| {
            let algorithm: Algorithm = offered.algorithm.parse().ok()?;
            Checksum::new(algorithm, offered.value.clone()).ok()
        });
        let contradicts = |offered: &Checksum| {
            offered.algorithm == expected.algorithm && offered.expected != expected.expected
        };
        match known.into_iter().find(contradicts) {
            None => Ok(()),
            Some(offered) => {
                let what = format!("it offers {offered}, not the file's digest");
                Err(Error::new(ErrorKind::Changed, what))
            }
        }
    }
}

/// An error if a file of `total` bytes has another size than the one that is expected.
pub(in crate::engine) fn check_size(total: u64, expected: Option<u64>) -> Result<()> {
    match expected {
        Some(expected) if total != expected => {
            let what = format!("the file has {total} bytes, and should have {expected}");
            Err(Error::new(ErrorKind::ChecksumMismatch, what)
                .advise("check the size with its source; the server may have another file"))
        }
        _ => Ok(()),
    }
}

/// How the file can be had.
pub(in crate::engine) enum Found {
    /// In spans; the opening answers the request for the first one, maybe with less of it.
    Ranged { known: Known, opening: Opening, span: Span, times: FirstTimes },
    /// In one stream from the start, which is the body of the opening.
    Whole { total: Option<u64>, validator: Validator, opening: Opening },
    /// It has no bytes.
    Empty,
}

/// Asks for `range`, which is aligned, or for everything, until there is an answer to work with;
/// failures that may pass are retried.
pub(in crate::engine) async fn find(
    local: &Local,
    url: &Url,
    range: Option<Span>,
) -> Result<Discovered> {
    retrying(&local.context, async || ask_once(local, url, range).await).await
}

/// One attempt: asks for the range, and if the server refuses that or does not tell the size, once
/// more for everything. The error is that of the last request, which says most: it asks for
/// nothing special.
pub(in crate::engine) async fn ask_once(
    local: &Local,
    url: &Url,
    range: Option<Span>,
) -> Result<Discovered, Failure> {
    if let Some(discovered) = ask(local, url, range).await? {
        return Ok(discovered);
    }
    let text = "the server refuses ranges, or does not tell the size: asking for the whole file";
    local.context.tell(Level::Detail, Some(0), text);
    match ask(local, url, None).await {
        Ok(discovered) => Ok(discovered.expect("there is no other way to ask")),
        Err(Failure { error, retry_after, stage }) => {
            let error = match error.kind() {
                ErrorKind::Status(_) => error,
                _ => error.within("asking without a range, as the server answers none"),
            };
            Err(Failure { error, retry_after, stage })
        }
    }
}

/// One request and what came of it; `None` if it has to be repeated without a range.
async fn ask(local: &Local, url: &Url, range: Option<Span>) -> Result<Option<Discovered>, Failure> {
    let located = locate(local, url, range, &Validator::None).await?;
    let Located { endpoint, opening, times, mut offers, named, .. } = located;
    let context = &local.context;
    let offered = whole_file_digests(opening.head());
    for why in offered.ignored {
        context.tell(Level::Detail, Some(0), why);
    }
    offers.extend(offered.digests);
    if context.options.part.is_some() {
        // They are of the whole file.
        offers.clear();
    }
    let retry_after = retry_after(opening.head());
    let facts = Facts::of(&endpoint, opening.head());
    let found = match range {
        Some(asked) => judge(context, opening, asked, times),
        None => whole(opening).map(Some),
    };
    match found {
        Ok(found) => Ok(found.map(|found| Discovered { endpoint, found, facts, offers, named })),
        Err(error) => {
            let error = endpoint.identity.explain(error);
            let failure = Failure::from(error.within(endpoint.url()));
            Err(Failure { retry_after, ..failure })
        }
    }
}

/// Judges the answer to a request for `asked` of the file that is made.
fn judge(
    context: &Context,
    opening: Opening,
    asked: Span,
    times: FirstTimes,
) -> Result<Option<Found>> {
    Ok(match discover(opening.head(), context.there(asked))? {
        Discovery::Ranged { known, .. } => {
            // What the body lacks of it is the worker's to ask for, as with every later answer: a
            // server may cut ranges short anywhere (RFC 9110 15.3.7), spans end aligned.
            let span = context.window().within(asked, known.total);
            let known = if context.options.verify { known } else { known.without_digests() };
            Some(Found::Ranged { known, opening, span, times })
        }
        Discovery::Whole { total, validator } => Some(Found::Whole { total, validator, opening }),
        Discovery::Empty { .. } => Some(Found::Empty),
        Discovery::AskWhole => None,
    })
}

/// Judges the answer to a request without a range.
fn whole(opening: Opening) -> Result<Found> {
    match discover(opening.head(), Span::new(0, u64::MAX))? {
        Discovery::Whole { total, validator } => Ok(Found::Whole { total, validator, opening }),
        // Without a range asked for, this is a refusal like any other.
        Discovery::AskWhole if opening.head().status() != 206 => Err(status_error(opening.head())),
        _ => Err(Error::new(
            ErrorKind::Protocol,
            "the server answers a request for the whole file with a part of it",
        )),
    }
}
