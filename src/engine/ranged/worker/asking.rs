//! How a worker gets the answer to a span: on which connection it asks, what it does where the URL
//! has expired, and whether the answer is of use.

use super::{Ahead, Response, Worker};
use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::engine::failure::{AtStage, Failure, Stage};
use crate::engine::source::Renewed;
use crate::engine::source::connection::Connection;
use crate::engine::source::exchange::{Opening, Pending, answer, ask};
use crate::engine::source::follow::{describe_answer, describe_connection};
use crate::engine::trace::SpanTrace;
use crate::http::{Part, Request};
use std::sync::Arc;

impl Worker {
    /// An answer to `rest`, the head of which has come; `None` if there is no connection to be had.
    pub(super) async fn open(
        &mut self,
        rest: Span,
        response: Response,
        trace: Option<&SpanTrace>,
    ) -> Result<Option<Opening>, Failure> {
        match response {
            Response::Opened(opening) => Ok(Some(opening)),
            Response::Pending(pending) => self.answer_ahead(rest, pending).await.map(Some),
            Response::None => self.request(rest, trace).await,
        }
    }

    /// The answer with the bytes of `rest` it holds; where the URL has expired, that of a new URL.
    /// `None` if the rest is to be asked for again: another worker has found the new URL, what
    /// lacks its proof is asked for on condition, which then is the proof, or the server wants to
    /// know anew who asks.
    pub(super) async fn usable(
        &mut self,
        rest: Span,
        opening: Opening,
    ) -> Result<Option<(Span, Opening)>, Failure> {
        self.endpoint.hear(opening.head());
        if self.endpoint.learns(&opening) {
            self.endpoint.put_aside(opening, &self.local.shard).await;
            return Ok(None);
        }
        let (part, opening) = match self.check(rest, &opening) {
            Err(failure) if self.source.may_have_expired(&self.endpoint, &failure.error) => {
                drop(opening);
                let Some(renewed) = self.renew(rest).await? else { return Ok(None) };
                (self.check(rest, &renewed)?, renewed)
            }
            judged => (judged?, opening),
        };
        match part {
            Part::Usable(body) => Ok(Some((body, opening))),
            Part::Unproved => Ok(None),
        }
    }

    /// What of `rest` the answer holds.
    fn check(&self, rest: Span, opening: &Opening) -> Result<Part, Failure> {
        let context = &self.local.context;
        let part = self.source.versions().check(context, opening, rest);
        let part = part.map_err(|error| Failure::of_answer(opening.head(), error))?;
        if let Part::Usable(body) = part
            && body.len() < SPAN_ALIGN_BYTES.min(context.there(rest).len())
        {
            let what = format!("the server sends no more than {} bytes at a time", body.len());
            let error = Error::new(ErrorKind::RangeMismatch, what);
            return Err(Failure::of_answer(opening.head(), error));
        }
        Ok(part)
    }

    /// The head of an answer that was requested ahead. Whatever is wrong with it is no failure of
    /// the span: the plan frees it and sends no more requests ahead. Only a server that has enough
    /// says so to any request, and means the wait it asks for; or one whose URL has expired, or
    /// that wants to know anew who asks.
    async fn answer_ahead(&self, rest: Span, pending: Pending) -> Result<Opening, Failure> {
        let opening = answer(pending).await.at_stage(Stage::Ahead)?;
        match self.source.versions().check(&self.local.context, &opening, rest) {
            Err(_) if self.endpoint.identity.may_learn(opening.head()) => Ok(opening),
            Err(error) if !self.is_meant_for_all(&error) => Err(error).at_stage(Stage::Ahead),
            Ok(_) | Err(_) => Ok(opening),
        }
    }

