//! A file fetched in one stream, because the server serves no ranges or does not tell the size.
//! The same blocks, hash and file as a ranged download; only a failure starts over. What is here
//! already is received again, as there is no other way, and compared instead of written.

use super::Transfer;
use super::expected_digest::Wanted;
use super::on_disk::{OnDisk, Proof, identity};
use super::scope::Scope;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::digest::LeftOver;
use crate::disk::journal::{Book, Identity};
use crate::disk::output::Output;
use crate::engine::client::shard::hash_budget_bytes;
use crate::engine::context::Context;
use crate::engine::local::Local;
use crate::engine::ordered::Ordered;
use crate::engine::progress::Level;
use crate::engine::race::{First, race};
use crate::engine::receive::claim::Claim;
use crate::engine::receive::hashing::Hashing;
use crate::engine::receive::intake::{Delivery, Intake};
use crate::engine::receive::pieces::{PieceLedger, Pieces};
use crate::engine::receive::sink::{Destination, Sink};
use crate::engine::source::body;
use crate::engine::source::discover::{self, Discovered, Found};
use crate::engine::source::exchange::Opening;
use crate::engine::source::facts::Facts;
use crate::engine::source::retry::after;
use crate::engine::window::Window;
use crate::http::{Exchange, Validator};
use crate::io::socket::SocketHandle;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Time between two looks at what has arrived.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// What a stream needs besides its response.
pub(super) struct Stream<'a> {
    local: &'a Local,
    /// What is known of the pieces, if their digests are.
    pieces: Option<&'a Arc<PieceLedger>>,
    /// Where to ask again.
    url: &'a Url,
    output: &'a Arc<Output>,
    wanted: &'a Wanted,
    /// What is here of the same file.
    on_disk: &'a OnDisk,
    /// The memory of an output that takes bytes in order, if it is one.
    ordered: Option<&'a Ordered>,
    /// Of the last attempt.
    sink: RefCell<Option<Rc<Sink>>>,
    /// The file of the last answer.
    identity: RefCell<Option<Identity>>,
}

/// A response with the whole file, of which the head has arrived.
pub(super) struct Whole {
    pub(super) facts: Facts,
    pub(super) total: Option<u64>,
    pub(super) validator: Validator,
    pub(super) opening: Opening,
}

/// A file all of which has come that is wanted.
pub(super) struct Received {
    /// Its size.
    pub(super) bytes: u64,
    /// Bytes that were wanted of it, those that were here before among them.
    pub(super) wanted_bytes: u64,
    /// Of the answer that brought it, or the first of them.
    pub(super) facts: Facts,
    pub(super) hashing: Option<Arc<Hashing>>,
    /// Pieces that are verified.
    pub(super) pieces: Option<Arc<Pieces>>,
}

/// What is here already of the file that comes once more.
struct Kept<'a> {
    context: &'a Context,
    here: RefCell<SpanSet>,
    left_over: RefCell<LeftOver>,
}

impl<'a> Kept<'a> {
    /// Only what is missing in `settled` is new.
    fn new(context: &'a Context, on_disk: &OnDisk, settled: SpanSet) -> Self {
        let here = RefCell::new(settled);
        Self { context, here, left_over: RefCell::new(LeftOver::new(on_disk.runs())) }
    }
}

impl Delivery for Kept<'_> {
    /// A server whose file begins otherwise than what is here has another file, whatever its
    /// validator says.
    fn deliver(&self, block: Span, bytes: &[u8]) -> Vec<Span> {
        if let Err(run) = self.left_over.borrow_mut().update(bytes) {
            let what = format!("the bytes {run} of the server's file are not those fetched before");
            self.context.fail(Error::new(ErrorKind::Changed, what));
        }
        let new = self.here.borrow().gaps(block);
        self.here.borrow_mut().insert(block);
        new
    }
}

/// Where the body of one answer goes.
struct Body<'a> {
    context: &'a Context,
    sink: &'a Rc<Sink>,
    kept: &'a Kept<'a>,
    /// Only what `kept` calls new is written.
    is_shared: bool,
}

