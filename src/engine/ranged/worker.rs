//! One connection's loop: ask the plan for a span, request it, receive it, report it.
//!
//! States: idle (waits for the plan) -> fetching (holds a span) -> fetching the span it requested
//! ahead, on the same connection -> ... -> idle ... -> ended (nothing is left, fewer connections
//! are wanted, or the transfer has failed). The connection outlives spans where the server allows.

mod traced;

use crate::base::limits::SPAN_ALIGN_BYTES;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::engine::client::shard::Shard;
use crate::engine::progress::Level;
use crate::engine::race::race;
use crate::engine::ranged::Ranged;
use crate::engine::receive::claim::Claim;
use crate::engine::receive::intake::{Delivery, Intake};
use crate::engine::receive::quarantine::Gate;
use crate::engine::source::exchange::{Opening, Pending, answer, ask};
use crate::engine::source::expiry::Renewed;
use crate::engine::source::follow::{Refused, describe_answer, describe_connection};
use crate::engine::source::{Connection, Source};
use crate::engine::trace::SpanTrace;
use crate::http::{Exchange, Part, Request, retry_after};
use crate::plan::{AheadFault, ConnectionId, Fetch, Next};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An idle worker looks for something to do this often, as positions change without events.
const IDLE_TICK: Duration = Duration::from_millis(100);
/// A connection kept for longer than this without a request is closed: servers do it after 5 s
/// and more, and a request that crosses their close is lost.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(4);

/// One connection of a ranged download.
pub(in crate::engine) struct Worker {
    id: ConnectionId,
    ranged: Arc<Ranged>,
    shard: Rc<Shard>,
    connection: Option<Connection>,
    /// What was asked last.
    source: Arc<Source>,
    /// Requested on the connection that is still busy with the span before.
    ahead: Option<Ahead>,
    failure: Failure,
}

/// The first answer of the transfer, which came before there was a plan.
pub(in crate::engine) struct First {
    pub(in crate::engine) fetch: Fetch,
    pub(in crate::engine) opening: Opening,
    /// When it was asked for.
    pub(in crate::engine) requested: Duration,
}

/// A span that was requested before the one before it had ended, when, and whether with `If-Range`.
struct Ahead {
    fetch: Fetch,
    requested: Duration,
    is_conditional: bool,
}

/// What the plan wants to know of a failure beside its kind.
#[derive(Default)]
struct Failure {
    retry_after: Option<Duration>,
    while_connecting: bool,
    /// A new URL refuses as well, and means it, whoever else is served.
    is_final: bool,
}

/// Why a span was not received to its end.
enum Setback {
    /// A failure of the span.
    Span(Error),
    /// The answer to a request sent ahead did not come as it should.
    Ahead(Error),
    /// The answer has a digest of its own, but a part of its bytes is another connection's by now.
    Unprovable,
}

/// What is new of a claim that a second connection brings too.
struct Shared<'a> {
    ranged: &'a Ranged,
    id: ConnectionId,
    claim: &'a Claim,
}

impl Delivery for Shared<'_> {
    fn deliver(&self, block: Span, _bytes: &[u8]) -> Vec<Span> {
        self.ranged.deliver_new(self.id, self.claim, block)
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Setback::Span(error)
    }
}

/// A span to fetch, and how far it has got before the worker takes it up.
struct Task {
    fetch: Fetch,
    is_hedge: bool,
    response: Response,
    /// When it was requested, if it was.
    requested: Option<Duration>,
}

enum Response {
    /// Nothing is requested.
    None,
    /// Requested ahead; its head has yet to come.
    Pending(Pending),
    /// The first answer of the transfer.
    Opened(Opening),
}

impl Task {
    /// Nothing is requested yet.
    fn new(fetch: Fetch) -> Self {
        Self { fetch, is_hedge: false, response: Response::None, requested: None }
    }
}

impl Worker {
    /// A worker without a connection.
    pub(in crate::engine) fn new(id: u32, ranged: Arc<Ranged>, shard: Rc<Shard>) -> Self {
        let (id, failure, source) = (ConnectionId(id), Failure::default(), ranged.source());
        Self { id, ranged, shard, connection: None, source, ahead: None, failure }
    }

