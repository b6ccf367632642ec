//! One connection's loop: ask the plan for a span, request it, receive it, report it.
//!
//! States: idle (waits for the plan) -> fetching (holds a span) -> fetching the span it requested
//! ahead, on the same connection -> ... -> idle ... -> ended (nothing is left, fewer connections
//! are wanted, or the transfer has failed). The connection outlives spans where the server allows,
//! and the transfer, for the next one on the shard.

mod asking;
mod traced;

use super::Ranged;
use crate::base::limits::IDLE_CONNECTION_MAX;
use crate::base::{ErrorKind, Result, Span};
use crate::engine::failure::{Failure, Stage};
use crate::engine::local::Local;
use crate::engine::progress::Level;
use crate::engine::race::race;
use crate::engine::receive::claim::Claim;
use crate::engine::receive::intake::{Delivery, Intake};
use crate::engine::receive::quarantine::Quarantine;
use crate::engine::receive::sink::Sink;
use crate::engine::source::Source;
use crate::engine::source::connection::Connection;
use crate::engine::source::endpoint::Endpoint;
use crate::engine::source::exchange::{Opening, Pending};
use crate::engine::trace::SpanTrace;
use crate::http::{Exchange, Sent};
use crate::plan::{AheadFault, ConnectionId, Fetch, Next};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An idle worker looks for something to do this often, as positions change without events.
const IDLE_TICK: Duration = Duration::from_millis(100);

/// One connection of a ranged download.
pub(super) struct Worker {
    id: ConnectionId,
    ranged: Arc<Ranged>,
    local: Local,
    sink: Rc<Sink>,
    source: Arc<Source>,
    connection: Option<Connection>,
    /// What was asked last.
    endpoint: Arc<Endpoint>,
    /// Requested on the connection that is still busy with the span before.
    ahead: Option<Ahead>,
}

/// The first answer of the transfer, which came before there was a plan.
pub(in crate::engine) struct First {
    pub(in crate::engine) fetch: Fetch,
    pub(in crate::engine) opening: Opening,
    /// When it was asked for.
    pub(in crate::engine) requested: Duration,
}

/// A span that was requested before the one before it had ended.
struct Ahead {
    fetch: Fetch,
    /// When it was requested, since the transfer began.
    requested: Duration,
    /// What the request was.
    sent: Sent,
}

/// How the worker's part in a span has ended.
enum Ended {
    /// With all of it, or with all that was left to this worker.
    Whole,
    /// The span failed.
    Failed(Failure),
    /// The span is given back, without a failure of anybody.
    LetGo(Reason),
}

/// Why a span is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The answer has a digest of its own, but a part of its bytes is another connection's by now.
    Unprovable,
    /// The budget has no connection left, or no source takes another one at the moment.
    NoConnection,
}

/// How it goes on after an answer: with the one that follows it on the connection, if the next span
/// was requested ahead, or without the span.
type Received = ControlFlow<Reason, Option<Pending>>;

/// What is new of a claim that a second connection brings too.
struct SharedClaim<'a> {
    ranged: &'a Ranged,
    id: ConnectionId,
    claim: &'a Claim,
}

impl Delivery for SharedClaim<'_> {
    fn deliver(&self, block: Span, _bytes: &[u8]) -> Vec<Span> {
        self.ranged.deliver_new(self.id, self.claim, block)
    }
}

/// A span to fetch, and how far it has got before the worker takes it up.
struct SpanTask {
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

impl SpanTask {
    /// Nothing is requested yet.
    fn new(fetch: Fetch) -> Self {
        Self { fetch, is_hedge: false, response: Response::None, requested: None }
    }
}

impl Worker {
    /// A worker without a connection.
    pub(super) fn new(id: u32, ranged: &Arc<Ranged>, local: &Local, sink: &Rc<Sink>) -> Self {
        let id = ConnectionId(id);
        let source = ranged.source_of(id).clone();
        Self {
            id,
            ranged: ranged.clone(),
            local: local.clone(),
            sink: sink.clone(),
            connection: None,
            endpoint: source.endpoint(),
            source,
            ahead: None,
        }
    }