impl Body<'_> {
    /// Receives it up to the offset `end` of the file that is made; where it has ended.
    async fn receive(&self, opening: &mut Opening, end: u64) -> Result<u64> {
        let Window::Ranges(pieces) = self.context.window() else {
            return self.receive_span(opening, Span::new(0, end)).await;
        };
        if pieces.windows(2).any(|pair| pair[1].there.start() < pair[0].there.end()) {
            let what = "the server serves no ranges but one stream, and these are not in its order";
            return Err(Error::new(ErrorKind::RangeMismatch, what)
                .advise("ask for them from the first to the last byte, none twice"));
        }
        let mut at = 0;
        for piece in pieces {
            body::skip(opening, piece.there.start() - at).await?;
            self.receive_span(opening, Span::new(piece.start, piece.end())).await?;
            at = piece.there.end();
        }
        Ok(end)
    }

    /// Receives what comes as these bytes of the file.
    async fn receive_span(&self, opening: &mut Opening, span: Span) -> Result<u64> {
        let claim = Claim::new(span);
        if self.is_shared {
            claim.share();
        }
        let mut intake = Intake::new(self.context, self.sink, &claim).delivering(self.kept);
        let result = intake.receive(opening, 0).await;
        intake.flush();
        result.map(|()| intake.position())
    }
}