    /// Works until nothing is left or the transfer has failed; failures end up in plan and job.
    pub(in crate::engine) async fn run(mut self, first: Option<First>) {
        if let Some(First { fetch, opening, requested }) = first {
            self.ranged.attach(self.id, &opening.connection);
            let (response, requested) = (Response::Opened(opening), Some(requested));
            self.serve(Task { response, requested, ..Task::new(fetch) }).await;
        }
        let mut idle = Duration::ZERO;
        while !self.ranged.is_halted() {
            let wait = match self.ranged.next(self.id) {
                Next::Fetch(fetch) => {
                    self.serve(Task::new(fetch)).await;
                    idle = Duration::ZERO;
                    continue;
                }
                Next::Hedge { span, .. } => {
                    let fetch = Fetch { span, lead_bytes: 0 };
                    self.serve(Task { is_hedge: true, ..Task::new(fetch) }).await;
                    continue;
                }
                Next::WaitUntil(at) => at.saturating_sub(self.ranged.job.now()).min(IDLE_TICK),
                Next::Wait => IDLE_TICK,
                Next::Done | Next::Failed | Next::Retire => break,
                Next::Steal { .. } => unreachable!("the shared plan carries steals out"),
            };
            race(self.ranged.bell.notified(), tokio::time::sleep(wait)).await;
            idle += wait;
            if idle > IDLE_CONNECTION_MAX {
                self.connection = None;
            }
        }
        self.ranged.retired(self.id);
    }

    /// Fetches a span, and those that are requested ahead behind it.
    async fn serve(&mut self, task: Task) {
        let mut task = Some(task);
        while let Some(now) = task.take() {
            task = self.fetch(now).await;
        }
    }

    /// Fetches one span and reports how it went; answers with the one requested ahead.
    async fn fetch(&mut self, task: Task) -> Option<Task> {
        let trace = self.new_trace(&task);
        let Task { fetch, is_hedge, response, .. } = task;
        let (ranged, shard, id) = (self.ranged.clone(), self.shard.clone(), self.id);
        let claim = ranged.open(id, fetch.span, is_hedge);
        let shared = Shared { ranged: &ranged, id, claim: &claim };
        let mut intake = Intake::new(&ranged.job, &shard, &ranged.sink, &claim)
            .delivering(&shared)
            .traced(trace.clone());
        let mut response = response;
        let result = loop {
            let rest = claim.rest();
            if rest.is_empty() {
                break Ok(());
            }
            let taken = std::mem::replace(&mut response, Response::None);
            match self.receive(rest, taken, &fetch, &claim, &mut intake, trace.as_deref()).await {
                Ok(pending) => response = pending.map_or(Response::None, Response::Pending),
                Err(e) => break Err(e),
            }
        };
        match result {
            Ok(()) => intake.flush(),
            Err(_) => intake.salvage(),
        }
        let received = Span::new(fetch.span.start(), intake.position());
        ranged.deliver(id, &claim);
        self.end_trace(trace, &fetch, received, claim.new_bytes(), result.as_ref().err());
        match result {
            Ok(()) => self.finish(response),
            Err(setback) => self.fail(setback),
        }
    }

    /// The span is delivered. Goes on with the one ahead, if it is still ours.
    fn finish(&mut self, response: Response) -> Option<Task> {
        let requested = self.ahead.take();
        let span = self.ranged.finished(self.id);
        match (span, requested, response) {
            (Some(span), Some(ahead), Response::Pending(pending)) if ahead.fetch.span == span => {
                let (response, requested) = (Response::Pending(pending), Some(ahead.requested));
                Some(Task { response, requested, ..Task::new(ahead.fetch) })
            }
            // The plan still counts on us, but the connection is gone: ask anew.
            (Some(span), requested, _) => {
                self.connection = None;
                let lead_bytes = requested.map_or(0, |ahead| ahead.fetch.lead_bytes);
                Some(Task::new(Fetch { span, lead_bytes }))
            }
            // Taken back: an answer that nobody wants is on the wire.
            (None, Some(_), _) => {
                self.connection = None;
                None
            }
            (None, None, _) => None,
        }
    }