    /// Works until nothing is left or the transfer has failed; failures end up in the plan and in
    /// the transfer's context.
    pub(super) async fn run(mut self, first: Option<First>) {
        if let Some(First { fetch, opening, requested }) = first {
            self.ranged.attach(self.id, &opening.connection);
            let (response, requested) = (Response::Opened(opening), Some(requested));
            self.serve(SpanTask { response, requested, ..SpanTask::new(fetch) }).await;
        }
        let mut idle = Duration::ZERO;
        while !self.ranged.is_halted() {
            let wait = match self.ranged.next(self.id) {
                Next::Fetch(fetch) => {
                    self.serve(SpanTask::new(fetch)).await;
                    idle = Duration::ZERO;
                    continue;
                }
                Next::Hedge { span, .. } => {
                    let fetch = Fetch { span, lead_bytes: 0 };
                    self.serve(SpanTask { is_hedge: true, ..SpanTask::new(fetch) }).await;
                    continue;
                }
                Next::WaitUntil(at) => at.saturating_sub(self.local.context.now()).min(IDLE_TICK),
                Next::Wait => IDLE_TICK,
                Next::Done => {
                    self.leave_connection();
                    break;
                }
                Next::Retire => {
                    self.park_connection();
                    break;
                }
                Next::Failed => break,
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

    /// The file is there: the connection is the next transfer's.
    fn leave_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.endpoint.keep_idle(&self.local.shard, connection);
        }
    }

    /// Fewer connections are wanted, perhaps only for a while.
    fn park_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.endpoint.park(&self.local.shard, connection);
        }
    }

    /// Fetches a span, and those that are requested ahead behind it.
    async fn serve(&mut self, task: SpanTask) {
        let mut task = Some(task);
        while let Some(now) = task.take() {
            task = self.fetch(now).await;
        }
    }

    /// Fetches one span and reports how it went; gives the one requested ahead.
    async fn fetch(&mut self, task: SpanTask) -> Option<SpanTask> {
        let trace = self.new_trace(&task);
        let SpanTask { fetch, is_hedge, mut response, .. } = task;
        let (ranged, sink, id) = (self.ranged.clone(), self.sink.clone(), self.id);
        let claim = ranged.open(id, fetch.span, is_hedge);
        let shared = SharedClaim { ranged: &ranged, id, claim: &claim };
        let mut intake =
            Intake::new(&ranged.context, &sink, &claim).delivering(&shared).traced(trace.clone());
        let ended = loop {
            let rest = claim.rest();
            if rest.is_empty() {
                break Ended::Whole;
            }
            let taken = std::mem::replace(&mut response, Response::None);
            match self.receive(rest, taken, &fetch, &claim, &mut intake, trace.as_deref()).await {
                Ok(Received::Continue(pending)) => {
                    response = pending.map_or(Response::None, Response::Pending);
                }
                Ok(Received::Break(reason)) => break Ended::LetGo(reason),
                Err(failure) => break Ended::Failed(failure),
            }
        };
        match ended {
            Ended::Whole => intake.flush(),
            Ended::Failed(_) | Ended::LetGo(_) => intake.salvage(),
        }
        let received = Span::new(fetch.span.start(), intake.position());
        ranged.deliver(id, &claim);
        self.end_trace(trace, &fetch, received, claim.new_bytes(), &ended);
        match ended {
            Ended::Whole => self.finish(response),
            Ended::Failed(_) | Ended::LetGo(_) => self.give_up(ended).await,
        }
    }

