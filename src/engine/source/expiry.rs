//! The URL that is asked, which may expire: signed URLs that a redirect led to are good for
//! minutes. Then the caller's own URL is asked for a new one.

use crate::base::url::is_one_resource;
use crate::base::{Error, Result, Span, Url};
use crate::engine::context::Job;
use crate::engine::progress::Level;
use crate::engine::source::Source;
use crate::engine::source::exchange::Opening;
use crate::engine::source::follow::{FirstTimes, Located, Refused, locate};
use crate::http::{Asked, Known, Part, Validator, check_partial, may_have_expired};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where the file is at the moment.
pub(in crate::engine) struct Whereabouts {
    /// What the caller named.
    url: Url,
    source: Mutex<Arc<Source>>,
    /// One looks, all others wait for it.
    turn: tokio::sync::Mutex<()>,
}

/// What every answer of the transfer is held against, whichever connection it comes on.
pub(in crate::engine) struct Versions {
    known: Mutex<Known>,
}

/// The answer of a new URL.
pub(in crate::engine) struct Renewed {
    pub(in crate::engine) source: Arc<Source>,
    pub(in crate::engine) opening: Opening,
    pub(in crate::engine) times: FirstTimes,
}

impl Versions {
    /// What the first answer taught.
    pub(in crate::engine) fn new(known: Known) -> Self {
        Self { known: Mutex::new(known) }
    }

    /// Judges the head of an answer that was asked for `span`; see [`check_partial`].
    pub(in crate::engine) fn check(&self, opening: &Opening, span: Span) -> Result<Part> {
        let asked = Asked { span, is_conditional: opening.is_conditional };
        check_partial(opening.head(), asked, &mut self.lock())
    }

    /// What requests are to send as `If-Range`.
    pub(in crate::engine) fn condition(&self) -> Validator {
        self.lock().condition()
    }

    /// Taken once per answer and per request, and never while waiting.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Whereabouts {
    /// Redirects from `url` have led to `source`.
    pub(in crate::engine) fn new(url: Url, source: Source) -> Self {
        Self { url, source: Mutex::new(Arc::new(source)), turn: tokio::sync::Mutex::default() }
    }

    /// What the caller named.
    pub(in crate::engine) fn url(&self) -> &Url {
        &self.url
    }

    /// What to ask now.
    pub(in crate::engine) fn source(&self) -> Arc<Source> {
        self.lock().clone()
    }

    /// Whether `error`, an answer of `used`, may mean that its URL has expired.
    pub(in crate::engine) fn may_have_expired(&self, used: &Source, error: &Error) -> bool {
        used.is_redirected && may_have_expired(error.kind())
    }

    /// Finds the file anew after `used` has refused to give `asked`: the new URL's answer, which
    /// has the start of these bytes; `None` if somebody else has found one meanwhile. So there are
    /// new bytes for each time the caller's URL is asked, even where each new one is good for a
    /// single request; and a new URL that refuses means it, which is an error, as is a file that
    /// has changed. A URL of another resource has to pass `prove`.
    pub(in crate::engine) async fn renew(
        &self,
        job: &Job,
        used: &Arc<Source>,
        known: &Versions,
        asked: Span,
        prove: impl AsyncFn(&Source) -> Result<()>,
    ) -> Result<Option<Renewed>, Refused> {
        let _turn = self.turn.lock().await;
        if !Arc::ptr_eq(&self.source(), used) {
            return Ok(None);
        }
        let Located { source, opening, times, .. } = loop {
            let condition = known.condition();
            let located = locate(job, &self.url, Some(asked), &condition).await?;
            match known.check(&located.opening, asked) {
                Ok(Part::Usable(_)) => break located,
                // Asked again, on condition; then it is one of the other two.
                Ok(Part::Unproved) => {}
                Err(error) => return Err(Refused::by(located.opening.head(), error)),
            }
        };
        if !is_one_resource(&used.url().to_string(), &source.url().to_string()) {
            prove(&source).await?;
        }
        job.tell(Level::Detail, None, format!("the URL had expired; now asking {}", source.url()));
        let source = Arc::new(source);
        *self.lock() = source.clone();
        Ok(Some(Renewed { source, opening, times }))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Source>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