    /// The span ended with its connection. Goes on with the one ahead only if another connection
    /// has delivered this one.
    fn fail(&mut self, setback: Setback) -> Option<Task> {
        self.connection = None;
        let failure = std::mem::take(&mut self.failure);
        if self.ranged.is_halted() {
            self.ranged.left(self.id);
            return None;
        }
        if self.ranged.is_aborted(self.id) {
            return self.finish(Response::None);
        }
        self.ahead = None;
        match setback {
            Setback::Unprovable => self.ranged.unprovable(self.id),
            Setback::Ahead(error) if self.ranged.is_replaced(self.id) => {
                self.ranged.failed(self.id, error, None, false);
            }
            Setback::Span(error) => {
                let Failure { retry_after, while_connecting, is_final } = failure;
                if is_final {
                    self.ranged.give_up(&error);
                }
                self.ranged.failed(self.id, error, retry_after, while_connecting);
            }
            Setback::Ahead(error) => {
                let why = match error.kind() {
                    ErrorKind::ConnectionLost | ErrorKind::Truncated => AheadFault::Closed,
                    kind => AheadFault::WrongAnswer(kind),
                };
                let text = format!("the request sent ahead came to nothing: {error}");
                self.ranged.job.tell(Level::Detail, Some(self.id.0), text);
                self.ranged.ahead_refused(self.id, why);
            }
        }
        None
    }

    /// One response, checked before a byte of it counts. It may cover less than `rest`, which is
    /// legal (RFC 9110 14.2), but then enough to get on. Answers with the response that follows it
    /// on the connection, if the next span was requested ahead.
    async fn receive(
        &mut self,
        rest: Span,
        response: Response,
        fetch: &Fetch,
        claim: &Claim,
        intake: &mut Intake<'_>,
        trace: Option<&SpanTrace>,
    ) -> Result<Option<Pending>, Setback> {
        let mut opening = match response {
            Response::Opened(opening) => opening,
            Response::Pending(pending) => self.answer_ahead(rest, pending).await?,
            Response::None => self.request(rest, trace).await?,
        };
        let part = match self.check(rest, &opening) {
            Err(error) if self.ranged.may_have_expired(&self.source, &error) => {
                drop(opening);
                // Where another worker has found it, the rest of the span is asked for again.
                let Some(renewed) = self.renew(rest).await? else { return Ok(None) };
                opening = renewed;
                self.check(rest, &opening)?
            }
            judged => judged?,
        };
        // What lacks its proof is asked for again, on condition, which then is the proof.
        let Part::Usable(body) = part else { return Ok(None) };
        self.note_first_byte(fetch.span, rest, &opening, trace);
        opening.exchange.expect_body(body.len());
        if self.ranged.job.options.verify
            && let Some(gate) = Gate::of(opening.head())
        {
            if !self.ranged.guard(claim, body) {
                return Err(Setback::Unprovable);
            }
            intake.close_gate(gate);
        }
        if fetch.lead_bytes > 0 && body.end() == rest.end() && self.ahead.is_none() {
            intake.receive(&mut opening, fetch.lead_bytes).await?;
            if claim.rest().end() == body.end() && !opening.exchange.is_complete() {
                self.request_ahead(&mut opening).await?;
            }
        }
        intake.receive(&mut opening, 0).await?;
        intake.open_gate(body, opening.exchange.is_complete()).await?;
        if self.ahead.is_none() && opening.exchange.is_complete() && !opening.surplus.is_empty() {
            return Err(Exchange::excess_error().into());
        }
        Ok(self.close(opening, claim.rest().is_empty()))
    }

    /// The response has ended: keeps the connection, for the answer requested ahead or for later.
    fn close(&mut self, opening: Opening, is_span_done: bool) -> Option<Pending> {
        if opening.exchange.reusable() {
            self.ranged.kept_alive(self.id);
        }
        if self.ahead.is_none() || !is_span_done {
            self.connection = opening.reuse();
            return None;
        }
        if !opening.exchange.is_complete() {
            // The end of the span was taken away, and the answer ahead lies behind it.
            return None;
        }
        let is_conditional = self.ahead.as_ref().is_some_and(|ahead| ahead.is_conditional);
        let pending = opening.pending(is_conditional);
        if pending.is_none() {
            self.ahead = None;
            self.ranged.ahead_lost(self.id);
        }
        pending
    }

