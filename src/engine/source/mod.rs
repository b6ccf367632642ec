//! One URL that serves the file. It may lead elsewhere, and what it leads to may expire: signed
//! URLs that a redirect led to are good for minutes. Then the caller's own URL is asked for a new
//! one.
//!
//! A source has its own validator, which every answer of it is held against; the file's size and
//! digest, and the proof that two sources serve one file, belong to the transfer.
//!
//! States: closed (only the URL is known) -> open (it leads to an endpoint, whose answers are of
//! one version) -> open at another endpoint, or anew.

pub(super) mod body;
pub(super) mod connection;
pub(super) mod contest;
pub(super) mod discover;
pub(super) mod endpoint;
pub(super) mod exchange;
pub(super) mod facts;
pub(super) mod follow;
pub(super) mod login;
pub(super) mod retry;
pub(super) mod tally;
pub(super) mod twin;
pub(super) mod versions;
mod via;

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
use tally::Tally;
use versions::Versions;

/// One URL that serves the file, and where it leads at the moment.
pub(super) struct Source {
    /// What the caller named.
    url: Url,
    connections_hint: Option<u32>,
    /// `None`: closed.
    open: Mutex<Option<Open>>,
    /// One looks for a new endpoint, all others wait for it.
    turn: tokio::sync::Mutex<()>,
    /// What has come of it.
    pub(super) tally: Tally,
}

/// A source that can be asked.
#[derive(Clone)]
pub(super) struct Open {
    /// What to ask.
    pub(super) endpoint: Arc<Endpoint>,
    /// What its answers are held against.
    pub(super) versions: Arc<Versions>,
}

/// The answer of a new endpoint.
pub(super) struct Renewed {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) opening: Opening,
    pub(super) times: FirstTimes,
}

impl Source {
    /// A source of which only the URL is known, and the connections that it is said to take.
    pub(super) fn closed(url: Url, connections_hint: Option<u32>) -> Self {
        let turn = tokio::sync::Mutex::default();
        Self { url, connections_hint, open: Mutex::default(), turn, tally: Tally::default() }
    }

    /// The connections that it is said to take.
    pub(super) fn connections_hint(&self) -> Option<u32> {
        self.connections_hint
    }

    /// Redirects have led to `endpoint`, whose first answer has taught what is `known`.
    pub(super) fn open_at(&self, endpoint: Endpoint, known: Known) {
        let (endpoint, versions) = (Arc::new(endpoint), Arc::new(Versions::new(known)));
        *self.lock() = Some(Open { endpoint, versions });
    }

    /// What the caller named.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// How to ask it; `None` while it is closed.
    pub(super) fn opened(&self) -> Option<Open> {
        self.lock().clone()
    }

    /// What to ask now. The source is open.
    pub(super) fn endpoint(&self) -> Arc<Endpoint> {
        self.reached().endpoint
    }

    /// What its answers are held against. The source is open.
    pub(super) fn versions(&self) -> Arc<Versions> {
        self.reached().versions
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
        let Open { endpoint, versions } = self.reached();
        if !Arc::ptr_eq(&endpoint, used) {
            return Ok(None);
        }
        let Located { endpoint, opening, times, .. } = loop {
            let condition = versions.condition();
            let located = locate(local, &self.url, Some(asked), &condition).await?;
            match versions.check(&local.context, &located.opening, asked) {
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
        *self.lock() = Some(Open { endpoint: endpoint.clone(), versions });
        Ok(Some(Renewed { endpoint, opening, times }))
    }

    fn reached(&self) -> Open {
        self.opened().expect("only a source that is open is asked")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
