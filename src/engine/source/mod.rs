//! One URL that serves the file. It may lead elsewhere, and what it leads to may expire: signed
//! URLs that a redirect led to are good for minutes. Then the caller's own URL is asked for a new
//! one.
//!
//! A source has its own validator, which every answer of it is held against; the file's size and
//! digest, and the proof that two sources serve one file, belong to the transfer.

pub(super) mod body;
pub(super) mod connection;
pub(super) mod discover;
pub(super) mod endpoint;
pub(super) mod exchange;
pub(super) mod facts;
pub(super) mod follow;
pub(super) mod retry;
pub(super) mod twin;
pub(super) mod versions;

use crate::base::url::is_one_resource;
use crate::base::{Error, Result, Span, Url};
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::http::{Known, Part, may_have_expired};
use endpoint::Endpoint;
use exchange::Opening;
use follow::{FirstTimes, Located, locate};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use versions::Versions;

/// One URL that serves the file, and where it leads at the moment.
pub(super) struct Source {
    /// What the caller named.
    url: Url,
    endpoint: Mutex<Arc<Endpoint>>,
    pub(super) versions: Versions,
    /// One looks for a new endpoint, all others wait for it.
    turn: tokio::sync::Mutex<()>,
}

/// The answer of a new endpoint.
pub(super) struct Renewed {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) opening: Opening,
    pub(super) times: FirstTimes,
}

impl Source {
    /// Redirects from `url` have led to `endpoint`, whose first answer has taught what is `known`.
    pub(super) fn new(url: Url, endpoint: Endpoint, known: Known) -> Self {
        let (endpoint, turn) = (Mutex::new(Arc::new(endpoint)), tokio::sync::Mutex::default());
        Self { url, endpoint, versions: Versions::new(known), turn }
    }

    /// What the caller named.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// What to ask now.
    pub(super) fn endpoint(&self) -> Arc<Endpoint> {
        self.lock().clone()
    }

    /// Whether `error`, an answer of `used`, may mean that its URL has expired.
    pub(super) fn may_have_expired(&self, used: &Endpoint, error: &Error) -> bool {
        used.is_redirected && may_have_expired(error.kind())
    }

    /// Finds the file anew after `used` has refused to give `asked`: the new URL's answer, which
    /// has the start of these bytes; `None` if somebody else has found one meanwhile. So there are
    /// new bytes for each time the caller's URL is asked, even where each new one is good for a
    /// single request; and a new URL that refuses means it, which is an error, as is a file that
    /// has changed. A URL of another resource has to pass `prove`.
    pub(super) async fn renew(
        &self,
        local: &Local,
        used: &Arc<Endpoint>,
        asked: Span,
        prove: impl AsyncFn(&Endpoint) -> Result<()>,
    ) -> Result<Option<Renewed>, Failure> {
        let _turn = self.turn.lock().await;
        if !Arc::ptr_eq(&self.endpoint(), used) {
            return Ok(None);
        }
        let Located { endpoint, opening, times, .. } = loop {
            let condition = self.versions.condition();
            let located = locate(local, &self.url, Some(asked), &condition).await?;
            match self.versions.check(&located.opening, asked) {
                Ok(Part::Usable(_)) => break located,
                // Asked again, on condition; then it is one of the other two.
                Ok(Part::Unproved) => {}
                Err(error) => return Err(Failure::of_answer(located.opening.head(), error)),
            }
        };
        if !is_one_resource(&used.url().to_string(), &endpoint.url().to_string()) {
            prove(&endpoint).await?;
        }
        let text = format!("the URL had expired; now asking {}", endpoint.url());
        local.context.tell(Level::Detail, None, text);
        let endpoint = Arc::new(endpoint);
        *self.lock() = endpoint.clone();
        Ok(Some(Renewed { endpoint, opening, times }))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Endpoint>> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