/// Runs `receiving`, and has the context know meanwhile that something arrives, though a receive on
/// a slow connection takes long to end.
async fn watched<T>(
    context: &Context,
    socket: &SocketHandle,
    receiving: impl Future<Output = T>,
) -> T {
    let watching = async {
        let mut arrived_bytes = 0;
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let received_bytes = socket.tcp_info().map_or(0, |info| info.received_bytes);
            let has_come = received_bytes > std::mem::replace(&mut arrived_bytes, received_bytes);
            if has_come || socket.is_throttled() {
                context.stirred();
            }
        }
    };
    match race(receiving, watching).await {
        First::Left(received) => received,
        First::Right(never) => never,
    }
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        transfer: &'a Transfer,
        url: &'a Url,
        output: &'a Arc<Output>,
        wanted: &'a Wanted,
        on_disk: &'a OnDisk,
    ) -> Self {
        let (local, pieces) = (&transfer.local, transfer.pieces.get());
        let (ordered, sink) = (transfer.ordered.as_ref(), RefCell::default());
        let identity = RefCell::default();
        Self { local, pieces, url, output, wanted, on_disk, ordered, sink, identity }
    }

    /// Receives the file from the opening's body; a failed attempt is repeated from the start, as
    /// often as retries allow.
    pub(super) async fn receive(&self, whole: Whole) -> Result<Received> {
        let context = &self.local.context;
        let mut response = Some(whole);
        let mut passed_on = None;
        let mut backoff = context.backoff();
        loop {
            let on_disk = passed_on.as_ref().unwrap_or(self.on_disk);
            let error = match self.attempt(response.take(), on_disk).await {
                Ok(received) => return Ok(received),
                Err(error) => error,
            };
            self.end(Some(&error)).await;
            self.end_pieces();
            passed_on = self.passed_on();
            let Some(wait) = backoff.next(error.kind()) else {
                return Err(error.within(self.url));
            };
            context.retried();
            context.wait_for_retry(error.kind(), wait, backoff.failures(), false);
            let when = after(wait);
            let text =
                format!("{error}; fetching it from the start {when}, as there are no ranges");
            context.tell(Level::Detail, Some(0), text);
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until nothing is on its way to the output any more; `true` if the shard's blocks were
    /// registered.
    pub(super) async fn end(&self, error: Option<&Error>) -> bool {
        let sink = self.sink.borrow().clone();
        let Some(sink) = sink else { return false };
        match error {
            Some(error) => sink.abandoned(error).await,
            None => sink.flushed().await,
        }
        sink.is_registered()
    }

    /// What an ordered output has passed on of the failed attempt: the next one goes on behind it.
    fn passed_on(&self) -> Option<OnDisk> {
        let sink = self.sink.borrow().clone().filter(|sink| sink.is_ordered())?;
        let identity = self.identity.borrow().clone()?;
        Some(OnDisk::new(identity, sink.book().runs(), true))
    }

    /// The next attempt writes the same bytes anew.
    fn end_pieces(&self) {
        if let Some(pieces) = self.sink.borrow().as_ref().and_then(|sink| sink.pieces()) {
            pieces.end();
        }
    }

    async fn attempt(&self, response: Option<Whole>, on_disk: &OnDisk) -> Result<Received> {
        let whole = match response {
            Some(response) => response,
            None => self.ask_again().await?,
        };
        let context = &self.local.context;
        let scope = scope(context, whole.total)?;
        let total = scope.as_ref().map(Scope::total);
        let proof = self.check(&whole, total, on_disk)?;
        let is_partial = scope.as_ref().is_some_and(Scope::is_partial);
        context.set_total(scope.as_ref().map(Scope::bytes));
        let sink = self.new_sink(total, on_disk)?;
        let end = match proof {
            Proof::Given => {
                scope.as_ref().map_or(u64::MAX, |scope| scope.end_of_missing(&on_disk.spans()))
            }
            // All of what is here has to be compared.
            Proof::ByComparison => total.unwrap_or(u64::MAX),
        };
        // As with bytes that a second connection delivers: written is what is new.
        let is_shared = !on_disk.is_empty() || is_partial;
        let here = on_disk.spans();
        let settled = scope.as_ref().map_or(here.clone(), |scope| scope.settled(&here));
        let kept = Kept::new(context, on_disk, settled);
        let mut opening = whole.opening;
        let socket = opening.connection.wire.handle();
        let body = Body { context, sink: &sink, kept: &kept, is_shared };
        let received = watched(context, &socket, body.receive(&mut opening, end)).await;
        let is_excess = opening.exchange.is_complete() && !opening.surplus.is_empty();
        let result = match received {
            Ok(_) if is_excess => Err(Exchange::excess_error()),
            other => other,
        };
        let position = result.inspect_err(|_| {
            let bytes = scope.as_ref().map_or(on_disk.bytes(), |scope| scope.bytes_of(&here));
            context.set_here(bytes);
        })?;
        sink.flushed().await;
        let bytes = total.filter(|_| is_shared).unwrap_or(position);
        let wanted_bytes = scope.filter(Scope::is_partial).map_or(bytes, |scope| scope.bytes());
        let (hashing, pieces) = (sink.hashing().cloned(), sink.pieces().cloned());
        Ok(Received { bytes, wanted_bytes, facts: whole.facts, hashing, pieces })
    }

    /// Where the bytes of one attempt go.
    fn new_sink(&self, total: Option<u64>, on_disk: &OnDisk) -> Result<Rc<Sink>> {
        let Local { context, shard, .. } = self.local;
        let here = on_disk.spans();
        let budget_bytes = match self.output.is_nowhere() {
            // None of it can be read back: a block goes home once it is hashed.
            true => u64::MAX,
            false => hash_budget_bytes(1),
        };
        let ordered = self.ordered.cloned();
        // An ordered output computes digests on the way.
        let algorithms = if ordered.is_some() { &[][..] } else { &self.wanted.algorithms };
        let hashing = Hashing::start(context, algorithms, budget_bytes, self.output, &here)?;
        let start = |ledger| Pieces::start(context, ledger, false, self.output, &here);
        let pieces = self.pieces.map(start).transpose()?;
        let book = Arc::new(Book::new(total.unwrap_or(u64::MAX), on_disk.runs()));
        book.want_sums(ordered.is_some());
        let output = self.output.clone();
        let to = Destination { output, hashing, pieces, book, is_journaled: false, ordered };
        let sink = Sink::new(context, shard, &to, 1);
        sink.register(total.unwrap_or(u64::MAX));
        *self.sink.borrow_mut() = Some(sink.clone());
        Ok(sink)
    }

    /// What is kept of earlier attempts must be of this file.
    fn check(&self, whole: &Whole, total: Option<u64>, on_disk: &OnDisk) -> Result<Proof> {
        let (total, digest) = (total.unwrap_or(u64::MAX), self.wanted.digest());
        let options = &self.local.context.options;
        let now = identity(options, &whole.facts.url, total, &whole.validator, digest);
        let proof = on_disk.judge(&now, self.pieces.is_some());
        *self.identity.borrow_mut() = Some(now);
        proof
    }

    /// Nothing of the failed attempt is needed, so any answer with the whole file will do.
    async fn ask_again(&self) -> Result<Whole> {
        let Discovered { found, facts, .. } = discover::find(self.local, self.url, None).await?;
        match found {
            Found::Whole { total, validator, opening } => {
                Ok(Whole { facts, total, validator, opening })
            }
            Found::Ranged { .. } | Found::Empty => Err(Error::new(
                ErrorKind::Changed,
                "the server served the file in one stream first, and answers otherwise now",
            )),
        }
    }
}

/// How much is kept of the file that a stream of `served` bytes makes, or a part of it; `None` if
/// that is all of it and nobody knows the size.
pub(super) fn scope(context: &Context, served: Option<u64>) -> Result<Option<Scope>> {
    let options = &context.options;
    let Some(part) = &options.part else {
        return served.map(|total| Scope::new(options, total)).transpose();
    };
    let served = served.ok_or_else(|| {
        let what = "the server does not say the size of the file, which a part of it needs";
        Error::new(ErrorKind::RangeMismatch, what).advise("fetch the whole file")
    })?;
    let window = part.window(served)?;
    let total = window.bytes(served);
    context.set_window(window);
    Scope::new(options, total).map(Some)
}
