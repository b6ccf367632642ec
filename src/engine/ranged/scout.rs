//! Looks at a further source beside a transfer: whether it can be reached, serves ranges of a file
//! of the same size, and has the bytes that are here already. Only then connections go there.
//!
//! Must not know when that is wanted, which the plan says, nor what follows from a contradiction.

use super::Ranged;
use crate::base::limits::{SPAN_ALIGN_BYTES, TWIN_SAMPLE_BYTES};
use crate::base::{Error, ErrorKind, Result, Span};
use crate::engine::context::jitter_seed;
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::engine::race::race;
use crate::engine::source::body;
use crate::engine::source::discover::{Discovered, Found, ask_once};
use crate::engine::source::endpoint::Endpoint;
use crate::engine::source::exchange::Opening;
use crate::engine::source::twin::Twin;
use crate::engine::source::versions::Versions;
use crate::http::{Exchange, Known, Part};
use crate::plan::SourceId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two looks whether the bytes to compare with are here.
const COMPARE_TICK: Duration = Duration::from_millis(10);
/// The bytes to compare with are waited for no longer than this.
const COMPARE_PATIENCE: Duration = Duration::from_secs(1);
/// Samples of what is here that a source has to agree with, beside its first answer.
const SAMPLES: u64 = 4;
/// Of what was sent at first no more than this is compared: a source that is slow to bring its part
/// of it would hold up all others.
const COMPARED_BYTES_MAX: u64 = TWIN_SAMPLE_BYTES;

/// Why a source is not used.
pub(super) enum Refused {
    /// It failed, which may pass.
    Failed(Failure),
    /// It does not serve this file in ranges.
    Useless(Error),
    /// It serves other bytes than those that are here.
    Contradicts(Error),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Looks at the source, which may have answered already, and tells the transfer what came of it.
pub(super) async fn scout(
    ranged: Arc<Ranged>,
    local: Local,
    id: SourceId,
    answer: Option<Result<Box<Discovered>, Failure>>,
) {
    let looked = Scout { ranged: &ranged, local: &local, id }.look(answer).await;
    match looked {
        Ok((endpoint, known, opening)) => ranged.opened(id, endpoint, known, &local, opening),
        Err(refused) => ranged.refused(id, refused),
    }
    ranged.bell.notify_waiters();
}

struct Scout<'a> {
    ranged: &'a Ranged,
    local: &'a Local,
    id: SourceId,
}

impl Scout<'_> {
    async fn look(
        &self,
        answer: Option<Result<Box<Discovered>, Failure>>,
    ) -> Result<(Endpoint, Known, Opening), Refused> {
        let is_first = answer.is_some();
        let discovered = match answer {
            Some(answer) => *answer?,
            None => self.ask().await?,
        };
        let checked = discovered.check_offers(self.ranged.file.expected.as_ref());
        checked.map_err(Refused::Useless)?;
        let Discovered { endpoint, found, .. } = discovered;
        let Found::Ranged { known, mut opening, span, .. } = found else {
            let error = Error::new(ErrorKind::RangesIgnored, "it does not serve ranges");
            return Err(Refused::Useless(error));
        };
        let (theirs, ours) = (known.total, self.ranged.file.served_bytes);
        if theirs != ours {
            let what = format!("its file has {theirs} bytes, not {ours}");
            let error = Error::new(ErrorKind::Changed, what);
            let is_known = self.ranged.context.options.expected_bytes.is_some();
            return Err(if is_known {
                Refused::Useless(error)
            } else {
                Refused::Contradicts(error)
            });
        }
        let versions = Versions::new(known.clone());
        let is_compared = self.compare_first(&mut opening, span, &versions).await?;
        if self.compares() && !(is_first && is_compared) {
            self.compare_samples(&endpoint, &versions).await?;
        }
        Ok((endpoint, known, opening))
    }

    /// Asks for a little of what is here, or of the start.
    async fn ask(&self) -> Result<Discovered, Failure> {
        let written = self.ranged.to.book.written();
        let start = written.first().map_or(0, Span::start);
        let bytes = if self.compares() { TWIN_SAMPLE_BYTES } else { SPAN_ALIGN_BYTES };
        let sample = Span::with_len(start, bytes.min(self.ranged.file.total_bytes));
        let url = self.ranged.source(self.id).url();
        ask_once(&self.local.beside_connection(), url, Some(sample)).await
    }

    /// Compares the body of the first answer with what others have brought of it, once they have;
    /// `false` if they do not bring it.
    async fn compare_first(
        &self,
        opening: &mut Opening,
        asked: Span,
        versions: &Versions,
    ) -> Result<bool, Refused> {
        let part = versions.check(&self.local.context, opening, asked);
        let part = part.map_err(|e| Failure::of_answer(opening.head(), e))?;
        let Part::Usable(body) = part else {
            // It needs another proof, which only a second request could ask for.
            return Err(Error::new(ErrorKind::Protocol, "its answers cannot be told apart").into());
        };
        opening.exchange.expect_body(body.len());
        let theirs =
            body::receive(opening, body.len()).await?.ok_or_else(Exchange::excess_error)?;
        let compared = Span::with_len(body.start(), body.len().min(COMPARED_BYTES_MAX));
        if !self.compares() || !self.here(compared).await {
            return Ok(false);
        }
        let ours = self.ranged.to.output.read(compared)?;
        match ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs) {
            None => Ok(true),
            Some(index) => {
                let at = compared.start() + index as u64;
                let what = format!("its byte {at} is not the one that is here: two files");
                Err(Refused::Contradicts(Error::new(ErrorKind::Changed, what)))
            }
        }
    }

    /// Compares samples of what is here by now, be it nothing: then its bytes are the first ones.
    async fn compare_samples(
        &self,
        endpoint: &Endpoint,
        versions: &Versions,
    ) -> Result<(), Refused> {
        let (local, output) = (self.local, &*self.ranged.to.output);
        let url = self.ranged.source(self.id).url();
        let here = self.ranged.to.book.written();
        if here.is_empty() {
            return Ok(());
        }
        let twin = Twin { local, url, endpoint, versions, output };
        twin.test_once(&here, SAMPLES, jitter_seed()).await.map_err(|failure| {
            if failure.error.kind() == ErrorKind::Changed {
                Refused::Contradicts(failure.error)
            } else {
                Refused::Failed(failure)
            }
        })
    }

    /// Whether its bytes are compared with those that are here: these can be read, and no digests
    /// of pieces judge its bytes as they come.
    fn compares(&self) -> bool {
        self.ranged.file.is_readable && !self.ranged.file.has_pieces
    }

    /// Waits until these bytes are in the file; `false` if that takes too long: whoever is to bring
    /// them may have failed.
    async fn here(&self, span: Span) -> bool {
        let began = Instant::now();
        while !self.ranged.to.book.written().covers(span) {
            if began.elapsed() >= COMPARE_PATIENCE {
                return false;
            }
            race(self.ranged.bell.notified(), tokio::time::sleep(COMPARE_TICK)).await;
        }
        true
    }
}