    fn is_meant_for_all(&self, error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Status(429 | 503))
            || self.source.may_have_expired(&self.endpoint, error)
    }

    /// Sends the request for the next span while this one still comes in.
    pub(super) async fn request_ahead(&mut self, opening: &mut Opening) -> Result<()> {
        let Some(fetch) = self.ranged.ahead(self.id) else { return Ok(()) };
        let request = self.question(fetch.span)?;
        let (requested, sent) = (self.local.context.now(), request.sent());
        self.ahead = Some(Ahead { fetch, requested, sent });
        opening.connection.wire.send(request.encode()?).await?;
        self.ranged.requested(self.id, fetch.span.start());
        Ok(())
    }

    /// The request for `span`, on the condition that is needed by now.
    fn question(&self, span: Span) -> Result<Request> {
        let (there, condition) =
            (self.local.context.there(span), self.source.versions().condition());
        Ok(self.endpoint.request()?.range(there).if_range(&condition))
    }

    /// The URL has expired: the answer of a new one, unless another worker has found that.
    async fn renew(&mut self, span: Span) -> Result<Option<Opening>, Failure> {
        let renewed = self.ranged.renew(&self.local, self.id, &self.endpoint, span).await;
        match renewed {
            Ok(None) => Ok(None),
            Ok(Some(Renewed { endpoint, opening, .. })) => {
                self.endpoint = endpoint;
                self.check_wanted()?;
                Ok(Some(opening))
            }
            Err(failure) if self.source.may_have_expired(&self.endpoint, &failure.error) => {
                Err(failure.at(Stage::Renewal))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Requests `span` on the connection there is, or on a new one. A server may close a kept
    /// connection at any time; that is no failure, the request just moves on.
    async fn request(
        &mut self,
        span: Span,
        trace: Option<&SpanTrace>,
    ) -> Result<Option<Opening>, Failure> {
        if !self.has_place() {
            return Ok(None);
        }
        let endpoint = self.source.endpoint();
        let is_moved = !Arc::ptr_eq(&endpoint, &self.endpoint);
        self.endpoint = endpoint;
        let request = self.question(span)?;
        let own = self.connection.take().filter(|_| !is_moved);
        if let Some(connection) = own.or_else(|| self.idle_connection()) {
            self.note_requested(span, trace);
            match ask(connection, &request).await {
                Err(error) if error.kind() == ErrorKind::ConnectionLost => {}
                other => return Ok(Some(other?)),
            }
        }
        let Some(connection) = self.connect().await? else { return Ok(None) };
        self.ranged.connected(self.id, &connection);
        self.check_wanted()?;
        describe_connection(&self.local.context, self.id.0, &connection);
        self.note_requested(span, trace);
        let opening = ask(connection, &request).await?;
        describe_answer(&self.local.context, self.id.0, &opening);
        Ok(Some(opening))
    }

    /// Makes sure that the worker knows whom to ask: where its connection leads, unless it is
    /// wanted elsewhere; `false` if no source takes another connection at the moment.
    fn has_place(&mut self) -> bool {
        if self.connection.is_some() && self.ranged.stays(self.id) {
            return true;
        }
        self.park_connection();
        let Some(source) = self.ranged.route(self.id) else { return false };
        if !Arc::ptr_eq(source, &self.source) {
            self.source = source.clone();
            self.endpoint = self.source.endpoint();
        }
        true
    }

    /// A connection that another transfer has left on this shard.
    fn idle_connection(&self) -> Option<Connection> {
        let connection = self.endpoint.idle(&self.local.shard)?;
        self.ranged.connected(self.id, &connection);
        Some(connection)
    }

    /// A new connection; `None` if there is no permit for one.
    async fn connect(&self) -> Result<Option<Connection>, Failure> {
        let Some(permit) = self.endpoint.try_permit(&self.local.shard) else { return Ok(None) };
        let order = self.ranged.address_order(self.id);
        self.endpoint.connect(&order, permit).await.map(Some).at_stage(Stage::Connecting)
    }

    /// An error if another one has delivered its bytes while there was no socket to be shut.
    fn check_wanted(&self) -> Result<()> {
        if self.ranged.is_aborted(self.id) {
            return Err(Error::new(ErrorKind::ConnectionLost, "nobody needs the bytes any more"));
        }
        Ok(())
    }
}