    /// The span is delivered. Goes on with the one ahead, if it is still ours.
    fn finish(&mut self, response: Response) -> Option<SpanTask> {
        let requested = self.ahead.take();
        let span = self.ranged.finished(self.id);
        match (span, requested, response) {
            (Some(span), Some(ahead), Response::Pending(pending)) if ahead.fetch.span == span => {
                let (response, requested) = (Response::Pending(pending), Some(ahead.requested));
                Some(SpanTask { response, requested, ..SpanTask::new(ahead.fetch) })
            }
            // The plan still counts on us, but the connection is gone: ask anew.
            (Some(span), requested, _) => {
                self.connection = None;
                let lead_bytes = requested.map_or(0, |ahead| ahead.fetch.lead_bytes);
                Some(SpanTask::new(Fetch { span, lead_bytes }))
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
    async fn give_up(&mut self, ended: Ended) -> Option<SpanTask> {
        self.connection = None;
        if self.ranged.is_halted() {
            self.ranged.left(self.id);
            return None;
        }
        if self.ranged.is_aborted(self.id) {
            return self.finish(Response::None);
        }
        self.ahead = None;
        match ended {
            Ended::Whole => unreachable!("a whole span is finished"),
            Ended::LetGo(reason) => {
                self.ranged.let_go(self.id);
                if reason == Reason::NoConnection {
                    let freed = self.local.context.client.budget.freed();
                    race(freed, tokio::time::sleep(IDLE_TICK)).await;
                }
            }
            Ended::Failed(failure) => self.fail(failure),
        }
        None
    }

    fn fail(&self, failure: Failure) {
        let is_ahead = failure.stage == Stage::Ahead;
        if is_ahead && !self.ranged.is_replaced(self.id) {
            let error = &failure.error;
            let why = match error.kind() {
                ErrorKind::ConnectionLost | ErrorKind::Truncated => AheadFault::Closed,
                kind => AheadFault::WrongAnswer(kind),
            };
            let text = format!("the request sent ahead came to nothing: {error}");
            self.local.context.tell(Level::Detail, Some(self.id.0), text);
            return self.ranged.ahead_refused(self.id, why);
        }
        if failure.stage == Stage::Renewal && self.ranged.is_single() {
            self.ranged.give_up(self.id, &failure.error);
        }
        self.ranged.failed(self.id, failure);
    }

    /// One response, checked before a byte of it counts. It may cover less than `rest`, which is
    /// legal (RFC 9110 14.2), but then enough to get on.
    async fn receive(
        &mut self,
        rest: Span,
        response: Response,
        fetch: &Fetch,
        claim: &Claim,
        intake: &mut Intake<'_>,
        trace: Option<&SpanTrace>,
    ) -> Result<Received, Failure> {
        let Some(opening) = self.open(rest, response, trace).await? else {
            return Ok(Received::Break(Reason::NoConnection));
        };
        let Some((body, mut opening)) = self.usable(rest, opening).await? else {
            return Ok(Received::Continue(None));
        };
        self.note_first_byte(fetch.span, rest, &opening, trace);
        opening.exchange.expect_body(body.len());
        // Bytes that are passed on in order cannot wait for the digest of their answer.
        if self.local.context.options.verify
            && !self.sink.is_ordered()
            && let Some(quarantine) = Quarantine::of(opening.head())
        {
            if !self.ranged.guard(claim, body) {
                return Ok(Received::Break(Reason::Unprovable));
            }
            intake.withhold(quarantine);
        }
        let may_ask_ahead = fetch.lead_bytes > 0 && !opening.exchange.is_last();
        if may_ask_ahead && body.end() == rest.end() && self.ahead.is_none() {
            intake.receive(&mut opening, fetch.lead_bytes).await?;
            if claim.rest().end() == body.end() && !opening.exchange.is_complete() {
                self.request_ahead(&mut opening).await?;
            }
        }
        intake.receive(&mut opening, 0).await?;
        intake.release(body, opening.exchange.is_complete()).await?;
        if self.ahead.is_none() && opening.exchange.is_complete() && !opening.surplus.is_empty() {
            return Err(Exchange::excess_error().into());
        }
        Ok(Received::Continue(self.close(opening, claim.rest().is_empty())))
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
        let sent = self.ahead.as_ref().map_or_else(Sent::default, |ahead| ahead.sent);
        let pending = opening.pending(sent);
        if pending.is_none() {
            self.ahead = None;
            self.ranged.ahead_lost(self.id);
        }
        pending
    }
}