    /// Sends the request for the next span while this one still comes in.
    async fn request_ahead(&mut self, opening: &mut Opening) -> Result<()> {
        let Some(fetch) = self.ranged.ahead(self.id) else { return Ok(()) };
        let request = self.question(fetch.span)?;
        let (requested, is_conditional) = (self.ranged.job.now(), request.is_conditional());
        self.ahead = Some(Ahead { fetch, requested, is_conditional });
        opening.connection.wire.send(request.encode()?).await?;
        self.ranged.requested(self.id, fetch.span.start());
        Ok(())
    }

    /// The head of an answer that was requested ahead. Whatever is wrong with it is no failure of
    /// the span: the plan frees it and sends no more requests ahead. Only a server that has enough
    /// says so to any request, and means the wait it asks for; or one whose URL has expired.
    async fn answer_ahead(&mut self, rest: Span, pending: Pending) -> Result<Opening, Setback> {
        let opening = answer(pending).await.map_err(Setback::Ahead)?;
        match self.ranged.versions.check(&opening, rest) {
            Err(error) if !self.is_meant_for_all(&error) => Err(Setback::Ahead(error)),
            Ok(_) | Err(_) => Ok(opening),
        }
    }

    fn is_meant_for_all(&self, error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Status(429 | 503))
            || self.ranged.may_have_expired(&self.source, error)
    }

    /// What of `rest` the answer holds.
    fn check(&mut self, rest: Span, opening: &Opening) -> Result<Part> {
        self.failure.retry_after = retry_after(opening.head());
        let part = self.ranged.versions.check(opening, rest)?;
        if let Part::Usable(body) = part
            && body != rest
            && body.len() < SPAN_ALIGN_BYTES
        {
            return Err(Error::new(
                ErrorKind::RangeMismatch,
                format!("the server sends no more than {} bytes at a time", body.len()),
            ));
        }
        self.failure.retry_after = None;
        Ok(part)
    }

    /// The request for `span`, on the condition that is needed by now.
    fn question(&self, span: Span) -> Result<Request> {
        Ok(self.source.request()?.range(span).if_range(&self.ranged.versions.condition()))
    }

    /// The URL has expired: the answer of a new one, unless another worker has found that.
    async fn renew(&mut self, span: Span) -> Result<Option<Opening>> {
        let renewed = self.ranged.renew(self.id, &self.source, span).await;
        let Refused { error, retry_after } = match renewed {
            Ok(None) => return Ok(None),
            Ok(Some(Renewed { source, opening, .. })) => {
                self.source = source;
                return self.check_wanted().map(|()| Some(opening));
            }
            Err(refused) => refused,
        };
        self.failure.retry_after = retry_after;
        self.failure.is_final = self.ranged.may_have_expired(&self.source, &error);
        Err(error)
    }

    /// Requests `span` on the connection there is, or on a new one. A server may close a kept
    /// connection at any time; that is no failure, the request just moves on.
    async fn request(&mut self, span: Span, trace: Option<&SpanTrace>) -> Result<Opening> {
        let source = self.ranged.source();
        let is_moved = !Arc::ptr_eq(&source, &self.source);
        self.source = source;
        let request = self.question(span)?;
        if let Some(connection) = self.connection.take().filter(|_| !is_moved) {
            self.note_requested(span, trace);
            match ask(connection, &request).await {
                Err(e) if e.kind() == ErrorKind::ConnectionLost => {}
                other => return other,
            }
        }
        self.request_anew(span, &request, trace).await
    }

    async fn request_anew(
        &mut self,
        span: Span,
        request: &Request,
        trace: Option<&SpanTrace>,
    ) -> Result<Opening> {
        let ranged = self.ranged.clone();
        let order = ranged.address_order(self.id);
        self.failure.while_connecting = true;
        let connection = self.source.connect(&order).await?;
        self.failure.while_connecting = false;
        ranged.connected(self.id, &connection);
        self.check_wanted()?;
        describe_connection(&ranged.job, self.id.0, &connection);
        self.note_requested(span, trace);
        let opening = ask(connection, request).await?;
        describe_answer(&ranged.job, self.id.0, &opening);
        Ok(opening)
    }

    /// An error if another one has delivered its bytes while there was no socket to be shut.
    fn check_wanted(&self) -> Result<()> {
        match self.ranged.is_aborted(self.id) {
            true => Err(Error::new(ErrorKind::ConnectionLost, "nobody needs the bytes any more")),
            false => Ok(()),
        }
    }
}
